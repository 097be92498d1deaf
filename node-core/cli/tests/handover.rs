//! Backups and imports against the mock service, as a person or a script asks for them.
//!
//! Golden files as in `commands.rs`; the names of temporary files are replaced.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a step that fails ends its test")]

#[allow(dead_code, reason = "other tests use the rest")]
mod running;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use planetary_ipc::mock::Mock;
use tokio::io::AsyncWriteExt;

use running::{Run, Service, Terminal, golden, is_cooked, planetary, run};

const PASSPHRASE: &str = "correct horse battery";

/// A folder with the files of a test, and a service.
struct Desk {
    dir: tempfile::TempDir,
    service: Service,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
        Self { dir, service: Service::start(Mock::after(45)) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Runs a command; `@name` stands for a file of the folder.
    async fn run(&self, line: &str) -> Run {
        let words: Vec<_> = line.split(' ').map(|word| self.word(word)).collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        run(&self.service, &words).await
    }

    fn word(&self, word: &str) -> String {
        match word.strip_prefix('@') {
            Some(name) => self.path(name).display().to_string(),
            None => word.to_owned(),
        }
    }

    /// Compares what a command leaves with a golden file.
    async fn golden(&self, name: &str, line: &str) -> Run {
        let run = self.run(line).await;
        let shown = run.transcript(&self.service);
        golden(name, &shown.replace(self.dir.path().to_str().unwrap(), "DIR"));
        run
    }
}

#[tokio::test]
async fn export_makes_a_private_file_once() {
    let desk = Desk::new();
    let line = "identity export @b --passphrase-file @passphrase";
    desk.golden("identity-export.txt", line).await;
    let file = desk.path("b");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("planetary-backup") && !text.contains(PASSPHRASE), "{text}");

    desk.golden("identity-export-exists.txt", line).await;
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    desk.golden("identity-export.json", &format!("{line} --force --json")).await;
    let stdout = desk.run("identity export - --passphrase-file @passphrase").await;
    assert_eq!((stdout.code, stdout.stdout), (0, text));
}

#[tokio::test]
async fn export_without_a_passphrase_that_is_one_is_refused() {
    let desk = Desk::new();
    desk.file("short", "seven77\n");
    desk.golden("identity-export-weak.txt", "identity export @b --passphrase-file @short").await;
    desk.golden("identity-export-nobody.txt", "identity export @b").await;
    desk.golden("identity-export-folder.txt", "identity export @no/b").await;
    assert!(!desk.path("b").exists());
}

