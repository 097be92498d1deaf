//! IPv6 packets at the edge of the network.
//!
//! Asserted: packets pass only between addresses that belong to their ends, and what a node writes
//! itself is a whole packet with a good checksum that goes back to where the cause came from.

use planetary_proto::upper::ipv6::{
    Echo, HEADER_LEN, NEXT_ICMP, Territory, check_inbound, check_outbound, endpoints,
    packet_too_big,
};

use crate::host::key;

/// See the module. The packet as it is, and with the addresses that let it in.
pub fn packets(data: &[u8]) {
    check(data);
    if data.len() < HEADER_LEN {
        return;
    }
    let (own, far) = (Territory::of(&key(0)), Territory::of(&key(1)));
    let mut packet = data.to_vec();
    packet[0] = 0x60 | packet[0] & 0x0f;
    packet[8..24].copy_from_slice(far.address.as_bytes());
    packet[24..40].copy_from_slice(own.address.as_bytes());
    assert_eq!(check_inbound(&packet, &own, &far), Ok(()));
    check(&packet);

    let message = &packet[HEADER_LEN..];
    if let [first, second, third, fourth, payload @ ..] = message
        && payload.len() < 65_000
    {
        let echo = Echo {
            request: first & 1 == 0,
            identifier: u16::from_be_bytes([*first, *second]),
            sequence: u16::from_be_bytes([*third, *fourth]),
        };
        let packet = echo.emit(far.address.as_bytes(), own.address.as_bytes(), payload);
        assert_eq!(Echo::parse(&packet), Some(echo));
        assert_eq!(Echo::reply_to(&packet).is_some(), echo.request);
        check(&packet);
    }
}

fn check(packet: &[u8]) {
    let (own, far) = (Territory::of(&key(0)), Territory::of(&key(1)));
    let ends = endpoints(packet);
    if check_outbound(packet, &far).is_ok() {
        assert!(far.contains(&ends.expect("it has addresses").0), "a foreign source went out");
    }
    if check_inbound(packet, &own, &far).is_ok() {
        let (source, dest) = ends.expect("it has addresses");
        assert!(far.contains(&source) && own.contains(&dest), "a foreign address came in");
    }
    if let Some(error) = packet_too_big(packet, &own.address, 1280) {
        check_answer(packet, &error, 2);
        assert!(error.len() <= 1280, "an error fits the smallest interface");
        let quoted = &error[HEADER_LEN + 8..];
        assert_eq!(quoted, &packet[..quoted.len()]);
    }
    if let Some(reply) = Echo::reply_to(packet) {
        check_answer(packet, &reply, 129);
        assert_eq!(reply[HEADER_LEN + 4..], packet[HEADER_LEN + 4..], "the payload comes back");
    }
}

/// `answer` is an ICMPv6 message of `kind` to the source of `packet`.
fn check_answer(packet: &[u8], answer: &[u8], kind: u8) {
    let (source, dest) = endpoints(packet).expect("it has addresses");
    assert_eq!(endpoints(answer), Ok((dest, source)));
    assert_eq!((answer[6], answer[HEADER_LEN]), (NEXT_ICMP, kind));
    let len = answer.len() - HEADER_LEN;
    assert_eq!(usize::from(u16::from_be_bytes([answer[4], answer[5]])), len);
    let words = answer[8..].chunks(2);
    let words = words.map(|word| u64::from(word[0]) << 8 | u64::from(*word.get(1).unwrap_or(&0)));
    let sum = words.sum::<u64>() + len as u64 + u64::from(NEXT_ICMP);
    assert_eq!(sum % 0xffff, 0, "the checksum is good");
}
