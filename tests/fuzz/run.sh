#!/usr/bin/env bash
# Coverage-guided fuzzing of every target (or those named as arguments), SECONDS_EACH (60) seconds each, seeded by the
# golden files. An input that breaks an invariant is copied to tests/fuzz/found/TARGET, where `cargo test` runs it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
seconds=${SECONDS_EACH:-60}
work=$here/../../target/fuzz
cargo +nightly --version >/dev/null 2>&1 || { echo "fuzz: needs a nightly toolchain beside the stable one" >&2; exit 1; }
command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
if [ $# -gt 0 ]; then
  targets=("$@")
else
  mapfile -t targets < <(find "$here/libfuzzer/fuzz_targets" -name '*.rs' -printf '%f\n' | sed 's#\.rs$##' | sort)
fi
cargo run --locked --quiet -p plyos-test-fuzz --example seeds -- "$work/seeds"
failed=()
for target in "${targets[@]}"; do
  corpus=$work/corpus/$target
  mkdir -p "$corpus" "$work/artifacts/$target"
  echo "==> $target: $seconds s"
  if ! cargo +nightly fuzz run --fuzz-dir "$here/libfuzzer" --target-dir "$work/build" --sanitizer none "$target" \
    "$corpus" "$work/seeds" -- -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=20 \
    -artifact_prefix="$work/artifacts/$target/" -print_final_stats=1; then
    failed+=("$target")
    mkdir -p "$here/found/$target"
    find "$work/artifacts/$target" -type f -exec cp {} "$here/found/$target/" \;
  fi
done
[ ${#failed[@]} -eq 0 ] || { echo "fuzz: found something in ${failed[*]}; inputs are in tests/fuzz/found" >&2; exit 1; }
