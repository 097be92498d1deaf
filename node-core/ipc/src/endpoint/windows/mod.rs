//! The control socket on Windows: a named pipe for local clients.
//!
//! Who may open it is decided by the pipe's access list, which the kernel enforces at every open
//! ([`access_list`]): the system, its administrators, and for the system's service the group
//! `planetary`. Its members are on the list themselves, as they were when the service started,
//! because somebody who was put into a group is known as a member only after signing in again.
//! Remote clients are rejected, a pipe whose name is already taken is not
//! joined, and clients may not make instances of their own. A client looks at the owner of the pipe
//! before it says a word.

mod client;
mod people;
mod security;

use std::fs::OpenOptions;
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsHandle;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::windows::named_pipe::{NamedPipeClient, NamedPipeServer, ServerOptions};
use tokio::time;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_OVERLAPPED, FILE_GENERIC_READ, FILE_WRITE_ATTRIBUTES, FILE_WRITE_DATA,
    SECURITY_IDENTIFICATION,
};

pub use security::foreign_owner;

use super::{BindError, GROUP, PeerCredentials, ReachError};
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

/// What a client opens a pipe for. The usual right to write would include the right to make
/// instances of the pipe, which clients do not have.
const CLIENT_ACCESS: u32 = FILE_GENERIC_READ | FILE_WRITE_DATA | FILE_WRITE_ATTRIBUTES;

/// Nobody over the network; the system, administrators and the account that made the pipe all.
const PRIVATE: &str = "D:P(D;;GA;;;NU)(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;OW)";

/// What people may who use the system's service: [`CLIENT_ACCESS`] and the right to read the owner.
const USE: &str = "0x12018b";

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
        let made = create(path, ServerOptions::new().first_pipe_instance(true));
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
        let next = create(&self.path, &ServerOptions::new())?;
        Ok(std::mem::replace(&mut self.waiting, next))
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Finds out what the one at the other end may do: whoever could open the pipe for writing is on
/// its access list. Who is an administrator is seen by a [`second_look`].
///
/// # Errors
/// None; other platforms have some.
#[expect(clippy::unused_async, reason = "other platforms have to wait for the list of users")]
pub async fn credentials(_: &ServerStream) -> io::Result<PeerCredentials> {
    Ok(PeerCredentials { uid: None, pid: None, right: Some(Right::Change) })
}

/// What can be said of a client once something of it was read, and not before: whether it acts as
/// an administrator, who may do everything. A program that was not opened as one does not.
pub fn second_look(
    stream: &ServerStream,
) -> impl FnOnce(PeerCredentials) -> PeerCredentials + Send + use<> {
    let pipe = stream.as_handle().try_clone_to_owned();
    move |known| match pipe.and_then(|pipe| client::is_administrator(&pipe)) {
        Ok(true) => PeerCredentials { right: Some(Right::Admin), ..known },
        Ok(false) => known,
        Err(error) => {
            tracing::debug!(%error, "the system does not say who a client is");
            known
        }
    }
}

/// Connects to the service that listens on `path`.
///
/// # Errors
/// See [`ReachError`].
pub async fn connect(path: &Path) -> Result<ClientStream, ReachError> {
    let failed = |error| ReachError::from_io(path, error);
    for _ in 0..BUSY_TRIES {
        let pipe = match open(path) {
            Err(error) if error.raw_os_error() == Some(PIPE_BUSY) => {
                time::sleep(BUSY_PAUSE).await;
                continue;
            }
            opened => opened.map_err(failed)?,
        };
        return match foreign_owner(&pipe).map_err(failed)? {
            None => Ok(pipe),
            Some(owner) => Err(ReachError::Untrusted { path: path.to_owned(), owner }),
        };
    }
    Err(failed(io::Error::from_raw_os_error(PIPE_BUSY)))
}

fn create(path: &Path, options: &ServerOptions) -> io::Result<NamedPipeServer> {
    security::create(path, options, &access_list(path))
}

