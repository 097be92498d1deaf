//! The circles of the mock service: two of them, an invite, a guest, a knock, and visits.
//!
//! ```text
//! Family  this computer and Grandpa are admins; Ada, Mum and Zoë's phone are members, Uncle Bob
//!         has not agreed yet. The words of its key on paper are [`PAPER`].
//! Chess   this computer is a member like any other
//!
//! second  5, 12, 30  Ada, Mum, Grandpa reach for something    65, 125, …  Ada again
//!         40, 160, … Mum knocks at tcp/5900, for 30 s         42          Tim follows the invite
//! ```
//!
//! A link that is followed is answered after two seconds, or after six if the last bit of its token
//! is set: then its person is asked first. A token of zeros is refused.

mod invites;
mod questions;

use base64ct::{Base64, Encoding};

use super::friends::{Friends, named, read};
use super::peer::scatter;
use super::world::{EPOCH, address_of, made_up_key};
use crate::circles::{
    Circle, CircleAccess, CircleAccessChange, CircleChange, CircleDetails, CircleDraft, CircleId,
    CircleList, CircleRef, CircleState, Invite, InviteList, InviteState, Member, MemberRole,
    MemberState, Party, Question, Subject, Visit, VisitList, VisitOutcome,
};
use crate::error::{ApiError, ErrorCode};
use crate::friends::{self, Access, FriendName, LocalService};
use crate::identity::{NodeKey, UnixTime};
use crate::limits;
use crate::message::{Reply, Request};
use crate::recovery::RecoveryKey;

/// The words of the key on paper of the circle `Family`.
pub const PAPER: &str = "legal winner thank year wave sausage worth useful legal winner thank year \
                         wave sausage worth useful legal winner thank year wave sausage worth \
                         title";

/// How long a knock waits for an answer, in seconds.
const KNOCK_S: u64 = 30;

/// Bytes of an operation before its body, without what is known of it: see `draft`.
const HEAD_LEN: usize = 5 + 32 + 32 + 4 + 32 + 1 + 2;

/// Bytes of a signature.
const SIGNATURE_LEN: usize = 64;

/// Where and when something is asked.
#[derive(Clone, Copy)]
pub(super) struct Here {
    pub(super) own: NodeKey,
    pub(super) now: u64,
}

/// The circles of the mock node, and what came of them.
#[derive(Debug)]
pub(super) struct Circles {
    held: Vec<Held>,
    invites: Vec<Invite>,
    questions: Vec<Question>,
    visits: Vec<Visit>,
    /// The last number that was given to an invite, a question or a circle.
    number: u64,
    pub(super) revision: u64,
}

/// A circle with its members. What follows from those is filled in when it is told.
#[derive(Debug)]
struct Held {
    circle: Circle,
    members: Vec<Member>,
    paper: Option<NodeKey>,
    /// The link that was followed.
    join: Option<Join>,
}

/// A link that was followed.
#[derive(Debug)]
struct Join {
    at: u64,
    /// Whether the inviter's person is asked.
    asks: bool,
    /// Whether it lets nobody in.
    refused: bool,
    label: Option<FriendName>,
}

