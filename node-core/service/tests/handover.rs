//! Real services that are backed up, become somebody else, and take over what the real `yggdrasil`
//! was told.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use planetary_ipc::client::{self, RequestError};
use planetary_ipc::import::{ExportSecret, ImportSecret};
use planetary_ipc::{Client, ErrorCode, ForeignSettings, ImportOutcome, NodeKey, State, foreign};
use zeroize::Zeroizing;

/// Longest wait for anything; a healthy run needs a small part of it.
const PATIENCE: Duration = Duration::from_secs(30);

const PASSPHRASE: &str = "correct horse battery";

/// A folder with a service in it; killed when dropped.
struct Place {
    dir: tempfile::TempDir,
    child: Option<Child>,
}

impl Place {
    /// A place whose configuration is `config` and `tun.name = "none"`.
    async fn start(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.toml"), format!("{config}tun.name = \"none\"\n"))
            .unwrap();
        let mut place = Self { dir, child: None };
        place.restart().await;
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Gone already is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Kills the service, if it runs, and starts it.
    async fn restart(&mut self) {
        self.kill();
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_planetaryd"))
            .args(["run", "--no-lan", "--state-dir"])
            .arg(self.dir.path())
            .arg("--control")
            .arg(self.path("control.sock"))
            .env_remove("RUST_LOG")
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let deadline = Instant::now() + PATIENCE;
        while client::connect(&self.path("control.sock"), "test").await.is_err() {
            assert!(Instant::now() < deadline, "{}", self.text("log"));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn client(&self) -> Client {
        client::connect(&self.path("control.sock"), "test").await.unwrap().0
    }

    async fn key(&self) -> NodeKey {
        self.client().await.identity().await.unwrap().key
    }

    async fn export(&self) -> String {
        let secret = ExportSecret { passphrase: Zeroizing::new(PASSPHRASE.to_owned()) };
        self.client().await.export_identity(&secret).await.unwrap().text
    }

    fn former_keys(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.to_str().unwrap().contains(".replaced-")).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.kill();
    }
}

fn backup(text: &str, passphrase: &str) -> ImportSecret {
    let text = Zeroizing::new(text.to_owned());
    ImportSecret { passphrase: Some(Zeroizing::new(passphrase.to_owned())), text }
}

fn key_file(text: &str) -> ImportSecret {
    ImportSecret { passphrase: None, text: Zeroizing::new(text.to_owned()) }
}

fn code(error: RequestError) -> ErrorCode {
    error.code().unwrap()
}

#[tokio::test]
async fn identity_moves_to_another_node_and_back() {
    let (a, mut b) =
        (Place::start("").await, Place::start("listen = [\"tcp://127.0.0.1:0\"]\n").await);
    let (key_a, key_b) = (a.key().await, b.key().await);
    let text = a.export().await;
    assert!(text.contains(&key_a.to_string()) && !text.contains("BEGIN"), "{text}");

    let client = b.client().await;
    let secret = backup(&text, PASSPHRASE);
    let preview = client.import_identity(&secret, true, false).await.unwrap();
    assert_eq!((preview.before.key, preview.after.key), (key_b, key_a));
    assert!(preview.differs && !preview.applied && preview.kept.is_none());
    let refused = client.import_identity(&secret, false, false).await.unwrap_err();
    assert_eq!(code(refused), ErrorCode::IdentityExists);
    let wrong = backup(&text, "wrong horse battery");
    let refused = client.import_identity(&wrong, false, true).await.unwrap_err();
    assert_eq!(code(refused), ErrorCode::WrongPassphrase);
    assert_eq!((b.key().await, b.former_keys().len()), (key_b, 0));

    let pem = b.text("identity.pem");
    let done = client.import_identity(&secret, false, true).await.unwrap();
    assert!(done.applied && done.differs, "{done:?}");
    let kept = PathBuf::from(done.kept.unwrap());
    assert_eq!(fs::read_to_string(&kept).unwrap(), pem);
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    let status = client.status().await.unwrap();
    assert_eq!((status.key, status.address), (key_a, done.after.address));
    assert!(status.state != State::Down && status.listeners.len() == 1, "{status:?}");
    assert_eq!(b.text("identity.pem"), a.text("identity.pem"));

    // Again is nothing, and a killed service is who it was.
    let again = client.import_identity(&secret, false, false).await.unwrap();
    assert!(!again.differs && !again.applied);
    b.restart().await;
    assert_eq!(b.key().await, key_a);
    let back = b.client().await.import_identity(&key_file(&pem), false, true).await.unwrap();
    assert_eq!((back.after.key, b.key().await), (key_b, key_b));
    assert_eq!(b.former_keys().len(), 2);
    let log = b.text("log");
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
    assert!(!log.contains("horse") && !log.contains(pem.lines().nth(1).unwrap()), "{log}");
}

