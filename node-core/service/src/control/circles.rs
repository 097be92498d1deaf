//! Answers about circles, invites, questions and visits.
//!
//! What a client names here becomes an entry of `circles.json`, an operation of a circle's log or a
//! rule of the packet filter, nothing else. No answer and no error but `invite` holds a token.

use base64ct::{Base64, Encoding};
use planetary_circles::exchange::ActError;
use planetary_circles::log::RuleError;
use planetary_circles::{Reached, Settled};
use planetary_ipc::{
    Answer, ApiError, CircleAccessChange, CircleChange, CircleDetails, CircleId, CircleList,
    CircleState, ErrorCode, FriendChange, InviteList, JoinLink, LocalService, MemberRole, NodeKey,
    Reply, Request, Status, UnixTime, VisitList, limits,
};

use super::{Control, friends::change_error, friends::chosen_peers};
use crate::health::Moment;
use crate::node::{Asked, Asking, ChangeError, CircleError, NewInvite, suggestion};
use crate::policy;
use crate::report::circles::visit;
use crate::report::plain;
use crate::state::circles::{CirclesError, StoreError};
use crate::state::friends::FriendsError;

impl Control {
    /// Answers one of the requests about circles.
    pub(super) async fn answer_about_circles(&self, request: Request) -> Result<Reply, ApiError> {
        match request {
            Request::CircleList => Ok(Reply::Circles(self.circle_list())),
            Request::CircleShow { circle } => self.circle(&circle).map(Reply::Circle),
            Request::CircleCreate { name } => {
                let made = self.node.create_circle(&name).await;
                self.told_of(made).await
            }
            Request::CircleDraft { draft } => {
                let bytes = self.node.draft_for_paper(draft).map_err(circle_error)?;
                Ok(Reply::CircleDraft { operation: Base64::encode_string(&bytes) })
            }
            Request::CircleSubmit { operation } => {
                let bytes = Base64::decode_vec(&operation).map_err(|_| not_signed())?;
                let taken = self.node.submit_of_paper(&bytes).await;
                self.told_of(taken).await
            }
            Request::CircleChange { circle, change } => {
                self.change_circle(&circle, change).await?;
                self.told_of(Ok(circle)).await
            }
            Request::CircleAdd { circle, key, role, label } => {
                let hint = "another admin can change what this node may do in the circle";
                self.refuse_itself(&key, hint)?;
                self.refuse_blocked(&key)?;
                let added = self.node.add_to_circle(&circle, &key, role, label.as_ref()).await;
                self.told_of(added.map(|()| circle)).await
            }
            Request::CircleRemove { circle, key } => {
                let hint = "`planetary circle leave` takes this node out of a circle";
                self.refuse_itself(&key, hint)?;
                let removed = self.node.remove_from_circle(&circle, &key).await;
                self.told_of(removed.map(|()| circle)).await
            }
            Request::CircleAccept { circle } => {
                self.expect(&circle, &[CircleState::Invited], "is not waiting for an answer")?;
                let accepted = self.node.accept_circle(&circle).await;
                self.told_of(accepted.map(|()| circle)).await
            }
            Request::CircleLeave { circle } => {
                use CircleState::{Asking, Invited, Member, Waiting};
                let may = [Member, Invited, Asking, Waiting];
                self.expect(
                    &circle,
                    &may,
                    "is not one that this computer is in or on its way into",
                )?;
                let left = self.node.leave_circle(&circle).await;
                self.told_of(left.map(|()| circle)).await
            }
            Request::CircleForget { circle } => {
                let before = self.circle(&circle)?;
                self.node.forget_circle(&circle).await.map_err(circle_error)?;
                self.told(Ok(Reply::Circle(before))).await
            }
            Request::CircleAccess { circle, change } => {
                let changed = self.change_access(&circle, &change).await;
                self.told_of(changed.map(|()| circle)).await
            }
            Request::MemberAccess { circle, key, allow, deny } => {
                self.change_member(&circle, &key, &allow, &deny).await?;
                self.told_of(Ok(circle)).await
            }
            Request::InviteCreate { circle, role, uses, valid_s, asks, peers } => {
                let peers = chosen_peers(&self.node, peers)?;
                let new = NewInvite {
                    role: role.unwrap_or(MemberRole::Member),
                    uses: uses.unwrap_or(1),
                    valid_s: valid_s.unwrap_or(limits::INVITE_VALID_S_DEFAULT),
                    asks,
                    peers: peers.iter().map(ToString::to_string).collect(),
                };
                let number = self.node.make_invite(&circle, new).await.map_err(circle_error)?;
                self.told(self.invite(number)).await
            }
            Request::InviteList => Ok(Reply::Invites(self.invite_list())),
            Request::InviteRevoke { invite } => {
                self.node.revoke_invite(invite).await.map_err(circle_error)?;
                self.told(self.invite(invite)).await
            }
            Request::CircleJoin { link, label } => {
                let link: JoinLink =
                    link.parse().map_err(|error: planetary_ipc::link::LinkError| {
                        ApiError::new(ErrorCode::InvalidLink, error.to_string())
                    })?;
                self.check_link(&link)?;
                let joined = self.node.join_circle(&link, label).await;
                self.told_of(joined.map(|()| link.circle)).await
            }
            Request::QuestionAnswer { question, answer, circle } => {
                self.settle(question, answer, circle).await?;
                Ok(Reply::Status(Box::new(Status::clone(&*self.node.publish().await))))
            }
            Request::VisitList => Ok(Reply::Visits(self.visit_list())),
            other => {
                let text = format!("the service does not answer `{}`", other.name());
                Err(ApiError::new(ErrorCode::UnknownRequest, text))
            }
        }
    }

