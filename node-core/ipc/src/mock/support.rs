//! The mock's report, its status with pseudonyms that are made up in order of appearance; and its
//! log.

use std::collections::BTreeMap;

use crate::health::DoctorReport;
use crate::identity::UnixTime;
use crate::logs::{LogLevel, LogLine, LogPage};
use crate::status::{PeerError, PeerStatus, Status};
use crate::support::{
    Counter, ReportedClock, ReportedError, ReportedInterface, ReportedItem, ReportedLink,
    ReportedListener, ReportedNode, ReportedSetting, SupportReport,
};

/// Pseudonyms by what they stand for.
#[derive(Default)]
struct Pseudonyms(BTreeMap<String, String>);

impl Pseudonyms {
    fn of(&mut self, kind: &str, what: &str) -> String {
        let number = self.0.len();
        let made = || format!("{kind}-mock{number:04}");
        self.0.entry(format!("{kind} {what}")).or_insert_with(made).clone()
    }
}

/// Makes the report of a moment.
pub(super) fn report(status: &Status, doctor: DoctorReport) -> SupportReport {
    let mut names = Pseudonyms::default();
    let now = status.time;
    let ago = |then: UnixTime| now.0.saturating_sub(then.0);
    let node = ReportedNode {
        name: names.of("node", &status.key.to_string()),
        state: status.state,
        state_for_s: ago(status.state_since),
        uptime_s: status.uptime_s,
        proven_ago_s: status.proven_at.map(ago),
        depth: status.coordinates.as_ref().map(|ports| ports.len() as u64),
        root: status.root.map(|key| names.of("node", &key.to_string())),
        parent: status.parent.map(|key| names.of("node", &key.to_string())),
    };
    let health = doctor.items.into_iter().map(|item| ReportedItem {
        code: item.code.into_owned(),
        severity: item.severity,
        for_s: item.since.map(ago),
        affects_connectivity: item.affects_connectivity,
    });
    let setting = |(name, value): (&str, &str)| ReportedSetting {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    let settings =
        [("peers", "4 configured"), ("listen", "1 configured"), ("tun.name", "auto")].map(setting);
    let counter = |(name, value): (&str, u64)| Counter { name: name.to_owned(), value };
    let counters = [
        ("sessions", status.sessions),
        ("paths", status.paths),
        ("rx_bytes", status.rx_bytes),
        ("tx_bytes", status.tx_bytes),
    ];
    SupportReport {
        time: now,
        version: status.version.clone(),
        os: "mock".to_owned(),
        arch: "none".to_owned(),
        pseudonyms_last: true,
        node,
        health: health.collect(),
        settings: settings.into(),
        links: status.peers.iter().map(|peer| link(&mut names, peer, now)).collect(),
        listeners: status
            .listeners
            .iter()
            .map(|listener| ReportedListener {
                transport: "tls".to_owned(),
                up: listener.up,
                last_error: listener.last_error.as_ref().map(|error| failure(error, now)),
            })
            .collect(),
        interface: status
            .tun
            .as_ref()
            .map(|tun| ReportedInterface { name: tun.name.clone(), mtu: tun.mtu }),
        clock: ReportedClock { ahead_s: Some(0), witnesses: 12, jump_s: None },
        counters: counters.map(counter).into(),
    }
}

fn link(names: &mut Pseudonyms, peer: &PeerStatus, now: UnixTime) -> ReportedLink {
    let (scheme, authority) = peer.uri.split_once("://").unwrap_or(("other", ""));
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
    let host_kind = match host {
        host if host.starts_with("[fe80:") => "link_local",
        host if host.starts_with('[') => "ipv6",
        host if host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => "ipv4",
        _ => "name",
    };
    ReportedLink {
        node: peer.key.map(|key| names.of("node", &key.to_string())),
        host: Some(names.of("host", host)),
        host_kind: host_kind.to_owned(),
        transport: scheme.to_owned(),
        is_port_443: port == "443",
        interface: peer.interface.as_ref().map(|name| names.of("interface", name)),
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

fn failure(error: &PeerError, now: UnixTime) -> ReportedError {
    ReportedError { code: error.code.clone(), ago_s: now.0.saturating_sub(error.at.0) }
}

/// The log of the first seconds.
pub(super) fn logs(status: &Status, after: u64, level: LogLevel) -> LogPage {
    let begun = status.time.0.saturating_sub(status.uptime_s);
    let written = [
        (0, LogLevel::Info, "starting config=\"/etc/planetary/config.toml\""),
        (0, LogLevel::Info, "the node is up tun=\"planetary0\""),
        (1, LogLevel::Info, "link established uri=\"tls://frankfurt.example:443\""),
        (2, LogLevel::Warn, "cannot listen uri=\"tls://[::]:443\" error=\"permission denied\""),
        (5, LogLevel::Error, "a thread of the node ended"),
    ];
    let lines = (1..).zip(written).map(|(number, (second, level, text))| LogLine {
        number,
        at: UnixTime(begun + second),
        level,
        target: "planetary_service".to_owned(),
        text: text.to_owned(),
    });
    let wanted =
        lines.filter(|line| line.at <= status.time && line.number > after && line.level <= level);
    LogPage { lines: wanted.collect(), last: written.len() as u64, lost: 0 }
}
