//! macOS: addresses from the standard list, the radio by an ioctl, and router and neighbours from
//! the routing table.

use std::{
    collections::BTreeMap,
    ffi::CStr,
    io, mem,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::AsRawFd,
    ptr,
};

use rustix::net::{AddressFamily, SocketType, socket};

use super::{ATTACHMENTS_MAX, Attachment, Clues};

/// `struct ifmediareq` of net/if.h, which is packed, and the request for it (`_IOWR('i', 56, …)`).
#[repr(C, packed(4))]
struct MediaRequest {
    name: [libc::c_char; libc::IFNAMSIZ],
    current: libc::c_int,
    mask: libc::c_int,
    status: libc::c_int,
    active: libc::c_int,
    count: libc::c_int,
    list: *mut libc::c_int,
}

const SIOCGIFMEDIA: libc::c_ulong =
    0xc000_0000 | ((size_of::<MediaRequest>() as libc::c_ulong & 0x1fff) << 16) | 0x6938;

/// The type of a medium, and that of Wi-Fi.
const IFM_NMASK: libc::c_int = 0xe0;
const IFM_IEEE80211: libc::c_int = 0x80;

/// The most of a routing table that is read.
const TABLE_LEN_MAX: usize = 4 << 20;

/// Bits of a message's list of addresses: destination, gateway, mask.
const DESTINATION: usize = 0;
const GATEWAY: usize = 1;
const MASK: usize = 2;

/// Where the hardware address is told in a `sockaddr_dl`: lengths of name and address.
const DL_NAME_LEN: usize = 5;
const DL_ADDRESS_LEN: usize = 6;
const DL_DATA: usize = 8;

pub(super) fn look() -> io::Result<Vec<Attachment>> {
    let mut found: BTreeMap<u32, (String, Clues)> = BTreeMap::new();
    let mut list: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: the pointer is valid for writing.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut next: *const libc::ifaddrs = list;
    // SAFETY: each pointer is null or leads to an entry of the list, which is freed below.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ifa_next;
        take(entry, &mut found);
    }
    // SAFETY: the list is the one that the system has given, and nothing of it is kept.
    unsafe { libc::freeifaddrs(list) };

    let routers = routers().unwrap_or_default();
    let neighbours = neighbours().unwrap_or_default();
    let attachments = found.into_iter().map(|(index, (name, mut clues))| {
        for (_, router) in routers.iter().filter(|(at, _)| *at == index) {
            clues.has_router = true;
            clues.router = clues.router.or_else(|| neighbours.get(&(index, *router)).cloned());
        }
        let wireless = is_wireless(&name);
        clues.attachment(name, index, wireless)
    });
    Ok(attachments.collect())
}

fn take(entry: &libc::ifaddrs, found: &mut BTreeMap<u32, (String, Clues)>) {
    let has = |flag: libc::c_int| entry.ifa_flags & flag as libc::c_uint != 0;
    let speaks = has(libc::IFF_UP) && has(libc::IFF_RUNNING) && has(libc::IFF_MULTICAST);
    if !speaks || has(libc::IFF_LOOPBACK) || has(libc::IFF_POINTOPOINT) {
        return;
    }
    // SAFETY: every entry has a name, which ends with a zero.
    let name = unsafe { CStr::from_ptr(entry.ifa_name) };
    // SAFETY: the name is valid as above.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    let (Some(own), Ok(name)) = (address(entry.ifa_addr), name.to_str()) else { return };
    if index == 0 || (found.len() >= ATTACHMENTS_MAX && !found.contains_key(&index)) {
        return;
    }
    let (_, clues) = found.entry(index).or_insert_with(|| (name.to_owned(), Clues::default()));
    // Some masks have no family of their own; then the address counts as a whole.
    let len = address(entry.ifa_netmask).map_or(128, |mask| match mask {
        IpAddr::V4(mask) => u32::from(mask).leading_ones() as u8,
        IpAddr::V6(mask) => u128::from(mask).leading_ones() as u8,
    });
    clues.addresses.push((own, len));
}

/// The IP address at a pointer of the system. A scope inside a link-local one is taken out.
fn address(at: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: the pointer is null or leads to an address; every kind begins with its family.
    let family = unsafe { at.as_ref() }?.sa_family;
    match i32::from(family) {
        libc::AF_INET => {
            // SAFETY: the family says so; addresses of the list need not be aligned.
            let v4 = unsafe { at.cast::<libc::sockaddr_in>().read_unaligned() };
            Some(Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes()).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { at.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some(plain(v6.sin6_addr.s6_addr))
        }
        _ => None,
    }
}

/// The kernel keeps the scope of a link-local address in its second word.
fn plain(mut octets: [u8; 16]) -> IpAddr {
    if Ipv6Addr::from(octets).is_unicast_link_local() {
        octets[2..4].fill(0);
    }
    Ipv6Addr::from(octets).into()
}

fn is_wireless(name: &str) -> bool {
    let Ok(socket) = socket(AddressFamily::INET, SocketType::DGRAM, None) else { return false };
    // SAFETY: zeros are valid numbers and a null pointer.
    let mut request: MediaRequest = unsafe { mem::zeroed() };
    // The last character stays zero.
    for (to, from) in request.name[..libc::IFNAMSIZ - 1].iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    // SAFETY: the descriptor is open, and the request is of the size that its number says.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCGIFMEDIA, &raw mut request) };
    done == 0 && request.current & IFM_NMASK == IFM_IEEE80211
}

/// Routers of the default routes, with the interfaces that they are behind.
fn routers() -> io::Result<Vec<(u32, IpAddr)>> {
    let table = table(libc::NET_RT_FLAGS, libc::RTF_GATEWAY)?;
    let is_default = |route: &Route<'_>| {
        let masks = route.addresses[MASK].is_none_or(|mask| mask.iter().skip(1).all(|b| *b == 0));
        masks && route.ip(DESTINATION).is_some_and(|to| to.is_unspecified())
    };
    let routers = routes(&table).filter(is_default);
    Ok(routers.filter_map(|route| Some((route.index, route.ip(GATEWAY)?))).collect())
}

