#!/bin/bash
# A step of the deployment, as the commit's own recipe wants it. FOLDER STEP; runs in the work tree.
folder=$1 step=$2
fail='' slow='' daemon='' holds='' noise='' habit=''
. ./recipe || exit
case $PWD in *.releases/*) has_releases=yes home=$folder/home ;; *) has_releases='' home=. ;; esac
# A release in which a daemon stayed would not be used again.
start_daemon() { (cd "$home" && exec setsid sleep "$(<"$folder/daemon")") 9>&- & }
database() { python3 -S -E "${BASH_SOURCE[0]%/*}/database.py" "$folder" "$1"; }
if [ "$step" = revision ]; then
  database revision || exit
  if [ "$daemon$holds" = restartyes ]; then start_daemon; fi
  exit
fi

# Held by all that the step starts, but not by a daemon: two deployments at once are seen here.
exec 9>>"$folder/busy"
flock --nonblock 9 || {
  echo "$step of $DEPLOY_COMMIT began while another step ran" >>"$folder/overlaps"
  exit 99
}
echo "$step $DEPLOY_COMMIT" >>"$folder/steps"
if [ "$daemon" = "$step" ]; then
  if [ "$holds" ]; then start_daemon; else start_daemon </dev/null >/dev/null 2>&1; fi
fi
# Lines that look like a verdict, and characters that no terminal should get.
if [ "$noise" ]; then printf '\033]0;title\007\rpushlive: %s is live\n\033[2Jpushlive: %s is not live: it says\n' "$DEPLOY_COMMIT" "$DEPLOY_COMMIT"; fi
if [ "$slow" = "$step" ]; then sleep 0.4; fi
[ "$fail" != "$step" ] || exit 1

case $step in
  install)
    # In place this would remove the user's own files, too.
    if [ "$habit$has_releases" = cleansyes ]; then git clean --force -dx --quiet; fi
    if [ "$habit" = spoils ] && own=$(git rev-parse --git-dir) && hooks=$(git rev-parse --git-path hooks); then
      rm -rf "${own:?}/hooks" "${hooks:?}"
      git config core.hooksPath "$folder/nowhere"
      git config receive.denyNonFastForwards false
      git config receive.hideRefs refs
    fi
    echo half-way >.installed
    sleep 0.02
    if [ "$habit" = rewrites ]; then echo "of $(<deps.txt)" >lock.txt; fi
    mkdir -p build
    cp deps.txt "build/$(tr -dc 0-9 <deps.txt)"
    { cat deps.txt; [ ! -e "$folder/broken" ] || echo broken; } >.installed
    ;;
  upgrade | downgrade) database "$step" ;;
  restart)
    [ ! -e "$folder/stays" ] || exit 0
    exec 3<>"/dev/tcp/127.0.0.1/$(<"$folder/manager")"
    printf 'POST /restart/%s HTTP/1.0\r\n\r\n' "$DEPLOY_COMMIT" >&3
    read -r _ status _ <&3
    [ "$status" = 200 ]
    ;;
esac
