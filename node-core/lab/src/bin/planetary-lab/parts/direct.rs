//! Two nodes and one link: `[a]---[b]`.

use anyhow::Result;
use planetary_lab::{Echo, Lab, Node, Usage};

use super::{Bench, Contender, Pair, Step, step};
use crate::figures::{Beside, Ground, Pattern, Quantity, Scheme, Subject};
use crate::load::{self, Way};

/// The grounds of most figures.
const GROUND: Ground = Ground::Direct(Scheme::Tcp);

/// Payloads of the packets that are sent as many as can be sent.
const FLOODS: [u16; 2] = [100, 1200];

/// Packets of this payload are sent at rates, too.
const SMALL: u16 = 100;

/// Rates at which they are, a second.
const RATES: [u32; 3] = [25_000, 50_000, 100_000];

impl Bench {
    /// The wire alone.
    pub(crate) fn raw(&mut self, lab: &Lab) -> Result<()> {
        let (a, b, wire) = self.two_hosts(lab)?;
        let way = Way { from: &a, to: &b, address: wire.ends()[1].v6 };
        let echo = Echo::start(&b)?;
        self.ping(GROUND, Subject::Raw, way)?;
        self.idle_round_trips(GROUND, Subject::Raw, &echo, way)?;
        let all = [Pattern::One, Pattern::Reverse, Pattern::Both, Pattern::Four];
        self.streams(GROUND, Subject::Raw, way, &all)?;
        self.loaded_round_trips(GROUND, Subject::Raw, &echo, way)
    }

    /// Everything that two nodes of one kind are measured by, but for UDP.
    pub(crate) fn direct(&mut self, lab: &Lab, contender: Contender<'_>) -> Result<()> {
        let subject = contender.subject;
        let (_, _, wire) = self.two_hosts(lab)?;
        let pair = step(|| self.pair(lab, contender, &wire, Scheme::Tcp))?;
        self.add(
            GROUND.at(Quantity::FirstEcho),
            subject,
            pair.value.first_echo.as_secs_f64(),
            &pair,
        );
        let Step { value: pair, .. } = pair;
        self.ping(GROUND, subject, pair.way())?;
        self.idle_round_trips(GROUND, subject, &pair.echo, pair.way())?;
        self.memory(subject, &pair, Beside::Nothing, |usage| usage.resident_kib)?;
        self.costed_stream(GROUND, subject, &[&pair.near, &pair.far])?;
        let others = [Pattern::Reverse, Pattern::Both, Pattern::Four];
        self.streams(GROUND, subject, pair.way(), &others)?;
        self.loaded_round_trips(GROUND, subject, &pair.echo, pair.way())?;
        self.memory(subject, &pair, Beside::Bulk, |usage| usage.peak_kib)
    }

    /// What is worth knowing of sessions and pairs of another kind.
    pub(crate) fn other_pair(&mut self, lab: &Lab, contender: Contender<'_>) -> Result<()> {
        let subject = contender.subject;
        let (_, _, wire) = self.two_hosts(lab)?;
        let pair = self.pair(lab, contender, &wire, Scheme::Tcp)?;
        self.idle_round_trips(GROUND, subject, &pair.echo, pair.way())?;
        self.costed_stream(GROUND, subject, &[&pair.near, &pair.far])?;
        self.streams(GROUND, subject, pair.way(), &[Pattern::Reverse])?;
        self.loaded_round_trips(GROUND, subject, &pair.echo, pair.way())
    }

    /// Links of other kinds.
    pub(crate) fn links(
        &mut self,
        lab: &Lab,
        contender: Contender<'_>,
        scheme: Scheme,
    ) -> Result<()> {
        let (ground, subject) = (Ground::Direct(scheme), contender.subject);
        let (_, _, wire) = self.two_hosts(lab)?;
        let pair = self.pair(lab, contender, &wire, scheme)?;
        self.idle_round_trips(ground, subject, &pair.echo, pair.way())?;
        self.costed_stream(ground, subject, &[&pair.near, &pair.far])
    }

    /// Packets over UDP along the wire alone.
    pub(crate) fn raw_datagrams(&mut self, lab: &Lab) -> Result<()> {
        let (a, b, wire) = self.two_hosts(lab)?;
        let way = Way { from: &a, to: &b, address: wire.ends()[1].v6 };
        self.packets(Subject::Raw, way, &[])
    }

    /// Packets over UDP between two nodes.
    pub(crate) fn datagrams(&mut self, lab: &Lab, contender: Contender<'_>) -> Result<()> {
        let (_, _, wire) = self.two_hosts(lab)?;
        let pair = self.pair(lab, contender, &wire, Scheme::Tcp)?;
        self.packets(contender.subject, pair.way(), &[&pair.near, &pair.far])
    }

    fn packets(&mut self, subject: Subject, way: Way<'_>, nodes: &[&Node]) -> Result<()> {
        let spent = || -> Result<f64> {
            nodes.iter().map(|node| Ok(node.usage()?.processor.as_secs_f64())).sum()
        };
        for bytes in FLOODS {
            let before = spent()?;
            let flood = step(|| load::udp(way, self.seconds, bytes, None))?;
            let figure = GROUND.at(Quantity::Flood { bytes });
            self.add(figure, subject, flood.value.per_second, &flood);
            if !nodes.is_empty() {
                let micros = 1e6 * (spent()? - before) / flood.value.packets;
                self.add(GROUND.at(Quantity::PacketCost { bytes }), subject, micros, &flood);
            }
        }
        for rate in RATES {
            let ladder = step(|| load::udp(way, self.seconds, SMALL, Some(rate)))?;
            let sent = ladder.value.sent_per_second;
            if sent < 0.98 * f64::from(rate) {
                println!("  note: the sender got rid of {sent:.0} packets a second, not {rate}");
            }
            let figure = GROUND.at(Quantity::Lost { bytes: SMALL, rate });
            self.add(figure, subject, ladder.value.lost_percent, &ladder);
        }
        Ok(())
    }

    /// Memory of the larger of two nodes.
    fn memory(
        &mut self,
        subject: Subject,
        pair: &Pair,
        beside: Beside,
        kib: impl Fn(Usage) -> u64,
    ) -> Result<()> {
        let larger = kib(pair.near.usage()?).max(kib(pair.far.usage()?));
        // What others do does not change it.
        let step = Step { value: (), others: 0.0, worked: 0.0 };
        let megabytes = larger as f64 * 1024.0 / 1e6;
        self.add(GROUND.at(Quantity::Memory(beside)), subject, megabytes, &step);
        Ok(())
    }
}
