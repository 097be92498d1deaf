//! A running mock service, the program beside it, and the comparison with what was printed before.

use std::fs;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use planetary_ipc::endpoint::Listener;
use planetary_ipc::mock::Mock;
use planetary_ipc::server::Handler;
use planetary_ipc::{ApiError, ErrorCode, PeerCredentials, Reply, Request, serve};
use tokio::process::{Child, Command};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time;

/// Width of the terminal that [`Terminal`] is.
pub(crate) const COLUMNS: u16 = 72;

/// Height of the terminal that [`Terminal`] is.
const ROWS: u16 = 40;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A mock service on a socket of its own.
pub(crate) struct Service {
    pub(crate) mock: Arc<Mock>,
    pub(crate) path: PathBuf,
    asked: Arc<Notify>,
    serving: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    _folder: tempfile::TempDir,
}

impl Service {
    pub(crate) fn start(mock: Arc<Mock>) -> Self {
        let mut service = Self::nowhere();
        service.restart(mock);
        service
    }

    /// A service that greets, and then answers no ping at all and no other request in time.
    pub(crate) fn stuck() -> Self {
        let mut service = Self::nowhere();
        let listener = Listener::bind(&service.path).unwrap();
        let mock = service.mock.service();
        let handler = Arc::new(Stuck { asked: Arc::clone(&service.asked) });
        let (status, build) = (mock.status, mock.build);
        let stuck = planetary_ipc::server::Service { handler, status, build };
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(serve(listener, stuck, async {
            let _ = stopped.await;
        }));
        service.serving = Some((stop, serving));
        service
    }

    /// A place for a socket without a service.
    pub(crate) fn nowhere() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        Self { mock: Mock::new(), path, asked: Arc::default(), serving: None, _folder: folder }
    }

    pub(crate) fn restart(&mut self, mock: Arc<Mock>) {
        let listener = Listener::bind(&self.path).unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(serve(listener, mock.service(), async {
            let _ = stopped.await;
        }));
        self.mock = mock;
        self.serving = Some((stop, serving));
    }

    /// Waits until a service that is stuck was asked for a ping.
    pub(crate) async fn asked(&self) {
        time::timeout(PATIENCE, self.asked.notified()).await.unwrap();
    }

    pub(crate) async fn stop(mut self) {
        self.end().await;
    }

    pub(crate) async fn end(&mut self) {
        if let Some((stop, serving)) = self.serving.take() {
            stop.send(()).unwrap();
            serving.await.unwrap();
        }
    }
}

/// The handler of a service that is stuck.
struct Stuck {
    asked: Arc<Notify>,
}

impl Handler for Stuck {
    async fn handle(&self, request: Request, _caller: PeerCredentials) -> Result<Reply, ApiError> {
        match request {
            Request::Ping { .. } => {
                self.asked.notify_one();
                std::future::pending().await
            }
            _ => Err(ApiError::new(ErrorCode::DeadlineExceeded, "it took too long")),
        }
    }
}

/// What a run of the program left.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// All of it, with the name of the socket, which differs from run to run, replaced.
    pub(crate) fn transcript(&self, service: &Service) -> String {
        let mut text = self.stdout.clone();
        if !self.stderr.is_empty() {
            text += "--- standard error\n";
            text += &self.stderr;
        }
        if self.code != 0 {
            text += &format!("--- exit code {}\n", self.code);
        }
        text.replace(service.path.to_str().unwrap(), "SOCKET")
    }
}

/// The program, without what the environment of the tests might tell it.
pub(crate) fn planetary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_planetary"));
    for name in ["PLANETARY_CONTROL", "NO_COLOR", "CLICOLOR_FORCE", "COLUMNS"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).env("TERM", "xterm");
    command
}

