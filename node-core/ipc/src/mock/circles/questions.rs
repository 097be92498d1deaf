//! Who reached for what, what the person is asked about it, and what becomes of the answers.

use super::{Circles, Here, KNOCK_S, party, person, service};
use crate::circles::{
    Answer, CircleAccessChange, CircleId, CircleRef, Invite, InviteState, Member, MemberRole,
    MemberState, Question, Subject, Visit, VisitOutcome,
};
use crate::error::{ApiError, ErrorCode};
use crate::friends::{self, FriendChange, LocalService};
use crate::identity::{NodeKey, UnixTime};
use crate::mock::friends::Friends;

impl Circles {
    pub(super) fn visit(
        &mut self,
        key: NodeKey,
        service: Option<LocalService>,
        outcome: VisitOutcome,
        now: u64,
    ) {
        let same = |visit: &&mut Visit| {
            (visit.who.key, visit.service, visit.outcome) == (key, service, outcome)
        };
        match self.visits.iter_mut().find(same) {
            Some(visit) => (visit.count, visit.last_at) = (visit.count + 1, UnixTime(now)),
            None => self.visits.push(Visit {
                who: self.party_of(key),
                service,
                outcome,
                count: 1,
                first_at: UnixTime(now),
                last_at: UnixTime(now),
            }),
        }
    }

    pub(super) fn knock(&mut self, key: NodeKey, text: &str, now: u64) {
        let Some(wanted) = service(text) else { return };
        let shared: Vec<_> = self.held.iter().filter(|held| held.has(key)).collect();
        let allowed = shared.iter().any(|held| {
            let own = held.members.iter().filter(|member| member.key() == key);
            let mut lists =
                own.map(|member| &member.services).chain([&held.circle.access.services]);
            lists.any(|list| list.contains(&wanted))
        });
        let circles = shared.iter().map(|held| held.reference()).collect::<Vec<_>>();
        if circles.is_empty() {
            return;
        }
        if allowed {
            return self.visit(key, Some(wanted), VisitOutcome::Opened, now);
        }
        let who = self.party_of(key);
        self.ask(now, now + KNOCK_S, Subject::Knock { who, circles, service: wanted });
    }

    pub(super) fn guest(&mut self, key: NodeKey, now: u64) {
        let is_open = |invite: &&Invite| invite.state == InviteState::Open && invite.asks;
        let Some(invite) = self.invites.iter().find(is_open) else { return };
        let circle = CircleRef { id: invite.circle, name: invite.circle_name.clone() };
        let (until, invite) = (now + 3_600, invite.id);
        let who = party(key, Some("Tim"));
        self.ask(now, until, Subject::Guest { who, circle, invite });
    }

    fn ask(&mut self, now: u64, until: u64, subject: Subject) {
        self.number += 1;
        self.questions.push(Question {
            id: self.number,
            asked_at: UnixTime(now),
            until: UnixTime(until),
            subject,
        });
    }

    pub(super) fn expire(&mut self, now: u64) {
        let is_over = |question: &Question| question.until.0 <= now;
        let over: Vec<_> = self.questions.extract_if(.., |question| is_over(question)).collect();
        for question in over {
            if let Subject::Knock { who, service, .. } = question.subject {
                self.visit(who.key, Some(service), VisitOutcome::Refused, now);
            }
        }
        for invite in self.invites.iter_mut().filter(|invite| invite.expires_at.0 <= now) {
            if invite.state == InviteState::Open {
                (invite.state, invite.link) = (InviteState::Expired, None);
            }
        }
    }

    pub(super) fn settle(
        &mut self,
        number: u64,
        answer: Answer,
        circle: Option<CircleId>,
        here: Here,
        friends: &mut Friends,
    ) -> Result<(), ApiError> {
        let found = self.questions.iter().position(|question| question.id == number);
        let Some(found) = found else {
            let text = format!("no question has the number {number}");
            return Err(ApiError::new(ErrorCode::QuestionNotFound, text));
        };
        let does_not_fit = |hint: &str| {
            let text = "the answer does not fit the question";
            Err(ApiError::new(ErrorCode::InvalidRequest, text).with_hint(hint))
        };
        let subject = self.questions[found].subject.clone();
        let outcome = match (&subject, answer) {
            (Subject::Knock { who, service, .. }, Answer::Always) => {
                self.allow_always(who.key, *service, friends)?;
                VisitOutcome::Opened
            }
            (Subject::Knock { circles, service, .. }, Answer::Circle) => {
                let meant = match (circle, &circles[..]) {
                    (Some(id), _) => circles.iter().find(|circle| circle.id == id),
                    (None, [only]) => Some(only),
                    (None, _) => None,
                };
                let Some(meant) = meant else {
                    return does_not_fit("name one of the circles of the question");
                };
                let allow = vec![*service];
                let change = CircleAccessChange { allow, ..CircleAccessChange::default() };
                self.change_access(meant.id, change)?;
                VisitOutcome::Opened
            }
            (Subject::Knock { .. }, Answer::Once) => VisitOutcome::Opened,
            (Subject::Guest { invite, .. }, Answer::Yes | Answer::No) => {
                if answer == Answer::Yes {
                    self.let_in(&subject, *invite, here);
                }
                VisitOutcome::Refused
            }
            (Subject::Knock { .. }, Answer::No) => VisitOutcome::Refused,
            (Subject::Knock { .. }, Answer::Yes) => {
                return does_not_fit("answer with once, always, circle or no");
            }
            (Subject::Guest { .. }, _) => return does_not_fit("answer with yes or no"),
        };
        if let Subject::Knock { who, service, .. } = subject {
            self.visit(who.key, Some(service), outcome, here.now);
        }
        self.questions.remove(found);
        self.revision += 1;
        Ok(())
    }

    fn allow_always(
        &mut self,
        key: NodeKey,
        service: LocalService,
        friends: &mut Friends,
    ) -> Result<(), ApiError> {
        if friends.name_of(key).is_some() {
            let change = FriendChange { allow: vec![service], ..FriendChange::default() };
            return friends.change(key, change).map(drop);
        }
        let members = self.held.iter_mut().flat_map(|held| &mut held.members);
        for member in members.filter(|member| member.key() == key).take(1) {
            friends::allow(&mut member.services, &[service]);
        }
        Ok(())
    }

    fn let_in(&mut self, subject: &Subject, number: u64, here: Here) {
        let Subject::Guest { who, circle, .. } = subject else { return };
        let Ok(index) = self.index(circle.id) else { return };
        let label = who.label.as_ref().map(ToString::to_string);
        let guest = person(who.key, label.as_deref(), MemberRole::Member, 2, Some(here.own));
        self.held[index].members.push(Member { state: MemberState::Invited, ..guest });
        for invite in self.invites.iter_mut().filter(|invite| invite.id == number) {
            invite.used += 1;
            invite.guests.push(who.clone());
            if invite.used >= invite.uses {
                (invite.state, invite.link) = (InviteState::Used, None);
            }
        }
    }
}
