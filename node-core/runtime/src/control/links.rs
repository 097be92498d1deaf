//! The links that are up: their ways out, their health, and who waits for their end.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use planetary_proto::{
    LinkId, Node, Now,
    link::Health,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

use crate::{
    data::{DataPlane, egress::Egress, sessions::Sessions},
    links::{LinkEnd, socket::LossWatch},
};

/// A link whose socket takes nothing for so long is closed. The slowest line in use takes a packet
/// in this time.
const BLOCKED_MAX: Duration = Duration::from_secs(30);

/// How long after a probe a link without an answer is closed as soon as it is suspect. Until then
/// every link has either answered or become suspect.
const DOUBT: Duration = Duration::from_secs(3);

/// Below this, losses on a line are not looked for.
const MUCH: u64 = 64 * 1024;

/// One link.
pub(crate) struct Link {
    pub(crate) egress: Arc<Egress>,
    pub(crate) since: Instant,
    suspect: bool,
    /// At the last look: what is sent over it gets no acknowledgement.
    stalled: bool,
    losses: LossWatch,
    /// What had been sent over it when its losses were last looked at, in bytes.
    looked_at: u64,
    /// Smoothed round trip, as the node last told.
    round_trip: Option<Duration>,
    ended: Option<oneshot::Sender<LinkEnd>>,
}

/// All links.
#[derive(Default)]
pub(crate) struct Links {
    links: BTreeMap<LinkId, Link>,
    /// Until when a link that is suspect is as good as dead.
    doubted_until: Instant,
    changed: bool,
}

impl Links {
    pub(super) fn insert(
        &mut self,
        egress: Arc<Egress>,
        ended: oneshot::Sender<LinkEnd>,
        since: Instant,
    ) {
        let link = Link {
            since,
            suspect: false,
            stalled: false,
            losses: LossWatch::default(),
            looked_at: 0,
            round_trip: None,
            ended: Some(ended),
            egress,
        };
        self.links.insert(link.egress.link, link);
    }

    /// Closes a link and tells whoever waits for its end. Returns whether it was there.
    pub(super) fn remove(&mut self, link: LinkId, end: LinkEnd) -> bool {
        let Some(mut link) = self.links.remove(&link) else { return false };
        link.egress.close();
        if let Some(ended) = link.ended.take() {
            // Nobody waits for a link whose peer was removed.
            let _ = ended.send(end);
        }
        true
    }

    pub(super) fn ids(&self) -> Vec<LinkId> {
        self.links.keys().copied().collect()
    }

    pub(crate) fn get(&self, link: LinkId) -> Option<&Link> {
        self.links.get(&link)
    }

    pub(super) fn egress(&self, link: LinkId) -> Option<&Arc<Egress>> {
        self.links.get(&link).map(|link| &link.egress)
    }

    pub(super) fn egresses(&self) -> BTreeMap<LinkId, Arc<Egress>> {
        self.links.iter().map(|(id, link)| (*id, Arc::clone(&link.egress))).collect()
    }

    /// When a keep-alive is due or a link's health changes, as far as can be seen now.
    pub(super) fn next_change(&self, now: Instant) -> Option<Instant> {
        self.links
            .values()
            .filter_map(|link| link.egress.liveness.snapshot().next_change(link.round_trip, now))
            .min()
    }

    /// Links have been probed after something that they may not have survived.
    pub(super) fn doubt(&mut self, now: Instant) {
        self.doubted_until = now + DOUBT;
    }

    /// Sends keep-alives that are due and tells the node whom to avoid. Returns the links that are
    /// dead, and why.
    pub(super) fn look_after(
        &mut self,
        node: &mut Node<Sessions>,
        data: &DataPlane,
        now: Now,
    ) -> Vec<(LinkId, &'static str)> {
        let round_trips: BTreeMap<LinkId, Option<Duration>> = node
            .neighbours()
            .flat_map(|neighbour| neighbour.links)
            .map(|link| (link.id, link.round_trip))
            .collect();
        let (mut dead, mut doubted) = (Vec::new(), Vec::new());
        for (id, link) in &mut self.links {
            link.round_trip = round_trips.get(id).copied().flatten();
            let liveness = link.egress.liveness.snapshot();
            if liveness.keep_alive_due(now.mono) {
                link.egress.send_keep_alive(data);
            }
            let health = liveness.health(link.round_trip, now.mono);
            if health == Health::Dead {
                dead.push((*id, "the peer did not answer for 3 seconds"));
            } else if health == Health::Suspect && now.mono < self.doubted_until {
                dead.push((*id, "the peer did not answer after this machine slept or moved"));
            } else if link.egress.blocked_for(now.mono) >= BLOCKED_MAX {
                // Of no use, even if it goes on sending.
                dead.push((*id, "the peer took nothing for 30 seconds"));
            }
            let suspect = health != Health::Alive || link.stalled;
            if suspect != link.suspect {
                link.suspect = suspect;
                doubted.push((*id, suspect));
            }
        }
        if !doubted.is_empty() {
            self.changed = true;
            node.handle_links_suspect(doubted, now);
        }
        dead
    }

    /// Looks which links are dead in our direction alone: what the peer goes on sending would hide
    /// that, and nothing is asked any more over one that is full. Costs a system call for each link
    /// that is in use.
    pub(super) fn look_for_stalls(&mut self, now: Instant) {
        for link in self.links.values_mut() {
            let is_used = link.stalled
                || link.egress.liveness.snapshot().waiting_since.is_some()
                || !link.egress.blocked_for(now).is_zero();
            link.stalled = is_used && link.egress.is_stalled();
        }
    }

    /// Looks which links lose on their lines, and helps them. Costs a system call for each link
    /// over which much was sent.
    pub(super) fn look_for_losses(&mut self) {
        for (id, link) in &mut self.links {
            let sent = link.egress.tx_bytes.load(Relaxed);
            if sent - link.looked_at >= MUCH {
                link.looked_at = sent;
                if link.losses.look(link.egress.socket()) {
                    tracing::info!(link = id.0, "the line loses packets, BBR takes the link over");
                }
            }
        }
    }

    /// Whether a link became suspect, or stopped being it, since the last call.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}