/// Runs the program to its end.
pub(crate) async fn run(service: &Service, arguments: &[&str]) -> Run {
    let running = planetary().args(arguments).env("PLANETARY_CONTROL", &service.path).output();
    let output = time::timeout(PATIENCE, running).await.unwrap().unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Compares with the file of that name, or writes it when asked to.
pub(crate) fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("PLANETARY_BLESS").is_some() {
        fs::write(&path, text).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        text == expected,
        "{name} differs; printed:\n{text}\nexpected:\n{expected}\nWrite it anew with \
         PLANETARY_BLESS=1 if that is right."
    );
}

/// Sends what Ctrl-C sends.
pub(crate) fn interrupt(child: &Child) {
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGINT).unwrap();
}

/// The program on a terminal.
pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    screen: mpsc::UnboundedReceiver<Vec<u8>>,
    /// What has arrived on the screen so far.
    pub(crate) seen: String,
}

impl Terminal {
    pub(crate) fn run(service: &Service, arguments: &[&str]) -> Self {
        Self::run_with(service, arguments, &[])
    }

    pub(crate) fn run_with(
        service: &Service,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        Self::run_sized(service, arguments, environment, (ROWS, COLUMNS))
    }

    pub(crate) fn run_sized(
        service: &Service,
        arguments: &[&str],
        environment: &[(&str, &str)],
        (ws_row, ws_col): (u16, u16),
    ) -> Self {
        let size = Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        let keyboard = File::from(pty.master.try_clone().unwrap());
        let screen = read_all(pty.master);
        let child = planetary()
            .args(arguments)
            .envs(environment.iter().copied())
            .env("PLANETARY_CONTROL", &service.path)
            .stdin(Stdio::from(pty.slave.try_clone().unwrap()))
            .stderr(Stdio::from(pty.slave.try_clone().unwrap()))
            .stdout(Stdio::from(pty.slave))
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { child, keyboard, screen, seen: String::new() }
    }

    /// Waits until the text has been on the screen.
    pub(crate) async fn until(&mut self, text: &str) {
        while !self.seen.contains(text) {
            let part = time::timeout(PATIENCE, self.screen.recv()).await;
            let part = part.ok().flatten();
            let part = part.unwrap_or_else(|| panic!("{text:?} is not in {:?}", self.seen));
            self.seen += &String::from_utf8_lossy(&part);
        }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// The terminal's own end of the line, which outlives the program.
    pub(crate) fn keyboard(&self) -> File {
        self.keyboard.try_clone().unwrap()
    }

    pub(crate) fn interrupt(&self) {
        interrupt(&self.child);
    }

    /// Waits for the end of the program; gives its exit code and everything that was shown.
    pub(crate) async fn end(mut self) -> (Option<i32>, String) {
        let status = time::timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        while let Some(part) = time::timeout(PATIENCE, self.screen.recv()).await.unwrap() {
            self.seen += &String::from_utf8_lossy(&part);
        }
        (status.code(), self.seen)
    }

    /// Columns of the longest line that was drawn.
    pub(crate) fn widest_line(&self) -> usize {
        let mut widest = 0;
        for line in self.seen.split(['\n', '\r']) {
            let mut in_code = false;
            let letters = line.chars().filter(|&letter| {
                let printed = !in_code && letter != '\x1b';
                in_code = !printed && !letter.is_ascii_alphabetic();
                printed
            });
            widest = widest.max(letters.count());
        }
        widest
    }
}

/// Whether the terminal gives its input line by line and shows it.
pub(crate) fn is_cooked(keyboard: &File) -> bool {
    let flags = tcgetattr(keyboard).unwrap().local_flags;
    flags.contains(LocalFlags::ICANON | LocalFlags::ECHO)
}

/// Reads what the program writes to its terminal, on a thread, until the program is gone.
fn read_all(master: OwnedFd) -> mpsc::UnboundedReceiver<Vec<u8>> {
    use std::io::Read;
    let (parts, screen) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let mut master = File::from(master);
        let mut buffer = [0; 4096];
        // The system reports an error, not an end, once the last writer is gone.
        while let Ok(len @ 1..) = master.read(&mut buffer) {
            if parts.send(buffer[..len].to_vec()).is_err() {
                break;
            }
        }
    });
    screen
}
