#!/bin/sh
# What shop needs root for: packages, and the files beside this one. Read it, then run it: sudo sh root.sh. It can
# run any number of times.
set -eu
cd "$(dirname "$0")"

export DEBIAN_FRONTEND=noninteractive
packages="git sudo python3-venv"
install="apt-get install -q --yes --no-install-recommends --no-upgrade"
$install $packages || { apt-get update -q && $install $packages; }

visudo -cqf sudoers
install -m 440 sudoers /etc/sudoers.d/shop
# uv makes virtual environments and installs packages.
[ -x /usr/local/bin/uv ] || {
  python3 -m venv /opt/uv
  /opt/uv/bin/pip install --quiet --disable-pip-version-check uv
  ln -sf /opt/uv/bin/uv /opt/uv/bin/uvx /usr/local/bin/
}
install -m 644 shop.service shop.socket /etc/systemd/system/
systemctl daemon-reload
systemctl enable --quiet shop.service shop.socket
