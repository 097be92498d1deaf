//! What a configuration is like, without what stands in it: for reports that strangers may read.
//!
//! A key that has no entry here is not told of. An entry gives a word of ours, a number or a count,
//! never a text that a person has written.

use super::{Audience, Config, Transit, TunName};
use crate::admin::Place;

/// The class of a value.
type Class = fn(&Config) -> String;

const CLASSES: &[(&str, Class)] = &[
    ("listen", |config| configured(config.listen.len())),
    ("peers", |config| configured(config.peers.len())),
    ("interface_peers", |config| configured(config.interface_peers.values().map(Vec::len).sum())),
    ("allowed_keys", |config| configured(config.allowed_keys.len())),
    ("group_password", |config| set(config.group_password.is_some())),
    ("group", |config| configured(config.groups.len())),
    ("sessions", |config| config.sessions.map_or("by itself", audience).to_owned()),
    ("transit", |config| transit(config.transit).to_owned()),
    ("save.on_battery", |config| config.save.on_battery.to_string()),
    ("save.on_metered", |config| config.save.on_metered.to_string()),
    ("node_info", |config| set(!config.node_info.is_empty())),
    ("node_info_privacy", |config| config.node_info_privacy.to_string()),
    ("tun.name", |config| tun_name(&config.tun.name).to_owned()),
    ("tun.mtu", |config| config.tun.mtu.to_string()),
    ("filter.inbound", |config| audience(config.filter.inbound).to_owned()),
    ("filter.echo", |config| audience(config.filter.echo).to_owned()),
    ("tls.certificate", |config| set(config.web_certificate.certificate.is_some())),
    ("tls.key", |config| set(config.web_certificate.key.is_some())),
    ("lan.enabled", |config| config.lan.enabled.to_string()),
    ("lan.interfaces", |config| configured(config.lan.interfaces.len())),
    ("lan.everywhere", |config| config.lan.everywhere.to_string()),
    ("lan.password", |config| set(!config.lan.password.as_bytes().is_empty())),
    ("lan.priority", |config| config.lan.priority.to_string()),
    ("lan.max_links", |config| config.lan.max_links.to_string()),
    ("lan.listen_port", |config| set(config.lan.listen_port != 0)),
    ("admin.listen", |config| admin(config).to_owned()),
    ("names.enabled", |config| config.names.to_string()),
    ("fast.enabled", |config| config.fast_sessions.to_string()),
    ("gateway.socks", |config| set(config.gateway.socks.is_some())),
    ("gateway.http", |config| set(config.gateway.http.is_some())),
    ("gateway.danger_beyond_this_machine", |config| {
        config.gateway.danger_beyond_this_machine.to_string()
    }),
    ("public_peers.url", |config| set(!config.public_peers.url.is_empty())),
    ("public_peers.key", |config| set(config.public_peers.key.is_some())),
    ("releases.check", |config| config.releases.to_string()),
    ("metrics.listen", |config| set(config.metrics.is_some())),
    ("log.format", |config| config.log_format.as_str().to_owned()),
    ("log.level", |config| config.log_level.as_str().to_owned()),
];

impl Config {
    /// The class of each value that may be told to anybody, by the key's name.
    pub fn classes(&self) -> impl Iterator<Item = (&'static str, String)> {
        CLASSES.iter().map(|(name, class)| (*name, class(self)))
    }
}

fn configured(number: usize) -> String {
    format!("{number} configured")
}

fn set(is_set: bool) -> String {
    if is_set { "set" } else { "not set" }.to_owned()
}

const fn audience(audience: Audience) -> &'static str {
    match audience {
        Audience::Everyone => "everyone",
        Audience::Circles => "circles",
        Audience::Nobody => "nobody",
    }
}

const fn admin(config: &Config) -> &'static str {
    match config.admin.listen {
        None => "none",
        Some(Place::File(_)) => "a file",
        Some(Place::Port(_)) => "a port",
    }
}

const fn transit(transit: Transit) -> &'static str {
    match transit {
        Transit::Relay => "relay",
        Transit::Reluctant => "reluctant",
        Transit::Leaf => "leaf",
    }
}

/// The word for an interface as it is wished for.
#[must_use]
pub const fn tun_name(name: &TunName) -> &'static str {
    match name {
        TunName::Auto => "auto",
        TunName::None => "none",
        TunName::Named(_) => "a name",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::table::KEYS;

    #[test]
    fn every_class_is_that_of_a_key() {
        for (name, _) in CLASSES {
            assert!(KEYS.iter().any(|key| key.name == *name), "{name}");
        }
    }

    #[test]
    fn nothing_that_a_person_wrote_is_told() {
        let text = "peers = [\"tls://canary.example:443?password=canary\"]\n\
                    group_password = \"canary\"\n\
                    group = [{ password = \"canary\", \
                    keys = [\
                    \"79b5562e8fe654f94078b112e8a98ba7901f853ae695bed7e0e3910bad049664\"] }]\n\
                    interface_peers.canary0 = [\"tcp://192.0.2.7:1\"]\n\
                    node_info.name = \"canary\"\n\
                    lan.interfaces = [\"canary2\"]\n\
                    lan.password = \"canary3\"\n\
                    tun.name = \"canary1\"";
        let config = Config::parse(text, Path::new("canary.toml")).ok().unwrap();
        let told: Vec<_> =
            config.classes().map(|(name, value)| format!("{name}={value}")).collect();
        assert!(!told.iter().any(|told| told.contains("canary")), "{told:?}");
        for expected in [
            "peers=1 configured",
            "group_password=set",
            "group=1 configured",
            "interface_peers=1 configured",
            "tun.name=a name",
        ] {
            assert!(told.iter().any(|told| told == expected), "{expected}: {told:?}");
        }
    }
}
