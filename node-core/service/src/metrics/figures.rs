//! The figures, made of what was seen of the node at one moment.
//!
//! Names, labels and meanings are kept from version to version; the list for people is in
//! `docs/metrics.md`. Labels are words of this program alone: schemes, directions, states, reasons.
//! So their number is fixed, and nothing that another node or a person wrote is among them.
//! Counters begin anew when the node is switched off and on.

use std::collections::BTreeMap;
use std::fmt;

use planetary_circles::Reason;
use planetary_ipc::{Direction, Severity, State, Status};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::report::Facts;

/// What stands before each name.
const PREFIX: &str = "planetary";

/// Schemes of links; anything else is told as `other`.
const SCHEMES: [&str; 8] = ["tcp", "tls", "quic", "ws", "wss", "unix", "socks", "sockstls"];

/// Label names and values of one sample.
type Labels = Vec<(&'static str, &'static str)>;

/// All samples of one name.
#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    is_counter: bool,
    samples: Vec<(Labels, u64)>,
}

/// The figures of one moment.
#[derive(Debug, Default)]
struct Figures(Vec<Family>);

/// Writes the figures in the text format of Prometheus, version 0.0.4.
#[must_use]
pub fn text(facts: &Facts, status: &Status) -> String {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Figures::of(facts, status)));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = prometheus_text::encode(&mut text, &registry);
    text
}

impl Figures {
    fn of(facts: &Facts, status: &Status) -> Self {
        let mut figures = Self::default();
        figures.tell_of_service(facts, status);
        figures.tell_of_links(facts, status);
        figures.tell_of_packets(facts);
        figures.tell_of_tree(facts, status);
        figures
    }

    fn tell_of_service(&mut self, facts: &Facts, status: &Status) {
        let build = vec![(vec![("version", env!("CARGO_PKG_VERSION"))], 1)];
        self.gauges("build_info", "The version of the service", build);
        self.gauge("snapshot_timestamp_seconds", "When these figures were taken", status.time.0);
        self.gauge("uptime_seconds", "How long the service has been running", status.uptime_s);
        let states =
            [State::Down, State::Connecting, State::Connected, State::Degraded, State::Offline];
        let states =
            states.map(|state| (vec![("state", state.name())], u64::from(state == status.state)));
        self.gauges("state", "1 for the state that the node is in", states.to_vec());
        let severities =
            [(Severity::Info, "info"), (Severity::Warning, "warning"), (Severity::Error, "error")];
        let severities = severities.map(|(severity, name)| {
            let items = status.health.iter().filter(|item| item.severity == severity);
            (vec![("severity", name)], number(items.count()))
        });
        self.gauges("health_items", "Lasting conditions by severity", severities.to_vec());
        if let Some(process) = facts.survey.process.known() {
            if let Some(bytes) = process.resident {
                self.gauge("memory_bytes", "Memory of the service that is really there", bytes);
            }
            if let Some(files) = process.files {
                self.gauge("open_files", "Open files and sockets of the service", files.used);
                self.gauge("open_files_max", "Most of these that the system allows", files.most);
            }
        }
    }

    fn tell_of_links(&mut self, facts: &Facts, status: &Status) {
        let mut counts: BTreeMap<_, [u64; 3]> = BTreeMap::new();
        for peer in &status.peers {
            let scheme = peer.uri.split_once("://").map_or("", |(scheme, _)| scheme);
            let scheme = SCHEMES.into_iter().find(|known| *known == scheme).unwrap_or("other");
            let state = usize::from(!peer.up) + usize::from(peer.up && peer.suspect) * 2;
            counts.entry((scheme, direction(peer.direction))).or_default()[state] += 1;
        }
        let links = counts.into_iter().flat_map(|((scheme, direction), counts)| {
            ["up", "down", "suspect"].into_iter().zip(counts).map(move |(state, count)| {
                let labels = [("scheme", scheme), ("direction", direction), ("state", state)];
                (labels.to_vec(), count)
            })
        });
        self.gauges("links", "Links to other nodes, also those that are down", links.collect());
        self.gauge(
            "lan_links",
            "Links that are up to nodes on the local network",
            status.lan.links,
        );
        self.counter(
            "link_received_bytes",
            "Bytes received over all links since the service started",
            status.rx_bytes,
        );
        self.counter(
            "link_sent_bytes",
            "Bytes sent over all links since the service started",
            status.tx_bytes,
        );
        self.counter(
            "transit_bytes",
            "Bytes of others that were passed on since the service started",
            status.transit.bytes,
        );
        self.gauge("forwards", "Forwarded ports", status.gateway.forwards);
        self.gauge(
            "gateway_connections",
            "Connections through proxies and forwarded ports",
            status.gateway.connections,
        );
        let Some(snapshot) = &facts.snapshot else { return };
        let queued: usize = snapshot.links.iter().map(|link| link.queued).sum();
        self.gauge("queued_bytes", "Bytes that wait to be sent over all links", number(queued));
    }

