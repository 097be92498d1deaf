//! Circles, invites, questions, and who reached this computer: plain values.
//!
//! A *circle* is a group of nodes that keep a signed list of their members among themselves. What
//! a circle may reach on this computer is decided on this computer ([`CircleAccess`]); the circle
//! can only suggest. An *invite* lets a guest join by a link. A *question* waits for an answer of
//! the person: somebody knocks at a port that no rule names, or a guest wants to be let in.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::friends::{FriendName, LocalService};
use crate::identity::{NodeKey, TargetError, UnixTime, string_in_json};

/// What names a circle for programs: the hash of its first operation, in JSON 64 lower-case
/// hexadecimal digits. It is a secret among members: who knows it may look for them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CircleId(pub [u8; 32]);

impl fmt::Display for CircleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&NodeKey(self.0), f)
    }
}

impl fmt::Debug for CircleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for CircleId {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        text.parse::<NodeKey>().map(|NodeKey(bytes)| Self(bytes))
    }
}

string_in_json!(CircleId, r"^[0-9a-f]{64}$");

/// What a member may do in its circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// Belong to it.
    Member,
    /// Invite, add and remove members below it, and change the circle's name.
    Admin,
}

/// How this computer stands to a circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CircleState {
    /// A link was followed; the node that made it has not answered yet.
    Asking,
    /// Its person has been asked and has not answered yet.
    Waiting,
    /// The link does not let anybody in: used up, over, altered, or never made.
    Refused,
    /// The link's time was over before the node that made it was reached.
    Expired,
    /// The circle's name and members are here; the person of this computer has not agreed yet.
    Invited,
    /// This computer is a member.
    Member,
    /// Another member removed this computer.
    Removed,
    /// This computer left, or declined.
    Left,
}

/// What members of a circle may reach on this computer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CircleAccess {
    /// Whether any of it holds; `false` while the circle is paused here.
    pub enabled: bool,
    /// Whether their echo requests are answered.
    pub echo: bool,
    /// Whether they reach every TCP and UDP port of the machines in this node's subnet.
    pub subnet: bool,
    /// What they reach besides.
    pub services: Vec<LocalService>,
}

/// A circle as this computer has it, without its members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Circle {
    /// What names it for programs.
    pub id: CircleId,
    /// Its name: while asking, the one in the link.
    pub name: FriendName,
    /// How this computer stands to it.
    pub state: CircleState,
    /// What this computer may do in it, or `null` while it is no member.
    pub role: Option<MemberRole>,
    /// Number of members, this computer included where it is one.
    pub members: u64,
    /// Number of nodes that were added and have not agreed yet.
    pub invited: u64,
    /// Number of other members from which something came within the last 60 s.
    pub online: u64,
    /// What its members may reach on this computer.
    pub access: CircleAccess,
    /// What the circle suggests that its members should reach; nothing of it holds by itself.
    pub suggested: Vec<LocalService>,
    /// Whether a key on paper stands above everybody.
    pub recovery: bool,
    /// Who invited or added this computer, or `null` if it began the circle.
    pub inviter: Option<Party>,
    /// When the link that was followed is over, or `null` when none was or it was used.
    pub expires_at: Option<UnixTime>,
    /// When it came to this computer.
    pub added_at: UnixTime,
    /// When this computer and another member last agreed on what they know, or `null` if they have
    /// not yet. What was decided since may not be known here.
    pub synced_at: Option<UnixTime>,
    /// Members that signed two different things under one number, a sign of two nodes with one key
    /// or of a forger: what they say from there on counts for nobody.
    pub forked: Vec<Party>,
}

/// A node as a person knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Party {
    /// Its key.
    pub key: NodeKey,
    /// The friend's name, or `null` for a key that is no friend's.
    pub name: Option<FriendName>,
    /// What a circle calls it, or `null`. Nobody has checked it.
    pub label: Option<FriendName>,
}

/// Whether a node that was added has agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MemberState {
    /// Not yet.
    Invited,
    /// It has.
    Member,
}

/// A member of a circle, or who was added and has not agreed yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Member {
    /// Who it is.
    pub party: Party,
    /// Its address.
    pub address: Ipv6Addr,
    /// Whether it has agreed.
    pub state: MemberState,
    /// What it may do in the circle.
    pub role: MemberRole,
    /// Its rank: who has a smaller one can remove it.
    pub rank: u32,
    /// Whether it is this computer.
    pub own: bool,
    /// Whether something came from it within the last 60 s.
    pub online: bool,
    /// When something last came from it, or `null` if nothing has yet.
    pub last_seen: Option<UnixTime>,
    /// Whether its key is blocked here, which beats everything else.
    pub blocked: bool,
    /// Whether this computer can remove it.
    pub removable: bool,
    /// Who added it, or `null` for those with whom the circle began.
    pub added_by: Option<NodeKey>,
    /// What it alone may reach on this computer, besides what the circle may and what it may as a
    /// friend.
    pub services: Vec<LocalService>,
}

/// A circle with its members and the invites to it that this computer made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CircleDetails {
    /// When this was taken, by the service's clock.
    pub time: UnixTime,
    /// The circle.
    pub circle: Circle,
    /// Its members by rank, then by key; 256 at most.
    pub members: Vec<Member>,
    /// The invites to it that this computer made, the latest first.
    pub invites: Vec<Invite>,
}

/// All circles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CircleList {
    /// When the list was taken, by the service's clock.
    pub time: UnixTime,
    /// The circles by name; 64 at most.
    pub circles: Vec<Circle>,
}

