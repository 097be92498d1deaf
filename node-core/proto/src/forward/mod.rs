//! Where a packet goes next.
//!
//! [`ForwardingTable`] is a snapshot of what greedy forwarding needs. The control half makes a new
//! one whenever the tree, a link or a cost changes; the data half reads it without a lock.
//! Decisions are pure.
//!
//! Two rules go beyond the protocol and stay compatible with it. A packet for this node is
//! delivered even when its coordinates point elsewhere, and the sender is told that they are stale.
//! A packet for a direct neighbour is sent there, whatever its coordinates, with watermark zero,
//! which every node understands as "forward no further".
//!
//! Source: protocol chapters 6.2 to 6.4.

use crate::{
    identity::NodeKey,
    link::LinkId,
    wire::{Coords, distance},
};

/// Watermark of a packet that nobody has forwarded yet.
pub const WATERMARK_START: u64 = u64::MAX;

/// Watermark of a packet on its way to a direct neighbour: nobody is closer than zero, so nobody
/// forwards it further.
pub const LAST_HOP: u64 = 0;

/// A neighbour that packets may be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Its key.
    pub key: NodeKey,
    /// Its coordinates. While unknown, only packets for itself are sent to it: a neighbour that
    /// announces nothing must not attract traffic by counting as the root.
    pub coords: Option<Coords>,
    /// The best of its links.
    pub link: LinkId,
    /// Cost of that link: milliseconds of smoothed round trip, at least 1.
    pub cost: u64,
    /// Age rank of that link; earlier ones are smaller.
    pub order: u64,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardingTable {
    own: NodeKey,
    coords: Coords,
    /// Ordered by key.
    hops: Vec<Hop>,
}

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Send it over this link with this watermark.
    Forward {
        /// The link.
        link: LinkId,
        /// The packet's new watermark.
        watermark: u64,
    },
    /// It is for this node.
    Deliver {
        /// The sender does not know the present coordinates.
        stale: bool,
    },
    /// Nobody is closer; the sender should hear of it.
    Stuck,
}

impl ForwardingTable {
    /// A table for a node at `coords` with these neighbours.
    #[must_use]
    pub fn new(own: NodeKey, coords: Coords, mut hops: Vec<Hop>) -> Self {
        hops.sort_by_key(|hop| hop.key);
        Self { own, coords, hops }
    }

    /// The own coordinates, empty at the root.
    #[must_use]
    pub const fn coords(&self) -> &Coords {
        &self.coords
    }

    /// The neighbours, ordered by key.
    #[must_use]
    pub fn hops(&self) -> &[Hop] {
        &self.hops
    }

    /// The link to a direct neighbour.
    #[must_use]
    pub fn direct(&self, key: &NodeKey) -> Option<LinkId> {
        let at = self.hops.binary_search_by(|hop| hop.key.cmp(key)).ok()?;
        Some(self.hops[at].link)
    }

    /// Decides on a packet for `dest` at `path`.
    #[must_use]
    pub fn decide(&self, dest: &NodeKey, path: &[u64], watermark: u64) -> Decision {
        if *dest == self.own {
            // Watermark zero is a neighbour's word that it looked at the key and not at the path.
            let by_path = watermark != LAST_HOP;
            return Decision::Deliver { stale: by_path && path != self.coords.ports() };
        }
        if let Some(link) = self.direct(dest) {
            return Decision::Forward { link, watermark: LAST_HOP };
        }
        self.next_hop(path, watermark)
            .map_or(Decision::Stuck, |(link, watermark)| Decision::Forward { link, watermark })
    }

    /// The greedy step of chapter 6.3: the link and the new watermark, or `None` when nobody is
    /// closer. O(neighbours × depth), no allocation.
    #[must_use]
    pub fn next_hop(&self, path: &[u64], watermark: u64) -> Option<(LinkId, u64)> {
        let own = distance(path, self.coords.ports());
        if own >= watermark {
            return None;
        }
        self.hops
            .iter()
            .filter_map(|hop| {
                let far = distance(path, hop.coords.as_ref()?.ports());
                (far < own).then_some((hop, far))
            })
            .min_by_key(|(hop, far)| (hop.cost.saturating_mul(*far), *far, hop.cost, hop.order))
            .map(|(hop, _)| (hop.link, own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(id: u8, ports: &[u64], cost: u64) -> Hop {
        Hop {
            key: NodeKey::from_bytes([id; 32]),
            coords: Some(Coords::from(ports.to_vec())),
            link: LinkId(id.into()),
            cost,
            order: id.into(),
        }
    }

    fn table(coords: &[u64], hops: Vec<Hop>) -> ForwardingTable {
        ForwardingTable::new(NodeKey::from_bytes([0; 32]), Coords::from(coords.to_vec()), hops)
    }

    #[test]
    fn each_hop_is_closer_and_cost_times_distance_decides() {
        let table = table(&[1], vec![hop(1, &[], 10), hop(2, &[1, 7], 10), hop(3, &[2, 9], 1)]);
        // Distances to [2, 9, 4]: own 4, root 3, child 5, shortcut 1.
        assert_eq!(table.next_hop(&[2, 9, 4], u64::MAX), Some((LinkId(3), 4)));
        assert_eq!(table.next_hop(&[1, 7, 1], u64::MAX), Some((LinkId(2), 2)));
        assert_eq!(table.next_hop(&[3], u64::MAX), Some((LinkId(1), 2)));
        // Nobody is closer to a place below the own one that no child has.
        assert_eq!(table.next_hop(&[1, 8], u64::MAX), None);
    }

    #[test]
    fn the_watermark_stops_packets_that_come_no_closer() {
        let table = table(&[1], vec![hop(1, &[], 10)]);
        assert_eq!(table.next_hop(&[3], 3), Some((LinkId(1), 2)));
        assert_eq!(table.next_hop(&[3], 2), None);
    }

    #[test]
    fn equal_products_fall_to_distance_then_cost_then_age() {
        // Both products are 0 at the destination itself; the cheaper one wins, then the older.
        let table =
            table(&[1], vec![hop(1, &[2], 9), hop(2, &[2], 4), hop(3, &[2], 4), hop(4, &[], 1)]);
        assert_eq!(table.next_hop(&[2], u64::MAX), Some((LinkId(2), 2)));
    }

    #[test]
    fn direct_neighbours_and_the_node_itself_come_before_coordinates() {
        let table = table(&[1], vec![hop(1, &[], 10), hop(2, &[5], 10)]);
        let dest = |id| NodeKey::from_bytes([id; 32]);
        let direct = Decision::Forward { link: LinkId(2), watermark: 0 };
        assert_eq!(table.decide(&dest(2), &[9, 9], 1), direct);
        assert_eq!(table.decide(&dest(0), &[9], 1), Decision::Deliver { stale: true });
        assert_eq!(table.decide(&dest(0), &[1], 1), Decision::Deliver { stale: false });
        assert_eq!(table.decide(&dest(0), &[9], 0), Decision::Deliver { stale: false });
        assert_eq!(table.decide(&dest(9), &[1, 1], 9), Decision::Stuck);
    }
}
