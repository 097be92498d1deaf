//! Choices and samples: the rules as examples, then as properties over any answers.

use proptest::prelude::*;

use super::*;
use crate::public::list::PublicList;

fn answered(name: &str, operator: &str, port: u16, ms: u64) -> Answered {
    let digest = name.bytes().fold(7_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    let mut key = [digest; 32];
    for (place, byte) in key.iter_mut().zip(name.bytes()) {
        *place = byte;
    }
    Answered {
        name: name.to_owned(),
        transport: name.split(':').next().unwrap_or("tls").to_owned(),
        port,
        operator: operator.to_owned(),
        network: format!("net of {operator}"),
        key: NodeKey::from_bytes(key),
        round_trip: Duration::from_millis(ms),
        record: None,
    }
}

fn names(chosen: &[Chosen]) -> Vec<&str> {
    chosen.iter().map(|chosen| chosen.name.as_str()).collect()
}

fn record(tries: u64, answers: u64) -> PeerRecord {
    PeerRecord { tries, answers, best_ms: None, median_ms: Some(1.0), last_good: None }
}

#[test]
fn nearest_of_different_operators_are_taken_and_one_is_on_port_443() {
    let field = [
        answered("tls://a1", "a", 9001, 18),
        answered("tls://a2", "a", 9002, 19),
        answered("tls://b", "b", 443, 60),
        answered("tls://c", "c", 9001, 40),
        answered("tls://d", "d", 9001, 900),
    ];
    let chosen = choose(&field, &[], 3);
    assert_eq!(names(&chosen), ["tls://b", "tls://a1", "tls://c"]);
    assert_eq!(chosen[0].reason, "near: 60 ms; tls on port 443, which most networks let through");
    assert_eq!(
        chosen[1].reason,
        "nearest of 5 that answered: 18 ms; tls on port 9001; another operator and network than \
         the others"
    );
}

#[test]
fn port_443_of_quic_may_be_blocked_where_that_of_tcp_is_not() {
    let field = [answered("quic://a", "a", 443, 18), answered("wss://b", "b", 443, 60)];
    assert_eq!(names(&choose(&field, &[], 1)), ["wss://b"]);
    let reasons: Vec<_> = choose(&field, &[], 2).into_iter().map(|it| it.reason).collect();
    assert!(
        reasons[0].contains("let through") && !reasons[1].contains("let through"),
        "{reasons:?}"
    );
}

#[test]
fn port_443_that_is_kept_already_leaves_the_choice_free() {
    let field = [answered("tls://a", "a", 9001, 18), answered("tls://b", "b", 443, 60)];
    let kept =
        Kept { transport: "tls".into(), port: 443, operator: "z".into(), network: None, key: None };
    assert_eq!(names(&choose(&field, &[kept], 1)), ["tls://a"]);
    assert_eq!(names(&choose(&field, &[], 1)), ["tls://b"]);
}

#[test]
fn operator_that_is_kept_already_is_not_taken_again() {
    let field = [answered("tls://a", "a", 1, 18), answered("tls://b", "b", 1, 60)];
    let kept =
        Kept { transport: "tls".into(), port: 1, operator: "a".into(), network: None, key: None };
    assert_eq!(names(&choose(&field, &[kept], 1)), ["tls://b"]);
    // The same node under another name.
    let kept = Kept {
        transport: "tcp".into(),
        port: 1,
        operator: "elsewhere".into(),
        network: None,
        key: Some(field[0].key),
    };
    assert_eq!(names(&choose(&field, &[kept], 1)), ["tls://b"]);
}

#[test]
fn second_of_an_operator_is_better_than_one_on_the_moon() {
    let field = [
        answered("tls://a1", "a", 1, 18),
        answered("tls://a2", "a", 2, 19),
        answered("tls://moon", "m", 1, 2_500),
    ];
    let chosen = choose(&field, &[], 2);
    assert_eq!(names(&chosen), ["tls://a1", "tls://a2"]);
    assert!(chosen[1].reason.contains("since nothing else as good answered"));
}

#[test]
fn other_transport_and_a_good_record_win_among_equals() {
    let field = [
        answered("tls://a", "a", 1, 50),
        answered("tls://b", "b", 1, 50),
        answered("tcp://c", "c", 1, 51),
    ];
    assert_eq!(names(&choose(&field, &[], 2)), ["tls://a", "tcp://c"]);

    let proven = Answered { record: Some(record(9, 9)), ..field[1].clone() };
    let chosen = choose(&[field[0].clone(), proven], &[], 1);
    assert_eq!(names(&chosen), ["tls://b"]);
    assert!(chosen[0].reason.ends_with("answered 9 of 9 earlier tries"));
    let flaky = Answered { record: Some(record(9, 3)), ..field[0].clone() };
    assert_eq!(names(&choose(&[flaky, field[1].clone()], &[], 1)), ["tls://b"]);
}

#[test]
fn operators_are_domains_by_their_form_or_networks() {
    for (host, expected) in [
        ("a.b.example.net", "example.net"),
        ("example.net", "example.net"),
        ("a.example.co.uk", "example.co.uk"),
        ("example.com.br", "example.com.br"),
        ("co.uk", "co.uk"),
        ("localhost", "localhost"),
        ("192.0.2.7", "192.0.2.0/24"),
        ("[2001:db8:1:2::3]", "2001:db8:1::/48"),
    ] {
        let uri: planetary_runtime::links::uri::PeerUri =
            format!("tcp://{host}:1").parse().unwrap();
        assert_eq!(operator(&uri.endpoint().unwrap().host), expected);
    }
}

#[test]
fn sample_of_the_shipped_list_is_spread_and_depends_on_the_seed() {
    let list = PublicList::shipped();
    let candidates: Vec<_> = list.peers.iter().filter(|peer| peer.dial.is_some()).collect();
    let unknown: Record<'_> = &|_| None;
    let mut seen = BTreeSet::new();
    for seed in 0..20 {
        let sample = around(&candidates, unknown, seed);
        let count = |value: fn(&Listed) -> String| {
            sample.iter().map(|peer| value(peer)).collect::<BTreeSet<_>>().len()
        };
        assert_eq!(sample.len(), AROUND);
        assert_eq!(count(|peer| peer.country.clone()), AROUND);
        assert!(count(|peer| operator(&peer.host)) >= AROUND - 3);
        assert!(sample.iter().any(|peer| peer.port == OPEN_PORT));
        seen.extend(sample.iter().map(|peer| peer.name.clone()));
    }
    assert!(seen.len() > 60, "{}", seen.len());
}

#[test]
fn proven_peers_are_in_every_sample() {
    let list = PublicList::shipped();
    let candidates: Vec<_> = list.peers.iter().filter(|peer| peer.dial.is_some()).collect();
    let known = candidates[7].name.clone();
    let sample = around(&candidates, &|name| (name == known).then(|| record(5, 5)), 3);
    assert_eq!(sample[0].name, known);
}

#[test]
fn second_look_stays_where_it_was_fast() {
    let list = PublicList::shipped();
    let candidates: Vec<_> = list.peers.iter().filter(|peer| peer.dial.is_some()).collect();
    let first = around(&candidates, &|_| None, 1);
    let germany = candidates.iter().find(|peer| peer.country == "germany").unwrap();
    let mut tested: BTreeMap<_, _> = first
        .iter()
        .map(|peer| (peer.name.clone(), Some(Duration::from_secs(1))))
        .filter(|(name, _)| !name.is_empty())
        .collect();
    tested.insert(germany.name.clone(), Some(Duration::from_millis(5)));
    let second = close(&candidates, &tested, 1);
    assert_eq!(second.len(), CLOSE);
    assert!(second[0].country == "germany");
    assert!(second.iter().all(|peer| !tested.contains_key(&peer.name)));
}

#[test]
fn second_look_tries_port_443_when_nobody_answered() {
    let list = PublicList::shipped();
    let candidates: Vec<_> = list.peers.iter().filter(|peer| peer.dial.is_some()).collect();
    let first = around(&candidates, &|_| None, 1);
    let tested = first.iter().map(|peer| (peer.name.clone(), None)).collect();
    let second = close(&candidates, &tested, 1);
    assert!(!second.is_empty() && second.len() <= CLOSE);
    assert!(second.iter().all(|peer| peer.port == 443 && !tested.contains_key(&peer.name)));
}

/// Any field: few operators, so that they clash, and ports of which one is 443.
fn field() -> impl Strategy<Value = Vec<Answered>> {
    let one = (0_u8..6, 0_u8..4, 0_u8..3, 1_u64..600, 0_u64..5).prop_map(
        |(host, operator, port, ms, answers)| {
            let port = [443, 9001, 9002][usize::from(port)];
            let scheme = if port == 9002 { "tcp" } else { "tls" };
            let name = format!("{scheme}://{operator}{host}:{port}");
            let peer = answered(&name, &format!("o{operator}"), port, ms);
            Answered { record: (answers > 0).then(|| record(4, answers.min(4))), ..peer }
        },
    );
    prop::collection::vec(one, 0..24).prop_map(|peers| {
        let by_name: BTreeMap<_, _> =
            peers.into_iter().map(|peer| (peer.name.clone(), peer)).collect();
        by_name.into_values().collect()
    })
}

proptest! {
    #[test]
    fn choice_does_not_depend_on_the_order(
        (first, second) in field().prop_flat_map(|peers| {
            let shuffled = Just(peers.clone()).prop_shuffle();
            (Just(peers), shuffled)
        }),
        count in 0_usize..9,
    ) {
        prop_assert_eq!(choose(&first, &[], count), choose(&second, &[], count));
    }

    #[test]
    fn choice_is_as_long_as_it_can_be_and_names_nobody_twice(
        peers in field(),
        count in 0_usize..9,
    ) {
        let chosen = choose(&peers, &[], count);
        let distinct: BTreeSet<_> = names(&chosen).into_iter().collect();
        prop_assert_eq!(distinct.len(), chosen.len());
        prop_assert!(chosen.len() <= count);
        let keys: BTreeSet<_> = peers.iter().map(|peer| peer.key).collect();
        prop_assert_eq!(chosen.len(), count.min(keys.len()));
        prop_assert!(chosen.iter().all(|chosen| !chosen.reason.is_empty()));
    }

    #[test]
    fn one_is_on_port_443_if_one_answered_there(peers in field(), count in 1_usize..9) {
        let chosen = choose(&peers, &[], count);
        let open = |name: &str| peers.iter().any(|peer| peer.name == name && is_open(peer));
        prop_assert_eq!(
            names(&chosen).into_iter().any(open),
            peers.iter().any(is_open)
        );
    }

    #[test]
    fn no_two_of_an_operator_while_others_as_good_are_left(
        peers in field(),
        count in 0_usize..9,
    ) {
        let chosen = choose(&peers, &[], count);
        let chosen: Vec<&Answered> = names(&chosen)
            .into_iter()
            .filter_map(|name| peers.iter().find(|peer| peer.name == name))
            .collect();
        let operators: BTreeSet<_> = chosen.iter().map(|peer| &peer.operator).collect();
        if operators.len() == chosen.len() {
            return Ok(());
        }
        let best = peers.iter().map(|peer| peer.round_trip).min().unwrap_or_default();
        let missed = peers.iter().find(|peer| {
            !operators.contains(&peer.operator) && peer.round_trip <= best * 4 + SIMILAR
        });
        prop_assert!(missed.is_none(), "{missed:?} was left for {chosen:?}");
    }
}
