#!/usr/bin/env bash
# A machine of our own kernel to look around in, on this terminal. Run by `make vm`.
#   VM=microvm       the smaller machine (default: q35)
#   DISK=FILE        an image by `plyos image store`, with FILE.roots beside it (default: target/vm/disk.img, made of the
#                    demo's trees when it is not there: a base, a package, and a site in two versions)
#   PLYOS_BIN=DIR    where the two programs are (default: target/release)
# shellcheck disable=SC2034,SC2154 # what is set here is used in the parts
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
programs=$(realpath -m "${PLYOS_BIN:-$top/target/release}")
kernel=${CARGO_TARGET_DIR:-$top/target}/kernel/plyos-kernel
input=$top/.cache/demo
disk=$(realpath -m "${DISK:-$top/target/vm/disk.img}")
PATH=$programs:$PATH
for part in narration processes publisher machine; do
  # shellcheck source=/dev/null
  . "$here/$part.sh"
done
[ -x "$kernel" ] || fail "there is no $kernel: run 'make kernel' first"
work=''

finish() {
  local status=$?
  trap - EXIT
  end_all
  cd /
  [ -z "$work" ] || rm -rf --one-file-system "$work"
  exit $status
}

# quietly COMMAND...   shows what it printed only if it fails
quietly() {
  "$@" >"$work/command.log" 2>&1 || fail "$(cat "$work/command.log")"
}

# Publishes and installs in a temporary folder, and makes the disk of the two generations.
make_disk() {
  local round kind name version arch depends summary path
  echo "Making $disk of the demo's trees (a minute; once)."
  "$here/trees.sh" "$input"
  work=$(mktemp -d "${TMPDIR:-/tmp}/plyos-vm.XXXXXX")
  trap finish EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  cd "$work"
  export PKG_STORE=$work/target.store XDG_CACHE_HOME=$work/cache
  mkdir trees
  start_registry >/dev/null
  quietly plyos repo init repo --catalog "$registry_url/catalog/demo"
  for wanted in 1 2; do
    while IFS=$'\t' read -r round kind name version arch depends summary path; do
      [ "$round" = "$wanted" ] || continue
      case $name in debian-base | tree | python-docs) ;; *) continue ;; esac
      ln -s "$input/$path" "trees/$path"
      describe "$path" "$kind" "$name" "$version" "$arch" "$depends" "$summary"
      quietly plyos push "trees/$path" "$(place_of "$name" "$version")"
      quietly plyos publish --repo repo "$(place_of "$name" "$version")"
    done <"$input/trees.tsv"
    if [ $wanted = 1 ]; then
      quietly pkg repo add "$registry_url/catalog/demo" --root repo/metadata/1.root.json
      quietly pkg update
      quietly pkg install debian-base tree python-docs --yes
    else
      quietly pkg update
      quietly pkg upgrade --yes
    fi
  done
  mkdir -p "$(dirname "$disk")"
  quietly plyos image store "$disk" --from "$PKG_STORE" --generation 2 --generation 1
  end_all
  cd /
}

if [ ! -e "$disk" ]; then
  [ -z "${DISK:-}" ] || fail "there is no $disk: 'plyos image store' makes one, with its .roots"
  make_disk
fi
port=$(free_port) || fail "no free port was found"
machine_command "${VM:-q35}" "$disk" "$kernel" "$port"
cat <<END

This is a machine of the Plyos kernel (${VM:-q35}), emulated by QEMU, on $disk.
  To leave: type 'poweroff', or press Ctrl-A and then X.
  To begin with: help    ls /    ls /www    sum /www/python-docs/index.html    generations    switch 1    status
  Its status page: http://127.0.0.1:$port/
What it changes (the slots) stays on the disk; remove target/vm for a new one.

END
"${command[@]}" -serial mon:stdio
