//! Sessions in which nothing is heard: which of them are greeted before they end, and what a node
//! at rest costs.

use super::Node;
use crate::{
    limits::{PARENT_CHECK, PARENT_CHECK_IDLE, SESSION_TIMEOUT, WARM_ALONG},
    session::{Greeting, SessionTable, Silent},
    time::{Duration, Instant, Now},
};

impl<S: SessionTable> Node<S> {
    /// Keeps sessions and paths to destinations used of late over silence, which is so from the
    /// beginning, or stops that: on a line where every byte costs.
    pub fn keep_warm(&mut self, is_on: bool) {
        self.warm.set(is_on);
    }

    /// Greets those that have been silent for long, if something was said to them since or they are
    /// kept warm.
    pub(super) fn break_silence(&mut self, now: Now) {
        let silent = self.contacts.silent(now.mono, |key| self.sessions.last_heard(key));
        let mut greeted = Vec::new();
        let mut wave = false;
        for Silent { key, since, was_called } in silent {
            let said = self.sessions.last_said(&key);
            let standing = self.standing(&key, now);
            let is_warm = self.warm.consider(key, standing, was_called, said, now.mono);
            wave |= is_warm;
            if is_warm || said.is_some_and(|at| since < at) {
                greeted.push(key);
            }
        }
        if wave {
            greeted.extend(self.warm.with_session().into_iter().filter(|key| {
                let heard = self.sessions.last_heard(key);
                self.contacts.is_silent(key, WARM_ALONG, now.mono, heard)
            }));
            greeted.sort_unstable();
            greeted.dedup();
        }
        for key in greeted {
            self.contacts.owe(key, Greeting::Init, now.mono);
            if !self.is_reachable(&key) {
                self.look_up(key, now);
            }
            self.greet(&key, now);
        }
    }

    /// Something was heard or said in a session, greetings aside, most recently at `at`. To be told
    /// within a second or so: from then on the parent is looked after more closely.
    pub fn handle_use(&mut self, at: Instant) {
        self.used_at = self.used_at.max(at);
        let check = self.tree.next_parent_check(self.parent_check_gap(at));
        let look = self.fast.used(at);
        for at in check.into_iter().chain(look) {
            self.wake_by(at);
        }
    }

    /// How often the parent is asked for a sign of life.
    pub(super) fn parent_check_gap(&self, now: Instant) -> Duration {
        if now < self.used_at + SESSION_TIMEOUT { PARENT_CHECK } else { PARENT_CHECK_IDLE }
    }
}
