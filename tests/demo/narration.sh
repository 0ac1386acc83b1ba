# How the demo speaks (sourced by demo.sh): headings, commands shown before they run, the table at the end.
# Uses $work, the demo's temporary folder.
# shellcheck shell=bash disable=SC2154

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
  bold='' dim='' green='' red='' plain=''
fi

step=0
heading() {
  step=$((step + 1))
  printf '\n%s%d. %s%s\n' "$bold" "$step" "$*" "$plain"
}
note() { printf '%s%s%s\n' "$dim" "$*" "$plain"; }
good() { printf '%sok%s  %s\n' "$green" "$plain" "$*"; }
fail() {
  printf '%sdemo: %s%s\n' "$red" "$*" "$plain" >&2
  exit 1
}

# Shows a command as one would type it.
show() {
  local word line='$'
  for word in "$@"; do
    case $word in
      '|' | '&') line+=" $word" ;;
      '' | *[!A-Za-z0-9_@%+=:,./-]*) line+=" '${word//\'/\'\\\'\'}'" ;;
      *) line+=" $word" ;;
    esac
  done
  printf '%s%s%s\n' "$bold" "$line" "$plain"
}

now() { echo "${EPOCHREALTIME//[!0-9]/}"; } # microseconds

# Shows a command, runs it, keeps its output in $work/output and its duration for the summary.
run() {
  local status=0 begin
  show "$@"
  begin=$(now)
  "$@" </dev/null | tee "$work/output" || status=$?
  took=$(($(now) - begin))
  [ "$status" -eq 0 ] || fail "'$1 ${2:-}' failed (exit code $status)"
}
mebibytes() { awk -v bytes="$1" 'BEGIN { printf "%.1f MiB", bytes / 1048576 }'; }
tree_bytes() { find "$1" -type f -printf '%s\n' | awk '{ sum += $1 } END { printf "%d", sum }'; }

table=()
# measured LABEL   takes the last run into the summary, with the bytes that it says it moved: a push says
# "TREE in N chunks, BLOB as blob (SHARE)", an installation "moved X of Y (SHARE)"
measured() {
  local moved
  moved=$(sed -n -e 's/.*moved \(.* of .* (.*)\).*/\1/p' \
    -e 's/.*, \(.*\) in [0-9]* chunks, \(.*\) as blob \((.*)\).*/\2 of \1 \3/p' "$work/output" | tail -n 1)
  table+=("$(printf '%-24s %-32s %8s' "$1" "${moved:--}" "$(awk -v us="$took" 'BEGIN { printf "%.2f s", us / 1e6 }')")")
}
# For steps whose point is what they moved.
measured_with_bytes() {
  grep -q 'moved .* of ' "$work/output" || fail "'$1' did not say what it moved"
  measured "$@"
}
summary() {
  printf '%-24s %-32s %8s\n' "step" "bytes moved, of full size" "time"
  printf '%s\n' "${table[@]}"
}
