//! The few netlink requests that configure a TUN interface.
//!
//! Netlink rather than ioctls and `/proc/sys`: it needs nothing but CAP_NET_ADMIN, works where
//! `/proc/sys` is read-only, and is the only road to `addr_gen_mode`. Each request is answered by
//! one message, and the next one waits for that.

use std::{
    net::Ipv6Addr,
    os::fd::OwnedFd,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netdevice::name_to_index,
        netlink, recv, sendto, socket_with,
    },
};

use super::super::{TunError, TunSettings};

/// `IFLA_INET6_ADDR_GEN_MODE` and its value `IN6_ADDR_GEN_MODE_NONE` (linux/if_link.h).
const ADDR_GEN_MODE: u16 = 8;
const ADDR_GEN_MODE_NONE: u8 = 1;

/// Length of the header of every message.
pub(crate) const HEADER_LEN: usize = 16;

/// How long a new address may take until packets to it are taken in. Usually it is below a
/// millisecond.
const ADDRESS_TIME_MAX: Duration = Duration::from_secs(2);
const ADDRESS_PAUSE: Duration = Duration::from_millis(1);

/// Whether there is an interface called `name`.
pub(super) fn exists(name: &str) -> Result<bool, TunError> {
    let socket = open()?;
    match name_to_index(&socket, name) {
        Ok(_) => Ok(true),
        Err(Errno::NODEV) => Ok(false),
        Err(error) => Err(failure("looking an interface up", error)),
    }
}

/// Sets MTU, queue length, address and prefix of the interface `name`, brings it up, and waits
/// until the system takes packets to the address for its own. Returns the interface's index.
pub(super) fn configure(
    name: &str,
    settings: &TunSettings,
    queue_len: u32,
) -> Result<u32, TunError> {
    let socket = open()?;
    let index = name_to_index(&socket, name)
        .map_err(|error| failure("looking the TUN interface up", error))?;
    let up = libc::IFF_UP as u32;
    let steps = [
        ("setting the MTU", set_link(index, settings.mtu, queue_len)),
        ("setting the IPv6 address", add_address(index, settings)),
        ("bringing the TUN interface up", Request::link(index, up, up)),
    ];
    for (step, request) in steps {
        ask(&socket, request).map_err(|error| failure(step, error))?;
    }
    // The system finishes the address in the background.
    let deadline = Instant::now() + ADDRESS_TIME_MAX;
    while !is_own(&socket, settings.address) && Instant::now() < deadline {
        thread::sleep(ADDRESS_PAUSE);
    }
    Ok(index)
}

/// Whether the system takes packets to `address` for its own.
fn is_own(socket: &OwnedFd, address: Ipv6Addr) -> bool {
    let mut request = Request::new(libc::RTM_GETROUTE, 0);
    // rtmsg: family, bits of the destination; source, type of service, table, protocol, scope, type
    // and flags are open.
    request.bytes.extend([libc::AF_INET6 as u8, 128]);
    request.bytes.extend([0; 10]);
    request.attribute(libc::RTA_DST, &address.octets());
    let route = ask(socket, request).unwrap_or_default();
    // The type is the last of the eight bytes behind the header.
    route.get(HEADER_LEN + 7) == Some(&libc::RTN_LOCAL)
}

/// A request to set what an interface keeps whether it is up or not.
fn set_link(index: u32, mtu: u16, queue_len: u32) -> Request {
    let mut request = Request::link(index, 0, 0);
    request.attribute(libc::IFLA_MTU, &u32::from(mtu).to_ne_bytes());
    request.attribute(libc::IFLA_TXQLEN, &queue_len.to_ne_bytes());
    request.nested(libc::IFLA_AF_SPEC, |request| {
        request.nested(libc::AF_INET6 as u16, |request| {
            request.attribute(ADDR_GEN_MODE, &[ADDR_GEN_MODE_NONE]);
        });
    });
    request
}

