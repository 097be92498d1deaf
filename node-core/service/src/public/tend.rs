//! What happens by itself, about once a minute while the node is up: the list is fetched when it is
//! old and the network is not paid by volume, so is the newest version, what the links show is
//! remembered, and a chosen peer that is gone for good is replaced.

use std::sync::Arc;
use std::time::Duration;

use planetary_ipc::{PeerSource, PublicFilter, Saving, Severity};
use planetary_runtime::Engine;
use planetary_runtime::links::has_outside_address;
use planetary_runtime::links::peers::{PeerId, PeerPhase, PeerStatus};

use super::kept::{Replacement, TOLD_S};
use super::replace::Seen;
use super::search;
use crate::health::{Condition, Moment};
use crate::node::Node;
use crate::releases;

/// Time between two looks.
pub const INTERVAL: Duration = Duration::from_secs(60);

/// The code of the health item that tells of a replacement.
pub const PEER_REPLACED: &str = "peer_replaced";

/// One look.
pub async fn tend(node: Arc<Node>) {
    let now = Moment::now();
    tell_of_replacement(&node, now);
    let Some(engine) = node.engine() else { return };
    // A megabyte a day matters to nobody who does not pay for it.
    let metered = node.saving() == Some(Saving::Metered);
    let due =
        !metered && node.public().lists.lock().is_due(&node.public_config(), &node.key(), now);
    if due {
        // A failure is logged and shown with the list.
        let _ = super::refresh(&node).await;
    }
    releases::look(&node, now).await;
    remember(&node, &engine, now).await;
    replace(&node, &engine, now).await;
}

/// Takes what the links show into the statistics, and writes them if it is time to.
async fn remember(node: &Node, engine: &Engine, now: Moment) {
    let peers = engine.peers().list();
    let links = engine.snapshot().await.map(|snapshot| snapshot.links).unwrap_or_default();
    {
        let public = node.public();
        let (mut statistics, mut counted) = (public.statistics.lock(), public.counted.lock());
        counted.retain(|id, _| peers.iter().any(|peer| peer.id == *id));
        for PeerStatus { id, phase, attempts, .. } in &peers {
            let before = counted.insert(id.clone(), *attempts).unwrap_or(0);
            // A peer that was added anew counts from zero.
            let tries = attempts.checked_sub(before).unwrap_or(*attempts);
            let up = *phase == PeerPhase::Up;
            if tries > 0 {
                statistics.note(&id.uri, tries, u64::from(up), now);
            }
            let link = links.iter().find(|link| link.uri == id.uri);
            if let Some(round_trip) = link.and_then(|link| link.round_trip).filter(|_| up) {
                statistics.note_round_trip(&id.uri, round_trip, now);
            }
        }
    }
    let due = node.public().statistics.lock().due(now);
    if let Some(record) = due
        && let Err(error) = node.store_record(record)
    {
        tracing::warn!(%error, "the statistics of peers were not stored");
    }
}

/// Gives up a chosen peer that has failed for good, if there is a better one.
async fn replace(node: &Node, engine: &Engine, now: Moment) {
    let peers = engine.peers().list();
    let wanted = node.wanted();
    let is_up = |peer: &&PeerStatus| peer.phase == PeerPhase::Up;
    let network = peers.iter().any(|peer| is_up(&peer)) || has_outside_address();
    let chosen = peers.iter().filter(|peer| {
        wanted.get(&peer.id).is_some_and(|wanted| wanted.source == PeerSource::Chosen)
    });
    let seen: Vec<Seen> = chosen
        .map(|peer| Seen { name: peer.id.uri.clone(), up: is_up(&peer), attempts: peer.attempts })
        .collect();
    let failed = node.public().watch.lock().look(&seen, network, now.mono);
    if let Some(name) = failed {
        let down = node.public().watch.lock().down_for(&name);
        replace_one(node, &name, down, now).await;
    }
}

/// Looks for a peer in the place of `name`, and takes it if one answers.
pub(crate) async fn replace_one(node: &Node, name: &str, down: Duration, now: Moment) {
    let nothing = || node.public().watch.lock().note_searched(now.mono);
    let Ok(candidates) = search::candidates(node, &PublicFilter::default(), true) else {
        return nothing();
    };
    let found = search::search(node, &candidates, 1, Some(name), |_| {}).await;
    let found = found.ok().and_then(|found| found.into_iter().next());
    let Some(new) = found.and_then(|found| found.to_keep(now.unix_s)) else {
        return nothing();
    };
    let old = PeerId { uri: name.to_owned(), interface: None };
    let (new_name, reason) = (new.id().uri, new.reason.clone());
    match node.replace_chosen(&old, new, now.unix_s).await {
        Ok(()) => {
            node.public().watch.lock().note_replaced(name, now.mono);
            let down_min = down.as_secs() / 60;
            tracing::info!(
                old = name,
                new = new_name,
                down_min,
                reason,
                "a chosen peer did not answer for long and was replaced"
            );
            tell_of_replacement(node, now);
        }
        Err(error) => {
            tracing::warn!(%error, "a chosen peer was not replaced");
            nothing();
        }
    }
}

/// Shows the last replacement for a day.
fn tell_of_replacement(node: &Node, now: Moment) {
    let replaced = node.kept().replaced;
    match replaced.filter(|replaced| now.unix_s.abs_diff(replaced.at) < TOLD_S) {
        Some(Replacement { old, new, reason, .. }) => node.raise(Condition {
            code: PEER_REPLACED,
            severity: Severity::Info,
            title: "A public peer was replaced".to_owned(),
            text: format!("{old} did not answer for long. {new} is in its place ({reason})."),
            action: Some(format!(
                "Nothing needs to be done; `planetary peer remove {new}` removes it."
            )),
            affects_connectivity: false,
            may_pass: false,
        }),
        None => node.clear(PEER_REPLACED),
    }
}

#[cfg(test)]
#[path = "tend_tests.rs"]
mod tests;
