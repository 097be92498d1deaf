//! Guests that follow a link of this node, and the invites behind the links.
//!
//! This node alone redeems its invites, so uses are counted in one place: by the ADD operations
//! that name the invite, one for each guest. A guest that asks again, because the answer was lost
//! or because it has waited, gets the same answer and uses nothing up.
//!
//! Whoever is not let in learns nothing of why: a link that is over, used up, taken back, altered
//! or never made, a circle that is unknown here, full, or no longer this node's to invite to, are
//! all answered with the same bytes, after the same comparisons.

use planetary_proto::{NodeKey, Now};

use super::{
    ActError, Exchange, Output, RestoreError,
    act::added_by_invite,
    messages::{Joined, Tag},
};
use crate::{
    invite::Token,
    limits::{DECLINED_PER_INVITE_MAX, GUESTS_WAITING_MAX, INVITES_KEPT_MAX, JOIN_SELDOM},
    log::{CircleId, Label, OpId, Role, RuleError},
};

/// An invite that this node made, to be kept as long as somebody may want to see how it stands.
#[derive(Clone, Debug)]
pub struct Invite {
    /// The operation that made it.
    pub operation: OpId,
    /// The circle it is to.
    pub circle: CircleId,
    /// What the link carries.
    pub token: Token,
    /// When it is over, in seconds of UNIX time.
    pub expires: u64,
    /// How many guests it lets in.
    pub uses: u32,
    /// What they may do.
    pub role: Role,
    /// Whether a person is asked before a guest is let in.
    pub asks: bool,
    /// Whether it was taken back.
    pub revoked: bool,
    /// Whom it let in.
    pub guests: Vec<NodeKey>,
    /// Whom a person refused; they are not asked about again.
    pub declined: Vec<NodeKey>,
}

impl Invite {
    /// Whether it still lets somebody in.
    #[must_use]
    pub fn is_open(&self, now: Now) -> bool {
        let used = u32::try_from(self.guests.len()).unwrap_or(u32::MAX);
        !self.revoked && now.unix_s < self.expires && used < self.uses
    }
}

/// A guest about which a person has been asked.
pub(super) struct Waiting {
    label: Option<Label>,
}

impl Exchange {
    /// Takes an invite back that was kept.
    ///
    /// # Errors
    /// [`RestoreError`]; nothing has changed then.
    pub fn restore_invite(&mut self, invite: Invite) -> Result<(), RestoreError> {
        if self.invites.contains_key(&invite.operation) {
            return Err(RestoreError::Twice);
        }
        if self.invites.len() >= INVITES_KEPT_MAX {
            return Err(RestoreError::TooMany);
        }
        self.invites.insert(invite.operation, invite);
        Ok(())
    }

    /// The invites that this node made, those that are over among them.
    pub fn invites(&self) -> impl Iterator<Item = &Invite> {
        self.invites.values()
    }

    /// One of them.
    #[must_use]
    pub fn invite_of(&self, operation: &OpId) -> Option<&Invite> {
        self.invites.get(operation)
    }

    /// Takes an invite back: it lets nobody in any more. Guests that are in stay. Returns whether
    /// there is such an invite.
    pub fn revoke(&mut self, operation: &OpId) -> bool {
        let Some(invite) = self.invites.get_mut(operation) else { return false };
        invite.revoked = true;
        self.waiting.retain(|(of, _), _| of != operation);
        self.outputs.push_back(Output::InviteChanged(*operation));
        true
    }

    /// A person has answered [`Output::Guest`]. With yes the guest is added, and told.
    ///
    /// # Errors
    /// [`ActError::NoCircle`] if nobody waits; else why it could not be added: the answer can be
    /// given again.
    pub fn settle_guest(
        &mut self,
        operation: &OpId,
        guest: &NodeKey,
        yes: bool,
        now: Now,
    ) -> Result<(), ActError> {
        let waits = (*operation, *guest);
        let waiting = self.waiting.get(&waits).ok_or(ActError::NoCircle)?;
        if yes {
            let label = waiting.label.clone();
            if !self.invites.get(operation).is_some_and(|invite| invite.is_open(now)) {
                return Err(RuleError::InviteUsed.into());
            }
            self.let_in(operation, *guest, label, now)?;
        } else if let Some(invite) = self.invites.get_mut(operation) {
            invite.declined.push(*guest);
            self.outputs.push_back(Output::InviteChanged(*operation));
        }
        self.waiting.remove(&waits);
        self.pump(now);
        Ok(())
    }

