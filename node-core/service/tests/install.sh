#!/bin/bash
# Installs, runs and removes the service for real, in a mount and network namespace of its own: what
# is written to the system's folders lands in overlays that end with the namespace. Runs the program
# with exactly the account and the one capability that the unit gives it. Called by install.rs as
# root, with the program as its argument.
set -euo pipefail
program=$1

fail() { echo "FAILED: $*"; exit 1; }
expect() { [ "$2" = "$3" ] || fail "$1 is \"$2\", not \"$3\""; }

layers=$(mktemp -d)
mount -t tmpfs none "$layers"
for folder in etc usr/local var/lib run; do
    layer=$layers/${folder//\//-}
    mkdir -p "$layer/upper" "$layer/work"
    options=lowerdir=/$folder,upperdir=$layer/upper,workdir=$layer/work
    mount -t overlay overlay -o "$options" "/$folder"
done
# The device as systems with a device manager have it.
mknod -m 666 "$layers/tun" c 10 200
mount --bind "$layers/tun" /dev/net/tun
ip link set lo up
# No service manager in here, whatever runs outside.
[ ! -d /run/systemd ] || mount -t tmpfs none /run/systemd

"$program" install > "$layers/report"
grep -q "systemd does not run here" "$layers/report" || fail "the report: $(cat "$layers/report")"
owner_and_mode() { stat -c "%U:%G %a" "$1"; }
expect "/etc/planetary" "$(owner_and_mode /etc/planetary)" "planetary:planetary 750"
expect "config.toml" "$(owner_and_mode /etc/planetary/config.toml)" "planetary:planetary 600"
expect "/var/lib/planetary" "$(owner_and_mode /var/lib/planetary)" "planetary:planetary 700"
expect "the program" "$(owner_and_mode /usr/local/bin/planetaryd)" "root:root 755"
expect "the unit" "$(owner_and_mode /etc/systemd/system/planetaryd.service)" "root:root 644"
planetaryd=/usr/local/bin/planetaryd
"$planetaryd" check-config > /dev/null

# As the unit runs it.
install -d -o planetary -g planetary -m 755 /run/planetary
command=$(sed -n 's/^ExecStart=//p' /etc/systemd/system/planetaryd.service)
as_service=(setpriv --reuid=planetary --regid=planetary --clear-groups --no-new-privs
    --inh-caps=-all,+net_admin --ambient-caps=-all,+net_admin --bounding-set=-all,+net_admin)
"${as_service[@]}" $command 2> "$layers/log" &
service=$!
for _ in $(seq 200); do
    [ -S /run/planetary/control.sock ] && break
    kill -0 "$service" 2> /dev/null || fail "the service ended: $(cat "$layers/log")"
    sleep 0.05
done
expect "the socket" "$(owner_and_mode /run/planetary/control.sock)" "planetary:planetary 660"
expect "the key" "$(owner_and_mode /var/lib/planetary/identity.pem)" "planetary:planetary 600"
ip -6 addr show dev planetary0 | grep -q "inet6 2.*/7 " || fail "no address on planetary0"
kill -TERM "$service"
wait "$service" || fail "the service did not end well: $(cat "$layers/log")"
! ip link show planetary0 2> /dev/null || fail "planetary0 is still there"
key=$(sha256sum < /var/lib/planetary/identity.pem)

"$planetaryd" uninstall > /dev/null
for gone in /usr/local/bin/planetaryd /etc/systemd/system/planetaryd.service /run/planetary; do
    [ ! -e "$gone" ] || fail "$gone is still there"
done
expect "the kept key" "$(sha256sum < /var/lib/planetary/identity.pem)" "$key"
"$program" install > /dev/null
expect "the key after another installation" "$(sha256sum < /var/lib/planetary/identity.pem)" "$key"

"$program" uninstall --purge > /dev/null
for gone in /etc/planetary /var/lib/planetary /run/planetary /usr/local/bin/planetaryd; do
    [ ! -e "$gone" ] || fail "$gone is still there"
done
! id planetary 2> /dev/null || fail "the account is still there"
echo "all as it should be"
