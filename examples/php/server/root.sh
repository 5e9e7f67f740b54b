#!/bin/sh
# What shop needs root for: packages, and the files beside this one. Read it, then run it: sudo sh root.sh. It can
# run any number of times.
set -eu
cd "$(dirname "$0")"

export DEBIAN_FRONTEND=noninteractive
packages="git sudo php-cli composer unzip php-mbstring php-sqlite3 nginx php-fpm"
install="apt-get install -q --yes --no-install-recommends --no-upgrade"
$install $packages || { apt-get update -q && $install $packages; }

visudo -cqf sudoers
install -m 440 sudoers /etc/sudoers.d/shop
# The application reads .env: it is the one that setup-ssh set NAME=value changes.
runuser -u seita -- sh -c 'mkdir -p /home/seita/shop.releases/shared && cd /home/seita/shop.releases/shared && { [ -e .env ] || [ -L .env ] || ln -s /home/seita/shop.git/.env .env; }'
# nginx's user passes through this folder, and can still not list it.
chmod o+x /home/seita
# The unit of the newest PHP that is installed, under a name that does not change with its version.
php=$(find /etc/php -mindepth 2 -maxdepth 2 -name fpm | sort -V | tail -n 1 | cut -d / -f 4)
ln -sf "/lib/systemd/system/php$php-fpm.service" /etc/systemd/system/shop-fpm.service
install -m 644 pool.conf "/etc/php/$php/fpm/pool.d/shop.conf"
systemctl daemon-reload
systemctl enable --quiet "php$php-fpm"
systemctl reload-or-restart "php$php-fpm"
install -m 644 nginx.conf /etc/nginx/sites-available/shop
ln -sf ../sites-available/shop /etc/nginx/sites-enabled/shop
nginx -t -q
systemctl enable --quiet nginx
systemctl reload-or-restart nginx
