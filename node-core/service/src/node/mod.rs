//! The node as the service has it: something that can be switched on and off, and asked.
//!
//! [`Node`] owns everything that outlives an engine: identity, state folder, settings, intent,
//! health. The engine exists exactly while the node is up; `down` ends it and with it every link
//! and the interface. Changes (`up`, `down`, peers, a new configuration) are made one at a time,
//! behind one asynchronous lock, and are on the disk before they are confirmed. Questions take no
//! lock that a change holds.
//!
//! Clients, signals and the clock come in through `control` and `lifecycle`; words for people are
//! made in `report`.

mod changing;
mod choosing;
mod circles;
mod exploring;
mod figures;
mod forwarding;
mod friends;
mod lan;
mod naming;
mod passing;
mod peering;
mod settings;
mod surveying;
mod take_over;
mod transit;
mod web;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use planetary_ipc::{Severity, Status};
use planetary_proto::identity::{Identity, NodeKey};
use planetary_proto::session::GroupsError;
use planetary_runtime::links::LocalEnd;
use planetary_runtime::links::tls::TlsSetupError;
use planetary_runtime::{AskError, Engine, EngineConfig, News, Snapshot};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout;
use zeroize::Zeroizing;

pub use self::changing::ChangeSettingsError;
pub use self::circles::{ActError, Asked, Asking, CircleError, NewInvite, Visited, suggestion};
pub use self::exploring::ExploreError;
pub use self::forwarding::ForwardError;
pub(crate) use self::friends::friends_damaged;
pub use self::friends::{ChangeError, core_key};
pub use self::lan::TrustError;
pub use self::passing::PassingError;
pub use self::peering::FailedListener;
pub use self::settings::{Passing, Settings, WantedPeer};
pub use self::take_over::{TakeOver, TakeOverError, TakenOver};
use crate::admin::Place;
use crate::config::{Config, ConfigFile, EditError};
use crate::explore::Memory;
use crate::health::{Condition, Health, Moment};
use crate::lifecycle::Started;
use crate::log::LogHandle;
use crate::policy::Doors;
use crate::public::Public;
use crate::releases::Releases;
use crate::report::{Facts, Observer, plain};
use crate::state::StateDir;
use crate::state::networks::Networks;
use crate::state::record::{self, Connect, Intent, SequenceKeeper};
use crate::survey::Surveyor;

/// See the module.
pub struct Node {
    /// Replaced only under `changing`, while no engine runs.
    identity: RwLock<Arc<Identity>>,
    identity_path: PathBuf,
    state_dir: StateDir,
    config_file: ConfigFile,
    log: Option<LogHandle>,
    started: Moment,
    settings: RwLock<Settings>,
    health: Mutex<Health>,
    sequence: Mutex<SequenceKeeper>,
    failed_listeners: Mutex<Vec<FailedListener>>,
    public: Public,
    releases: Releases,
    friends: Mutex<friends::Keeping>,
    circles: Mutex<circles::Keeping>,
    /// The exchange of circles has something to do.
    circles_due: Notify,
    /// Clients that read the status.
    clients: AtomicUsize,
    /// Clients that show questions.
    askers: AtomicUsize,
    /// What the person has said of local networks.
    networks: Mutex<Networks>,
    surveyor: Surveyor,
    exploring: exploring::Exploring,
    naming: naming::Naming,
    forwarding: Mutex<forwarding::Forwarding>,
    serving: figures::Serving,
    web: Mutex<web::Web>,
    engine: RwLock<Option<Engine>>,
    /// What engines tell, one after the other.
    told: (mpsc::Sender<News>, tokio::sync::Mutex<mpsc::Receiver<News>>),
    /// Held by whoever changes the node.
    changing: tokio::sync::Mutex<Intent>,
    observer: tokio::sync::Mutex<Observer>,
    status: watch::Sender<Arc<Status>>,
    /// Something changed that the engine does not know of.
    news: Notify,
}

