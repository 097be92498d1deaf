//! Starting: everything is read and checked before anything is opened.
//!
//! The order is that of the possible damage: first the configuration, which is only read, then the
//! state folder, which is locked against a second service, then the identity, which may be made,
//! then the records, which may be set aside. A failure leaves behind at most an empty state folder
//! and files that were set aside.

use std::path::{Path, PathBuf};

use planetary_ipc::{HealthItem, Severity};
use planetary_proto::identity::Identity;
use zeroize::Zeroizing;

use crate::args::RunArguments;
use crate::config::{Config, ConfigError, ConfigFile};
use crate::health::{Condition, Health, Moment};
use crate::log::file::LogFile;
use crate::log::{self, LogHandle};
use crate::node::{self, Passing, Settings};
use crate::places::{NoHome, Places};
use crate::public::Public;
use crate::public::kept::{ChosenRecord, Kept, PausedRecord};
use crate::public::statistics::StatisticsRecord;
use crate::public::store::ListRecord;
use crate::releases::{Releases, ReleasesRecord};
use crate::state::circles::{CirclesKeeper, LoadedCircles};
use crate::state::forwards::Forwards;
use crate::state::friends::FriendsKeeper;
use crate::state::identity::{self, Exposure, IdentityError};
use crate::state::networks::Networks;
use crate::state::record::{self, Damage, Intent, Record, RecordError, Sequence, SequenceKeeper};
use crate::state::{ReadError, StateDir, StateError};

/// Why the service cannot start. Every message names the thing and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is nowhere to keep anything.
    #[error(transparent)]
    NoHome(#[from] NoHome),
    /// The configuration has a mistake.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// There is no identity, and none may be made.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A record cannot be used.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The log cannot be written.
    #[error(
        "{}: the log cannot be written: {source}; choose another file with --log-file",
        path.display()
    )]
    Log {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// The system gives no random numbers.
    #[error("no random numbers: {0}")]
    NoRandomness(getrandom::Error),
}

/// Everything a running service needs from the disk and the command line.
#[derive(Debug)]
pub struct Started {
    /// What the file says, with what the command line says for this run.
    pub settings: Settings,
    /// The file, for changes on a person's behalf.
    pub config_file: ConfigFile,
    /// Where to listen for clients.
    pub control: PathBuf,
    /// The locked state folder.
    pub state_dir: StateDir,
    /// Who the node is.
    pub identity: Identity,
    /// Where the key is kept.
    pub identity_path: PathBuf,
    /// Whether to be on the network.
    pub intent: Intent,
    /// The numbers never to fall below.
    pub sequence: SequenceKeeper,
    /// What is known of public peers.
    pub public: Public,
    /// What is known of newer versions.
    pub releases: Releases,
    /// Who may reach this computer.
    pub friends: FriendsKeeper,
    /// The forwarded ports.
    pub forwards: Forwards,
    /// What the person has said of local networks.
    pub networks: Networks,
    /// The circles.
    pub circles: LoadedCircles,
    /// Random, for what circles need chance for.
    pub circles_seed: Zeroizing<[u8; 32]>,
    /// What was noticed on the way.
    pub health: Health,
    /// For a change of the level; `None` where the process has a log of its own.
    pub log: Option<LogHandle>,
}

/// Reads and checks everything.
pub(crate) fn start(mut arguments: RunArguments) -> Result<Started, StartError> {
    let places = Places::choose(
        arguments.config.take(),
        arguments.state_dir.take(),
        arguments.control.take(),
    )?;
    StateDir::check(&places.state_dir)?;
    let config = load_config(&places)?;
    let log_file = arguments.log_file.take().map(|path| open_log(&path)).transpose()?;
    // A process that has a log keeps it.
    let log = log::start(config.log_level, config.log_format, log_file).ok();
    let now = Moment::now();
    let mut health = Health::default();

    let state_dir = StateDir::open(&places.state_dir)?;
    let loaded = identity::load_or_create(&state_dir, now.unix_s)?;
    if let Some(condition) = exposed(&loaded) {
        health.raise(condition, now);
    }
    if let Some(condition) = node::config_exposed(&config, &places.config) {
        health.raise(condition, now);
    }
    let intent = load_record::<Intent>(&state_dir, INTENT_DAMAGED, &mut health, now)?;
    let sequence = load_record::<Sequence>(&state_dir, SEQUENCE_DAMAGED, &mut health, now)?;
    let kept = Kept::new(
        load_record::<ChosenRecord>(&state_dir, CHOSEN_DAMAGED, &mut health, now)?,
        load_record::<PausedRecord>(&state_dir, PAUSED_DAMAGED, &mut health, now)?,
    );
    let public = Public::new(
        load_record::<ListRecord>(&state_dir, LIST_DAMAGED, &mut health, now)?,
        load_record::<StatisticsRecord>(&state_dir, STATISTICS_DAMAGED, &mut health, now)?,
    );
    let releases = Releases::new(load_record::<ReleasesRecord>(
        &state_dir,
        RELEASES_DAMAGED,
        &mut health,
        now,
    )?);
    let forwards = load_record::<Forwards>(&state_dir, FORWARDS_DAMAGED, &mut health, now)?;
    let (friends, damage) = FriendsKeeper::load(&state_dir, now.unix_s)?;
    if let Some(damage) = damage {
        health.raise(node::friends_damaged(&damage), now);
    }
    let networks = load_record::<Networks>(&state_dir, NETWORKS_DAMAGED, &mut health, now)?;
    let circles = CirclesKeeper::load(&state_dir, now.unix_s)?;
    let mut circles_seed = Zeroizing::new([0; 32]);
    getrandom::fill(circles_seed.as_mut_slice()).map_err(StartError::NoRandomness)?;
    tracing::info!(
        config = %places.config.display(),
        state_dir = %places.state_dir.display(),
        key = %loaded.identity.key(),
        new_identity = loaded.created,
        "starting"
    );
    for item in health.visible(now) {
        let HealthItem { code, text, action, .. } = item;
        tracing::warn!(%code, text, action, "noticed at start");
    }
    Ok(Started {
        settings: Settings { config, arguments, kept, passing: Passing::default() },
        config_file: ConfigFile::new(places.config),
        control: places.control,
        state_dir,
        sequence: SequenceKeeper::new(sequence, &loaded.identity.key()),
        identity: loaded.identity,
        identity_path: loaded.path,
        intent,
        public,
        releases,
        friends,
        forwards,
        networks,
        circles,
        circles_seed,
        health,
        log,
    })
}

