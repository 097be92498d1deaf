//! Links that this node follows, as a guest.
//!
//! ```text
//!  Asking --waiting--> Waiting          the node that made the link is asked again and again,
//!    |  |                |  |           ever more seldom, until it answers or the link is over
//!    |  +----refused-----|--+--> Refused
//!    +-------welcome-----+
//!    |                   |
//!    v                   v
//!  Expired            Welcome --the log is here--> invited: a person sees name and members,
//!                                                  and agrees or declines
//! ```

use planetary_proto::{Instant, NodeKey, Now, time::Duration};
use thiserror::Error;

use super::{
    About, Exchange, Output, Standing, Ticket,
    messages::{Joined, Message},
};
use crate::{
    invite::Token,
    limits::{JOIN_OFTEN, JOIN_RARELY, JOIN_SELDOM, JOINS_MAX},
    log::{CircleId, Label},
};

/// A link that is followed, to be kept until this node is a member or gives up.
#[derive(Clone, Debug)]
pub struct Join {
    /// The circle, as the link names it.
    pub circle: CircleId,
    /// The node that made the link.
    pub inviter: NodeKey,
    /// What the link carries.
    pub token: Token,
    /// When the link is over, in seconds of UNIX time.
    pub expires: u64,
    /// What this node calls itself to the circle.
    pub label: Option<Label>,
    /// How far it is; a new one begins with [`JoinState::Asking`].
    pub state: JoinState,
}

/// How far a link has been followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinState {
    /// The node that made it has not answered.
    Asking,
    /// A person has to say yes there.
    Waiting,
    /// It does not let this node in.
    Refused,
    /// Its time was over before.
    Expired,
    /// It let this node in; name and members are here or about to come.
    Welcome,
}

/// Why a link is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// This node is a member already, or has been invited and need only agree.
    #[error("this node is in the circle already")]
    AlreadyIn,
    /// This node made the link.
    #[error("the link is this node's own")]
    Own,
    /// [`JOINS_MAX`] links are being followed.
    #[error("as many links are being followed as can be")]
    TooMany,
}

pub(super) struct Following {
    pub(super) join: Join,
    /// When it began to be asked about.
    began: Instant,
    /// When it is asked about next.
    next: Instant,
    asked: Option<Ticket>,
}

impl Join {
    /// What shows the inviter that `own` has the link.
    pub(super) fn proof(&self, own: &NodeKey) -> [u8; 32] {
        self.token.proof(own, &self.inviter)
    }
}

impl JoinState {
    pub(super) const fn standing(self) -> Standing {
        match self {
            Self::Asking | Self::Welcome => Standing::Asking,
            Self::Waiting => Standing::Waiting,
            Self::Refused => Standing::Refused,
            Self::Expired => Standing::Expired,
        }
    }

    const fn is_over(self) -> bool {
        matches!(self, Self::Refused | Self::Expired)
    }
}

impl Following {
    const fn new(join: Join, now: Now) -> Self {
        Self { join, began: now.mono, next: now.mono, asked: None }
    }

    fn pause(&self, now: Now) -> Duration {
        let passed = now.mono.since(self.began).as_secs();
        let pause = match passed {
            0..60 => JOIN_OFTEN,
            60..660 => JOIN_SELDOM,
            _ => JOIN_RARELY,
        };
        // A person is not quicker than that, and the other node says so when it has said yes.
        if self.join.state == JoinState::Waiting { pause.max(JOIN_SELDOM) } else { pause }
    }
}

impl Exchange {
    /// Follows a link. One to the same circle that was followed before gives way.
    ///
    /// # Errors
    /// [`JoinError`]; nothing has changed then.
    pub fn join(&mut self, join: Join, now: Now) -> Result<(), JoinError> {
        if join.inviter == self.own {
            return Err(JoinError::Own);
        }
        if self.circles.get(&join.circle).is_some_and(|circle| circle.is_live()) {
            return Err(JoinError::AlreadyIn);
        }
        let others = self.joins.values().filter(|one| one.join.circle != join.circle);
        if others.filter(|one| !one.join.state.is_over()).count() >= JOINS_MAX {
            return Err(JoinError::TooMany);
        }
        self.give_up(&join.circle);
        self.outputs.push_back(Output::JoinChanged(join.circle));
        self.joins.insert(join.circle, Following::new(join, now));
        self.follow(now);
        Ok(())
    }

