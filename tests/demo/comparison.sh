# How the demo compares what the target has with what was published (sourced by demo.sh after narration.sh).
# shellcheck shell=bash disable=SC2034,SC2154

# same_as_source PATH SOURCE   a file of the active namespace against trees/SOURCE, byte for byte
same_as_source() {
  local hash
  show pkg cat "$1" "|" sha256sum
  pkg cat "$1" >read-back || fail "'pkg cat $1' failed"
  hash=$(sha256sum <read-back | cut -d' ' -f1)
  echo "$hash  ($(stat -c %s read-back) bytes)"
  cmp read-back "trees/$2" || fail "$1 differs from its source trees/$2"
  good "equal to trees/$2"
}

# same_as_served PAGE SOURCE   what the web server answers for a page against trees/SOURCE, byte for byte
same_as_served() {
  local hash code
  show curl "$web_url/$1" "|" sha256sum
  code=$(curl --silent --noproxy '*' --max-time 30 --output read-back --write-out '%{http_code}' "$web_url/$1") || true
  [ "$code" = 200 ] || fail "$web_url/$1 answered $code"
  hash=$(sha256sum <read-back | cut -d' ' -f1)
  echo "$hash  ($(stat -c %s read-back) bytes)"
  cmp read-back "trees/$2" || fail "what is served as $1 differs from its source trees/$2"
  good "equal to trees/$2"
}

# What a tree is, a line per entry: type, mode, size of files, link target. Owners and times are the layer's own.
listing() { # TREE
  (
    cd "$1" || exit
    find . -mindepth 1 \( -type f -printf '%P|f|%m|%s\n' -o -type l -printf '%P|l|%l\n' -o -printf '%P|%y|%m\n' \)
  ) | LC_ALL=C sort
}

# same_tree SOURCE PLACE [BASE]   everything of SOURCE is in PLACE, equal; PLACE may hold more, from other layers.
# With BASE, paths that trees/BASE has too are the base's, by the rules of the namespace.
same_tree() {
  local source=$1 place=$2 base=${3:-} different
  listing "$source/" >expected
  if [ -n "$base" ]; then
    listing "trees/$base/" | cut -d'|' -f1 >of-base
    awk -F'|' 'NR == FNR { base[$1]; next } !($1 in base)' of-base expected >expected.own
    mv expected.own expected
  fi
  different=$(listing "$place/" | LC_ALL=C comm -23 expected - | head -n 5)
  [ -z "$different" ] || fail "of $source, missing or different in $place (the first five):"$'\n'"$different"
  sed -n 's/|f|.*//p' expected | tr '\n' '\0' >files
  (cd "$source" && xargs -0 sha256sum --) <files >hashes
  different=$( (cd "$place" && sha256sum --check --quiet -) <hashes 2>&1 | head -n 5)
  [ -z "$different" ] || fail "files of $source that differ in $place (the first five):"$'\n'"$different"
  good "$source is in $place: $(wc -l <expected) entries, $(wc -l <hashes) files byte for byte"
}
