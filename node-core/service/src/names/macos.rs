//! macOS: a file for each zone in `/etc/resolver`, which the system reads whenever one changes.

use std::future::pending;
use std::io;

use super::files::Folder;
use super::{Place, Unwired};

/// What is told.
pub(super) const RESOLVER: &str = "mDNSResponder";

const FOLDER: &str = "/etc/resolver";

/// The system's resolver.
pub(super) struct Resolver;

pub(super) async fn sweep() {
    if let Err(error) = in_folder(|folder| folder.unwire()).await {
        tracing::warn!(%error, "what an earlier run left in {FOLDER} is there still");
    }
}

impl Resolver {
    pub(super) fn new() -> Self {
        Self
    }

    pub(super) async fn wire(&mut self, place: &Place) -> Result<&'static str, Unwired> {
        let server = place.server;
        match in_folder(move |folder| folder.wire(server)).await {
            Ok(()) => Ok(RESOLVER),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(Unwired::Forbidden(RESOLVER))
            }
            Err(error) => Err(Unwired::Failed { resolver: RESOLVER, reason: error.to_string() }),
        }
    }

    pub(super) async fn unwire(&mut self, _: &Place) {
        sweep().await;
    }

    /// Files are read anew by themselves.
    pub(super) async fn restarted(&mut self) {
        pending().await
    }
}

async fn in_folder(work: impl FnOnce(Folder) -> io::Result<()> + Send + 'static) -> io::Result<()> {
    let work = move || work(Folder::new(FOLDER));
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// What to do when the system was not told.
pub(super) fn hint(error: &Unwired, place: &Place) -> String {
    format!("{error}; write `nameserver {}` into {FOLDER}/pln.internal as root", place.server)
}

/// What to do when the system was told, but does not ask.
pub(super) fn hint_unasked(_: &Place) -> String {
    "run `scutil --dns` and look for pln.internal; a VPN may have taken over all names".to_owned()
}
