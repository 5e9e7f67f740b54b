#!/bin/sh
# make-debian.sh FOLDER: a Debian 12 that has nothing but sshd, sudo and a login, for machines to be made of. As root.
set -eu
folder=$1
debootstrap --variant=minbase --include=openssh-server,sudo,python3,ca-certificates bookworm "$folder" >/dev/null
chroot "$folder" useradd --create-home --shell /bin/bash --password '*' seita
echo 'seita ALL=(ALL) NOPASSWD: ALL' > "$folder/etc/sudoers.d/seita"
# sudo looks the machine's name up.
echo "127.0.0.1 localhost $(hostname)" > "$folder/etc/hosts"
# This machine may have certificates of its own.
cp --dereference /etc/ssl/certs/ca-certificates.crt "$folder/etc/ssl/certs/"
# A chroot has no process 1 of systemd's. systemd may come as a package's dependency.
chroot "$folder" dpkg-divert --quiet --local --no-rename --add /bin/systemctl
install -m 755 "$(dirname "$0")/systemctl" "$folder/usr/bin/systemctl"
cat > "$folder/usr/sbin/policy-rc.d" <<'EOF'
#!/bin/sh
# apt starts databases, in which root.sh makes the application's own, and no other service.
case $1 in postgresql | redis-server) exit 0 ;; esac
exit 101
EOF
chmod 755 "$folder/usr/sbin/policy-rc.d"
rm -f "$folder"/var/cache/apt/archives/*.deb
