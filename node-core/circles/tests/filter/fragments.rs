//! Fragments, lines 25 and 26 of `docs/security.md`.

use planetary_circles::{Policy, Reason};

use super::{
    cases::{Bench, FRIEND, ME, STRANGER, policy},
    packets::{Body, Extension, Part, SYN, Sketch, echo, error, remote, tcp, udp},
};

/// A fragment of a datagram of 44 bytes, which a rule lets in.
fn part(id: u32, from: u8, units: u8, more: bool) -> Sketch {
    Sketch { part: Some(Part { id, from, units, more }), ..udp(FRIEND, 5000, ME, 53) }
}

#[test]
fn later_fragments_follow_the_first() {
    let mut bench = Bench::new(&policy());
    bench.is_dropped(part(1, 2, 2, true), Reason::FragmentOrphan);
    bench.passes(part(1, 0, 2, true));
    bench.passes(part(1, 2, 2, true));
    bench.is_dropped(part(2, 4, 2, false), Reason::FragmentOrphan);
    bench.passes(part(1, 4, 2, false));
    bench.is_dropped(part(1, 4, 2, false), Reason::FragmentOrphan);
    // Those of another key, or the other way, are no part of it.
    bench.passes(part(3, 0, 2, true));
    let turned = Sketch { source: ME, dest: FRIEND, ..part(3, 2, 2, true) };
    bench.is_dropped(turned, Reason::FragmentOrphan);
    let bytes = part(3, 2, 2, true).bytes();
    let verdict = bench.filter.inbound(&remote(2), &bytes, bench.now);
    assert_eq!(verdict.reason(), Some(Reason::ForeignSource));
    // A gap is a lost fragment, not an overlap.
    bench.passes(part(3, 4, 1, true));
}

#[test]
fn what_the_first_was_refused_for_keeps_the_others_out() {
    let mut bench = Bench::new(&policy());
    let fragment = |from, more| Sketch {
        part: Some(Part { id: 1, from, units: 2, more }),
        ..udp(STRANGER, 5000, ME, 53)
    };
    bench.is_dropped(fragment(0, true), Reason::NoRule);
    bench.is_dropped(fragment(2, true), Reason::FragmentOrphan);
    // A friend is not told either: there is more of the packet to come.
    let fragment = Sketch { body: Body::Udp { source: 1, dest: 54 }, ..part(1, 0, 2, true) };
    bench.is_dropped(fragment, Reason::NoRule);
}

#[test]
fn first_fragments_that_hide_the_packet_are_dropped() {
    let mut bench = Bench::new(&policy());
    let first_of = |id, units, body| Sketch {
        part: Some(Part { id, from: 0, units, more: true }),
        ..Sketch::new(FRIEND, ME, body)
    };
    let first = |units, body| first_of(1, units, body);
    let syn = Body::Tcp { source: 5000, dest: 22, flags: SYN };
    for units in 1..3 {
        bench.is_dropped(first(units, syn.clone()), Reason::FragmentTiny);
    }
    bench.passes(first(3, syn));
    let with_options = |units| Sketch {
        after: vec![Extension::Options(2)],
        part: Some(Part { id: 2, from: 0, units, more: true }),
        ..udp(FRIEND, 5000, ME, 53)
    };
    for units in 1..3 {
        bench.is_dropped(with_options(units), Reason::FragmentTiny);
    }
    bench.passes(with_options(3));
    bench.is_dropped(first_of(3, 1, Body::Icmp(135)), Reason::Confined);
    let Body::Error { kind, about, len } = error(FRIEND, ME, udp(ME, 1, FRIEND, 2)).body else {
        panic!("an error")
    };
    bench.passes(udp(ME, 1, FRIEND, 2));
    bench.is_dropped(first_of(4, 4, Body::Error { kind, about, len }), Reason::ErrorUnrelated);
}

#[test]
fn overlaps_give_the_packet_up() {
    let mut bench = Bench::new(&policy());
    for (from, units) in [(0, 2), (1, 3), (2, 1), (3, 1)] {
        bench.passes(part(1, 0, 2, true));
        bench.passes(part(1, 2, 2, true));
        bench.is_dropped(part(1, from, units, true), Reason::FragmentOverlap);
        bench.is_dropped(part(1, 4, 2, false), Reason::FragmentOrphan);
    }
}