/// Why the node could not be switched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SwitchError {
    /// The engine did not start: most often the interface could not be opened.
    #[error("{}", chain(.0))]
    Engine(#[from] planetary_runtime::StartError),
    /// The certificate for TLS links could not be made.
    #[error("{}", chain(.0))]
    Tls(#[from] TlsSetupError),
    /// The system gives no random numbers.
    #[error("no random numbers: {0}")]
    NoRandomness(getrandom::Error),
    /// The groups of keys are not possible, which a check of the configuration finds before.
    #[error(transparent)]
    Groups(#[from] GroupsError),
    /// The state folder cannot be written, so the wish would be forgotten.
    #[error(
        "the state folder cannot be written: {0}; free space on the disk, or check who owns it"
    )]
    Storage(#[from] std::io::Error),
}

impl Node {
    /// A node that is down, whatever the intent; bring it up with [`Node::follow_intent`].
    #[must_use]
    pub fn new(started: Started) -> Self {
        let now = Moment::now();
        let identity = Arc::new(started.identity);
        let mut observer = Observer::new(identity.key(), now);
        let status = observer.observe(Facts::of_silence(&started.health, now));
        let surveyor = Surveyor::new(started.state_dir.path().to_owned());
        let doors = Doors::of(&started.settings.config);
        let (tells, told) = mpsc::channel(NEWS_MAX);
        let loaded = started.circles;
        let (circles, damage) =
            circles::Keeping::new(loaded, &identity, *started.circles_seed, now);
        let mut health = started.health;
        if let Some(damaged) = circles::circles_damaged(&damage) {
            health.raise(damaged, now);
        }
        let rights = circles.rights_at(&plain(&identity.key()), now.unix_s);
        let friends = friends::Keeping::new(started.friends, rights, &doors, now.unix_s);
        let node = Self {
            identity: RwLock::new(identity),
            identity_path: started.identity_path,
            surveyor,
            state_dir: started.state_dir,
            config_file: started.config_file,
            log: started.log,
            started: now,
            settings: RwLock::new(started.settings),
            health: Mutex::new(health),
            sequence: Mutex::new(started.sequence),
            failed_listeners: Mutex::default(),
            public: started.public,
            releases: started.releases,
            friends: Mutex::new(friends),
            networks: Mutex::new(started.networks),
            circles: Mutex::new(circles),
            circles_due: Notify::new(),
            clients: AtomicUsize::new(0),
            askers: AtomicUsize::new(0),
            exploring: exploring::Exploring::default(),
            naming: naming::Naming::default(),
            forwarding: Mutex::new(forwarding::Forwarding::new(started.forwards)),
            serving: figures::Serving::default(),
            web: Mutex::default(),
            engine: RwLock::new(None),
            told: (tells, tokio::sync::Mutex::new(told)),
            changing: tokio::sync::Mutex::new(started.intent),
            observer: tokio::sync::Mutex::new(observer),
            status: watch::Sender::new(Arc::new(status)),
            news: Notify::new(),
        };
        node.check_doors(&doors);
        node
    }

    /// Brings the node up if the person wants it up.
    ///
    /// # Errors
    /// [`SwitchError`]; the node is then down.
    pub async fn follow_intent(&self) -> Result<(), SwitchError> {
        let intent = self.changing.lock().await;
        match intent.connect {
            Connect::Up => self.start_engine().await,
            Connect::Down => Ok(()),
        }
    }

    /// As [`Node::follow_intent`], for who stays when that fails: why is told where the other
    /// conditions are.
    pub async fn try_to_follow_intent(&self) {
        let intent = self.changing.lock().await;
        if intent.connect == Connect::Down || self.engine().is_some() {
            return;
        }
        if let Err(error) = self.start_engine().await {
            tracing::error!(%error, "the node does not start");
            self.raise(not_started(
                format!("It is switched on, but: {error}. It is tried again all the time."),
                "Mend what is named, or set `tun.name` to \"none\".",
            ));
        }
        self.news.notify_one();
    }

    /// Brings the node up and remembers it. A node that is up stays as it is.
    ///
    /// # Errors
    /// [`SwitchError`]; nothing is remembered then.
    pub async fn up(&self) -> Result<(), SwitchError> {
        let mut intent = self.changing.lock().await;
        let was_down = self.engine().is_none();
        if was_down {
            self.start_engine().await?;
        }
        if let Err(error) = self.remember(&mut intent, Connect::Up) {
            if was_down {
                self.stop_engine().await;
            }
            return Err(error.into());
        }
        self.news.notify_one();
        Ok(())
    }

    /// Takes the node down and remembers it.
    ///
    /// # Errors
    /// [`SwitchError::Storage`]; the node is then as it was.
    pub async fn down(&self) -> Result<(), SwitchError> {
        let mut intent = self.changing.lock().await;
        // Remembered first: a process that is killed in between must not come up again.
        self.remember(&mut intent, Connect::Down)?;
        self.stop_engine().await;
        self.news.notify_one();
        Ok(())
    }

    /// Ends the node without changing what the person wants.
    pub async fn end(&self) {
        let _intent = self.changing.lock().await;
        self.stop_engine().await;
        self.stop_figures();
        self.store_statistics();
        self.settle_friends();
        self.settle_circles();
    }

    /// Reads the configuration file again. A file with a mistake changes nothing, and a health item
    /// says so.
    pub async fn reload(&self) {
        let _intent = self.changing.lock().await;
        match self.config_file.load() {
            Ok(config) => {
                self.adopt(config).await;
                self.health.lock().clear(CONFIG_NOT_READ);
                self.check_exposure();
                tracing::info!("configuration read again");
            }
            Err(error) => {
                tracing::warn!(%error, "configuration not read again");
                self.raise(Condition {
                    code: CONFIG_NOT_READ,
                    severity: Severity::Warning,
                    title: format!("The configuration file {}", error.trouble()),
                    text: format!("The node goes on with the old configuration. {error}"),
                    action: Some("Put the file in order, then reload the service.".to_owned()),
                    affects_connectivity: false,
                    may_pass: false,
                });
            }
        }
        self.news.notify_one();
    }

    /// The engine, while the node is up.
    #[must_use]
    pub fn engine(&self) -> Option<Engine> {
        self.engine.read().clone()
    }

    /// Waits for what an engine tells next: messages of other nodes, and visits.
    pub async fn next_told(&self) -> Option<News> {
        self.told.1.lock().await.recv().await
    }

    /// What an engine has told and nobody has taken.
    fn told_already(&self) -> Option<News> {
        self.told.1.try_lock().ok()?.try_recv().ok()
    }

    /// Who the node is, as its public key.
    #[must_use]
    pub fn key(&self) -> NodeKey {
        self.identity.read().key()
    }

    /// Who the node is.
    #[must_use]
    pub fn identity(&self) -> Arc<Identity> {
        Arc::clone(&self.identity.read())
    }

    /// Where the admin socket is to be, if anywhere.
    #[must_use]
    pub fn admin_place(&self) -> Option<Place> {
        self.settings.read().config.admin.listen.clone()
    }

    /// Whether nodes of the local network need a password.
    #[must_use]
    pub fn has_lan_password(&self) -> bool {
        !self.settings.read().config.lan.password.as_bytes().is_empty()
    }

    /// What is known of newer versions.
    #[must_use]
    pub const fn releases(&self) -> &Releases {
        &self.releases
    }

    /// Whether the settings let newer versions be looked for.
    #[must_use]
    pub fn looks_for_releases(&self) -> bool {
        self.settings.read().config.releases
    }

    /// Where the settings are.
    #[must_use]
    pub fn config_path(&self) -> &Path {
        self.config_file.path()
    }

    /// Where the key is kept.
    #[must_use]
    pub fn identity_path(&self) -> &Path {
        &self.identity_path
    }

    /// The latest status, and every later one.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Arc<Status>> {
        self.status.subscribe()
    }

    /// Remembers how many clients there are.
    pub fn serve_clients(&self, clients: usize) {
        if self.clients.swap(clients, Ordering::Relaxed) == 0 {
            // Whoever keeps the status fresh has slept.
            self.news.notify_one();
        }
    }

    /// Whether somebody reads the status, so that it is to be kept fresh.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.clients.load(Ordering::Relaxed) > 0 || self.serves_figures()
    }

    /// Waits until something changed that the engine does not know of.
    pub async fn changed(&self) {
        self.news.notified().await;
    }

    /// Looks at everything, tells the clients, and returns what they are told.
    pub async fn publish(&self) -> Arc<Status> {
        let mut observer = self.observer.lock().await;
        let Some(facts) = self.facts().await else {
            // Half a status helps nobody; the next look is a second away.
            return Arc::clone(&self.status.borrow());
        };
        let seen = self.serves_figures().then(|| facts.clone());
        let status = Arc::new(observer.observe(facts));
        self.status.send_replace(Arc::clone(&status));
        if let Some(seen) = seen {
            self.tell_figures(&seen, &status);
        }
        status
    }

    /// Everything there is to know at this moment; `None` while the engine is too busy to answer.
    pub async fn facts(&self) -> Option<Facts> {
        let engine = self.engine();
        let snapshot = match &engine {
            None => None,
            Some(engine) => match timeout(SNAPSHOT_PATIENCE, engine.snapshot()).await {
                Ok(Ok(snapshot)) => {
                    self.health.lock().clear(NODE_BROKEN);
                    self.cover(&snapshot);
                    Some(snapshot)
                }
                // Taken down between two lines, or broken.
                Ok(Err(AskError::Stopped)) if self.engine().is_none() => return None,
                Ok(Err(AskError::Stopped)) => {
                    self.raise(broken());
                    None
                }
                Ok(Err(_)) | Err(_) => return None,
            },
        };
        if let Some(engine) = &engine {
            self.look_for_people(engine).await;
        }
        let now = Moment::now();
        let wanted = self.settings.read().peers();
        let (access, friends_revision) = self.access(now.unix_s);
        let (setting, mode) = self.transit();
        Some(Facts {
            now,
            uptime: now.mono.saturating_duration_since(self.started.mono),
            up: engine.is_some(),
            wanted_tun: self.settings.read().tun(&self.identity()).is_some(),
            tun: engine.as_ref().and_then(Engine::tun),
            peers: engine.as_ref().map(|engine| engine.peers().list()).unwrap_or_default(),
            listeners: engine.as_ref().map(|engine| engine.peers().listeners()).unwrap_or_default(),
            failed_listeners: self.failed_listeners.lock().clone(),
            revision: engine.as_ref().map_or(0, |engine| *engine.changes().borrow())
                + self.with_explored(Memory::revision),
            wanted,
            snapshot,
            access,
            friends_revision,
            circles_revision: self.circles_revision(),
            questions: self.questions(),
            names: self.names(),
            gateway: self.gateway(),
            lan: self.lan(engine.as_ref()),
            key: Some(self.key()),
            survey: self.surveyor.latest(),
            supply: self.supply(),
            transit: (transit::plain(setting), transit::plain(mode)),
            saving: self.saving(),
            releases: self.releases.told(self.looks_for_releases(), self.public.offline),
            root_changes: 0,
            health: self.health.lock().visible(now),
        })
    }

    /// Tells of passwords that are open to everybody, or takes that back.
    fn check_exposure(&self) {
        let exposed = config_exposed(&self.settings.read().config, self.config_file.path());
        match exposed {
            Some(condition) => self.raise(condition),
            None => self.health.lock().clear(CONFIG_EXPOSED),
        }
    }

    fn remember(&self, intent: &mut Intent, connect: Connect) -> std::io::Result<()> {
        if intent.connect != connect {
            record::store(&self.state_dir, Intent { connect })?;
            intent.connect = connect;
        }
        Ok(())
    }

    /// Makes an engine from the settings, with its peers and listeners. The caller holds the lock.
    async fn start_engine(&self) -> Result<(), SwitchError> {
        let config = self.engine_config()?;
        self.look_at_certificate();
        let engine = Engine::start(config, tokio::runtime::Handle::current())?;
        *self.engine.write() = Some(engine.clone());
        self.health.lock().clear(NODE_NOT_STARTED);
        let tun = engine.tun().map_or_else(|| "none".to_owned(), |(name, _)| name);
        tracing::info!(tun, "the node is up");
        self.reconcile(&engine).await;
        Ok(())
    }

    fn engine_config(&self) -> Result<EngineConfig, SwitchError> {
        let identity = self.identity();
        let settings = self.settings.read();
        let config = &settings.config;
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(SwitchError::NoRandomness)?;
        let first_seq = {
            let mut sequence = self.sequence.lock();
            let first = sequence.first_unused().max(Moment::now().unix_s);
            // Before the first number is sent.
            sequence.cover(&self.state_dir, first)?;
            first
        };
        let allowed = config.allowed_keys.iter().copied().collect();
        let local = LocalEnd::new(Arc::clone(&identity), allowed)?;
        self.web.lock().begin(local.tls().clone());
        Ok(EngineConfig {
            local,
            groups: config.session_groups()?,
            transit: transit::core(self.transit().1),
            node_info: settings.node_info(),
            fast_sessions: config.fast_sessions,
            first_seq,
            tun: settings.tun(&identity),
            identity,
            rules: self.friends.lock().rules(),
            news: self.told.0.clone(),
            seed: *seed,
        })
    }

    /// Ends the engine, if there is one, and stores the number it ended with. The caller holds the
    /// lock.
    async fn stop_engine(&self) {
        let Some(engine) = self.engine.write().take() else { return };
        self.stop_names().await;
        self.health.lock().clear(NODE_BROKEN);
        let last = engine.shutdown().await;
        self.failed_listeners.lock().clear();
        if let Some(last) = last
            && let Err(error) = self.sequence.lock().settle(&self.state_dir, last)
        {
            // The file is ahead of `last` anyway.
            tracing::warn!(%error, "the last sequence number was not stored");
        }
        tracing::info!("the node is down");
    }

    /// Takes over a configuration that was read or edited. The caller holds the lock.
    async fn adopt(&self, config: Config) {
        if let Some(log) = &self.log {
            log.set_level(config.log_level);
        }
        let restart = self.settings.read().needs_restart(&config);
        {
            let mut settings = self.settings.write();
            settings.config = config;
            settings.passing.removed.clear();
        }
        self.look_at_certificate();
        // Before an engine that is started anew carries a packet.
        self.renew_rules().await;
        // A failure is told where the others are.
        let _ = self.reconcile_figures().await;
        let Some(engine) = self.engine() else { return };
        if !restart {
            self.reconcile(&engine).await;
            return;
        }
        self.stop_engine().await;
        if let Err(error) = self.start_engine().await {
            tracing::error!(%error, "the node is down: it does not start with the new \
                configuration");
            self.raise(not_started(
                format!("With the new configuration: {error}."),
                "Correct the configuration, then run `planetary up`.",
            ));
        }
    }

    /// Keeps the file of sequence numbers ahead of the node.
    fn cover(&self, snapshot: &Snapshot) {
        let before_the_next_look = snapshot.highest_seq.saturating_add(UNSEEN_MAX);
        let stored = self.sequence.lock().cover(&self.state_dir, before_the_next_look);
        match stored {
            Ok(()) => self.health.lock().clear(STATE_NOT_STORED),
            Err(error) => self.raise(Condition {
                code: STATE_NOT_STORED,
                severity: Severity::Warning,
                title: "The state folder cannot be written".to_owned(),
                text: format!(
                    "{}: {error}. After a restart with a clock that was set back, other nodes may \
                     ignore this one for a while.",
                    self.state_dir.path().display()
                ),
                action: Some("Free space on the disk, or check who owns the folder.".to_owned()),
                affects_connectivity: false,
                may_pass: false,
            }),
        }
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("key", &self.key()).finish_non_exhaustive()
    }
}

