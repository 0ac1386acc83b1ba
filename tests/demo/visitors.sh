# Visitors of the site (sourced by demo.sh and visitors_check.sh): they ask for its pages without a pause, and what they
# got is judged.
#
#   known_page NAME PAGE FILE     a right answer: this page of the version NAME has the content of FILE
#   known_code NAME PAGE CODE     a right answer without a page
#   visitors_come URL PAGE...     from now on these pages are asked for
#   meanwhile                     call it when what happens meanwhile is over
#   visitors_leave STORY          they see enough of what is now; then each must have seen the versions of STORY in this order
#
# Each visitor asks for one page after the other, each over a connection of its own (a client asks again by itself when
# a connection that it kept breaks: that would hide a lost request), and keeps code and hash of each answer. Judged are
# the answers of each visitor by themselves: after the first page of a new version there is none of the old one.
# Uses $work; leaves the counts $asked, $during, $whole, $missing and $lost.
# shellcheck shell=bash disable=SC2034,SC2154

readonly VISITORS=2
# How often a visitor asks for each page before it looks whether that is enough.
readonly ROUNDS=5
# Answers that each visitor must have before and after what happens meanwhile.
: "${ENOUGH:=60}"
# Seconds after which an answer counts as lost.
readonly PATIENCE=30
# What a version is called in which a page is as in the one before.
readonly SAME=unchanged

visitors=() visits_folder='' visits_number=0
asked=0 during=0 whole=0 missing=0 lost=0

known_page() { echo "$2 $(sha256sum <"$3" | cut -d' ' -f1) $1" >>"$work/known"; } # NAME PAGE FILE
known_code() { echo "$2 $3 $1" >>"$work/known"; }                                # NAME PAGE CODE

# visit FOLDER URL PAGE...   until FOLDER/enough exists. FOLDER/codes.N grow with each answer; when it is over FOLDER/answers
# has a line "PAGE CODE HASH" for each.
visit() {
  local folder=$1 url=$2 page place batch=0 curl=''
  shift 2
  trap '[ -z "$curl" ] || kill "$curl" 2>/dev/null; exit 143' TERM
  mkdir -p "$folder/bodies.0"
  # A body is called by its place in the batch, from 101 on for the first round, 201 for the second.
  for place in $(seq 100 100 $((ROUNDS * 100))); do
    for page in "$@"; do
      place=$((place + 1))
      echo "$place $page" >&3
      printf 'url = "%s/%s"\noutput = "%d"\n' "$url" "$page" "$place"
    done
  done >"$folder/requests" 3>"$folder/pages"
  while [ ! -e "$folder/enough" ]; do
    batch=$((batch + 1))
    mkdir "$folder/bodies.$batch"
    curl --silent --noproxy '*' --max-time $PATIENCE --header 'Connection: close' --output-dir "$folder/bodies.$batch" \
      --write-out '%{stderr}%{http_code}\n' --config "$folder/requests" 2>"$folder/codes.$batch" &
    curl=$!
    # Hashes of the last pages are made while the next ones are asked for.
    note_answers "$folder" $((batch - 1))
    wait "$curl" || true
    curl=
  done
  note_answers "$folder" "$batch"
}

# note_answers FOLDER BATCH   page, code and hash of each answer, in the order in which they were asked for
note_answers() {
  local bodies=$1/bodies.$2
  if [ "$2" -gt 0 ]; then
    (cd "$bodies" && sha256sum -- * 2>/dev/null) >"$1/hashes" || true
    paste -d' ' "$1/pages" "$1/codes.$2" |
      awk 'FILENAME != "-" { hash[$2] = $1; next }
        { print $2, ($3 == "" ? "000" : $3), ($1 in hash ? hash[$1] : "-") }' "$1/hashes" - >>"$1/answers"
  fi
  rm -r "$bodies"
}

