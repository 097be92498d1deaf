//! What the node carries for others, and whether it keeps destinations warm: what the settings say,
//! or less while there is something to save.

use planetary_ipc::{Saving, TransitMode};
use planetary_proto::Transit;
use planetary_runtime::Engine;

use super::Node;
use crate::config;

impl Node {
    /// Why the node is a leaf whatever its settings say, if it is.
    #[must_use]
    pub fn saving(&self) -> Option<Saving> {
        let save = self.settings.read().config.save;
        self.supply().saving(save.on_metered, save.on_battery)
    }

    /// What the settings say, and what holds now.
    pub(super) fn transit(&self) -> (config::Transit, config::Transit) {
        let setting = self.settings.read().config.transit;
        (setting, if self.saving().is_some() { config::Transit::Leaf } else { setting })
    }

    /// Makes the engine carry, and keep warm, what holds now.
    pub(super) async fn reconcile_transit(&self, engine: &Engine) {
        let (_, mode) = self.transit();
        if let Err(error) = engine.set_transit(core(mode)).await {
            tracing::warn!(%error, "the node carries for others what it did before");
        }
        if let Err(error) = engine.keep_warm(self.saving().is_none()).await {
            tracing::warn!(%error, "destinations are kept warm, or not, as before");
        }
    }
}

/// For the engine.
pub(super) const fn core(transit: config::Transit) -> Transit {
    match transit {
        config::Transit::Relay => Transit::Relay,
        config::Transit::Reluctant => Transit::Reluctant,
        config::Transit::Leaf => Transit::Leaf,
    }
}

/// For clients.
pub(super) const fn plain(transit: config::Transit) -> TransitMode {
    match transit {
        config::Transit::Relay => TransitMode::Relay,
        config::Transit::Reluctant => TransitMode::Reluctant,
        config::Transit::Leaf => TransitMode::Leaf,
    }
}
