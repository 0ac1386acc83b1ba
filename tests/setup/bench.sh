#!/usr/bin/env bash
# Makes ready what `make bench` compares with and measures on; prints the corpus's folder.
# The corpus is PLYOS_CORPUS if that is set; else it is made once, into .cache/corpus, by the recipe beside the checkout.
set -euo pipefail
cd "$(dirname "$0")/../.."

tests/setup/debian-packages.sh casync=casync restic=restic zstd=zstd tar=tar wrk=wrk nginx=nginx-light docker-registry=docker-registry \
  skopeo=skopeo curl=curl
if [ -n "${PLYOS_CORPUS:-}" ]; then
  realpath -e "$PLYOS_CORPUS"
  exit 0
fi
corpus=$PWD/.cache/corpus recipe=../shared/corpus/make-corpus.sh
if [ ! -e "$corpus/MANIFEST.tsv" ]; then
  [ -f "$recipe" ] || {
    echo "bench: there is no corpus and no recipe $recipe: set PLYOS_CORPUS to a folder of trees, each with v1 and v2" >&2
    exit 1
  }
  [ "$(id -u)" -eq 0 ] || { echo "bench: making the corpus needs root (base trees); or set PLYOS_CORPUS" >&2; exit 1; }
  tests/setup/debian-packages.sh mmdebstrap=mmdebstrap python3=python3 python3-venv
  echo "bench: making the corpus in $corpus (about two minutes, 1.5 GB)" >&2
  bash "$recipe" "$corpus" >&2
fi
echo "$corpus"
