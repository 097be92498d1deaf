//! Figures for Prometheus as the running service has them: served while the settings name a place
//! for it, whether the node is up or down.

use std::sync::Arc;

use parking_lot::Mutex;
use planetary_ipc::{Severity, Status};
use tokio::sync::watch;

use super::peering::FailedListener;
use super::{Facts, Node};
use crate::health::Condition;
use crate::metrics::{Server, figures};

/// The code of figures that are not served though they are to be.
const METRICS_FAILED: &str = "metrics_failed";

/// What to do then.
const REMEDY: &str = "Stop the program that uses the port, or change `metrics.listen`.";

/// What is served, and who serves it.
#[derive(Default)]
pub(super) struct Serving {
    /// Present while figures are served.
    server: Mutex<Option<Server>>,
    text: watch::Sender<Arc<str>>,
}

impl Node {
    /// Serves figures where the settings say, or nowhere. That this fails is a health item until it
    /// no longer does. The caller holds the lock, or is alone.
    ///
    /// # Errors
    /// Why nobody can be served.
    pub async fn reconcile_figures(&self) -> Result<(), FailedListener> {
        let wanted = self.settings.read().config.metrics;
        let served = self.serving.server.lock().as_ref().map(Server::address);
        if served == wanted {
            self.clear(METRICS_FAILED);
            return Ok(());
        }
        let former = self.serving.server.lock().take();
        if let Some(former) = former {
            former.close().await;
        }
        let Some(address) = wanted else {
            self.clear(METRICS_FAILED);
            return Ok(());
        };
        match Server::open(address, self.serving.text.subscribe()).await {
            Ok(server) => {
                tracing::info!(%address, "figures are served");
                *self.serving.server.lock() = Some(server);
                self.clear(METRICS_FAILED);
                Ok(())
            }
            Err(error) => {
                let failed = FailedListener::local(format!("http://{address}"), &error, REMEDY);
                self.raise(not_served(&failed));
                Err(failed)
            }
        }
    }

    /// Ends what is served.
    pub(super) fn stop_figures(&self) {
        drop(self.serving.server.lock().take());
    }

    /// Whether somebody may ask for figures.
    pub(super) fn serves_figures(&self) -> bool {
        self.serving.server.lock().is_some()
    }

    /// Takes the figures of this moment.
    pub(super) fn tell_figures(&self, facts: &Facts, status: &Status) {
        self.serving.text.send_replace(figures::text(facts, status).into());
    }
}

fn not_served(failed: &FailedListener) -> Condition {
    Condition {
        code: METRICS_FAILED,
        severity: Severity::Warning,
        title: "Figures for Prometheus are not served".to_owned(),
        text: format!("Cannot listen on {}: {}.", failed.uri, failed.error.message),
        action: Some(failed.remedy.to_owned()),
        affects_connectivity: false,
        may_pass: false,
    }
}