impl Circles {
    /// The circles of the drawing above; `ada` and `bob` are friends.
    pub(super) fn new(own: NodeKey, ada: NodeKey, bob: NodeKey, now: u64) -> Self {
        let mut all = Self {
            held: Vec::new(),
            invites: Vec::new(),
            questions: Vec::new(),
            visits: Vec::new(),
            number: 0,
            revision: 1,
        };
        let [mum, grandpa, phone] = [0x201, 0x202, 0x203].map(made_up_key);
        let paper = RecoveryKey::from_words(PAPER).ok().map(|key| key.key());
        let family = Held {
            paper,
            members: vec![
                person(own, Some("Desk"), MemberRole::Admin, 1, None),
                Member { services: read(&["tcp/631"]), ..seen(mum, "Mum", 2, own, Some(0)) },
                Member { role: MemberRole::Admin, ..seen(grandpa, "Grandpa", 2, own, Some(2)) },
                seen(ada, "Ada", 2, own, Some(0)),
                seen(phone, "Zoë's phone", 3, grandpa, None),
                Member { state: MemberState::Invited, ..seen(bob, "Bob", 2, own, None) },
            ],
            join: None,
            circle: Circle {
                access: CircleAccess {
                    enabled: true,
                    echo: true,
                    subnet: false,
                    services: read(&["tcp/22", "tcp/8000-8100"]),
                },
                suggested: read(&["tcp/22", "tcp/445"]),
                recovery: paper.is_some(),
                ..circle(circle_id(1), "Family", now - 20 * 86_400)
            },
        };
        let [club, rival] = [0x211, 0x212].map(made_up_key);
        let chess = Held {
            paper: None,
            members: vec![
                Member { role: MemberRole::Admin, ..seen(club, "Club server", 0, own, Some(0)) },
                seen(rival, "Beth", 1, club, Some(1)),
                person(own, None, MemberRole::Member, 1, Some(club)),
            ],
            join: None,
            circle: Circle {
                suggested: read(&["tcp/8080"]),
                inviter: Some(party(club, Some("Club server"))),
                synced_at: Some(UnixTime(now - 3 * 3_600)),
                ..circle(circle_id(2), "Chess", now - 6 * 86_400)
            },
        };
        all.held = vec![family, chess];
        for member in all.held[1].members.iter_mut().filter(|member| member.key() == club) {
            member.added_by = None;
        }
        let invite = Invite {
            uses: 3,
            used: 1,
            asks: true,
            guests: vec![party(phone, Some("Zoë's phone"))],
            ..all.open_invite(0, own, now - 3_600, limits::INVITE_VALID_S_DEFAULT, None)
        };
        let over = Invite {
            state: InviteState::Expired,
            link: None,
            ..all.open_invite(0, own, now - 9 * 86_400, limits::INVITE_VALID_S_DEFAULT, None)
        };
        all.invites = vec![over, invite];
        all
    }

    /// Adds what follows from circles to who may reach this computer.
    pub(super) fn fill(&self, access: &mut Access, own: NodeKey) {
        let joined = || self.held.iter().filter(|held| held.circle.state == CircleState::Member);
        let others = joined()
            .flat_map(|held| &held.members)
            .filter(|member| member.state == MemberState::Member && member.key() != own);
        access.circles = joined().count() as u64;
        let keys: std::collections::BTreeSet<_> = others.map(Member::key).collect();
        access.members = keys.len() as u64;
    }

    /// What waits for the person, with the names that friends have.
    pub(super) fn questions(&self, friends: &Friends) -> Vec<Question> {
        let mut all = self.questions.clone();
        for question in &mut all {
            let (Subject::Knock { who, .. } | Subject::Guest { who, .. }) = &mut question.subject;
            who.name = friends.name_of(who.key);
        }
        all
    }

    /// Lets a second pass.
    pub(super) fn tick(&mut self, here: Here) {
        let second = here.now - EPOCH;
        let names = [0x201, 0x202, 0x204].map(made_up_key);
        let [mum, grandpa, tim] = names;
        let before = (self.questions.len(), self.visits.len(), self.revision);
        match second {
            12 => self.visit(mum, None, VisitOutcome::Opened, here.now),
            30 => self.visit(grandpa, service("tcp/3389"), VisitOutcome::Refused, here.now),
            42 => self.guest(tim, here.now),
            _ if second % 60 == 5 => {
                if let Some(ada) = self.member_called("Ada") {
                    self.visit(ada, service("tcp/22"), VisitOutcome::Opened, here.now);
                }
            }
            _ if second % 120 == 40 => self.knock(mum, "tcp/5900", here.now),
            _ => {}
        }
        self.expire(here.now);
        let joining: Vec<_> = self.held.iter().map(|held| held.circle.id).collect();
        for id in joining {
            self.go_on_joining(id, here);
        }
        if before != (self.questions.len(), self.visits.len(), self.revision) {
            self.revision += 1;
        }
    }

