//! Answers about friends, blocked keys, the pause and links.
//!
//! What a client names here becomes an entry of `friends.json` and a rule of the packet filter,
//! nothing else.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use planetary_ipc::friends::{BOOK_VERSION, BookBlocked, BookFriend, ImportRefusal};
use planetary_ipc::{
    ApiError, BlockedKey, BlockedList, ErrorCode, Friend, FriendBook, FriendChange, FriendLink,
    FriendList, FriendName, ImportReport, LinkPeer, NodeKey, Reply, Request, Shared, Status,
    Subnet, Target, UnixTime, limits,
};
use planetary_proto::identity::{Address, Subnet as NodeSubnet};
use serde::Serialize;

use super::{Control, PATH_PATIENCE, unanswered};
use crate::health::Moment;
use crate::node::{ChangeError, Node, core_key};
use crate::policy;
use crate::report::plain;
use crate::state::friends::{self as stored, Friends, FriendsError, Pause, StoreError};

impl Control {
    /// Answers one of the requests about friends.
    pub(super) async fn answer_about_friends(&self, request: Request) -> Result<Reply, ApiError> {
        match request {
            Request::FriendList { after } => Ok(Reply::Friends(self.friend_list(after))),
            Request::FriendBlocked { after } => Ok(Reply::BlockedKeys(self.blocked_list(after))),
            Request::FriendAdd { who, name, echo, services, notes } => {
                let change = FriendChange { echo, allow: services, ..FriendChange::default() };
                let change = FriendChange { notes: Some(notes), ..change };
                let friend = self.add_friend(who, name, change).await;
                self.told(friend.map(Reply::Friend)).await
            }
            Request::FriendRemove { key } => {
                let before = self.friend(&key);
                let removed = self.change(|friends| Ok(friends.remove(&key)?)).await;
                self.told(removed.and(before).map(Reply::Friend)).await
            }
            Request::FriendChange { key, change } => {
                let changed = self.change(|friends| Ok(friends.change(&key, change)?)).await;
                let friend = changed.and_then(|()| self.friend(&key));
                self.told(friend.map(Reply::Friend)).await
            }
            Request::FriendBlock { key, name, notes } => {
                let blocked = self.block(key, name, notes).await;
                self.told(blocked.map(Reply::BlockedKey)).await
            }
            Request::FriendUnblock { key } => {
                let (friends, _) = self.node.friends();
                let before = friends.blocked().get(&key).map(|_| blocked_key(&key, &friends));
                let removed = self.change(|friends| Ok(friends.unblock(&key)?)).await;
                let before = before.ok_or_else(|| refused(FriendsError::NotBlocked(key)));
                self.told(removed.and(before).map(Reply::BlockedKey)).await
            }
            Request::FriendImport { book, overwrite } => {
                let report = self.import(book, overwrite).await;
                self.told(report.map(Reply::Imported)).await
            }
            Request::OpenChange { allow, deny } => {
                let no_sessions = self.node.gives_strangers_no_session();
                let changed = self.change(|friends| {
                    if no_sessions && !allow.is_empty() {
                        return Err(ChangeError::NoSessions);
                    }
                    friends.open(&allow, &deny)?;
                    Ok(friends.everyone().to_vec())
                });
                let changed = changed.await;
                self.told(changed.map(|everyone| Reply::Open { everyone })).await
            }
            Request::Share { name, peers } => {
                let shared = self.share(name, peers).await;
                self.told(shared.map(Reply::Shared)).await
            }
            Request::Pause { for_s } => {
                let until = for_s.map(|seconds| now().saturating_add(seconds));
                self.set_pause(Some(Pause { until })).await
            }
            Request::Resume => self.set_pause(None).await,
            other => {
                let text = format!("the service does not answer `{}`", other.name());
                Err(ApiError::new(ErrorCode::UnknownRequest, text))
            }
        }
    }

    async fn change<T>(
        &self,
        change: impl FnOnce(&mut Friends) -> Result<T, ChangeError>,
    ) -> Result<T, ApiError> {
        self.node.change_friends(change).await.map_err(change_error)
    }

    async fn set_pause(&self, pause: Option<Pause>) -> Result<Reply, ApiError> {
        let set = |friends: &mut Friends| {
            friends.set_pause(pause);
            Ok(())
        };
        self.change(set).await?;
        Ok(Reply::Status(Box::new(Status::clone(&*self.node.publish().await))))
    }

