//! Peers that clients of the admin socket add and remove. Nothing of it reaches a file: it ends
//! with the run, and what was removed of the configuration comes back when that is read again.

use planetary_runtime::links::peers::{PEERS_MAX, PeerId};
use planetary_runtime::links::uri::{PeerUri, UriError};

use super::Node;

/// Why a peer was not added or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PassingError {
    /// The text names no peer.
    #[error(transparent)]
    Uri(#[from] UriError),
    /// It is there; it was dialled at once, if it waited.
    #[error("peer is already configured")]
    Exists,
    /// There is no such peer.
    #[error("peer is not configured")]
    Missing,
    /// There is no room for another.
    #[error("there are {PEERS_MAX} peers already")]
    Full,
}

impl Node {
    /// Adds a peer for this run. One that is there is dialled at once.
    ///
    /// # Errors
    /// [`PassingError`]; nothing is added then.
    pub async fn add_passing_peer(
        &self,
        uri: &str,
        interface: Option<&str>,
    ) -> Result<(), PassingError> {
        let _intent = self.changing.lock().await;
        let uri: PeerUri = uri.parse()?;
        let id = PeerId::new(&uri, interface);
        let peers = self.settings.read().peers();
        if peers.contains_key(&id) {
            if let Some(engine) = self.engine() {
                // A paused peer is not dialled, and the engine does not know it.
                let _ = engine.peers().kick(&id);
            }
            return Err(PassingError::Exists);
        }
        if peers.len() >= PEERS_MAX {
            return Err(PassingError::Full);
        }
        {
            let passing = &mut self.settings.write().passing;
            if !passing.removed.remove(&id) {
                passing.added.push((uri, interface.map(ToOwned::to_owned)));
            }
        }
        self.reconcile_running().await;
        Ok(())
    }

    /// Removes a peer for this run, whoever wished for it.
    ///
    /// # Errors
    /// [`PassingError`]; nothing is removed then.
    pub async fn remove_passing_peer(
        &self,
        uri: &str,
        interface: Option<&str>,
    ) -> Result<(), PassingError> {
        let _intent = self.changing.lock().await;
        let uri: PeerUri = uri.parse()?;
        let id = PeerId::new(&uri, interface);
        {
            let mut settings = self.settings.write();
            if !settings.peers().contains_key(&id) {
                return Err(PassingError::Missing);
            }
            settings.forget_argument(&id);
            // The configuration may wish for it, or it was chosen.
            if settings.peers().contains_key(&id) {
                settings.passing.removed.insert(id);
            }
        }
        self.reconcile_running().await;
        Ok(())
    }
}
