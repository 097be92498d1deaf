//! The socket that beacons are sent and heard with.
//!
//! One socket for all interfaces, shared with whoever else looks for nodes on this machine. Where a
//! datagram was sent to is not asked: its source must be link-local, so it comes from the link
//! either way, and whoever can send to this machine alone can as well send to everybody.
//!
//! Source: protocol chapter 10.1.

use std::{
    io,
    net::{Ipv6Addr, SocketAddr, SocketAddrV6},
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use crate::datagram::is_about_one;

/// All nodes of a link.
const GROUP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x114);

/// The port of the group, and of who sends to it.
const PORT: u16 = 9001;

/// The longest beacon that is read whole; what is longer is cut, and what is cut is ignored.
pub(super) const DATAGRAM_MAX: usize = 2048;

/// See the module. Must be used inside a tokio runtime.
#[derive(Debug)]
pub(super) struct BeaconSocket(UdpSocket);

impl BeaconSocket {
    /// Opens the socket, without hearing anything yet.
    pub(super) fn open() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_only_v6(true)?;
        share(&socket)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, PORT, 0, 0).into())?;
        // Other nodes of this machine hear us too.
        socket.set_multicast_loop_v6(true)?;
        Ok(Self(UdpSocket::from_std(socket.into())?))
    }

    /// Hears what is sent to the group on an interface. To ask again does no harm: an interface
    /// that was gone in between has forgotten it.
    pub(super) fn join(&self, interface: u32) -> io::Result<()> {
        match self.0.join_multicast_v6(&GROUP, interface) {
            Err(error) if is_joined_already(&error) => Ok(()),
            done => done,
        }
    }

    /// Hears nothing more from an interface.
    pub(super) fn leave(&self, interface: u32) {
        // It may be gone, and its membership with it.
        let _ = self.0.leave_multicast_v6(&GROUP, interface);
    }

    /// Sends to all nodes behind an interface.
    pub(super) async fn send(&self, datagram: &[u8], interface: u32) -> io::Result<()> {
        let to = SocketAddrV6::new(GROUP, PORT, 0, interface);
        self.0.send_to(datagram, to).await.map(drop)
    }

    /// Waits for a datagram from a link-local address, which names its interface as the scope.
    pub(super) async fn receive(&self, datagram: &mut [u8]) -> io::Result<(usize, SocketAddrV6)> {
        loop {
            let (len, from) = match self.0.recv_from(datagram).await {
                Err(error) if is_about_one(&error) => continue,
                received => received?,
            };
            if let SocketAddr::V6(from) = from
                && from.ip().is_unicast_link_local()
                && from.scope_id() != 0
            {
                return Ok((len, from));
            }
        }
    }
}

/// Lets other programs have the same port, all of whom hear what is sent to the group.
#[cfg(not(target_os = "macos"))]
fn share(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_address(true)
}

/// As elsewhere, by the option that means it here.
#[cfg(target_os = "macos")]
fn share(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

#[cfg(unix)]
fn is_joined_already(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

#[cfg(windows)]
fn is_joined_already(error: &io::Error) -> bool {
    use windows_sys::Win32::Networking::WinSock::{WSAEADDRINUSE, WSAEINVAL};
    matches!(error.raw_os_error(), Some(WSAEADDRINUSE | WSAEINVAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_datagram_too_long_to_be_a_beacon_does_not_end_the_socket() {
        let any = (Ipv6Addr::LOCALHOST, 0);
        let (Ok(here), Ok(there)) = (UdpSocket::bind(any).await, UdpSocket::bind(any).await) else {
            // A system without IPv6 hears no beacons.
            return;
        };
        let to = here.local_addr().unwrap();
        let socket = BeaconSocket(here);
        there.send_to(&[0; DATAGRAM_MAX * 2], to).await.unwrap();
        let mut datagram = [0; DATAGRAM_MAX];
        // It comes from no link-local address, so that the wait goes on.
        let patience = std::time::Duration::from_millis(300);
        let heard = tokio::time::timeout(patience, socket.receive(&mut datagram)).await;
        assert!(heard.is_err(), "{heard:?}");
    }
}
