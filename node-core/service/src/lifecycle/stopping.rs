//! Stopping: everything ends within [`DEADLINE`], in the reverse order of starting.

use std::time::Duration;

use super::manager::{self, News};
use super::starting::Started;

/// Time for a clean end. A person who pressed Ctrl-C waits no longer, and the system's own limit is
/// far away.
pub const DEADLINE: Duration = Duration::from_secs(2);

/// A service on its way out.
#[derive(Debug)]
pub(super) struct Stopping {
    /// Dropped last, and with it the lock of the state folder.
    started: Started,
}

impl Stopping {
    /// Tells the service manager.
    pub(super) fn begin(started: Started) -> Self {
        manager::tell(News::Stopping);
        tracing::info!("stopping");
        Self { started }
    }

    /// Ends what runs, or leaves it to the end of the process when the time is up.
    pub(super) async fn finish(self) {
        drop(self.started);
        tracing::info!("stopped");
    }
}
