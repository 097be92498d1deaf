//! Hosts and ports as they stand in URIs.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::UriError;

/// Longest zone name, the interface name limit of the systems we run on, with room for long Windows
/// names.
const ZONE_LEN_MAX: usize = 64;

/// The host part of a URI.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// A port of a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The host.
    pub host: Host,
    /// The port, never 0 but for listeners, where that stands for any free one.
    pub port: u16,
}

impl Endpoint {
    /// Reads `host:port`; the port of a listener may be 0.
    pub(super) fn parse(text: &str) -> Result<Self, UriError> {
        let (host, port) = split_port(text)?;
        Ok(Self { host: Host::parse(host)?, port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
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
pub(super) fn is_host_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let last_is_number =
        name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    name.len() <= 253 && name.split('.').all(label) && !last_is_number
}