    fn friend_list(&self, after: Option<NodeKey>) -> FriendList {
        let (friends, online) = self.node.friends();
        let rest = friends.friends().keys().filter(|key| Some(**key) > after);
        let entries = rest.map(|key| friend(key, &friends, &online, self.node.host_of(key)));
        let (entries, next) = page(entries.flatten(), |friend| friend.key);
        let everyone = friends.everyone().to_vec();
        FriendList { time: UnixTime(now()), friends: entries, everyone, next }
    }

    fn blocked_list(&self, after: Option<NodeKey>) -> BlockedList {
        let (friends, _) = self.node.friends();
        let rest = friends.blocked().keys().filter(|key| Some(**key) > after);
        let entries = rest.map(|key| blocked_key(key, &friends));
        let (blocked, next) = page(entries, |blocked| blocked.key);
        BlockedList { time: UnixTime(now()), blocked, next }
    }

    fn friend(&self, key: &NodeKey) -> Result<Friend, ApiError> {
        let (friends, online) = self.node.friends();
        let host = self.node.host_of(key);
        friend(key, &friends, &online, host).ok_or_else(|| refused(FriendsError::Unknown(*key)))
    }

    async fn add_friend(
        &self,
        who: Target,
        name: Option<FriendName>,
        change: FriendChange,
    ) -> Result<Friend, ApiError> {
        let key = self.key_of(who).await?;
        self.refuse_own(&key)?;
        let add = |friends: &mut Friends| {
            let name = match name {
                Some(name) => name,
                // Every beginning of the key is taken only if somebody means it.
                None => friends.name_for(&key).ok_or(FriendsError::Unknown(key))?,
            };
            friends.add(key, stored::Friend::new(name, now()))?;
            Ok(friends.change(&key, change)?)
        };
        self.change(add).await?;
        self.friend(&key)
    }

    /// The key of a target. An address of somebody who is known here needs no network.
    async fn key_of(&self, who: Target) -> Result<NodeKey, ApiError> {
        let address = match who {
            Target::Key(key) => return Ok(key),
            Target::Address(address) => address,
        };
        let own = self.node.key();
        if lives_at(&plain(&own), address) {
            return Ok(plain(&own));
        }
        let (friends, _) = self.node.friends();
        let mut known = friends.friends().keys().chain(friends.blocked().keys());
        if let Some(key) = known.find(|key| lives_at(key, address)) {
            return Ok(*key);
        }
        let found = self.engine()?.find_address(address, PATH_PATIENCE).await;
        found.map(|found| plain(&found.key)).map_err(|error| {
            let hint = "the other node must be on; or give its key, which `planetary address \
                        --key` prints there";
            unanswered(who, error).with_hint(hint)
        })
    }

    fn refuse_own(&self, key: &NodeKey) -> Result<(), ApiError> {
        if *key != plain(&self.node.key()) {
            return Ok(());
        }
        let text = "this is the key of this node itself";
        Err(ApiError::new(ErrorCode::InvalidTarget, text)
            .with_hint("give the key of the other node; `planetary share` tells others this one"))
    }

    async fn block(
        &self,
        key: NodeKey,
        name: Option<FriendName>,
        notes: String,
    ) -> Result<BlockedKey, ApiError> {
        self.refuse_own(&key)?;
        let blocked = stored::Blocked { name, notes, blocked_at: now() };
        self.change(|friends| Ok(friends.block(key, blocked)?)).await?;
        let (friends, _) = self.node.friends();
        Ok(blocked_key(&key, &friends))
    }

    async fn import(&self, book: FriendBook, overwrite: bool) -> Result<ImportReport, ApiError> {
        if book.version != BOOK_VERSION {
            let text = format!(
                "the file has version {}, and this program reads version {BOOK_VERSION}",
                book.version
            );
            return Err(ApiError::new(ErrorCode::InvalidFriend, text)
                .with_hint("update this program, or export the friends with an older one"));
        }
        let own = plain(&self.node.key());
        let check = |services: &[_]| self.node.is_at_home(services);
        self.change(|friends| Ok(import(friends, book, overwrite, own, check))).await
    }

