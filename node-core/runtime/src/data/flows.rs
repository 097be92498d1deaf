//! The queue at the source: packets of this machine that wait for a link, unsealed, flow by flow.
//!
//! Each inner flow has a queue of its own, served in turn by bytes; a flow that was idle goes
//! first, so a ping passes a bulk transfer. In each flow CoDel keeps the waiting time near 5 ms by
//! marking (ECN) or dropping at the head. Packets are sealed when they leave, so nothing that is
//! dropped here costs a nonce or a cipher.
//!
//! Source: RFC 8289 and RFC 8290, with packets of up to 64 KiB in mind.

use std::collections::{HashMap, VecDeque};

use planetary_proto::time::{Duration, Instant};

use super::{buffers::Packet, sealing::Way};

/// Waiting time that a flow may have for good.
const TARGET: Duration = Duration::from_millis(5);
/// How long it may be above [`TARGET`] before CoDel acts.
const INTERVAL: Duration = Duration::from_millis(100);
/// CoDel leaves this many packets alone: with 64 KiB packets fewer would starve TCP.
const PACKETS_MIN: usize = 8;
/// Bytes that a flow may send in one turn: one packet of full size.
const QUANTUM: i64 = 65_536;
/// Bytes over all flows. Beyond it the longest flow loses its oldest packet.
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// Packets over all flows: bounds the memory of small packets.
const PACKETS_MAX: usize = 4_096;
/// Queues of flows that ended are kept for the next ones, so many and with room for so many packets
/// at most: a packet that has to wait now and then shall not allocate.
const SPARE_MAX: usize = 16;
const SPARE_ROOM_MAX: usize = 64;

/// A packet that waits, with all that is needed to seal and route it.
pub(crate) struct Waiting<W = Way> {
    pub(crate) packet: Packet,
    pub(crate) way: W,
    pub(crate) since: Instant,
}

/// See the module.
pub(crate) struct SourceQueue<W = Way> {
    flows: HashMap<u64, Flow<W>>,
    /// Flows that were idle, in the order they came.
    fresh: VecDeque<u64>,
    /// Flows that have used up a turn.
    served: VecDeque<u64>,
    /// Empty queues for flows to come.
    spare: Vec<VecDeque<Waiting<W>>>,
    bytes: usize,
    packets: usize,
}

struct Flow<W> {
    packets: VecDeque<Waiting<W>>,
    bytes: usize,
    deficit: i64,
    codel: Codel,
}

impl<W> Default for SourceQueue<W> {
    fn default() -> Self {
        Self {
            flows: HashMap::new(),
            fresh: VecDeque::new(),
            served: VecDeque::new(),
            spare: Vec::new(),
            bytes: 0,
            packets: 0,
        }
    }
}

impl<W> SourceQueue<W> {
    /// Bytes in it.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Puts a packet at the end of its flow. Returns how many packets were dropped for it.
    pub(crate) fn push(&mut self, waiting: Waiting<W>) -> u64 {
        let id = flow_id(waiting.packet.bytes());
        let len = waiting.packet.len;
        let flow = self.flows.entry(id).or_insert_with(|| {
            self.fresh.push_back(id);
            let packets = self.spare.pop().unwrap_or_default();
            Flow { packets, bytes: 0, deficit: QUANTUM, codel: Codel::default() }
        });
        flow.packets.push_back(waiting);
        flow.bytes += len;
        self.bytes += len;
        self.packets += 1;
        let mut dropped = 0;
        while self.bytes > BYTES_MAX || self.packets > PACKETS_MAX {
            let fattest = self.flows.values_mut().max_by_key(|flow| flow.bytes);
            let Some(oldest) = fattest.and_then(Flow::pop) else { break };
            self.bytes -= oldest.packet.len;
            self.packets -= 1;
            dropped += 1;
        }
        dropped
    }

    /// Whether nothing waits.
    pub(crate) const fn is_empty(&self) -> bool {
        self.packets == 0
    }

