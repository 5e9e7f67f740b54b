#!/usr/bin/env bash
# Makes STAGING_REMOTE_REPO a repository that deploys what is pushed to it, through your own ssh access to the server.
# By hand it would be
#
#   ssh seita@ssh.our-server.com git init --bare /home/seita/app.git
#   scp dist/linux-x64/post-receive seita@ssh.our-server.com:/home/seita/app.git/hooks/post-receive
#   scp server.env seita@ssh.our-server.com:/home/seita/app.git/.env
#   ssh seita@ssh.our-server.com chmod 600 /home/seita/app.git/.env
#
# and `protect` below. This looks before it acts, and can run again at any time: it renews the hook in one step, even
# while the old one deploys, and keeps the settings that it finds on the server unless HOOK_ENV names others.
set -euo pipefail

usage='Usage: install-hook.sh [--ssh-dir DIR] [--env-file FILE]
  --ssh-dir DIR        go by DIR/config and DIR/known_hosts, in place of those in ~/.ssh
  --env-file FILE      where STAGING_REMOTE_REPO is unless the environment has it, in place of .env
  HOOK_ENV=FILE        settings for the hook: server.env, unless the server has some
  HOOK_BINARY=FILE     the hook: the one in dist/ that fits the server'

# ---- What runs on the server keeps to what every sh knows.

fail() { # WHAT TO-DO
  printf '%s\nTo do: %s\n' "$1" "$2" >&2
  exit 1
}

# shellcheck disable=SC2016
setting() { # NAME FILE: its value, read as dotenv does
  sed -n "s/^[[:space:]]*\(export[[:space:]][[:space:]]*\)\{0,1\}$1[[:space:]]*=[[:space:]]*//p" "$2" | tail -n 1 |
    sed -e "s/^'\([^']*\)'.*/\1/" -e t -e 's/^"\([^"]*\)".*/\1/' -e t -e 's/^`\([^`]*\)`.*/\1/' -e t \
      -e 's/#.*//' -e 's/[[:space:]]*$//'
}