    async fn share(
        &self,
        name: Option<FriendName>,
        peers: Option<Vec<String>>,
    ) -> Result<Shared, ApiError> {
        let chosen = chosen_peers(&self.node, peers)?;
        let key = plain(&self.node.key());
        let link = FriendLink { key, name, peers: chosen }.fitting();
        let shared_at = now();
        let share = |friends: &mut Friends| {
            friends.set_shared(shared_at);
            Ok(())
        };
        self.change(share).await?;
        Ok(Shared {
            link: link.to_string(),
            key,
            name: link.name,
            peers: link.peers.iter().map(LinkPeer::to_string).collect(),
            lobby_until: UnixTime(shared_at.saturating_add(policy::LOBBY_S)),
        })
    }
}

fn now() -> u64 {
    Moment::now().unix_s
}

fn lives_at(key: &NodeKey, address: Ipv6Addr) -> bool {
    let key = core_key(key);
    Address::from_ipv6(address) == Some(key.address())
        || NodeSubnet::containing(address) == Some(key.subnet())
}

/// As many entries as fit into an answer, and where to go on.
fn page<T: Serialize>(
    entries: impl Iterator<Item = T>,
    key: impl Fn(&T) -> NodeKey,
) -> (Vec<T>, Option<NodeKey>) {
    let (mut taken, mut len) = (Vec::new(), 0);
    let mut entries = entries.peekable();
    while let Some(entry) = entries.next() {
        len += serde_json::to_string(&entry).map_or(0, |text| text.len());
        let last = key(&entry);
        taken.push(entry);
        if len > limits::FRIENDS_PAGE_LEN_MAX {
            return (taken, entries.peek().map(|_| last));
        }
    }
    (taken, None)
}

fn friend(
    key: &NodeKey,
    friends: &Friends,
    online: &BTreeSet<NodeKey>,
    host: Option<String>,
) -> Option<Friend> {
    let friend = friends.friends().get(key)?.clone();
    let core = core_key(key);
    Some(Friend {
        key: *key,
        name: friend.name,
        address: core.address().to_ipv6(),
        host,
        subnet: Subnet::containing(core.subnet().to_ipv6()),
        echo: friend.echo,
        services: friend.services,
        verified: friend.verified,
        blocked: friends.blocked().contains_key(key),
        notes: friend.notes,
        added_at: UnixTime(friend.added_at),
        last_seen: friend.last_seen.map(UnixTime),
        online: online.contains(key),
    })
}

fn blocked_key(key: &NodeKey, friends: &Friends) -> BlockedKey {
    let entry = friends.blocked().get(key);
    BlockedKey {
        key: *key,
        address: core_key(key).address().to_ipv6(),
        name: friends.name_of_blocked(key).cloned(),
        friend: friends.friends().contains_key(key),
        notes: entry.map(|entry| entry.notes.clone()).unwrap_or_default(),
        blocked_at: UnixTime(entry.map_or(0, |entry| entry.blocked_at)),
    }
}

/// Takes what of a book can be used; a block comes before everything, so it is taken first.
fn import(
    friends: &mut Friends,
    book: FriendBook,
    overwrite: bool,
    own: NodeKey,
    is_at_home: impl Fn(&[planetary_ipc::LocalService]) -> bool,
) -> ImportReport {
    let mut report = ImportReport::default();
    let mut refuse = |key, name, reason: String| {
        report.refused.push(ImportRefusal { key, name, reason });
    };
    let (mut added, mut updated, mut kept, mut blocked) = (0, 0, 0, 0);
    for entry in book.friends {
        let (key, name) = (entry.key, entry.name.clone());
        if key == own {
            refuse(key, Some(name), "it is this node itself".to_owned());
            continue;
        }
        if !is_at_home(&entry.services) {
            let reason = "a service is at an address that is not this computer's";
            refuse(key, Some(name), reason.to_owned());
            continue;
        }
        let is_known = friends.friends().contains_key(&key);
        match (is_known, overwrite) {
            (true, false) => kept += 1,
            (true, true) => match replace(friends, entry) {
                Ok(()) => updated += 1,
                Err(error) => refuse(key, Some(name), error.to_string()),
            },
            (false, _) => match add(friends, entry) {
                Ok(()) => added += 1,
                Err(error) => refuse(key, Some(name), error.to_string()),
            },
        }
    }
    for BookBlocked { key, name, notes } in book.blocked {
        if key == own {
            refuse(key, name, "it is this node itself".to_owned());
        } else if !friends.blocked().contains_key(&key) {
            let entry = stored::Blocked { name: name.clone(), notes, blocked_at: now() };
            match friends.block(key, entry) {
                Ok(()) => blocked += 1,
                Err(error) => refuse(key, name, error.to_string()),
            }
        }
    }
    ImportReport { added, updated, kept, blocked, refused: report.refused }
}

