//! Facts about the computer around the node: its interfaces and routes, the rights and limits of
//! this process, its clock, whether names resolve.
//!
//! Everything here only looks, and judges nothing: [`report`](crate::report) does that, as pure
//! functions of a [`Survey`]. Each look is made on a thread of its own and with a deadline, because
//! any of them may hang: a file system behind a network, a list of accounts that comes from a
//! server, a resolver that is gone. What is not answered in time is [`Finding::Overdue`], and is
//! not asked again before the thread that waits for it has come back, so a system that hangs costs
//! one thread for each kind of look.
//!
//! Nothing leaves the computer but questions for the names of configured peers, and those only when
//! somebody asks for a thorough look and no attempt to link has just answered it.

pub mod clock;
pub(crate) mod errand;
pub mod names;
pub mod process;
pub mod supply;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use planetary_runtime::surroundings::Surroundings;

use self::clock::{ClockFacts, ClockWatch, Witness};
use self::errand::Errand;
use self::names::Names;
use self::process::{Process, Room};
use self::supply::Supply;

/// How long the system may take to tell of itself.
pub const SYSTEM_PATIENCE: Duration = Duration::from_secs(2);

/// How long names may take to resolve, all together: the doctor has ten seconds for everything.
pub const NAMES_PATIENCE: Duration = Duration::from_secs(4);

/// What came of looking for something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Finding<T> {
    /// Not looked for: it does not matter now, or this system does not tell.
    #[default]
    Unasked,
    /// This is so.
    Known(T),
    /// The system has not answered in time.
    Overdue,
    /// The system would not say.
    Refused,
}

/// What was found at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Interfaces and routes; not looked for without an interface of our own.
    pub network: Finding<Surroundings>,
    /// This process.
    pub process: Finding<Process>,
    /// Room in the state folder.
    pub disk: Finding<Room>,
    /// Whether names of peers resolve; looked for on request only.
    pub names: Finding<Names>,
    /// The clock.
    pub clock: ClockFacts,
}

/// What to look for.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Whether the node has an interface.
    pub network: bool,
    /// Names of hosts to resolve.
    pub names: Vec<String>,
    /// What other nodes said the time was, if that was asked for.
    pub witnesses: Option<Vec<Witness>>,
}

/// Makes surveys, and keeps the latest.
#[derive(Debug)]
pub struct Surveyor {
    state_dir: PathBuf,
    latest: RwLock<Arc<Survey>>,
    supply: RwLock<Supply>,
    /// Held by whoever looks: two who ask at once look one after the other.
    looking: tokio::sync::Mutex<ClockWatch>,
    network: Errand,
    process: Errand,
    disk: Errand,
    names: Errand,
    power: Errand,
}

impl<T> Finding<T> {
    /// What is known.
    #[must_use]
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            _ => None,
        }
    }

    /// Whether it was looked for in vain.
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::Overdue | Self::Refused)
    }
}

impl Surveyor {
    /// A surveyor who has not looked yet. `state_dir` is the folder whose room matters.
    #[must_use]
    pub fn new(state_dir: PathBuf) -> Self {
        Self {
            state_dir,
            latest: RwLock::default(),
            supply: RwLock::default(),
            looking: tokio::sync::Mutex::new(ClockWatch::start()),
            network: Errand::default(),
            process: Errand::default(),
            disk: Errand::default(),
            names: Errand::default(),
            power: Errand::default(),
        }
    }

    /// What was found at the last look.
    #[must_use]
    pub fn latest(&self) -> Arc<Survey> {
        Arc::clone(&self.latest.read())
    }

    /// What power and network cost, by the last look.
    #[must_use]
    pub fn supply(&self) -> Supply {
        *self.supply.read()
    }

    /// Looks what power and network cost, and keeps it; tells whether that has changed. Takes no
    /// longer than [`SYSTEM_PATIENCE`].
    pub async fn look_at_supply(&self) -> bool {
        let found = Supply::look(&self.power).await;
        std::mem::replace(&mut *self.supply.write(), found) != found
    }

    /// Looks, keeps and returns what is found. Takes no longer than [`NAMES_PATIENCE`], and nothing
    /// that others wait for is held meanwhile.
    pub async fn look(&self, wishes: Wishes) -> Arc<Survey> {
        let mut watch = self.looking.lock().await;
        let Wishes { network, names, witnesses } = wishes;
        let dir = self.state_dir.clone();
        let (network, process, disk, names) = tokio::join!(
            self.network.run_if(network, SYSTEM_PATIENCE, Surroundings::look),
            self.process.run_if(true, SYSTEM_PATIENCE, || Ok(Process::look())),
            self.disk.run_if(true, SYSTEM_PATIENCE, move || process::room_in(&dir)),
            self.names.run_if(!names.is_empty(), NAMES_PATIENCE, move || Ok(Names::look(&names))),
        );
        let clock = watch.look(witnesses);
        let survey = Arc::new(Survey { network, process, disk: disk.flat(), names, clock });
        *self.latest.write() = Arc::clone(&survey);
        survey
    }
}

impl<T> Finding<Option<T>> {
    /// What this system does not tell was not asked for.
    fn flat(self) -> Finding<T> {
        match self {
            Self::Known(Some(value)) => Finding::Known(value),
            Self::Known(None) | Self::Unasked => Finding::Unasked,
            Self::Overdue => Finding::Overdue,
            Self::Refused => Finding::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_look_finds_this_process_and_keeps_what_it_found() {
        let dir = tempfile::tempdir().unwrap();
        let surveyor = Surveyor::new(dir.path().to_owned());
        assert_eq!(*surveyor.latest(), Survey::default());
        let survey = surveyor.look(Wishes { network: true, ..Wishes::default() }).await;
        assert!(survey.process.known().is_some());
        assert!(survey.network.known().is_some());
        assert_eq!(survey.names, Finding::Unasked);
        assert_eq!(surveyor.latest(), survey);
    }

    #[tokio::test]
    async fn room_is_looked_for_in_the_folder_and_missed_where_there_is_none() {
        let surveyor = Surveyor::new(PathBuf::from("/nowhere/at/all"));
        let survey = surveyor.look(Wishes::default()).await;
        let expected = if cfg!(unix) { Finding::Refused } else { Finding::Unasked };
        assert_eq!((&survey.disk, &survey.network), (&expected, &Finding::Unasked));
    }
}
