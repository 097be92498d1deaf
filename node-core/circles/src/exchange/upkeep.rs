//! What a node does in its circles without anybody asking.
//!
//! It agrees to memberships that take the place of one to which a person has agreed, writes a
//! checkpoint where a log grows long and it is a senior's, and lets go of what an old checkpoint
//! covers.

use planetary_proto::{NodeKey, Now, time::Duration};

use super::{Exchange, Output, Standing};
use crate::{
    limits::{CHECKPOINT_AGE, CHECKPOINT_FROM},
    log::{CircleId, Kind, Log, OpId},
};

/// How often a circle is looked after. What others say is seen to at once.
const EVERY: Duration = Duration::from_secs(60);

impl Exchange {
    /// When this node first saw the checkpoint that its log will begin from, in seconds of UNIX
    /// time; to be kept with [`Exchange::synced_at`].
    #[must_use]
    pub fn checkpoint_seen(&self, circle: &CircleId) -> Option<(OpId, u64)> {
        self.circles.get(circle)?.checkpoint
    }

    /// Takes back what [`Exchange::checkpoint_seen`] gave.
    pub fn restore_checkpoint_seen(&mut self, circle: &CircleId, seen: (OpId, u64)) {
        if let Some(circle) = self.circles.get_mut(circle) {
            circle.checkpoint = Some(seen);
        }
    }

    pub(super) fn keep_house(&mut self, now: Now) {
        self.dismiss_waiting(now);
        let due = self.circles.iter().filter(|(_, circle)| circle.next_upkeep <= now.mono);
        let due: Vec<CircleId> = due.map(|(id, _)| *id).collect();
        for id in due {
            if let Some(circle) = self.circles.get_mut(&id) {
                circle.next_upkeep = now.mono + EVERY;
            }
            self.agree_to_renewal(id, now);
            self.shorten_log(id, now);
        }
    }

    /// Agrees to what replaces, or adds to, a membership to which this node has agreed.
    pub(super) fn agree_to_renewal(&mut self, id: CircleId, now: Now) {
        let Some(circle) = self.circles.get(&id) else { return };
        let own = circle.log.view().members.get(&self.own);
        let renews = own.is_some_and(|own| {
            own.offered.is_some() && (own.renews || circle.standing == Standing::Member)
        });
        if renews {
            self.write_unasked(
                id,
                |log, own| log.acceptance(own, None).map(|kind| vec![kind]),
                now,
            );
        }
    }

    /// Writes a checkpoint, or takes one that is old enough for the beginning of the log.
    fn shorten_log(&mut self, id: CircleId, now: Now) {
        let Some(circle) = self.circles.get_mut(&id) else { return };
        if circle.standing != Standing::Member {
            return;
        }
        match (circle.checkpoint, circle.log.checkpoints().last()) {
            (Some((seen, since)), _) => {
                if now.unix_s < since.saturating_add(CHECKPOINT_AGE.as_secs()) {
                    return;
                }
                circle.checkpoint = None;
                if let Some(shorter) = circle.log.compacted(&seen) {
                    circle.log = shorter;
                    self.outputs.push_back(Output::Changed(id));
                }
                self.outputs.push_back(Output::Synced(id));
            }
            (None, Some(latest)) => {
                circle.checkpoint = Some((*latest, now.unix_s));
                self.outputs.push_back(Output::Synced(id));
            }
            (None, None) if circle.log.len() >= CHECKPOINT_FROM => {
                self.write_unasked(id, |log, own| log.checkpoint(own), now);
            }
            (None, None) => {}
        }
    }

    /// Writes something if the circle allows it. If not now, then at the next upkeep.
    fn write_unasked(
        &mut self,
        id: CircleId,
        kinds: impl FnOnce(&Log, &NodeKey) -> Option<Vec<Kind>>,
        now: Now,
    ) {
        let Ok(mut change) = self.prepare(&id, now) else { return };
        let Some(kinds) = kinds(change.log(), &self.own) else { return };
        if self.write_all(&mut change, kinds).is_ok() {
            // Prepared a moment ago, so it cannot be stale.
            let _ = self.take_over(change, now);
        }
    }
}