#[tokio::test]
async fn node_that_is_down_stays_down_and_its_numbers_are_its_own() {
    let mut place = Place::start("").await;
    let old = place.text("identity.pem");
    let key = place.key().await;
    place.client().await.down().await.unwrap();
    let numbers = place.text("sequence.json");
    assert!(numbers.contains(&key.to_string()), "{numbers}");
    let other = Place::start("").await;
    let pem = other.text("identity.pem");
    place.client().await.import_identity(&key_file(&pem), false, true).await.unwrap();
    assert_eq!(place.client().await.status().await.unwrap().state, State::Down);
    place.restart().await;
    assert_eq!(place.key().await, other.key().await);
    let now = place.text("sequence.json");
    assert!(now.contains("\"former\"") && now.contains(&key.to_string()), "{now}");
    place.client().await.import_identity(&key_file(&old), false, true).await.unwrap();
    assert_eq!(place.key().await, key);
}

#[tokio::test]
async fn rubbish_is_refused_and_changes_nothing() {
    let place = Place::start("").await;
    let (key, client) = (place.key().await, place.client().await);
    let text = place.export().await;
    let costly = text.replace("\"memory_kib\": 65536", "\"memory_kib\": 4294967295");
    for (secret, expected) in [
        (key_file(""), ErrorCode::InvalidImport),
        (
            key_file("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"),
            ErrorCode::InvalidImport,
        ),
        (backup("{}", PASSPHRASE), ErrorCode::InvalidImport),
        (backup(&text[..text.len() - 40], PASSPHRASE), ErrorCode::InvalidImport),
        (backup(&costly, PASSPHRASE), ErrorCode::InvalidImport),
        (backup(&text.replacen("AA", "AB", 1), "x"), ErrorCode::WrongPassphrase),
    ] {
        let error = client.import_identity(&secret, false, true).await.unwrap_err();
        assert_eq!(code(error), expected);
    }
    let short = ExportSecret { passphrase: Zeroizing::new("short".to_owned()) };
    let error = client.export_identity(&short).await.unwrap_err();
    assert_eq!(code(error), ErrorCode::WeakPassphrase);
    assert_eq!((place.key().await, place.former_keys().len()), (key, 0));
}

/// `lo` is no TUN interface, whoever asks.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn node_that_does_not_start_with_it_stays_as_it_was() {
    let place = Place::start("# mine\n").await;
    let other = Place::start("").await;
    let (key, config) = (place.key().await, place.text("config.toml"));
    let pem = place.text("identity.pem");
    let settings = ForeignSettings {
        private_key: Some(planetary_ipc::ForeignKey::Pem(Zeroizing::new(
            other.text("identity.pem"),
        ))),
        tun_name: Some("lo".to_owned()),
        ..ForeignSettings::default()
    };
    let client = place.client().await;
    let error = client.import(&settings, false, true, false).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::SystemRefused), "{error}");
    assert!(error.to_string().contains("stays as it was"), "{error}");
    let status = client.status().await.unwrap();
    assert_eq!(status.key, key);
    assert_ne!(status.state, State::Down);
    assert_eq!((place.text("config.toml"), place.text("identity.pem")), (config, pem));
    assert_eq!(place.former_keys().len(), 0);
}

