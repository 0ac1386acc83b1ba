#!/usr/bin/env bash
# Fetches Debian's cloud kernel, which the kernel's figures are compared with, once into .cache/linux; prints the package's path.
# Nothing is installed but the tools that make images and an initial RAM disk of it.
set -euo pipefail
cd "$(dirname "$0")/../.."

tests/setup/debian-packages.sh qemu-system-x86_64=qemu-system-x86 mksquashfs=squashfs-tools mkfs.erofs=erofs-utils cpio=cpio \
  busybox-static cc=build-essential >&2
folder=$PWD/.cache/linux
package=$(find "$folder" -name 'linux-image-*.deb' 2>/dev/null | head -n 1 || true)
if [ -z "$package" ]; then
  tests/setup/debian-packages.sh --update >&2
  name=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-/ { print $2; exit }')
  [ -n "$name" ] || { echo "bench: apt knows no kernel linux-image-cloud-amd64" >&2; exit 1; }
  mkdir -p "$folder"
  (cd "$folder" && apt-get download -q "$name" >&2)
  package=$(find "$folder" -name 'linux-image-*.deb' | head -n 1)
fi
echo "$package"
