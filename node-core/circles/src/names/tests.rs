//! Names: what is answered to what, read back by a decoder that is not ours.

use std::net::Ipv6Addr;

use planetary_proto::{Identity, upper::ipv6::Echo};
use proptest::prelude::*;
use simple_dns::{
    CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE,
    rdata::{OPT, RData},
};

use super::*;
use crate::filter::headers::sum;

fn key(seed: u8) -> NodeKey {
    Identity::from_seed(&[seed; 32]).key()
}

const OWN: u8 = 1;
const ADA: u8 = 2;
const ZOE: u8 = 3;

fn zone() -> Zone {
    let friends = [("ada", ADA), ("xn--zo-ija", ZOE)];
    Zone::new(key(OWN), friends.map(|(name, seed)| (Label::new(name).unwrap(), key(seed))))
}

fn query(name: &str, kind: u16) -> Vec<u8> {
    let mut packet = Packet::new_query(0x1234);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let (any, class) = (QTYPE::TYPE(TYPE::A), QCLASS::CLASS(CLASS::IN));
    packet.questions.push(Question::new(Name::new(name).unwrap(), any, class, false));
    let mut bytes = packet.build_bytes_vec().unwrap();
    // The encoder does not know every type.
    let at = kind_of(&bytes);
    set_kind(&mut bytes, at, kind);
    bytes
}

/// Where the type of the question stands.
fn kind_of(bytes: &[u8]) -> usize {
    bytes.len() - 4
}

fn set_kind(bytes: &mut [u8], at: usize, kind: u16) {
    bytes[at..at + 2].copy_from_slice(&kind.to_be_bytes());
}

