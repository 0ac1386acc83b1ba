# Chapter: the disk is booted by the Plyos kernel, without Linux (sourced by demo.sh).
# shellcheck shell=bash disable=SC2034,SC2154

# same_in_machine PATH SOURCE   what the kernel reads against trees/SOURCE, by its SHA-256
same_in_machine() {
  local hash
  hash=$(sha256sum <"trees/$2" | cut -d' ' -f1)
  type_to_machine sum "$1"
  grep -qx "sha256 $hash" <<<"$heard" || fail "$1 in the machine is not trees/$2, whose SHA-256 is $hash"
  good "the SHA-256 of the publisher's trees/$2"
}

chapter "The same generation on our own kernel, with no Linux below it"
tell "The Plyos kernel reads that disk itself. It asks for the publisher's signatures on everything that it mounts, and checks each" \
  "byte that it reads. QEMU emulates the machine; what is typed below goes over its serial line."
start_machine q35 "$disk" "$kernel"
type_to_machine mounts
type_to_machine ls /
type_to_machine ls /models/minilm
grep -q model.safetensors <<<"$heard" || fail "the model is not there"
same_in_machine "/www/python-docs/$page" "docs-1/$page"

tell "The second version is on the disk as well. A live switch shows it in one step, and the first again."
type_to_machine generations
type_to_machine switch 2
same_in_machine "/www/python-docs/$page" "docs-2/$page"
type_to_machine switch 1
same_in_machine "/www/python-docs/$page" "docs-1/$page"
power_machine_off
note "The slots on the disk say what was shown last, so that is what it would boot."
