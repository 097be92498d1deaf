//! The circle's secret, which members tell one another and the log never holds.
//!
//! The log has the hash of each generation. Whoever makes one tells every member; whoever lacks
//! the latest asks a member. It is no key to anything that was said: it serves to find one another,
//! so a member that was removed only loses track.

use core::fmt;

use planetary_proto::{NodeKey, Now};
use zeroize::Zeroizing;

use super::{
    Exchange, Output, Standing,
    circle::Circle,
    messages::{Message, Tag},
};
use crate::{
    hash::blake2b_256,
    limits::SECRETS_KEPT,
    log::{CircleId, Log},
};

/// One generation of a circle's secret. Wiped on drop, and without `Debug` of what it is.
#[derive(Clone)]
pub struct Secret {
    /// Which one, from 1.
    pub generation: u32,
    /// The secret.
    pub bytes: Zeroizing<[u8; 32]>,
}

impl Secret {
    /// The generation after the last that a log knows, with random bytes.
    pub(super) fn of(log: &Log, bytes: [u8; 32]) -> Self {
        let last = log.view().generation.map_or(0, |last| last.number);
        Self { generation: last.saturating_add(1), bytes: Zeroizing::new(bytes) }
    }

    /// What the log holds of it: its BLAKE2b-256.
    #[must_use]
    pub fn commitment(&self) -> [u8; 32] {
        blake2b_256(&[&*self.bytes])
    }

    /// Whether it is the latest that the log knows.
    fn is_latest(&self, log: &Log) -> bool {
        log.view().generation.is_some_and(|latest| {
            latest.number == self.generation && latest.commitment == self.commitment()
        })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl Circle {
    /// The latest secret, if this node has it.
    pub(super) fn latest_secret(&self) -> Option<&Secret> {
        self.secrets.iter().find(|secret| secret.is_latest(&self.log))
    }

    /// The secret that a member is to be told.
    pub(super) fn secret_for(&self, key: &NodeKey) -> Option<&Secret> {
        let secret = self.latest_secret().filter(|it| self.tells == Some(it.generation))?;
        let lacks = self.contacts.get(key).is_some_and(|it| it.secret < secret.generation);
        (lacks && self.log.view().is_member(key)).then_some(secret)
    }

    /// The generation that a member is to be asked for.
    pub(super) fn wants_secret(&self, key: &NodeKey) -> Option<u32> {
        let latest = self.log.view().generation?.number;
        let may_have = self.contacts.get(key).is_some_and(|it| !it.has_no_secret);
        let asks = self.standing == Standing::Member && self.log.view().is_member(key);
        (may_have && asks && self.latest_secret().is_none()).then_some(latest)
    }

    pub(super) fn keep_secret(&mut self, secret: Secret) {
        self.secrets.retain(|known| known.generation != secret.generation);
        self.secrets.push(secret);
        self.secrets.sort_by_key(|secret| core::cmp::Reverse(secret.generation));
        self.secrets.truncate(SECRETS_KEPT);
    }

    /// Keeps the latest secret if this is it and it was not here.
    fn learn_secret(&mut self, generation: u32, bytes: [u8; 32]) -> bool {
        let secret = Secret { generation, bytes: Zeroizing::new(bytes) };
        let is_new = self.latest_secret().is_none() && secret.is_latest(&self.log);
        if is_new {
            self.keep_secret(secret);
        }
        is_new
    }
}

impl Exchange {
    /// `from` tells the secret, or asks for it.
    pub(super) fn take_secret(
        &mut self,
        from: NodeKey,
        tag: Tag,
        generation: u32,
        secret: Option<[u8; 32]>,
    ) -> Option<Message> {
        let nothing = Message::Taken { secret: None };
        // An invited key is told the secret only once it has agreed.
        let is_fellow = |circle: &Circle| {
            circle.standing == Standing::Member && circle.log.view().is_member(&from)
        };
        let Some(id) = self.circle_of(&from, tag, is_fellow) else { return Some(nothing) };
        let circle = self.circles.get_mut(&id)?;
        match secret {
            Some(bytes) => {
                if circle.learn_secret(generation, bytes) {
                    self.outputs.push_back(Output::SecretChanged(id));
                }
                Some(nothing)
            }
            None => {
                let known = circle.latest_secret().filter(|it| it.generation == generation);
                Some(Message::Taken { secret: known.map(|secret| *secret.bytes) })
            }
        }
    }

    /// What is to be said to a contact about secrets, now that it and this node know the same.
    pub(super) fn secrets_are_due(&mut self, id: &CircleId, key: &NodeKey, now: Now) {
        let Some(circle) = self.circles.get(id) else { return };
        let is_due = circle.secret_for(key).is_some() || circle.wants_secret(key).is_some();
        if let Some(contact) = self.contact(id, key).filter(|_| is_due) {
            contact.due_by(now.mono);
        }
    }

    pub(super) fn secret_was_taken(&mut self, id: CircleId, key: &NodeKey, generation: u32) {
        if let Some(contact) = self.contact(&id, key) {
            contact.asked = None;
            contact.secret = contact.secret.max(generation);
        }
    }

    /// The answer to a question for the secret.
    pub(super) fn take_told(
        &mut self,
        id: CircleId,
        key: &NodeKey,
        generation: u32,
        secret: Option<[u8; 32]>,
    ) {
        let Some(circle) = self.circles.get_mut(&id) else { return };
        let learnt = secret.is_some_and(|bytes| circle.learn_secret(generation, bytes));
        if let Some(contact) = circle.contacts.get_mut(key) {
            contact.asked = None;
            contact.has_no_secret = !learnt;
        }
        if learnt {
            self.outputs.push_back(Output::SecretChanged(id));
        }
    }
}
