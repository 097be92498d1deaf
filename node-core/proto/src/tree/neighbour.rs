//! A neighbour and its links, as the tree sees them.

use std::collections::BTreeMap;

use crate::{
    identity::NodeKey,
    link::LinkId,
    outbox::Outbox,
    rate::RateLimiter,
    time::{Duration, Instant},
    wire::{SigReq, SigRes},
};

/// Lag of a link that was never measured (chapter 4.5).
const LAG_UNKNOWN: Duration = Duration::from_nanos(u32::MAX as u64);

/// A remote key with at least one live link.
#[derive(Debug)]
pub(crate) struct Neighbour {
    /// Our number for it, the same for all its links.
    pub(crate) port: u64,
    pub(crate) links: BTreeMap<LinkId, Link>,
    /// The edge that we asked it to sign.
    pub(super) request: SigReq,
    /// Its answer.
    pub(super) response: Option<SigRes>,
    /// Which version of whose edge it has.
    pub(super) sent: BTreeMap<NodeKey, u64>,
}

/// One link of a neighbour.
#[derive(Debug)]
pub(crate) struct Link {
    /// The larger of both ends' wishes; smaller is better.
    pub(crate) priority: u8,
    /// Links that came up earlier have smaller numbers.
    pub(crate) order: u64,
    /// Smoothed round trip.
    pub(crate) lag: Option<Duration>,
    pub(super) asked_at: Option<Instant>,
    /// It owes an answer for too long.
    pub(crate) suspect: bool,
    /// A newer link of the neighbour has come up since this one last answered. Whoever comes back
    /// from sleep, or from another network, has left the old link behind.
    pub(super) doubted: bool,
    pub(super) sig_reqs: RateLimiter,
    pub(super) announces: RateLimiter,
}

impl Neighbour {
    pub(super) const fn new(port: u64, request: SigReq) -> Self {
        Self { port, links: BTreeMap::new(), request, response: None, sent: BTreeMap::new() }
    }

    /// The link to use among several: one that is not in doubt, then lowest priority value, then
    /// cost, then age. None while all are suspect.
    pub(crate) fn best_link(&self) -> Option<(LinkId, &Link)> {
        self.links
            .iter()
            .filter(|(_, link)| !link.suspect)
            .min_by_key(|(_, link)| (link.doubted, link.priority, link.cost(), link.order))
            .map(|(id, link)| (*id, link))
    }

    /// Sends the outstanding request on every link, and measures the answer from now on.
    pub(super) fn send_request(&mut self, now: Instant, outbox: &mut Outbox) {
        for link in self.links.values_mut() {
            link.asked_at = None;
        }
        self.repeat_request(now, outbox);
    }

    /// Sends the outstanding request again. On a link that still owes an answer to it, the next one
    /// is measured from the first time: it may have been asked for more than a round trip ago.
    pub(super) fn repeat_request(&mut self, now: Instant, outbox: &mut Outbox) {
        let frame = self.request.emit();
        for (link, at) in &mut self.links {
            at.asked_at.get_or_insert(now);
            outbox.direct(*link, frame.clone());
        }
    }

    /// A new link has come up: those before it have to answer before they are used again.
    pub(super) fn doubt_links(&mut self, now: Instant, outbox: &mut Outbox) {
        for link in self.links.values_mut() {
            link.doubted = true;
        }
        self.repeat_request(now, outbox);
    }

    /// The smallest cost of its usable links.
    pub(super) fn cost(&self) -> Option<u64> {
        self.links.values().filter(|link| !link.suspect).map(Link::cost).min()
    }
}

impl Link {
    /// Takes the time since the request for a round trip, once per request (chapter 4.5). Returns
    /// whether it was one.
    pub(super) fn measured(&mut self, now: Instant) -> bool {
        let Some(asked_at) = self.asked_at.take() else { return false };
        self.doubted = false;
        let sample = now.since(asked_at);
        self.lag = Some(match self.lag {
            // A new link is worth half until it has proved itself.
            None => sample * 2,
            Some(lag) => lag * 7 / 8 + sample.min(lag * 2) / 8,
        });
        true
    }

    /// Whole milliseconds of lag, at least 1.
    pub(crate) fn cost(&self) -> u64 {
        let millis = self.lag.unwrap_or(LAG_UNKNOWN).as_millis();
        u64::try_from(millis).unwrap_or(u64::MAX).max(1)
    }
}