#[tokio::test]
async fn passphrase_comes_from_standard_input() {
    let desk = Desk::new();
    let mut child = planetary()
        .args(["identity", "export", "--passphrase-file", "-"])
        .arg(desk.path("b"))
        .env("PLANETARY_CONTROL", &desk.service.path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(PASSPHRASE.as_bytes()).await.unwrap();
    assert!(child.wait().await.unwrap().success());
    assert!(desk.path("b").exists());
}

#[tokio::test]
async fn import_of_another_identity_needs_replace_and_a_yes() {
    let desk = Desk::new();
    desk.file("other", "{\"format\": \"planetary-backup\", \"address\": \"206::\"}");
    let line = "identity import @other --passphrase-file @passphrase";
    let key = || desk.service.mock.status().key;
    let before = key();
    desk.golden("identity-import-refused.txt", line).await;
    desk.golden("identity-import-dry.txt", &format!("{line} --dry-run")).await;
    desk.golden("identity-import-unasked.txt", &format!("{line} --replace")).await;
    assert_eq!(key(), before);
    desk.golden("identity-import.txt", &format!("{line} --replace --yes")).await;
    assert_ne!(key(), before);
    desk.golden("identity-import-same.json", &format!("{line} --json")).await;
}

#[tokio::test]
async fn import_takes_a_key_file_and_names_what_is_none() {
    let desk = Desk::new();
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n";
    desk.file("key.pem", pem);
    desk.golden("identity-import-key.txt", "identity import @key.pem --replace -y").await;
    desk.file("notes", "remember the milk\n");
    desk.golden("identity-import-notes.txt", "identity import @notes").await;
    desk.golden("identity-import-missing.json", "identity import @nowhere --json").await;
    desk.file("wrong", "wrong horse battery\n");
    desk.file("b", "{\"format\": \"planetary-backup\"}");
    desk.golden("identity-import-wrong.txt", "identity import @b --passphrase-file @wrong").await;
    desk.file("blob", "");
    fs::write(desk.path("blob"), [0xff; 9]).unwrap();
    assert_eq!(desk.run("identity import @blob").await.code, 1);
}

/// Types where nothing is shown, which is a moment after the question is.
async fn answer(terminal: &mut Terminal, question: &str, text: &str) {
    terminal.until(question).await;
    let keyboard = terminal.keyboard();
    while is_cooked(&keyboard) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    terminal.press(text);
}

#[tokio::test]
async fn passphrase_is_typed_twice_and_not_shown() {
    let desk = Desk::new();
    let file = desk.path("b").display().to_string();
    let mut terminal = Terminal::run(&desk.service, &["identity", "export", &file]);
    answer(&mut terminal, "Passphrase for the backup: ", "correct horse battery\r").await;
    answer(&mut terminal, "The same again: ", "correct horse battery\r").await;
    terminal.until("Saved a backup").await;
    let (code, seen) = terminal.end().await;
    assert_eq!(code, Some(0));
    assert!(!seen.contains("horse"), "{seen}");

    let other = desk.path("c").display().to_string();
    let mut terminal = Terminal::run(&desk.service, &["identity", "export", &other]);
    answer(&mut terminal, "Passphrase for the backup: ", "correct horse battery\r").await;
    answer(&mut terminal, "The same again: ", "correct house battery\r").await;
    terminal.until("differ").await;
    assert_eq!(terminal.end().await.0, Some(1));
    assert!(!desk.path("c").exists());
}

#[tokio::test]
async fn yes_on_a_terminal_replaces_and_no_does_not() {
    let desk = Desk::new();
    desk.file("key.pem", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n");
    let file = desk.path("key.pem").display().to_string();
    let before = desk.service.mock.status().key;
    for (answer, code) in [("no\n", 1), ("\n", 1), ("yes\n", 0)] {
        assert_eq!(desk.service.mock.status().key, before);
        let arguments = ["identity", "import", &file, "--replace"];
        let mut terminal = Terminal::run(&desk.service, &arguments);
        terminal.until("[y/N] ").await;
        terminal.press(answer);
        assert_eq!(terminal.end().await.0, Some(code), "{answer:?}");
    }
    assert_ne!(desk.service.mock.status().key, before);
}

const CONFIG: &str = r#"{
  # Your private key. DO NOT share this with anyone!
  PrivateKey: 00
  Peers: [
    tls://one.example:443?password=hVq3Zk8sT1
    "quic://two.example:443"
  ]
  Listen: []
  MulticastInterfaces: [
    { Regex: ".*", Beacon: true, Listen: true }
  ]
  IfName: auto
  NodeInfoPrivacy: false
  Sauce: hVq3Zk8sT1
}
"#;

#[tokio::test]
async fn import_shows_what_is_taken_and_what_not() {
    let desk = Desk::new();
    desk.file("yggdrasil.conf", CONFIG);
    desk.golden("import-dry.txt", "import @yggdrasil.conf --dry-run").await;
    desk.golden("import-refused.txt", "import @yggdrasil.conf").await;
    desk.golden("import-unasked.txt", "import @yggdrasil.conf --keep-identity").await;
    desk.golden("import-keep.txt", "import @yggdrasil.conf --keep-identity --yes").await;
    desk.golden("import.json", "import @yggdrasil.conf --replace --yes --json").await;
    desk.golden("import-again.txt", "import @yggdrasil.conf --dry-run").await;
}

#[tokio::test]
async fn import_names_files_that_are_something_else() {
    let desk = Desk::new();
    desk.file("own.toml", "version = 1\npeers = []\n");
    desk.golden("import-own.txt", "import @own.toml").await;
    desk.file("list.conf", "{\n  Peers: [ tls://one.example:443 ]\n}\n");
    desk.golden("import-syntax.txt", "import @list.conf").await;
    desk.file("notes", "remember: the milk\n");
    desk.golden("import-notes.json", "import @notes --json").await;
    desk.file("path.conf", "{ PrivateKeyPath: key.pem\n}");
    desk.golden("import-no-key.txt", "import @path.conf").await;
    assert_eq!(desk.run("import @path.conf --keep-identity").await.code, 0);
}
