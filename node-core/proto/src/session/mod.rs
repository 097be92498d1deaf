//! End-to-end encryption between two nodes (chapter 7).
//!
//! [`handshake`] composes and opens the two handshake messages, with the secrets of [`groups`], and
//! [`keys`] holds the ratchet. The keys of a session live in two halves, so that sealing and
//! opening need not wait for each other: the [`Opener`] is the authority on all keys, the
//! [`Sealer`] is told by it. [`contacts`] decides when to greet whom; it belongs to the control
//! half and reaches the keys through [`SessionTable`]. [`warm`] says which sessions are kept though
//! nobody uses them. [`fast`] is what two nodes of this program put on top of all that.

mod contacts;
mod fast;
mod groups;
mod handshake;
mod keys;
mod warm;

pub(crate) use contacts::{Contacts, Greeting, Silent};
pub use fast::{
    ANSWER_LEN, AnswerError, FAST_HEAD_LEN, FastKeys, FastOpener, FastSealer, FastState,
    Generations, OFFER_LEN, OfferError, Offered, Parties, ReplayWindow, Suite, Suites,
    answer_offer, fast_head, generation_of,
};
pub(crate) use fast::{Negotiations, Saying, Taken};
pub use groups::{Groups, GroupsError};
pub use handshake::{GroupSecret, HANDSHAKE_LEN};
pub(crate) use handshake::{Handshake, HandshakeKind, compose, open_handshake};
pub use keys::{OpenError, Opened, Opener, SEAL_OVERHEAD_MAX, Sealer, SealerKeys};
pub(crate) use warm::Warm;

use crate::{identity::NodeKey, time::Instant, wire::Coords};

/// First payload byte of a session message that carries data.
pub const SESSION_TRAFFIC: u8 = 3;
/// First payload byte of a packet of a fast session (`docs/fast-session.md`).
pub const SESSION_FAST: u8 = 0x50;

/// What the rules of this machine say of a key, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nothing passes to or from it: no session, whoever begins it.
    Blocked,
    /// Its greetings are not answered, unless this node has called it.
    Stranger,
    /// It may say who it is and ask to join a circle: a short session without IPv6 and without
    /// services.
    Guest,
    /// This machine speaks with it: a session, but no services. It may ask to join a circle.
    Wanted,
    /// A session, and answers to what nodes ask each other.
    Welcome,
}

/// The sessions as the control half sees them. The data half implements it, with whatever locks it
/// needs.
pub trait SessionTable {
    /// What the rules say of `key`. Asked before a greeting is opened, so it has to be quick. A
    /// table without rules of its own welcomes everybody, as the reference does.
    fn standing(&mut self, _key: &NodeKey, _now: Instant) -> Standing {
        Standing::Welcome
    }

    /// Lets only messages between nodes pass in a session, or everything. A session begins with
    /// everything.
    fn confine(&mut self, _key: &NodeKey, _is_guest: bool) {}

    /// Keeps a new session, replacing an older one of the same key.
    fn open(&mut self, key: NodeKey, opener: Opener, sealer: Sealer);

    /// Forgets a session.
    fn close(&mut self, key: &NodeKey);

    /// Lets `change` at both halves of a session, the opener first; `None` if there is no such
    /// session.
    fn with<R>(
        &mut self,
        key: &NodeKey,
        change: impl FnOnce(&mut Opener, &mut Sealer) -> R,
    ) -> Option<R>;

    /// Tells where the far end of a session is, `None` when that is not known.
    fn set_path(&mut self, key: &NodeKey, path: Option<&Coords>);

    /// When a packet of the session last arrived and opened.
    fn last_heard(&self, key: &NodeKey) -> Option<Instant>;

    /// When a packet of the session was last sealed.
    fn last_said(&self, key: &NodeKey) -> Option<Instant>;

    /// Takes in the keys of a further generation of the session's fast session, as
    /// [`Generations::add`] does. A table without fast sessions leaves them out.
    fn add_fast(&mut self, _key: &NodeKey, _keys: FastKeys) {}

    /// Seals in the compatible session from here on, until there are further keys; packets under
    /// those that are there still open ([`Generations::fall_back`]).
    fn fall_back(&mut self, _key: &NodeKey) {}

    /// Forgets all keys of a fast session.
    fn drop_fast(&mut self, _key: &NodeKey) {}

    /// How it stands with a fast session, `None` if this end seals in the compatible one.
    fn fast_state(&self, _key: &NodeKey) -> Option<FastState> {
        None
    }
}