/// Hardware addresses of neighbours.
fn neighbours() -> io::Result<BTreeMap<(u32, IpAddr), Vec<u8>>> {
    let table = table(libc::NET_RT_FLAGS, libc::RTF_LLINFO)?;
    let known = routes(&table).filter_map(|route| {
        let link = route.addresses[GATEWAY]?;
        let name_len = usize::from(*link.get(DL_NAME_LEN)?);
        let len = usize::from(*link.get(DL_ADDRESS_LEN)?);
        let start = DL_DATA + name_len;
        let hardware = link.get(start..start + len).filter(|bytes| !bytes.is_empty())?;
        Some(((route.index, route.ip(DESTINATION)?), hardware.to_vec()))
    });
    Ok(known.collect())
}

/// A part of the routing table, as the system writes it.
fn table(kind: libc::c_int, flags: libc::c_int) -> io::Result<Vec<u8>> {
    let mut what = [libc::CTL_NET, libc::PF_ROUTE, 0, 0, kind, flags];
    let mut len = 0;
    // SAFETY: the name is as long as is said; without a buffer only the length is written.
    let asked = unsafe {
        libc::sysctl(
            what.as_mut_ptr(),
            what.len() as libc::c_uint,
            ptr::null_mut(),
            &raw mut len,
            ptr::null_mut(),
            0,
        )
    };
    if asked != 0 {
        return Err(io::Error::last_os_error());
    }
    // It may grow between the two calls.
    let mut table = vec![0; (len + len / 4 + 1024).min(TABLE_LEN_MAX)];
    let mut len = table.len();
    // SAFETY: as above, with a buffer that is as long as is said.
    let read = unsafe {
        libc::sysctl(
            what.as_mut_ptr(),
            what.len() as libc::c_uint,
            table.as_mut_ptr().cast(),
            &raw mut len,
            ptr::null_mut(),
            0,
        )
    };
    if read != 0 {
        return Err(io::Error::last_os_error());
    }
    table.truncate(len);
    Ok(table)
}

/// A route: its interface, and the addresses that are told of it.
struct Route<'a> {
    index: u32,
    addresses: [Option<&'a [u8]>; 3],
}

impl Route<'_> {
    fn ip(&self, which: usize) -> Option<IpAddr> {
        let bytes = self.addresses[which]?;
        match i32::from(*bytes.get(1)?) {
            libc::AF_INET => {
                // A short one ends with zeros.
                let mut octets = [0; 4];
                let told = bytes.get(4..bytes.len().min(8))?;
                octets[..told.len()].copy_from_slice(told);
                Some(Ipv4Addr::from(octets).into())
            }
            libc::AF_INET6 => {
                let mut octets = [0; 16];
                let told = bytes.get(8..bytes.len().min(24))?;
                octets[..told.len()].copy_from_slice(told);
                Some(plain(octets))
            }
            _ => None,
        }
    }
}

/// The routes in a table. Whatever does not fit ends the reading.
fn routes(mut table: &[u8]) -> impl Iterator<Item = Route<'_>> {
    const HEAD_LEN: usize = size_of::<libc::rt_msghdr>();
    std::iter::from_fn(move || {
        let len = usize::from(u16::from_ne_bytes(*table.first_chunk()?));
        let message = table.get(..len).filter(|message| message.len() >= HEAD_LEN)?;
        table = &table[len..];
        // SAFETY: there are as many bytes, and every pattern of them is a valid head.
        let head = unsafe { message.as_ptr().cast::<libc::rt_msghdr>().read_unaligned() };
        let mut rest = &message[HEAD_LEN..];
        let mut addresses = [None; 3];
        for (bit, address) in addresses.iter_mut().enumerate() {
            if head.rtm_addrs & (1 << bit) == 0 {
                continue;
            }
            let Some(len) = rest.first().map(|len| usize::from(*len)) else { break };
            *address = rest.get(..len);
            // Addresses are padded to four bytes, an empty one takes four.
            rest = rest.get(len.max(1).next_multiple_of(4)..).unwrap_or_default();
        }
        Some(Route { index: u32::from(head.rtm_index), addresses })
    })
}
