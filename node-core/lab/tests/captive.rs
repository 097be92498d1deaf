//! Nodes in networks that let little through: behind a web server that terminates TLS, and behind
//! a router that shares one address and forgets.

#![cfg(target_os = "linux")]

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use planetary_lab::Kind::{Ours, Reference};
use planetary_lab::{Deadline, FrontServer, Host, Node, run, until};

/// Ports of the nodes that are dialled.
const OURS: u16 = 9001;
const THEIRS: u16 = 9003;

/// ```text
///   [near] =====\                            /== [ours] listens for ws
///                == [front] https, nginx ====
///   [visitor] ==/                            \== [theirs] listens for ws
/// ```
#[test]
fn links_run_through_a_web_server_that_terminates_tls() {
    run("captive wss", |lab| {
        let [near, visitor, front, ours, theirs] =
            ["near", "visitor", "front", "ours", "theirs"].map(|label| lab.host(label));
        let (near, visitor, front, ours, theirs) = (near?, visitor?, front?, ours?, theirs?);
        let in_front = [lab.wire(&near, &front)?, lab.wire(&visitor, &front)?];
        let behind = [lab.wire(&front, &ours)?, lab.wire(&front, &theirs)?];
        let upstream = |index: usize, port| SocketAddr::from((behind[index].ends()[1].v4, port));
        let routes = [("/ours", upstream(0, OURS)), ("/theirs", upstream(1, THEIRS))];
        let server = FrontServer::start(&front, [0, 0, 0, 0], &routes, lab.folder())?;
        let listen = |port| format!("ws://0.0.0.0:{port}?password=hush");
        let ours = lab.start(lab.node(Ours, &ours)?.listen(listen(OURS)))?;
        let theirs = lab.start(lab.node(Reference, &theirs)?.listen(listen(THEIRS)))?;
        let uri = |index: usize, path: &str| {
            let web = in_front[index].ends()[1].uri("wss", 443);
            format!("{web}/{path}?password=hush&priority=3")
        };
        let node = lab.node(Ours, &near)?.peer(uri(0, "ours")).peer(uri(0, "theirs"));
        let near = lab.start(node)?;
        for far in [&ours, &theirs] {
            near.wait_for_link(far, Deadline::seconds(30))?;
            near.wait_until_reaches(far, Deadline::seconds(60))?;
        }
        near.stop()?;
        until("nginx to note both requests", Deadline::seconds(20), || {
            let log = server.access_log()?;
            ensure!(log.lines().count() >= 2, "only: {log}");
            ensure!(log.contains("GET /ours HTTP/1.1") && log.contains("GET /theirs"), "{log}");
            ensure!(!log.contains("hush") && !log.contains("priority"), "it learned: {log}");
            Ok(Some(()))
        })?;
        let visitor = lab.start(lab.node(Reference, &visitor)?.peer(uri(1, "ours")))?;
        visitor.wait_for_link(&ours, Deadline::seconds(30))?;
        visitor.wait_until_reaches(&ours, Deadline::seconds(60)).map(drop)
    });
}

/// ```text
///                                            /== [ours]
///   [inside] ==== [router] one address for all
///                                            \== [theirs]
/// ```
#[test]
fn links_come_back_through_a_router_that_forgets_them() {
    run("captive router", |lab| {
        let [inside, router, ours, theirs] =
            ["inside", "router", "ours", "theirs"].map(|name| lab.host(name));
        let (inside, router, ours, theirs) = (inside?, router?, ours?, theirs?);
        let lan = lab.wire(&inside, &router)?;
        let wan = [lab.wire(&router, &ours)?, lab.wire(&router, &theirs)?];
        inside.ip(["route", "add", "default", "via", &lan.ends()[1].v4.to_string()])?;
        masquerade(&router)?;
        let uris = wan.each_ref().map(|wire| {
            [("quic", 9001), ("tls", 9002)].map(|(scheme, port)| wire.ends()[1].uri(scheme, port))
        });
        let listening = |kind, host: &Host, uris: &[String; 2]| -> Result<_> {
            lab.start(lab.node(kind, host)?.listen(&uris[0]).listen(&uris[1]))
        };
        let ours = listening(Ours, &ours, &uris[0])?;
        let theirs = listening(Reference, &theirs, &uris[1])?;
        let mut dialling = lab.node(Ours, &inside)?;
        for uri in uris.iter().flatten() {
            dialling = dialling.peer(uri);
        }
        let node = lab.start(dialling)?;
        let four_links = || until("four links", Deadline::seconds(30), || all_up(&node).map(Some));
        four_links()?;
        for far in [&ours, &theirs] {
            node.wait_until_reaches(far, Deadline::seconds(60))?;
        }
        for wire in &wan {
            forget(&router, &wire.ends()[0].device)?;
        }

        for far in [&ours, &theirs] {
            let took = node.wait_until_reaches(far, Deadline::seconds(20))?;
            ensure!(took < Duration::from_secs(10), "{} only after {took:?}", far.label());
        }
        four_links()
    });
}

/// Shares the addresses of a router. Ports change with every entry, and what belongs to
/// none is dropped, as home routers do.
fn masquerade(router: &Host) -> Result<()> {
    let rules = "add table ip home
         add chain ip home out { type nat hook postrouting priority srcnat; }
         add rule ip home out masquerade random
         add chain ip home through { type filter hook forward priority filter; }
         add rule ip home through ct state invalid drop";
    rules.lines().try_for_each(|rule| router.run("nft", [rule.trim()]).map(drop))?;
    let settings = || {
        fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
        // There since the rules are.
        fs::write("/proc/sys/net/netfilter/nf_conntrack_tcp_loose", "0")
    };
    Ok(router.enter(settings)??)
}

/// Lets a router forget every connection through a device, as one does that starts anew.
fn forget(router: &Host, device: &str) -> Result<()> {
    router.ip(["link", "set", device, "down"])?;
    router.ip(["link", "set", device, "up"]).map(drop)
}

/// Whether all of four links are up.
fn all_up(node: &Node) -> Result<()> {
    let peers = node.status()?.peers;
    let down = peers.iter().find(|peer| !peer.up);
    ensure!(down.is_none() && peers.len() == 4, "{peers:?}");
    Ok(())
}
