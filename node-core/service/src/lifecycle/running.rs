//! Running: the node is up or down as the person wishes, and the service waits for what happens
//! next.

use std::future::Future;

use super::manager::{self, News};
use super::signals::{Signal, Signals};
use super::starting::Started;
use super::stopping::Stopping;
use crate::config::Config;

/// A service that runs.
#[derive(Debug)]
pub struct Running {
    started: Started,
}

impl Running {
    /// Brings up what was prepared, and tells the service manager.
    pub(super) fn enter(started: Started) -> Self {
        tracing::info!(control = %started.control.display(), intent = ?started.intent.connect, "running");
        manager::tell(News::Ready);
        Self { started }
    }

    /// Serves until a signal or `outside` says stop.
    pub(super) async fn until_told(
        mut self,
        mut signals: Signals,
        outside: impl Future<Output = ()>,
    ) -> Stopping {
        tokio::pin!(outside);
        loop {
            let signal = tokio::select! {
                signal = signals.next() => signal,
                () = &mut outside => Signal::Stop,
            };
            match signal {
                Signal::Stop => return Stopping::begin(self.started),
                Signal::Reload => self.reload(),
            }
        }
    }

    /// Reads the configuration again. A file with a mistake changes nothing.
    fn reload(&mut self) {
        match Config::load(self.started.config_file.path()) {
            Ok(config) => {
                if let Some(log) = &self.started.log {
                    log.set_level(config.log_level);
                }
                self.started.settings.config = config;
                tracing::info!("configuration read again");
            }
            Err(error) => tracing::warn!(%error, "configuration not read again"),
        }
    }
}
