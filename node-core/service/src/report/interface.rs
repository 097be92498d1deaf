//! The interface as the system has it: there, up, with its address and its route, and alone in the
//! network's range.
//!
//! The first thing that is wrong is told, not what follows from it: an interface that is down has
//! no route either.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use planetary_ipc::Severity;
use planetary_runtime::surroundings::{Interface, Route, Surroundings, Way};

use super::conditions::first_of;
use super::{Facts, OVERLAY};
use crate::health::Condition;

/// How an interface that lost something gets it back.
const REOPEN: &str = "Run `planetary down` and `planetary up`.";

/// Length of the network's own prefix.
const RANGE_LEN: u8 = 7;

/// Longest prefix with which a node of this network takes part in it; a longer one is a subnet that
/// somebody uses.
const NODE_PREFIX_LEN_MAX: u8 = 8;

/// The own interface among those of the system.
struct Own<'a> {
    name: &'a str,
    mtu: u16,
    address: Ipv6Addr,
    seen: &'a Surroundings,
}

/// What others have of the network's range.
#[derive(Debug, Default, PartialEq, Eq)]
struct Clash<'a> {
    /// Interfaces with an address, and the shortest of its prefixes.
    interfaces: Vec<(&'a str, Ipv6Addr, u8)>,
    /// Routes that lead elsewhere, without those that come with the addresses.
    routes: Vec<&'a Route>,
    /// Whether traffic is lost to them.
    takes_traffic: bool,
}

/// The interface, while it should be there and the system has told.
fn own(facts: &Facts) -> Option<Own<'_>> {
    let snapshot = facts.snapshot.as_ref()?;
    let (name, mtu) = facts.tun.as_ref().filter(|_| snapshot.tun_lost.is_none())?;
    let seen = facts.survey.network.known()?;
    let address = facts.key?.address().to_ipv6();
    Some(Own { name, mtu: *mtu, address, seen })
}

impl Own<'_> {
    fn interface(&self) -> Option<&Interface> {
        self.seen.interface(self.name)
    }

    fn has_address(&self) -> bool {
        let has = |interface: &Interface| {
            interface.overlay_addresses.iter().any(|(address, _)| *address == self.address)
        };
        self.interface().is_some_and(has)
    }

    /// Whether it is what it was made to be, but for its MTU and where packets go.
    fn is_whole(&self) -> bool {
        self.interface().is_some_and(|found| found.up != Some(false)) && self.has_address()
    }
}

pub(super) fn interface_changed(facts: &Facts) -> Option<Condition> {
    let own = own(facts)?;
    let name = own.name;
    let (title, text, action) = match own.interface() {
        None => (
            "The network interface is gone",
            format!("The system has no interface {name} any more; something removed it."),
            REOPEN,
        ),
        Some(found) if found.up == Some(false) => (
            "The network interface is switched off",
            format!("Somebody, or a program, has switched {name} off."),
            REOPEN,
        ),
        Some(_) if !own.has_address() => (
            "The network interface has lost its address",
            format!("{name} does not have {} any more; something removed it.", own.address),
            REOPEN,
        ),
        Some(_) => return None,
    };
    Some(Condition {
        code: "interface_changed",
        severity: Severity::Error,
        title: title.to_owned(),
        text: format!("{text} Programs on this computer cannot use the network."),
        action: Some(action.to_owned()),
        affects_connectivity: true,
        may_pass: true,
    })
}

pub(super) fn mtu_changed(facts: &Facts) -> Option<Condition> {
    let own = own(facts)?;
    let found = own.interface()?.mtu?;
    let wanted = own.mtu;
    (found != u32::from(wanted)).then(|| Condition {
        code: "mtu_changed",
        severity: Severity::Warning,
        title: "The network interface has another MTU".to_owned(),
        text: format!("{} has an MTU of {found} bytes and was given {wanted}.", own.name),
        action: Some(format!("Set `tun.mtu` if {found} is wanted. Otherwise: {REOPEN}")),
        affects_connectivity: false,
        may_pass: true,
    })
}

pub(super) fn route_missing(facts: &Facts) -> Option<Condition> {
    let own = own(facts).filter(Own::is_whole)?;
    let routing = own.seen.routing.as_ref()?;
    let elsewhere: BTreeSet<_> =
        routing.ways.iter().filter(|way| !leads_to(way, own.name)).collect();
    // What others take is told with their names.
    if elsewhere.is_empty() || clash(&own).is_some() {
        return None;
    }
    let name = own.name;
    let through: Vec<_> = elsewhere.iter().filter_map(|way| way_name(way)).collect();
    let (text, action) = if through.is_empty() {
        let text = format!("The system has no route for the network ({OVERLAY}) through {name}.");
        (text, REOPEN.to_owned())
    } else {
        let through = through.join(", ");
        (
            format!("Packets to the network ({OVERLAY}) go to {through}, not to {name}."),
            format!("Have the program behind {through} (often a VPN) leave {OVERLAY} alone."),
        )
    };
    Some(Condition {
        code: "route_missing",
        severity: Severity::Error,
        title: "The system sends packets to the network elsewhere".to_owned(),
        text,
        action: Some(action),
        affects_connectivity: true,
        may_pass: true,
    })
}

