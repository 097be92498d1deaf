//! What happens in the course of a day, and silence.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use planetary_lab::{Deadline, Echo, Lab, Mishap, Ping, Row, Wire, attempt};

use super::{Bench, Contender, PATIENCE_SECONDS, step};
use crate::figures::{Ground, Quantity};

/// What happens.
const MISHAPS: [Mishap; 8] = [
    Mishap::Cut(Duration::from_secs(5)),
    Mishap::Nap(Duration::from_secs(20)),
    Mishap::Move,
    Mishap::Restart(Duration::from_secs(5)),
    Mishap::Kill,
    Mishap::CutOne,
    Mishap::MuteOne,
    Mishap::RouteLost(Duration::from_secs(10)),
];

impl Bench {
    /// Four nodes in a circle: the far wire of the way in use is cut, and nobody is told.
    pub(crate) fn recovery(&mut self, lab: &Lab, contender: Contender<'_>) -> Result<()> {
        contender.choose_programs(lab);
        let Row { nodes, wires } = lab.ring(&[contender.kinds()[0]; 4], "tcp")?;
        let (a, c) = (&nodes[0], &nodes[2]);
        a.wait_until_reaches(c, Deadline::seconds(PATIENCE_SECONDS))?;
        let carried = |wire: &Wire| -> Result<u64> {
            Ok(wire.ends()[0].bytes_sent()? + wire.ends()[1].bytes_sent()?)
        };
        // The two wires that end at c: from b, and to d.
        let far = [&wires[1], &wires[2]];
        let before = [carried(far[0])?, carried(far[1])?];
        let ping = Ping::new(c.address()).packet(1200).times(50, Duration::from_millis(5));
        ping.once(a.host(), 2)?;
        let grown = [carried(far[0])? - before[0], carried(far[1])? - before[1]];
        let echo = Echo::start(c.host())?;
        far[usize::from(grown[1] > grown[0])].cut()?;
        let back = step(|| {
            let cut = Instant::now();
            let back = echo.first(a.host(), c.address(), Deadline::seconds(PATIENCE_SECONDS));
            Ok(seconds_or_patience(back.map(|back| back - cut)))
        })?;
        self.add(Ground::Circle.at(Quantity::NextEcho), contender.subject, back.value, &back);
        Ok(())
    }

    /// Each mishap on grounds of its own.
    pub(crate) fn mishaps(&mut self, contender: Contender<'_>) -> Result<()> {
        for mishap in MISHAPS {
            let took = step(|| {
                attempt(&format!("bench {mishap:?}"), |lab| {
                    contender.choose_programs(lab);
                    Ok(seconds_or_patience(mishap.strike(lab, contender.kinds())))
                })
            })?;
            let figure = Ground::Mishap(mishap).at(Quantity::NextEcho);
            self.add(figure, contender.subject, took.value, &took);
        }
        Ok(())
    }

    /// Four nodes in a row talk, are silent, and the first one speaks again.
    pub(crate) fn after_silence(&mut self, lab: &Lab, contender: Contender<'_>) -> Result<()> {
        contender.choose_programs(lab);
        let Row { nodes, .. } = lab.chain(&[contender.kinds()[0]; 4], "tcp")?;
        let (first, next, last) = (&nodes[0], &nodes[1], &nodes[3]);
        let others = [(1, next), (3, last)];
        let mut echoes = Vec::new();
        for (_, other) in others {
            let echo = Echo::start(other.host())?;
            let deadline = Deadline::seconds(PATIENCE_SECONDS);
            echo.first(first.host(), other.address(), deadline)?;
            echoes.push(echo);
        }
        thread::sleep(self.silence);
        for ((hops, other), echo) in others.into_iter().zip(&echoes) {
            let took = step(|| {
                let begun = Instant::now();
                let deadline = Deadline::seconds(PATIENCE_SECONDS);
                let back = echo.first(first.host(), other.address(), deadline);
                Ok(1000.0 * seconds_or_patience(back.map(|back| back - begun)))
            })?;
            let figure = Ground::Silence { hops }.at(Quantity::Echo);
            self.add(figure, contender.subject, took.value, &took);
        }
        Ok(())
    }
}

/// In seconds; the reference does not always find another way, and the round goes on.
fn seconds_or_patience(took: Result<Duration>) -> f64 {
    took.map_or_else(
        |error| {
            println!("note: {error:#}, counted as {PATIENCE_SECONDS} s");
            PATIENCE_SECONDS as f64
        },
        |took| took.as_secs_f64(),
    )
}
