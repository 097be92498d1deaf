//! What of the configuration clients can see and change, one setting at a time.
//!
//! The rest of the file (passwords, keys that may link, the interface) is for an editor. What is
//! answered is what the node runs with; a change is checked together with the rest of the file and
//! holds before it is answered, or nothing is changed.

use serde::{Deserialize, Serialize};

use crate::error::{ApiError, ErrorCode};
use crate::friends::Audience;
use crate::identity::NodeKey;
use crate::limits;
use crate::transit::TransitMode;

/// Answer to `settings` and `settings_change`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Settings {
    /// Addresses on which other nodes may link to this one, without their options. Those of the
    /// service's command line are not among them.
    pub listen: Vec<String>,
    /// Who may open connections to this computer.
    pub inbound: Audience,
    /// Whose echo requests are answered.
    pub echo: Audience,
    /// Who may open a session to this node.
    pub sessions: SessionsSetting,
    /// Whether names such as `ada.pln.internal` are answered on this computer.
    pub names: bool,
    /// Whether other nodes are looked for on the local network.
    pub lan: bool,
    /// What the node carries for others.
    pub transit: TransitMode,
    /// Whether it carries next to nothing while this computer runs on its battery.
    pub save_on_battery: bool,
    /// Whether it carries next to nothing while the network is paid by volume.
    pub save_on_metered: bool,
    /// Where the SOCKS5 proxy listens, `127.0.0.1:1080`, or `null` for none.
    pub gateway_socks: Option<String>,
    /// Where the HTTP proxy listens, `127.0.0.1:8080`, or `null` for none.
    pub gateway_http: Option<String>,
    /// Where figures for Prometheus are served, `127.0.0.1:9090`, or `null` for nowhere.
    pub metrics: Option<String>,
    /// Whether the names of program and system stay out of what the node tells about itself.
    pub node_info_privacy: bool,
    /// The least severe event that is logged.
    pub log_level: LogThreshold,
    /// Where the list of public peers comes from.
    pub public_list: PublicList,
    /// Whether newer versions of the program are looked for.
    pub release_check: bool,
    /// Where all of this is kept.
    pub config_file: String,
}

/// Where the list of public peers comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PublicList {
    /// URL of the list, or `null` for the one that ships with the program.
    pub url: Option<String>,
    /// Key with which it must be signed, or `null` for none.
    pub key: Option<NodeKey>,
}

/// Who may open a session to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SessionsSetting {
    /// Everyone while anything is open to everyone, else friends and members of circles.
    Auto,
    /// Friends, and members of this computer's circles.
    Circles,
    /// Every node that is not blocked.
    Everyone,
}

impl SessionsSetting {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Circles, Self::Everyone];

    /// The word as it is written in JSON and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Circles => "circles",
            Self::Everyone => "everyone",
        }
    }
}

/// The least severe event that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LogThreshold {
    /// Something is broken.
    Error,
    /// Odd, but working.
    Warn,
    /// A change that a person would notice.
    Info,
    /// A branch worth knowing.
    Debug,
    /// Every packet.
    Trace,
}

impl LogThreshold {
    /// Every value, the least talkative first.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// The word as it is written in JSON and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// What to change of the settings; what is absent stays. All of it is done, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SettingsChange {
    /// Addresses to listen on as well, with their options.
    #[serde(default)]
    pub listen_add: Vec<String>,
    /// Addresses to listen on no more; options are not compared. Taken away before `listen_add` is
    /// added.
    #[serde(default)]
    pub listen_remove: Vec<String>,
    /// Who may open connections to this computer.
    #[serde(default)]
    pub inbound: Option<Audience>,
    /// Whose echo requests are answered.
    #[serde(default)]
    pub echo: Option<Audience>,
    /// Who may open a session to this node.
    #[serde(default)]
    pub sessions: Option<SessionsSetting>,
    /// Whether names such as `ada.pln.internal` are answered on this computer.
    #[serde(default)]
    pub names: Option<bool>,
    /// Whether other nodes are looked for on the local network.
    #[serde(default)]
    pub lan: Option<bool>,
    /// What the node carries for others.
    #[serde(default)]
    pub transit: Option<TransitMode>,
    /// Whether it carries next to nothing while this computer runs on its battery.
    #[serde(default)]
    pub save_on_battery: Option<bool>,
    /// Whether it carries next to nothing while the network is paid by volume.
    #[serde(default)]
    pub save_on_metered: Option<bool>,
    /// Where the SOCKS5 proxy listens, a loopback address with a port; empty for none.
    #[serde(default)]
    pub gateway_socks: Option<String>,
    /// Where the HTTP proxy listens, a loopback address with a port; empty for none.
    #[serde(default)]
    pub gateway_http: Option<String>,
    /// Where figures for Prometheus are served, a loopback address with a port; empty for nowhere.
    #[serde(default)]
    pub metrics: Option<String>,
    /// Whether the names of program and system stay out of what the node tells about itself.
    #[serde(default)]
    pub node_info_privacy: Option<bool>,
    /// The least severe event that is logged.
    #[serde(default)]
    pub log_level: Option<LogThreshold>,
    /// Whether newer versions of the program are looked for.
    #[serde(default)]
    pub release_check: Option<bool>,
    /// URL of the list of public peers; empty for the one that ships with the program.
    #[serde(default)]
    pub public_list_url: Option<String>,
    /// Key with which the list must be signed, 64 hexadecimal digits; empty for none.
    #[serde(default)]
    pub public_list_key: Option<String>,
}

impl SettingsChange {
    /// Checks what the types do not: lengths and counts.
    ///
    /// # Errors
    /// The error to answer with.
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        let invalid = |text: String| Err(ApiError::new(ErrorCode::InvalidRequest, text));
        for (name, list) in
            [("listen_add", &self.listen_add), ("listen_remove", &self.listen_remove)]
        {
            if list.len() > limits::LISTENERS_CHANGED_MAX {
                let most = limits::LISTENERS_CHANGED_MAX;
                return invalid(format!("`{name}` has {} entries, where {most} fit", list.len()));
            }
        }
        for (name, text) in
            [("public_list_url", &self.public_list_url), ("public_list_key", &self.public_list_key)]
        {
            let len = text.as_ref().map_or(0, String::len);
            if len > limits::URI_LEN_MAX {
                let most = limits::URI_LEN_MAX;
                return invalid(format!("`{name}` has {len} bytes, where {most} fit"));
            }
        }
        Ok(())
    }
}
