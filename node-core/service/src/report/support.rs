//! The report for somebody who helps: what [`SupportReport`] lists, and nothing else.
//!
//! Made of facts and status, member by member. Texts are never taken over: of a failure its code,
//! of a setting its class, of a URI its scheme, of a thing its pseudonym. A new fact is not in the
//! report until somebody writes it in here.

use planetary_ipc::support::{
    Counter, ReportedClock, ReportedError, ReportedInterface, ReportedItem, ReportedLink,
    ReportedListener, ReportedNode, ReportedSetting, SupportReport,
};
use planetary_ipc::{DoctorReport, ListenerStatus, PeerError, PeerStatus, Status, UnixTime};
use planetary_proto::identity::NodeKey;
use planetary_runtime::Snapshot;

use super::Facts;
use super::pseudonym::Pseudonyms;

/// Schemes that a URI can have; another one is a person's own word.
const SCHEMES: &[&str] = &["tcp", "tls", "quic", "ws", "wss", "unix", "socks", "sockstls"];

/// Makes the report of one moment.
#[must_use]
pub fn compose(
    facts: &Facts,
    status: &Status,
    doctor: &DoctorReport,
    settings: Vec<ReportedSetting>,
    names: &Pseudonyms,
) -> SupportReport {
    let now = status.time;
    let items = doctor.items.iter().map(|item| ReportedItem {
        code: word(&item.code),
        severity: item.severity,
        for_s: item.since.map(|since| ago(since, now)),
        affects_connectivity: item.affects_connectivity,
    });
    SupportReport {
        time: now,
        version: status.version.clone(),
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        pseudonyms_last: names.last,
        node: node(status, names),
        health: items.collect(),
        settings,
        links: status.peers.iter().map(|peer| link(peer, now, names)).collect(),
        listeners: status.listeners.iter().map(|listener| self::listener(listener, now)).collect(),
        interface: status.tun.as_ref().map(|tun| ReportedInterface {
            name: if is_ours(&tun.name) { tun.name.clone() } else { names.interface(&tun.name) },
            mtu: tun.mtu,
        }),
        clock: clock(facts),
        counters: counters(facts, status),
    }
}

fn node(status: &Status, names: &Pseudonyms) -> ReportedNode {
    let named = |key: planetary_ipc::NodeKey| names.node(&NodeKey::from_bytes(key.0));
    ReportedNode {
        name: named(status.key),
        state: status.state,
        state_for_s: ago(status.state_since, status.time),
        uptime_s: status.uptime_s,
        proven_ago_s: status.proven_at.map(|at| ago(at, status.time)),
        depth: status.coordinates.as_ref().map(|ports| count(ports.len())),
        root: status.root.map(named),
        parent: status.parent.map(named),
    }
}

fn link(peer: &PeerStatus, now: UnixTime, names: &Pseudonyms) -> ReportedLink {
    let place = Place::of(&peer.uri);
    ReportedLink {
        node: peer.key.map(|key| names.node(&NodeKey::from_bytes(key.0))),
        host: place.host.map(|host| names.host(host)),
        host_kind: place.host_kind().to_owned(),
        transport: place.scheme.to_owned(),
        is_port_443: place.port == "443",
        interface: peer.interface.as_ref().map(|name| names.interface(name)),
        direction: peer.direction,
        source: peer.source,
        up: peer.up,
        suspect: peer.suspect,
        priority: peer.priority,
        cost: peer.cost,
        latency_ms: peer.latency_ms,
        uptime_s: peer.uptime_s,
        reconnect_in_s: peer.reconnect_in_s,
        rx_bytes: peer.rx_bytes,
        tx_bytes: peer.tx_bytes,
        last_error: peer.last_error.as_ref().map(|error| failure(error, now)),
    }
}

fn listener(listener: &ListenerStatus, now: UnixTime) -> ReportedListener {
    ReportedListener {
        transport: Place::of(&listener.uri).scheme.to_owned(),
        up: listener.up,
        last_error: listener.last_error.as_ref().map(|error| failure(error, now)),
    }
}

fn failure(error: &PeerError, now: UnixTime) -> ReportedError {
    ReportedError { code: word(&error.code), ago_s: ago(error.at, now) }
}

fn clock(facts: &Facts) -> ReportedClock {
    let clock = &facts.survey.clock;
    ReportedClock {
        ahead_s: clock.comparison.map(|compared| compared.ahead_s),
        witnesses: clock.comparison.map_or(0, |compared| count(compared.witnesses)),
        jump_s: clock.jump.map(|jump| jump.by_s),
    }
}

