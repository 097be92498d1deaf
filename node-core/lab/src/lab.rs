//! The lab itself: makes hosts, wires and nodes, knows them all, and tears everything down.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::host::Host;
use crate::identity::Identity;
use crate::need;
use crate::node::{Kind, Node, NodeBuilder, Shared, Status};
use crate::relay::Relay;
use crate::wait::{Deadline, until};
use crate::wire::Wire;
use crate::{leftovers, report};

/// Tells the labs of one process apart.
static SERIAL: AtomicU32 = AtomicU32::new(1);

/// Test grounds with hosts, wires and nodes. Everything in it is gone when it is dropped.
pub struct Lab {
    scenario: String,
    serial: u32,
    folder: PathBuf,
    grounds: Mutex<Grounds>,
}

/// Fields are dropped in this order: nodes end before the wires go, and hosts go last.
#[derive(Default)]
pub(crate) struct Grounds {
    pub(crate) nodes: Vec<Shared>,
    pub(crate) wires: Vec<Arc<Wire>>,
    pub(crate) hosts: Vec<Host>,
    programs: Option<PathBuf>,
    congestion_control: Option<&'static str>,
}

/// Runs a scenario on fresh grounds; this is how a test begins.
///
/// On a machine that lacks something the scenario is skipped and says so, unless `CI` is set: there
/// it fails. A scenario that fails reports the state of everything before it is torn down.
///
/// # Panics
/// When the scenario fails: this is how a test ends.
pub fn run(scenario: &str, body: impl FnOnce(&Lab) -> Result<()>) {
    let missing = need::missing();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        assert!(
            std::env::var_os("CI").is_none(),
            "{scenario}: missing: {missing}; run as root: cargo xtask setup"
        );
        eprintln!("{scenario} SKIPPED, missing: {missing}; run as root: cargo xtask setup");
        return;
    }
    if let Err(error) = attempt(scenario, body) {
        panic!("{scenario}: {error:#}");
    }
}

/// Does some work on fresh grounds and tears them down; reports the state of everything if it
/// fails.
///
/// # Errors
/// Those of the work, a panic in it, and faults that show only when the nodes end.
pub fn attempt<T>(scenario: &str, body: impl FnOnce(&Lab) -> Result<T>) -> Result<T> {
    let lab = Lab::new(scenario)?;
    catch_unwind(AssertUnwindSafe(|| body(&lab)))
        .unwrap_or_else(|panic| Err(anyhow!("panicked: {}", panic_text(&*panic))))
        .and_then(|value| lab.close().map(|()| value))
        .inspect_err(|error| report::print(&lab, error))
}

impl Lab {
    fn new(scenario: &str) -> Result<Self> {
        leftovers::sweep();
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let folder = leftovers::folder(serial);
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        Ok(Self { scenario: scenario.to_owned(), serial, folder, grounds: Mutex::default() })
    }

    /// The name of the scenario.
    #[must_use]
    pub fn scenario(&self) -> &str {
        &self.scenario
    }

    /// A folder for files of the scenario.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes a host with this name, a short one: it becomes part of the names of devices.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn host(&self, label: &str) -> Result<Host> {
        let host = Host::create(self.serial, label)?;
        self.grounds().hosts.push(host.clone());
        Ok(host)
    }

    /// Joins two hosts by a wire.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn wire(&self, one: &Host, other: &Host) -> Result<Arc<Wire>> {
        let number = self.next_wire()?;
        self.keep(Wire::veth(number, one, other)?)
    }

    /// Joins two hosts by a wire that delays what it carries.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn slow_wire(&self, one: &Host, other: &Host, relay: Relay) -> Result<Arc<Wire>> {
        let number = self.next_wire()?;
        self.keep(Wire::relayed(number, one, other, relay)?)
    }

    fn next_wire(&self) -> Result<u8> {
        u8::try_from(self.grounds().wires.len() + 1).context("too many wires")
    }

    fn keep(&self, wire: Wire) -> Result<Arc<Wire>> {
        let wire = Arc::new(wire);
        let mut grounds = self.grounds();
        grounds.congestion_control.map_or(Ok(()), |name| wire.use_congestion_control(name))?;
        grounds.wires.push(wire.clone());
        Ok(wire)
    }

    /// Takes the programs of nodes of ours from this folder, for those that are prepared from here
    /// on.
    pub fn use_programs(&self, folder: &Path) {
        self.grounds().programs = Some(folder.to_owned());
    }

    /// Sends over TCP with this congestion control of the system along wires that are made from
    /// here on, unless a program asks for another.
    pub fn use_congestion_control(&self, name: &'static str) {
        self.grounds().congestion_control = Some(name);
    }

    /// Prepares a node on a host, named like the host, with an identity of its own.
    ///
    /// # Errors
    /// When there are too many nodes for identities.
    pub fn node(&self, kind: Kind, host: &Host) -> Result<NodeBuilder> {
        let number = u16::try_from(self.grounds().nodes.len()).context("too many nodes")?;
        let (label, folder) = (host.label().to_owned(), self.folder.join(host.label()));
        let node = NodeBuilder::new(kind, host, label, folder, Identity::numbered(number));
        Ok(node.programs(self.grounds().programs.clone()))
    }

    /// Takes a node in without starting it.
    ///
    /// # Errors
    /// When its folder cannot be made.
    pub fn add(&self, node: NodeBuilder) -> Result<Arc<Node>> {
        let node = Arc::new(node.build()?);
        self.grounds().nodes.push(node.clone());
        Ok(node)
    }

    /// Takes a node in and starts it.
    ///
    /// # Errors
    /// As [`Node::start`].
    pub fn start(&self, node: NodeBuilder) -> Result<Arc<Node>> {
        let node = self.add(node)?;
        node.start()?;
        Ok(node)
    }

    /// Waits until all these nodes know one and the same root: the one among them with the lowest
    /// key.
    ///
    /// # Errors
    /// When the deadline passes; the text has what each of them believes.
    pub fn settled(&self, nodes: &[&Node], deadline: Deadline) -> Result<()> {
        let lowest = nodes.iter().map(|node| node.identity().key()).min().unwrap_or_default();
        until("all nodes to agree on one root", deadline, || {
            for node in nodes {
                let Status { root, .. } = node.status()?;
                if root.as_deref() != Some(&lowest) {
                    let root = root.unwrap_or_else(|| "none".to_owned());
                    bail!("{} has the root {root}, not {lowest}", node.name());
                }
            }
            Ok(Some(()))
        })?;
        eprintln!("settled after {:.2} s", deadline.elapsed().as_secs_f64());
        Ok(())
    }

    /// Ends every node in good order and looks for faults that showed only in a log.
    fn close(&self) -> Result<()> {
        let nodes = self.grounds().nodes.clone();
        nodes.iter().filter(|node| node.is_running()).try_for_each(|node| node.stop())?;
        for node in nodes.iter().filter(|node| node.kind().actual() == Kind::Ours) {
            let log = node.log();
            let bad = log.lines().find(|l| l.contains("panicked at") || l.contains(" ERROR "));
            ensure!(bad.is_none(), "{} logged: {}", node.name(), bad.unwrap_or_default());
        }
        Ok(())
    }

    pub(crate) fn grounds(&self) -> MutexGuard<'_, Grounds> {
        self.grounds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        *self.grounds() = Grounds::default();
        // What stays is swept away by the next lab.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "without a text".to_owned())
}