    async fn told_of(&self, done: Result<CircleId, CircleError>) -> Result<Reply, ApiError> {
        let circle = done.map_err(circle_error).and_then(|id| self.circle(&id));
        self.told(circle.map(Reply::Circle)).await
    }

    fn circle_list(&self) -> CircleList {
        let (friends, _) = self.node.friends();
        let mut circles = self.node.look_at_circles(|facts| facts.circle(&friends));
        circles.sort_by_key(|circle| (circle.name.folded(), circle.id));
        CircleList { time: UnixTime(now()), circles }
    }

    fn circle(&self, id: &CircleId) -> Result<Box<CircleDetails>, ApiError> {
        let (friends, _) = self.node.friends();
        let details = self.node.look_at_circle(id, |facts| facts.details(&friends, now()));
        details.map(Box::new).ok_or_else(|| circle_error(CirclesError::Unknown(*id).into()))
    }

    fn invite(&self, number: u64) -> Result<Reply, ApiError> {
        let all = self.invite_list();
        let found = all.invites.into_iter().find(|invite| invite.id == number);
        let found = found.map(Box::new).map(Reply::Invite);
        found.ok_or_else(|| circle_error(CirclesError::NoInvite(number).into()))
    }

    fn invite_list(&self) -> InviteList {
        let (friends, _) = self.node.friends();
        let all = self.node.look_at_circles(|facts| {
            let of_circle =
                facts.circles.invites().iter().filter(|(_, invite)| invite.circle == *facts.id);
            let told = of_circle.map(|(id, invite)| facts.invite(*id, invite, &friends, now()));
            told.collect::<Vec<_>>()
        });
        let mut invites: Vec<_> = all.into_iter().flatten().collect();
        invites.sort_by_key(|invite| std::cmp::Reverse(invite.id));
        InviteList { time: UnixTime(now()), invites }
    }

    fn visit_list(&self) -> VisitList {
        let (friends, _) = self.node.friends();
        let visits = self.node.visited();
        let visits =
            visits.iter().map(|visited| visit(visited, &friends, self.node.label_of(&visited.key)));
        VisitList { time: UnixTime(now()), visits: visits.collect() }
    }

    fn expect(
        &self,
        id: &CircleId,
        states: &[CircleState],
        otherwise: &str,
    ) -> Result<(), ApiError> {
        let state = self.node.state_of_circle(id).map_err(|error| circle_error(error.into()))?;
        if states.contains(&state) {
            return Ok(());
        }
        let text = format!("the circle {otherwise}: its state is `{}`", word(state));
        Err(ApiError::new(ErrorCode::InvalidCircle, text)
            .with_hint("`planetary circle list` shows the circles and their states"))
    }

