//! Another identity, another program's settings, or both: taken over by the running node, all or
//! nothing.
//!
//! ```text
//! plan -> stop the engine -> identity and settings in memory -> start the engine
//!                                                                  | fails: the former ones again
//!      -> config.toml -> former key kept -> identity.pem           | fails: the same
//! ```
//!
//! The engine is tried before anything is written, so a node that does not come up as another one
//! stays who it is, on the disk as well. A process that is killed in the middle finds the former
//! identity or the new one at its next start; if the settings were written by then and the identity
//! was not, the same import does the rest.

use std::path::PathBuf;
use std::sync::Arc;

use planetary_ipc::{ForeignSettings, ImportItem};
use planetary_proto::identity::{Identity, NodeKey};
use zeroize::Zeroizing;

use super::{Condition, Config, Connect, EditError, Node, SwitchError, not_started};
use crate::config::Edited;
use crate::health::Moment;
use crate::state::identity;

/// What to take over.
#[derive(Default)]
pub struct TakeOver<'a> {
    /// Who to be.
    pub identity: Option<Identity>,
    /// The settings of another program.
    pub settings: Option<&'a ForeignSettings>,
    /// Whether what is here may be replaced.
    pub replace: bool,
    /// Whether to say only what would be done.
    pub dry_run: bool,
}

/// What was taken over, or would be.
#[derive(Debug)]
pub struct TakenOver {
    /// Who the node was.
    pub before: NodeKey,
    /// Who the node is, or would be.
    pub after: NodeKey,
    /// Whether something was done.
    pub applied: bool,
    /// Where the former key is kept.
    pub kept: Option<PathBuf>,
    /// What became of each setting.
    pub items: Vec<ImportItem>,
}

/// Why nothing was taken over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TakeOverError {
    /// The node is somebody else, and nobody said to replace that.
    #[error(
        "this node has another identity: its address is {}, and would become {}",
        before.address().to_ipv6(),
        after.address().to_ipv6()
    )]
    Exists {
        /// Who the node is.
        before: NodeKey,
        /// Who it would be.
        after: NodeKey,
    },
    /// The settings cannot be written.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The node does not start with what was to be taken over; the former is in place.
    #[error("the node does not start with it, and stays as it was: {0}")]
    Start(#[source] SwitchError),
    /// The key cannot be written; the former is in place.
    #[error("{}: the key cannot be written: {source}; the node stays as it was", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
}

/// What a node is made from.
pub(super) struct Making {
    pub(super) identity: Arc<Identity>,
    pub(super) config: Config,
}

impl Node {
    /// Takes over an identity, settings, or both. The node is then up or down as before.
    ///
    /// # Errors
    /// [`TakeOverError`]; nothing is changed then.
    pub async fn take_over(&self, wanted: TakeOver<'_>) -> Result<TakenOver, TakeOverError> {
        let intent = self.changing.lock().await;
        let former = self.identity();
        let (edited, items) = match wanted.settings {
            Some(settings) => {
                let (edited, items) = self.config_file.merge(settings, wanted.replace)?;
                (edited, items)
            }
            None => (None, Vec::new()),
        };
        let identity = wanted.identity.filter(|identity| identity.key() != former.key());
        let (before, after) = (former.key(), identity.as_ref().map_or(former.key(), Identity::key));
        let changes = edited.is_some() || identity.is_some();
        let mut taken = TakenOver { before, after, applied: false, kept: None, items };
        if wanted.dry_run || !changes {
            return Ok(taken);
        }
        if before != after && !wanted.replace {
            return Err(TakeOverError::Exists { before, after });
        }

        let now = self.making(identity.map(Arc::new), edited.as_ref());
        let back = self.making(None, None);
        self.become_one(now).await.map_err(TakeOverError::Start).inspect_err(|error| {
            tracing::warn!(%error, "nothing was taken over");
        })?;
        match self.keep_on_disk(edited.as_ref(), &former) {
            Ok(kept) => taken.kept = kept,
            Err(error) => {
                tracing::warn!(%error, "nothing was taken over");
                self.turn_back(back).await;
                return Err(error);
            }
        }
        taken.applied = true;
        if before != after {
            // An address is no secret of the person whose node this is; the log is theirs.
            tracing::info!(key = %after, "the node has another identity");
        }
        self.check_exposure();
        if intent.connect == Connect::Down {
            tracing::debug!("the node is down; what was taken over counts from its next start");
        }
        self.news.notify_one();
        Ok(taken)
    }

