//! The fast half of a session: keys that two nodes of this program have agreed on inside of it
//! (`docs/fast-session.md`).
//!
//! Sealing takes no lock, so several threads may seal at once; opening takes one for a moment, to
//! see that a packet is new.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use planetary_proto::{
    limits::FAST_REKEY_PACKETS,
    session::{
        FastKeys, FastOpener, FastSealer, FastState, Generations, OpenError, ReplayWindow, Suite,
        fast_head,
    },
};

/// See the module.
#[derive(Default)]
pub(crate) struct Fast(ArcSwap<Generations<Arc<Keys>>>);

/// The keys of one generation.
struct Keys {
    sealer: FastSealer,
    opener: FastOpener,
    window: Mutex<ReplayWindow>,
    /// Something has opened.
    heard: AtomicBool,
}

impl Fast {
    /// Takes in a further generation.
    pub(super) fn add(&self, keys: FastKeys) {
        let FastKeys { sealer, opener, speaks } = keys;
        let generation = sealer.generation();
        let keys = Arc::new(Keys {
            sealer,
            opener,
            window: Mutex::new(ReplayWindow::new()),
            heard: AtomicBool::new(false),
        });
        self.change(|generations| generations.add(generation, Arc::clone(&keys), speaks));
    }

    /// Seals in the compatible session until there are further keys.
    pub(super) fn fall_back(&self) {
        self.change(Generations::fall_back);
    }

    /// Forgets all keys.
    pub(super) fn clear(&self) {
        self.0.store(Arc::default());
    }

    /// How it stands with what this end seals under.
    pub(super) fn state(&self) -> Option<FastState> {
        let generations = self.0.load();
        let keys = generations.sealing()?;
        Some(FastState {
            generation: keys.sealer.generation(),
            wants_rekey: keys.sealer.wants_rekey()
                || keys.window.lock().highest() >= FAST_REKEY_PACKETS,
            heard: keys.heard.load(Relaxed),
        })
    }

    /// Whether this end seals in the fast session.
    pub(super) fn speaks(&self) -> bool {
        self.0.load().sealing().is_some()
    }

    /// The cipher that this end seals with.
    pub(crate) fn suite(&self) -> Option<Suite> {
        self.0.load().sealing().map(|keys| keys.sealer.suite())
    }

    /// Seals `buffer[data..]` in place; where the message begins, or `None` where the compatible
    /// session is to be used.
    pub(super) fn seal(&self, buffer: &mut [u8], data: usize) -> Option<usize> {
        self.0.load().sealing()?.sealer.seal(buffer, data)
    }

    /// Opens a message in place; its data begins at [`planetary_proto::session::FAST_HEAD_LEN`].
    pub(super) fn open(&self, message: &mut [u8]) -> Result<(), OpenError> {
        let (generation, counter) = fast_head(message).ok_or(OpenError::Malformed)?;
        let generations = self.0.load();
        let keys = generations.find(generation).ok_or(OpenError::UnknownKeys)?;
        // A replay costs no cipher.
        if !keys.window.lock().would_accept(counter) {
            return Err(OpenError::Replay);
        }
        let counter = keys.opener.open(message)?;
        if !keys.window.lock().accept(counter) {
            return Err(OpenError::Replay);
        }
        if !keys.heard.load(Relaxed) {
            keys.heard.store(true, Relaxed);
        }
        if generations.is_next(generation) {
            self.change(|generations| generations.heard(generation));
        }
        Ok(())
    }

    fn change(&self, change: impl Fn(&mut Generations<Arc<Keys>>)) {
        self.0.rcu(|generations| {
            let mut changed = Generations::clone(generations);
            change(&mut changed);
            changed
        });
    }
}