# Changes nothing. A login shell may print as well, so what is said has a mark.
look() {
  for program in git bash flock gzip; do
    command -v "$program" >/dev/null || fail "The server has no $program." "install it there"
  done
  # shellcheck disable=SC2088
  case $repository in
    "~/"*) repository=$HOME/${repository#"~/"} ;;
    "~"*) fail "$repository is somebody's home folder by name." "write its path in STAGING_REMOTE_REPO" ;;
    /*) ;;
    *) repository=$PWD/$repository ;;
  esac
  echo "pushlive: repository $repository"
  echo "pushlive: platform $(uname -s) $(uname -m)"
  if [ ! -e "$repository" ] || { [ -d "$repository" ] && [ -z "$(ls -A "$repository")" ]; }; then return; fi

  cd "$repository" || fail "$repository cannot be entered by $(id -un)." "look at $(ls -ld "$repository")"
  # Looks at the owner too, as a push does.
  if [ "$(git rev-parse --is-bare-repository)" != true ] || [ "$(git rev-parse --git-dir)" != . ]; then
    fail "$repository is no bare repository that git lets $(id -un) use." "look at $(ls -ld "$repository")"
  fi
  if [ "$(git rev-parse --git-path hooks)" != hooks ]; then
    fail "git looks for hooks in $(git rev-parse --git-path hooks)." "unset core.hooksPath on the server"
  fi
  for folder in . hooks objects refs; do
    [ ! -d "$folder" ] || [ -w "$folder" ] ||
      fail "$repository is not writable for $(id -un)." "look at $(ls -ld "$repository/$folder")"
  done
  echo "pushlive: exists yes"
  [ ! -f hooks/post-receive ] || echo "pushlive: hook $(git hash-object --no-filters hooks/post-receive)"
  [ -f .env ] || return 0
  echo "pushlive: settings $repository/.env"
  echo "pushlive: branch $(setting BRANCH_NAME .env)"
  echo "pushlive: work_tree $(setting PATH_TO_GIT_WORK_TREE .env)"
}

prepare() {
  folder=$work_tree
  while [ ! -e "$folder" ]; do folder=$(dirname "$folder"); done
  if [ ! -d "$folder" ] || [ ! -w "$folder" ]; then
    fail "PATH_TO_GIT_WORK_TREE ($work_tree) is not writable for $(id -un)." "look at $(ls -ld "$folder")"
  fi
  if [ ! -e "$repository/HEAD" ]; then
    git init --quiet --bare "$repository"
    git --git-dir="$repository" symbolic-ref HEAD "refs/heads/$branch"
  fi
  cd "$repository"
  mkdir -p hooks
  umask 077
  : >.env.new
  : >hooks/post-receive.new
  chmod 755 hooks/post-receive.new
}

place_settings() {
  cd "$repository"
  [ "$(git hash-object --no-filters .env.new)" = "$settings_hash" ] || fail "The settings arrived damaged." "run this again"
  if [ -f .env ]; then
    cp -p .env .env.before
    echo "  the old ones are in $repository/.env.before"
  fi
  mv -f .env.new .env
}

place_hook() {
  cd "$repository"
  [ "$(git hash-object --no-filters hooks/post-receive.new)" = "$hook_hash" ] || fail "The hook arrived damaged." "run this again"
  version=$(hooks/post-receive.new --version) || fail "The hook does not run on this server." "see above"
  echo "  $version"
  if [ -f hooks/post-receive ] && ! grep -q pushlive hooks/post-receive; then
    cp -p hooks/post-receive hooks/post-receive.before
    echo "  the old one is in $repository/hooks/post-receive.before"
  fi
  # A rename: a push that comes now finds the old hook or the new one, and a hook that runs keeps its file.
  mv -f hooks/post-receive.new hooks/post-receive
}

# Nobody can push but to this branch and tags, nor take back what was pushed, nor write what the hook records in
# refs/deploy. The others are what `deploy` asks the hook by. For git, the last line that fits a ref counts.
protect() {
  cd "$repository"
  rm -f .env.new hooks/post-receive.new
  chmod 600 .env
  git config --file config receive.denyNonFastForwards true
  git config --file config receive.denyDeletes true
  git config --file config --unset-all receive.hideRefs '^(refs|!refs/(heads|tags|deploy-[a-z]+)(/.*)?)$' || [ $? = 5 ]
  for ref in refs "!refs/heads/$branch" !refs/tags \
    "!refs/deploy-request/$branch" "!refs/deploy-again/$branch" "!refs/deploy-rollback/$branch" "!refs/deploy-check/$branch"; do
    git config --file config --add receive.hideRefs "$ref"
  done
  # Tells deploy whose hook this is, also before the first deployment has left its own refs there.
  git update-ref "refs/deploy/$branch/hook" "$(git hash-object -w --stdin </dev/null)"
}

# ---- What runs here.

quote() { # TEXT: for any shell
  printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"
}

# One of the functions above.
on_server() {
  {
    for name in repository branch work_tree settings_hash hook_hash; do echo "$name=$(quote "${!name-}")"; done
    echo 'set -eu'
    declare -f fail setting "$1"
    echo "$1 </dev/null"
  } | run_there 'sh -s'
}

upload() { # FILE TO
  gzip --fast --stdout "$1" | run_there "gzip --decompress --stdout > $(quote "$2")"
}

run_there() {
  if [ -z "$server" ]; then sh -c "$1"; else "${ssh[@]}" -- "$server" "$1"; fi
}

ssh=(ssh -T -o RemoteCommand=none)
env_file=.env
while [ $# -gt 0 ]; do
  case $1 in
    --ssh-dir) ssh+=(-F "$2/config" -o "UserKnownHostsFile=\"${2//%/%%}/known_hosts\"" -o StrictHostKeyChecking=yes) && shift 2 ;;
    --env-file) env_file=$2 && shift 2 ;;
    *) echo "$usage" && [ "$1" = --help ] && exit || exit 2 ;;
  esac
done
root=$(cd "$(dirname "$0")/.." && pwd)
url=${STAGING_REMOTE_REPO-}
[ -n "$url" ] || [ ! -f "$env_file" ] || url=$(setting STAGING_REMOTE_REPO "$env_file")

# As git takes it apart; ssh itself reads ssh://user@host:port.
case $url in
  '') fail "STAGING_REMOTE_REPO is missing." "set it in the environment or in $env_file" ;;
  ssh://*/*)
    rest=${url#ssh://}
    server=ssh://${rest%%/*}
    repository=$(printf '%b' "$(sed 's/\\/\\\\/g; s/%\([0-9A-Fa-f][0-9A-Fa-f]\)/\\x\1/g' <<<"/${rest#*/}")")
    case $repository in /~*) repository=${repository#/} ;; esac
    ;;
  *://*) fail "STAGING_REMOTE_REPO is no address for ssh: $url" "write user@host:path or ssh://user@host:port/path" ;;
  \[*:*:*\]:*) server=ssh://${url%%\]:*}] repository=${url#*\]:} ;;
  \[*\]:*) server=ssh://$(sed 's/^\[//; s/\]:.*//' <<<"$url") repository=${url#*\]:} ;;
  *@\[*\]:*) server=ssh://${url%%\]:*}] repository=${url#*\]:} ;;
  *:*) server=${url%%:*} repository=${url#*:} ;;
  *) server='' repository=$url ;;
