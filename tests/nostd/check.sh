#!/usr/bin/env bash
# Shows that the pure cores are free of the standard library: links them all without one (src/main.rs says why that
# proves it), and that none was forgotten: each crate that says `#![no_std]` stands among this package's dependencies.
set -euo pipefail
cd "$(dirname "$0")/../.."

# kernel/machine is no core: the kernel's own link shows what it is free of.
cores=$(grep -l '^#!\[no_std\]' ./*/*/src/lib.rs | grep -v '^./kernel/machine/' | while read -r file; do
  sed -n 's/^name = "\(.*\)"/\1/p' "${file%/src/lib.rs}/Cargo.toml" | head -n 1
done | sort)
linked=$(sed -n '/^\[dependencies\]/,$ s/^\(plyos-[a-z-]*\)\.workspace = true$/\1/p' tests/nostd/Cargo.toml | sort)
named=$(sed -n 's/^use \(plyos_[a-z_]*\) as _;$/\1/p' tests/nostd/src/main.rs | tr _ - | sort)
if [ "$cores" != "$linked" ] || [ "$cores" != "$named" ]; then
  echo "no_std: the pure cores (left) and those that tests/nostd depends on and names (right) differ:" >&2
  diff <(echo "$cores") <(echo "$linked") >&2 || diff <(echo "$cores") <(echo "$named") >&2
  exit 1
fi
# Release, since only there panics abort; alone, since features of a whole workspace would be unified.
cargo clippy --no-deps --release --locked --quiet -p plyos-test-nostd --features freestanding -- -D warnings
cargo build --release --locked --quiet -p plyos-test-nostd --features freestanding
echo "no_std: $(echo "$cores" | wc -l) pure cores link without the standard library"
