//! Every command against the mock service, over a real socket, as a person or a script runs it.
//!
//! What they print is compared with the files in `golden/`. After a change of the output,
//! `PLANETARY_BLESS=1 cargo test -p planetary` writes them anew; read the difference.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a step that fails ends its test")]

mod running;

use std::process::Stdio;
use std::time::Duration;

use planetary_ipc::mock::Mock;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use running::{Run, Service, golden, planetary, run};

/// A node whose peer in Tokyo was lost three seconds ago.
const SECOND: u64 = 45;

/// Runs a command in text and in JSON, each against a fresh service, and compares both.
async fn both_forms(name: &str, arguments: &[&str]) {
    for (form, json) in [("txt", false), ("json", true)] {
        let service = Service::start(Mock::after(SECOND));
        let mut arguments = arguments.to_vec();
        arguments.extend(json.then_some("--json"));
        let run = run(&service, &arguments).await;
        golden(&format!("{name}.{form}"), &run.transcript(&service));
        if json {
            let parsed: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
            assert!(parsed.is_object());
        }
    }
}

/// What a script is told in JSON: one line with an error of this code.
fn error_of(run: &Run, code: &str) -> serde_json::Value {
    assert_eq!((run.stdout.as_str(), run.stderr.lines().count()), ("", 1), "{}", run.stderr);
    let parsed: serde_json::Value = serde_json::from_str(&run.stderr).unwrap();
    assert_eq!(parsed["error"]["code"], code, "{parsed}");
    assert!(parsed["error"]["message"].is_string() && parsed["error"].get("hint").is_some());
    parsed["error"].clone()
}

/// A node with a path and a session.
fn library() -> String {
    target_with_role("session")
}

/// A node that loses every third echo, for which second 45 is a good moment and 46 is not.
fn lighthouse() -> String {
    target_with_role("path")
}

fn target_with_role(role: &str) -> String {
    use planetary_ipc::server::Handler;
    use planetary_ipc::{PeerCredentials, Reply, Request};
    let caller = PeerCredentials { uid: None, pid: None, right: None };
    let mock = Mock::settled();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let asking = async move { mock.handle(Request::Topology { page: 0 }, caller).await };
    let answer = std::thread::spawn(move || runtime.block_on(asking)).join().unwrap();
    let Ok(Reply::Topology(topology)) = answer else { panic!("no topology") };
    let has = |node: &&planetary_ipc::Node| {
        let roles = serde_json::to_string(&node.roles).unwrap();
        roles.ends_with(&format!("\"{role}\"]"))
    };
    topology.nodes.iter().find(has).unwrap().address.to_string()
}

#[tokio::test]
async fn status() {
    both_forms("status", &["status"]).await;
}

#[tokio::test]
async fn up_and_down() {
    both_forms("up", &["up"]).await;
    both_forms("down", &["down"]).await;
}

#[tokio::test]
async fn nodes_are_explored() {
    both_forms("explore", &["explore", &library()]).await;
    both_forms("explore-closed", &["explore", &lighthouse()]).await;
    both_forms_failing("explore-unreachable", 1, &["explore", "200::1"]).await;
}

#[tokio::test]
async fn settings_are_shown_and_changed() {
    both_forms("settings", &["settings"]).await;
    both_forms("settings-set", &["settings", "set", "echo", "everyone"]).await;
    for arguments in [
        &["settings", "set", "inbound", "nobody"][..],
        &["settings", "set", "sessions", "everyone"],
        &["settings", "set", "node_info_privacy", "false"],
        &["settings", "set", "lan", "false"],
        &["settings", "set", "transit", "leaf"],
        &["settings", "set", "save_on_battery", "false"],
        &["settings", "set", "save_on_metered", "false"],
        &["settings", "set", "gateway_socks", "127.0.0.1:1080"],
        &["settings", "set", "gateway_http", "[::1]:8080"],
        &["settings", "set", "metrics", "127.0.0.1:9090"],
        &["settings", "set", "metrics", ""],
        &["settings", "set", "log_level", "debug"],
        &["settings", "set", "public_list_url", "https://list.example/peers.json"],
        &["settings", "set", "public_list_url", ""],
        &["settings", "set", "public_list_key", &"0a".repeat(32)],
    ] {
        let service = Service::start(Mock::after(SECOND));
        let run = run(&service, arguments).await;
        let value = if arguments[3].is_empty() { "-" } else { arguments[3] };
        let setting = format!("  {} ", arguments[2]);
        let line = run.stdout.lines().find(|line| line.starts_with(&setting)).unwrap();
        assert_eq!((run.code, line.ends_with(&format!("  {value}"))), (0, true), "{line}");
    }
}

