//! Writes the seeds of every corpus: `cargo run --example seed`.
//!
//! Files that fuzzing added stay as they are. Seeds are the vectors of the protocol, truncations
//! and extremes of them, and short programs for the targets that take their input as one.

use std::{fs, io, path::Path, sync::LazyLock};

use planetary_proto::{
    Identity,
    link::meta::{Capabilities, Meta},
    upper::ipv6::{Echo, packet_too_big},
};
use planetary_runtime::offload::{Offload, finish};
use serde_json::Value;

static VECTORS: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../proto/tests/test-vectors.json"))
        .expect("vectors are JSON")
});

fn vector(path: &str) -> Vec<u8> {
    let text = VECTORS.pointer(path).and_then(Value::as_str).expect("there is such a vector");
    let digit = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("vectors are hexadecimal");
    (0..text.len()).step_by(2).map(digit).collect()
}

fn seed(target: &str, name: &str, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}

/// `bytes` as blocks, each after `choice` and its length.
fn blocks(choice: &[u8], bytes: &[u8]) -> Vec<u8> {
    let block = |part: &[u8]| [choice, &[part.len() as u8], part].concat();
    bytes.chunks(255).flat_map(block).collect()
}

fn main() -> io::Result<()> {
    frames()?;
    beacons()?;
    meta()?;
    traffic()?;
    sessions()?;
    packets()?;
    node_info()?;
    offload()?;
    names()?;
    socks()?;
    stack()?;
    control()?;
    uris()?;
    http_heads()?;
    public_lists()?;
    friend_links()?;
    circles()?;
    circle_messages()?;
    invites()?;
    join_links()?;
    filter()?;
    extensions()?;
    fast_sessions()?;
    configs()?;
    keys()?;
    backups()?;
    foreign()
}

fn frames() -> io::Result<()> {
    let names = [
        "sigreq",
        "announce_B_child_of_A",
        "announce_A_root",
        "bloom_A_and_word3_all_ones",
        "path_lookup",
        "path_notify",
        "path_broken",
        "traffic",
        "keepalive",
    ];
    let mut all = Vec::new();
    for name in names {
        let frame = vector(&format!("/frames/{name}"));
        all.extend(blocks(&[0], &frame));
        seed("frames", name, blocks(&[0], &frame))?;
    }
    seed("frames", "every_vector", &all)?;
    let lookup = vector("/frames/path_lookup");
    seed("frames", "cut_short", blocks(&[0], &lookup[..lookup.len() - 1]))?;
    seed("frames", "oversized", blocks(&[0], &[0xff, 0xff, 0x7f, 9]))?;
    seed("frames", "empty_frame", blocks(&[0], &[0]))?;
    seed("frames", "endless_number", blocks(&[0], &[0x80; 12]))?;
    // Choices of the target: 4 signs A's edge, 6 announces, 9 sends a filter, 3 waits, 10 to 13
    // look up, answer, complain and send traffic, 14 disturbs links, 15 uses the network.
    let parent = [4, 1, 3, 50, 9, 2, 3, 4, 10, 3, 0, 0, 3, 30];
    seed("frames", "parent", parent)?;
    // Z is the root, B below it, and another node below B.
    let tree = [6, 3, 3, 0xc1, 1, 0, 6, 1, 3, 0xc1, 1, 2, 6, 4, 1, 0xc1, 1, 5];
    seed("frames", "tree", tree)?;
    seed("frames", "loop", [6, 3, 4, 0xc1, 1, 1, 6, 4, 3, 0xc1, 1, 1, 6, 1, 3, 0xc2, 1, 1, 3, 90])?;
    seed("frames", "newest", [6, 1, 1, 0xff, 0xff, 0, 6, 3, 1, 0xff, 0, 0xff, 3, 40])?;
    // A is a child of B and seeks Z, which answers.
    let answer = [11, 3, 0, 0xc5, 2, 1, 2, 1, 1, 0xff];
    let seek = [15, 3, 0, 0, 0, 3, 20];
    seed("frames", "found", [&tree[..], &parent, &seek, &answer, &[3, 60]].concat())?;
    seed("frames", "through", [10, 3, 2, 1, 1, 13, 1, 1, 0, 1, 2, 0xff, 3, 1, 2, 3, 3, 20])?;
    seed("frames", "flapping", [14, 0, 2, 9, 14, 1, 3, 7, 3, 9, 14, 0, 0, 3, 50, 14, 0, 1, 3, 255])
}

fn beacons() -> io::Result<()> {
    let plain = vector("/beacons/A_port_12345_no_password");
    let secret = vector("/beacons/A_port_12345_password_secret");
    seed("beacon", "plain", [&[0], &plain[..]].concat())?;
    seed("beacon", "secret", [&[1], &secret[..]].concat())?;
    seed("beacon", "wrong_password", [&[1], &plain[..]].concat())?;
    seed("beacon", "longer", [&[0], &plain[..], b"more"].concat())?;
    seed("beacon", "cut_short", [&[0], &plain[..103]].concat())?;
    seed("beacon", "head_alone", [&[0], &plain[..40]].concat())
}

fn meta() -> io::Result<()> {
    let plain = vector("/meta/A_no_password_priority_0");
    let secret = vector("/meta/A_password_secret_priority_1");
    seed("meta", "plain", [&[0], &plain[..]].concat())?;
    seed("meta", "secret", [&[1], &secret[..]].concat())?;
    seed("meta", "wrong_password", [&[1], &plain[..]].concat())?;
    seed("meta", "cut_short", [&[0], &plain[..100]].concat())?;
    let capabilities = Capabilities::DATAGRAMS;
    let long = Meta::emit(&Identity::from_seed(&[7; 32]), 255, capabilities, &[0x5a; 64]);
    let long = long.expect("64 bytes");
    seed("meta", "longest_password", [&[2], &long[..]].concat())?;
    seed("meta", "nothing_but_a_signature", [&b"\0meta\0\x40"[..], &[0; 64]].concat())?;
    let unknown = [&b"\0meta\0\x48\xff\xff\0\x04abcd"[..], &[0; 64]].concat();
    seed("meta", "unknown_field", unknown)?;
    seed("meta", "other_protocol", b"\0GET / HTTP/1.1\r\n\r\n")
}

