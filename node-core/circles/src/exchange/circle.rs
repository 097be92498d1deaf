//! One circle at this node: its log, and what is known of the others in it.

use std::collections::{BTreeMap, VecDeque};

use planetary_proto::{Instant, NodeKey, Now, time::Duration};

use super::{Kept, Secret, Standing, Ticket};
use crate::{
    limits::{
        OPERATIONS_BURST, OPERATIONS_PER_HOUR, OPERATIONS_PER_MESSAGE_MAX, SEARCH_FIRST, SETTLE_FOR,
    },
    log::{Log, OpId, State},
};

pub(super) struct Circle {
    pub(super) log: Log,
    pub(super) standing: Standing,
    /// The others in it, and those that are to be told that they no longer are.
    pub(super) contacts: BTreeMap<NodeKey, Contact>,
    /// How many operations have been added since the log came to this exchange.
    pub(super) arrived: u64,
    /// The last of them, so that who had all before can be told these alone.
    pub(super) recent: VecDeque<OpId>,
    pub(super) budgets: BTreeMap<NodeKey, Budget>,
    pub(super) secrets: Vec<Secret>,
    /// Generation of the secret that this node made and tells the others.
    pub(super) tells: Option<u32>,
    pub(super) synced_at: Option<u64>,
    /// When this node last compared with another member, since the log came here.
    pub(super) compared_at: Option<Instant>,
    /// Until then it writes nothing unless it has compared.
    pub(super) settles_at: Instant,
    /// When some member is asked what it knows.
    pub(super) next_round: Instant,
    /// Pause until the round after that, while nobody is found.
    pub(super) pause: Duration,
    /// See [`Exchange::checkpoint_seen`](super::Exchange::checkpoint_seen).
    pub(super) checkpoint: Option<(OpId, u64)>,
    pub(super) next_upkeep: Instant,
}

/// Another member, an invited key, or one that was removed by this node.
#[derive(Default)]
pub(super) struct Contact {
    /// From when on something is to be done about it.
    pub(super) due: Option<Instant>,
    /// The request that it has not answered yet.
    pub(super) asked: Option<Ticket>,
    /// It has everything up to this count of [`Circle::arrived`].
    pub(super) has: Option<u64>,
    /// When this node and it last had the same.
    pub(super) same_at: Option<Instant>,
    /// Whether it has shown that the circle's log is there.
    pub(super) knows: bool,
    /// It was removed here and is still to be told.
    pub(super) removed: bool,
    /// How often it has been offered the circle or told of its removal in vain.
    pub(super) told: usize,
    /// It has sent what was no operation, and is not listened to until then.
    pub(super) faulty_until: Option<Instant>,
    /// The latest generation of the secret that it has from this node.
    pub(super) secret: u32,
    /// Asked for a secret since its last sign of life, in vain.
    pub(super) has_no_secret: bool,
}

impl Contact {
    /// Something is to be done about it at `at`, if not earlier.
    pub(super) fn due_by(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    pub(super) fn is_faulty(&self, now: Now) -> bool {
        self.faulty_until.is_some_and(|until| now.mono < until)
    }
}

impl Circle {
    /// A circle whose log was kept. It first looks around, `soon` after `now`.
    pub(super) fn restored(log: Log, kept: Kept, own: &NodeKey, soon: Duration, now: Now) -> Self {
        let mut circle = Self::new(log, own, now);
        circle.secrets = kept.secrets;
        circle.synced_at = kept.synced_at;
        circle.settles_at = now.mono + SETTLE_FOR;
        circle.next_round = now.mono + soon;
        circle
    }

    /// A circle whose log was made or fetched just now, so nobody knows more of this node's chain.
    pub(super) fn new(log: Log, own: &NodeKey, now: Now) -> Self {
        let mut circle = Self {
            standing: standing(&log, own),
            log,
            contacts: BTreeMap::new(),
            arrived: 0,
            recent: VecDeque::new(),
            budgets: BTreeMap::new(),
            secrets: Vec::new(),
            tells: None,
            synced_at: None,
            compared_at: None,
            settles_at: now.mono,
            next_round: now.mono + SEARCH_FIRST,
            pause: SEARCH_FIRST,
            checkpoint: None,
            next_upkeep: now.mono,
        };
        circle.refresh_contacts(own, false);
        circle
    }

    /// Whether this node takes part: others are answered, and asked.
    pub(super) const fn is_live(&self) -> bool {
        matches!(self.standing, Standing::Member | Standing::Invited)
    }

