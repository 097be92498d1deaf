//! A neighbour and its links, as the tree sees them.

use std::collections::BTreeMap;

use crate::{
    identity::NodeKey,
    limits::{PEER_TIMEOUT, RELUCTANCE},
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
    /// The edge that we signed for it last.
    pub(super) signed: Option<SigReq>,
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
    /// Smoothed time until an answer, with what a reluctant neighbour waits: the measure of cost.
    pub(super) lag: Option<Duration>,
    /// Smoothed round trip, without it.
    pub(crate) round_trip: Option<Duration>,
    pub(super) asked_at: Option<Instant>,
    /// The outstanding request was repeated to know the round trip.
    pub(super) asked_again: bool,
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
        Self {
            port,
            links: BTreeMap::new(),
            request,
            response: None,
            signed: None,
            sent: BTreeMap::new(),
        }
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
            // The link works, or it would have been closed: it is the neighbour that wants nobody
            // below it, or had nobody to answer for. What it took before does not count any more.
            if link.asked_at.take().is_some_and(|at| at + PEER_TIMEOUT <= now) {
                link.lag = None;
            }
            link.asked_again = false;
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
    /// Takes the time since the request for a measure, once per request (chapter 4.5), and returns
    /// it.
    pub(super) fn measured(&mut self, now: Instant) -> Option<Duration> {
        let asked_at = self.asked_at.take()?;
        self.doubted = false;
        let sample = now.since(asked_at);
        if !self.asked_again {
            // A new link is worth half until it has proved itself.
            self.lag = Some(self.lag.map_or(sample * 2, |lag| smoothed(lag, sample)));
        }
        if !self.is_late(sample) {
            self.round_trip = Some(self.round_trip.map_or(sample, |known| smoothed(known, sample)));
        }
        Some(sample)
    }

    /// Whether an answer after this time may have been held back; that to a repetition never is.
    pub(super) fn is_late(&self, sample: Duration) -> bool {
        sample >= RELUCTANCE && !self.asked_again
    }

    /// Whole milliseconds of lag, at least 1.
    pub(crate) fn cost(&self) -> u64 {
        let millis = self.lag.unwrap_or(LAG_UNKNOWN).as_millis();
        u64::try_from(millis).unwrap_or(u64::MAX).max(1)
    }
}

/// Chapter 4.5: one late answer among many does not count for much.
fn smoothed(known: Duration, sample: Duration) -> Duration {
    known * 7 / 8 + sample.min(known * 2) / 8
}
