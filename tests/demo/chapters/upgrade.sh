# Chapter: the site is upgraded under the eyes of its visitors (sourced by demo.sh).
# shellcheck shell=bash disable=SC2034,SC2154

# Pages of the site that visitors ask for: small and large, all of them different in its two versions.
pages=("$page" tutorial/index.html library/json.html library/stdtypes.html)

# know NAME TREE PAGE...   these pages of this version are right answers
know() {
  local one
  for one in "${@:3}"; do known_page "$1" "$one" "trees/$2/$one"; done
}

chapter "Upgrade while visitors read: no request is lost, and the new page is there at once"
tell "The publisher has second versions of a package and of the site. Only what is new is sent."
publish_round 2
tell "From here on $VISITORS visitors ask for ${#pages[@]} pages of the site, again and again, without a pause."
know old docs-1 "${pages[@]}"
know new docs-2 "${pages[@]}"
visitors_come "$web_url" "${pages[@]}"
run pkg update
run pkg upgrade --yes
measured_with_bytes "upgrade"
follow
note "Only chunks that the machine lacks were moved. The first request after the command returned:"
same_as_served "$page" "docs-2/$page"
meanwhile
visitors_leave "old new" || fail "visitors of the site lost requests, or saw what they should not"
visited "upgrade"
good "every answer was 200 and wholly the old or the new page; after the first new one came no old one"
run pkg list
run pkg diff --stat
same_as_source "/www/python-docs/$page" "docs-2/$page"
same_as_source "/$library" "libjq-2/$library"
