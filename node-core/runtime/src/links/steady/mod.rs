//! Congestion control for links over QUIC that does not take every loss for congestion.
//!
//! Cubic and its kin halve or shrink the window at each loss. On a line that loses one packet of
//! two hundred by itself, at a round trip of 20 ms, they come to ten megabits a second, whatever
//! the line could carry. Here the window follows what is measured: the rate at which packets arrive
//! (the best of the last rounds) times the round trip of an empty line, and a quarter more. If the
//! line can carry more, the quarter raises the rate round by round. If not, a quarter of a round
//! trip waits in the queue before the bottleneck, and no more comes to it.
//!
//! What is a loss then? Up to [`LOSS_TOLERATED`] of a round it is taken for noise of the line. More
//! is taken for a queue that overflows, or for somebody who counts packets: the quarter is taken
//! back, step by step, and the window falls with the rate that arrives. A mark of congestion (ECN)
//! counts as that at once. When everything is lost, it starts anew.
//!
//! The round trip of an empty line is the smallest *mean* of a round in the last ten seconds: the
//! mean, since on a line with jitter the luckiest packet says little about the others. The
//! own quarter would hide it, so every [`LOOK_INTERVAL`] the window falls below what is needed for
//! a round.
//!
//! A *round* ends when the first packet is acknowledged that was sent after its begin.
//!
//! The idea is that of BBR (Cardwell et al., 2016), without its probing by pace, since the library
//! paces by the window alone. Why not the library's own: docs/decisions/0025-lossy-lines.md.

use std::{
    any::Any,
    sync::Arc,
    time::{Duration, Instant},
};

use quinn_proto::{
    RttEstimator,
    congestion::{Controller, ControllerFactory},
};

/// What the window is above rate times round trip.
const GAIN: f64 = 1.25;
/// The same while nothing is known of the line: the rate doubles in a round.
const GAIN_AT_START: f64 = 2.9;
/// The same while the queue is let run empty.
const GAIN_TO_DRAIN: f64 = 0.7;
/// A round in which so much is lost takes a step back, ...
const LOSS_TOLERATED: f64 = 0.05;
const STEP_BACK: f64 = 0.05;
/// ... and one in which less is lost a smaller step forth.
const STEP_FORTH: f64 = 0.01;
/// Least gain: the window follows the rate, which the loss lowers.
const GAIN_MIN: f64 = 1.0;
/// The start is over when the rate has grown by less than a quarter in each of three rounds.
const GROWTH_AT_START: f64 = 1.25;
const FLAT_ROUNDS: u8 = 3;
/// The best rate of so many rounds counts.
const ROUNDS: usize = 10;
/// So often the round trip of an empty line is looked for; the last two of them count.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Packets that are always allowed: four to learn from acknowledgements at all, ...
const PACKETS_MIN: u64 = 4;
/// ... and a few on top, for what the far end holds back and for processors that are late. They
/// also let slow links beside fast ones on the same line come up.
const PACKETS_MORE: u64 = 8;
/// Window at the start, in packets. RFC 9002, section 7.2.
const PACKETS_AT_START: u64 = 10;

/// Makes a [`Steady`] for each path of a connection.
#[derive(Debug)]
pub(super) struct SteadyConfig;

impl ControllerFactory for SteadyConfig {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Steady::new(now, current_mtu.into()))
    }
}

/// See the module. Sizes are bytes, rates bytes a second.
#[derive(Clone, Debug)]
struct Steady {
    mtu: u64,
    window: u64,
    stage: Stage,
    gain: f64,
    round: Round,
    /// The best rates of the last rounds, the newest in front.
    rates: [f64; ROUNDS],
    empty: EmptyLine,
    last_sent: u64,
    in_flight: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// Nothing is known. The best rate so far, and for how many rounds it has not grown.
    Start {
        best: f64,
        flat: u8,
    },
    /// The queue that the start has left runs empty, or it is time for a look.
    Drain,
    Cruise,
}

/// What has happened since a round began.
#[derive(Clone, Debug)]
struct Round {
    /// The last packet of the round before.
    after: u64,
    began: Instant,
    acked: u64,
    lost: u64,
    /// Sum and number of round trips.
    trips: Duration,
    count: u32,
    /// The window was used up at some time, so that the rate is that of the line.
    filled: bool,
}

impl Round {
    const fn new(after: u64, began: Instant) -> Self {
        let trips = Duration::ZERO;
        Self { after, began, acked: 0, lost: 0, trips, count: 0, filled: false }
    }
}

/// The round trip of the line when nothing waits, as the least of two intervals.
#[derive(Clone, Debug)]
struct EmptyLine {
    before: Option<Duration>,
    now: Option<Duration>,
    since: Instant,
}

impl EmptyLine {
    fn trip(&self) -> Option<Duration> {
        match (self.before, self.now) {
            (Some(before), Some(now)) => Some(before.min(now)),
            (one, other) => one.or(other),
        }
    }

    /// Learns the mean of a round. Whether it is time to look at the empty line.
    fn learn(&mut self, mean: Duration, now: Instant) -> bool {
        self.now = Some(self.now.map_or(mean, |known| known.min(mean)));
        let due = now.saturating_duration_since(self.since) >= LOOK_INTERVAL;
        if due {
            self.before = self.now.take();
            self.since = now;
        }
        due
    }
}

