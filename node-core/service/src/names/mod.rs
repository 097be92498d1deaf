//! Names of nodes on this computer: which friend has which, and that the system's resolver asks
//! for them where they are answered.
//!
//! Names are answered by the runtime, at an address of the node's own subnet on the interface.
//! [`labels`] says what they are. A [`Keeper`] makes the system ask there, for names of the network
//! and for no others, for as long as it lives:
//!
//! ```text
//!            wire ── refused ──> told, tried again in ten minutes
//!              │                        ^
//!              v                        │ not found
//!            does the system find a name that everybody knows?
//!              │ found
//!              v
//!            wired ── a minute is over, or the resolver was started anew ──> does it hold?
//! ```
//!
//! What a platform has to be told is in a file of its own, behind the same functions. Nothing of
//! it makes the node fail: without it names are answered all the same, and a hint says how to ask.
//! Each step has a deadline. What a service that was killed has left in the system is removed at
//! the next start, and never anything that is not ours.

#[cfg(any(target_os = "macos", test))]
mod files;
mod label;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(windows)]
mod windows;

use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use planetary_circles::names;
use planetary_ipc::{Names, NamesState};
use planetary_proto::identity::NodeKey;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

pub use self::label::labels;
#[cfg(target_os = "linux")]
use self::linux as system;
#[cfg(target_os = "macos")]
use self::macos as system;
#[cfg(windows)]
use self::windows as system;
use crate::survey::Finding;
use crate::survey::errand::Errand;

/// How long the system may take to be told, all steps together.
const WIRE_PATIENCE: Duration = Duration::from_secs(5);

/// How long it may take to forget. The service stops within two seconds.
const UNWIRE_PATIENCE: Duration = Duration::from_millis(500);

/// How long the system may take to find a name that is answered on this computer.
const PROOF_PATIENCE: Duration = Duration::from_secs(3);

/// How often it is tried before it counts as not found: systems notice a change within a second.
const PROOF_TRIES: u32 = 3;
const PROOF_GAP: Duration = Duration::from_millis(700);

/// Time between two looks at whether the system still asks here.
const HOLDS_INTERVAL: Duration = Duration::from_secs(60);

/// Time until it is tried again when it does not. The proof asks whoever the system asks then for
/// one name that means nothing, so it is not asked often.
const RETRY_INTERVAL: Duration = Duration::from_secs(600);

/// The zones of which questions belong here: names, and addresses of the network, which are nobody
/// else's business.
fn zones() -> impl Iterator<Item = &'static str> {
    [names::SUFFIX].into_iter().chain(names::REVERSE_SUFFIXES)
}

/// Where names are answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The interface by which it is reached.
    pub interface: String,
    /// The address, on port 53.
    pub server: Ipv6Addr,
}

/// Why the system does not ask here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unwired {
    /// There is no resolver that can be told.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "other systems have one"))]
    #[error("there is no resolver that can be told to ask here")]
    NoResolver,
    /// It does not let this program tell it.
    #[error("{0} does not let the service tell it where names are answered")]
    Forbidden(&'static str),
    /// It failed for another reason.
    #[error("{resolver} was not told where names are answered: {reason}")]
    Failed {
        /// The resolver.
        resolver: &'static str,
        /// Its words.
        reason: String,
    },
}

