//! The local network: where this node looks for others, and what becomes of it.
//!
//! A *network* is what an interface is plugged into, told apart by what can be seen of it (its
//! router, its name), not the interface itself: the same Wi-Fi card is at home in the evening and
//! in a café at noon. On a network that is not trusted the node neither announces itself nor
//! listens, until a person says otherwise ([`Request::LanTrust`](crate::Request::LanTrust)).

use serde::{Deserialize, Serialize};

/// What the node does about other nodes on the local network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Lan {
    /// Whether it is switched on in the settings.
    pub enabled: bool,
    /// Number of links that are up to nodes that were found, or that found this one.
    pub links: u64,
    /// Most links to nodes that were found.
    pub max_links: u64,
    /// The interfaces that could be used, ordered by name; empty while the node is down.
    pub interfaces: Vec<LanInterface>,
}

/// One interface of this computer, as far as the local network is concerned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LanInterface {
    /// Name of the interface, such as `eth0`.
    pub name: String,
    /// Whether this is Wi-Fi.
    pub wireless: bool,
    /// The network behind it, to be named in `lan_trust`: a short text without meaning, or `null`
    /// while nothing can be seen of it.
    pub network: Option<String>,
    /// What people call the network, such as the name of the Wi-Fi, or `null`.
    pub label: Option<String>,
    /// What is done on it.
    pub state: LanState,
    /// Number of links over it to nodes that were found, or that found this one.
    pub links: u64,
}

/// What is done on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LanState {
    /// The node announces itself, and listens.
    Active,
    /// Nothing, because the network is not trusted: nobody was asked yet, and it is Wi-Fi or a
    /// public network.
    Unknown,
    /// Nothing, because a person said no.
    Refused,
    /// Nothing, because no pattern of the configuration names the interface.
    Excluded,
    /// Nothing, because the system refused; the log says why.
    Failed,
}

impl LanState {
    /// Every value.
    pub const ALL: [Self; 5] =
        [Self::Active, Self::Unknown, Self::Refused, Self::Excluded, Self::Failed];

    /// The word as it is written in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
            Self::Excluded => "excluded",
            Self::Failed => "failed",
        }
    }
}
