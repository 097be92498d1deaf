//! Friends in a file: what export writes and import reads, also on another computer.

use serde::{Deserialize, Serialize};

use super::{BlockedKey, Friend, FriendName, LocalService};
use crate::identity::NodeKey;

/// Version of the book that this crate writes.
pub const BOOK_VERSION: u32 = 1;

/// Friends and blocked keys, without what belongs to one computer alone (when they were seen, what
/// is open to everyone).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FriendBook {
    /// Version of the form: 1.
    pub version: u32,
    /// The friends.
    pub friends: Vec<BookFriend>,
    /// The blocked keys.
    #[serde(default)]
    pub blocked: Vec<BookBlocked>,
}

/// A friend in a book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BookFriend {
    /// Its key.
    pub key: NodeKey,
    /// Its name.
    pub name: FriendName,
    /// Whether its echo requests are answered.
    #[serde(default)]
    pub echo: bool,
    /// What it may reach besides.
    #[serde(default)]
    pub services: Vec<LocalService>,
    /// Whether its key was compared.
    #[serde(default)]
    pub verified: bool,
    /// What was written down about it.
    #[serde(default)]
    pub notes: String,
}

/// A blocked key in a book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BookBlocked {
    /// The key.
    pub key: NodeKey,
    /// The name that was given to it, or `null`.
    #[serde(default)]
    pub name: Option<FriendName>,
    /// Why.
    #[serde(default)]
    pub notes: String,
}

/// What became of a book that was imported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ImportReport {
    /// Friends that are new.
    pub added: u64,
    /// Friends that were here and are as in the book now.
    pub updated: u64,
    /// Friends that were here and stayed as they were.
    pub kept: u64,
    /// Keys that are blocked now and were not before.
    pub blocked: u64,
    /// What was not taken, and why.
    pub refused: Vec<ImportRefusal>,
}

/// An entry of a book that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ImportRefusal {
    /// Its key.
    pub key: NodeKey,
    /// Its name, or `null`.
    pub name: Option<FriendName>,
    /// Why.
    pub reason: String,
}

impl FriendBook {
    /// The book of these friends and blocked keys.
    pub fn new(friends: Vec<Friend>, blocked: Vec<BlockedKey>) -> Self {
        let friends = friends.into_iter().map(|friend| BookFriend {
            key: friend.key,
            name: friend.name,
            echo: friend.echo,
            services: friend.services,
            verified: friend.verified,
            notes: friend.notes,
        });
        let blocked = blocked.into_iter().map(|blocked| BookBlocked {
            key: blocked.key,
            // A friend's name stands with the friend.
            name: blocked.name.filter(|_| !blocked.friend),
            notes: blocked.notes,
        });
        Self { version: BOOK_VERSION, friends: friends.collect(), blocked: blocked.collect() }
    }

    /// Cuts the book into pieces of at most `len_max` bytes of JSON each, as far as single entries
    /// allow. An empty book is one piece.
    pub fn pieces(self, len_max: usize) -> Vec<Self> {
        let empty = || Self { version: self.version, friends: Vec::new(), blocked: Vec::new() };
        let (mut pieces, mut piece, mut len) = (Vec::new(), empty(), 0);
        let mut room = |piece: &mut Self, entry: usize| {
            if len + entry > len_max && len > 0 {
                pieces.push(std::mem::replace(piece, empty()));
                len = 0;
            }
            len += entry;
        };
        for friend in self.friends {
            room(&mut piece, json_len(&friend));
            piece.friends.push(friend);
        }
        for blocked in self.blocked {
            room(&mut piece, json_len(&blocked));
            piece.blocked.push(blocked);
        }
        pieces.push(piece);
        pieces
    }
}

impl ImportReport {
    /// Adds what became of a further piece.
    pub fn join(&mut self, other: Self) {
        self.added += other.added;
        self.updated += other.updated;
        self.kept += other.kept;
        self.blocked += other.blocked;
        self.refused.extend(other.refused);
    }
}

/// Bytes that an entry takes with the comma behind it.
fn json_len<T: Serialize>(entry: &T) -> usize {
    serde_json::to_string(entry).map_or(usize::MAX / 4, |text| text.len() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn friend(number: u8, notes: usize) -> BookFriend {
        BookFriend {
            key: NodeKey([number; 32]),
            name: format!("friend {number}").parse().unwrap(),
            echo: true,
            services: vec!["tcp/22".parse().unwrap()],
            verified: false,
            notes: "x".repeat(notes),
        }
    }

    #[test]
    fn pieces_hold_everything_once_and_fit() {
        let friends: Vec<_> = (0..100).map(|number| friend(number, 900)).collect();
        let blocked = vec![BookBlocked { key: NodeKey([9; 32]), name: None, notes: "no".into() }];
        let book = FriendBook { version: 1, friends, blocked };
        let pieces = book.clone().pieces(10_000);
        assert!(pieces.len() > 10);
        for piece in &pieces {
            assert!(serde_json::to_string(piece).unwrap().len() < 10_100);
        }
        let friends: Vec<_> = pieces.iter().flat_map(|piece| piece.friends.clone()).collect();
        let blocked: Vec<_> = pieces.iter().flat_map(|piece| piece.blocked.clone()).collect();
        assert_eq!(FriendBook { version: 1, friends, blocked }, book);
        let empty = FriendBook::new(Vec::new(), Vec::new());
        assert_eq!(empty.clone().pieces(10), [empty]);
    }

    #[test]
    fn entry_needs_no_more_than_key_and_name() {
        let key = NodeKey([3; 32]);
        let text =
            format!("{{\"version\":1,\"friends\":[{{\"key\":\"{key}\",\"name\":\"Ada\"}}]}}");
        let book: FriendBook = serde_json::from_str(&text).unwrap();
        assert!(!book.friends[0].echo && book.friends[0].services.is_empty());
    }
}
