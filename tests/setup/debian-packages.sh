#!/usr/bin/env bash
# Installs Debian packages, but only those that are missing; does nothing, and asks for nothing, when all are there.
#   debian-packages.sh PACKAGE|COMMAND=PACKAGE...
#   debian-packages.sh --update                      only fetches apt's lists
# PACKAGE is wanted as such (dpkg knows whether it is installed); COMMAND=PACKAGE is satisfied by any COMMAND on the
# path, however it came there, so that machines without apt work too when they have the tools.
set -euo pipefail

die() { printf 'set-up: %s\n' "$*" >&2; exit 1; }
[ $# -gt 0 ] || die "usage: ${0##*/} PACKAGE|COMMAND=PACKAGE..."

installed() { # PACKAGE
  command -v dpkg-query >/dev/null &&
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=()
update_only=
[ "$1" != --update ] || { update_only=yes; shift; }
for wanted in "$@"; do
  case $wanted in
    *=*) command -v "${wanted%%=*}" >/dev/null || missing+=("${wanted#*=}") ;;
    *) installed "$wanted" || missing+=("$wanted") ;;
  esac
done
[ ${#missing[@]} -gt 0 ] || [ -n "$update_only" ] || exit 0

command -v apt-get >/dev/null ||
  die "missing: ${missing[*]} (Debian's names), and there is no apt-get here: install them by hand, then try again"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null ||
    die "this needs root or sudo: as root run 'apt-get ${update_only:+update}${missing[*]:+install ${missing[*]}}', then try again"
  as_root=(sudo)
fi

printf 'set-up: %s\n' "${update_only:+apt-get update}${missing[*]:+installing Debian packages: ${missing[*]}}" >&2
apt() { # ARGUMENT...   waits for another apt to finish instead of failing; shows its output only on failure
  local output
  output=$("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -o DPkg::Lock::Timeout=300 "$@" </dev/null 2>&1) || {
    printf '%s\n' "$output" >&2
    return 1
  }
}
# One broken source among several is no reason to stop: whether the packages can be had, the installation shows.
apt update || printf "set-up: 'apt-get update' failed (output above); going on with the lists that are there\n" >&2
[ -z "$update_only" ] || exit 0
apt install --yes --no-install-recommends "${missing[@]}" ||
  die "'apt-get install ${missing[*]}' failed (output above)"
