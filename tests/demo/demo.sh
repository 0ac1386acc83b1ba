#!/usr/bin/env bash
# The main job from end to end, on real input: publish, install, read, upgrade, roll back, export; each result compared
# with its source. Run by `make demo`.
#   PLYOS_BIN=DIR    where the two programs are (default: target/release)
#   KEEP=1           keeps the temporary folder
# Works in a temporary folder with a registry on a free port; both are gone at the end, however it ends.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
programs=${PLYOS_BIN:-$top/target/release}
input=$top/.cache/demo
for program in plyos pkg; do
  [ -x "$programs/$program" ] || { echo "demo: there is no $programs/$program: run 'make build' first" >&2; exit 1; }
done
# shellcheck source=tests/demo/narration.sh
. "$here/narration.sh"
# shellcheck source=tests/demo/comparison.sh
. "$here/comparison.sh"

work=$(mktemp -d "${TMPDIR:-/tmp}/plyos-demo.XXXXXX")
registry=
end_registry() {
  [ -n "$registry" ] || return 0
  kill "$registry" 2>/dev/null || true
  wait "$registry" 2>/dev/null || true
  registry=
}
finish() {
  local status=$?
  trap - EXIT
  end_registry
  if [ -n "${KEEP:-}" ]; then echo "demo: kept $work" >&2; else rm -rf "$work"; fi
  [ $status -eq 0 ] || echo "demo: FAILED (exit code $status)" >&2
  exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---------------------------------------------------------------------------------------------------------------------
heading "The input: a Debian base tree, three packages, a web site, an AI model"
"$here/trees.sh" "$input"
cd "$work"
ln -s "$input" trees
PATH=$programs:$PATH
export PKG_STORE=target.store XDG_CACHE_HOME=$work/cache
while IFS=$'\t' read -r round kind name version _ _ _ path; do
  printf '%-9s %-12s %-18s %6s files  %s%s\n' "$kind" "$name" "$version" "$(find "trees/$path/" -type f | wc -l)" \
    "$(mebibytes "$(tree_bytes "trees/$path/")")" "$([ "$round" = 1 ] || echo '   (the update)')"
done <trees/trees.tsv

# ---------------------------------------------------------------------------------------------------------------------
heading "The registry: one process, it holds no signing key"
mkdir registry
show plyos serve --listen 127.0.0.1:0 --storage registry --anonymous-push "&"
plyos serve --listen 127.0.0.1:0 --storage registry --anonymous-push >serve.log 2>&1 &
registry=$!
for _ in $(seq 100); do
  url=$(sed -n 's#.*listening on \(http://127\.0\.0\.1:[0-9]*\).*#\1#p' serve.log | head -n 1)
  [ -z "$url" ] || break
  kill -0 "$registry" 2>/dev/null || fail "the registry ended at once: $(cat serve.log)"
  sleep 0.1
done
[ -n "$url" ] || fail "the registry did not say within 10 seconds where it listens: $(cat serve.log)"
at=${url#http://}
echo "listening on $url"

# ---------------------------------------------------------------------------------------------------------------------
heading "The publisher: keys and a repository"
run plyos repo init repo --catalog "$url/catalog/demo"
root=$(sha256sum repo/metadata/1.root.json | cut -d' ' -f1)
note "The SHA-256 of the root file is all that a target must know beforehand."

# push_round ROUND   pushes the trees of a round and publishes them together
push_round() {
  local round kind name version arch depends summary path options names=()
  while IFS=$'\t' read -r round kind name version arch depends summary path; do
    [ "$round" = "$1" ] || continue
    options=(--arch "$arch")
    [ "$depends" = - ] || options+=(--depends "$depends")
    # A tag has fewer letters than a version.
    run plyos push "trees/$path" "$at/$name:${version//[^A-Za-z0-9._-]/_}" --kind "$kind" --name "$name" \
      --version "$version" "${options[@]}" --summary "$summary"
    names+=("$at/$name:${version//[^A-Za-z0-9._-]/_}")
    measured "push $name$([ "$round" = 1 ] || echo ', again')"
  done <trees/trees.tsv
  run plyos publish --repo repo "${names[@]}"
}

heading "Push the trees as layers, then publish them in one signed catalog"
push_round 1

# ---------------------------------------------------------------------------------------------------------------------
heading "The target: trust the repository, look around, install everything"
show export PKG_STORE=$PKG_STORE
run pkg repo add "$url/catalog/demo" --root "$root"
run pkg update
run pkg search json
run pkg info jq
run pkg install debian-base jq tree python-docs minilm --yes
measured_with_bytes "install everything"
note "jq depends on libjq1: it came along. Everything went live in one flip, as one generation."
run pkg list

heading "Read from the active namespace, and compare with what was published"
run pkg ls /models/minilm
page=index.html
library=$(cd trees/libjq-1 && echo usr/lib/*/libjq.so.*.*.*)
same_as_source "/www/python-docs/$page" "docs-1/$page"
same_as_source /models/minilm/model.safetensors model/model.safetensors
same_as_source "/$library" "libjq-1/$library"
cmp -s "trees/docs-1/$page" "trees/docs-2/$page" && fail "both versions of the site have the same $page: nothing to see"

# ---------------------------------------------------------------------------------------------------------------------
heading "The publisher again: second versions of a package and of the site"
push_round 2

heading "The target upgrades: only chunks that it lacks are moved"
run pkg update
run pkg upgrade --yes
measured_with_bytes "upgrade"
run pkg list
note "The page is the new one:"
same_as_source "/www/python-docs/$page" "docs-2/$page"
same_as_source "/$library" "libjq-2/$library"

# ---------------------------------------------------------------------------------------------------------------------
heading "Back again: a rollback is one flip, nothing is fetched"
end_registry
note "The registry is ended here: what follows needs no network."
run pkg history
run pkg rollback
measured "rollback"
note "The old page is back:"
same_as_source "/www/python-docs/$page" "docs-1/$page"
run pkg history

# ---------------------------------------------------------------------------------------------------------------------
heading "Export the generation as a tree behind an atomically replaced link"
run pkg export system
measured "export"
note "Every file against its source: types, modes, link targets, bytes."
same_tree trees/base system/current
same_tree trees/libjq-1 system/current base
same_tree trees/jq-1 system/current base
same_tree trees/tree-1 system/current base
same_tree trees/model system/current/models/minilm
same_tree trees/docs-1 system/current/www/python-docs
note "A program of a package, on the base's C library, reads the model's configuration (no root, no chroot needed):"
system=system/current
libraries=$(echo $system/usr/lib/*-linux-gnu)
run "$(echo "$libraries"/ld-linux-*.so.2)" --library-path "$libraries" \
  $system/usr/bin/jq -c '{architectures, hidden_size}' $system/models/minilm/config.json

# ---------------------------------------------------------------------------------------------------------------------
heading "Summary"
summary
echo
echo "All comparisons were equal. Nothing is left running${KEEP:+ (kept: $work)}."
