//! Senders on a modelled line: a bottleneck with a queue, a delay, and packets that get lost.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::*;

const PACKET: u64 = 1_200;

struct Line {
    /// Bytes a second.
    rate: f64,
    /// There and back.
    trip: Duration,
    /// Bytes that find room before the bottleneck.
    queue: u64,
    /// So many packets of a thousand get lost behind the bottleneck.
    loss_per_mille: u64,
}

impl Line {
    /// Megabits a second, milliseconds, and a queue that holds a multiple of what the line does.
    fn new(rate: u32, trip: u64, queue: f64) -> Self {
        let rate = f64::from(rate) * 125_000.0;
        let trip = Duration::from_millis(trip);
        Self { rate, trip, queue: (queue * rate * trip.as_secs_f64()) as u64, loss_per_mille: 0 }
    }

    const fn losing(self, loss_per_mille: u64) -> Self {
        Self { loss_per_mille, ..self }
    }
}

/// What has become of one sender's packets in the second half of a run.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    /// Of the line's rate.
    share: f64,
    /// Of its packets.
    lost: f64,
    /// Mean round trip, in round trips of the empty line.
    trips: f64,
}

struct Sender {
    control: Steady,
    in_flight: u64,
    next: u64,
    /// Sends when this is in the past.
    starts: Duration,
    /// Bytes a second that it has to send; all that goes, if none.
    wants: Option<f64>,
    sent_bytes: f64,
    /// Bytes that may leave at once: the library paces by a quarter more than the window in a
    /// round trip, and lets short bursts pass.
    tokens: f64,
    trip: f64,
}

impl Sender {
    fn starting(now: Instant, after: Duration) -> Self {
        let control = Steady::new(now, PACKET);
        let (tokens, trip) = (0.0, 0.02);
        let in_flight = 0;
        Self {
            control,
            in_flight,
            next: 1,
            starts: after,
            wants: None,
            sent_bytes: 0.0,
            tokens,
            trip,
        }
    }

    fn earn(&mut self, time: Duration) {
        let window = self.control.window() as f64;
        let burst = (window * 0.002 / self.trip).max(10.0 * PACKET as f64);
        self.tokens += 1.25 * window * time.as_secs_f64() / self.trip;
        self.tokens = self.tokens.min(burst);
    }
}

const STEP: Duration = Duration::from_millis(1);

/// Lets senders loose on a line.
fn run(line: &Line, mut senders: Vec<Sender>, begin: Instant, lasts: Duration) -> Vec<Outcome> {
    let (mut now, end, half) = (begin, begin + lasts, begin + lasts / 2);
    // What comes back: when, whose, which number, sent when, whether it has arrived.
    let mut back = BinaryHeap::<Reverse<(Instant, usize, u64, Instant, bool)>>::new();
    let mut free_at = begin;
    let mut dice = 1_u64;
    let mut sums = vec![(0.0, 0.0, 0.0); senders.len()];
    let on_wire = Duration::from_secs_f64(PACKET as f64 / line.rate);
    while now < end {
        for (index, sender) in senders.iter_mut().enumerate() {
            let ran = now.duration_since(begin);
            sender.earn(STEP);
            while ran >= sender.starts
                && sender.tokens >= PACKET as f64
                && sender.in_flight + PACKET <= sender.control.window()
                && sender.wants.is_none_or(|it| sender.sent_bytes < it * ran.as_secs_f64())
            {
                sender.in_flight += PACKET;
                sender.sent_bytes += PACKET as f64;
                sender.tokens -= PACKET as f64;
                sender.control.sent(PACKET, sender.next);
                let waits = free_at.saturating_duration_since(now);
                let queued = (waits.as_secs_f64() * line.rate) as u64;
                let fits = queued + PACKET <= line.queue.max(4 * PACKET);
                if fits {
                    free_at = free_at.max(now) + on_wire;
                }
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let arrives = fits && (dice >> 33) % 1_000 >= line.loss_per_mille;
                back.push(Reverse((
                    free_at.max(now) + line.trip,
                    index,
                    sender.next,
                    now,
                    arrives,
                )));
                sender.next += 1;
            }
        }
        let step = now + STEP;
        while let Some(&Reverse((at, index, number, sent, arrives))) = back.peek()
            && at <= step
        {
            back.pop();
            let sender = &mut senders[index];
            sender.in_flight -= PACKET;
            let sum = &mut sums[index];
            let counts = f64::from(u8::from(at >= half));
            if arrives {
                let trip = at.duration_since(sent);
                sender.trip += (trip.as_secs_f64() - sender.trip) / 8.0;
                sender.control.acked(PACKET, trip);
                sender.control.end_of_acks(at, sender.in_flight, Some(number));
                sum.0 += counts;
                sum.2 += counts * trip.as_secs_f64();
            } else {
                sender.control.lost(at, PACKET, false);
                sum.1 += counts;
            }
        }
        now = step;
    }
    let second_half = lasts.as_secs_f64() / 2.0;
    let outcome = |(arrived, lost, trips): (f64, f64, f64)| Outcome {
        share: arrived * PACKET as f64 / (line.rate * second_half),
        lost: lost / (arrived + lost),
        trips: trips / arrived / line.trip.as_secs_f64(),
    };
    sums.into_iter().map(outcome).collect()
}

