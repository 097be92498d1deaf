//! Nodes on one switch find each other, with nothing configured, and no others.
//!
//! ```text
//!   [a] [b] [c] ...
//!    |   |   |
//!   ======lan======   a bridge; every host has a link-local address and no other
//! ```

#![cfg(target_os = "linux")]

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV6, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use blake2::{Blake2b512, Digest};
use planetary_lab::Kind::{Ours, Reference};
use planetary_lab::{Deadline, Host, Kind, Lab, Lan, Node, Switch, run, until};
use serde_json::Value;

/// In this time two nodes have found each other.
const FOUND_WITHIN: u64 = 5;

/// The group and port of beacons.
const GROUP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x114);
const PORT: u16 = 9001;

/// A host on a switch, with a node that looks for others.
fn node(lab: &Lab, switch: &Switch, kind: Kind, label: &str, lan: Lan) -> Result<Arc<Node>> {
    let host = lab.host(label)?;
    switch.plug(&host)?;
    lab.add(lab.node(kind, &host)?.lan(lan))
}

/// The links of a node of ours that came about over the local network: key, whether the other side
/// dialled, and priority.
fn found(node: &Node) -> Result<Vec<(String, bool, u64)>> {
    let status = node.raw_status()?;
    let peers = status.pointer("/peers").and_then(Value::as_array).context("no peers")?;
    let text = |peer: &Value, name: &str| peer[name].as_str().unwrap_or_default().to_owned();
    let links = peers.iter().filter(|peer| peer["source"] == "lan" && peer["up"] == true);
    let links = links.map(|peer| {
        (text(peer, "key"), peer["direction"] == "in", peer["priority"].as_u64().unwrap_or(999))
    });
    Ok(links.collect())
}

fn state(node: &Node) -> Result<(String, Option<String>)> {
    let status = node.raw_status()?;
    let interface = status.pointer("/lan/interfaces/0").context("no interface")?;
    let text = |name: &str| interface[name].as_str().map(str::to_owned);
    Ok((text("state").context("no state")?, text("network")))
}

#[test]
fn nodes_on_one_switch_find_each_other() {
    run("local network", |lab| {
        let switch = lab.switch("lan")?;
        let with = |password: &str, priority| Lan {
            password: password.to_owned(),
            priority,
            ..Lan::default()
        };
        let elsewhere = Lan { interfaces: "^eth".to_owned(), ..Lan::default() };
        let [a, b, c] = [("a", Ours), ("b", Ours), ("c", Reference)]
            .map(|(label, kind)| node(lab, &switch, kind, label, Lan::default()));
        let (a, b, c) = (a?, b?, c?);
        let secret = node(lab, &switch, Ours, "d", with("open sesame%", 7))?;
        let partner = node(lab, &switch, Reference, "e", with("open sesame%", 3))?;
        let other = node(lab, &switch, Ours, "f", with("another", 0))?;
        let excluded = node(lab, &switch, Ours, "g", elsewhere)?;
        let quiet = node(lab, &switch, Reference, "h", Lan { listen: false, ..with("h", 0) })?;
        let hears = node(lab, &switch, Reference, "i", Lan { beacon: false, ..with("i", 0) })?;
        let caller = node(lab, &switch, Ours, "j", with("h", 0))?;
        let called = node(lab, &switch, Ours, "k", with("i", 0))?;
        let all = [&a, &b, &c, &secret, &partner, &other, &excluded, &quiet, &hears];
        for node in all.into_iter().chain([&caller, &called]) {
            node.launch()?;
        }
        // They are ready at different times on a busy machine; the time counts for each pair from
        // when both answer.
        let pairs = [
            (&a, &b),
            (&a, &c),
            (&b, &c),
            (&secret, &partner),
            (&caller, &quiet),
            (&called, &hears),
        ];
        for (one, two) in pairs {
            for node in [one, two] {
                until("an answer", Deadline::seconds(20), || node.status().map(Some))?;
            }
            let deadline = Deadline::seconds(FOUND_WITHIN);
            one.wait_for_link(two, deadline)?;
            two.wait_for_link(one, deadline)?;
        }
        ensure!(
            found(&secret)?.iter().all(|(.., priority)| *priority == 7),
            "the larger priority counts"
        );
        // Who only announces itself is dialled, and who only listens dials.
        ensure!(found(&caller)?.iter().all(|(_, incoming, _)| !incoming), "{:?}", found(&caller));
        ensure!(found(&called)?.iter().all(|(_, incoming, _)| *incoming), "{:?}", found(&called));
        for alone in [&other, &excluded] {
            ensure!(found(alone)?.is_empty(), "{} has found {:?}", alone.name(), found(alone)?);
        }
        ensure!(state(&a)?.0 == "active" && state(&excluded)?.0 == "excluded", "the states");
        a.wait_until_reaches(&c, Deadline::seconds(20))?;
        // Between two of ours there is one link, not one each way.
        let links: Vec<_> = found(&a)?;
        let to_b = links.iter().filter(|(key, ..)| *key == b.identity().key()).count();
        ensure!(to_b == 1, "{to_b} links between two of ours");

        // An interface that goes takes its links with it, and another one brings them again.
        switch.unplug(b.host())?;
        until("the link to be gone", Deadline::seconds(10), || {
            Ok(found(&b)?.is_empty().then_some(()))
        })?;
        switch.plug(b.host())?;
        let deadline = Deadline::seconds(2 * FOUND_WITHIN);
        b.wait_for_link(&a, deadline)?;
        b.wait_for_link(&c, deadline)?;
        // So does a node that starts anew.
        a.kill()?;
        a.start()?;
        a.wait_for_link(&b, Deadline::seconds(FOUND_WITHIN))
    });
}

