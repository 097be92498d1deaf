//! Random changes, one after the other, against the reference model.

use planetary_proto::time::Duration;

use super::{FORGET_MAX, Failure, NOTICE_MAX, Run};
use crate::{CableId, Cut, HostId, Memory, Stop, topology::below};

/// Changes between two looks at the whole network.
const CHANGES: usize = 6;

impl Run {
    /// Changes things at random for the time of the plan, and looks in between whether all is as
    /// the model says.
    pub(super) fn churn(&mut self) -> Result<(), Failure> {
        let end = self.world.now() + Duration::from_secs(60 * self.plan.minutes);
        let mut looks = 0;
        while self.world.now() < end {
            for _ in 0..CHANGES {
                self.change();
                let pause = below(&mut self.rng, 5_000) as u64;
                self.world.run_for(Duration::from_millis(pause));
                self.check_rules()?;
            }
            looks += 1;
            let what = format!("{CHANGES} changes, look {looks}");
            self.recover_slowly(&what, NOTICE_MAX, FORGET_MAX)?;
            self.nobody_crosses()?;
        }
        Ok(())
    }

    /// Something happens.
    fn change(&mut self) {
        let host = HostId(below(&mut self.rng, self.world.host_count()));
        let cable = CableId(below(&mut self.rng, self.world.cable_ids().count()));
        match below(&mut self.rng, 8) {
            0 => self.world.cut(cable, Cut::Silent),
            1 => self.world.cut(cable, Cut::Told),
            2 | 3 => self.mend_something(),
            4 if self.world.is_up(host) => self.world.stop(host, Stop::Ended),
            4 | 5 => self.start_something(),
            6 => {
                let seconds = below(&mut self.rng, 7_200) as i64 - 3_600;
                self.world.step_clock(host, seconds);
            }
            _ => {
                let other = HostId(below(&mut self.rng, self.world.host_count()));
                if host != other && self.world.is_up(host) {
                    self.world.ping(host, other);
                }
            }
        }
    }

    fn mend_something(&mut self) {
        let cut: Vec<CableId> =
            self.world.cable_ids().filter(|cable| !self.world.is_whole(*cable)).collect();
        if !cut.is_empty() {
            let cable = cut[below(&mut self.rng, cut.len())];
            self.world.mend(cable);
        }
    }

    fn start_something(&mut self) {
        let off: Vec<HostId> =
            self.world.host_ids().filter(|host| !self.world.is_up(*host)).collect();
        if !off.is_empty() {
            let host = off[below(&mut self.rng, off.len())];
            let memory =
                if below(&mut self.rng, 2) == 0 { Memory::Sequence } else { Memory::Nothing };
            self.world.start(host, memory);
        }
    }
}
