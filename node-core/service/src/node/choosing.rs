//! The peers that were chosen among the public ones, those that are paused, and what the rest of
//! the service needs to test and choose.
//!
//! Both sets are on the disk before they count. The person's own peers, of the configuration and
//! the command line, are not changed by anything here but a pause, which only marks them.

use std::collections::BTreeMap;
use std::io;

use planetary_ipc::{ApiError, ErrorCode, PeerEntry, PeerSource};
use planetary_runtime::links::LocalEnd;
use planetary_runtime::links::peers::{PEERS_MAX, PeerId};
use planetary_runtime::links::tls::TlsSetupError;
use planetary_runtime::links::uri::PeerUri;

use super::{Node, WantedPeer};
use crate::config::PublicPeersConfig;
use crate::health::Condition;
use crate::public::Public;
use crate::public::kept::{CHOSEN_MAX, ChosenPeer, Kept};
use crate::state::record::{self, Record};

impl Node {
    /// Public peers and everything about them.
    #[must_use]
    pub fn public(&self) -> &Public {
        &self.public
    }

    /// Where the configuration says that the list of public peers is.
    #[must_use]
    pub fn public_config(&self) -> PublicPeersConfig {
        self.settings.read().config.public_peers.clone()
    }

    /// The peers that the node is to keep a link to, those that are paused included.
    #[must_use]
    pub fn wanted(&self) -> BTreeMap<PeerId, WantedPeer> {
        self.settings.read().peers()
    }

    /// The chosen and the paused peers.
    #[must_use]
    pub fn kept(&self) -> Kept {
        self.settings.read().kept.clone()
    }

    /// This node's end of a link that is dialled.
    ///
    /// # Errors
    /// The certificate for TLS could not be made.
    pub fn local_end(&self) -> Result<LocalEnd, TlsSetupError> {
        LocalEnd::new(self.identity(), Default::default())
    }

    /// Writes a record of the state folder.
    ///
    /// # Errors
    /// Those of the system; the old record is then in place.
    pub fn store_record<T: Record>(&self, record: T) -> io::Result<()> {
        record::store(&self.state_dir, record)
    }

    /// Writes the statistics of peers, if they changed.
    pub(super) fn store_statistics(&self) {
        let record = self.public.take_statistics(crate::health::Moment::now());
        if let Some(Err(error)) = record.map(|record| self.store_record(record)) {
            tracing::warn!(%error, "the statistics of peers were not stored");
        }
    }

    /// Says that a condition holds.
    pub(crate) fn raise(&self, condition: Condition) {
        self.health.lock().raise(condition, crate::health::Moment::now());
    }

    /// Says that a condition no longer holds.
    pub(crate) fn clear(&self, code: &str) {
        self.health.lock().clear(code);
    }

    /// Whether so many peers may be chosen beside those there are.
    ///
    /// # Errors
    /// There would be too many.
    pub fn check_room_for_chosen(&self, count: usize) -> Result<(), ApiError> {
        let chosen = self.settings.read().kept.chosen.len();
        let all = self.wanted().len();
        if chosen + count <= CHOSEN_MAX && all + count <= PEERS_MAX {
            return Ok(());
        }
        let text = match chosen + count > CHOSEN_MAX {
            true => format!("{chosen} peers are chosen already, and {CHOSEN_MAX} is the most"),
            false => format!("there are {all} peers already, and {PEERS_MAX} is the most"),
        };
        let hint = "remove one first: `planetary peer remove URI`, or choose fewer";
        Err(ApiError::new(ErrorCode::PeerLimit, text).with_hint(hint))
    }

    /// Keeps a link to these peers from here on, beside the others.
    ///
    /// # Errors
    /// There are too many, or the state folder cannot be written; nothing is changed then.
    pub async fn add_chosen(&self, peers: Vec<ChosenPeer>) -> Result<Vec<PeerEntry>, ApiError> {
        let _intent = self.changing.lock().await;
        self.check_room_for_chosen(peers.len())?;
        let mut kept = self.kept();
        for peer in &peers {
            kept.chosen.retain(|other| other.id() != peer.id());
            kept.chosen.push(peer.clone());
        }
        self.keep(kept).await.map_err(|error| not_stored(&error))?;
        for peer in &peers {
            tracing::info!(peer = %peer.uri, reason = peer.reason, "public peer chosen");
        }
        let entry = |peer: &ChosenPeer| PeerEntry {
            uri: peer.id().uri,
            interface: None,
            persistent: true,
            argument: false,
        };
        Ok(peers.iter().map(entry).collect())
    }