esac
# A colon behind a slash is part of a local path.
case $server in ssh://*) ;; */*) server='' repository=$url ;; esac
if [ -n "$server" ]; then
  # One login for all, where the path of a socket in TMPDIR is not too long for that.
  private=$(mktemp -d)
  trap '"${ssh[@]}" -O exit -- "$server" 2>/dev/null || :; rm -rf "$private"' EXIT
  ssh+=(-o "ControlPath=\"$private/ssh\"" -o ControlPersist=60)
  [ ${#private} -gt 80 ] || ssh+=(-o ControlMaster=auto)
fi

echo "LOOKING AT THE SERVER (${server:-this machine}) ..."
facts=$(on_server look)
fact() { sed -n "s/^pushlive: $1 //p" <<<"$facts"; }
repository=$(fact repository)
[ -n "$repository" ] || fail "The server did not answer." "see above"

settings=${HOOK_ENV:-server.env}
if [ -z "${HOOK_ENV-}" ] && [ -n "$(fact settings)" ]; then
  settings=
  branch=$(fact branch)
  work_tree=$(fact work_tree)
elif [ -f "$settings" ]; then
  branch=$(setting BRANCH_NAME "$settings")
  work_tree=$(setting PATH_TO_GIT_WORK_TREE "$settings")
  settings_hash=$(git hash-object --no-filters "$settings")
else
  fail "There are no settings for the hook: $settings is not there." "copy the hook's part of .env.example to $settings"
fi
branch=${branch:-main}
git check-ref-format "refs/heads/$branch" || fail "BRANCH_NAME cannot be a branch: $branch" "mend it in ${settings:-$(fact settings)}"
case $work_tree in
  /*) ;;
  *) fail "PATH_TO_GIT_WORK_TREE is not an absolute path: $work_tree" "mend it in ${settings:-$(fact settings)}" ;;
esac

case $(fact platform) in
  'Linux x86_64' | 'Linux amd64') platform=linux-x64 ;;
  'Linux aarch64' | 'Linux arm64') platform=linux-arm64 ;;
  *) platform="$(fact platform)" ;;
esac
hook=${HOOK_BINARY:-$root/dist/$platform/post-receive}
[ -n "${HOOK_BINARY-}" ] || [ -f "$hook" ] || hook=$root/dist/release/post-receive-$platform
[ -f "$hook" ] || fail "The server is $platform, and there is no hook for it in ${HOOK_BINARY:-$root/dist}." "make release"
hook_hash=$(git hash-object --no-filters "$hook")

if [ -n "$(fact exists)" ]; then
  echo "KEEPING THE REPOSITORY ($repository) ..."
else
  echo "CREATING THE REPOSITORY ($repository) ..."
fi
on_server prepare

if [ -z "$settings" ]; then
  echo "KEEPING THE SETTINGS ($(fact settings); HOOK_ENV=FILE replaces them) ..."
else
  echo "COPYING THE SETTINGS ($settings) ..."
  upload "$settings" "$repository/.env.new"
  on_server place_settings
fi

if [ "$(fact hook)" = "$hook_hash" ]; then
  echo "KEEPING THE HOOK (it is the same) ..."
else
  echo "COPYING THE HOOK ($hook) ..."
  upload "$hook" "$repository/hooks/post-receive.new"
  on_server place_hook
fi

echo "PROTECTING THE REPOSITORY (only $branch can be pushed, and only forward) ..."
on_server protect
echo "A push of $branch to $url is deployed to $work_tree now."
