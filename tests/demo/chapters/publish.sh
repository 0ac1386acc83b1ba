# Chapters: a registry and a publisher, then the first versions (sourced by demo.sh). Leaves the repository in `repo`
# and the hash of its root in $root.
# shellcheck shell=bash disable=SC2034,SC2154

# publish_round ROUND   pushes the trees of a round and publishes them together
publish_round() {
  local round kind name version arch depends summary path places=()
  while IFS=$'\t' read -r round kind name version arch depends summary path; do
    [ "$round" = "$1" ] || continue
    push "$path" "$name" "$version" "push $name$([ "$round" = 1 ] || echo ', again')"
    places+=("$(place_of "$name" "$version")")
  done <"$input/trees.tsv"
  run plyos publish --repo repo "${places[@]}"
}

chapter "A registry and a publisher"
tell "The registry is one process. It keeps layers for whoever may fetch them, and has no signing key: who breaks into" \
  "it can withhold things, and forge nothing."
start_registry
tell "The publisher has the keys, in a folder that stays with the publisher."
run plyos repo init repo --catalog "$registry_url/catalog/demo"
root=$(sha256sum repo/metadata/1.root.json | cut -d' ' -f1)
note "The SHA-256 of the root file is all that a machine must know beforehand."

chapter "Publish: trees become layers, and one signature covers them all"
tell "What a tree is stands in a file beside it, so that the command says only where it goes."
run cat trees/jq-1.plyos.toml
publish_round 1
note "A layer is cut by content into chunks, each compressed by itself. It is an ordinary OCI layer: skopeo, podman" \
  "and 'zstd -dc | tar -x' read it too."
