//! Single settings that clients see and change.
//!
//! ```text
//! edit a copy of the file, check it -> the node becomes so -> listeners open? -> write the file
//! ```
//!
//! What does not work out leaves node and file as they were.

use std::collections::BTreeSet;

use planetary_ipc::status::public_uri;
use planetary_ipc::{LogThreshold, PublicList, SessionsSetting, Settings, SettingsChange};

use super::take_over::Making;
use super::{FailedListener, Node, SwitchError, transit};
use crate::config::{Audience, Config, EditError, Lan, LogLevel};
use crate::policy;

/// Why settings were not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeSettingsError {
    /// The change makes no sense, or the file cannot be edited.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The node does not start with it.
    #[error("the node does not start with it, and stays as it was: {0}")]
    Start(#[source] SwitchError),
    /// A listener cannot be opened.
    #[error("cannot listen on {}: {}", .0.uri, .0.error.message)]
    Listener(FailedListener),
}

impl Node {
    /// What of the configuration clients can change, as the node runs with it.
    #[must_use]
    pub fn settings(&self) -> Settings {
        plain(&self.settings.read().config, self.config_path().display().to_string())
    }

    /// Changes settings: they hold, and are on the disk, when this returns.
    ///
    /// # Errors
    /// [`ChangeSettingsError`]; nothing is changed then.
    pub async fn change_settings(
        &self,
        change: &SettingsChange,
    ) -> Result<Settings, ChangeSettingsError> {
        let _intent = self.changing.lock().await;
        let edited = self.config_file.change(change)?;
        let before = self.settings.read().config.clone();
        let wanted = with_settings_of(&before, edited.config());
        let added = wanted.listen.iter().filter(|uri| !before.listen.contains(uri));
        let added: BTreeSet<String> = added.map(ToString::to_string).collect();
        self.become_one(self.making_of(wanted)).await.map_err(ChangeSettingsError::Start)?;
        // A place that was refused to the new settings is refused again, in words.
        let closed = self.failed_listener(&added).or_else(|| self.failed_proxy(&before));
        let closed = match closed {
            None if change.metrics.is_some() => self.reconcile_figures().await.err(),
            closed => closed,
        };
        let kept = match closed {
            Some(closed) => Err(ChangeSettingsError::Listener(closed)),
            None => self.config_file.commit(&edited).map_err(ChangeSettingsError::Edit),
        };
        if let Err(error) = kept {
            tracing::warn!(%error, "the settings stay as they were");
            self.turn_back(self.making_of(before)).await;
            return Err(error);
        }
        tracing::info!("settings changed");
        self.check_exposure();
        self.news.notify_one();
        Ok(self.settings())
    }

    fn making_of(&self, config: Config) -> Making {
        Making { identity: self.identity(), config }
    }

    /// The first of these listeners that is not open though the node is up.
    fn failed_listener(&self, uris: &BTreeSet<String>) -> Option<FailedListener> {
        let failed = self.failed_listeners.lock();
        failed.iter().find(|listener| uris.contains(&listener.uri)).cloned()
    }
}

/// The running configuration with the settings of an edited file. What else changed in the file
/// waits for a reload.
fn with_settings_of(running: &Config, edited: &Config) -> Config {
    Config {
        listen: edited.listen.clone(),
        sessions: edited.sessions,
        transit: edited.transit,
        save: edited.save,
        node_info_privacy: edited.node_info_privacy,
        filter: edited.filter.clone(),
        lan: Lan { enabled: edited.lan.enabled, ..running.lan.clone() },
        names: edited.names,
        gateway: edited.gateway.clone(),
        public_peers: edited.public_peers.clone(),
        metrics: edited.metrics,
        releases: edited.releases,
        log_level: edited.log_level,
        ..running.clone()
    }
}

fn plain(config: &Config, config_file: String) -> Settings {
    let audience = |audience| policy::plain_audience(policy::audience(audience));
    let list = &config.public_peers;
    Settings {
        listen: config.listen.iter().map(|uri| public_uri(&uri.to_string())).collect(),
        inbound: audience(config.filter.inbound),
        echo: audience(config.filter.echo),
        sessions: match config.sessions {
            None => SessionsSetting::Auto,
            Some(Audience::Everyone) => SessionsSetting::Everyone,
            // Nobody cannot be written.
            Some(Audience::Circles | Audience::Nobody) => SessionsSetting::Circles,
        },
        names: config.names,
        lan: config.lan.enabled,
        transit: transit::plain(config.transit),
        save_on_battery: config.save.on_battery,
        save_on_metered: config.save.on_metered,
        gateway_socks: config.gateway.socks.map(|at| at.to_string()),
        gateway_http: config.gateway.http.map(|at| at.to_string()),
        metrics: config.metrics.map(|address| address.to_string()),
        node_info_privacy: config.node_info_privacy,
        log_level: match config.log_level {
            LogLevel::Error => LogThreshold::Error,
            LogLevel::Warn => LogThreshold::Warn,
            LogLevel::Info => LogThreshold::Info,
            LogLevel::Debug => LogThreshold::Debug,
            LogLevel::Trace => LogThreshold::Trace,
        },
        public_list: PublicList {
            url: (!list.url.is_empty()).then(|| list.url.clone()),
            key: list.key.map(|key| planetary_ipc::NodeKey(*key.as_bytes())),
        },
        release_check: config.releases,
        config_file,
    }
}