fn traffic() -> io::Result<()> {
    let frame = vector("/frames/traffic");
    let body = &frame[2..];
    // Two hops, the second without coordinates; own coordinates 1.
    let table = [2, 0, 2, 1, 2, 10, 0, 1, 20, 1, 1, 1, 1];
    seed("traffic", "no_table", [&[0, 0, 5], body].concat())?;
    seed("traffic", "table", [&table[..], body].concat())?;
    seed("traffic", "cut_short", [&[0, 0, 5], &body[..60]].concat())?;
    // Numbers in forms longer than they need to be, and the largest watermark.
    let long = [&[0, 0, 0xff, 0x81, 0x80, 0, 0x80, 0, 0x80, 0][..], &[9; 64], &[0xff; 9], &[1]];
    seed("traffic", "long_forms", long.concat())?;
    let deep = [&[0, 0, 1][..], &[3; 100], &[0, 0], &[9; 64], &[200, 1], b"payload"];
    seed("traffic", "deep", deep.concat())
}

fn sessions() -> io::Result<()> {
    // Choices of the target: 0 sends, 3 delivers, 7 waits, 8 loses, 9 repeats, 10 swaps, 11
    // damages, 12 forges, 13 restarts or asks.
    let talk = [0, 0, 3, 3, 3, 0, 1, 3, 0, 0, 3];
    seed("session", "talk", talk.repeat(3))?;
    seed("session", "crossing", [0, 0, 0, 1, 3, 3, 3, 3, 0, 0, 0, 1, 3, 3])?;
    seed("session", "lost", [0, 0, 8, 0, 7, 40, 0, 1, 8, 0, 7, 60, 3, 3, 3, 3])?;
    seed("session", "repeated", [&talk[..], &[0, 0, 9, 0, 9, 0, 3, 3, 3, 3]].concat())?;
    seed("session", "swapped", [&talk[..], &[0, 0, 0, 0, 0, 0, 10, 0, 2, 3, 3, 3]].concat())?;
    seed("session", "damaged", [&talk[..], &[0, 0, 11, 0, 0, 9, 3, 3, 3, 3, 3, 3]].concat())?;
    seed("session", "restarted", [&talk[..], &[13, 0, 0, 0, 3, 3, 0, 1, 3, 3, 3]].concat())?;
    seed("session", "ratchet", [&talk[..], &[7, 250], &talk, &[7, 250], &talk].concat())?;
    seed("session", "idle", [&talk[..], &[7, 255, 7, 255], &talk].concat())?;
    seed("session", "asked", [&talk[..], &[13, 1, 0, 3, 3, 13, 1, 3, 3, 3]].concat())?;
    let init = blocks(&[12, 1], &vector("/sessions/1_init_A_to_B"));
    let traffic = blocks(&[12, 1], &vector("/sessions/4_traffic_A_to_B"));
    seed("session", "forged", [&init[..], &traffic, &[3, 3, 3, 3], &talk].concat())
}

fn packets() -> io::Result<()> {
    let key = |name| {
        let seed = vector(&format!("/identities/{name}/seed"));
        Identity::from_seed(&seed.try_into().expect("a seed has 32 bytes")).key()
    };
    let (own, far) = (key("A").address(), key("B").address());
    let echo = Echo { request: true, identifier: 7, sequence: 1 };
    let request = echo.emit(far.as_bytes(), own.as_bytes(), b"payload");
    seed("packets", "echo_request", &request)?;
    seed("packets", "echo_reply", Echo::reply_to(&request).expect("a request has a reply"))?;
    seed("packets", "header_only", &request[..40])?;
    seed("packets", "cut_short", &request[..39])?;
    seed("packets", "version_4", [0x45; 60])?;
    let too_big = packet_too_big(&request, &own, 1280).expect("the packet was for A");
    seed("packets", "too_big", too_big)?;
    let large = echo.emit(far.as_bytes(), own.as_bytes(), &[1; 600]);
    seed("packets", "longer_than_a_quote", large)
}

fn node_info() -> io::Result<()> {
    // Whom, a question that comes first, and a message.
    let peers = [&[0xff, 4][..], &[0x29; 70]].concat();
    let messages: [(&str, u8, &[u8]); 7] = [
        ("node_info_answer", 0, b"\x02{\"name\":\"far\"}"),
        ("self_answer", 1, b"\xff\x02{\"key\":\"03a1\"}"),
        ("peers_answer", 2, &peers),
        ("tree_answer", 3, b"\xff\x06"),
        ("request", 8, &[1]),
        ("tree_request", 8, &[0xff, 5]),
        ("unknown", 8, &[0xff, 9, 9]),
    ];
    let mut all = Vec::new();
    for (name, choice, message) in messages {
        let bytes = blocks(&[1, choice], message);
        all.extend_from_slice(&bytes);
        seed("node_info", name, bytes)?;
    }
    seed("node_info", "twice", blocks(&[1, 8], &[1]).repeat(12))?;
    seed("node_info", "unanswered", [2, 0, 0, 1, 4, 255, 0, 3, 2, 0])?;
    seed("node_info", "all", all)
}

