//! Where the admin socket is.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// A place to listen at: a file, or a port of this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A socket file, mode 0660, of the group that the control socket has. Not on Windows.
    File(PathBuf),
    /// A port at a loopback address, open to every program of this computer.
    Port(SocketAddr),
}

/// Why a text names no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// Neither of the two schemes.
    #[error("is neither unix:// nor tcp://")]
    Scheme,
    /// A socket file without a path from the root.
    #[error("does not begin at the root of the file system")]
    Path,
    /// This system has no socket files.
    #[error("names a socket file, which this system has not")]
    NoFiles,
    /// Not an address and a port.
    #[error("is not an address and a port")]
    Address,
    /// Others could connect.
    #[error("can be reached from other computers")]
    NotLoopback,
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        if let Some(path) = text.strip_prefix("unix://") {
            if cfg!(windows) {
                return Err(PlaceError::NoFiles);
            }
            let is_whole = path.starts_with('/') && path.len() > 1 && !path.contains('\0');
            return if is_whole { Ok(Self::File(path.into())) } else { Err(PlaceError::Path) };
        }
        let address = text.strip_prefix("tcp://").ok_or(PlaceError::Scheme)?;
        let address = match address.strip_prefix("localhost:") {
            Some(port) => {
                let port = port.parse().map_err(|_| PlaceError::Address)?;
                SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
            }
            None => address.parse().map_err(|_| PlaceError::Address)?,
        };
        if !address.ip().is_loopback() {
            return Err(PlaceError::NotLoopback);
        }
        Ok(Self::Port(address))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "unix://{}", path.display()),
            Self::Port(address) => write!(f, "tcp://{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        for text in ["tcp://127.0.0.1:9001", "tcp://[::1]:9001"] {
            assert_eq!(text.parse::<Place>().map(|place| place.to_string()), Ok(text.to_owned()));
        }
        let local = "tcp://localhost:1".parse::<Place>().map(|place| place.to_string());
        assert_eq!(local, Ok("tcp://127.0.0.1:1".to_owned()));
        let file = "unix:///run/x.sock".parse::<Place>();
        let expected = Ok(Place::File("/run/x.sock".into()));
        assert_eq!(file, if cfg!(windows) { Err(PlaceError::NoFiles) } else { expected });
    }

    #[cfg(unix)]
    #[test]
    fn what_others_could_reach_or_nobody_could_mean_is_refused() {
        for (text, error) in [
            ("", PlaceError::Scheme),
            ("none ", PlaceError::Scheme),
            ("localhost:9001", PlaceError::Scheme),
            ("unix://", PlaceError::Path),
            ("unix:///", PlaceError::Path),
            ("unix://run/x.sock", PlaceError::Path),
            ("unix:///run/\0", PlaceError::Path),
            ("tcp://localhost", PlaceError::Address),
            ("tcp://localhost:65536", PlaceError::Address),
            ("tcp://example.org:9001", PlaceError::Address),
            ("tcp://0.0.0.0:9001", PlaceError::NotLoopback),
            ("tcp://[::]:9001", PlaceError::NotLoopback),
            ("tcp://192.0.2.1:9001", PlaceError::NotLoopback),
        ] {
            assert_eq!(text.parse::<Place>(), Err(error), "{text:?}");
        }
    }
}
