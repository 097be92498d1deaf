//! Cutting a packet that may say anything, with anything said of it.
//!
//! Asserted: pieces are whole packets, no longer than asked for, as many as announced; their
//! payloads are the packet's, their headers too but for lengths, sequence numbers, flags and
//! checksums; these are right in every piece or, as they were in the packet, in none.

use planetary_runtime::offload::{Checksums, Cut, Kind, Offload, Transport};

use super::offload_finish::is_right;
use crate::input::Input;

/// See the module.
pub fn offload_cut(data: &[u8]) {
    let mut input = Input::new(data);
    let head = [input.byte(), input.byte(), input.byte()];
    let len_max = usize::from(u16::from_be_bytes([input.byte(), input.byte()]));
    let checksums = [Checksums::Complete, Checksums::Partial][input.below(2)];
    let packet = input.rest();
    let Some(offload) = Offload::parse(head) else { return };
    let Ok(mut cut) = Cut::new(packet, offload, len_max, checksums) else { return };

    let count = cut.count();
    assert!(count <= 1_365);
    let mut pieces = Vec::new();
    let mut buffer = vec![0; len_max];
    while let Some((len, left)) = cut.next_into(&mut buffer) {
        pieces.push((buffer[..len].to_vec(), left));
        assert_eq!(cut.count(), count - pieces.len());
    }
    assert_eq!(pieces.len(), count);
    if offload == Offload::None && packet.len() <= len_max {
        assert!(pieces.iter().all(|piece| *piece == (packet.to_vec(), Offload::None)));
        return;
    }

    let was_right = is_right(packet, offload != Offload::None);
    let whole = Transport::of(packet, packet.len()).expect("what is cut has a transport header");
    let mut payload = Vec::<u8>::new();
    for (index, (piece, left)) in pieces.iter().enumerate() {
        assert!(*left == Offload::None || checksums == Checksums::Partial);
        assert_eq!(Transport::of(piece, piece.len()), Some(whole));
        assert_eq!(is_right(piece, *left != Offload::None), was_right);
        let like = |from: usize, to: usize| assert_eq!(piece[from..to], packet[from..to]);
        let Transport { kind, at, payload: begin } = whole;
        like(0, 4);
        like(6, at + 4);
        if kind == Kind::Tcp {
            let sequence = |packet: &[u8]| {
                packet[at + 4..at + 8]
                    .iter()
                    .fold(0_u32, |number, byte| number << 8 | u32::from(*byte))
            };
            assert_eq!(sequence(piece), sequence(packet).wrapping_add(payload.len() as u32));
            like(at + 8, at + 13);
            let cleared = piece[at + 13] ^ packet[at + 13];
            let (is_first, is_last) = (index == 0, index + 1 == count);
            assert_eq!(cleared & if is_first { 0x80 } else { 0 }, 0);
            assert_eq!(cleared & if is_last { 0x09 } else { 0 }, 0);
            assert_eq!(cleared & !0x89, 0);
            like(at + 14, at + 16);
            like(at + 18, begin);
        }
        payload.extend(&piece[begin..]);
    }
    assert_eq!(payload, &packet[whole.payload..]);
}
