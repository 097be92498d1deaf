//! Three nodes in a row: the one in the middle carries what it cannot read.
//!
//! ```text
//!   [a] ======wire1======> [b] ======wire2======> [c]
//! ```

#![cfg(target_os = "linux")]

use std::fs;
use std::net::Ipv6Addr;
use std::time::Duration;

use anyhow::{Result, ensure};
use planetary_lab::Kind::{Ours, Reference};
use planetary_lab::{Deadline, Kind, Node, Ping, Row, Transfer, WebServer, fetch, run};

#[test]
fn ours_reference_ours() {
    chain("chain ours-reference-ours", [Ours, Reference, Ours]);
}

/// Ours is the transit: it moves bulk data between two nodes of the reference.
#[test]
fn reference_ours_reference() {
    chain("chain reference-ours-reference", [Reference, Ours, Reference]);
}

#[test]
fn ours_ours_reference() {
    chain("chain ours-ours-reference", [Ours, Ours, Reference]);
}

fn chain(scenario: &str, kinds: [Kind; 3]) {
    run(scenario, |lab| {
        let row = lab.chain(&kinds, "tcp")?;
        lab.settled(&row.all(), Deadline::seconds(60))?;
        let [a, b, c] = &row.nodes[..] else { unreachable!("three kinds make three nodes") };
        for (from, to) in [(a, c), (c, a), (a, b), (b, a), (b, c), (c, b)] {
            from.wait_until_reaches(to, Deadline::seconds(100))?;
        }
        for size in [1280, 9000, 65_535] {
            let ping = Ping::new(c.address()).packet(size);
            ping.times(3, Duration::from_millis(5)).all_answered(a.host(), 5)?;
        }
        bulk(&row)
    });
}

fn bulk(row: &Row) -> Result<()> {
    let (a, c) = (&row.nodes[0], &row.nodes[2]);
    for (from, to) in [(a, c), (c, a)] {
        let deadline = Deadline::seconds(120);
        let bytes = 400_000_000;
        let transfer =
            Transfer::start(from.host(), to.host(), to.address(), bytes, deadline)?.finish()?;
        ensure!(transfer.connections == 1, "the connection broke: {transfer}");
    }
    Ok(())
}

/// The subnet is asked for before anything else is known of the far end, so the lookup is one by
/// subnet: by ours for the reference, and the other way round.
#[test]
fn subnets_are_found_and_reached() {
    for (scenario, kinds) in [
        ("subnet ours-reference-reference", [Ours, Reference, Reference]),
        ("subnet reference-ours-ours", [Reference, Ours, Ours]),
    ] {
        run(scenario, |lab| {
            let row = lab.chain(&kinds, "tcp")?;
            let [a, _, c] = &row.nodes[..] else { unreachable!("three kinds make three nodes") };
            let [inside_a, inside_c] = [a, c].map(|node| node.identity().subnet_address(7));
            for (node, address) in [(a, inside_a), (c, inside_c)] {
                let address = format!("{address}/128");
                node.host().ip(["address", "add", &address, "dev", "lo", "nodad"])?;
            }
            lab.settled(&row.all(), Deadline::seconds(60))?;
            let into = |from: &Node, to: Ipv6Addr| {
                Ping::new(to).until_answered(from.host(), Deadline::seconds(100))
            };
            into(a, inside_c)?;
            into(c, inside_a)?;
            // From subnet to subnet: neither end uses its own address.
            Ping::new(inside_c).source(inside_a).all_answered(a.host(), 5)?;
            Ping::new(inside_a).source(inside_c).all_answered(c.host(), 5).map(drop)
        });
    }
}

/// The main job: a file from a web server behind the reference, fetched through ours.
#[test]
fn a_file_is_fetched_from_a_web_server_behind_the_reference() {
    run("web through ours", |lab| {
        let row = lab.chain(&[Ours, Ours, Reference], "tls")?;
        let [client, _, server] = &row.nodes[..] else { unreachable!("three kinds, three nodes") };
        client.wait_until_reaches(server, Deadline::seconds(100))?;
        let served = lab.folder().join("served");
        fs::create_dir(&served)?;
        let content: Vec<u8> = (0..20_000_000_u32).map(|n| (n ^ n >> 9) as u8).collect();
        fs::write(served.join("file"), &content)?;
        let web = WebServer::start(server.host(), server.address(), &served)?;
        let fetched = lab.folder().join("fetched");
        fetch(client.host(), &web.url("file"), &fetched)?;
        ensure!(fs::read(&fetched)? == content, "another file than the one served arrived");
        Ok(())
    });
}
