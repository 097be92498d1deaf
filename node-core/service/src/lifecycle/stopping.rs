//! Stopping: clients are told, links and interface are closed, the last sequence number is stored,
//! all within [`DEADLINE`]. What is not done by then ends with the process; nothing is lost by
//! that.

use std::time::Duration;

use super::manager::{self, News};
use super::running::Running;

/// Time for a clean end. A person who pressed Ctrl-C waits no longer, and the system's own limit is
/// far away.
const DEADLINE: Duration = Duration::from_millis(1800);

/// A service on its way out.
#[derive(Debug)]
pub(super) struct Stopping(Running);

impl Stopping {
    /// Tells the service manager and the clients.
    pub(super) fn begin(running: Running) -> Self {
        manager::tell(News::Stopping);
        tracing::info!("stopping");
        Self(running)
    }

    /// Ends what runs, or leaves it to the end of the process when the time is up.
    pub(super) async fn finish(self) {
        let Running { node, close_control, control, attending, mut admin, .. } = self.0;
        admin.close();
        // What it writes, it writes whole.
        attending.abort();
        // The server is gone already when nobody listens.
        let _ = close_control.send(());
        let all = async {
            let _ = tokio::join!(node.end(), control);
        };
        match tokio::time::timeout(DEADLINE, all).await {
            Ok(()) => tracing::info!("stopped"),
            Err(_) => tracing::warn!("stopped before everything was closed"),
        }
    }
}
