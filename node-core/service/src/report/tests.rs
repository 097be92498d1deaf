//! The judgements, from made-up facts: the word for the state, entries, rates, health, the
//! checklist.

use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use planetary_ipc::{Direction, EdgeKind, Names, NamesState, PeerSource, Role, Severity, State};
use planetary_proto::LinkId;
use planetary_proto::identity::{Identity, NodeKey};
use planetary_runtime::links::Direction as Dialled;
use planetary_runtime::links::peers::{LastError, PeerPhase};
use planetary_runtime::{Counters, LinkSnapshot, PathSnapshot, SessionSnapshot, TreeSnapshot};

use super::state::{CONNECT_PATIENCE, Gap};
use super::*;
use crate::explore::{Learnt, Memory};
use crate::health::SHOW_DELAY;

pub(crate) fn key(seed: u8) -> NodeKey {
    Identity::from_seed(&[seed; 32]).key()
}

pub(crate) fn snapshot(links: Vec<LinkSnapshot>, proven_ago_s: Option<u64>) -> Snapshot {
    Snapshot {
        coords: Some(vec![3, 1]),
        root: key(9),
        parent: key(8),
        proven_ago: proven_ago_s.map(Duration::from_secs),
        links,
        sessions: 2,
        paths: 5,
        infos: 7,
        highest_seq: 1,
        counters: Counters::default(),
        filtered: Default::default(),
        stats: Default::default(),
        unguarded: None,
        tun_lost: None,
    }
}

pub(crate) fn link(id: u64, uri: &str, direction: Dialled, bytes: u64) -> LinkSnapshot {
    LinkSnapshot {
        id: LinkId(id),
        uri: uri.to_owned(),
        direction,
        remote: Some(SocketAddr::from(([192, 0, 2, 1], 1))),
        found_on: None,
        key: key(2),
        port: 4,
        priority: 1,
        cost: 12,
        round_trip: Some(Duration::from_micros(12_345)),
        suspect: false,
        rx_bytes: bytes,
        tx_bytes: bytes / 2,
        queued: 7,
        uptime: Duration::from_secs(30),
    }
}

fn id(uri: &str) -> PeerId {
    PeerId { uri: uri.to_owned(), interface: None }
}

pub(super) fn peer(uri: &str, phase: PeerPhase, code: Option<&'static str>) -> Peer {
    let last_error = code.map(|code| LastError {
        code,
        message: "in words".into(),
        at: SystemTime::UNIX_EPOCH + Duration::from_secs(77),
    });
    Peer { id: id(uri), phase, attempts: 1, last_error }
}

fn facts(now: Moment) -> Facts {
    let snapshot = Some(snapshot(vec![], None));
    Facts { up: true, snapshot, ..Facts::of_silence(&Health::default(), now) }
}

pub(crate) fn wanting(mut facts: Facts, uris: &[&str]) -> Facts {
    for uri in uris {
        let wanted = WantedPeer {
            uri: uri.parse().unwrap(),
            interface: None,
            source: PeerSource::Config,
            paused: false,
        };
        facts.wanted.insert(id(uri), wanted);
    }
    facts
}

fn later(moment: Moment, duration: Duration) -> Moment {
    Moment { mono: moment.mono + duration, unix_s: moment.unix_s + duration.as_secs() }
}

const A: &str = "tcp://a.example:1";
const B: &str = "tls://b.example:2";

pub(super) fn waiting() -> PeerPhase {
    PeerPhase::Waiting { next_attempt_in: Duration::from_secs(4) }
}