#[tokio::test]
async fn setting_that_makes_no_sense_is_refused() {
    let url = ["settings", "set", "public_list_url", "gopher://a"];
    both_forms_failing("settings-set-url", 2, &url).await;
    let service = Service::start(Mock::after(SECOND));
    for arguments in [
        &["settings", "set", "inbound", "friends"][..],
        &["settings", "set", "sessions", "nobody"],
        &["settings", "set", "node_info_privacy", "maybe"],
        &["settings", "set", "log_level", ""],
        &["settings", "set", "colour", "blue"],
        &["settings", "set", "transit", "none"],
        &["settings", "set", "metrics", "0.0.0.0:9090"],
        &["settings", "set", "gateway_socks", "0"],
        &["settings", "set", "inbound"],
    ] {
        assert_eq!(run(&service, arguments).await.code, 2, "{arguments:?}");
    }
}

#[tokio::test]
async fn listeners_come_and_go() {
    both_forms("listener-add", &["listener", "add", "tls://[::]:9001?password=secret"]).await;
    both_forms_failing("listener-add-twice", 1, &["listener", "add", "tls://[::]:12345"]).await;
    both_forms_failing("listener-add-taken", 1, &["listener", "add", "tcp://[::]:80"]).await;
    both_forms_failing("listener-add-nonsense", 2, &["listener", "add", "sock://[::]:9001"]).await;
    both_forms("listener-remove", &["listener", "remove", "tls://[::]:12345"]).await;
    both_forms_failing("listener-remove-unknown", 1, &["listener", "remove", "tls://[::]:9"]).await;
}

#[tokio::test]
async fn a_port_alone_is_one_of_this_computer_and_none_ends_it() {
    let service = Service::start(Mock::after(SECOND));
    for (value, shown) in [("1080", "  127.0.0.1:1080"), ("none", "  -")] {
        let run = run(&service, &["settings", "set", "gateway_socks", value]).await;
        let line = run.stdout.lines().find(|line| line.contains("gateway_socks")).unwrap();
        assert!(line.ends_with(shown), "{line}");
    }
}

#[tokio::test]
async fn local_networks_are_shown_and_trusted() {
    both_forms("lan", &["lan"]).await;
    both_forms("lan-trust", &["lan", "trust", "wlan0"]).await;
    both_forms("lan-distrust", &["lan", "distrust", "Harbour Cafe"]).await;
    both_forms_failing("lan-unknown", 1, &["lan", "trust", "attic"]).await;
    let service = Service::start(Mock::after(SECOND));
    run(&service, &["settings", "set", "lan", "false"]).await;
    golden("lan-off.txt", &run(&service, &["lan"]).await.transcript(&service));
}

#[tokio::test]
async fn ports_are_forwarded_listed_and_let_go() {
    both_forms("forward-none", &["forward", "list"]).await;
    both_forms("forward-out", &["forward", "out", "8080", "ada.pln.internal:80"]).await;
    both_forms("forward-in", &["forward", "in", "53", "[::1]:5353", "--udp"]).await;
    both_forms_failing("forward-wide", 2, &["forward", "out", "0.0.0.0:1", "[200::1]:1"]).await;
    both_forms_failing("forward-unknown", 1, &["forward", "remove", "7"]).await;

    let service = Service::start(Mock::after(SECOND));
    run(&service, &["forward", "out", "8080", "ada.pln.internal:80"]).await;
    run(&service, &["forward", "in", "53", "5353", "--udp"]).await;
    let twice = run(&service, &["forward", "out", "127.0.0.1:8080", "[200::1]:1"]).await;
    assert!(twice.code == 1 && twice.stderr.contains("is forwarded already"), "{}", twice.stderr);
    service.mock.tick();
    for (form, arguments) in
        [("txt", &["forward", "list"][..]), ("json", &["forward", "list", "--json"])]
    {
        let listed = run(&service, arguments).await;
        golden(&format!("forward-list.{form}"), &listed.transcript(&service));
    }
    run(&service, &["down"]).await;
    let listed = run(&service, &["forward", "list"]).await;
    assert_eq!(listed.stdout.matches(" down ").count(), 2, "{}", listed.stdout);
    let removed = run(&service, &["forward", "remove", "2"]).await;
    golden("forward-remove.txt", &removed.transcript(&service));
}

