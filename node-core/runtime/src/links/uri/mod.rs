//! The URIs that name peers to dial and addresses to listen on.
//!
//! `scheme://[user[:word]@]host:port[/path]?option=value&…`, the syntax of the whole network. A
//! [`PeerUri`] or [`ListenUri`] exists only if everything in it is understood and usable: unknown
//! schemes, unknown options, options that do nothing where they stand and second values are errors,
//! because a misspelt `password` that is silently dropped is worse than a refusal.
//!
//! What may be shown to people is `Display`: scheme, host, port and path, without options and user
//! information. It is also the identity of a link, so two URIs that differ only in options name the
//! same link. Passwords appear in no output of this module.
//!
//! Unlike the reference, the zone of a link-local address (`[fe80::1%25eth0]` or `[fe80::1%eth0]`)
//! is honoured, a pinned key must have exactly 64 digits, `sni` works wherever there is TLS, and
//! user information is refused where it would mean nothing.
//!
//! Source: protocol chapter 2.1.

mod error;
mod host;
mod options;
mod place;

use std::{fmt, str::FromStr, time::Duration};

use glob::Pattern;
use planetary_proto::{identity::NodeKey, link::meta::PASSWORD_MAX};
use zeroize::Zeroizing;

pub use self::{
    error::UriError,
    host::{Endpoint, Host},
    place::{LOGIN_PART_MAX, Login, Place, SOCKET_PATH_MAX, Scheme},
};
use self::{
    options::{Name, Options},
    place::Base,
};

/// Longest URI taken, in bytes: room for [`PINNED_KEYS_MAX`] keys and every other option.
pub const URI_LEN_MAX: usize = 4096;

/// Most keys that one peer may be pinned to. More are refused; a handful is the usual number.
pub const PINNED_KEYS_MAX: usize = 32;

/// Most origins that one listener takes besides its own.
pub const ORIGINS_MAX: usize = 32;

/// Smallest accepted ceiling of the reconnect delay.
pub const BACKOFF_CEILING_MIN: Duration = Duration::from_secs(5);

/// Ceiling of the reconnect delay when a URI names none.
pub const BACKOFF_CEILING_DEFAULT: Duration = Duration::from_secs(4096);

/// A link password of 1 to 64 bytes, or none at all, which is the empty one. Never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Password(Zeroizing<Vec<u8>>);

/// What a network port belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carrier {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A peer to dial.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerUri {
    base: Base,
    pinned_keys: Vec<NodeKey>,
    priority: u8,
    password: Password,
    backoff_ceiling: Duration,
    sni: Option<String>,
}

/// An address to listen on.
#[derive(Clone, PartialEq, Eq)]
pub struct ListenUri {
    base: Base,
    priority: u8,
    password: Password,
    origins: Vec<Pattern>,
}

impl Password {
    /// Takes a password, unless it is longer than [`PASSWORD_MAX`] bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() <= PASSWORD_MAX).then(|| Self(Zeroizing::new(bytes.to_vec())))
    }

    /// The password's bytes; empty if there is none.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Password(none)" } else { "Password(hidden)" })
    }
}

impl PeerUri {
    /// The transport to dial with.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.base.scheme
    }

    /// Where the peer is. No port in it is 0.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.base.place
    }

    /// What is dialled over the network, as in [`Place::endpoint`].
    #[must_use]
    pub const fn endpoint(&self) -> Option<&Endpoint> {
        self.base.place.endpoint()
    }

    /// Who we are to the proxy or to the web server.
    #[must_use]
    pub const fn login(&self) -> Option<&Login> {
        self.base.login.as_ref()
    }

    /// The keys of which the peer must have one; empty if any key will do.
    #[must_use]
    pub fn pinned_keys(&self) -> &[NodeKey] {
        &self.pinned_keys
    }

    /// The priority to announce. Lower is preferred.
    #[must_use]
    pub const fn priority(&self) -> u8 {
        self.priority
    }

    /// The link password.
    #[must_use]
    pub const fn password(&self) -> &Password {
        &self.password
    }

    /// The longest wait between two attempts, at least [`BACKOFF_CEILING_MIN`].
    #[must_use]
    pub const fn backoff_ceiling(&self) -> Duration {
        self.backoff_ceiling
    }

    /// The TLS server name: the `sni` option, else the node's host if it is a name, else none.
    ///
    /// Behind a proxy that is the destination's name. The reference gives the proxy's, which tells
    /// the far end of our proxy and means nothing to it. QUIC sends no name unless told to, as in
    /// the reference.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        if let Some(sni) = &self.sni {
            return Some(sni);
        }
        let node = match &self.base.place {
            Place::Proxied { destination, .. } => destination,
            Place::Node(endpoint) | Place::Web { server: endpoint, .. } => endpoint,
            Place::File(_) => return None,
        };
        match &node.host {
            Host::Name(name) if self.scheme() != Scheme::Quic => Some(name),
            Host::Name(_) | Host::Address(_) | Host::Scoped { .. } => None,
        }
    }
}

