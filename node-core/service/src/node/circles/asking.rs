//! What only the person can answer, and who came to the door: kept in memory, bounded.

use std::collections::VecDeque;

use planetary_circles::Reached;
use planetary_circles::log::OpId;
use planetary_ipc::limits::VISITS_MAX;
use planetary_ipc::{CircleId, FriendName, NodeKey, VisitOutcome};

/// Most questions that wait at once. Whoever comes then is refused, or comes again.
pub(super) const QUESTIONS_MAX: usize = 64;

/// Most guests of one invite that are asked about at once, so that a link that got around leaves
/// room for other questions.
pub(super) const GUESTS_PER_INVITE_MAX: usize = 8;

/// How long a question about a knock is open, in seconds: as long as the packet filter keeps it.
pub(super) const KNOCK_S: u64 = planetary_circles::limits::KNOCK_OPEN.as_secs();

/// A question that waits. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its number.
    pub id: u64,
    /// When it was asked.
    pub asked_at: u64,
    /// When it is over.
    pub until: u64,
    /// What it is about.
    pub about: Asking,
}

/// What a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asking {
    /// Somebody wants to reach something that no rule names.
    Knock {
        /// Who.
        key: NodeKey,
        /// What.
        reached: Reached,
    },
    /// A guest wants to be let in.
    Guest {
        /// Who.
        key: NodeKey,
        /// What it calls itself.
        label: Option<FriendName>,
        /// Which circle.
        circle: CircleId,
        /// The number of the invite.
        invite: u64,
        /// The operation that made the invite.
        operation: OpId,
    },
}

/// The questions that wait, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Questions {
    waiting: Vec<Asked>,
    asked: u64,
}

impl Questions {
    /// Asks, unless that is asked already or too much is. Returns whether it is a new question.
    pub(super) fn ask(&mut self, about: Asking, asked_at: u64, until: u64) -> bool {
        let is_same = |one: &Asked| match (&one.about, &about) {
            (Asking::Knock { .. }, Asking::Knock { .. }) => one.about == about,
            (
                Asking::Guest { key, operation, .. },
                Asking::Guest { key: guest, operation: invite, .. },
            ) => (key, operation) == (guest, invite),
            _ => false,
        };
        let of_invite = match &about {
            Asking::Guest { operation, .. } => self.guests_of(operation),
            Asking::Knock { .. } => 0,
        };
        if let Some(known) = self.waiting.iter_mut().find(|one| is_same(one)) {
            known.until = until;
            return false;
        }
        if self.waiting.len() >= QUESTIONS_MAX || of_invite >= GUESTS_PER_INVITE_MAX {
            return false;
        }
        self.asked += 1;
        self.waiting.push(Asked { id: self.asked, asked_at, until, about });
        true
    }

    fn guests_of(&self, invite: &OpId) -> usize {
        let is_guest = |one: &&Asked| match &one.about {
            Asking::Guest { operation, .. } => operation == invite,
            Asking::Knock { .. } => false,
        };
        self.waiting.iter().filter(is_guest).count()
    }

    /// The questions that wait.
    pub(super) fn waiting(&self) -> &[Asked] {
        &self.waiting
    }

    /// The question with this number, if it waits at this second.
    pub(super) fn find(&self, id: u64, unix_s: u64) -> Option<&Asked> {
        self.waiting.iter().find(|one| one.id == id && unix_s < one.until)
    }

    /// Takes a question away.
    pub(super) fn remove(&mut self, id: u64) {
        self.waiting.retain(|one| one.id != id);
    }

    /// Takes away what is over, and what is no question any more. Returns whether there was any.
    pub(super) fn keep(&mut self, unix_s: u64, still: impl Fn(&Asking) -> bool) -> bool {
        let before = self.waiting.len();
        // A clock that was set back does not make a question longer than it was.
        self.waiting.retain(|one| (one.asked_at..one.until).contains(&unix_s) && still(&one.about));
        self.waiting.len() != before
    }
}

/// Somebody who came to the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visited {
    /// Who.
    pub key: NodeKey,
    /// At what.
    pub reached: Reached,
    /// Whether it got in.
    pub outcome: VisitOutcome,
    /// How often.
    pub count: u64,
    /// When first, in seconds since 1970.
    pub first_at: u64,
    /// When last.
    pub last_at: u64,
}

/// Who came to the door since the service was started, the latest first.
#[derive(Debug, Default)]
pub(super) struct Visits(VecDeque<Visited>);