#[tokio::test]
async fn doctor() {
    both_forms("doctor", &["doctor"]).await;
}

#[tokio::test]
async fn report_is_shown() {
    both_forms("doctor-report", &["doctor", "--report"]).await;
}

#[tokio::test]
async fn report_is_saved_after_a_yes_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let service = Service::start(Mock::after(SECOND));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.txt");
    let file = path.to_str().unwrap();
    // Nobody is there to say yes.
    let unasked = run(&service, &["doctor", "--report", file]).await;
    assert_eq!((unasked.code, path.exists()), (2, false), "{}", unasked.stderr);
    assert!(unasked.stderr.contains("hint: add --yes"), "{}", unasked.stderr);

    let saved = run(&service, &["doctor", "--report", file, "--yes"]).await;
    assert_eq!(saved.code, 0, "{}", saved.stderr);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, saved.stdout);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let again = run(&service, &["doctor", "--report", file, "--yes", "--json"]).await;
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("add --force"), "{}", again.stderr);
    let forced = run(&service, &["doctor", "--report", file, "--yes", "--force", "--json"]).await;
    assert_eq!(forced.code, 0);
    let saved: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert!(saved["pseudonyms_last"].is_boolean());
}

#[tokio::test]
async fn report_is_asked_about_on_a_terminal() {
    for (answer, kept) in [("y\n", true), ("\n", false), ("nay\n", false)] {
        let service = Service::start(Mock::after(SECOND));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.txt");
        let arguments = ["doctor", "--report", path.to_str().unwrap()];
        let mut terminal = running::Terminal::run(&service, &arguments);
        terminal.until("[y/N]").await;
        assert!(!path.exists(), "saved before it was asked");
        terminal.press(answer);
        let (code, seen) = terminal.end().await;
        assert_eq!((code, path.exists()), (Some(0), kept), "{seen}");
    }
}

#[tokio::test]
async fn logs() {
    both_forms("logs", &["logs"]).await;
    let service = Service::start(Mock::after(SECOND));
    let run = run(&service, &["logs", "-n", "1", "--level", "warn"]).await;
    golden("logs-warn.txt", &run.transcript(&service));
}

#[tokio::test]
async fn address() {
    both_forms("address", &["address"]).await;
    both_forms("address-subnet", &["address", "--subnet"]).await;
    both_forms("address-key", &["address", "--key"]).await;
}

#[tokio::test]
async fn peers() {
    both_forms("peer-list", &["peer", "list"]).await;
    both_forms("peer-add", &["peer", "add", "tls://new.example:443?password=secret"]).await;
    both_forms("peer-remove", &["peer", "remove", "tls://tokyo.example:9001"]).await;
}

#[tokio::test]
async fn peers_are_paused_and_resumed() {
    both_forms("peer-pause", &["peer", "pause", "tls://tokyo.example:9001"]).await;
    both_forms("peer-resume", &["peer", "resume", "tls://tokyo.example:9001"]).await;
    let service = Service::start(Mock::after(SECOND));
    run(&service, &["peer", "pause", "tcp://192.0.2.77:12345"]).await;
    let listed = run(&service, &["peer", "list"]).await;
    let line = listed.stdout.lines().find(|line| line.contains("192.0.2.77")).unwrap();
    assert!(line.contains(" paused "), "{}", listed.stdout);
}

#[tokio::test]
async fn peers_are_tested() {
    both_forms("peer-test", &["peer", "test"]).await;
    let uris = ["tls://berlin.example:443?password=secret", "tcp://192.0.2.130:7"];
    both_forms("peer-test-some", &["peer", "test", uris[0], uris[1]]).await;
    let service = Service::start(Mock::after(SECOND));
    let silent = run(&service, &["peer", "test", uris[1]]).await;
    assert_eq!(silent.code, 1);
}

