//! Timeouts, bounds under floods, and the budget that shards share.

use std::sync::Arc;

use planetary_circles::{Audience, Budget, Filter, Policy, Reason, Rules, Verdict, limits};
use planetary_proto::{NodeKey, time::Instant, upper::ipv6::Territory};

use super::{
    cases::{Bench, FRIEND, ME, STRANGER, policy},
    packets::{ACK, Body, End, FIN, RST, SYN, Sketch, echo, own, tcp, udp},
};

/// Passes after `seconds` of silence, and not after one more; `begin` starts the flow anew.
fn lasts(begin: &dyn Fn(&mut Bench), sketch: &Sketch, seconds: u64) {
    for (wait, passes) in [(seconds, false), (seconds - 1, true)] {
        let mut bench = Bench::new(&Policy::default());
        begin(&mut bench);
        bench.wait(wait);
        assert_eq!(bench.pass(sketch).is_accept(), passes, "{sketch:?} after {wait} s");
    }
}

#[test]
fn flows_end_when_they_should() {
    let answer = tcp(STRANGER, 80, ME, 5000, ACK);
    let syn = |bench: &mut Bench| bench.passes(tcp(ME, 5000, STRANGER, 80, SYN));
    lasts(&syn, &answer, 60);
    let half = |bench: &mut Bench| {
        bench.passes(tcp(ME, 5000, STRANGER, 80, SYN));
        bench.passes(tcp(STRANGER, 80, ME, 5000, SYN | ACK));
    };
    lasts(&half, &answer, 60);
    let whole = |bench: &mut Bench| bench.connects(ME, STRANGER, 80);
    lasts(&whole, &answer, 2 * 3600 + 240);
    let finishing = |bench: &mut Bench| {
        bench.connects(ME, STRANGER, 80);
        bench.passes(tcp(STRANGER, 80, ME, 5000, FIN | ACK));
    };
    lasts(&finishing, &answer, 120);
    let finished = |bench: &mut Bench| {
        finishing(bench);
        bench.passes(tcp(ME, 5000, STRANGER, 80, FIN | ACK));
    };
    lasts(&finished, &answer, 10);
    for (from, flags) in [(ME, RST), (STRANGER, RST | ACK)] {
        let reset = |bench: &mut Bench| {
            bench.connects(ME, STRANGER, 80);
            bench.passes(match from {
                ME => tcp(ME, 5000, STRANGER, 80, flags),
                _ => tcp(STRANGER, 80, ME, 5000, flags),
            });
            // Whatever comes does not keep it.
            bench.wait(5);
            bench.passes(answer.clone());
        };
        lasts(&reset, &answer, 5);
    }
    let one_way = |bench: &mut Bench| bench.passes(udp(ME, 1, STRANGER, 2));
    lasts(&one_way, &udp(STRANGER, 2, ME, 1), 30);
    let both_ways = |bench: &mut Bench| {
        bench.passes(udp(ME, 1, STRANGER, 2));
        bench.passes(udp(STRANGER, 2, ME, 1));
    };
    lasts(&both_ways, &udp(STRANGER, 2, ME, 1), 180);
    let request = |bench: &mut Bench| bench.passes(echo(ME, STRANGER, false, 1));
    lasts(&request, &echo(STRANGER, ME, true, 1), 30);
    let other = |bench: &mut Bench| bench.passes(Sketch::new(ME, STRANGER, Body::Other(47)));
    lasts(&other, &Sketch::new(STRANGER, ME, Body::Other(47)), 60);
}

#[test]
fn a_connection_may_begin_again_with_the_same_ports() {
    let mut bench = Bench::new(&policy());
    bench.connects(FRIEND, ME, 22);
    bench.passes(tcp(FRIEND, 5000, ME, 22, RST));
    bench.connects(FRIEND, ME, 22);
    bench.wait(60);
    bench.passes(tcp(FRIEND, 5000, ME, 22, ACK));
    // One that this machine opened does not let the far end open one back.
    bench.connects(ME, STRANGER, 80);
    bench.passes(tcp(STRANGER, 80, ME, 5000, RST));
    bench.is_dropped(tcp(STRANGER, 80, ME, 5000, SYN), Reason::NoRule);
    bench.is_dropped(tcp(STRANGER, 80, ME, 5000, ACK), Reason::TcpMidstream);
}

#[test]
fn time_that_runs_backwards_is_taken_as_it_was() {
    let mut bench = Bench::new(&Policy::default());
    bench.wait(100);
    bench.passes(udp(ME, 1, STRANGER, 2));
    bench.now = Instant::START;
    bench.passes(udp(STRANGER, 2, ME, 1));
    bench.passes(udp(ME, 3, STRANGER, 4));
    bench.wait(100 + 179);
    bench.passes(udp(STRANGER, 2, ME, 1));
    bench.is_dropped(udp(STRANGER, 4, ME, 3), Reason::NoRule);
}

