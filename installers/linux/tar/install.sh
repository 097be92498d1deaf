#!/bin/sh
# Installs Planetary Network below /usr/local, for systems without packages of ours: programs, the
# service and what belongs to them. To be run as root, from the unpacked folder. A second run
# upgrades. `uninstall.sh`, which it leaves in /usr/local/share/planetary, takes all of it away.
set -eu
root=
programs=/usr/local/bin
account_file=/usr/local/lib/sysusers.d/planetary.conf
unit=planetaryd.service
own=/usr/local/share/planetary

#include service.sh

here=$(cd "$(dirname "$0")" && pwd)
if [ "$(id -u)" != 0 ]; then
    say "run it as root: sudo $0"
    exit 1
fi
if [ -e /usr/bin/planetaryd ]; then
    say "a package has installed it already; remove that first"
    exit 1
fi
first=yes
[ ! -e "$own/installed" ] || first=no

# Folders that are made here are noted, so that those which were there stay.
: > "$here/made"
[ ! -e "$own/folders" ] || cat "$own/folders" > "$here/made"
# Files replace those of the same name by renaming, so that a program that runs is no obstacle.
cd "$here/files"
find . -type f | sed 's|^\./||' | sort > "$here/installed"
while read -r file; do
    folder=$(dirname "$file")
    while [ ! -d "/$folder" ]; do
        echo "$folder" >> "$here/made"
        folder=$(dirname "$folder")
    done
    mkdir -p "/$(dirname "$file")"
    cp -p "$file" "/$file.new"
    chown root:root "/$file.new"
    mv -f "/$file.new" "/$file"
    if has restorecon; then
        restorecon "/$file" || true
    fi
done < "$here/installed"
mkdir -p "$own"
install -m 0644 "$here/installed" "$own/installed"
install -m 0644 "$here/made" "$own/folders"
install -m 0755 "$here/uninstall.sh" "$own/uninstall.sh"

make_account_and_folders
make_configuration
[ "$first" = no ] || invite_installer
if has systemctl; then
    [ "$first" = no ] || systemctl enable "$unit"
    if systemd_runs; then
        systemctl daemon-reload
        systemctl restart "$unit" || say_why
    fi
fi
for tool in update-desktop-database:applications gtk-update-icon-cache:icons/hicolor; do
    if has "${tool%%:*}" && [ -d "/usr/local/share/${tool#*:}" ]; then
        "${tool%%:*}" "/usr/local/share/${tool#*:}" > /dev/null 2>&1 || true
    fi
done
say "installed; to take it away again: sudo /usr/local/share/planetary/uninstall.sh"
