//! Nodes in a row: `[a]---[b]---[c]`.

use std::thread;

use anyhow::{Context, Result};
use planetary_lab::{Deadline, Echo, Host, Lab, Node, Row, WireEnd};

use super::{Bench, Contender, PATIENCE_SECONDS, SETTLING, way};
use crate::figures::{Ground, Pattern, Subject};
use crate::load::Way;

impl Bench {
    /// Through so many hosts whose kernels forward.
    pub(crate) fn raw_row(&mut self, lab: &Lab, transits: u8) -> Result<()> {
        let ground = Ground::Row { transits };
        lab.use_congestion_control(self.congestion.name());
        let labels = ('a'..='z').map(String::from).take(usize::from(transits) + 2);
        let hosts = labels.map(|label| lab.host(&label)).collect::<Result<Vec<_>>>()?;
        let wires: Vec<_> =
            hosts.windows(2).map(|pair| lab.wire(&pair[0], &pair[1])).collect::<Result<_>>()?;
        let (first, last) = (&wires[0], wires.last().context("a row has wires")?);
        for (index, host) in hosts.iter().enumerate() {
            host.run("sysctl", ["-qw", "net.ipv6.conf.all.forwarding=1"])?;
            if let Some(wire) = wires.get(index) {
                route(host, &last.ends()[1], &wire.ends()[1])?;
            }
            if let Some(before) = index.checked_sub(1) {
                route(host, &first.ends()[0], &wires[before].ends()[0])?;
            }
        }
        let (from, to) = (&hosts[0], &last.ends()[1].host);
        let way = Way { from, to, address: last.ends()[1].v6 };
        let echo = Echo::start(to)?;
        self.idle_round_trips(ground, Subject::Raw, &echo, way)?;
        self.streams(ground, Subject::Raw, way, &[Pattern::One, Pattern::Both, Pattern::Four])
    }

    /// Through so many nodes in between.
    pub(crate) fn row(&mut self, lab: &Lab, contender: Contender<'_>, transits: u8) -> Result<()> {
        let (ground, subject) = (Ground::Row { transits }, contender.subject);
        lab.use_congestion_control(self.congestion.name());
        contender.choose_programs(lab);
        let kinds = vec![contender.kinds()[0]; usize::from(transits) + 2];
        let Row { nodes, .. } = lab.chain(&kinds, "tcp")?;
        let nodes: Vec<&Node> = nodes.iter().map(AsRef::as_ref).collect();
        lab.settled(&nodes, Deadline::seconds(PATIENCE_SECONDS))?;
        thread::sleep(SETTLING);
        let (first, last) = (nodes[0], *nodes.last().context("a row has ends")?);
        let echo = Echo::start(last.host())?;
        echo.first(first.host(), last.address(), Deadline::seconds(PATIENCE_SECONDS))?;
        self.warm(subject, first, last, &echo)?;
        let way = way(first, last);
        self.idle_round_trips(ground, subject, &echo, way)?;
        self.costed_stream(ground, subject, &nodes)?;
        // The other way is the same for a row.
        self.streams(ground, subject, way, &[Pattern::Both, Pattern::Four])?;
        self.loaded_round_trips(ground, subject, &echo, way)
    }
}

/// Sends what is for one end of a wire to another one.
fn route(host: &Host, target: &WireEnd, next: &WireEnd) -> Result<()> {
    // Where both are on one wire the way is known.
    if target.v6 != next.v6 {
        let (target, next) = (target.v6.to_string(), next.v6.to_string());
        host.ip(["-6", "route", "add", &target, "via", &next])?;
    }
    Ok(())
}