    /// Answers what is about circles, invites, questions and visits. `None` means the status.
    pub(super) fn answer(
        &mut self,
        request: Request,
        here: Here,
        friends: &mut Friends,
    ) -> Result<Option<Reply>, ApiError> {
        let id = match request {
            Request::CircleList => return Ok(Some(Reply::Circles(self.list(here, friends)))),
            Request::InviteList => {
                let invites = self.named_invites(None, friends);
                return Ok(Some(Reply::Invites(InviteList { time: UnixTime(here.now), invites })));
            }
            Request::VisitList => {
                let mut visits = self.visits.clone();
                visits.sort_by_key(|visit| std::cmp::Reverse(visit.last_at));
                visits.iter_mut().for_each(|visit| {
                    visit.who.name = friends.name_of(visit.who.key);
                });
                return Ok(Some(Reply::Visits(VisitList { time: UnixTime(here.now), visits })));
            }
            Request::QuestionAnswer { question, answer, circle } => {
                self.settle(question, answer, circle, here, friends)?;
                return Ok(None);
            }
            Request::CircleDraft { draft } => {
                let operation = self.draft(&draft)?;
                return Ok(Some(Reply::CircleDraft { operation }));
            }
            Request::InviteCreate { circle, role, uses, valid_s, peers, asks } => {
                let (index, _) = self.index_as_admin(circle, here.own)?;
                let valid_s = valid_s.unwrap_or(limits::INVITE_VALID_S_DEFAULT);
                let peers = peers.map(|peers| invites::read_peers(&peers)).transpose()?;
                let open = self.open_invite(index, here.own, here.now, valid_s, peers);
                let role = role.unwrap_or(MemberRole::Member);
                let invite = Invite { role, uses: uses.unwrap_or(1), asks, ..open };
                self.invites.push(invite.clone());
                self.revision += 1;
                return Ok(Some(Reply::Invite(Box::new(invite))));
            }
            Request::InviteRevoke { invite } => {
                let found = self.invites.iter_mut().find(|known| known.id == invite);
                let Some(found) = found else {
                    let text = format!("this computer made no invite with the number {invite}");
                    return Err(ApiError::new(ErrorCode::InviteNotFound, text));
                };
                if found.state == InviteState::Open {
                    (found.state, found.link) = (InviteState::Revoked, None);
                }
                self.revision += 1;
                return Ok(Some(Reply::Invite(Box::new(found.clone()))));
            }
            Request::CircleShow { circle } => circle,
            Request::CircleCreate { name } => self.create(name, None, here)?,
            Request::CircleSubmit { operation } => self.submit(&operation, here)?,
            Request::CircleJoin { link, label } => self.join(&link, label, here)?,
            Request::CircleChange { circle, change } => self.change(circle, change, here)?,
            Request::CircleAdd { circle, key, role, label } => {
                self.add(circle, key, role, label, here)?
            }
            Request::CircleRemove { circle, key } => self.remove(circle, key, here)?,
            Request::CircleAccept { circle } => self.accept(circle, here)?,
            Request::CircleLeave { circle } => self.leave(circle, here)?,
            Request::CircleForget { circle } => {
                let index = self.index(circle)?;
                if matches!(self.held[index].circle.state, CircleState::Member) {
                    return Err(invalid("this computer is a member of the circle".to_owned())
                        .with_hint("leave it first: `planetary circle leave NAME`"));
                }
                let was = self.details(index, here, friends);
                self.held.remove(index);
                self.revision += 1;
                return Ok(Some(Reply::Circle(Box::new(was))));
            }
            Request::CircleAccess { circle, change } => self.change_access(circle, change)?,
            Request::MemberAccess { circle, key, allow, deny } => {
                self.change_member_access(circle, key, &allow, &deny, here)?
            }
            other => {
                let text = format!("`{}` is no question about circles", other.name());
                return Err(ApiError::new(ErrorCode::Internal, text));
            }
        };
        let details = self.details(self.index(id)?, here, friends);
        Ok(Some(Reply::Circle(Box::new(details))))
    }

    fn list(&self, here: Here, friends: &Friends) -> CircleList {
        let all = (0..self.held.len()).map(|index| self.details(index, here, friends).circle);
        let mut circles: Vec<_> = all.collect();
        circles.sort_by_key(|circle| circle.name.folded());
        CircleList { time: UnixTime(here.now), circles }
    }

