//! What changed between one state and the next, in lines a person can read.
//!
//! Pure: two states in, sentences out. `watch` prints them with the time in front.

use std::collections::BTreeMap;

use planetary_ipc::{HealthItem, PeerStatus, Question, State, Status};

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
    if old.is_none_or(|old| old.access != new.access) {
        lines.push(format!("open to {}", format::access(&new.access, new.time)));
    }
    peer_changes(old, new, &mut lines);
    let is_new = |asked: &&Question| {
        old.is_none_or(|old| old.questions.iter().all(|known| known.id != asked.id))
    };
    let asked = new.questions.iter().filter(is_new);
    lines.extend(asked.map(|asked| format!("question {}: {}", asked.id, format::question(asked))));
    health_changes(old, new, &mut lines);
    lines.iter().map(|line| format::plain(line).into_owned()).collect()
}

fn peer_changes(old: Option<&Status>, new: &Status, lines: &mut Vec<String>) {
    let peers_before = old.map_or(&[][..], |old| &old.peers);
    let before: BTreeMap<u64, &PeerStatus> =
        peers_before.iter().map(|peer| (peer.link, peer)).collect();
    let is_off = new.state == State::Down;
    for peer in &new.peers {
        let old = before.get(&peer.link);
        let changed = if is_off && !peer.up {
            // That a link which was down rests as well is no news.
            old.is_none_or(|old| old.up)
        } else {
            old.is_none_or(|old| condition(old) != condition(peer))
        };
        if changed {
            lines.push(format!("peer {} {}", peer.uri, condition_text(peer, is_off)));
        }
    }
    let is_gone = |old: &&PeerStatus| !new.peers.iter().any(|peer| peer.link == old.link);
    for gone in peers_before.iter().filter(is_gone) {
        lines.push(format!("peer {} removed", gone.uri));
    }
}

/// What of a peer is worth a line when it changes.
fn condition(peer: &PeerStatus) -> (bool, bool, Option<&str>) {
    // A new failure of the same kind is no news.
    let failure = peer.last_error.as_ref().filter(|_| !peer.up).map(|error| error.code.as_str());
    let failure = if peer.paused { Some("paused") } else { failure };
    (peer.up, peer.suspect, failure)
}

fn condition_text(peer: &PeerStatus, is_off: bool) -> String {
    match condition(peer) {
        (true, false, _) => match peer.latency_ms {
            Some(_) => format!("up, {}", format::milliseconds(peer.latency_ms)),
            None => "up".to_owned(),
        },
        (true, true, _) => "suspect".to_owned(),
        (false, ..) if is_off => "down".to_owned(),
        (false, ..) if peer.paused => "paused".to_owned(),
        (false, ..) => match &peer.last_error {
            Some(error) => format!("down: {}", error.message),
            None => "connecting".to_owned(),
        },
    }
}

fn health_changes(old: Option<&Status>, new: &Status, lines: &mut Vec<String>) {
    let words = |item: &HealthItem| (item.code.clone(), item.title.clone(), item.text.clone());
    let without = |items: &[HealthItem], others: &[HealthItem]| -> Vec<HealthItem> {
        let others: Vec<_> = others.iter().map(words).collect();
        items.iter().filter(|item| !others.contains(&words(item))).cloned().collect()
    };
    let before = old.map_or(&[][..], |old| &old.health);
    // A condition is known by its code; its words may change while it lasts.
    let mut over = without(before, &new.health);
    for item in without(&new.health, before) {
        let HealthItem { title, text, .. } = &item;
        match over.iter().position(|old| old.code == item.code) {
            Some(place) => {
                over.remove(place);
                lines.push(format!("health changed: {title}: {text}"));
            }
            None => lines.push(format!("health {title}: {text}")),
        }
    }
    lines.extend(over.iter().map(|item| format!("health over: {}", item.title)));
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
            "question 3: \"Mum\" (",
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

    /// The state of the mock network after losing a peer, with what the test makes of it.
    fn troubled(change: impl FnOnce(&mut Status)) -> Status {
        let mut status = Mock::after(45).status();
        change(&mut status);
        status
    }

    #[test]
    fn condition_with_other_words_is_not_over() {
        let old = troubled(|_| {});
        let new = troubled(|status| status.health[1].text = "It is worse.".to_owned());
        let lines = changes(Some(&old), &new);
        assert_eq!(lines, ["health changed: A peer does not answer: It is worse."]);

        let over = troubled(|status| drop(status.health.remove(0)));
        assert_eq!(changes(Some(&old), &over), ["health over: A peer does not answer"]);
        let lines = changes(Some(&over), &old);
        assert!(lines.len() == 1 && lines[0].starts_with("health A peer does not"), "{lines:?}");
    }

    #[test]
    fn peers_of_a_node_that_is_down_do_not_connect() {
        let up = troubled(|_| {});
        let down = troubled(|status| {
            status.state = State::Down;
            for peer in &mut status.peers {
                (peer.up, peer.suspect, peer.last_error) = (false, false, None);
            }
        });
        let peers = |lines: Vec<String>| {
            lines.into_iter().filter(|line| line.starts_with("peer ")).collect::<Vec<_>>()
        };
        let lines = peers(changes(Some(&up), &down));
        assert_eq!(lines.len(), 4, "those that were up: {lines:?}");
        assert!(lines.iter().all(|line| line.ends_with(" down")), "{lines:?}");
        let lines = peers(changes(None, &down));
        assert!(lines.len() == 6 && lines.iter().all(|line| line.ends_with(" down")), "{lines:?}");
    }
}
