//! Trying a peer without linking to it: the connection and the handshake of a link, timed, and
//! closed.
//!
//! The far end sees a link that comes and goes. Nothing of it reaches the engine: it is no peer of
//! the tree, carries no frame, and is counted nowhere. Both sides greet at once, so the time from
//! our greeting to the verified one of the peer is one round trip, on `tcp` as on `tls`, however
//! the connection came about.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use planetary_proto::{identity::NodeKey, link::meta::Meta};
use tokio::time::{Instant, timeout_at};

use super::{
    LinkError, LocalEnd,
    dial::{self, is_overlay},
    handshake::{HandshakeError, Terms},
    uri::PeerUri,
};

/// What a peer answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The key that signed its greeting.
    pub peer: NodeKey,
    /// The address that answered; `None` on a socket file.
    pub remote: Option<SocketAddr>,
    /// From the addresses of the peer to an open transport, TLS included.
    pub connect: Duration,
    /// From our greeting to its verified answer: one round trip.
    pub round_trip: Duration,
}

/// Which addresses may be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Any that a peer may have: all but those of the overlay itself.
    Any,
    /// Only those of the internet at large: what comes from a public list must not lead into the
    /// networks behind this machine.
    Public,
    /// Only this machine itself; names but `localhost` are not even looked up.
    Loopback,
}

impl Reach {
    /// What is said of a host that has no address within it.
    pub(super) const fn demand(self) -> &'static str {
        match self {
            Self::Any => "has no address that may be dialled",
            Self::Public => "has no public address, as a public peer must",
            Self::Loopback => "is not on this computer, and nobody else may be dialled now",
        }
    }

    /// Whether an address may be dialled.
    #[must_use]
    pub fn admits(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match self {
            Self::Any => !is_overlay(address),
            Self::Public => is_public(address),
            Self::Loopback => address.is_loopback(),
        }
    }
}

/// Connects to `uri`, from `interface` if one is named, performs the handshake and closes, all
/// within `patience`.
///
/// Must run inside a tokio runtime. Dropping the future gives the attempt up.
///
/// # Errors
/// As for a link.
pub async fn probe(
    local: &LocalEnd,
    uri: &PeerUri,
    interface: Option<&str>,
    reach: Reach,
    patience: Duration,
) -> Result<Probe, LinkError> {
    let deadline = Instant::now() + patience;
    let found = timeout_at(deadline, dial::locate(uri, reach)).await;
    let target = found.unwrap_or_else(|_| Err(dial::unresolved(uri.place())))?;
    let silence = target.timeout();
    let began = Instant::now();
    let connecting = dial::connect(uri, target, interface, &local.tls);
    let connected = timeout_at(deadline, connecting).await;
    let (transport, remote) = connected.unwrap_or(Err(silence))?;
    let connect = began.elapsed();
    let nobody = BTreeSet::new();
    let terms = Terms {
        identity: &local.identity,
        priority: uri.priority(),
        password: uri.password(),
        pinned: uri.pinned_keys(),
        allowed: &nobody,
    };
    let greeted = Instant::now();
    let agreed = timeout_at(deadline, transport.greet(&terms)).await;
    let Meta { key: peer, .. } = agreed.unwrap_or(Err(HandshakeError::Timeout))?;
    Ok(Probe { peer, remote, connect, round_trip: greeted.elapsed() })
}

/// Whether an address belongs to the internet at large: not to this machine, a private network, a
/// link, a group, the overlay, documentation, or a translation that leads to one of those.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, third, _] = v4.octets();
            !(first == 0
                || v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_documentation()
                // Shared by carriers, protocol assignments, benchmarks, multicast and reserved.
                || (first == 100 && second & 0xc0 == 64)
                || (first == 192 && second == 0 && third == 0)
                || (first == 198 && second & 0xfe == 18)
                || first >= 224)
        }
        IpAddr::V6(v6) => {
            let segments = v6.segments();
            // Only what is assigned: this leaves out loopback, mapped, unique local, link-local and
            // multicast addresses, and the overlay.
            let assigned = segments[0] & 0xe000 == 0x2000;
            let documentation = segments[0] == 0x2001 && segments[1] == 0xdb8
                || segments[0] == 0x3fff && segments[1] & 0xf000 == 0;
            // Teredo and 6to4 hold an IPv4 address, which may be any.
            let teredo = segments[0] == 0x2001 && segments[1] == 0;
            let six_to_four = segments[0] == 0x2002;
            // The same of the well-known prefix 64:ff9b::/96, of which public ones are in use.
            let nat64 = segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
            if nat64 {
                let [.., a, b, c, d] = v6.octets();
                return is_public(IpAddr::from([a, b, c, d]));
            }
            assigned && !documentation && !teredo && !six_to_four && !is_overlay(v6.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_is_what_everybody_reaches() {
        for (address, public) in [
            ("1.1.1.1", true),
            ("2606:4700::1", true),
            ("64:ff9b::101:101", true),
            ("::ffff:1.1.1.1", true),
            ("64:ff9b::7f00:1", false),
            ("::ffff:10.0.0.1", false),
            ("0.1.2.3", false),
            ("10.0.0.1", false),
            ("100.64.0.1", false),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("172.31.0.1", false),
            ("192.0.0.8", false),
            ("192.0.2.1", false),
            ("192.168.1.1", false),
            ("198.19.0.1", false),
            ("203.0.113.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("200::1", false),
            ("3ff::1", false),
            ("fc00::1", false),
            ("fe80::1", false),
            ("ff02::1", false),
            ("2001:db8::1", false),
            ("2001::1", false),
            ("2002:7f00:1::", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }

    #[test]
    fn reach_admits_mapped_addresses_like_what_they_map() {
        let mapped = "::ffff:127.0.0.1".parse().unwrap();
        assert!(Reach::Loopback.admits(mapped) && Reach::Any.admits(mapped));
        assert!(!Reach::Public.admits(mapped));
        assert!(!Reach::Loopback.admits("192.0.2.1".parse().unwrap()));
    }
}
