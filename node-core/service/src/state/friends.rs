//! `friends.json`: friends, blocked keys, what is open to everyone, the pause, and when a link was
//! last shared.
//!
//! [`Friends`] exists only if everything in it is within bounds and agrees: keys and names are
//! unique, no friend is called like a blocked stranger. A change is made on a copy, stored, and
//! taken over when both succeeded, so a refused change leaves nothing behind.
//!
//! The file is read at start and written whole on every change that a person makes. What a packet
//! changes (when a friend was last seen) is written with the next of these, or by
//! [`FriendsKeeper::see`] every ten minutes. A damaged file is set aside and never
//! overwritten. Nobody is a friend then, and since a block or a pause may have been lost with it,
//! nobody may open anything here until the person says so: the new file begins with a pause.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use planetary_circles::limits::{BLOCKED_MAX, PEOPLE_MAX, RULES_MAX, SERVICES_PER_PERSON_MAX};
use planetary_ipc::friends::{self, StillOpen};
use planetary_ipc::{FriendChange, FriendName, LocalService, NodeKey, limits};
use serde::{Deserialize, Serialize};

use super::StateDir;
use super::atomic::{self, Disk, OsDisk};
use super::record::{self, Damage, Loaded, Record, RecordError};

/// Most friends: the other half of the people that the packet filter knows is for circles. Enough
/// for anybody; at the bound a further friend is refused.
pub const FRIENDS_MAX: usize = PEOPLE_MAX / 2;

/// Largest file, in bytes: sixteen thousand friends with ordinary notes. A change that would make
/// it larger is refused.
pub const FILE_LEN_MAX: u64 = 16 << 20;

/// Time between two writes of what friends' packets changed, in seconds.
pub const SEEN_INTERVAL_S: u64 = 600;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Friends {
    friends: BTreeMap<NodeKey, Friend>,
    blocked: BTreeMap<NodeKey, Blocked>,
    everyone: Vec<LocalService>,
    pause: Option<Pause>,
    shared_at: Option<u64>,
}

/// A friend, without its key. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Friend {
    /// The name that the person chose.
    pub name: FriendName,
    /// Whether its echo requests are let in.
    pub echo: bool,
    /// What it may reach besides, sorted.
    pub services: Vec<LocalService>,
    /// Whether the person has compared the key.
    pub verified: bool,
    /// In the person's own words.
    pub notes: String,
    /// When it was added.
    pub added_at: u64,
    /// When something last came from it.
    pub last_seen: Option<u64>,
}

/// A blocked key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// What to call a key that is no friend's.
    pub name: Option<FriendName>,
    /// Why it is blocked.
    pub notes: String,
    /// When it was, in seconds since 1970.
    pub blocked_at: u64,
}

/// Nobody may open anything here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Until this second since 1970; `None` until it is ended.
    pub until: Option<u64>,
}

