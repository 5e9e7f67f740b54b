#!/bin/sh
# What flexmeasures needs root for: packages, and the files beside this one. Read it, then run it: sudo sh root.sh. It can
# run any number of times.
set -eu
cd "$(dirname "$0")"

export DEBIAN_FRONTEND=noninteractive
packages="git sudo make python3-venv postgresql redis-server libgomp1 uwsgi-core uwsgi-plugin-python3"
install="apt-get install -q --yes --no-install-recommends --no-upgrade"
$install $packages || { apt-get update -q && $install $packages; }

visudo -cqf sudoers
install -m 440 sudoers /etc/sudoers.d/flexmeasures
# uv makes virtual environments and installs packages.
[ -x /usr/local/bin/uv ] || {
  python3 -m venv /opt/uv
  /opt/uv/bin/pip install --quiet --disable-pip-version-check uv
  ln -sf /opt/uv/bin/uv /opt/uv/bin/uvx /usr/local/bin/
}
# The database, which is asked through its socket, without a password.
as_postgres() { (cd / && runuser -u postgres -- "$@"); }
[ "$(as_postgres psql -XAtqc "select 1 from pg_roles where rolname = 'seita'")" ] || as_postgres createuser seita
[ "$(as_postgres psql -XAtqc "select 1 from pg_database where datname = 'flexmeasures'")" ] ||
  as_postgres createdb --owner seita --encoding UTF8 --template template0 flexmeasures
as_postgres psql -Xq -d flexmeasures -c 'create extension if not exists cube' -c 'create extension if not exists earthdistance'
install -m 644 flexmeasures.service flexmeasures-worker.service /etc/systemd/system/
systemctl daemon-reload
systemctl enable --quiet flexmeasures.service flexmeasures-worker.service
