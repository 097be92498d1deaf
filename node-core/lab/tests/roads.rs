//! Every transport between ours and the reference: dialled and listened on by either, over IPv4 and
//! IPv6, with the right and the wrong password, and with the right and the wrong key.
//!
//! ```text
//!   [west] ours, stock ======wire1====== [east] ours, stock
//!       \=========wire2===== [proxy] =====wire3======/
//! ```
//!
//! The nodes of the matrix have no TUN, so several stand on one host. Each dials every case at
//! once: a case has an address of its own, because URIs that differ only in options are one link.

#![cfg(target_os = "linux")]

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use planetary_lab::Kind::{Ours, Reference};
use planetary_lab::{
    Deadline, Host, Identity, Kind, Lab, Node, NodeBuilder, PeerStatus, Ping, Proxy, Wire, run,
    until,
};

const LOGIN: &str = "user:word";

/// Transports of listeners with a port. Each gets two: one that is open to all, and the next one
/// with a password.
const LISTENED: [&str; 4] = ["tcp", "tls", "quic", "ws"];

/// Transports of dialers, and what they end at. What is missing stands elsewhere: `unix` has files,
/// and `wss` needs a web server (`captive.rs`).
const DIALLED: [(&str, &str); 6] = [
    ("tcp", "tcp"),
    ("tls", "tls"),
    ("quic", "quic"),
    ("ws", "ws"),
    ("socks", "tcp"),
    ("sockstls", "tls"),
];

/// What a dialer says, and whether it is let in. `KEY` stands for the listener's key.
struct Case {
    locked: bool,
    options: &'static str,
    welcome: bool,
}

/// A key that no node of the lab has.
const STRANGER: &str = "key=00000000000000000000000000000000000000000000000000000000000000ff";

const CASES: [Case; 6] = [
    Case { locked: false, options: "", welcome: true },
    Case { locked: false, options: "STRANGER&KEY", welcome: true },
    Case { locked: false, options: "STRANGER", welcome: false },
    Case { locked: true, options: "password=s%26cret", welcome: true },
    Case { locked: true, options: "password=other&KEY", welcome: false },
    Case { locked: true, options: "", welcome: false },
];

#[test]
fn every_transport_links_and_holds_to_password_and_key() {
    run("roads matrix", |lab| {
        let [west, east, middle] = ["west", "east", "proxy"].map(|label| lab.host(label));
        let (west, east, middle) = (west?, east?, middle?);
        let wire = lab.wire(&west, &east)?;
        let (near, far) = (lab.wire(&west, &middle)?, lab.wire(&middle, &east)?);
        let proxy = Proxy::start(&middle, LOGIN)?;
        let behind = near.ends()[1].uri("socks", proxy.port);
        let grounds = Grounds { lab, wire, far, proxy: behind };
        grounds.give_addresses()?;

        let ours = grounds.listener(Ours, "ours", 9000)?;
        let stock = grounds.listener(Reference, "stock", 9500)?;
        let to_both = [(&ours, 9000), (&stock, 9500)];
        let dialers = [
            (grounds.dialer(Ours, "west", &to_both)?, &to_both[..]),
            (grounds.dialer(Reference, "weststock", &to_both[..1])?, &to_both[..1]),
        ];
        for (dialer, listeners) in &dialers {
            for (listener, port) in *listeners {
                grounds.check(dialer, listener, *port)?;
            }
        }
        ensure!(proxy.served() > 0, "nothing went through the proxy");
        Ok(())
    });
}

/// A link that leads from one case's dialer to its listener.
struct Road {
    /// As it is shown.
    place: String,
    case: &'static Case,
}

struct Grounds<'a> {
    lab: &'a Lab,
    wire: Arc<Wire>,
    /// Between the proxy and the listeners.
    far: Arc<Wire>,
    /// The proxy, as the dialers see it.
    proxy: String,
}

