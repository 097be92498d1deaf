//! Our programs as cargo builds them, and a node service that runs for a chore.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::step;

/// How long a service may take to open its control socket, and to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often we look whether something has changed.
pub(crate) const LOOK: Duration = Duration::from_millis(100);

/// Builds `planetaryd` and `planetary`; returns the folder they are in.
///
/// With `PLANETARY_PROGRAMS` set nothing is built: the programs of that folder are taken, be they
/// from another build or from a package.
pub(crate) fn build() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("PLANETARY_PROGRAMS") {
        let folder = PathBuf::from(folder);
        for name in ["planetaryd", "planetary"] {
            let file = program(&folder, name);
            ensure!(
                file.is_file(),
                "PLANETARY_PROGRAMS is set, and there is no {}",
                file.display()
            );
        }
        return Ok(folder);
    }
    let mut command = step::cargo(["build", "--release", "-p", "planetaryd", "-p", "planetary"]);
    step::openly("build planetaryd and planetary", &mut command)?;
    Ok(step::target_dir().join("release"))
}

/// The path of one of our programs in the folder that [`build`] returned.
pub(crate) fn program(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// A fresh folder that only its owner can enter, gone when this is dropped.
pub(crate) struct PrivateFolder(PathBuf);

impl PrivateFolder {
    pub(crate) fn new(purpose: &str) -> Result<Self> {
        let name = format!("planetary-{purpose}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // Somebody else's folder of this name would be one that others can enter.
        make_private(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        // What stays in the temporary folder harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(unix)]
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(not(unix))]
fn make_private(path: &Path) -> std::io::Result<()> {
    // The temporary folder is the user's own there.
    fs::create_dir(path)
}

/// A running `planetaryd`; it is ended when this is dropped.
pub(crate) struct Service {
    process: Child,
    cli: PathBuf,
    pub(crate) control: PathBuf,
    pub(crate) log: PathBuf,
}

impl Service {
    /// Starts a service whose control socket and log are in this folder, and waits until it
    /// answers.
    pub(crate) fn start(programs: &Path, folder: &Path, arguments: &[String]) -> Result<Self> {
        let (control, log) = (control_in(folder), folder.join("planetaryd.log"));
        let mut command = Command::new(program(programs, "planetaryd"));
        command.arg("run").arg("--control").arg(&control).args(arguments);
        let output = File::create(&log).with_context(|| format!("no log in {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let process = command.spawn().context("cannot start planetaryd")?;
        let cli = program(programs, "planetary");
        let mut service = Self { process, cli, control, log };
        service.wait_until_it_answers()?;
        Ok(service)
    }

    fn wait_until_it_answers(&mut self) -> Result<()> {
        let start = Instant::now();
        loop {
            let Err(error) = self.status() else { return Ok(()) };
            if let Some(status) = self.process.try_wait()? {
                bail!("planetaryd ended at once ({status}):\n{}", self.log_tail());
            }
            let log = self.log_tail();
            ensure!(start.elapsed() < PATIENCE, "planetaryd does not answer: {error:#}\n{log}");
            thread::sleep(LOOK);
        }
    }

    /// What `planetary status --json` says.
    pub(crate) fn status(&self) -> Result<Value> {
        self.ask(&["status"])
    }

    /// What a command of `planetary` says with `--json`.
    pub(crate) fn ask(&self, words: &[&str]) -> Result<Value> {
        let output = self.cli(words).arg("--json").stdin(Stdio::null()).output();
        let output = output.context("cannot start planetary")?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "planetary {}: {}", words.join(" "), told.trim());
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("planetary {} gave no JSON", words.join(" ")))
    }

    /// A command of `planetary` for this service.
    pub(crate) fn cli(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.cli);
        command.args(words).env("PLANETARY_CONTROL", &self.control);
        command
    }

    /// The end of the log.
    pub(crate) fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        step::tail(&String::from_utf8_lossy(&text), 20)
    }

    /// Asks the process to end as the system would, where there is a way to.
    fn ask_to_end(&self) {
        if cfg!(unix) {
            // It may be gone already: the terminal's Ctrl-C reaches it as well as us.
            let _ = Command::new("kill").arg(self.process.id().to_string()).output();
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.ask_to_end();
        let start = Instant::now();
        while cfg!(unix) && start.elapsed() < PATIENCE {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(LOOK);
        }
        // It had its chance, and losing nothing to this is part of its design.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(not(windows))]
fn control_in(folder: &Path) -> PathBuf {
    folder.join("control.sock")
}

#[cfg(windows)]
fn control_in(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    PathBuf::from(format!(r"\\.\pipe\planetary-{name}-control"))
}