    /// Puts a peer in the place of a chosen one.
    ///
    /// # Errors
    /// The state folder cannot be written, or the old one is not there any more; nothing is changed
    /// then.
    pub async fn replace_chosen(&self, old: &PeerId, new: ChosenPeer, now: u64) -> io::Result<()> {
        let _intent = self.changing.lock().await;
        let mut kept = self.kept();
        if !kept.is_chosen(old) {
            return Err(io::Error::other("it was removed meanwhile"));
        }
        kept.replace(old, new, now);
        self.keep(kept).await
    }

    /// Pauses a peer, or resumes it.
    ///
    /// # Errors
    /// There is no such peer, or the state folder cannot be written; nothing is changed then.
    pub async fn pause_peer(
        &self,
        uri: &str,
        interface: Option<&str>,
        paused: bool,
    ) -> Result<PeerEntry, ApiError> {
        let _intent = self.changing.lock().await;
        let place: PeerUri = uri.parse().map_err(|error| {
            let shown = crate::config::printable(&planetary_ipc::status::public_uri(uri));
            ApiError::new(ErrorCode::InvalidUri, format!("{shown}: {error}"))
        })?;
        let id = PeerId::new(&place, interface);
        let wanted = self.wanted();
        let Some(peer) = wanted.get(&id) else {
            return Err(unknown(&id, &wanted));
        };
        if peer.paused != paused {
            let mut kept = self.kept();
            match paused {
                true => kept.paused.insert(id.clone()),
                false => kept.paused.remove(&id),
            };
            // Marks of peers that are gone for good need not be kept.
            kept.paused.retain(|id| wanted.contains_key(id));
            self.keep(kept).await.map_err(|error| not_stored(&error))?;
            tracing::info!(peer = %id.uri, paused, "peer paused or resumed");
        }
        let argument = self.settings.read().is_argument(&id);
        let persistent = peer.source != PeerSource::Argument;
        Ok(PeerEntry { uri: id.uri, interface: id.interface, persistent, argument })
    }

    /// Forgets that a peer was chosen or paused, because the person removes it.
    pub(super) async fn forget_kept(&self, id: &PeerId) -> io::Result<()> {
        let mut kept = self.kept();
        if !kept.is_chosen(id) && !kept.paused.contains(id) {
            return Ok(());
        }
        kept.chosen.retain(|peer| peer.id() != *id);
        kept.paused.remove(id);
        self.keep(kept).await
    }

    /// Stores what is kept, and makes the engine's peers follow. The caller holds the lock.
    async fn keep(&self, kept: Kept) -> io::Result<()> {
        self.store_record(kept.chosen_record())?;
        self.store_record(kept.paused_record())?;
        self.settings.write().kept = kept;
        self.reconcile_running().await;
        Ok(())
    }
}

/// The error of a peer that is not there, perhaps because it is there with another interface.
fn unknown(id: &PeerId, wanted: &BTreeMap<PeerId, WantedPeer>) -> ApiError {
    let error = ApiError::new(ErrorCode::PeerNotFound, format!("{} is not a peer", id.uri));
    match wanted.keys().find(|other| other.uri == id.uri) {
        Some(PeerId { interface: Some(name), .. }) => {
            error.with_hint(format!("add `--interface {name}`"))
        }
        Some(_) => error.with_hint("leave out --interface"),
        None => error,
    }
}

fn not_stored(error: &io::Error) -> ApiError {
    let text = format!("the state folder cannot be written: {error}");
    let hint = "free space on the disk, or check who owns the state folder";
    ApiError::new(ErrorCode::SystemRefused, text).with_hint(hint)
}
