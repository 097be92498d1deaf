#!/bin/bash
# Goes through the life of the packages in a clean Debian: first without a running systemd, as in a
# container image, then under one that systemd-nspawn boots, with a network of its own that leads
# nowhere. Called by `cargo xtask package-test --all`, as root:
#
#   walk.sh BASE WORK OLD NEW
#
# BASE is a fresh Debian made by debootstrap, which is not changed; WORK a folder to work in; OLD
# and NEW hold packages of two versions. Pictures of the app are left in WORK.
set -euo pipefail
base=$1 work=$2 old=$3 new=$4
root=$work/root
here=$(cd "$(dirname "$0")" && pwd)

say() { echo "[walk] $*"; }
fail() {
    echo "FAILED: $*"
    if [ -n "${leader:-}" ]; then
        inside systemctl status --no-pager --lines=20 planetaryd.service || true
    fi
    exit 1
}
expect() { [ "$2" = "$3" ] || fail "$1 is \"$2\", not \"$3\""; }

cleanup() {
    trap - EXIT
    if [ -n "${nspawn:-}" ]; then
        # It ends with its system.
        [ -z "${leader:-}" ] || kill -9 "$leader" 2> /dev/null || true
        kill "$nspawn" 2> /dev/null || true
        wait "$nspawn" 2> /dev/null || true
    fi
    umount -R "$root/proc" 2> /dev/null || true
    rm -rf --one-file-system "$root"
}
trap cleanup EXIT

# --- a fresh system -----------------------------------------------------------------------------

