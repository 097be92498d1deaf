//! The sessions of a host: the plainest [`SessionTable`] there can be.

use std::collections::BTreeMap;

use planetary_proto::{
    Instant, NodeKey,
    limits::FAST_REKEY_PACKETS,
    session::{
        FastKeys, FastOpener, FastSealer, FastState, Generations, Opener, ReplayWindow,
        SEAL_OVERHEAD_MAX, Sealer, SessionTable, Suite, fast_head,
    },
    wire::Coords,
};

/// Both halves of a session, and where its far end is.
pub struct Session {
    pub(crate) opener: Opener,
    pub(crate) sealer: Sealer,
    fast: Generations<Fast>,
    pub(crate) path: Option<Coords>,
    pub(crate) last_heard: Option<Instant>,
    last_said: Option<Instant>,
}

/// One generation of a fast session.
struct Fast {
    sealer: FastSealer,
    opener: FastOpener,
    window: ReplayWindow,
}

impl Session {
    /// The message around session data.
    pub(crate) fn seal(&mut self, data: &[u8], now: Instant) -> Option<Vec<u8>> {
        let mut buffer = vec![0; SEAL_OVERHEAD_MAX];
        buffer.extend_from_slice(data);
        let start = match self.fast.sealing() {
            Some(fast) => fast.sealer.seal(&mut buffer, SEAL_OVERHEAD_MAX),
            None => self.sealer.seal(&mut buffer, SEAL_OVERHEAD_MAX),
        }?;
        self.last_said = Some(now);
        Some(buffer.split_off(start))
    }

    /// Opens a packet of the fast session in place; its data begins behind the head. Returns
    /// whether it is good and new.
    pub(crate) fn open_fast(&mut self, message: &mut [u8], now: Instant) -> bool {
        let Some((generation, _)) = fast_head(message) else { return false };
        let Some(fast) = self.fast.find_mut(generation) else { return false };
        let opened = fast.opener.open(message);
        let is_good = opened.is_ok_and(|counter| fast.window.accept(counter));
        if is_good {
            self.fast.heard(generation);
            self.last_heard = Some(now);
        }
        is_good
    }

    /// What this end seals with, `None` in the compatible session.
    #[must_use]
    pub fn suite(&self) -> Option<Suite> {
        self.fast.sealing().map(|fast| fast.sealer.suite())
    }

    /// The generation that this end seals under.
    #[must_use]
    pub fn generation(&self) -> Option<u8> {
        self.fast.sealing().map(|fast| fast.sealer.generation())
    }
}

/// Sessions by the key of the far end.
#[derive(Default)]
pub struct Sessions(BTreeMap<NodeKey, Session>);

impl Sessions {
    /// The session with a key.
    #[must_use]
    pub fn session(&self, key: &NodeKey) -> Option<&Session> {
        self.0.get(key)
    }

    pub(crate) fn session_mut(&mut self, key: &NodeKey) -> Option<&mut Session> {
        self.0.get_mut(key)
    }
}

impl SessionTable for Sessions {
    fn open(&mut self, key: NodeKey, opener: Opener, sealer: Sealer) {
        let session = Session {
            opener,
            sealer,
            fast: Generations::default(),
            path: None,
            last_heard: None,
            last_said: None,
        };
        self.0.insert(key, session);
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

    fn add_fast(&mut self, key: &NodeKey, keys: FastKeys) {
        let Some(session) = self.0.get_mut(key) else { return };
        let FastKeys { sealer, opener, speaks } = keys;
        let fast = Fast { sealer, opener, window: ReplayWindow::new() };
        session.fast.add(fast.opener.generation(), fast, speaks);
    }

    fn fall_back(&mut self, key: &NodeKey) {
        if let Some(session) = self.0.get_mut(key) {
            session.fast.fall_back();
        }
    }

    fn drop_fast(&mut self, key: &NodeKey) {
        if let Some(session) = self.0.get_mut(key) {
            session.fast = Generations::default();
        }
    }

    fn fast_state(&self, key: &NodeKey) -> Option<FastState> {
        let fast = self.0.get(key)?.fast.sealing()?;
        let heard = fast.window.highest();
        Some(FastState {
            generation: fast.sealer.generation(),
            wants_rekey: fast.sealer.wants_rekey() || heard >= FAST_REKEY_PACKETS,
            heard: heard > 0,
        })
    }
}
