//! The URIs that name peers to dial and addresses to listen on.
//!
//! `scheme://host:port?option=value&…`, the syntax of the whole network. A [`PeerUri`] or
//! [`ListenUri`] exists only if everything in it is understood and usable: unknown schemes, unknown
//! options, options that do nothing where they stand and second values are errors, because a
//! misspelt `password` that is silently dropped is worse than a refusal.
//!
//! What may be shown to people is `Display`: scheme, host and port, without options. It is also the
//! identity of a link, so two URIs that differ only in options name the same link. Passwords appear
//! in no output of this module.
//!
//! Unlike the reference, the zone of a link-local address (`[fe80::1%25eth0]` or `[fe80::1%eth0]`)
//! is honoured, a pinned key must have exactly 64 digits, and user information (`user:word@`) is
//! refused, because it would mean nothing.
//!
//! Source: protocol chapter 2.1.

mod error;
mod options;

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
    time::Duration,
};

use planetary_proto::{identity::NodeKey, link::meta::PASSWORD_MAX};
use zeroize::Zeroizing;

pub use self::error::UriError;
use self::{
    error::printable,
    options::{Name, Options},
};

/// Longest URI taken, in bytes: room for [`PINNED_KEYS_MAX`] keys and every other option.
pub const URI_LEN_MAX: usize = 4096;

/// Most keys that one peer may be pinned to. More are refused; a handful is the usual number.
pub const PINNED_KEYS_MAX: usize = 32;

/// Smallest accepted ceiling of the reconnect delay.
pub const BACKOFF_CEILING_MIN: Duration = Duration::from_secs(5);

/// Ceiling of the reconnect delay when a URI names none.
pub const BACKOFF_CEILING_DEFAULT: Duration = Duration::from_secs(4096);

/// Longest zone name, the interface name limit of the systems we run on, with room for long Windows
/// names.
const ZONE_LEN_MAX: usize = 64;

/// A transport that links can run over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

/// The host part of a URI.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name to resolve, in lower case.
    Name(String),
    /// An address without a zone.
    Address(IpAddr),
    /// A link-local IPv6 address on the interface named by its zone.
    Scoped {
        /// The address, inside `fe80::/10`.
        address: Ipv6Addr,
        /// The interface's name, or its number where the system uses numbers.
        zone: String,
    },
}

/// A link password of 1 to 64 bytes, or none at all, which is the empty one. Never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Password(Zeroizing<Vec<u8>>);

/// A peer to dial.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerUri {
    place: Place,
    pinned_keys: Vec<NodeKey>,
    priority: u8,
    password: Password,
    backoff_ceiling: Duration,
    sni: Option<String>,
}

/// An address to listen on.
#[derive(Clone, PartialEq, Eq)]
pub struct ListenUri {
    place: Place,
    priority: u8,
    password: Password,
}

/// Where a link goes to or comes in.
#[derive(Clone, PartialEq, Eq)]
struct Place {
    scheme: Scheme,
    host: Host,
    port: u16,
}

impl Scheme {
    /// The scheme as written in a URI.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    fn parse(text: &str) -> Result<Self, UriError> {
        // Schemes of the network that have no transport here.
        const UNBUILT: [&str; 6] = ["quic", "ws", "wss", "unix", "socks", "sockstls"];
        let lower = text.to_ascii_lowercase();
        match lower.as_str() {
            "tcp" => Ok(Self::Tcp),
            "tls" => Ok(Self::Tls),
            other => Err(UNBUILT.iter().find(|name| **name == other).map_or_else(
                || UriError::UnknownScheme(printable(text)),
                |name| UriError::NotBuiltYet(name),
            )),
        }
    }
}