    /// `from` shows that it has a link of this node. `None` while nothing can be said: it will ask
    /// again.
    pub(super) fn take_join(
        &mut self,
        from: NodeKey,
        tag: Tag,
        proof: &[u8; 32],
        label: Option<Label>,
        now: Now,
    ) -> Option<Joined> {
        let mut found = None;
        for invite in self.invites.values() {
            // All of them, and both of each: the time tells nothing.
            let is_circle = self.pairs.tag(&from, &invite.circle) == Some(tag);
            let is_proven = invite.token.proves(proof, &from, &self.own);
            if is_circle & is_proven {
                found = Some(invite);
            }
        }
        let Some(invite) = found else { return Some(Joined::Refused) };
        let Some(circle) = self.circles.get(&invite.circle) else { return Some(Joined::Refused) };
        let view = circle.log.view();
        if !circle.is_live() || !view.is_admin(&self.own) {
            return Some(Joined::Refused);
        }
        if view.members.contains_key(&from) {
            return Some(Joined::Welcome);
        }
        let was_let_in = invite.guests.contains(&from)
            || added_by_invite(&circle.log, &invite.operation).any(|guest| guest == from);
        let declined = &invite.declined;
        let is_declined = declined.contains(&from) || declined.len() >= DECLINED_PER_INVITE_MAX;
        if was_let_in || is_declined || !invite.is_open(now) {
            return Some(Joined::Refused);
        }
        let operation = invite.operation;
        if invite.asks {
            let circle = invite.circle;
            self.ask_person(operation, circle, from, label);
            return Some(Joined::Waiting);
        }
        match self.let_in(&operation, from, label, now) {
            Ok(()) => {
                // It knows by the answer, and is offered the circle only if it does not come.
                if let Some(id) = self.invites.get(&operation).map(|invite| invite.circle)
                    && let Some(contact) = self.contact(&id, &from)
                {
                    contact.due = Some(now.mono + JOIN_SELDOM);
                }
                Some(Joined::Welcome)
            }
            Err(ActError::Settling) => None,
            Err(_) => Some(Joined::Refused),
        }
    }

    fn ask_person(&mut self, invite: OpId, circle: CircleId, guest: NodeKey, label: Option<Label>) {
        let waits = (invite, guest);
        if self.waiting.contains_key(&waits) || self.waiting.len() >= GUESTS_WAITING_MAX {
            return;
        }
        self.waiting.insert(waits, Waiting { label: label.clone() });
        self.outputs.push_back(Output::Guest { invite, circle, guest, label });
    }

    fn let_in(
        &mut self,
        operation: &OpId,
        guest: NodeKey,
        label: Option<Label>,
        now: Now,
    ) -> Result<(), ActError> {
        let invite = self.invites.get(operation).ok_or(ActError::NoCircle)?;
        let (id, role) = (invite.circle, invite.role);
        let mut change = self.prepare(&id, now)?;
        let kind = change.log().addition(guest, role, label, Some(*operation));
        self.write_all(&mut change, vec![kind])?;
        if let Some(invite) = self.invites.get_mut(operation) {
            invite.guests.push(guest);
        }
        self.outputs.push_back(Output::InviteChanged(*operation));
        // Nothing of this node was written between the preparation and here.
        self.take_over(change, now).map_err(|_| ActError::Settling)
    }

    /// Nobody waits for an invite that is over.
    pub(super) fn dismiss_waiting(&mut self, now: Now) {
        let Self { waiting, invites, .. } = self;
        waiting
            .retain(|(invite, _), _| invites.get(invite).is_some_and(|invite| invite.is_open(now)));
    }

    /// Makes room for a new invite: the one that was over first goes.
    pub(super) fn make_room_for_invite(&mut self, now: Now) {
        if self.invites.len() < INVITES_KEPT_MAX {
            return;
        }
        let over = self.invites.values().filter(|invite| !invite.is_open(now));
        let first = over.min_by_key(|invite| invite.expires).map(|invite| invite.operation);
        if let Some(first) = first {
            self.invites.remove(&first);
        }
    }
}