    /// Takes the packet whose turn it is; counts what CoDel drops on the way into `dropped`.
    pub(crate) fn pop(&mut self, now: Instant, dropped: &mut u64) -> Option<Waiting<W>> {
        loop {
            let was_fresh = !self.fresh.is_empty();
            let list = if was_fresh { &mut self.fresh } else { &mut self.served };
            let id = *list.front()?;
            let Some(flow) = self.flows.get_mut(&id) else {
                list.pop_front();
                continue;
            };
            if flow.deficit <= 0 {
                flow.deficit += QUANTUM;
                list.pop_front();
                self.served.push_back(id);
                continue;
            }
            let before = (flow.bytes, flow.packets.len());
            let taken = flow.next(now, dropped);
            self.bytes -= before.0 - flow.bytes;
            self.packets -= before.1 - flow.packets.len();
            match taken {
                Some(waiting) => {
                    flow.deficit -= waiting.packet.len as i64;
                    return Some(waiting);
                }
                None => {
                    list.pop_front();
                    let ended = self.flows.remove(&id).map(|flow| flow.packets);
                    let keeps = self.spare.len() < SPARE_MAX;
                    let kept = ended.filter(|it| keeps && it.capacity() <= SPARE_ROOM_MAX);
                    self.spare.extend(kept);
                }
            }
        }
    }
}

impl<W> Flow<W> {
    fn pop(&mut self) -> Option<Waiting<W>> {
        let waiting = self.packets.pop_front()?;
        self.bytes -= waiting.packet.len;
        Some(waiting)
    }

    /// The next packet that CoDel lets through.
    fn next(&mut self, now: Instant, dropped: &mut u64) -> Option<Waiting<W>> {
        loop {
            let mut waiting = self.pop()?;
            let waited = now.since(waiting.since);
            let calm = waited < TARGET || self.packets.len() < PACKETS_MIN;
            if !self.codel.acts(calm, now) || mark_congestion(waiting.packet.bytes_mut()) {
                return Some(waiting);
            }
            *dropped += 1;
        }
    }
}

/// The control law of RFC 8289.
#[derive(Default)]
struct Codel {
    /// When the flow will have been above target for an interval.
    above_until: Option<Instant>,
    /// When to act next, while acting.
    next: Option<Instant>,
    actions: u32,
}

impl Codel {
    /// Whether the packet at the head is to be marked or dropped.
    fn acts(&mut self, calm: bool, now: Instant) -> bool {
        if calm {
            self.above_until = None;
            self.next = None;
            return false;
        }
        let above_until = *self.above_until.get_or_insert(now + INTERVAL);
        if now < above_until {
            return false;
        }
        match self.next {
            None => {
                // Begins where it left off if it stopped only recently.
                self.actions = if self.actions > 2 { self.actions - 2 } else { 1 };
            }
            Some(next) if now < next => return false,
            Some(_) => self.actions += 1,
        }
        self.next = Some(now + INTERVAL.div_f64(f64::from(self.actions).sqrt()));
        true
    }
}

/// Sets "congestion experienced" if the packet's flow understands it.
fn mark_congestion(packet: &mut [u8]) -> bool {
    // The two ECN bits are bits 4 and 5 of byte 1 of an IPv6 header.
    let Some(byte) = packet.get_mut(1) else { return false };
    let capable = *byte & 0x30 != 0;
    if capable {
        *byte |= 0x30;
    }
    capable
}

