//! Nodes on the local networks: looked for while the node is up and the settings say so, on
//! networks as far as the person has said.

use planetary_ipc::{Lan, LanInterface, LanState};
use planetary_runtime::Engine;
use planetary_runtime::lan::{LanSettings, Standing};

use super::{Node, Settings};
use crate::health::Moment;
use crate::state::networks::Networks;

/// Why a word on a network was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// No interface is connected to it, and nothing was ever said of it.
    #[error("no interface is connected to such a network now")]
    Unknown,
    /// The state folder cannot be written.
    #[error("the state folder cannot be written: {0}")]
    Storage(#[from] std::io::Error),
}

impl Node {
    /// Looks for nodes on a network, or no longer, and remembers it.
    ///
    /// # Errors
    /// [`TrustError`]; nothing is changed then.
    pub async fn trust_network(&self, network: &str, trusted: bool) -> Result<(), TrustError> {
        let _intent = self.changing.lock().await;
        let engine = self.engine();
        let interfaces = engine.as_ref().map(|engine| engine.peers().lan_interfaces());
        let is_seen = interfaces
            .unwrap_or_default()
            .iter()
            .any(|interface| interface.network.as_deref().is_some_and(|seen| seen == network));
        if !is_seen && !self.networks.lock().knows(network) {
            return Err(TrustError::Unknown);
        }
        self.networks.lock().say(&self.state_dir, network, trusted, Moment::now().unix_s)?;
        if let Some(engine) = engine {
            self.reconcile_lan(&engine).await;
        }
        self.news.notify_one();
        Ok(())
    }

    /// Looks for nodes as the settings and the person say. The caller holds the lock.
    pub(super) async fn reconcile_lan(&self, engine: &Engine) {
        let wanted = wanted(&self.settings.read(), &self.networks.lock());
        engine.peers().search_lan(wanted).await;
    }

    /// What is done about the local networks.
    pub(super) fn lan(&self, engine: Option<&Engine>) -> Lan {
        let interfaces = engine.map(|engine| engine.peers().lan_interfaces()).unwrap_or_default();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let interfaces: Vec<_> = interfaces
            .into_iter()
            .map(|interface| LanInterface {
                name: interface.name,
                wireless: interface.wireless,
                network: interface.network,
                label: interface.label,
                state: state(interface.standing),
                links: count(interface.links),
            })
            .collect();
        let settings = self.settings.read();
        Lan {
            enabled: settings.looks_on_lan(),
            links: interfaces.iter().map(|interface| interface.links).sum(),
            max_links: count(settings.config.lan.max_links),
            interfaces,
        }
    }
}

fn wanted(settings: &Settings, networks: &Networks) -> Option<LanSettings> {
    let lan = &settings.config.lan;
    settings.looks_on_lan().then(|| LanSettings {
        patterns: lan.interfaces.clone(),
        everywhere: lan.everywhere,
        trust: networks.trust(),
        password: lan.password.clone(),
        priority: lan.priority,
        links_max: lan.max_links,
        listen_port: lan.listen_port,
    })
}

const fn state(standing: Standing) -> LanState {
    match standing {
        Standing::Active => LanState::Active,
        Standing::Unknown => LanState::Unknown,
        Standing::Refused => LanState::Refused,
        Standing::Excluded => LanState::Excluded,
        Standing::Failed => LanState::Failed,
    }
}