#[test]
fn state_is_one_word_for_every_situation() {
    let now = Moment::now();
    let up = || vec![link(1, A, Dialled::Outgoing, 0)];
    let listener = Listener { uri: "tcp://[::]:0".to_owned(), address: Some(([0; 4], 9).into()) };
    let cases = [
        ("broken", State::Offline, Facts { snapshot: None, ..facts(now) }),
        ("down", State::Down, Facts { up: false, ..facts(now) }),
        ("alone", State::Offline, facts(now)),
        ("only listening", State::Connecting, Facts { listeners: vec![listener], ..facts(now) }),
        (
            "just started",
            State::Connecting,
            Facts { peers: vec![peer(A, waiting(), Some("cannot_connect"))], ..facts(now) },
        ),
        (
            "linked, silent",
            State::Connecting,
            Facts { snapshot: Some(snapshot(up(), None)), ..facts(now) },
        ),
        (
            "answered",
            State::Connected,
            Facts { snapshot: Some(snapshot(up(), Some(60))), ..facts(now) },
        ),
        (
            "long ago",
            State::Connecting,
            Facts { snapshot: Some(snapshot(up(), Some(61))), ..facts(now) },
        ),
        (
            "answered before the last link went",
            State::Connected,
            Facts { snapshot: Some(snapshot(vec![], Some(3))), ..facts(now) },
        ),
    ];
    for (name, state, facts) in cases {
        assert_eq!(state::judge(&facts, &[], Gap::default()).0, state, "{name}");
    }
}

#[test]
fn node_without_a_link_is_connecting_for_ten_seconds_and_then_offline() {
    let start = Moment::now();
    let mut observer = Observer::new(key(1), start);
    let mut look = |seconds: u64, links: Vec<LinkSnapshot>, proven| {
        let now = later(start, Duration::from_secs(seconds));
        let peers = vec![peer(A, PeerPhase::Dialling, None), peer(B, waiting(), Some("x"))];
        let snapshot = Some(snapshot(links, proven));
        let status = observer.observe(Facts { peers, snapshot, ..wanting(facts(now), &[A, B]) });
        (status.state, status.state_text.unwrap_or_default())
    };
    let dialling = || (State::Connecting, "dialling 2 peers".to_owned());
    let offline = || (State::Offline, "2 peers cannot be reached".to_owned());
    let up = || vec![link(1, A, Dialled::Outgoing, 0)];
    let patience = CONNECT_PATIENCE.as_secs();
    assert_eq!(look(0, vec![], None), dialling());
    assert_eq!(look(patience - 1, vec![], None), dialling());
    assert_eq!(look(patience, vec![], None), offline());
    assert_eq!(look(20, up(), Some(0)).0, State::Connected);
    // The link goes: a blip changes nothing, and an old answer is no link.
    assert_eq!(look(30, vec![], Some(10)).0, State::Connected);
    assert_eq!(look(34, vec![], Some(14)).0, State::Connected);
    assert_eq!(look(35, vec![], Some(15)), dialling());
    assert_eq!(look(40, vec![], Some(20)), offline());
}

#[test]
fn peer_that_is_added_has_its_own_ten_seconds() {
    let start = Moment::now();
    let mut observer = Observer::new(key(1), start);
    let mut look = |seconds: u64, peers: Vec<Peer>| {
        let now = later(start, Duration::from_secs(seconds));
        observer.observe(Facts { peers, ..facts(now) }).state
    };
    assert_eq!(look(0, vec![]), State::Offline);
    let added = || vec![peer(A, PeerPhase::Dialling, None)];
    assert_eq!(look(100, added()), State::Connecting);
    assert_eq!(look(109, added()), State::Connecting);
    assert_eq!(look(110, added()), State::Offline);
}

#[test]
fn item_that_affects_traffic_degrades_a_connected_node_only() {
    let now = Moment::now();
    let lost = |proven| {
        let lost = Some("it was taken away".to_owned());
        let links = vec![link(1, A, Dialled::Outgoing, 0)];
        let snapshot = Snapshot { tun_lost: lost, ..snapshot(links, proven) };
        Facts { snapshot: Some(snapshot), tun: Some(("pn0".to_owned(), 1500)), ..facts(now) }
    };
    let status = Observer::new(key(1), now).observe(lost(Some(1)));
    assert_eq!(status.state, State::Degraded);
    assert_eq!(status.state_text.as_deref(), Some("The network interface is gone"));
    assert_eq!((status.health[0].code.as_ref(), status.tun), ("tun_lost", None));
    let status = Observer::new(key(1), now).observe(lost(None));
    assert_eq!(status.state, State::Connecting);
}

