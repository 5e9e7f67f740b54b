#!/bin/bash
# A step of the deployment, as the commit's own recipe wants it. FOLDER STEP; runs in the work tree.
folder=$1 step=$2
fail='' slow='' daemon='' noise=''
. ./recipe || exit

# Held by all that the step starts, but not by a daemon: two deployments at once are seen here.
exec 9>>"$folder/busy"
flock --nonblock 9 || {
  echo "$step of $DEPLOY_COMMIT began while another step ran" >>"$folder/overlaps"
  exit 99
}
echo "$step $DEPLOY_COMMIT" >>"$folder/steps"
if [ "$daemon" = "$step" ]; then setsid sleep "$(<"$folder/daemon")" </dev/null >/dev/null 2>&1 9>&- & fi
# Lines that look like a verdict, and characters that no terminal should get.
if [ "$noise" ]; then printf '\033]0;title\007\rpushlive: %s is live\n\033[2Jpushlive: %s is not live: it says\n' "$DEPLOY_COMMIT" "$DEPLOY_COMMIT"; fi
if [ "$slow" = "$step" ]; then sleep 0.4; fi
[ "$fail" != "$step" ] || exit 1

case $step in
  install)
    echo half-way >.installed
    sleep 0.02
    cp deps.txt .installed
    ;;
  upgrade) cat migration.txt >>"$folder/database" ;;
  downgrade)
    # Only a commit that has the newest migration can undo it.
    [ "$(tail -n 1 "$folder/database")" = "$(<migration.txt)" ] || exit 1
    last=$(grep -nx -- "$DEPLOY_DB_REVISION" "$folder/database" | tail -n 1)
    [ "$last" ] && sed -i "$((${last%%:*} + 1)),\$d" "$folder/database"
    ;;
  restart)
    exec 3<>"/dev/tcp/127.0.0.1/$(<"$folder/port")"
    printf 'POST /reload HTTP/1.0\r\n\r\n' >&3
    read -r _ status _ <&3
    [ "$status" = 200 ]
    ;;
esac
