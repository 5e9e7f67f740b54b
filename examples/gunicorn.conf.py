# gunicorn serves the code in PATH_TO_GIT_WORK_TREE. The first deployment starts it, by restart-gunicorn.sh, or you do:
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
