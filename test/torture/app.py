"""The application, and the service manager that restarts it: FOLDER WORK_TREE [names]

The manager holds the application's socket, as systemd does, and starts the application in the work tree: its current
directory is then the release that the link leads to. It prints the ports of the application and of itself. With `names`
the answer to the health check names the commit.
"""

import ctypes
import json
import os
import signal
import socket
import sqlite3
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

PR_SET_PDEATHSIG = 1
folder, work_tree = sys.argv[1:3]
libc = ctypes.CDLL(None)
loads = []
running = 0


def read(file):
    """From the application's own folder, wherever the link leads meanwhile."""
    try:
        with open(file, encoding="utf-8") as opened:
            return opened.read()
    except OSError:
        return None


def uploads():
    try:
        return {name: read(f"instance/uploads/{name}") for name in os.listdir("instance/uploads")}
    except OSError:
        return {}


def tables():
    """The row that each migration has made, and nothing where its table is not there."""
    database = sqlite3.connect(f"file:{folder}/database?mode=ro", uri=True)
    try:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE name LIKE 'migration-%'")]
        return {name: database.execute(f'SELECT made FROM "{name}"').fetchone()[0] for name in names}
    finally:
        database.close()


class Application(BaseHTTPRequestHandler):
    """What it has loaded stays as it was; the rest it reads when it is asked."""

    loaded = None

    def do_POST(self):
        os.makedirs("instance/uploads", exist_ok=True)
        with open(f"instance/uploads/{self.path[1:]}", "x", encoding="utf-8") as opened:
            opened.write(f"uploaded {self.path}\n")
        answer(self, True, {})

    def do_GET(self):
        if self.path == "/health":
            answer(self, self.loaded["healthy"], self.loaded["commit"] if "names" in sys.argv else "")
        else:
            now = {"version": read("version.txt"), "uploads": uploads(), "tables": tables(), "dotenv": read(".env")}
            answer(self, True, {"pid": os.getpid(), "loaded": self.loaded, "now": now})

    def log_message(self, *_):
        pass


class Manager(BaseHTTPRequestHandler):
    def do_POST(self):
        _, what, commit = self.path.split("/")
        start(commit, what == "ill")
        answer(self, what == "ill" or loads[-1]["version"] is not None, {})

    def do_GET(self):
        answer(self, True, loads)

    def log_message(self, *_):
        pass


def answer(handler, well, value):
    body = json.dumps(value).encode()
    handler.send_response(200 if well else 500)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def start(commit, is_ill=False):
    """Ends the application, and starts it again: what it has loaded it tells through a pipe."""
    global running
    if running:
        os.kill(running, signal.SIGKILL)
        os.waitpid(running, 0)
    told, tell = os.pipe()
    running = os.fork()
    if running == 0:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        serve(commit, is_ill, tell)
    os.close(tell)
    with open(told, encoding="utf-8") as opened:
        loads.append(json.load(opened))


def serve(commit, is_ill, tell):
    manager.socket.close()
    try:
        os.chdir(work_tree)
    except OSError:
        is_ill = True
    installed = read(".installed")
    is_well = "fail=health" not in (read("recipe") or "") and "broken" not in (installed or "")
    Application.loaded = {
        "commit": commit,
        "version": None if is_ill else read("version.txt"),
        "installed": installed,
        "dotenv": read(".env"),
        "healthy": is_well and not is_ill,
    }
    with open(tell, "w", encoding="utf-8") as opened:
        json.dump(Application.loaded, opened)
    application = HTTPServer(listening.getsockname(), Application, bind_and_activate=False)
    application.socket.close()
    application.socket = listening
    application.serve_forever()


os.chdir(folder)
listening = socket.create_server(("127.0.0.1", 0), backlog=64)
manager = HTTPServer(("127.0.0.1", 0), Manager)
start("", is_ill=True)
loads.clear()
print(listening.getsockname()[1], manager.server_port, flush=True)
manager.serve_forever()
