//! TUN on macOS: a `utun` device, opened by the `tun` crate and configured by ioctls.
//!
//! The system puts a four-byte address family before every packet; it is split off and put on by
//! vectored calls, so packets are copied no more than elsewhere. The descriptor is non-blocking,
//! and [`Device::close`] wakes the reader through a pair of sockets.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem,
    net::{Ipv6Addr, Shutdown},
    os::{
        fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd},
        unix::net::UnixStream,
    },
};

use rustix::{
    io::{Errno, ioctl_fionbio, readv, writev},
    net::{AddressFamily, SocketType, socket},
};
use tun::AbstractDevice;

use super::{
    PARTS_MAX, TunError, TunFeatures, TunSettings, Unguarded,
    unix::{Wake, wait},
};
use crate::offload::Offload;

/// What a family before a packet says, in network byte order.
const FAMILY_IPV6: [u8; 4] = (libc::AF_INET6 as u32).to_be_bytes();
const FAMILY_IPV4: [u8; 4] = (libc::AF_INET as u32).to_be_bytes();

/// An open device.
#[derive(Debug)]
pub(super) struct Device {
    packets: OwnedFd,
    /// Readable once the other end is shut down.
    closed: UnixStream,
    close: UnixStream,
}

impl Device {
    /// Opens and configures the device that `settings` ask for; also returns its name.
    ///
    /// The system has one queue and finishes its packets itself.
    pub(super) fn open(
        settings: &TunSettings,
        _features: TunFeatures,
    ) -> Result<(Self, String), TunError> {
        let mut configuration = tun::Configuration::default();
        configuration.mtu(settings.mtu);
        if settings.name != "auto" {
            check_name(&settings.name)?;
            configuration.tun_name(&settings.name);
        }
        let device =
            tun::create(&configuration).map_err(|error| refusal(&settings.name, error.into()))?;
        let name =
            device.tun_name().map_err(|error| failure("asking for the name", error.into()))?;
        set_address(&name, settings.address, settings.prefix_len)?;
        // SAFETY: the descriptor is open, and `into_raw_fd` has given up its ownership.
        let packets = unsafe { OwnedFd::from_raw_fd(device.into_raw_fd()) };
        let system = |step| move |error: Errno| failure(step, error.into());
        ioctl_fionbio(&packets, true).map_err(system("making the TUN device non-blocking"))?;
        let (closed, close) =
            UnixStream::pair().map_err(|error| failure("making a socket pair", error))?;
        Ok((Self { packets, closed, close }, name))
    }

    #[expect(clippy::unused_self, reason = "other systems have more")]
    pub(super) const fn queues(&self) -> usize {
        1
    }

    #[expect(clippy::unused_self, reason = "other systems can")]
    pub(super) const fn offloads(&self) -> bool {
        false
    }

    pub(super) fn recv(&self, queue: usize, packet: &mut [u8]) -> io::Result<(usize, Offload)> {
        loop {
            if let Some(received) = self.try_recv(queue, packet)? {
                return Ok(received);
            }
            if wait(&self.packets, &self.closed)? == Wake::Closed {
                return Ok((0, Offload::None));
            }
        }
    }