    fn details(&self, index: usize, here: Here, friends: &Friends) -> CircleDetails {
        let held = &self.held[index];
        let mut circle = held.circle.clone();
        let mine = held.members.iter().find(|member| member.key() == here.own);
        let rank = mine.filter(|_| circle.state == CircleState::Member).map(|mine| mine.rank);
        circle.role = mine.filter(|_| rank.is_some()).map(|mine| mine.role);
        let is_admin = circle.role == Some(MemberRole::Admin);
        let member = |member: &Member| {
            let mut member = member.clone();
            member.party.name = friends.name_of(member.key());
            member.own = member.key() == here.own;
            member.blocked = friends.is_blocked(member.key());
            let below = rank.is_some_and(|rank| rank < member.rank);
            member.removable = !member.own && is_admin && below;
            if member.online {
                member.last_seen = Some(UnixTime(here.now));
            }
            member
        };
        let mut members: Vec<_> = held.members.iter().map(member).collect();
        members.sort_by_key(|member| (member.rank, member.key()));
        let count = |is: &dyn Fn(&Member) -> bool| members.iter().filter(|m| is(m)).count() as u64;
        circle.members = count(&|member| member.state == MemberState::Member);
        circle.invited = count(&|member| member.state == MemberState::Invited);
        circle.online = count(&|member| member.online && !member.own);
        if let Some(inviter) = &mut circle.inviter {
            inviter.name = friends.name_of(inviter.key);
        }
        if circle.state == CircleState::Member && circle.synced_at.is_none() && circle.online > 0 {
            circle.synced_at = Some(UnixTime(here.now - here.now % 60));
        }
        let invites = self.named_invites(Some(circle.id), friends);
        CircleDetails { time: UnixTime(here.now), circle, members, invites }
    }

    fn named_invites(&self, circle: Option<CircleId>, friends: &Friends) -> Vec<Invite> {
        let of_circle = |invite: &&Invite| circle.is_none_or(|circle| invite.circle == circle);
        let mut invites: Vec<_> = self.invites.iter().filter(of_circle).cloned().collect();
        for guest in invites.iter_mut().flat_map(|invite| &mut invite.guests) {
            guest.name = friends.name_of(guest.key);
        }
        invites.sort_by_key(|invite| std::cmp::Reverse((invite.created_at, invite.id)));
        invites
    }

    fn index(&self, id: CircleId) -> Result<usize, ApiError> {
        let found = self.held.iter().position(|held| held.circle.id == id);
        found.ok_or_else(|| {
            ApiError::new(ErrorCode::CircleNotFound, "no circle has this number here")
        })
    }

    fn index_as_member(&self, id: CircleId) -> Result<usize, ApiError> {
        let index = self.index(id)?;
        match self.held[index].circle.state {
            CircleState::Member => Ok(index),
            _ => Err(ApiError::new(
                ErrorCode::CircleRights,
                format!("this computer is no member of {}", self.held[index].circle.name),
            )),
        }
    }

    /// The circle, and the rank of this computer, which must be an admin of it.
    fn index_as_admin(&self, id: CircleId, own: NodeKey) -> Result<(usize, u32), ApiError> {
        let index = self.index_as_member(id)?;
        let held = &self.held[index];
        let mine = held.members.iter().find(|member| member.key() == own);
        let rank = mine.filter(|mine| mine.role == MemberRole::Admin).map(|mine| mine.rank);
        rank.map(|rank| (index, rank)).ok_or_else(|| {
            let text = format!("this computer is no admin of {}", held.circle.name);
            ApiError::new(ErrorCode::CircleRights, text)
        })
    }

    fn create(
        &mut self,
        name: FriendName,
        paper: Option<NodeKey>,
        here: Here,
    ) -> Result<CircleId, ApiError> {
        if self.held.iter().any(|held| held.circle.name.folded() == name.folded()) {
            let text = format!("another circle of this computer is called {name}");
            return Err(invalid(text).with_hint("choose another name"));
        }
        self.number += 1;
        let id = circle_id(0x100 + self.number);
        let rank = u32::from(paper.is_some());
        self.held.push(Held {
            members: vec![person(here.own, None, MemberRole::Admin, rank, None)],
            join: None,
            circle: Circle { recovery: paper.is_some(), ..circle(id, name.as_str(), here.now) },
            paper,
        });
        self.revision += 1;
        Ok(id)
    }

