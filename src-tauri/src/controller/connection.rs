//! Where the app stands with the service, as the pages and the tray are told.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use planetary_ipc::absence::{self, Seen};
use planetary_ipc::{Status, UnixTime};
use serde::{Deserialize, Serialize};

/// Where the app stands with the service.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Connection {
    /// Not known yet, or lost a moment ago.
    Connecting {
        /// Since when.
        #[cfg_attr(test, schemars(with = "u64"))]
        since: UnixTime,
    },
    /// The service answers.
    Ready {
        /// Since when.
        #[cfg_attr(test, schemars(with = "u64"))]
        since: UnixTime,
        /// The socket it listens on.
        place: String,
        /// What may be asked of it.
        rights: Rights,
        /// Its state, whole.
        #[cfg_attr(test, schemars(schema_with = "crate::schema::status"))]
        status: Arc<Status>,
    },
    /// There is nobody to ask.
    #[serde(untagged)]
    Absent(Absent),
}

/// Why there is nobody to ask, and what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Absent {
    /// Which case it is.
    pub state: Absence,
    /// Since when.
    #[cfg_attr(test, schemars(with = "u64"))]
    pub since: UnixTime,
    /// What happened, in English. Lower case, no full stop.
    pub message: String,
    /// What was seen besides, as whole sentences in English; empty when nothing was.
    pub details: String,
    /// The socket that was tried.
    pub place: String,
    /// What the system's service manager can do about it, or `null`.
    pub step: Option<Step>,
    /// The line that mends it, for a terminal, or `null` where there is none.
    pub command: Option<String>,
    /// Whether `supervise` can do the step here.
    pub can_supervise: bool,
    /// When the next attempt is, in seconds from when this was said.
    pub retry_in_s: u64,
}

/// Why there is nobody to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Absence {
    /// The system knows no service.
    NotInstalled,
    /// It is installed, or may be, and does not run.
    Stopped,
    /// It runs, and this account may not talk to it.
    NoPermission,
    /// It is of another release.
    VersionMismatch,
    /// Somebody else listens in its place.
    Untrusted,
    /// It is there and does not answer.
    Unreachable,
}

impl Absence {
    /// The case for the code of a client; a code of the service itself means that it is there.
    fn of(code: &str) -> Self {
        match code {
            "not_installed" => Self::NotInstalled,
            "stopped" => Self::Stopped,
            "no_permission" => Self::NoPermission,
            "version_mismatch" => Self::VersionMismatch,
            "untrusted" => Self::Untrusted,
            _ => Self::Unreachable,
        }
    }

    /// As it is written in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotInstalled => "not_installed",
            Self::Stopped => "stopped",
            Self::NoPermission => "no_permission",
            Self::VersionMismatch => "version_mismatch",
            Self::Untrusted => "untrusted",
            Self::Unreachable => "unreachable",
        }
    }
}

/// What may be asked of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Rights {
    /// See and change.
    Change,
    /// Also what concerns the identity: backups and imports.
    Admin,
}

impl Rights {
    /// As `docs/ipc.md` has it, from how the caller stands to the socket's file.
    pub(super) fn of(seen: &Seen) -> Self {
        match &seen.socket {
            Some(socket) if socket.is_own || socket.is_root => Self::Admin,
            _ => Self::Change,
        }
    }
}

/// What the system's service manager can be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Enter the service and start it.
    Install,
    /// Start it.
    Start,
    /// End it, and start what is installed.
    Restart,
}

impl From<absence::Step> for Step {
    fn from(step: absence::Step) -> Self {
        match step {
            absence::Step::Install => Self::Install,
            absence::Step::Start => Self::Start,
            absence::Step::Restart => Self::Restart,
        }
    }
}

impl Absent {
    /// Tells why, where, and when it is tried again; `can` says whether a step can be done here.
    pub(super) fn new(
        absence: &absence::Absence,
        place: &Path,
        retry_in_s: u64,
        can: impl FnOnce(Step) -> bool,
    ) -> Self {
        let step = absence.step.map(Step::from);
        Self {
            state: Absence::of(absence.code),
            since: now(),
            message: absence.message.clone(),
            details: absence.details.clone(),
            place: place.display().to_string(),
            step,
            command: absence.command().map(str::to_owned),
            can_supervise: step.is_some_and(can),
            retry_in_s,
        }
    }

    /// Whether it is the same case, so that it goes on from when that began.
    pub(super) fn goes_on_from(&self, earlier: &Self) -> bool {
        (self.state, &self.place) == (earlier.state, &earlier.place)
    }
}

impl Connection {
    /// The state, if the service answers.
    pub fn status(&self) -> Option<&Arc<Status>> {
        match self {
            Self::Ready { status, .. } => Some(status),
            Self::Connecting { .. } | Self::Absent(_) => None,
        }
    }

    pub(super) fn connecting() -> Self {
        Self::Connecting { since: now() }
    }
}

/// This moment, by the clock of this computer.
pub(super) fn now() -> UnixTime {
    // A clock before 1970 is set wrong; what is said of it cannot be right.
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime(elapsed.as_secs())
}
