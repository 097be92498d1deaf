//! Backups, and what is taken over from elsewhere: what is asked, sealed and answered.
//!
//! Secrets stand only in the types whose names say so. They travel sealed (see
//! [`secret`](crate::secret)), have no `Debug` that shows them, and are overwritten when dropped.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::identity::{Identity, UnixTime};

/// What `identity_export` has sealed.
#[derive(Serialize, Deserialize)]
pub struct ExportSecret {
    /// Opens the backup. At least [`PASSPHRASE_CHARS_MIN`](crate::limits::PASSPHRASE_CHARS_MIN)
    /// characters.
    pub passphrase: Zeroizing<String>,
}

/// What `identity_import` has sealed.
#[derive(Serialize, Deserialize)]
pub struct ImportSecret {
    /// The backup's passphrase; `None` for a bare key.
    pub passphrase: Option<Zeroizing<String>>,
    /// The file: a backup, or an Ed25519 private key as PKCS#8 in PEM.
    pub text: Zeroizing<String>,
}

/// Answer to `identity_export`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Backup {
    /// The backup, a text file as in `docs/backup.md`.
    pub text: String,
    /// Whose backup it is.
    pub identity: Identity,
    /// When it was made.
    pub created: UnixTime,
    /// What is in it, by name.
    pub parts: Vec<String>,
}

/// What kind of file an identity was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ImportSource {
    /// A backup made by `identity_export`.
    Backup,
    /// A bare private key.
    Key,
}

/// Answer to `identity_import`: what changed, or would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct IdentityImport {
    /// What the identity was read from.
    pub source: ImportSource,
    /// When the backup was made, or `null` for a bare key.
    pub created: Option<UnixTime>,
    /// Who the node was.
    pub before: Identity,
    /// Who the node is afterwards; its `file` is `null` while nothing was changed.
    pub after: Identity,
    /// Whether the two differ.
    pub differs: bool,
    /// Whether it was done; `false` for a dry run, and when there was nothing to do.
    pub applied: bool,
    /// Where the former key is kept, or `null` when it was not replaced.
    pub kept: Option<String>,
    /// Parts of the backup that this version cannot take. They stay in the file.
    pub left: Vec<String>,
}

/// Program whose configuration is imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// The reference: HJSON or JSON.
    Yggdrasil,
    /// The rewrite in Rust: TOML.
    YggdrasilNg,
}

/// A private key as another program keeps it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForeignKey {
    /// 128 hexadecimal digits: seed and public key.
    Hex(Zeroizing<String>),
    /// A PEM file.
    Pem(Zeroizing<String>),
}

/// What `import` has sealed: the settings of another program that have a meaning here, unchecked.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ForeignSettings {
    /// Who wrote them, for the names in the report.
    pub dialect: Option<Dialect>,
    /// The identity.
    pub private_key: Option<ForeignKey>,
    /// Peers to dial.
    pub peers: Vec<String>,
    /// Peers to dial from one interface.
    pub interface_peers: BTreeMap<String, Vec<String>>,
    /// Listeners.
    pub listen: Vec<String>,
    /// Keys that may dial us; empty means all.
    pub allowed_keys: Vec<String>,
    /// Password of the sessions.
    pub group_password: Option<Zeroizing<String>>,
    /// Name of the interface, `auto` or `none`.
    pub tun_name: Option<String>,
    /// Largest packet of the interface.
    pub tun_mtu: Option<i64>,
    /// Published about the node.
    pub node_info: Map<String, Value>,
    /// Whether name and version of the program are kept out of it.
    pub node_info_privacy: Option<bool>,
}

macro_rules! tells_nothing {
    ($($type:ident)+) => {
        $(impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($type), "(…)"))
            }
        })+
    };
}

tells_nothing! { ExportSecret ImportSecret ForeignKey ForeignSettings }

/// A setting of [`ForeignSettings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Setting {
    /// See [`ForeignSettings::private_key`].
    PrivateKey,
    /// See [`ForeignSettings::peers`].
    Peers,
    /// See [`ForeignSettings::interface_peers`].
    InterfacePeers,
    /// See [`ForeignSettings::listen`].
    Listen,
    /// See [`ForeignSettings::allowed_keys`].
    AllowedKeys,
    /// See [`ForeignSettings::group_password`].
    GroupPassword,
    /// See [`ForeignSettings::tun_name`].
    TunName,
    /// See [`ForeignSettings::tun_mtu`].
    TunMtu,
    /// See [`ForeignSettings::node_info`].
    NodeInfo,
    /// See [`ForeignSettings::node_info_privacy`].
    NodeInfoPrivacy,
}

