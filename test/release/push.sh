#!/bin/bash
# A server and a CI job on one machine that has git and openssh, and the three programs in /programs: sets both up
# as the README says, and pushes two commits, of which the second one fails. Prints what the programs say.
set -euo pipefail
port=$1
export HOME=/root GIT_AUTHOR_NAME=Ada GIT_AUTHOR_EMAIL=ada@example.org GIT_COMMITTER_NAME=Ada GIT_COMMITTER_EMAIL=ada@example.org

mkdir -p /run/sshd ~/.ssh
ssh-keygen -q -t ed25519 -N '' -f /host-key
ssh-keygen -q -t ed25519 -N '' -f /own-key
cp /own-key.pub ~/.ssh/authorized_keys
/usr/sbin/sshd -f /dev/null -h /host-key -o "ListenAddress=127.0.0.1:$port" -o PidFile=/run/sshd.pid -o UsePAM=no -o StrictModes=no
trap 'kill "$(cat /run/sshd.pid)"' EXIT

cat > /server.env <<'SETTINGS'
PATH_TO_GIT_WORK_TREE=/srv/www
PATH_TO_WSGI=/srv/www/wsgi.py
INSTALL_DEPS='cp page.txt /srv/installed'
UPGRADE_DB='! grep -q broken page.txt'
SETTINGS
/programs/post-receive install /srv/app.git --settings /server.env

git init --quiet --initial-branch=main /clone
cd /clone
commit() {
  echo "$1" > page.txt
  touch wsgi.py
  git add --all
  git commit --quiet --message "$1"
}
export STAGING_REMOTE_REPO=ssh://root@127.0.0.1:$port/srv/app.git BRANCH_NAME=main

mkdir -m 700 /own
echo 'IdentityFile /own-key' > /own/config
HOST_FINGERPRINT=$(ssh-keygen -lf /host-key.pub | cut -d ' ' -f 2) /programs/setup-ssh --ssh-dir /own --print-secrets /secrets 2>&1
SSH_DEPLOYMENT_KEY=$(cat /secrets/SSH_DEPLOYMENT_KEY)
KNOWN_DEPLOYMENT_HOSTS=$(cat /secrets/KNOWN_DEPLOYMENT_HOSTS)
export SSH_DEPLOYMENT_KEY KNOWN_DEPLOYMENT_HOSTS

commit good
/programs/deploy 2>&1
echo "exit code $?, page: $(cat /srv/www/page.txt), installed: $(cat /srv/installed)"
commit broken
/programs/deploy 2>&1 || echo "exit code $?, page: $(cat /srv/www/page.txt), installed: $(cat /srv/installed)"
/programs/deploy status
