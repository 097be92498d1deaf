//! What the interfaces of this machine are plugged into, as far as the machine itself can see.
//!
//! A *network* is told apart by the router that leads out of it: the hash of its hardware address.
//! Where there is no router it is the hash of the prefixes that this machine has addresses in.
//! Nobody is asked for it: only what the system knows already is looked at. Whoever runs a network
//! can pretend to be another one, so a network's name is a hint of where the machine is, and no
//! proof.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(windows)]
mod windows;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use blake2::{Blake2b, Digest, digest::consts::U8};
#[cfg(target_os = "linux")]
use linux as system;
#[cfg(target_os = "macos")]
use macos as system;
#[cfg(windows)]
use windows as system;

/// Most interfaces that are told. A machine with more is full of containers, whose ends are all
/// alike.
pub(crate) const ATTACHMENTS_MAX: usize = 64;

/// Most link-local addresses of one interface that are told.
const LINK_LOCAL_MAX: usize = 4;

/// An interface that is up and speaks to many: not a tunnel, not the loopback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attachment {
    /// Its name, as people know it.
    pub(crate) name: String,
    /// The system's number for it.
    pub(crate) index: u32,
    /// Whether it is Wi-Fi.
    pub(crate) wireless: bool,
    /// Whether it has an IPv4 address that the whole internet can reach.
    pub(crate) public: bool,
    /// Its usable link-local addresses.
    pub(crate) link_local: Vec<Ipv6Addr>,
    /// Name of the network behind it, 16 hexadecimal digits; `None` while nothing can be seen of
    /// it.
    pub(crate) network: Option<String>,
    /// What people call the network.
    pub(crate) label: Option<String>,
}

/// Looks at all of them, ordered by name. Blocks, usually for less than a millisecond.
///
/// # Errors
/// What the system answers.
pub(crate) fn look() -> io::Result<Vec<Attachment>> {
    let mut found = system::look()?;
    found.retain(|attachment| !attachment.link_local.is_empty());
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found.truncate(ATTACHMENTS_MAX);
    Ok(found)
}

/// What an interface knows of the network behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Clues {
    /// Whether some address leads out.
    has_router: bool,
    /// Hardware address of the router.
    router: Option<Vec<u8>>,
    /// Own addresses, with the length of their prefix.
    addresses: Vec<(IpAddr, u8)>,
}

impl Clues {
    /// Puts together what was found.
    fn attachment(self, name: String, index: u32, wireless: bool) -> Attachment {
        let public = self.addresses.iter().any(|(address, _)| is_public(*address));
        let network = self.network();
        let mut link_local: Vec<_> = self
            .addresses
            .iter()
            .filter_map(|(address, _)| match address {
                IpAddr::V6(address) => address.is_unicast_link_local().then_some(*address),
                IpAddr::V4(_) => None,
            })
            .collect();
        link_local.truncate(LINK_LOCAL_MAX);
        Attachment { name, index, wireless, public, link_local, network, label: None }
    }

    /// The name of the network. While the router's hardware address is not known there is none:
    /// prefixes would make it another network for a moment.
    fn network(&self) -> Option<String> {
        if let Some(router) = &self.router {
            return Some(digest(b"router", router));
        }
        let prefixes: BTreeSet<_> =
            self.addresses.iter().filter_map(|(address, len)| prefix(*address, *len)).collect();
        if self.has_router || prefixes.is_empty() {
            return None;
        }
        let text: Vec<_> = prefixes.iter().map(|(prefix, len)| format!("{prefix}/{len}")).collect();
        Some(digest(b"prefixes", text.join(" ").as_bytes()))
    }
}

/// Eight bytes of a hash, as hexadecimal digits: short enough to be shown, and to be told apart
/// from the few networks that a person has ever said something of.
fn digest(kind: &[u8], value: &[u8]) -> String {
    let hash = Blake2b::<U8>::new_with_prefix(kind).chain_update(value).finalize();
    let mut digits = String::new();
    for byte in hash {
        // A string takes everything.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// The network part of an address that means something beyond the link. Privacy addresses come and
/// go, their prefix stays.
fn prefix(address: IpAddr, len: u8) -> Option<(IpAddr, u8)> {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(len.min(32))).unwrap_or(0);
            Some((Ipv4Addr::from(u32::from(address) & mask).into(), len))
        }
        IpAddr::V6(address) if address.is_unicast_link_local() => None,
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(len.min(128))).unwrap_or(0);
            Some((Ipv6Addr::from(u128::from(address) & mask).into(), len))
        }
    }
}

/// Whether an own address says that this is a network of strangers: IPv4 without translation. IPv6
/// addresses are global at home as well.
fn is_public(address: IpAddr) -> bool {
    let IpAddr::V4(address) = address else { return false };
    let octets = address.octets();
    let is_shared = octets[0] == 100 && octets[1] & 0xc0 == 64;
    !(address.is_private() || address.is_link_local() || address.is_loopback() || is_shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<(IpAddr, u8)> {
        let parse = |text: &&str| {
            let (address, len) = text.split_once('/').unwrap();
            (address.parse().unwrap(), len.parse().unwrap())
        };
        texts.iter().map(parse).collect()
    }

    fn named(clues: Clues) -> Option<String> {
        clues.attachment("eth0".into(), 2, false).network
    }

    #[test]
    fn a_network_is_its_router_else_its_prefixes() {
        let home = Clues {
            has_router: true,
            router: Some(vec![2, 0, 0, 0, 0, 1]),
            addresses: addresses(&["192.168.1.7/24", "fe80::1/64"]),
        };
        let name = named(home.clone()).unwrap();
        assert!(name.len() == 16 && name.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let moved = Clues { addresses: addresses(&["192.168.1.8/24"]), ..home.clone() };
        assert_eq!(named(moved), Some(name.clone()));
        let elsewhere = Clues { router: Some(vec![2, 0, 0, 0, 0, 2]), ..home.clone() };
        assert_ne!(named(elsewhere), Some(name));
        assert_eq!(named(Clues { router: None, ..home.clone() }), None, "not known yet");

        let alone = |texts: &[&str]| {
            named(Clues { has_router: false, router: None, addresses: addresses(texts) })
        };
        assert_eq!(alone(&["10.1.2.3/24", "fe80::1/64"]), alone(&["10.1.2.9/24", "fe80::2/64"]));
        assert_ne!(alone(&["10.1.2.3/24"]), alone(&["10.1.3.3/24"]));
        assert_eq!(alone(&["2001:db8::1/64"]), alone(&["2001:db8::2/64", "2001:db8::3/64"]));
        assert_eq!(alone(&["fe80::1/64"]), None);
        assert_eq!(alone(&[]), None);
    }

    #[test]
    fn only_global_ipv4_makes_a_network_public() {
        for (address, public) in [
            ("192.0.2.1/24", true),
            ("8.8.8.8/32", true),
            ("100.128.0.1/24", true),
            ("100.64.0.1/10", false),
            ("10.0.0.1/8", false),
            ("172.16.0.1/12", false),
            ("192.168.0.1/24", false),
            ("169.254.1.1/16", false),
            ("2001:db8::1/64", false),
        ] {
            let clues = Clues { addresses: addresses(&[address]), ..Clues::default() };
            assert_eq!(clues.attachment("x".into(), 1, false).public, public, "{address}");
        }
    }

    #[test]
    fn this_machine_can_be_looked_at() {
        for attachment in look().unwrap() {
            assert!(attachment.index > 0 && !attachment.link_local.is_empty(), "{attachment:?}");
        }
    }
}