    async fn change_circle(&self, id: &CircleId, change: CircleChange) -> Result<(), ApiError> {
        let CircleChange { name, suggest } = change;
        if name.is_none() && suggest.is_none() {
            let text = "neither a name nor suggestions were given, so there is nothing to change";
            return Err(ApiError::new(ErrorCode::InvalidCircle, text));
        }
        let suggested = suggest.map(|services| {
            let mut list = Vec::new();
            planetary_ipc::friends::allow(&mut list, &services);
            list.iter().map(|service| suggestion(service).ok_or(*service)).collect()
        });
        let suggested = suggested.transpose().map_err(|service: LocalService| {
            let text = format!("{service} cannot be suggested");
            ApiError::new(ErrorCode::InvalidCircle, text).with_hint(
                "suggest TCP or UDP ports without an address, such as tcp/22 or udp/5000-5010",
            )
        })?;
        self.node.rename_circle(id, name.as_ref(), suggested).await.map_err(circle_error)
    }

    async fn change_access(
        &self,
        id: &CircleId,
        change: &CircleAccessChange,
    ) -> Result<(), CircleError> {
        self.node.change_circles(|record| Ok(record.change_access(id, change)?)).await
    }

    async fn change_member(
        &self,
        id: &CircleId,
        key: &NodeKey,
        allow: &[LocalService],
        deny: &[LocalService],
    ) -> Result<(), ApiError> {
        if *key == plain(&self.node.key()) || !self.node.is_member_of(id, key) {
            self.node.state_of_circle(id).map_err(|error| circle_error(error.into()))?;
            let text = format!("{key} is no other member of this circle");
            return Err(ApiError::new(ErrorCode::InvalidCircle, text)
                .with_hint("`planetary circle show` lists the members"));
        }
        let changed =
            self.node.change_circles(|record| Ok(record.change_member(id, key, allow, deny)?));
        changed.await.map_err(circle_error)
    }

    /// Says before anything is asked what cannot come to anything.
    fn check_link(&self, link: &JoinLink) -> Result<(), ApiError> {
        let invalid = |text: &str| ApiError::new(ErrorCode::InvalidLink, text);
        if link.inviter == plain(&self.node.key()) {
            return Err(invalid("this computer made the link itself")
                .with_hint("give the link to whom you want to invite"));
        }
        if link.expires.0 <= now() {
            return Err(invalid("the time of the link is over")
                .with_hint("ask for a new one; or correct the clock of this computer"));
        }
        self.refuse_blocked(&link.inviter)
    }

    fn refuse_blocked(&self, key: &NodeKey) -> Result<(), ApiError> {
        let (friends, _) = self.node.friends();
        if friends.blocked().contains_key(key) {
            return Err(change_error(FriendsError::Blocked(*key).into()));
        }
        Ok(())
    }

    fn refuse_itself(&self, key: &NodeKey, hint: &str) -> Result<(), ApiError> {
        if *key != plain(&self.node.key()) {
            return Ok(());
        }
        let text = "this is the key of this node itself";
        Err(ApiError::new(ErrorCode::InvalidCircle, text).with_hint(hint))
    }

    async fn settle(
        &self,
        question: u64,
        answer: Answer,
        circle: Option<CircleId>,
    ) -> Result<(), ApiError> {
        let gone = || {
            let text = "the question was answered already, or its time is over";
            ApiError::new(ErrorCode::QuestionNotFound, text)
        };
        let asked = self.node.find_question(question).ok_or_else(gone)?;
        let settled = match &asked.about {
            Asking::Knock { key, reached } => {
                self.settle_knock(key, *reached, answer, circle).await
            }
            Asking::Guest { .. } => self.settle_guest(&asked, answer).await,
        };
        match settled {
            Ok(true) => {
                self.node.end_question(question);
                Ok(())
            }
            Ok(false) => {
                self.node.end_question(question);
                Err(gone())
            }
            Err(error) => Err(error),
        }
    }