#[test]
fn status_shows_what_is_known_and_nothing_else() {
    let now = Moment::now();
    let mut observer = Observer::new(key(1), now);
    let status = observer.observe(Facts { up: false, snapshot: None, ..facts(now) });
    assert_eq!((status.root, status.parent, status.coordinates), (None, None, None));
    assert_eq!(status.address, key(1).address().to_ipv6());
    assert!(status.subnet.to_string().ends_with("/64"));

    let up = Facts { snapshot: Some(snapshot(vec![], Some(5))), ..facts(now) };
    let status = observer.observe(up);
    assert_eq!(status.coordinates, Some(vec![3, 1]));
    assert_eq!(status.root, Some(plain(&key(9))));
    assert_eq!(status.proven_at, Some(UnixTime(now.unix_s - 5)));
    assert_eq!((status.sessions, status.paths, status.routing_entries), (2, 5, 7));
}

#[test]
fn state_keeps_its_age_until_it_changes() {
    let start = Moment::now();
    let mut observer = Observer::new(key(1), start);
    let since = |observer: &mut Observer, up, seconds| {
        let now = later(start, Duration::from_secs(seconds));
        observer.observe(Facts { up, ..facts(now) }).state_since.0 - start.unix_s
    };
    assert_eq!(since(&mut observer, false, 5), 0);
    assert_eq!(since(&mut observer, true, 10), 10);
    assert_eq!(since(&mut observer, true, 20), 10);
    assert_eq!(since(&mut observer, false, 30), 30);
}

#[test]
fn entries_keep_number_key_and_bytes_when_a_link_goes_and_comes() {
    let start = Moment::now();
    let mut observer = Observer::new(key(1), start);
    let mut look = |seconds: u64, links: Vec<LinkSnapshot>, phase| {
        let now = later(start, Duration::from_secs(seconds));
        let facts = wanting(facts(now), &[A, B]);
        let peers = vec![peer(A, phase, Some("peer_timeout")), peer(B, PeerPhase::Dialling, None)];
        observer.observe(Facts { peers, snapshot: Some(snapshot(links, None)), ..facts })
    };
    let status = look(0, vec![], PeerPhase::Dialling);
    let (a, b) = (status.peers[0].link, status.peers[1].link);
    assert_ne!(a, b);
    assert!(!status.peers[0].up && status.peers[0].key.is_none());

    let outbound = link(1, A, Dialled::Outgoing, 1000);
    let inbound = link(2, "tcp://192.0.2.7:5", Dialled::Incoming, 50);
    let status = look(1, vec![inbound, outbound], PeerPhase::Up);
    let entry = &status.peers[0];
    assert_eq!((entry.link, entry.up, entry.rx_bytes, entry.port), (a, true, 1000, Some(4)));
    assert_eq!((entry.latency_ms, entry.uptime_s, entry.cost), (Some(12.345), Some(30), Some(12)));
    let entry = &status.peers[2];
    assert_eq!((entry.direction, entry.source), (Direction::In, PeerSource::Inbound));
    assert!(entry.link != a && entry.link != b);

    let status = look(2, vec![], waiting());
    assert_eq!(status.peers.len(), 2, "an inbound link that is gone has no entry");
    let entry = &status.peers[0];
    assert_eq!((entry.link, entry.up, entry.rx_bytes), (a, false, 1000));
    assert_eq!((entry.key, entry.reconnect_in_s), (Some(plain(&key(2))), Some(4)));
    assert_eq!(
        (entry.uptime_s, entry.latency_ms, entry.cost, entry.port),
        (None, None, None, None)
    );
    let error = entry.last_error.as_ref().unwrap();
    assert_eq!((error.code.as_str(), error.at), ("peer_timeout", UnixTime(77)));

    let status = look(3, vec![link(3, A, Dialled::Outgoing, 10)], PeerPhase::Up);
    assert_eq!((status.peers[0].link, status.peers[0].rx_bytes), (a, 10));
    assert_eq!(
        (status.rx_bytes, status.tx_bytes),
        (1060, 530),
        "what the old links carried counts"
    );
}

