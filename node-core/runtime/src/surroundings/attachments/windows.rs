//! Windows: one call that tells adapters, addresses and routers, and a question for each router.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ptr,
};

use windows_sys::Win32::{
    Foundation::{ERROR_BUFFER_OVERFLOW, ERROR_NO_DATA, NO_ERROR},
    NetworkManagement::{
        IpHelper::{
            GAA_FLAG_INCLUDE_GATEWAYS, GAA_FLAG_SKIP_ANYCAST, GAA_FLAG_SKIP_DNS_SERVER,
            GAA_FLAG_SKIP_MULTICAST, GetAdaptersAddresses, GetIpNetEntry2, IF_TYPE_IEEE80211,
            IF_TYPE_PPP, IF_TYPE_PROP_VIRTUAL, IF_TYPE_SOFTWARE_LOOPBACK, IF_TYPE_TUNNEL,
            IP_ADAPTER_ADDRESSES_LH, IP_ADAPTER_NO_MULTICAST, MIB_IPNET_ROW2,
        },
        Ndis::IfOperStatusUp,
    },
    Networking::WinSock::{
        AF_INET, AF_INET6, AF_UNSPEC, IpDadStatePreferred, SOCKADDR_IN, SOCKADDR_IN6,
        SOCKADDR_INET, SOCKET_ADDRESS,
    },
};

use super::{ATTACHMENTS_MAX, Attachment, Clues};

/// What the system asks callers to begin with, and the most that is given to it.
const BUFFER_LEN: usize = 16 << 10;
const BUFFER_LEN_MAX: usize = 4 << 20;

/// Interfaces with nobody or with one behind them. Ours is of the last kind.
const NOT_FOR_MANY: [u32; 4] =
    [IF_TYPE_SOFTWARE_LOOPBACK, IF_TYPE_PPP, IF_TYPE_TUNNEL, IF_TYPE_PROP_VIRTUAL];

/// The longest name that is taken, in characters.
const NAME_LEN_MAX: usize = 256;

pub(super) fn look() -> io::Result<Vec<Attachment>> {
    // Words of 64 bits, for the alignment of the structures in it.
    let mut buffer: Vec<u64> = Vec::new();
    let mut len = BUFFER_LEN;
    loop {
        buffer.resize(len.div_ceil(8), 0);
        let mut size = (buffer.len() * 8) as u32;
        let flags = GAA_FLAG_INCLUDE_GATEWAYS
            | GAA_FLAG_SKIP_ANYCAST
            | GAA_FLAG_SKIP_MULTICAST
            | GAA_FLAG_SKIP_DNS_SERVER;
        let first = buffer.as_mut_ptr().cast::<IP_ADAPTER_ADDRESSES_LH>();
        // SAFETY: the buffer is aligned and as long as `size` says, and both outlive the call.
        let done = unsafe {
            GetAdaptersAddresses(u32::from(AF_UNSPEC), flags, ptr::null(), first, &raw mut size)
        };
        match done {
            NO_ERROR => return Ok(adapters(first)),
            ERROR_NO_DATA => return Ok(Vec::new()),
            ERROR_BUFFER_OVERFLOW if len < BUFFER_LEN_MAX => {
                len = (size as usize).max(len * 2).min(BUFFER_LEN_MAX);
            }
            error => return Err(io::Error::from_raw_os_error(error.cast_signed())),
        }
    }
}

/// Reads the list that the system made.
fn adapters(mut next: *const IP_ADAPTER_ADDRESSES_LH) -> Vec<Attachment> {
    let mut found = Vec::new();
    // SAFETY: each pointer is null or leads to a structure in the buffer, which is still there.
    while let Some(adapter) = unsafe { next.as_ref() } {
        next = adapter.Next;
        // SAFETY: whichever way the union is read, it is made of plain numbers.
        let flags = unsafe { adapter.Anonymous2.Flags };
        let speaks = adapter.OperStatus == IfOperStatusUp && flags & IP_ADAPTER_NO_MULTICAST == 0;
        if speaks
            && adapter.Ipv6IfIndex != 0
            && !NOT_FOR_MANY.contains(&adapter.IfType)
            && found.len() < ATTACHMENTS_MAX
        {
            let wireless = adapter.IfType == IF_TYPE_IEEE80211;
            found.push(clues(adapter).attachment(name(adapter), adapter.Ipv6IfIndex, wireless));
        }
    }
    found
}

