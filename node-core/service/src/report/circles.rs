//! Circles, members, invites, questions and visits as clients get them.
//!
//! Names of friends are the person's own; what a circle or a guest calls somebody is a label, which
//! nobody has checked, and stands apart.

use std::collections::BTreeSet;

use planetary_circles::log::{Label, Membership, Role, State, View};
use planetary_ipc::{
    self as plain_types, CircleDetails, CircleId, CircleRef, CircleState, FriendName, JoinLink,
    LinkPeer, LocalService, Member, MemberRole, MemberState, NodeKey, Party, Question, Subject,
    UnixTime, Visit,
};
use planetary_proto::identity;

use super::plain;
use crate::node::{Asked, Asking, Visited, core_key};
use crate::policy;
use crate::state::circles::{Circle, Circles, Invite};
use crate::state::friends::Friends;

/// What is known of one circle at one moment.
pub struct CircleFacts<'a> {
    /// Its number.
    pub id: &'a CircleId,
    /// What this computer says about it.
    pub circle: &'a Circle,
    /// What its members have signed, if that is here.
    pub view: Option<&'a View>,
    /// How this computer stands to it.
    pub state: CircleState,
    /// When it was last compared with another member, in seconds since 1970.
    pub synced_at: Option<u64>,
    /// Who this computer is.
    pub own: NodeKey,
    /// What is stored about all circles.
    pub circles: &'a Circles,
    /// Members from which something came lately.
    pub online: &'a BTreeSet<NodeKey>,
}

impl CircleFacts<'_> {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> FriendName {
        let signed = self.view.and_then(|view| shown(&view.name));
        let in_link = || self.circle.join.as_ref().map(|join| join.name.clone());
        signed.or_else(in_link).unwrap_or_else(|| nameless(self.id))
    }

    /// What it calls a key.
    #[must_use]
    pub fn label(&self, key: &NodeKey) -> Option<FriendName> {
        let member = self.view?.members.get(&core_key(key))?;
        shown(member.label.as_ref()?)
    }

    /// The circle without its members.
    #[must_use]
    pub fn circle(&self, friends: &Friends) -> plain_types::Circle {
        let members = self.view.map(|view| &view.members);
        let of_state = |state| {
            let all = members.into_iter().flatten();
            all.filter(move |(_, member)| member.state == state)
        };
        let own = members.and_then(|members| members.get(&core_key(&self.own)));
        let is_member = self.state == CircleState::Member;
        let asks = matches!(self.state, CircleState::Asking | CircleState::Waiting);
        let join = self.circle.join.as_ref().filter(|_| asks);
        let is_online = |(key, _): &(&identity::NodeKey, &Membership)| {
            let key = plain(key);
            key != self.own && self.online.contains(&key)
        };
        let added_by = own.and_then(|own| own.added_by).map(|key| plain(&key));
        plain_types::Circle {
            id: *self.id,
            name: self.name(),
            state: self.state,
            role: own.filter(|_| is_member).map(|own| role(own.role)),
            members: count(of_state(State::Member).count()),
            invited: count(of_state(State::Invited).count()),
            online: count(of_state(State::Member).filter(is_online).count()),
            access: self.circle.access.clone(),
            suggested: self.suggested(),
            recovery: self.view.is_some_and(|view| view.paper.is_some()),
            inviter: added_by.or(self.circle.inviter).map(|key| self.party(&key, friends)),
            expires_at: join.map(|join| UnixTime(join.expires)),
            added_at: UnixTime(self.circle.added_at),
            synced_at: self.synced_at.map(UnixTime),
            forked: self
                .view
                .into_iter()
                .flat_map(|view| &view.forked)
                .map(|key| self.party(&plain(key), friends))
                .collect(),
        }
    }

    /// The circle with its members and the invites to it.
    #[must_use]
    pub fn details(&self, friends: &Friends, unix_s: u64) -> CircleDetails {
        let mut members: Vec<Member> = self
            .view
            .into_iter()
            .flat_map(|view| view.members.iter().map(move |entry| (view, entry)))
            .map(|(view, (key, member))| self.member(view, key, member, friends))
            .collect();
        members.sort_by_key(|member| (member.rank, member.party.key));
        let invites = self.circles.invites().iter().rev();
        let invites = invites.filter(|(_, invite)| invite.circle == *self.id);
        CircleDetails {
            time: UnixTime(unix_s),
            circle: self.circle(friends),
            members,
            invites: invites
                .map(|(id, invite)| self.invite(*id, invite, friends, unix_s))
                .collect(),
        }
    }

    /// An invite to the circle.
    #[must_use]
    pub fn invite(
        &self,
        id: u64,
        invite: &Invite,
        friends: &Friends,
        unix_s: u64,
    ) -> plain_types::Invite {
        use planetary_ipc::InviteState as State;
        let state = if invite.revoked {
            State::Revoked
        } else if invite.is_used() {
            State::Used
        } else if invite.is_open(unix_s) {
            State::Open
        } else {
            State::Expired
        };
        plain_types::Invite {
            id,
            circle: *self.id,
            circle_name: self.name(),
            link: Some(invite)
                .filter(|_| state == State::Open)
                .and_then(|invite| self.link(invite)),
            state,
            role: invite.role,
            uses: invite.uses,
            used: u32::try_from(invite.guests.len()).unwrap_or(u32::MAX),
            asks: invite.asks,
            created_at: UnixTime(invite.created_at),
            expires_at: UnixTime(invite.expires),
            guests: invite.guests.iter().map(|key| self.party(key, friends)).collect(),
        }
    }

    fn link(&self, invite: &Invite) -> Option<String> {
        let link = JoinLink {
            circle: *self.id,
            inviter: self.own,
            token: invite.token.as_ref()?.0.into(),
            expires: UnixTime(invite.expires),
            name: self.name(),
            peers: invite.peers.iter().filter_map(|peer| peer.parse::<LinkPeer>().ok()).collect(),
        };
        Some(link.fitting().to_string())
    }

    fn suggested(&self) -> Vec<LocalService> {
        let suggested = self.view.into_iter().flat_map(|view| &view.suggested);
        suggested.filter_map(|service| service.to_string().parse().ok()).collect()
    }

    fn member(
        &self,
        view: &View,
        key: &identity::NodeKey,
        member: &Membership,
        friends: &Friends,
    ) -> Member {
        let own = core_key(&self.own);
        let plain_key = plain(key);
        let is_own = *key == own;
        let is_member = self.state == CircleState::Member;
        Member {
            party: self.party(&plain_key, friends),
            address: key.address().to_ipv6(),
            state: match member.state {
                State::Invited => MemberState::Invited,
                State::Member => MemberState::Member,
            },
            role: role(member.role),
            rank: member.rank,
            own: is_own,
            online: self.online.contains(&plain_key),
            last_seen: self.circles.last_seen(&plain_key).map(UnixTime),
            blocked: friends.blocked().contains_key(&plain_key),
            removable: is_member && !is_own && view.can_remove(&own, key),
            added_by: member.added_by.map(|key| plain(&key)),
            services: self.circle.services_of(&plain_key).to_vec(),
        }
    }

    fn party(&self, key: &NodeKey, friends: &Friends) -> Party {
        party(key, friends, self.label(key))
    }
}