#[test]
fn a_key_has_a_bound_and_its_answered_flows_stay() {
    let mut bench = Bench::new(&Policy { inbound: Audience::Everyone, ..policy() });
    bench.connects(STRANGER, ME, 22);
    for port in 10_000..14_000 {
        bench.passes(tcp(STRANGER, port, ME, 80, SYN));
        assert!(bench.filter.sizes().inbound <= limits::FLOWS_PER_KEY_INBOUND_MAX);
    }
    assert_eq!(bench.filter.sizes().inbound, limits::FLOWS_PER_KEY_INBOUND_MAX);
    bench.passes(tcp(STRANGER, 5000, ME, 22, ACK));
    // The newest are there, the oldest have made room.
    bench.passes(tcp(ME, 80, STRANGER, 13_999, SYN | ACK));
    bench.is_told(tcp(ME, 80, STRANGER, 10_000, SYN | ACK), Reason::TcpMidstream);
    // What this machine opens has the other half, and pushes one-way flows of others out.
    for port in 10_000..14_000 {
        bench.passes(udp(ME, port, STRANGER, 53));
        bench.passes(udp(STRANGER, 53, ME, port));
        if bench.filter.sizes().inbound <= 2 {
            break;
        }
    }
    assert_eq!(bench.filter.sizes().flows, limits::FLOWS_PER_KEY_MAX);
    // Then all of them are answered but one.
    bench.passes(udp(ME, 1, STRANGER, 53));
    bench.passes(udp(STRANGER, 53, ME, 1));
    bench.is_told(udp(ME, 2, STRANGER, 53), Reason::Full);
    bench.is_dropped(udp(STRANGER, 1, ME, 2), Reason::Full);
    bench.passes(udp(ME, 2, FRIEND, 53));
    bench.passes(tcp(STRANGER, 5000, ME, 22, ACK));
    bench.wait(181);
    bench.passes(udp(ME, 2, STRANGER, 53));
}

/// A packet of one of many keys, as bytes.
fn from_key(number: u32, port: u16) -> (planetary_circles::Remote, Vec<u8>) {
    let mut key = [0x55; 32];
    key[..4].copy_from_slice(&number.to_be_bytes());
    let remote = planetary_circles::Remote::of(NodeKey::from_bytes(key));
    let mut bytes = tcp(STRANGER, port, ME, 80, SYN).bytes();
    bytes[8..24].copy_from_slice(remote.territory.address.as_bytes());
    (remote, bytes)
}

#[test]
fn a_million_flows_of_many_keys_stay_within_the_table() {
    const SHARDS: u32 = 4;
    let policy = Policy { inbound: Audience::Everyone, ..Policy::default() };
    let rules = Arc::new(Rules::compile(&policy).unwrap());
    let budget = Budget::new(SHARDS);
    let shard = |_| Filter::new(own(), Arc::clone(&rules), Arc::clone(&budget));
    let mut shards: Vec<Filter> = (0..SHARDS).map(shard).collect();
    let mut now = 0;
    let total = |shards: &[Filter]| {
        let sizes = shards.iter().map(|shard| shard.sizes());
        sizes.fold((0, 0), |(all, inbound), s| (all + s.flows, inbound + s.inbound))
    };
    // Three shards are flooded; what comes always passes, whatever has to go for it.
    for number in 0..1_000_000 {
        now += 10;
        let (remote, bytes) = from_key(number % 5_000, (number / 5_000) as u16);
        let shard = &mut shards[(number % (SHARDS - 1)) as usize];
        let verdict = shard.inbound(&remote, &bytes, Instant::from_micros(now));
        assert_eq!(verdict, Verdict::Accept);
        if number % 9_999 == 0 {
            let (all, inbound) = total(&shards);
            assert!(all <= limits::FLOWS_MAX && inbound <= limits::FLOWS_INBOUND_MAX);
        }
    }
    let kept = limits::FLOWS_PER_SHARD_KEPT / 2;
    assert_eq!(total(&shards).1, limits::FLOWS_INBOUND_MAX - kept);
    // The fourth has its own, and this machine the other half.
    for number in 0..1_000 {
        let (remote, bytes) = from_key(1_000_000 + number, 1);
        let verdict = shards[3].inbound(&remote, &bytes, Instant::from_micros(now));
        assert_eq!(verdict, Verdict::Accept);
    }
    assert_eq!(shards[3].sizes().inbound, kept);
    let mut opened = 0;
    for number in 0..40_000_u32 {
        let (remote, mut bytes) = from_key(2_000_000 + number / 1_000, 1);
        let territory = Territory::of(&remote.key);
        bytes[8..24].copy_from_slice(&ME.bytes());
        bytes[24..40].copy_from_slice(territory.address.as_bytes());
        bytes[40..42].copy_from_slice(&((number % 1_000) as u16).to_be_bytes());
        let verdict = shards[3].outbound(&remote, &bytes, Instant::from_micros(now));
        opened += u32::from(verdict.is_accept());
    }
    assert_eq!(opened, 40_000, "the oldest of ours make room for ours");
    assert_eq!(total(&shards).0, limits::FLOWS_MAX);
    // When all is over, all goes back.
    for shard in &mut shards {
        shard.sweep(Instant::from_micros(now + 61_000_000));
        assert_eq!(shard.sizes(), planetary_circles::Sizes::default());
    }
}