/// The whole service, killed while identities come and go.
#[tokio::test]
async fn killed_at_any_moment_the_node_is_one_of_the_two_and_loses_neither() {
    let mut place = Place::start("").await;
    let other = Place::start("").await;
    let keys = [place.key().await, other.key().await];
    let pems = [place.text("identity.pem"), other.text("identity.pem")];
    for round in 0..25_u64 {
        let control = place.path("control.sock");
        let secrets = pems.clone();
        let importing = tokio::spawn(async move {
            let (client, _) = client::connect(&control, "test").await.unwrap();
            for pem in secrets.iter().cycle() {
                if client.import_identity(&key_file(pem), false, true).await.is_err() {
                    break;
                }
            }
        });
        // Another moment each time: imports take a few milliseconds.
        tokio::time::sleep(Duration::from_micros(2_000 + round * 1_337)).await;
        place.kill();
        importing.await.unwrap();
        place.restart().await;
        assert!(keys.contains(&place.key().await), "round {round}");
        let mut found = vec![place.text("identity.pem")];
        found.extend(place.former_keys().iter().map(|path| fs::read_to_string(path).unwrap()));
        assert!(found.contains(&pems[0]), "round {round}: the first key is gone");
    }
    let log = place.text("log");
    assert!(!log.contains("damaged") && !log.contains("ERROR"), "{log}");
}

/// The real program, if it is installed; `cargo xtask` installs it where tests must not be skipped.
fn yggdrasil(arguments: &[&str], file: Option<&Path>) -> Option<String> {
    let mut command = Command::new("yggdrasil");
    if let Some(file) = file {
        command.arg("-useconffile").arg(file);
    }
    let output: Output = command.args(arguments).stdin(Stdio::null()).output().ok()?;
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn configuration_of_the_real_program_keeps_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("yggdrasil.conf");
    for form in [&["-genconf"][..], &["-genconf", "-json"]] {
        let Some(text) = yggdrasil(form, None) else {
            eprintln!("skipped: yggdrasil is not installed");
            return;
        };
        let text = text
            .replace("Listen: []", "Listen: [\n    tls://127.0.0.1:0\n  ]")
            .replace("\"Listen\": []", "\"Listen\": [\"tls://127.0.0.1:0\"]");
        fs::write(&file, &text).unwrap();
        let address = yggdrasil(&["-address"], Some(&file)).unwrap();
        let key = yggdrasil(&["-publickey"], Some(&file)).unwrap();
        let pem = yggdrasil(&["-exportkey"], Some(&file)).unwrap();

        let place = Place::start("").await;
        let own = place.key().await;
        let read = foreign::read(text.as_bytes(), false).unwrap();
        let client = place.client().await;
        let preview = client.import(&read.settings, true, false, false).await.unwrap();
        assert_eq!(preview.after.address.to_string(), address.trim());
        let refused = client.import(&read.settings, false, false, false).await.unwrap_err();
        assert_eq!(code(refused), ErrorCode::IdentityExists);
        let kept = client.import(&read.settings, false, false, true).await.unwrap();
        assert_eq!((kept.differs, place.key().await), (false, own));
        let done = client.import(&read.settings, false, true, false).await.unwrap();
        assert!(done.applied);
        let status = client.status().await.unwrap();
        assert_eq!(status.address.to_string(), address.trim());
        assert_eq!(status.key.to_string(), key.trim());
        assert_eq!(status.listeners.len(), 1, "{status:?}");
        assert!(place.text("config.toml").contains("tls://127.0.0.1:0"));
        let again = client.import(&read.settings, false, true, false).await.unwrap();
        assert!(!again.applied && again.count(ImportOutcome::Taken) == 0, "{again:#?}");

        // The key that it exports is the same, as a file and beside a configuration.
        let other = Place::start("").await;
        let done = other.client().await.import_identity(&key_file(&pem), false, true).await;
        assert_eq!(done.unwrap().after.address.to_string(), address.trim());
        let named = foreign::read(b"{ PrivateKeyPath: \"key.pem\" }", false).unwrap();
        assert_eq!(named.key_file.unwrap(), Path::new("key.pem"));
    }
}

#[tokio::test]
async fn long_lists_go_through_in_pieces() {
    let place = Place::start("").await;
    let settings = ForeignSettings {
        allowed_keys: (0..3000).map(|number| format!("{number:064x}")).collect(),
        ..ForeignSettings::default()
    };
    let done = place.client().await.import(&settings, false, false, false).await.unwrap();
    assert!(done.applied);
    assert_eq!(place.text("config.toml").matches("\n    \"0000").count(), 3000);
}
