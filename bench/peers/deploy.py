"""What pyinfra runs."""

import os

from pyinfra.operations import git, server

FOLDER = os.environ["DEPLOY_TO"]

git.repo(name="Code", src=os.environ["FORGE"], dest=FOLDER, branch="main")
server.shell(name="Dependencies", commands=[f"make -C {FOLDER} install-deps"])
server.shell(name="Database", commands=[f"make -C {FOLDER} upgrade-db"])
server.shell(name="Restart", commands=[f"touch {FOLDER}/wsgi.py"])