    /// Whether this node may write: see [`SETTLE_FOR`].
    pub(super) fn is_settled(&self, own: &NodeKey, now: Now) -> bool {
        let view = self.log.view();
        let is_alone = !view.members.keys().any(|key| key != own && view.is_member(key));
        self.compared_at.is_some() || is_alone || now.mono >= self.settles_at
    }

    /// Whether `key` takes part in the circle: is a member or invited.
    pub(super) fn takes_part(&self, key: &NodeKey) -> bool {
        self.log.view().members.contains_key(key)
    }

    pub(super) fn is_invited(&self, key: &NodeKey) -> bool {
        let member = self.log.view().members.get(key);
        member.is_some_and(|member| member.state == State::Invited)
    }

    /// An operation was added to the log.
    pub(super) fn has_arrived(&mut self, operation: OpId) {
        self.arrived += 1;
        if self.recent.len() == OPERATIONS_PER_MESSAGE_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(operation);
    }

    /// Those of the last operations that arrived after the first `count`; `None` if that is too
    /// long ago.
    pub(super) fn since(&self, count: u64) -> Option<Vec<OpId>> {
        let new = usize::try_from(self.arrived.checked_sub(count)?).ok()?;
        let skip = self.recent.len().checked_sub(new)?;
        Some(self.recent.iter().skip(skip).copied().collect())
    }

    /// The log has changed, perhaps by what was done here. Returns the keys that are new in it.
    pub(super) fn refresh_contacts(&mut self, own: &NodeKey, done_here: bool) -> Vec<NodeKey> {
        self.standing = standing(&self.log, own);
        let Self { log, contacts, .. } = self;
        let view = log.view();
        contacts.retain(|key, contact| {
            let was_removed = contact.removed;
            contact.removed = !view.members.contains_key(key);
            // Who was removed here is told so, and only then forgotten.
            let is_told = view.past.contains_key(key) && contact.knows && done_here;
            !contact.removed || was_removed || is_told
        });
        let others = view.members.keys().filter(|key| *key != own);
        if self.standing == Standing::Removed {
            contacts.clear();
            return Vec::new();
        }
        let new: Vec<NodeKey> =
            others.filter(|key| !contacts.contains_key(*key)).copied().collect();
        contacts.extend(new.iter().map(|key| {
            let knows = view.is_member(key);
            (*key, Contact { knows, ..Contact::default() })
        }));
        new
    }
}

/// How a node stands to a circle of which it has the log.
fn standing(log: &Log, own: &NodeKey) -> Standing {
    let view = log.view();
    match view.members.get(own).map(|member| member.state) {
        Some(State::Member) => Standing::Member,
        Some(State::Invited) => Standing::Invited,
        None if view.past.get(own) == Some(own) => Standing::Left,
        None => Standing::Removed,
    }
}

/// How many operations of one author are still taken from others.
pub(super) struct Budget {
    /// In parts of which an operation costs [`PARTS`].
    parts: u64,
    at: Instant,
}

/// Microseconds of an hour, so that each microsecond earns [`OPERATIONS_PER_HOUR`] parts.
const PARTS: u64 = 3_600_000_000;

impl Budget {
    pub(super) const fn new(now: Now) -> Self {
        Self { parts: OPERATIONS_BURST * PARTS, at: now.mono }
    }

    /// Takes the price of an operation, if it is there.
    pub(super) fn allow(&mut self, now: Now) -> bool {
        let elapsed = u64::try_from(now.mono.since(self.at).as_micros()).unwrap_or(u64::MAX);
        let earned = elapsed.saturating_mul(OPERATIONS_PER_HOUR);
        self.parts = self.parts.saturating_add(earned).min(OPERATIONS_BURST * PARTS);
        self.at = now.mono;
        match self.parts.checked_sub(PARTS) {
            Some(left) => {
                self.parts = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_has_its_burst_and_then_its_rate() {
        let at = |s| Now { mono: Instant::START + Duration::from_secs(s), unix_s: s };
        let mut budget = Budget::new(at(0));
        let mut taken = |s| (0..1_000).filter(|_| budget.allow(at(s))).count() as u64;
        assert_eq!(taken(0), OPERATIONS_BURST);
        assert_eq!(taken(3_600), OPERATIONS_PER_HOUR);
        assert_eq!(taken(3_600 + 60), 1);
        assert_eq!(taken(1_000_000), OPERATIONS_BURST);
    }
}
