//! The friends of the mock service: enough rules to show every answer and the usual refusals.

use super::world::{SUFFIX, address_of, subnet_of};
use crate::error::{ApiError, ErrorCode};
use crate::friends::{
    self, Access, Audience, BlockedKey, BlockedList, Friend, FriendBook, FriendChange, FriendList,
    FriendName, ImportRefusal, ImportReport, LocalService, Pause, Shared,
};
use crate::identity::{NodeKey, UnixTime};
use crate::link::{FriendLink, LinkPeer};

/// How long strangers who followed a link are listened to.
const LOBBY_S: u64 = 48 * 3600;

/// Who may reach the mock node.
#[derive(Debug)]
pub(super) struct Friends {
    friends: Vec<Friend>,
    blocked: Vec<BlockedKey>,
    everyone: Vec<LocalService>,
    pause: Option<Pause>,
    shared_at: Option<u64>,
    pub(super) revision: u64,
}

impl Friends {
    /// One friend that is online, one that has never been seen, and a blocked key.
    pub(super) fn new(online: NodeKey, unseen: NodeKey, blocked: NodeKey, now: u64) -> Self {
        let mut all = Self {
            friends: Vec::new(),
            blocked: Vec::new(),
            everyone: Vec::new(),
            pause: None,
            shared_at: None,
            revision: 0,
        };
        let added = UnixTime(now - 30 * 86_400);
        all.friends.push(Friend {
            services: read(&["tcp/22", "tcp/8000-8100"]),
            verified: true,
            notes: "the one with the library".to_owned(),
            added_at: added,
            last_seen: Some(UnixTime(now)),
            online: true,
            ..friend(online, named("Ada"), added)
        });
        all.friends.push(friend(unseen, named("Uncle Bob"), UnixTime(now - 3600)));
        all.blocked.push(BlockedKey {
            key: blocked,
            address: address_of(blocked),
            name: Some(named("Mallory")),
            friend: false,
            notes: "knocked on every door".to_owned(),
            blocked_at: added,
        });
        all.sort();
        all
    }

    pub(super) fn access(&self, now: u64) -> Access {
        Access {
            circles: 0,
            members: 0,
            inbound: Audience::Circles,
            echo: Audience::Circles,
            sessions: match self.everyone.is_empty() {
                true => Audience::Circles,
                false => Audience::Everyone,
            },
            paused: self.pause.filter(|pause| pause.until.is_none_or(|until| until.0 > now)),
            friends: self.friends.len() as u64,
            blocked: self.blocked.len() as u64,
            everyone: self.everyone.clone(),
            lobby_until: self
                .shared_at
                .map(|at| UnixTime(at + LOBBY_S))
                .filter(|until| until.0 > now),
        }
    }

    pub(super) fn name_of(&self, key: NodeKey) -> Option<FriendName> {
        self.friends.iter().find(|friend| friend.key == key).map(|friend| friend.name.clone())
    }

    pub(super) fn is_blocked(&self, key: NodeKey) -> bool {
        self.blocked.iter().any(|blocked| blocked.key == key)
    }

    pub(super) fn list(&self, after: Option<NodeKey>, now: u64) -> FriendList {
        let rest = self.friends.iter().filter(|friend| Some(friend.key) > after);
        let (friends, everyone) = (rest.cloned().collect(), self.everyone.clone());
        FriendList { time: UnixTime(now), friends, everyone, next: None }
    }

    pub(super) fn blocked(&self, after: Option<NodeKey>, now: u64) -> BlockedList {
        let rest = self.blocked.iter().filter(|blocked| Some(blocked.key) > after);
        BlockedList { time: UnixTime(now), blocked: rest.cloned().collect(), next: None }
    }

