//! Notices that this machine has slept or moved to another network, and hurries the links along.
//!
//! Sleep is seen by the control thread, which probes the links itself. For the network there is
//! one way of seeing: the [`Outlook`], taken again whenever the system gives notice, and once in a
//! while without. If it is another one, links whose address is gone are closed, the others are
//! asked for a sign of life, and peers that are down are dialled at once.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::{Arc, Weak},
    time::{Duration, SystemTime},
};

use tokio::{sync::Notify, time::MissedTickBehavior};

use super::{Engine, Inner};
use crate::{
    control::News,
    links::outside_addresses,
    notices::{Notices, resolver_written_at},
};

/// A change that the system does not tell of is noticed after this time at the latest.
const LOOK_GAP: Duration = Duration::from_secs(30);
/// Notices come in bursts: a new network is an interface, several addresses, and routes. A look
/// waits for the rest of them, and a person does not notice so short a wait.
const GATHER: Duration = Duration::from_millis(150);

/// What is asked for the way to the internet at large: any address there would do, and nothing is
/// sent. These are for documentation (RFC 5737, RFC 3849), so nobody has a route of their own.
const AFAR: [(IpAddr, IpAddr); 2] = [
    (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
    (IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))),
];

/// What the links of this machine depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outlook {
    /// The addresses under which it speaks, with their interfaces.
    addresses: BTreeSet<(String, IpAddr)>,
    /// Which of them it would speak from to the internet, by family; none without a route there.
    ways: [Option<IpAddr>; 2],
    /// When the list of name servers was last written.
    resolver: Option<SystemTime>,
}

impl Outlook {
    fn take() -> io::Result<Self> {
        Ok(Self {
            addresses: outside_addresses()?,
            ways: AFAR.map(|(any, afar)| source_towards(any, afar).ok()),
            resolver: resolver_written_at(),
        })
    }

    /// The addresses that it had and this one does not have.
    fn lost_since(&self, before: &Self) -> BTreeSet<IpAddr> {
        let all = |outlook: &Self| -> BTreeSet<IpAddr> {
            outlook.addresses.iter().map(|(_, address)| *address).collect()
        };
        &all(before) - &all(self)
    }
}

/// The address from which a packet to `afar` would leave. None does.
fn source_towards(any: IpAddr, afar: IpAddr) -> io::Result<IpAddr> {
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    // The discard port, though nothing is sent.
    socket.connect(SocketAddr::new(afar, 9))?;
    Ok(socket.local_addr()?.ip())
}

/// Runs until the engine is gone. `woke` is told when the machine has slept.
pub(super) async fn watch(inner: Weak<Inner>, woke: Arc<Notify>) {
    let notices = Notices::open();
    let mut looks = tokio::time::interval(LOOK_GAP);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known: Option<Outlook> = None;
    loop {
        tokio::select! {
            () = woke.notified() => {
                // Links are probed already; peers that are down need not wait out their pause.
                let Some(inner) = inner.upgrade() else { return };
                inner.peers.kick_all();
                continue;
            }
            () = notices.next() => tokio::time::sleep(GATHER).await,
            _ = looks.tick() => {}
        }
        let Some(inner) = inner.upgrade() else { return };
        // While the system does not say, nothing is known to have changed.
        let Ok(outlook) = Outlook::take() else { continue };
        if let Some(before) = known.as_ref().filter(|before| **before != outlook) {
            tracing::info!("the network of this machine has changed, links are probed");
            inner.close_stranded(&outlook.lost_since(before));
            let engine = Engine(inner);
            // An engine that has stopped has no links to probe, and nobody to tell.
            let _ = engine.network_changed().await;
            let _ = engine.ask_control(|control| control.news.tell(News::NetworkChanged)).await;
        }
        known = Some(outlook);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlook(addresses: &[(&str, &str)]) -> Outlook {
        let parse = |(name, address): &(&str, &str)| ((*name).into(), address.parse().unwrap());
        let addresses = addresses.iter().map(parse).collect();
        Outlook { addresses, ways: [None; 2], resolver: None }
    }

    #[test]
    fn an_address_is_lost_only_when_no_interface_has_it() {
        let before = outlook(&[("eth0", "10.0.0.5"), ("eth0", "fe80::1"), ("wlan0", "fe80::1")]);
        let after = outlook(&[("wlan0", "10.0.0.9"), ("wlan0", "fe80::1")]);
        assert_eq!(after.lost_since(&before), BTreeSet::from(["10.0.0.5".parse().unwrap()]));
        assert!(before.lost_since(&before).is_empty());
    }

    #[test]
    fn two_looks_at_a_machine_at_rest_are_equal() {
        let first = Outlook::take().unwrap();
        assert_eq!(Outlook::take().unwrap(), first);
    }
}