#[test]
fn rates_are_per_second_and_hold_between_looks() {
    let start = Moment::now();
    let mut observer = Observer::new(key(1), start);
    let mut look = |millis: u64, bytes: u64| {
        let now = later(start, Duration::from_millis(millis));
        let links = vec![link(1, A, Dialled::Outgoing, bytes)];
        let facts = wanting(facts(now), &[A]);
        let status = observer.observe(Facts { snapshot: Some(snapshot(links, None)), ..facts });
        (status.peers[0].rx_rate, status.rx_rate, status.tx_rate)
    };
    assert_eq!(look(0, 0), (None, None, None));
    assert_eq!(look(500, 10_000), (None, None, None), "not a second yet");
    assert_eq!(look(2000, 20_000), (Some(10_000), Some(10_000), Some(5_000)));
    assert_eq!(look(2100, 90_000), (Some(10_000), Some(10_000), Some(5_000)));
    assert_eq!(look(4000, 20_000).0, Some(0), "a counter that went back is no rate");
}

#[test]
fn what_is_carried_for_others_is_counted_over_restarts_of_the_engine() {
    let start = Moment::now();
    let mut observer = Observer::new(key(1), start);
    let mut look = |millis: u64, bytes: Option<u64>| {
        let now = later(start, Duration::from_millis(millis));
        let counters = |transit_bytes| Counters { transit_bytes, ..Counters::default() };
        let snapshot =
            bytes.map(|bytes| Snapshot { counters: counters(bytes), ..snapshot(vec![], None) });
        let transit = observer.observe(Facts { snapshot, ..facts(now) }).transit;
        (transit.bytes, transit.rate)
    };
    assert_eq!(look(0, Some(0)), (0, None));
    assert_eq!(look(1000, Some(5_000)), (5_000, Some(5_000)));
    assert_eq!(look(2000, None), (5_000, Some(0)), "the node is down");
    assert_eq!(look(4000, Some(2_000)), (7_000, Some(1_000)));
}

#[test]
fn a_reason_to_save_is_told_where_it_makes_a_difference() {
    let transit = |setting, mode| {
        let mut observer = Observer::new(key(1), Moment::now());
        let (transit, saving) = ((setting, mode), Some(Saving::Battery));
        observer.observe(Facts { transit, saving, ..facts(Moment::now()) }).transit.saving
    };
    let saving = transit(TransitMode::Relay, TransitMode::Leaf);
    assert_eq!(saving, Some(Saving::Battery));
    assert_eq!(transit(TransitMode::Leaf, TransitMode::Leaf), None);
}

#[test]
fn revision_grows_over_restarts_of_the_engine() {
    let now = Moment::now();
    let mut observer = Observer::new(key(1), now);
    let mut last = 0;
    for revision in [0, 1, 5, 5, 0, 2, 0, 9] {
        let grown = observer.observe(Facts { revision, ..facts(now) }).topology_revision;
        assert!(grown >= last, "{grown} after {last}");
        last = grown;
    }
    assert!(last > 9);
}

#[test]
fn conditions_come_after_their_delay_and_go_with_their_cause() {
    let start = Moment::now();
    let mut observer = Observer::new(key(1), start);
    let mut codes = |now, facts: Facts| -> Vec<String> {
        let status = observer.observe(Facts { now, ..facts });
        status.health.into_iter().map(|item| item.code.into_owned()).collect()
    };
    let failing = || {
        let peers = vec![peer(A, waiting(), Some("cannot_connect"))];
        Facts { peers, ..wanting(facts(start), &[A]) }
    };
    let linked = |proven| {
        let links = vec![link(1, A, Dialled::Outgoing, 0)];
        let peers = vec![peer(A, PeerPhase::Up, Some("cannot_connect"))];
        Facts { peers, snapshot: Some(snapshot(links, proven)), ..failing() }
    };
    let none: [&str; 0] = [];
    assert_eq!(codes(start, facts(start)), ["no_peers_configured"]);
    assert_eq!(codes(start, failing()), none, "a blip is not shown");
    let after = later(start, SHOW_DELAY);
    assert_eq!(codes(after, failing()), ["no_peer_connected"]);
    assert_eq!(codes(after, linked(None)), none);
    assert_eq!(codes(later(after, SHOW_DELAY), linked(None)), ["no_answer"]);
    assert_eq!(codes(later(after, SHOW_DELAY), linked(Some(1))), none);
    let down = Facts { up: false, ..failing() };
    assert_eq!(
        codes(later(after, SHOW_DELAY * 2), down),
        none,
        "a node that is off wants no peers"
    );
}

