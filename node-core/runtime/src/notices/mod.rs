//! Notices of the system: something about interfaces, addresses, routes or name servers may have
//! changed.
//!
//! A notice says only that a look is worth it, never what has changed; who waits for them looks
//! ([`crate::engine`]) and compares. So it does no harm that the systems also tell of what concerns
//! nobody here, such as our own TUN, and little when one is lost.
//!
//! Linux tells over netlink, macOS over a routing socket, Windows calls back; name servers are a
//! file on Unix.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::{sync::Arc, time::SystemTime};

use tokio::sync::Notify;

#[cfg(target_os = "linux")]
use self::linux::Source;
#[cfg(target_os = "macos")]
use self::macos::Source;
#[cfg(unix)]
use self::unix as platform;
#[cfg(windows)]
use self::windows::{self as platform, Source};

/// Notices from the opening on, until it is dropped.
pub(crate) struct Notices {
    arrived: Arc<Notify>,
    /// Keeps them coming.
    _source: Option<Source>,
}

impl Notices {
    /// Begins to listen. Must run inside a tokio runtime. A system that does not tell is only worth
    /// a line in the log: nothing depends on notices alone.
    pub(crate) fn open() -> Self {
        let arrived = Arc::new(Notify::new());
        let opened = Source::open(&arrived);
        let source = opened.inspect_err(|error| {
            tracing::info!(%error, "the system does not tell when its network changes");
        });
        Self { arrived, _source: source.ok() }
    }

    /// Waits for a notice. Any number of them that come between two calls count as one.
    pub(crate) async fn next(&self) {
        self.arrived.notified().await;
    }
}

/// When the system's list of name servers was last written, where that can be seen.
pub(crate) fn resolver_written_at() -> Option<SystemTime> {
    platform::resolver_written_at()
}

#[cfg(test)]
mod tests;
