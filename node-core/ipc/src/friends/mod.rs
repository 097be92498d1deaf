//! Friends, blocked keys, and who else may reach this computer: plain values.
//!
//! A *friend* is a key with a name that the person of this computer chose, and a list of what it
//! may reach here. Friends are known by their keys; names are for people, unique, and never come
//! from the network without a yes. [`FriendName`] and [`LocalService`] exist only if they are well
//! formed; which of them may be stored together is decided by the service.

mod access;
mod book;
mod find;
mod name;
mod services;

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

pub use access::{Access, Audience, Dropped, Pause};
pub use book::{BOOK_VERSION, BookBlocked, BookFriend, FriendBook, ImportRefusal, ImportReport};
pub use find::{FindError, find};
pub use name::{EVERYONE, FriendName, NameError};
pub use services::{LocalService, Protocol, ServiceError, StillOpen, allow, deny};

use crate::error::{ApiError, ErrorCode};
use crate::identity::{NodeKey, Subnet, UnixTime};
use crate::limits;

/// A friend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Friend {
    /// Its key.
    pub key: NodeKey,
    /// The name that was chosen for it here, unique whatever its case.
    pub name: FriendName,
    /// Its address.
    pub address: Ipv6Addr,
    /// Its name for programs of this computer, such as `ada.pln.internal`, or `null` where its name
    /// makes none or another friend's makes the same.
    pub host: Option<String>,
    /// Its subnet.
    pub subnet: Subnet,
    /// Whether this computer answers its echo requests.
    pub echo: bool,
    /// What it may reach here besides.
    pub services: Vec<LocalService>,
    /// Whether the person has compared the key with the friend.
    pub verified: bool,
    /// Whether the key is blocked, which beats everything else.
    pub blocked: bool,
    /// What the person wrote down about it.
    pub notes: String,
    /// When it was added.
    pub added_at: UnixTime,
    /// When something last came from it, or `null` if nothing has yet. Right to ten minutes after a
    /// restart.
    pub last_seen: Option<UnixTime>,
    /// Whether something came from it within the last 60 s.
    pub online: bool,
}

/// Friends in the order of their keys, or a part of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FriendList {
    /// When the list was taken, by the service's clock.
    pub time: UnixTime,
    /// The friends.
    pub friends: Vec<Friend>,
    /// What is open to everyone.
    pub everyone: Vec<LocalService>,
    /// The key to ask for the rest with, or `null` when this was the end.
    pub next: Option<NodeKey>,
}

/// A key that nothing passes to or from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BlockedKey {
    /// The key.
    pub key: NodeKey,
    /// Its address.
    pub address: Ipv6Addr,
    /// The friend's name, or the one that was given when it was blocked, or `null`.
    pub name: Option<FriendName>,
    /// Whether the key is a friend's as well.
    pub friend: bool,
    /// Why, in the person's own words.
    pub notes: String,
    /// When it was blocked.
    pub blocked_at: UnixTime,
}

/// Blocked keys in their order, or a part of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BlockedList {
    /// When the list was taken, by the service's clock.
    pub time: UnixTime,
    /// The keys.
    pub blocked: Vec<BlockedKey>,
    /// The key to ask for the rest with, or `null` when this was the end.
    pub next: Option<NodeKey>,
}

/// What is to change about a friend; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FriendChange {
    /// The new name.
    #[serde(default)]
    pub name: Option<FriendName>,
    /// The new notes; empty for none.
    #[serde(default)]
    pub notes: Option<String>,
    /// Whether the key was compared.
    #[serde(default)]
    pub verified: Option<bool>,
    /// Whether echo requests are answered.
    #[serde(default)]
    pub echo: Option<bool>,
    /// What it may reach from here on.
    #[serde(default)]
    pub allow: Vec<LocalService>,
    /// What it may no longer reach: taken away before `allow` is added.
    #[serde(default)]
    pub deny: Vec<LocalService>,
}

/// The link that makes this node a friend of whoever follows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Shared {
    /// The link, `planetary:friend?k=…`.
    pub link: String,
    /// The key in it.
    pub key: NodeKey,
    /// The name in it, or `null`.
    pub name: Option<FriendName>,
    /// The peers in it.
    pub peers: Vec<String>,
    /// Until when strangers who followed the link are listened to.
    pub lobby_until: UnixTime,
}

/// Checks the notes of a friend or of a blocked key.
///
/// # Errors
/// [`ErrorCode::InvalidFriend`] for notes that are too long or have control characters other than
/// line breaks.
pub fn check_notes(notes: &str) -> Result<(), ApiError> {
    let wrong = if notes.len() > limits::FRIEND_NOTES_LEN_MAX {
        format!("the notes have {} bytes, where {} fit", notes.len(), limits::FRIEND_NOTES_LEN_MAX)
    } else if notes.chars().any(|letter| letter.is_control() && letter != '\n') {
        "the notes hold a control character".to_owned()
    } else {
        return Ok(());
    };
    Err(ApiError::new(ErrorCode::InvalidFriend, wrong))
}

/// Checks how many services a request names.
///
/// # Errors
/// [`ErrorCode::InvalidFriend`] for too many.
pub fn check_services(services: &[LocalService]) -> Result<(), ApiError> {
    let (count, most) = (services.len(), limits::FRIEND_SERVICES_MAX);
    if count <= most {
        return Ok(());
    }
    Err(ApiError::new(ErrorCode::InvalidFriend, format!("{count} services, where {most} fit")))
}
