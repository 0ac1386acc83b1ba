#!/usr/bin/env bash
# Prints the path of a Python that has the package oras; makes it once, in .cache/oras, from the package index that pip is set up with.
# Fails, with pip's words, where it cannot be fetched.
set -euo pipefail
cd "$(dirname "$0")/../.."

# The version that the tests know; another one may do other things.
readonly VERSION=0.2.43
readonly PLACE=$PWD/.cache/oras-$VERSION
mkdir -p .cache
# Tests call this side by side.
exec 9>.cache/oras.lock
flock 9
if [ ! -e "$PLACE/complete" ]; then
  rm -rf "$PLACE"
  python3 -m venv "$PLACE" >&2
  "$PLACE/bin/python" -m pip install --quiet --disable-pip-version-check "oras==$VERSION" >&2
  touch "$PLACE/complete"
fi
echo "$PLACE/bin/python"