impl ListenUri {
    /// The transport to listen with.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.base.scheme
    }

    /// Where to listen.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.base.place
    }

    /// The host and the port to listen on, which may be 0 for any free one; `None` for a socket
    /// file.
    #[must_use]
    pub const fn endpoint(&self) -> Option<&Endpoint> {
        self.base.place.endpoint()
    }

    /// The port that the listener takes for itself alone: whether it is one of TCP or of UDP, the
    /// host, and the number. `None` for port 0, which is another one each time, and for a file.
    #[must_use]
    pub fn port_taken(&self) -> Option<(Carrier, &Endpoint)> {
        let carrier = if self.scheme() == Scheme::Quic { Carrier::Udp } else { Carrier::Tcp };
        Some((carrier, self.endpoint().filter(|endpoint| endpoint.port != 0)?))
    }

    /// Patterns in lower case of the origins from which web pages may connect, besides the
    /// listener's own: of their hosts, or of `scheme://host` where a pattern has a `://`.
    #[must_use]
    pub fn origins(&self) -> &[Pattern] {
        &self.origins
    }

    /// The priority to announce. Lower is preferred.
    #[must_use]
    pub const fn priority(&self) -> u8 {
        self.priority
    }

    /// The link password.
    #[must_use]
    pub const fn password(&self) -> &Password {
        &self.password
    }
}

impl FromStr for PeerUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let (base, query) = Base::split(text)?;
        if base.place.endpoint().is_some_and(|endpoint| endpoint.port == 0) {
            return Err(UriError::BadPort);
        }
        let allowed = match base.scheme {
            Scheme::Tls | Scheme::Quic | Scheme::Wss | Scheme::SocksTls => {
                &[Name::Key, Name::Priority, Name::Password, Name::MaxBackoff, Name::Sni][..]
            }
            Scheme::Tcp | Scheme::Ws | Scheme::Unix | Scheme::Socks => {
                &[Name::Key, Name::Priority, Name::Password, Name::MaxBackoff]
            }
        };
        let options = Options::parse(query, allowed, base.scheme, "peer")?;
        Ok(Self {
            base,
            pinned_keys: options.keys,
            priority: options.priority.unwrap_or(0),
            password: options.password.unwrap_or_default(),
            backoff_ceiling: options.backoff_ceiling.unwrap_or(BACKOFF_CEILING_DEFAULT),
            sni: options.sni.flatten(),
        })
    }
}

impl FromStr for ListenUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let (base, query) = Base::split(text)?;
        let allowed = match base.scheme {
            Scheme::Socks | Scheme::SocksTls => {
                return Err(UriError::DialOnly(base.scheme.name()));
            }
            Scheme::Ws | Scheme::Wss => &[Name::Priority, Name::Password, Name::Origin][..],
            Scheme::Tcp | Scheme::Tls | Scheme::Quic | Scheme::Unix => {
                &[Name::Priority, Name::Password]
            }
        };
        if base.login.is_some() {
            return Err(UriError::UserInformation);
        }
        // A listener answers on every path.
        if matches!(&base.place, Place::Web { path, .. } if path != "/") {
            return Err(UriError::Trailing);
        }
        let options = Options::parse(query, allowed, base.scheme, "listener")?;
        Ok(Self {
            base,
            priority: options.priority.unwrap_or(0),
            password: options.password.unwrap_or_default(),
            origins: options.origins,
        })
    }
}

impl fmt::Display for PeerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.fmt(f)
    }
}

impl fmt::Display for ListenUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.fmt(f)
    }
}

impl fmt::Debug for PeerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerUri")
            .field("uri", &format_args!("{self}"))
            .field("login", &self.base.login)
            .field("pinned_keys", &self.pinned_keys)
            .field("priority", &self.priority)
            .field("password", &self.password)
            .field("backoff_ceiling", &self.backoff_ceiling)
            .field("sni", &self.sni)
            .finish()
    }
}

impl fmt::Debug for ListenUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenUri")
            .field("uri", &format_args!("{self}"))
            .field("priority", &self.priority)
            .field("password", &self.password)
            .field("origins", &self.origins)
            .finish()
    }
}

#[cfg(test)]
mod tests;
