//! The reference model: what a world should come to, known from nothing but who is switched on and
//! which cables are whole.
//!
//! It has no messages, no time and no state; a node that agrees with it after every change is
//! right, however it got there.

use planetary_proto::NodeKey;

use crate::{HostId, World};

/// The connected components of a world.
pub struct Model {
    /// The component of each host, named by one of its members.
    component: Vec<usize>,
    /// The lowest key of each component, under that name.
    lowest: Vec<NodeKey>,
}

impl Model {
    /// What `world` should come to.
    #[must_use]
    pub fn of(world: &World) -> Self {
        let mut component: Vec<usize> = (0..world.host_count()).collect();
        for (a, b) in world.whole_cables() {
            let (a, b) = (name_of(&component, a.0), name_of(&component, b.0));
            component[a.max(b)] = a.min(b);
        }
        for host in 0..component.len() {
            component[host] = name_of(&component, host);
        }
        let mut lowest: Vec<NodeKey> = world.host_ids().map(|host| world.key(host)).collect();
        for host in world.host_ids().filter(|host| world.is_up(*host)) {
            let name = component[host.0];
            lowest[name] = lowest[name].min(world.key(host));
        }
        Self { component, lowest }
    }

    /// The key that a host should take for the root.
    #[must_use]
    pub fn root(&self, host: HostId) -> NodeKey {
        self.lowest[self.component[host.0]]
    }

    /// Whether two hosts should reach each other.
    #[must_use]
    pub fn connected(&self, a: HostId, b: HostId) -> bool {
        self.component[a.0] == self.component[b.0]
    }
}

/// The name of a host's component while they are being joined.
fn name_of(component: &[usize], mut host: usize) -> usize {
    while component[host] != host {
        host = component[host];
    }
    host
}
