//! The pair of sockets and the task of a lane.

use std::{io, os::fd::OwnedFd};

use quinn::{Connection, SendDatagramError};
use rustix::net::RecvFlags;
use socket2::{Domain, Socket, Type};
use tokio::net::UnixDatagram;

use super::{DatagramLane, FrameMax};
use crate::links::socket;

/// What waits in the pair on its way out, in bytes of the system's accounting, which counts a full
/// packet as about two thousand. Enough to keep a gigabit busy until the task has its turn.
const OUTWARD_BUFFER: usize = 32 * 1024;

/// What waits in the pair for the data path. A burst of a fast line has room in it.
const INWARD_BUFFER: usize = 256 * 1024;

/// After so many frames in a row, the task looks again how large they may be.
const LOOK_INTERVAL: u32 = 64;

/// Gives the datagrams of `connection` a socket for the data path, and carries frames between the
/// two from now on.
///
/// Must run inside a tokio runtime.
///
/// # Errors
/// What the system answers: it has no sockets left.
pub(in crate::links) fn open(
    connection: &Connection,
    frame_max: &FrameMax,
) -> io::Result<DatagramLane> {
    let (near, far) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None)?;
    near.set_send_buffer_size(OUTWARD_BUFFER)?;
    far.set_send_buffer_size(INWARD_BUFFER)?;
    socket::adopt(&near)?;
    far.set_nonblocking(true)?;
    // The type sends and receives, which is all the same to it.
    let far = UnixDatagram::from_std(OwnedFd::from(far).into())?;
    frame_max.follow(connection);
    tokio::spawn(carry_both(far, connection.clone(), frame_max.clone()));
    Ok(DatagramLane { socket: near, frame_max: frame_max.clone() })
}

/// Reads a message that has arrived already.
///
/// # Errors
/// `WouldBlock` if none has, else what the system answers.
pub(super) fn try_recv(near: &Socket, frame: &mut [u8]) -> io::Result<usize> {
    let (len, _) = rustix::net::recv(near, frame, RecvFlags::DONTWAIT)?;
    Ok(len)
}

async fn carry_both(far: UnixDatagram, connection: Connection, frame_max: FrameMax) {
    let end = tokio::select! {
        end = carry_out(&far, &connection, &frame_max) => end,
        end = carry_in(&connection, &far) => end,
    };
    if let Err(error) = end {
        tracing::debug!(%error, "a lane for datagrams ended");
    }
}

/// Carries frames to the peer until the data path closes its end.
async fn carry_out(
    far: &UnixDatagram,
    connection: &Connection,
    frame_max: &FrameMax,
) -> io::Result<()> {
    let mut frame = [0; FrameMax::LIMIT];
    let mut until_look = 0;
    loop {
        let len = far.recv(&mut frame).await?;
        if len == 0 {
            return Ok(());
        }
        if until_look == 0 {
            frame_max.follow(connection);
            until_look = LOOK_INTERVAL;
        }
        until_look -= 1;
        match connection.send_datagram_wait(frame[..len].to_vec().into()).await {
            Ok(()) => {}
            // The path has become narrower since the frame was made.
            Err(SendDatagramError::TooLarge) => until_look = 0,
            Err(error) => return Err(io::Error::other(error)),
        }
    }
}

/// Carries frames from the peer until the connection ends.
async fn carry_in(connection: &Connection, far: &UnixDatagram) -> io::Result<()> {
    loop {
        let frame = connection.read_datagram().await?;
        // An empty one would look like the end, and nobody sends larger ones.
        if frame.is_empty() || frame.len() > FrameMax::LIMIT {
            continue;
        }
        far.send(&frame).await?;
    }
}
