//! The settings of another program, merged into our file.
//!
//! What is set here wins unless the person says to replace it; lists of peers and listeners are
//! joined. Every setting, and every entry of a list, leaves an [`ImportItem`] that says what became
//! of it. Nothing that our own check would refuse is put into the document: what cannot be taken is
//! left, with the reason, and the rest is taken all the same.

use std::fmt::Display;
use std::str::FromStr;

use planetary_ipc::import::Setting;
use planetary_ipc::status::public_uri;
use planetary_ipc::{Dialect, ForeignSettings, ImportItem, ImportOutcome};
use planetary_proto::identity::NodeKey;
use planetary_proto::limits::NODE_INFO_MAX;
use planetary_runtime::links::peers::{LISTENERS_MAX, PEERS_MAX};
use planetary_runtime::links::uri::{ListenUri, PeerUri, UriError};
use serde_json::{Map, Value as Json};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value};

use super::check::BUILD_INFO_LEN_MAX;
use super::edit::{list_to_extend, position, push};
use super::read::TEXT_LEN_MAX;
use super::table::ALLOWED_KEYS_MAX;
use super::{Config, InterfaceName, TunName, printable};

use ImportOutcome::{Kept, Left, Same, Taken};

/// Smallest and largest MTU of the interface.
const MTU: std::ops::RangeInclusive<i64> = 1280..=65535;

/// How deep the imported node info may be: TOML is written and read by recursion.
const DEPTH_MAX: usize = 32;

const REPLACE: &str = "`--replace` takes the imported value";

/// Merges into `document`, whose meaning is `config`.
pub(super) fn merge(
    settings: &ForeignSettings,
    replace: bool,
    config: &Config,
    document: &mut DocumentMut,
) -> Vec<ImportItem> {
    let mut merging = Merging {
        document,
        config: config.clone(),
        replace,
        dialect: settings.dialect.unwrap_or(Dialect::Yggdrasil),
        items: Vec::new(),
    };
    for uri in &settings.peers {
        merging.peer(uri, None);
    }
    for (interface, uris) in &settings.interface_peers {
        for uri in uris {
            merging.peer(uri, Some(interface));
        }
    }
    for uri in &settings.listen {
        merging.listener(uri);
    }
    merging.allowed_keys(&settings.allowed_keys);
    if let Some(password) = settings.group_password.as_ref().filter(|text| !text.is_empty()) {
        merging.group_password(password);
    }
    if let Some(name) = &settings.tun_name {
        merging.tun_name(name);
    }
    if let Some(mtu) = settings.tun_mtu {
        merging.tun_mtu(mtu);
    }
    if let Some(private) = settings.node_info_privacy {
        merging.node_info_privacy(private);
    }
    if !settings.node_info.is_empty() {
        merging.node_info(&settings.node_info);
    }
    merging.items
}

struct Merging<'a> {
    document: &'a mut DocumentMut,
    /// What the document means so far.
    config: Config,
    replace: bool,
    dialect: Dialect,
    items: Vec<ImportItem>,
}

