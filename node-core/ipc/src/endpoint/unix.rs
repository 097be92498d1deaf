//! The control socket on Unix: a stream socket in the file system, mode 0660, group `planetary`.
//!
//! On Linux an access list names the members of the group as well. Mode and list keep strangers
//! from connecting; the peer's credentials, which the kernel attests, are checked all the same,
//! because a socket may be passed on or stand in a folder that is too open.

#[cfg(target_os = "linux")]
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net as blocking;
use std::path::{Path, PathBuf};

use nix::unistd::{Group, Uid, User, geteuid};
use tokio::net::{UnixListener, UnixStream};

use super::{BindError, GROUP, PeerCredentials, ReachError};
use crate::message::Right;

/// Where the system's service listens.
#[cfg(target_os = "linux")]
pub const SYSTEM_PATH: &str = "/run/planetary/control.sock";
/// Where the system's service listens.
#[cfg(not(target_os = "linux"))]
pub const SYSTEM_PATH: &str = "/var/run/planetary/control.sock";

/// The server's end of a connection.
pub type ServerStream = UnixStream;

/// The client's end of a connection.
pub type ClientStream = UnixStream;

/// Bytes of a socket's path that fit into the system's address structure, less the final zero. The
/// structure of macOS and the BSDs is four bytes shorter than that of Linux.
const PATH_LEN_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// A listening control socket. Its file goes away with it, unless another service has put its own
/// in the place.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
    /// Device and inode of the socket's file.
    file: (u64, u64),
}

impl Listener {
    /// Listens on `path`, making its folder if that is missing and taking the place of a socket
    /// that nobody listens on. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// See [`BindError`].
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        let fail = |source| BindError::io(path, source);
        let len = path.as_os_str().as_bytes().len();
        if len > PATH_LEN_MAX {
            let path = path.to_owned();
            return Err(BindError::PathTooLong { path, len, max: PATH_LEN_MAX });
        }
        make_folder(path).map_err(fail)?;
        remove_dead_socket(path)?;
        let socket = UnixListener::bind(path).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse { path: path.to_owned() },
            _ => fail(source),
        })?;
        let listener = Self { socket, path: path.to_owned(), file: file_id(path).map_err(fail)? };
        share_with_group(path).map_err(fail)?;
        Ok(listener)
    }

    /// Waits for the next client. Safe to cancel.
    ///
    /// # Errors
    /// What the system says; most often that no file descriptor is left.
    pub async fn accept(&mut self) -> io::Result<ServerStream> {
        let (stream, _) = self.socket.accept().await?;
        Ok(stream)
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if file_id(&self.path).is_ok_and(|file| file == self.file) {
            // A file that stays behind is a dead socket, which the next service removes.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Finds out who is at the other end of an accepted connection, and what they may do.
///
/// # Errors
/// What the system says; the connection is then not to be served.
pub async fn credentials(stream: &ServerStream) -> io::Result<PeerCredentials> {
    let peer = stream.peer_cred()?;
    let pid = peer.pid().and_then(|pid| u32::try_from(pid).ok());
    let (uid, gid) = (peer.uid(), peer.gid());
    // The list of users may come from the network (LDAP), so it is asked beside the runtime.
    let right = tokio::task::spawn_blocking(move || right_of(uid, gid, GROUP)).await.ok().flatten();
    Ok(PeerCredentials { uid: Some(uid), pid, right })
}

/// What can be said of a client once something of it was read: no more than before.
pub fn second_look(
    _: &ServerStream,
) -> impl FnOnce(PeerCredentials) -> PeerCredentials + Send + use<> {
    |known| known
}

/// Connects to the service that listens on `path`.
///
/// # Errors
/// See [`ReachError`].
pub async fn connect(path: &Path) -> Result<ClientStream, ReachError> {
    let stream = UnixStream::connect(path).await.map_err(|e| ReachError::from_io(path, e))?;
    let uid = stream.peer_cred().map_err(|e| ReachError::from_io(path, e))?.uid();
    if is_trusted(uid, path) {
        return Ok(stream);
    }
    Err(ReachError::Untrusted { path: path.to_owned(), owner: format!("uid {uid}") })
}

/// Whether commands may be given to a server that runs as `uid` and listens on `path`: root,
/// oneself, the owner of the socket, or the service's own account.
fn is_trusted(uid: u32, path: &Path) -> bool {
    let account = || User::from_name(GROUP).ok().flatten().map(|account| account.uid.as_raw());
    uid == 0
        || uid == geteuid().as_raw()
        || fs::metadata(path).is_ok_and(|file| file.uid() == uid)
        || account() == Some(uid)
}

/// What a user may do: root and the service's own account all, members of the group change things,
/// others nothing. Membership is what the process runs under (`gid`) or what the system's lists
/// say.
fn right_of(uid: u32, gid: u32, group: &str) -> Option<Right> {
    if uid == 0 || uid == geteuid().as_raw() {
        return Some(Right::Admin);
    }
    let group = Group::from_name(group).ok().flatten()?;
    let listed = || {
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
        user.is_some_and(|user| user.gid == group.gid || group.mem.contains(&user.name))
    };
    (gid == group.gid.as_raw() || listed()).then_some(Right::Change)
}

/// Makes the folder of the socket: root's may be entered by all, since the socket itself has a
/// mode; a user's belongs to the user alone.
fn make_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.exists() => {
            let mode = if geteuid().is_root() { 0o755 } else { 0o700 };
            DirBuilder::new().recursive(true).mode(mode).create(folder)
        }
        _ => Ok(()),
    }
}

