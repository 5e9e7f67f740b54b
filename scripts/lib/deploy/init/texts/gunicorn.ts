/** examples/gunicorn.conf.py. */
export const gunicornConfiguration = `# gunicorn serves the code in PATH_TO_GIT_WORK_TREE. The first deployment starts it, by restart-gunicorn.sh, or you do:
# gunicorn -c /home/seita/gunicorn.conf.py
#
# gunicorn does not watch wsgi.py. Its --reload watches every module: it would load the new code before the dependencies are
# installed and the database is upgraded. SIGHUP starts new workers of the old master: they would use the old release's
# packages, if each release has its own. So restart-gunicorn.sh sends SIGUSR2, which starts a new master. The new master
# ends the old one as soon as one of its workers has loaded the application. Code that cannot be loaded never serves.
#
#   PATH_TO_GIT_WORK_TREE=/home/seita/flexmeasures
#   RESTART=/home/seita/restart-gunicorn.sh
#   HEALTH_CHECK_URL=http://127.0.0.1:8000/
import os
import signal

folder = "/home/seita/flexmeasures"
config = os.path.abspath(__file__)
start = os.getcwd()

wsgi_app = "wsgi:application"
# The real path: through the link, modules that are loaded later would come from another release.
chdir = os.path.realpath(folder)
pidfile = "/home/seita/gunicorn.pid"
bind = "127.0.0.1:8000"
workers = 2


def pre_exec(server):
    """Starts the new master in the release that the link leads to, with that release's gunicorn, if it has its own."""
    release = os.path.realpath(folder)
    python, program, *arguments = server.START_CTX["args"]
    program = os.path.join(start, program)
    if os.path.exists(f"{release}/.venv/bin/gunicorn"):
        python, program = (f"{release}/.venv/bin/{name}" for name in ("python", "gunicorn"))
    # A relative -c, or none, would be looked for in the release. The last one counts.
    if arguments[-2:] != ["-c", config]:
        arguments += ["-c", config]
    server.START_CTX.update({0: python, "args": [python, program, *arguments], "cwd": release})


def post_worker_init(worker):
    """Tells restart-gunicorn.sh, and ends the old master, whose process id gunicorn gives to the new one."""
    with open(f"{pidfile}.loaded", "w") as file:
        file.write(str(worker.ppid))
    if "GUNICORN_PID" in os.environ:
        try:
            os.kill(int(os.environ["GUNICORN_PID"]), signal.SIGTERM)
        except ProcessLookupError:
            pass  # another worker was faster
`

/** examples/restart-gunicorn.sh. */
export const restartGunicorn = `#!/bin/sh
# Restarts gunicorn in the release that is live now, or starts it where it does not run: at the first deployment, or by
# cron's @reboot. Exits with 1, and shows the end of its log, if it does not start. It goes with gunicorn.conf.py.
set -eu
folder=/home/seita/flexmeasures
config=/home/seita/gunicorn.conf.py
pidfile=/home/seita/gunicorn.pid
# What a gunicorn prints that was started here.
log=/home/seita/gunicorn.log

release=$(realpath "$folder")
releases=$(realpath "$(dirname "$folder")")/$(basename "$folder").releases

is_running() { grep -qs '^State:[[:space:]]*[^ZX]' "/proc/$1/status"; }
# A pid file may be of a master that was killed, and its number that of another process by now.
is_ours() {
  is_running "$1" && grep -qszE '(^|/)gunicorn([:/]|$)' "/proc/$1/cmdline" &&
    case $(readlink "/proc/$1/cwd") in "$release" | "$releases"/*) ;; *) false ;; esac
}

# The master that the old one has started, until it takes over.
new_master() {
  for pid in $(cat "/proc/$old/task/$old/children" 2>/dev/null); do
    ! grep -qszx "GUNICORN_PID=$old" "/proc/$pid/environ" || echo "$pid"
  done
}

content() { cat "$1" 2>/dev/null || :; }

# An earlier restart may go on, whose new master uses gunicorn.pid.2 until the old one has ended. One at a time.
for _ in $(seq 600); do
  next=$(content "$pidfile.2")
  old=$(content "$pidfile")
  is_ours "$next" || { is_ours "$old" && [ "$(new_master)" ]; } || break
  sleep 0.1
done

[ -e "$log" ] || (umask 077 && : >"$log")
size=$(wc -c <"$log")
if is_ours "$old"; then
  new=
  kill -USR2 "$old"
else
  old=
  rm -f "$pidfile" "$pidfile.loaded"
  # Workers whose master was killed keep the port for a while.
  for file in $(grep -lszxFe "$config" /proc/[0-9]*/cmdline); do
    pid=$(basename "$(dirname "$file")")
    ! is_ours "$pid" || kill "$pid" 2>/dev/null || :
  done
  program=$release/.venv/bin/gunicorn
  [ -x "$program" ] || program=gunicorn
  # It outlives this release: later ones have other values.
  unset VIRTUAL_ENV DEPLOY_COMMIT DEPLOY_PREVIOUS_COMMIT
  PATH=\${PATH#"$release/.venv/bin:"}
  cd "$release"
  setsid "$program" -c "$config" </dev/null >>"$log" 2>&1 &
  new=$!
fi

for count in $(seq 1200); do
  sleep 0.05
  [ "$new" ] || new=$(new_master)
  if [ ! "$new" ]; then
    # Two seconds: it has died at once.
    [ "$count" -lt 40 ] || break
  elif ! is_running "$new"; then break
  # The first one has nobody to take over from.
  elif [ "$(content "$pidfile")" = "$new" ] && { [ "$old" ] || [ "$(content "$pidfile.loaded")" = "$new" ]; }; then exit 0
  fi
done
[ ! "$new" ] || ! is_running "$new" || kill -QUIT "$new"
echo "The new gunicorn does not start\${old:+, and the old one serves on}. The end of its log:" >&2
tail -c "+$((size + 1))" "$log" | tail -n 20 >&2
exit 1
`
