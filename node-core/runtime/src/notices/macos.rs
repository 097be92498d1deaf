//! macOS: a routing socket, which is told of interfaces, addresses and routes, and the word of the
//! system's configuration, which also tells of name servers and of another Wi-Fi.

use std::{
    ffi::{CStr, c_char, c_int},
    io,
    os::fd::{BorrowedFd, OwnedFd},
    sync::Arc,
};

use rustix::{
    io::{fcntl_dupfd_cloexec, ioctl_fionbio},
    net::{AddressFamily, SocketType, socket},
};
use tokio::sync::Notify;

use super::unix::Follower;

/// `kNotifySCNetworkChange` of notify_keys.h: anything of the network configuration changed.
const NETWORK_CHANGE: &CStr = c"com.apple.system.config.network_change";

/// See [`super::Notices`].
pub(super) struct Source {
    _network: Follower,
    /// `None` where the system does not take the registration; the socket tells most of it.
    _configuration: Option<Configuration>,
}

impl Source {
    pub(super) fn open(arrived: &Arc<Notify>) -> io::Result<Self> {
        // No protocol: of every family.
        let socket = socket(AddressFamily::ROUTE, SocketType::RAW, None)?;
        ioctl_fionbio(&socket, true)?;
        let network = Follower::new(socket, arrived)?;
        let configuration = Configuration::new(arrived).ok();
        Ok(Self { _network: network, _configuration: configuration })
    }
}

/// Notices of the system's configuration, until it is dropped.
struct Configuration {
    /// Stands first, so that nobody reads any more when the registration ends.
    _follower: Follower,
    _registration: Registration,
}

impl Configuration {
    fn new(arrived: &Arc<Notify>) -> io::Result<Self> {
        let (registration, descriptor) = Registration::new(NETWORK_CHANGE)?;
        ioctl_fionbio(&descriptor, true)?;
        let follower = Follower::new(descriptor, arrived)?;
        Ok(Self { _follower: follower, _registration: registration })
    }
}

/// A name that the system tells of; each notice is four bytes to read.
struct Registration(c_int);

impl Registration {
    /// Also returns a descriptor of our own for what is told.
    fn new(name: &CStr) -> io::Result<(Self, OwnedFd)> {
        let (mut theirs, mut token) = (-1, -1);
        // SAFETY: the name ends with a zero, and the other two are places to write to.
        let status = unsafe {
            notify_register_file_descriptor(name.as_ptr(), &raw mut theirs, 0, &raw mut token)
        };
        if status != NOTIFY_STATUS_OK {
            return Err(io::Error::other(format!("the system's word on registering: {status}")));
        }
        let registration = Self(token);
        // SAFETY: the descriptor is open until the registration is cancelled, which comes later.
        let theirs = unsafe { BorrowedFd::borrow_raw(theirs) };
        Ok((registration, fcntl_dupfd_cloexec(theirs, 0)?))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: the token is that of a registration, cancelled once. That closes its descriptor,
        // of which we have a copy. There is nothing to do about a failure.
        unsafe { notify_cancel(self.0) };
    }
}

const NOTIFY_STATUS_OK: u32 = 0;

// Of notify.h, in the system's library.
unsafe extern "C" {
    fn notify_register_file_descriptor(
        name: *const c_char,
        descriptor: *mut c_int,
        flags: c_int,
        token: *mut c_int,
    ) -> u32;
    fn notify_cancel(token: c_int) -> u32;
}
