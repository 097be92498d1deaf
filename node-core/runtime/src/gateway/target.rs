//! Where programs want to go: an address or name of the network, and a port.
//!
//! The gateway leads into the network and nowhere else. A name is looked up in the zone of this
//! node alone; no resolver is asked, so what a program asks for is told to nobody.

use std::{
    io,
    net::{Ipv6Addr, SocketAddrV6},
    str::FromStr,
};

use planetary_circles::names::{SUFFIX, Zone};
use planetary_proto::upper::ipv6;
use thiserror::Error;

/// Longest name, in bytes (RFC 1035), with the dot that may end it.
const NAME_LEN_MAX: usize = 254;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    place: Place,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Address(Ipv6Addr),
    /// A name, or an address of another kind, as it was written.
    Name(String),
}

/// Why a node cannot be reached.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReachError {
    /// It is not of the network.
    #[error(
        "only nodes of the network can be reached this way: names that end with {SUFFIX} and \
             addresses in 200::/7"
    )]
    Foreign,
    /// Nobody has this name here.
    #[error("nobody has this name here")]
    UnknownName,
    /// Names are switched off.
    #[error("names are switched off on this node, addresses can be used")]
    NamesOff,
    /// Nothing answers at the port, or the far node does not let us in.
    #[error("the far node refused the connection")]
    Refused,
    /// Nothing came back.
    #[error("the far node did not answer in time")]
    Timeout,
    /// There are too many connections.
    #[error("too many connections are open")]
    Full,
    /// The node is down.
    #[error("the node is switched off")]
    Down,
    /// The system refused something else.
    #[error("the system refused it")]
    System(#[source] io::Error),
}

/// A text is no target: it has no host, or no port from 1 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this is no host with a port, such as [200::1]:80 or ada.pln.internal:80")]
pub struct NoTarget;

impl Target {
    /// An address with a port.
    #[must_use]
    pub const fn of(address: SocketAddrV6) -> Self {
        Self { place: Place::Address(*address.ip()), port: address.port() }
    }

    /// A host, as a name or an address, with a port. `None` for what cannot be one.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Option<Self> {
        let place = match host.parse() {
            Ok(address) => Place::Address(address),
            Err(_) => {
                let plain = host.bytes().all(|byte| byte.is_ascii_graphic());
                let fits = (1..=NAME_LEN_MAX).contains(&host.len()) && plain;
                Place::Name(fits.then(|| host.to_owned())?)
            }
        };
        (port > 0).then_some(Self { place, port })
    }

    /// Reads `host:port`, `[address]:port`, or one of them without a port where `usual_port` stands
    /// for it.
    ///
    /// # Errors
    /// [`NoTarget`].
    pub fn parse(text: &str, usual_port: Option<u16>) -> Result<Self, NoTarget> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, behind) = rest.split_once(']').ok_or(NoTarget)?;
                host.parse::<Ipv6Addr>().map_err(|_| NoTarget)?;
                let port = if behind.is_empty() { None } else { behind.strip_prefix(':') };
                (host, if behind.is_empty() { None } else { Some(port.ok_or(NoTarget)?) })
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                port.parse().map_err(|_| NoTarget)?
            }
            Some(_) => return Err(NoTarget),
            None => usual_port.ok_or(NoTarget)?,
        };
        Self::new(host, port).ok_or(NoTarget)
    }

    /// Checks, without knowing any name, that this can be a node of the network.
    ///
    /// # Errors
    /// [`ReachError::Foreign`].
    pub fn check(&self) -> Result<(), ReachError> {
        match &self.place {
            Place::Address(address) => ipv6::Target::of(*address).map(drop),
            Place::Name(name) => Zone::covers(name).then_some(()),
        }
        .ok_or(ReachError::Foreign)
    }

    /// The address that this stands for now.
    ///
    /// # Errors
    /// [`ReachError::Foreign`], [`ReachError::UnknownName`], or [`ReachError::NamesOff`].
    pub(super) fn resolve(&self, zone: Option<&Zone>) -> Result<SocketAddrV6, ReachError> {
        self.check()?;
        let address = match &self.place {
            Place::Address(address) => *address,
            Place::Name(name) => {
                let zone = zone.ok_or(ReachError::NamesOff)?;
                zone.find(name).ok_or(ReachError::UnknownName)?.to_ipv6()
            }
        };
        Ok(SocketAddrV6::new(address, self.port, 0, 0))
    }
}

