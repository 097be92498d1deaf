//! Real services in folders of their own, for the tests of the program.

#![allow(dead_code, reason = "no test needs all of it")]

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use planetary_ipc::client::RequestError;
use planetary_ipc::{Client, ErrorCode, Status, client};

/// Longest wait for anything; a healthy run needs a small part of it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A folder with a service in it, or the remains of one.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
}

/// A running service; killed when dropped.
pub(crate) struct Service {
    pub(crate) child: Child,
    pub(crate) control: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A folder of a service that strangers may ping, which opens sessions to them.
    pub(crate) fn open_to_strangers() -> Self {
        let place = Self::new();
        fs::write(place.path("config.toml"), "filter.echo = \"everyone\"\n").unwrap();
        place
    }

    /// Lets every account of the computer into the folder.
    pub(crate) fn open_to_all(&self) {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(self.dir.path(), mode).unwrap();
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_planetaryd"));
        command.arg("run").arg("--state-dir").arg(self.dir.path());
        command.arg("--control").arg(self.path("control.sock")).arg("--no-lan").args(arguments);
        if !arguments.contains(&"--tun") {
            command.args(["--tun", "none"]);
        }
        command.env_remove("RUST_LOG").env_remove("NOTIFY_SOCKET").stdin(Stdio::null());
        command
    }

    pub(crate) async fn start(&self, arguments: &[&str]) -> Service {
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let child = self.command(arguments).stderr(log).spawn().unwrap();
        let mut service = Service { child, control: self.path("control.sock") };
        let deadline = Instant::now() + PATIENCE;
        while client::connect(&service.control, "test").await.is_err() {
            let ended = service.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "{}", self.text("log"));
            pause().await;
        }
        service
    }

    /// Starts a service that must not come up, and returns its last words.
    pub(crate) fn refused(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Service {
    pub(crate) async fn client(&self) -> Client {
        client::connect(&self.control, "test").await.unwrap().0
    }

    pub(crate) async fn until(&self, what: &str, reached: impl Fn(&Status) -> bool) -> Box<Status> {
        let client = self.client().await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = client.status().await.unwrap();
            if reached(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "never {what}: {status:#?}");
            pause().await;
        }
    }

    pub(crate) async fn listening_uri(&self) -> String {
        let status = self.until("listening", |status| !status.listeners.is_empty()).await;
        status.listeners[0].uri.clone()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for a clean end and returns how long it took.
    pub(crate) async fn ended(mut self) -> Duration {
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "{status:?} {:?}", status.signal());
                return asked.elapsed();
            }
            assert!(asked.elapsed() < PATIENCE, "did not end");
            pause().await;
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

pub(crate) fn code(error: RequestError) -> ErrorCode {
    error.code().unwrap()
}

/// A node that takes links at any port of loopback.
pub(crate) const LISTEN: &[&str] = &["--listen", "tcp://127.0.0.1:0"];
