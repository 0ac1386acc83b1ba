# Chapter: the generation as a plain tree, compared file by file with what was published (sourced by demo.sh).
# shellcheck shell=bash disable=SC2034,SC2154

chapter "Export: the generation as a plain tree, behind a link that is replaced in one step"
run pkg export exported
measured "export"
note "Every file against its source: types, modes, link targets, bytes."
same_tree trees/base exported/current
same_tree trees/libjq-1 exported/current base
same_tree trees/jq-1 exported/current base
same_tree trees/tree-1 exported/current base
same_tree trees/model exported/current/models/minilm
same_tree trees/docs-1 exported/current/www/python-docs
note "A program of a package, on the base's C library, reads the model's configuration, with no root and no chroot:"
libraries=$(echo "$shown"/usr/lib/*-linux-gnu)
run "$(echo "$libraries"/ld-linux-*.so.2)" --library-path "$libraries" \
  "$shown"/usr/bin/jq -c '{architectures, hidden_size}' "$shown"/models/minilm/config.json