/// Makes the system ask for names at one place, until it is stopped.
pub struct Keeper {
    place: Place,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Keeper {
    /// Begins. What comes of it is told through `told`.
    #[must_use]
    pub fn start(place: Place, told: watch::Sender<Names>) -> Self {
        told.send_replace(answering(&place, None, None));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(keep(place.clone(), told, stopped));
        Self { place, stop, task }
    }

    /// Where names are answered.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Lets the system forget. Takes no longer than it must.
    pub async fn stop(self) {
        let Self { stop, mut task, .. } = self;
        // A task that is gone has nothing to stop.
        let _ = stop.send(());
        if timeout(UNWIRE_PATIENCE, &mut task).await.is_err() {
            task.abort();
            tracing::warn!("the system's resolver did not forget the node in time");
        }
    }
}

/// Removes what an earlier run has left in the system.
pub async fn sweep() {
    if timeout(WIRE_PATIENCE, system::sweep()).await.is_err() {
        tracing::warn!("what an earlier run told the system's resolver may be there still");
    }
}

/// As [`sweep`], at once and for who takes the service away.
///
/// # Errors
/// What the system answers.
#[cfg(windows)]
pub(crate) fn forget() -> std::io::Result<()> {
    system::remove()
}

async fn keep(place: Place, told: watch::Sender<Names>, mut stopped: oneshot::Receiver<()>) {
    let mut resolver = system::Resolver::new();
    let proof = Errand::default();
    loop {
        let (names, wait) = tokio::select! {
            biased;
            _ = &mut stopped => break,
            state = wire(&place, &mut resolver, &proof) => state,
        };
        if *told.borrow() != names {
            tell(&names);
            told.send_replace(names);
        }
        let disturbed = async {
            let until = sleep(wait);
            tokio::pin!(until);
            tokio::select! {
                () = &mut until => {}
                () = resolver.restarted() => {}
            }
        };
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            () = disturbed => {}
        }
    }
    resolver.unwire(&place).await;
}

/// Tells the system, and whether it asks here then.
async fn wire(place: &Place, resolver: &mut system::Resolver, proof: &Errand) -> (Names, Duration) {
    let wired = match timeout(WIRE_PATIENCE, resolver.wire(place)).await {
        Ok(wired) => wired,
        Err(_) => Err(Unwired::Failed {
            resolver: system::RESOLVER,
            reason: "it did not answer in time".to_owned(),
        }),
    };
    // A person may have told the system in another way.
    let is_asked = is_found(proof).await;
    match wired {
        Ok(resolver) if is_asked => {
            let names = answering(place, Some(resolver), None);
            (Names { state: NamesState::Wired, ..names }, HOLDS_INTERVAL)
        }
        Err(_) if is_asked => {
            let names = answering(place, None, None);
            (Names { state: NamesState::Wired, ..names }, HOLDS_INTERVAL)
        }
        Ok(resolver) => {
            let hint = system::hint_unasked(place);
            (answering(place, Some(resolver), Some(hint)), RETRY_INTERVAL)
        }
        Err(error) => {
            tracing::debug!(%error, "the system's resolver does not ask for names of nodes");
            let told = match &error {
                Unwired::NoResolver => None,
                Unwired::Forbidden(resolver) | Unwired::Failed { resolver, .. } => Some(*resolver),
            };
            let hint = system::hint(&error, place);
            (answering(place, told, Some(hint)), RETRY_INTERVAL)
        }
    }
}

fn answering(place: &Place, resolver: Option<&str>, hint: Option<String>) -> Names {
    Names {
        state: NamesState::Answering,
        suffix: names::SUFFIX.to_owned(),
        server: Some(place.server),
        resolver: resolver.map(str::to_owned),
        hint,
    }
}

/// What is told while names are not answered.
#[must_use]
pub fn off() -> Names {
    Names { suffix: names::SUFFIX.to_owned(), ..Names::default() }
}

fn tell(names: &Names) {
    let resolver = names.resolver.as_deref().unwrap_or("none");
    match (names.state, &names.hint) {
        (NamesState::Wired, _) => {
            tracing::info!(resolver, "programs of this computer find nodes by name");
        }
        (_, Some(hint)) => tracing::info!(resolver, hint, "names are answered, but not asked for"),
        (_, None) => {}
    }
}

/// Whether programs of this computer get an answer from here: they look up the name of a key that
/// is nobody's and whose address is known. Nothing in it tells whose computer this is.
async fn is_found(proof: &Errand) -> bool {
    let nobody = NodeKey::from_bytes([0; 32]);
    for attempt in 0..PROOF_TRIES {
        if attempt > 0 {
            sleep(PROOF_GAP).await;
        }
        let look = move || {
            let mut found = (names::key_host(&nobody).as_str(), 0).to_socket_addrs()?;
            let right = SocketAddr::new(nobody.address().to_ipv6().into(), 0);
            Ok(found.any(|address| address == right))
        };
        match proof.run_if(true, PROOF_PATIENCE, look).await {
            Finding::Known(true) => return true,
            // The system is busy with the last question still.
            Finding::Overdue => return false,
            Finding::Known(false) | Finding::Refused | Finding::Unasked => {}
        }
    }
    false
}