    /// Does what was answered to a knock. Returns whether it was in time.
    async fn settle_knock(
        &self,
        key: &NodeKey,
        reached: Reached,
        answer: Answer,
        circle: Option<CircleId>,
    ) -> Result<bool, ApiError> {
        let service = policy::plain_service(reached).into_iter().collect::<Vec<_>>();
        match answer {
            Answer::Once => return Ok(self.node.settle_knock(key, reached, Settled::Once)),
            Answer::Always => self.allow_always(key, service).await?,
            Answer::Circle => {
                let shared = self.node.circles_shared_with(key);
                let id = match (circle, &shared[..]) {
                    (Some(circle), shared) if shared.contains(&circle) => circle,
                    (None, [only]) => *only,
                    (None, [_, ..]) => {
                        let text = "several circles are shared, and the answer names none of them";
                        return Err(ApiError::new(ErrorCode::InvalidCircle, text)
                            .with_hint("name the circle that is meant"));
                    }
                    _ => {
                        let text = "the circle is not one that is shared with who knocked";
                        return Err(ApiError::new(ErrorCode::InvalidCircle, text)
                            .with_hint("answer `once`, `always` or `no`"));
                    }
                };
                let change = CircleAccessChange { allow: service, ..CircleAccessChange::default() };
                self.change_access(&id, &change).await.map_err(circle_error)?;
            }
            Answer::No => {
                let in_time = self.node.settle_knock(key, reached, Settled::Refused);
                self.node.decline_knock(*key, reached).await.map_err(circle_error)?;
                return Ok(in_time);
            }
            Answer::Yes => return Err(wrong_answer("`once`, `always`, `circle` or `no`")),
        }
        // The rules let it in by now; what is left is a question that nobody has to answer. A yes
        // for a minute would outlast a later no.
        let _ = self.node.settle_knock(key, reached, Settled::Refused);
        Ok(true)
    }

    async fn allow_always(
        &self,
        key: &NodeKey,
        service: Vec<LocalService>,
    ) -> Result<(), ApiError> {
        let (friends, _) = self.node.friends();
        if friends.friends().contains_key(key) {
            let change = FriendChange { allow: service, ..FriendChange::default() };
            let changed = self.node.change_friends(|friends| Ok(friends.change(key, change)?));
            return changed.await.map_err(change_error);
        }
        let shared = self.node.circles_shared_with(key);
        let id = shared.first().ok_or_else(|| {
            let text = "who knocked is neither a friend nor in a circle any more";
            ApiError::new(ErrorCode::QuestionNotFound, text)
        })?;
        let changed =
            self.node.change_circles(|record| Ok(record.change_member(id, key, &service, &[])?));
        changed.await.map_err(circle_error)
    }

    /// Does what was answered about a guest. Returns whether it still waited.
    async fn settle_guest(&self, asked: &Asked, answer: Answer) -> Result<bool, ApiError> {
        let yes = match answer {
            Answer::Yes => true,
            Answer::No => false,
            _ => return Err(wrong_answer("`yes` or `no`")),
        };
        match self.node.settle_guest(asked, yes).await {
            Ok(()) => Ok(true),
            Err(CircleError::Act(ActError::NoCircle | ActError::Rule(RuleError::InviteUsed))) => {
                Ok(false)
            }
            Err(error) => Err(circle_error(error)),
        }
    }
}

fn now() -> u64 {
    Moment::now().unix_s
}

fn wrong_answer(those: &str) -> ApiError {
    let text = format!("the question can be answered with {those}");
    ApiError::new(ErrorCode::InvalidRequest, text)
}

fn not_signed() -> ApiError {
    let text = "this is not what a key on paper has signed";
    ApiError::new(ErrorCode::InvalidCircle, text)
        .with_hint("prepare it anew, and sign it with the words of the circle's key on paper")
}

fn word(state: CircleState) -> &'static str {
    match state {
        CircleState::Asking => "asking",
        CircleState::Waiting => "waiting",
        CircleState::Refused => "refused",
        CircleState::Expired => "expired",
        CircleState::Invited => "invited",
        CircleState::Member => "member",
        CircleState::Removed => "removed",
        CircleState::Left => "left",
    }
}

