#!/usr/bin/env bash
# What must hold for the kernel that was linked, whoever's code is in it (C's zstd too): kernel/check.sh [ELF]
#   - nothing is read or written below the stack pointer: an interrupt may come between any two instructions;
#   - no segment is writable and executable;
#   - it is smaller than 1.5 MiB without the names of its functions' local symbols.
# `make kernel` runs it. The three searches are tried on an example first, so that a tool that changes its output is noticed.
set -euo pipefail
export LC_ALL=C
kernel=${1:-$(dirname "$0")/../target/kernel/plyos-kernel}
LARGEST=$((3 * 512 * 1024))
die() { printf 'kernel/check.sh: %s\n' "$*" >&2; exit 1; }
[ -f "$kernel" ] || die "there is no $kernel: run make kernel"

# Lines of a disassembly with a memory operand below the stack pointer. `lea` and `nop` only compute or look like one.
below_stack() { grep -E -- '-0x[0-9a-f]+\(%[re]sp[,)]' | grep -vE '[[:space:]](lea|nop)[a-z]?[[:space:]]' || true; }
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
ASSEMBLER
as -o "$work/bad.o" "$work/bad.s"
ld -N --no-warn-rwx-segments -o "$work/bad" "$work/bad.o"
[ "$(objdump -d "$work/bad" | below_stack | wc -l)" = 2 ] || die "the search for accesses below the stack pointer finds nothing in an example"
[ "$(readelf -lW "$work/bad" | writable_code | wc -l)" = 1 ] || die "the search for writable code finds nothing in an example"

objdump -d --no-show-raw-insn -j .text "$kernel" > "$work/text"
instructions=$(grep -c '^ *ffffffff' "$work/text") || die "$kernel has no code at -2 GiB"
below_stack < "$work/text" > "$work/below"
[ ! -s "$work/below" ] || die "$(wc -l < "$work/below") accesses below the stack pointer, the first: $(head -1 "$work/below"). Is -C no-redzone=yes set, and -mno-red-zone for C?"
readelf -lW "$kernel" | writable_code > "$work/writable"
[ ! -s "$work/writable" ] || die "writable and executable: $(head -1 "$work/writable")"
strip --strip-all -o "$work/stripped" "$kernel"
size=$(stat -c %s "$work/stripped")
[ "$size" -lt "$LARGEST" ] || die "$size bytes, allowed are less than $LARGEST"
echo "kernel: $size bytes ($((size * 100 / LARGEST)) % of what is allowed), $instructions instructions, none below the stack pointer, no writable code"
