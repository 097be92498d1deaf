//! The rules between keys: settings that are fine alone and wrong together.

use std::collections::BTreeSet;

use planetary_proto::limits::NODE_INFO_MAX;
use planetary_proto::session::GroupsError;
use planetary_runtime::links::peers::PEERS_MAX;
use planetary_runtime::links::uri::Scheme;

use super::read::Fault;
use super::{Audience, Config};
use crate::admin::Place;

/// What the four members about program and system take at most, in bytes of JSON.
pub(super) const BUILD_INFO_LEN_MAX: usize = 256;

/// Returns every contradiction, with the key to point at.
pub(super) fn contradictions(config: &Config) -> Vec<(&'static str, Fault)> {
    let mut found = Vec::new();
    found.extend(peers_listed_twice(config));
    found.extend(listeners_listed_twice(config));
    let peers = config.peer_count();
    if peers > PEERS_MAX {
        let what = format!("{peers} peers, with those of [interface_peers]");
        found.push(("peers", Fault::new(what, format!("list at most {PEERS_MAX} in all"))));
    }
    if let Some(fault) = unsigned_in_clear(config) {
        found.push(("public_peers.url", fault));
    }
    found.extend(wss_without_certificate(config));
    if let Some(fault) = node_info_too_long(config) {
        found.push(("node_info", fault));
    }
    found.extend(open_without_sessions(config));
    found.extend(proxies_for_others(config));
    if let Some(fault) = proxies_at_one_place(config) {
        found.push(("gateway.http", fault));
    }
    found.extend(admin_port_unconfirmed(config).map(|fault| ("admin.listen", fault)));
    found.extend(config.session_groups().err().map(|error| ("group", wrong_groups(error))));
    found
}

/// Whoever reaches a proxy reaches the network as this node.
fn proxies_for_others(config: &Config) -> Vec<(&'static str, Fault)> {
    let gateway = &config.gateway;
    let proxies = [("gateway.socks", gateway.socks), ("gateway.http", gateway.http)];
    let open = proxies.into_iter().filter_map(|(key, at)| {
        let at = at.filter(|at| !at.ip().is_loopback() && !gateway.danger_beyond_this_machine)?;
        let what = format!("{at} is for other machines, which would use the network as this node");
        let remedy = "write a loopback address such as 127.0.0.1, or set \
                      danger_beyond_this_machine = true";
        Some((key, Fault::new(what, remedy)))
    });
    open.collect()
}

fn proxies_at_one_place(config: &Config) -> Option<Fault> {
    let at = config.gateway.http.filter(|at| config.gateway.socks == Some(*at))?;
    Some(Fault::new(format!("{at} is where the SOCKS5 proxy listens"), "choose another port"))
}

/// A port has no owner and no mode.
fn admin_port_unconfirmed(config: &Config) -> Option<Fault> {
    let is_port = matches!(config.admin.listen, Some(Place::Port(_)));
    (is_port && !config.admin.danger_tcp).then(|| {
        Fault::new(
            "a port is open to every program of this computer",
            "write a socket file (unix://), or set `danger_tcp = true` as well",
        )
    })
}

fn wrong_groups(error: GroupsError) -> Fault {
    let is_twice = matches!(error, GroupsError::Taken(_));
    let remedy = if is_twice { "list each key once in all groups" } else { "list fewer" };
    Fault::new(error.to_string(), remedy)
}

/// Who gets no session reaches nothing, whatever the filter says.
fn open_without_sessions(config: &Config) -> Vec<(&'static str, Fault)> {
    let open = [("filter.inbound", config.filter.inbound), ("filter.echo", config.filter.echo)];
    let is_closed = config.sessions == Some(Audience::Circles);
    let open =
        open.into_iter().filter(|(_, audience)| is_closed && *audience == Audience::Everyone);
    let fault = |(key, _)| {
        let what = "is \"everyone\", while sessions = \"circles\" gives strangers no session";
        (key, Fault::new(what, "remove `sessions`, or write \"circles\" here as well"))
    };
    open.map(fault).collect()
}

/// Two entries that differ only in their options are the same link.
fn peers_listed_twice(config: &Config) -> Vec<(&'static str, Fault)> {
    let plain = config.peers.iter().map(|uri| ("peers", "", uri));
    let bound = config.interface_peers.iter().flat_map(|(name, uris)| {
        uris.iter().map(move |uri| ("interface_peers", name.as_str(), uri))
    });
    let mut seen = BTreeSet::new();
    let repeated = plain
        .chain(bound)
        .filter(|(_, interface, uri)| !seen.insert((*interface, uri.to_string())));
    repeated.map(|(key, _, uri)| (key, twice(uri.to_string(), "is listed twice"))).collect()
}

/// One address and port take one listener, whatever it speaks. Port 0 is another one each time,
/// unless the whole entry is the same.
fn listeners_listed_twice(config: &Config) -> Vec<(&'static str, Fault)> {
    let mut names = BTreeSet::new();
    let mut places = BTreeSet::new();
    let mut found = Vec::new();
    for uri in &config.listen {
        let name = uri.to_string();
        let taken = uri.port_taken().is_some_and(|port| !places.insert(port));
        if !names.insert(name.clone()) {
            found.push(("listen", twice(name, "is listed twice")));
        } else if taken {
            found.push(("listen", twice(name, "has the address and port of another entry")));
        }
    }
    found
}

fn twice(uri: String, what: &str) -> Fault {
    Fault::new(format!("{} {what}", super::printable(&uri)), "keep one of the two")
}

/// Without a signature, only the certificate of the server says that nobody changed the list.
fn unsigned_in_clear(config: &Config) -> Option<Fault> {
    let url = config.public_peers.url.to_ascii_lowercase();
    (url.starts_with("http://") && config.public_peers.key.is_none()).then(|| {
        Fault::new(
            "without a key the list must be fetched by https",
            "write https://, or set `key` to the key with which the list is signed",
        )
    })
}

/// A certificate is of no use without its key, and a listener for `wss` without either.
fn wss_without_certificate(config: &Config) -> Option<(&'static str, Fault)> {
    let files = &config.web_certificate;
    match (&files.certificate, &files.key) {
        (Some(_), Some(_)) => None,
        (Some(_), None) => {
            Some(("tls.certificate", Fault::new("there is no key to it", "set `key` as well")))
        }
        (None, Some(_)) => {
            let remedy = "set `certificate` as well";
            Some(("tls.key", Fault::new("there is no certificate to it", remedy)))
        }
        (None, None) => {
            let uri = config.listen.iter().find(|uri| uri.scheme() == Scheme::Wss)?;
            let what = format!("{} needs a certificate", super::printable(&uri.to_string()));
            let remedy = "set `certificate` and `key` in the section [tls], or listen for ws \
                          behind a web server";
            Some(("listen", Fault::new(what, remedy)))
        }
    }
}

fn node_info_too_long(config: &Config) -> Option<Fault> {
    let reserved = if config.node_info_privacy { 0 } else { BUILD_INFO_LEN_MAX };
    let len_max = NODE_INFO_MAX - reserved;
    let len = serde_json::to_string(&config.node_info).map_or(usize::MAX, |text| text.len());
    (len > len_max).then(|| {
        Fault::new(format!("{len} bytes as JSON"), format!("shorten it to at most {len_max}"))
    })
}
