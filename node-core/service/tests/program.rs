//! The program as a person meets it: words in, words and exit codes out.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs the program to its end. Its account has no home, so that words that are taken for right
/// ones make no node in the tester's own folders, and end all the same.
fn planetaryd(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_planetaryd"))
        .args(arguments)
        .env("HOME", "/dev/null")
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("XDG_STATE_HOME")
        .env_remove("RUST_LOG")
        .env_remove("PLANETARY_CONTROL")
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn exit_codes_are_0_1_and_2() {
    for (arguments, code) in [
        (&["--version"][..], 0),
        (&["--help"], 0),
        (&["run", "--help"], 0),
        (&["help"], 0),
        (&["help", "run"], 0),
        (&["genconf"], 0),
        (&[], 2),
        (&["walk"], 2),
        (&["run", "--peer", "gopher://h:1"], 2),
        (&["run", "--tun", "much too long for an interface"], 2),
        (&["check-config", "/nonexistent.toml"], 1),
        (&["run", "--config", "/nonexistent.toml"], 1),
    ] {
        let output = planetaryd(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn generated_file_passes_the_check() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    fs::write(&path, planetaryd(&["genconf"]).stdout).unwrap();
    let output = planetaryd(&["check-config", path.to_str().unwrap()]);
    assert_eq!(stdout(&output), format!("{}: no mistakes\n", path.display()));
    assert_eq!(output.status.code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn full_disk_behind_standard_output_is_told() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_planetaryd")).arg("genconf").stdout(full).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let words = stderr(&output);
    assert!(words.starts_with("standard output cannot be written: "), "{words}");
}

#[cfg(unix)]
#[test]
fn passwords_in_a_file_that_is_open_to_all_are_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = dir.path().join("config.toml");
    for (text, mode, warned) in [
        ("peers = [\"tcp://h:1?password=x\"]", 0o644, true),
        ("listen = [\"tcp://[::]:1?password=x\"]", 0o644, true),
        ("interface_peers.eth0 = [\"tcp://h:1?password=x\"]", 0o644, true),
        ("group_password = \"x\"", 0o604, true),
        ("group_password = \"x\"", 0o640, false),
        ("peers = [\"tcp://h:1\"]\ngroup_password = \"\"", 0o644, false),
    ] {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let output = planetaryd(&["check-config", path.to_str().unwrap()]);
        let words = stderr(&output);
        let remedy = format!("run `chmod o-r {}`", path.display());
        assert_eq!(words.contains(&remedy), warned, "{text} {mode:o}: {words}");
        assert_eq!(output.status.code(), Some(0));
    }
    fs::write(&path, "group_password = \"x\"").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o750)).unwrap();
    let words = stderr(&planetaryd(&["check-config", path.to_str().unwrap()]));
    assert!(!words.contains("chmod"), "nobody else comes into the folder: {words}");
}

#[test]
fn place_that_is_no_state_folder_is_named_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let refusal = |state: &Path| {
        let output = planetaryd(&["run", "--tun", "none", "--state-dir", state.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        stderr(&output)
    };
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let words = refusal(&file);
    assert!(words.starts_with(&format!("{}: not a folder; ", file.display())), "{words}");

    let lock = dir.path().join("state").join("service.lock");
    fs::create_dir_all(&lock).unwrap();
    let words = refusal(&dir.path().join("state"));
    let expected = format!("{}: not an ordinary file; move it away", lock.display());
    assert!(words.starts_with(&expected), "{words}");
}

#[test]
fn check_names_every_mistake_and_run_refuses_with_the_same_words() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    fs::write(&path, "peers = [\"wz://h:1\"]\n\n[tun]\nmut = 1500\n").unwrap();
    let path = path.to_str().unwrap();
    let expected = format!(
        "{path}:1: peers: \"wz://h:1\": unknown scheme wz, known are tcp, tls, quic, ws, wss, \
         unix, socks and sockstls; a URI looks like tls://host.example:443\n\
         {path}:4: tun.mut: unknown key; the nearest known one is tun.mtu\n"
    );
    let state = dir.path().join("state");
    for arguments in [
        &["check-config", path][..],
        &["run", "--config", path, "--state-dir", state.to_str().unwrap()],
    ] {
        let output = planetaryd(arguments);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(stderr(&output), expected);
    }
    assert!(!state.exists(), "a wrong configuration changes nothing");
}

#[test]
fn run_refuses_a_damaged_key_every_time_and_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path();
    fs::write(state.join("identity.pem"), "-----BEGIN PRIVATE KEY-----\nMC4CAQAw").unwrap();
    for round in 0..3 {
        let output = planetaryd(&["run", "--state-dir", state.to_str().unwrap(), "--tun", "none"]);
        assert_eq!(output.status.code(), Some(1), "round {round}");
        let words = stderr(&output);
        assert!(words.contains("identity.pem: the node's key is"), "{words}");
        assert!(words.contains("; to keep the address, put a copy of the key at"), "{words}");
        assert!(!state.join("identity.pem").exists());
    }
    assert_eq!(kept_keys(state), ["-----BEGIN PRIVATE KEY-----\nMC4CAQAw"]);
}

fn kept_keys(dir: &Path) -> Vec<String> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().to_str().unwrap().starts_with("identity.pem"))
        .map(|entry| fs::read_to_string(entry.path()).unwrap())
        .collect()
}

#[cfg(target_os = "linux")]
mod unit {
    use super::*;

    /// The unit with this test's program in it, because the check insists that the program exists.
    fn staged_unit(dir: &Path) -> std::path::PathBuf {
        let unit = include_str!("../../../installers/linux/planetaryd.service");
        let path = dir.join("planetaryd.service");
        fs::write(&path, unit.replace("/usr/bin/planetaryd", env!("CARGO_BIN_EXE_planetaryd")))
            .unwrap();
        path
    }

    /// Runs systemd's own tool, or returns `None` where there is none.
    fn analyze(arguments: &[&str], unit: &Path) -> Option<Output> {
        Command::new("systemd-analyze").args(arguments).arg(unit).output().ok()
    }

    #[test]
    fn systemd_finds_no_fault_in_the_unit() {
        let dir = tempfile::tempdir().unwrap();
        let unit = staged_unit(dir.path());
        let Some(output) = analyze(&["verify", "--man=no"], &unit) else {
            println!("skipped: no systemd-analyze here");
            return;
        };
        assert!(output.status.success() && output.stderr.is_empty(), "{}", stderr(&output));
    }

    #[test]
    fn exposure_of_the_service_stays_low() {
        let dir = tempfile::tempdir().unwrap();
        let unit = staged_unit(dir.path());
        // Tenths: 2.0 leaves the capability, the network and the TUN, and nothing else.
        let Some(output) = analyze(&["security", "--offline=true", "--threshold=20"], &unit) else {
            println!("skipped: no systemd-analyze here");
            return;
        };
        assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    }

    #[test]
    fn unit_names_the_places_of_the_design_and_one_capability() {
        let unit = include_str!("../../../installers/linux/planetaryd.service");
        assert!(unit.contains(
            "ExecStart=/usr/bin/planetaryd run --config /etc/planetary/config.toml \
             --state-dir /var/lib/planetary --control /run/planetary/control.sock\n"
        ));
        for line in [
            "User=planetary",
            "CapabilityBoundingSet=CAP_NET_ADMIN",
            "AmbientCapabilities=CAP_NET_ADMIN",
        ] {
            assert!(unit.lines().any(|found| found == line), "{line}");
        }
    }
}
