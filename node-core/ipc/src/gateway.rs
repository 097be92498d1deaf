//! The gateway: how programs reach the network through proxies and forwarded ports, with the
//! interface or without.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::error::{ApiError, ErrorCode};
use crate::identity::UnixTime;
use crate::limits;
use crate::status::{ListenerStatus, PeerError};

/// The gateway's listeners, as part of the status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Gateway {
    /// Whether TCP and UDP run inside the service, because there is no interface.
    pub user_space: bool,
    /// The SOCKS5 proxy, `socks://127.0.0.1:1080`, or `null` when none is configured.
    pub socks: Option<ListenerStatus>,
    /// The HTTP proxy, `http://127.0.0.1:8080`, or `null` when none is configured.
    pub http: Option<ListenerStatus>,
    /// Where names are answered without an interface, `dns://127.0.0.1:5380`, or `null`.
    pub dns: Option<ListenerStatus>,
    /// Number of forwarded ports.
    pub forwards: u64,
    /// Number of connections through proxies and forwarded ports.
    pub connections: u64,
}

/// Which way connections through a forwarded port go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ForwardWay {
    /// From a port of this computer to a node on the network.
    Out,
    /// From a port of this node on the network to a program on this computer. Who may open one is
    /// decided by friends and circles, as for every other port.
    In,
}

impl ForwardWay {
    /// The word as it is written in JSON and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::In => "in",
        }
    }
}

/// What a forwarded port carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ForwardProtocol {
    /// Connections.
    #[default]
    Tcp,
    /// Datagrams.
    Udp,
}

impl ForwardProtocol {
    /// The word as it is written in JSON and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A forwarded port as a person wishes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ForwardRule {
    /// Which way.
    pub way: ForwardWay,
    /// What is carried.
    #[serde(default)]
    pub protocol: ForwardProtocol,
    /// Where connections are taken. Out: a loopback address of this computer, `127.0.0.1:8080`. In:
    /// a port of this node on the network, `80`.
    pub listen: String,
    /// Where they are taken to. Out: address or name of a node with a port, `[200::1]:80` or
    /// `ada.pln.internal:80`. In: a loopback address of this computer, `127.0.0.1:8080`.
    pub target: String,
}

/// A forwarded port as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Forward {
    /// Number of this entry, to be named in `forward_remove`; never used twice.
    pub id: u64,
    /// What was wished.
    pub rule: ForwardRule,
    /// Whether connections are taken now.
    pub up: bool,
    /// Number of connections, or of conversations by datagrams, that are open.
    pub connections: u64,
    /// Bytes from the network since the service started.
    pub rx_bytes: u64,
    /// Bytes to the network since the service started.
    pub tx_bytes: u64,
    /// The last failure, or `null`.
    pub last_error: Option<PeerError>,
}

/// Answer to `forward_list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ForwardList {
    /// When this answer was made, by the service's clock.
    pub time: UnixTime,
    /// The forwarded ports, in the order of their numbers.
    pub forwards: Vec<Forward>,
}

impl ForwardRule {
    /// Checks what can be checked without asking anybody: ports, and that this computer's side is
    /// a loopback address.
    ///
    /// # Errors
    /// The error to answer with.
    pub fn check(&self) -> Result<(), ApiError> {
        let wrong = |text: &str| Err(ApiError::new(ErrorCode::InvalidForward, text));
        if self.listen.len() > limits::FORWARD_LEN_MAX
            || self.target.len() > limits::FORWARD_LEN_MAX
        {
            return wrong("this is too long for an address with a port");
        }
        let (here, there) = match self.way {
            ForwardWay::Out => (&self.listen, &self.target),
            ForwardWay::In => (&self.target, &self.listen),
        };
        match here.parse::<SocketAddr>() {
            Err(_) => {
                return wrong("this computer's side is an address with a port, 127.0.0.1:8080");
            }
            Ok(address) if !address.ip().is_loopback() => {
                return wrong("this computer's side must be a loopback address, such as 127.0.0.1");
            }
            Ok(address) if address.port() == 0 => return wrong("port 0 is no port"),
            Ok(_) => {}
        }
        let port = match self.way {
            ForwardWay::In => there.as_str(),
            ForwardWay::Out => match there.rsplit_once(':') {
                Some((host, port)) if !host.is_empty() => port,
                _ => return wrong("the far side is an address or name with a port"),
            },
        };
        match port.parse::<u16>() {
            Ok(1..) if port.bytes().all(|byte| byte.is_ascii_digit()) => Ok(()),
            _ => wrong("a port is a number from 1 to 65535"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_checked() {
        use ForwardWay::{In, Out};
        let check = |way, listen: &str, target: &str| {
            let (listen, target) = (listen.to_owned(), target.to_owned());
            ForwardRule { way, protocol: ForwardProtocol::Tcp, listen, target }.check().is_ok()
        };
        assert!(check(Out, "127.0.0.1:8080", "[200::1]:80"));
        assert!(check(Out, "[::1]:8080", "ada.pln.internal:80"));
        assert!(check(In, "80", "127.0.0.1:8080"));
        for (way, listen, target) in [
            (Out, "0.0.0.0:8080", "[200::1]:80"),
            (Out, "8080", "[200::1]:80"),
            (Out, "127.0.0.1:0", "[200::1]:80"),
            (Out, "127.0.0.1:8080", "ada.pln.internal"),
            (Out, "127.0.0.1:8080", ":80"),
            (Out, "127.0.0.1:8080", "[200::1]:0"),
            (In, "80", "192.0.2.1:8080"),
            (In, "+80", "127.0.0.1:8080"),
            (In, "70000", "127.0.0.1:8080"),
            (In, "127.0.0.1:8080", "80"),
        ] {
            assert!(!check(way, listen, target), "{way:?} {listen} {target}");
        }
        let long = "1".repeat(limits::FORWARD_LEN_MAX + 1);
        assert!(!check(In, &long, "127.0.0.1:8080"));
    }
}
