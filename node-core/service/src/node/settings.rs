//! What a run is to do: the configuration file's word and the command line's, made one.

use std::collections::{BTreeMap, BTreeSet};

use planetary_ipc::PeerSource;
use planetary_ipc::support::ReportedSetting;
use planetary_proto::identity::Identity;
use planetary_runtime::links::peers::PeerId;
use planetary_runtime::links::uri::{ListenUri, PeerUri};
use planetary_runtime::tun::TunSettings;
use serde_json::{Map, Value};

use crate::args::RunArguments;
use crate::config::{self, Config, TunName};
use crate::public::kept::Kept;

/// Bits that all addresses of the network have in common: `200::/7`.
const NETWORK_PREFIX_LEN: u8 = 7;

/// The configuration of a run.
///
/// Has no `Debug` that says anything: passwords are in it.
pub struct Settings {
    /// What the file says.
    pub config: Config,
    /// What the command line says, for this run only.
    pub arguments: RunArguments,
    /// What the state folder says: peers that were chosen, and those that are paused.
    pub kept: Kept,
    /// What clients of the admin socket have said, for this run only.
    pub passing: Passing,
}

/// Peers that were added and removed for this run, which no file tells of.
#[derive(Clone, Default)]
pub struct Passing {
    pub(super) added: Vec<(PeerUri, Option<String>)>,
    pub(super) removed: BTreeSet<PeerId>,
}

/// A peer that the node is to keep a link to.
#[derive(Clone)]
pub struct WantedPeer {
    /// Where to dial.
    pub uri: PeerUri,
    /// From which interface, if that matters.
    pub interface: Option<String>,
    /// Who wants it.
    pub source: PeerSource,
    /// Whether the person does not want it dialled for now.
    pub paused: bool,
}

impl Settings {
    /// The peers of file and command line, and those chosen. One that several name is the file's,
    /// with its options, then the command line's. Paused ones are among them.
    #[must_use]
    pub fn peers(&self) -> BTreeMap<PeerId, WantedPeer> {
        let wanted = |uri: &PeerUri, interface: Option<&String>, source| {
            let id = PeerId::new(uri, interface.map(String::as_str));
            let (uri, interface) = (uri.clone(), interface.cloned());
            let paused = self.kept.paused.contains(&id);
            (id, WantedPeer { uri, interface, source, paused })
        };
        let mut peers = BTreeMap::new();
        peers.extend(
            self.kept.chosen.iter().map(|peer| wanted(&peer.uri, None, PeerSource::Chosen)),
        );
        peers
            .extend(self.arguments.peers.iter().map(|uri| wanted(uri, None, PeerSource::Argument)));
        let added = self.passing.added.iter();
        peers.extend(
            added.map(|(uri, interface)| wanted(uri, interface.as_ref(), PeerSource::Argument)),
        );
        peers.extend(self.config.peers.iter().map(|uri| wanted(uri, None, PeerSource::Config)));
        for (interface, uris) in &self.config.interface_peers {
            peers.extend(uris.iter().map(|uri| wanted(uri, Some(interface), PeerSource::Config)));
        }
        peers.retain(|id, _| !self.passing.removed.contains(id));
        peers
    }

    /// Whether the command line names the peer, or a client named it for this run.
    #[must_use]
    pub fn is_argument(&self, id: &PeerId) -> bool {
        let mut arguments = self.arguments.peers.iter();
        arguments.any(|uri| PeerId::new(uri, None) == *id) || self.passing.has_added(id)
    }

    /// Ends the wish for the peer of command line and clients.
    pub fn forget_argument(&mut self, id: &PeerId) {
        self.arguments.peers.retain(|uri| PeerId::new(uri, None) != *id);
        self.passing.added.retain(|(uri, interface)| PeerId::new(uri, interface.as_deref()) != *id);
    }

    /// The listeners of file and command line, by name; the file's options win.
    #[must_use]
    pub fn listeners(&self) -> BTreeMap<String, ListenUri> {
        let named = |uri: &ListenUri| (uri.to_string(), uri.clone());
        let mut listeners: BTreeMap<_, _> = self.arguments.listen.iter().map(named).collect();
        listeners.extend(self.config.listen.iter().map(named));
        listeners
    }

    /// The interface to open, or `None` for a node in user space.
    #[must_use]
    pub fn tun(&self, identity: &Identity) -> Option<TunSettings> {
        let name = match self.arguments.tun.as_ref().unwrap_or(&self.config.tun.name) {
            TunName::None => return None,
            TunName::Auto => "auto",
            TunName::Named(name) => name.as_str(),
        };
        Some(TunSettings {
            name: name.to_owned(),
            mtu: self.config.tun.mtu,
            address: identity.key().address().to_ipv6(),
            prefix_len: NETWORK_PREFIX_LEN,
        })
    }

    /// What the node tells about itself, as JSON.
    #[must_use]
    pub fn node_info(&self) -> Vec<u8> {
        let mut info = self.config.node_info.clone();
        if !self.config.node_info_privacy {
            info.extend(build_info());
        }
        Value::Object(info).to_string().into_bytes()
    }

    /// What may be told to anybody of file and command line: names of keys, and of each value its
    /// class.
    #[must_use]
    pub fn classes(&self) -> Vec<ReportedSetting> {
        let RunArguments { peers, listen, tun, no_lan, .. } = &self.arguments;
        let count = |number: usize| (number > 0).then(|| format!("{number} given"));
        let given = [
            ("--peer", count(peers.len())),
            ("--listen", count(listen.len())),
            ("--no-lan", no_lan.then(|| "given".to_owned())),
            ("--tun", tun.as_ref().map(|name| config::tun_name(name).to_owned())),
        ];
        let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let all = self.config.classes().chain(given);
        all.map(|(name, value)| ReportedSetting { name: name.to_owned(), value }).collect()
    }

