//! Linux: the multicast groups of netlink, and inotify for the list of name servers.

use std::{
    collections::BTreeSet,
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::inotify::{self, CreateFlags, WatchFlags},
    net::{AddressFamily, SocketFlags, SocketType, bind, netlink::SocketAddrNetlink, socket_with},
};
use tokio::sync::Notify;

use super::unix::{Follower, RESOLVER_FILE};

/// Interfaces, addresses and routes of both families.
const GROUPS: u32 = (libc::RTMGRP_LINK
    | libc::RTMGRP_IPV4_IFADDR
    | libc::RTMGRP_IPV6_IFADDR
    | libc::RTMGRP_IPV4_ROUTE
    | libc::RTMGRP_IPV6_ROUTE) as u32;

/// See [`super::Notices`].
pub(super) struct Source {
    _network: Follower,
    /// `None` where files cannot be watched.
    _resolver: Option<Follower>,
}

impl Source {
    pub(super) fn open(arrived: &Arc<Notify>) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        let network = Follower::new(socket, arrived)?;
        let resolver = watch_resolver().and_then(|watch| Follower::new(watch, arrived)).ok();
        Ok(Self { _network: network, _resolver: resolver })
    }
}

/// Watches the folders of the file and of what it stands for, which is elsewhere where a program
/// manages it: programs that write it replace it as a whole.
fn watch_resolver() -> io::Result<OwnedFd> {
    let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let file = PathBuf::from(RESOLVER_FILE);
    let real = fs::canonicalize(&file);
    let folders: BTreeSet<&Path> =
        real.iter().chain([&file]).filter_map(|file| file.parent()).collect();
    for folder in folders {
        inotify::add_watch(&watch, folder, WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO)?;
    }
    Ok(watch)
}
