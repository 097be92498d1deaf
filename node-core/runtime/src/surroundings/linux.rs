//! Linux: three dumps and a few questions over netlink.
//!
//! The kernel answers at once and is trusted, but lengths are checked all the same: a message that
//! does not fit its buffer ends the reading of that message and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::Ipv6Addr,
    os::fd::OwnedFd,
    time::Duration,
};

use rustix::{
    io::Errno,
    net::{
        RecvFlags, SendFlags,
        netlink::SocketAddrNetlink,
        recv, sendto,
        sockopt::{Timeout, set_socket_timeout},
    },
};

use super::{
    FINDINGS_MAX, INTERFACES_MAX, Interface, PROBES, Route, Routing, Surroundings, Way, is_overlay,
};
use crate::tun::linux::netlink::{HEADER_LEN, Request, ask, socket};

/// How much of one dump is read. A routing table of ten thousand routes has about a mebibyte; a
/// router with the whole internet in it keeps its further routes to itself, and the ways of
/// [`PROBES`] still tell where packets go.
const DUMP_LEN_MAX: usize = 4 << 20;

/// The kernel fills at most 32 KiB at a time.
const PART_LEN: usize = 32 << 10;

/// A kernel that says nothing for so long is not going to.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// Attributes of interfaces, addresses and routes (linux/if_link.h, if_addr.h, rtnetlink.h).
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;

/// Lengths of the fixed parts: ifinfomsg, ifaddrmsg, rtmsg.
const LINK_LEN: usize = 16;
const ADDRESS_LEN: usize = 8;
const ROUTE_LEN: usize = 12;

/// Shortest prefix that lies inside `200::/7`.
const OVERLAY_PREFIX_LEN: u8 = 7;

/// The bits of an attribute's kind that are not flags.
const KIND_MASK: u16 = 0x3fff;

/// What is known of interfaces while a look goes on, by their number.
type Interfaces = BTreeMap<u32, Interface>;

pub(super) fn look() -> io::Result<Surroundings> {
    let socket = socket()?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    let mut interfaces = Interfaces::new();
    let (any, v6) = (libc::AF_UNSPEC, libc::AF_INET6);
    dump(&socket, libc::RTM_GETLINK, any, LINK_LEN, |body| take_link(&mut interfaces, body))?;
    match dump(&socket, libc::RTM_GETADDR, v6, ADDRESS_LEN, |body| {
        take_address(&mut interfaces, body);
    }) {
        // A kernel without IPv6 has no such addresses.
        Err(Errno::OPNOTSUPP | Errno::AFNOSUPPORT) => {}
        done => done?,
    }
    let mut inside = BTreeSet::new();
    match dump(&socket, libc::RTM_GETROUTE, v6, ROUTE_LEN, |body| {
        inside.extend(route(&interfaces, body).into_iter().flatten());
        // Beyond, it does not matter how many more there are.
        while inside.len() > FINDINGS_MAX {
            inside.pop_last();
        }
    }) {
        Err(Errno::OPNOTSUPP | Errno::AFNOSUPPORT) => {}
        done => done?,
    }
    let ways =
        PROBES.iter().map(|probe| way(&socket, &interfaces, *probe)).collect::<Result<_, _>>()?;
    let routing = Some(Routing { ways, inside: inside.into_iter().collect() });
    Ok(Surroundings { interfaces: interfaces.into_values().collect(), routing })
}

