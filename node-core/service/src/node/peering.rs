//! The node's peers and listeners: adding, removing, and making the engine's set what the settings
//! say.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use planetary_ipc::{PeerEntry, PeerError, PeerSource, UnixTime};
use planetary_runtime::Engine;
use planetary_runtime::links::listen::ListenError;
use planetary_runtime::links::peers::{PeerId, PeerStatus, PeersError};
use planetary_runtime::links::probe::Reach;
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
    /// What to do about it, as a sentence.
    pub remedy: &'static str,
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
        let id = PeerId::new(&place, interface);
        let argument = self.settings.read().is_argument(&id);
        Ok(entry(&id, true, argument))
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
        let persistent = source != Some(PeerSource::Argument);
        let argument = self.settings.read().is_argument(&id);
        if source == Some(PeerSource::Chosen) {
            self.forget(&id).await?;
            return Ok(entry(&id, true, false));
        }
        if persistent {
            let removed = self.config_file.remove_peer(uri, interface);
            let config = removed.map_err(|error| self.found_elsewhere(&id, error))?;
            self.settings.write().forget_argument(&id);
            self.adopt_peers(config).await;
        } else {
            self.settings.write().forget_argument(&id);
            self.reconcile_running().await;
        }
        // It may have been chosen before the person added it, or paused.
        self.forget(&id).await?;
        Ok(entry(&id, persistent, argument))
    }

    async fn forget(&self, id: &PeerId) -> Result<(), EditError> {
        let path = || self.state_dir.path().to_owned();
        let forgotten = self.forget_kept(id).await;
        forgotten.map_err(|source| EditError::Unwritable { path: path(), source })
    }

    /// The same error, or a better one when the peer is there with another interface or without.
    fn found_elsewhere(&self, id: &PeerId, error: EditError) -> EditError {
        let same_uri = |other: &PeerId| other.uri == id.uri && other != id;
        match (error, self.settings.read().peers().into_keys().find(same_uri)) {
            (EditError::NotFound(uri), Some(PeerId { interface, .. })) => {
                EditError::Elsewhere { uri, interface }
            }
            (error, _) => error,
        }
    }

    /// Takes over the peers of a file that was edited. What else changed in it waits for a reload.
    async fn adopt_peers(&self, config: Config) {
        {
            let current = &mut self.settings.write().config;
            current.peers = config.peers;
            current.interface_peers = config.interface_peers;
        }
        self.check_exposure();
        self.reconcile_running().await;
    }

    pub(super) async fn reconcile_running(&self) {
        if let Some(engine) = self.engine() {
            self.reconcile(&engine).await;
        }
        self.news.notify_one();
    }

    /// Tries again to open the listeners that failed.
    pub async fn retry_listeners(&self) {
        let _intent = self.changing.lock().await;
        // A failure is told where the others are.
        let _ = self.reconcile_figures().await;
        if self.failed_listeners.lock().is_empty() {
            return;
        }
        if let Some(engine) = self.engine() {
            self.reconcile_listeners(&engine).await;
        }
    }

    /// Makes the engine's peers, listeners, names, groups, doors and place in the tree those of the
    /// settings. The caller holds the lock.
    pub(super) async fn reconcile(&self, engine: &Engine) {
        self.reconcile_names(engine).await;
        self.reconcile_lan(engine).await;
        self.reconcile_groups(engine).await;
        self.reconcile_transit(engine).await;
        let mut wanted = self.settings.read().peers();
        wanted.retain(|_, peer| !peer.paused);
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
            // What comes from a list of strangers leads nowhere but to the internet at large.
            let reach = match peer.source {
                PeerSource::Chosen => self.public.reach(),
                _ => Reach::Any,
            };
            if let Err(error) = engine.peers().add_within(peer.uri, peer.interface, reach) {
                tracing::warn!(%error, "a peer was not added");
            }
        }
        self.reconcile_listeners(engine).await;
        self.reconcile_doors().await;
    }

    async fn reconcile_groups(&self, engine: &Engine) {
        let groups = self.settings.read().config.session_groups();
        let settled = match groups {
            Ok(groups) => engine.set_groups(groups).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = settled {
            tracing::warn!(error, "the passwords of groups are those before");
        }
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
            match timeout_at(deadline, engine.peers().listen(uri)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => failed.push(FailedListener::new(name, &error)),
                Err(_) => failed.push(FailedListener::unresolved(name)),
            }
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

fn entry(id: &PeerId, persistent: bool, argument: bool) -> PeerEntry {
    PeerEntry { uri: id.uri.clone(), interface: id.interface.clone(), persistent, argument }
}

impl FailedListener {
    fn new(uri: String, error: &PeersError) -> Self {
        let (code, remedy) = match error {
            PeersError::Listen(ListenError::Host(error)) => (error.code(), WRONG_HOST),
            PeersError::Listen(ListenError::Overlay) => (CANNOT_LISTEN, WRONG_HOST),
            PeersError::Listen(ListenError::Bind { source, .. }) => {
                (CANNOT_LISTEN, remedy_for(source.kind()))
            }
            PeersError::Listen(ListenError::File { .. }) => (CANNOT_LISTEN, WRONG_FILE),
            PeersError::Listen(ListenError::Unsupported(_)) => {
                ("transport_unsupported", "Use another transport in `listen`.")
            }
            _ => (CANNOT_LISTEN, "Change `listen`."),
        };
        Self { uri, error: peer_error(code, super::chain(error)), remedy }
    }

    /// A listener for programs of this computer.
    pub(super) fn local(uri: String, error: &io::Error, remedy: &'static str) -> Self {
        Self { uri, error: peer_error(CANNOT_LISTEN, error.to_string()), remedy }
    }

    fn unresolved(uri: String) -> Self {
        let message = "its name does not resolve in time".to_owned();
        Self { uri, error: peer_error("name_not_resolved", message), remedy: WRONG_HOST }
    }
}

fn peer_error(code: &str, message: String) -> PeerError {
    PeerError { code: code.to_owned(), message, at: UnixTime(Moment::now().unix_s) }
}

/// What to do when the system refuses an address.
fn remedy_for(refusal: io::ErrorKind) -> &'static str {
    match refusal {
        io::ErrorKind::AddrInUse => "Stop the program that uses the port, or change `listen`.",
        io::ErrorKind::PermissionDenied => "Choose a port above 1023 in `listen`.",
        _ => WRONG_HOST,
    }
}

const CANNOT_LISTEN: &str = "cannot_listen";

const WRONG_FILE: &str = "Name a file in `listen` that nobody else has, in a folder that exists \
                          and that the service may write to.";

const WRONG_HOST: &str =
    "Name an address of this computer in `listen`, or [::], which stands for all of them.";