/// Removes what a killed service left behind, and nothing else.
fn remove_dead_socket(path: &Path) -> Result<(), BindError> {
    let kind = match fs::symlink_metadata(path) {
        Ok(file) => file.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(BindError::io(path, error)),
    };
    if !kind.is_socket() {
        return Err(BindError::NotASocket { path: path.to_owned() });
    }
    match blocking::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| BindError::io(path, error))
        }
        // A full queue means that somebody listens, if slowly.
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(BindError::io(path, error)),
        Ok(_) | Err(_) => Err(BindError::InUse { path: path.to_owned() }),
    }
}

fn share_with_group(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(0o660))?;
    if let Ok(Some(group)) = Group::from_name(GROUP) {
        // As the group's own account we have it already, and may be kept from giving anything away.
        // A user outside the group may not give a file to it, and needs no group either.
        let has = fs::metadata(path)?.gid() == group.gid.as_raw();
        let given = || std::os::unix::fs::chown(path, None, Some(group.gid.as_raw()));
        match if has { Ok(()) } else { given() } {
            Ok(()) => admit_by_name(path, &group),
            Err(error) => tracing::debug!(%error, "the control socket keeps its own group"),
        }
    }
    Ok(())
}

/// Lets members of the group in by their names, too.
///
/// Programs have the groups that their owner had at sign-in, so whoever joined the group since, as
/// the person does who installs a package, would have to sign in again. A file system without
/// access lists is no harm: then they do.
#[cfg(target_os = "linux")]
fn admit_by_name(path: &Path, group: &Group) {
    let user = |name: &String| User::from_name(name).ok().flatten().map(|user| user.uid.as_raw());
    let members = group.mem.iter().take(MEMBERS_BY_NAME_MAX).filter_map(user);
    let list = access_list(members.collect());
    let flags = rustix::fs::XattrFlags::empty();
    if let Err(error) = rustix::fs::setxattr(path, "system.posix_acl_access", &list, flags) {
        tracing::debug!(%error, "the control socket has no list of members");
    }
}

#[cfg(not(target_os = "linux"))]
fn admit_by_name(_path: &Path, _group: &Group) {}

/// Members who are admitted by name; the others are by their group. A longer list would help
/// nobody: it is of accounts of persons at one computer.
#[cfg(target_os = "linux")]
const MEMBERS_BY_NAME_MAX: usize = 64;

/// The access list of a file of mode 0660 that these users may use as well, as the kernel takes it:
/// version 2, then tag, rights and user of each entry, little-endian (`posix_acl_xattr.h`).
#[cfg(target_os = "linux")]
fn access_list(users: BTreeSet<u32>) -> Vec<u8> {
    const READ_AND_WRITE: u16 = 6;
    const NO_USER: u32 = u32::MAX;
    let owner = (0x01, READ_AND_WRITE, NO_USER);
    let users = users.into_iter().map(|user| (0x02, READ_AND_WRITE, user));
    let group = (0x04, READ_AND_WRITE, NO_USER);
    let mask = (0x10, READ_AND_WRITE, NO_USER);
    let others = (0x20, 0, NO_USER);
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, user) in std::iter::once(owner).chain(users).chain([group, mask, others]) {
        list.extend(u16::to_le_bytes(tag));
        list.extend(u16::to_le_bytes(rights));
        list.extend(u32::to_le_bytes(user));
    }
    list
}