#[tokio::test]
async fn public_peers_are_listed_tested_and_chosen() {
    both_forms("peer-public", &["peer", "public"]).await;
    let filter = ["--country", "United States", "--transport", "tls"];
    both_forms("peer-public-filter", &[&["peer", "public", "--list"][..], &filter].concat()).await;
    both_forms("peer-public-none", &["peer", "public", "--search", "moon"]).await;
    both_forms("peer-public-test", &["peer", "public", "--test", "--region", "europe"]).await;
    both_forms("peer-public-best", &["peer", "public", "--best", "2"]).await;
    both_forms("peer-public-add", &["peer", "public", "--best", "--add"]).await;

    let service = Service::start(Mock::after(SECOND));
    run(&service, &["peer", "public", "--best", "1", "--add"]).await;
    let listed = run(&service, &["peer", "list"]).await;
    assert!(listed.stdout.contains("tls://berlin.example:443 (chosen)"), "{}", listed.stdout);
}

#[tokio::test]
async fn topology() {
    both_forms("topology", &["topology"]).await;
    let service = Service::start(Mock::after(SECOND));
    let run = run(&service, &["topology", "--dot"]).await;
    golden("topology.dot", &run.transcript(&service));
}

#[tokio::test]
async fn path() {
    both_forms("path", &["path", &library()]).await;
}

#[tokio::test]
async fn ping() {
    both_forms("ping", &["ping", "-c", "2", &library()]).await;
    let service = Service::start(Mock::after(SECOND + 2));
    let run = run(&service, &["ping", "-c", "1", "-W", "0.5", &lighthouse()]).await;
    golden("ping-unanswered.txt", &run.transcript(&service));
    assert_eq!(run.code, 1);
}

#[tokio::test]
async fn identity() {
    both_forms("identity-show", &["identity", "show"]).await;
}

#[tokio::test]
async fn requests_that_fail_say_why_and_what_to_do() {
    let strangers = "200::1";
    for (name, arguments) in [
        ("peer-add-twice", &["peer", "add", "tls://frankfurt.example:443?key=x"][..]),
        ("peer-remove-unknown", &["peer", "remove", "tcp://nobody.example:1"]),
        ("path-unreachable", &["path", strangers]),
        ("peer-pause-unknown", &["peer", "pause", "tcp://nobody.example:1"]),
        ("peer-public-nowhere", &["peer", "public", "--country", "atlantis"]),
        ("peer-public-refresh-off", &["peer", "public", "--refresh"]),
    ] {
        both_forms_failing(name, 1, arguments).await;
    }
    // A wrong argument is wrong usage, whoever finds it.
    both_forms_failing("peer-add-nonsense", 2, &["peer", "add", "nonsense"]).await;
}

async fn both_forms_failing(name: &str, code: i32, arguments: &[&str]) {
    for (form, json) in [("txt", false), ("json", true)] {
        let service = Service::start(Mock::after(SECOND));
        let mut arguments = arguments.to_vec();
        arguments.extend(json.then_some("--json"));
        let run = run(&service, &arguments).await;
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{name}");
        golden(&format!("{name}.{form}"), &run.transcript(&service));
        if json {
            let parsed: serde_json::Value = serde_json::from_str(&run.stderr).unwrap();
            assert!(parsed["error"]["code"].is_string());
        }
    }
}

#[tokio::test]
async fn node_that_is_down_is_a_finding_of_the_doctor() {
    let service = Service::start(Mock::after(SECOND));
    assert_eq!(run(&service, &["down"]).await.code, 0);
    let run = run(&service, &["doctor"]).await;
    golden("doctor-down.txt", &run.transcript(&service));
    assert_eq!(run.code, 0);
}

#[tokio::test]
async fn service_that_is_not_there_is_exit_code_3() {
    let service = Service::nowhere();
    for arguments in [
        &["status"][..],
        &["up"],
        &["down"],
        &["watch"],
        &["address"],
        &["peer", "list"],
        &["topology"],
        &["path", "200::1"],
        &["ping", "200::1"],
        &["identity", "show"],
    ] {
        let run = run(&service, arguments).await;
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{arguments:?}");
    }
    let run_status = run(&service, &["status"]).await;
    golden("unreachable.txt", &run_status.transcript(&service));
    let run_status = run(&service, &["status", "--json"]).await;
    golden("unreachable.json", &run_status.transcript(&service));
    let run_doctor = run(&service, &["doctor"]).await;
    golden("doctor-unreachable.txt", &run_doctor.transcript(&service));
    assert_eq!(run_doctor.code, 3);
}