#[test]
fn peer_that_cannot_fit_is_told_at_once_and_with_its_reason() {
    let now = Moment::now();
    let peers = vec![
        peer(A, waiting(), Some("password_mismatch")),
        peer(B, PeerPhase::Up, Some("password_mismatch")),
    ];
    let facts = Facts { peers, ..wanting(facts(now), &[A, B]) };
    let status = Observer::new(key(1), now).observe(facts);
    let item = status.health.iter().find(|item| item.code == "peer_refused").unwrap();
    assert_eq!(
        item.text,
        "No try succeeds before a setting is changed, here or there: tcp://a.example:1 (in words)."
    );
    assert_eq!(item.severity, Severity::Warning);
}

#[test]
fn peers_that_are_down_beside_others_are_told_and_counted() {
    let now = Moment::now();
    let links = vec![link(1, A, Dialled::Outgoing, 0)];
    let down = ["tcp://c.example:1", "tcp://d.example:1", "tcp://e.example:1", "tcp://f.example:1"];
    let mut peers: Vec<_> =
        down.iter().map(|uri| peer(uri, waiting(), Some("cannot_connect"))).collect();
    peers.push(peer(A, PeerPhase::Up, Some("cannot_connect")));
    let snapshot = Some(snapshot(links, Some(1)));
    let facts = Facts { peers, snapshot, ..wanting(facts(now), &[A]) };
    let status = Observer::new(key(1), now).observe(facts.clone());
    let report = doctor::examine(&facts, &status);
    let item = report.items.iter().find(|item| item.code == "peer_down").unwrap();
    assert_eq!(
        item.text,
        "The node keeps trying tcp://c.example:1 (in words), tcp://d.example:1 (in words), \
         tcp://e.example:1 (in words) and 1 more."
    );
    assert_eq!(status.state, State::Connected);
}

#[test]
fn doctor_gives_an_answer_or_a_problem_to_each_question() {
    let now = Moment::now();
    let links = vec![link(1, A, Dialled::Outgoing, 0)];
    let good = Facts { snapshot: Some(snapshot(links, Some(1))), ..wanting(facts(now), &[A]) };
    let status = Observer::new(key(1), now).observe(good.clone());
    let report = doctor::examine(&good, &status);
    let codes: Vec<_> = report.items.iter().map(|item| item.code.as_ref()).collect();
    assert_eq!(
        codes,
        ["service", "identity", "config", "state", "up", "tun", "peers", "tree", "proof", "clock"]
    );
    assert_eq!(report.worst(), Severity::Ok);

    let alone = facts(now);
    let status = Observer::new(key(1), now).observe(alone.clone());
    let report = doctor::examine(&alone, &status);
    let codes: Vec<_> = report.items.iter().map(|item| item.code.as_ref()).collect();
    assert_eq!(
        codes,
        [
            "service",
            "identity",
            "config",
            "state",
            "up",
            "tun",
            "no_peers_configured",
            "tree",
            "clock"
        ]
    );
    assert_eq!(report.worst(), Severity::Error);
}

#[test]
fn doctor_takes_no_answer_for_proof_that_came_over_a_link_which_is_gone() {
    let now = Moment::now();
    let cut_off = Facts { snapshot: Some(snapshot(vec![], Some(19))), ..wanting(facts(now), &[A]) };
    let status = Observer::new(key(1), now).observe(cut_off.clone());
    let report = doctor::examine(&cut_off, &status);
    assert!(!report.items.iter().any(|item| item.code == "proof"), "{report:#?}");
}

