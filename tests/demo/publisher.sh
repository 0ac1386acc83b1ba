# What the publisher does more than once in the story (sourced by demo.sh): describe a tree, push it, publish.
# Uses the registry of processes.sh and the publisher's workspace `repo`.
# shellcheck shell=bash disable=SC2034,SC2154

# describe TREE KIND NAME VERSION ARCH DEPENDS SUMMARY   beside trees/TREE, where `plyos push` looks for it
describe() {
  local summary=${7//\\/\\\\}
  {
    printf 'kind = "%s"\nname = "%s"\nversion = "%s"\narch = "%s"\n' "$2" "$3" "$4" "$5"
    [ "$6" = - ] || printf 'depends = ["%s"]\n' "$6"
    printf 'summary = "%s"\n' "${summary//\"/\\\"}"
  } >"trees/$1.plyos.toml"
}

# place_of NAME VERSION   where a layer is pushed to. A tag has fewer letters than a version.
place_of() {
  echo "${registry_url#http://}/$1:${2//[^A-Za-z0-9._-]/_}"
}

# push TREE NAME VERSION LABEL   LABEL is for the figures
push() {
  run plyos push "trees/$1" "$(place_of "$2" "$3")"
  measured "$4"
}
