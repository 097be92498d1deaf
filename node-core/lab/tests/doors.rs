//! Who is let in: passwords, pinned keys, and lists of allowed keys.
//!
//! ```text
//!   [a] dials ======wire1======> [b] listens
//! ```

#![cfg(target_os = "linux")]

use std::sync::Arc;

use anyhow::{Result, ensure};
use planetary_lab::Kind::{Ours, Reference};
use planetary_lab::{Deadline, Identity, Kind, Lab, Node, run, until};

/// Both roles, for every rule has two sides.
const ROLES: [(&str, [Kind; 2]); 2] =
    [("ours dials", [Ours, Reference]), ("reference dials", [Reference, Ours])];

/// What each side adds to its URI, and which keys the listener allows.
#[derive(Default)]
struct Door {
    dialler: String,
    listener: String,
    allowed: Vec<String>,
}

#[test]
fn the_right_password_opens() {
    for (role, kinds) in ROLES {
        run(&format!("right password, {role}"), |lab| {
            // What is percent-encoded is the byte itself.
            let dialler = "?password=open%20sesame".to_owned();
            opens(lab, kinds, Door { listener: dialler.clone(), dialler, allowed: Vec::new() })
        });
    }
}

#[test]
fn a_wrong_password_does_not_open() {
    for (role, kinds) in ROLES {
        for (case, dialler, listener) in [
            ("wrong", "?password=this", "?password=that"),
            ("missing", "", "?password=that"),
            ("unasked", "?password=this", ""),
        ] {
            run(&format!("{case} password, {role}"), |lab| {
                let (dialler, listener) = (dialler.to_owned(), listener.to_owned());
                stays_shut(lab, kinds, Door { dialler, listener, allowed: Vec::new() })
            });
        }
    }
}

#[test]
fn the_right_pinned_key_opens() {
    for (role, kinds) in ROLES {
        run(&format!("right pinned key, {role}"), |lab| {
            // One of several is enough.
            let (other, right) = (Identity::numbered(9).key(), listener_key());
            let dialler = format!("?key={other}&key={right}");
            opens(lab, kinds, Door { dialler, ..Door::default() })
        });
    }
}

#[test]
fn a_wrong_pinned_key_does_not_open() {
    for (role, kinds) in ROLES {
        run(&format!("wrong pinned key, {role}"), |lab| {
            let dialler = format!("?key={}", Identity::numbered(9).key());
            stays_shut(lab, kinds, Door { dialler, ..Door::default() })
        });
    }
}

#[test]
fn an_allowed_key_opens() {
    for (role, kinds) in ROLES {
        run(&format!("allowed key, {role}"), |lab| {
            let allowed = vec![Identity::numbered(9).key(), dialler_key()];
            opens(lab, kinds, Door { allowed, ..Door::default() })
        });
    }
}

#[test]
fn a_key_that_is_not_allowed_does_not_open() {
    for (role, kinds) in ROLES {
        run(&format!("key not allowed, {role}"), |lab| {
            let allowed = vec![Identity::numbered(9).key()];
            stays_shut(lab, kinds, Door { allowed, ..Door::default() })
        });
    }
}

fn opens(lab: &Lab, kinds: [Kind; 2], door: Door) -> Result<()> {
    let (dialler, listener) = start(lab, kinds, door)?;
    dialler.wait_for_link(&listener, Deadline::seconds(20))?;
    listener.wait_for_link(&dialler, Deadline::seconds(20))?;
    dialler.wait_until_reaches(&listener, Deadline::seconds(100)).map(drop)
}

/// The dialler says why, and neither side has a link.
fn stays_shut(lab: &Lab, kinds: [Kind; 2], door: Door) -> Result<()> {
    let (dialler, listener) = start(lab, kinds, door)?;
    let reason = until("the dialler to say why", Deadline::seconds(30), || {
        Ok(dialler.status()?.peers.into_iter().find_map(|peer| peer.last_error))
    })?;
    eprintln!("the dialler says: {reason}");
    for node in [&dialler, &listener] {
        let peers = node.status()?.peers;
        // The reference counts one that knocks as up, without a key.
        let shut = peers.iter().all(|peer| !peer.up || peer.key.is_none());
        ensure!(shut, "{} let it in: {peers:?}", node.name());
    }
    Ok(())
}

fn start(lab: &Lab, kinds: [Kind; 2], door: Door) -> Result<(Arc<Node>, Arc<Node>)> {
    let (a, b) = (lab.host("a")?, lab.host("b")?);
    let wire = lab.wire(&a, &b)?;
    let uri = wire.ends()[1].uri("tls", 9001);
    let mut listener = lab.node(kinds[1], &b)?.identity(Identity::numbered(1));
    listener = listener.listen(format!("{uri}{}", door.listener));
    for key in door.allowed {
        listener = listener.allow(key);
    }
    let listener = lab.start(listener)?;
    let dialler = lab.node(kinds[0], &a)?.identity(Identity::numbered(0));
    let dialler = lab.start(dialler.peer(format!("{uri}{}", door.dialler)))?;
    Ok((dialler, listener))
}

fn dialler_key() -> String {
    Identity::numbered(0).key()
}

fn listener_key() -> String {
    Identity::numbered(1).key()
}