#[test]
fn doctor_tells_what_a_status_keeps_quiet_about_for_a_while() {
    let now = Moment::now();
    let young = wanting(facts(now), &[A]);
    let status = Observer::new(key(1), now).observe(young.clone());
    assert_eq!(status.health, []);
    let report = doctor::examine(&young, &status);
    let item = report.items.iter().find(|item| item.code == "no_peer_connected").unwrap();
    assert_eq!((item.severity, item.since), (Severity::Error, None));
}

#[test]
fn doctor_tells_how_to_find_nodes_by_name() {
    let now = Moment::now();
    let names = |state, resolver: Option<&str>, hint: Option<&str>| Names {
        state,
        server: Some("300::53".parse().unwrap()),
        resolver: resolver.map(str::to_owned),
        hint: hint.map(str::to_owned),
        ..crate::names::off()
    };
    let told = |names: Names| -> Option<(String, Severity, String)> {
        let facts = Facts { names, ..facts(now) };
        let status = Observer::new(key(1), now).observe(facts.clone());
        assert_eq!(status.names, facts.names);
        let items = doctor::examine(&facts, &status).items.into_iter();
        let mut found = items.filter(|item| item.code == "hosts" || item.code == "names_not_asked");
        let item = found.next()?;
        assert_eq!(found.next(), None);
        Some((item.code.into_owned(), item.severity, item.text + &item.action.unwrap_or_default()))
    };
    assert_eq!(told(crate::names::off()), None);
    let (code, severity, text) =
        told(names(NamesState::Wired, Some("the resolver"), None)).unwrap();
    assert_eq!((code.as_str(), severity), ("hosts", Severity::Ok));
    assert_eq!(text, "the resolver asks for names below pln.internal.");
    let asked_elsewhere = names(NamesState::Answering, None, Some("Run this."));
    let (code, severity, text) = told(asked_elsewhere).unwrap();
    assert_eq!((code.as_str(), severity), ("names_not_asked", Severity::Info));
    assert!(text.contains("answered at 300::53") && text.ends_with("Run this."), "{text}");
}

#[test]
fn doctor_says_what_is_saved_and_how_to_end_that() {
    let told = |up, saving| {
        let facts = Facts { up, saving, ..facts(Moment::now()) };
        let status = Observer::new(key(1), facts.now).observe(facts.clone());
        let mut items = doctor::examine(&facts, &status).items.into_iter();
        let item = items.find(|item| item.code == "saving")?;
        assert_eq!(item.severity, Severity::Info);
        Some(item.text + &item.action.unwrap_or_default())
    };
    assert_eq!(told(true, None), None);
    assert_eq!(told(false, Some(Saving::Battery)), None);
    for (saving, why, setting) in [
        (Saving::Battery, "on its battery", "save_on_battery false"),
        (Saving::Metered, "paid by volume", "save_on_metered false"),
    ] {
        let text = told(true, Some(saving)).unwrap();
        assert!(text.contains(why) && text.contains(setting), "{text}");
    }
}

#[test]
fn every_condition_is_worded_for_people() {
    let now = Moment::now();
    let peers = vec![peer(A, waiting(), Some("password_mismatch"))];
    let lost = Snapshot { tun_lost: Some("gone".to_owned()), ..snapshot(vec![], None) };
    let bad = Facts {
        peers,
        snapshot: Some(lost),
        failed_listeners: vec![FailedListener {
            uri: "tcp://[::]:1".to_owned(),
            error: PeerError {
                code: "cannot_listen".to_owned(),
                message: "the address is in use".to_owned(),
                at: UnixTime(0),
            },
            remedy: "Stop the program that uses the port.",
        }],
        ..wanting(facts(now), &[A])
    };
    let mut observer = Observer::new(key(1), now);
    let _ = observer.observe(bad.clone());
    let later = later(now, SHOW_DELAY);
    let items = observer.observe(Facts { now: later, ..bad }).health;
    assert!(items.len() >= 4, "{items:#?}");
    for item in items {
        assert!(item.title.starts_with(char::is_uppercase) && !item.title.ends_with('.'));
        assert!(item.text.ends_with('.') && !item.text.contains(".."), "{}", item.text);
        assert!(item.action.is_some_and(|action| action.ends_with('.')));
    }
}

