//! Who is the root of the tree, and what happens when it goes.
//!
//! ```text
//!   [a] ======wire1======> [b] ======wire2======> [c]       the lowest key is the root
//! ```

#![cfg(target_os = "linux")]

use anyhow::{Result, ensure};
use planetary_lab::Kind::{Ours, Reference};
use planetary_lab::{Deadline, Identity, Kind, run};

#[test]
fn ours_is_the_root_at_an_end() {
    rooted("root ours, at an end", [Ours, Reference, Reference], [0, 2, 1]);
}

#[test]
fn ours_is_the_root_in_the_middle() {
    rooted("root ours, in the middle", [Reference, Ours, Reference], [2, 0, 1]);
}

#[test]
fn the_reference_is_the_root_at_an_end() {
    rooted("root reference, at an end", [Reference, Ours, Ours], [0, 2, 1]);
}

#[test]
fn the_reference_is_the_root_in_the_middle() {
    rooted("root reference, in the middle", [Ours, Reference, Ours], [1, 0, 2]);
}

/// `order` says which of the ascending keys each node has: 0 is the root's.
fn rooted(scenario: &str, kinds: [Kind; 3], order: [usize; 3]) {
    run(scenario, |lab| {
        let keys = Identity::ascending(3);
        let hosts = [lab.host("a")?, lab.host("b")?, lab.host("c")?];
        let wires = [lab.wire(&hosts[0], &hosts[1])?, lab.wire(&hosts[1], &hosts[2])?];
        let uris = wires.each_ref().map(|wire| wire.ends()[1].uri("tcp", 9001));
        let node = |index: usize| -> Result<_> {
            let node = lab.node(kinds[index], &hosts[index])?;
            Ok(node.identity(keys[order[index]].clone()))
        };
        let c = lab.start(node(2)?.listen(&uris[1]))?;
        let b = lab.start(node(1)?.listen(&uris[0]).peer(&uris[1]))?;
        let a = lab.start(node(0)?.peer(&uris[0]))?;
        let all = [&*a, &*b, &*c];
        lab.settled(&all, Deadline::seconds(60))?;
        let root = all.into_iter().find(|node| node.identity().key() == keys[0].key());
        let root = root.unwrap_or(&a);
        ensure!(root.status()?.root == Some(keys[0].key()), "the root does not know that it is");
        a.wait_until_reaches(&c, Deadline::seconds(100))?;
        c.wait_until_reaches(&a, Deadline::seconds(100))?;

        // The root goes without a word; those that can still see each other agree on another.
        root.kill()?;
        let rest: Vec<_> = all.into_iter().filter(|node| node.is_running()).collect();
        if order[1] != 0 {
            lab.settled(&rest, Deadline::seconds(100))?;
            rest[0].wait_until_reaches(rest[1], Deadline::seconds(100))?;
        } else {
            for lonely in &rest {
                lab.settled(&[*lonely], Deadline::seconds(100))?;
            }
        }

        // It comes back and is the root again.
        root.start()?;
        lab.settled(&all, Deadline::seconds(100))?;
        a.wait_until_reaches(&c, Deadline::seconds(100)).map(drop)
    });
}
