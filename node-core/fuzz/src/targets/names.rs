//! Questions for names, as programs of this machine send them.
//!
//! Asserted: an answer repeats the number of its question, is short, is none itself, and is the
//! same each time. What comes as a packet is answered
//! to where it came from, and only if it came from the own address.

use planetary_circles::names::{ANSWER_LEN_MAX, Label, QUERY_LEN_MAX, Zone, server};
use planetary_proto::upper::ipv6::endpoints;

use crate::host::key;

/// See the module. The bytes as a question, as the packet that brings it, and as any packet.
pub fn names(data: &[u8]) {
    let friends = [("ada", 1), ("xn--zo-ija", 2)];
    let friends = friends.map(|(name, seed)| (Label::new(name).expect("a label"), key(seed)));
    let zone = Zone::new(key(0), friends);
    if let Some(answer) = zone.answer(data) {
        assert!((12..=ANSWER_LEN_MAX).contains(&answer.len()) && data.len() <= QUERY_LEN_MAX);
        assert_eq!(answer[..2], data[..2], "the number of the question");
        assert!(data[2] & 0x80 == 0 && answer[2] & 0x80 != 0, "an answer to a question");
        assert_eq!(zone.answer(&answer), None);
        assert_eq!(zone.answer(data), Some(answer.clone()));
    }

    let (own, far) = (key(0).address().to_ipv6().octets(), key(1).address().to_ipv6().octets());
    let server = server(&key(0)).octets();
    for source in [own, far] {
        let answer = zone.serve(&datagram(source, server, data));
        let expected = zone.answer(data).filter(|_| source == own);
        assert_eq!(answer.as_ref().map(|packet| &packet[48..]), expected.as_deref());
        if let Some(answer) = answer {
            assert_eq!(endpoints(&answer), Ok((server, source)));
        }
    }
    if let Some(answer) = zone.serve(data) {
        let (source, dest) = endpoints(data).expect("only packets are answered");
        assert_eq!((endpoints(&answer), source), (Ok((dest, source)), own));
    }
}

fn datagram(source: [u8; 16], dest: [u8; 16], data: &[u8]) -> Vec<u8> {
    // Longer ones are not looked at.
    let data = &data[..data.len().min(QUERY_LEN_MAX + 1)];
    let len = (8 + data.len() as u16).to_be_bytes();
    let head = [0x60, 0, 0, 0, len[0], len[1], 17, 64];
    let ports = [0xc0, 0, 0, 53, len[0], len[1], 0, 0];
    [&head[..], &source, &dest, &ports, data].concat()
}
