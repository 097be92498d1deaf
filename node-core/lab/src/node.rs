//! A node on a host: ours or the reference, behind one handle.
//!
//! The handle owns the process and the folder with configuration, identity, control socket and log.
//! What differs between the two programs (command line, configuration, how to ask for the state) is
//! behind `Program`, one file each. A node keeps its identity and its folder over restarts, as on a
//! real machine, and is killed when the last handle is dropped.

mod ours;
mod reference;

use std::fs::{self, OpenOptions};
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::host::Host;
use crate::identity::Identity;
use crate::ping::Ping;
use crate::usage::{Usage, usage};
use crate::wait::{Deadline, until};

/// How long a node may take until it answers on its control socket, or until it has ended.
const PATIENCE_SECONDS: u64 = 20;

/// How often a node is started that fell over a question.
const STARTS_MAX: u32 = 3;

/// Set to run the reference in the places of ours: it tells a fault of the grounds from one of
/// ours.
pub(crate) const STAND_IN: &str = "PLANETARY_LAB_STAND_IN";

/// Which program a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `planetaryd`, asked through `planetary`.
    Ours,
    /// `yggdrasil`, asked through `yggdrasilctl`.
    Reference,
}

impl Kind {
    /// The program that really runs: with `PLANETARY_LAB_STAND_IN` set it is always the reference.
    #[must_use]
    pub fn actual(self) -> Self {
        if std::env::var_os(STAND_IN).is_some() { Self::Reference } else { self }
    }

    fn program(self) -> Box<dyn Program> {
        match self.actual() {
            Self::Ours => Box::new(ours::Ours),
            Self::Reference => Box::new(reference::Reference),
        }
    }
}

/// What differs between the programs.
trait Program: Send + Sync {
    /// Writes configuration and identity.
    fn prepare(&self, setup: &Setup) -> Result<()>;
    /// The command that runs the node on its host, in the foreground.
    fn command(&self, setup: &Setup) -> Result<Command>;
    /// Asks the running node for its state, as it gives it.
    fn ask(&self, setup: &Setup) -> Result<Value>;
    /// Reads such an answer.
    fn understand(&self, answer: &Value) -> Result<Status>;
}

/// Everything that a program is told.
struct Setup {
    label: String,
    host: Host,
    identity: Identity,
    folder: PathBuf,
    device: String,
    listen: Vec<String>,
    peers: Vec<String>,
    mtu: u32,
    allowed_keys: Vec<String>,
    closed: bool,
    transit: &'static str,
    /// Lines of the configuration that stand before its sections.
    lines: String,
    /// Whether the program runs without any right, and so without a device.
    unprivileged: bool,
    lan: Option<Lan>,
    programs: Option<PathBuf>,
    bus: Option<String>,
}

impl Setup {
    fn control(&self) -> PathBuf {
        self.folder.join("control.sock")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }
}

/// How a node looks for others on the local networks.
#[derive(Clone, Debug)]
pub struct Lan {
    /// Regular expression for names of interfaces.
    pub interfaces: String,
    /// Password; empty means none.
    pub password: String,
    /// Priority of the links.
    pub priority: u8,
    /// Most links that are opened, which only ours knows.
    pub max_links: u8,
    /// Whether to announce the node, which only the reference can leave out.
    pub beacon: bool,
    /// Whether to hear others, which only the reference can leave out.
    pub listen: bool,
}

impl Default for Lan {
    /// What both programs do when they are told nothing.
    fn default() -> Self {
        Self {
            interfaces: ".*".to_owned(),
            password: String::new(),
            priority: 0,
            max_links: 8,
            beacon: true,
            listen: true,
        }
    }
}

/// What a node says of itself, as far as both programs say it.
#[derive(Clone, Debug)]
pub struct Status {
    /// Public key, 64 hex digits.
    pub key: String,
    /// Its own address.
    pub address: Ipv6Addr,
    /// Its subnet, ending in `/64`.
    pub subnet: String,
    /// The key of the tree's root, if it knows one.
    pub root: Option<String>,
    /// One entry for each link, also those that are down.
    pub peers: Vec<PeerStatus>,
}