/// A key with the name that the person gave it, and what others call it.
#[must_use]
pub fn party(key: &NodeKey, friends: &Friends, label: Option<FriendName>) -> Party {
    let name = friends.friends().get(key).map(|friend| friend.name.clone());
    Party { key: *key, name, label }
}

/// A question. `shared` has the circles that a key shares with this computer, with names and what
/// each calls it.
#[must_use]
pub fn question(
    asked: &Asked,
    friends: &Friends,
    shared: &[(CircleRef, Option<FriendName>)],
) -> Option<Question> {
    let subject = match &asked.about {
        Asking::Knock { key, reached } => {
            let label = shared.iter().find_map(|(_, label)| label.clone());
            Subject::Knock {
                who: party(key, friends, label),
                circles: shared.iter().map(|(circle, _)| circle.clone()).collect(),
                service: policy::plain_service(*reached)?,
            }
        }
        Asking::Guest { key, label, circle, invite, .. } => Subject::Guest {
            who: party(key, friends, label.clone()),
            circle: shared
                .iter()
                .map(|(known, _)| known)
                .find(|known| known.id == *circle)?
                .clone(),
            invite: *invite,
        },
    };
    Some(Question {
        id: asked.id,
        asked_at: UnixTime(asked.asked_at),
        until: UnixTime(asked.until),
        subject,
    })
}

/// Somebody who came to the door.
#[must_use]
pub fn visit(visited: &Visited, friends: &Friends, label: Option<FriendName>) -> Visit {
    Visit {
        who: party(&visited.key, friends, label),
        service: policy::plain_service(visited.reached),
        outcome: visited.outcome,
        count: visited.count,
        first_at: UnixTime(visited.first_at),
        last_at: UnixTime(visited.last_at),
    }
}

/// A label that can be shown like a name. What looks like a key, an address or the word for
/// everyone is none.
#[must_use]
pub fn shown(label: &Label) -> Option<FriendName> {
    label.as_str().parse().ok()
}

/// What a circle is called that has no name which can be shown.
fn nameless(id: &CircleId) -> FriendName {
    let digits = id.to_string();
    let name = format!("circle {}", digits.get(..8).unwrap_or_default());
    name.parse().expect("a word and eight digits are a name")
}

fn role(role: Role) -> MemberRole {
    match role {
        Role::Member => MemberRole::Member,
        Role::Admin => MemberRole::Admin,
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
