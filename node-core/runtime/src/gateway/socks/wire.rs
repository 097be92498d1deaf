//! The messages of SOCKS5, in both directions.
//!
//! A client says which methods it can authenticate with, is told that none is needed, and asks for
//! one thing. Every `parse` looks at the beginning of what has arrived so far, and says `None` when
//! there is more to come.
//!
//! Source: RFC 1928.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;

use crate::gateway::target::Target;

/// Longest message of a client before its data: a request with a name of 255 bytes.
pub const MESSAGE_LEN_MAX: usize = 262;

/// Longest header before the data of a datagram that goes to a client: with an IPv6 address.
pub const DATAGRAM_HEADER_LEN: usize = 22;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const NO_ACCEPTABLE_METHOD: u8 = 0xff;
const COMMAND_CONNECT: u8 = 1;
const COMMAND_ASSOCIATE: u8 = 3;
const KIND_IPV4: u8 = 1;
const KIND_NAME: u8 = 3;
const KIND_IPV6: u8 = 4;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A connection to this place.
    Connect(Target),
    /// A way for datagrams. Where the client says that its own will come from does not matter.
    Associate,
}

/// How a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// It is done.
    Done = 0,
    /// Something here failed.
    Failed = 1,
    /// It leads out of the network.
    NotAllowed = 2,
    /// Nobody has the name, or nothing came back.
    HostUnreachable = 4,
    /// The far node refused.
    Refused = 5,
    /// Something other than a connection or datagrams was asked for.
    UnknownCommand = 7,
    /// The place is written in an unknown way.
    UnknownAddressKind = 8,
}

/// Why a message is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// Not SOCKS5, and nothing to be answered.
    #[error("this is not SOCKS5")]
    Foreign,
    /// The client wants to authenticate, which is not done here.
    #[error("the client offers no way to do without authentication")]
    Method,
    /// A request to be answered with this.
    #[error("the request cannot be met")]
    Request(Outcome),
}

impl Malformed {
    /// What the client is told.
    #[must_use]
    pub fn answer(self) -> Vec<u8> {
        match self {
            Self::Foreign => Vec::new(),
            Self::Method => vec![VERSION, NO_ACCEPTABLE_METHOD],
            Self::Request(outcome) => reply(outcome, NOWHERE),
        }
    }
}

/// What stands in a reply where there is no address to tell.
pub const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// The answer to a greeting that was good.
pub const GREETING: [u8; 2] = [VERSION, NO_AUTHENTICATION];

/// Reads a greeting; returns its length.
///
/// # Errors
/// [`Malformed`].
pub fn parse_greeting(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    // Whoever speaks another protocol hears so with the first byte.
    if bytes.first().is_some_and(|version| *version != VERSION) {
        return Err(Malformed::Foreign);
    }
    let [_, count, rest @ ..] = bytes else { return Ok(None) };
    let Some(methods) = rest.get(..usize::from(*count)) else { return Ok(None) };
    if methods.contains(&NO_AUTHENTICATION) {
        Ok(Some(2 + methods.len()))
    } else {
        Err(Malformed::Method)
    }
}

/// Reads a request; returns its length too.
///
/// # Errors
/// [`Malformed`].
pub fn parse_request(bytes: &[u8]) -> Result<Option<(Request, usize)>, Malformed> {
    if bytes.first().is_some_and(|version| *version != VERSION) {
        return Err(Malformed::Foreign);
    }
    let [_, command, _, rest @ ..] = bytes else { return Ok(None) };
    let Some((place, len)) = Destination::parse(rest)? else { return Ok(None) };
    let request = match *command {
        COMMAND_CONNECT => Request::Connect(place.target()?),
        COMMAND_ASSOCIATE => Request::Associate,
        _ => return Err(Malformed::Request(Outcome::UnknownCommand)),
    };
    Ok(Some((request, 3 + len)))
}

/// Reads a datagram of a client: where it shall go, and its data. `None` for what is dropped:
/// fragments too, which nobody sends.
#[must_use]
pub fn parse_datagram(bytes: &[u8]) -> Option<(Target, &[u8])> {
    let [_, _, 0, rest @ ..] = bytes else { return None };
    let (place, len) = Destination::parse(rest).ok()??;
    Some((place.target().ok()?, rest.get(len..)?))
}

/// A reply to a request, with the address that belongs to it.
#[must_use]
pub fn reply(outcome: Outcome, address: SocketAddr) -> Vec<u8> {
    let mut bytes = vec![VERSION, outcome as u8, 0];
    emit_address(address, &mut bytes);
    bytes
}

/// What stands before the data of a datagram that goes to a client.
#[must_use]
pub fn datagram_header(from: SocketAddr) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0];
    emit_address(from, &mut bytes);
    bytes
}

fn emit_address(address: SocketAddr, bytes: &mut Vec<u8>) {
    match address.ip() {
        IpAddr::V4(ip) => {
            bytes.push(KIND_IPV4);
            bytes.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            bytes.push(KIND_IPV6);
            bytes.extend_from_slice(&ip.octets());
        }
    }
    bytes.extend_from_slice(&address.port().to_be_bytes());
}

/// Host and port as they are sent; the host need not be one.
struct Destination {
    host: String,
    port: u16,
}

