//! A node ends and comes back in the middle of a transfer: nothing is lost and nobody has to help.
//!
//! ```text
//!   [a] ======wire1======> [b] ======wire2======> [c]
//! ```

#![cfg(target_os = "linux")]

use anyhow::{Result, ensure};
use planetary_lab::Kind::{Ours, Reference};
use planetary_lab::{Deadline, Kind, Node, Transfer, run};

const BYTES: u64 = 1_000_000_000;

#[test]
fn either_end_is_restarted_while_ours_sends() {
    pair("restart ours-reference", [Ours, Reference], Node::restart);
}

#[test]
fn either_end_is_restarted_while_the_reference_sends() {
    pair("restart reference-ours", [Reference, Ours], Node::restart);
}

#[test]
fn either_end_is_killed_while_ours_sends() {
    pair("kill ours-reference", [Ours, Reference], |node| {
        node.kill()?;
        node.start()
    });
}

#[test]
fn either_end_is_killed_while_the_reference_sends() {
    pair("kill reference-ours", [Reference, Ours], |node| {
        node.kill()?;
        node.start()
    });
}

/// The two ends keep their session; only the way between them is gone for a while.
#[test]
fn the_transit_is_restarted() {
    for (scenario, kinds) in [
        ("restart of our transit", [Reference, Ours, Reference]),
        ("restart of the reference's transit", [Ours, Reference, Ours]),
    ] {
        run(scenario, |lab| {
            let row = lab.chain(&kinds, "tcp")?;
            let [a, b, c] = &row.nodes[..] else { unreachable!("three kinds make three nodes") };
            a.wait_until_reaches(c, Deadline::seconds(100))?;
            let deadline = Deadline::seconds(200);
            let transfer = Transfer::start(a.host(), c.host(), c.address(), BYTES, deadline)?;
            transfer.wait_for(BYTES / 4, deadline)?;
            b.restart()?;
            a.wait_until_reaches(c, Deadline::seconds(100))?;
            transfer.finish().map(drop)
        });
    }
}

fn pair(scenario: &str, kinds: [Kind; 2], again: impl Fn(&Node) -> Result<()>) {
    run(scenario, |lab| {
        let row = lab.chain(&kinds, "tcp")?;
        let [a, b] = &row.nodes[..] else { unreachable!("two kinds make two nodes") };
        a.wait_until_reaches(b, Deadline::seconds(100))?;
        let deadline = Deadline::seconds(200);
        let transfer = Transfer::start(a.host(), b.host(), b.address(), BYTES, deadline)?;
        for (share, node) in [(BYTES / 4, a), (BYTES / 2, b)] {
            transfer.wait_for(share, deadline)?;
            again(node)?;
            a.wait_until_reaches(b, Deadline::seconds(100))?;
        }
        let result = transfer.finish()?;
        ensure!(result.bytes == BYTES, "{result}");
        Ok(())
    });
}
