//! The exchange of Bloom filters with neighbours (chapter 5.3).
//!
//! A filter tells a neighbour which keys are reachable through this node, not counting what came
//! from that neighbour. Bits that appear are sent at once, bits that vanish a little later and in
//! one go, because a superfluous bit costs a few packets and a missing one hides a node.

use std::collections::BTreeMap;

use super::{BloomFilter, BloomPositions};
use crate::{
    identity::NodeKey,
    limits::{FILTER_RESEND, FILTER_SEND_RATE, FILTER_SHRINK_DELAY},
    link::LinkId,
    outbox::Outbox,
    rate::RateLimiter,
    time::Instant,
    tree::Tree,
};

/// The filters of one neighbour.
struct Exchange {
    received: BloomFilter,
    sent: BloomFilter,
    on_tree: bool,
    sent_at: Instant,
    /// When a filter that could not be sent at once is due.
    due: Option<Instant>,
    sending: RateLimiter,
}

/// See the module.
pub(crate) struct Filters {
    own: BloomPositions,
    exchanges: BTreeMap<NodeKey, Exchange>,
    dirty: bool,
}

impl Filters {
    pub(crate) fn new(own: &NodeKey) -> Self {
        let own = BloomPositions::of(&own.transform());
        Self { own, exchanges: BTreeMap::new(), dirty: false }
    }

    /// A link is up: the neighbour hears what it was told last (chapter 3.6).
    pub(crate) fn link_up(&mut self, key: NodeKey, link: LinkId, now: Instant, out: &mut Outbox) {
        let exchange = self.exchanges.entry(key).or_insert_with(|| Exchange {
            received: BloomFilter::default(),
            sent: BloomFilter::default(),
            on_tree: false,
            sent_at: now,
            due: None,
            sending: RateLimiter::new(FILTER_SEND_RATE, now),
        });
        out.direct(link, exchange.sent.emit());
        self.dirty = true;
    }

    /// A link is gone. The remaining links of the neighbour carry the filter again, in case it was
    /// lost with this one.
    pub(crate) fn link_down(&mut self, key: &NodeKey, last: bool, tree: &Tree, out: &mut Outbox) {
        self.dirty = true;
        if last {
            self.exchanges.remove(key);
        } else if let Some(exchange) = self.exchanges.get(key) {
            send(key, &exchange.sent, tree, out);
        }
    }

    /// Takes a neighbour's filter. Returns whether lookups may find more than before.
    pub(crate) fn receive(&mut self, key: &NodeKey, filter: BloomFilter) -> bool {
        let Some(exchange) = self.exchanges.get_mut(key) else { return false };
        if exchange.received == filter {
            return false;
        }
        let more = !exchange.received.covers(&filter);
        exchange.received = filter;
        self.dirty = true;
        more
    }

    /// The neighbours that a lookup goes to (chapter 5.4).
    pub(crate) fn towards<'a>(
        &'a self,
        target: &'a BloomPositions,
        except: &'a NodeKey,
    ) -> impl Iterator<Item = &'a NodeKey> {
        self.exchanges
            .iter()
            .filter(move |(key, exchange)| {
                *key != except && exchange.on_tree && exchange.received.contains(target)
            })
            .map(|(key, _)| key)
    }

    pub(crate) const fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// When a filter is due without any input.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let on_tree = self.exchanges.values().filter(|exchange| exchange.on_tree);
        on_tree.map(|exchange| exchange.due.unwrap_or(exchange.sent_at + FILTER_RESEND)).min()
    }

    /// Looks at the tree and sends what neighbours should know. Returns whether lookups may find
    /// more than before.
    pub(crate) fn maintain(&mut self, tree: &Tree, now: Instant, out: &mut Outbox) -> bool {
        self.dirty = false;
        let mut joined = false;
        for (key, exchange) in &mut self.exchanges {
            let on_tree = tree.is_on_tree(key);
            joined |= on_tree && !exchange.on_tree;
            if exchange.on_tree && !on_tree {
                exchange.sent = BloomFilter::default();
                exchange.due = None;
                send(key, &exchange.sent, tree, out);
            }
            exchange.on_tree = on_tree;
        }
        let wanted = self.wanted();
        let on_tree = self.exchanges.iter_mut().filter(|(_, exchange)| exchange.on_tree);
        for ((key, exchange), wanted) in on_tree.zip(wanted) {
            if let Some(filter) = exchange.next(wanted, now) {
                exchange.sent = filter;
                exchange.sent_at = now;
                send(key, &exchange.sent, tree, out);
            }
        }
        joined
    }

    /// What each neighbour on the tree should be told, in order: the own key and all that came from
    /// the *other* ones.
    fn wanted(&self) -> Vec<BloomFilter> {
        let received: Vec<&BloomFilter> = self
            .exchanges
            .values()
            .filter(|exchange| exchange.on_tree)
            .map(|exchange| &exchange.received)
            .collect();
        let mut before = BloomFilter::default();
        before.insert(&self.own);
        let mut wanted = Vec::with_capacity(received.len());
        for filter in &received {
            wanted.push(before.clone());
            before.union(filter);
        }
        let mut after = BloomFilter::default();
        for (wanted, filter) in wanted.iter_mut().zip(&received).rev() {
            wanted.union(&after);
            after.union(filter);
        }
        wanted
    }
}

impl Exchange {
    /// The filter to send now, if any; else sets when to ask again.
    fn next(&mut self, wanted: BloomFilter, now: Instant) -> Option<BloomFilter> {
        if wanted == self.sent {
            self.due = None;
            return (now >= self.sent_at + FILTER_RESEND).then_some(wanted);
        }
        let grows = !self.sent.covers(&wanted);
        let due = *self.due.get_or_insert(if grows { now } else { now + FILTER_SHRINK_DELAY });
        if !grows && now < due {
            return None;
        }
        if !self.sending.allow(now) {
            self.due = Some(self.sending.ready_at(now));
            return None;
        }
        let shrinks = !wanted.covers(&self.sent);
        if grows && shrinks {
            // What vanished goes later; it may be on its way back.
            let mut both = wanted;
            both.union(&self.sent);
            self.due = Some(now + FILTER_SHRINK_DELAY);
            return Some(both);
        }
        self.due = None;
        Some(wanted)
    }
}

fn send(key: &NodeKey, filter: &BloomFilter, tree: &Tree, out: &mut Outbox) {
    let Some(neighbour) = tree.neighbours().get(key) else { return };
    let frame = filter.emit();
    for link in neighbour.links.keys() {
        out.direct(*link, frame.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_that_grow_are_sent_at_their_rate() {
        let now = Instant::START;
        let mut exchange = Exchange {
            received: BloomFilter::default(),
            sent: BloomFilter::default(),
            on_tree: true,
            sent_at: now,
            due: None,
            sending: RateLimiter::new(FILTER_SEND_RATE, now),
        };
        let mut wanted = BloomFilter::default();
        let mut count = 0;
        for number in 0..FILTER_SEND_RATE.burst as u8 + 3 {
            let key = NodeKey::from_bytes([number; 32]);
            wanted.insert(&BloomPositions::of(&key.transform()));
            if let Some(filter) = exchange.next(wanted.clone(), now) {
                exchange.sent = filter;
                count += 1;
            }
        }
        assert_eq!(count, FILTER_SEND_RATE.burst);
        let due = exchange.due.expect("the rest is owed");
        assert!(due > now);
        assert_eq!(exchange.next(wanted.clone(), due), Some(wanted));
    }
}
