# A machine of our own kernel in QEMU, and how to talk to it over its serial line (sourced by demo.sh and vm.sh).
# `machine_command` says how such a machine is started; `start_machine` starts one beside the story, `type_to_machine` types a
# line and waits for the prompt that follows the answer. Every wait has an end.
# shellcheck shell=bash disable=SC2034,SC2154

# Emulation on a busy machine is slow; none of the story's commands takes so many seconds.
readonly ANSWER=300

machine='' from_machine='' to_machine=''

# machine_command KIND DISK KERNEL PORT   sets the array `command`. KIND is q35 or microvm; the kernel's page is forwarded to PORT
machine_command() {
  local kind=$1 disk=$2 kernel=$3 port=$4 bus format=raw
  [ "$(head -c 3 "$disk")" != QFI ] || format=qcow2
  command=(qemu-system-x86_64 -accel tcg -m 256M -display none -no-reboot)
  case $kind in
    q35) bus=pci command+=(-machine q35) ;;
    # Without ACPI the devices are named on the kernel's command line.
    microvm) bus=device command+=(-machine "microvm,acpi=off") ;;
    *) echo "there is no machine '$kind'; there are q35 and microvm" >&2; return 2 ;;
  esac
  command+=(-kernel "$kernel" -initrd "$disk.roots" -drive "if=none,id=disk,format=$format,file=$disk"
    -device "virtio-blk-$bus,drive=disk" -device "virtio-rng-$bus"
    -netdev "user,id=net,hostfwd=tcp:127.0.0.1:$port-:80")
  if [ $bus = pci ]; then
    command+=(-device "virtio-net-pci,netdev=net,romfile=")
  else
    command+=(-device "virtio-net-device,netdev=net")
  fi
}

# A port that nobody has just now.
free_port() {
  local port
  for port in $(shuf -i 20000-29999 -n 50); do
    (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return 0; }
  done
  return 1
}

# --- talking

# hear SECONDS   reads up to the next prompt; what came before it, without what only a terminal needs, is in $heard
hear() {
  local limit=$((SECONDS + $1)) piece
  heard=''
  until [[ $heard == *'plyos>' ]]; do
    [ $SECONDS -lt $limit ] || fail "the machine said nothing for $1 seconds; the last of it: ${heard: -300}"
    if IFS= read -r -t 1 -d '>' piece <&"$from_machine"; then
      heard+=$piece'>'
    else
      heard+=$piece
      runs "$machine" || fail "the machine ended: ${heard: -300}"
    fi
  done
  heard=$(sed -E 's/\x1b\[[0-9;?]*[A-Za-z]//g; s/\r//g' <<<"${heard%plyos>}")
}

# start_machine KIND DISK KERNEL   starts one and waits for its first prompt
start_machine() {
  local command
  machine_command "$1" "$2" "$3" "$(free_port)"
  show "${command[@]}" -serial stdio
  coproc MACHINE { exec "${command[@]}" -serial stdio -monitor none 2>machine.log; }
  machine=$MACHINE_PID
  # Bash forgets its own descriptors of a process that ends.
  exec {from_machine}<&"${MACHINE[0]}" {to_machine}>&"${MACHINE[1]}"
  hear $ANSWER
  readable <<<"$heard"
}

# type_to_machine WORD...   types a line; the answer is shown, and is in $heard
type_to_machine() {
  printf '\n%splyos> %s%s\n' "$bold" "$*" "$plain"
  printf '%s\r' "$*" >&"$to_machine"
  hear $ANSWER
  # The machine's echo of what was typed comes first.
  heard=$(sed 1d <<<"$heard")
  printf '%s\n' "$heard" | sed '/^ *$/d' | readable
}

# Ends it as one does, and waits until it is gone.
power_machine_off() {
  printf '\n%splyos> poweroff%s\n' "$bold" "$plain"
  printf 'poweroff\r' >&"$to_machine"
  wait_until 60 "the machine to be off" ended "$machine"
  end_machine
}
end_machine() {
  [ -n "$machine" ] || return 0
  end "$machine"
  # There are none yet when it was interrupted at its start.
  [ -z "$from_machine" ] || exec {from_machine}<&-
  [ -z "$to_machine" ] || exec {to_machine}>&-
  machine='' from_machine='' to_machine=''
}