    pub(super) fn add(
        &mut self,
        key: NodeKey,
        own: NodeKey,
        name: Option<FriendName>,
        change: FriendChange,
        now: u64,
    ) -> Result<Friend, ApiError> {
        if key == own {
            return Err(ApiError::new(ErrorCode::InvalidTarget, "this is this node's own key")
                .with_hint("a node needs no friendship with itself"));
        }
        if let Some(friend) = self.friends.iter().find(|friend| friend.key == key) {
            let text = format!("the key is a friend already, called {}", friend.name);
            return Err(ApiError::new(ErrorCode::FriendExists, text));
        }
        if self.blocked.iter().any(|blocked| blocked.key == key) {
            return Err(ApiError::new(ErrorCode::KeyBlocked, format!("{key} is blocked")));
        }
        let name = name.unwrap_or_else(|| named(&key.to_string()[..8]));
        self.friends.push(friend(key, named("new"), UnixTime(now)));
        let stored = self.change(key, FriendChange { name: Some(name), ..change });
        if stored.is_err() {
            self.friends.retain(|friend| friend.key != key);
        }
        self.sort();
        stored
    }

    pub(super) fn remove(&mut self, key: NodeKey) -> Result<Friend, ApiError> {
        let friend = self.find(key)?.clone();
        self.friends.retain(|friend| friend.key != key);
        self.revision += 1;
        Ok(friend)
    }

    pub(super) fn change(
        &mut self,
        key: NodeKey,
        change: FriendChange,
    ) -> Result<Friend, ApiError> {
        let mut changed = self.find(key)?.clone();
        if let Some(name) = change.name {
            let same = |other: &&Friend| other.key != key && other.name.folded() == name.folded();
            if let Some(other) = self.friends.iter().find(same) {
                let text = format!("another friend is called {}", other.name);
                return Err(ApiError::new(ErrorCode::FriendExists, text));
            }
            changed.host = host(&name);
            changed.name = name;
        }
        friends::deny(&mut changed.services, &change.deny)
            .map_err(|error| ApiError::new(ErrorCode::InvalidFriend, error.to_string()))?;
        friends::allow(&mut changed.services, &change.allow);
        changed.notes = change.notes.unwrap_or(changed.notes);
        changed.verified = change.verified.unwrap_or(changed.verified);
        changed.echo = change.echo.unwrap_or(changed.echo);
        self.friends.iter_mut().filter(|friend| friend.key == key).for_each(|friend| {
            *friend = changed.clone();
        });
        self.revision += 1;
        Ok(changed)
    }

    pub(super) fn block(
        &mut self,
        key: NodeKey,
        name: Option<FriendName>,
        notes: String,
        now: u64,
    ) -> BlockedKey {
        let friend = self.friends.iter_mut().find(|friend| friend.key == key);
        let blocked = BlockedKey {
            key,
            address: address_of(key),
            friend: friend.is_some(),
            name: friend.as_ref().map(|friend| friend.name.clone()).or(name),
            notes,
            blocked_at: UnixTime(now),
        };
        if let Some(friend) = friend {
            friend.blocked = true;
        }
        self.blocked.retain(|blocked| blocked.key != key);
        self.blocked.push(blocked.clone());
        self.sort();
        blocked
    }

    pub(super) fn unblock(&mut self, key: NodeKey) -> Result<BlockedKey, ApiError> {
        let found = self.blocked.iter().position(|blocked| blocked.key == key);
        let Some(index) = found else {
            return Err(ApiError::new(ErrorCode::FriendNotFound, format!("{key} is not blocked")));
        };
        self.friends.iter_mut().filter(|friend| friend.key == key).for_each(|friend| {
            friend.blocked = false;
        });
        self.revision += 1;
        Ok(self.blocked.remove(index))
    }