#[tokio::test]
async fn dead_socket_and_other_file_are_named() {
    let service = Service::nowhere();
    drop(std::os::unix::net::UnixListener::bind(&service.path).unwrap());
    let dead = run(&service, &["status"]).await;
    golden("dead-socket.txt", &dead.transcript(&service));

    std::fs::remove_file(&service.path).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(&service.path).unwrap();
    std::fs::remove_file(&service.path).unwrap();
    std::fs::write(&service.path, "no socket").unwrap();
    let file = run(&service, &["status"]).await;
    golden("no-socket.txt", &file.transcript(&service));
    error_of(&run(&service, &["status", "--json"]).await, "unreachable");
}

#[tokio::test]
async fn path_that_is_too_long_for_a_socket_is_said_to_be() {
    let service = Service::nowhere();
    for len in [200, 100_000] {
        let path = format!("/tmp/{}", "x".repeat(len));
        let run = run(&service, &["status", "--control", &path]).await;
        assert_eq!((run.code, run.stdout.as_str()), (3, ""));
        assert!(run.stderr.starts_with("planetary: /tmp/xxxx"), "{}", run.stderr);
        assert!(run.stderr.contains("bytes is too long (named by --control)\n"), "{}", run.stderr);
        assert!(run.stderr.len() < 500, "{}", run.stderr);
    }
}

#[tokio::test]
async fn service_that_hangs_is_named_and_to_be_restarted() {
    let service = Service::nowhere();
    let _listener = std::os::unix::net::UnixListener::bind(&service.path).unwrap();
    let (doctor, status) = tokio::join!(run(&service, &["doctor"]), run(&service, &["status"]));
    golden("doctor-hanging.txt", &doctor.transcript(&service));
    golden("hanging.txt", &status.transcript(&service));
}

#[tokio::test]
async fn service_that_does_not_finish_its_checks_is_a_finding_of_the_doctor() {
    let service = Service::stuck();
    let run = run(&service, &["doctor"]).await;
    golden("doctor-stuck.txt", &run.transcript(&service));
    assert_eq!(run.code, 1);
}

#[tokio::test]
async fn variable_names_the_socket_and_the_option_wins() {
    let service = Service::start(Mock::after(SECOND));
    let variable = planetary().arg("address").env("PLANETARY_CONTROL", &service.path).output();
    assert!(variable.await.unwrap().status.success());
    let option = planetary()
        .args(["--control", service.path.to_str().unwrap(), "address"])
        .env("PLANETARY_CONTROL", "/nowhere")
        .output();
    assert!(option.await.unwrap().status.success());
}

