# gunicorn serves the code that the hook has put into PATH_TO_GIT_WORK_TREE: gunicorn -c /home/seita/gunicorn.conf.py
#
# It does not watch wsgi.py. Its --reload would, but also every module, and so load the new code before its dependencies
# are installed and the database is upgraded. And SIGHUP starts new workers of the old master: with the old release's
# packages, where each has an environment of its own. So restart-gunicorn.sh has a new master started, by SIGUSR2, which
# ends the old one as soon as one of its workers has loaded the application. What cannot be loaded never serves.
#
#   PATH_TO_GIT_WORK_TREE=/home/seita/flexmeasures
#   RESTART=/home/seita/restart-gunicorn.sh
#   HEALTH_CHECK_URL=http://127.0.0.1:8000/
import os
import signal

folder = "/home/seita/flexmeasures"

wsgi_app = "wsgi:application"
# Not the link itself: what is loaded later would come from another release.
chdir = os.path.realpath(folder)
pidfile = "/home/seita/gunicorn.pid"
bind = "127.0.0.1:8000"
workers = 2


def pre_exec(server):
    """Has the new master start where the link leads now, with the gunicorn of that release, if it has its own."""
    release = os.path.realpath(folder)
    server.START_CTX["cwd"] = release
    python, program = (f"{release}/.venv/bin/{name}" for name in ("python", "gunicorn"))
    if os.path.exists(program):
        server.START_CTX[0] = python
        server.START_CTX["args"] = [python, program, *server.START_CTX["args"][2:]]


def post_worker_init(worker):
    """Ends the old master; gunicorn tells the new one who that is."""
    if "GUNICORN_PID" in os.environ:
        try:
            os.kill(int(os.environ["GUNICORN_PID"]), signal.SIGTERM)
        except ProcessLookupError:
            pass  # another worker was faster