fn run_one(line: &Line, seconds: u64) -> Outcome {
    let begin = Instant::now();
    let sender = Sender::starting(begin, Duration::ZERO);
    run(line, vec![sender], begin, Duration::from_secs(seconds))[0]
}

#[test]
fn a_clean_line_is_filled_and_its_queue_stays_short() {
    for (rate, trip) in [(10, 20), (100, 20), (100, 100), (1_000, 5)] {
        let outcome = run_one(&Line::new(rate, trip, 4.0), 20);
        assert!(outcome.share > 0.95, "{rate} Mbit/s, {trip} ms: {outcome:?}");
        assert!(outcome.trips < 1.7, "{rate} Mbit/s, {trip} ms: {outcome:?}");
        assert!(outcome.lost < 0.001, "{rate} Mbit/s, {trip} ms: {outcome:?}");
    }
}

#[test]
fn losses_of_the_line_cost_no_more_than_themselves() {
    for loss in [1, 5, 20, 30] {
        for trip in [20, 100] {
            let outcome = run_one(&Line::new(100, trip, 1.0).losing(loss), 20);
            let share = 0.95 - loss as f64 / 1_000.0;
            assert!(outcome.share > share, "{loss} in 1000, {trip} ms: {outcome:?}");
        }
    }
}

#[test]
fn a_queue_that_overflows_is_noticed() {
    for trip in [20, 100] {
        // At 20 ms hardly more than a burst.
        let outcome = run_one(&Line::new(100, trip, 0.05), 30);
        assert!(outcome.share > 0.7, "{trip} ms: {outcome:?}");
        assert!(outcome.lost < 0.06, "{trip} ms: {outcome:?}");
    }
}

#[test]
fn two_senders_share_a_line_though_one_comes_late() {
    let begin = Instant::now();
    let senders = [0, 10].map(|after| Sender::starting(begin, Duration::from_secs(after))).into();
    let outcomes = run(&Line::new(100, 20, 2.0), senders, begin, Duration::from_secs(120));
    let [first, late] = outcomes[..] else { unreachable!() };
    assert!(first.share + late.share > 0.95, "{outcomes:?}");
    assert!(first.share.min(late.share) > 0.2, "{outcomes:?}");
    assert!(first.trips < 2.0, "{outcomes:?}");
}

#[test]
fn who_sends_little_is_ready_for_more() {
    let begin = Instant::now();
    let line = Line::new(100, 20, 1.0);
    let little =
        Sender { wants: Some(line.rate / 20.0), ..Sender::starting(begin, Duration::ZERO) };
    let outcome = run(&line, vec![little], begin, Duration::from_secs(20))[0];
    assert!((0.049..0.051).contains(&outcome.share), "{outcome:?}");
    assert!(outcome.trips < 1.1, "nothing waits: {outcome:?}");
}

#[test]
fn a_line_that_got_slower_is_followed() {
    let begin = Instant::now();
    let mut sender = Sender::starting(begin, Duration::ZERO);
    // Rounds of a line with twice the rate, in its control alone.
    let fast = Line::new(200, 20, 1.0);
    for round in 0..100_u64 {
        let at = begin + line_time(round);
        sender.control.sent(1, round * 2 + 1);
        sender.control.acked((fast.rate * 0.02) as u64, fast.trip);
        sender.control.round.filled = true;
        sender.control.end_of_acks(at, 0, Some(round * 2 + 1));
    }
    let before = sender.control.window();
    for round in 100..112_u64 {
        let at = begin + line_time(round);
        sender.control.sent(1, round * 2 + 1);
        sender.control.acked((fast.rate * 0.01) as u64, fast.trip);
        sender.control.round.filled = true;
        sender.control.end_of_acks(at, 0, Some(round * 2 + 1));
    }
    let after = sender.control.window();
    assert!((0.4..0.6).contains(&(after as f64 / before as f64)), "{before} {after}");
}

fn line_time(round: u64) -> Duration {
    Duration::from_millis(20) * (round as u32 + 1)
}

#[test]
fn a_mark_of_congestion_and_the_loss_of_everything_are_heeded() {
    let begin = Instant::now();
    let mut control = Steady::new(begin, PACKET);
    control.lost(begin, 0, false);
    assert_eq!(control.stage, Stage::Drain, "the start is over");
    for _ in 0..20 {
        control.lost(begin, 0, false);
    }
    assert!((control.gain - GAIN_MIN).abs() < 1e-9, "{}", control.gain);
    control.window = 1_000_000;
    control.last_sent = 77;
    control.lost(begin, PACKET, true);
    assert_eq!(control.window(), PACKETS_MIN * PACKET);
    assert_eq!((control.last_sent, control.round.after), (77, 77), "numbers go on");
}
