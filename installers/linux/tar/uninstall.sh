#!/bin/sh
# Takes away what install.sh has put below /usr/local. The node's key and configuration stay, unless
# --purge is given: then the address is lost for good.
set -eu
unit=planetaryd.service
own=/usr/local/share/planetary

if [ "$(id -u)" != 0 ]; then
    echo "planetary-network: run it as root: sudo $0" >&2
    exit 1
fi
case ${1:-} in
'' | --purge) ;;
*)
    echo "usage: $0 [--purge]" >&2
    exit 2
    ;;
esac

if command -v systemctl > /dev/null; then
    systemctl disable "$unit" > /dev/null 2>&1 || true
    [ ! -d /run/systemd/system ] || systemctl stop "$unit" || true
fi
if [ -e "$own/installed" ]; then
    while read -r file; do
        rm -f "/$file"
    done < "$own/installed"
    # Folders that were made then, and that nobody else has put anything into.
    sort -r "$own/folders" | while read -r folder; do
        rmdir "/$folder" 2> /dev/null || true
    done
fi
rm -rf "$own"
[ ! -d /run/systemd/system ] || systemctl daemon-reload || true

if [ "${1:-}" = --purge ]; then
    rm -rf /etc/planetary /var/lib/planetary
    userdel planetary 2> /dev/null || true
    # It stays behind where it has other members.
    groupdel planetary 2> /dev/null || true
else
    echo "planetary-network: kept: /var/lib/planetary, which holds the node's key and so its" >&2
    echo "address, and /etc/planetary. To delete them: rm -r /var/lib/planetary /etc/planetary" >&2
fi
