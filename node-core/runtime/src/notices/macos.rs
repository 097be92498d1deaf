//! macOS: a routing socket, which is told of interfaces, addresses and routes.

use std::{io, sync::Arc};

use rustix::{
    io::ioctl_fionbio,
    net::{AddressFamily, SocketType, socket},
};
use tokio::sync::Notify;

use super::unix::Follower;

/// See [`super::Notices`].
pub(super) struct Source {
    _network: Follower,
}

impl Source {
    pub(super) fn open(arrived: &Arc<Notify>) -> io::Result<Self> {
        // No protocol: of every family.
        let socket = socket(AddressFamily::ROUTE, SocketType::RAW, None)?;
        ioctl_fionbio(&socket, true)?;
        Ok(Self { _network: Follower::new(socket, arrived)? })
    }
}