#[test]
fn advice_on_listeners_is_that_of_the_ones_that_failed() {
    let now = Moment::now();
    let failed = |uri: &str, remedy| FailedListener {
        uri: uri.to_owned(),
        error: PeerError { code: "x".to_owned(), message: "y".to_owned(), at: UnixTime(0) },
        remedy,
    };
    let failed_listeners = vec![
        failed("tcp://a.example:1", "Name a host."),
        failed("tcp://b.example:1", "Name a host."),
        failed("tcp://[::]:1", "Stop the other program."),
    ];
    let facts = Facts { failed_listeners, ..facts(now) };
    let found = conditions::present(&facts);
    let item = found.iter().find(|item| item.code == "listener_failed").unwrap();
    assert_eq!(item.action.as_deref(), Some("Name a host. Stop the other program."));
}

#[test]
fn topology_places_peers_and_ancestors_and_leaves_out_what_the_tree_merely_remembers() {
    // 9 is the root; 1 (this node) and 2 (its peer) are below 8 and 9; 5 was below 8 once; 3 is a
    // peer that has not told its place, and 6 and 7 are each other's parent.
    let place = |child: u8, parent: u8, port| TreeSnapshot {
        key: key(child),
        parent: key(parent),
        port,
        seq: u64::from(child),
    };
    let mut tree = vec![
        place(9, 9, 0),
        place(8, 9, 4),
        place(1, 8, 2),
        place(2, 9, 7),
        place(5, 8, 3),
        place(6, 7, 1),
        place(7, 6, 1),
    ];
    tree.sort_by_key(|place| place.key);
    let known = planetary_runtime::Topology {
        own: key(1),
        tree,
        peers: vec![(key(2), None), (key(3), None), (key(6), None)],
        paths: vec![],
        sessions: vec![],
    };
    let drawn = topology::draw(&known, Some(vec![4, 2]), 1, |_| None, &Memory::default());
    let found = |seed: u8| drawn.nodes.iter().find(|node| node.key == plain(&key(seed)));
    let coordinates = |seed| found(seed).unwrap().coordinates.clone();
    assert_eq!(coordinates(1), Some(vec![4, 2]));
    assert_eq!(coordinates(2), Some(vec![7]));
    assert_eq!(coordinates(3), None);
    assert_eq!(coordinates(6), None);
    assert_eq!(coordinates(8), Some(vec![4]));
    assert_eq!(coordinates(9), Some(vec![]));
    assert_eq!(found(2).unwrap().roles, [Role::Peer]);
    assert_eq!(found(8).unwrap().roles, [Role::Ancestor]);
    assert!(found(5).is_none());
    assert!(!drawn.edges.iter().any(|edge| edge.from == plain(&key(5))));
}

