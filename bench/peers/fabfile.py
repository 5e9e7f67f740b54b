import os

from fabric import Connection, task

FOLDER = os.environ["DEPLOY_TO"]


@task
def deploy(_):
    connection = Connection(
        "127.0.0.1",
        user=os.environ["SSH_USER"],
        port=int(os.environ["SSH_PORT"]),
        connect_kwargs={"key_filename": os.environ["SSH_KEY"], "look_for_keys": False, "allow_agent": False},
    )
    with connection as c:
        c.run(f"test -d {FOLDER}/.git || git clone --quiet {os.environ['FORGE']} {FOLDER}")
        c.run(f"git -C {FOLDER} fetch --quiet origin && git -C {FOLDER} reset --quiet --hard origin/main")
        c.run(f"make -C {FOLDER} install-deps")
        c.run(f"make -C {FOLDER} upgrade-db")
        c.run(f"touch {FOLDER}/wsgi.py")