    /// An operation as a key on paper signs it. What is asked for stands in its body, from which
    /// [`Self::submit`] reads it back.
    fn draft(&self, draft: &CircleDraft) -> Result<String, ApiError> {
        let (circle, recovery) = match draft {
            CircleDraft::Create { recovery, .. } => (CircleId([0; 32]), recovery),
            CircleDraft::Add { circle, recovery, .. }
            | CircleDraft::Remove { circle, recovery, .. } => {
                let held = &self.held[self.index(*circle)?];
                if held.paper != Some(*recovery) {
                    let text = format!("{} has another key on paper, or none", held.circle.name);
                    return Err(ApiError::new(ErrorCode::CircleRights, text)
                        .with_hint("check that it is the paper of this circle"));
                }
                (*circle, recovery)
            }
        };
        let body = serde_json::to_vec(draft).map_err(|error| invalid(error.to_string()))?;
        let len = u16::try_from(body.len()).map_err(|error| invalid(error.to_string()))?;
        let mut bytes = b"PLNC1".to_vec();
        bytes.extend_from_slice(&circle.0);
        bytes.extend_from_slice(&recovery.0);
        // Number, operation before, and kind.
        bytes.extend_from_slice(&[0; 4 + 32 + 1]);
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(&body);
        Ok(Base64::encode_string(&bytes))
    }

    fn submit(&mut self, operation: &str, here: Here) -> Result<CircleId, ApiError> {
        let unreadable = || invalid("what was signed is no operation of a circle".to_owned());
        let bytes = Base64::decode_vec(operation).map_err(|_| unreadable())?;
        let end = bytes.len().checked_sub(SIGNATURE_LEN).ok_or_else(unreadable)?;
        let body = bytes.get(HEAD_LEN..end).ok_or_else(unreadable)?;
        let draft: CircleDraft = serde_json::from_slice(body).map_err(|_| unreadable())?;
        match draft {
            CircleDraft::Create { name, recovery } => self.create(name, Some(recovery), here),
            CircleDraft::Add { circle, key, .. } => {
                let index = self.index(circle)?;
                let held = &mut self.held[index];
                held.members.retain(|member| member.key() != key);
                let state = match key == here.own && held.circle.state != CircleState::Member {
                    true => MemberState::Invited,
                    false => MemberState::Member,
                };
                if state == MemberState::Invited {
                    held.circle.state = CircleState::Invited;
                }
                let admin = person(key, None, MemberRole::Admin, 1, None);
                held.members.push(Member { state, ..admin });
                self.revision += 1;
                Ok(circle)
            }
            CircleDraft::Remove { circle, key, .. } => {
                let index = self.index(circle)?;
                self.held[index].members.retain(|member| member.key() != key);
                self.revision += 1;
                Ok(circle)
            }
        }
    }

    fn change(
        &mut self,
        id: CircleId,
        change: CircleChange,
        here: Here,
    ) -> Result<CircleId, ApiError> {
        let (index, _) = self.index_as_admin(id, here.own)?;
        let circle = &mut self.held[index].circle;
        circle.name = change.name.unwrap_or_else(|| circle.name.clone());
        circle.suggested = change.suggest.unwrap_or_else(|| circle.suggested.clone());
        let name = circle.name.clone();
        self.invites.iter_mut().filter(|invite| invite.circle == id).for_each(|invite| {
            invite.circle_name = name.clone();
        });
        self.revision += 1;
        Ok(id)
    }

    fn add(
        &mut self,
        id: CircleId,
        key: NodeKey,
        role: MemberRole,
        label: Option<FriendName>,
        here: Here,
    ) -> Result<CircleId, ApiError> {
        let (index, rank) = self.index_as_admin(id, here.own)?;
        let members = &mut self.held[index].members;
        match members.iter_mut().find(|member| member.key() == key) {
            Some(member) if key == here.own && member.role != role => {
                return Err(ApiError::new(
                    ErrorCode::CircleRights,
                    "nobody changes what it may do itself",
                ));
            }
            Some(member) => {
                member.role = role;
                member.party.label = label.or(member.party.label.take());
            }
            None => {
                let label = label.map(|label| label.to_string());
                let added = person(key, label.as_deref(), role, rank + 1, Some(here.own));
                members.push(Member { state: MemberState::Invited, ..added });
            }
        }
        self.revision += 1;
        Ok(id)
    }

