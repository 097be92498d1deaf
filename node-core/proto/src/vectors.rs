//! Every vector of the protocol chapters, as a test of the code that must agree with it.
//!
//! Whatever a test reads is noted, so that [`every_vector_is_read_by_a_test`] sees what is left.

use std::{cell::RefCell, collections::BTreeSet, sync::LazyLock};

use serde_json::Value;

use crate::{
    crypto::{ExchangeKey, ExchangeSecret, Signature, box_open, keyed_hash},
    forward::WATERMARK_START,
    identity::{Address, Identity, NodeKey, Subnet},
    link::{
        beacon::Beacon,
        meta::{Capabilities, HEAD_LEN, Meta},
    },
    lookup::{BloomFilter, BloomPositions, murmur3_x64_128},
    session::{
        GroupSecret, Handshake, HandshakeKind, OpenError, Opener, SEAL_OVERHEAD_MAX, compose,
        open_handshake,
    },
    time::Instant,
    upper::ipv6,
    wire::{
        Announce, Coords, EdgeDraft, FrameKind, KEEP_ALIVE, PathBroken, PathLookup, PathNotify,
        SigReq, SigRes, TrafficHeader, cut_frame,
    },
};

static VECTORS: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../tests/test-vectors.json")).expect("vectors are JSON")
});

thread_local! {
    /// The vectors that this test has read.
    static READ: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

fn vector(path: &str) -> &'static Value {
    READ.with_borrow_mut(|read| read.insert(path.to_owned()));
    VECTORS.pointer(path).unwrap_or_else(|| panic!("no vector {path}"))
}

fn text(path: &str) -> &'static str {
    vector(path).as_str().expect("the vector is a text")
}

fn number(path: &str) -> u64 {
    vector(path).as_u64().expect("the vector is a number")
}

fn word(path: &str) -> u64 {
    u64::from_str_radix(text(path), 16).expect("the vector is 64 bits")
}

fn bytes(path: &str) -> Vec<u8> {
    unhex(text(path))
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digit = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("vectors are hexadecimal");
    (0..text.len()).step_by(2).map(digit).collect()
}

fn array(path: &str) -> [u8; 32] {
    bytes(path).try_into().expect("32 bytes")
}

fn identity(name: &str) -> Identity {
    Identity::from_seed(&array(&format!("/identities/{name}/seed")))
}

fn key(name: &str) -> NodeKey {
    NodeKey::from_bytes(array(&format!("/identities/{name}/public_key")))
}

/// Type byte and body of a frame vector.
fn body(frame: &[u8]) -> (FrameKind, &[u8]) {
    let (kind, end) = cut_frame(frame).unwrap().unwrap();
    assert_eq!(end, frame.len());
    (FrameKind::from_byte(frame[kind]).unwrap(), &frame[kind + 1..])
}

const fn secret(byte: u8) -> [u8; 32] {
    [byte; 32]
}

fn pair(byte: u8) -> ExchangeSecret {
    ExchangeSecret::from_bytes(&secret(byte))
}

#[test]
fn keys_addresses_and_partial_keys() {
    for name in ["A", "B", "C", "Z", "R"] {
        let at = |field: &str| format!("/identities/{name}/{field}");
        let key = key(name);
        assert_eq!(key.address().to_string(), text(&at("address")));
        assert_eq!(key.subnet().to_string(), text(&at("subnet")));
        let address: Address = key.address();
        let subnet: Subnet = key.subnet();
        assert_eq!(*address.partial_key().as_bytes(), array(&at("partial_key_from_address")));
        assert_eq!(*subnet.partial_key().as_bytes(), array(&at("partial_key_from_subnet")));
        assert_eq!(*key.transform().as_bytes(), array(&at("partial_key_from_subnet")));
        assert_eq!(key.to_string(), text(&at("public_key")));
        assert_eq!(text(&at("public_key")).parse(), Ok(key));
    }
}

