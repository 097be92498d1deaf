//! The demo: five nodes on loopback, each a process of its own, that find each other.
//!
//! ```text
//!       1 ---- 2
//!      / \      \
//!     5   \      3        a circle with one shortcut; no TUN, no privilege, nothing leaves
//!      \   \    /         the machine
//!       `-- 4 -'
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::programs::{LOOK, PrivateFolder, Service};

/// How many nodes there are.
const NODES: usize = 5;

/// Who dials whom, counted from zero.
const LINKS: [(usize, usize); 6] = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (0, 3)];

/// How long they may take to agree, and then to answer each other.
const PATIENCE: Duration = Duration::from_secs(30);

/// Nothing that could be found outside of this demo, and nobody who could find it. Whether all
/// reach each other is shown by pings, which strangers may not send to a node as it comes.
const CONFIG: &str = "version = 1\n[filter]\necho = \"everyone\"\n[lan]\nenabled = false\n";

/// Starts the network and shows it settle; then stays until Ctrl-C, or not.
pub(crate) fn run(programs: &Path, stop: &AtomicBool, stay: bool) -> Result<()> {
    let start = Instant::now();
    let folder = PrivateFolder::new("demo")?;
    let nodes = start_nodes(programs, &folder)?;
    say(start, format_args!("{NODES} nodes are running"));
    let outcome = settle(&nodes, start, stop).and_then(|()| ping_all(&nodes, start, stop));
    if let Err(error) = outcome {
        for (index, node) in nodes.iter().enumerate() {
            println!("---- node {}, end of its log:\n{}", index + 1, node.log_tail());
        }
        return Err(error);
    }
    say(start, format_args!("the network has settled"));
    if stay && !stop.load(Ordering::Relaxed) {
        let control = nodes[0].control.display();
        println!(
            "look around: PLANETARY_CONTROL={control} planetary status   (Ctrl-C ends the demo)"
        );
        while !stop.load(Ordering::Relaxed) {
            thread::sleep(LOOK);
        }
    }
    Ok(())
}

fn start_nodes(programs: &Path, folder: &PrivateFolder) -> Result<Vec<Service>> {
    let ports = free_ports()?;
    let uri = |node: usize| format!("tcp://127.0.0.1:{}", ports[node]);
    let start = |node: usize| -> Result<Service> {
        let home = folder.path().join((node + 1).to_string());
        fs::create_dir(&home)?;
        let config = home.join("config.toml");
        fs::write(&config, CONFIG)?;
        let (config, state) = (config.to_string_lossy(), home.join("state"));
        let state = state.to_string_lossy();
        let mut words = vec!["--no-lan", "--tun", "none"];
        words.extend(["--config", &config, "--state-dir", &state]);
        let (own, dialled) = (uri(node), LINKS.iter().filter(|link| link.0 == node));
        words.extend(["--listen", &own]);
        let dialled: Vec<String> = dialled.map(|link| uri(link.1)).collect();
        words.extend(dialled.iter().flat_map(|uri| ["--peer", uri.as_str()]));
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        Service::start(programs, &home, &words).with_context(|| format!("node {}", node + 1))
    };
    (0..NODES).map(start).collect()
}

/// Ports that were free a moment ago; the system does not give them out again soon.
fn free_ports() -> Result<Vec<u16>> {
    let listeners = (0..NODES).map(|_| TcpListener::bind("127.0.0.1:0"));
    let listeners = listeners.collect::<Result<Vec<_>, _>>().context("no free port")?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

/// Waits until every link is up and all nodes have one root; says whenever that changes.
fn settle(nodes: &[Service], start: Instant, stop: &AtomicBool) -> Result<()> {
    let mut last = String::new();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let statuses = nodes.iter().map(Service::status).collect::<Result<Vec<_>>>()?;
        let links: usize = statuses.iter().map(links_up).sum();
        let roots: BTreeSet<Option<&str>> = statuses.iter().map(|s| s["root"].as_str()).collect();
        // A link is seen from both of its ends.
        let now =
            format!("{links} of {} link ends are up, {} root(s)", 2 * LINKS.len(), roots.len());
        if now != last {
            say(start, format_args!("{now}"));
            last = now;
        }
        if let (true, [Some(root)]) =
            (links == 2 * LINKS.len(), &roots.iter().collect::<Vec<_>>()[..])
        {
            say(start, format_args!("all agree on the root {root}"));
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("the network did not settle in {} s: {last}", PATIENCE.as_secs());
        }
        interrupted(stop)?;
        thread::sleep(LOOK);
    }
}

fn links_up(status: &Value) -> usize {
    let peers = status.get("peers").and_then(Value::as_array).map(Vec::as_slice);
    peers.unwrap_or_default().iter().filter(|peer| peer["up"] == true).count()
}

/// Pings every node from every other one.
fn ping_all(nodes: &[Service], start: Instant, stop: &AtomicBool) -> Result<()> {
    let addresses = nodes
        .iter()
        .map(|node| Ok(node.status()?["address"].as_str().context("no address")?.to_owned()))
        .collect::<Result<Vec<String>>>()?;
    let deadline = Instant::now() + PATIENCE;
    let mut answered = 0;
    for (from, node) in nodes.iter().enumerate() {
        for (to, address) in addresses.iter().enumerate().filter(|(to, _)| *to != from) {
            while let Err(error) = node.ask(&["ping", "--count", "1", "--timeout", "2", address]) {
                interrupted(stop)?;
                if Instant::now() > deadline {
                    bail!("node {} does not reach node {}: {error:#}", from + 1, to + 1);
                }
            }
            answered += 1;
        }
        say(start, format_args!("node {} ({}) reaches all others", from + 1, addresses[from]));
    }
    say(start, format_args!("{answered} of {} pairs answer", NODES * (NODES - 1)));
    Ok(())
}

fn interrupted(stop: &AtomicBool) -> Result<()> {
    anyhow::ensure!(!stop.load(Ordering::Relaxed), "interrupted");
    Ok(())
}

fn say(start: Instant, what: std::fmt::Arguments<'_>) {
    println!("{:6.2} s  {what}", start.elapsed().as_secs_f64());
}
