//! A socket for links whose transport is not one.
//!
//! The data path works on sockets: it blocks in one thread and writes from any. QUIC and WebSocket
//! are state machines of the runtime instead. [`bridge`] gives such a stream a pair of local
//! sockets: one end goes to the data path, and a task carries bytes between the other end and the
//! stream.
//!
//! ```text
//!   data path  <==>  near | far  <==>  task  <==>  stream  <==>  peer
//! ```
//!
//! Bytes are carried as they come, whole reads at a time; nothing waits for more. Whoever is slow
//! holds up the other side, for no buffer here grows: what has been written into the bridge cannot
//! be overtaken by a more urgent frame, so all of them are small.
//!
//! The task ends with the first end that ends. When the data path shuts its end down, the stream is
//! ended politely; when the stream ends or fails, the data path reads all that came before, and
//! then the end.
//!
//! Why, and what it costs: docs/decisions/0020-links-that-are-not-sockets.md.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::{io, time::Duration};

use socket2::Socket;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    time::timeout,
};

#[cfg(unix)]
use self::unix::pair;
#[cfg(windows)]
use self::windows::pair;
use super::socket;

/// What one direction of the task holds: a few full packets, or half a frame of the largest size.
const CARRIED_MAX: usize = 32 * 1024;

/// What the system may hold for one direction of the pair of sockets, its own overhead apart.
const LOCAL_BUFFER: usize = 64 * 1024;

/// How long the peer may take nothing before it counts as gone.
///
/// The engine closes a link that takes nothing after 30 seconds. The task may be waiting for the
/// peer then, who could keep it waiting for ever.
const STALLED_MAX: Duration = Duration::from_secs(40);

/// How long an end that is left over may take to say goodbye.
const FAREWELL_TIME_MAX: Duration = Duration::from_secs(1);

/// Gives `stream` a socket for the data path, and carries bytes between the two from now on.
///
/// Must run inside a tokio runtime. Shutting the socket down ends the stream.
///
/// # Errors
/// What the system answers: it has no sockets left.
pub(super) fn bridge<S>(stream: S) -> io::Result<Socket>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (near, far) = pair()?;
    socket::adopt(&near)?;
    tokio::spawn(carry_both(far, stream));
    Ok(near)
}

async fn carry_both<F, S>(far: F, stream: S)
where
    F: AsyncRead + AsyncWrite,
    S: AsyncRead + AsyncWrite,
{
    let (mut from_node, mut to_node) = split(far);
    let (mut from_peer, mut to_peer) = split(stream);
    {
        let outward = carry(&mut from_node, &mut to_peer, STALLED_MAX);
        let inward = async {
            // How long the data path may be busy is its own affair, and its end is seen at once.
            let end = carry(&mut from_peer, &mut to_node, Duration::MAX).await;
            // Nobody is left to be told if that fails.
            let _ = to_node.shutdown().await;
            end
        };
        tokio::pin!(outward, inward);
        let end = tokio::select! {
            end = &mut outward => end,
            end = &mut inward => {
                // The data path sees the end of the stream, and closes its end.
                let _ = timeout(FAREWELL_TIME_MAX, &mut outward).await;
                end
            }
        };
        if let Err(error) = end {
            tracing::debug!(%error, "a bridged link failed");
        }
    }
    // Whether the farewell arrives is up to the peer.
    let _ = timeout(FAREWELL_TIME_MAX, to_peer.shutdown()).await;
}

/// Carries bytes until `from` ends, either fails, or `to` has taken nothing for `stalled_max`.
async fn carry<R, W>(from: &mut R, to: &mut W, stalled_max: Duration) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut bytes = vec![0; CARRIED_MAX].into_boxed_slice();
    loop {
        let len = from.read(&mut bytes).await?;
        if len == 0 {
            return Ok(());
        }
        let mut rest = &bytes[..len];
        while !rest.is_empty() {
            let taken = timeout(stalled_max, to.write(rest)).await??;
            if taken == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest = &rest[taken..];
        }
        timeout(stalled_max, to.flush()).await??;
    }
}

#[cfg(test)]
mod tests;
