"""Runs each file of migrations/ once, in the order of their names, each in a transaction of its own."""

import os
import pathlib
import sqlite3

from app import DATABASE

os.makedirs(os.path.dirname(DATABASE) or ".", exist_ok=True)
with sqlite3.connect(DATABASE) as database:
    database.execute("CREATE TABLE IF NOT EXISTS migration (name TEXT PRIMARY KEY)")
    done = {name for (name,) in database.execute("SELECT name FROM migration")}
for file in sorted(pathlib.Path("migrations").glob("*.sql")):
    if file.name in done:
        continue
    print(f"running {file.name}")
    with sqlite3.connect(DATABASE) as database:
        database.execute(file.read_text())
        database.execute("INSERT INTO migration VALUES (?)", [file.name])