#[test]
fn a_flood_of_others_never_ends_what_this_machine_opened() {
    let policy = Policy { inbound: Audience::Everyone, ..Policy::default() };
    let mut bench = Bench::with(&policy, Budget::with_numbers(1, [16, 8, 12, 6, 0]));
    for port in 0..12 {
        bench.passes(udp(ME, port, STRANGER, 53));
    }
    for peer in [1, 2, 4] {
        for port in 100..200 {
            bench.passes(udp(End::Far(peer, 0), port, ME, 9));
        }
    }
    assert_eq!((bench.filter.sizes().flows, bench.filter.sizes().inbound), (16, 4));
    for port in 0..12 {
        bench.passes(udp(STRANGER, 53, ME, port));
    }
    // Now the four are others' and one-way; this machine may still have their room.
    for port in 20..24 {
        bench.passes(udp(ME, port, FRIEND, 53));
    }
    assert_eq!(bench.filter.sizes().inbound, 0);
    bench.is_dropped(udp(End::Far(2, 0), 1, ME, 9), Reason::Full);
}

#[test]
fn sessions_are_wanted_while_a_flow_of_ours_lives() {
    let mut bench = Bench::new(&policy());
    let key = super::packets::remote(1).key;
    assert!(!bench.filter.has_flow_of_ours(&key, bench.now));
    bench.connects(FRIEND, ME, 22);
    assert!(!bench.filter.has_flow_of_ours(&key, bench.now));
    bench.passes(udp(ME, 1, FRIEND, 2));
    assert!(bench.filter.has_flow_of_ours(&key, bench.now));
    bench.wait(31);
    assert!(!bench.filter.has_flow_of_ours(&key, bench.now));
}

#[test]
fn whoever_spoke_last_makes_room_last() {
    let policy = Policy { inbound: Audience::Everyone, ..Policy::default() };
    // A key that has all that it may, and a table that is full.
    for numbers in [[16, 8, 6, 3, 0], [6, 3, 16, 8, 0]] {
        let mut bench = Bench::with(&policy, Budget::with_numbers(1, numbers));
        for port in [1, 2, 3, 1, 4] {
            bench.passes(tcp(STRANGER, port, ME, 80, SYN));
        }
        for (port, lives) in [(1, true), (2, false), (3, true), (4, true)] {
            let answer = tcp(ME, 80, STRANGER, port, SYN | ACK);
            assert_eq!(bench.pass(&answer).is_accept(), lives, "port {port} with {numbers:?}");
        }
    }
}

#[test]
fn flows_belong_to_a_key_and_not_to_its_addresses() {
    // Addresses show the first half of a key only.
    let [one, other] = [0, 1].map(|last| {
        let mut key = [3; 32];
        key[31] = last;
        planetary_circles::Remote::of(NodeKey::from_bytes(key))
    });
    assert_eq!(one.territory, other.territory);
    let rules = Arc::new(Rules::compile(&Policy::default()).unwrap());
    let mut filter = Filter::new(own(), rules, Budget::new(1));
    let mut question = udp(ME, 1, FRIEND, 2).bytes();
    question[24..40].copy_from_slice(one.territory.address.as_bytes());
    let mut answer = udp(FRIEND, 2, ME, 1).bytes();
    answer[8..24].copy_from_slice(one.territory.address.as_bytes());
    assert!(filter.outbound(&one, &question, Instant::START).is_accept());
    let stolen = filter.inbound(&other, &answer, Instant::START);
    assert_eq!(stolen, Verdict::Drop(Reason::NoRule));
    assert!(filter.inbound(&one, &answer, Instant::START).is_accept());
}
