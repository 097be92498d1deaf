//! End-to-end encryption between two nodes (chapter 7).
//!
//! [`handshake`] composes and opens the two handshake messages, [`keys`] holds the ratchet. The
//! keys of a session live in two halves, so that sealing and opening need not wait for each other:
//! the [`Opener`] is the authority on all keys, the [`Sealer`] is told by it. [`contacts`] decides
//! when to greet whom; it belongs to the control half and reaches the keys through
//! [`SessionTable`].

mod contacts;
mod handshake;
mod keys;

pub(crate) use contacts::{Contacts, Greeting};
pub use handshake::{GroupSecret, HANDSHAKE_LEN};
pub(crate) use handshake::{Handshake, HandshakeKind, compose, open_handshake};
pub use keys::{OpenError, Opened, Opener, SEAL_OVERHEAD_MAX, Sealer, SealerKeys};

use crate::{identity::NodeKey, time::Instant, wire::Coords};

/// First payload byte of a session message that carries data.
pub const SESSION_TRAFFIC: u8 = 3;

/// The sessions as the control half sees them. The data half implements it, with whatever locks it
/// needs.
pub trait SessionTable {
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
}