impl Grounds<'_> {
    /// Gives the listeners' ends an address for each case.
    fn give_addresses(&self) -> Result<()> {
        for end in [&self.wire.ends()[1], &self.far.ends()[1]] {
            for index in 0..CASES.len() {
                for address in [
                    format!("{}/24", Self::host(end.v4.to_string(), index)),
                    format!("{}/64", Self::host(end.v6.to_string(), index)),
                ] {
                    end.host.ip(["address", "add", &address, "dev", &end.device])?;
                }
            }
        }
        Ok(())
    }

    /// The address of a case, made of an end's own one: both end in `2`.
    fn host(own: String, index: usize) -> String {
        own + &format!("{index}")
    }

    fn listener(&self, kind: Kind, label: &str, port: u16) -> Result<Arc<Node>> {
        let host = &self.wire.ends()[1].host;
        let mut node = self.lab.node(kind, host)?.called(label).without_tun();
        for (scheme, port) in LISTENED.iter().zip((port..).step_by(2)) {
            node = node
                .listen(format!("{scheme}://[::]:{port}"))
                .listen(format!("{scheme}://[::]:{}?password=s%26cret", port + 1));
        }
        // The reference has one link at a time over a socket file, so each case has a file.
        for (index, case) in CASES.iter().enumerate() {
            let password = if case.locked { "?password=s%26cret" } else { "" };
            node = node.listen(format!("unix://{}{password}", self.file(port, index)));
        }
        self.lab.start(node)
    }

    fn dialer(&self, kind: Kind, label: &str, to: &[(&Arc<Node>, u16)]) -> Result<Arc<Node>> {
        let host = &self.wire.ends()[0].host;
        let mut node = self.lab.node(kind, host)?.called(label).without_tun();
        for (listener, port) in to {
            let key = format!("key={}", listener.identity().key());
            for road in self.roads(*port)? {
                let options = road.case.options.replace("STRANGER", STRANGER).replace("KEY", &key);
                let place = road.place.replace("socks://", &format!("socks://{LOGIN}@"));
                let place = place.replace("sockstls://", &format!("sockstls://{LOGIN}@"));
                let mark = if options.is_empty() { "" } else { "?" };
                node = node.peer(format!("{place}{mark}{options}"));
            }
        }
        self.lab.start(node)
    }

    /// All roads to the listener with this first port.
    fn roads(&self, port: u16) -> Result<Vec<Road>> {
        let mut roads = Vec::new();
        for (index, case) in CASES.iter().enumerate() {
            for (scheme, end) in DIALLED {
                let offset = LISTENED.iter().position(|listened| *listened == end);
                let offset = 2 * offset.context("nothing ends there")? + usize::from(case.locked);
                let port = port + u16::try_from(offset)?;
                let (proxy, wire) = match scheme {
                    "socks" | "sockstls" => {
                        let proxy = self.proxy.trim_start_matches("socks://");
                        (format!("{proxy}/"), &self.far)
                    }
                    _ => (String::new(), &self.wire),
                };
                let end = &wire.ends()[1];
                let v4 = Self::host(end.v4.to_string(), index);
                let v6 = format!("[{}]", Self::host(end.v6.to_string(), index));
                for host in [v4, v6] {
                    roads.push(Road { place: format!("{scheme}://{proxy}{host}:{port}"), case });
                }
            }
            roads.push(Road { place: format!("unix://{}", self.file(port, index)), case });
        }
        Ok(roads)
    }

    /// The socket file of a case, at the listener with this first port.
    fn file(&self, port: u16, index: usize) -> String {
        self.lab.folder().join(format!("{port}-{index}")).display().to_string()
    }

    /// Waits until a dialer has every link that it may have, and has heard a reason for every other
    /// one.
    fn check(&self, dialer: &Node, listener: &Node, port: u16) -> Result<()> {
        let roads = self.roads(port)?;
        let what = format!("the links from {} to {}", dialer.name(), listener.name());
        until(&what, Deadline::seconds(30), || {
            let peers = dialer.status()?.peers;
            for Road { place, case } in &roads {
                let found = peers.iter().find(|peer| peer.uri == *place);
                let peer = found.with_context(|| format!("{place} is not listed: {peers:?}"))?;
                let heard_why = match dialer.kind().actual() {
                    Ours => says_why(peer, case),
                    Reference => peer.last_error.is_some(),
                };
                let as_wanted = if case.welcome { peer.up } else { !peer.up && heard_why };
                ensure!(as_wanted, "{place}?{}: {peer:?}", case.options);
            }
            Ok(Some(()))
        })?;
        let key = listener.identity().key();
        let peers = dialer.status()?.peers;
        for Road { place, case } in &roads {
            let Some(peer) = peers.iter().find(|peer| peer.uri == *place) else { continue };
            ensure!(!case.welcome || peer.key.as_deref() == Some(&key), "another key: {peer:?}");
        }
        Ok(())
    }
}

