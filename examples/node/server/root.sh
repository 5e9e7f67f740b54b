#!/bin/sh
# What shop needs root for: packages, and the files beside this one. Read it, then run it: sudo sh root.sh. It can
# run any number of times.
set -eu
cd "$(dirname "$0")"

export DEBIAN_FRONTEND=noninteractive
packages="git sudo nodejs npm"
install="apt-get install -q --yes --no-install-recommends --no-upgrade"
$install $packages || { apt-get update -q && $install $packages; }

visudo -cqf sudoers
install -m 440 sudoers /etc/sudoers.d/shop
install -m 644 shop.service shop.socket /etc/systemd/system/
systemctl daemon-reload
systemctl enable --quiet shop.service shop.socket