fn counters(facts: &Facts, status: &Status) -> Vec<Counter> {
    let mut all = vec![
        ("rx_bytes", status.rx_bytes),
        ("tx_bytes", status.tx_bytes),
        ("sessions", status.sessions),
        ("paths", status.paths),
        ("routing_entries", status.routing_entries),
        ("root_changes", count(facts.root_changes)),
        ("friends", status.access.friends),
        ("blocked", status.access.blocked),
        ("circles", status.access.circles),
        ("members", status.access.members),
        ("questions", count(status.questions.len())),
    ];
    if let Some(process) = facts.survey.process.known() {
        let files =
            process.files.map(|files| [("files_open", files.used), ("files_most", files.most)]);
        let memory = process
            .memory
            .map(|memory| [("memory_used", memory.used), ("memory_most", memory.most)]);
        all.extend(files.into_iter().chain(memory).flatten());
    }
    if let Some(room) = facts.survey.disk.known() {
        all.push(("disk_free_bytes", room.bytes));
    }
    if let Some(network) = facts.survey.network.known() {
        let others = network.interfaces.iter().filter(|one| !one.overlay_addresses.is_empty());
        all.push(("interfaces", count(network.interfaces.len())));
        all.push(("interfaces_in_range", count(others.count())));
        let routes = network.routing.as_ref().map(|routing| count(routing.inside.len()));
        all.extend(routes.map(|routes| ("routes_in_range", routes)));
    }
    if let Some(Snapshot { counters, stats, .. }) = &facts.snapshot {
        all.extend([
            ("tun_in", counters.tun_in),
            ("tun_out", counters.tun_out),
            ("transit", counters.transit),
            ("transit_bytes", counters.transit_bytes),
            ("drop_invalid", counters.drop_invalid),
            ("drop_queue", counters.drop_queue),
            ("drop_no_tun", counters.drop_no_tun),
            ("drop_stuck", counters.drop_stuck),
            ("drop_session", counters.drop_session),
            ("drop_too_big", counters.drop_too_big),
            ("drop_guest", counters.drop_guest),
            ("datagrams_out", counters.datagrams_out),
            ("datagrams_in", counters.datagrams_in),
            ("news_lost", counters.news_lost),
            ("rate_limited", stats.rate_limited),
            ("weak_keys", stats.weak_keys),
            ("infos_refused", stats.infos_refused),
            ("off_tree_lookups", stats.off_tree_lookups),
            ("notifies_ignored", stats.notifies_ignored),
            ("stuck", stats.stuck),
            ("handshakes_ignored", stats.handshakes_ignored),
            ("sessions_refused", stats.sessions_refused),
            ("waiting_dropped", stats.waiting_dropped),
        ]);
    }
    all.into_iter().map(|(name, value)| Counter { name: name.to_owned(), value }).collect()
}

/// The parts of a URI that the report makes something of.
struct Place<'a> {
    scheme: &'static str,
    host: Option<&'a str>,
    port: &'a str,
}

impl<'a> Place<'a> {
    fn of(uri: &'a str) -> Self {
        let (scheme, rest) = uri.split_once("://").unwrap_or(("", ""));
        let scheme = SCHEMES.iter().find(|known| **known == scheme).copied().unwrap_or("other");
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (authority, ""),
        };
        Self { scheme, host: Some(host).filter(|host| !host.is_empty()), port }
    }

    fn host_kind(&self) -> &'static str {
        match self.host {
            None => "none",
            Some(host) if host.to_ascii_lowercase().starts_with("[fe80:") => "link_local",
            Some(host) if host.starts_with('[') => "ipv6",
            Some(host) if host.parse::<std::net::Ipv4Addr>().is_ok() => "ipv4",
            Some(_) => "name",
        }
    }
}

/// A code of ours. What does not look like one is a text that has got there by a mistake.
fn word(code: &str) -> String {
    const LEN_MAX: usize = 40;
    let is_code = (1..=LEN_MAX).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_code { code } else { "unknown" }.to_owned()
}

/// Whether an interface has a name that we give, which says nothing about anybody.
fn is_ours(name: &str) -> bool {
    let number = name.strip_prefix("planetary").or_else(|| name.strip_prefix("utun"));
    number.is_some_and(|n| n.len() <= 2 && n.bytes().all(|byte| byte.is_ascii_digit()))
}

fn ago(then: UnixTime, now: UnixTime) -> u64 {
    now.0.saturating_sub(then.0)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
