//! The life of the service, from the command line to the exit code.
//!
//! ```text
//!             everything read     +---------------- Running -----------------+
//! Starting ---------------------->|  Up  <------- up / down ------->  Down   |
//!    |                            +------------------------------------------+
//!    | nothing was changed          | SIGINT, SIGTERM, the service manager
//!    v that matters                 v
//! exit 1                         Stopping ----- within 2 s -----> exit 0
//! ```
//!
//! One file a state. [`starting`] reads and checks everything there is to check before anything is
//! opened, [`running`] holds what lives while the service does and reacts to signals, [`stopping`]
//! ends it within a deadline. `Down` is a state of the node and not of the service: links and
//! interface are closed, process and control socket stay. No state is reached by a flag: each is a
//! type that only the one before it can make.

mod manager;
#[cfg(windows)]
mod privileges;
mod running;
mod signals;
mod starting;
mod stopping;

use std::future::Future;
use std::io;

use planetary_ipc::endpoint::BindError;

#[cfg(windows)]
pub(crate) use self::manager::News;
use self::running::Running;
pub(crate) use self::starting::start;
pub use self::starting::{StartError, Started};
use crate::args::RunArguments;
use crate::node::SwitchError;

/// Why the service ended otherwise than by being told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// It could not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The control socket could not be opened.
    #[error("{}; choose another path with --control", crate::node::chain(.0))]
    Control(#[from] BindError),
    /// The node could not be brought up.
    #[error(transparent)]
    Node(#[from] SwitchError),
    /// What the account may do and the service does not need could not be given up.
    #[cfg(windows)]
    #[error("privileges of this account cannot be given up: {0}")]
    Privileges(#[source] io::Error),
    /// The system gives no threads, sockets or signals.
    #[error("the system refuses what every program gets: {0}")]
    System(#[from] io::Error),
}

/// Runs the service until a signal or `outside` says stop.
///
/// # Errors
/// [`RunError`] when the service cannot run; being told to stop is not an error.
pub fn run(arguments: RunArguments, outside: impl Future<Output = ()>) -> Result<(), RunError> {
    #[cfg(windows)]
    let given_up = privileges::give_up().map_err(RunError::Privileges)?;
    let started = start(arguments)?;
    #[cfg(windows)]
    tracing::info!(count = given_up, "gave up privileges that are not needed");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("planetary-io")
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        let signals = signals::Signals::listen()?;
        let running = Running::enter(started).await?;
        let stopping = running.until_told(signals, outside).await;
        stopping.finish().await;
        Ok(())
    });
    // Whatever a lookup or a slow disk still holds up ends with the process.
    runtime.shutdown_background();
    outcome
}

/// Threads for links and clients. Traffic has threads of its own, so two serve a busy machine.
const WORKERS: usize = 2;