#[test]
fn a_crowd_with_a_small_cap_is_one_network() {
    run("crowd on a switch", |lab| {
        let switch = lab.switch("lan")?;
        let few = || Lan { max_links: 2, ..Lan::default() };
        let labels = ('a'..='l').map(String::from);
        let nodes = labels.map(|label| node(lab, &switch, Ours, &label, few()));
        let nodes = nodes.collect::<Result<Vec<_>>>()?;
        nodes.iter().try_for_each(|node| node.launch())?;
        for node in &nodes {
            until("an answer", Deadline::seconds(30), || node.status().map(Some))?;
        }
        let all: Vec<&Node> = nodes.iter().map(Arc::as_ref).collect();
        lab.settled(&all, Deadline::seconds(40))?;
        for node in &nodes {
            until("few links", Deadline::seconds(10), || {
                let links = found(node)?;
                let opened = links.iter().filter(|(_, incoming, _)| !incoming).count();
                if opened > 2 || links.len() - opened > 2 {
                    bail!("{} has {links:?}", node.name());
                }
                Ok(Some(()))
            })?;
        }
        Ok(())
    });
}

#[test]
fn a_network_of_strangers_is_left_alone_until_a_person_says_so() {
    run("untrusted network", |lab| {
        let switch = lab.switch("lan")?;
        let ear = lab.host("ear")?;
        switch.plug(&ear)?;
        let heard = Ear::on(&ear, &switch)?;
        let [a, b] = ["a", "b"].map(|label| node(lab, &switch, Ours, label, Lan::default()));
        let (a, b) = (a?, b?);
        for (node, last) in [(&a, 1), (&b, 2)] {
            switch.address(node.host(), Ipv4Addr::new(198, 51, 100, last))?;
            node.start()?;
        }
        let network = until("the network to be seen", Deadline::seconds(5), || {
            let (state, network) = state(&a)?;
            ensure!(state == "unknown", "it is {state}");
            Ok(network)
        })?;
        // As long as it takes nodes to find each other.
        std::thread::sleep(Duration::from_secs(FOUND_WITHIN - 1));
        ensure!(heard.count() == 0, "{} beacons were sent", heard.count());
        for node in [&a, &b] {
            trust(node, &network, true)?;
            ensure!(state(node)?.0 == "active", "it holds when it is confirmed");
        }
        a.wait_for_link(&b, Deadline::seconds(FOUND_WITHIN))?;
        ensure!(heard.count() > 0, "no beacon was heard");

        // It is remembered, and can be unsaid.
        b.restart()?;
        b.wait_for_link(&a, Deadline::seconds(FOUND_WITHIN))?;
        trust(&a, &network, false)?;
        ensure!(state(&a)?.0 == "refused", "it holds when it is confirmed");
        until("the link to end", Deadline::seconds(2), || Ok(found(&a)?.is_empty().then_some(())))?;
        let error = trust(&a, "0123456789abcdef", true).err().map(|error| format!("{error:#}"));
        ensure!(error.is_some_and(|error| error.contains("no interface")), "an unknown network");
        Ok(())
    });
}

