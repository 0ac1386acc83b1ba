# Chapter: the active generation as a file system, and a web server inside (sourced by demo.sh). Leaves in $shown the
# folder that shows the system, in $web_url the site's address, and defines `follow`, by which $shown follows a change.
# shellcheck shell=bash disable=SC2034,SC2154

no_fuse=$(why_no_fuse)
if [ -z "$no_fuse" ]; then
  chapter "Mount: the active generation as a file system"
  tell "'pkg mount' shows what is active, read-only, and follows every change by itself."
  shown=system
  run mkdir "$shown"
  start_mount "$shown"
  follow() { :; }
else
  chapter "Export: the active generation as a tree"
  tell "Nothing can be mounted here ($no_fuse), so the story goes on with an exported tree. 'pkg export' writes one" \
    "beside the other and replaces a link; after each change it is run again."
  shown=exported/current
  follow() { run pkg export exported; }
  follow
fi
run ls -C "$shown" "$shown/www"
note "All layers in one tree: the base, packages below /usr, the model, the site."
same_tree trees/docs-1 "$shown"/www/python-docs

chapter "Serve the site with nginx"
tell "The document root lies inside. These are all lines about the site; nginx knows nothing of Plyos."
start_web_server "$work/$shown/www/python-docs"
same_as_served "$page" "docs-1/$page"