    /// Takes a link back that was kept, and goes on following it where that was left.
    pub fn restore_join(&mut self, join: Join, now: Now) {
        self.joins.insert(join.circle, Following::new(join, now));
    }

    /// The links that are followed, those among them that came to nothing.
    pub fn joins(&self) -> impl Iterator<Item = &Join> {
        self.joins.values().map(|following| &following.join)
    }

    /// Follows the link to a circle no more, and forgets it.
    pub fn give_up(&mut self, circle: &CircleId) {
        self.joins.remove(circle);
        self.pulls.remove(circle);
        self.asked.retain(|_, asked| match asked.about {
            About::Join(of) | About::Pull(of) => of != *circle,
            _ => true,
        });
    }

    /// Asks wherever it is time.
    pub(super) fn follow(&mut self, now: Now) {
        let due: Vec<CircleId> = self
            .joins
            .iter()
            .filter(|(circle, following)| {
                !following.join.state.is_over()
                    && following.asked.is_none()
                    && following.next <= now.mono
                    && !self.pulls.contains_key(*circle)
                    && !self.circles.get(*circle).is_some_and(|circle| circle.is_live())
            })
            .map(|(circle, _)| *circle)
            .collect();
        for id in due {
            let Some(following) = self.joins.get_mut(&id) else { continue };
            let state = following.join.state;
            if now.unix_s >= following.join.expires && state != JoinState::Welcome {
                self.join_is(&id, JoinState::Expired);
                continue;
            }
            let Join { inviter, label, .. } = following.join.clone();
            let proof = following.join.proof(&self.own);
            let Some(tag) = self.pairs.tag(&inviter, &id) else {
                // Nobody can have such a key.
                self.join_is(&id, JoinState::Refused);
                continue;
            };
            let ticket = self.ask(inviter, &Message::Join { tag, proof, label }, About::Join(id));
            if let Some(following) = self.joins.get_mut(&id) {
                following.asked = Some(ticket);
                following.next = now.mono + following.pause(now);
            }
        }
    }

    /// Whoever made a link is heard again: it is asked at once.
    pub(super) fn ask_again(&mut self, inviter: &NodeKey, now: Now) {
        for following in self.joins.values_mut() {
            if following.join.inviter == *inviter {
                following.next = following.next.min(now.mono);
            }
        }
        self.follow(now);
    }

    pub(super) fn take_joined(&mut self, circle: CircleId, joined: Joined, now: Now) {
        let Some(following) = self.joins.get_mut(&circle) else { return };
        following.asked = None;
        if following.join.state.is_over() {
            return;
        }
        let inviter = following.join.inviter;
        match joined {
            Joined::Refused => self.join_is(&circle, JoinState::Refused),
            Joined::Waiting => self.join_is(&circle, JoinState::Waiting),
            Joined::Welcome => {
                self.join_is(&circle, JoinState::Welcome);
                self.begin_pull(circle, inviter, false, now);
            }
        }
    }

    pub(super) fn join_unanswered(&mut self, circle: &CircleId, now: Now) {
        if let Some(following) = self.joins.get_mut(circle) {
            following.asked = None;
            following.next = following.next.max(now.mono);
        }
    }

    /// This node is a member, or has declined: the link has done its work.
    pub(super) fn has_come_in(&mut self, circle: &CircleId) {
        if self.joins.contains_key(circle) {
            self.give_up(circle);
            self.outputs.push_back(Output::JoinChanged(*circle));
        }
    }

    fn join_is(&mut self, circle: &CircleId, state: JoinState) {
        let Some(following) = self.joins.get_mut(circle) else { return };
        if core::mem::replace(&mut following.join.state, state) != state {
            self.outputs.push_back(Output::JoinChanged(*circle));
        }
    }
}
