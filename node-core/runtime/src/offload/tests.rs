//! Cut, joined and finished packets against a plain sum of 16-bit words and against each other.

use std::{io::IoSlice, ops::Range};

use proptest::{prelude::*, sample::select};

use super::{headers::flags, *};

/// A packet to be built.
#[derive(Clone, Debug)]
struct Plan {
    kind: Kind,
    /// Extension headers, eight bytes each: hop-by-hop options, then destination options.
    extensions: [bool; 2],
    ports: [u16; 2],
    sequence: u32,
    flags: u8,
    /// TCP's options, in words.
    options: Vec<[u8; 4]>,
    payload: Vec<u8>,
}

impl Plan {
    fn tcp(flags: u8, sequence: u32, payload: usize) -> Self {
        let payload = (0..payload).map(|at| (at * 7 + at / 251) as u8).collect();
        // A timestamp.
        let options = vec![[1, 1, 8, 10], [1, 2, 3, 4], [5, 6, 7, 8]];
        let (extensions, ports) = ([false; 2], [1, 2]);
        Self { kind: Kind::Tcp, extensions, ports, sequence, flags, options, payload }
    }

    fn udp(payload: usize) -> Self {
        Self { kind: Kind::Udp, options: vec![], ..Self::tcp(0, 0, payload) }
    }

    fn at(&self) -> usize {
        40 + 8 * self.extensions.iter().filter(|present| **present).count()
    }

    fn payload_at(&self) -> usize {
        let header = match self.kind {
            Kind::Tcp => 20 + 4 * self.options.len(),
            Kind::Udp => 8,
        };
        self.at() + header
    }

