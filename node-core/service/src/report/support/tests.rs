//! A state full of canaries, none of which may appear in the report in any form.

use std::path::Path;
use std::sync::Arc;

use planetary_ipc::Severity;
use planetary_runtime::links::Direction as Dialled;
use planetary_runtime::links::peers::PeerPhase;
use planetary_runtime::surroundings::{Interface, Route, Routing, Surroundings, Way};

use super::*;
use crate::config::Config;
use crate::health::{Condition, Health, Moment};
use crate::node::FailedListener;
use crate::report::tests::{key, link, peer, snapshot, wanting};
use crate::report::{Observer, doctor};
use crate::survey::names::Names;
use crate::survey::process::{Process, Room};
use crate::survey::{Finding, Survey};

/// Written wherever a text can stand.
const CANARY: &str = "canary";

const NAMED: &str = "tls://canary-host.example:443";
const NUMBERED: &str = "tcp://[2001:db8:ca:ca::77]:7713";
const INBOUND: &str = "tcp://198.51.100.213:50123";

fn health(now: Moment) -> Health {
    let mut health = Health::default();
    let condition = Condition {
        code: "state_not_stored",
        severity: Severity::Warning,
        title: "The folder /home/canary cannot be written".to_owned(),
        text: "/home/canary/state: canary".to_owned(),
        action: Some("Ask canary".to_owned()),
        affects_connectivity: false,
        may_pass: false,
    };
    health.raise(condition, now);
    health
}

fn survey() -> Survey {
    let address = key(3).address().to_ipv6();
    let other = Interface {
        name: "canary0".to_owned(),
        up: Some(true),
        mtu: Some(1500),
        loopback: false,
        overlay_addresses: vec![(address, 7)],
    };
    let route =
        Route { prefix: address, prefix_len: 64, way: Way::Interface("canary0".to_owned()) };
    let routing = Routing { ways: vec![Way::Interface("canary0".to_owned())], inside: vec![route] };
    Survey {
        network: Finding::Known(Surroundings { interfaces: vec![other], routing: Some(routing) }),
        process: Finding::Known(Process { account: Some(CANARY.to_owned()), ..Process::default() }),
        disk: Finding::Known(Room { bytes: 5, files: None }),
        names: Finding::Known(Names {
            found: vec![],
            missing: vec!["canary-host.example".to_owned()],
            resolver: Some(true),
        }),
        ..Survey::default()
    }
}

/// The report of a node that has canaries everywhere, with all it was made from.
fn report(names: &Pseudonyms) -> SupportReport {
    // A time without the digits of a canary.
    let now = Moment { unix_s: 1_800_000_000, ..Moment::now() };
    let named = format!("{NAMED}?password=canary-password&key={}", key(4));
    let links =
        vec![link(1, NAMED, Dialled::Outgoing, 10), link(2, INBOUND, Dialled::Incoming, 10)];
    let mut failed = peer(NUMBERED, PeerPhase::Dialling, Some("cannot_connect"));
    if let Some(error) = &mut failed.last_error {
        error.message = "canary at 2001:db8:ca:ca::77".into();
    }
    let facts = Facts {
        up: true,
        snapshot: Some(snapshot(links, Some(2))),
        peers: vec![peer(NAMED, PeerPhase::Up, None), failed],
        failed_listeners: vec![FailedListener {
            uri: "tcp://192.0.2.99:7714".to_owned(),
            error: PeerError {
                code: "cannot_listen".to_owned(),
                message: "canary".to_owned(),
                at: UnixTime(now.unix_s),
            },
            remedy: "Ask canary.",
        }],
        wanted_tun: true,
        tun: Some(("canary-tun".to_owned(), 1500)),
        key: Some(key(1)),
        survey: Arc::new(survey()),
        ..Facts::of_silence(&health(now), now)
    };
    let mut facts = wanting(facts, &[NAMED, NUMBERED]);
    for wanted in facts.wanted.values_mut().filter(|wanted| wanted.uri.to_string() == NAMED) {
        wanted.uri = named.parse().unwrap();
    }
    let mut observer = Observer::new(key(1), now);
    let status = observer.observe(facts.clone());
    let examined = doctor::examine(&facts, &status);
    assert!(format!("{examined:?}").contains(CANARY) && format!("{status:?}").contains(CANARY));
    let text = format!(
        "peers = [\"{named}\"]\ngroup_password = \"canary\"\ntun.name = \"canary1\"\n\
         allowed_keys = [\"{}\"]\nnode_info.name = \"canary\"\n\
         listen = [\"tcp://192.0.2.99:7714\"]",
        key(5)
    );
    let config = Config::parse(&text, Path::new("/home/canary/config.toml")).ok().unwrap();
    let settings =
        config.classes().map(|(name, value)| ReportedSetting { name: name.into(), value });
    compose(&facts, &status, &examined, settings.collect(), names)
}