impl Visits {
    /// Somebody has come; who came longest ago makes room.
    pub(super) fn note(
        &mut self,
        key: NodeKey,
        reached: Reached,
        outcome: VisitOutcome,
        unix_s: u64,
    ) {
        let is_same =
            |one: &Visited| (one.key, one.reached, one.outcome) == (key, reached, outcome);
        let known = self.0.iter().position(is_same).and_then(|at| self.0.remove(at));
        let (count, first_at) = known.map_or((0, unix_s), |known| (known.count, known.first_at));
        let count = count.saturating_add(1);
        self.0.push_front(Visited { key, reached, outcome, count, first_at, last_at: unix_s });
        self.0.truncate(VISITS_MAX);
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Visited> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn knock(key: u8, port: u16) -> Asking {
        Asking::Knock { key: NodeKey([key; 32]), reached: Reached::Tcp(port) }
    }

    fn guest(key: u8, invite: u8) -> Asking {
        Asking::Guest {
            key: NodeKey([key; 32]),
            label: None,
            circle: CircleId([0; 32]),
            invite: invite.into(),
            operation: OpId::from_bytes([invite; 32]),
        }
    }

    #[test]
    fn the_same_is_asked_once_and_numbers_are_never_used_twice() {
        let mut questions = Questions::default();
        assert!(questions.ask(knock(1, 22), NOW, NOW + 30));
        assert!(!questions.ask(knock(1, 22), NOW + 5, NOW + 35));
        assert!(questions.ask(knock(1, 23), NOW, NOW + 30));
        assert!(questions.ask(guest(1, 1), NOW, NOW + 60));
        assert!(!questions.ask(guest(1, 1), NOW, NOW + 60));
        let ids: Vec<_> = questions.waiting().iter().map(|one| one.id).collect();
        assert_eq!(ids, [1, 2, 3]);
        questions.remove(3);
        assert!(questions.ask(guest(1, 1), NOW, NOW + 60));
        assert_eq!(questions.waiting().last().unwrap().id, 4);
    }

    #[test]
    fn question_is_over_with_its_time_and_with_its_cause() {
        let mut questions = Questions::default();
        questions.ask(knock(1, 22), NOW, NOW + 30);
        questions.ask(guest(1, 1), NOW, NOW + 60);
        assert!(questions.find(1, NOW + 29).is_some() && questions.find(1, NOW + 30).is_none());
        assert!(!questions.keep(NOW + 29, |_| true));
        assert!(questions.keep(NOW + 30, |_| true));
        assert_eq!(questions.waiting().len(), 1);
        assert!(questions.keep(NOW + 31, |about| matches!(about, Asking::Knock { .. })));
        questions.ask(knock(1, 22), NOW, NOW + 30);
        assert!(questions.keep(NOW - 1, |_| true), "the clock was set back");
        assert!(questions.waiting().is_empty());
    }

    #[test]
    fn a_flood_of_guests_leaves_room_for_others() {
        let mut questions = Questions::default();
        let asked = (0..100).filter(|key| questions.ask(guest(*key, 1), NOW, NOW + 60)).count();
        assert_eq!(asked, GUESTS_PER_INVITE_MAX);
        let asked = (0..200).filter(|key| questions.ask(knock(*key, 22), NOW, NOW + 60)).count();
        assert_eq!(asked, QUESTIONS_MAX - GUESTS_PER_INVITE_MAX);
    }

    #[test]
    fn visits_are_counted_and_the_latest_come_first() {
        let mut visits = Visits::default();
        let ssh = Reached::Tcp(22);
        visits.note(NodeKey([1; 32]), ssh, VisitOutcome::Opened, NOW);
        visits.note(NodeKey([2; 32]), Reached::Echo, VisitOutcome::Refused, NOW + 1);
        visits.note(NodeKey([1; 32]), ssh, VisitOutcome::Refused, NOW + 2);
        visits.note(NodeKey([1; 32]), ssh, VisitOutcome::Opened, NOW + 3);
        let all: Vec<_> = visits.all().map(|one| (one.outcome, one.count, one.first_at)).collect();
        let expected = [
            (VisitOutcome::Opened, 2, NOW),
            (VisitOutcome::Refused, 1, NOW + 2),
            (VisitOutcome::Refused, 1, NOW + 1),
        ];
        assert_eq!(all, expected);
        for port in 0..1_000 {
            visits.note(NodeKey([3; 32]), Reached::Udp(port), VisitOutcome::Opened, NOW);
        }
        assert_eq!(visits.all().count(), VISITS_MAX);
        assert_eq!(visits.all().next().unwrap().reached, Reached::Udp(999));
    }
}