#[test]
fn topology_has_names_ways_and_what_was_explored() {
    // 9 is the root; 1 (this node) is below it, and so is 2, its peer. 5 is at a place below 2, and
    // its session goes over 2. 6 was explored and names 5, 7 and this node.
    let place = |child: u8, port| TreeSnapshot { key: key(child), parent: key(9), port, seq: 1 };
    let mut tree = vec![place(9, 0), place(1, 3), place(2, 7)];
    tree.sort_by_key(|place| place.key);
    let path = |seed: u8, coords: &[u64]| PathSnapshot {
        key: key(seed),
        coords: coords.to_vec(),
        seq: 1,
        age: Duration::ZERO,
        broken: false,
        via: Some(key(2)),
    };
    let session = SessionSnapshot {
        key: key(5),
        uptime: Duration::ZERO,
        heard_ago: None,
        rx_bytes: 5,
        tx_bytes: 6,
        fast: Some(planetary_proto::session::Suite::Aes256Gcm),
    };
    let known = planetary_runtime::Topology {
        own: key(1),
        tree,
        peers: vec![(key(2), Some(Duration::from_millis(4)))],
        paths: vec![path(5, &[7, 4])],
        sessions: vec![session],
    };
    let mut memory = Memory::default();
    let round_trip = Some(Duration::from_millis(30));
    let peers = vec![key(1), key(5), key(7)];
    memory.keep(key(6), Learnt { at: Instant::now(), round_trip, peers });
    memory.keep(key(5), Learnt { at: Instant::now(), round_trip, peers: vec![key(6)] });
    let name =
        |of: &planetary_ipc::NodeKey| (*of == plain(&key(5))).then(|| "Ada".parse().unwrap());
    let drawn = topology::draw(&known, Some(vec![3]), 1, name, &memory);
    let found = |seed: u8| drawn.nodes.iter().find(|node| node.key == plain(&key(seed))).unwrap();
    let (near, far) = (found(2), found(5));
    assert_eq!((near.direct, near.latency_ms, near.via), (true, Some(4.0), Some(near.key)));
    assert_eq!((far.direct, far.latency_ms, far.via), (false, Some(30.0), Some(near.key)));
    assert_eq!((far.rx_bytes, far.tx_bytes), (Some(5), Some(6)));
    assert_eq!(far.name.as_ref().map(|name| name.as_str()), Some("Ada"));
    assert_eq!((far.parent, far.port), (Some(near.key), Some(4)));
    assert_eq!(far.roles, [Role::Path, Role::Session, Role::Explored]);
    assert_eq!(found(7).roles, [Role::Explored]);
    let joined = |kind| {
        let edges = drawn.edges.iter().filter(move |edge| edge.kind == kind);
        edges.map(|edge| (edge.from, edge.to)).collect::<Vec<_>>()
    };
    let links = joined(EdgeKind::Link);
    assert_eq!(links.len(), 2, "each once, and none to this node: {links:?}");
    assert!(joined(EdgeKind::Tree).contains(&(far.key, near.key)));
}

#[test]
fn way_goes_over_the_peer_in_use_and_then_over_the_tree() {
    let place = |child: u8, parent: u8, port| TreeSnapshot {
        key: key(child),
        parent: key(parent),
        port,
        seq: 1,
    };
    // 9 is the root with 8 below it, and 1 (this node) below 8; 2 is a peer of ours below 9.
    let mut tree = vec![place(9, 9, 0), place(8, 9, 4), place(1, 8, 2), place(2, 9, 7)];
    tree.sort_by_key(|place| place.key);
    let known = planetary_runtime::Topology {
        own: key(1),
        tree,
        peers: vec![(key(2), None), (key(8), None)],
        paths: vec![],
        sessions: vec![],
    };
    let snapshot = Snapshot { coords: Some(vec![4, 2]), ..snapshot(vec![], None) };
    let way = |seed: u8, coords: &[u64], hop: Option<u8>| {
        let found = planetary_runtime::PathReport {
            key: key(seed),
            coords: Some(coords.to_vec()),
            distance: None,
            next_hop: hop.map(key),
            session: false,
            seq: None,
            broken: false,
        };
        let target = planetary_ipc::Target::Key(plain(&key(seed)));
        let hops = path::describe(target, &found, &snapshot, &known).hops;
        hops.into_iter().map(|hop| (hop.key, hop.coordinates.unwrap())).collect::<Vec<_>>()
    };
    let at = |seed: u8, ports: &[u64]| (Some(plain(&key(seed))), ports.to_vec());
    assert_eq!(way(1, &[4, 2], None), [at(1, &[4, 2])]);
    assert_eq!(way(2, &[7], Some(2)), [at(1, &[4, 2]), at(2, &[7])]);
    assert_eq!(way(5, &[6], None), []);
    // Two steps below the root, of which one is not known.
    let far = [at(1, &[4, 2]), at(2, &[7]), at(9, &[]), (None, vec![6]), at(5, &[6, 1])];
    assert_eq!(way(5, &[6, 1], Some(2)), far);
    assert_eq!(way(9, &[], Some(8)), [at(1, &[4, 2]), at(8, &[4]), at(9, &[])]);
    assert_eq!(way(5, &[4, 9], Some(8)), [at(1, &[4, 2]), at(8, &[4]), at(5, &[4, 9])]);
}
