//! Linux: two dumps, and two questions for each interface, over netlink.

use std::{collections::BTreeMap, io, net::IpAddr, os::fd::OwnedFd, path::Path};

use rustix::{io::Errno, net::sockopt::Timeout, net::sockopt::set_socket_timeout};

use super::{ATTACHMENTS_MAX, Attachment, Clues};
use crate::{
    surroundings::linux::{PATIENCE, attribute, dump, messages, number, text},
    tun::linux::netlink::{HEADER_LEN, Request, ask, socket},
};

/// Attributes of interfaces, addresses, routes and neighbours (linux/if_link.h, if_addr.h,
/// rtnetlink.h, neighbour.h).
const IFLA_IFNAME: u16 = 3;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;

/// Lengths of the fixed parts: ifinfomsg, ifaddrmsg, rtmsg, ndmsg.
const LINK_LEN: usize = 16;
const ADDRESS_LEN: usize = 8;
const ROUTE_LEN: usize = 12;
const NEIGHBOUR_LEN: usize = 12;

/// An address that is not usable: it is being tried, or somebody else has it.
const UNUSABLE: u8 = (libc::IFA_F_TENTATIVE | libc::IFA_F_DADFAILED) as u8;

/// Somewhere in the internet, where only a default route leads: addresses for documentation.
const FAR_V4: [u8; 4] = [192, 0, 2, 1];
const FAR_V6: [u8; 16] = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// The longest hardware address that is taken.
const HARDWARE_LEN_MAX: usize = 32;

pub(super) fn look() -> io::Result<Vec<Attachment>> {
    let socket = socket()?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    let mut found: BTreeMap<u32, (String, Clues)> = BTreeMap::new();
    dump(&socket, libc::RTM_GETLINK, libc::AF_UNSPEC, LINK_LEN, |body| {
        if let Some((index, name)) = link(body)
            && found.len() < ATTACHMENTS_MAX
        {
            found.insert(index, (name, Clues::default()));
        }
    })?;
    for family in [libc::AF_INET, libc::AF_INET6] {
        let addresses = dump(&socket, libc::RTM_GETADDR, family, ADDRESS_LEN, |body| {
            if let Some((index, address, len)) = own_address(body)
                && let Some((_, clues)) = found.get_mut(&index)
            {
                clues.addresses.push((address, len));
            }
        });
        match addresses {
            Err(Errno::OPNOTSUPP | Errno::AFNOSUPPORT) => {}
            done => done?,
        }
    }
    let attachments = found.into_iter().map(|(index, (name, mut clues))| {
        for far in [&FAR_V4[..], &FAR_V6] {
            if let Some(router) = router(&socket, index, far) {
                clues.has_router = true;
                clues.router = clues.router.or_else(|| hardware(&socket, index, &router));
            }
        }
        let wireless = is_wireless(&name);
        clues.attachment(name, index, wireless)
    });
    Ok(attachments.collect())
}

/// Number and name of an interface that is up and speaks to many.
fn link(body: &[u8]) -> Option<(u32, String)> {
    let (fixed, rest) = body.split_at_checked(LINK_LEN)?;
    let (index, flags) = (number(&fixed[4..])?, number(&fixed[8..])?);
    let has = |flag: i32| flags & flag as u32 != 0;
    let speaks = has(libc::IFF_UP) && has(libc::IFF_RUNNING) && has(libc::IFF_MULTICAST);
    let to_many = !has(libc::IFF_LOOPBACK) && !has(libc::IFF_POINTOPOINT);
    (speaks && to_many).then(|| Some((index, attribute(rest, IFLA_IFNAME).and_then(text)?)))?
}

fn own_address(body: &[u8]) -> Option<(u32, IpAddr, u8)> {
    let (fixed, rest) = body.split_at_checked(ADDRESS_LEN)?;
    let octets = attribute(rest, IFA_LOCAL).or_else(|| attribute(rest, IFA_ADDRESS))?;
    let is_usable = fixed[2] & UNUSABLE == 0;
    is_usable.then(|| Some((number(&fixed[4..])?, address(octets)?, fixed[1])))?
}

/// The router that packets to somewhere far take out of an interface.
fn router(socket: &OwnedFd, index: u32, far: &[u8]) -> Option<Vec<u8>> {
    let mut request = Request::new(libc::RTM_GETROUTE, 0);
    request.bytes.extend([family(far), (far.len() * 8) as u8]);
    request.bytes.resize(HEADER_LEN + ROUTE_LEN, 0);
    request.attribute(RTA_DST, far);
    request.attribute(RTA_OIF, &index.to_ne_bytes());
    // No way there is an answer as well.
    let answer = ask(socket, request).ok()?;
    let (_, body) = messages(&answer).next()?;
    let attributes = body.get(ROUTE_LEN..)?;
    let leaves_here = attribute(attributes, RTA_OIF).and_then(number) == Some(index);
    attribute(attributes, RTA_GATEWAY).filter(|_| leaves_here).map(<[u8]>::to_vec)
}

/// The hardware address of a neighbour, if the system knows it.
fn hardware(socket: &OwnedFd, index: u32, neighbour: &[u8]) -> Option<Vec<u8>> {
    let mut request = Request::new(libc::RTM_GETNEIGH, 0);
    request.bytes.extend([family(neighbour), 0, 0, 0]);
    request.bytes.extend(index.to_ne_bytes());
    request.bytes.resize(HEADER_LEN + NEIGHBOUR_LEN, 0);
    request.attribute(NDA_DST, neighbour);
    let answer = ask(socket, request).ok()?;
    let (_, body) = messages(&answer).next()?;
    let found = attribute(body.get(NEIGHBOUR_LEN..)?, NDA_LLADDR)?;
    let is_there = (1..=HARDWARE_LEN_MAX).contains(&found.len()) && found.iter().any(|b| *b != 0);
    is_there.then(|| found.to_vec())
}

const fn family(address: &[u8]) -> u8 {
    (if address.len() == 4 { libc::AF_INET } else { libc::AF_INET6 }) as u8
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => Some(IpAddr::from(<[u8; 4]>::try_from(octets).ok()?)),
        16 => Some(IpAddr::from(<[u8; 16]>::try_from(octets).ok()?)),
        _ => None,
    }
}

/// The kernel shows the radio behind an interface in its folder.
fn is_wireless(name: &str) -> bool {
    let folder = Path::new("/sys/class/net").join(name);
    ["wireless", "phy80211"].iter().any(|radio| folder.join(radio).exists())
}