fn open_log(path: &Path) -> Result<LogFile, StartError> {
    LogFile::open(path).map_err(|source| StartError::Log { path: path.to_owned(), source })
}

fn load_config(places: &Places) -> Result<Config, ConfigError> {
    match Config::load(&places.config) {
        Err(ConfigError::Unreadable { source: ReadError::Missing, .. })
            if !places.config_required =>
        {
            Ok(Config::default())
        }
        loaded => loaded,
    }
}

const INTENT_DAMAGED: (&str, &str) = (
    "intent_damaged",
    "Whether the node should be on the network was lost; it is, as on the first day.",
);
const CHOSEN_DAMAGED: (&str, &str) = (
    "chosen_peers_damaged",
    "The public peers that were chosen are lost; `planetary peer public --best 3 --add` chooses \
     anew.",
);
const PAUSED_DAMAGED: (&str, &str) =
    ("paused_peers_damaged", "Which peers were paused is lost; all are dialled again.");
const FORWARDS_DAMAGED: (&str, &str) =
    ("forwards_damaged", "No port is forwarded any more; `planetary forward` forwards them again.");
const LIST_DAMAGED: (&str, &str) = (
    "public_list_damaged",
    "The list of public peers that ships with the program is used until it is fetched again.",
);
const RELEASES_DAMAGED: (&str, &str) = (
    "releases_damaged",
    "What was known of newer versions of this program was lost; it is asked again.",
);
const STATISTICS_DAMAGED: (&str, &str) =
    ("peer_statistics_damaged", "How well peers answered before is lost.");
const NETWORKS_DAMAGED: (&str, &str) = (
    "networks_damaged",
    "Which local networks are trusted is lost; nodes are looked for on wires only.",
);
const SEQUENCE_DAMAGED: (&str, &str) = (
    "sequence_damaged",
    "The highest sequence number was lost; numbers go on from the clock. If the clock was \
     set back, other nodes ignore this one until it has caught up.",
);

fn load_record<T: Record>(
    dir: &StateDir,
    (code, consequence): (&'static str, &str),
    health: &mut Health,
    now: Moment,
) -> Result<T, RecordError> {
    let loaded = record::load::<T>(dir, now.unix_s)?;
    if let Some(damage) = loaded.damage {
        health.raise(damaged(code, consequence, &damage), now);
    }
    Ok(loaded.record)
}

fn damaged(code: &'static str, consequence: &str, damage: &Damage) -> Condition {
    let Damage { path, reason, kept } = damage;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let whereabouts = match kept {
        Ok(kept) => format!("It was kept as {}.", kept.display()),
        Err(error) => format!("It could not be renamed ({error}) and will be replaced."),
    };
    Condition {
        code,
        severity: Severity::Warning,
        title: format!("{name} was damaged"),
        text: format!("{} is damaged ({reason}). {whereabouts} {consequence}", path.display()),
        action: Some("Check the disk; restore the file from a backup if you have one.".to_owned()),
        affects_connectivity: false,
        may_pass: false,
    }
}

fn exposed(loaded: &identity::Loaded) -> Option<Condition> {
    let path = loaded.path.display();
    let (severity, text) = match loaded.exposure {
        Exposure::Private => return None,
        Exposure::Closed => (
            Severity::Warning,
            format!(
                "Other accounts of this computer could read {path} until now; its permissions are \
                 closed."
            ),
        ),
        Exposure::Open => (
            Severity::Error,
            format!(
                "Other accounts of this computer can read {path}, and the system does not let the \
                 service change that."
            ),
        ),
    };
    Some(Condition {
        code: "identity_exposed",
        severity,
        title: "The node's key was readable by others".to_owned(),
        text,
        action: Some(
            "If somebody you do not trust uses this computer, move the key away and \
            start with a new one."
                .to_owned(),
        ),
        affects_connectivity: false,
        may_pass: false,
    })
}
