//! Telling the service manager how far the service is, as systemd's `Type=notify` asks
//! (sd_notify(3)).
//!
//! One datagram to the socket named in the environment; without one, nobody asked. Other systems
//! have no such question: launchd takes a running process for a ready one. On Windows the service
//! control manager is told, by the entry through which it started the service.

/// What can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The control socket answers.
    Ready,
    /// The service is on its way out.
    Stopping,
}

/// Tells the service manager, if there is one that asked. It has to live without the news if they
/// cannot be sent.
pub(super) fn tell(news: News) {
    #[cfg(target_os = "linux")]
    if let Some(socket) = std::env::var_os("NOTIFY_SOCKET") {
        let _ = linux::send(&socket, news.as_bytes());
    }
    #[cfg(windows)]
    crate::install::tell(news);
    #[cfg(not(any(target_os = "linux", windows)))]
    let _ = news;
}

#[cfg(target_os = "linux")]
impl News {
    fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Ready => b"READY=1",
            Self::Stopping => b"STOPPING=1",
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::OsStr;
    use std::io;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    /// Sends to a socket with a path, or with an abstract name where the first character is `@`.
    pub(super) fn send(socket: &OsStr, message: &[u8]) -> io::Result<()> {
        let address = match socket.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(socket)?,
        };
        let sender = UnixDatagram::unbound()?;
        // A manager that does not read must not hold up the service.
        sender.set_nonblocking(true)?;
        sender.send_to_addr(message, &address).map(drop)
    }

    #[cfg(test)]
    mod tests {
        use super::super::News;
        use super::*;

        #[test]
        fn manager_hears_the_news_at_a_path_and_at_an_abstract_name() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("notify");
            let name = format!("planetary-test-{}", std::process::id());
            let address = SocketAddr::from_abstract_name(&name).unwrap();
            let managers = [
                (path.as_os_str().to_owned(), UnixDatagram::bind(&path).unwrap()),
                (format!("@{name}").into(), UnixDatagram::bind_addr(&address).unwrap()),
            ];
            for (socket, manager) in managers {
                for news in [News::Ready, News::Stopping] {
                    send(&socket, news.as_bytes()).unwrap();
                    let mut heard = [0; 64];
                    let len = manager.recv(&mut heard).unwrap();
                    assert_eq!(&heard[..len], news.as_bytes());
                }
            }
        }
    }
}
