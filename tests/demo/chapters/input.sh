# Chapter: the trees that are shipped (sourced by demo.sh). Makes `trees/`, with each tree's description beside it.
# shellcheck shell=bash disable=SC2034,SC2154

chapter "The input: a Debian base tree, three packages, a web site, an AI model"
"$here/trees.sh" "$input"
tell "For Plyos they are all the same thing: a directory that becomes a layer. These are real ones, from Debian" \
  "and from Python's package index."
echo
mkdir trees
site_version='' site_arch='' site_summary=''
while IFS=$'\t' read -r round kind name version arch depends summary path; do
  ln -s "$input/$path" "trees/$path"
  describe "$path" "$kind" "$name" "$version" "$arch" "$depends" "$summary"
  printf '%-9s %-12s %-18s %6s files %10s%s\n' "$kind" "$name" "$version" "$(find "trees/$path/" -type f | wc -l)" \
    "$(mebibytes "$(tree_bytes "trees/$path/")")" "$([ "$round" = 1 ] || echo '   (the second version)')"
  # What the site is called in its newest version; there will be more of them.
  [ "$kind" != site ] || site_version=$version site_arch=$arch site_summary=$summary
done <"$input/trees.tsv"