    pub(super) fn try_recv(
        &self,
        queue: usize,
        packet: &mut [u8],
    ) -> io::Result<Option<(usize, Offload)>> {
        if queue != 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        loop {
            let mut family = [0; 4];
            let mut parts = [IoSliceMut::new(&mut family), IoSliceMut::new(packet)];
            match readv(&self.packets, &mut parts) {
                // Less than a family is no packet.
                Ok(len @ 5..) => return Ok(Some((len - 4, Offload::None))),
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(super) fn send(
        &self,
        queue: usize,
        parts: &[IoSlice<'_>],
        offload: Offload,
    ) -> io::Result<()> {
        if queue != 0 || offload != Offload::None {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let first = parts.iter().find_map(|part| part.first());
        let family = match first.map(|byte| byte >> 4) {
            Some(6) => &FAMILY_IPV6,
            Some(4) => &FAMILY_IPV4,
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let mut all = [IoSlice::new(family); PARTS_MAX + 1];
        let body = all[1..].get_mut(..parts.len()).ok_or(io::ErrorKind::InvalidInput)?;
        body.copy_from_slice(parts);
        writev(&self.packets, &all[..=parts.len()])?;
        Ok(())
    }

    pub(super) fn unguarded(&self) -> Option<&Unguarded> {
        Some(&Unguarded::Unsupported)
    }

    pub(super) fn close(&self) {
        // Fails only when it is shut down already.
        let _ = self.close.shutdown(Shutdown::Both);
    }
}

/// The system gives devices numbers, not names.
fn check_name(name: &str) -> Result<(), TunError> {
    let number = name.strip_prefix("utun").filter(|digits| digits.len() <= 4);
    let usable = number.is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    if usable {
        return Ok(());
    }
    let rule = "names on macOS are utun and a number of at most four digits";
    Err(TunError::BadName { name: name.to_owned(), rule })
}

fn refusal(name: &str, error: io::Error) -> TunError {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => TunError::NoPermission,
        Some(libc::EBUSY) => TunError::NameTaken(name.to_owned()),
        _ => failure("opening a utun device", error),
    }
}

fn failure(step: &'static str, source: io::Error) -> TunError {
    TunError::System { step, source }
}

/// `struct in6_aliasreq` of netinet6/in6_var.h.
#[repr(C)]
struct AliasRequest {
    name: [u8; libc::IFNAMSIZ],
    address: libc::sockaddr_in6,
    destination: libc::sockaddr_in6,
    prefix_mask: libc::sockaddr_in6,
    flags: libc::c_int,
    lifetime: Lifetime,
}

/// `struct in6_addrlifetime`.
#[repr(C)]
struct Lifetime {
    expire: libc::time_t,
    preferred: libc::time_t,
    valid_lifetime: u32,
    preferred_lifetime: u32,
}

/// `SIOCAIFADDR_IN6`, which is `_IOW('i', 26, struct in6_aliasreq)`.
const ADD_ADDRESS: libc::c_ulong = 0x8080_691a;
// The number contains the size.
const _: () = assert!(mem::size_of::<AliasRequest>() == 0x80);

/// `IN6_IFF_NODAD`: the address is a public key's, there is nobody to ask whether it is taken.
const NO_DUPLICATE_DETECTION: libc::c_int = 0x20;
/// `ND6_INFINITE_LIFETIME`.
const FOREVER: u32 = u32::MAX;

/// Gives the interface its address, which also routes the prefix to it.
fn set_address(name: &str, address: Ipv6Addr, prefix_len: u8) -> Result<(), TunError> {
    let step = "setting the IPv6 address";
    let control = socket(AddressFamily::INET6, SocketType::DGRAM, None)
        .map_err(|error| failure(step, error.into()))?;
    let mask = u128::MAX.checked_shl(128 - u32::from(prefix_len)).unwrap_or(0);
    let mut request = AliasRequest {
        name: [0; libc::IFNAMSIZ],
        address: sockaddr(address),
        // SAFETY: a socket address is plain numbers, and all zeros mean that there is none.
        destination: unsafe { mem::zeroed() },
        prefix_mask: sockaddr(mask.into()),
        flags: NO_DUPLICATE_DETECTION,
        lifetime: Lifetime {
            expire: 0,
            preferred: 0,
            valid_lifetime: FOREVER,
            preferred_lifetime: FOREVER,
        },
    };
    // The system's own names fit, with a zero behind them.
    for (to, from) in request.name[..libc::IFNAMSIZ - 1].iter_mut().zip(name.bytes()) {
        *to = from;
    }
    add_address(control.as_raw_fd(), &request).map_err(|source| match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => TunError::NoPermission,
        Some(libc::EAFNOSUPPORT) => TunError::NoIpv6,
        _ => failure(step, source),
    })
}

fn add_address(control: RawFd, request: &AliasRequest) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the request is what this ioctl reads, of the size that
    // its number contains.
    let result = unsafe { libc::ioctl(control, ADD_ADDRESS, &raw const *request) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn sockaddr(address: Ipv6Addr) -> libc::sockaddr_in6 {
    libc::sockaddr_in6 {
        sin6_len: mem::size_of::<libc::sockaddr_in6>() as u8,
        sin6_family: libc::AF_INET6 as libc::sa_family_t,
        sin6_port: 0,
        sin6_flowinfo: 0,
        sin6_addr: libc::in6_addr { s6_addr: address.octets() },
        sin6_scope_id: 0,
    }
}
