#!/bin/sh
# Installs the runners into a folder: what requirements.txt, go.mod and package.json name, from PyPI, Go's proxy and npm.
set -eu
cd "$(dirname "$0")"
# bb-run wants Python >= 3.12; the other runners do without.
for python in python3.14 python3.13 python3.12 "$HOME"/.pyenv/versions/3.1[2-9].*/bin/python3 python3; do
  "$python" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && break
done
rm -rf "$1"
"$python" -m venv "$1"
"$1/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes --requirement requirements.txt
# Gitea's engine keeps the name of the one that it comes from.
CGO_ENABLED=0 GOTOOLCHAIN=local "$1/bin/go" build -o "$1/gitea/" tool
mv "$1/gitea/actionlint" "$1/bin/"
