//! The sessions of a host: the plainest [`SessionTable`] there can be.

use std::collections::BTreeMap;

use planetary_proto::{
    Instant, NodeKey,
    session::{Opener, Sealer, SessionTable},
    wire::Coords,
};

/// Both halves of a session, and where its far end is.
pub struct Session {
    pub(crate) opener: Opener,
    pub(crate) sealer: Sealer,
    pub(crate) path: Option<Coords>,
    pub(crate) last_heard: Option<Instant>,
    pub(crate) last_said: Option<Instant>,
}

/// Sessions by the key of the far end.
#[derive(Default)]
pub struct Sessions(BTreeMap<NodeKey, Session>);

impl Sessions {
    pub(crate) fn session_mut(&mut self, key: &NodeKey) -> Option<&mut Session> {
        self.0.get_mut(key)
    }
}

impl SessionTable for Sessions {
    fn open(&mut self, key: NodeKey, opener: Opener, sealer: Sealer) {
        self.0
            .insert(key, Session { opener, sealer, path: None, last_heard: None, last_said: None });
    }

    fn close(&mut self, key: &NodeKey) {
        self.0.remove(key);
    }

    fn with<R>(
        &mut self,
        key: &NodeKey,
        change: impl FnOnce(&mut Opener, &mut Sealer) -> R,
    ) -> Option<R> {
        let session = self.0.get_mut(key)?;
        Some(change(&mut session.opener, &mut session.sealer))
    }

    fn set_path(&mut self, key: &NodeKey, path: Option<&Coords>) {
        if let Some(session) = self.0.get_mut(key) {
            session.path = path.cloned();
        }
    }

    fn last_heard(&self, key: &NodeKey) -> Option<Instant> {
        self.0.get(key)?.last_heard
    }

    fn last_said(&self, key: &NodeKey) -> Option<Instant> {
        self.0.get(key)?.last_said
    }
}
