//! What changed between one state and the next, in lines a person can read.
//!
//! Pure: two states in, sentences out. `watch` prints them with the time in front.

use std::collections::BTreeMap;

use planetary_ipc::{PeerStatus, Status};

use crate::format;

/// The changes from `old` to `new`; from nothing, everything is a change.
pub(crate) fn changes(old: Option<&Status>, new: &Status) -> Vec<String> {
    let mut lines = Vec::new();
    if old.is_none_or(|old| (old.state, &old.state_text) != (new.state, &new.state_text)) {
        lines.push(match &new.state_text {
            Some(text) => format!("state {}: {text}", new.state.name()),
            None => format!("state {}", new.state.name()),
        });
    }
    if old.is_none_or(|old| old.address != new.address) {
        lines.push(format!("address {}", new.address));
    }
    let place = |status: &Status| (status.root, status.coordinates.clone());
    if old.map_or((None, None), place) != place(new) {
        lines.push(match new.root {
            Some(root) => {
                let coordinates = format::coordinates(new.coordinates.as_deref());
                format!("place coordinates {coordinates}, root {root}")
            }
            None => "place unknown".to_owned(),
        });
    }
    let peers_before = old.map_or(&[][..], |old| &old.peers);
    peer_changes(peers_before, &new.peers, &mut lines);
    health_changes(old, new, &mut lines);
    lines.iter().map(|line| format::plain(line).into_owned()).collect()
}

fn peer_changes(old: &[PeerStatus], new: &[PeerStatus], lines: &mut Vec<String>) {
    let before: BTreeMap<u64, &PeerStatus> = old.iter().map(|peer| (peer.link, peer)).collect();
    for peer in new {
        let old = before.get(&peer.link);
        if old.is_none_or(|old| condition(old) != condition(peer)) {
            lines.push(format!("peer {} {}", peer.uri, condition_text(peer)));
        }
    }
    for gone in old.iter().filter(|old| !new.iter().any(|peer| peer.link == old.link)) {
        lines.push(format!("peer {} removed", gone.uri));
    }
}

/// What of a peer is worth a line when it changes.
fn condition(peer: &PeerStatus) -> (bool, bool, Option<&str>) {
    // A new failure of the same kind is no news.
    let failure = peer.last_error.as_ref().filter(|_| !peer.up).map(|error| error.code.as_str());
    (peer.up, peer.suspect, failure)
}

fn condition_text(peer: &PeerStatus) -> String {
    match condition(peer) {
        (true, false, _) => match peer.latency_ms {
            Some(_) => format!("up, {}", format::milliseconds(peer.latency_ms)),
            None => "up".to_owned(),
        },
        (true, true, _) => "suspect".to_owned(),
        (false, ..) => match &peer.last_error {
            Some(error) => format!("down: {}", error.message),
            None => "connecting".to_owned(),
        },
    }
}

fn health_changes(old: Option<&Status>, new: &Status, lines: &mut Vec<String>) {
    let before = old.map_or(&[][..], |old| &old.health);
    let same = |a: &planetary_ipc::HealthItem, b: &planetary_ipc::HealthItem| {
        (&a.code, &a.text) == (&b.code, &b.text)
    };
    for item in new.health.iter().filter(|item| !before.iter().any(|old| same(old, item))) {
        lines.push(format!("health {}: {}", item.title, item.text));
    }
    for item in before.iter().filter(|item| !new.health.iter().any(|now| same(now, item))) {
        lines.push(format!("health over: {}", item.title));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use planetary_ipc::mock::Mock;

    #[test]
    fn life_of_the_mock_network_reads_well() {
        let mock = Mock::new();
        let mut lines = changes(None, &mock.status());
        for _ in 0..51 {
            let old = mock.status();
            mock.tick();
            lines.extend(changes(Some(&old), &mock.status()));
        }
        let expected = [
            "state connecting: asking 4 peers",
            "peer tls://frankfurt.example:443 up, ",
            "state connected",
            "peer tls://tokyo.example:9001 suspect",
            "peer tls://tokyo.example:9001 down: no answer for 3 s",
            "health A peer does not answer: tls://tokyo.example:9001 cannot be reached",
            "peer tls://tokyo.example:9001 up, ",
            "health over: A peer does not answer",
        ];
        let mut rest = lines.iter();
        for part in expected {
            assert!(rest.any(|line| line.starts_with(part)), "{part:?} is missing in {lines:#?}");
        }
    }

    #[test]
    fn nothing_new_is_no_line() {
        let status = Mock::settled().status();
        assert_eq!(changes(Some(&status), &status), Vec::<String>::new());
    }
}