impl Host {
    /// Reads the host part of a URI, brackets included.
    fn parse(text: &str) -> Result<Self, UriError> {
        if text.is_empty() {
            return Err(UriError::NoHost);
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(UriError::BadHost)?;
            return Self::parse_v6(inner);
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        if is_host_name(text) {
            return Ok(Self::Name(text.to_ascii_lowercase()));
        }
        Err(UriError::BadHost)
    }

    /// Reads what stands between brackets: an IPv6 address, perhaps with a zone.
    fn parse_v6(text: &str) -> Result<Self, UriError> {
        let Some((address, zone)) = text.split_once('%') else {
            let address: Ipv6Addr = text.parse().map_err(|_| UriError::BadHost)?;
            return Ok(Self::Address(address.into()));
        };
        let address: Ipv6Addr = address.parse().map_err(|_| UriError::BadHost)?;
        // A URI writes the separator as %25; people write it as a plain %.
        let zone = zone.strip_prefix("25").filter(|rest| !rest.is_empty()).unwrap_or(zone);
        let named = !zone.is_empty()
            && zone.len() <= ZONE_LEN_MAX
            && zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-:@".contains(&byte));
        if named && address.is_unicast_link_local() {
            Ok(Self::Scoped { address, zone: zone.to_owned() })
        } else {
            Err(UriError::BadZone)
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Scoped { address, zone } => write!(f, "[{address}%25{zone}]"),
        }
    }
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

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme.name(), self.host, self.port)
    }
}

impl PeerUri {
    /// The transport to dial with.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.place.scheme
    }

    /// The host to dial.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.place.host
    }

    /// The port to dial, never 0.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.place.port
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

    /// The TLS server name: the `sni` option, else the host if it is a name, else none.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        match (&self.sni, &self.place.host) {
            (Some(sni), _) => Some(sni),
            (None, Host::Name(name)) => Some(name),
            (None, _) => None,
        }
    }
}

impl ListenUri {
    /// The transport to listen with.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.place.scheme
    }

    /// The host to listen on.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.place.host
    }

    /// The port to listen on; 0 stands for any free one.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.place.port
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
        let (place, query) = Place::split(text)?;
        if place.port == 0 {
            return Err(UriError::BadPort);
        }
        let options = match place.scheme {
            Scheme::Tcp => {
                let allowed = [Name::Key, Name::Priority, Name::Password, Name::MaxBackoff];
                Options::parse(query, &allowed, "on a tcp peer")?
            }
            Scheme::Tls => {
                let allowed =
                    [Name::Key, Name::Priority, Name::Password, Name::MaxBackoff, Name::Sni];
                Options::parse(query, &allowed, "on a tls peer")?
            }
        };
        Ok(Self {
            place,
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
        let (place, query) = Place::split(text)?;
        let options = Options::parse(query, &[Name::Priority, Name::Password], "on a listener")?;
        Ok(Self {
            place,
            priority: options.priority.unwrap_or(0),
            password: options.password.unwrap_or_default(),
        })
    }
}

impl fmt::Display for PeerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

impl fmt::Display for ListenUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

impl fmt::Debug for PeerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerUri")
            .field("uri", &format_args!("{self}"))
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
            .finish()
    }
}

impl Place {
    /// Takes a URI apart into its place and its query string.
    fn split(text: &str) -> Result<(Self, &str), UriError> {
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
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !path.is_empty() {
            return Err(UriError::Trailing);
        }
        if authority.contains('@') {
            return Err(UriError::UserInformation);
        }
        let (host, port) = split_port(authority)?;
        Ok((Self { scheme, host: Host::parse(host)?, port }, query))
    }
}

/// Splits `host:port`, where the host may be a bracketed IPv6 address.
fn split_port(authority: &str) -> Result<(&str, u16), UriError> {
    let colon = match authority.rfind(']') {
        // Only a port may follow the bracket.
        Some(bracket) => match authority[bracket + 1..].chars().next() {
            None => return Err(UriError::NoPort),
            Some(':') => bracket + 1,
            Some(_) => return Err(UriError::BadHost),
        },
        None => authority.rfind(':').ok_or(match authority {
            "" => UriError::NoHost,
            _ => UriError::NoPort,
        })?,
    };
    let (host, port) = (&authority[..colon], &authority[colon + 1..]);
    if port.is_empty() {
        return Err(UriError::NoPort);
    }
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UriError::BadPort);
    }
    Ok((host, port.parse().map_err(|_| UriError::BadPort)?))
}

/// Whether `text` can be a name in the DNS: labels of letters, digits, `-` and `_`. A name that
/// ends in a number is a mistyped IPv4 address.
fn is_host_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let last_is_number =
        name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    name.len() <= 253 && name.split('.').all(label) && !last_is_number
}

#[cfg(test)]
mod tests;
