//! What the members of a file mean here, and what has no meaning.

use super::value::Value;
use super::{Foreign, ForeignError};
use crate::import::{Dialect, ForeignKey, ForeignSettings, ImportItem, ImportOutcome};
use crate::status::public_uri;

/// Members whose names are not known that are reported by name; a file with more is not what it
/// seems.
const UNKNOWN_MAX: usize = 100;

/// Longest piece of a file that is shown, in characters.
const SHOWN_CHARS_MAX: usize = 60;

const NO_LAN: &str = "this node looks on wired networks by itself; `planetary lan` shows where";
const NO_ADMIN: &str =
    "`admin.listen` in the configuration says where yggdrasilctl finds this node";
const OLD_KEY: &str = "keys of versions before 0.4 have no address in this network";
const FIREWALL: &str = "this program has a firewall of its own: nobody comes in unasked";

pub(super) fn of(value: Value, dialect: Dialect) -> Result<Foreign, ForeignError> {
    let Value::Object(members) = value else { return Err(ForeignError::NoSettings) };
    if is_our_own(&members, dialect) {
        return Err(ForeignError::Own);
    }
    let settings = ForeignSettings { dialect: Some(dialect), ..ForeignSettings::default() };
    let foreign = Foreign { dialect, settings, key_file: None, left: Vec::new() };
    let mut reading = Reading { foreign, known: 0, unknown: 0 };
    for (name, value) in members {
        reading.member(&name, value);
    }
    if reading.known == 0 {
        return Err(ForeignError::NoSettings);
    }
    Ok(reading.foreign)
}

/// Our own file has a version, and theirs has a key.
fn is_our_own(members: &[(String, Value)], dialect: Dialect) -> bool {
    let has = |name: &str| members.iter().any(|(member, _)| member == name);
    dialect == Dialect::YggdrasilNg && has("version") && !has("private_key")
}

struct Reading {
    foreign: Foreign,
    known: usize,
    unknown: usize,
}

impl Reading {
    /// Takes a member; one that comes twice counts as it came last.
    fn member(&mut self, name: &str, value: Value) {
        self.known += 1;
        let settings = &mut self.foreign.settings;
        // The reference does not look at the case of names.
        match name.to_ascii_lowercase().replace('_', "").as_str() {
            "privatekey" => match value.into_text() {
                Some(text) if text.is_empty() => {}
                // A key file goes before, whichever came first.
                Some(text) => settings.private_key = Some(ForeignKey::Hex(text)),
                None => self.wrong(name, "a text"),
            },
            "privatekeypath" => match value.into_text() {
                Some(text) if text.is_empty() => self.foreign.key_file = None,
                Some(text) => self.foreign.key_file = Some(text.as_str().into()),
                None => self.wrong(name, "a text"),
            },
            "peers" => match texts(value) {
                Some(list) => settings.peers = list,
                None => self.wrong(name, A_LIST),
            },
            "interfacepeers" => self.interface_peers(name, value),
            "listen" => match texts(value) {
                Some(list) => settings.listen = list,
                None => self.wrong(name, A_LIST),
            },
            "allowedpublickeys" => match texts(value) {
                Some(list) => settings.allowed_keys = list,
                None => self.wrong(name, A_LIST),
            },
            "grouppassword" => settings.group_password = value.into_text(),
            "ifname" => match value.into_text() {
                Some(text) => settings.tun_name = Some(text.to_string()),
                None => self.wrong(name, "a text"),
            },
            "ifmtu" => match value.as_integer() {
                Some(number) => settings.tun_mtu = Some(number),
                None => self.wrong(name, "a whole number"),
            },
            "nodeinfoprivacy" => match value.as_flag() {
                Some(flag) => settings.node_info_privacy = Some(flag),
                None => self.wrong(name, "true or false"),
            },
            "nodeinfo" => self.node_info(name, value),
            _ => self.without_meaning(name, value),
        }
    }

    fn interface_peers(&mut self, name: &str, value: Value) {
        match value {
            Value::Null => {}
            Value::Object(members) => {
                for (interface, peers) in members {
                    match texts(peers) {
                        Some(list) => {
                            self.foreign.settings.interface_peers.insert(interface, list);
                        }
                        None => self.wrong(name, "a list of texts for each interface"),
                    }
                }
            }
            _ => self.wrong(name, "a list of texts for each interface"),
        }
    }

