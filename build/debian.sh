#!/bin/sh
# Makes sure that Debian packages are there: installs what is missing where it may, else names it.
set -eu
missing=
for package; do
  dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "This needs packages of Debian's. To do: sudo apt-get install$missing" >&2
  exit 1
fi
echo "Installing$missing ..."
# RUNLEVEL=1: no service is started, such as an sshd that nobody asked for.
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
