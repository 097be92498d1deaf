//! Notices that this machine has slept or moved to another network, and hurries the links along.
//!
//! Sleep is seen by the control thread. Networks are compared every [`LOOK_GAP`]: one system call
//! that is the same everywhere, where each system's own notices would need code of its own.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{sync::Notify, time::MissedTickBehavior};

use super::{Engine, Inner};
use crate::links::outside_addresses;

/// A change is noticed after this time at the latest.
const LOOK_GAP: Duration = Duration::from_secs(2);

/// Runs until the engine is gone. `woke` is told when the machine has slept.
pub(super) async fn watch(inner: Weak<Inner>, woke: Arc<Notify>) {
    let mut looks = tokio::time::interval(LOOK_GAP);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = None;
    loop {
        let slept = tokio::select! {
            () = woke.notified() => true,
            _ = looks.tick() => false,
        };
        let Some(inner) = inner.upgrade() else { return };
        if slept {
            // Links are probed already; peers that are down need not wait out their pause.
            inner.peers.kick_all();
            continue;
        }
        // While the system does not say, nothing is known to have changed.
        let Ok(addresses) = outside_addresses() else { continue };
        if known.as_ref().is_some_and(|known| *known != addresses) {
            tracing::info!("the network of this machine has changed, links are probed");
            // An engine that has stopped has no links to probe.
            let _ = Engine(inner).network_changed().await;
        }
        known = Some(addresses);
    }
}
