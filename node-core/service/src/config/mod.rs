//! The configuration file: what may stand in it, how it is read, checked, written and edited.
//!
//! `config.toml` belongs to the service. One table ([`table::KEYS`]) names every key with its
//! default, its explanation and the function that reads it; the parser, `planetaryd genconf` and
//! `docs/config.md` are all made from that table, so they cannot disagree. A key whose feature is
//! not available yet is in the table too: it accepts only the value that means "off", and says so
//! by name when given another.
//!
//! A file is checked as a whole before any of it is used, and every mistake in it is reported at
//! once, each with file, line, key, what is wrong and what to do. Edits ([`ConfigFile`]) keep the
//! person's comments and layout, and are checked the same way before they replace the file.
//!
//! This module knows nothing of the running node: it turns text into a [`Config`], and back.

mod change;
mod check;
mod classes;
mod edit;
mod error;
mod generate;
mod merge;
mod nearest;
mod parse;
mod read;
mod table;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use planetary_proto::identity::NodeKey;
use planetary_proto::session::{GroupSecret, Groups, GroupsError};
use planetary_runtime::lan::Pattern;
use planetary_runtime::links::uri::{ListenUri, Password, PeerUri};
use zeroize::Zeroizing;

pub use self::classes::tun_name;
pub use self::edit::{ConfigFile, EditError, Edited};
pub use self::error::{ConfigError, Problem, printable};
pub use self::generate::{default_file, reference_page};
pub(crate) use self::nearest::nearest;

use crate::admin::Place;

/// The largest configuration file that is read, in bytes. A thousand peers take about a tenth of
/// it.
pub const FILE_LEN_MAX: u64 = 1 << 20;

/// Everything a configuration file says, checked.
///
/// Has no `Debug`: peer URIs and the group password are secrets.
#[derive(Clone)]
pub struct Config {
    /// Addresses to accept links on.
    pub listen: Vec<ListenUri>,
    /// Peers to keep a link to.
    pub peers: Vec<PeerUri>,
    /// Peers to keep a link to through one network interface, by the interface's name.
    pub interface_peers: BTreeMap<String, Vec<PeerUri>>,
    /// Keys that may open a link to this node; empty means every key.
    pub allowed_keys: Vec<NodeKey>,
    /// Password that both ends of a session must share, or `None`.
    pub group_password: Option<Zeroizing<String>>,
    /// Groups of keys with a password of their own.
    pub groups: Vec<Group>,
    /// Who may open a session to this node; `None` lets that follow from what is open to strangers.
    pub sessions: Option<Audience>,
    /// What this node carries for others.
    pub transit: Transit,
    /// When it carries next to nothing.
    pub save: Save,
    /// Published to whoever asks; a JSON object.
    pub node_info: serde_json::Map<String, serde_json::Value>,
    /// Leaves name and version of the program and the system out of `node_info`.
    pub node_info_privacy: bool,
    /// The network interface.
    pub tun: Tun,
    /// Who may reach this machine.
    pub filter: Filter,
    /// What listeners for `wss` show.
    pub web_certificate: WebCertificateFiles,
    /// Looking for nodes on the local networks.
    pub lan: Lan,
    /// The socket that speaks the reference's admin API.
    pub admin: Admin,
    /// Whether names of nodes are answered on this machine.
    pub names: bool,
    /// Whether fast sessions are agreed on with other nodes of this program.
    pub fast_sessions: bool,
    /// Proxies for programs of this machine.
    pub gateway: GatewayConfig,
    /// Where the list of public peers is fetched from.
    pub public_peers: PublicPeersConfig,
    /// Whether newer versions of this program are looked for.
    pub releases: bool,
    /// Where figures for Prometheus are served: a loopback address, or nowhere.
    pub metrics: Option<SocketAddr>,
    /// The least severe event that is logged.
    pub log_level: LogLevel,
    /// How events are written. Holds from the start of the process on.
    pub log_format: LogFormat,
}

