//! Who may reach this computer, as a status tells it.

use serde::{Deserialize, Serialize};

use super::LocalService;
use crate::identity::UnixTime;
use crate::status::Direction;

/// Whom a setting means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// No node.
    Nobody,
    /// Friends, and members of this computer's circles.
    #[default]
    Circles,
    /// Every node that is not blocked.
    Everyone,
}

impl Audience {
    /// The word as it is written in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Circles => "circles",
            Self::Everyone => "everyone",
        }
    }
}

/// A pause: nobody may open anything on this computer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Pause {
    /// When it ends by itself, or `null` when it lasts until `resume`.
    pub until: Option<UnixTime>,
}

/// Packets that the packet filter did not let pass, for one reason and in one direction, since the
/// node was switched on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Dropped {
    /// Why, in words that stay the same, such as `no rule`.
    pub reason: String,
    /// `in` for packets of others, `out` for packets of this computer.
    pub direction: Direction,
    /// How many.
    pub packets: u64,
}

/// Who may reach this computer through the network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Access {
    /// Who may open connections here: `circles` stands for what friends and everyone were allowed
    /// one by one.
    pub inbound: Audience,
    /// Whose echo requests are answered: `circles` stands for friends that may.
    pub echo: Audience,
    /// Who may open a session.
    pub sessions: Audience,
    /// The pause, or `null` while there is none.
    pub paused: Option<Pause>,
    /// Number of friends.
    pub friends: u64,
    /// Number of circles of which this computer is a member.
    pub circles: u64,
    /// Number of their other members, each counted once.
    pub members: u64,
    /// Number of blocked keys.
    pub blocked: u64,
    /// What is open to everyone, one by one.
    pub everyone: Vec<LocalService>,
    /// Until when strangers who followed a shared link are listened to, or `null` when they are
    /// not.
    pub lobby_until: Option<UnixTime>,
}
