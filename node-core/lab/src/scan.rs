//! A port scan, as a stranger makes one: what answers is found, what keeps silent is not.

use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;

use crate::host::Host;

/// Connections that are tried at once.
const AT_ONCE: usize = 256;

/// What a port was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Found {
    /// Somebody listens.
    Open(u16),
    /// The host says that nobody listens, or that it is forbidden: so there is a host.
    Refused(u16),
}

/// Tries TCP and UDP on these ports of an address, from a host; returns what gave any answer within
/// `patience` each, ordered.
///
/// # Errors
/// When the host cannot be entered.
pub fn scan(
    host: &Host,
    address: Ipv6Addr,
    ports: &[u16],
    patience: Duration,
) -> Result<Vec<Found>> {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let try_ports = || {
        while let Some(port) = ports.get(next.fetch_add(1, Ordering::Relaxed)) {
            let target = SocketAddr::from((address, *port));
            if let Some(answer) = try_tcp(target, patience).or_else(|| try_udp(target)) {
                found.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
            }
        }
    };
    host.enter(|| {
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE.min(ports.len()) {
                scope.spawn(try_ports);
            }
        });
    })?;
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort();
    Ok(found)
}

fn try_tcp(target: SocketAddr, patience: Duration) -> Option<Found> {
    match TcpStream::connect_timeout(&target, patience) {
        Ok(_) => Some(Found::Open(target.port())),
        Err(error) if is_silence(error.kind()) => None,
        Err(_) => Some(Found::Refused(target.port())),
    }
}

/// Only a refusal shows here: a program that keeps silent cannot be told from nobody.
fn try_udp(target: SocketAddr) -> Option<Found> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(target).ok()?;
    socket.set_read_timeout(Some(Duration::from_millis(100))).ok()?;
    socket.send(b"is anybody there?").ok()?;
    match socket.recv(&mut [0; 64]) {
        Ok(_) => Some(Found::Open(target.port())),
        Err(error) if is_silence(error.kind()) => None,
        Err(_) => Some(Found::Refused(target.port())),
    }
}

fn is_silence(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::TimedOut | ErrorKind::WouldBlock)
}