impl Steady {
    fn new(now: Instant, mtu: u64) -> Self {
        Self {
            mtu,
            window: PACKETS_AT_START * mtu,
            stage: Stage::Start { best: 0.0, flat: 0 },
            gain: GAIN,
            round: Round::new(0, now),
            rates: [0.0; ROUNDS],
            empty: EmptyLine { before: None, now: None, since: now },
            last_sent: 0,
            in_flight: 0,
        }
    }

    fn rate(&self) -> f64 {
        self.rates.iter().copied().fold(0.0, f64::max)
    }

    /// What the line holds when its queue is empty; `None` while that is not known.
    fn content(&self) -> Option<f64> {
        let trip = self.empty.trip()?;
        let content = self.rate() * trip.as_secs_f64();
        (content > 0.0).then_some(content)
    }

    fn sent(&mut self, bytes: u64, last: u64) {
        self.last_sent = last;
        self.in_flight += bytes;
        self.round.filled |= self.in_flight + self.mtu >= self.window;
    }

    fn acked(&mut self, bytes: u64, trip: Duration) {
        self.round.acked += bytes;
        self.round.trips += trip;
        self.round.count += 1;
        if matches!(self.stage, Stage::Start { .. }) {
            // What the line is known to carry and what it may carry beyond that.
            let bound = self.content().map_or(f64::INFINITY, |it| GAIN_AT_START * it);
            let bound = (bound as u64).saturating_add(PACKETS_AT_START * self.mtu);
            self.window = self.window.max((self.window + bytes).min(bound));
        }
    }

    fn end_of_acks(&mut self, now: Instant, in_flight: u64, largest: Option<u64>) {
        self.in_flight = in_flight;
        if largest.is_some_and(|largest| largest > self.round.after) && self.round.count > 0 {
            let next = Round::new(self.last_sent, now);
            let round = std::mem::replace(&mut self.round, next);
            self.end_of_round(&round, now);
        }
    }

    fn end_of_round(&mut self, round: &Round, now: Instant) {
        let took = now.saturating_duration_since(round.began).as_secs_f64();
        let rate = round.acked as f64 / took.max(1e-6);
        if round.filled {
            self.rates.rotate_right(1);
            self.rates[0] = rate;
        } else {
            // The sender had no more. That says nothing of the line, unless it was more than ever.
            self.rates[0] = self.rates[0].max(rate);
        }
        let look = self.empty.learn(round.trips / round.count, now);
        self.judge_losses(round);
        self.stage = match self.stage {
            Stage::Start { best, .. } if rate >= GROWTH_AT_START * best => {
                Stage::Start { best: rate, flat: 0 }
            }
            Stage::Start { best, flat } if flat + 1 < FLAT_ROUNDS => {
                Stage::Start { best, flat: flat + u8::from(round.filled) }
            }
            Stage::Cruise if look => Stage::Drain,
            Stage::Start { .. } => Stage::Drain,
            Stage::Drain | Stage::Cruise => Stage::Cruise,
        };
        self.follow();
    }

    fn judge_losses(&mut self, round: &Round) {
        let share = round.lost as f64 / (round.lost + round.acked).max(1) as f64;
        // One packet of a few is no share.
        if share > LOSS_TOLERATED && round.lost > 2 * self.mtu {
            self.step_back();
        } else {
            self.gain = (self.gain + STEP_FORTH).min(GAIN);
        }
    }

    fn step_back(&mut self) {
        self.gain = (self.gain - STEP_BACK).max(GAIN_MIN);
        if matches!(self.stage, Stage::Start { .. }) {
            self.stage = Stage::Drain;
        }
    }

    /// Sets the window to what is known of the line.
    fn follow(&mut self) {
        let gain = match self.stage {
            Stage::Start { .. } => return,
            Stage::Drain => GAIN_TO_DRAIN,
            Stage::Cruise => self.gain,
        };
        if let Some(content) = self.content() {
            let window = (gain * content) as u64;
            let more = if self.stage == Stage::Drain { 0 } else { PACKETS_MORE };
            self.window = (window + more * self.mtu).max(PACKETS_MIN * self.mtu);
        }
    }

    fn lost(&mut self, now: Instant, bytes: u64, everything: bool) {
        if everything {
            *self = Self { last_sent: self.last_sent, ..Self::new(now, self.mtu) };
            self.round.after = self.last_sent;
            self.window = PACKETS_MIN * self.mtu;
        } else if bytes == 0 {
            self.step_back();
            self.follow();
        } else {
            self.round.lost += bytes;
        }
    }
}

impl Controller for Steady {
    fn on_sent(&mut self, _now: Instant, bytes: u64, last_packet_number: u64) {
        self.sent(bytes, last_packet_number);
    }

    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        _app_limited: bool,
        _rtt: &RttEstimator,
    ) {
        self.acked(bytes, now.saturating_duration_since(sent));
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        _app_limited: bool,
        largest_packet_num_acked: Option<u64>,
    ) {
        self.end_of_acks(now, in_flight, largest_packet_num_acked);
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        _sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        self.lost(now, lost_bytes, is_persistent_congestion);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.mtu = new_mtu.into();
        self.window = self.window.max(PACKETS_MIN * self.mtu);
    }

    fn window(&self) -> u64 {
        self.window
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        PACKETS_AT_START * self.mtu
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests;