/// Tells flows apart: addresses, next header, flow label, and the ports of TCP and UDP.
fn flow_id(packet: &[u8]) -> u64 {
    const TCP: u8 = 6;
    const UDP: u8 = 17;
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut mix = |bytes: &[u8]| {
        for chunk in bytes.chunks(8) {
            let word = chunk.iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
            hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
    };
    mix(packet.get(8..40).unwrap_or_default());
    let next = packet.get(6).copied().unwrap_or_default();
    mix(&[next]);
    if next == TCP || next == UDP {
        mix(packet.get(40..44).unwrap_or_default());
    } else {
        mix(packet.get(1..4).unwrap_or_default());
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: u8 = 6;
    const ICMP: u8 = 58;
    const ECN_CAPABLE: u8 = 0x20;

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1000)
    }

    /// A packet of flow `port`, at least 48 bytes long.
    fn packet(next: u8, port: u16, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        bytes[0] = 0x60;
        bytes[6] = next;
        bytes[8] = 0x02;
        bytes[24] = 0x02;
        bytes[40..42].copy_from_slice(&port.to_be_bytes());
        bytes
    }

    /// A queue of packets that carry a number.
    #[derive(Default)]
    struct Queue {
        queue: SourceQueue<u32>,
        pushed: u32,
        dropped: u64,
    }

    impl Queue {
        fn push(&mut self, bytes: &[u8], since: Instant) -> u64 {
            let way = self.pushed;
            self.pushed += 1;
            self.queue.push(Waiting { packet: Packet::copy_of(bytes), way, since })
        }

        fn pop(&mut self, now: Instant) -> Option<Waiting<u32>> {
            self.queue.pop(now, &mut self.dropped)
        }

        /// Numbers in the order in which they leave at once.
        fn drain(&mut self, now: Instant) -> Vec<u32> {
            std::iter::from_fn(|| self.pop(now)).map(|waiting| waiting.way).collect()
        }
    }

    #[test]
    fn a_flow_keeps_its_order() {
        let mut queue = Queue::default();
        for _ in 0..100 {
            queue.push(&packet(TCP, 1, 1280), at(0));
        }
        assert_eq!(queue.drain(at(0)), (0..100).collect::<Vec<_>>());
        assert!(queue.queue.is_empty());
        assert_eq!((queue.queue.bytes, queue.queue.flows.len()), (0, 0));
    }

    #[test]
    fn a_ping_passes_a_bulk_transfer() {
        let mut queue = Queue::default();
        for _ in 0..20 {
            queue.push(&packet(TCP, 1, 60_000), at(0));
        }
        for _ in 0..3 {
            queue.pop(at(0));
        }
        queue.push(&packet(ICMP, 0, 104), at(0));
        assert_eq!(queue.pop(at(0)).unwrap().way, 20);
    }

    #[test]
    fn flows_share_by_bytes_not_by_packets() {
        let mut queue = Queue::default();
        for _ in 0..40 {
            queue.push(&packet(TCP, 1, 60_000), at(0));
        }
        for _ in 0..1500 {
            queue.push(&packet(TCP, 2, 1280), at(0));
        }
        let mut bytes = [0, 0];
        for _ in 0..500 {
            let waiting = queue.pop(at(0)).unwrap();
            let flow = usize::from(waiting.packet.bytes()[41]) - 1;
            bytes[flow] += waiting.packet.len;
        }
        assert!(bytes[0].abs_diff(bytes[1]) <= 2 * 65_536, "{bytes:?}");
    }

    #[test]
    fn when_full_the_longest_flow_loses_its_oldest() {
        let mut queue = Queue::default();
        let big = packet(TCP, 1, 65_000);
        let room = BYTES_MAX / big.len();
        for _ in 0..room {
            assert_eq!(queue.push(&big, at(0)), 0);
        }
        assert_eq!(queue.push(&packet(TCP, 2, 48), at(0)), 0, "a small one still fits");
        assert_eq!(queue.push(&big, at(0)), 1);
        let left = queue.drain(at(0));
        assert!(!left.contains(&0), "the oldest of the longest is gone");
        assert!(left.contains(&(room as u32)), "the small one is there");
        assert_eq!(left.len(), room + 1);
    }

    #[test]
    fn small_packets_are_bounded_too() {
        let mut queue = Queue::default();
        let small = packet(TCP, 1, 48);
        let dropped: u64 = (0..PACKETS_MAX + 10).map(|_| queue.push(&small, at(0))).sum();
        assert_eq!(dropped, 10);
        assert_eq!(queue.drain(at(0)).len(), PACKETS_MAX);
    }

    /// What a link that takes a packet each millisecond makes of a sender that is as fast, behind
    /// a backlog of `backlog` packets, for a second: dropped, marked.
    fn standing_queue(backlog: usize, ecn: u8) -> (u64, usize) {
        let mut queue = Queue::default();
        let mut bytes = packet(TCP, 1, 1280);
        bytes[1] |= ecn;
        for _ in 0..backlog {
            queue.push(&bytes, at(0));
        }
        let mut marked = 0;
        for millis in 0..1000 {
            queue.push(&bytes, at(millis));
            let left = queue.pop(at(millis)).unwrap();
            marked += usize::from(left.packet.bytes()[1] & 0x30 == 0x30);
        }
        (queue.dropped, marked)
    }

    #[test]
    fn a_standing_queue_is_worked_off_by_drops() {
        let (dropped, marked) = standing_queue(30, 0);
        assert!((5..=40).contains(&dropped), "{dropped}");
        assert_eq!(marked, 0);
    }

    #[test]
    fn flows_that_understand_marks_lose_nothing() {
        let (dropped, marked) = standing_queue(30, ECN_CAPABLE);
        assert_eq!(dropped, 0);
        assert!((5..=60).contains(&marked), "{marked}");
    }

    #[test]
    fn short_queues_and_short_waits_are_left_alone() {
        assert_eq!(standing_queue(PACKETS_MIN - 1, 0), (0, 0), "too few to act on");
        // A burst that is gone before the interval is over.
        let mut queue = Queue::default();
        for _ in 0..90 {
            queue.push(&packet(TCP, 1, 1280), at(0));
        }
        for millis in 0..90 {
            assert!(queue.pop(at(millis)).is_some());
        }
        assert_eq!(queue.dropped, 0);
    }

    #[test]
    fn a_flow_that_begins_anew_finds_room_for_its_packets() {
        let mut queue = Queue::default();
        for _ in 0..2 {
            queue.push(&packet(TCP, 1, 48), at(0));
            assert_eq!(queue.queue.spare.len(), 0, "it is in use");
            queue.drain(at(0));
            assert_eq!(queue.queue.spare.len(), 1, "it is free");
        }
        for port in 0..2 * SPARE_MAX as u16 {
            queue.push(&packet(TCP, port, 48), at(0));
        }
        for _ in 0..=SPARE_ROOM_MAX {
            queue.push(&packet(TCP, 1, 48), at(0));
        }
        queue.drain(at(0));
        assert_eq!(queue.queue.spare.len(), SPARE_MAX);
        assert!(queue.queue.spare.iter().all(|spare| spare.capacity() <= SPARE_ROOM_MAX));
    }

    #[test]
    fn an_idle_time_ends_the_drops() {
        let mut codel = Codel::default();
        let acts: Vec<_> = (0..1000).map(|millis| codel.acts(false, at(millis))).collect();
        let times: Vec<_> = (0..1000).filter(|millis| acts[*millis]).collect();
        assert_eq!(times.first(), Some(&100), "after one interval");
        let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.is_sorted_by(|earlier, later| earlier >= later), "ever faster: {gaps:?}");
        assert!(!codel.acts(true, at(1000)));
        assert!(!codel.acts(false, at(1001)), "a new interval begins");
    }

    #[test]
    fn flows_are_told_apart() {
        let id = |bytes: &[u8]| flow_id(bytes);
        let one = packet(TCP, 1, 100);
        let mut longer = packet(TCP, 1, 1280);
        longer[1] = ECN_CAPABLE;
        assert_eq!(id(&one), id(&longer), "neither length nor marks belong to a flow");
        let mut other_host = one.clone();
        other_host[39] = 1;
        let all = [one, packet(TCP, 2, 100), packet(17, 1, 100), packet(ICMP, 1, 100), other_host];
        for (at, flow) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                assert_ne!(id(flow), id(other));
            }
        }
        for len in 0..48 {
            id(&all[0][..len]);
        }
    }
}
