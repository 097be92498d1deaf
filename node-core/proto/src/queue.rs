//! The bounded fair queue of packets in transit (chapter 3.5).
//!
//! Packets leave in the order they came; fairness comes from what is dropped. When the queue is
//! over its bound, the destination with the most bytes loses the oldest packet of its largest
//! sender that is not smaller than most of them, so a flood pushes out itself and nobody else: not
//! the ping either that two nodes send beside it, which nobody on the way can tell from it but by
//! its size.

use std::collections::{BTreeMap, VecDeque};

use crate::{identity::NodeKey, limits::FRAME_LEN_MAX};

/// One (destination, source) pair.
struct Flow<T> {
    items: VecDeque<(u64, usize, T)>,
    bytes: usize,
}

/// One destination.
struct Group<T> {
    flows: BTreeMap<NodeKey, Flow<T>>,
    bytes: usize,
}

/// See the module. `T` is a frame, or whatever stands for one.
pub struct FairQueue<T> {
    groups: BTreeMap<NodeKey, Group<T>>,
    /// Flows by the age of their oldest packet.
    heads: BTreeMap<u64, (NodeKey, NodeKey)>,
    next: u64,
    bytes: usize,
    packets: usize,
    bytes_max: usize,
}

impl<T> Default for FairQueue<T> {
    /// A queue bounded by one message of the largest size, as the network has it.
    fn default() -> Self {
        Self::with_bound(FRAME_LEN_MAX)
    }
}

impl<T> FairQueue<T> {
    /// A queue of at most `bytes_max` bytes.
    #[must_use]
    pub const fn with_bound(bytes_max: usize) -> Self {
        Self {
            groups: BTreeMap::new(),
            heads: BTreeMap::new(),
            next: 0,
            bytes: 0,
            packets: 0,
            bytes_max,
        }
    }

    /// Bytes in the queue.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Length of a packet, on average of those that wait; 0 when none does.
    #[must_use]
    pub fn mean_len(&self) -> usize {
        self.bytes.checked_div(self.packets).unwrap_or(0)
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Puts a packet of `len` bytes at the end of its flow, and takes out what is then over the
    /// bound.
    pub fn push(&mut self, source: NodeKey, dest: NodeKey, len: usize, item: T) -> Vec<T> {
        let number = self.next;
        self.next += 1;
        let group =
            self.groups.entry(dest).or_insert_with(|| Group { flows: BTreeMap::new(), bytes: 0 });
        let flow =
            group.flows.entry(source).or_insert_with(|| Flow { items: VecDeque::new(), bytes: 0 });
        if flow.items.is_empty() {
            self.heads.insert(number, (dest, source));
        }
        flow.items.push_back((number, len, item));
        flow.bytes += len;
        group.bytes += len;
        self.bytes += len;
        self.packets += 1;

        let mut dropped = Vec::new();
        while self.bytes > self.bytes_max {
            let Some((dest, source)) = self.largest() else { break };
            dropped.extend(self.shed(&dest, &source));
        }
        dropped
    }

    /// Takes the oldest packet.
    pub fn pop(&mut self) -> Option<T> {
        let (_, (dest, source)) = self.heads.first_key_value()?;
        let (dest, source) = (*dest, *source);
        self.take(&dest, &source, 0)
    }

    fn largest(&self) -> Option<(NodeKey, NodeKey)> {
        let (dest, group) = self.groups.iter().max_by_key(|(_, group)| group.bytes)?;
        let (source, _) = group.flows.iter().max_by_key(|(_, flow)| flow.bytes)?;
        Some((*dest, *source))
    }

    /// Takes the oldest packet of a flow that is as large as most of them.
    fn shed(&mut self, dest: &NodeKey, source: &NodeKey) -> Option<T> {
        let flow = self.groups.get(dest)?.flows.get(source)?;
        let mean = flow.bytes.checked_div(flow.items.len())?;
        let at = flow.items.iter().position(|(_, len, _)| *len >= mean)?;
        self.take(dest, source, at)
    }

    /// Takes the packet of a flow that has this many older ones.
    fn take(&mut self, dest: &NodeKey, source: &NodeKey, at: usize) -> Option<T> {
        let group = self.groups.get_mut(dest)?;
        let flow = group.flows.get_mut(source)?;
        let (number, len, item) = flow.items.remove(at)?;
        flow.bytes -= len;
        group.bytes -= len;
        self.bytes -= len;
        self.packets -= 1;
        if at > 0 {
            return Some(item);
        }
        self.heads.remove(&number);
        if let Some((number, ..)) = flow.items.front() {
            self.heads.insert(*number, (*dest, *source));
        } else {
            group.flows.remove(source);
            if group.flows.is_empty() {
                self.groups.remove(dest);
            }
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn key(id: u8) -> NodeKey {
        NodeKey::from_bytes([id; 32])
    }

    #[test]
    fn a_flood_pushes_out_its_own_oldest_packets() {
        let mut queue = FairQueue::with_bound(1000);
        assert!(queue.push(key(1), key(9), 100, "other").is_empty());
        for _ in 0..9 {
            assert!(queue.push(key(2), key(8), 100, "flood").is_empty());
        }
        assert_eq!(queue.push(key(2), key(8), 100, "flood"), ["flood"]);
        assert_eq!(queue.push(key(3), key(9), 100, "third"), ["flood"]);
        assert_eq!(queue.pop(), Some("other"));
    }

    #[test]
    fn small_packets_of_a_flood_stay() {
        let mut queue = FairQueue::with_bound(1000);
        assert!(queue.push(key(1), key(9), 10, "ping").is_empty());
        for _ in 0..3 {
            assert!(queue.push(key(1), key(9), 300, "bulk").is_empty());
        }
        assert_eq!(queue.push(key(1), key(9), 300, "bulk"), ["bulk"]);
        assert_eq!((queue.bytes(), queue.mean_len()), (910, 227));
        assert_eq!(queue.pop(), Some("ping"));
        assert_eq!(std::iter::from_fn(|| queue.pop()).count(), 3);
        assert_eq!((queue.bytes(), queue.mean_len()), (0, 0));
    }

    #[test]
    fn a_packet_larger_than_the_bound_does_not_stay() {
        let mut queue = FairQueue::with_bound(10);
        assert_eq!(queue.push(key(1), key(2), 11, ()), [()]);
        assert!(queue.is_empty() && queue.bytes() == 0);
    }

    proptest::proptest! {
        #[test]
        fn bounds_hold_and_what_stays_leaves_in_order(
            packets in proptest::collection::vec((0_u8..4, 0_u8..4, 1_usize..400), 0..80)
        ) {
            let mut queue = FairQueue::with_bound(1500);
            let mut left = BTreeMap::new();
            for (number, (source, dest, len)) in packets.into_iter().enumerate() {
                left.insert(number, len);
                for dropped in queue.push(key(source), key(dest), len, number) {
                    left.remove(&dropped);
                }
                proptest::prop_assert!(queue.bytes() <= 1500);
                proptest::prop_assert_eq!(queue.bytes(), left.values().sum::<usize>());
            }
            let mut out = Vec::new();
            while let Some(number) = queue.pop() {
                out.push(number);
            }
            proptest::prop_assert_eq!(out, left.into_keys().collect::<Vec<_>>());
        }
    }
}
