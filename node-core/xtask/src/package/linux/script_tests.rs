//! Debian's scripts below a root of their own, with tools that only write down what they are asked.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::template::Values;
use super::{filled, tree};

/// A system that is none: `root` is where it is, `tools` what its programs are.
struct System {
    folder: tempfile::TempDir,
}

/// Tools that have something to do; all others succeed without doing anything.
const TOOLS: [(&str, &str); 5] = [
    ("getent", "[ \"$2\" = 1000 ] && echo ada:x:1000:1000::/home/ada:/bin/sh"),
    // It runs what it is given, under an account that is not there.
    ("setpriv", "shift 3; exec \"$@\""),
    ("dpkg", "[ \"$(printf '%s\\n%s' \"$2\" \"$4\" | sort -V | tail -n 1)\" = \"$2\" ]"),
    // The administrator disables it by a file.
    ("deb-systemd-helper", "[ \"$2\" != was-enabled ] || [ ! -e \"$DPKG_ROOT/disabled\" ]"),
    ("systemd-sysusers", ""),
];
const SILENT_TOOLS: [&str; 6] =
    ["chown", "usermod", "userdel", "groupdel", "systemctl", "deb-systemd-invoke"];

/// What asks questions: the answer is that of a file.
const QUESTIONS: &str = "db_version() { :; }; db_stop() { :; }; db_fset() { :; }; db_go() { :; }
db_input() { echo \"ask $2\" >> \"$root/log\"; }
db_get() { RET=$(cat \"$root/answer\"); }
db_purge() { echo forget >> \"$root/log\"; }
";

impl System {
    fn new() -> Self {
        let system = Self { folder: tempfile::tempdir().unwrap() };
        let program = |path: PathBuf, text: String| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            tree::set_mode(&path, 0o755).unwrap();
        };
        let log = |name: &str| format!("echo \"{name} $*\" >> \"$DPKG_ROOT/log\"");
        for (name, text) in TOOLS {
            program(system.at("tools").join(name), format!("{}\n{text}", log(name)));
        }
        for name in SILENT_TOOLS {
            program(system.at("tools").join(name), log(name));
        }
        program(system.at("usr/bin/planetaryd"), "echo \"# $1\"".to_owned());
        program(system.at("usr/share/debconf/confmodule"), QUESTIONS.to_owned());
        system
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Runs a script as version 1.2.3 of the package brings it.
    fn run_with(&self, script: &str, words: &[&str], environment: &[(&str, &str)]) -> Output {
        let values = Values::from([
            ("PACKAGE", "planetary-network".to_owned()),
            ("VERSION", "1.2.3".to_owned()),
        ]);
        fs::write(self.at("script"), filled(&format!("deb/{script}"), &values).unwrap()).unwrap();
        let path = format!("{}:/usr/bin:/bin", self.at("tools").display());
        let mut command = Command::new("sh");
        command.arg(self.at("script")).args(words).env_clear();
        command.env("PATH", path).env("DPKG_ROOT", self.folder.path());
        command.envs(environment.iter().copied()).output().unwrap()
    }

    fn run(&self, script: &str, words: &[&str]) -> String {
        let output = self.run_with(script, words, &[]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{script} {words:?}: {told}");
        told
    }

    /// What the tools were asked since the last time.
    fn log(&self) -> String {
        let text = fs::read_to_string(self.at("log")).unwrap_or_default();
        fs::write(self.at("log"), "").unwrap();
        text
    }

    fn mode(&self, path: &str) -> u32 {
        fs::metadata(self.at(path)).unwrap().permissions().mode() & 0o7777
    }
}

const CONFIG: &str = "etc/planetary/config.toml";
const KEY: &str = "var/lib/planetary/identity.pem";

#[test]
fn first_installation_makes_account_folders_and_configuration() {
    let system = System::new();
    system.run("postinst", &["configure", ""]);
    let log = system.log();
    assert!(log.contains("systemd-sysusers --root="), "{log}");
    assert!(log.contains("deb-systemd-helper enable planetaryd.service"), "{log}");
    assert_eq!(system.mode("etc/planetary"), 0o750);
    assert_eq!(system.mode("var/lib/planetary"), 0o700);
    assert_eq!(system.mode(CONFIG), 0o600);
    assert_eq!(fs::read_to_string(system.at(CONFIG)).unwrap(), "# genconf\n");
    // The folder is the account's, which must not make root write elsewhere.
    assert!(log.contains("setpriv --reuid=planetary --regid=planetary --clear-groups"), "{log}");
    for folder in ["etc/planetary", "var/lib/planetary"] {
        let owner = format!("chown planetary:planetary {}", system.at(folder).display());
        assert!(log.contains(&owner), "{log}");
    }
}

#[test]
fn whoever_installs_joins_the_group_and_is_told() {
    for variable in ["SUDO_UID", "PKEXEC_UID", "PACKAGEKIT_CALLER_UID"] {
        let system = System::new();
        let output = system.run_with("postinst", &["configure", ""], &[(variable, "1000")]);
        assert!(String::from_utf8_lossy(&output.stderr).contains("ada may use the node now"));
        assert!(system.log().contains("usermod -a -G planetary ada\n"), "{variable}");
    }
    for nobody in ["", "0", "1001", "1000; reboot", "-1", "ada"] {
        let system = System::new();
        let output = system.run_with("postinst", &["configure", ""], &[("SUDO_UID", nobody)]);
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("usermod -aG planetary NAME"));
        assert!(!system.log().contains("usermod"), "{nobody}");
    }
}

#[test]
fn upgrade_keeps_what_is_there_and_what_was_decided() {
    let system = System::new();
    system.run("postinst", &["configure", ""]);
    fs::write(system.at(CONFIG), "peers = [] # mine\n").unwrap();
    fs::write(system.at("disabled"), "").unwrap();
    system.log();
    let output = system.run_with("postinst", &["configure", "1.0.0"], &[("SUDO_UID", "1000")]);
    assert!(output.status.success());
    let log = system.log();
    assert!(!log.contains("usermod") && !log.contains("helper enable"), "{log}");
    assert_eq!(fs::read_to_string(system.at(CONFIG)).unwrap(), "peers = [] # mine\n");
    assert_eq!(system.run("prerm", &["upgrade", "2.0.0"]), "");
}

#[test]
fn older_version_is_refused_and_the_way_out_is_told() {
    let system = System::new();
    let refused = system.run_with("preinst", &["upgrade", "1.10.0"], &[]);
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("1.2.3 is older") && told.contains("identity export"), "{told}");
    for words in [&["upgrade", "1.2.2"][..], &["install"], &["install", "1.10.0"]] {
        assert_eq!(system.run("preinst", words), "");
    }
}

/// A system from which the package was removed, with key and configuration of its own.
fn removed(answer: &str) -> System {
    let system = System::new();
    system.run("postinst", &["configure", ""]);
    fs::write(system.at(KEY), "key").unwrap();
    fs::write(system.at("answer"), answer).unwrap();
    system.run("prerm", &["remove"]);
    fs::remove_file(system.at("usr/bin/planetaryd")).unwrap();
    system.run("postrm", &["remove"]);
    assert!(exists(&system.at(KEY)) && exists(&system.at(CONFIG)));
    system.log();
    system
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

#[test]
fn purge_asks_and_keeps_the_identity_unless_told_otherwise() {
    let system = removed("false");
    let told = system.run("postrm", &["purge"]);
    assert!(told.contains("kept: /var/lib/planetary"), "{told}");
    let log = system.log();
    assert!(log.contains("ask planetary-network/delete-identity\n"), "{log}");
    assert!(log.contains("forget\n") && !log.contains("userdel"), "{log}");
    assert!(exists(&system.at(KEY)) && exists(&system.at(CONFIG)));
}

#[test]
fn purge_with_the_identity_leaves_nothing() {
    let system = removed("true");
    assert_eq!(system.run("postrm", &["purge"]), "");
    let log = system.log();
    for done in ["userdel planetary", "groupdel planetary", "helper purge", "forget"] {
        assert!(log.contains(done), "{done} is not in {log}");
    }
    assert!(!exists(&system.at("etc/planetary")) && !exists(&system.at("var/lib/planetary")));
}

#[test]
fn purge_of_a_package_that_another_took_over_from_touches_nothing() {
    let system = removed("true");
    fs::write(system.at("usr/bin/planetaryd"), "of the other package").unwrap();
    assert_eq!(system.run("postrm", &["purge"]), "");
    assert_eq!(system.log(), "forget\n");
    assert!(exists(&system.at(KEY)) && exists(&system.at(CONFIG)));
}