    /// Whether nodes are looked for on the local networks.
    #[must_use]
    pub fn looks_on_lan(&self) -> bool {
        self.config.lan.enabled && !self.arguments.no_lan
    }

    /// Whether `newer` differs in something that a running node cannot change.
    #[must_use]
    pub fn needs_restart(&self, newer: &Config) -> bool {
        let old = &self.config;
        let tun_matters = self.arguments.tun.is_none();
        (tun_matters && old.tun != newer.tun)
            || old.tun.mtu != newer.tun.mtu
            || old.allowed_keys != newer.allowed_keys
            || old.node_info != newer.node_info
            || old.node_info_privacy != newer.node_info_privacy
            || old.fast_sessions != newer.fast_sessions
    }
}

impl Passing {
    fn has_added(&self, id: &PeerId) -> bool {
        let mut added = self.added.iter();
        added.any(|(uri, interface)| PeerId::new(uri, interface.as_deref()) == *id)
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").finish_non_exhaustive()
    }
}

/// Program and system, by the names that the network uses for them (protocol chapter 9.1).
fn build_info() -> Map<String, Value> {
    let platform = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    };
    [
        ("buildname", env!("CARGO_PKG_NAME")),
        ("buildversion", env!("CARGO_PKG_VERSION")),
        ("buildplatform", platform),
        ("buildarch", arch),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), Value::from(value)))
    .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn settings(config: &str, arguments: RunArguments) -> Settings {
        let config = Config::parse(config, Path::new("config.toml")).ok().unwrap();
        Settings { config, arguments, kept: Kept::default(), passing: Passing::default() }
    }

    #[test]
    fn peers_of_both_sources_are_joined_and_the_file_wins() {
        let arguments = RunArguments {
            peers: vec!["tcp://a:1?priority=9".parse().unwrap(), "tcp://b:1".parse().unwrap()],
            listen: vec!["tcp://[::]:1?priority=9".parse().unwrap()],
            ..RunArguments::default()
        };
        let text = "peers = [\"tcp://a:1?priority=1\"]\nlisten = [\"tcp://[::]:1\"]\n\
                    interface_peers.eth0 = [\"tcp://a:1\"]";
        let settings = settings(text, arguments);
        let peers: Vec<_> = settings
            .peers()
            .into_iter()
            .map(|(id, peer)| (id.uri, id.interface, peer.uri.priority(), peer.source))
            .collect();
        assert_eq!(
            peers,
            [
                ("tcp://a:1".to_owned(), None, 1, PeerSource::Config),
                ("tcp://a:1".to_owned(), Some("eth0".to_owned()), 0, PeerSource::Config),
                ("tcp://b:1".to_owned(), None, 0, PeerSource::Argument),
            ]
        );
        assert_eq!(settings.listeners()["tcp://[::]:1"].priority(), 0);
    }

    #[test]
    fn peers_of_this_run_come_and_go_beside_those_of_the_file() {
        let mut settings = settings("peers = [\"tcp://a:1\"]", RunArguments::default());
        let uri = |text: &str| text.parse::<PeerUri>().unwrap();
        settings.passing.added.push((uri("tcp://b:1"), Some("eth0".to_owned())));
        let id = PeerId::new(&uri("tcp://b:1"), Some("eth0"));
        assert_eq!(settings.peers()[&id].source, PeerSource::Argument);
        assert!(settings.is_argument(&id));
        settings.passing.removed.insert(PeerId::new(&uri("tcp://a:1"), None));
        assert_eq!(settings.peers().into_keys().collect::<Vec<_>>(), std::slice::from_ref(&id));
        settings.forget_argument(&id);
        assert!(settings.peers().is_empty());
    }

    #[test]
    fn command_line_decides_on_the_interface() {
        let identity = Identity::from_seed(&[1; 32]);
        let arguments = |tun: Option<&str>| RunArguments {
            tun: tun.map(|name| name.parse().unwrap()),
            ..RunArguments::default()
        };
        let text = "tun.name = \"pn7\"\ntun.mtu = 1500";
        assert_eq!(settings(text, arguments(Some("none"))).tun(&identity), None);
        let tun = settings(text, arguments(None)).tun(&identity).unwrap();
        assert_eq!((tun.name.as_str(), tun.mtu, tun.prefix_len), ("pn7", 1500, 7));
        assert_eq!(settings("", arguments(None)).tun(&identity).unwrap().name, "auto");
    }

    #[test]
    fn node_info_names_the_program_only_when_asked_to() {
        let arguments = RunArguments::default;
        assert_eq!(settings("", arguments()).node_info(), b"{}");
        let open = settings("node_info_privacy = false\nnode_info.name = \"x\"", arguments());
        let info: Value = serde_json::from_slice(&open.node_info()).unwrap();
        assert_eq!((&info["name"], &info["buildname"]), (&"x".into(), &"planetaryd".into()));
    }

    #[test]
    fn only_what_the_node_is_made_from_needs_a_restart() {
        let old = settings("peers = [\"tcp://a:1\"]", RunArguments::default());
        let newer = |text: &str| Config::parse(text, Path::new("c")).ok().unwrap();
        assert!(!old.needs_restart(&newer("log.level = \"debug\"")));
        assert!(!old.needs_restart(&newer("lan.enabled = false")));
        assert!(old.needs_restart(&newer("tun.mtu = 1500")));
        assert!(!old.needs_restart(&newer("group_password = \"x\"\ntransit = \"leaf\"")));
        assert!(old.needs_restart(&newer("node_info_privacy = false")));
        assert!(old.needs_restart(&newer("fast.enabled = false")));
    }
}
