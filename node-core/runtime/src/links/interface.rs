//! Network interfaces of this machine, as far as links need them: number, addresses, which of these
//! to speak from, and whether they have changed.
//!
//! Source: protocol chapter 2.2, "Source interface".

use std::{collections::BTreeSet, io, net::IpAddr};

use if_addrs::{IfOperStatus, Interface as Entry, get_if_addrs};
use thiserror::Error;

use super::dial::is_overlay;

/// An interface that exists and is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    /// The system's number for it, which is also the scope of its link-local addresses.
    pub(super) index: u32,
    /// Its addresses, in the system's order.
    pub(super) addresses: Vec<IpAddr>,
}

/// Why an interface cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InterfaceError {
    /// There is none of that name, or it has no address.
    #[error("there is no network interface {0} with an address")]
    Missing(String),
    /// It is down.
    #[error("the network interface {0} is down")]
    Down(String),
    /// The system does not say.
    #[error("the network interfaces cannot be listed")]
    System(#[source] io::Error),
}

impl Interface {
    /// Looks an interface up by its name, or by its number where people write that (zones on
    /// Windows).
    pub(super) fn find(name: &str) -> Result<Self, InterfaceError> {
        Self::among(get_if_addrs().map_err(InterfaceError::System)?, name)
    }

    fn among(entries: Vec<Entry>, name: &str) -> Result<Self, InterfaceError> {
        let number: Option<u32> = name.parse().ok();
        let named = |entry: &Entry| entry.name == name || number.is_some() && entry.index == number;
        let entries: Vec<Entry> = entries.into_iter().filter(named).collect();
        let missing = || InterfaceError::Missing(name.to_owned());
        let first = entries.first().ok_or_else(missing)?;
        if !is_up(first) {
            return Err(InterfaceError::Down(name.to_owned()));
        }
        let index = entries.iter().find_map(|entry| entry.index).ok_or_else(missing)?;
        Ok(Self { index, addresses: entries.iter().map(Entry::ip).collect() })
    }

    /// The address to speak from to `destination`: the first of the same family and scope class.
    pub(super) fn source_for(&self, destination: IpAddr) -> Option<IpAddr> {
        let wanted = scope(destination)?;
        self.addresses.iter().copied().find(|address| {
            address.is_ipv4() == destination.is_ipv4() && scope(*address) == Some(wanted)
        })
    }
}

/// Addresses under which this machine speaks to others, with their interfaces. Those of the overlay
/// do not count: they live upon the others.
///
/// # Errors
/// What the system answers.
pub(crate) fn outside_addresses() -> io::Result<BTreeSet<(String, IpAddr)>> {
    let entries = get_if_addrs()?.into_iter();
    let outside =
        entries.filter(|entry| is_up(entry) && !entry.is_loopback() && !is_overlay(entry.ip()));
    Ok(outside.map(|entry| (entry.name.clone(), entry.ip())).collect())
}

/// Tunnels report "unknown"; they carry traffic all the same.
fn is_up(entry: &Entry) -> bool {
    matches!(entry.oper_status, IfOperStatus::Up | IfOperStatus::Unknown)
}

/// How far an address reaches. Loopback, multicast and unspecified addresses are of no class.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    LinkLocal,
    Global,
}

fn scope(address: IpAddr) -> Option<Scope> {
    if address.is_unspecified() || address.is_loopback() || address.is_multicast() {
        None
    } else if is_link_local(address) {
        Some(Scope::LinkLocal)
    } else {
        Some(Scope::Global)
    }
}

/// Whether an address means something on one link only.
pub(super) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use if_addrs::{IfAddr, Ifv6Addr};

    use super::*;

    fn entry(name: &str, address: &str, oper_status: IfOperStatus) -> Entry {
        let ip = address.parse().unwrap();
        let addr = Ifv6Addr { ip, netmask: ip, prefixlen: 64, broadcast: None };
        Entry {
            name: name.into(),
            addr: IfAddr::V6(addr),
            index: Some(7),
            oper_status,
            is_p2p: false,
            #[cfg(windows)]
            adapter_name: String::new(),
        }
    }

    #[test]
    fn an_interface_is_found_by_name_and_by_number() {
        let entries = || {
            vec![
                entry("eth0", "2001:db8::1", IfOperStatus::Up),
                entry("eth0", "fe80::1", IfOperStatus::Up),
            ]
        };
        for name in ["eth0", "7"] {
            let found = Interface::among(entries(), name).unwrap();
            assert_eq!((found.index, found.addresses.len()), (7, 2), "{name}");
        }
        assert!(matches!(Interface::among(entries(), "eth1"), Err(InterfaceError::Missing(_))));
        assert!(matches!(Interface::among(entries(), "8"), Err(InterfaceError::Missing(_))));
        let down = vec![entry("eth0", "fe80::1", IfOperStatus::Down)];
        assert!(matches!(Interface::among(down, "eth0"), Err(InterfaceError::Down(_))));
    }

    #[test]
    fn the_loopback_interface_of_this_machine_is_found() {
        let names: Vec<_> =
            get_if_addrs().unwrap().into_iter().filter(Entry::is_loopback).collect();
        let Some(first) = names.first() else {
            // Wine lists none.
            return assert!(std::env::var_os("PLANETARY_WINE").is_some());
        };
        let found = Interface::find(&first.name).unwrap();
        assert!(found.addresses.iter().any(IpAddr::is_loopback));
        assert!(found.index > 0);
    }

    #[test]
    fn loopback_is_not_outside() {
        assert!(outside_addresses().unwrap().iter().all(|(_, address)| !address.is_loopback()));
    }

    #[test]
    fn the_source_has_the_family_and_scope_of_the_destination() {
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        let addresses =
            ["127.0.0.1", "::1", "fe80::5", "2001:db8::5", "169.254.0.5", "10.0.0.5", "10.0.0.6"];
        let interface = Interface { index: 1, addresses: addresses.map(parse).into() };
        let cases = [
            ("198.51.100.1", Some("10.0.0.5")),
            ("169.254.9.9", Some("169.254.0.5")),
            ("2001:db8::99", Some("2001:db8::5")),
            ("fe80::99", Some("fe80::5")),
            ("127.0.0.1", None),
        ];
        for (destination, source) in cases {
            assert_eq!(
                interface.source_for(parse(destination)),
                source.map(parse),
                "{destination}"
            );
        }
        let bare = Interface { index: 1, addresses: Vec::new() };
        assert_eq!(bare.source_for(parse("198.51.100.1")), None);
    }
}
