//! Invites of the mock node, and links of others that it follows.

use super::{Circles, Held, Here, Join, circle, invalid, party, person, seen};
use crate::circles::{
    Circle, CircleId, CircleState, Invite, InviteState, Member, MemberRole, MemberState,
};
use crate::error::{ApiError, ErrorCode};
use crate::friends::FriendName;
use crate::identity::{NodeKey, UnixTime};
use crate::link::{JoinLink, LinkPeer, TOKEN_LEN};
use crate::mock::friends::read;
use crate::mock::peer::scatter;
use crate::mock::world::made_up_key;

impl Circles {
    pub(super) fn open_invite(
        &mut self,
        index: usize,
        own: NodeKey,
        now: u64,
        valid_s: u64,
        peers: Option<Vec<LinkPeer>>,
    ) -> Invite {
        let circle = &self.held[index].circle;
        self.number += 1;
        let mut token = [0; TOKEN_LEN];
        for (word, chunk) in (0..).zip(token.chunks_exact_mut(8)) {
            chunk.copy_from_slice(&scatter(0x70c + self.number, word).to_be_bytes());
        }
        let usual = || "tls://frankfurt.example:443".parse().ok();
        let link = JoinLink {
            circle: circle.id,
            inviter: own,
            token: token.into(),
            expires: UnixTime(now + valid_s),
            name: circle.name.clone(),
            peers: peers.unwrap_or_else(|| usual().into_iter().collect()),
        };
        Invite {
            id: self.number,
            circle: circle.id,
            circle_name: circle.name.clone(),
            link: Some(link.fitting().to_string()),
            state: InviteState::Open,
            role: MemberRole::Member,
            uses: 1,
            used: 0,
            asks: false,
            created_at: UnixTime(now),
            expires_at: UnixTime(now + valid_s),
            guests: Vec::new(),
        }
    }

    pub(super) fn join(
        &mut self,
        link: &str,
        label: Option<FriendName>,
        here: Here,
    ) -> Result<CircleId, ApiError> {
        let wrong = |text: String| ApiError::new(ErrorCode::InvalidLink, text);
        let link: JoinLink = link.parse().map_err(|error| wrong(format!("{error}")))?;
        if link.inviter == here.own {
            return Err(wrong("this computer made the link itself".to_owned())
                .with_hint("send it to whom you want to invite"));
        }
        if let Ok(index) = self.index(link.circle) {
            let Circle { state, name, .. } = &self.held[index].circle;
            if matches!(state, CircleState::Member | CircleState::Invited) {
                return Err(invalid(format!("this computer is in {name} already")));
            }
            self.held.remove(index);
        }
        let state = match link.expires.0 <= here.now {
            true => CircleState::Expired,
            false => CircleState::Asking,
        };
        let asks = link.token[TOKEN_LEN - 1] & 1 == 1;
        let refused = *link.token == [0; TOKEN_LEN];
        self.held.push(Held {
            members: Vec::new(),
            paper: None,
            join: Some(Join { at: here.now, asks, refused, label }),
            circle: Circle {
                state,
                inviter: Some(party(link.inviter, None)),
                expires_at: Some(link.expires),
                ..circle(link.circle, link.name.as_str(), here.now)
            },
        });
        self.revision += 1;
        Ok(link.circle)
    }

    /// The other side of a link that was followed.
    pub(super) fn go_on_joining(&mut self, id: CircleId, here: Here) {
        let Ok(index) = self.index(id) else { return };
        let held = &mut self.held[index];
        let Some(join) = &held.join else { return };
        let since = here.now - join.at;
        let before = held.circle.state;
        held.circle.state = match (before, join.refused, join.asks) {
            (CircleState::Asking, true, _) if since >= 2 => CircleState::Refused,
            (CircleState::Asking, false, true) if since >= 2 => CircleState::Waiting,
            (CircleState::Asking, false, false) if since >= 2 => CircleState::Invited,
            (CircleState::Asking, ..)
                if held.circle.expires_at.is_some_and(|at| at.0 <= here.now) =>
            {
                CircleState::Expired
            }
            (CircleState::Waiting, ..) if since >= 6 => CircleState::Invited,
            (state, ..) => state,
        };
        if held.circle.state == before {
            return;
        }
        self.revision += 1;
        if held.circle.state == CircleState::Invited
            && let Some(inviter) = held.circle.inviter.clone()
        {
            let label = join.label.as_ref().map(ToString::to_string);
            let own = person(here.own, label.as_deref(), MemberRole::Member, 1, Some(inviter.key));
            let other = seen(made_up_key(0x221), "Nadia", 1, inviter.key, Some(0));
            let admin = Member {
                online: true,
                ..person(inviter.key, Some("Front desk"), MemberRole::Admin, 0, None)
            };
            held.members = vec![admin, other, Member { state: MemberState::Invited, ..own }];
            held.circle.inviter = Some(party(inviter.key, Some("Front desk")));
            held.circle.suggested = read(&["tcp/8080"]);
            held.join = None;
        }
    }
}

pub(super) fn read_peers(peers: &[String]) -> Result<Vec<LinkPeer>, ApiError> {
    let read = |uri: &String| {
        uri.parse::<LinkPeer>().map_err(|error| {
            let text = format!("{}: {error}", crate::status::public_uri(uri));
            ApiError::new(ErrorCode::InvalidUri, text)
        })
    };
    peers.iter().map(read).collect()
}
