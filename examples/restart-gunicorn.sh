#!/bin/sh
# Restarts gunicorn in the release that is live now. Exits with 1 if it does not start. See gunicorn.conf.py.
set -eu
pidfile=/home/seita/gunicorn.pid

old=$(cat "$pidfile")
kill -USR2 "$old"
has_begun=no
for _ in $(seq 600); do
  sleep 0.1
  # The new master uses gunicorn.pid.2 until the old one has ended.
  if [ -e "$pidfile.2" ]; then has_begun=yes
  elif [ "$(cat "$pidfile" 2>/dev/null || echo none)" != "$old" ]; then
    [ -e "$pidfile" ] && exit 0
  elif [ $has_begun = yes ]; then break; fi
done
echo "The new gunicorn does not start: its log says why. The old one serves on." >&2
exit 1