pub(super) fn network_clash(facts: &Facts) -> Option<Condition> {
    let own = own(facts)?;
    let clash = clash(&own)?;
    let has = clash.interfaces.iter().map(|(name, address, _)| format!("{name} has {address}"));
    let leads = clash.routes.iter().map(|route| {
        let range = format!("{}/{}", route.prefix, route.prefix_len);
        match &route.way {
            Way::Interface(name) => format!("{range} goes to {name}"),
            Way::Nowhere => format!("{range} is refused"),
        }
    });
    let words = first_of(has.chain(leads));
    let consequence = if clash.takes_traffic {
        "Traffic goes there instead of through this node."
    } else {
        "Both want the same traffic, and which one gets it may change."
    };
    let is_node = |(_, _, len): &&(&str, Ipv6Addr, u8)| *len <= NODE_PREFIX_LEN_MAX;
    let (title, action) = match clash.interfaces.iter().find(is_node) {
        Some((name, ..)) => (
            "Another node of this network runs on this computer",
            format!(
                "Stop the program behind {name} (such as `sudo systemctl stop yggdrasil`), or set \
                 `tun.name = \"none\"` here."
            ),
        ),
        None => (
            "Something else uses addresses of this network",
            format!("Remove these from the system, or have the program leave {OVERLAY} alone."),
        ),
    };
    Some(Condition {
        code: "network_clash",
        severity: if clash.takes_traffic { Severity::Error } else { Severity::Warning },
        title: title.to_owned(),
        text: format!("In the network's range {OVERLAY}: {words}. {consequence}"),
        action: Some(action),
        affects_connectivity: clash.takes_traffic,
        may_pass: true,
    })
}

pub(super) fn rights_missing(facts: &Facts) -> Option<Condition> {
    let process = facts.survey.process.known()?;
    (facts.wanted_tun && process.may_configure == Some(false)).then(|| Condition {
        code: "rights_missing",
        severity: Severity::Warning,
        title: "The service may not configure the network interface".to_owned(),
        text: format!(
            "It runs as {} without the right to (CAP_NET_ADMIN on Linux, root elsewhere), so it \
             cannot open the interface again once it is closed.",
            process.account.as_deref().unwrap_or("an account")
        ),
        action: Some(
            "Run it as its installation does, `sudo planetaryd install`, or with `--tun none`."
                .to_owned(),
        ),
        affects_connectivity: false,
        may_pass: false,
    })
}

/// What is found good of the interface, beyond its being there.
pub(super) fn praise(facts: &Facts) -> Option<String> {
    let own = own(facts).filter(Own::is_whole)?;
    let routed = own.seen.routing.as_ref().map(|_| ", and packets to the network go through it");
    Some(format!("It is up, has its address{}.", routed.unwrap_or_default()))
}

/// Whether it is known that nothing else uses the range.
pub(super) fn is_alone(facts: &Facts) -> bool {
    own(facts).is_some_and(|own| clash(&own).is_none())
}

fn clash<'a>(own: &Own<'a>) -> Option<Clash<'a>> {
    let mut clash = Clash::default();
    for other in own.seen.interfaces.iter().filter(|other| other.name != own.name) {
        let foreign = other.overlay_addresses.iter().filter(|(address, _)| {
            // A part of one's own subnet is there to be used, and so is one's address on this
            // machine itself.
            let at_home = other.loopback && *address == own.address;
            !at_home && !in_own_subnet(own.address, *address)
        });
        if let Some((address, len)) = foreign.min_by_key(|(_, len)| *len) {
            clash.interfaces.push((&other.name, *address, *len));
        }
    }
    let routing = own.seen.routing.as_ref();
    let lost = |way: &Way| !leads_to(way, own.name);
    let is_lost = routing.is_some_and(|routing| routing.ways.iter().any(lost));
    for route in routing.into_iter().flat_map(|routing| &routing.inside) {
        let own_subnet = route.prefix_len >= 64 && in_own_subnet(own.address, route.prefix);
        // A route that refuses the whole range, behind ours, keeps packets in while the node is
        // off.
        let spare = route.way == Way::Nowhere && route.prefix_len <= RANGE_LEN && !is_lost;
        if leads_to(&route.way, own.name) || own_subnet || spare {
            continue;
        }
        // A route to fewer addresses goes before ours.
        clash.takes_traffic |= route.prefix_len > RANGE_LEN;
        let comes_with_address = way_name(&route.way)
            .is_some_and(|name| clash.interfaces.iter().any(|(other, ..)| *other == name));
        if !comes_with_address {
            clash.routes.push(route);
        }
    }
    if clash.interfaces.is_empty() && clash.routes.is_empty() {
        return None;
    }
    clash.takes_traffic |= is_lost;
    Some(clash)
}

/// Whether an address lies in the subnet that belongs to a node's address.
fn in_own_subnet(own: Ipv6Addr, address: Ipv6Addr) -> bool {
    let (mut own, address) = (own.octets(), address.octets());
    own[0] |= 1;
    own[..8] == address[..8]
}

fn leads_to(way: &Way, name: &str) -> bool {
    way_name(way) == Some(name)
}

fn way_name(way: &Way) -> Option<&str> {
    match way {
        Way::Interface(name) => Some(name),
        Way::Nowhere => None,
    }
}

#[cfg(test)]
mod tests;
