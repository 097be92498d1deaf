//! A host: a network namespace with a name of its own, gone when the last handle is.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use nix::sched::{CloneFlags, setns};

use crate::leftovers;

/// Where `ip netns` keeps its names.
pub(crate) const NAMES: &str = "/run/netns";

/// A network namespace of the lab. Clones are handles to the same one.
#[derive(Clone)]
pub struct Host {
    namespace: Arc<Namespace>,
}

struct Namespace {
    label: String,
    name: String,
}

impl Host {
    /// Makes a namespace; `serial` tells the labs of one process apart.
    pub(crate) fn create(serial: u32, label: &str) -> Result<Self> {
        let name = format!("{}{}-{serial}-{label}", leftovers::PREFIX, std::process::id());
        run("ip", ["netns", "add", &name])?;
        let host = Self { namespace: Arc::new(Namespace { label: label.to_owned(), name }) };
        host.ip(["link", "set", "lo", "up"])?;
        host.enter(adjust_kernel)??;
        Ok(host)
    }

    /// The short name that the scenario gave.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.namespace.label
    }

    /// The name of the namespace, for `ip netns exec`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.namespace.name
    }

    /// A command that runs on this host. Its process id is that of the program itself.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.name()]).arg(program).stdin(Stdio::null());
        command
    }

    /// Runs a program on this host to its end and returns what it wrote to stdout.
    ///
    /// # Errors
    /// When it cannot be started or fails; the text has what it wrote to stderr.
    pub fn run<const N: usize>(&self, program: &str, args: [&str; N]) -> Result<String> {
        finish(self.command(program).args(args))
    }

    /// Runs `ip` in this namespace.
    ///
    /// # Errors
    /// When `ip` fails; the text has what it said.
    pub fn ip<const N: usize>(&self, args: [&str; N]) -> Result<String> {
        finish(Command::new("ip").args(["-n", self.name()]).args(args))
    }

    /// Does some work on a thread that stands in this namespace: sockets and devices that it opens
    /// belong to this host for as long as they live.
    ///
    /// # Errors
    /// When the namespace cannot be entered or the work panics.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let path = self.path();
        std::thread::scope(|scope| {
            let inside = || enter_here(&path).map(|()| work());
            scope.spawn(inside).join().map_err(|_| anyhow!("the work on the host panicked"))?
        })
    }

    /// As [`Host::enter`], for work that goes on beside the caller.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> std::thread::JoinHandle<Result<T>> {
        // The handle keeps the namespace's name alive until the thread is through.
        let host = self.clone();
        std::thread::spawn(move || {
            enter_here(&host.path())?;
            work()
        })
    }

    fn path(&self) -> PathBuf {
        Path::new(NAMES).join(self.name())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Processes of ours in it have been ended by their own handles. What fails here is swept
        // away by the next lab.
        let _ = run("ip", ["netns", "del", &self.name]);
    }
}

fn enter_here(path: &Path) -> Result<()> {
    let file = File::open(path).with_context(|| format!("no namespace {}", path.display()))?;
    setns(file, CloneFlags::CLONE_NEWNET).context("cannot enter the namespace")
}

/// What every host of a lab has set: addresses are usable at once.
fn adjust_kernel() -> Result<()> {
    let settings = [
        ("/proc/sys/net/ipv6/conf/all/accept_dad", "0"),
        ("/proc/sys/net/ipv6/conf/default/accept_dad", "0"),
        // An address outlives its carrier, as it does where a network manager looks after it.
        ("/proc/sys/net/ipv6/conf/all/keep_addr_on_down", "1"),
        ("/proc/sys/net/ipv6/conf/default/keep_addr_on_down", "1"),
    ];
    for (file, value) in settings {
        fs::write(file, value).with_context(|| format!("cannot set {file}"))?;
    }
    Ok(())
}

/// Runs a program to its end.
pub(crate) fn run<const N: usize>(program: &str, args: [&str; N]) -> Result<String> {
    finish(Command::new(program).args(args))
}

/// Runs a command to its end and returns what it wrote to stdout.
pub(crate) fn finish(command: &mut Command) -> Result<String> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line = words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start: {line}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{line}: {}: {}{}", output.status, stderr.trim(), stdout.trim());
    }
    Ok(stdout)
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).unwrap_or(here);
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}