/// Passwords stand in a configuration file that every account of this computer can read.
pub(crate) fn config_exposed(config: &Config, path: &Path) -> Option<Condition> {
    let shown = path.display();
    config.is_exposed(path).then(|| Condition {
        code: CONFIG_EXPOSED,
        severity: Severity::Warning,
        title: "The configuration shows its passwords to others".to_owned(),
        text: format!("Every account of this computer can read the passwords in {shown}."),
        action: Some(format!(
            "Run `chmod o-r {shown}`; the account of the service must be able to read it."
        )),
        affects_connectivity: false,
        may_pass: false,
    })
}

/// The engine's own thread is gone, which only a mistake in the program can do.
/// The node should be up and is not; `text` says since when and why.
fn not_started(text: String, action: &str) -> Condition {
    Condition {
        code: NODE_NOT_STARTED,
        severity: Severity::Error,
        title: "The node does not start".to_owned(),
        text,
        action: Some(action.to_owned()),
        affects_connectivity: true,
        may_pass: false,
    }
}

fn broken() -> Condition {
    Condition {
        code: NODE_BROKEN,
        severity: Severity::Error,
        title: "The node broke off".to_owned(),
        text: "A part of the node ended by itself; the log says where.".to_owned(),
        action: Some("Run `planetary down` and `planetary up`, and report it.".to_owned()),
        affects_connectivity: true,
        may_pass: false,
    }
}

/// News of the engine that may wait. More are lost, and other nodes ask again.
const NEWS_MAX: usize = 1024;

/// How long the engine may take to describe itself. Past it a status is left out, so that an engine
/// that hangs does not take the service with it.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(1);

/// How far sequence numbers may get between two looks at the engine: they follow the clock in
/// seconds, and looks are at most this far apart (`lifecycle/running.rs`).
const UNSEEN_MAX: u64 = 20;

const NODE_BROKEN: &str = "node_broken";
pub(crate) const NODE_NOT_STARTED: &str = "node_not_started";
const CONFIG_NOT_READ: &str = "config_not_read";
const CONFIG_EXPOSED: &str = "config_exposed";
const STATE_NOT_STORED: &str = "state_not_stored";

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}
