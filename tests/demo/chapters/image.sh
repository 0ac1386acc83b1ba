# Chapter: two generations become a disk (sourced by demo.sh). Leaves it in $disk.
# shellcheck shell=bash disable=SC2034,SC2154

chapter "A disk to boot from: exactly two generations, and nothing of the machine that they come from"
tell "So far the layers were guests of Linux. A disk for a machine of their own is made of two generations of the store: the" \
  "first is booted, the other is one switch away. Beside it stands whom the kernel will trust, for a disk is no authority."
disk=disk.img
run plyos image store "$disk" --from "$PKG_STORE" --generation 1 --generation 2
measured "disk image of two generations"
run ls -l "$disk" "$disk.roots"
tell "The same command makes the same bytes, wherever and whenever it is run."
run plyos --quiet image store again.img --from "$PKG_STORE" --generation 1 --generation 2
run cmp "$disk" again.img
good "equal, byte for byte"
rm again.img again.img.roots
