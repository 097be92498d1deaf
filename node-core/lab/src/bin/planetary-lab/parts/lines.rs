//! Two nodes and a line that delays and loses packets: `[a]---relay---[b]`.
//!
//! The relay carries each packet of the wire by itself, so that a loss is one of a packet, and is
//! made of TAP devices, so that nothing is joined on the way. What it carries at most is among the
//! checks.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use planetary_lab::{Lab, Relay, Wire};

use super::{Bench, Contender, step};
use crate::figures::{Congestion, Ground, Line, Pattern, Quantity, Scheme, Subject};
use crate::load::{self, Way};

/// Round trips and how much they vary, in milliseconds.
const ROUND_TRIPS: [(u16, u16); 2] = [(20, 2), (100, 10)];

/// Packets of a thousand that are lost, in each direction.
const LOSSES: [u16; 4] = [1, 5, 10, 20];

/// A stream over a bad line needs many round trips until it is as fast as it gets.
const ROUND_TRIPS_A_LOAD: u32 = 150;

/// The lines that every run looks at: those by which nodes are judged.
pub(crate) fn usual() -> Vec<Line> {
    let is_usual = |line: &Line| line.round_trip_ms == 20 && line.loss_per_mille == 5;
    all().into_iter().filter(is_usual).collect()
}

/// All lines.
pub(crate) fn all() -> Vec<Line> {
    let mut lines = Vec::new();
    for (round_trip_ms, jitter_ms) in ROUND_TRIPS {
        for loss_per_mille in LOSSES {
            for inside in [Congestion::Cubic, Congestion::Bbr] {
                for scheme in [Scheme::Tcp, Scheme::Quic] {
                    let line = Line { scheme, round_trip_ms, jitter_ms, loss_per_mille, inside };
                    lines.push(line);
                }
            }
        }
    }
    lines
}

impl Line {
    fn relay(self) -> Relay {
        // Half of it in each direction.
        let half = |ms: u16| Duration::from_micros(500 * u64::from(ms));
        Relay { delay: half(self.round_trip_ms), jitter: half(self.jitter_ms), ..Relay::default() }
    }

    fn seconds(self, least: u32) -> u32 {
        (u32::from(self.round_trip_ms) * ROUND_TRIPS_A_LOAD).div_ceil(1000).max(least)
    }
}

impl Bench {
    /// What the line carries without nodes.
    pub(crate) fn raw_line(&mut self, lab: &Lab, line: Line) -> Result<()> {
        let wire = self.line(lab, line)?;
        let [near, far] = wire.ends();
        wire.lose(line.loss_per_mille)?;
        let way = Way { from: &near.host, to: &far.host, address: far.v6 };
        self.line_stream(line, Subject::Raw, way)
    }

    /// Two nodes that link while the line is good, and then it is not.
    pub(crate) fn bad_line(
        &mut self,
        lab: &Lab,
        contender: Contender<'_>,
        line: Line,
    ) -> Result<()> {
        let wire = self.line(lab, line)?;
        let pair = self.pair(lab, contender, &wire, line.scheme)?;
        wire.lose(line.loss_per_mille)?;
        self.line_stream(line, contender.subject, pair.way())
    }

    fn line(&self, lab: &Lab, line: Line) -> Result<Arc<Wire>> {
        lab.use_congestion_control(self.congestion.name());
        lab.slow_wire(&lab.host("a")?, &lab.host("b")?, line.relay())
    }

    fn line_stream(&mut self, line: Line, subject: Subject, way: Way<'_>) -> Result<()> {
        let seconds = line.seconds(self.seconds);
        let carried = step(|| load::tcp(way, seconds, Pattern::One, line.inside))?;
        let figure = Ground::Line(line).at(Quantity::Tcp(Pattern::One));
        self.add(figure, subject, carried.value.megabits, &carried);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_delays_by_half_a_round_trip_each_way() {
        let line = all().into_iter().find(|line| line.round_trip_ms == 100).expect("one");
        assert_eq!(line.relay().delay, Duration::from_millis(50));
        assert_eq!(line.relay().jitter, Duration::from_millis(5));
        assert_eq!((line.seconds(2), line.seconds(20)), (15, 20));
    }

    #[test]
    fn the_usual_lines_are_of_both_kinds_of_links_and_streams() {
        assert_eq!(usual().len(), 4);
        assert_eq!(all().len(), 32);
    }
}