    fn node_info(&mut self, name: &str, value: Value) {
        match value {
            Value::Null => {}
            Value::Object(_) => match value.into_json() {
                Some(serde_json::Value::Object(info)) => self.foreign.settings.node_info = info,
                _ => self.left(name, None, "it has a number that JSON has not"),
            },
            _ => self.wrong(name, "an object"),
        }
    }

    /// Members that change nothing here: those that are off are not worth a word.
    fn without_meaning(&mut self, name: &str, value: Value) {
        match name.to_ascii_lowercase().replace('_', "").as_str() {
            "multicastinterfaces" => self.multicast(name, value),
            "adminlisten" => match value.into_text() {
                Some(text) if !text.is_empty() && *text != "none" => {
                    self.left(name, Some(public_uri(&text)), NO_ADMIN);
                }
                _ => {}
            },
            "loglookups" => {
                if value.as_flag() == Some(true) {
                    self.left(name, Some("true".into()), "`planetary topology` shows the paths");
                }
            }
            "ifdnsservers" => {
                if !matches!(&value, Value::List(list) if list.is_empty()) {
                    self.left(name, None, "name servers are not set by this program");
                }
            }
            "sessionpathtimeout" => {
                if value.as_integer() != Some(60) {
                    self.left(name, None, "sessions end after the time of the network, 60 s");
                }
            }
            "firewall" | "sessionfirewall" => {
                if enabled(&value) {
                    self.left(name, None, FIREWALL);
                }
            }
            "tunnelrouting" => {
                if enabled(&value) {
                    self.left(name, None, "routing of other networks is not built");
                }
            }
            "encryptionprivatekey" | "signingprivatekey" => self.left(name, None, OLD_KEY),
            "encryptionpublickey"
            | "signingpublickey"
            | "publickey"
            | "switchoptions"
            | "allowedencryptionpublickeys" => {
                self.left(name, None, "a setting of versions before 0.5");
            }
            _ => {
                self.known -= 1;
                self.unknown += 1;
                if self.unknown <= UNKNOWN_MAX {
                    self.left(name, None, "not a known setting");
                }
            }
        }
    }

    fn multicast(&mut self, name: &str, value: Value) {
        let Value::List(entries) = value else {
            return self.wrong(name, "a list of objects");
        };
        for entry in entries {
            // A text is the form of versions before 0.4.
            let Value::Object(members) = entry else {
                self.left(name, None, NO_LAN);
                continue;
            };
            let is = |member: &str, wanted: &str| member.eq_ignore_ascii_case(wanted);
            let on = members.iter().any(|(member, value)| {
                (is(member, "beacon") || is(member, "listen")) && value.as_flag() == Some(true)
            });
            // The rewrite's entries are on unless they say otherwise.
            let off = members.iter().filter(|(_, value)| value.as_flag() == Some(false)).count();
            if on || (self.foreign.dialect == Dialect::YggdrasilNg && off < 2) {
                let shown = members.into_iter().find_map(|(member, value)| {
                    let pattern = is(&member, "regex") || is(&member, "filter");
                    pattern.then(|| value.into_text()).flatten()
                });
                self.left(name, shown.map(|text| text.to_string()), NO_LAN);
            }
        }
    }

    fn wrong(&mut self, name: &str, wanted: &str) {
        self.left(name, None, &format!("it should be {wanted}"));
    }

    fn left(&mut self, name: &str, value: Option<String>, reason: &str) {
        self.foreign.left.push(ImportItem {
            setting: shown(name),
            value: value.as_deref().map(shown),
            outcome: ImportOutcome::Left,
            key: None,
            reason: Some(reason.to_owned()),
        });
    }
}

const A_LIST: &str = "a list of texts";

/// The entries of a list of texts; nothing at all is an empty one.
fn texts(value: Value) -> Option<Vec<String>> {
    let texts = |values: Vec<Value>| {
        values.into_iter().map(|it| it.into_text().map(|text| text.to_string())).collect()
    };
    match value {
        Value::Null => Some(Vec::new()),
        Value::List(values) => texts(values),
        _ => None,
    }
}

/// Whether a section has `enable = true`.
fn enabled(section: &Value) -> bool {
    let Value::Object(members) = section else { return true };
    members
        .iter()
        .any(|(name, value)| name.eq_ignore_ascii_case("enable") && value.as_flag() == Some(true))
}

/// A piece of the file, fit for a terminal.
fn shown(text: &str) -> String {
    let plain = |c: char| if c.is_control() { '?' } else { c };
    let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).map(plain).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}
