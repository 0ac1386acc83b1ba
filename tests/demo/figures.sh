# The figures that the demo ends with (sourced by demo.sh after narration.sh): what moved in which time, and what visitors of the site got.
# shellcheck shell=bash disable=SC2034,SC2154

steps=()
visits=()

# measured LABEL   takes the last run into the figures, with the bytes that it says it moved: a push says
# "TREE in N chunks, BLOB as blob (SHARE)" and perhaps "BYTES sent", an installation "moved X of Y (SHARE)"
measured() {
  local moved sent
  moved=$(sed -n -e 's/.*moved \(.* of .* (.*)\).*/\1/p' \
    -e 's/.*, \(.*\) in [0-9]* chunks, \(.*\) as blob \((.*)\).*/\2 of \1 \3/p' "$work/output" | tail -n 1)
  sent=$(sed -n 's/^\(.*\) sent; the registry had the rest$/\1/p' "$work/output" | tail -n 1)
  if [ -n "$sent" ]; then # That is what moved; the share is the blob's.
    moved=${moved#* of }
    moved="$sent of ${moved% (*}"
  fi
  steps+=("$(printf '%-34s %-32s %10s' "$1" "${moved:--}" "$(seconds)")")
}
# For steps whose point is what they moved.
measured_with_bytes() {
  grep -q 'moved .* of ' "$work/output" || fail "'$1' did not say what it moved"
  measured "$@"
}

# visited LABEL   takes the last judgement on visitors (visitors.sh) into the figures
visited() {
  visits+=("$(printf '%-34s %10d %10d %10d %10d %10d' "$1" "$asked" "$during" "$whole" "$missing" "$lost")")
}

figures() {
  printf '\n%s%-34s %-32s %10s%s\n' "$bold" "what" "moved, of full size" "time" "$plain"
  printf '%s\n' "${steps[@]}"
  printf '\n%s%-34s %10s %10s %10s %10s %10s%s\n' "$bold" \
    "requests" "asked" "meanwhile" "whole" "404" "lost" "$plain"
  printf '%s\n' "${visits[@]}"
  note "'meanwhile' are those asked between the command's start and its end; 'whole' is a page of one version," \
    "by its hash; 'lost' is any answer that is none of what the visitor may get, or none at all."
}
