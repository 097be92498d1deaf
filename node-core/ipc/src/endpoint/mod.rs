//! The socket of the control API: where it is, who may be at the other end.
//!
//! One contract, one file per platform: a Unix socket in `unix.rs`, a named pipe in `windows.rs`.
//! Both give
//!
//! * `Listener::bind(path)`, which never takes the place of a living service and never removes
//!   anything that is not a dead socket; `accept`, `credentials` of what it gives, and a
//!   `second_look` at a client that has said something;
//! * `connect(path)`, which tells a missing service from a missing permission, and refuses to talk
//!   to a server that is neither root (on Windows the system or its administrators), nor oneself,
//!   nor the node's account, nor the owner of the socket.
//!
//! Nothing here reads or writes a message.

use std::io;
use std::path::{Path, PathBuf};

use crate::message::Right;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::{
    ClientStream, Listener, SYSTEM_PATH, ServerStream, connect, credentials, second_look,
};

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::{
    ClientStream, Listener, SYSTEM_PATH, ServerStream, connect, credentials, foreign_owner,
    second_look,
};

/// Group whose members may use the control socket, and account the service runs as.
pub const GROUP: &str = "planetary";

/// Who is at the other end of a connection, as the operating system says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCredentials {
    /// User id; `None` where the platform has none.
    pub uid: Option<u32>,
    /// Process id, when known. Good for a log line, never for a decision: it may be another
    /// process by the time it is read.
    pub pid: Option<u32>,
    /// The most this caller may do; `None` when it may not even look.
    pub right: Option<Right>,
}

impl PeerCredentials {
    /// Whether the caller may do what needs `right`.
    pub fn may(&self, right: Right) -> bool {
        self.right.is_some_and(|granted| granted >= right)
    }
}

/// Why the service cannot listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another service listens there. Stop it, or choose another path with `--control`.
    #[error("another service is already listening on {}", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something else has the name. It is left alone; choose another path with `--control`.
    #[error("{} exists and is not a socket", path.display())]
    NotASocket {
        /// The file.
        path: PathBuf,
    },
    /// A socket's path is limited to about a hundred bytes. Choose a shorter one with `--control`.
    #[error("the path {} is too long for a socket: {len} bytes, where {max} fit", path.display())]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        len: usize,
        /// The greatest length.
        max: usize,
    },
    /// The operating system refused.
    #[error("cannot listen on {}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl BindError {
    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}

/// Why a client could not reach a service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReachError {
    /// There is no socket: the service is not installed, not started, or elsewhere.
    #[error("there is no control socket at {}", path.display())]
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// There is a socket, but nobody listens: the service has ended.
    #[error("nobody is listening on {}", path.display())]
    NotListening {
        /// The socket.
        path: PathBuf,
    },
    /// The caller may not open the socket.
    #[error("no permission to open {}", path.display())]
    PermissionDenied {
        /// The socket.
        path: PathBuf,
    },
    /// The one who listens is nobody to trust with a command.
    #[error("the program listening on {} belongs to another user ({owner})", path.display())]
    Untrusted {
        /// The socket.
        path: PathBuf,
        /// Whose it is, in the system's notation.
        owner: String,
    },
    /// Anything else.
    #[error("cannot connect to {}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ReachError {
    fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path },
            io::ErrorKind::ConnectionRefused => Self::NotListening { path },
            io::ErrorKind::PermissionDenied => Self::PermissionDenied { path },
            _ => Self::Io { path, source },
        }
    }
}