#[test]
fn exchange_keys_of_nodes() {
    for name in ["A", "B", "C", "Z"] {
        let identity = identity(name);
        assert_eq!(identity.key(), key(name));
        let at = |field: &str| format!("/identities/{name}/{field}");
        assert_eq!(identity.exchange().to_bytes(), array(&at("x25519_private")));
        let public = ExchangeKey::of_node(&identity.key()).unwrap();
        assert_eq!(*public.as_bytes(), array(&at("x25519_public")));
    }
}

#[test]
fn greetings() {
    let cases = [
        ("A", "A_no_password_priority_0", &b""[..], 0),
        ("A", "A_password_secret_priority_1", b"secret", 1),
        ("B", "B_no_password_priority_0", b"", 0),
    ];
    for (name, vector, password, priority) in cases {
        let wire = bytes(&format!("/meta/{vector}"));
        let capabilities = Capabilities::NONE;
        let ours = Meta::emit(&identity(name), priority, capabilities, password).unwrap();
        assert_eq!(ours, wire);
        let (head, rest) = wire.split_first_chunk::<HEAD_LEN>().unwrap();
        assert_eq!(Meta::body_len(head), Ok(rest.len()));
        let meta = Meta { key: key(name), priority, capabilities };
        assert_eq!(Meta::parse(rest, password), Ok(meta));
    }
    for (vector, password) in
        [("hash_A_no_password", &b""[..]), ("hash_A_password_secret", b"secret")]
    {
        let hash = keyed_hash(password, key("A").as_bytes()).unwrap();
        assert_eq!(hash[..], bytes(&format!("/meta/{vector}")));
    }
}

#[test]
fn beacons() {
    for (vector, password) in [("no_password", &b""[..]), ("password_secret", b"secret")] {
        let wire = bytes(&format!("/beacons/A_port_12345_{vector}"));
        let beacon = Beacon { key: key("A"), port: 12345 };
        assert_eq!(beacon.emit(password).unwrap()[..], wire);
        assert_eq!(Beacon::parse(&wire, password), Ok(beacon));
    }
}

#[test]
fn tree_messages() {
    let (a, b) = (identity("A"), identity("B"));
    let request = SigReq { seq: 1, nonce: 0x0123_4567_89ab_cdef };
    assert_eq!(request.emit(), bytes("/frames/sigreq"));
    assert_eq!(SigReq::parse(body(&request.emit()).1), Ok(request));

    let edge = EdgeDraft { node: b.key(), parent: a.key(), request, port: 1 };
    assert_eq!(edge.signature_input(), bytes("/frames/edge_signature_input"));
    let response = SigRes { request, port: 1, psig: edge.sign(&a) };
    assert_eq!(response.emit(), bytes("/frames/sigres"));
    assert_eq!(SigRes::parse(body(&response.emit()).1), Ok(response));

    let announce = Announce { edge, psig: response.psig, sig: edge.sign(&b) };
    assert_eq!(announce.emit(), bytes("/frames/announce_B_child_of_A"));
    let wire = bytes("/frames/announce_B_child_of_A");
    let (kind, body_bytes) = body(&wire);
    assert_eq!(kind, FrameKind::Announce);
    let parsed = Announce::parse(body_bytes).unwrap();
    assert_eq!(parsed, announce);
    assert!(parsed.is_valid());

    let root_wire = bytes("/frames/announce_A_root");
    let root = Announce::parse(body(&root_wire).1).unwrap();
    assert!(root.is_valid() && root.is_root());
    assert_eq!(root.edge.request.nonce, 0xfedc_ba98_7654_3210);
    let again = root.edge.sign(&a);
    assert_eq!((root.sig, root.psig), (again, again));
    assert_eq!(root.emit(), root_wire);
    assert_eq!(KEEP_ALIVE[..], bytes("/frames/keepalive"));
}

#[test]
fn murmur_hashes() {
    for case in 0..4 {
        let at = |field: &str| format!("/murmur3_x64_128_seed0/{case}/{field}");
        let expected = (word(&at("h1")), word(&at("h2")));
        assert_eq!(murmur3_x64_128(&bytes(&at("input"))), expected);
    }
}