/// An answer in one line: the code, what it says, and whether the zone says so.
fn told(name: &str, kind: u16) -> String {
    let query = query(name, kind);
    let bytes = zone().answer(&query).unwrap();
    assert!(bytes.len() <= ANSWER_LEN_MAX);
    assert_eq!(bytes[12..query.len()], query[12..], "the question is repeated as it came");
    // The oracle does not know every type; what is asked for is not its business.
    let (mut bytes, at) = (bytes, kind_of(&query));
    set_kind(&mut bytes, at, TYPE::A.into());
    let answer = Packet::parse(&bytes).unwrap();
    assert_eq!(answer.id(), 0x1234);
    let flags = PacketFlag::RESPONSE | PacketFlag::RECURSION_DESIRED;
    assert!(answer.has_flags(flags | PacketFlag::RECURSION_AVAILABLE));
    let of_ours = answer.rcode() != RCODE::Refused;
    assert_eq!(answer.has_flags(PacketFlag::AUTHORITATIVE_ANSWER), of_ours);
    assert!(answer.additional_records.is_empty() && answer.opt().is_none());
    let code = match answer.rcode() {
        RCODE::NoError => "yes",
        RCODE::NameError => "no such name",
        RCODE::Refused => "refused",
        other => panic!("{other:?}"),
    };
    let mut line = code.to_owned();
    for record in &answer.answers {
        assert_eq!((record.class, record.ttl), (CLASS::IN, TTL_S));
        let mut owner = name.trim_end_matches('.').to_owned();
        line += &match &record.rdata {
            RData::AAAA(data) => format!(" AAAA {}", Ipv6Addr::from(data.address)),
            RData::PTR(data) => format!(" PTR {}", data.0),
            RData::SOA(data) => {
                owner = data.mname.to_string();
                format!(" SOA {}", data.mname)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(record.name.to_string(), owner);
    }
    for record in &answer.name_servers {
        let RData::SOA(data) = &record.rdata else { panic!("{record:?}") };
        assert_eq!((record.ttl, data.minimum), (NEGATIVE_TTL_S, NEGATIVE_TTL_S));
        assert_eq!(record.name, data.mname);
        line += &format!(" says {}", record.name);
    }
    line
}

/// An address as it is looked up.
fn backwards(address: Ipv6Addr) -> String {
    let digits: Vec<String> = address
        .octets()
        .iter()
        .rev()
        .flat_map(|byte| [byte & 15, byte >> 4].map(|digit| format!("{digit:x}.")))
        .collect();
    digits.concat() + "ip6.arpa"
}

#[test]
fn each_question_has_its_answer() {
    const A: u16 = 1;
    const NS: u16 = 2;
    const SOA: u16 = 6;
    const PTR: u16 = 12;
    const TXT: u16 = 16;
    const AAAA: u16 = 28;
    const SRV: u16 = 33;
    const HTTPS: u16 = 65;
    const IXFR: u16 = 251;
    const AXFR: u16 = 252;
    const ANY: u16 = 255;
    const UNASSIGNED: u16 = 0xff77;

    let (ada, zoe) = (key(ADA).address().to_ipv6(), key(ZOE).address().to_ipv6());
    let (is_ada, is_zoe) = (format!("yes AAAA {ada}"), format!("yes AAAA {zoe}"));
    let stranger = key(9).address().to_ipv6();
    let is_stranger = format!("yes AAAA {stranger}");
    let (nothing, unknown) = ("yes says pln.internal", "no such name says pln.internal");
    let stranger_host = key_host(&key(9));
    let mixed = stranger_host.to_uppercase().replace("INTERNAL", "InTeRnAl");
    let own = key(OWN).address().to_ipv6();
    let own_host = format!("yes PTR {}", key_host(&key(OWN)));
    let subnet = key(ADA).subnet().to_ipv6();
    let beyond: Ipv6Addr = "fd00::1".parse().unwrap();
    let other_zone: Ipv6Addr = "400::1".parse().unwrap();

    let table: &[(&str, u16, &str)] = &[
        // A friend, and what stands before it.
        ("ada.pln.internal", AAAA, &is_ada),
        ("ada.pln.internal.", AAAA, &is_ada),
        ("aDA.PLN.Internal", AAAA, "yes AAAA ADA"),
        ("ada.pln.internal", ANY, &is_ada),
        ("web.ada.pln.internal", AAAA, &is_ada),
        ("_x.ada.pln.internal", AAAA, &is_ada),
        ("a.web.ada.pln.internal", AAAA, unknown),
        ("xn--zo-ija.pln.internal", AAAA, &is_zoe),
        // The name is there, but has nothing of that kind.
        ("ada.pln.internal", A, nothing),
        ("ada.pln.internal", HTTPS, nothing),
        ("ada.pln.internal", TXT, nothing),
        ("ada.pln.internal", SRV, nothing),
        ("ada.pln.internal", PTR, nothing),
        ("ada.pln.internal", UNASSIGNED, nothing),
        ("web.ada.pln.internal", A, nothing),
        // Any key.
        (&stranger_host, AAAA, &is_stranger),
        (&mixed, AAAA, &is_stranger),
        (&stranger_host, A, nothing),
        // What nobody is called.
        ("bob.pln.internal", AAAA, unknown),
        ("bob.pln.internal", A, unknown),
        ("ada.bob.pln.internal", AAAA, unknown),
        ("ad.pln.internal", AAAA, unknown),
        ("aaaa.k.pln.internal", AAAA, unknown),
        ("ada.k.pln.internal", AAAA, unknown),
        // The zone, and the label that keys stand below.
        ("pln.internal", SOA, "yes SOA pln.internal"),
        ("pln.internal", AAAA, nothing),
        ("pln.internal", NS, nothing),
        ("k.pln.internal", AAAA, nothing),
        ("ada.pln.internal", SOA, nothing),
        // Elsewhere.
        ("internal", AAAA, "refused"),
        (".", NS, "refused"),
        ("example.org", AAAA, "refused"),
        ("ada.pln.internal.example.org", AAAA, "refused"),
        ("xpln.internal", AAAA, "refused"),
        ("ada.pln.internal", AXFR, "refused"),
        ("ada.pln.internal", IXFR, "refused"),
        // Back from an address.
        (&backwards(ada), PTR, "yes PTR ada.pln.internal"),
        (&backwards(zoe), ANY, "yes PTR xn--zo-ija.pln.internal"),
        (&backwards(own), PTR, &own_host),
        (&backwards(ada), AAAA, "yes says 2.0.ip6.arpa"),
        (&backwards(stranger), PTR, "no such name says 2.0.ip6.arpa"),
        (&backwards(subnet), PTR, "no such name says 3.0.ip6.arpa"),
        (&backwards(beyond), PTR, "refused"),
        (&backwards(other_zone), PTR, "refused"),
        ("2.0.ip6.arpa", SOA, "yes SOA 2.0.ip6.arpa"),
        ("0.2.0.ip6.arpa", PTR, "yes says 2.0.ip6.arpa"),
        ("g.2.0.ip6.arpa", PTR, "no such name says 2.0.ip6.arpa"),
        ("10.2.0.ip6.arpa", PTR, "no such name says 2.0.ip6.arpa"),
        ("0.ip6.arpa", PTR, "refused"),
    ];
    for (name, kind, expected) in table {
        let expected = expected.replace("ADA", &ada.to_string());
        let told = told(name, *kind);
        assert_eq!(told.to_lowercase(), expected.to_lowercase(), "{name} {kind}");
    }
    let too_long = format!("0.{}", backwards(ada));
    assert_eq!(told(&too_long, PTR), "no such name says 2.0.ip6.arpa");
}

#[test]
fn a_key_has_one_name() {
    let host = key_host(&key(9));
    assert_eq!(host.find('.'), Some(52));
    // The last digit has four bits too many.
    let last = host.as_bytes()[51];
    let other = if last == b'q' { 'r' } else { 'b' };
    assert!(last == b'q' || last == b'a', "{host}");
    let other = format!("{}{other}{}", &host[..51], &host[52..]);
    assert_eq!(told(&other, 28), "no such name says pln.internal");
}

#[test]
fn labels_are_plain() {
    let longest = "a".repeat(63);
    for good in ["a", "0", "a-b", "xn--zo-ija", longest.as_str()] {
        assert_eq!(Label::new(good).unwrap().as_str(), good);
    }
    let too_long = "a".repeat(64);
    for bad in ["", "k", "A", "-a", "a-", "a.b", "a_b", "ä", " a", too_long.as_str()] {
        assert_eq!(Label::new(bad), None, "{bad:?}");
    }
}

#[test]
fn the_server_is_in_the_own_subnet() {
    let own = key(OWN);
    let server = server(&own).octets();
    assert_eq!(server[..8], own.subnet().to_ipv6().octets()[..8]);
    assert_eq!(server[8..], [0, 0, 0, 0, 0, 0, 0, 0x53]);
}

fn with_edns(version: u8, mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[11] += 1;
    // The root, OPT, 4096 bytes, code, version, flags with DNSSEC, and an option to skip.
    bytes.extend_from_slice(&[0, 0, 41, 16, 0, 0, version, 0x80, 0, 0, 5, 0, 10, 0, 1, 7]);
    bytes
}

#[test]
fn edns_is_answered_in_kind() {
    let bytes = zone().answer(&with_edns(0, query("ada.pln.internal", 28))).unwrap();
    let answer = Packet::parse(&bytes).unwrap();
    let OPT { opt_codes, udp_packet_size, version } = answer.opt().unwrap();
    assert!(opt_codes.is_empty());
    assert_eq!((*version, usize::from(*udp_packet_size)), (0, QUERY_LEN_MAX));
    assert_eq!((answer.rcode(), answer.answers.len()), (RCODE::NoError, 1));

    let bytes = zone().answer(&with_edns(1, query("ada.pln.internal", 28))).unwrap();
    let answer = Packet::parse(&bytes).unwrap();
    assert!(answer.answers.is_empty() && answer.name_servers.is_empty());
    // "Bad version" is 16: its upper part stands in the record behind the question, where the
    // decoder does not look for it.
    let upper = bytes.len() - 6;
    assert_eq!((bytes[3] & 15, &bytes[upper..]), (0, &[1, 0, 0, 0, 0, 0][..]));

    let twice = with_edns(0, with_edns(0, query("ada.pln.internal", 28)));
    assert_eq!(code(&twice), Some(1));
}

/// The code of the answer, if there is one.
fn code(query: &[u8]) -> Option<u8> {
    let answer = zone().answer(query)?;
    assert_eq!(answer[..2], query[..2]);
    assert!(answer[2] & 0x80 != 0, "an answer says that it is one");
    Some(answer[3] & 15)
}

#[test]
fn what_is_no_question_is_refused_or_not_answered() {
    let good = query("ada.pln.internal", 28);
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    assert_eq!(code(&good), Some(0));
    // Silence: cut short before the end of the head, answers, and too much.
    assert_eq!(code(&good[..11]), None);
    assert_eq!(code(&[]), None);
    assert_eq!(code(&changed(2, 0x81)), None);
    assert_eq!(code(&[good.clone(), vec![0; QUERY_LEN_MAX]].concat()), None);
    // Another opcode.
    assert_eq!(code(&changed(2, 0x29)), Some(4));
    // No question, two, an answer, an authority, a record that is not there.
    for (at, count) in [(5, 0), (5, 2), (7, 1), (9, 1), (11, 1)] {
        assert_eq!(code(&changed(at, count)), Some(1), "{at}");
    }
    // Cut short anywhere, or with something behind it.
    for len in 12..good.len() {
        assert_eq!(code(&good[..len]), Some(1), "{len}");
    }
    assert_eq!(code(&[good.as_slice(), &[0]].concat()), Some(1));
    // A pointer where a label should be, to itself and elsewhere, and a reserved kind of label.
    for label in [0xc0, 0x80, 0x40] {
        assert_eq!(code(&changed(12, label)), Some(1), "{label}");
    }
    // Another class than that of the internet.
    assert_eq!(code(&changed(good.len() - 1, 3)), Some(5));
    assert_eq!(code(&changed(good.len() - 2, 0x80)), Some(5));
    // Records that are not ours are skipped, whatever their names.
    let mut signed = changed(11, 1);
    signed.extend_from_slice(&[0xc0, 12, 0, 250, 0, 255, 0, 0, 0, 0, 0, 1, 7]);
    assert_eq!(code(&signed), Some(0));
    signed.pop();
    assert_eq!(code(&signed), Some(1));
}

#[test]
fn the_longest_answer_fits() {
    let label = "a".repeat(63);
    let zone = Zone::new(key(OWN), [(Label::new(&label).unwrap(), key(ADA))]);
    let name = format!("{label}.{label}.{label}.{}.pln.internal", "b".repeat(48));
    let longest = with_edns(0, query(&name, 28));
    let answer = zone.answer(&longest).unwrap();
    assert!(answer.len() > 300 && answer.len() <= ANSWER_LEN_MAX, "{}", answer.len());
    let host = with_edns(0, query(&backwards(key(ADA).address().to_ipv6()), 12));
    let answer = zone.answer(&host).unwrap();
    assert_eq!(Packet::parse(&answer).unwrap().answers.len(), 1);
    assert!(answer.len() <= ANSWER_LEN_MAX);
}

/// A packet to the server from `source`: what a program of this machine would send.
fn packet(source: Ipv6Addr, next: u8, upper: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, upper.len() as u8, next, 64];
    packet.extend_from_slice(&source.octets());
    packet.extend_from_slice(&server(&key(OWN)).octets());
    packet.extend_from_slice(upper);
    packet
}

fn datagram(source: Ipv6Addr, port: u16, question: &[u8]) -> Vec<u8> {
    let len = 8 + question.len() as u16;
    let head = [40_000, port, len, 0].map(u16::to_be_bytes).concat();
    packet(source, 17, &[head.as_slice(), question].concat())
}

#[test]
fn a_datagram_of_this_machine_is_answered_to_where_it_came_from() {
    let own = key(OWN).address().to_ipv6();
    let asked = datagram(own, 53, &query("ada.pln.internal", 28));
    let answer = zone().serve(&asked).unwrap();
    assert_eq!((&answer[8..24], &answer[24..40]), (&asked[24..40], &asked[8..24]));
    assert_eq!((&answer[40..42], &answer[42..44]), (&asked[42..44], &asked[40..42]));
    assert_eq!(usize::from(u16::from_be_bytes([answer[4], answer[5]])), answer.len() - 40);
    assert_eq!(answer[4..6], answer[44..46]);
    assert_eq!(sum(answer.len() as u32 - 40 + 17, &answer[8..]), 0, "the checksum");
    let ada = key(ADA).address().to_ipv6();
    assert_eq!(answer[answer.len() - 16..], ada.octets());
}

#[test]
fn nobody_else_is_answered() {
    let question = query("ada.pln.internal", 28);
    let in_subnet = Ipv6Addr::from(u128::from(key(OWN).subnet().to_ipv6()) | 1);
    for source in [key(ADA).address().to_ipv6(), in_subnet, "fe80::1".parse().unwrap()] {
        assert_eq!(zone().serve(&datagram(source, 53, &question)), None, "{source}");
    }
    let own = key(OWN).address().to_ipv6();
    for len in 0..60 {
        assert_eq!(zone().serve(&datagram(own, 53, &question)[..len]), None);
    }
    // An answer, which would be answered for ever; and a datagram that is longer than its packet.
    let mut answer = question.clone();
    answer[2] |= 0x80;
    assert_eq!(zone().serve(&datagram(own, 53, &answer)), None);
    let mut longer = datagram(own, 53, &question);
    longer[45] += 1;
    assert_eq!(zone().serve(&longer), None);
}

#[test]
fn what_is_no_question_is_refused_at_once() {
    let own = key(OWN).address().to_ipv6();
    let syn = [156, 64, 0, 53, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0];
    let reset = zone().serve(&packet(own, 6, &syn)).unwrap();
    assert_eq!((reset[6], reset[53] & 4), (6, 4));
    assert_eq!(reset[24..40], own.octets());
    let other_port = zone().serve(&datagram(own, 54, b"x")).unwrap();
    assert_eq!((other_port[6], other_port[40]), (58, 1));
    let echo = Echo { request: true, identifier: 1, sequence: 2 };
    let request = echo.emit(&own.octets(), &server(&key(OWN)).octets(), b"x");
    let reply = zone().serve(&request).unwrap();
    assert_eq!(Echo::parse(&reply), Some(Echo { request: false, ..echo }));
    assert_eq!(zone().serve(&reply), None);
}

fn names() -> impl Strategy<Value = String> {
    let ends = prop_oneof![Just("pln.internal"), Just("k.pln.internal"), Just("2.0.ip6.arpa")];
    let label = prop_oneof![Just("ada".to_owned()), Just("k".to_owned()), "[a-zA-Z0-9_-]{1,63}"];
    (prop::collection::vec(label, 0..4), ends).prop_map(|(mut labels, end)| {
        while labels.iter().map(|label| label.len() + 1).sum::<usize>() > 200 {
            labels.pop();
        }
        labels.push(end.to_owned());
        labels.join(".")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_comes_is_answered_within_bounds(
        name in names(),
        kind: u16,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        more in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = [query(&name, kind), more].concat();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(answer) = zone().answer(&bytes) {
            prop_assert!((12..=ANSWER_LEN_MAX).contains(&answer.len()));
            prop_assert_eq!(&answer[..2], &bytes[..2]);
            prop_assert_eq!(zone().answer(&answer), None, "answers are not answered");
        }
    }

    #[test]
    fn any_packet_is_judged_without_a_panic(
        upper in prop::collection::vec(any::<u8>(), 0..100),
        next in prop_oneof![Just(17), Just(6), Just(58), Just(44), any::<u8>()],
    ) {
        let _ = zone().serve(&packet(key(OWN).address().to_ipv6(), next, &upper));
        let _ = zone().serve(&upper);
    }

    #[test]
    fn any_key_is_found_under_its_name(bytes: [u8; 32]) {
        let key = NodeKey::from_bytes(bytes);
        let address = key.address().to_ipv6();
        prop_assert_eq!(told(&key_host(&key), 28), format!("yes AAAA {address}"));
        prop_assert_eq!(zone().find(&key_host(&key)), Some(key.address()));
    }

    #[test]
    fn the_gateway_finds_what_is_answered(name in names()) {
        let found = zone().find(&name).map(|address| format!("yes AAAA {}", address.to_ipv6()));
        let answer = told(&name, 28);
        prop_assert_eq!(found.as_deref(), answer.contains("AAAA").then_some(answer.as_str()));
        if found.is_some() {
            let whole = format!("{name}.");
            prop_assert!(Zone::covers(&name) && Zone::covers(&whole));
            prop_assert_eq!(zone().find(&whole), zone().find(&name));
        }
    }
}