/// Asks for all objects of a kind and family and hands the body of each to `take`. `fixed_len` is
/// the length of the fixed part, all of which stays open but for the family.
pub(super) fn dump(
    socket: &OwnedFd,
    kind: u16,
    family: i32,
    fixed_len: usize,
    mut take: impl FnMut(&[u8]),
) -> Result<(), Errno> {
    let mut request = Request::new(kind, libc::NLM_F_DUMP);
    request.bytes.push(family as u8);
    request.bytes.resize(HEADER_LEN + fixed_len, 0);
    sendto(socket, &request.finish(), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut part = vec![0; PART_LEN];
    let mut read = 0;
    loop {
        let len = match recv(socket, &mut part[..], RecvFlags::empty()) {
            Err(Errno::INTR) => continue,
            done => done?.0,
        };
        read += len;
        for (kind, body) in messages(&part[..len]) {
            match i32::from(kind) {
                libc::NLMSG_DONE => return Ok(()),
                libc::NLMSG_ERROR => return Err(refusal(body)),
                // The rest stays unread, and goes with the socket.
                _ if read > DUMP_LEN_MAX => return Err(Errno::MSGSIZE),
                _ => take(body),
            }
        }
    }
}

/// Where a packet to `target` would go.
fn way(socket: &OwnedFd, interfaces: &Interfaces, target: Ipv6Addr) -> Result<Way, Errno> {
    let mut request = Request::new(libc::RTM_GETROUTE, 0);
    request.bytes.extend([libc::AF_INET6 as u8, 128]);
    request.bytes.resize(HEADER_LEN + ROUTE_LEN, 0);
    request.attribute(RTA_DST, &target.octets());
    match ask(socket, request) {
        Ok(answer) => {
            let found = messages(&answer).find_map(|(_, body)| {
                let (fixed, attributes) = body.split_at_checked(ROUTE_LEN)?;
                leads(interfaces, *fixed.get(7)?, attributes)
            });
            Ok(found.unwrap_or(Way::Nowhere))
        }
        Err(Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::ACCESS | Errno::INVAL) => {
            Ok(Way::Nowhere)
        }
        Err(Errno::AFNOSUPPORT | Errno::OPNOTSUPP) => Ok(Way::Nowhere),
        Err(error) => Err(error),
    }
}

fn take_link(interfaces: &mut Interfaces, body: &[u8]) {
    let Some((fixed, rest)) = body.split_at_checked(LINK_LEN) else { return };
    let (Some(index), Some(flags)) = (number(&fixed[4..]), number(&fixed[8..])) else { return };
    let Some(name) = attribute(rest, IFLA_IFNAME).and_then(text) else { return };
    if interfaces.len() < INTERFACES_MAX {
        interfaces.insert(
            index,
            Interface {
                name,
                up: Some(flags & libc::IFF_UP as u32 != 0),
                mtu: attribute(rest, IFLA_MTU).and_then(number),
                loopback: flags & libc::IFF_LOOPBACK as u32 != 0,
                overlay_addresses: Vec::new(),
            },
        );
    }
}

fn take_address(interfaces: &mut Interfaces, body: &[u8]) {
    let Some((fixed, rest)) = body.split_at_checked(ADDRESS_LEN) else { return };
    // `IFA_LOCAL` is there for an interface with a far end, whose address the other one is.
    let octets = attribute(rest, IFA_LOCAL).or_else(|| attribute(rest, IFA_ADDRESS));
    let Some(address) = octets.and_then(address) else { return };
    let found = number(&fixed[4..]).and_then(|index| interfaces.get_mut(&index));
    if let Some(found) = found.filter(|_| is_overlay(address))
        && found.overlay_addresses.len() < FINDINGS_MAX
    {
        found.overlay_addresses.push((address, fixed[1]));
    }
}

/// The routes of one message that belong to the main table and lie in the overlay's range: several
/// when the route has several next hops.
fn route(interfaces: &Interfaces, body: &[u8]) -> Option<Vec<Route>> {
    let (fixed, rest) = body.split_at_checked(ROUTE_LEN)?;
    let (prefix_len, table, kind) = (fixed[1], fixed[4], fixed[7]);
    let table = attribute(rest, RTA_TABLE).and_then(number).unwrap_or(u32::from(table));
    let prefix = attribute(rest, RTA_DST).and_then(address)?;
    let cloned = number(&fixed[8..])? & libc::RTM_F_CLONED != 0;
    let lies_inside = is_overlay(prefix) && (OVERLAY_PREFIX_LEN..=128).contains(&prefix_len);
    if !lies_inside || cloned || table != u32::from(libc::RT_TABLE_MAIN) {
        return None;
    }
    let ways = match attribute(rest, RTA_MULTIPATH) {
        Some(hops) => next_hops(interfaces, hops),
        None => leads(interfaces, kind, rest).into_iter().collect(),
    };
    Some(ways.into_iter().map(|way| Route { prefix, prefix_len, way }).collect())
}

/// What a route does with a packet; `None` when it is not about packets that leave.
fn leads(interfaces: &Interfaces, kind: u8, attributes: &[u8]) -> Option<Way> {
    match kind {
        libc::RTN_BLACKHOLE | libc::RTN_UNREACHABLE | libc::RTN_PROHIBIT => Some(Way::Nowhere),
        libc::RTN_UNICAST => {
            let index = attribute(attributes, RTA_OIF).and_then(number)?;
            Some(Way::Interface(interfaces.get(&index)?.name.clone()))
        }
        _ => None,
    }
}

/// The interfaces of a route with several next hops (rtnexthop: length, flags, weight, interface,
/// attributes).
fn next_hops(interfaces: &Interfaces, mut hops: &[u8]) -> Vec<Way> {
    let mut ways = Vec::new();
    while let Some(len) = short(hops).map(usize::from).filter(|len| *len >= 8)
        && let Some(index) = hops.get(4..).and_then(number)
    {
        let name = interfaces.get(&index).map(|interface| interface.name.clone());
        ways.extend(name.map(Way::Interface));
        hops = hops.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    ways
}

/// The messages in what was read: kind and body of each.
pub(super) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let len = usize::try_from(number(bytes)?).ok()?;
        let kind = short(bytes.get(4..)?)?;
        let body = bytes.get(HEADER_LEN..len)?;
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, body))
    })
}

/// The value of the first attribute of a kind.
pub(super) fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let len = usize::from(short(bytes)?);
        let kind = short(bytes.get(2..)?)? & KIND_MASK;
        let value = bytes.get(4..len)?;
        if kind == wanted {
            return Some(value);
        }
        bytes = bytes.get(len.next_multiple_of(4)..)?;
    }
}

/// The error of an acknowledgement, or of a dump that was refused.
fn refusal(body: &[u8]) -> Errno {
    let code = number(body).map_or(0, u32::cast_signed);
    Errno::from_raw_os_error(code.saturating_neg())
}

pub(super) fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

fn short(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}

fn address(bytes: &[u8]) -> Option<Ipv6Addr> {
    <[u8; 16]>::try_from(bytes).ok().map(Ipv6Addr::from)
}

/// A name, which ends with a zero.
pub(super) fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    (end > 0).then(|| String::from_utf8_lossy(&bytes[..end]).into_owned())
}

#[cfg(test)]
mod tests;
