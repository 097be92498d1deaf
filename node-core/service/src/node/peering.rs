//! The node's peers and listeners: adding, removing, and making the engine's set what the settings
//! say.

use std::collections::BTreeSet;
use std::time::Duration;

use planetary_ipc::{PeerEntry, PeerError, PeerSource, UnixTime};
use planetary_runtime::Engine;
use planetary_runtime::links::peers::{PeerId, PeerStatus};
use planetary_runtime::links::uri::PeerUri;
use tokio::time::{Instant, timeout_at};

use super::Node;
use crate::config::{Config, EditError};
use crate::health::Moment;

/// How long all listeners together may take to open. Addresses take no time; a name that does not
/// resolve must not hold up the node, and is tried again.
const LISTEN_PATIENCE: Duration = Duration::from_secs(2);

/// A listener that could not be opened. It is tried again now and then.
#[derive(Clone, Debug)]
pub struct FailedListener {
    /// The URI without options.
    pub uri: String,
    /// Why.
    pub error: PeerError,
}

impl Node {
    /// Adds a peer to the configuration file and dials it.
    ///
    /// # Errors
    /// [`EditError`]; nothing is changed then.
    pub async fn add_peer(
        &self,
        uri: &str,
        interface: Option<&str>,
    ) -> Result<PeerEntry, EditError> {
        let _intent = self.changing.lock().await;
        let config = self.config_file.add_peer(uri, interface)?;
        let place: PeerUri = uri.parse()?;
        self.adopt_peers(config).await;
        Ok(entry(&PeerId::new(&place, interface), true))
    }

    /// Removes a peer from the configuration file, or from this run if only the command line names
    /// it, and closes its link.
    ///
    /// # Errors
    /// [`EditError`]; nothing is changed then.
    pub async fn remove_peer(
        &self,
        uri: &str,
        interface: Option<&str>,
    ) -> Result<PeerEntry, EditError> {
        let _intent = self.changing.lock().await;
        let place: PeerUri = uri.parse()?;
        let id = PeerId::new(&place, interface);
        let source = self.settings.read().peers().get(&id).map(|peer| peer.source);
        // Either way the command line's wish for this peer ends.
        let forget = || {
            let names_it = |uri: &PeerUri| PeerId::new(uri, None) == id;
            self.settings.write().arguments.peers.retain(|uri| !names_it(uri));
        };
        let persistent = source != Some(PeerSource::Argument);
        if persistent {
            let config = self.config_file.remove_peer(uri, interface)?;
            forget();
            self.adopt_peers(config).await;
        } else {
            forget();
            self.reconcile_running().await;
        }
        Ok(entry(&id, persistent))
    }

    /// Takes over the peers of a file that was edited. What else changed in it waits for a reload.
    async fn adopt_peers(&self, config: Config) {
        {
            let current = &mut self.settings.write().config;
            current.peers = config.peers;
            current.interface_peers = config.interface_peers;
        }
        self.reconcile_running().await;
    }

    async fn reconcile_running(&self) {
        if let Some(engine) = self.engine() {
            self.reconcile(&engine).await;
        }
        self.news.notify_one();
    }

    /// Tries again to open the listeners that failed.
    pub async fn retry_listeners(&self) {
        if self.failed_listeners.lock().is_empty() {
            return;
        }
        let _intent = self.changing.lock().await;
        if let Some(engine) = self.engine() {
            self.reconcile_listeners(&engine).await;
        }
    }

    /// Makes the engine's peers and listeners those of the settings. The caller holds the lock.
    pub(super) async fn reconcile(&self, engine: &Engine) {
        let wanted = self.settings.read().peers();
        let mut present = BTreeSet::new();
        for PeerStatus { id, .. } in engine.peers().list() {
            let uri = engine.peers().uri(&id);
            // Options are no part of a peer's name: with others it is dialled anew.
            if uri.is_some() && uri.as_ref() == wanted.get(&id).map(|peer| &peer.uri) {
                present.insert(id);
            } else {
                // Gone already is as good.
                let _ = engine.peers().remove(&id).await;
            }
        }
        for (_, peer) in wanted.into_iter().filter(|(id, _)| !present.contains(id)) {
            if let Err(error) = engine.peers().add(peer.uri, peer.interface) {
                tracing::warn!(%error, "a peer was not added");
            }
        }
        self.reconcile_listeners(engine).await;
    }

    async fn reconcile_listeners(&self, engine: &Engine) {
        let wanted = self.settings.read().listeners();
        let mut open = BTreeSet::new();
        for uri in engine.peers().listener_uris() {
            let name = uri.to_string();
            if wanted.get(&name) == Some(&uri) {
                open.insert(name);
            } else {
                // Closed already is as good.
                let _ = engine.peers().stop_listening(&uri).await;
            }
        }
        let deadline = Instant::now() + LISTEN_PATIENCE;
        let mut failed = Vec::new();
        for (name, uri) in wanted.into_iter().filter(|(name, _)| !open.contains(name)) {
            let why = match timeout_at(deadline, engine.peers().listen(uri)).await {
                Ok(Ok(_)) => continue,
                Ok(Err(error)) => super::chain(&error),
                Err(_) => "its name does not resolve in time".to_owned(),
            };
            failed.push(FailedListener { error: listen_error(why), uri: name });
        }
        let mut before = self.failed_listeners.lock();
        for listener in &failed {
            let known = before.iter().any(|known| known.uri == listener.uri);
            if !known {
                tracing::warn!(uri = listener.uri, error = listener.error.message, "cannot listen");
            }
        }
        *before = failed;
    }
}

fn entry(id: &PeerId, persistent: bool) -> PeerEntry {
    PeerEntry { uri: id.uri.clone(), interface: id.interface.clone(), persistent }
}

fn listen_error(message: String) -> PeerError {
    PeerError { code: "cannot_listen".to_owned(), message, at: UnixTime(Moment::now().unix_s) }
}
