//! What this node carries for others, and what of this computer's state that depends on.

use serde::{Deserialize, Serialize};

/// What a node carries for others. It is said by the place that the node takes in the tree, never
/// by dropping packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TransitMode {
    /// Whatever the tree sends its way.
    Relay,
    /// What has no better way: others are let in below this node with some delay.
    #[default]
    Reluctant,
    /// Next to nothing: no node is let in below this one.
    Leaf,
}

impl TransitMode {
    /// Every value, the most generous first.
    pub const ALL: [Self; 3] = [Self::Relay, Self::Reluctant, Self::Leaf];

    /// The word as it is written in JSON and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Reluctant => "reluctant",
            Self::Leaf => "leaf",
        }
    }
}

/// Why a node carries less than its settings say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Saving {
    /// The network of this computer is paid by volume.
    Metered,
    /// This computer runs on its battery.
    Battery,
}

impl Saving {
    /// The word as it is written in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metered => "metered",
            Self::Battery => "battery",
        }
    }
}

/// What the node carries for others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Transit {
    /// What the settings say.
    pub setting: TransitMode,
    /// What holds now.
    pub mode: TransitMode,
    /// Why these differ, or `null`.
    pub saving: Option<Saving>,
    /// Bytes of others that were passed on since the service started.
    pub bytes: u64,
    /// Bytes of others that were passed on in the last second, or `null` before the first second
    /// is over.
    pub rate: Option<u64>,
    /// Whether the system says that its network is paid by volume; `null` when it does not say.
    pub metered: Option<bool>,
    /// Whether this computer runs on its battery; `null` when it does not say.
    pub battery: Option<bool>,
}