# answers_of FOLDER   how many a visitor has, or all in whose folder theirs lie; none is no error
answers_of() {
  { cat "$1"/codes.* "$1"/*/codes.* 2>/dev/null || true; } | wc -l
}
has_answers() { # FOLDER COUNT
  [ "$(answers_of "$1")" -ge "$2" ]
}
each_has_more() { # how many more answers than now each visitor must get
  local one before=()
  for one in "${!visitors[@]}"; do before[one]=$(answers_of "$visits_folder/$one"); done
  for one in "${!visitors[@]}"; do
    runs "${visitors[one]}" || fail "a visitor is gone: see $visits_folder/$one"
    wait_until 120 "the answers of a visitor" has_answers "$visits_folder/$one" $((before[one] + $1))
  done
}

visitors_come() { # URL PAGE...
  local one
  visits_number=$((visits_number + 1))
  visits_folder=$work/visits.$visits_number
  for one in $(seq 0 $((VISITORS - 1))); do
    visit "$visits_folder/$one" "$@" &
    visitors[one]=$!
    mkdir -p "$visits_folder/$one"
  done
  each_has_more "$ENOUGH"
  during=$(answers_of "$visits_folder")
}
meanwhile() {
  during=$(($(answers_of "$visits_folder") - during))
}

visitors_leave() { # STORY
  local one all=() status=0
  each_has_more "$ENOUGH"
  for one in "${!visitors[@]}"; do
    touch "$visits_folder/$one/enough"
    all+=("$visits_folder/$one/answers")
  done
  for one in "${!visitors[@]}"; do
    wait_until $((PATIENCE * 2)) "a visitor to leave" ended "${visitors[one]}"
    wait "${visitors[one]}" || fail "a visitor failed: see $visits_folder/$one"
  done
  visitors=()
  judge "$1" "${all[@]}" >"$work/judgement" || status=$?
  read -r asked whole missing lost <"$work/judgement"
  sed 1d "$work/judgement"
  : >"$work/known"
  return $status
}
end_visitors() {
  local one
  for one in "${visitors[@]}"; do end "$one"; done
  visitors=()
}

# judge STORY ANSWERS...   one file of answers for each visitor. Prints "ASKED WHOLE MISSING LOST" (all answers; whole
# pages; known answers without a page; what is neither), then for people what it saw. Fails if anything was lost, or a
# visitor did not see STORY, the names of versions in their order.
judge() {
  local story=$1
  shift
  awk -v story="$story" -v same=$SAME '
    function leave() { if (visitor != "" && seen != story) wrong[visitor] = seen; seen = last = "" }
    FILENAME == ARGV[1] { name[$1, $2] = $3; next }
    FILENAME != visitor { leave(); visitor = FILENAME; visitors++ }
    {
      asked++
      key = $2 == 200 ? $3 : $2
      if (!(($1, key) in name)) {
        lost++
        if (lost <= 5) bad[lost] = $1 ": " ($2 == 200 ? "a page of no version, hash " $3 : $2 == 0 ? "no answer" : "code " $2)
        next
      }
      if ($2 == 200) whole++; else missing++
      version = name[$1, key]
      if (!count[version]++) order[++versions] = version
      if (version != same && version != last) { seen = seen (seen == "" ? "" : " ") version; last = version }
    }
    END {
      leave()
      printf "%d %d %d %d\n", asked, whole, missing, lost
      printf "%d requests by %d visitors", asked, visitors
      for (i = 1; i <= versions; i++) printf "%s %d %s", i == 1 ? ":" : ",", count[order[i]], order[i]
      printf "; %d lost\n", lost
      for (i = 1; i <= lost && i <= 5; i++) print "lost: " bad[i]
      for (visitor in wrong) { print "a visitor saw: " wrong[visitor] " (and not: " story ")"; failed = 1 }
      exit lost > 0 || failed || !asked || visitors != ARGC - 2
    }' "$work/known" "$@"
}