    /// The packet, its checksum left as `offload` says.
    fn build(&self, offload: Offload) -> Vec<u8> {
        let len = self.payload_at() + self.payload.len();
        let field = |len: usize| u16::try_from(len).unwrap().to_be_bytes();
        let mut packet = vec![0x60, 0x12, 0x34, 0x56];
        packet.extend(field(len - 40));
        let extensions = [(0, self.extensions[0]), (60, self.extensions[1])];
        let mut kinds: Vec<_> =
            extensions.iter().filter(|kind| kind.1).map(|kind| kind.0).collect();
        kinds.push(self.kind.number());
        packet.extend([kinds[0], 64]);
        packet.extend((0..32).map(|at| 0x20 ^ at));
        for next in &kinds[1..] {
            packet.extend([*next, 0, 1, 4, 0, 0, 0, 0]);
        }
        packet.extend(self.ports.map(u16::to_be_bytes).as_flattened());
        match self.kind {
            Kind::Tcp => {
                packet.extend(self.sequence.to_be_bytes());
                packet.extend([9, 8, 7, 6, (5 + self.options.len() as u8) << 4, self.flags, 1, 0]);
                packet.extend([0; 4]);
                packet.extend(self.options.as_flattened());
            }
            Kind::Udp => packet.extend([field(len - self.at()), [0; 2]].as_flattened()),
        }
        packet.extend(&self.payload);
        let sum = match offload {
            // Zero would say that there is no checksum.
            Offload::None => match !plain_sum(&packet, self.at()..len) {
                0 => 0xffff,
                checksum => checksum,
            },
            Offload::Checksum | Offload::Segments(_) => plain_sum(&packet, 0..0),
        };
        let at = self.at() + self.kind.checksum_at();
        packet[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        packet
    }
}

/// RFC 1071, word by word: the pseudo-header and what lies in `range`.
fn plain_sum(packet: &[u8], range: Range<usize>) -> u16 {
    let Transport { kind, at, .. } = transport(packet);
    let mut bytes = packet[8..40].to_vec();
    bytes.extend(((packet.len() - at) as u32).to_be_bytes());
    bytes.extend([0, 0, 0, kind.number()]);
    bytes.extend(&packet[range]);
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    bytes.chunks(2).fold(0_u16, |sum, word| {
        let (sum, carry) = sum.overflowing_add(u16::from_be_bytes([word[0], word[1]]));
        sum + u16::from(carry)
    })
}

fn transport(packet: &[u8]) -> Transport {
    Transport::of(packet, packet.len()).expect("a transport header")
}

/// Whether the checksum is right as far as `offload` leaves it.
fn is_right(packet: &[u8], offload: Offload) -> bool {
    let transport = transport(packet);
    let at = transport.checksum();
    let field = u16::from_be_bytes([packet[at], packet[at + 1]]);
    match offload {
        Offload::None => field != 0 && plain_sum(packet, transport.at..packet.len()) == 0xffff,
        Offload::Checksum | Offload::Segments(_) => field == plain_sum(packet, 0..0),
    }
}

fn finished(mut packet: Vec<u8>, offload: Offload) -> Vec<u8> {
    finish(&mut packet, offload).unwrap();
    packet
}

fn segments(kind: Kind, size: usize) -> Offload {
    let size = NonZeroU16::new(size.try_into().unwrap()).unwrap();
    Offload::Segments(Segments { kind, size })
}

/// All pieces, or none when the packet cannot be cut so.
fn cut(
    packet: &[u8],
    offload: Offload,
    len_max: usize,
    checksums: Checksums,
) -> Result<Vec<(Vec<u8>, Offload)>, Unfit> {
    let mut cut = Cut::new(packet, offload, len_max, checksums)?;
    let mut pieces = Vec::new();
    let mut buffer = vec![0; packet.len()];
    for left in (0..=cut.count()).rev() {
        assert_eq!(cut.count(), left);
        let Some((len, offload)) = cut.next_into(&mut buffer) else { break };
        pieces.push((buffer[..len].to_vec(), offload));
    }
    assert_eq!(cut.count(), 0, "all pieces were taken");
    Ok(pieces)
}

/// What a coalescer makes of packets that lie in one chunk.
fn joined(packets: &[(Vec<u8>, Offload)]) -> Vec<(Vec<u8>, Offload)> {
    let mut chunk = Vec::new();
    let mut places = Vec::new();
    for (packet, _) in packets {
        // What else is in a chunk.
        chunk.extend([0xee; 24]);
        places.push(chunk.len()..chunk.len() + packet.len());
        chunk.extend(packet);
    }
    let mut out = Vec::new();
    let mut take = |parts: &[IoSlice<'_>], offload| {
        let packet = parts.iter().flat_map(|part| part.to_vec()).collect::<Vec<_>>();
        if offload != Offload::None {
            let whole = Transport::fitting(&packet, packet.len(), offload);
            assert_eq!(Transport::fitting(&parts[0], packet.len(), offload), whole);
            assert!(whole.is_ok(), "{offload:?}");
        }
        out.push((packet, offload));
    };
    let mut coalescer = Coalescer::new();
    for (place, (_, offload)) in places.into_iter().zip(packets) {
        coalescer.push(&mut chunk, place, *offload, &mut take);
    }
    coalescer.flush(&mut chunk, &mut take);
    assert!(coalescer.is_empty());
    out
}

/// Cuts what was joined.
fn taken_apart(packets: Vec<(Vec<u8>, Offload)>) -> Vec<Vec<u8>> {
    let apart = |(packet, offload): (Vec<u8>, Offload)| match offload {
        Offload::Segments(_) => {
            let pieces = cut(&packet, offload, packet.len(), Checksums::Complete).unwrap();
            pieces.into_iter().map(|(piece, _)| piece).collect()
        }
        Offload::None | Offload::Checksum => vec![finished(packet, offload)],
    };
    packets.into_iter().flat_map(apart).collect()
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let kind = select(vec![Kind::Tcp, Kind::Udp]);
    let flags =
        any::<u8>().prop_map(|bits| flags::ACK | bits & (flags::PSH | flags::FIN | flags::CWR));
    let options = prop::collection::vec(select(vec![[1; 4], [8, 4, 7, 7], [3, 3, 1, 0]]), 0..10);
    let payload = prop::collection::vec(any::<u8>(), 0..4_000);
    (kind, any::<([bool; 2], [u16; 2], u32)>(), flags, options, payload).prop_map(
        |(kind, (extensions, ports, sequence), flags, options, payload)| Plan {
            kind,
            extensions,
            ports,
            sequence,
            flags,
            options: if kind == Kind::Tcp { options } else { vec![] },
            payload,
        },
    )
}

proptest! {
    #[test]
    fn a_finished_packet_has_the_checksum_of_a_plain_sum(plan in any_plan()) {
        let whole = plan.build(Offload::None);
        prop_assert!(is_right(&whole, Offload::None));
        prop_assert_eq!(finished(plan.build(Offload::Checksum), Offload::Checksum), whole.clone());
        let size = plan.payload.len().max(100) / 2 + 48;
        let offload = segments(plan.kind, size);
        prop_assert_eq!(finished(plan.build(offload), offload), whole.clone());
        prop_assert_eq!(finished(whole.clone(), Offload::None), whole);
    }

    #[test]
    fn pieces_are_the_packet(
        plan in any_plan(),
        size in 48_usize..2_000,
        room in 48_usize..2_000,
        checksums in select(vec![Checksums::Complete, Checksums::Partial]),
        asked in select(vec![0, 1, 2]),
    ) {
        let offload = [Offload::None, Offload::Checksum, segments(plan.kind, size)][asked];
        let packet = plan.build(offload);
        let len_max = plan.payload_at() + room;
        let pieces = match cut(&packet, offload, len_max, checksums) {
            Ok(pieces) => pieces,
            Err(Unfit) => {
                // Datagrams are what they are.
                prop_assert_eq!(plan.kind, Kind::Udp);
                let fits = match offload.segments() {
                    None => packet.len() <= len_max,
                    Some(_) => size <= room,
                };
                prop_assert!(!fits);
                return Ok(());
            }
        };
        let mut payload = Vec::new();
        for (index, (piece, left)) in pieces.iter().enumerate() {
            prop_assert!(piece.len() <= len_max);
            prop_assert!(is_right(piece, *left));
            prop_assert!(*left == Offload::None || checksums == Checksums::Partial);
            let is_last = index + 1 == pieces.len();
            let unlike = Plan {
                sequence: plan.sequence.wrapping_add(payload.len() as u32),
                flags: plan.flags
                    & if is_last { 0xff } else { !(flags::PSH | flags::FIN) }
                    & if index == 0 { 0xff } else { !flags::CWR },
                payload: piece[plan.payload_at()..].to_vec(),
                ..plan.clone()
            };
            prop_assert_eq!(piece, &unlike.build(*left));
            payload.extend(unlike.payload);
            if let (Some(segments), false) = (offload.segments(), is_last) {
                let wanted = usize::from(segments.size.get()).min(room);
                prop_assert_eq!(piece.len(), plan.payload_at() + wanted);
            }
        }
        prop_assert_eq!(payload, plan.payload);
    }

    #[test]
    fn what_is_cut_is_joined_again(
        mut plan in any_plan(),
        size in 64_usize..2_000,
        checksums in select(vec![Checksums::Complete, Checksums::Partial]),
    ) {
        plan.flags &= !flags::CWR;
        plan.payload.resize(plan.payload.len().max(size + 1), 3);
        let offload = segments(plan.kind, size);
        let packet = plan.build(offload);
        let pieces = cut(&packet, offload, packet.len(), checksums).unwrap();
        prop_assert!(pieces.len() > 1);
        prop_assert_eq!(joined(&pieces), [(packet, offload)]);
    }

    /// Any packets of a few flows, damaged ones among them.
    #[test]
    fn joined_packets_are_the_ones_that_went_in(
        packets in prop::collection::vec(
            (0_usize..12, 0_usize..30, any::<bool>(), select(vec![0, 0, 0, 1, 2, 3])),
            1..150,
        ),
    ) {
        let mut sequences = [0_u32; 12];
        let mut damaged_ones = 0;
        let build = |(flow, payload, is_partial, oddity): (usize, usize, bool, usize)| {
            let payload = [100, 100, 100, 100, 48, 47, 0, 101, 1_300][payload % 9];
            let flags = if oddity == 1 { flags::ACK | flags::PSH } else { flags::ACK };
            let mut plan = Plan::tcp(flags, sequences[flow], payload);
            if flow % 3 == 0 {
                plan = Plan::udp(payload);
            }
            plan.ports = [flow as u16, 9];
            sequences[flow] += payload as u32 + u32::from(oddity == 2);
            let offload = if is_partial { Offload::Checksum } else { Offload::None };
            let mut packet = plan.build(offload);
            if oddity == 3 {
                let at = transport(&packet).checksum();
                packet[at] ^= 1;
                damaged_ones += 1;
            }
            (packet, offload)
        };
        let packets: Vec<_> = packets.into_iter().map(build).collect();
        let out = joined(&packets);
        prop_assert!(out.len() <= packets.len());
        let apart = taken_apart(out);
        let before: Vec<_> =
            packets.into_iter().map(|(packet, offload)| finished(packet, offload)).collect();
        let damaged = before.iter().filter(|packet| !is_right(packet, Offload::None)).count();
        prop_assert_eq!(damaged, damaged_ones);
        for flow in 0..12_u16 {
            let of_flow = |packets: &[Vec<u8>]| {
                let flow = flow.to_be_bytes();
                packets.iter().filter(|packet| packet[40..42] == flow).cloned().collect::<Vec<_>>()
            };
            prop_assert_eq!(of_flow(&apart), of_flow(&before));
        }
    }

    #[test]
    fn rubbish_is_left_alone(
        mut bytes in prop::collection::vec(any::<u8>(), 0..300),
        head in prop::collection::vec(any::<u8>(), 3),
        len_max in 0_usize..400,
    ) {
        if let [first, ..] = &mut bytes[..] {
            *first = 0x60 | *first & 0xf;
        }
        let offload = Offload::parse([head[0] & 7, head[1], head[2]]).unwrap_or_default();
        for checksums in [Checksums::Complete, Checksums::Partial] {
            if let Ok(pieces) = cut(&bytes, offload, len_max, checksums) {
                prop_assert!(pieces.iter().all(|(piece, _)| piece.len() <= len_max));
            }
        }
        let out = joined(&[(bytes.clone(), Offload::None)]);
        prop_assert_eq!(out, [(bytes.clone(), Offload::None)]);
        let before = bytes.clone();
        if finish(&mut bytes, offload).is_err() {
            prop_assert_eq!(bytes, before);
        }
    }
}

#[test]
fn packets_with_other_headers_or_wrong_sums_are_not_joined() {
    let first = Plan::tcp(flags::ACK, 1_000, 100);
    let second = |change: fn(&mut Plan)| {
        let mut plan = Plan { sequence: 1_100, ..first.clone() };
        change(&mut plan);
        plan.build(Offload::Checksum)
    };
    let count = |second: Vec<u8>| {
        let packets = [first.build(Offload::None), finished(second, Offload::Checksum)];
        joined(&packets.map(|packet| (packet, Offload::None))).len()
    };
    assert_eq!(count(second(|_| {})), 1);
    assert_eq!(count(second(|plan| plan.flags |= flags::PSH)), 1);
    assert_eq!(count(second(|plan| plan.payload.truncate(1))), 1);
    let others: [fn(&mut Plan); 12] = [
        |plan| plan.sequence += 1,
        |plan| plan.sequence -= 1,
        |plan| plan.sequence -= 100,
        |plan| plan.payload.push(0),
        |plan| plan.payload.clear(),
        |plan| plan.ports[1] += 1,
        |plan| plan.flags |= flags::SYN,
        |plan| plan.flags |= flags::URG,
        |plan| plan.flags |= flags::CWR,
        |plan| plan.flags |= flags::ECE,
        |plan| plan.options[2][3] ^= 1,
        |plan| plan.extensions[1] = true,
    ];
    for (number, other) in others.into_iter().enumerate() {
        assert_eq!(count(second(other)), 2, "case {number}");
    }
    // Traffic class, flow label, hop limit, an address; acknowledgement, window, urgency.
    for at in [1, 3, 7, 20, 48, 54, 59] {
        let mut packet = second(|_| {});
        packet[at] ^= 1;
        let field = 40 + Kind::Tcp.checksum_at();
        let sum = plain_sum(&packet, 0..0);
        packet[field..field + 2].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(count(packet), 2, "byte {at}");
    }
    // A sum that is wrong, complete or not, first or second.
    for damaged in [0, 1] {
        for offload in [Offload::None, Offload::Checksum] {
            let plans = [first.clone(), Plan { sequence: 1_100, ..first.clone() }];
            let mut packets = plans.map(|plan| (plan.build(offload), offload));
            packets[damaged].0[57] ^= 1;
            assert_eq!(joined(&packets), packets);
        }
    }
}

#[test]
fn no_more_is_joined_than_may_be() {
    let stream = |count: u32, len: usize| {
        let packet = |at| Plan::tcp(flags::ACK, at * len as u32, len).build(Offload::Checksum);
        (0..count).map(|at| (packet(at), Offload::Checksum)).collect::<Vec<_>>()
    };
    let lens =
        |packets: Vec<(Vec<u8>, Offload)>| packets.iter().map(|(p, _)| p.len()).collect::<Vec<_>>();
    let head = 40 + 20 + 12;
    assert_eq!(lens(joined(&stream(100, 100))), [head + 6_400, head + 3_600]);
    assert_eq!(lens(joined(&stream(50, 1_400))), [head + 46 * 1_400, head + 4 * 1_400]);
    assert_eq!(lens(joined(&stream(3, 40_000))), [head + 40_000; 3]);
    // The system takes no segments as small as that.
    assert_eq!(lens(joined(&stream(3, 47))), [head + 47; 3]);
}

#[test]
fn flows_beyond_those_that_can_wait_take_turns() {
    let packet = |flow: u16, at: u32| {
        let plan = Plan { ports: [flow, 9], ..Plan::tcp(flags::ACK, at * 100, 100) };
        (plan.build(Offload::Checksum), Offload::Checksum)
    };
    let rounds =
        |flows: u16| (0..4).flat_map(move |at| (0..flows).map(move |flow| packet(flow, at)));
    assert_eq!(joined(&rounds(8).collect::<Vec<_>>()).len(), 8);
    assert_eq!(joined(&rounds(9).collect::<Vec<_>>()).len(), 36);
}

#[test]
fn a_damaged_packet_is_not_cut_into_sound_ones() {
    let mut packet = Plan::tcp(flags::ACK, 0, 3_000).build(Offload::None);
    assert_eq!(cut(&packet, Offload::None, 1_280, Checksums::Complete).unwrap().len(), 3);
    packet[2_000] ^= 1;
    assert_eq!(cut(&packet, Offload::None, 1_280, Checksums::Complete), Err(Unfit));
    // What a sender has left unfinished is as wrong in the end.
    let mut packet = Plan::tcp(flags::ACK, 0, 3_000).build(Offload::Checksum);
    packet[56] ^= 1;
    for (piece, offload) in cut(&packet, Offload::Checksum, 1_280, Checksums::Complete).unwrap() {
        assert!(!is_right(&piece, offload));
    }
}

#[test]
fn what_others_have_to_say_about_a_segment_keeps_it_whole() {
    let refused = |plan: Plan| {
        let packet = plan.build(Offload::Checksum);
        let asked = segments(Kind::Tcp, 1_000);
        assert_eq!(cut(&packet, asked, 65_535, Checksums::Complete), Err(Unfit));
        assert_eq!(cut(&packet, Offload::Checksum, 1_280, Checksums::Complete), Err(Unfit));
    };
    for flag in [flags::SYN, flags::RST, flags::URG] {
        refused(Plan::tcp(flags::ACK | flag, 0, 3_000));
    }
    let signed = |options: &[[u8; 4]]| {
        refused(Plan { options: options.to_vec(), ..Plan::tcp(flags::ACK, 0, 3_000) });
    };
    // MD5 and authentication, behind another option; an option that lies about its length.
    signed(&[[8, 3, 0, 19], [18, 0, 0, 0], [0; 4], [0; 4], [0; 4], [0; 4]]);
    signed(&[[1, 1, 29, 4], [0; 4]]);
    signed(&[[1, 1, 8, 0]]);
}

#[test]
fn a_packet_becomes_a_bounded_number() {
    let tcp = Plan::tcp(flags::ACK, 0, 65_535 - 72).build(Offload::Checksum);
    assert_eq!(cut(&tcp, segments(Kind::Tcp, 47), 65_535, Checksums::Partial), Err(Unfit));
    let pieces = cut(&tcp, segments(Kind::Tcp, 48), 65_535, Checksums::Partial).unwrap();
    assert_eq!(pieces.len(), 1_364);
    assert_eq!(cut(&tcp, Offload::Checksum, 72 + 47, Checksums::Partial), Err(Unfit));
    assert_eq!(cut(&tcp, Offload::Checksum, 71, Checksums::Partial), Err(Unfit));
    let udp = Plan::udp(1_280).build(Offload::Checksum);
    assert_eq!(cut(&udp, segments(Kind::Udp, 9), 65_535, Checksums::Partial), Err(Unfit));
    assert_eq!(cut(&udp, segments(Kind::Udp, 10), 65_535, Checksums::Partial).unwrap().len(), 128);
}

#[test]
fn what_is_no_such_packet_is_not_touched() {
    let whole = Plan::tcp(flags::ACK, 0, 100).build(Offload::Checksum);
    let change = |at: usize, to: u8| {
        let mut packet = whole.clone();
        packet[at] = to;
        packet
    };
    let strange = [
        vec![],
        vec![0x60],
        whole[..39].to_vec(),
        whole[..whole.len() - 1].to_vec(),
        [&whole[..], &[0]].concat(),
        // IPv4, another length, ICMPv6, fragment, routing, authentication, nothing.
        change(0, 0x45),
        change(5, 1),
        change(6, 58),
        change(6, 44),
        change(6, 43),
        change(6, 51),
        change(6, 59),
        // A TCP header that is too short, and one that is longer than the packet.
        change(52, 4 << 4),
        Plan { payload: vec![], ..Plan::tcp(flags::ACK, 0, 0) }.build(Offload::Checksum)[..60]
            .to_vec(),
        // UDP whose length is another.
        change(6, 17),
    ];
    for packet in strange {
        let mut copy = packet.clone();
        assert_eq!(finish(&mut copy, Offload::Checksum), Err(Unfit));
        assert_eq!(copy, packet);
        assert_eq!(cut(&packet, Offload::Checksum, 65_535, Checksums::Complete), Err(Unfit));
        assert_eq!(cut(&packet, segments(Kind::Tcp, 50), 100, Checksums::Complete), Err(Unfit));
        let whole = if packet.is_empty() { vec![] } else { vec![(packet.clone(), Offload::None)] };
        assert_eq!(cut(&packet, Offload::None, packet.len(), Checksums::Complete), Ok(whole));
        let packets = [(packet, Offload::None)];
        assert_eq!(joined(&packets), packets);
    }
}

#[test]
fn offload_is_written_and_read_back_in_three_bytes() {
    let written = [
        (Offload::None, [0, 0, 0]),
        (Offload::Checksum, [1, 0, 0]),
        (segments(Kind::Tcp, 1_208), [3, 4, 0xb8]),
        (segments(Kind::Udp, 1_208), [5, 4, 0xb8]),
    ];
    for (offload, bytes) in written {
        assert_eq!(offload.emit(), bytes);
        assert_eq!(Offload::parse(bytes), Some(offload));
    }
    for flags in 0..=u8::MAX {
        for size in [0, 1, u16::MAX] {
            let [high, low] = size.to_be_bytes();
            let bytes = [flags, high, low];
            assert!(Offload::parse(bytes).is_none_or(|offload| offload.emit() == bytes));
        }
    }
}