/// Who may open the pipe.
fn access_list(path: &Path) -> String {
    let people = match path == Path::new(SYSTEM_PATH) {
        true => people::of_group(GROUP),
        false => Vec::new(),
    };
    list_for(&people)
}

/// The list of a pipe that these may use, besides those who always may.
fn list_for(people: &[String]) -> String {
    let entries = people.iter().map(|sid| format!("(A;;{USE};;;{sid})"));
    [PRIVATE.to_owned()].into_iter().chain(entries).collect()
}

/// The service may learn who we are, but not act in our name.
fn open(path: &Path) -> io::Result<NamedPipeClient> {
    let mut options = OpenOptions::new();
    options.access_mode(CLIENT_ACCESS).share_mode(0);
    options.custom_flags(FILE_FLAG_OVERLAPPED).security_qos_flags(SECURITY_IDENTIFICATION);
    security::client(options.open(path)?)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn pipe_is_not_shared_with_another_service() {
        let path = PathBuf::from(format!(r"\\.\pipe\planetary-test-{}", std::process::id()));
        let mut listener = Listener::bind(&path).unwrap();
        // Wine 8 does not know what the first instance of a pipe is.
        if std::env::var_os("PLANETARY_WINE").is_none() {
            let second = Listener::bind(&path);
            assert!(matches!(second, Err(BindError::InUse { .. })), "{second:?}");
        }
        let (accepted, connected) = tokio::join!(listener.accept(), connect(&path));
        let peer = credentials(&accepted.unwrap()).await.unwrap();
        assert!(peer.may(Right::Change));
        connected.unwrap();
    }

    #[tokio::test]
    async fn an_administrator_may_do_all_once_it_has_spoken() {
        let path = PathBuf::from(format!(r"\\.\pipe\planetary-spoken-{}", std::process::id()));
        let mut listener = Listener::bind(&path).unwrap();
        let (accepted, connected) = tokio::join!(listener.accept(), connect(&path));
        let (mut server, mut client) = (accepted.unwrap(), connected.unwrap());
        let peer = credentials(&server).await.unwrap();
        assert!(!peer.may(Right::Admin));
        let look = second_look(&server);
        client.write_all(b"hello").await.unwrap();
        server.read_exact(&mut [0; 5]).await.unwrap();
        let is_administrator = client::is_member_of_administrators(None).unwrap();
        assert_eq!(look(peer).may(Right::Admin), is_administrator);
        // Whoever runs Wine is one there.
        assert!(is_administrator || std::env::var_os("PLANETARY_WINE").is_none());
        // The service is itself again.
        assert!(Listener::bind(&path.with_extension("other")).is_ok());
    }

    #[test]
    fn access_lists_are_understood_and_strangers_are_on_none() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let members = ["S-1-5-21-1-2-3-1001", "S-1-5-32-545"].map(str::to_owned);
        let lists = [
            access_list(Path::new(SYSTEM_PATH)),
            access_list(Path::new("other")),
            list_for(&members),
        ];
        assert!(members.iter().all(|sid| lists[2].contains(&format!("(A;;{USE};;;{sid})"))));
        for (number, list) in lists.iter().enumerate() {
            let name = format!(r"\\.\pipe\planetary-list-{number}-{}", std::process::id());
            security::create(Path::new(&name), &ServerOptions::new(), list).expect(list);
            // Everyone, anonymous, guests, all authenticated users, whoever sits at the computer.
            for stranger in ["WD", "AN", "BG", "AU", "IU"] {
                assert!(!list.contains(stranger), "{list}");
            }
        }
    }

    #[tokio::test]
    async fn own_pipe_belongs_to_nobody_else() {
        let path = PathBuf::from(format!(r"\\.\pipe\planetary-own-{}", std::process::id()));
        let listener = Listener::bind(&path).unwrap();
        assert_eq!(foreign_owner(&listener.waiting).unwrap(), None);
    }

    #[tokio::test]
    async fn missing_pipe_is_named() {
        let path = Path::new(r"\\.\pipe\planetary-test-nobody");
        assert!(matches!(connect(path).await, Err(ReachError::NotFound { .. })));
    }
}
