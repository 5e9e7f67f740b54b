#!/bin/sh
# What shop needs root for: packages, and the files beside this one. Read it, then run it: sudo sh root.sh. It can
# run any number of times.
set -eu
cd "$(dirname "$0")"

export DEBIAN_FRONTEND=noninteractive
packages="git sudo nodejs npm nginx"
install="apt-get install -q --yes --no-install-recommends --no-upgrade"
$install $packages || { apt-get update -q && $install $packages; }

# nginx's user passes through this folder, and can still not list it.
chmod o+x /home/seita
install -m 644 nginx.conf /etc/nginx/sites-available/shop
ln -sf ../sites-available/shop /etc/nginx/sites-enabled/shop
nginx -t -q
systemctl enable --quiet nginx
systemctl reload-or-restart nginx