fn add(friends: &mut Friends, entry: BookFriend) -> Result<(), FriendsError> {
    let mut services = Vec::new();
    planetary_ipc::friends::allow(&mut services, &entry.services);
    let friend = stored::Friend::new(entry.name, now());
    let BookFriend { key, echo, verified, notes, .. } = entry;
    friends.add(key, stored::Friend { echo, services, verified, notes, ..friend })
}

fn replace(friends: &mut Friends, entry: BookFriend) -> Result<(), FriendsError> {
    let current = friends.friends().get(&entry.key).ok_or(FriendsError::Unknown(entry.key))?;
    let deny = current.services.clone();
    friends.change(
        &entry.key,
        FriendChange {
            name: Some(entry.name),
            notes: Some(entry.notes),
            verified: Some(entry.verified),
            echo: Some(entry.echo),
            allow: entry.services,
            deny,
        },
    )
}

/// The peers for a link: those that were named, or those of this node.
pub(super) fn chosen_peers(
    node: &Node,
    peers: Option<Vec<String>>,
) -> Result<Vec<LinkPeer>, ApiError> {
    let named = match peers {
        Some(named) => named.iter().map(|uri| read_peer(uri)).collect::<Result<_, _>>()?,
        None => node.public_peers(),
    };
    let mut chosen: Vec<LinkPeer> = Vec::new();
    for peer in named {
        if !chosen.contains(&peer) && chosen.len() < limits::LINK_PEERS_MAX {
            chosen.push(peer);
        }
    }
    Ok(chosen)
}

fn read_peer(uri: &str) -> Result<LinkPeer, ApiError> {
    uri.parse::<LinkPeer>().map_err(|error| {
        let shown = planetary_ipc::status::public_uri(uri);
        ApiError::new(ErrorCode::InvalidUri, format!("{shown} cannot stand in a link: {error}"))
            .with_hint("name a peer in the public internet, such as tls://host.example:443")
    })
}

fn refused(error: FriendsError) -> ApiError {
    change_error(error.into())
}

pub(super) fn change_error(error: ChangeError) -> ApiError {
    use FriendsError as Refused;
    let text = error.to_string();
    match error {
        ChangeError::Refused(error) => {
            let code = match error {
                Refused::Exists(_) | Refused::NameTaken(_) | Refused::NameBlocked(_) => {
                    ErrorCode::FriendExists
                }
                Refused::Blocked(_) => ErrorCode::KeyBlocked,
                Refused::Unknown(_) | Refused::NotBlocked(_) => ErrorCode::FriendNotFound,
                Refused::TooMany(..) => ErrorCode::FriendLimit,
                Refused::StillOpen(_) | Refused::Notes | Refused::Twice(_) => {
                    ErrorCode::InvalidFriend
                }
            };
            let told = ApiError::new(code, text);
            match error {
                Refused::NameTaken(_) | Refused::NameBlocked(_) => {
                    told.with_hint("choose another name")
                }
                Refused::StillOpen(still) => {
                    let (wider, denied) = (still.wider, still.denied);
                    told.with_hint(format!("deny {wider}, and allow what is to stay: not {denied}"))
                }
                Refused::Blocked(key) => {
                    told.with_hint(format!("unblock it first: `planetary friend unblock {key}`"))
                }
                _ => told,
            }
        }
        ChangeError::Elsewhere(_) => ApiError::new(ErrorCode::InvalidFriend, text)
            .with_hint("leave out the address, or give one that `planetary address` shows"),
        ChangeError::NoSessions => ApiError::new(ErrorCode::NotAllowed, text)
            .with_hint("remove `sessions` from the configuration and reload the service"),
        ChangeError::Rules(_) => ApiError::new(ErrorCode::FriendLimit, text),
        ChangeError::Storage(StoreError::TooLong) => ApiError::new(ErrorCode::FriendLimit, text),
        ChangeError::Storage(StoreError::Obstructed(_)) => {
            ApiError::new(ErrorCode::SystemRefused, text)
                .with_hint("move the damaged file away and restart the service")
        }
        ChangeError::Storage(StoreError::System(_)) => {
            ApiError::new(ErrorCode::SystemRefused, text)
                .with_hint("free space on the disk, or check who owns the state folder")
        }
    }
}

#[cfg(test)]
#[path = "friends_tests.rs"]
mod tests;
