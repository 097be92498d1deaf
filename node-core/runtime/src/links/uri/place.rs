//! What stands before the options of a URI: the transport, where it leads, and who asks to be let
//! through.

use std::{
    fmt::{self, Write as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{
    URI_LEN_MAX, UriError,
    error::printable,
    host::{Endpoint, Host},
    options::unescape,
};

/// Longest path of a socket file in bytes: what fits into the system's address with the zero that
/// ends it.
pub const SOCKET_PATH_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Longest user name and longest password in a URI, in bytes; what SOCKS5 can carry.
pub const LOGIN_PART_MAX: usize = 255;

/// A transport that links can run over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// One stream of a QUIC connection.
    Quic,
    /// WebSocket over HTTP.
    Ws,
    /// WebSocket over HTTPS.
    Wss,
    /// A UNIX stream socket.
    Unix,
    /// TCP through a SOCKS5 proxy.
    Socks,
    /// TLS over TCP through a SOCKS5 proxy.
    SocksTls,
}

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Tcp,
        Self::Tls,
        Self::Quic,
        Self::Ws,
        Self::Wss,
        Self::Unix,
        Self::Socks,
        Self::SocksTls,
    ];

    /// The scheme as written in a URI.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Quic => "quic",
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Unix => "unix",
            Self::Socks => "socks",
            Self::SocksTls => "sockstls",
        }
    }

    /// Whether a node can be dialled by it from anywhere, without a proxy or a file of its own.
    #[must_use]
    pub const fn is_public(self) -> bool {
        matches!(self, Self::Tcp | Self::Tls | Self::Quic | Self::Ws | Self::Wss)
    }

    fn parse(text: &str) -> Result<Self, UriError> {
        let known = Self::ALL.into_iter().find(|scheme| scheme.name().eq_ignore_ascii_case(text));
        known.ok_or_else(|| UriError::UnknownScheme(printable(text)))
    }
}

/// Where a link goes to or comes in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A port of a node, or of whatever passes connections on to it.
    Node(Endpoint),
    /// A place on a web server.
    Web {
        /// The server.
        server: Endpoint,
        /// The path, as the server gets it: ASCII, begins with a slash.
        path: String,
    },
    /// A node behind a proxy.
    Proxied {
        /// The proxy.
        proxy: Endpoint,
        /// What the proxy is asked for; its host has no zone.
        destination: Endpoint,
    },
    /// A socket file, by its absolute path of at most [`SOCKET_PATH_MAX`] bytes.
    File(PathBuf),
}

/// The user name and the password for a proxy or a web server. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// 1 to [`LOGIN_PART_MAX`] bytes without a colon.
    pub user: Zeroizing<String>,
    /// At most [`LOGIN_PART_MAX`] bytes; empty if there is none.
    pub password: Zeroizing<String>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(hidden)")
    }
}

/// A URI without its options. Its `Display` leaves out the login as well.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) scheme: Scheme,
    pub(super) place: Place,
    pub(super) login: Option<Login>,
}

impl Base {
    /// Takes a URI apart into what stands before the options and its query string.
    pub(super) fn split(text: &str) -> Result<(Self, &str), UriError> {
        if text.len() > URI_LEN_MAX {
            return Err(UriError::TooLong);
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(UriError::BadCharacter);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UriError::NoScheme)?;
        let scheme = Scheme::parse(scheme)?;
        if rest.contains('#') {
            return Err(UriError::Trailing);
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path_start = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(path_start);
        let (login, authority) = match authority.rsplit_once('@') {
            Some((login, authority)) => (Some(Login::parse(scheme, login)?), authority),
            None => (None, authority),
        };
        let place = Place::parse(scheme, authority, path)?;
        Ok((Self { scheme, place, login }, query))
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.place)
    }
}