impl Setting {
    /// The name in a file of that program.
    pub fn name(self, dialect: Dialect) -> &'static str {
        let (reference, rewrite) = match self {
            Self::PrivateKey => ("PrivateKey", "private_key"),
            Self::Peers => ("Peers", "peers"),
            Self::InterfacePeers => ("InterfacePeers", "interface_peers"),
            Self::Listen => ("Listen", "listen"),
            Self::AllowedKeys => ("AllowedPublicKeys", "allowed_public_keys"),
            Self::GroupPassword => ("GroupPassword", "group_password"),
            Self::TunName => ("IfName", "if_name"),
            Self::TunMtu => ("IfMTU", "if_mtu"),
            Self::NodeInfo => ("NodeInfo", "node_info"),
            Self::NodeInfoPrivacy => ("NodeInfoPrivacy", "node_info_privacy"),
        };
        match dialect {
            Dialect::Yggdrasil => reference,
            Dialect::YggdrasilNg => rewrite,
        }
    }

    /// The key of our configuration file, or `None` for the identity, which is a file of its own.
    pub fn key(self) -> Option<&'static str> {
        Some(match self {
            Self::PrivateKey => return None,
            Self::Peers => "peers",
            Self::InterfacePeers => "interface_peers",
            Self::Listen => "listen",
            Self::AllowedKeys => "allowed_keys",
            Self::GroupPassword => "group_password",
            Self::TunName => "tun.name",
            Self::TunMtu => "tun.mtu",
            Self::NodeInfo => "node_info",
            Self::NodeInfoPrivacy => "node_info_privacy",
        })
    }
}

/// What becomes of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ImportOutcome {
    /// It is taken over.
    Taken,
    /// It is so here already.
    Same,
    /// Something else is set here, and stays.
    Kept,
    /// It cannot be taken over.
    Left,
}

/// One setting of the imported file, or one entry of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ImportItem {
    /// Its name in the imported file.
    pub setting: String,
    /// Its value, or `null` where it is a secret or too long to show. URIs are without user
    /// information and query.
    pub value: Option<String>,
    /// What becomes of it.
    pub outcome: ImportOutcome,
    /// The key of our configuration that has it, or `null` when there is none.
    pub key: Option<String>,
    /// Why it is not taken, or what is different here; `null` when there is nothing to say.
    pub reason: Option<String>,
}

/// Answer to `import`: what was taken over, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SettingsImport {
    /// Who the node was.
    pub before: Identity,
    /// Who the node is afterwards, or would be.
    pub after: Identity,
    /// Whether the two differ.
    pub differs: bool,
    /// Whether it was done; `false` for a dry run, and when there was nothing to do.
    pub applied: bool,
    /// Where the former key is kept, or `null` when it was not replaced.
    pub kept: Option<String>,
    /// Configuration file that has the settings.
    pub config_file: String,
    /// Every setting of the imported file, in the order of the file's usual form.
    pub items: Vec<ImportItem>,
}

impl SettingsImport {
    /// Number of settings with this outcome.
    pub fn count(&self, outcome: ImportOutcome) -> usize {
        self.items.iter().filter(|item| item.outcome == outcome).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let secret = || Zeroizing::new("hVq3Zk8sT1".to_owned());
        let settings = ForeignSettings {
            private_key: Some(ForeignKey::Hex(secret())),
            group_password: Some(secret()),
            ..ForeignSettings::default()
        };
        let import = ImportSecret { passphrase: Some(secret()), text: secret() };
        let export = ExportSecret { passphrase: secret() };
        let shown = format!("{settings:?} {:?} {import:?} {export:?}", settings.private_key);
        assert!(!shown.contains("hVq3"), "{shown}");
    }

    #[test]
    fn settings_arrive_as_they_were_sent() {
        let settings = ForeignSettings {
            dialect: Some(Dialect::Yggdrasil),
            private_key: Some(ForeignKey::Pem(Zeroizing::new("-----".to_owned()))),
            peers: vec!["tcp://a:1".into()],
            tun_mtu: Some(1280),
            ..ForeignSettings::default()
        };
        let text = serde_json::to_string(&settings).unwrap();
        let back: ForeignSettings = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&back).unwrap(), text);
        let empty: ForeignSettings = serde_json::from_str("{}").unwrap();
        assert!(empty.private_key.is_none() && empty.peers.is_empty());
    }
}
