#!/usr/bin/env bash
# Plyos told as a story, from end to end, on real input; each result is compared with its source. Run by `make demo`.
#   PLYOS_BIN=DIR    where the two programs are (default: target/release)
#   KEEP=1           keeps the temporary folder
#   WITHOUT_FUSE=1   serves an exported tree, as it does by itself where nothing can be mounted
# A chapter of the story is a file of chapters/. All of it happens in a temporary folder, on free ports; that and all
# processes are gone at the end, however it ends.
# shellcheck disable=SC2034 # what is set here is used in the parts
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
programs=$(realpath -m "${PLYOS_BIN:-$top/target/release}")
kernel=${CARGO_TARGET_DIR:-$top/target}/kernel/plyos-kernel
input=$top/.cache/demo
[ -x "$kernel" ] || { echo "demo: there is no $kernel: run 'make kernel' first" >&2; exit 1; }
for program in plyos pkg; do
  [ -x "$programs/$program" ] || { echo "demo: there is no $programs/$program: run 'make build' first" >&2; exit 1; }
done
# Users other than root do not have nginx on their path.
PATH=$programs:$PATH:/usr/sbin:/sbin
"$here/../setup/debian-packages.sh" nginx=nginx curl=curl qemu-system-x86_64=qemu-system-x86
# Without it the story is told with an exported tree.
[ "$(id -u)" -eq 0 ] || [ ! -e /dev/fuse ] || "$here/../setup/debian-packages.sh" fusermount3=fuse3 || true

work=$(mktemp -d "${TMPDIR:-/tmp}/plyos-demo.XXXXXX")
for part in narration figures comparison processes visitors publisher machine; do
  # shellcheck source=/dev/null
  . "$here/$part.sh"
done

finish() {
  local status=$?
  trap - EXIT
  trap '' INT TERM
  end_visitors
  end_machine
  end_all
  cd /
  if [ -n "${KEEP:-}" ]; then echo "demo: kept $work" >&2; else rm -rf --one-file-system "$work"; fi
  [ $status -eq 0 ] || echo "demo: FAILED (exit code $status)" >&2
  exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

cd "$work"
export PKG_STORE=target.store XDG_CACHE_HOME=$work/cache
tell "Plyos ships whole systems as layers. This is a publisher who makes some, a machine that runs on them, and visitors" \
  "of its web site. Commands are shown as one types them, behind the prompt of who does; nothing is made up."
for part in input publish install serve upgrade break rollback export image clean boot; do
  # shellcheck source=/dev/null
  . "$here/chapters/$part.sh"
done

chapter "Figures"
figures
left=$(still_running)
[ -z "$left" ] || fail "still running: $left"
echo
echo "All comparisons were equal, no request was lost, and nothing is left running or mounted${KEEP:+ (kept: $work)}."
