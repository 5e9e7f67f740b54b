"""A page that tells its version and what its database knows: small enough to read, real enough to deploy."""

import os
import sqlite3

VERSION = "1"
DATABASE = os.environ.get("DATABASE", "instance/app.sqlite")


def create():
    def application(environ, start_response):
        with sqlite3.connect(DATABASE) as database:
            (migrations,) = database.execute("SELECT count(*) FROM migration").fetchone()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"version {VERSION}, {migrations} migration(s)\n".encode()]

    return application