    fn tell_of_packets(&mut self, facts: &Facts) {
        let Some(snapshot) = &facts.snapshot else { return };
        let counters = &snapshot.counters;
        self.counters(
            "packets",
            "Packets by where they went",
            "way",
            &[
                ("from_interface", counters.tun_in),
                ("to_interface", counters.tun_out),
                ("transit", counters.transit),
            ],
        );
        self.counters(
            "dropped_packets",
            "Packets that could not be carried, by reason",
            "reason",
            &[
                ("invalid", counters.drop_invalid),
                ("queue_full", counters.drop_queue),
                ("no_interface", counters.drop_no_tun),
                ("stuck", counters.drop_stuck),
                ("session", counters.drop_session),
                ("too_big", counters.drop_too_big),
                ("guest", counters.drop_guest),
            ],
        );
        let (drops, sizes) = &snapshot.filtered;
        let filtered = Reason::ALL.into_iter().flat_map(|reason| {
            [(Direction::In, drops.inbound(reason)), (Direction::Out, drops.outbound(reason))].map(
                |(way, packets)| {
                    (vec![("direction", direction(way)), ("reason", reason.as_str())], packets)
                },
            )
        });
        self.family(
            "filtered_packets",
            "Packets that the filter did not let pass, by reason",
            true,
            filtered.collect(),
        );
        self.gauge("filter_flows", "Connections that the filter knows", u64::from(sizes.flows));
    }

    fn tell_of_tree(&mut self, facts: &Facts, status: &Status) {
        let Some(snapshot) = &facts.snapshot else { return };
        self.gauge("sessions", "Open sessions with other nodes", status.sessions);
        self.gauge("paths", "Known paths to other nodes", status.paths);
        self.gauge("tree_nodes", "Nodes whose place in the tree is known", status.routing_entries);
        if let Some(coordinates) = &status.coordinates {
            self.gauge("tree_depth", "Hops from the root of the tree", number(coordinates.len()));
        }
        if let Some(ago) = snapshot.proven_ago {
            self.gauge("last_answer_age_seconds", "Since another node answered", ago.as_secs());
        }
        let stats = &snapshot.stats;
        self.counters(
            "refused",
            "What was refused or ignored, by reason",
            "reason",
            &[
                ("rate_limited", stats.rate_limited),
                ("weak_key", stats.weak_keys),
                ("tree_full", stats.infos_refused),
                ("lookup_off_tree", stats.off_tree_lookups),
                ("lookup_answer", stats.notifies_ignored),
                ("stuck", stats.stuck),
                ("handshake", stats.handshakes_ignored),
                ("stranger", stats.strangers_ignored),
                ("sessions_full", stats.sessions_refused),
                ("message", stats.messages_ignored),
                ("waited_in_vain", stats.waiting_dropped),
            ],
        );
    }

    fn gauge(&mut self, name: &'static str, help: &'static str, value: u64) {
        self.gauges(name, help, vec![(Vec::new(), value)]);
    }

    fn gauges(&mut self, name: &'static str, help: &'static str, samples: Vec<(Labels, u64)>) {
        self.family(name, help, false, samples);
    }

    fn counter(&mut self, name: &'static str, help: &'static str, value: u64) {
        self.family(name, help, true, vec![(Vec::new(), value)]);
    }

