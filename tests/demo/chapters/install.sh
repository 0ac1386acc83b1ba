# Chapter: a machine trusts the repository and installs everything (sourced by demo.sh). Leaves the store in
# $PKG_STORE, and in $page and $library what later chapters look at.
# shellcheck shell=bash disable=SC2034,SC2154

chapter "Install: everything goes live in one flip"
tell "A machine has one store. It is a file here, and may be a disk. The machine is told the publisher's root once," \
  "and believes nothing from then on that does not follow from it."
show export "PKG_STORE=$PKG_STORE"
run pkg repo add "$registry_url/catalog/demo" --root "$root"
run pkg update
run pkg search json
run pkg info jq
run pkg install debian-base jq tree python-docs minilm --yes
measured_with_bytes "install everything"
note "libjq1 came along, for jq needs it. All of it is one generation, and one write made it the active one."
run pkg list

tell "What was installed is what was published, byte for byte. Each chunk is checked against its hash as it is read."
run pkg ls /models/minilm
page=index.html
library=$(cd trees/libjq-1 && echo usr/lib/*/libjq.so.*.*.*)
same_as_source "/www/python-docs/$page" "docs-1/$page"
same_as_source /models/minilm/model.safetensors model/model.safetensors
same_as_source "/$library" "libjq-1/$library"
! cmp -s "trees/docs-1/$page" "trees/docs-2/$page" || fail "both versions of the site have the same $page: nothing to see"