rm -rf --one-file-system "$root"
mkdir -p "$work"
cp -a --reflink=auto "$base" "$root"
mkdir -p "$root/packages/old" "$root/packages/new"
cp "$old"/*.deb "$root/packages/old"
cp "$new"/*.deb "$new"/*.tar.gz "$root/packages/new"
full_old=$(cd "$root" && ls packages/old/planetary-network_*.deb)
full_new=$(cd "$root" && ls packages/new/planetary-network_*.deb)
bare_new=$(cd "$root" && ls packages/new/planetary-network-headless_*.deb)
version_of() { dpkg-deb -f "$root/$1" Version; }

plain=(env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
    DEBIAN_FRONTEND=noninteractive)
chrooted() { "${plain[@]}" ${proxy:+"$proxy"} chroot "$root" "$@"; }
proxy=${http_proxy:+http_proxy=$http_proxy}
# Nothing in here has to outlive a power cut.
echo force-unsafe-io > "$root/etc/dpkg/dpkg.cfg.d/hasty"
chrooted useradd --create-home --uid 1000 ada
mount -t proc none "$root/proc"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"

shows_the_app="xvfb webkit2gtk-driver fonts-noto-core dbus-daemon"
say "fetch what the packages depend on, while there is a network"
chrooted apt-get -q update > "$work/apt.log" 2>&1
for wanted in "/$full_new" "/$bare_new" "$shows_the_app"; do
    # shellcheck disable=SC2086 # several words
    chrooted apt-get -q -y --no-install-recommends --download-only install $wanted \
        >> "$work/apt.log" 2>&1 || fail "nothing could be fetched: $(tail -n 5 "$work/apt.log")"
done
# Behind this line there is no network but the packages that are there.
rm "$root/etc/resolv.conf"
apt_install=(apt-get -q -y --no-install-recommends install)

# Everything that packages may leave behind: paths with modes and owners, accounts.
snapshot() {
    (cd "$root" && find . -xdev \
        \( -path ./proc -o -path ./sys -o -path ./dev -o -path ./run -o -path ./tmp \
        -o -path ./packages -o -path ./root -o -path ./home -o -path ./var/cache \
        -o -path ./var/log -o -path ./var/lib/dpkg -o -path ./var/lib/apt \
        -o -path ./var/lib/systemd/catalog -o -path ./var/lib/systemd/timers \
        -o -path ./var/tmp -o -path ./var/backups \) -prune \
        -o ! -name '*-' -printf '%p %M %u %g\n' | sort
    cut -d: -f1,3,4 etc/passwd etc/group
    find var/lib/dpkg/info -name 'planetary*' | sort
    grep -l planetary var/cache/debconf/*.dat || true)
}
nothing_left() {
    snapshot > "$work/after"
    diff "$work/before" "$work/after" > "$work/leftovers" ||
        fail "left behind: $(cat "$work/leftovers")"
}
owner_and_mode() { stat -c '%u:%g %a' "$root$1"; }
service_account() { echo "$(chrooted id -u planetary):$(chrooted id -g planetary)"; }
key() { sha256sum < "$root/var/lib/planetary/identity.pem"; }
answer_purge() { # PACKAGE true|false
    echo "$1 $1/delete-identity boolean $2" | chrooted debconf-set-selections
}
rights_are_right() {
    local account
    account=$(service_account)
    expect "/etc/planetary" "$(owner_and_mode /etc/planetary)" "$account 750"
    expect "config.toml" "$(owner_and_mode /etc/planetary/config.toml)" "$account 600"
    expect "/var/lib/planetary" "$(owner_and_mode /var/lib/planetary)" "$account 700"
    for file in usr/bin/planetaryd usr/bin/planetary; do
        expect "$file" "$(owner_and_mode "/$file")" "0:0 755"
    done
}

# --- without systemd ----------------------------------------------------------------------------

say "without a running systemd: install, check, purge"
# The dependencies stay; only our packages are to leave nothing.
chrooted "${apt_install[@]}" libgcc-s1 passwd debconf >> "$work/apt.log" 2>&1
snapshot > "$work/before"
chrooted "${apt_install[@]}" "/$bare_new" > "$work/step.log" 2>&1 ||
    fail "install: $(cat "$work/step.log")"
grep -q 'usermod -aG planetary NAME' "$work/step.log" || fail "nobody is told how to join the group"
rights_are_right
chrooted planetaryd check-config > /dev/null || fail "the configuration is not sound"
[ -L "$root/etc/systemd/system/multi-user.target.wants/planetaryd.service" ] || fail "not enabled"
chrooted dpkg --verify planetary-network-headless > "$work/step.log"
[ ! -s "$work/step.log" ] || fail "files differ from the package: $(cat "$work/step.log")"
answer_purge planetary-network-headless true
chrooted apt-get -q -y purge planetary-network-headless > "$work/step.log" 2>&1 ||
    fail "purge: $(cat "$work/step.log")"
nothing_left

# --- under systemd ------------------------------------------------------------------------------

say "boot systemd"
umount "$root/proc"
# Debootstrap has left that no service is to start.
rm -f "$root/usr/sbin/policy-rc.d"
# As systems with a device manager have it.
rm -f "$work/tun"
mknod -m 0666 "$work/tun" c 10 200
systemd-nspawn --quiet --boot --directory="$root" --register=no --keep-unit \
    --machine=planetary-walk --private-network --console=pipe --bind="$work/tun:/dev/net/tun" \
    > "$work/boot.log" 2>&1 < /dev/null &
nspawn=$!
leader=
for _ in $(seq 100); do
    leader=$(pgrep -P "$nspawn" -x systemd || true)
    [ -z "$leader" ] || break
    sleep 0.1
done
[ -n "$leader" ] || fail "nothing was booted: $(cat "$work/boot.log")"
inside() { nsenter --target "$leader" --all -- "${plain[@]}" "$@"; }
# As somebody whose session is older than the package, or who has none.
as_ada() { inside setpriv --reuid=1000 --regid=1000 --clear-groups env HOME=/home/ada "$@"; }
for _ in $(seq 300); do
    state=$(inside systemctl is-system-running 2> /dev/null || true)
    case $state in running | degraded) break ;; esac
    sleep 0.2
done
case $state in running | degraded) ;; *) fail "systemd is $state" ;; esac
say "systemd is $state: $(inside systemctl --version | head -n 1)"

active() { inside systemctl is-active planetaryd.service || true; }
main_pid() { inside systemctl show -p MainPID --value planetaryd.service; }
until_it_answers() {
    for _ in $(seq 100); do
        inside planetary status --json > "$work/status.json" 2> /dev/null && return
        sleep 0.1
    done
    inside journalctl -u planetaryd -n 30 --no-pager
    fail "the service does not answer"
}
installed() { inside dpkg-query -W -f '${Version}' "$1" 2> /dev/null; }
step() { # TITLE COMMAND...
    local title=$1
    shift
    say "$title"
    inside "$@" > "$work/step.log" 2>&1 || fail "$title: $(tail -n 30 "$work/step.log")"
}

# Dependencies stay behind, which is not ours to count. What shows the app comes after them, so that
# it cannot bring what the package forgot.
libraries_are_there() {
    local missing
    missing=$(for program in "$@"; do inside ldd "$program"; done | grep 'not found' || true)
    [ -z "$missing" ] || fail "libraries are missing: $missing"
}
step "install the app and what it depends on, for the first time" "${apt_install[@]}" "/$full_new"
libraries_are_there /usr/bin/planetary-network /usr/bin/planetaryd /usr/bin/planetary
inside test -e /usr/lib/x86_64-linux-gnu/libayatana-appindicator3.so.1 ||
    fail "nothing for the tray"
answer_purge planetary-network true
step "purge" apt-get -q -y purge planetary-network
# shellcheck disable=SC2086 # several words
step "install what shows the app" "${apt_install[@]}" $shows_the_app
snapshot > "$work/before"

step "install, as ada by sudo" env SUDO_UID=1000 SUDO_USER=ada "${apt_install[@]}" "/$full_old"
grep -q 'ada may use the node now' "$work/step.log" ||
    fail "ada was not told: $(cat "$work/step.log")"
expect "the version" "$(installed planetary-network)" "$(version_of "$full_old")"
expect "the service" "$(active)" active
until_it_answers
rights_are_right
expect "the key" "$(owner_and_mode /var/lib/planetary/identity.pem)" "$(service_account) 600"
inside ip -6 addr show dev planetary0 2> /dev/null | grep -q 'inet6 2' ||
    inside cat /proc/net/if_inet6 | grep -q planetary0 || fail "no interface planetary0"
as_ada planetary address > "$work/address" || fail "ada cannot use the node"
expect "an account that is no member" "$(inside setpriv --reuid=1001 --regid=1001 --clear-groups \
    planetary address > /dev/null 2>&1 && echo in || echo out)" out
say "ada stops and starts the service, without a password"
as_ada systemctl --no-ask-password stop planetaryd.service || fail "ada cannot stop it"
expect "the service" "$(active)" inactive
as_ada systemctl --no-ask-password start planetaryd.service || fail "ada cannot start it"
expect "the service" "$(active)" active
as_ada systemctl --no-ask-password stop dbus.service 2> /dev/null &&
    fail "ada can stop other services"
as_ada systemctl --no-ask-password disable planetaryd.service 2> /dev/null &&
    fail "ada can disable it"
until_it_answers

first_key=$(key) first_pid=$(main_pid)
step "upgrade" "${apt_install[@]}" "/$full_new"
expect "the version" "$(installed planetary-network)" "$(version_of "$full_new")"
expect "the service" "$(active)" active
[ "$(main_pid)" != "$first_pid" ] || fail "the service was not restarted"
until_it_answers
expect "the key" "$(key)" "$first_key"

say "downgrade is refused"
inside "${apt_install[@]}" --allow-downgrades "/$full_old" > "$work/step.log" 2>&1 &&
    fail "it was not"
grep -q "is older" "$work/step.log" || fail "no reason: $(cat "$work/step.log")"
expect "the version" "$(installed planetary-network)" "$(version_of "$full_new")"
expect "the service" "$(active)" active
inside dpkg --audit > "$work/step.log"
[ ! -s "$work/step.log" ] || fail "dpkg is not content: $(cat "$work/step.log")"

say "the administrator's wish to have it disabled holds over an upgrade"
inside systemctl disable --now planetaryd.service 2> /dev/null
step "upgrade" "${apt_install[@]}" --reinstall "/$full_new"
expect "the service" "$(active)" inactive
expect "at boot" "$(inside systemctl is-enabled planetaryd.service || true)" disabled
inside systemctl enable --now planetaryd.service 2> /dev/null
until_it_answers

. "$here/newcomer.sh"

step "the package without the app takes over" "${apt_install[@]}" "/$bare_new"
expect "the app" "$(inside test -e /usr/bin/planetary-network && echo there || echo gone)" gone
expect "the service" "$(active)" active
expect "the key" "$(key)" "$first_key"
answer_purge planetary-network true
step "purging the other one takes nothing away" dpkg --purge planetary-network
expect "the service" "$(active)" active
expect "at boot" "$(inside systemctl is-enabled planetaryd.service || true)" enabled
expect "the key" "$(key)" "$first_key"
step "the package with the app takes over" "${apt_install[@]}" "/$full_new"
expect "the service" "$(active)" active
answer_purge planetary-network-headless true
step "purging the other one takes nothing away" dpkg --purge planetary-network-headless
expect "the key" "$(key)" "$first_key"

step "remove" apt-get -q -y remove planetary-network
expect "the service" "$(active)" inactive
expect "the programs" "$(ls "$root"/usr/bin/planetary* 2> /dev/null || true)" ""
expect "the key" "$(key)" "$first_key"
[ -e "$root/etc/planetary/config.toml" ] || fail "the configuration is gone"
step "install again" "${apt_install[@]}" "/$full_new"
expect "the service" "$(active)" active
until_it_answers
expect "the key" "$(key)" "$first_key"
expect "the address" "$(inside planetary address)" "$(cat "$work/address")"

answer_purge planetary-network false
step "purge, and keep the identity" apt-get -q -y purge planetary-network
grep -q 'kept: /var/lib/planetary' "$work/step.log" || fail "nobody is told what was kept"
expect "the key" "$(key)" "$first_key"
step "install again" "${apt_install[@]}" "/$full_new"
until_it_answers
expect "the key" "$(key)" "$first_key"
answer_purge planetary-network true
step "purge with the identity" apt-get -q -y purge planetary-network
nothing_left
inside id planetary > /dev/null 2>&1 && fail "the account is still there"

# --- the archive --------------------------------------------------------------------------------

archive=$(cd "$root" && ls packages/new/planetary-network-[0-9]*.tar.gz)
step "the archive: unpack" tar -xzf "/$archive" -C /packages
unpacked=/packages/$(basename "$archive" .tar.gz)
for time in first second; do
    step "the archive: install, the $time time" env SUDO_UID=1000 "$unpacked/install.sh"
    expect "the service" "$(active)" active
    until_it_answers
done
as_ada /usr/local/bin/planetary address > /dev/null || fail "ada cannot use the node"
libraries_are_there /usr/local/bin/planetary-network
first_key=$(key)
step "the archive: uninstall" /usr/local/share/planetary/uninstall.sh
expect "the service" "$(active)" inactive
expect "the key" "$(key)" "$first_key"
step "the archive: install and uninstall with all" sh -c \
    "$unpacked/install.sh && sh /usr/local/share/planetary/uninstall.sh --purge"
nothing_left

echo "all as it should be"
