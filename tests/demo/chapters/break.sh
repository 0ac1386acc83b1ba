# Chapters: a version of the site without its front page, from which the machine returns by itself; then the repaired one
# (sourced by demo.sh).
# shellcheck shell=bash disable=SC2034,SC2154

# publish_site TREE VERSION LABEL   the site alone; LABEL is for the figures
publish_site() {
  describe "$1" site python-docs "$2" "$site_arch" - "$site_summary"
  push "$1" python-docs "$2" "push python-docs, $3"
  run plyos publish --repo repo "$(place_of python-docs "$2")"
}

chapter "Break it on purpose: the machine comes back by itself"
tell "First the machine learns what it means to be well: the front page answers. From now on each change is on trial" \
  "until it does."
run pkg health set --http "$web_url/$page" --timeout 5
run pkg health show
follow
tell "Then the publisher makes a mistake. The layer is signed and whole, so nothing but a look at the site can tell."
run cp -r trees/docs-2/ trees/docs-3
run rm "trees/docs-3/$page"
publish_site docs-3 "$site_version+3" "broken"
tell "The visitors are there again."
know good docs-2 "$page"
know "$SAME" docs-2 "${pages[@]:1}"
known_code broken "$page" 404
visitors_come "$web_url" "${pages[@]}"
run pkg update
if [ -z "$no_fuse" ]; then
  expect 7 pkg upgrade --yes
else
  run pkg upgrade --yes --no-wait
  follow
  expect 7 pkg health run
fi
measured "upgrade that was given up"
said "was given up"
follow
same_as_served "$page" "docs-2/$page"
meanwhile
visitors_leave "good broken good" || fail "visitors of the site saw what they should not"
visited "upgrade that was given up"
note "For the seconds of the check the front page was missing ($missing times 404). All other pages were answered all the" \
  "time, and then the machine went back to the last good generation."
run pkg status
run pkg history
run pkg log -n 3
said "answered 404"
note "The reason is kept, and the set of layers is remembered. Whoever tries it again is told:"
expect 7 pkg upgrade --yes

chapter "The repaired version stays"
tell "The publisher puts the front page back, with one line more. This version is on trial as well, and stays."
run cp -r trees/docs-2/ trees/docs-4
echo "<p>The front page is back: this line is all that is new.</p>" >>"trees/docs-4/$page"
publish_site docs-4 "$site_version+4" "repaired"
run pkg update
if [ -z "$no_fuse" ]; then
  run pkg upgrade --yes
else
  run pkg upgrade --yes --no-wait
  follow
  run pkg health run
fi
measured "upgrade that stays"
said "is well and stays"
same_as_served "$page" "docs-4/$page"