/// What is to change about a circle for all its members; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CircleChange {
    /// The new name.
    #[serde(default)]
    pub name: Option<FriendName>,
    /// What to suggest that members should reach, instead of what was suggested before; at most 16.
    #[serde(default)]
    pub suggest: Option<Vec<LocalService>>,
}

/// What is to change about what a circle may reach on this computer; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CircleAccessChange {
    /// Whether any of it holds.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// Whether echo requests are answered.
    #[serde(default)]
    pub echo: Option<bool>,
    /// Whether the subnet of this node can be reached.
    #[serde(default)]
    pub subnet: Option<bool>,
    /// What may be reached from here on.
    #[serde(default)]
    pub allow: Vec<LocalService>,
    /// What may no longer be reached: taken away before `allow` is added.
    #[serde(default)]
    pub deny: Vec<LocalService>,
}

/// What a key on paper is to sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CircleDraft {
    /// The first operation of a new circle, with this computer as the member under the key.
    Create {
        /// Name of the circle.
        name: FriendName,
        /// The key on paper.
        recovery: NodeKey,
    },
    /// Makes a key an admin of the circle.
    Add {
        /// The circle.
        circle: CircleId,
        /// The key on paper, which must be the circle's.
        recovery: NodeKey,
        /// Who is to become an admin.
        key: NodeKey,
    },
    /// Removes a member, whatever its rank.
    Remove {
        /// The circle.
        circle: CircleId,
        /// The key on paper, which must be the circle's.
        recovery: NodeKey,
        /// Whom.
        key: NodeKey,
    },
}

/// How an invite stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum InviteState {
    /// It lets guests in.
    Open,
    /// It has let in as many as it may.
    Used,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

/// An invite that this computer made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Invite {
    /// Its number on this computer.
    pub id: u64,
    /// The circle it is to.
    pub circle: CircleId,
    /// That circle's name.
    pub circle_name: FriendName,
    /// The link, `planetary:join?…`: whoever has it may join. `null` once it lets nobody in.
    pub link: Option<String>,
    /// How it stands.
    pub state: InviteState,
    /// What guests may do in the circle.
    pub role: MemberRole,
    /// How many guests it lets in.
    pub uses: u32,
    /// How many it has let in.
    pub used: u32,
    /// Whether the person is asked before a guest is let in.
    pub asks: bool,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it is over.
    pub expires_at: UnixTime,
    /// Whom it has let in.
    pub guests: Vec<Party>,
}

/// Invites that this computer made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InviteList {
    /// When the list was taken, by the service's clock.
    pub time: UnixTime,
    /// The invites, the latest first.
    pub invites: Vec<Invite>,
}

/// A circle's number and name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CircleRef {
    /// What names it for programs.
    pub id: CircleId,
    /// Its name.
    pub name: FriendName,
}

/// Something that only the person of this computer can answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Question {
    /// Its number, to answer it with.
    pub id: u64,
    /// When it was asked.
    pub asked_at: UnixTime,
    /// When it is over and counts as answered with no.
    pub until: UnixTime,
    /// What is asked.
    pub subject: Subject,
}

/// What a question is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Subject {
    /// A friend or member wants to reach something that no rule names. Answers: once, always,
    /// circle (where `circles` has one), no.
    Knock {
        /// Who.
        who: Party,
        /// The circles that it shares with this computer.
        circles: Vec<CircleRef>,
        /// What: one protocol, one port.
        service: LocalService,
    },
    /// A guest followed a link and wants to join. Answers: yes, no.
    Guest {
        /// Who. `label` is what the guest calls itself.
        who: Party,
        /// Which circle.
        circle: CircleRef,
        /// The number of the invite.
        invite: u64,
    },
}

/// An answer to a [`Question`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// This time: what is opened within the next minute, as long as it lasts.
    Once,
    /// From here on, for this node.
    Always,
    /// From here on, for the whole circle.
    Circle,
    /// Let the guest in.
    Yes,
    /// No; the same is not asked again for a day.
    No,
}

/// Whether somebody got in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum VisitOutcome {
    /// A connection was opened.
    Opened,
    /// It knocked and was not let in.
    Refused,
}

/// Who reached, or tried to reach, what on this computer. Strangers that reach nothing are not
/// among them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Visit {
    /// Who.
    pub who: Party,
    /// What: one protocol, one port. `null` for echo requests.
    pub service: Option<LocalService>,
    /// Whether it got in.
    pub outcome: VisitOutcome,
    /// How often.
    pub count: u64,
    /// When first.
    pub first_at: UnixTime,
    /// When last.
    pub last_at: UnixTime,
}

/// Who reached what since the service was started, the latest first; 256 at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VisitList {
    /// When the list was taken, by the service's clock.
    pub time: UnixTime,
    /// The visits.
    pub visits: Vec<Visit>,
}

/// How names of the network are answered on this computer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum NamesState {
    /// Not at all: switched off, or there is no interface.
    #[default]
    Off,
    /// At `server`, but the system does not ask there: `hint` says what to do.
    Answering,
    /// Programs of this computer find them.
    Wired,
}

/// Names such as `ada.pln.internal`, which only this computer knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Names {
    /// How they are answered.
    pub state: NamesState,
    /// What all of them end with.
    pub suffix: String,
    /// Where questions are answered, on port 53, or `null` while they are not.
    pub server: Option<Ipv6Addr>,
    /// What of the system asks there, such as `systemd-resolved`, or `null`.
    pub resolver: Option<String>,
    /// What to do so that programs find them, or `null` when nothing is to be done.
    pub hint: Option<String>,
}