fn file_id(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn listener_and_client_know_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/folder/control.sock");
        let mut listener = Listener::bind(&path).unwrap();
        let (accepted, connected) = tokio::join!(listener.accept(), connect(&path));
        let peer = credentials(&accepted.unwrap()).await.unwrap();
        connected.unwrap();
        assert_eq!(peer.uid, Some(geteuid().as_raw()));
        assert_eq!(peer.pid, Some(std::process::id()));
        assert!(peer.may(Right::Admin));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o660);
        drop(listener);
        assert!(!path.exists());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn kernel_takes_the_list_of_members_and_the_mode_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o660)).unwrap();
        let (name, list) = ("system.posix_acl_access", access_list(BTreeSet::from([4001, 4000])));
        assert_eq!(list.len(), 4 + 6 * 8);
        let set = rustix::fs::setxattr(&path, name, &list, rustix::fs::XattrFlags::empty());
        if set == Err(rustix::io::Errno::OPNOTSUPP) {
            return eprintln!("not tested: the temporary folder keeps no access lists");
        }
        set.unwrap();
        let mut kept = [0; 256];
        let len = rustix::fs::getxattr(&path, name, &mut kept).unwrap();
        assert_eq!(kept[..len], list);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o660);
    }

    #[tokio::test]
    async fn dead_socket_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        drop(blocking::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        assert!(matches!(connect(&path).await, Err(ReachError::NotListening { .. })));
        Listener::bind(&path).unwrap();
    }

    #[tokio::test]
    async fn living_service_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let _first = Listener::bind(&path).unwrap();
        assert!(matches!(Listener::bind(&path), Err(BindError::InUse { .. })));
        connect(&path).await.unwrap();
    }

    #[tokio::test]
    async fn other_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        fs::write(&path, "mine").unwrap();
        assert!(matches!(Listener::bind(&path), Err(BindError::NotASocket { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[tokio::test]
    async fn successors_socket_outlives_its_predecessor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let first = Listener::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let _second = Listener::bind(&path).unwrap();
        drop(first);
        connect(&path).await.unwrap();
    }

    #[tokio::test]
    async fn long_path_is_refused_by_name() {
        let path = Path::new("/tmp").join("x".repeat(200));
        let error = Listener::bind(&path).unwrap_err().to_string();
        assert!(error.contains("too long for a socket: 205 bytes"), "{error}");
    }

    #[tokio::test]
    async fn missing_socket_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let error = connect(&path).await.unwrap_err();
        assert!(matches!(&error, ReachError::NotFound { path: named } if *named == path));
    }

    /// No system has a user or a group with this number.
    const NOBODY: u32 = u32::MAX - 7;

    #[test]
    fn a_service_of_somebody_else_is_not_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        fs::write(&path, "").unwrap();
        assert!(is_trusted(0, &path) && is_trusted(geteuid().as_raw(), &path));
        assert!(!is_trusted(NOBODY, &path) && !is_trusted(NOBODY, &folder.path().join("none")));
    }

    #[test]
    fn stranger_may_not_even_look() {
        assert_eq!(right_of(NOBODY, NOBODY, "daemon"), None);
        assert_eq!(right_of(NOBODY, NOBODY, "no such group"), None);
    }

    #[test]
    fn root_and_oneself_may_do_everything() {
        assert_eq!(right_of(0, NOBODY, "daemon"), Some(Right::Admin));
        assert_eq!(right_of(geteuid().as_raw(), NOBODY, "daemon"), Some(Right::Admin));
    }

    #[test]
    fn member_of_the_group_may_change() {
        // A user and a group that every Unix has, the one's own group being the other.
        let user = User::from_name("daemon").unwrap().unwrap();
        let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
        assert_eq!(right_of(uid, NOBODY, "daemon"), Some(Right::Change), "by the list of users");
        assert_eq!(right_of(NOBODY, gid, "daemon"), Some(Right::Change), "by the running group");
    }
}
