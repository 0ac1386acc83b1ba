# Chapter: what is not wanted any more goes; then the web server and the mount end (sourced by demo.sh).
# shellcheck shell=bash disable=SC2034,SC2154

# Bytes of the store that something lies in.
used() { pkg --json status | sed -n 's/.*"used_bytes": *\([0-9]*\).*/\1/p'; }

chapter "Clean up"
tell "The model is not wanted any more, nor is jq. What came along for jq goes with the second command."
run pkg remove minilm jq --yes
run pkg autoremove --yes
follow
tell "A change takes nothing out of the store, so that one can go back. 'pkg du' says what lies there, and what of it" \
  "is own: what would become free if that layer alone went. 'pkg clean --all' keeps one way back and takes the rest."
# The mount lets go of a former generation a moment after nobody has anything of it open.
nothing_is_in_use() { ! pkg clean --all --dry-run | grep -q 'in use'; }
wait_until 60 "the mount to let go of former generations" nothing_is_in_use
before=$(used)
run pkg du
run pkg clean --all
measured "clean-up"
run pkg du
after=$(used)
model=$(tree_bytes trees/model/)
[ $((before - after)) -gt $((model / 2)) ] || fail "the clean-up made only $((before - after)) bytes free"
note "$(mebibytes "$before") of the store were used, now $(mebibytes "$after") are. What stays is whole, and is served:"
run pkg verify
same_as_served "$page" "docs-1/$page"
end_web_server
end_mount
