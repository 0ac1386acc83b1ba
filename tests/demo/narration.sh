# How the demo speaks (sourced by demo.sh): chapters, commands shown as one would type them, what they print, notes.
# Uses $work, the demo's temporary folder. Nothing that it writes is wider than 100 columns.
# shellcheck shell=bash disable=SC2034,SC2154

readonly WIDTH=100
# No command of the story takes so many seconds; one that hangs ends the demo.
readonly LONGEST=600

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
  bold='' dim='' green='' red='' plain=''
fi

number=0
chapter() { # TITLE
  number=$((number + 1))
  printf '\n%s%s%s\n%s%d. %s%s\n' "$dim" "$(printf '%*s' $WIDTH '' | tr ' ' -)" "$plain" "$bold" "$number" "$*" "$plain"
}
# Running text: what this chapter is about.
tell() { printf '\n%s\n' "$*" | fold -s -w $WIDTH | sed 's/ *$//'; }
# What to see in what was printed above.
note() { printf '%s\n' "$*" | fold -s -w $((WIDTH - 3)) | sed "s/ *\$//; s/^/$dim   /; s/\$/$plain/"; }
good() { printf '%sok%s  %s\n' "$green" "$plain" "$*"; }
fail() {
  printf '%sdemo: %s%s\n' "$red" "$*" "$plain" >&2
  exit 1
}

# show WORD...   a command as one would type it, behind the prompt of whoever types it
show() {
  local word prompt line='' column
  case $1 in
    plyos) prompt='publisher $' ;;
    pkg | mkdir | nginx | export) prompt='machine $' ;;
    curl) prompt='visitor $' ;;
    *) prompt='$' ;;
  esac
  printf '\n%s%s' "$bold" "$prompt"
  column=${#prompt}
  for word in "$@"; do
    case $word in
      '|' | '&') ;;
      '' | *[!A-Za-z0-9_@%+=:,./-]*) word="'${word//\'/\'\\\'\'}'" ;;
    esac
    if [ $((column + 1 + ${#word})) -gt $((WIDTH - 2)) ]; then
      printf ' \\\n   '
      column=3
    fi
    printf ' %s' "$word"
    column=$((column + 1 + ${#word}))
  done
  printf '%s\n' "$plain"
}

# What a program printed, in lines that fit.
readable() {
  local line head
  while IFS= read -r line || [ -n "$line" ]; do
    while [ ${#line} -gt $WIDTH ]; do
      head=${line:0:WIDTH}
      # Without a blank to break at, the terminal does it.
      [[ ${head:8} == *' '* ]] || break
      head=${head% *}
      printf '%s\n' "$head"
      line="      ${line:${#head}+1}"
    done
    printf '%s\n' "$line"
  done
}

now() { echo "${EPOCHREALTIME//[!0-9]/}"; } # microseconds
# The duration of what `run` ran last.
seconds() { awk -v us="$took" 'BEGIN { printf "%.2f s", us / 1e6 }'; }

# run COMMAND...   shows a command, runs it, keeps its output in $work/output and its duration
run() {
  expect 0 "$@"
}
# expect CODE COMMAND...   the same for one that ends with this code
expect() {
  local code=$1 status=0 begin
  shift
  show "$@"
  begin=$(now)
  # Progress is drawn where stderr is a terminal. Of a command that fails, the line on stderr is the point.
  if [ -t 2 ] && [ "$code" -eq 0 ]; then
    timeout --foreground $LONGEST "$@" </dev/null | tee "$work/output" | readable || status=${PIPESTATUS[0]}
  else
    timeout --foreground $LONGEST "$@" </dev/null 2>&1 | tee "$work/output" | readable || status=${PIPESTATUS[0]}
  fi
  took=$(($(now) - begin))
  if [ "$status" -ne "$code" ]; then
    [ "$code" -eq 0 ] || fail "'$1 ${2:-}' ended with exit code $status, not $code as it should"
    fail "'$1 ${2:-}' failed (exit code $status)"
  fi
}
# said TEXT   the last command must have printed it
said() {
  grep -qF -- "$1" "$work/output" || fail "the last command did not say: $1"
}

mebibytes() { awk -v bytes="$1" 'BEGIN { printf "%.1f MiB", bytes / 1048576 }'; }
tree_bytes() { find "$1" -type f -printf '%s\n' | awk '{ sum += $1 } END { printf "%d", sum }'; }
