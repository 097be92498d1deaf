//! What is sent back for refused packets.

use planetary_circles::{Answer, Policy, Reason, Verdict};
use planetary_proto::upper::ipv6::{HEADER_LEN, endpoints};

use super::{
    cases::{Bench, FRIEND, ME, policy},
    packets::{ACK, Body, Extension, FIN, Part, RST, SYN, Sketch, echo, error, tcp, udp},
};

/// The answer to a packet, checked: whole, back to the source, with a good checksum.
fn answer(sketch: &Sketch) -> Option<Vec<u8>> {
    let answer = Answer::to(&sketch.bytes())?.as_bytes().to_vec();
    assert_eq!(endpoints(&answer), Ok((sketch.dest.bytes(), sketch.source.bytes())));
    let len = answer.len() - HEADER_LEN;
    assert_eq!(answer[4..6], (len as u16).to_be_bytes());
    let words = answer[8..].chunks(2);
    let words = words.map(|pair| u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0)));
    let sum = words.sum::<u64>() + len as u64 + u64::from(answer[6]);
    assert_eq!(sum % 0xffff, 0, "the checksum is good");
    Some(answer)
}

#[test]
fn a_reset_stands_where_the_sender_expects_it() {
    // Tests send sequence number 100 and acknowledge 200, with 36 bytes of data.
    for (flags, seq, ack, answered) in [
        (SYN, 0, 100 + 36 + 1, RST | ACK),
        (FIN, 0, 100 + 36 + 1, RST | ACK),
        (0, 0, 100 + 36, RST | ACK),
        (ACK, 200, 0, RST),
        (SYN | ACK, 200, 0, RST),
        (FIN | ACK, 200, 0, RST),
    ] {
        let reset = answer(&tcp(FRIEND, 0x1234, ME, 0x5678, flags)).unwrap();
        let segment = &reset[HEADER_LEN..];
        assert_eq!((reset[6], segment.len()), (6, 20));
        assert_eq!(segment[..4], [0x56, 0x78, 0x12, 0x34]);
        let word = |at: usize| u32::from_be_bytes(segment[at..at + 4].try_into().unwrap());
        assert_eq!((word(4), word(8)), (seq, ack), "{flags:#x}");
        assert_eq!(segment[12..14], [0x50, answered]);
    }
}

#[test]
fn everything_else_is_prohibited_with_a_quote_that_shows_the_ports() {
    let far = Sketch { before: vec![Extension::Options(32)], ..udp(FRIEND, 1, ME, 2) };
    let requests = [udp(FRIEND, 1, ME, 2), echo(FRIEND, ME, false, 1), far];
    for sketch in requests.into_iter().chain([Sketch::new(FRIEND, ME, Body::Other(47))]) {
        let prohibited = answer(&sketch).unwrap();
        assert_eq!((prohibited[6], &prohibited[40..42]), (58, &[1, 1][..]));
        let quote = &prohibited[48..];
        assert_eq!(*quote, sketch.bytes()[..quote.len()]);
        assert!(prohibited.len() <= 352);
        // The far end finds the flow that it is about.
        let mut bench = Bench::new(&Policy::default());
        let turned = Sketch { source: ME, dest: FRIEND, ..sketch };
        bench.passes(turned.clone());
        let body = Body::Error { kind: 1, about: Box::new(turned), len: quote.len() };
        bench.passes(Sketch::new(FRIEND, ME, body));
    }
}

#[test]
fn resets_errors_replies_and_fragments_are_never_answered() {
    let part = Some(Part { id: 1, from: 0, units: 3, more: true });
    for sketch in [
        tcp(FRIEND, 1, ME, 2, RST),
        tcp(FRIEND, 1, ME, 2, RST | ACK),
        echo(FRIEND, ME, true, 1),
        error(FRIEND, ME, udp(ME, 1, FRIEND, 2)),
        Sketch::new(FRIEND, ME, Body::Icmp(135)),
        Sketch { part, ..udp(FRIEND, 1, ME, 2) },
        Sketch { part, ..tcp(FRIEND, 1, ME, 2, SYN) },
    ] {
        assert!(answer(&sketch).is_none(), "{sketch:?}");
    }
    assert!(Answer::to(&[]).is_none());
    // Its answer to a reset would be one, and so on.
    let reset = Answer::to(&tcp(FRIEND, 1, ME, 2, ACK).bytes()).unwrap();
    assert!(Answer::to(reset.as_bytes()).is_none());
}

#[test]
fn a_storm_of_refused_packets_is_answered_at_a_rate() {
    let mut bench = Bench::new(&policy());
    let mut told = |count: usize| {
        (0..count)
            .filter(|_| match bench.pass(&tcp(FRIEND, 1, ME, 99, SYN)) {
                Verdict::Reject(Reason::NoRule) => true,
                Verdict::Drop(Reason::NoRule) => false,
                other => panic!("{other:?}"),
            })
            .count()
    };
    assert_eq!(told(500), 100);
    bench.wait(1);
    let mut told = 0;
    for _ in 0..500 {
        told += usize::from(matches!(bench.pass(&tcp(FRIEND, 1, ME, 99, SYN)), Verdict::Reject(_)));
    }
    assert_eq!(told, 50);
    // Programs of this machine are told whatever others do.
    for _ in 0..500 {
        bench.is_told(tcp(ME, 1, FRIEND, 99, ACK), Reason::TcpMidstream);
    }
    assert_eq!(bench.filter.sizes().flows, 0);
}