fn clues(adapter: &IP_ADAPTER_ADDRESSES_LH) -> Clues {
    let mut clues = Clues::default();
    let mut unicast = adapter.FirstUnicastAddress.cast_const();
    // SAFETY: as for adapters.
    while let Some(own) = unsafe { unicast.as_ref() } {
        unicast = own.Next;
        if let Some(address) = address(&own.Address)
            && own.DadState == IpDadStatePreferred
        {
            clues.addresses.push((address, own.OnLinkPrefixLength));
        }
    }
    let mut gateway = adapter.FirstGatewayAddress.cast_const();
    // SAFETY: as for adapters.
    while let Some(router) = unsafe { gateway.as_ref() } {
        gateway = router.Next;
        clues.has_router = true;
        if clues.router.is_none() {
            clues.router = hardware(adapter, &router.Address);
        }
    }
    clues
}

/// The hardware address of a neighbour, if the system knows it.
fn hardware(adapter: &IP_ADAPTER_ADDRESSES_LH, neighbour: &SOCKET_ADDRESS) -> Option<Vec<u8>> {
    let mut row = MIB_IPNET_ROW2 { InterfaceLuid: adapter.Luid, ..Default::default() };
    row.Address = match address(neighbour)? {
        IpAddr::V4(address) => {
            let mut v4 = SOCKADDR_IN { sin_family: AF_INET, ..Default::default() };
            v4.sin_addr.S_un.S_addr = u32::from_ne_bytes(address.octets());
            SOCKADDR_INET { Ipv4: v4 }
        }
        IpAddr::V6(address) => {
            let mut v6 = SOCKADDR_IN6 { sin6_family: AF_INET6, ..Default::default() };
            v6.sin6_addr.u.Byte = address.octets();
            SOCKADDR_INET { Ipv6: v6 }
        }
    };
    // SAFETY: the row is valid, and the call writes nothing but the row.
    if unsafe { GetIpNetEntry2(&raw mut row) } != NO_ERROR {
        return None;
    }
    let found = row.PhysicalAddress.get(..row.PhysicalAddressLength as usize)?;
    found.iter().any(|byte| *byte != 0).then(|| found.to_vec())
}

fn address(socket: &SOCKET_ADDRESS) -> Option<IpAddr> {
    let len = usize::try_from(socket.iSockaddrLength).ok()?;
    // SAFETY: the system's pointer is null or leads to an address of the length it says; every kind
    // begins with its family.
    let family = unsafe { socket.lpSockaddr.as_ref() }?.sa_family;
    match family {
        AF_INET if len >= size_of::<SOCKADDR_IN>() => {
            // SAFETY: the family and length say so, and the fields are plain numbers.
            let octets = unsafe { (*socket.lpSockaddr.cast::<SOCKADDR_IN>()).sin_addr.S_un.S_addr };
            Some(Ipv4Addr::from(octets.to_ne_bytes()).into())
        }
        AF_INET6 if len >= size_of::<SOCKADDR_IN6>() => {
            // SAFETY: as above.
            let octets = unsafe { (*socket.lpSockaddr.cast::<SOCKADDR_IN6>()).sin6_addr.u.Byte };
            Some(Ipv6Addr::from(octets).into())
        }
        _ => None,
    }
}

/// The name that people see.
fn name(adapter: &IP_ADAPTER_ADDRESSES_LH) -> String {
    let first = adapter.FriendlyName;
    if first.is_null() {
        return adapter.Ipv6IfIndex.to_string();
    }
    let mut characters = Vec::new();
    for at in 0..NAME_LEN_MAX {
        // SAFETY: the system ends the name with a zero, which is not passed.
        match unsafe { *first.add(at) } {
            0 => break,
            character => characters.push(character),
        }
    }
    String::from_utf16_lossy(&characters)
}
