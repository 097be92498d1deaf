//! Completing the checksum of a packet, where its headers say and where the system says.
//!
//! Asserted: what is refused stays as it was; else two bytes change, to what a plain sum of words
//! makes of the rest, and never to zero.

use planetary_runtime::offload::{Offload, Transport, finish, finish_at};

use crate::input::Input;

/// See the module.
pub fn offload_finish(data: &[u8]) {
    let mut input = Input::new(data);
    let head = [input.byte(), input.byte(), input.byte()];
    let place = [input.byte(), input.byte()].map(usize::from);
    let packet = input.rest();
    if let Some(offload) = Offload::parse(head) {
        assert_eq!(offload.emit(), head);
        let transport = Transport::of(packet, packet.len());
        let mut finished = packet.to_vec();
        let result = finish(&mut finished, offload);
        match (offload, transport) {
            (Offload::None, _) => assert!(result.is_ok() && finished == packet),
            (_, None) => assert!(result.is_err() && finished == packet),
            (_, Some(Transport { kind, at, .. })) => {
                assert!(result.is_ok());
                check(packet, &finished, at, kind.checksum_at());
            }
        }
    }
    let [start, offset] = place;
    let mut finished = packet.to_vec();
    match finish_at(&mut finished, start, offset) {
        Ok(()) => check(packet, &finished, start, offset),
        Err(_) => assert!(finished == packet && start + offset + 2 > packet.len()),
    }
}

fn check(before: &[u8], after: &[u8], start: usize, offset: usize) {
    let field = start + offset;
    let expected = match !sum(&before[start..]) {
        0 => 0xffff,
        checksum => checksum,
    };
    assert_eq!(after[field..field + 2], expected.to_be_bytes());
    assert_eq!((&after[..field], &after[field + 2..]), (&before[..field], &before[field + 2..]));
}

/// The sum of RFC 1071, word by word.
pub(super) fn sum(bytes: &[u8]) -> u16 {
    bytes.chunks(2).fold(0_u16, |sum, word| {
        let word = u16::from_be_bytes([word[0], *word.get(1).unwrap_or(&0)]);
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    })
}

/// Whether the checksum of a packet of TCP or UDP is right as far as `is_partial` leaves it.
pub(super) fn is_right(packet: &[u8], is_partial: bool) -> bool {
    let transport = Transport::of(packet, packet.len()).expect("it has a transport header");
    let Transport { kind, at, .. } = transport;
    let mut summed = packet[8..40].to_vec();
    summed.extend(((packet.len() - at) as u32).to_be_bytes());
    summed.extend([0, 0, 0, kind.number()]);
    let zero = |sum: u16| sum % 0xffff;
    if is_partial {
        let field = at + kind.checksum_at();
        let field = u16::from_be_bytes([packet[field], packet[field + 1]]);
        return zero(sum(&summed)) == zero(field);
    }
    summed.extend(&packet[at..]);
    zero(sum(&summed)) == 0
}
