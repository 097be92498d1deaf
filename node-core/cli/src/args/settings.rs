//! `planetary settings` and `planetary listener`.

use clap::Subcommand;
use planetary_ipc::{Audience, LogThreshold, SessionsSetting, SettingsChange, TransitMode};

#[derive(Debug, Subcommand)]
pub(crate) enum SettingsCommand {
    /// Change a setting: it holds at once, and is written to the configuration
    Set {
        #[command(subcommand)]
        setting: Setting,
    },
}

#[derive(Debug, Subcommand)]
#[command(rename_all = "snake_case")]
pub(crate) enum Setting {
    /// Who may open connections to this computer: nobody, circles or everyone
    ///
    /// `circles` are friends and members of circles, each what it was allowed, and everyone what is
    /// open to everyone.
    /// With `everyone` any node reaches any port.
    Inbound {
        #[arg(value_name = "WHO", value_parser = audience)]
        value: Audience,
    },
    /// Whose pings are answered: nobody, circles or everyone
    Echo {
        #[arg(value_name = "WHO", value_parser = audience)]
        value: Audience,
    },
    /// Who may open a session to this node: auto, circles or everyone
    ///
    /// `auto` is everyone while anything is open to everyone, else circles.
    Sessions {
        #[arg(value_name = "WHO", value_parser = sessions)]
        value: SessionsSetting,
    },
    /// Whether names such as ada.pln.internal are answered on this computer: true or false
    Names {
        #[arg(value_name = "BOOL")]
        #[arg(action = clap::ArgAction::Set)]
        value: bool,
    },
    /// Whether other nodes are looked for on the local network: true or false
    Lan {
        #[arg(value_name = "BOOL")]
        #[arg(action = clap::ArgAction::Set)]
        value: bool,
    },
    /// What this node carries for others: relay, reluctant or leaf
    ///
    /// `relay` is whatever the network sends its way, `reluctant` what has no better way, and
    /// `leaf` next to nothing.
    Transit {
        #[arg(value_name = "MODE", value_parser = transit)]
        value: TransitMode,
    },
    /// Whether next to nothing is carried for others on battery: true or false
    SaveOnBattery {
        #[arg(value_name = "BOOL")]
        #[arg(action = clap::ArgAction::Set)]
        value: bool,
    },
    /// Whether next to nothing is carried for others while the network is paid by volume: true or
    /// false
    SaveOnMetered {
        #[arg(value_name = "BOOL")]
        #[arg(action = clap::ArgAction::Set)]
        value: bool,
    },
    /// Where programs find a SOCKS5 proxy into the network: 127.0.0.1:1080, or none
    ///
    /// A port alone is one of 127.0.0.1. Every program of this computer can use it.
    GatewaySocks {
        #[arg(value_name = "ADDRESS", value_parser = listener)]
        value: String,
    },
    /// Where programs find an HTTP proxy into the network: 127.0.0.1:8080, or none
    ///
    /// A port alone is one of 127.0.0.1. Every program of this computer can use it.
    GatewayHttp {
        #[arg(value_name = "ADDRESS", value_parser = listener)]
        value: String,
    },
    /// Where figures for Prometheus are served: 127.0.0.1:9090, or none
    ///
    /// A port alone is one of 127.0.0.1. They have neither keys nor addresses in them.
    Metrics {
        #[arg(value_name = "ADDRESS", value_parser = listener)]
        value: String,
    },
    /// Whether the names of program and system stay out of what this node tells: true or false
    ///
    /// The node is started anew for it, which takes a moment.
    NodeInfoPrivacy {
        #[arg(value_name = "BOOL")]
        #[arg(action = clap::ArgAction::Set)]
        value: bool,
    },
    /// Whether newer versions of this program are looked for, once a day: true or false
    ReleaseCheck {
        #[arg(value_name = "BOOL")]
        #[arg(action = clap::ArgAction::Set)]
        value: bool,
    },
    /// The least severe event that is logged: error, warn, info, debug or trace
    LogLevel {
        #[arg(value_name = "LEVEL", value_parser = log_level)]
        value: LogThreshold,
    },
    /// Where the list of public peers is fetched from; '' takes the one of the program
    PublicListUrl {
        #[arg(value_name = "URL", value_parser = short)]
        value: String,
    },
    /// Key with which that list must be signed, 64 hexadecimal digits; '' for none
    PublicListKey {
        #[arg(value_name = "KEY", value_parser = short)]
        value: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ListenerCommand {
    /// Listen for links of other nodes at this address as well
    Add {
        /// Where, such as tls://192.0.2.7:9001
        #[arg(value_parser = super::uri)]
        uri: String,
    },
    /// Listen at this address no more; links that came in there end
    Remove {
        /// Where
        #[arg(value_parser = super::uri)]
        uri: String,
    },
}

impl Setting {
    /// The change that was asked for.
    pub(crate) fn change(self) -> SettingsChange {
        let mut change = SettingsChange::default();
        match self {
            Self::Inbound { value } => change.inbound = Some(value),
            Self::Echo { value } => change.echo = Some(value),
            Self::Sessions { value } => change.sessions = Some(value),
            Self::Names { value } => change.names = Some(value),
            Self::Lan { value } => change.lan = Some(value),
            Self::Transit { value } => change.transit = Some(value),
            Self::SaveOnBattery { value } => change.save_on_battery = Some(value),
            Self::SaveOnMetered { value } => change.save_on_metered = Some(value),
            Self::GatewaySocks { value } => change.gateway_socks = Some(value),
            Self::GatewayHttp { value } => change.gateway_http = Some(value),
            Self::Metrics { value } => change.metrics = Some(value),
            Self::NodeInfoPrivacy { value } => change.node_info_privacy = Some(value),
            Self::ReleaseCheck { value } => change.release_check = Some(value),
            Self::LogLevel { value } => change.log_level = Some(value),
            Self::PublicListUrl { value } => change.public_list_url = Some(value),
            Self::PublicListKey { value } => change.public_list_key = Some(value),
        }
        change
    }
}

fn audience(text: &str) -> Result<Audience, String> {
    let all = [Audience::Nobody, Audience::Circles, Audience::Everyone];
    one_of(all, Audience::name, text)
}

fn sessions(text: &str) -> Result<SessionsSetting, String> {
    one_of(SessionsSetting::ALL, SessionsSetting::name, text)
}

fn transit(text: &str) -> Result<TransitMode, String> {
    one_of(TransitMode::ALL, TransitMode::name, text)
}

/// A place of this computer, or what ends it.
fn listener(text: &str) -> Result<String, String> {
    match text {
        "" | "none" => Ok(String::new()),
        text => super::roads::here(text),
    }
}

fn log_level(text: &str) -> Result<LogThreshold, String> {
    one_of(LogThreshold::ALL, LogThreshold::name, text)
}

fn one_of<T: Copy, const N: usize>(
    all: [T; N],
    name: fn(T) -> &'static str,
    text: &str,
) -> Result<T, String> {
    let found = all.into_iter().find(|value| name(*value) == text);
    found.ok_or_else(|| format!("it must be one of {}", all.map(name).join(", ")))
}

fn short(text: &str) -> Result<String, String> {
    match text {
        "" => Ok(String::new()),
        text => super::uri(text),
    }
}
