# What every package does around its files; stands in place of the line `#include service.sh` of
# its scripts. `root` is where the system is, empty for the one that runs; `programs` is the folder
# of the programs, `account_file` the list of the account.

# As sd_booted(3) finds out. In a container or below another root nothing is started.
systemd_runs() {
    [ -z "$root" ] && [ -d /run/systemd/system ]
}

# After the service could not be started.
say_why() {
    say "the service did not start; see why: journalctl -u planetaryd -n 20"
}

has() {
    command -v "$1" > /dev/null 2>&1
}

say() {
    echo "planetary-network: $*" >&2
}

# The node's account and its folders. The configuration can hold passwords, the state folder holds
# the key.
make_account_and_folders() {
    if has systemd-sysusers; then
        systemd-sysusers ${root:+"--root=$root"} "$account_file"
    elif ! getent passwd planetary > /dev/null; then
        useradd --system --user-group --no-create-home --home-dir /var/lib/planetary \
            --shell /usr/sbin/nologin planetary
    fi
    make_folder /etc/planetary 0750
    make_folder /var/lib/planetary 0700
}

make_folder() {
    mkdir -p "$root$1"
    chown planetary:planetary "$root$1"
    chmod "$2" "$root$1"
}

# A configuration of defaults where there is none. The folder is the account's own, so it is the
# account that writes: root would follow whatever link it finds there.
make_configuration() {
    if [ ! -e "$root/etc/planetary/config.toml" ]; then
        defaults=$("$root$programs/planetaryd" genconf)
        printf '%s\n' "$defaults" | setpriv --reuid=planetary --regid=planetary --clear-groups \
            sh -c 'umask 077 && cat > "$1"' sh "$root/etc/planetary/config.toml"
    fi
}

# Lets the person who installs use the node: the one behind sudo, pkexec or a software centre.
invite_installer() {
    person=${SUDO_UID:-${PKEXEC_UID:-${PACKAGEKIT_CALLER_UID:-0}}}
    case $person in
    '' | *[!0-9]* | 0) person= ;;
    *) person=$(getent passwd "$person" | cut -d : -f 1) ;;
    esac
    if [ -n "$person" ] && usermod -a -G planetary "$person"; then
        say "$person may use the node now, as a member of the group planetary"
    else
        say "whoever is to use the node joins its group: usermod -aG planetary NAME"
    fi
}