    fn making(&self, identity: Option<Arc<Identity>>, edited: Option<&Edited>) -> Making {
        Making {
            identity: identity.unwrap_or_else(|| self.identity()),
            config: match edited {
                Some(edited) => edited.config().clone(),
                None => self.settings.read().config.clone(),
            },
        }
    }

    /// Makes the node, which may be up, one of another making. When it does not start like that it
    /// is what it was, in the same state. The caller holds the lock.
    pub(super) async fn become_one(&self, other: Making) -> Result<(), SwitchError> {
        let engine = self.engine();
        let is_other = other.identity.key() != self.key();
        let restart = is_other || self.settings.read().needs_restart(&other.config);
        if engine.is_some() && restart {
            self.stop_engine().await;
        }
        let former = match self.turn_to(other).await {
            Ok(former) => former,
            Err(error) => {
                if engine.is_some() && restart {
                    self.start_again().await;
                }
                return Err(error);
            }
        };
        match engine {
            None => Ok(()),
            Some(engine) if !restart => {
                self.reconcile(&engine).await;
                Ok(())
            }
            Some(_) => {
                let Err(error) = self.start_engine().await else { return Ok(()) };
                if let Err(error) = self.turn_to(former).await {
                    self.raise(not_back(&error));
                }
                self.start_again().await;
                Err(error)
            }
        }
    }

    /// Makes the node what it was before a change that cannot be kept. The caller holds the lock.
    pub(super) async fn turn_back(&self, former: Making) {
        if let Err(error) = self.become_one(former).await {
            self.raise(not_back(&error));
        }
    }

    /// Puts identity and settings in place, for an engine that does not run or does not mind, and
    /// returns those before.
    async fn turn_to(&self, other: Making) -> Result<Making, SwitchError> {
        let former = self.making(None, None);
        let key = other.identity.key();
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(SwitchError::NoRandomness)?;
        self.sequence.lock().turn_to(&self.state_dir, &key)?;
        if key != former.identity.key() {
            self.circles.lock().turn_to(&other.identity, *seed, Moment::now());
        }
        *self.identity.write() = other.identity;
        self.observer.lock().await.turn_to(key);
        if let Some(log) = &self.log {
            log.set_level(other.config.log_level);
        }
        self.settings.write().config = other.config;
        // Before an engine that is started anew carries a packet.
        self.renew_rules().await;
        // A failure is told where the others are.
        let _ = self.reconcile_figures().await;
        Ok(former)
    }

    /// Starts the engine that ran before; that it does not start now is a health item.
    async fn start_again(&self) {
        if let Err(error) = self.start_engine().await {
            tracing::error!(%error, "the node is down: it does not start again");
            self.raise(not_back(&error));
        }
    }

    /// Writes what the node is made from by now; returns where the former key is kept.
    fn keep_on_disk(
        &self,
        edited: Option<&Edited>,
        former: &Identity,
    ) -> Result<Option<PathBuf>, TakeOverError> {
        if let Some(edited) = edited {
            self.config_file.commit(edited)?;
        }
        let new = self.identity();
        if new.key() == former.key() {
            return Ok(None);
        }
        let path = &self.identity_path;
        match identity::replace(path, former, &new, Moment::now().unix_s) {
            Ok(kept) => Ok(Some(kept)),
            Err(error) if identity::holds(path, &new) => {
                tracing::warn!(%error, "the new key may not survive a power cut");
                Ok(identity::kept(path, former))
            }
            Err(source) => {
                if let Some(edited) = edited
                    && let Err(error) = self.config_file.restore(edited)
                {
                    tracing::error!(%error, "the former configuration was not put back");
                }
                Err(TakeOverError::Unwritable { path: path.clone(), source })
            }
        }
    }
}

fn not_back(error: &SwitchError) -> Condition {
    not_started(
        format!("After a change that failed: {error}."),
        "Run `planetary up`; the log of the service has more.",
    )
}
