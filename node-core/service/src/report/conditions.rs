//! The lasting conditions that the facts show, in the words a person reads.
//!
//! Each condition is one function: it returns the condition while it holds. The health store gives
//! it its age and keeps blips quiet. Those of peers and links are here; what the system around the
//! node is like is judged in `interface`, `computer` and `root`.

use std::collections::BTreeSet;

use planetary_ipc::{HealthItem, Severity};
use planetary_runtime::links::peers::{PeerPhase, PeerStatus as Peer};
use planetary_runtime::tun::Unguarded;

use super::state::counted;
use super::{Facts, computer, interface, root};
use crate::health::{Condition, Health};

/// Reasons for which a peer never comes up by itself: somebody has to change a setting on either
/// side.
pub(super) const LASTING: &[&str] = &[
    "password_mismatch",
    "pinned_key_mismatch",
    "incompatible_version",
    "not_this_protocol",
    "unusable_password",
    "key_not_allowed",
    "connected_to_self",
    "zone_required",
    "interface_unusable",
    "no_suitable_address",
    "transport_unsupported",
];

/// Peers named in one sentence; more would not help anybody.
const NAMED_MAX: usize = 3;

/// Returns the condition while it holds.
type Check = fn(&Facts) -> Option<Condition>;

/// When a condition can hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// While the node is up.
    Up,
    /// Whether it is up or not.
    Always,
}

const CHECKS: &[(&str, When, Check)] = &[
    ("no_peers_configured", When::Up, no_peers_configured),
    ("no_peer_connected", When::Up, no_peer_connected),
    ("no_answer", When::Up, no_answer),
    ("peer_refused", When::Up, peer_refused),
    ("peer_down", When::Up, peer_down),
    ("listener_failed", When::Up, listener_failed),
    ("tun_lost", When::Up, tun_lost),
    ("unguarded", When::Up, unguarded),
    ("interface_changed", When::Up, interface::interface_changed),
    ("mtu_changed", When::Up, interface::mtu_changed),
    ("route_missing", When::Up, interface::route_missing),
    ("network_clash", When::Up, interface::network_clash),
    ("rights_missing", When::Always, interface::rights_missing),
    ("root_changes", When::Up, root::root_changes),
    ("clock_before_release", When::Always, computer::clock_before_release),
    ("clock_differs", When::Up, computer::clock_differs),
    ("clock_jumped", When::Always, computer::clock_jumped),
    ("names_not_resolved", When::Up, computer::names_not_resolved),
    ("files_scarce", When::Always, computer::files_scarce),
    ("memory_scarce", When::Always, computer::memory_scarce),
    ("disk_scarce", When::Always, computer::disk_scarce),
];

/// The codes of all conditions.
#[cfg(test)]
pub(super) fn codes() -> impl Iterator<Item = &'static str> {
    CHECKS.iter().map(|(code, ..)| *code)
}

/// What holds at this moment, even if it is too young to be worth a health item.
pub(super) fn present(facts: &Facts) -> Vec<HealthItem> {
    let present = CHECKS.iter().filter_map(|(_, when, check)| holds(facts, *when, *check));
    present.map(|condition| condition.item(None)).collect()
}

/// Raises what holds and clears what does not.
pub(super) fn update(health: &mut Health, facts: &Facts) {
    for (code, when, check) in CHECKS {
        match holds(facts, *when, *check) {
            Some(condition) => health.raise(condition, facts.now),
            None => health.clear(code),
        }
    }
}

fn holds(facts: &Facts, when: When, check: Check) -> Option<Condition> {
    if facts.up || when == When::Always { check(facts) } else { None }
}

fn no_peers_configured(facts: &Facts) -> Option<Condition> {
    let alone = facts.wanted.is_empty() && facts.listeners.is_empty() && facts.links_up() == 0;
    alone.then(|| Condition {
        code: "no_peers_configured",
        severity: Severity::Error,
        title: "No peer is configured".to_owned(),
        text: "The node reaches the network through peers, and knows none.".to_owned(),
        action: Some("Choose public ones: `planetary peer public --best 3 --add`.".to_owned()),
        affects_connectivity: true,
        may_pass: false,
    })
}

fn no_peer_connected(facts: &Facts) -> Option<Condition> {
    let down = !facts.wanted.is_empty() && facts.links_up() == 0;
    let dialled = facts.wanted.values().filter(|peer| !peer.paused).count();
    down.then(|| Condition {
        code: "no_peer_connected",
        severity: Severity::Error,
        title: "No peer is connected".to_owned(),
        text: match reasons(&facts.peers, |_| true) {
            _ if dialled == 0 => "Every peer is paused, so none is dialled.".to_owned(),
            words if words.is_empty() => {
                format!("The node is dialling {}.", counted(dialled, "peer"))
            }
            words => format!("{} cannot be reached: {words}.", counted(dialled, "peer")),
        },
        action: Some(match dialled {
            0 => "Resume one: `planetary peer resume URI`.".to_owned(),
            _ => "Check this computer's internet connection, or add another peer.".to_owned(),
        }),
        affects_connectivity: true,
        may_pass: true,
    })
}