impl Place {
    /// Reads what stands between the scheme and the options, user information aside.
    fn parse(scheme: Scheme, authority: &str, path: &str) -> Result<Self, UriError> {
        match scheme {
            Scheme::Tcp | Scheme::Tls | Scheme::Quic => match path {
                "" | "/" => Ok(Self::Node(Endpoint::parse(authority)?)),
                _ => Err(UriError::Trailing),
            },
            Scheme::Ws | Scheme::Wss => {
                let fits = path.bytes().all(|byte| byte.is_ascii_graphic());
                if !fits || path.contains(FORBIDDEN_IN_PATHS) {
                    return Err(UriError::BadPath);
                }
                let path = if path.is_empty() { "/" } else { path }.to_owned();
                Ok(Self::Web { server: Endpoint::parse(authority)?, path })
            }
            Scheme::Socks | Scheme::SocksTls => {
                let destination = path.strip_prefix('/').unwrap_or(path);
                let destination = destination.strip_suffix('/').unwrap_or(destination);
                let proxy = Endpoint::parse(authority)?;
                if destination.is_empty() {
                    return Err(UriError::NoDestination);
                }
                let destination = Endpoint::parse(destination)?;
                match destination.host {
                    // The zones of this machine say nothing to the proxy.
                    Host::Scoped { .. } => Err(UriError::BadZone),
                    _ if destination.port == 0 => Err(UriError::BadPort),
                    _ => Ok(Self::Proxied { proxy, destination }),
                }
            }
            Scheme::Unix if !authority.is_empty() => Err(UriError::SocketHost),
            Scheme::Unix => read_socket_path(path).map(Self::File).ok_or(UriError::BadSocketPath),
        }
    }

    /// What is dialled or listened on over the network: the node, the web server or the proxy.
    /// `None` for a socket file.
    #[must_use]
    pub const fn endpoint(&self) -> Option<&Endpoint> {
        match self {
            Self::Node(endpoint)
            | Self::Web { server: endpoint, .. }
            | Self::Proxied { proxy: endpoint, .. } => Some(endpoint),
            Self::File(_) => None,
        }
    }

    /// The socket file, if it is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Node(_) | Self::Web { .. } | Self::Proxied { .. } => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(endpoint) => endpoint.fmt(f),
            Self::Web { server, path } if path == "/" => server.fmt(f),
            Self::Web { server, path } => write!(f, "{server}{path}"),
            Self::Proxied { proxy, destination } => write!(f, "{proxy}/{destination}"),
            // Made from text, so nothing of it gets lost.
            Self::File(path) => path.to_string_lossy().chars().try_for_each(|c| match c {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '/' | '-' | '.' | '_' | '~' => f.write_char(c),
                _ => {
                    let mut utf8 = [0; 4];
                    let mut bytes = c.encode_utf8(&mut utf8).bytes();
                    bytes.try_for_each(|byte| write!(f, "%{byte:02X}"))
                }
            }),
        }
    }
}

impl Login {
    /// Reads `user` or `user:password`, where `scheme` has a use for it.
    fn parse(scheme: Scheme, text: &str) -> Result<Self, UriError> {
        match scheme {
            Scheme::Ws | Scheme::Wss | Scheme::Socks | Scheme::SocksTls => {}
            Scheme::Tcp | Scheme::Tls | Scheme::Quic | Scheme::Unix => {
                return Err(UriError::UserInformation);
            }
        }
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        let part = |text: &str| {
            let bytes = unescape(text, b'+').filter(|bytes| bytes.len() <= LOGIN_PART_MAX)?;
            Some(Zeroizing::new(std::str::from_utf8(&bytes).ok()?.to_owned()))
        };
        let (user, password) = part(user).zip(part(password)).ok_or(UriError::BadLogin)?;
        // HTTP would take what follows a colon for the password.
        if user.is_empty() || user.contains(':') {
            return Err(UriError::BadLogin);
        }
        Ok(Self { user, password })
    }
}

/// The path of a socket file, percent-decoded.
fn read_socket_path(text: &str) -> Option<PathBuf> {
    let bytes = unescape(text, b'+')?;
    let path = std::str::from_utf8(&bytes).ok()?;
    let fits = path.len() <= SOCKET_PATH_MAX
        && path.starts_with('/')
        && !path.ends_with('/')
        && !path.contains(char::is_control);
    fits.then(|| PathBuf::from(path))
}

/// What begins options when the question mark before them was mistyped, and what ends user
/// information: in a path it could be a secret.
const FORBIDDEN_IN_PATHS: [char; 4] = ['&', ';', '=', '@'];