#[test]
fn announcements_with_any_flipped_bit_are_invalid() {
    let wire = bytes("/frames/announce_B_child_of_A");
    for at in 3..wire.len() {
        let mut flipped = wire.clone();
        flipped[at] ^= 1;
        if let Ok(announce) = Announce::parse(&flipped[3..]) {
            assert!(!announce.is_valid(), "byte {at}");
        }
    }
}

#[test]
fn bloom_filters() {
    for name in ["A", "B", "C", "Z", "R"] {
        let at = |field: &str| format!("/identities/{name}/bloom/{field}");
        let transformed = key(name).transform();
        let longer = [&transformed.as_bytes()[..], &[1]].concat();
        let (h0, h1) = murmur3_x64_128(transformed.as_bytes());
        let (h2, h3) = murmur3_x64_128(&longer);
        for (index, hash) in [h0, h1, h2, h3].into_iter().enumerate() {
            assert_eq!(hash, word(&at(&format!("h/{index}"))));
        }
        let positions = BloomPositions::of(&transformed);
        for (index, position) in positions.0.into_iter().enumerate() {
            assert_eq!(u64::from(position), number(&at(&format!("positions/{index}"))));
        }
        let filter = filter_of(&[name]);
        let wire = filter.emit();
        assert_eq!(body(&wire).1, bytes(&at("filter_body")));
        assert!(filter.contains(&positions));
        assert_eq!(BloomFilter::parse(body(&wire).1), Ok(filter));
    }
    assert_eq!(filter_of(&[]).emit(), bytes("/frames/bloom_empty"));
    assert_eq!(filter_of(&["A"]).emit(), bytes("/frames/bloom_A"));
    let with_word = bytes("/frames/bloom_A_and_word3_all_ones");
    let parsed = BloomFilter::parse(body(&with_word).1).unwrap();
    assert_eq!((parsed.count_ones(), parsed.emit()), (72, with_word));
    assert_eq!(body(&filter_of(&["A", "B", "C"]).emit()).1, bytes("/bloom/A_B_C_body"));
}

fn filter_of(names: &[&str]) -> BloomFilter {
    let mut filter = BloomFilter::default();
    for name in names {
        filter.insert(&BloomPositions::of(&key(name).transform()));
    }
    filter
}

#[test]
fn lookup_messages() {
    let (b, c) = (identity("B"), identity("C"));
    let lookup = PathLookup {
        source: b.key(),
        dest: c.key().address().partial_key().as_key(),
        from: Coords::from(vec![1]),
    };
    assert_eq!(lookup.emit(), bytes("/frames/path_lookup"));
    assert_eq!(PathLookup::parse(body(&lookup.emit()).1), Ok(lookup));

    let coords = Coords::from(vec![1, 300]);
    let notify = PathNotify {
        path: Coords::from(vec![1]),
        watermark: WATERMARK_START,
        source: c.key(),
        dest: b.key(),
        seq: 1_700_000_000,
        sig: PathNotify::sign(&c, 1_700_000_000, &coords),
        coords,
    };
    assert_eq!(notify.emit(), bytes("/frames/path_notify"));
    assert!(notify.is_authentic());
    assert_eq!(c.sign(&bytes("/frames/path_notify_signature_input")), notify.sig);
    assert_eq!(PathNotify::parse(body(&notify.emit()).1), Ok(notify));

    let broken = PathBroken {
        path: Coords::from(vec![1]),
        watermark: WATERMARK_START,
        source: b.key(),
        dest: c.key(),
    };
    assert_eq!(broken.emit(), bytes("/frames/path_broken"));
    assert_eq!(PathBroken::parse(body(&broken.emit()).1), Ok(broken));
}

