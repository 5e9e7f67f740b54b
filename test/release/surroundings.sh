#!/bin/bash
# A server and a clone of one user, who need not have a name. The recipe spoils git's configuration and hooks, and leaves
# a process that keeps all its descriptors open. Prints what becomes of each commit.
#
# surroundings.sh PREFIX: PREFIX comes before the programs' names, such as /programs/ or "/usr/bin/pushlive ".
set -euo pipefail
programs=$1

folder=$(mktemp -d)
cd "$folder"
export HOME=$folder GIT_AUTHOR_NAME=Ada GIT_AUTHOR_EMAIL=ada@example.org GIT_COMMITTER_NAME=Ada GIT_COMMITTER_EMAIL=ada@example.org
trap 'kill $(cat "$folder"/left-*); cd /; rm -rf "$folder"' EXIT

cat > recipe <<'RECIPE'
git config core.hooksPath /nowhere
rm -rf "$(git rev-parse --git-path hooks)"
sleep 1000 &
echo $! > "$HOME/left-$DEPLOY_COMMIT"
RECIPE
cat > server.env <<SETTINGS
PATH_TO_GIT_WORK_TREE=$folder/www
RELEASES=3
INSTALL_DEPS='. $folder/recipe'
UPGRADE_DB=
RESTART=true
HEALTH_CHECK_URL=
SETTINGS
${programs}post-receive install app.git --settings server.env 2>&1
export STAGING_REMOTE_REPO=$folder/app.git BRANCH_NAME=main

git init --quiet --initial-branch=main clone
cd clone
commit() {
  git add --all
  git commit --quiet --message "$1"
  code=0
  ${programs}deploy 2>&1 || code=$?
  echo "$1: exit code $code, serves $(cat ../www/page.txt), files: $(ls ../www | wc -l)"
}
echo first > page.txt
commit first
echo second > page.txt
# In Latin-1: no UTF-8.
touch caf$'\xe9'
commit second
${programs}deploy rollback 2>&1
echo "back: serves $(cat ../www/page.txt)"
git push --quiet ../app.git HEAD:other 2>/dev/null || echo 'another branch: refused'
