# What runs beside the demo (sourced by demo.sh): the registry, the web server, the mount. Each is started with a limit on the
# wait for it, and ended by its own id, or for the mount by its folder. `end_all` may be called at any moment, and again.
# Uses $work, in which all of them run.
# shellcheck shell=bash disable=SC2034,SC2154

registry='' registry_url=''
web='' web_url=''
mount=''

# wait_until SECONDS WHAT COMMAND...   until the command succeeds
wait_until() {
  local limit=$((SECONDS + $1)) seconds=$1 what=$2
  shift 2
  until "$@"; do
    [ $SECONDS -lt $limit ] || fail "waited $seconds seconds for $what"
    sleep 0.05
  done
}
runs() { kill -0 "$1" 2>/dev/null; } # ID
ended() { ! runs "$1"; }             # ID

# end ID   asks a process of ours to end, and does not ask for ever
end() {
  local _
  kill "$1" 2>/dev/null || return 0
  for _ in $(seq 100); do
    runs "$1" || break
    sleep 0.1
  done
  kill -KILL "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

# --- the registry

says_where_it_listens() {
  runs "$registry" || fail "the registry ended at once: $(cat serve.log)"
  registry_url=$(sed -n 's#.*listening on \(http://127\.0\.0\.1:[0-9]*\).*#\1#p' serve.log | head -n 1)
  [ -n "$registry_url" ]
}
start_registry() {
  mkdir registry
  show plyos serve --listen 127.0.0.1:0 --storage registry --anonymous-push '&'
  plyos serve --listen 127.0.0.1:0 --storage registry --anonymous-push >serve.log 2>&1 &
  registry=$!
  wait_until 30 "the registry to say where it listens" says_where_it_listens
  echo "listening on $registry_url"
}
end_registry() {
  [ -z "$registry" ] || end "$registry"
  registry=
}

# --- the web server

# What nginx needs beside the site's own lines: everything in its folder, nothing of /etc/nginx.
web_configuration() {
  local kind
  # Without --allow-other nobody but who mounted may read the mount: then root's nginx works as root.
  [ "$(id -u)" -ne 0 ] || echo "user root;"
  printf '%s\n' "daemon off;" "worker_processes 2;" "pid web.pid;" "error_log error.log;" \
    "events { worker_connections 64; }" "http {" "access_log off;"
  for kind in client_body proxy fastcgi uwsgi scgi; do echo "${kind}_temp_path $kind;"; done
  printf '%s\n' "types { text/html html; text/css css; application/javascript js; }" "include site.conf;" "}"
}
# open_file_cache is off unless it is asked for: with it nginx would go on serving the files of before.
site_configuration() { # PORT ROOT
  cat <<END
sendfile on;
server {
  listen 127.0.0.1:$1;
  root "$2";
}
END
}
web_server_is_decided() { [ -s web/web.pid ] || ended "$web"; }

# start_web_server ROOT   on a port that nobody has
start_web_server() {
  local port
  mkdir -p web
  web_configuration >web/nginx.conf
  for port in $(shuf -i 20000-29999 -n 20); do
    (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && continue
    site_configuration "$port" "$1" >web/site.conf
    nginx -p web/ -c nginx.conf -e error.log 2>/dev/null &
    web=$!
    wait_until 30 "nginx" web_server_is_decided
    if runs "$web"; then
      web_url=http://127.0.0.1:$port
      show cat web/site.conf
      cat web/site.conf
      show nginx -p web/ -c nginx.conf '&'
      return 0
    fi
    # Somebody was faster.
    grep -q 'Address already in use' web/error.log || break
  done
  fail "nginx does not start: $(tail -n 3 web/error.log)"
}
end_web_server() {
  [ -z "$web" ] || end "$web"
  web=
}

# --- the mount

# why_no_fuse   says in a few words why nothing can be mounted here; nothing where it can
why_no_fuse() {
  local powers=CapEff admin
  [ "$(id -u)" -eq 0 ] || powers=CapBnd
  admin=$((0x$(sed -n "s/^$powers:[[:space:]]*//p" /proc/self/status) >> 21 & 1)) # CAP_SYS_ADMIN
  if [ -n "${WITHOUT_FUSE:-}" ]; then
    echo "WITHOUT_FUSE is set"
  elif [ ! -e /dev/fuse ]; then
    echo "there is no /dev/fuse"
  elif ! (: <>/dev/fuse) 2>/dev/null; then
    echo "this user may not open /dev/fuse"
  elif [ "$admin" -eq 0 ]; then
    echo "this container may not mount"
  elif [ "$(id -u)" -ne 0 ] && ! command -v fusermount3 >/dev/null; then
    echo "users other than root need fusermount3 (package fuse3)"
  fi
}
start_mount() { # DIR
  mount=$1
  run pkg mount --background --log mount.log "$1"
}
end_mount() {
  [ -z "$mount" ] || run pkg umount "$mount"
  mount=
}

# --- when all is over

# Processes that still run for this demo: their command lines have its folder, or they lie in it.
still_running() {
  local process place line program
  for process in /proc/[0-9]*; do
    place=$(readlink "$process/cwd" 2>/dev/null) || continue
    line=$(tr '\0' ' ' 2>/dev/null <"$process/cmdline") || continue
    program=${line%% *}
    case ${program##*/} in plyos | pkg | exe | nginx* | curl | qemu-system-*) ;; *) continue ;; esac
    case "$place/ $line" in "$work/"* | *" $work/"*) echo "${process#/proc/} $line" ;; esac
  done
}

end_all() {
  local id line
  end_web_server
  end_registry
  [ -n "$mount" ] || return 0
  pkg umount "$mount" >/dev/null 2>&1 || true
  # One that was interrupted before it was there, or has somebody inside: its processes have a session of their own.
  while read -r id line; do
    case $line in *" mount $work/$mount "*) end "$id" ;; esac
  done < <(still_running)
  ! mountpoint -q "$mount" || pkg umount --lazy "$mount" >/dev/null ||
    echo "demo: $work/$mount is still mounted" >&2
  mount=
}
