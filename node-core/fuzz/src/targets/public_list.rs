//! Lists of public peers.
//!
//! Asserted: every entry is used or rejected with a reason; nothing that may be shown holds a
//! password, an option or a control character; names are told apart; what cannot be dialled says
//! so.

use std::collections::BTreeSet;

use planetary_service::public::choice;
use planetary_service::public::list::{ENTRIES_MAX, PublicList};

const PASSWORD: &str = "hVq3Zk8sT1";

/// See the module.
pub fn public_list(data: &[u8]) {
    check(data);
    // A password in place of each first option.
    if let Ok(text) = std::str::from_utf8(data) {
        check(text.replace('?', &format!("?password={PASSWORD}&")).as_bytes());
    }
}

fn check(data: &[u8]) {
    let Ok(list) = PublicList::parse(data) else { return };
    assert!(!list.peers.is_empty() && list.peers.len() + list.rejected.len() <= ENTRIES_MAX);
    let names: BTreeSet<_> = list.peers.iter().map(|peer| &peer.name).collect();
    assert_eq!(names.len(), list.peers.len());
    for peer in &list.peers {
        let shown = format!("{peer:?} {} {} {}", peer.name, peer.region, peer.country);
        assert!(!shown.contains(PASSWORD), "{shown}");
        assert!(!peer.name.contains(char::is_control), "{}", peer.name);
        assert!(peer.port != 0);
        let proxied = ["socks", "sockstls"].contains(&peer.transport.as_str());
        assert_eq!(peer.dial.is_some(), !proxied);
        assert!(!choice::operator(&peer.host).is_empty());
    }
    for rejected in &list.rejected {
        let reason = &rejected.reason;
        assert!(rejected.entry > 0 && !reason.contains(char::is_control), "{reason}");
        assert!(!reason.contains(PASSWORD), "{reason}");
    }
    // The same sample for the same seed, each peer once.
    let candidates: Vec<_> = list.peers.iter().collect();
    let sample = choice::around(&candidates, &|_| None, 7);
    let names: BTreeSet<_> = sample.iter().map(|peer| &peer.name).collect();
    assert!(names.len() == sample.len() && sample.len() <= choice::AROUND);
}