/// A `[[group]]`: keys that share a password with this node.
///
/// Has no `Debug`: the password is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Group {
    /// The password; not empty.
    pub password: Zeroizing<String>,
    /// Whose sessions with this node need it.
    pub keys: Vec<NodeKey>,
}

/// The `[admin]` section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens, if at all.
    pub listen: Option<Place>,
    /// Whether that may be a port, which every program of this computer can use.
    pub danger_tcp: bool,
}

/// The `[save]` section: when this node is a leaf, whatever else it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Save {
    /// While this computer runs on its battery.
    pub on_battery: bool,
    /// While its network is paid by volume.
    pub on_metered: bool,
}

/// The `[gateway]` section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayConfig {
    /// Where the SOCKS5 proxy listens.
    pub socks: Option<SocketAddr>,
    /// Where the HTTP proxy listens.
    pub http: Option<SocketAddr>,
    /// Whether other machines may use the proxies.
    pub danger_beyond_this_machine: bool,
}

/// The `[tls]` section: both files, or neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebCertificateFiles {
    /// A certificate and its chain, in PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key, in PEM.
    pub key: Option<PathBuf>,
}

/// The `[public_peers]` section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicPeersConfig {
    /// URL of a list of public peers; empty means that none is fetched.
    pub url: String,
    /// Key with which the list must be signed.
    pub key: Option<NodeKey>,
}

/// The `[tun]` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tun {
    /// Which interface to open.
    pub name: TunName,
    /// Largest packet of the interface, in bytes: 1280 to 65535.
    pub mtu: u16,
}

/// Which network interface the node opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TunName {
    /// The name of the platform, `planetary0` on Linux.
    Auto,
    /// No interface: the node needs no privilege, routes and answers.
    None,
    /// An interface of this name; a valid interface name by construction.
    Named(InterfaceName),
}

/// A name that a network interface can have: 1 to 15 bytes of printable ASCII without `/` and `:`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InterfaceName(String);

/// The `[filter]` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Who may open a connection to this machine.
    pub inbound: Audience,
    /// Whose echo requests are answered.
    pub echo: Audience,
}

/// The `[lan]` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lan {
    /// Whether nodes are looked for.
    pub enabled: bool,
    /// Names of the interfaces to look on.
    pub interfaces: Vec<Pattern>,
    /// Whether to look on Wi-Fi and public networks without being told for each.
    pub everywhere: bool,
    /// Password that the others must have as well; the empty one is none.
    pub password: Password,
    /// Priority of the links.
    pub priority: u8,
    /// Most links to nodes that were found.
    pub max_links: usize,
    /// TCP port of the listeners; 0 lets the system choose.
    pub listen_port: u16,
}

/// A set of other nodes, as far as a rule of this machine is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Every node.
    Everyone,
    /// Friends, and the members of this machine's circles.
    Circles,
    /// No node.
    Nobody,
}

/// What a node carries for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transit {
    /// Whatever the tree sends its way.
    Relay,
    /// What has no better way.
    Reluctant,
    /// Next to nothing.
    Leaf,
}