fn circle_error(error: CircleError) -> ApiError {
    let text = error.to_string();
    match error {
        CircleError::Refused(error) => refused(&error, text),
        CircleError::Act(error) => act_error(error, text),
        CircleError::Storage(StoreError::TooLong(_)) => ApiError::new(ErrorCode::CircleLimit, text),
        CircleError::Storage(StoreError::Obstructed(_)) => {
            ApiError::new(ErrorCode::SystemRefused, text)
                .with_hint("move the damaged file away and restart the service")
        }
        CircleError::Storage(StoreError::System(_)) => {
            ApiError::new(ErrorCode::SystemRefused, text)
                .with_hint("free space on the disk, or check who owns the state folder")
        }
        CircleError::Rules(ChangeError::Elsewhere(_)) => {
            ApiError::new(ErrorCode::InvalidCircle, text)
                .with_hint("leave out the address, or give one that `planetary address` shows")
        }
        CircleError::Rules(ChangeError::Rules(_)) => ApiError::new(ErrorCode::CircleLimit, text),
        CircleError::Rules(error) => change_error(error),
    }
}

fn refused(error: &CirclesError, text: String) -> ApiError {
    match error {
        CirclesError::Unknown(_) => ApiError::new(ErrorCode::CircleNotFound, text),
        CirclesError::NoInvite(_) => ApiError::new(ErrorCode::InviteNotFound, text),
        CirclesError::TooMany(..) => ApiError::new(ErrorCode::CircleLimit, text),
        CirclesError::Exists => ApiError::new(ErrorCode::InvalidCircle, text)
            .with_hint("`planetary circle show` tells how it stands"),
        CirclesError::OwnLink => ApiError::new(ErrorCode::InvalidLink, text)
            .with_hint("give the link to whom you want to invite"),
        CirclesError::StillOpen(still) => {
            let (wider, denied) = (still.wider, still.denied);
            ApiError::new(ErrorCode::InvalidCircle, text)
                .with_hint(format!("deny {wider}, and allow what is to stay: not {denied}"))
        }
        CirclesError::Twice(_) => ApiError::new(ErrorCode::Internal, text),
    }
}

fn act_error(error: ActError, text: String) -> ApiError {
    use RuleError as Rule;
    match error {
        ActError::NoCircle => ApiError::new(ErrorCode::CircleNotFound, text),
        ActError::TooManyCircles => ApiError::new(ErrorCode::CircleLimit, text)
            .with_hint("forget a circle that is not needed first"),
        ActError::TooManyInvites => ApiError::new(ErrorCode::CircleLimit, text)
            .with_hint("take back an invite that is not needed first"),
        ActError::Settling => ApiError::new(ErrorCode::Busy, text).with_hint(
            "try again in half a minute: the service has just started, and first asks other \
             members what it has missed",
        ),
        ActError::Operation(_) | ActError::Place(_) => not_signed(),
        ActError::Rule(rule) => match rule {
            Rule::NotAdmin | Rule::NotSenior | Rule::Outranked => {
                ApiError::new(ErrorCode::CircleRights, text)
            }
            Rule::NoMembership => ApiError::new(ErrorCode::InvalidCircle, text)
                .with_hint("`planetary circle show` lists the members"),
            Rule::AlreadyMember => ApiError::new(ErrorCode::InvalidCircle, text)
                .with_hint("leave the circle first, or look at it with `planetary circle show`"),
            Rule::TooManyMembers | Rule::TooManyAdmins | Rule::Full => {
                ApiError::new(ErrorCode::CircleLimit, text)
            }
            Rule::Forked => ApiError::new(ErrorCode::CircleRights, text).with_hint(
                "two nodes have used this key: let somebody of a higher rank remove it, and join \
                 with a new identity",
            ),
            _ => ApiError::new(ErrorCode::InvalidCircle, text),
        },
        _ => ApiError::new(ErrorCode::InvalidCircle, text),
    }
}

#[cfg(test)]
#[path = "circles_tests.rs"]
mod tests;
