//! A peer that a link may suggest: in the public internet, without secrets.
//!
//! Whoever follows a link lets its computer dial what the link says. So a peer in a link is no way
//! to reach into somebody's home: addresses must be global, and names must not be ones of a local
//! network. What a name resolves to is another matter, which the dialler looks at.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::identity::NodeKey;
use crate::limits;

/// The transports that a link may name.
const SCHEMES: [&str; 5] = ["tcp", "tls", "quic", "ws", "wss"];

/// Ends of names that mean something else in every local network, and names of no network.
const LOCAL: [&str; 11] = [
    "localhost",
    "local",
    "localdomain",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "private",
    "home.arpa",
    "invalid",
];

/// Longest name of a host, as the domain name system has it.
const HOST_LEN_MAX: usize = 253;

/// A peer: `scheme://host:port`, perhaps with the key it must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkPeer {
    scheme: &'static str,
    host: Host,
    port: u16,
    key: Option<NodeKey>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Name(String),
    Address(IpAddr),
}

/// Why a peer may not stand in a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkPeerError {
    /// Longer than a peer's URI may be.
    #[error("it is too long")]
    TooLong,
    /// A transport that links may not name.
    #[error("it must begin with tcp://, tls://, quic://, ws:// or wss://")]
    Scheme,
    /// User information, a path, or a fragment.
    #[error("nothing but the host, a port and a key may stand in it")]
    Surplus,
    /// Passwords and other options.
    #[error("key is the one option that it may have")]
    Option,
    /// The pinned key is none.
    #[error("its key is not a key of 64 hexadecimal digits")]
    Key,
    /// No port from 1 to 65535.
    #[error("it has no port from 1 to 65535")]
    Port,
    /// The host is neither a name nor an address.
    #[error("its host is neither a full name nor an address")]
    Host,
    /// The host is part of a local network.
    #[error("its host is not in the public internet")]
    NotGlobal,
}

impl fmt::Display for LinkPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => write!(f, "{}://{name}:{}", self.scheme, self.port),
            Host::Address(IpAddr::V4(host)) => write!(f, "{}://{host}:{}", self.scheme, self.port),
            Host::Address(IpAddr::V6(host)) => {
                write!(f, "{}://[{host}]:{}", self.scheme, self.port)
            }
        }?;
        self.key.map_or(Ok(()), |key| write!(f, "?key={key}"))
    }
}

impl FromStr for LinkPeer {
    type Err = LinkPeerError;

    fn from_str(text: &str) -> Result<Self, LinkPeerError> {
        if text.len() > limits::LINK_LEN_MAX {
            return Err(LinkPeerError::TooLong);
        }
        let (scheme, rest) = text.split_once("://").ok_or(LinkPeerError::Scheme)?;
        let known = SCHEMES.into_iter().find(|known| known.eq_ignore_ascii_case(scheme));
        let scheme = known.ok_or(LinkPeerError::Scheme)?;
        let (place, options) = match rest.split_once('?') {
            Some((place, options)) => (place, Some(options)),
            None => (rest, None),
        };
        if place.contains(['/', '@', '#']) {
            return Err(LinkPeerError::Surplus);
        }
        let key = options.map(read_key).transpose()?;
        let (host, port) = place.rsplit_once(':').ok_or(LinkPeerError::Port)?;
        let digits = (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
        let port =
            port.parse().ok().filter(|&port| digits && port > 0).ok_or(LinkPeerError::Port)?;
        Ok(Self { scheme, host: read_host(host)?, port, key })
    }
}

fn read_key(options: &str) -> Result<NodeKey, LinkPeerError> {
    let key = options.strip_prefix("key=").ok_or(LinkPeerError::Option)?;
    if key.contains('&') {
        return Err(LinkPeerError::Option);
    }
    key.parse().map_err(|_| LinkPeerError::Key)
}

fn read_host(text: &str) -> Result<Host, LinkPeerError> {
    let address = match text.strip_prefix('[') {
        Some(inner) => {
            let inner = inner.strip_suffix(']').ok_or(LinkPeerError::Host)?;
            Some(IpAddr::V6(inner.parse().map_err(|_| LinkPeerError::Host)?))
        }
        None => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    };
    match address {
        Some(address) if is_global(address) => Ok(Host::Address(address)),
        Some(_) => Err(LinkPeerError::NotGlobal),
        None => read_name(&text.to_ascii_lowercase()),
    }
}

/// A name of at least two labels, the last of which is no number: `127.1` is an address to some
/// resolvers.
fn read_name(name: &str) -> Result<Host, LinkPeerError> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > HOST_LEN_MAX || !name.split('.').all(is_label) {
        return Err(LinkPeerError::Host);
    }
    let is_local = |end: &str| {
        name.strip_suffix(end).is_some_and(|front| front.is_empty() || front.ends_with('.'))
    };
    if LOCAL.into_iter().any(is_local) {
        return Err(LinkPeerError::NotGlobal);
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.len() == name.len() || !last.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
        return Err(LinkPeerError::Host);
    }
    Ok(Host::Name(name.to_owned()))
}