fn control() -> io::Result<()> {
    let framed = |body: &str| [&(body.len() as u32).to_be_bytes()[..], body.as_bytes()].concat();
    let hello = r#"{"hello":{"version":1,"lowest":1,"build":"fuzz"}}"#;
    let ping = concat!(
        r#"{"id":7,"request":{"type":"ping","target":"203:a107:bff3::1","#,
        r#""count":3,"timeout_ms":30000}}"#
    );
    let add = r#"{"id":8,"request":{"type":"peer_add","uri":"tls://host:1","interface":null}}"#;
    seed("control_frames", "client", [hello, ping, add].map(framed).concat())?;
    seed("control_frames", "hello", hello)?;
    seed("control_frames", "ping", ping)?;
    seed("control_frames", "peer_add", add)?;
    seed("control_frames", "status", r#"{"id":0,"request":{"type":"status"}}"#)?;
    let error = r#"{"id":null,"error":{"code":"busy","message":"a","hint":null}}"#;
    seed("control_frames", "error", error)?;
    let update = r#"{"seq":18446744073709551615,"event":{"type":"resync"}}"#;
    seed("control_frames", "update", update)?;
    seed("control_frames", "done", r#"{"id":7,"ok":{"type":"done"}}"#)?;
    seed("control_frames", "empty_frame", [0; 4])?;
    seed("control_frames", "huge_length", [0xff; 8])?;
    seed("control_frames", "cut_short", &framed(hello)[..20])?;
    seed("control_frames", "nested", framed(&"[".repeat(200)))
}

/// Messages of SOCKS5, one behind the other and each alone.
fn socks() -> io::Result<()> {
    let name = b"\x05\x01\x00\x03\x10ada.pln.internal\x00\x50";
    seed("socks", "greeting", [5, 2, 0, 2])?;
    seed("socks", "without_a_method", [5, 1, 2])?;
    seed("socks", "by_name", name)?;
    seed("socks", "by_address", [&[5, 1, 0, 4, 2][..], &[0; 15], &[0, 80]].concat())?;
    seed("socks", "version_4", [5, 1, 0, 1, 192, 0, 2, 1, 0, 80])?;
    seed("socks", "datagrams", [5, 3, 0, 1, 0, 0, 0, 0, 0, 0])?;
    seed("socks", "bind", [5, 2, 0, 1, 0, 0, 0, 0, 0, 0])?;
    seed("socks", "datagram", [b"\0\0\0", &name[3..], b"data"].concat())
}

/// Scripts for the stack: a connection that opens, speaks and ends, or does not.
fn stack() -> io::Result<()> {
    let segment =
        |flags: u8, data: &[u8]| [&[2, flags, 8, 8, 255, 0, data.len() as u8][..], data].concat();
    let (syn, ack, data) = (segment(2, b""), segment(16, b""), segment(24, b"data"));
    let (fin, reset) = (segment(17, b""), segment(4, b""));
    seed("stack", "talk", [&syn[..], &ack, &data, &data, &fin, &ack].concat())?;
    seed("stack", "reset", [&syn[..], &ack, &data, &reset, &data].concat())?;
    seed("stack", "asked_twice", [&syn[..], &syn, &ack, &syn].concat())?;
    seed("stack", "datagrams", [1, 0, 4, 1, 2, 3, 4, 1, 1, 0])?;
    seed("stack", "anything", [&[0, 40, 0x60][..], &[0; 39]].concat())
}

/// Questions for names: what is asked, and what only looks like a question.
fn names() -> io::Result<()> {
    let question = |name: &str, kind: u8| {
        let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            bytes.push(label.len() as u8);
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes.extend_from_slice(&[0, 0, kind, 0, 1]);
        bytes
    };
    let with = |at: usize, byte: u8| {
        let mut bytes = question("ada.pln.internal", 28);
        bytes[at] = byte;
        bytes
    };
    seed("names", "friend", question("ada.pln.internal", 28))?;
    seed("names", "service", question("wEb.AdA.pln.InTeRnAl", 28))?;
    seed("names", "version_4", question("ada.pln.internal", 1))?;
    seed("names", "unknown", question("bob.pln.internal", 28))?;
    seed("names", "zone", question("pln.internal", 6))?;
    seed("names", "outside", question("example.org", 28))?;
    let key = format!("{}.k.pln.internal", "a".repeat(52));
    seed("names", "key", question(&key, 28))?;
    let digits = planetary_circles::names::REVERSE_SUFFIXES[0];
    seed("names", "address", question(&format!("{}{digits}", "0.".repeat(30)), 12))?;
    let mut edns = with(11, 1);
    edns.extend_from_slice(&[0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 5, 0, 10, 0, 1, 7]);
    seed("names", "edns", &edns)?;
    edns[11] = 2;
    edns.extend_from_slice(&[0, 0, 41, 4, 0xd0, 0, 1, 0, 0, 0, 0]);
    seed("names", "edns_twice", edns)?;
    seed("names", "pointer_to_itself", with(12, 0xc0))?;
    seed("names", "two_questions", with(5, 2))?;
    seed("names", "many_records", with(10, 0xff))?;
    seed("names", "an_answer", with(2, 0x81))?;
    seed("names", "cut_short", &question("ada.pln.internal", 28)[..20])
}

/// Kinds with bodies, and what `docs/circles.md` has as whole operations.
fn circles() -> io::Result<()> {
    let document = include_str!("../../docs/circles.md");
    let vectors = document.split("```vector ").skip(1).filter_map(|block| {
        let (name, rest) = block.split_once('\n')?;
        Some((name, rest.split_once("```")?.0))
    });
    for (name, text) in vectors {
        let digits: String = text.split_whitespace().collect();
        let digit = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal");
        let bytes: Vec<u8> = (0..digits.len()).step_by(2).map(digit).collect();
        seed("circle_op", name, &bytes)?;
        // The kind and the body, without length and signature.
        seed(
            "circle_op",
            &format!("{name}_body"),
            [&bytes[105..106], &bytes[108..bytes.len() - 64]].concat(),
        )?;
    }
    seed("circle_op", "meta", b"\x06\xa2\x00\x64Home\x01\x82\x66tcp/22\x67udp/1-9")?;
    seed("circle_op", "meta_empty", b"\x06\xa0")?;
    seed("circle_op", "key", [&b"\x05\xa2\x00\x01\x01\x58\x20"[..], &[3; 32]].concat())?;
    let invite = [&b"\x04\xa4\x00\x58\x20"[..], &[1; 32], b"\x01\x09\x02\x01\x03\x00"].concat();
    seed("circle_op", "invite", invite)?;
    let removal = [&b"\x03\xa3\x00\x58\x20"[..], &[1; 32], b"\x01\x03\x02\x65moved"].concat();
    seed("circle_op", "removal", removal)?;
    seed(
        "circle_op",
        "checkpoint",
        b"\x07\xa3\x00\x00\x01\x01\x02\x4d\x86\x80\x80\x82\x61x\xf6\x82\x80\xf6\xf6\x80",
    )
}

fn circle_messages() -> io::Result<()> {
    let mut seeds = planetary_fuzz::circle_message_seeds().into_iter();
    seeds.try_for_each(|(name, bytes)| seed("circle_message", name, bytes))?;
    seed(
        "circle_message",
        "endless_list",
        b"\x27\x00\x0b\xa1\x00\x9b\x7f\xff\xff\xff\xff\xff\xff\xff",
    )
}

fn invites() -> io::Result<()> {
    let base32 = "aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4a";
    let token = "aaaqeayeaudaocajbifqydiob4";
    let with = |token: &str, rest: &str| {
        format!("planetary:join?c={base32}&k={base32}&t={token}&e=1700000000&n=Family{rest}")
    };
    seed("invite", "plain", with(token, ""))?;
    seed("invite", "peers", with(token, "&p=tls://a.example:1&p=tcp://[2001:db8::1]:2"))?;
    seed("invite", "token_short", with(&token[1..], ""))?;
    seed("invite", "token_twice", with(token, &format!("&t={token}")))?;
    seed("invite", "unknown", with(token, "&x=1"))?;
    seed("invite", "no_token", format!("c={base32}&k={base32}&e=1&n=x"))?;
    seed("invite", "time", with(token, "").replace("1700000000", "999999999999999"))?;
    seed("invite", "invisible", with(token, "%E2%80%AE"))?;
    seed("invite", "other_link", format!("planetary:friend?k={base32}"))
}

fn offload() -> io::Result<()> {
    let packet = |next: u8, transport: &[u8], payload: usize| {
        let len = (transport.len() + payload) as u16;
        let head = [&[0x60, 0, 0, 0][..], &len.to_be_bytes(), &[next, 64], &[2; 32]].concat();
        let payload: Vec<u8> = (0..payload).map(|at| at as u8).collect();
        [&head[..], transport, &payload].concat()
    };
    // With the sum of the pseudo-header as a system leaves it.
    let tcp = |flags: u8| {
        let header =
            [0, 1, 0, 2, 0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 1, 0x50, flags, 1, 0, 0, 0, 0, 0];
        let mut packet = packet(6, &header, 300);
        let sum = 16 * 0x0202 + (packet.len() - 40) as u16 + 6;
        packet[56..58].copy_from_slice(&sum.to_be_bytes());
        packet
    };
    let udp = {
        let mut packet = packet(17, &[0, 1, 0, 2, 1, 52, 0, 0], 300);
        let sum = 16 * 0x0202 + (packet.len() - 40) as u16 + 17;
        packet[46..48].copy_from_slice(&sum.to_be_bytes());
        packet
    };
    let finished = |mut packet: Vec<u8>| {
        finish(&mut packet, Offload::Checksum).expect("it is such a packet");
        packet
    };

    // What is left to do, and where the system says that the checksum is.
    seed("offload_finish", "tcp", [&[1, 0, 0, 40, 16], &tcp(0x10)[..]].concat())?;
    seed("offload_finish", "udp", [&[1, 0, 0, 40, 6], &udp[..]].concat())?;
    seed("offload_finish", "to_be_cut", [&[3, 0, 100, 40, 16], &tcp(0x18)[..]].concat())?;
    seed("offload_finish", "nothing", [&[0, 0, 0, 0, 0], &finished(tcp(0x10))[..]].concat())?;
    seed("offload_finish", "outside", [&[1, 0, 0, 255, 255], &tcp(0x10)[..100]].concat())?;
    let options =
        [&[60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0][..], &tcp(0x10)[40..]].concat();
    seed("offload_finish", "options", [&[1, 0, 0, 56, 16], &packet(0, &options, 0)[..]].concat())?;

    // What is left to do, the longest packet, whether checksums stay partial.
    seed("offload_cut", "tcp", [&[3, 0, 100, 255, 255, 0], &tcp(0x99)[..]].concat())?;
    seed("offload_cut", "tcp_partial", [&[3, 0, 100, 255, 255, 1], &tcp(0x18)[..]].concat())?;
    seed("offload_cut", "tcp_smaller", [&[3, 0, 200, 0, 120, 0], &tcp(0x18)[..]].concat())?;
    seed("offload_cut", "tcp_unasked", [&[0, 0, 0, 0, 150, 0], &finished(tcp(0x18))[..]].concat())?;
    seed("offload_cut", "tcp_damaged", [&[0, 0, 0, 0, 150, 0], &tcp(0x18)[..]].concat())?;
    seed("offload_cut", "syn", [&[3, 0, 100, 255, 255, 0], &tcp(0x02)[..]].concat())?;
    seed("offload_cut", "udp", [&[5, 0, 64, 255, 255, 0], &udp[..]].concat())?;
    seed("offload_cut", "udp_smaller", [&[5, 0, 64, 0, 100, 0], &udp[..]].concat())?;
    seed("offload_cut", "many", [&[5, 0, 1, 255, 255, 0], &udp[..]].concat())?;
    seed("offload_cut", "whole", [&[1, 0, 0, 255, 255, 0], &udp[..]].concat())?;

    // Programs: flow, payload, oddity (1 a gap, 2 flags, 3 a window, 4 hops; 0x10 a partial
    // checksum, 0xe0 damage), bytes between packets. Flows 0, 3, 6 and 9 are UDP.
    let next = |flow: u8, len: u8| [2, flow, len, 0, 0];
    seed("offload_join", "tcp", next(1, 100).repeat(20))?;
    seed("offload_join", "udp", next(3, 100).repeat(20))?;
    seed("offload_join", "partial", [2, 1, 100, 0x10, 1].repeat(20))?;
    seed("offload_join", "flows", [next(1, 60), next(2, 70), next(3, 80)].concat().repeat(10))?;
    let two = next(1, 100).repeat(2);
    seed("offload_join", "gap", [&two[..], &[2, 1, 100, 1, 50, 0], &next(1, 100)].concat())?;
    let damaged = [2, 1, 100, 0xe0, 0];
    let behind = [2, 1, 100, 1, 156, 0];
    seed("offload_join", "damaged", [&two[..], &damaged, &behind, &next(1, 100)].concat())?;
    let pushed = [2, 1, 100, 2, 0x18, 0];
    seed("offload_join", "pushed", [&two[..], &pushed, &next(1, 100)].concat())?;
    let raw = tcp(0x10);
    seed("offload_join", "raw", [&[0, 1, 0, 0, 200][..], &raw[..200], &[0]].concat().repeat(2))
}

fn filter() -> io::Result<()> {
    // Choices of the target: 0 waits, 1 and 2 take bytes as they are, 3 and 4 put addresses before
    // them (with whom, a next header, a block), 5 turns the last packet around, 6 quotes it in an
    // error, 7 sets rules, 8 answers a question (about whom, port, protocol, no or yes). In is 1
    // and 3, out 2 and 4.
    let with = |choice: u8, peer: u8, next: u8, payload: &[u8]| {
        [&[choice, peer, next, payload.len() as u8][..], payload].concat()
    };
    let tcp = |flags| {
        let ports = [0, 22, 0, 22];
        [&ports[..], &[0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0, 0, 0, 0, 0, 0, b'd']].concat()
    };
    let udp = [0, 53, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    let echo = [128, 0, 0, 0, 0, 7, 0, 1];
    let turned = [5, 0];
    let rules = |which: u8| [7, which];
    seed("filter", "refused", with(3, 0, 6, &tcp(2)))?;
    seed("filter", "tcp_out", [&with(4, 2, 6, &tcp(2))[..], &turned, &[0, 9], &turned].concat())?;
    let connection = [2, 0x12, 0x10, 0x10, 0x11, 0x11, 0x10, 4, 2].map(tcp);
    let ways = [3, 4, 3, 4, 3, 4, 3, 4, 3].iter().zip(&connection);
    let connection: Vec<u8> = ways.flat_map(|(way, tcp)| with(*way, 0, 6, tcp)).collect();
    seed("filter", "tcp_in", [&rules(1)[..], &connection].concat())?;
    let ended = [&rules(1)[..], &connection[..50], &rules(0), &connection[25..]].concat();
    seed("filter", "rules_change", ended)?;
    let quoted = [&with(4, 2, 17, &udp)[..], &[6, 0], &turned, &[6, 2]].concat();
    seed("filter", "udp_and_error", quoted)?;
    seed("filter", "echo", [&rules(1)[..], &with(3, 0, 58, &echo).repeat(14), &turned].concat())?;
    seed("filter", "own_echo", [&with(4, 1, 58, &echo)[..], &turned, &[0, 255], &turned].concat())?;
    let fragment = |offset: u8, more: u8, payload: &[u8]| {
        let header = [17, 0, 0, offset | more, 0, 0, 0, 9];
        with(3, 0, 44, &[&header[..], payload].concat())
    };
    let fragments = [fragment(0, 1, &udp), fragment(16, 1, &udp), fragment(32, 0, &udp)].concat();
    seed("filter", "fragments", [&rules(1)[..], &fragments].concat())?;
    let overlap = [fragment(0, 1, &udp), fragment(8, 1, &udp), fragment(16, 0, &udp)].concat();
    seed("filter", "overlap", [&rules(1)[..], &overlap].concat())?;
    seed(
        "filter",
        "tiny",
        [&rules(1)[..], &with(3, 0, 44, &[6, 0, 0, 1, 0, 0, 0, 9, 0, 9, 0, 22, 0, 0, 0, 1])]
            .concat(),
    )?;
    let options = [&[60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0][..], &udp].concat();
    seed("filter", "options", [&rules(1)[..], &with(3, 0, 0, &options)].concat())?;
    let jumbo = [&[17, 0, 0xc2, 4, 0, 1, 0, 0][..], &udp].concat();
    seed("filter", "jumbo", [&rules(1)[..], &with(3, 0, 0, &jumbo)].concat())?;
    seed("filter", "routing", with(3, 0, 43, &[17, 0, 0, 0, 0, 0, 0, 0]))?;
    seed("filter", "blocked", [&with(4, 0, 17, &udp)[..], &rules(3), &turned, &turned].concat())?;
    let mut flood = rules(2).to_vec();
    for port in 0..40 {
        let syn = [&[9, port][..], &tcp(2)[2..]].concat();
        flood.extend(with(3, port % 3, 6, &syn));
    }
    seed("filter", "flood", flood)?;
    let (knock, settle) = (with(3, 0, 6, &tcp(2)), |answer: u8| [8, 0, 22, 0, answer]);
    // Once, a confirmation of it, and an end with the person.
    let confirmed = with(3, 0, 6, &tcp(0x10));
    let once = [&rules(4)[..], &knock, &settle(0), &knock, &confirmed, &rules(0), &confirmed];
    seed("filter", "knock", once.concat())?;
    let no = [&rules(4)[..], &knock, &settle(1), &knock, &[0, 15], &knock, &settle(0)].concat();
    seed("filter", "knock_refused", no)?;
    seed("filter", "raw", [&[1, 0, 41][..], &[0x60; 41], &[2, 1, 3], &[0x60; 3]].concat())
}

fn extensions() -> io::Result<()> {
    // Choices of the target, each with a key (1 behaves): 0 asks (kind, body), 1 waits, 2 sets what
    // the key is, 3 says bytes, 4 says a message (kind, which request, body), 5 answers (kind,
    // number, body), 6 lets the far end ask. Kinds: 2 have, 3 its answer, 4 join, 7 push.
    let said = |far: u8, kind: u8| [4, far, kind, 0, 2, 7, 7];
    seed("extension", "answered", [&[0, 1, 2, 3, 1, 2, 3][..], &[0, 1, 4, 0]].concat())?;
    seed("extension", "unanswered", [[0, 2, 2, 0], [0, 2, 4, 0]].concat())?;
    let forged = [&[0, 2, 2, 0][..], &[0, 3, 2, 0], &said(2, 3), &said(2, 3)].concat();
    seed("extension", "forged_answer", forged)?;
    seed("extension", "asked", [said(2, 2), said(2, 4), said(2, 7)].concat())?;
    let guest = [&[2, 2, 1][..], &said(2, 2), &said(2, 4), &said(2, 7), &said(2, 0)].concat();
    seed("extension", "guest", guest)?;
    let blocked = [&[2, 2, 4][..], &[0, 2, 2, 0], &said(2, 4), &said(2, 0)].concat();
    seed("extension", "blocked", blocked)?;
    seed("extension", "flood", said(2, 2).repeat(100))?;
    let unknown = [&[3, 2, 3, 9, 9, 9][..], &said(2, 10), &said(2, 11), &[3, 2, 0], &said(2, 1)];
    seed("extension", "unknown", unknown.concat())?;
    seed("extension", "far_asks", [6, 1, 2, 5, 5])
}

fn fast_sessions() -> io::Result<()> {
    // What both do fast, a seed and a generation; then changes of the offer and of the answer, each
    // a place and a difference.
    seed("fast_exchange", "honest", [1, 1, 5, 9, 0, 0, 0])?;
    seed("fast_exchange", "soft", [0, 1, 5, 255, 0, 0, 0])?;
    seed("fast_exchange", "suites_taken_out", [1, 1, 5, 9, 0, 1, 0, 3, 1, 0])?;
    seed("fast_exchange", "ciphertext_changed", [1, 1, 5, 9, 0, 0, 1, 2, 0, 1])?;
    seed("fast_exchange", "raw", [&[1, 1, 5, 9, 1][..], &[1; 1220]].concat())?;
    // 0 seals a block, 1 delivers a packet, 2 a damaged one, 3 what the input says.
    let seals = [0, 0, 2, 7, 7].repeat(5);
    let delivers = |order: [u8; 6]| order.map(|which| [1, which]).concat();
    let reordered = [&[1][..], &seals, &delivers([3, 1, 4, 0, 2, 2])].concat();
    seed("fast_packets", "reordered", reordered)?;
    let damaged = [&[0][..], &seals, &[2, 1, 0, 1], &[2, 1, 9, 1], &[2, 1, 25, 1], &[1, 1]];
    seed("fast_packets", "damaged", damaged.concat())?;
    let raw = [&[0][..], &[3, 0, 30, 0x50, 9, 0, 0, 0, 0, 0, 1], &[0; 22]].concat();
    seed("fast_packets", "raw", raw)?;
    // 0 waits, 1 lets both speak, 2 says what a key is, 3 offers (seed, generation, changes,
    // number), 4 says bytes, 5 says hello (capabilities, number).
    seed("fast_talk", "agreed", [1, 0, 0, 3, 10, 1, 0])?;
    let renewed = [&[1, 0][..], &[0, 0, 255].repeat(6), &[1, 0], &[0, 0, 20]].concat();
    seed("fast_talk", "renewed", renewed)?;
    seed("fast_talk", "flood", [&[1, 0][..], &[3, 3, 5, 9, 0, 1].repeat(50)].concat())?;
    seed("fast_talk", "strangers", [[3, 2, 5, 9, 0, 1], [3, 1, 5, 9, 0, 1]].concat())?;
    let hellos = [&[1, 0][..], &[5, 3, 6, 1], &[5, 3, 0, 2], &[5, 3, 2, 3], &[0, 0, 30]].concat();
    seed("fast_talk", "hellos", hellos)?;
    let guest = [&[1, 0][..], &[2, 3, 1], &[3, 3, 5, 9, 0, 1], &[2, 3, 0], &[1, 0]].concat();
    seed("fast_talk", "guest", guest)
}

fn uris() -> io::Result<()> {
    let key = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
    let pinned = format!("tls://peer.example:443?key={key}&sni=other.example&priority=255");
    seed("uri", "pinned", pinned)?;
    seed("uri", "password", "tcp://192.0.2.1:12345?password=a%20b%26c&maxbackoff=1h30m")?;
    seed("uri", "zone", "tls://[fe80::1%25eth0]:1?priority=1")?;
    seed("uri", "plain_zone", "tcp://[fe80::1%eth0]:65535")?;
    seed("uri", "zone_25", "tcp://[fe80::1%2525]:1")?;
    seed("uri", "listener", "tls://[::]:0?password=secret")?;
    seed("uri", "user", "tcp://user:word@host:1/?")?;
    seed("uri", "unknown_option", "tcp://host:1?pasword=x")?;
    seed("uri", "unknown_scheme", "quik://host:1")?;
    seed("uri", "quic", "quic://[::1]:1?sni=a.example")?;
    seed("uri", "web", "wss://user:word@host.example:443/some/path?password=x")?;
    seed("uri", "origins", "ws://[::]:80?origin=*.example&origin=https://a.example")?;
    seed("uri", "proxied", "sockstls://us%40er:word@[::1]:9050/host.example:1?sni=b.example")?;
    seed("uri", "file", "unix:///run/a%20b/c.sock?password=x")?;
    seed("uri", "no_destination", "socks://host:1")?;
    seed("uri", "bad_escape", "tcp://host:1?password=%4")?;
    seed("uri", "mapped", "tcp://[::ffff:192.0.2.1]:80")?;
    seed("uri", "no_port", "tls://host")
}

fn http_heads() -> io::Result<()> {
    let link = "GET /path?query HTTP/1.1\r\nHost: node.example\r\nUpgrade: websocket\r\n\
                Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                Sec-WebSocket-Protocol: ygg-ws\r\n\r\nbehind";
    seed("http_head", "link", link)?;
    seed("http_head", "other", link.replace("ygg-ws", "chat"))?;
    for (name, origin) in [("own", "https://node.example"), ("foreign", "null")] {
        let line = format!("Origin: {origin}\r\nHost:");
        seed("http_head", name, link.replace("Host:", &line))?;
    }
    seed("http_head", "health", "GET /health HTTP/1.0\n\n")?;
    seed("http_head", "connect", "CONNECT [200::1]:80 HTTP/1.1\r\nHost: [200::1]:80\r\n\r\n")?;
    let switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                     Connection: Upgrade\r\n\
                     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    seed("http_head", "response", switching)
}

fn public_lists() -> io::Result<()> {
    let list = |peers: &str| {
        format!(r#"{{"version":1,"source":"s","date":"2026-02-28","peers":[{peers}]}}"#)
    };
    let peer = |uri: &str| format!(r#"{{"uri":"{uri}","region":"Europe","country":"New Land"}}"#);
    let good = [
        "tls://a.example:443?key=03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8",
        "tcp://192.0.2.1:1?password=x",
        "tcp://[2001:db8::1]:1",
        "quic://a.example.co.uk:1?x=y",
        "wss://a.example:443/path?priority=1",
        "socks://127.0.0.1:9050/b.example:1",
    ];
    seed("public_list", "transports", list(&good.map(peer).join(",")))?;
    let bad = ["tcp://a", "a", "", "tcp://a:1", "tcp://a:1?priority=1", "unix:///a?b", "x://a:1"];
    seed("public_list", "rejected", list(&bad.map(peer).join(",")))?;
    seed("public_list", "odd", list("1,null,[],{},\"tcp://a:1\""))?;
    seed("public_list", "no_list", "<html>")?;
    seed("public_list", "version", list("").replace(":1,", ":2,"))
}

fn friend_links() -> io::Result<()> {
    let key = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
    let base32 = "aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4a";
    let with = |rest: &str| format!("planetary:friend?k={base32}{rest}");
    seed("friend_link", "key_alone", with(""))?;
    seed("friend_link", "hexadecimal", format!("planetary:friend?k={key}&n=Ada"))?;
    seed("friend_link", "parameters", format!("k={key}&n=Ada"))?;
    seed("friend_link", "name", with("&n=%D0%97%D0%BE%D1%8F%20%26%20Co"))?;
    let peers = "&p=tls://a.example:443&p=wss://b.example:443&p=quic://%5B2a00::1%5D:9001";
    seed("friend_link", "peers", with(peers))?;
    seed("friend_link", "pinned", with(&format!("&p=tls://a.example:1%3Fkey%3D{key}")))?;
    seed("friend_link", "password", with("&p=tls://a.example:1?password=x"))?;
    seed("friend_link", "local_peer", with("&p=tcp://192.168.1.1:1&p=tcp://printer.local:1"))?;
    seed("friend_link", "invisible", with("&n=a%E2%80%AEb%1B%5B2J"))?;
    seed("friend_link", "repeated", with("&n=a&n=b"))?;
    seed("friend_link", "unknown", with("&t=1#x"))?;
    seed("friend_link", "bad_escape", with("&n=%4"))?;
    seed("friend_link", "other_link", "planetary:join?c=1")?;
    seed("friend_link", "too_long", with(&format!("&n={}", "x".repeat(1_000))))?;
    seed("friend_link", "service", "tcp/8000-8100@300:1:2:3::4")?;
    seed("friend_link", "any_port", "UDP/any")?;
    seed("friend_link", "protocol", "ip/47")?;
    seed("friend_link", "word", "everyone")
}

fn join_links() -> io::Result<()> {
    let circle = "rcpivwm2jypimduwspwuebdyjvmwyl6ydd2xqyd2iuq2m6xy4oiq";
    let key = "aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4a";
    let whole = format!(
        "planetary:join?c={circle}&k={key}&t=aaaqeayeaudaocajbifqydiob4&e=1800000000&n=Family"
    );
    seed("join_link", "whole", &whole)?;
    seed("join_link", "parameters", &whole["planetary:join?".len()..])?;
    seed("join_link", "peers", format!("{whole}&p=tls://a.example:443&p=tcp://%5B2a00::1%5D:1"))?;
    seed("join_link", "no_token", whole.replace("t=", "T="))?;
    seed("join_link", "bare_token", whole.replace("t=", ""))?;
    seed("join_link", "token_surplus", whole.replace("ob4&", "ob5&"))?;
    seed("join_link", "token_short", whole.replace("ob4&", "ob&"))?;
    seed("join_link", "time_signed", whole.replace("e=1", "e=+1"))?;
    seed("join_link", "time_long", whole.replace("e=1", "e=9999999999991"))?;
    seed("join_link", "name_invisible", format!("{}%E2%80%AE", &whole))?;
    seed("join_link", "circle_in_digits", whole.replace(circle, &"0a".repeat(32)))?;
    seed("join_link", "repeated", format!("{whole}&n=Work"))?;
    seed("join_link", "other_link", whole.replace("join", "friend"))?;
    let words = "legal winner thank year wave sausage worth useful ".repeat(3);
    seed("join_link", "words", words.trim_end().replacen("useful", "title", 3))?;
    let end = words.trim_end().rfind(' ').unwrap_or_default();
    seed("join_link", "words_of_a_key", format!("{} title", &words[..end]))
}

fn configs() -> io::Result<()> {
    seed("config", "empty", "")?;
    let full = concat!(
        "listen = [\"tls://[::]:0\"]\npeers = [\"tcp://192.0.2.1:1?password=p\"]\n",
        "allowed_keys = []\nsessions = \"everyone\"\nnode_info = { name = \"n\", at = [1, 2.5] }\n",
        "[interface_peers]\neth0 = [\"tls://host:1\"]\n[tun]\nname = \"none\"\nmtu = 1280\n",
    );
    seed("config", "full", full)?;
    seed("config", "unknown_key", "peer = []\n[tun]\nmtuu = 1\n")?;
    seed("config", "wrong_type", "peers = 3\nlisten = \"tcp://[::]:1\"\n[tun]\nmtu = \"x\"\n")?;
    seed("config", "out_of_range", "[tun]\nmtu = 65536\nname = \"a/b\"\n")?;
    seed("config", "no_json", "node_info = { a = inf, b = 1979-05-27 }\n")?;
    seed("config", "bad_uri", "peers = [\"tcp://host:1?password=p&pasword=q\"]\n")?;
    seed("config", "unclosed", "peers = [\"tcp://host:1\"\n\n\u{7}")?;
    seed("config", "tables", "[[peers]]\nuri = 1\n[node_info]\n[node_info.a.b]\nc = true\n")
}

fn keys() -> io::Result<()> {
    let pem = concat!(
        "-----BEGIN PRIVATE KEY-----\n",
        "MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n",
        "-----END PRIVATE KEY-----\n"
    );
    seed("identity_pem", "version_1", pem)?;
    // The same key in version 2, with its public half.
    let second = concat!(
        "-----BEGIN PRIVATE KEY-----\n",
        "MFECAQEwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n",
        "gSEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\n",
        "-----END PRIVATE KEY-----\n"
    );
    seed("identity_pem", "version_2", second)?;
    seed("identity_pem", "other_public_half", second.replace("gSEAA6", "gSEAB6"))?;
    seed(
        "identity_pem",
        "wrapped",
        format!("text\r\n{}\r\nmore", pem.replace("MC4C", "MC4C\r\n")),
    )?;
    seed("identity_pem", "empty", "")?;
    seed("identity_pem", "cut_short", &pem[..70])?;
    seed("identity_pem", "certificate", pem.replace("PRIVATE KEY", "CERTIFICATE"))?;
    seed("identity_pem", "not_base64", pem.replace("MC4C", "M*4C"))?;
    seed("identity_pem", "not_text", [0xff, 0xfe, 0, 1])
}

/// Opens with the passphrase of the target, for the price of eight KiB.
const BACKUP: &str = include_str!("backup.json");

fn backups() -> io::Result<()> {
    seed("backup", "opens", BACKUP)?;
    seed("backup", "empty", "")?;
    seed("backup", "cut_short", &BACKUP[..BACKUP.len() / 2])?;
    seed("backup", "other_key", BACKUP.replace("\"03a107", "\"03a108"))?;
    seed("backup", "later", BACKUP.replace("1700000000", "1700000001"))?;
    seed("backup", "newer", BACKUP.replace("\"version\": 1,", "\"version\": 2,"))?;
    seed("backup", "costly", BACKUP.replace("\"memory_kib\": 8", "\"memory_kib\": 4294967295"))?;
    seed("backup", "impossible", BACKUP.replace("\"passes\": 1", "\"passes\": 0"))?;
    seed("backup", "other_format", BACKUP.replace("planetary-backup", "zip"))
}

fn foreign() -> io::Result<()> {
    let reference = concat!(
        "{\n  # Your private key.\n  PrivateKey: 00\n  Peers: [\n",
        "    tls://one.example:443?key=00\n",
        "    \"quic://two.example:443\"\n  ]\n  InterfacePeers: { \"eth0\": [ \"tcp://h:1\" ] }\n",
        "  Listen: []\n  MulticastInterfaces: [\n    {\n      Regex: .*\n      Beacon: true\n",
        "      Listen: true\n      Password: \"\"\n    }\n  ]\n  AllowedPublicKeys: []\n",
        "  IfName: auto\n  IfMTU: 65535\n  NodeInfoPrivacy: false\n  NodeInfo: {}\n}\n",
    );
    seed("foreign", "hjson", reference)?;
    let json = r#"{"PrivateKeyPath":"k","Peers":["tcp://a:1"],"NodeInfo":{"a":[1,2.5,null]}}"#;
    seed("foreign", "json", json)?;
    let wide: Vec<u8> = json.encode_utf16().flat_map(u16::to_le_bytes).collect();
    seed("foreign", "utf16", [&[0xff, 0xfe], &wide[..]].concat())?;
    let rewrite = concat!(
        "private_key = \"00\"\npeers = [\"tls://h:1\"]\nadmin_listen = \"tcp://h:1\"\n",
        "if_mtu = 1500\n[node_info]\nname = \"n\"\n[[multicast_interfaces]]\nfilter = \"*\"\n",
        "[firewall]\nenable = true\n",
    );
    seed("foreign", "toml", rewrite)?;
    seed("foreign", "lines", "{ NodeInfo: {\n  a: '''\n    one\n      two\n    ''' } }")?;
    seed("foreign", "escapes", "{ \"IfName\": \"\\ud83d\\ude00\\n\\\"\", 'a': 'b' }")?;
    seed("foreign", "comments", "# a\n// b\n/* c */ { IfName: d # e\n }")?;
    seed("foreign", "unclosed", "{ Peers: [ tls://one.example:443 ]\n}")?;
    seed("foreign", "nested", format!("Peers: {}", "[{a:".repeat(40)))
}
