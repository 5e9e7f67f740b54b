# gunicorn serves the code in PATH_TO_GIT_WORK_TREE: gunicorn -c /home/seita/gunicorn.conf.py
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

wsgi_app = "wsgi:application"
# The real path: through the link, modules that are loaded later would come from another release.
chdir = os.path.realpath(folder)
pidfile = "/home/seita/gunicorn.pid"
bind = "127.0.0.1:8000"
workers = 2


def pre_exec(server):
    """Starts the new master in the release that the link leads to, with that release's gunicorn, if it has its own."""
    release = os.path.realpath(folder)
    server.START_CTX["cwd"] = release
    python, program = (f"{release}/.venv/bin/{name}" for name in ("python", "gunicorn"))
    if os.path.exists(program):
        server.START_CTX[0] = python
        server.START_CTX["args"] = [python, program, *server.START_CTX["args"][2:]]


def post_worker_init(worker):
    """Ends the old master, whose process id gunicorn gives to the new one."""
    if "GUNICORN_PID" in os.environ:
        try:
            os.kill(int(os.environ["GUNICORN_PID"]), signal.SIGTERM)
        except ProcessLookupError:
            pass  # another worker was faster