/// Whether an address belongs to the public internet, by the registries of special addresses.
pub(crate) fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_global_v4(address),
        IpAddr::V6(address) => is_global_v6(address),
    }
}

fn is_global_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        // Addresses that a provider shares among customers, tests of devices, and protocols.
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (18..20).contains(&b))
        || (a, b, c) == (192, 0, 0)
        || (a, b, c) == (192, 88, 99)
        || a >= 240;
    !is_special
}

/// Of what is assigned, `2000::/3`, without documentation and without tunnels that hold an IPv4
/// address.
fn is_global_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let is_special = matches!((first, second), (0x2001, 0..0x200) | (0x2001, 0xdb8))
        || first == 0x2002
        || (first == 0x3fff && second < 0x1000);
    first & 0xe000 == 0x2000 && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_peers_are_read() {
        for (text, shown) in [
            ("tls://host.example:443", "tls://host.example:443"),
            ("WSS://Host.Example:443", "wss://host.example:443"),
            ("tcp://1.1.1.1:1", "tcp://1.1.1.1:1"),
            ("quic://[2A00:0::1]:65535", "quic://[2a00::1]:65535"),
            ("ws://xn--bcher-kva.example:80", "ws://xn--bcher-kva.example:80"),
        ] {
            assert_eq!(text.parse::<LinkPeer>().unwrap().to_string(), shown);
        }
        let pinned = format!("tls://host.example:443?key={}", NodeKey([7; 32]));
        assert_eq!(pinned.parse::<LinkPeer>().unwrap().to_string(), pinned);
    }

    #[test]
    fn peers_that_reach_into_a_local_network_are_refused() {
        for host in [
            "10.0.0.1",
            "172.16.9.9",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "240.0.0.1",
            "[::1]",
            "[::]",
            "[fe80::1]",
            "[fd00::1]",
            "[::ffff:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[2001::1]",
            "[2001:db8::1]",
            "[200::1]",
            "[300::1]",
            "[ff02::1]",
            "localhost",
            "printer.local",
            "router.lan",
            "fritz.home.arpa",
            "a.localhost",
            "host.internal",
        ] {
            let error = format!("tcp://{host}:1").parse::<LinkPeer>().unwrap_err();
            assert_eq!(error, LinkPeerError::NotGlobal, "{host}");
        }
    }

    #[test]
    fn peers_with_anything_surplus_are_refused() {
        for (text, error) in [
            ("", LinkPeerError::Scheme),
            ("host.example:443", LinkPeerError::Scheme),
            ("unix:///run/x", LinkPeerError::Scheme),
            ("socks://a.example:1/b.example:2", LinkPeerError::Scheme),
            ("http://a.example:1", LinkPeerError::Scheme),
            ("tcp://u:p@a.example:1", LinkPeerError::Surplus),
            ("tcp://a.example:1/", LinkPeerError::Surplus),
            ("tcp://a.example:1#x", LinkPeerError::Surplus),
            ("tcp://a.example:1?password=x", LinkPeerError::Option),
            ("tcp://a.example:1?", LinkPeerError::Option),
            ("tcp://a.example:1?key=12", LinkPeerError::Key),
            ("tcp://a.example:1?key=12&sni=x", LinkPeerError::Option),
            ("tcp://a.example", LinkPeerError::Port),
            ("tcp://a.example:0", LinkPeerError::Port),
            ("tcp://a.example:+1", LinkPeerError::Port),
            ("tcp://a.example:65536", LinkPeerError::Port),
            ("tcp://:1", LinkPeerError::Host),
            ("tcp://a:1", LinkPeerError::Host),
            ("tcp://127.1:1", LinkPeerError::Host),
            ("tcp://0x7f000001.0x1:1", LinkPeerError::Host),
            ("tcp://a..example:1", LinkPeerError::Host),
            ("tcp://-a.example:1", LinkPeerError::Host),
            ("tcp://a_b.example:1", LinkPeerError::Host),
            ("tcp://ä.example:1", LinkPeerError::Host),
            ("tcp://[::1:1", LinkPeerError::Host),
            ("tcp://[fe80::1%eth0]:1", LinkPeerError::Host),
        ] {
            assert_eq!(text.parse::<LinkPeer>(), Err(error), "{text}");
        }
        let long = format!("tcp://{}.example:1", "a.".repeat(600));
        assert_eq!(long.parse::<LinkPeer>(), Err(LinkPeerError::TooLong));
    }
}