fn no_answer(facts: &Facts) -> Option<Condition> {
    let silent = facts.links_up() > 0 && !facts.is_proven();
    silent.then(|| Condition {
        code: "no_answer",
        severity: Severity::Warning,
        title: "Nothing comes back through the network".to_owned(),
        text: format!(
            "{} up, but no other node has answered within the last minute.",
            match facts.links_up() {
                1 => "1 link is".to_owned(),
                several => format!("{several} links are"),
            }
        ),
        action: Some("Wait a moment; if it lasts, try another peer.".to_owned()),
        affects_connectivity: true,
        may_pass: true,
    })
}

/// The code of what keeps a peer from being up.
fn failure(peer: &Peer) -> Option<&'static str> {
    let error = peer.last_error.as_ref().filter(|_| peer.phase != PeerPhase::Up);
    error.map(|error| error.code)
}

fn peer_down(facts: &Facts) -> Option<Condition> {
    let down = |peer: &Peer| failure(peer).is_some_and(|code| !LASTING.contains(&code));
    let words = reasons(&facts.peers, down);
    (facts.links_up() > 0 && !words.is_empty()).then(|| Condition {
        code: "peer_down",
        severity: Severity::Info,
        title: "Not every peer is connected".to_owned(),
        text: format!("The node keeps trying {words}."),
        action: Some("Nothing needs to be done; remove a peer that is gone for good.".to_owned()),
        affects_connectivity: false,
        may_pass: true,
    })
}

fn peer_refused(facts: &Facts) -> Option<Condition> {
    let lasting = |peer: &Peer| failure(peer).is_some_and(|code| LASTING.contains(&code));
    let words = reasons(&facts.peers, lasting);
    (!words.is_empty()).then(|| Condition {
        code: "peer_refused",
        severity: Severity::Warning,
        title: "A peer's settings do not fit".to_owned(),
        text: format!("No try succeeds before a setting is changed, here or there: {words}."),
        action: Some("Correct the peer's address or options, or remove it.".to_owned()),
        affects_connectivity: false,
        may_pass: false,
    })
}

fn listener_failed(facts: &Facts) -> Option<Condition> {
    let failed = &facts.failed_listeners;
    let words = first_of(
        failed.iter().map(|listener| format!("{} ({})", listener.uri, listener.error.message)),
    );
    let remedies: BTreeSet<_> = failed.iter().map(|listener| listener.remedy).collect();
    (!words.is_empty()).then(|| Condition {
        code: "listener_failed",
        severity: Severity::Warning,
        title: "Other nodes cannot link to this one".to_owned(),
        text: format!("The node cannot listen on {words}."),
        action: Some(Vec::from_iter(remedies).join(" ")),
        affects_connectivity: false,
        may_pass: true,
    })
}

fn unguarded(facts: &Facts) -> Option<Condition> {
    let reason = facts.snapshot.as_ref()?.unguarded.as_ref()?;
    let (severity, action) = match reason {
        Unguarded::Refused(_) => {
            (Severity::Warning, "Use a kernel with nf_tables, and run the service as installed.")
        }
        _ => (Severity::Info, "Drop 200::/7 on other interfaces with a firewall of your own."),
    };
    Some(Condition {
        code: "unguarded",
        severity,
        title: "Neighbours may send to the overlay address past the overlay".to_owned(),
        text: format!(
            "Who is on the same network cable or Wi-Fi is not held back by friends and rules: \
             {reason}."
        ),
        action: Some(action.to_owned()),
        affects_connectivity: false,
        may_pass: false,
    })
}

fn tun_lost(facts: &Facts) -> Option<Condition> {
    let reason = facts.snapshot.as_ref()?.tun_lost.as_ref()?;
    Some(Condition {
        code: "tun_lost",
        severity: Severity::Error,
        title: "The network interface is gone".to_owned(),
        text: format!("Programs on this computer cannot use the network: {reason}."),
        action: Some("Run `planetary down` and `planetary up`.".to_owned()),
        affects_connectivity: true,
        may_pass: false,
    })
}

/// The first peers that match, each with the reason why it is down.
fn reasons(peers: &[Peer], matches: impl Fn(&Peer) -> bool) -> String {
    let failed = peers.iter().filter(|peer| matches(peer));
    let words = failed.filter_map(|peer| {
        peer.last_error.as_ref().map(|error| format!("{} ({})", peer.id.uri, error.message))
    });
    first_of(words)
}

/// The first few of a list as text, and how many there are beyond them.
pub(super) fn first_of(mut words: impl Iterator<Item = String>) -> String {
    let first = words.by_ref().take(NAMED_MAX).collect::<Vec<_>>().join(", ");
    match words.count() {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
