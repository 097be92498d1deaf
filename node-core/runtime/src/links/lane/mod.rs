//! The lane for datagrams beside the stream of a QUIC link.
//!
//! A frame that is lost in the stream holds up all behind it for a round trip. On the lane each
//! frame travels alone, may be lost, and may overtake others. Who sends may choose between the two
//! for each frame; both are under the one congestion control of the connection.
//!
//! ```text
//!   data path  <==>  near | far  <==>  task  <==>  datagrams  <==>  peer
//! ```
//!
//! As with the stream ([`super::bridge`]), the data path gets the near end of a pair of local
//! sockets. It keeps the boundaries of messages; one message is one frame of traffic, as it would
//! be in the stream. The pair holds little and QUIC holds little, so a frame that finds no room
//! waits in the queues of the data path, where others can overtake it. Nothing that was written is
//! dropped on this side, unless the path has become too narrow for it meanwhile.
//!
//! There is no lane where the system has no such pair (all but Linux); the stream carries
//! everything there. Neither is there one to nodes that have not said that they know of it.

#[cfg(target_os = "linux")]
mod linux;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

#[cfg(target_os = "linux")]
pub(super) use linux::open;
use quinn::Connection;
use socket2::Socket;

/// The near end of a lane. [`super::socket`] works on it as on that of a stream.
///
/// It ends with the connection, and is closed by shutting it down or dropping it.
#[derive(Debug)]
pub struct DatagramLane {
    /// Each write is one frame and is taken whole or not at all, each read gives one.
    pub socket: Socket,
    /// The largest frame that may be written.
    pub frame_max: FrameMax,
}

impl DatagramLane {
    /// Reads a frame that has arrived already.
    ///
    /// # Errors
    /// `WouldBlock` if none has, else what the system answers.
    #[cfg(target_os = "linux")]
    pub(crate) fn try_recv(&self, frame: &mut [u8]) -> std::io::Result<usize> {
        linux::try_recv(&self.socket, frame)
    }

    /// A system without lanes.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn try_recv(&self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

/// The largest frame in bytes that fits into one datagram, as the path is known by now. What is
/// larger takes the stream.
#[derive(Clone, Debug, Default)]
pub struct FrameMax(Arc<AtomicUsize>);

impl FrameMax {
    /// The frames of the largest size that any path is searched for; whoever reads from a lane
    /// needs room for so much.
    pub const LIMIT: usize = 9_000;

    /// A size that stays.
    #[cfg(all(test, target_os = "linux"))]
    pub(crate) fn of(bytes: usize) -> Self {
        Self(Arc::new(bytes.into()))
    }

    /// The size in bytes; 0 if datagrams have become impossible.
    #[must_use]
    pub fn get(&self) -> usize {
        self.0.load(Relaxed)
    }

    /// Follows what the connection has found out about its path.
    pub(super) fn follow(&self, connection: &Connection) {
        let fits = connection.max_datagram_size().unwrap_or(0).min(Self::LIMIT);
        if fits != self.get() {
            self.0.store(fits, Relaxed);
        }
    }
}

/// Whether this system has what a lane is made of.
pub(super) const AVAILABLE: bool = cfg!(target_os = "linux");

/// A system without lanes.
#[cfg(not(target_os = "linux"))]
pub(super) fn open(_: &Connection, _: &FrameMax) -> std::io::Result<DatagramLane> {
    Err(std::io::ErrorKind::Unsupported.into())
}
