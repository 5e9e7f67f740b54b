#!/bin/sh
# Makes sure that Debian packages are there: installs missing ones as root, and names them otherwise.
set -eu
missing=
for package; do
  dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "Debian packages are missing. To do: sudo apt-get install$missing" >&2
  exit 1
fi
echo "Installing$missing ..."
# With RUNLEVEL=1 apt starts no service, such as an sshd on port 22.
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
