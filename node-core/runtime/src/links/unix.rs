//! Socket files that nodes of one machine link over.
//!
//! The file has mode 0660: whoever may write to it may link, so who gets in is settled by its
//! owner, its group and its folder, which must exist. It goes away with the listener, unless
//! somebody else has put their own in the place.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixStream};

/// A socket file that is listened on.
#[derive(Debug)]
pub(super) struct SocketFile {
    socket: UnixListener,
    path: PathBuf,
    /// Device and inode of the file.
    id: (u64, u64),
}

impl SocketFile {
    /// Listens on `path`, taking the place of a socket that nobody listens on.
    ///
    /// # Errors
    /// What the system answers; `AddrInUse` if somebody listens there, `AlreadyExists` if there is
    /// a file that is no socket.
    pub(super) async fn bind(path: &Path) -> io::Result<Self> {
        remove_dead_socket(path).await?;
        let socket = UnixListener::bind(path)?;
        let listening = Self { socket, path: path.to_owned(), id: file_id(path)? };
        fs::set_permissions(path, Permissions::from_mode(0o660))?;
        Ok(listening)
    }

    /// Waits for the next connection. Safe to cancel.
    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        let (stream, _) = self.socket.accept().await?;
        Ok(stream)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if file_id(&self.path).is_ok_and(|id| id == self.id) {
            // A file that stays behind is a dead socket, which the next listener removes.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes what a killed node left behind, and nothing else.
async fn remove_dead_socket(path: &Path) -> io::Result<()> {
    let kind = match fs::symlink_metadata(path) {
        Ok(file) => file.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !kind.is_socket() {
        let text = "there is a file that is no socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        // A full queue means that somebody listens, if slowly.
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        Ok(_) | Err(_) => Err(io::ErrorKind::AddrInUse.into()),
    }
}

fn file_id(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}