/// Whether ours tells the right reason. The other end may hang up before its greeting is read.
fn says_why(peer: &PeerStatus, case: &Case) -> bool {
    let error = peer.last_error.as_deref().unwrap_or_default();
    let codes: &[&str] = if case.locked {
        &["password_mismatch", "closed_by_peer"]
    } else {
        &["pinned_key_mismatch"]
    };
    codes.iter().any(|code| error.contains(code))
}

/// ```text
///   [a] ==quic== [b] ==unix== [c] ==socks== [d] ==tls, zone== [e]
/// ```
/// Ours are a, c and e. Socket files know no namespaces, so b and c need no wire.
#[test]
fn a_chain_of_mixed_transports_carries_pings() {
    run("roads chain", |lab| {
        let hosts = ["a", "b", "c", "d", "e"].map(|label| lab.host(label));
        let [a, b, c, d, e] = hosts;
        let (a, b, c, d, e) = (a?, b?, c?, d?, e?);
        let (ab, cd, de) = (lab.wire(&a, &b)?, lab.wire(&c, &d)?, lab.wire(&d, &e)?);
        let file = format!("unix://{}", lab.folder().join("link").display());
        let proxy = Proxy::start(&c, LOGIN)?;
        let quic = ab.ends()[1].uri("quic", 9001);
        let tcp = cd.ends()[1].uri_v6("tcp", 9001);
        let through = tcp.replace("tcp://", &format!("socks://{LOGIN}@127.0.0.1:{}/", proxy.port));
        let zoned = link_local(&de)?;

        let b =
            lab.node(Reference, &b)?.listen(&quic).listen(&file).identity(Identity::numbered(1));
        let d = lab.node(Reference, &d)?.listen(&tcp).listen("tls://[::]:9002");
        let (b, d) = (lab.start(b)?, lab.start(d.identity(Identity::numbered(3)))?);
        let node = |host: &Host, number| -> Result<NodeBuilder> {
            Ok(lab.node(Ours, host)?.identity(Identity::numbered(number)))
        };
        let a = lab.start(node(&a, 0)?.peer(&quic))?;
        let c = lab.start(node(&c, 2)?.peer(&file).peer(&through))?;
        let e = lab.start(node(&e, 4)?.peer(&zoned))?;
        lab.settled(&[&a, &b, &c, &d, &e], Deadline::seconds(40))?;
        for (from, to) in [(&a, &e), (&e, &a), (&c, &a)] {
            from.wait_until_reaches(to, Deadline::seconds(40))?;
            Ping::new(to.address()).packet(9000).all_answered(from.host(), 5)?;
        }
        Ok(())
    });
}

/// A TLS URI for the link-local address at the first end of a wire, as the second end sees it.
fn link_local(wire: &Wire) -> Result<String> {
    let [near, far] = wire.ends();
    let text =
        near.host.ip(["-o", "-6", "address", "show", "dev", &near.device, "scope", "link"])?;
    let address = text.split_whitespace().nth(3).and_then(|net| net.split('/').next());
    let Some(address) = address else { bail!("no link-local address: {text}") };
    Ok(format!("tls://[{address}%25{}]:9002", far.device))
}