/// The least severe event that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Something is broken.
    Error,
    /// Odd, but working.
    Warn,
    /// A change that a user would notice.
    Info,
    /// A branch worth knowing.
    Debug,
    /// Every packet.
    Trace,
}

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// An object for programs.
    Json,
}

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// [`ConfigError`] names the file and everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(&read_text(path)?, path)
    }

    /// Checks `text`; `path` is only named in errors.
    ///
    /// # Errors
    /// [`ConfigError::Wrong`] lists every mistake, in the order of the file.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        parse::parse(text)
            .map_err(|problems| ConfigError::Wrong { path: path.to_owned(), problems })
    }

    /// Whether a password stands in the file.
    fn holds_passwords(&self) -> bool {
        let mut peers = self.peers.iter().chain(self.interface_peers.values().flatten());
        self.group_password.is_some()
            || !self.lan.password.as_bytes().is_empty()
            || !self.groups.is_empty()
            || peers.any(|uri| !uri.password().as_bytes().is_empty())
            || self.listen.iter().any(|uri| !uri.password().as_bytes().is_empty())
    }

    /// Whether passwords stand in the file at `path` and every account of this computer can read
    /// them there.
    #[must_use]
    pub fn is_exposed(&self, path: &Path) -> bool {
        self.holds_passwords() && crate::state::readable_by_all(path)
    }

    /// The secrets of sessions, by far end.
    ///
    /// # Errors
    /// [`GroupsError`] for a key that is in two groups, or too many of either; never for a
    /// configuration that was checked.
    pub fn session_groups(&self) -> Result<Groups, GroupsError> {
        let secret = |password: &Zeroizing<String>| GroupSecret::from_password(password.as_bytes());
        let mut groups = Groups::new(self.group_password.as_ref().map(secret));
        for group in &self.groups {
            groups.add(secret(&group.password), &group.keys)?;
        }
        Ok(groups)
    }

    /// Number of peers, with those of single interfaces.
    #[must_use]
    pub fn peer_count(&self) -> usize {
        self.peers.len() + self.interface_peers.values().map(Vec::len).sum::<usize>()
    }
}

impl Default for Config {
    /// What an empty file means.
    fn default() -> Self {
        let mut config = Self {
            listen: Vec::new(),
            peers: Vec::new(),
            interface_peers: BTreeMap::new(),
            allowed_keys: Vec::new(),
            group_password: None,
            groups: Vec::new(),
            sessions: None,
            transit: Transit::Reluctant,
            save: Save { on_battery: true, on_metered: true },
            node_info: serde_json::Map::new(),
            node_info_privacy: true,
            tun: Tun { name: TunName::Auto, mtu: u16::MAX },
            filter: Filter { inbound: Audience::Circles, echo: Audience::Circles },
            web_certificate: WebCertificateFiles::default(),
            lan: Lan {
                enabled: true,
                interfaces: Vec::new(),
                everywhere: false,
                password: Password::default(),
                priority: 0,
                max_links: 8,
                listen_port: 0,
            },
            admin: Admin::default(),
            names: true,
            fast_sessions: true,
            gateway: GatewayConfig::default(),
            public_peers: PublicPeersConfig::default(),
            releases: true,
            metrics: None,
            log_level: LogLevel::Info,
            log_format: LogFormat::Text,
        };
        // The table has the last word; a test proves that every default in it is readable.
        parse::apply_defaults(&mut config);
        // The default of the table is what an absent key means while the filter is closed.
        config.sessions = None;
        config
    }
}

impl InterfaceName {
    /// The longest name of an interface on Linux, in bytes; other systems allow more.
    pub const LEN_MAX: usize = 15;

    /// Returns `name` as an interface name, or `None` if no interface can be called that.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let fits = (1..=Self::LEN_MAX).contains(&name.len());
        let printable = name.bytes().all(|b| b.is_ascii_graphic() && b != b'/' && b != b':');
        (fits && printable && name != "." && name != "..").then(|| Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for TunName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::None),
            name => InterfaceName::new(name)
                .map(Self::Named)
                .ok_or("use auto, none, or a name of 1 to 15 letters and digits"),
        }
    }
}

impl LogLevel {
    /// The word that stands for the level in the file and in `RUST_LOG`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl LogFormat {
    /// The word that stands for it in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// Returns the text of the file at `path`, which must be an ordinary file of at most
/// [`FILE_LEN_MAX`] bytes.
fn read_text(path: &Path) -> Result<String, ConfigError> {
    let bytes = crate::state::read_bounded(path, FILE_LEN_MAX)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..valid].iter().filter(|&&byte| byte == b'\n').count();
        ConfigError::NotText { path: path.to_owned(), line }
    })
}

#[cfg(test)]
mod tests;
