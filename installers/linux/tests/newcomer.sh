# shellcheck shell=bash
# Part of walk.sh: ada opens the app for the first time, as WebKit's driver lets her, on a display
# without a screen. There is one other node, which is all that the network in here has.
# shellcheck disable=SC2154 # variables of walk.sh

say "a newcomer opens the app"
as_ada mkdir -p /home/ada/other /home/ada/runtime
inside chmod 0700 /home/ada/runtime
as_ada sh -c 'cd /home/ada/other && planetaryd run --tun none --no-lan --state-dir . \
    --control control.sock --listen tcp://127.0.0.1:9001 > log 2>&1 &'
as_ada planetary peer add tcp://127.0.0.1:9001 > /dev/null
as_ada sh -c 'Xvfb :7 -screen 0 1100x760x24 -nolisten tcp > /dev/null 2>&1 &'
as_ada sh -c 'XDG_RUNTIME_DIR=/home/ada/runtime GDK_BACKEND=x11 DISPLAY=:7 LANG=en_US.UTF-8 \
    LC_ALL= TAURI_WEBVIEW_AUTOMATION=true dbus-run-session -- \
    WebKitWebDriver --host=127.0.0.1 --port=4444 > /home/ada/driver.log 2>&1 &'

# The driver speaks HTTP on the loopback of the network in there.
driver() { # METHOD PATH [BODY]
    nsenter --target "$leader" --net curl -s --max-time 30 -X "$1" \
        -H 'Content-Type: application/json' ${3:+--data "$3"} "http://127.0.0.1:4444$2"
}
value() { python3 -c 'import json, sys
value = json.load(sys.stdin)["value"]
for name in sys.argv[1:]:
    value = value[name]
print(value)' "$@"; }
patiently() { # WHAT COMMAND...
    local what=$1
    shift
    for _ in $(seq 150); do
        "$@" && return
        sleep 0.2
    done
    picture failed || true
    fail "$what; the driver says: $(tail -n 3 "$root/home/ada/driver.log")"
}
open_app() {
    local wish='{"capabilities": {"alwaysMatch": {"webkitgtk:browserOptions":
        {"binary": "/usr/bin/planetary-network", "args": []}}}}'
    session=$(driver POST /session "$wish" | value sessionId 2> /dev/null)
}
on_page() { # EXPRESSION: what it gives
    local script
    script=$(python3 -c 'import json, sys
print(json.dumps({"script": "return " + sys.argv[1], "args": []}))' "$1")
    driver POST "/session/$session/execute/sync" "$script" | value
}
text() { on_page "(document.querySelector('[data-testid=$1]') || {innerText: ''}).innerText"; }
click() {
    local found
    found=$(on_page "(function (button) {
        if (button) { button.click(); }
        return Boolean(button);
    })(document.querySelector('[data-testid=$1]:not([disabled])'))") 2> /dev/null
    [ "$found" = True ]
}
reads() { # NAME TEXT
    text "$1" 2> /dev/null | grep -q "$2"
}
picture() { # NAME
    driver GET "/session/$session/screenshot" | value | base64 -d > "$work/$1.png"
}

patiently "the app does not open" open_app
patiently "no welcome" reads welcome-what .
picture newcomer-1-welcome
patiently "the welcome cannot be skipped" click welcome-skip
patiently "not connected" reads state-word Connected
expect "the address in the window" "$(text own-address)" "$(cat "$work/address")"
picture newcomer-2-connected
patiently "it cannot be switched off" click connect-toggle
patiently "not off" reads state-word Off
picture newcomer-3-off
patiently "it cannot be switched on" click connect-toggle
patiently "not connected again" reads state-word Connected
say "connected, off, connected again; address $(cat "$work/address")"
driver DELETE "/session/$session" > /dev/null
as_ada planetary peer remove tcp://127.0.0.1:9001 > /dev/null
# All that is ada's in there.
inside sh -c 'for process in /proc/[0-9]*; do
    [ "$(stat -c %u "$process" 2> /dev/null)" != 1000 ] ||
        kill "${process#/proc/}" 2> /dev/null || true
done'