/// A request for one address. Duplicate detection is off: the address is a public key's, and there
/// is nobody to ask.
fn add_address(index: u32, settings: &TunSettings) -> Request {
    let flags = libc::NLM_F_CREATE | libc::NLM_F_REPLACE | libc::NLM_F_ACK;
    let mut request = Request::new(libc::RTM_NEWADDR, flags);
    // ifaddrmsg: family, prefix length, flags, scope (universe), interface.
    request.bytes.extend([libc::AF_INET6 as u8, settings.prefix_len, 0, 0]);
    request.bytes.extend(index.to_ne_bytes());
    request.attribute(libc::IFA_LOCAL, &settings.address.octets());
    request.attribute(libc::IFA_ADDRESS, &settings.address.octets());
    request.attribute(libc::IFA_FLAGS, &libc::IFA_F_NODAD.to_ne_bytes());
    request
}

/// One request, growing.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) bytes: Vec<u8>,
}

impl Request {
    /// The header of a request; its length is filled in by [`Request::finish`].
    pub(crate) fn new(kind: u16, flags: i32) -> Self {
        let flags = (flags | libc::NLM_F_REQUEST) as u16;
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        // Sequence number and port: one request at a time needs neither.
        bytes.extend([0; 8]);
        Self { bytes }
    }

    /// A request about an interface that sets the flags in `mask` to those in `flags`.
    fn link(index: u32, flags: u32, mask: u32) -> Self {
        let mut request = Self::new(libc::RTM_NEWLINK, libc::NLM_F_ACK);
        // ifinfomsg: family and padding, device type, interface, flags, mask.
        request.bytes.extend([libc::AF_UNSPEC as u8, 0, 0, 0]);
        request.bytes.extend(index.to_ne_bytes());
        request.bytes.extend(flags.to_ne_bytes());
        request.bytes.extend(mask.to_ne_bytes());
        request
    }

    pub(crate) fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.nested(kind, |request| request.bytes.extend_from_slice(value));
    }

    /// An attribute made of whatever `fill` adds.
    pub(super) fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.bytes.extend([0; 2]);
        self.bytes.extend(kind.to_ne_bytes());
        fill(self);
        // The requests of this platform are below 1,000 bytes.
        let len = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        let len = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&len.to_ne_bytes());
        self.bytes
    }
}

fn open() -> Result<OwnedFd, TunError> {
    socket().map_err(|error| failure("opening a netlink socket", error))
}

/// A socket for requests.
pub(crate) fn socket() -> Result<OwnedFd, Errno> {
    // No protocol is protocol 0, NETLINK_ROUTE.
    socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
}

/// Sends a request and returns the message that answers it: an acknowledgement, or what was asked
/// for.
pub(crate) fn ask(socket: &OwnedFd, request: Request) -> Result<Vec<u8>, Errno> {
    let kernel = netlink::SocketAddrNetlink::new(0, 0);
    sendto(socket, &request.finish(), SendFlags::empty(), &kernel)?;
    let mut answer = vec![0; 1024];
    let (len, _) = loop {
        match recv(socket, &mut answer[..], RecvFlags::empty()) {
            Err(Errno::INTR) => {}
            done => break done?,
        }
    };
    answer.truncate(len);
    let is_verdict = answer.get(4..6) == Some(&(libc::NLMSG_ERROR as u16).to_ne_bytes());
    if !is_verdict {
        return Ok(answer);
    }
    // Behind the header of an acknowledgement stands an error number, negative, or zero.
    match answer.get(HEADER_LEN..).and_then(|body| body.first_chunk()) {
        None => Err(Errno::PROTO),
        Some(code) => match i32::from_ne_bytes(*code) {
            0 => Ok(answer),
            code => Err(Errno::from_raw_os_error(code.saturating_neg())),
        },
    }
}

fn failure(step: &'static str, error: Errno) -> TunError {
    match error {
        Errno::PERM => TunError::NoPermission,
        // The answers to an IPv6 address, or IPv6 link attribute, where IPv6 is disabled.
        Errno::ACCESS | Errno::AFNOSUPPORT | Errno::OPNOTSUPP => TunError::NoIpv6,
        other => TunError::System { step, source: other.into() },
    }
}