/// What a node says of one of its links.
#[derive(Clone, Debug)]
pub struct PeerStatus {
    /// Its URI without options.
    pub uri: String,
    /// The key at the other end, once it is known.
    pub key: Option<String>,
    /// Whether the link is there.
    pub up: bool,
    /// Whether the other end dialled.
    pub inbound: bool,
    /// Why it failed last.
    pub last_error: Option<String>,
}

/// A command beside a node; it is ended with its handle.
pub struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A node that is to be started.
#[must_use]
pub struct NodeBuilder {
    kind: Kind,
    setup: Setup,
}

impl NodeBuilder {
    pub(crate) fn new(
        kind: Kind,
        host: &Host,
        label: String,
        folder: PathBuf,
        identity: Identity,
    ) -> Self {
        let (device, mtu) = (format!("overlay-{label}"), 65_535);
        let (listen, peers, allowed_keys) = (Vec::new(), Vec::new(), Vec::new());
        let host = host.clone();
        let setup = Setup {
            label,
            host,
            identity,
            folder,
            device,
            listen,
            peers,
            mtu,
            allowed_keys,
            closed: false,
            transit: "relay",
            lines: String::new(),
            unprivileged: false,
            lan: None,
            programs: None,
            bus: None,
        };
        Self { kind, setup }
    }

    /// Runs the programs in this folder instead of those that were built last.
    pub(crate) fn programs(mut self, folder: Option<PathBuf>) -> Self {
        self.setup.programs = folder;
        self
    }

    /// Is a second node of its host, with a name, a folder and a device of its own.
    pub fn called(mut self, label: &str) -> Self {
        self.setup.device = format!("overlay-{label}");
        self.setup.folder.set_file_name(label);
        label.clone_into(&mut self.setup.label);
        self
    }

    /// Listens at this URI.
    pub fn listen(mut self, uri: impl Into<String>) -> Self {
        self.setup.listen.push(uri.into());
        self
    }

    /// Dials this URI.
    pub fn peer(mut self, uri: impl Into<String>) -> Self {
        self.setup.peers.push(uri.into());
        self
    }

    /// Has no TUN: it links, routes and answers, and its host has no part in the network.
    pub fn without_tun(mut self) -> Self {
        "none".clone_into(&mut self.setup.device);
        self
    }

    /// Has this identity instead of the next one of the lab.
    pub fn identity(mut self, identity: Identity) -> Self {
        self.setup.identity = identity;
        self
    }

    /// Has a TUN with this MTU instead of the largest.
    pub fn mtu(mut self, mtu: u32) -> Self {
        self.setup.mtu = mtu;
        self
    }

    /// Lets only these keys dial it.
    pub fn allow(mut self, key: impl Into<String>) -> Self {
        self.setup.allowed_keys.push(key.into());
        self
    }

    /// Finds the system's bus at this address, which only ours looks for. Else it is that of the
    /// machine, if there is one.
    pub fn bus(mut self, address: impl Into<String>) -> Self {
        self.setup.bus = Some(address.into());
        self
    }

    /// Is as closed to strangers as a fresh installation, which only ours is. Else it is as open as
    /// the reference.
    pub fn closed(mut self) -> Self {
        self.setup.closed = true;
        self
    }

    /// Carries for others what this mode of ours says: `relay`, unless it is told, as the reference
    /// does.
    pub fn transit(mut self, mode: &'static str) -> Self {
        self.setup.transit = mode;
        self
    }

    /// Adds a line to the configuration of ours, a key that stands before all sections.
    pub fn line(mut self, line: &str) -> Self {
        self.setup.lines.push_str(line);
        self.setup.lines.push('\n');
        self
    }

    /// Keeps to sessions that the reference can have, too, which only ours is told.
    pub fn compatible(self) -> Self {
        self.line("fast.enabled = false")
    }

    /// Runs as a user without rights and has no device, which only ours can: programs reach the
    /// network through its gateway.
    pub fn unprivileged(mut self) -> Self {
        "none".clone_into(&mut self.setup.device);
        self.setup.unprivileged = true;
        self
    }

    /// Looks for nodes on the local networks. Else it does not, so that scenarios on wires have the
    /// links that they ask for.
    pub fn lan(mut self, lan: Lan) -> Self {
        self.setup.lan = Some(lan);
        self
    }

