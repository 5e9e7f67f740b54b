#!/bin/bash
# A server and a CI job on one machine that has git and openssh: sets both up as the README says, and pushes two
# commits, of which the second one fails. Prints what the programs say.
#
# push.sh PORT PREFIX: PREFIX comes before the programs' names, such as /programs/ or "/usr/bin/pushlive ".
set -euo pipefail
port=$1 programs=$2
# Not quoted: the prefix may be a word of its own.
deploy() { ${programs}deploy "$@"; }

folder=$(mktemp -d)
cd "$folder"
export HOME=/root GIT_AUTHOR_NAME=Ada GIT_AUTHOR_EMAIL=ada@example.org GIT_COMMITTER_NAME=Ada GIT_COMMITTER_EMAIL=ada@example.org

mkdir -p /run/sshd ~/.ssh
ssh-keygen -q -t ed25519 -N '' -f host-key
ssh-keygen -q -t ed25519 -N '' -f own-key
cp own-key.pub ~/.ssh/authorized_keys
/usr/sbin/sshd -f /dev/null -h "$folder/host-key" -o "ListenAddress=127.0.0.1:$port" -o "PidFile=$folder/sshd.pid" -o UsePAM=no -o StrictModes=no
trap 'kill "$(cat "$folder/sshd.pid")"' EXIT

cat > server.env <<SETTINGS
PATH_TO_GIT_WORK_TREE=$folder/www
PATH_TO_WSGI=$folder/www/wsgi.py
INSTALL_DEPS='cp page.txt $folder/installed'
UPGRADE_DB='! grep -q broken page.txt'
SETTINGS
export STAGING_REMOTE_REPO=ssh://root@127.0.0.1:$port$folder/app.git BRANCH_NAME=main
mkdir -m 700 own
echo "IdentityFile $folder/own-key" > own/config
HOST_FINGERPRINT=$(ssh-keygen -lf host-key.pub | cut -d ' ' -f 2) \
  ${programs}setup-ssh --ssh-dir "$folder/own" --print-secrets "$folder/secrets" 2>&1
${programs}setup-ssh --hook server.env --ssh-dir "$folder/own" 2>&1
SSH_DEPLOYMENT_KEY=$(cat secrets/SSH_DEPLOYMENT_KEY)
KNOWN_DEPLOYMENT_HOSTS=$(cat secrets/KNOWN_DEPLOYMENT_HOSTS)
export SSH_DEPLOYMENT_KEY KNOWN_DEPLOYMENT_HOSTS

git init --quiet --initial-branch=main clone
cd clone
commit() {
  echo "$1" > page.txt
  touch wsgi.py
  git add --all
  git commit --quiet --message "$1"
}
serves() { echo "exit code $?, page: $(cat ../www/page.txt), installed: $(cat ../installed)"; }
commit good
deploy 2>&1
serves
commit broken
deploy 2>&1 || serves
deploy status
