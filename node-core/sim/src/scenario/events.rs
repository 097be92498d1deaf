//! The scenarios that do one thing at a time.

use planetary_proto::time::Duration;

use super::{FORGET_MAX, Failure, NOTICE_MAX, PAIRS, Phase, REACH_MAX, Run, SETTLE_MAX};
use crate::{
    CableId, Cut, HostId, Memory, Stop, check::follow_hosts, measure::sample_pairs, model::Model,
    topology::below,
};

/// How often each scenario does its thing.
const ROUNDS: usize = 5;

impl Run {
    /// Cuts a cable on the path between two hosts that talk, and sees how soon they talk again.
    pub(super) fn cut_links(&mut self) -> Result<(), Failure> {
        for round in 0..ROUNDS {
            let Some((pair, cable)) = self.cable_on_a_path() else { continue };
            self.reach(&[pair], REACH_MAX)?;
            self.world.cut(cable, Cut::Silent);
            let reach = self.reach(&[pair], REACH_MAX)?;
            let what = format!("silent cut {round} on the path of two that talk");
            self.report.phases.push(Phase::new(&what, Duration::ZERO, reach));
            self.recover("the same cut, for all", NOTICE_MAX)?;
            self.world.mend(cable);
            self.recover("mended", SETTLE_MAX)?;
        }
        Ok(())
    }

    /// Two hosts and a cable on the path between them that the network can do without.
    fn cable_on_a_path(&mut self) -> Option<((HostId, HostId), CableId)> {
        for pair in self.connected_pairs(PAIRS) {
            let Ok(hosts) = follow_hosts(&self.world, pair.0, pair.1) else { continue };
            for hop in hosts.windows(2) {
                let cable = self.cable_between(hop[0], hop[1])?;
                self.world.cut(cable, Cut::Told);
                let spare = Model::of(&self.world).connected(hop[0], hop[1]);
                self.world.mend(cable);
                if spare {
                    self.settle(SETTLE_MAX).ok()?;
                    return Some((pair, cable));
                }
            }
        }
        None
    }

    fn cable_between(&self, a: HostId, b: HostId) -> Option<CableId> {
        self.world.cable_ids().find(|cable| {
            let ends = self.world.cable_ends(*cable);
            ends == (a, b) || ends == (b, a)
        })
    }

    /// Cuts the network in two, in both ways, and joins it again.
    pub(super) fn fall_apart(&mut self) -> Result<(), Failure> {
        for cut in [Cut::Told, Cut::Silent] {
            let part = self.part();
            self.world.partition(&part, Some(cut));
            let limit = if cut == Cut::Told { SETTLE_MAX } else { NOTICE_MAX };
            self.recover(&format!("partition, {cut:?}"), limit)?;
            self.nobody_crosses()?;
            self.world.partition(&part, None);
            self.recover("merge", SETTLE_MAX)?;
        }
        Ok(())
    }

    /// About half of the hosts, near to each other.
    fn part(&mut self) -> Vec<HostId> {
        let hosts: Vec<HostId> = self.world.host_ids().collect();
        let mut part = vec![hosts[below(&mut self.rng, hosts.len())]];
        let mut next = 0;
        while next < part.len() && part.len() < hosts.len() / 2 {
            for (a, b) in self.world.whole_cables() {
                let other = if a == part[next] { b } else { a };
                if (a == part[next] || b == part[next]) && !part.contains(&other) {
                    part.push(other);
                }
            }
            next += 1;
        }
        part
    }

    /// Hosts that are not connected have no answers.
    pub(super) fn nobody_crosses(&mut self) -> Result<(), Failure> {
        let model = Model::of(&self.world);
        let up: Vec<HostId> =
            self.world.host_ids().filter(|host| self.world.is_up(*host)).collect();
        let mut pairs = sample_pairs(&up, PAIRS, &mut self.rng);
        pairs.retain(|(a, b)| !model.connected(*a, *b));
        let pings: Vec<_> = pairs.iter().map(|(a, b)| self.world.ping(*a, *b)).collect();
        self.world.run_for(Duration::from_secs(5));
        match pings.iter().find(|ping| self.world.answer(**ping).is_some()) {
            Some(ping) => {
                Err(self.fail(format!("host {} reached a host that is cut off", ping.host.0)))
            }
            None => Ok(()),
        }
    }

    /// Restarts hosts in all ways, the root among them.
    pub(super) fn restart_hosts(&mut self) -> Result<(), Failure> {
        let ways = [
            ("a host", false, Stop::Ended, Memory::Sequence),
            ("the root", true, Stop::Ended, Memory::Sequence),
            ("a host that forgot all", false, Stop::Ended, Memory::Nothing),
            ("the root, which forgot all", true, Stop::Ended, Memory::Nothing),
            ("a host, after a power loss", false, Stop::PowerLoss, Memory::Sequence),
            ("the root, after a power loss", true, Stop::PowerLoss, Memory::Nothing),
        ];
        for (what, root, stop, memory) in ways {
            let host =
                if root { self.root() } else { HostId(below(&mut self.rng, self.plan.nodes)) };
            self.world.stop(host, stop);
            let absence = 1 + below(&mut self.rng, 8_000) as u64;
            self.world.run_for(Duration::from_millis(absence));
            self.world.start(host, memory);
            let limit = if stop == Stop::Ended { SETTLE_MAX } else { NOTICE_MAX };
            self.recover(&format!("{what} was away for {absence} ms"), limit)?;
        }
        Ok(())
    }

    fn root(&self) -> HostId {
        let hosts = self.world.host_ids();
        hosts.min_by_key(|host| self.world.key(*host)).unwrap_or(HostId(0))
    }

    /// Sets wall clocks, before and after restarts.
    pub(super) fn set_clocks(&mut self) -> Result<(), Failure> {
        let pairs = self.connected_pairs(PAIRS);
        for (what, seconds) in
            [("back an hour", -3_600), ("forth two hours", 7_200), ("back an hour again", -3_600)]
        {
            for host in 0..self.plan.nodes {
                if below(&mut self.rng, 3) == 0 {
                    self.world.step_clock(HostId(host), seconds);
                }
            }
            self.reach(&pairs, REACH_MAX)?;
            self.recover(&format!("a third of all clocks went {what}"), SETTLE_MAX)?;
        }
        for memory in [Memory::Sequence, Memory::Nothing] {
            let host = HostId(below(&mut self.rng, self.plan.nodes));
            self.world.step_clock(host, -3_600);
            self.world.stop(host, Stop::Ended);
            self.world.run_for(Duration::from_secs(2));
            self.world.start(host, memory);
            let limit = if memory == Memory::Nothing { FORGET_MAX } else { REACH_MAX };
            let what = format!("restart with the clock back an hour, remembering {memory:?}");
            self.recover_slowly(&what, SETTLE_MAX, limit)?;
        }
        Ok(())
    }
}
