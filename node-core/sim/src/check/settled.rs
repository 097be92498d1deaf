//! Whether the nodes of a world agree on what the reference model predicts.

use std::collections::BTreeMap;

use planetary_proto::NodeKey;
use thiserror::Error;

use crate::{HostId, World, model::Model};

/// What is missing for a world to be settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unsettled {
    /// A node takes another key for the root than it should.
    #[error("host {} takes {seen:?} for the root instead of {expected:?}", host.0)]
    Root {
        /// The node.
        host: HostId,
        /// Its root.
        seen: NodeKey,
        /// The lowest key of its component.
        expected: NodeKey,
    },
    /// A node does not know where it is.
    #[error("host {} has no coordinates", .0.0)]
    Lost(HostId),
    /// Two nodes of one tree are at the same place.
    #[error("hosts {} and {} have the same coordinates", .0.0, .1.0)]
    Twins(HostId, HostId),
}

/// Checks that every honest node takes the lowest key that it is connected to for the root, and
/// knows its own coordinates, which nobody else in its tree has.
///
/// # Errors
/// The first node that does not.
pub fn settled(world: &World) -> Result<(), Unsettled> {
    let model = Model::of(world);
    let mut places = BTreeMap::new();
    for host in world.host_ids() {
        let Some(node) = world.node(host).filter(|_| !world.is_rogue(host)) else { continue };
        let (seen, expected) = (node.root(), model.root(host));
        if seen != expected {
            return Err(Unsettled::Root { host, seen, expected });
        }
        let coords = node.coords_of(&node.key()).ok_or(Unsettled::Lost(host))?;
        if let Some(other) = places.insert((expected, coords), host) {
            return Err(Unsettled::Twins(other, host));
        }
    }
    Ok(())
}

/// Pairs of neighbours of which the first believes the second to be at other coordinates than it
/// is. None in a world at rest.
#[must_use]
pub fn quarrels(world: &World) -> Vec<(HostId, HostId)> {
    let mut quarrels = Vec::new();
    for host in world.host_ids() {
        let Some(table) = world.host(host).table() else { continue };
        for end in world.host(host).ends().values() {
            let believed = table.hops().iter().find(|hop| hop.key == end.key);
            let Some(believed) = believed.and_then(|hop| hop.coords.as_ref()) else { continue };
            let is = world.host(end.peer).table().map(planetary_proto::ForwardingTable::coords);
            if is != Some(believed) {
                quarrels.push((host, end.peer));
            }
        }
    }
    quarrels
}
