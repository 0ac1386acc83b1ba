# Chapter: back to the first generation by hand, with no network (sourced by demo.sh).
# shellcheck shell=bash disable=SC2034,SC2154

chapter "Roll back by hand: one flip, and nothing is fetched"
end_registry
tell "The registry is ended here: what follows needs no network."
run pkg history
know new docs-4 "${pages[@]}"
know old docs-1 "${pages[@]}"
visitors_come "$web_url" "${pages[@]}"
run pkg rollback 1
measured "rollback"
follow
same_as_served "$page" "docs-1/$page"
meanwhile
visitors_leave "new old" || fail "visitors of the site lost requests, or saw what they should not"
visited "rollback"
same_as_source "/www/python-docs/$page" "docs-1/$page"