impl Merging<'_> {
    fn note(
        &mut self,
        setting: Setting,
        value: Option<String>,
        outcome: ImportOutcome,
        reason: Option<String>,
    ) {
        self.items.push(ImportItem {
            setting: setting.name(self.dialect).to_owned(),
            value,
            outcome,
            key: setting.key().filter(|_| outcome != Left).map(str::to_owned),
            reason,
        });
    }

    fn peer(&mut self, text: &str, interface: Option<&str>) {
        let setting = if interface.is_some() { Setting::InterfacePeers } else { Setting::Peers };
        let mut shown = printable(&public_uri(text));
        if let Some(name) = interface {
            shown = format!("{shown} on {}", printable(name));
        }
        let (outcome, reason) = self.place_peer(text, interface);
        self.note(setting, Some(shown), outcome, reason);
    }

    fn place_peer(&mut self, text: &str, interface: Option<&str>) -> (ImportOutcome, Reason) {
        let uri = match read_uri::<PeerUri>(text) {
            Ok(uri) => uri,
            Err(reason) => return (Left, reason),
        };
        if interface.is_some_and(|name| InterfaceName::new(name).is_none()) {
            return (Left, because("no network interface can have this name"));
        }
        let full = self.config.peer_count() >= PEERS_MAX;
        let Some(list) = list_to_extend(self.document, interface) else {
            return (Left, because("the list in our file is no list"));
        };
        if let Some(index) = position(list, &uri) {
            let listed = list.get(index).and_then(Value::as_str).map(str::parse::<PeerUri>);
            return match listed {
                Some(Ok(listed)) if listed == uri => (Same, None),
                _ if self.replace => {
                    list.replace(index, text);
                    (Taken, because("its options replace those here"))
                }
                _ => (Kept, because(format!("it has other options here; {REPLACE}"))),
            };
        }
        if full {
            return (Left, because(format!("{PEERS_MAX} peers are listed already")));
        }
        push(list, text);
        match interface {
            None => self.config.peers.push(uri),
            Some(name) => {
                self.config.interface_peers.entry(name.to_owned()).or_default().push(uri);
            }
        }
        (Taken, None)
    }

    fn listener(&mut self, text: &str) {
        let (outcome, reason) = self.place_listener(text);
        self.note(Setting::Listen, Some(printable(&public_uri(text))), outcome, reason);
    }

    fn place_listener(&mut self, text: &str) -> (ImportOutcome, Reason) {
        let uri = match read_uri::<ListenUri>(text) {
            Ok(uri) => uri,
            Err(reason) => return (Left, reason),
        };
        let name = uri.to_string();
        let empty = || Item::Value(Value::Array(Array::new()));
        let list = self.document.entry("listen").or_insert_with(empty).as_array_mut();
        let Some(list) = list else {
            return (Left, because("the list in our file is no list"));
        };
        if let Some(index) = self.config.listen.iter().position(|it| it.to_string() == name) {
            if self.config.listen[index] == uri {
                return (Same, None);
            }
            if !self.replace || index >= list.len() {
                return (Kept, because(format!("it has other options here; {REPLACE}")));
            }
            list.replace(index, text);
            self.config.listen[index] = uri;
            return (Taken, because("its options replace those here"));
        }
        let port = uri.port_taken();
        if port.is_some() && self.config.listen.iter().any(|it| it.port_taken() == port) {
            return (Left, because("another listener has this address and port"));
        }
        if self.config.listen.len() >= LISTENERS_MAX {
            return (Left, because(format!("{LISTENERS_MAX} listeners are listed already")));
        }
        push(list, text);
        self.config.listen.push(uri);
        (Taken, None)
    }

    /// One list, not single entries: to join two would let in more than either says.
    fn allowed_keys(&mut self, texts: &[String]) {
        let mut keys: Vec<NodeKey> = Vec::new();
        for text in texts {
            match text.parse() {
                Ok(key) if keys.contains(&key) => {}
                Ok(key) => keys.push(key),
                Err(_) => {
                    let reason = "a key has 64 hexadecimal digits";
                    self.note(Setting::AllowedKeys, Some(printable(text)), Left, because(reason));
                }
            }
        }
        if keys.is_empty() {
            if !texts.is_empty() {
                let reason = "no key of the list is one, and an empty list would let everybody in";
                self.note(Setting::AllowedKeys, None, Left, because(reason));
            }
            return;
        }
        let shown = match &keys[..] {
            [key] => key.to_string(),
            keys => format!("{} keys", keys.len()),
        };
        let (outcome, reason) = if keys.len() > ALLOWED_KEYS_MAX {
            (Left, because(format!("more than {ALLOWED_KEYS_MAX} keys")))
        } else if same_keys(&keys, &self.config.allowed_keys) {
            (Same, None)
        } else if self.config.allowed_keys.is_empty() || self.replace {
            let mut list = Array::new();
            for key in &keys {
                let mut entry = Value::from(key.to_string());
                entry.decor_mut().set_prefix("\n    ");
                list.push_formatted(entry);
            }
            list.set_trailing("\n");
            list.set_trailing_comma(true);
            self.document.insert("allowed_keys", Item::Value(Value::Array(list)));
            self.config.allowed_keys = keys;
            (Taken, None)
        } else {
            (Kept, because(format!("other keys are let in here; {REPLACE}")))
        };
        self.note(Setting::AllowedKeys, Some(shown), outcome, reason);
    }

    fn group_password(&mut self, password: &str) {
        let here = self.config.group_password.as_ref().map(|text| text.as_str());
        let (outcome, reason) = if password.len() > TEXT_LEN_MAX {
            (Left, because(format!("it has more than {TEXT_LEN_MAX} bytes")))
        } else if here == Some(password) {
            (Same, None)
        } else if here.is_none() || self.replace {
            self.document.insert("group_password", Item::Value(Value::from(password)));
            (Taken, because("only nodes with the same password answer from now on"))
        } else {
            (Kept, because(format!("another one is set here; {REPLACE}")))
        };
        self.note(Setting::GroupPassword, None, outcome, reason);
    }

    fn tun_name(&mut self, text: &str) {
        let here = self.config.tun.name.clone();
        let (outcome, reason) = match text.parse::<TunName>() {
            Err(_) => (Left, because("no network interface can have this name")),
            Ok(name) if name == here => (Same, None),
            Ok(_) if here == TunName::Auto || self.replace => self.set_in("tun", "name", text),
            Ok(_) => (Kept, because(format!("another one is set here; {REPLACE}"))),
        };
        self.note(Setting::TunName, Some(printable(text)), outcome, reason);
    }

    fn tun_mtu(&mut self, given: i64) {
        let mtu = given.clamp(*MTU.start(), *MTU.end());
        let here = i64::from(self.config.tun.mtu);
        let (outcome, reason) = if mtu == here {
            (Same, None)
        } else if here == *MTU.end() || self.replace {
            match self.set_in("tun", "mtu", mtu) {
                (Taken, _) if mtu != given => (Taken, because(format!("{mtu} is the limit"))),
                placed => placed,
            }
        } else {
            (Kept, because(format!("{here} is set here; {REPLACE}")))
        };
        self.note(Setting::TunMtu, Some(given.to_string()), outcome, reason);
    }

    fn node_info_privacy(&mut self, private: bool) {
        let here = self.config.node_info_privacy;
        let (outcome, reason) = if private == here {
            (Same, None)
        } else if !private {
            // Every generated file says so, which makes it nobody's wish.
            let reason = "name and version of program and system stay private here; set \
                          node_info_privacy = false to publish them";
            (Kept, because(reason))
        } else if self.replace {
            self.document.insert("node_info_privacy", Item::Value(Value::from(true)));
            self.config.node_info_privacy = true;
            (Taken, None)
        } else {
            (Kept, because(format!("our file says false; {REPLACE}")))
        };
        self.note(Setting::NodeInfoPrivacy, Some(private.to_string()), outcome, reason);
    }

    fn node_info(&mut self, info: &Map<String, Json>) {
        let text = Json::Object(info.clone()).to_string();
        let reserved = if self.config.node_info_privacy { 0 } else { BUILD_INFO_LEN_MAX };
        let len_max = NODE_INFO_MAX - reserved;
        let (outcome, reason) = if text.len() > len_max {
            (Left, because(format!("{} bytes as JSON, where {len_max} fit", text.len())))
        } else if *info == self.config.node_info {
            (Same, None)
        } else if !self.config.node_info.is_empty() && !self.replace {
            (Kept, because(format!("something else is published here; {REPLACE}")))
        } else {
            match table_of(info) {
                None => (
                    Left,
                    because(format!(
                        "it is deeper than {DEPTH_MAX} levels, or has \
                                                numbers that TOML has not"
                    )),
                ),
                Some((table, complete)) => {
                    self.set_node_info(table);
                    (Taken, because_if(!complete, "without `null`, which TOML has not"))
                }
            }
        };
        self.note(Setting::NodeInfo, Some(printable(&text)), outcome, reason);
    }

    fn set_node_info(&mut self, values: InlineTable) {
        let entry = self.document.entry("node_info");
        let section = entry.or_insert_with(|| Item::Table(Table::new()));
        match section.as_table_like_mut() {
            Some(section) => {
                section.clear();
                for (name, value) in values {
                    section.insert(&name, Item::Value(value));
                }
            }
            None => *section = Item::Value(Value::InlineTable(values)),
        }
    }

    fn set_in(
        &mut self,
        section: &str,
        name: &str,
        value: impl Into<Value>,
    ) -> (ImportOutcome, Reason) {
        let entry = self.document.entry(section).or_insert_with(|| Item::Table(Table::new()));
        match entry.as_table_like_mut() {
            Some(table) => {
                table.insert(name, Item::Value(value.into()));
                (Taken, None)
            }
            None => (Left, because(format!("`{section}` in our file is no section"))),
        }
    }
}