#[tokio::test]
async fn wrong_usage_is_exit_code_2() {
    let service = Service::start(Mock::after(SECOND));
    for arguments in [
        &[][..],
        &["fly"],
        &["status", "--fast"],
        &["peer"],
        &["peer", "add"],
        &["path", "2001:db8::1"],
        &["path", "moon"],
        &["ping", "200::1", "--timeout", "0"],
        &["address", "--key", "--subnet"],
        &["topology", "--dot", "--json"],
        &["identity"],
        &["peer", "add", ""],
        &["peer", "remove", ""],
        &["ping", "-c", "-1", "200::1"],
        &["ping", "-W", "-1", "200::1"],
    ] {
        let text = run(&service, arguments).await;
        assert_eq!((text.code, text.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(!text.stderr.is_empty() && !text.stderr.contains("tip:"), "{}", text.stderr);
        let json = run(&service, &[arguments, &["--json"]].concat()).await;
        assert_eq!(json.code, 2, "{arguments:?}");
        error_of(&json, "usage");
    }
    let run = run(&service, &["path", "moon"]).await;
    golden("path-moon.txt", &run.transcript(&service));
}

#[tokio::test]
async fn wrong_usage_in_json_says_what_is_wrong_and_what_to_do() {
    let service = Service::nowhere();
    for (arguments, message, hint) in [
        (
            &["--json", "status", "--fast"][..],
            "unexpected argument '--fast' found",
            "Usage: planetary status [OPTIONS]",
        ),
        (
            &["--json", "path"],
            "the following required arguments were not provided: <ADDR>",
            "Usage: planetary path <ADDR>",
        ),
        (
            &["status", "--jsn", "--json"],
            "unexpected argument '--jsn' found",
            "a similar argument exists: '--json'",
        ),
        (&["--json", "peer"], "a command is missing", "Usage: planetary peer [OPTIONS] <COMMAND>"),
    ] {
        let error = error_of(&run(&service, arguments).await, "usage");
        assert_eq!((&error["message"], &error["hint"]), (&message.into(), &hint.into()));
    }
}

#[tokio::test]
async fn long_argument_is_shortened_in_the_answer() {
    let service = Service::start(Mock::after(SECOND));
    let long = "x".repeat(100_000);
    let option = format!("--{long}");
    for arguments in [
        &["peer", "add", &long][..],
        &["peer", "add", "tcp://host.example:1", "--interface", &long],
        &["peer", "remove", &long],
        &["path", &long],
        &["ping", "200::1", "-c", &long],
        &["ping", "200::1", &format!("-c{long}")],
        &[&long],
        &["status", &option],
    ] {
        for json in [false, true] {
            let mut arguments = arguments.to_vec();
            arguments.extend(json.then_some("--json"));
            let run = run(&service, &arguments).await;
            assert_eq!(run.code, 2);
            assert!(run.stderr.contains("xxx…") && run.stderr.len() < 1_000, "{}", run.stderr);
        }
    }
}

#[tokio::test]
async fn help_and_version_are_done() {
    let service = Service::nowhere();
    for arguments in [&["--help"][..], &["help", "ping"], &["--version"], &["peer", "--help"]] {
        let run = run(&service, arguments).await;
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{arguments:?}");
        assert!(!run.stdout.is_empty());
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn output_that_cannot_be_written_is_a_failure() {
    let service = Service::start(Mock::after(SECOND));
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    for arguments in [&["status"][..], &["up"], &["--help"], &["ping", "--help"], &["--version"]] {
        let mut command = planetary();
        command.args(arguments).env("PLANETARY_CONTROL", &service.path);
        let child = command.stdout(full()).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().await.unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(stderr.starts_with("planetary: cannot write the output: "), "{stderr}");
    }
}

#[tokio::test]
async fn reader_that_has_heard_enough_is_no_failure() {
    let service = Service::start(Mock::after(SECOND));
    for arguments in [&["status"][..], &["topology", "--json"], &["watch"], &["watch", "--json"]] {
        let mut child = planetary()
            .args(arguments)
            .arg("--control")
            .arg(&service.path)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().await.unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[tokio::test]
async fn watch_prints_a_line_per_change_and_ends_with_the_service() {
    let service = Service::start(Mock::new());
    let mut child = planetary()
        .args(["watch", "--control", service.path.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = String::new();
    // Each second is let pass once what the one before it changed was printed.
    for last_of_second in ["tcp://[fe80::5c:1%eth0]:43210 connecting", "cannot be reached", "state"]
    {
        loop {
            let line = lines.next_line().await.unwrap().unwrap();
            seen += &line;
            seen.push('\n');
            if line.contains(last_of_second) {
                break;
            }
        }
        service.mock.tick();
    }
    golden("watch.txt", &seen);
    service.stop().await;
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(3));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with("planetary: the connection to the service was lost\n"), "{stderr}");
}

#[tokio::test]
async fn watch_in_json_begins_with_the_whole_state() {
    let service = Service::start(Mock::settled());
    let mut child = planetary()
        .args(["watch", "--json", "--control", service.path.to_str().unwrap()])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async || {
        let line = lines.next_line().await.unwrap().unwrap();
        serde_json::from_str::<serde_json::Value>(&line).unwrap()
    };
    let first = next().await;
    assert_eq!((&first["seq"], &first["event"]["type"]), (&0.into(), &"status".into()));
    assert_eq!(first["event"]["state"], "connected");
    service.mock.tick();
    let second = next().await;
    assert_eq!((&second["seq"], &second["event"]["type"]), (&1.into(), &"traffic".into()));
    assert_eq!(second["event"]["time"], service.mock.status().time.0);
}

#[tokio::test]
async fn watch_on_a_terminal_draws_and_leaves_no_trace() {
    let mut service = Service::start(Mock::settled());
    let mut terminal = running::Terminal::run(&service, &["watch"]);
    terminal.until("5 of 6 peers connected").await;
    assert!(terminal.seen.starts_with("\x1b[?1049h\x1b[?25l\x1b[H"), "{:?}", terminal.seen);
    assert!(!running::is_cooked(&terminal.keyboard()));
    assert!(terminal.seen.contains("\x1b[32mconnected\x1b[0m"));
    let widest = terminal.widest_line();
    assert!(widest <= usize::from(running::COLUMNS), "{widest} columns");

    // The service goes and comes back: the view stays.
    service.end().await;
    terminal.until("trying again").await;
    service.restart(Mock::after(95));
    terminal.until("\x1b[33mdegraded\x1b[0m").await;

    terminal.interrupt();
    let (code, rest) = terminal.end().await;
    assert_eq!(code, Some(0));
    assert!(rest.ends_with("\x1b[?25h\x1b[?1049l"), "{rest:?}");
}

#[tokio::test]
async fn watch_fits_the_terminal_and_ends_with_q() {
    let service = Service::start(Mock::after(SECOND));
    let mut terminal = running::Terminal::run_sized(&service, &["watch"], &[], (24, 80));
    terminal.until("q ends this view").await;
    let screen = terminal.seen.rsplit("\x1b[H").next().unwrap();
    assert!(screen.lines().count() <= 24, "{screen}");
    for part in ["4 of 6 peers connected", "  tls://frankfurt", "33mwarning\x1b[0m: A peer does"] {
        assert!(screen.contains(part), "{part:?} is missing in {screen}");
    }
    assert!(terminal.widest_line() <= 80);

    terminal.press("xq");
    terminal.until("\x1b[?25h\x1b[?1049l").await;
    let keyboard = terminal.keyboard();
    let (code, seen) = terminal.end().await;
    assert_eq!(code, Some(0));
    assert!(running::is_cooked(&keyboard));
    assert!(!seen.contains("xq"), "typed keys are shown: {seen:?}");
}

#[tokio::test]
async fn watch_on_a_terminal_that_cannot_draw_prints_a_line_per_change() {
    let service = Service::start(Mock::after(SECOND));
    for term in ["dumb", ""] {
        let mut terminal = running::Terminal::run_with(&service, &["watch"], &[("TERM", term)]);
        terminal.until("health A peer does not answer").await;
        terminal.interrupt();
        let (code, seen) = terminal.end().await;
        assert_eq!(code, Some(0));
        assert!(seen.contains("Z state connected\r\n") && !seen.contains('\x1b'), "{seen:?}");
    }
}

#[tokio::test]
async fn colours_are_for_terminals_and_can_be_turned_off() {
    let service = Service::start(Mock::settled());
    let (_, coloured) = running::Terminal::run(&service, &["status"]).end().await;
    assert!(coloured.contains("\x1b[32mconnected\x1b[0m"), "{coloured:?}");
    let (_, plain) =
        running::Terminal::run_with(&service, &["status"], &[("NO_COLOR", "1")]).end().await;
    assert!(plain.contains("connected") && !plain.contains('\x1b'), "{plain:?}");
    let Run { stdout, .. } = run(&service, &["status"]).await;
    assert!(!stdout.contains('\x1b'));
}

#[tokio::test]
async fn ping_that_is_interrupted_prints_its_summary() {
    let service = Service::start(Mock::settled());
    let target = library();
    let mut child = planetary()
        .args(["ping", "--count", "0", &target, "--control", service.path.to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("seq=1 ") {
        stdout.read_line(&mut text).await.unwrap();
    }
    running::interrupt(&child);
    tokio::time::timeout(Duration::from_secs(20), stdout.read_to_string(&mut text))
        .await
        .unwrap()
        .unwrap();
    assert!(text.contains(" answered, 0 % lost\nround trip: shortest "), "{text}");
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn ping_without_an_answer_yet_says_whom_it_asks_and_how_far_it_came() {
    let service = Service::stuck();
    let mut child = planetary()
        .args(["ping", "200::1", "--control", service.path.to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    stdout.read_line(&mut text).await.unwrap();
    assert_eq!(text, "ping 200::1\n");
    // The first request is on its way once the program waits for signals.
    service.asked().await;
    running::interrupt(&child);
    stdout.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "ping 200::1\n\n1 sent, 0 answered, 100 % lost\n");
    assert_eq!(child.wait().await.unwrap().code(), Some(1));
}