#[test]
fn a_fragment_on_its_own_is_a_packet() {
    let mut bench = Bench::new(&policy());
    bench.passes(part(1, 0, 0, false));
    bench.passes(part(1, 0, 0, false));
    bench.is_dropped(part(1, 2, 0, false), Reason::FragmentOrphan);
    let alone = Part { id: 1, from: 0, units: 0, more: false };
    let syn = Sketch { part: Some(alone), ..tcp(FRIEND, 1, ME, 99, SYN) };
    bench.is_told(syn, Reason::NoRule);
}

#[test]
fn fragments_end_after_30_s_with_other_rules_and_at_their_bound() {
    let mut bench = Bench::new(&policy());
    bench.passes(part(1, 0, 2, true));
    bench.wait(29);
    bench.passes(part(1, 2, 1, true));
    bench.wait(2);
    bench.is_dropped(part(1, 3, 1, true), Reason::FragmentOrphan);

    bench.passes(part(2, 0, 2, true));
    bench.set(&policy());
    bench.is_dropped(part(2, 2, 1, true), Reason::FragmentOrphan);
    bench.passes(part(3, 0, 2, true));
    bench.set(&Policy { blocked: vec![remote(1).key], ..policy() });
    bench.is_dropped(part(3, 2, 1, true), Reason::Blocked);

    let mut bench = Bench::new(&policy());
    for id in 0..17 {
        bench.passes(part(id, 0, 2, true));
    }
    bench.is_dropped(part(0, 2, 1, true), Reason::FragmentOrphan);
    for id in 1..17 {
        bench.passes(part(id, 2, 1, true));
    }
}

#[test]
fn fragmented_echo_comes_and_goes() {
    let mut bench = Bench::new(&policy());
    let cut = |sketch: Sketch, from, more| Sketch {
        part: Some(Part { id: 9, from, units: 2, more }),
        ..sketch
    };
    bench.passes(cut(echo(FRIEND, ME, false, 1), 0, true));
    bench.passes(cut(echo(FRIEND, ME, false, 1), 2, false));
    bench.passes(cut(echo(ME, FRIEND, true, 1), 0, true));
    bench.passes(cut(echo(ME, FRIEND, true, 1), 2, false));
}

#[test]
fn an_error_may_quote_a_first_fragment_and_no_other() {
    let mut bench = Bench::new(&policy());
    let cut = |from, more| Sketch {
        part: Some(Part { id: 9, from, units: 2, more }),
        ..udp(ME, 1, FRIEND, 2)
    };
    bench.passes(cut(0, true));
    bench.passes(error(FRIEND, ME, cut(0, true)));
    bench.is_dropped(error(FRIEND, ME, cut(2, true)), Reason::ErrorUnrelated);
}

#[test]
fn lengths_of_fragments_fit_together() {
    let mut bench = Bench::new(&policy());
    bench.passes(part(1, 0, 2, true));
    let mut odd = part(1, 2, 2, true).bytes();
    odd.pop();
    odd[5] -= 1;
    let verdict = bench.filter.inbound(&remote(1), &odd, bench.now);
    assert_eq!(verdict.reason(), Some(Reason::Malformed));
    // It would end behind the largest packet there is.
    let mut far = part(1, 2, 2, true).bytes();
    far[42..44].copy_from_slice(&0xfff9_u16.to_be_bytes());
    let verdict = bench.filter.inbound(&remote(1), &far, bench.now);
    assert_eq!(verdict.reason(), Some(Reason::Malformed));
    // Two fragment headers.
    let mut twice = part(1, 0, 0, false).bytes();
    twice.splice(40..40, [44, 0, 0, 0, 0, 0, 0, 1]);
    twice[5] += 8;
    let verdict = bench.filter.inbound(&remote(1), &twice, bench.now);
    assert_eq!(verdict.reason(), Some(Reason::Malformed));
}
