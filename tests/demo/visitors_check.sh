#!/usr/bin/env bash
# Shows that the demo's judge of visitors (visitors.sh) sees what goes wrong: nginx serves a small site which is changed as
# it should be, then in each of the ways in which a request can be lost. Run by tests/system/tests/demo_visitors.rs.
# Says what was seen; fails if a fault was not, or if a change without fault was called one.
# shellcheck disable=SC2034,SC2154
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
PATH=$PATH:/usr/sbin:/sbin
# The site is small, and so is what happens to it.
ENOUGH=15
work=$(mktemp -d "${TMPDIR:-/tmp}/plyos-visitors.XXXXXX")
for part in narration processes visitors; do
  # shellcheck source=/dev/null
  . "$here/$part.sh"
done
finish() {
  local status=$?
  trap - EXIT
  trap '' INT TERM
  end_visitors
  end_all
  rm -rf "$work"
  exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$work"

# Two versions of a site behind a link; `shows` replaces the link in one step.
pages=(index.html large.html)
for version in 1 2; do
  mkdir site-$version
  echo "page of version $version" >site-$version/index.html
  seq -f "version $version, line %g" 20000 >site-$version/large.html
done
shows() { ln -sfn "$1" link && mv -T link site; } # FOLDER
shows site-1
start_web_server "$work/site" >/dev/null

# judged EXPECTATION STORY WHAT COMMAND...   what visitors see while COMMAND runs; EXPECTATION is right or wrong
judged() {
  local expected=$1 story=$2 what=$3 page verdict=right
  shift 3
  shows site-1
  for page in "${pages[@]}"; do
    known_page old "$page" "site-1/$page"
    known_page new "$page" "site-2/$page"
  done
  visitors_come "$web_url" "${pages[@]}"
  "$@"
  meanwhile
  visitors_leave "$story" >said || verdict=wrong
  [ $verdict = "$expected" ] || fail "$what: called $verdict, and is $expected: $(cat said)"
  echo "$verdict: $what: $(head -n 1 said)"
  # What a fault left.
  shows site-1
}

changes() { shows site-2; }
goes_back() { shows site-2 && each_has_more 20 && shows site-1; }
is_away() { mv site away && each_has_more 20 && mv -T away site && shows site-2; }
is_cut() {
  mkdir cut && head -c 100000 site-2/large.html >cut/large.html && cp site-2/index.html cut
  shows cut && each_has_more 20 && shows site-2
}
goes_down() { end_web_server && each_has_more 20; }

judged right "old new" "a change in one step" changes
judged wrong "old new" "no change at all" true
judged wrong "old new" "a change, and the old version again" goes_back
judged wrong "old new" "no site for a moment" is_away
judged wrong "old new" "half a page for a moment" is_cut
# Last, for it does not come up again.
judged wrong "old new" "no server" goes_down