impl FromStr for Target {
    type Err = NoTarget;

    fn from_str(text: &str) -> Result<Self, NoTarget> {
        Self::parse(text, None)
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Place::Address(address) => write!(f, "[{address}]:{}", self.port),
            Place::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

impl ReachError {
    /// Why a connection was not opened.
    pub(super) fn of(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Self::Refused,
            io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable => Self::Timeout,
            io::ErrorKind::OutOfMemory => Self::Full,
            io::ErrorKind::NotConnected | io::ErrorKind::AddrNotAvailable => Self::Down,
            _ => Self::System(error),
        }
    }

    /// A stable name for the reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Foreign => "not_of_the_network",
            Self::UnknownName => "unknown_name",
            Self::NamesOff => "names_off",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Full => "full",
            Self::Down => "node_down",
            Self::System(_) => "system",
        }
    }
}

#[cfg(test)]
mod tests {
    use planetary_circles::names::{Label, key_host};
    use planetary_proto::Identity;

    use super::*;

    #[test]
    fn targets_are_read_and_written() {
        for (text, usual_port, expected) in [
            ("[200::1]:80", None, Some("[200::1]:80")),
            ("[200::1]", Some(80), Some("[200::1]:80")),
            ("ada.pln.internal:8080", Some(80), Some("ada.pln.internal:8080")),
            ("ada.pln.internal", Some(80), Some("ada.pln.internal:80")),
            ("ada.pln.internal", None, None),
            ("192.0.2.1:80", None, Some("192.0.2.1:80")),
            ("200::1:80", None, None),
            ("[200::1]80", Some(80), None),
            ("[ada]:80", None, None),
            (":80", None, None),
            ("ada:0", None, None),
            ("ada:+8", None, None),
            ("ada:65536", None, None),
            ("ada:", Some(80), None),
            ("a da:80", None, None),
            ("", Some(80), None),
        ] {
            let target = Target::parse(text, usual_port).ok();
            assert_eq!(target.map(|target| target.to_string()).as_deref(), expected, "{text}");
        }
        assert_eq!(Target::new(&"a".repeat(NAME_LEN_MAX + 1), 1), None);
    }

    #[test]
    fn only_what_is_of_the_network_has_an_address() {
        let [own, ada] = [1, 2].map(|seed| Identity::from_seed(&[seed; 32]).key());
        let zone = Zone::new(own, [(Label::new("ada").unwrap(), ada)]);
        let resolve = |text: &str| text.parse::<Target>().unwrap().resolve(Some(&zone));
        for host in
            ["ada.pln.internal", "Ada.PLN.internal.", "web.ada.pln.internal", &key_host(&ada)]
        {
            let found = resolve(&format!("{host}:80")).unwrap();
            assert_eq!((*found.ip(), found.port()), (ada.address().to_ipv6(), 80), "{host}");
        }
        let subnet = resolve("[300::53]:1").unwrap();
        assert_eq!(subnet.to_string(), "[300::53]:1");
        for (foreign, code) in [
            ("[::1]:80", "not_of_the_network"),
            ("[2001:db8::1]:80", "not_of_the_network"),
            ("[fe80::1]:80", "not_of_the_network"),
            ("[::ffff:127.0.0.1]:80", "not_of_the_network"),
            ("127.0.0.1:80", "not_of_the_network"),
            ("localhost:80", "not_of_the_network"),
            ("example.org:80", "not_of_the_network"),
            ("evilpln.internal:80", "not_of_the_network"),
            ("bob.pln.internal:80", "unknown_name"),
            ("pln.internal:80", "unknown_name"),
        ] {
            assert_eq!(resolve(foreign).unwrap_err().code(), code, "{foreign}");
        }
        let error = "ada.pln.internal:80".parse::<Target>().unwrap().resolve(None).unwrap_err();
        assert_eq!(error.code(), "names_off");
    }
}