    fn counters(
        &mut self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: &[(&'static str, u64)],
    ) {
        let samples = values.iter().map(|(word, value)| (vec![(label, *word)], *value)).collect();
        self.family(name, help, true, samples);
    }

    fn family(
        &mut self,
        name: &'static str,
        help: &'static str,
        is_counter: bool,
        samples: Vec<(Labels, u64)>,
    ) {
        self.0.push(Family { name, help, is_counter, samples });
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Family { name, help, is_counter, samples } in &self.0 {
            let kind = if *is_counter { MetricType::Counter } else { MetricType::Gauge };
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for (labels, value) in samples {
                let mut sample = family.encode_family(labels)?;
                if *is_counter {
                    sample.encode_counter::<NoLabelSet, _, u64>(value, None)?;
                } else {
                    sample.encode_gauge(value)?;
                }
            }
        }
        Ok(())
    }
}

const fn direction(direction: Direction) -> &'static str {
    direction.name()
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use planetary_runtime::links::Direction as Dialled;

    use super::*;
    use crate::health::{Health, Moment};
    use crate::report::Observer;
    use crate::report::tests::{key, link, snapshot, wanting};
    use crate::survey::process::{Load, Process};
    use crate::survey::{Finding, Survey};

    const DOCUMENT: &str = include_str!("../../../docs/metrics.md");

    fn of(facts: Facts, now: Moment) -> String {
        let status = Observer::new(key(1), now).observe(facts.clone());
        text(&facts, &status)
    }

    /// The figures of a node with two links.
    fn busy() -> String {
        let now = Moment::now();
        let links = vec![
            link(1, "tls://a.example:1", Dialled::Outgoing, 1_000),
            link(2, "gopher://b.example:2", Dialled::Incoming, 500),
        ];
        let mut snapshot = snapshot(links, Some(4));
        (snapshot.counters.transit, snapshot.stats.handshakes_ignored) = (9, 3);
        let (resident, files) = (Some(50_000_000), Some(Load { used: 30, most: 1_024 }));
        let process = Finding::Known(Process { resident, files, ..Process::default() });
        let survey = Arc::new(Survey { process, ..Survey::default() });
        let silence = Facts::of_silence(&Health::default(), now);
        let facts = Facts { up: true, snapshot: Some(snapshot), survey, ..silence };
        of(wanting(facts, &["tls://a.example:1"]), now)
    }

    #[test]
    fn figures_tell_of_the_node() {
        let text = busy();
        for line in [
            concat!("planetary_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "planetary_state{state=\"connected\"} 1",
            "planetary_state{state=\"down\"} 0",
            "planetary_health_items{severity=\"error\"} 0",
            "planetary_memory_bytes 50000000",
            "planetary_links{scheme=\"tls\",direction=\"out\",state=\"up\"} 1",
            "planetary_links{scheme=\"tls\",direction=\"out\",state=\"suspect\"} 0",
            "planetary_links{scheme=\"other\",direction=\"in\",state=\"up\"} 1",
            "planetary_queued_bytes 14",
            "planetary_packets_total{way=\"transit\"} 9",
            "planetary_dropped_packets_total{reason=\"queue_full\"} 0",
            "planetary_filtered_packets_total{direction=\"in\",reason=\"no rule\"} 0",
            "planetary_refused_total{reason=\"handshake\"} 3",
            "planetary_sessions 2",
            "planetary_tree_depth 2",
            "planetary_last_answer_age_seconds 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
    }

    #[test]
    fn a_node_that_is_down_has_figures_too() {
        let now = Moment::now();
        let text = of(Facts::of_silence(&Health::default(), now), now);
        assert!(text.contains("\nplanetary_state{state=\"down\"} 1\n"), "{text}");
        assert!(!text.contains("planetary_packets") && !text.contains("planetary_sessions"));
    }

    /// What `promtool check metrics` looks at: each family has its help and its type before its
    /// samples and stands in one piece, names and labels are well formed, no sample is told twice,
    /// and counters alone end in `_total`.
    #[test]
    fn the_text_is_well_formed() {
        let text = busy();
        assert!(text.ends_with('\n') && !text.contains("\n\n"));
        let (mut families, mut samples) = (BTreeSet::new(), BTreeSet::new());
        let mut lines = text.lines().peekable();
        while let Some(help) = lines.next() {
            let (name, words) = help.strip_prefix("# HELP ").unwrap().split_once(' ').unwrap();
            assert!(families.insert(name) && !words.is_empty(), "{help}");
            let kind = lines.next().unwrap().strip_prefix("# TYPE ").unwrap();
            let kind = kind.strip_prefix(name).unwrap();
            assert_eq!(kind == " counter", name.ends_with("_total"), "{name}{kind}");
            assert!(kind == " counter" || kind == " gauge");
            while let Some(sample) = lines.next_if(|line| !line.starts_with('#')) {
                let (series, value) = sample.rsplit_once(' ').unwrap();
                let (of, labels) = series.split_once('{').unwrap_or((series, "}"));
                assert_eq!(of, name, "{sample}");
                value.parse::<u64>().unwrap();
                let labels = labels.strip_suffix('}').unwrap();
                let pairs = labels.split("\",").filter(|pair| !pair.is_empty());
                for pair in pairs {
                    let (label, value) = pair.split_once("=\"").unwrap();
                    assert!(label.bytes().all(|byte| byte.is_ascii_lowercase()), "{sample}");
                    assert!(!value.trim_end_matches('"').contains(['"', '\\']), "{sample}");
                }
                assert!(samples.insert(series), "{series} is told twice");
            }
        }
        assert!(families.iter().all(|name| name.starts_with("planetary_")));
    }

    #[test]
    fn no_key_and_no_place_is_told() {
        let text = busy();
        for part in ["example", "192.0.2.1", &key(1).to_string(), &key(2).to_string()] {
            assert!(!text.contains(part), "{part} is in {text}");
        }
    }

    #[test]
    fn document_lists_every_name_and_no_other() {
        let text = busy();
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let told: BTreeSet<_> = types.map(|line| line.split_once(' ').unwrap().0).collect();
        let rows = DOCUMENT.lines().filter_map(|line| line.strip_prefix("| `planetary_"));
        let listed: BTreeSet<_> = rows
            .map(|row| format!("planetary_{}", row.split_once(['`', '{']).unwrap().0))
            .collect();
        assert_eq!(listed.iter().map(String::as_str).collect::<BTreeSet<_>>(), told);
    }
}
