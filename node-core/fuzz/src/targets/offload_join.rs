//! Joining packets: streams of a few flows with gaps and damage, and any bytes in between.
//!
//! Asserted: the packets of a flow come out as they went in and in that order; what was joined is
//! exactly them again when it is cut; what comes out can be left to the system; nothing is left
//! behind.

use std::{collections::BTreeMap, ops::Range};

use planetary_runtime::offload::{
    Checksums, Coalescer, Cut, JOINED_MAX, Offload, Transport, finish,
};

use super::offload_finish::sum;
use crate::input::Input;

/// Packets of one run at most.
const PACKETS: usize = 200;
const FLOWS: usize = 10;

/// Who a packet is from and for, as far as order is concerned.
type Flow = Option<(u8, Vec<u8>)>;

/// See the module.
pub fn offload_join(data: &[u8]) {
    run(data);
}

/// Returns how many packets were joined.
fn run(data: &[u8]) -> usize {
    let mut input = Input::new(data);
    let (mut chunk, mut packets) = (Vec::new(), Vec::new());
    let mut sequences = [0_u32; FLOWS];
    while !input.is_empty() && packets.len() < PACKETS {
        let (packet, offload) = packet(&mut input, &mut sequences);
        let begin = chunk.len() + input.below(3);
        chunk.resize(begin, 0xee);
        chunk.extend(&packet);
        packets.push((begin..chunk.len(), offload));
    }

    let mut waiting = BTreeMap::<Flow, Vec<(Vec<u8>, Offload)>>::new();
    for (place, offload) in &packets {
        let packet = chunk[place.clone()].to_vec();
        waiting.entry(flow(&packet)).or_default().push((packet, *offload));
    }
    waiting.values_mut().for_each(|packets| packets.reverse());
    let mut joined = 0;
    let mut coalescer = Coalescer::new();
    let mut out = |parts: &[std::io::IoSlice<'_>], offload| {
        assert!((1..=JOINED_MAX).contains(&parts.len()));
        let whole: Vec<u8> = parts.iter().flat_map(|part| part.to_vec()).collect();
        let mut expect = |packet: Vec<u8>, offload| {
            let before = waiting.get_mut(&flow(&whole)).and_then(Vec::pop);
            let (mut before, left) = before.expect("nothing comes out that did not go in");
            if parts.len() > 1 {
                finish(&mut before, left).expect("it was joined");
                assert_eq!(before, packet);
            } else {
                assert_eq!((before, left), (packet, offload));
            }
        };
        if parts.len() == 1 {
            expect(whole.clone(), offload);
            return;
        }
        joined += parts.len();
        let transport = Transport::fitting(&parts[0], whole.len(), offload);
        assert!(transport.is_ok(), "the system takes it");
        let mut cut =
            Cut::new(&whole, offload, whole.len(), Checksums::Complete).expect("it can be cut");
        assert_eq!(cut.count(), parts.len());
        let mut piece = vec![0; whole.len()];
        while let Some((len, offload)) = cut.next_into(&mut piece) {
            expect(piece[..len].to_vec(), offload);
        }
    };
    for (place, offload) in packets {
        coalescer.push(&mut chunk, place, offload, &mut out);
    }
    coalescer.flush(&mut chunk, &mut out);
    assert!(coalescer.is_empty());
    assert!(waiting.values().all(Vec::is_empty), "packets are left behind");
    joined
}

/// Where a packet stands in line: behind others of its flow, and nowhere if it has none.
fn flow(packet: &[u8]) -> Flow {
    let at = Transport::of(packet, packet.len())?.at;
    Some((packet[6], [&packet[8..40], &packet[at..at + 4]].concat()))
}

/// Any bytes, or the next packet of a stream.
fn packet(input: &mut Input<'_>, sequences: &mut [u32; FLOWS]) -> (Vec<u8>, Offload) {
    let choice = input.below(8);
    if choice == 0 {
        let head = [input.byte(), input.byte(), input.byte()];
        return (input.block().to_vec(), Offload::parse(head).unwrap_or_default());
    }
    let flow = input.below(FLOWS);
    let payload = vec![flow as u8; input.below(256) * if choice == 1 { 16 } else { 1 }];
    let oddity = input.byte();
    let ports = [0, 7, 0, flow as u8];
    let is_tcp = !flow.is_multiple_of(3);
    let sequence = &mut sequences[flow];
    if oddity & 0xf == 1 {
        *sequence = sequence.wrapping_add(input.byte().into());
    }
    let mut transport = ports.to_vec();
    if is_tcp {
        let flags = if oddity & 0xf == 2 { input.byte() } else { 0x10 };
        let window = if oddity & 0xf == 3 { input.byte() } else { 9 };
        transport.extend(sequence.to_be_bytes());
        transport.extend([0, 0, 0, 1, 0x50, flags, 1, window, 0, 0, 0, 0]);
        *sequence = sequence.wrapping_add(payload.len() as u32);
    } else {
        let len = (8 + payload.len()) as u16;
        transport.extend([&len.to_be_bytes()[..], &[0, 0]].concat());
    }
    transport.extend(payload);
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((transport.len() as u16).to_be_bytes());
    packet.extend([if is_tcp { 6 } else { 17 }, if oddity & 0xf == 4 { 63 } else { 64 }]);
    packet.extend([2; 32]);
    packet.extend(&transport);
    let pseudo = [&packet[8..40], &(transport.len() as u32).to_be_bytes(), &[0, 0, 0, packet[6]]];
    let field =
        Range { start: 40 + if is_tcp { 16 } else { 6 }, end: 40 + if is_tcp { 18 } else { 8 } };
    let partial = sum(&pseudo.concat());
    packet[field.clone()].copy_from_slice(&partial.to_be_bytes());
    let mut offload = Offload::Checksum;
    if oddity & 0x10 == 0 {
        finish(&mut packet, offload).expect("it is such a packet");
        offload = Offload::None;
    }
    if oddity & 0xe0 == 0xe0 {
        packet[field.start] ^= 1;
    }
    (packet, offload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_joined_as_far_as_they_are_named_after() {
        let joined = |name: &str| {
            let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/offload_join/");
            run(&std::fs::read(format!("{corpus}{name}")).unwrap())
        };
        for (name, expected) in [
            ("tcp", 20),
            ("udp", 20),
            ("flows", 30),
            ("gap", 4),
            ("damaged", 4),
            ("partial", 20),
            ("raw", 0),
            ("pushed", 3),
        ] {
            assert_eq!(joined(name), expected, "{name}");
        }
    }
}