#[test]
fn traffic() {
    let header = TrafficHeader {
        path: &Coords::from(vec![1, 300]),
        from: &Coords::from(vec![1]),
        source: &key("B"),
        dest: &key("C"),
        watermark: WATERMARK_START,
    };
    let mut frame = Vec::new();
    header.emit(5, &mut frame);
    frame.extend_from_slice(b"hello");
    assert_eq!(frame, bytes("/frames/traffic"));
}

#[test]
fn session_keys() {
    for byte in [0x11, 0x22, 0x33, 0x44, 0x46, 0x55, 0x62, 0x63, 0x64, 0x65, 0x66] {
        let public = array(&format!("/sessions/x25519_public_keys_by_private_byte/{byte:02x}"));
        assert_eq!(*pair(byte).public().as_bytes(), public);
    }
    let shared = pair(0x33).shared(&ExchangeKey::of_node(&key("B")).unwrap());
    assert_eq!(*shared.as_bytes(), array("/sessions/init_shared"));
    let later = [("4", 0x63, 0x22), ("5", 0x22, 0x64), ("6", 0x64, 0x44)];
    for (step, theirs, ours) in later {
        let shared = pair(ours).shared(&pair(theirs).public());
        assert_eq!(*shared.as_bytes(), array(&format!("/sessions/{step}_shared")));
    }
}

/// Chapter 7.3: what is inside the box of an Init, and what its signature covers.
#[test]
fn signatures_of_handshakes() {
    let (a, b) = (identity("A"), identity("B"));
    let shared = pair(0x33).shared(&ExchangeKey::of_node(&b.key()).unwrap());
    let input = bytes("/sessions/init_signature_input");
    let secret = bytes("/sessions/group_secret_for_password_secret");
    let signature = bytes("/sessions/init_signature");
    assert_eq!(a.sign(&input).as_bytes()[..], signature);

    let inner = |name| box_open(&shared, &bytes(name)[33..]).unwrap();
    let plain = inner("/sessions/1_init_A_to_B");
    // The ephemeral key stands outside of the box.
    assert_eq!(plain, [&signature[..], &input[32..]].concat());
    let grouped = inner("/sessions/1_init_A_to_B_with_group_password_secret");
    let expected = Signature::from_bytes(*grouped.first_chunk().unwrap());
    assert_eq!(a.sign(&[secret, input].concat()), expected);
}

