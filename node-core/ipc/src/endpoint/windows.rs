//! The control socket on Windows: a named pipe for local clients.
//!
//! Who may open it is decided by the pipe's access list, which the kernel enforces at every open:
//! by default the system, administrators and the account that made it may read and write, everybody
//! else may not write, and so cannot connect. Remote clients are rejected, and a pipe whose name is
//! already taken is not joined.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::windows::named_pipe::{
    ClientOptions, NamedPipeClient, NamedPipeServer, ServerOptions,
};
use tokio::time;

use super::{BindError, PeerCredentials, ReachError};
use crate::message::Right;

/// Where the system's service listens.
pub const SYSTEM_PATH: &str = r"\\.\pipe\planetary-control";

/// The server's end of a connection.
pub type ServerStream = NamedPipeServer;

/// The client's end of a connection.
pub type ClientStream = NamedPipeClient;

/// `ERROR_ACCESS_DENIED`, the answer to making the first instance of a pipe that exists.
const ACCESS_DENIED: i32 = 5;

/// `ERROR_PIPE_BUSY`: all instances are taken for the moment.
const PIPE_BUSY: i32 = 231;

/// How often a busy pipe is tried again, each time after [`BUSY_PAUSE`]: half a second in all.
const BUSY_TRIES: u32 = 10;

const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// A listening control pipe.
#[derive(Debug)]
pub struct Listener {
    /// The instance that waits for the next client.
    waiting: NamedPipeServer,
    path: PathBuf,
}

impl Listener {
    /// Listens on `path`, which must begin with `\\.\pipe\`. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// See [`BindError`].
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        let made = ServerOptions::new().first_pipe_instance(true).create(path);
        let waiting = made.map_err(|source| match source.raw_os_error() {
            Some(ACCESS_DENIED) => BindError::InUse { path: path.to_owned() },
            _ => BindError::io(path, source),
        })?;
        Ok(Self { waiting, path: path.to_owned() })
    }

    /// Waits for the next client. Safe to cancel.
    ///
    /// # Errors
    /// What the system says.
    pub async fn accept(&mut self) -> io::Result<ServerStream> {
        self.waiting.connect().await?;
        let next = ServerOptions::new().create(&self.path)?;
        Ok(std::mem::replace(&mut self.waiting, next))
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Finds out what the one at the other end may do: whoever could open the pipe for writing is on
/// its access list.
///
/// # Errors
/// None; other platforms have some.
#[expect(clippy::unused_async, reason = "other platforms have to wait for the list of users")]
pub async fn credentials(_: &ServerStream) -> io::Result<PeerCredentials> {
    Ok(PeerCredentials { uid: None, pid: None, right: Some(Right::Change) })
}

/// Connects to the service that listens on `path`.
///
/// The service may learn who we are, but not act in our name: that is tokio's default.
///
/// # Errors
/// See [`ReachError`].
pub async fn connect(path: &Path) -> Result<ClientStream, ReachError> {
    for _ in 0..BUSY_TRIES {
        match ClientOptions::new().open(path) {
            Err(error) if error.raw_os_error() == Some(PIPE_BUSY) => {
                time::sleep(BUSY_PAUSE).await;
            }
            opened => return opened.map_err(|error| ReachError::from_io(path, error)),
        }
    }
    Err(ReachError::from_io(path, io::Error::from_raw_os_error(PIPE_BUSY)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pipe_is_not_shared_with_another_service() {
        let path = PathBuf::from(format!(r"\\.\pipe\planetary-test-{}", std::process::id()));
        let mut listener = Listener::bind(&path).unwrap();
        let second = Listener::bind(&path);
        assert!(matches!(second, Err(BindError::InUse { .. })), "{second:?}");
        let (accepted, connected) = tokio::join!(listener.accept(), connect(&path));
        let peer = credentials(&accepted.unwrap()).await.unwrap();
        assert!(peer.may(Right::Change));
        connected.unwrap();
    }

    #[tokio::test]
    async fn missing_pipe_is_named() {
        let path = Path::new(r"\\.\pipe\planetary-test-nobody");
        assert!(matches!(connect(path).await, Err(ReachError::NotFound { .. })));
    }
}