type Reason = Option<String>;

fn because(reason: impl Display) -> Reason {
    Some(reason.to_string())
}

fn because_if(applies: bool, reason: &str) -> Reason {
    applies.then(|| reason.to_owned())
}

/// Reads a URI; what cannot be read is left for this reason.
fn read_uri<U: FromStr<Err = UriError>>(text: &str) -> Result<U, Reason> {
    text.parse().map_err(|error: UriError| because(error))
}

fn same_keys(one: &[NodeKey], other: &[NodeKey]) -> bool {
    one.len() == other.len() && one.iter().all(|key| other.contains(key))
}

/// The object as TOML, and whether all of it is there: TOML has no `null`. `None` when it is too
/// deep or has a number that TOML cannot hold.
fn table_of(object: &Map<String, Json>) -> Option<(InlineTable, bool)> {
    let mut complete = true;
    let table = table_at(object, DEPTH_MAX, &mut complete)?;
    Some((table, complete))
}

fn table_at(object: &Map<String, Json>, depth: usize, complete: &mut bool) -> Option<InlineTable> {
    let mut table = InlineTable::new();
    for (name, value) in object {
        match value {
            Json::Null => *complete = false,
            value => drop(table.insert(name, value_at(value, depth.checked_sub(1)?, complete)?)),
        }
    }
    Some(table)
}

fn value_at(value: &Json, depth: usize, complete: &mut bool) -> Option<Value> {
    Some(match value {
        // Asked for above; a `null` in a list would change the places of the others.
        Json::Null => return None,
        Json::Bool(flag) => Value::from(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::from(whole),
            None if number.is_u64() => return None,
            None => Value::from(number.as_f64().filter(|number| number.is_finite())?),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(values) => {
            let mut list = Array::new();
            for value in values {
                list.push(value_at(value, depth.checked_sub(1)?, complete)?);
            }
            Value::Array(list)
        }
        Json::Object(object) => Value::InlineTable(table_at(object, depth, complete)?),
    })
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
