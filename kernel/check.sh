#!/usr/bin/env bash
# What must hold for the kernel that was linked, whoever's code is in it (C's zstd too): kernel/check.sh [ELF]
#   - nothing is read or written below the stack pointer: an interrupt may come between any two instructions. Two searches: no
#     operand below the stack pointer itself; in a function with a frame pointer (all of Rust's), none further below that than the
#     function ever moves the stack pointer. Not seen are operands with an index besides, whose places nobody can tell here;
#   - registers of 256 bits are used only by the crates that look for them themselves: interrupt handlers save 128 bits of each;
#   - no segment is writable and executable;
#   - it is smaller than 1.5 MiB without the names of its functions' local symbols.
# `make kernel` runs it. The searches are tried on an example first, so that a tool that changes its output is noticed.
set -euo pipefail
export LC_ALL=C
kernel=${1:-$(dirname "$0")/../target/kernel/plyos-kernel}
LARGEST=$((3 * 512 * 1024))
die() { printf 'kernel/check.sh: %s\n' "$*" >&2; exit 1; }
[ -f "$kernel" ] || die "there is no $kernel: run make kernel"

# Lines of a disassembly with a memory operand below the stack pointer. `lea` and `nop` only compute or look like one.
below_stack() { grep -E -- '-0x[0-9a-f]+\(%[re]sp[,)]' | grep -vE '[[:space:]](lea|nop)[a-z]?[[:space:]]' || true; }
# The same by frame pointers: below_frame NAMES < DISASSEMBLY, where NAMES has lines "ADDRESS NAME" of functions. The first line out is
# the number of functions with a frame pointer. What a function pushes and subtracts anywhere counts, so one that calls may look
# deeper than it is; those that use memory below the stack pointer call nothing, and push and subtract at their beginning alone.
below_frame() {
  awk '
    function number(digits,   at, value) {
      for (at = 1; at <= length(digits); at++) value = value * 16 + index("0123456789abcdef", substr(digits, at, 1)) - 1
      return value
    }
    function finish(   at) {
      frames += framed
      for (at = 1; framed && at <= count; at++) if (offset[at] > depth) found = found line[at] "\n"
      count = depth = framed = 0
    }
    FNR == NR { if (NF > 1) begins[$1] = 1; next }
    { here = $1; sub(/:$/, "", here); if (here in begins) finish() }
    $2 == "push" { depth += 8 }
    $2 == "mov" && $3 == "%rsp,%rbp" { framed = 1; depth = 0 }
    $2 == "sub" && $3 ~ /^\$0x[0-9a-f]+,%rsp$/ { depth += number(substr($3, 4, length($3) - 8)) }
    # 128 is written as what fits into one byte.
    $2 == "add" && $3 == "$0xffffffffffffff80,%rsp" { depth += 128 }
    $2 !~ /^(lea|nop)/ && match($0, /-0x[0-9a-f]+\(%rbp\)/) { count++; offset[count] = number(substr($0, RSTART + 3, RLENGTH - 9)); line[count] = $0 }
    END { finish(); printf "%d\n%s", frames, found }
  ' "$1" -
}
# Functions that use wide registers: wide_in NAMES < DISASSEMBLY. All such instructions begin with v; those of the 512-bit masks need none
# to be looked for, for who uses them uses these too.
wide_in() {
  awk '
    FNR == NR { if (NF > 1) { address = $1; sub(/^[^ ]+ ([a-zA-Z] )?/, ""); name[address] = $0 } next }
    { here = $1; sub(/:$/, "", here); if (here in name) function_name = name[here] }
    $2 ~ /^v/ && /%[xyz]mm/ { print function_name }
  ' "$1" - | sort -u
}
# Segments of `readelf -lW` that are loaded with W and E.
writable_code() { awk '$1 == "LOAD" { flags = ""; for (i = 7; i < NF; i++) flags = flags $i; if (flags ~ /W/ && flags ~ /E/) print }'; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/bad.s" <<'ASSEMBLER'
.globl _start
_start: mov %rax, -8(%rsp)
  movl $1, -128(%rsp,%rcx,2)
  lea -64(%rsp), %rsp
  mov %rax, 8(%rsp)
leaf: push %rbp
  mov %rsp, %rbp
  push %rbx
  mov %rax, -8(%rbp)
  mov %rax, -16(%rbp)
  movl $1, -136(%rbp)
  lea -136(%rbp), %rax
  ret
deep: push %rbp
  mov %rsp, %rbp
  push %rbx
  sub $0x80, %rsp
  movl $1, -136(%rbp)
  movl $1, -137(%rbp)
  ret
wide: vpaddd %ymm0, %ymm1, %ymm2
  ret
narrow: paddd %xmm0, %xmm1
  ret
ASSEMBLER
as -o "$work/bad.o" "$work/bad.s"
ld -N --no-warn-rwx-segments -o "$work/bad" "$work/bad.o"
[ "$(objdump -d "$work/bad" | below_stack | wc -l)" = 2 ] || die "the search for accesses below the stack pointer finds nothing in an example"
nm --numeric-sort "$work/bad" > "$work/names"
objdump -d --no-show-raw-insn "$work/bad" | below_frame "$work/names" > "$work/frames"
[ "$(head -1 "$work/frames") $(wc -l < "$work/frames")" = "2 4" ] || die "the search for accesses below a frame does not find the three in an example of two functions"
[ "$(objdump -d --no-show-raw-insn "$work/bad" | wide_in "$work/names")" = wide ] || die "the search for wide registers does not find the one in an example"
[ "$(readelf -lW "$work/bad" | writable_code | wc -l)" = 1 ] || die "the search for writable code finds nothing in an example"

objdump -d --no-show-raw-insn -j .text "$kernel" > "$work/text"
instructions=$(grep -c '^ *ffffffff' "$work/text") || die "$kernel has no code at -2 GiB"
below_stack < "$work/text" > "$work/below"
[ ! -s "$work/below" ] || die "$(wc -l < "$work/below") accesses below the stack pointer, the first: $(head -1 "$work/below"). Is -C no-redzone=yes set, and -mno-red-zone for C?"
objcopy -O binary --only-section=.symbols "$kernel" "$work/symbols"
tr -d '\0' < "$work/symbols" > "$work/names"
below_frame "$work/names" < "$work/text" > "$work/frames"
frames=$(head -1 "$work/frames")
[ "$frames" -gt 0 ] || die "$kernel tells of no function with a frame pointer: was it built by tests/setup/kernel.sh?"
[ "$(wc -l < "$work/frames")" = 1 ] || die "$(($(wc -l < "$work/frames") - 1)) accesses below a function's frame, the first: $(sed -n 2p "$work/frames"). Is -C no-redzone=yes set?"
wide_in "$work/names" < "$work/text" | grep -vE '^(blake3_|<?[&*]*(blake3|curve25519_dalek|sha2)::)' > "$work/wide" || true
[ ! -s "$work/wide" ] || die "wide registers are used by $(head -1 "$work/wide"): an interrupt handler that reached it would spoil them. Is it sure that none does (docs/kernel.md, I5)?"
readelf -lW "$kernel" | writable_code > "$work/writable"
[ ! -s "$work/writable" ] || die "writable and executable: $(head -1 "$work/writable")"
strip --strip-all -o "$work/stripped" "$kernel"
size=$(stat -c %s "$work/stripped")
[ "$size" -lt "$LARGEST" ] || die "$size bytes, allowed are less than $LARGEST"
echo "kernel: $size bytes ($((size * 100 / LARGEST)) % of what is allowed), $instructions instructions, no operand below the stack pointer or below one of $frames frames, no wide registers where interrupts could spoil them, no writable code"
