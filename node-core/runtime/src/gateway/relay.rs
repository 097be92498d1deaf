//! Carrying bytes between two connections.

use std::{
    io,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::host::Stream;
use crate::links::peers::LastError;

/// Bytes that are read at once in each direction.
const CHUNK_LEN: usize = 32 * 1024;

/// How long a connection may be quiet once one end has finished.
const QUIET_FINISHED_MAX: Duration = Duration::from_secs(5 * 60);
/// How many of these a connection may be quiet while neither has: two hours and five minutes, as
/// long as the packet filter remembers one. Ends that are gone are noticed sooner, by their system.
const QUIET_TURNS_MAX: u32 = 25;

/// How long a client that is refused may take to hear it.
const PARTING_MAX: Duration = Duration::from_secs(5);

/// What has gone through something that the gateway opened, and what went wrong there last.
#[derive(Debug, Default)]
pub struct Tally {
    rx_bytes: AtomicU64,
    tx_bytes: AtomicU64,
    connections: AtomicU64,
    last_error: Mutex<Option<LastError>>,
}

/// Counts one connection for as long as it lives.
pub(super) struct Counted<'a>(&'a Tally);

impl Tally {
    /// Bytes from the network.
    pub fn rx_bytes(&self) -> u64 {
        self.rx_bytes.load(Relaxed)
    }

    /// Bytes to the network.
    pub fn tx_bytes(&self) -> u64 {
        self.tx_bytes.load(Relaxed)
    }

    /// Connections, or conversations by datagrams, that are open.
    pub fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    /// What failed last.
    pub fn last_error(&self) -> Option<LastError> {
        self.last_error.lock().clone()
    }

    pub(super) fn received(&self, len: usize) {
        self.rx_bytes.fetch_add(len as u64, Relaxed);
    }

    pub(super) fn sent(&self, len: usize) {
        self.tx_bytes.fetch_add(len as u64, Relaxed);
    }

    pub(super) fn failed(&self, code: &'static str, message: String) {
        let error = LastError { code, message: message.into(), at: SystemTime::now() };
        *self.last_error.lock() = Some(error);
    }

    pub(super) fn count(&self) -> Counted<'_> {
        self.connections.fetch_add(1, Relaxed);
        Counted(self)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}

/// How far a connection has come.
#[derive(Default)]
struct Progress {
    /// Pieces that were carried.
    pieces: AtomicU64,
    /// Whether one end has finished.
    finished: AtomicBool,
}

/// Carries bytes both ways until both ends have finished. One end may finish before the other; what
/// breaks off, or is quiet for too long, is reset on both sides.
pub(super) async fn relay(mut near: Stream, mut far: Stream, tally: &Tally) {
    let done = {
        let ((near_read, near_write), (far_read, far_write)) = (split(&mut near), split(&mut far));
        let progress = Progress::default();
        let both = async {
            tokio::try_join!(
                pump(near_read, far_write, &progress, |len| tally.sent(len)),
                pump(far_read, near_write, &progress, |len| tally.received(len)),
            )
        };
        tokio::select! {
            done = both => done.is_ok(),
            () = progress.stalls() => false,
        }
    };
    if !done {
        near.reset();
        far.reset();
    }
}

impl Progress {
    /// Waits until nothing has moved for too long.
    async fn stalls(&self) {
        let (mut seen, mut quiet_turns) = (0, 0);
        loop {
            sleep(QUIET_FINISHED_MAX).await;
            let pieces = self.pieces.load(Relaxed);
            quiet_turns = if pieces == seen { quiet_turns + 1 } else { 0 };
            seen = pieces;
            let turns_max = if self.finished.load(Relaxed) { 1 } else { QUIET_TURNS_MAX };
            if quiet_turns >= turns_max {
                return;
            }
        }
    }
}

/// Carries bytes one way, and then the end.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    progress: &Progress,
    carried: impl Fn(usize),
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_LEN];
    loop {
        let len = from.read(&mut chunk).await?;
        if len == 0 {
            progress.finished.store(true, Relaxed);
            return to.shutdown().await;
        }
        to.write_all(&chunk[..len]).await?;
        progress.pieces.fetch_add(1, Relaxed);
        carried(len);
    }
}

/// Says a last word, and lets the client take it before the connection goes.
pub(super) async fn farewell(mut client: TcpStream, words: &[u8]) {
    if client.write_all(words).await.is_ok() && client.shutdown().await.is_ok() {
        // A client that goes on sending would otherwise see a reset instead.
        let mut rest = [0; 512];
        let drained = async { while let Ok(1..) = client.read(&mut rest).await {} };
        let _ = timeout(PARTING_MAX, drained).await;
    }
}