    fn remove(&mut self, id: CircleId, key: NodeKey, here: Here) -> Result<CircleId, ApiError> {
        if key == here.own {
            return Err(invalid("this computer itself is removed by leaving".to_owned())
                .with_hint("`planetary circle leave NAME` leaves the circle"));
        }
        let (index, rank) = self.index_as_admin(id, here.own)?;
        let members = &mut self.held[index].members;
        let found = members.iter().position(|member| member.key() == key);
        let found = found.ok_or_else(|| no_member(key))?;
        if members[found].rank <= rank {
            let text = "its rank is not below the one of this computer";
            return Err(ApiError::new(ErrorCode::CircleRights, text));
        }
        members.remove(found);
        self.revision += 1;
        Ok(id)
    }

    fn accept(&mut self, id: CircleId, here: Here) -> Result<CircleId, ApiError> {
        let index = self.index(id)?;
        let held = &mut self.held[index];
        if held.circle.state != CircleState::Invited {
            let text = format!("nothing of {} waits for a yes here", held.circle.name);
            return Err(invalid(text));
        }
        held.circle.state = CircleState::Member;
        held.circle.expires_at = None;
        for member in held.members.iter_mut().filter(|member| member.key() == here.own) {
            member.state = MemberState::Member;
        }
        self.revision += 1;
        Ok(id)
    }

    fn leave(&mut self, id: CircleId, here: Here) -> Result<CircleId, ApiError> {
        let index = self.index(id)?;
        let held = &mut self.held[index];
        held.circle.state = CircleState::Left;
        held.join = None;
        held.members.retain(|member| member.key() != here.own);
        held.members.iter_mut().for_each(|member| member.online = false);
        for invite in self.invites.iter_mut().filter(|invite| invite.circle == id) {
            if invite.state == InviteState::Open {
                (invite.state, invite.link) = (InviteState::Revoked, None);
            }
        }
        self.revision += 1;
        Ok(id)
    }

    fn change_access(
        &mut self,
        id: CircleId,
        change: CircleAccessChange,
    ) -> Result<CircleId, ApiError> {
        let index = self.index(id)?;
        let access = &mut self.held[index].circle.access;
        change_services(&mut access.services, &change.allow, &change.deny)?;
        access.enabled = change.enabled.unwrap_or(access.enabled);
        access.echo = change.echo.unwrap_or(access.echo);
        access.subnet = change.subnet.unwrap_or(access.subnet);
        self.revision += 1;
        Ok(id)
    }

    fn change_member_access(
        &mut self,
        id: CircleId,
        key: NodeKey,
        allow: &[LocalService],
        deny: &[LocalService],
        here: Here,
    ) -> Result<CircleId, ApiError> {
        let index = self.index(id)?;
        if key == here.own {
            return Err(invalid("this is this computer itself".to_owned()));
        }
        let member = self.held[index].members.iter_mut().find(|member| member.key() == key);
        let member = member.ok_or_else(|| no_member(key))?;
        change_services(&mut member.services, allow, deny)?;
        self.revision += 1;
        Ok(id)
    }

    fn party_of(&self, key: NodeKey) -> Party {
        let members = self.held.iter().flat_map(|held| &held.members);
        let known = members.into_iter().find(|member| member.key() == key);
        known.map_or_else(|| party(key, None), |member| member.party.clone())
    }

    fn member_called(&self, label: &str) -> Option<NodeKey> {
        let mut members = self.held.iter().flat_map(|held| &held.members);
        let is_called = |member: &&Member| {
            member.party.label.as_ref().is_some_and(|known| known.as_str() == label)
        };
        members.find(is_called).map(Member::key)
    }
}

