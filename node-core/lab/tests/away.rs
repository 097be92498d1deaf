//! A computer sleeps, or loses its network for a while: when it is back, so are its links, without
//! anybody's help and without waiting out a pause.
//!
//! ```text
//!   [a] dials ======wire1======> [b] listens
//! ```

#![cfg(target_os = "linux")]

use std::thread;
use std::time::Duration;

use anyhow::ensure;
use planetary_lab::Kind::{Ours, Reference};
use planetary_lab::{Deadline, run};

/// After this long without a network, the next attempt to dial is at least 14 seconds away: the
/// pauses double from a quarter of a second, and each is shortened by a quarter at most.
const LONG_CUT: Duration = Duration::from_secs(33);
/// Longer than what a node takes for sleep, and than what a link survives.
const NAP: Duration = Duration::from_secs(12);

#[test]
fn a_network_that_comes_back_is_used_at_once() {
    run("network comes back", |lab| {
        let row = lab.chain(&[Ours, Reference], "tcp")?;
        let [a, b] = &row.nodes[..] else { unreachable!("two kinds make two nodes") };
        a.wait_until_reaches(b, Deadline::seconds(100))?;
        row.wires[0].unplug()?;
        thread::sleep(LONG_CUT);
        ensure!(a.status()?.peers.iter().all(|peer| !peer.up), "the link survived its wire");
        row.wires[0].plug()?;
        a.wait_for_link(b, Deadline::seconds(10))?;
        a.wait_until_reaches(b, Deadline::seconds(100)).map(drop)
    });
}

#[test]
fn a_computer_that_slept_is_back_at_once() {
    for (case, kinds) in
        [("ours with ours", [Ours, Ours]), ("ours with the reference", [Ours, Reference])]
    {
        run(&format!("sleep, {case}"), |lab| {
            let row = lab.chain(&kinds, "tls")?;
            let [a, b] = &row.nodes[..] else { unreachable!("two kinds make two nodes") };
            a.wait_until_reaches(b, Deadline::seconds(100))?;
            a.freeze()?;
            thread::sleep(NAP);
            a.thaw()?;
            a.wait_for_link(b, Deadline::seconds(10))?;
            a.wait_until_reaches(b, Deadline::seconds(10))?;
            ensure!(a.log().contains("has slept"), "it did not notice its sleep");
            Ok(())
        });
    }
}