/// The file as it is written. Lists, because JSON names are no place for keys.
#[derive(Serialize, Deserialize)]
struct Stored {
    friends: Vec<Keyed<Friend>>,
    blocked: Vec<Keyed<Blocked>>,
    everyone: Vec<LocalService>,
    pause: Option<Pause>,
    shared_at: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct Keyed<T> {
    key: NodeKey,
    #[serde(flatten)]
    entry: T,
}

/// Why a change is refused, or a file is damaged. Nothing is changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FriendsError {
    /// The key is a friend's.
    #[error("the key is a friend already, called {0}")]
    Exists(FriendName),
    /// The name is another friend's.
    #[error("another friend is called {0}")]
    NameTaken(FriendName),
    /// The name is that of a blocked key.
    #[error("a blocked key is called {0}")]
    NameBlocked(FriendName),
    /// The key is blocked.
    #[error("{0} is blocked")]
    Blocked(NodeKey),
    /// No friend has the key.
    #[error("no friend has the key {0}")]
    Unknown(NodeKey),
    /// The key is not blocked.
    #[error("{0} is not blocked")]
    NotBlocked(NodeKey),
    /// A bound is reached.
    #[error("more than {0} {1}")]
    TooMany(usize, &'static str),
    /// Part of a wider service would stay open.
    #[error(transparent)]
    StillOpen(#[from] StillOpen),
    /// Notes that are too long.
    #[error("the notes are too long or hold control characters")]
    Notes,
    /// A key stands in the file twice.
    #[error("the key {0} stands there twice")]
    Twice(NodeKey),
}

impl Friend {
    /// A new friend: it may send echo requests and reach nothing else.
    #[must_use]
    pub fn new(name: FriendName, added_at: u64) -> Self {
        Self {
            name,
            echo: true,
            services: Vec::new(),
            verified: false,
            notes: String::new(),
            added_at,
            last_seen: None,
        }
    }
}

impl Pause {
    /// Whether the pause holds at this second.
    #[must_use]
    pub fn holds(&self, unix_s: u64) -> bool {
        self.until.is_none_or(|until| unix_s < until)
    }
}

impl Friends {
    /// The friends by key.
    #[must_use]
    pub fn friends(&self) -> &BTreeMap<NodeKey, Friend> {
        &self.friends
    }

    /// The blocked keys.
    #[must_use]
    pub fn blocked(&self) -> &BTreeMap<NodeKey, Blocked> {
        &self.blocked
    }

    /// What is open to everyone, sorted.
    #[must_use]
    pub fn everyone(&self) -> &[LocalService] {
        &self.everyone
    }

    /// The pause that holds at this second.
    #[must_use]
    pub fn paused(&self, unix_s: u64) -> Option<Pause> {
        self.pause.filter(|pause| pause.holds(unix_s))
    }

    /// When a link to this node was last shared, in seconds since 1970.
    #[must_use]
    pub fn shared_at(&self) -> Option<u64> {
        self.shared_at
    }

    /// The name of a blocked key: the friend's, or its own.
    #[must_use]
    pub fn name_of_blocked(&self, key: &NodeKey) -> Option<&FriendName> {
        let own = self.blocked.get(key)?.name.as_ref();
        self.friends.get(key).map(|friend| &friend.name).or(own)
    }

    /// A name for a key that was given none: its first digits, as many as it takes.
    #[must_use]
    pub fn name_for(&self, key: &NodeKey) -> Option<FriendName> {
        let digits = key.to_string();
        let names = (8..=limits::FRIEND_NAME_CHARS_MAX).filter_map(|len| digits.get(..len));
        names.filter_map(|name| name.parse().ok()).find(|name| self.check_name(key, name).is_ok())
    }

    /// Adds a friend.
    ///
    /// # Errors
    /// [`FriendsError`].
    pub fn add(&mut self, key: NodeKey, friend: Friend) -> Result<(), FriendsError> {
        if let Some(friend) = self.friends.get(&key) {
            return Err(FriendsError::Exists(friend.name.clone()));
        }
        if self.blocked.contains_key(&key) {
            return Err(FriendsError::Blocked(key));
        }
        self.insert(key, friend)
    }

    /// Adds or replaces a friend.
    fn insert(&mut self, key: NodeKey, friend: Friend) -> Result<(), FriendsError> {
        self.check_name(&key, &friend.name)?;
        check_services(&friend.services)?;
        check_notes(&friend.notes)?;
        if !self.friends.contains_key(&key) && self.friends.len() >= FRIENDS_MAX {
            return Err(FriendsError::TooMany(FRIENDS_MAX, "friends"));
        }
        self.friends.insert(key, friend);
        Ok(())
    }

    /// Removes a friend, and with it all it may do. A block stays, with the friend's name.
    ///
    /// # Errors
    /// [`FriendsError::Unknown`].
    pub fn remove(&mut self, key: &NodeKey) -> Result<Friend, FriendsError> {
        let friend = self.friends.remove(key).ok_or(FriendsError::Unknown(*key))?;
        if let Some(blocked) = self.blocked.get_mut(key) {
            blocked.name = Some(friend.name.clone());
        }
        Ok(friend)
    }

    /// Changes a friend.
    ///
    /// # Errors
    /// [`FriendsError`].
    pub fn change(&mut self, key: &NodeKey, change: FriendChange) -> Result<(), FriendsError> {
        let mut friend = self.friends.get(key).ok_or(FriendsError::Unknown(*key))?.clone();
        friends::deny(&mut friend.services, &change.deny)?;
        friends::allow(&mut friend.services, &change.allow);
        friend.name = change.name.unwrap_or(friend.name);
        friend.notes = change.notes.unwrap_or(friend.notes);
        friend.verified = change.verified.unwrap_or(friend.verified);
        friend.echo = change.echo.unwrap_or(friend.echo);
        self.insert(*key, friend)
    }

    /// Blocks a key, or replaces what is written about one that is blocked. The name is for a key
    /// that is no friend's.
    ///
    /// # Errors
    /// [`FriendsError`].
    pub fn block(&mut self, key: NodeKey, mut blocked: Blocked) -> Result<(), FriendsError> {
        if self.friends.contains_key(&key) {
            blocked.name = None;
        }
        if let Some(name) = &blocked.name {
            self.check_name(&key, name)?;
        }
        check_notes(&blocked.notes)?;
        if !self.blocked.contains_key(&key) && self.blocked.len() >= BLOCKED_MAX {
            return Err(FriendsError::TooMany(BLOCKED_MAX, "blocked keys"));
        }
        self.blocked.insert(key, blocked);
        Ok(())
    }

    /// Ends a block.
    ///
    /// # Errors
    /// [`FriendsError::NotBlocked`].
    pub fn unblock(&mut self, key: &NodeKey) -> Result<Blocked, FriendsError> {
        self.blocked.remove(key).ok_or(FriendsError::NotBlocked(*key))
    }

    /// Closes and opens services to everyone.
    ///
    /// # Errors
    /// [`FriendsError`].
    pub fn open(
        &mut self,
        allow: &[LocalService],
        deny: &[LocalService],
    ) -> Result<(), FriendsError> {
        let mut everyone = self.everyone.clone();
        friends::deny(&mut everyone, deny)?;
        friends::allow(&mut everyone, allow);
        if everyone.len() > RULES_MAX {
            return Err(FriendsError::TooMany(RULES_MAX, "services that are open to everyone"));
        }
        self.everyone = everyone;
        Ok(())
    }

    /// Begins, changes or ends the pause.
    pub fn set_pause(&mut self, pause: Option<Pause>) {
        self.pause = pause;
    }

    /// Remembers that a link was shared.
    pub fn set_shared(&mut self, unix_s: u64) {
        self.shared_at = Some(unix_s);
    }

    /// Remembers that something came from a friend. Returns whether that is news.
    pub fn see(&mut self, key: &NodeKey, unix_s: u64) -> bool {
        let Some(friend) = self.friends.get_mut(key) else { return false };
        let is_news = friend.last_seen < Some(unix_s);
        if is_news {
            friend.last_seen = Some(unix_s);
        }
        is_news
    }

    /// Whether `name` can be that of `key`: nobody else has it, whatever its case.
    fn check_name(&self, key: &NodeKey, name: &FriendName) -> Result<(), FriendsError> {
        let folded = name.folded();
        let taken =
            |(other, friend): &(&NodeKey, &Friend)| *other != key && friend.name.folded() == folded;
        if self.friends.iter().any(|entry| taken(&entry)) {
            return Err(FriendsError::NameTaken(name.clone()));
        }
        let is_called = |(other, blocked): (&NodeKey, &Blocked)| {
            other != key && blocked.name.as_ref().is_some_and(|name| name.folded() == folded)
        };
        if self.blocked.iter().any(is_called) {
            return Err(FriendsError::NameBlocked(name.clone()));
        }
        Ok(())
    }
}

fn check_services(services: &[LocalService]) -> Result<(), FriendsError> {
    if services.len() > SERVICES_PER_PERSON_MAX {
        return Err(FriendsError::TooMany(SERVICES_PER_PERSON_MAX, "services of a friend"));
    }
    Ok(())
}

fn check_notes(notes: &str) -> Result<(), FriendsError> {
    friends::check_notes(notes).map_err(|_| FriendsError::Notes)
}

impl TryFrom<Stored> for Friends {
    type Error = FriendsError;

    fn try_from(stored: Stored) -> Result<Self, FriendsError> {
        let mut all = Self { pause: stored.pause, shared_at: stored.shared_at, ..Self::default() };
        all.open(&stored.everyone, &[])?;
        let mut names = BTreeSet::new();
        for Keyed { key, entry } in stored.friends {
            // Each name is looked for once, where `insert` would go through all of them.
            if !names.insert(entry.name.folded()) {
                return Err(FriendsError::NameTaken(entry.name));
            }
            check_services(&entry.services)?;
            check_notes(&entry.notes)?;
            if all.friends.insert(key, entry).is_some() {
                return Err(FriendsError::Twice(key));
            }
        }
        for Keyed { key, entry } in stored.blocked {
            if let Some(name) = &entry.name
                && !names.insert(name.folded())
            {
                return Err(FriendsError::NameTaken(name.clone()));
            }
            check_notes(&entry.notes)?;
            if all.blocked.insert(key, entry).is_some() {
                return Err(FriendsError::Twice(key));
            }
        }
        if all.friends.len() > FRIENDS_MAX {
            return Err(FriendsError::TooMany(FRIENDS_MAX, "friends"));
        }
        if all.blocked.len() > BLOCKED_MAX {
            return Err(FriendsError::TooMany(BLOCKED_MAX, "blocked keys"));
        }
        Ok(all)
    }
}

impl From<Friends> for Stored {
    fn from(all: Friends) -> Self {
        fn keyed<T>(map: BTreeMap<NodeKey, T>) -> Vec<Keyed<T>> {
            map.into_iter().map(|(key, entry)| Keyed { key, entry }).collect()
        }
        Self {
            friends: keyed(all.friends),
            blocked: keyed(all.blocked),
            everyone: all.everyone,
            pause: all.pause,
            shared_at: all.shared_at,
        }
    }
}

impl Record for Friends {
    const FILE_NAME: &'static str = "friends.json";
    const LEN_MAX: u64 = FILE_LEN_MAX;
}

/// Keeps `friends.json`.
#[derive(Debug)]
pub struct FriendsKeeper {
    path: PathBuf,
    /// What the file holds, but for when friends were last seen.
    stored: Friends,
    /// Whether a friend was seen since the file was written.
    seen: bool,
    /// When it was last written for what packets changed, in seconds since 1970.
    seen_stored_at: u64,
    /// Whether a damaged file is still in the place of the good one.
    obstructed: bool,
}

/// Why friends could not be stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A damaged file could not be set aside and must not be overwritten.
    #[error("{} is damaged and in the way; move it away and restart the service", .0.display())]
    Obstructed(PathBuf),
    /// The file would be larger than is ever read.
    #[error("the list of friends would be longer than {FILE_LEN_MAX} bytes")]
    TooLong,
    /// The system refused.
    #[error("the friends cannot be stored: {0}")]
    System(#[from] io::Error),
}

impl FriendsKeeper {
    /// Reads the file; a missing one is nobody. Returns what was wrong with it, if it was.
    ///
    /// # Errors
    /// [`RecordError`]; the service must not start then.
    pub fn load(dir: &StateDir, unix_s: u64) -> Result<(Self, Option<Damage>), RecordError> {
        let Loaded { mut record, damage } = record::load::<Friends>(dir, unix_s)?;
        if damage.is_some() {
            record.set_pause(Some(Pause { until: None }));
        }
        let mut keeper = Self {
            path: dir.path().join(Friends::FILE_NAME),
            stored: record,
            seen: false,
            seen_stored_at: unix_s,
            obstructed: damage.as_ref().is_some_and(|damage| damage.kept.is_err()),
        };
        if damage.is_some() && !keeper.obstructed {
            // Else the next start would find no file, and no pause. A disk that refuses is told of
            // with the first change.
            let _ = keeper.store(keeper.stored.clone());
        }
        Ok((keeper, damage))
    }

    /// What is stored.
    #[must_use]
    pub fn friends(&self) -> &Friends {
        &self.stored
    }

    /// Stores `friends` in the place of what was.
    ///
    /// # Errors
    /// [`StoreError`]; the old file and the old friends are in place then.
    pub fn store(&mut self, friends: Friends) -> Result<(), StoreError> {
        if self.obstructed {
            return Err(StoreError::Obstructed(self.path.clone()));
        }
        store_with(&OsDisk, &self.path, &friends)?;
        self.stored = friends;
        self.seen = false;
        Ok(())
    }

    /// Remembers who was heard from, and writes it if that was not done for ten minutes.
    ///
    /// # Errors
    /// [`StoreError`]; it is tried again after ten further minutes.
    pub fn see(
        &mut self,
        seen: impl IntoIterator<Item = (NodeKey, u64)>,
        unix_s: u64,
    ) -> Result<(), StoreError> {
        for (key, at) in seen {
            self.seen |= self.stored.see(&key, at);
        }
        // A clock that was set back counts as well.
        if unix_s.abs_diff(self.seen_stored_at) < SEEN_INTERVAL_S {
            return Ok(());
        }
        self.settle(unix_s)
    }

    /// Writes what packets changed since the last write, if anything.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn settle(&mut self, unix_s: u64) -> Result<(), StoreError> {
        self.seen_stored_at = unix_s;
        if self.obstructed || !self.seen {
            return Ok(());
        }
        store_with(&OsDisk, &self.path, &self.stored)?;
        self.seen = false;
        Ok(())
    }
}

pub(super) fn store_with(
    disk: &impl Disk,
    path: &Path,
    friends: &Friends,
) -> Result<(), StoreError> {
    let text = record::to_text(friends).map_err(io::Error::from)?;
    if u64::try_from(text.len()).is_ok_and(|len| len > FILE_LEN_MAX) {
        return Err(StoreError::TooLong);
    }
    Ok(atomic::replace(disk, path, text.as_bytes(), atomic::PRIVATE)?)
}

#[cfg(test)]
#[path = "friends_tests.rs"]
mod tests;
