"""The application: says what it has loaded, and loads what lies in the work tree when it is told to. FOLDER WORK_TREE"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

folder, work_tree = sys.argv[1:]
loads = []


def read(file):
    try:
        with open(file, encoding="utf-8") as opened:
            return opened.read()
    except OSError:
        return None


def load():
    loads.append(
        {
            "version": read(f"{work_tree}/version.txt"),
            "installed": read(f"{work_tree}/.installed"),
            "healthy": "fail=health" not in (read(f"{work_tree}/recipe") or ""),
        }
    )
    return loads[-1]["version"] is not None


class Application(BaseHTTPRequestHandler):
    def do_POST(self):
        if self.path == "/ill":
            loads.append({"version": None, "installed": None, "healthy": False})
            self.answer(True)
        else:
            self.answer(load())

    def do_GET(self):
        if self.path == "/health":
            self.answer(bool(loads) and loads[-1]["healthy"])
        else:
            self.answer(True)

    def answer(self, well):
        body = json.dumps(loads).encode()
        self.send_response(200 if well else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Application)
print(server.server_port, flush=True)
server.serve_forever()