#[test]
fn liars_on_the_switch_keep_nobody_apart() {
    run("liars on a switch", |lab| {
        let switch = lab.switch("lan")?;
        let liar = lab.host("liar")?;
        switch.plug(&liar)?;
        let [a, b] = ["a", "b"].map(|label| node(lab, &switch, Ours, label, Lan::default()));
        let (a, b) = (a?, b?);
        a.start()?;
        let lies = Lies::tell(&liar, &switch, &b.identity().key())?;
        std::thread::sleep(Duration::from_secs(3));
        b.start()?;
        let began = Instant::now();
        a.wait_for_link(&b, Deadline::seconds(2 * FOUND_WITHIN))?;
        std::thread::sleep(Duration::from_secs(5).saturating_sub(began.elapsed()));
        let (told, dialled) = (lies.told(), lies.dialled());
        eprintln!("{told} lies, {dialled} connections");
        ensure!(told > 5_000, "too few lies to tell: {told}");
        // Two nodes, each with eight attempts and two for each second, for a dozen of them.
        ensure!((1..=80).contains(&dialled), "{dialled} connections to liars");
        for node in [&a, &b] {
            ensure!(found(node)?.len() <= 2, "{:?}", found(node)?);
            let kib = node.usage()?.resident_kib;
            ensure!(kib < 100_000, "{} has grown to {kib} KiB", node.name());
        }
        Ok(())
    });
}

/// Says whether a network is trusted.
fn trust(node: &Node, network: &str, trusted: bool) -> Result<()> {
    node.planetary(["lan", if trusted { "trust" } else { "distrust" }, network])?;
    Ok(())
}

/// A socket on a host, which everybody on the switch can be heard with and spoken to.
fn socket(host: &Host, switch: &Switch) -> Result<(UdpSocket, u32)> {
    let device = format!("/sys/class/net/{}/ifindex", switch.device());
    let index: u32 = host.run("cat", [&device])?.trim().parse()?;
    let socket = host.enter(|| -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, PORT))?;
        socket.join_multicast_v6(&GROUP, index)?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        Ok(socket)
    })??;
    Ok((socket, index))
}

/// Work beside the scenario, which ends with its handle.
struct Beside {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
}

impl Beside {
    fn start(mut work: impl FnMut() -> usize + Send + 'static) -> Self {
        let beside = Self { stop: Arc::default(), count: Arc::default() };
        let (stop, count) = (Arc::clone(&beside.stop), Arc::clone(&beside.count));
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                count.fetch_add(work(), Ordering::Relaxed);
            }
        });
        beside
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Counts what is sent to the group.
struct Ear(Beside);

impl Ear {
    fn on(host: &Host, switch: &Switch) -> Result<Self> {
        let (socket, _) = socket(host, switch)?;
        Ok(Self(Beside::start(move || usize::from(socket.recv(&mut [0; 2048]).is_ok()))))
    }

    fn count(&self) -> usize {
        self.0.count()
    }
}

/// Announces rubbish, nodes that do not exist, and one that does exist at places where it is not.
struct Lies {
    telling: Beside,
    listening: Beside,
}

impl Lies {
    fn tell(host: &Host, switch: &Switch, victim: &str) -> Result<Self> {
        let (socket, index) = socket(host, switch)?;
        let listener = host.enter(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)))??;
        let port = listener.local_addr()?.port();
        listener.set_nonblocking(true)?;
        let listening = Beside::start(move || match listener.accept() {
            // Held for a moment and dropped without a word.
            Ok(_) => 1,
            Err(_) => {
                std::thread::sleep(Duration::from_millis(1));
                0
            }
        });
        let to = SocketAddrV6::new(GROUP, PORT, 0, index);
        let victim: Vec<u8> = (0..64)
            .step_by(2)
            .map(|at| u8::from_str_radix(&victim[at..at + 2], 16))
            .collect::<Result<_, _>>()?;
        let mut number = 0_u32;
        let telling = Beside::start(move || {
            number = number.wrapping_add(1);
            let lie = match number % 3 {
                0 => beacon(&victim, 1 + (number % 60_000) as u16),
                1 => beacon(&Blake2b512::digest(number.to_be_bytes())[..32], port),
                _ => Blake2b512::digest(number.to_be_bytes()).to_vec(),
            };
            // A thousand in a tenth of a second or so.
            if number.is_multiple_of(100) {
                std::thread::sleep(Duration::from_millis(10));
            }
            usize::from(socket.send_to(&lie, to).is_ok())
        });
        Ok(Self { telling, listening })
    }

    fn told(&self) -> usize {
        self.telling.count()
    }

    fn dialled(&self) -> usize {
        self.listening.count()
    }
}

/// A beacon without a password.
fn beacon(key: &[u8], port: u16) -> Vec<u8> {
    let hash = Blake2b512::digest(key);
    [&[0, 0, 0, 5][..], key, &port.to_be_bytes(), &[0, 64], &hash].concat()
}
