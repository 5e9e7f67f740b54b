"""What Alembic does, on SQLite, with a folder of migrations: FOLDER upgrade, revision or downgrade

Each migration makes a table with a row, and is committed before the next. With two heads each migration of the folder
belongs to one of two branches, of which the last letter of its name tells.
"""

import os
import sqlite3
import sys

folder, command = sys.argv[1:]
has_two_heads = os.path.exists(f"{folder}/two-heads")
known = sorted(os.listdir("migrations")) if os.path.isdir("migrations") else []
database = sqlite3.connect(f"{folder}/database", isolation_level=None)
database.execute("PRAGMA synchronous = OFF")
database.execute("CREATE TABLE IF NOT EXISTS applied (name TEXT NOT NULL)")
applied = [name for (name,) in database.execute("SELECT name FROM applied ORDER BY name")]


def branch(name):
    return name[-1] if has_two_heads else ""


def upgrade():
    for name in applied:
        if name not in known:
            sys.exit(f"Can't locate revision {name}")
    for name in known:
        if name not in applied:
            database.execute("BEGIN")
            database.execute(f'CREATE TABLE "{name}" (made TEXT NOT NULL)')
            database.execute(f'INSERT INTO "{name}" VALUES (hex(randomblob(8)))')
            database.execute("INSERT INTO applied VALUES (?)", (name,))
            database.execute("COMMIT")


def revision():
    heads = list({branch(name): name for name in applied}.values())
    # Alembic promises no order either.
    with open(f"{folder}/steps", encoding="utf-8") as steps:
        heads.sort(reverse=len(steps.readlines()) % 2 == 1)
    for name in heads:
        print(f"{name} (head)")


def downgrade():
    words = [line.split()[0] for line in os.environ["DEPLOY_DB_REVISION"].splitlines() if line.strip()]
    targets = {branch(word): word for word in words}
    for name in reversed(applied):
        # A branch that the revision does not name stays; without any name all of them go back to nothing.
        if targets and name <= targets.get(branch(name), name):
            continue
        if name not in known:
            sys.exit(f"Can't locate revision {name}")
        if name.endswith("a") and os.path.exists(f"{folder}/irreversible"):
            sys.exit(f"{name} cannot be undone")
        database.execute("BEGIN")
        database.execute(f'DROP TABLE "{name}"')
        database.execute("DELETE FROM applied WHERE name = ?", (name,))
        database.execute("COMMIT")


{"upgrade": upgrade, "revision": revision, "downgrade": downgrade}[command]()