/// All forms in which a key, its address and its subnet are written.
fn forms(seed: u8) -> Vec<String> {
    let key = key(seed);
    let mut forms = vec![key.to_string(), base32(key.as_bytes())];
    for address in [key.address().to_ipv6(), key.subnet().to_ipv6()] {
        let hex: String = address.octets().iter().map(|byte| format!("{byte:02x}")).collect();
        let groups: Vec<_> =
            address.segments().iter().map(|group| format!("{group:04x}")).collect();
        forms.extend([address.to_string(), hex, groups.join(":"), base32(&address.octets())]);
    }
    forms
}

fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
    let letter = |at: usize| (0..5).fold(0, |value, next| value << 1 | bit(at * 5 + next));
    (0..(bytes.len() * 8).div_ceil(5))
        .map(|at| char::from(LETTERS[usize::from(letter(at))]))
        .collect()
}

#[test]
fn no_canary_appears_in_any_form() {
    let report = report(&Pseudonyms::under([7; 32]));
    let json = serde_json::to_string(&report).unwrap().to_lowercase();
    for part in [
        CANARY,
        "example",
        "password=",
        "2001:db8",
        "20010db8",
        "198.51.100",
        "192.0.2",
        "50123",
        "7713",
        "7714",
        "/home",
        "://",
    ] {
        assert!(!json.contains(part), "{part}: {json}");
    }
    // The node, its peer, the pinned and the allowed key, the neighbour, parent and root.
    for form in (1..=9).flat_map(forms) {
        let form = form.to_lowercase();
        for part in form.as_bytes().windows(10).filter_map(|part| std::str::from_utf8(part).ok()) {
            let told = part.bytes().any(|byte| !b"0:".contains(&byte)) && json.contains(part);
            assert!(!told, "{part} of {form}: {json}");
        }
    }
}

#[test]
fn what_is_told_is_enough_to_help() {
    let names = Pseudonyms::under([7; 32]);
    let report = report(&names);
    assert_eq!(report.node.name, names.node(&key(1)));
    assert_eq!(report.node.root, Some(names.node(&key(9))));
    assert_eq!(report.node.depth, Some(2));
    let [numbered, named, inbound] = &report.links[..] else { panic!("{:?}", report.links) };
    assert_eq!(named.host, Some(names.host("canary-host.example")));
    assert_eq!((named.transport.as_str(), named.is_port_443), ("tls", true));
    assert_eq!((named.host_kind.as_str(), numbered.host_kind.as_str()), ("name", "ipv6"));
    assert_eq!((inbound.host_kind.as_str(), inbound.is_port_443), ("ipv4", false));
    assert_eq!(named.node, inbound.node, "both links lead to one node");
    assert_eq!(numbered.last_error.as_ref().unwrap().code, "cannot_connect");
    assert_eq!(report.interface.as_ref().unwrap().name, names.interface("canary-tun"));
    let has = |code: &str| report.health.iter().any(|item| item.code == code);
    assert!(has("state_not_stored") && has("listener_failed") && has("names_not_resolved"));
    let setting = |name: &str| report.settings.iter().find(|one| one.name == name);
    assert_eq!(setting("peers").unwrap().value, "1 configured");
    let counter = |name: &str| report.counters.iter().find(|one| one.name == name);
    assert_eq!(counter("interfaces_in_range").unwrap().value, 1);
}

#[test]
fn two_reports_of_one_node_can_be_compared_and_those_of_two_nodes_cannot() {
    let (one, again) = (report(&Pseudonyms::under([7; 32])), report(&Pseudonyms::under([7; 32])));
    assert_eq!(one.links[0].host, again.links[0].host);
    let other = report(&Pseudonyms::under([8; 32]));
    assert_ne!(one.links[0].host, other.links[0].host);
    assert_ne!(one.node.root, other.node.root);
}

#[test]
fn places_are_cut_into_parts_whatever_they_are() {
    for (uri, scheme, kind, port) in [
        ("tls://a.example:443", "tls", "name", "443"),
        ("tcp://[fe80::1%25eth0]:1", "tcp", "link_local", "1"),
        ("tcp://[::1]", "tcp", "ipv6", ""),
        ("socks://192.0.2.1:9050/a.example:1", "socks", "ipv4", "9050"),
        ("unix:///run/x.sock", "unix", "none", ""),
        ("secret://x", "other", "name", ""),
        ("secret", "other", "none", ""),
        ("", "other", "none", ""),
    ] {
        let place = Place::of(uri);
        assert_eq!((place.scheme, place.host_kind(), place.port), (scheme, kind, port), "{uri}");
    }
    assert_eq!(
        (word("tun_lost"), word("a b"), word("")),
        ("tun_lost".to_owned(), "unknown".to_owned(), "unknown".to_owned())
    );
    assert!(is_ours("planetary0") && is_ours("utun12"));
    assert!(!is_ours("planetary-of-anna") && !is_ours("eth0"));
}
