//! Who may start a handshake with our listeners right now.
//!
//! A handshake holds a socket, up to 64 KiB and six seconds of somebody's time, all for a stranger.
//! So there is a bound on all handshakes that run at once, and a smaller one per source, so that
//! one host that opens connections and says nothing cannot keep everybody else out. Whoever is over
//! a bound is closed at once and may come again.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Most handshakes with strangers at once, over all listeners. A handshake takes two round trips,
/// so this lets hundreds in every second.
pub const HANDSHAKES_MAX: usize = 128;

/// Most of them from one source. A household or an office behind one address never comes with more
/// at the same moment.
pub const HANDSHAKES_PER_SOURCE_MAX: usize = 16;

/// The count of running handshakes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Admission {
    running: Arc<Mutex<Running>>,
}

#[derive(Debug, Default)]
struct Running {
    total: usize,
    /// Whoever comes over a socket file is `None`: this machine as one source.
    by_source: BTreeMap<Option<IpAddr>, usize>,
}

/// The right to one handshake; dropping it makes room.
#[derive(Debug)]
pub(super) struct Ticket {
    admission: Admission,
    source: Option<IpAddr>,
}

impl Admission {
    /// Lets a handshake with `remote` begin, unless too many are running. Without an address it is
    /// somebody on this machine.
    pub(super) fn admit(&self, remote: Option<IpAddr>) -> Option<Ticket> {
        let source = remote.map(source_of);
        let mut running = self.lock();
        let from_source = running.by_source.get(&source).copied().unwrap_or(0);
        if running.total >= HANDSHAKES_MAX || from_source >= HANDSHAKES_PER_SOURCE_MAX {
            return None;
        }
        running.total += 1;
        running.by_source.insert(source, from_source + 1);
        Some(Ticket { admission: self.clone(), source })
    }

    /// Whether so many are running that whoever could have forged their address has to prove it
    /// first, lest forged ones take the places of others.
    pub(super) fn is_crowded(&self, remote: Option<IpAddr>) -> bool {
        let running = self.lock();
        let from_source = running.by_source.get(&remote.map(source_of)).copied().unwrap_or(0);
        running.total >= HANDSHAKES_MAX / 4 || from_source >= HANDSHAKES_PER_SOURCE_MAX / 4
    }

    /// The counts are right after every statement, so a panic elsewhere does not spoil them.
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut running = self.admission.lock();
        running.total -= 1;
        if let Some(count) = running.by_source.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                running.by_source.remove(&self.source);
            }
        }
    }
}

/// What counts as one source: an IPv4 address, or the /64 that an IPv6 host chooses its addresses
/// from. On the local link there is one /64 for all, and each address is a source.
fn source_of(remote: IpAddr) -> IpAddr {
    match remote {
        IpAddr::V4(_) => remote,
        IpAddr::V6(address) if address.is_unicast_link_local() => remote,
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            Ipv6Addr::from(network).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(last: u16) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, (last >> 8) as u8, last as u8]))
    }

    #[test]
    fn a_source_has_its_share_and_gets_it_back() {
        let admission = Admission::default();
        let mut tickets: Vec<_> =
            (0..HANDSHAKES_PER_SOURCE_MAX).map(|_| admission.admit(v4(1)).unwrap()).collect();
        assert!(admission.admit(v4(1)).is_none());
        assert!(admission.admit(v4(2)).is_some());
        assert!(admission.admit(None).is_some());
        tickets.pop();
        assert!(admission.admit(v4(1)).is_some());
    }

    #[test]
    fn all_sources_together_are_bounded() {
        let admission = Admission::default();
        let tickets: Vec<_> =
            (0..HANDSHAKES_MAX as u16).map(|host| admission.admit(v4(host)).unwrap()).collect();
        assert!(admission.admit(v4(999)).is_none());
        drop(tickets);
        assert!(admission.lock().by_source.is_empty());
        assert!(admission.admit(v4(999)).is_some());
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_source() {
        let source = |text: &str| source_of(text.parse().unwrap());
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_ne!(source("10.0.0.1"), source("10.0.0.2"));
        assert_ne!(source("fe80::1"), source("fe80::2"));
    }
}