    /// Makes the node without starting it.
    pub(crate) fn build(self) -> Result<Node> {
        let Self { kind, setup } = self;
        fs::create_dir_all(&setup.folder)?;
        Ok(Node { kind, program: kind.program(), setup, process: Mutex::new(None) })
    }
}

/// A node of the lab.
pub struct Node {
    kind: Kind,
    program: Box<dyn Program>,
    setup: Setup,
    process: Mutex<Option<Child>>,
}

impl Node {
    /// Which program it was asked to run.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name in the scenario.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.setup.label
    }

    /// The host it runs on.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.setup.host
    }

    /// Its identity.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.setup.identity
    }

    /// Its address in the network.
    #[must_use]
    pub fn address(&self) -> Ipv6Addr {
        self.setup.identity.address()
    }

    /// Its control socket.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        self.setup.control()
    }

    /// The name of its TUN device.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.setup.device
    }

    /// Starts the program and waits until it answers on its control socket.
    ///
    /// # Errors
    /// When it cannot be started, ends at once, or does not answer in time.
    pub fn start(&self) -> Result<()> {
        self.launch()?;
        for _ in 1..STARTS_MAX {
            match self.wait_until_it_answers() {
                Err(_) if self.fell_over_a_question() => {
                    *self.process() = None;
                    self.launch()?;
                }
                outcome => return outcome,
            }
        }
        self.wait_until_it_answers()
    }

    /// Whether it was the reference, and our asking: it fills the list of what can be asked while
    /// it answers already, and Go ends a program that reads a list while it is written.
    fn fell_over_a_question(&self) -> bool {
        if self.kind != Kind::Reference || !matches!(self.exited(), Ok(Some(_))) {
            return false;
        }
        let log = fs::read_to_string(self.setup.log()).unwrap_or_default();
        log.contains("fatal error: concurrent map")
    }

    /// Starts the program and does not wait.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn launch(&self) -> Result<()> {
        let mut process = self.process();
        ensure!(process.is_none(), "{} runs already", self.name());
        self.program.prepare(&self.setup).with_context(|| format!("preparing {}", self.name()))?;
        let log = OpenOptions::new().create(true).append(true).open(self.setup.log())?;
        let mut command = self.program.command(&self.setup)?;
        command.stdout(log.try_clone()?).stderr(log);
        *process = Some(command.spawn().with_context(|| format!("starting {}", self.name()))?);
        Ok(())
    }

    fn wait_until_it_answers(&self) -> Result<()> {
        let what = format!("{} to answer on its control socket", self.name());
        let deadline = Deadline::seconds(PATIENCE_SECONDS);
        let status = until(&what, deadline, || match self.exited()? {
            // The outer Ok ends the wait: a process that is gone will not answer any more.
            Some(status) => Ok(Some(Err(status))),
            None => Ok(Some(Ok(self.status()?))),
        })?;
        match status {
            Ok(status) => self.check_own_facts(&status),
            Err(status) => bail!("{} ended at once ({status}); see its log", self.name()),
        }
    }

    /// What the node says of its own key, address and subnet must agree with our own derivation.
    fn check_own_facts(&self, status: &Status) -> Result<()> {
        let (name, identity) = (self.name(), &self.setup.identity);
        ensure!(status.key == identity.key(), "{name} has another key: {}", status.key);
        ensure!(status.address == identity.address(), "{name} is at {}", status.address);
        ensure!(status.subnet == identity.subnet(), "{name} has the subnet {}", status.subnet);
        Ok(())
    }

    /// Asks the node to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// When it does not run, does not end in time, or ends with a failure.
    pub fn stop(&self) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        let what = format!("{} to end after SIGTERM", self.name());
        let status = until(&what, Deadline::seconds(PATIENCE_SECONDS), || self.exited())?;
        *self.process() = None;
        ensure!(status.success(), "{} ended with {status} after SIGTERM", self.name());
        Ok(())
    }

    /// Kills the process without a warning.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&self) -> Result<()> {
        let mut process = self.process();
        let child = process.as_mut().with_context(|| format!("{} does not run", self.name()))?;
        child.kill()?;
        child.wait()?;
        *process = None;
        Ok(())
    }

    /// Ends the node in good order and starts it again.
    ///
    /// # Errors
    /// As [`Node::stop`] and [`Node::start`].
    pub fn restart(&self) -> Result<()> {
        self.stop()?;
        self.start()
    }

    /// Freezes the process (SIGSTOP), as a machine that sleeps does.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Undoes [`Node::freeze`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Whether the process is there.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.process().is_some() && matches!(self.exited(), Ok(None))
    }

    /// Asks the node for its state.
    ///
    /// # Errors
    /// When it does not answer, or not as it should.
    pub fn status(&self) -> Result<Status> {
        let answer = self.program.ask(&self.setup)?;
        let understood = self.program.understand(&answer);
        understood.with_context(|| format!("{} answered with {answer}", self.name()))
    }

    /// Asks the node for its state and returns the answer as it is.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn raw_status(&self) -> Result<Value> {
        self.program.ask(&self.setup)
    }

    /// Waits until a link to this key is up.
    ///
    /// # Errors
    /// When the deadline passes.
    pub fn wait_for_link(&self, other: &Self, deadline: Deadline) -> Result<()> {
        let what = format!("a link between {} and {}", self.name(), other.name());
        let key = other.identity().key();
        until(&what, deadline, || {
            let peers = self.status()?.peers;
            let up = peers.iter().any(|peer| peer.up && peer.key.as_deref() == Some(&key));
            if !up {
                bail!("it lists {peers:?}");
            }
            Ok(Some(()))
        })
    }

    /// Waits until another node answers pings; returns how long that took.
    ///
    /// # Errors
    /// When the deadline passes.
    pub fn wait_until_reaches(&self, other: &Self, deadline: Deadline) -> Result<Duration> {
        let took = Ping::new(other.address()).until_answered(self.host(), deadline)?;
        eprintln!("{} reached {} after {:.2} s", self.label(), other.label(), took.as_secs_f64());
        Ok(took)
    }

    /// Runs the reference's own `yggdrasilctl` on this node, which must run the reference.
    ///
    /// # Errors
    /// When it fails; the text has what it said.
    pub fn yggdrasilctl<const N: usize>(&self, request: [&str; N]) -> Result<Value> {
        reference::ask(&self.setup, request)
    }

    /// Runs `planetary … --json` on this node, which must run ours.
    ///
    /// # Errors
    /// When it fails; the text has what it said.
    pub fn planetary<'a>(&self, words: impl AsRef<[&'a str]>) -> Result<Value> {
        ours::ask(&self.setup, words.as_ref())
    }

    /// Starts a command of `planetary` that goes on until its handle is dropped.
    ///
    /// # Errors
    /// When it does not start.
    pub fn begin<'a>(&self, words: impl AsRef<[&'a str]>) -> Result<Running> {
        ours::begin(&self.setup, words.as_ref()).map(Running)
    }

    /// What the process has used.
    ///
    /// # Errors
    /// When it does not run.
    pub fn usage(&self) -> Result<Usage> {
        usage(self.pid()?)
    }

    /// The number of the process.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pid(&self) -> Result<u32> {
        let process = self.process();
        let child = process.as_ref().with_context(|| format!("{} does not run", self.name()))?;
        Ok(child.id())
    }

    /// Everything that the node has written to its log.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = fs::read(self.setup.log()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Name and program, for messages.
    #[must_use]
    pub fn name(&self) -> String {
        let program = match self.kind.actual() {
            Kind::Ours => "ours",
            Kind::Reference => "reference",
        };
        format!("node {} ({program})", self.setup.label)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let process = self.process();
        let child = process.as_ref().with_context(|| format!("{} does not run", self.name()))?;
        kill(Pid::from_raw(child.id().try_into()?), signal)
            .with_context(|| format!("cannot send {signal} to {}", self.name()))
    }

    fn exited(&self) -> Result<Option<ExitStatus>> {
        let mut process = self.process();
        let child = process.as_mut().with_context(|| format!("{} does not run", self.name()))?;
        Ok(child.try_wait()?)
    }

    fn process(&self) -> MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.process().is_some() {
            // It may be gone already; nothing else can fail here.
            let _ = self.kill();
        }
    }
}

/// Nodes are shared between the scenario, its threads and the lab that reports on them.
pub(crate) type Shared = Arc<Node>;
