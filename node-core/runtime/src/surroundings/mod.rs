//! The network of this machine around the node: which interfaces there are, which of them have
//! addresses of the overlay, and where the system would send packets to it.
//!
//! One look gives plain values that say what the system said; what they mean is judged elsewhere. A
//! look changes nothing, needs no right, and blocks the thread: usually for less than a
//! millisecond, at most for as long as the system takes to answer, so the caller looks on a thread
//! of its own and with a deadline.
//!
//! Linux tells everything, over netlink. Elsewhere interfaces and their addresses are known, and
//! routes are not asked for.

pub(crate) mod attachments;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

use std::{io, net::Ipv6Addr};

#[cfg(not(target_os = "linux"))]
use elsewhere as system;
#[cfg(target_os = "linux")]
use linux as system;

/// Most interfaces that are told. A machine full of containers has some hundred; what is beyond is
/// left out.
pub const INTERFACES_MAX: usize = 4_096;

/// Most addresses and most routes of the overlay's range that are told.
pub const FINDINGS_MAX: usize = 64;

/// Addresses whose way is asked for: the first and last quarters of both halves of `200::/7`,
/// which belong to nobody in particular.
pub const PROBES: [Ipv6Addr; 4] = [
    Ipv6Addr::new(0x200, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0x2ff, 0xffff, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0x300, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0x3ff, 0xffff, 0, 0, 0, 0, 0, 1),
];

/// What the system said at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The interfaces.
    pub interfaces: Vec<Interface>,
    /// Where the overlay's addresses lead; `None` where the system is not asked.
    pub routing: Option<Routing>,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Whether it is switched on; `None` where the system does not say.
    pub up: Option<bool>,
    /// Largest packet in bytes; `None` where the system does not say.
    pub mtu: Option<u32>,
    /// Whether it leads nowhere but to this machine.
    pub loopback: bool,
    /// Its addresses inside `200::/7`, each with the length of its prefix.
    pub overlay_addresses: Vec<(Ipv6Addr, u8)>,
}

/// Where the system sends packets to the overlay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routing {
    /// Where a packet to each of [`PROBES`] would go.
    pub ways: Vec<Way>,
    /// Routes of the main table to `200::/7` or a part of it.
    pub inside: Vec<Route>,
}

/// Where a packet would go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Out through the interface of this name.
    Interface(String),
    /// Nowhere: there is no route, or one that refuses.
    Nowhere,
}

/// A route into the overlay's range.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The range, as an address.
    pub prefix: Ipv6Addr,
    /// How many leading bits of it count, 7 to 128.
    pub prefix_len: u8,
    /// Where packets to the range go.
    pub way: Way,
}

impl Surroundings {
    /// Asks the system. Blocks.
    ///
    /// # Errors
    /// What the system answers.
    pub fn look() -> io::Result<Self> {
        system::look()
    }

    /// The interface of this name.
    #[must_use]
    pub fn interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.name == name)
    }
}

/// Whether an address lies in the overlay, `200::/7`.
const fn is_overlay(address: Ipv6Addr) -> bool {
    address.octets()[0] & 0xfe == 0x02
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_addresses_of_the_overlay() {
        assert!(PROBES.into_iter().all(is_overlay));
        assert!(!is_overlay("400::1".parse().unwrap()) && !is_overlay("1ff::".parse().unwrap()));
    }

    #[test]
    fn a_look_finds_the_loopback_interface() {
        let seen = Surroundings::look().unwrap();
        let found = seen.interfaces.iter().any(|interface| interface.loopback);
        // Wine lists none.
        assert!(found || std::env::var_os("PLANETARY_WINE").is_some());
    }
}