impl Held {
    fn has(&self, key: NodeKey) -> bool {
        let is_in = |member: &Member| member.key() == key && member.state == MemberState::Member;
        self.circle.state == CircleState::Member && self.members.iter().any(is_in)
    }

    fn reference(&self) -> CircleRef {
        CircleRef { id: self.circle.id, name: self.circle.name.clone() }
    }
}

impl Member {
    fn key(&self) -> NodeKey {
        self.party.key
    }
}

fn change_services(
    list: &mut Vec<LocalService>,
    allow: &[LocalService],
    deny: &[LocalService],
) -> Result<(), ApiError> {
    friends::deny(list, deny).map_err(|error| invalid(error.to_string()))?;
    friends::allow(list, allow);
    Ok(())
}

fn invalid(text: String) -> ApiError {
    ApiError::new(ErrorCode::InvalidCircle, text)
}

fn no_member(key: NodeKey) -> ApiError {
    invalid(format!("no member of the circle has the key {key}"))
        .with_hint("`planetary circle show NAME` lists the members")
}

fn circle_id(number: u64) -> CircleId {
    let mut id = [0; 32];
    for (word, chunk) in (0..).zip(id.chunks_exact_mut(8)) {
        chunk.copy_from_slice(&scatter(0xc1c1e + number, word).to_be_bytes());
    }
    CircleId(id)
}

/// A circle of which this computer is a member, with nothing in it.
fn circle(id: CircleId, name: &str, added_at: u64) -> Circle {
    Circle {
        id,
        name: named(name),
        state: CircleState::Member,
        role: None,
        members: 0,
        invited: 0,
        online: 0,
        access: CircleAccess { enabled: true, echo: true, subnet: false, services: Vec::new() },
        suggested: Vec::new(),
        recovery: false,
        inviter: None,
        expires_at: None,
        added_at: UnixTime(added_at),
        synced_at: None,
        forked: Vec::new(),
    }
}

fn party(key: NodeKey, label: Option<&str>) -> Party {
    Party { key, name: None, label: label.map(named) }
}

/// A member that has agreed and was never seen.
fn person(
    key: NodeKey,
    label: Option<&str>,
    role: MemberRole,
    rank: u32,
    added_by: Option<NodeKey>,
) -> Member {
    Member {
        party: party(key, label),
        address: address_of(key),
        state: MemberState::Member,
        role,
        rank,
        own: false,
        online: false,
        last_seen: None,
        blocked: false,
        removable: false,
        added_by,
        services: Vec::new(),
    }
}

/// An ordinary member, seen so many days before the first second: online with 0.
fn seen(key: NodeKey, label: &str, rank: u32, added_by: NodeKey, days: Option<u64>) -> Member {
    Member {
        online: days == Some(0),
        last_seen: days.map(|days| UnixTime(EPOCH - days * 86_400)),
        ..person(key, Some(label), MemberRole::Member, rank, Some(added_by))
    }
}