impl Destination {
    fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let Some((kind, rest)) = bytes.split_first() else { return Ok(None) };
        let (host, len) = match *kind {
            KIND_IPV4 => match rest.first_chunk::<4>() {
                Some(octets) => (Ipv4Addr::from(*octets).to_string(), 4),
                None => return Ok(None),
            },
            KIND_IPV6 => match rest.first_chunk::<16>() {
                Some(octets) => (Ipv6Addr::from(*octets).to_string(), 16),
                None => return Ok(None),
            },
            KIND_NAME => match rest.split_first() {
                Some((len, rest)) => match rest.get(..usize::from(*len)) {
                    // What is no text is no name, which is found when it is needed.
                    Some(name) => {
                        (String::from_utf8_lossy(name).into_owned(), 1 + usize::from(*len))
                    }
                    None => return Ok(None),
                },
                None => return Ok(None),
            },
            _ => return Err(Malformed::Request(Outcome::UnknownAddressKind)),
        };
        let Some(port) = rest.get(len..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
        let port = u16::from_be_bytes(*port);
        Ok(Some((Self { host, port }, 1 + len + 2)))
    }

    fn target(&self) -> Result<Target, Malformed> {
        let none = Malformed::Request(Outcome::HostUnreachable);
        Target::new(&self.host, self.port).ok_or(none)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(command: u8, place: &[u8]) -> Vec<u8> {
        [&[5, command, 0], place].concat()
    }

    fn name(name: &str, port: u16) -> Vec<u8> {
        [&[3, name.len() as u8], name.as_bytes(), &port.to_be_bytes()].concat()
    }

    #[test]
    fn greetings_offer_to_do_without_authentication_or_are_refused() {
        for (bytes, expected) in [
            (&[5, 1, 0][..], Ok(Some(3))),
            (&[5, 2, 2, 0, 5], Ok(Some(4))),
            (&[], Ok(None)),
            (&[5], Ok(None)),
            (&[5, 2, 0], Ok(None)),
            (&[5, 1, 2], Err(Malformed::Method)),
            (&[5, 0], Err(Malformed::Method)),
            (&[4, 1], Err(Malformed::Foreign)),
            (b"G", Err(Malformed::Foreign)),
        ] {
            assert_eq!(parse_greeting(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn requests_are_read_or_answered_with_their_reason() {
        let connect = |text: &str| Request::Connect(text.parse().unwrap());
        let v6: Vec<u8> =
            [&[4][..], &"200::1".parse::<Ipv6Addr>().unwrap().octets(), &[0, 80]].concat();
        for (bytes, expected) in [
            (request(1, &v6), connect("[200::1]:80")),
            (request(1, &name("ada.pln.internal", 22)), connect("ada.pln.internal:22")),
            (request(1, &name("200::1", 22)), connect("[200::1]:22")),
            (request(1, &[1, 192, 0, 2, 1, 0, 9]), connect("192.0.2.1:9")),
            (request(3, &[1, 0, 0, 0, 0, 0, 0]), Request::Associate),
        ] {
            for len in 0..bytes.len() {
                assert_eq!(parse_request(&bytes[..len]), Ok(None), "{len} of {bytes:?}");
            }
            let with_data = [&bytes[..], b"data"].concat();
            assert_eq!(parse_request(&with_data), Ok(Some((expected, bytes.len()))));
        }
        for (bytes, outcome) in [
            (request(2, &v6), Outcome::UnknownCommand),
            (request(1, &[2, 0, 0]), Outcome::UnknownAddressKind),
            (request(1, &name("", 80)), Outcome::HostUnreachable),
            (request(1, &name("ada.pln.internal", 0)), Outcome::HostUnreachable),
            (request(1, &name("\u{1}", 80)), Outcome::HostUnreachable),
        ] {
            let error = parse_request(&bytes).unwrap_err();
            assert_eq!(error, Malformed::Request(outcome), "{bytes:?}");
            assert_eq!(error.answer()[..2], [5, outcome as u8]);
        }
        assert_eq!(parse_request(&[4, 1, 0]), Err(Malformed::Foreign));
        assert_eq!(request(1, &name(&"a".repeat(255), 1)).len(), MESSAGE_LEN_MAX);
    }

    #[test]
    fn datagrams_come_with_their_place_and_no_fragments() {
        let place = name("ada.pln.internal", 53);
        let datagram = [&[0, 0, 0][..], &place, b"data"].concat();
        let (target, data) = parse_datagram(&datagram).unwrap();
        assert_eq!((target.to_string().as_str(), data), ("ada.pln.internal:53", &b"data"[..]));
        assert_eq!(parse_datagram(&[&[0, 0, 1][..], &place].concat()), None);
        let from: SocketAddr = "[200::1]:53".parse().unwrap();
        let header = datagram_header(from);
        assert_eq!(header.len(), DATAGRAM_HEADER_LEN);
        let back = [&header[..], b"answer"].concat();
        let (target, data) = parse_datagram(&back).unwrap();
        assert_eq!((target.to_string().as_str(), data), ("[200::1]:53", &b"answer"[..]));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_greeting(&bytes);
            let _ = parse_datagram(&bytes);
            if let Ok(None) = parse_request(&bytes) {
                prop_assert!(bytes.len() < MESSAGE_LEN_MAX);
            }
        }
    }
}