    pub(super) fn import(&mut self, book: FriendBook, own: NodeKey, now: u64) -> ImportReport {
        let mut report = ImportReport::default();
        for entry in book.friends {
            if self.find(entry.key).is_ok() {
                report.kept += 1;
                continue;
            }
            let change = FriendChange {
                notes: Some(entry.notes),
                verified: Some(entry.verified),
                echo: Some(entry.echo),
                allow: entry.services,
                ..FriendChange::default()
            };
            match self.add(entry.key, own, Some(entry.name.clone()), change, now) {
                Ok(_) => report.added += 1,
                Err(error) => report.refused.push(ImportRefusal {
                    key: entry.key,
                    name: Some(entry.name),
                    reason: error.message,
                }),
            }
        }
        for entry in book.blocked {
            if !self.blocked.iter().any(|blocked| blocked.key == entry.key) {
                self.block(entry.key, entry.name, entry.notes, now);
                report.blocked += 1;
            }
        }
        report
    }

    pub(super) fn open(
        &mut self,
        allow: &[LocalService],
        deny: &[LocalService],
    ) -> Result<Vec<LocalService>, ApiError> {
        friends::deny(&mut self.everyone, deny)
            .map_err(|error| ApiError::new(ErrorCode::InvalidFriend, error.to_string()))?;
        friends::allow(&mut self.everyone, allow);
        self.revision += 1;
        Ok(self.everyone.clone())
    }

    pub(super) fn share(
        &mut self,
        key: NodeKey,
        name: Option<FriendName>,
        peers: Option<Vec<String>>,
        now: u64,
    ) -> Result<Shared, ApiError> {
        let chosen = peers.unwrap_or_else(|| {
            // Another peer has a password, and a third no name.
            vec!["tls://frankfurt.example:443".into()]
        });
        let read = |uri: &String| {
            uri.parse::<LinkPeer>().map_err(|error| {
                let text = format!("{}: {error}", crate::status::public_uri(uri));
                ApiError::new(ErrorCode::InvalidUri, text)
            })
        };
        let peers = chosen.iter().map(read).collect::<Result<_, _>>()?;
        let link = FriendLink { key, name, peers }.fitting();
        self.shared_at = Some(now);
        Ok(Shared {
            link: link.to_string(),
            key,
            name: link.name,
            peers: link.peers.iter().map(LinkPeer::to_string).collect(),
            lobby_until: UnixTime(now + LOBBY_S),
        })
    }

    pub(super) fn pause(&mut self, for_s: Option<u64>, now: u64) {
        let until = for_s.map(|seconds| UnixTime(now + seconds));
        self.pause = Some(Pause { until });
    }

    pub(super) fn resume(&mut self) {
        self.pause = None;
    }

    fn find(&self, key: NodeKey) -> Result<&Friend, ApiError> {
        self.friends.iter().find(|friend| friend.key == key).ok_or_else(|| {
            ApiError::new(ErrorCode::FriendNotFound, format!("no friend has the key {key}"))
        })
    }

    fn sort(&mut self) {
        self.friends.sort_by_key(|friend| friend.key);
        self.blocked.sort_by_key(|blocked| blocked.key);
        self.revision += 1;
    }
}

fn friend(key: NodeKey, name: FriendName, added_at: UnixTime) -> Friend {
    Friend {
        key,
        host: host(&name),
        name,
        address: address_of(key),
        subnet: subnet_of(key),
        echo: true,
        services: Vec::new(),
        verified: false,
        blocked: false,
        notes: String::new(),
        added_at,
        last_seen: None,
        online: false,
    }
}

/// The name of a friend for programs, where it is one of letters that need no thought.
fn host(name: &FriendName) -> Option<String> {
    let label = name.folded().replace(' ', "-");
    let fits = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    fits.then(|| format!("{label}.{SUFFIX}"))
}

/// A name of the mock network; all of them are well formed.
#[expect(clippy::unwrap_used, reason = "a text of this crate or digits of a key")]
pub(super) fn named(text: &str) -> FriendName {
    text.parse().unwrap()
}

pub(super) fn read(services: &[&str]) -> Vec<LocalService> {
    services.iter().filter_map(|text| text.parse().ok()).collect()
}