fn service(text: &str) -> Option<LocalService> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circles::Answer;
    use crate::link::JoinLink;
    use crate::mock::Mock;
    use crate::server::Handler;
    use crate::{PeerCredentials, Status};

    const LINK: &str = "planetary:join?c=rcpivwm2jypimduwspwuebdyjvmwyl6ydd2xqyd2iuq2m6xy4oiq&\
        k=aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4a&e=1800000000&n=Cinema&t=";

    async fn ask(mock: &Mock, request: Request) -> Result<Reply, ApiError> {
        let caller = PeerCredentials { uid: None, pid: None, right: None };
        mock.handle(request, caller).await
    }

    async fn details(mock: &Mock, request: Request) -> CircleDetails {
        match ask(mock, request).await {
            Ok(Reply::Circle(details)) => *details,
            other => panic!("{other:?}"),
        }
    }

    async fn circles(mock: &Mock) -> Vec<Circle> {
        match ask(mock, Request::CircleList).await {
            Ok(Reply::Circles(list)) => list.circles,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn circles_are_as_in_the_drawing() {
        let mock = Mock::after(45);
        let all = circles(&mock).await;
        let facts = |circle: &Circle| (circle.role, circle.members, circle.invited, circle.online);
        assert_eq!(facts(&all[0]), (Some(MemberRole::Member), 3, 0, 1));
        assert_eq!(facts(&all[1]), (Some(MemberRole::Admin), 5, 1, 2));
        let access = mock.status().access;
        assert_eq!((access.circles, access.members), (2, 6));
        let family = details(&mock, Request::CircleShow { circle: all[1].id }).await;
        let names = family.members.iter().filter_map(|member| member.party.name.as_ref());
        assert_eq!(names.map(FriendName::as_str).collect::<Vec<_>>(), ["Ada", "Uncle Bob"]);
        assert_eq!(family.members.iter().filter(|member| member.removable).count(), 5);
    }

    #[tokio::test]
    async fn links_are_answered_as_the_module_says() {
        let mock = Mock::after(45);
        for (token, states) in [
            ("aaaqeayeaudaocajbifqydiob4", vec![CircleState::Waiting, CircleState::Invited]),
            ("aaaqeayeaudaocajbifqydioby", vec![CircleState::Invited]),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaa", vec![CircleState::Refused]),
        ] {
            let link: JoinLink = format!("{LINK}{token}").parse().unwrap();
            let join = Request::CircleJoin { link: link.to_string(), label: None };
            let mut last = details(&mock, join).await.circle.state;
            assert_eq!(last, CircleState::Asking);
            let mut seen = Vec::new();
            for _ in 0..8 {
                mock.tick();
                let show = Request::CircleShow { circle: link.circle };
                let state = details(&mock, show).await.circle.state;
                if state != last {
                    seen.push(state);
                    last = state;
                }
            }
            assert_eq!(seen, states, "{token}");
            details(&mock, Request::CircleLeave { circle: link.circle }).await;
            details(&mock, Request::CircleForget { circle: link.circle }).await;
        }
    }

    #[tokio::test]
    async fn answers_of_the_person_change_who_may_reach_what() {
        let questions = |status: Status| status.questions.into_iter().map(|asked| asked.id);
        let mock = Mock::after(45);
        let asked: Vec<_> = questions(mock.status()).collect();
        let answer = |question, answer| Request::QuestionAnswer { question, answer, circle: None };
        assert_eq!(asked.len(), 2);
        let wrong = ask(&mock, answer(asked[0], Answer::Yes)).await.unwrap_err();
        assert_eq!(wrong.code, ErrorCode::InvalidRequest);
        ask(&mock, answer(asked[0], Answer::Circle)).await.unwrap();
        ask(&mock, answer(asked[1], Answer::Yes)).await.unwrap();
        let again = ask(&mock, answer(asked[1], Answer::Yes)).await.unwrap_err();
        assert_eq!(again.code, ErrorCode::QuestionNotFound);
        let family = &circles(&mock).await[1];
        assert_eq!(family.invited, 2);
        assert!(family.access.services.contains(&"tcp/5900".parse().unwrap()));
        // What is allowed is not asked about again.
        for _ in 0..125 {
            mock.tick();
            assert_eq!(questions(mock.status()).count(), 0);
        }
    }

    #[tokio::test]
    async fn paper_makes_an_admin_of_who_was_left_out() {
        let mock = Mock::after(45);
        let circle = circles(&mock).await[1].id;
        details(&mock, Request::CircleLeave { circle }).await;
        let paper = RecoveryKey::from_words(PAPER).unwrap();
        let (recovery, key) = (paper.key(), mock.status().key);
        let draft = CircleDraft::Add { circle, recovery, key };
        let Ok(Reply::CircleDraft { operation }) = ask(&mock, Request::CircleDraft { draft }).await
        else {
            panic!("no draft")
        };
        let operation = paper.sign(&operation).unwrap();
        let back = details(&mock, Request::CircleSubmit { operation }).await;
        assert_eq!(back.circle.state, CircleState::Invited);
        let back = details(&mock, Request::CircleAccept { circle }).await;
        assert_eq!(back.circle.role, Some(MemberRole::Admin));
        let other = CircleDraft::Add { circle, recovery: NodeKey([7; 32]), key };
        let refused = ask(&mock, Request::CircleDraft { draft: other }).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::CircleRights);
    }
}