/// The worked example of chapter 7.7, both ends, byte for byte.
#[test]
fn session_handshake_and_ratchet() {
    let clock = number("/sessions/clock");
    let (a, b) = (identity("A"), identity("B"));
    let now = Instant::from_micros(1);
    let vector = |name: &str| bytes(&format!("/sessions/{name}"));
    let init = Handshake {
        current: pair(0x11).public(),
        next: pair(0x22).public(),
        key_seq: 0,
        seq: clock,
    };
    let compose_from = |from: &Identity, to: &Identity, kind, said: &Handshake, eph, group| {
        compose(kind, said, from, group, &to.key(), &pair(eph)).unwrap()
    };
    let wire = compose_from(&a, &b, HandshakeKind::Init, &init, 0x33, None);
    assert_eq!(wire, vector("1_init_A_to_B"));
    let group = GroupSecret::from_password(b"secret");
    let grouped = compose_from(&a, &b, HandshakeKind::Init, &init, 0x33, Some(&group));
    assert_eq!(grouped, vector("1_init_A_to_B_with_group_password_secret"));
    assert_eq!(open_handshake(&wire, &b, None, &a.key()), Some((HandshakeKind::Init, init)));

    let (mut b_open, mut b_seal) = Opener::new(&init, pair(0x61), pair(0x62), pair(0x63));
    b_seal.install(b_open.update(&init, pair(0x64)));
    b_open.refill(pair(0x66));
    let ack = b_open.offer(clock);
    let wire = compose_from(&b, &a, HandshakeKind::Ack, &ack, 0x65, None);
    assert_eq!(wire, vector("2_ack_B_to_A"));

    // A's first local pair is never used to receive.
    let (mut a_open, mut a_seal) = Opener::new(&ack, pair(0x10), pair(0x11), pair(0x22));
    a_seal.install(a_open.update(&ack, pair(0x44)));
    a_open.refill(pair(0x46));
    let wire = compose_from(&a, &b, HandshakeKind::Ack, &a_open.offer(clock), 0x55, None);
    assert_eq!(wire, vector("3_ack_A_to_B"));

    let seal = |sealer: &mut crate::session::Sealer, data: &[u8]| {
        let mut buffer = vec![0; SEAL_OVERHEAD_MAX];
        buffer.extend_from_slice(data);
        let expected = sealer.sealed_len(data.len());
        let start = sealer.seal(&mut buffer, SEAL_OVERHEAD_MAX).unwrap();
        assert_eq!(buffer.len() - start, expected);
        buffer.split_off(start)
    };
    let mut wire = seal(&mut a_seal, b"\x01ping");
    assert_eq!(wire, vector("4_traffic_A_to_B"));
    let opened = b_open.open(&mut wire, now).unwrap();
    assert_eq!(wire[opened.data..], *b"\x01ping");
    b_seal.install(opened.rekey.expect("B follows A"));

    let mut wire = seal(&mut b_seal, b"\x01pong");
    assert_eq!(wire, vector("5_traffic_B_to_A"));
    let opened = a_open.open(&mut wire, now).unwrap();
    assert_eq!(wire[opened.data..], *b"\x01pong");
    a_seal.install(opened.rekey.expect("A follows B"));

    let wire = seal(&mut a_seal, b"\x01ping2");
    assert_eq!(wire, vector("6_traffic_A_to_B"));
    let opened = b_open.open(&mut wire.clone(), now).unwrap();
    assert!(opened.rekey.is_none(), "steps are more than a minute apart");
    assert_eq!(b_open.open(&mut wire.clone(), now).unwrap_err(), OpenError::Replay);
    let mut forged = seal(&mut a_seal, b"\x01more");
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(b_open.open(&mut forged, now).unwrap_err(), OpenError::Forged);
}

#[test]
fn packet_too_big() {
    let (a, b) = (key("A").address(), key("B").address());
    let mut packet = vec![0; 1400];
    packet[0] = 0x60;
    packet[4..6].copy_from_slice(&1360_u16.to_be_bytes());
    packet[6..8].copy_from_slice(&[59, 64]);
    packet[8..24].copy_from_slice(b.as_bytes());
    packet[24..40].copy_from_slice(a.as_bytes());
    let reply = ipv6::packet_too_big(&packet, &a, 1280).unwrap();
    assert_eq!(reply.len(), 560);
    let expected = unhex(
        "6000000002083aff02062f7c200618f7a0f14791738c5a1f0202b29a28f5f219a87a6e8f2b596597\
         0200258400000500\
         6000000005503b400202b29a28f5f219a87a6e8f2b59659702062f7c200618f7a0f14791738c5a1f\
         000000000000000000000000",
    );
    assert_eq!(reply[..100], expected);
    assert_eq!(ipv6::packet_too_big(&packet, &b, 1280), None);
}

/// Runs all tests of this file once more, in one thread.
#[test]
fn every_vector_is_read_by_a_test() {
    keys_addresses_and_partial_keys();
    exchange_keys_of_nodes();
    greetings();
    beacons();
    tree_messages();
    murmur_hashes();
    bloom_filters();
    lookup_messages();
    traffic();
    session_keys();
    signatures_of_handshakes();
    session_handshake_and_ratchet();
    let mut unread = BTreeSet::new();
    leaves(&VECTORS, "", &mut unread);
    READ.with_borrow(|read| unread.retain(|path| !read.contains(path)));
    assert_eq!(unread, BTreeSet::from(["/note".to_owned()]), "the note is not a vector");
}

/// Collects the pointers to everything below `value` that is neither an object nor an array.
fn leaves(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                leaves(field, &format!("{path}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &format!("{path}/{index}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            found.insert(path.to_owned());
        }
    }
}
