#!/usr/bin/env bash
# Builds the kernel and puts the names of its functions into it, for backtraces: target/kernel/plyos-kernel.
# By itself, for its dependencies must not have `std`; see docs/kernel.md. PLYOS_ROOTS=FILE builds these pinned roots in.
set -euo pipefail
if [ -n "${PLYOS_ROOTS:-}" ]; then
  PLYOS_ROOTS=$(realpath -m -- "$PLYOS_ROOTS")
  export PLYOS_ROOTS
fi
cd "$(dirname "$0")/../.."
die() { printf 'kernel: %s\n' "$*" >&2; exit 1; }

"${CARGO:-cargo}" build --profile kernel --locked --quiet -p plyos-kernel
kernel=${CARGO_TARGET_DIR:-target}/kernel/plyos-kernel

# The section .symbols: lines "ADDRESS NAME", sorted, zeros behind; its size is fixed when the kernel is linked.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
size=$((16#$(objdump -h "$kernel" | awk '$2 == ".symbols" { print $3 }'))) || die "$kernel has no section for names"
nm --numeric-sort --demangle=rust --defined-only "$kernel" |
  awk '$1 ~ /^ffffffff/ && $2 ~ /^[tT]$/ { address = $1; sub(/^[^ ]+ [^ ]+ /, ""); sub(/::h[0-9a-f]+$/, ""); print address, substr($0, 1, 100) }' > "$work/names"
[ "$(stat -c %s "$work/names")" -lt "$size" ] ||
  die "the names of functions need $(stat -c %s "$work/names") bytes and have $size (SYMBOLS_SIZE in kernel/machine/src/backtrace.rs)"
truncate -s "$size" "$work/names"
objcopy --update-section .symbols="$work/names" "$kernel" "$work/kernel"
objcopy --strip-all --keep-section=.symbols "$work/kernel" "$work/stripped"
# Takes the place of what cargo linked, which puts its own there again when it builds.
mv "$work/stripped" "$kernel"
