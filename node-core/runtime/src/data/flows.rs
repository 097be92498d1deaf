//! The queue at the source: packets of this machine that wait for a link, unsealed, flow by flow.
//!
//! Each inner flow has a queue of its own, served in turn by bytes; a flow that was idle goes
//! first, so a ping passes a bulk transfer. In each flow CoDel keeps the waiting time near 5 ms by
//! marking (ECN) or dropping at the head. Packets are sealed when they leave, so nothing that is
//! dropped here costs a nonce or a cipher.
//!
//! Source: RFC 8289 and RFC 8290, with packets of up to 64 KiB in mind.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use planetary_proto::time::{Duration, Instant};

use super::{buffers::Packet, sessions::Session};

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

/// A packet that waits, with all that is needed to seal and route it.
pub(crate) struct Waiting {
    pub(crate) packet: Packet,
    pub(crate) session: Arc<Session>,
    pub(crate) watermark: u64,
    pub(crate) since: Instant,
}

/// See the module.
#[derive(Default)]
pub(crate) struct SourceQueue {
    flows: HashMap<u64, Flow>,
    /// Flows that were idle, in the order they came.
    fresh: VecDeque<u64>,
    /// Flows that have used up a turn.
    served: VecDeque<u64>,
    bytes: usize,
    packets: usize,
}

#[derive(Default)]
struct Flow {
    packets: VecDeque<Waiting>,
    bytes: usize,
    deficit: i64,
    codel: Codel,
}

impl SourceQueue {
    /// Puts a packet at the end of its flow. Returns how many packets were dropped for it.
    pub(crate) fn push(&mut self, waiting: Waiting) -> u64 {
        let id = flow_id(waiting.packet.bytes());
        let len = waiting.packet.len;
        let flow = self.flows.entry(id).or_insert_with(|| {
            self.fresh.push_back(id);
            Flow { deficit: QUANTUM, ..Flow::default() }
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
    pub(crate) fn pop(&mut self, now: Instant, dropped: &mut u64) -> Option<Waiting> {
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
                    self.flows.remove(&id);
                }
            }
        }
    }
}

impl Flow {
    fn pop(&mut self) -> Option<Waiting> {
        let waiting = self.packets.pop_front()?;
        self.bytes -= waiting.packet.len;
        Some(waiting)
    }

    /// The next packet that CoDel lets through.
    fn next(&mut self, now: Instant, dropped: &mut u64) -> Option<Waiting> {
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
