#!/usr/bin/env bash
# Shows that the power-cut campaign sees mistakes of the store's code: each patch here makes one, in a copy of the sources;
# the campaign must fail, by a check that the patch's line `expect:` names. A patch that does not apply, does not compile or is
# not noticed fails the run. Without patches the campaign must pass.
#   run.sh [PATCH...]           MUTANT_SEED=1: which cuts
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"
work=${CARGO_TARGET_DIR:-$root/target}/mutants
source=$work/source
log=$work/log
export CARGO_TARGET_DIR=$work/build PLYOS_CRASH_SEED=${MUTANT_SEED:-1}
unset PLYOS_SOAK_SECONDS
[ $# -gt 0 ] || set -- "$here"/*.patch

rm -rf "$source"
mkdir -p "$source"
# New modification times, for cargo would take what an earlier run left half done for built.
git ls-files -z --cached --others --exclude-standard |
  while IFS= read -r -d '' file; do [ ! -f "$file" ] || printf '%s\0' "$file"; done |
  tar --create --null --files-from=- | tar --extract --touch --directory "$source"

die() { printf 'mutants: %s\n' "$*" >&2; exit 1; }
build() { (cd "$source" && cargo test --locked --quiet -p plyos-storefile --test power_cut --no-run) >"$log" 2>&1; }
campaign() { # fails when a check fails
  (cd "$source" && cargo test --locked --quiet -p plyos-storefile --test power_cut a_cut_anywhere -- --nocapture) \
    >"$log" 2>&1
}

build || { cat "$log" >&2; die "the sources do not compile"; }
campaign || { cat "$log" >&2; die "the campaign fails without a mutation"; }
printf 'mutants: without a mutation: %s\n' "$(grep -m 1 ' states after ' "$log")"
failed=()
for file in "$@"; do
  file=$(cd "$(dirname "$file")" && pwd)/$(basename "$file")
  name=$(basename "$file" .patch)
  expected=$(sed -n 's/^expect: //p' "$file")
  [ -n "$expected" ] || die "$name has no line 'expect: [CHECK]...'"
  if ! patch --directory "$source" --strip 1 --fuzz 0 --batch --forward --no-backup-if-mismatch <"$file" >"$log" 2>&1; then
    cat "$log" >&2
    die "$name does not apply: the code has changed, make the mistake anew"
  fi
  if ! build; then
    cat "$log" >&2
    die "$name does not compile"
  fi
  if campaign; then
    printf 'mutants: %s: NOT NOTICED\n' "$name"
    failed+=("$name")
  else
    # The checks that the message names: one met on the way of a workload stands behind [completes].
    seen=$(grep -A 1 'panicked at' "$log" | tail -n 1)
    check=$(grep -o '\[[a-z ]*\]' <<<"$seen" | grep -F -f <(grep -o '\[[a-z ]*\]' <<<"$expected") | head -n 1 || true)
    if [ -n "$check" ]; then
      printf 'mutants: %s: noticed by %s (%s)\n' "$name" "$check" "${seen%%: \[*}"
    else
      printf 'mutants: %s: expected %s, found: %s\n' "$name" "$expected" "$seen"
      failed+=("$name")
    fi
  fi
  patch --directory "$source" --strip 1 --batch --reverse <"$file" >"$log" 2>&1 || die "$name cannot be taken back"
done
rm -rf "$source"
[ ${#failed[@]} -eq 0 ] || die "not noticed as expected: ${failed[*]}"
printf 'mutants: all %d were noticed\n' "$#"
