//! The rules between keys: settings that are fine alone and wrong together.

use std::collections::BTreeSet;

use planetary_proto::limits::NODE_INFO_MAX;
use planetary_runtime::links::peers::PEERS_MAX;

use super::read::Fault;
use super::{Audience, Config};

/// What the four members about program and system take at most, in bytes of JSON.
const BUILD_INFO_LEN_MAX: usize = 256;

/// Returns every contradiction, with the key to point at.
pub(super) fn contradictions(config: &Config) -> Vec<(&'static str, Fault)> {
    let mut found = Vec::new();
    if config.sessions == Audience::Circles {
        let open = [("filter.inbound", config.filter.inbound), ("filter.echo", config.filter.echo)];
        for (name, audience) in open {
            if audience == Audience::Everyone {
                found.push((name, opens_nothing()));
            }
        }
    }
    if let Some(fault) = listed_twice(config) {
        found.push(fault);
    }
    let peers = config.peer_count();
    if peers > PEERS_MAX {
        let what = format!("{peers} peers, with those of [interface_peers]");
        found.push(("peers", Fault::new(what, format!("list at most {PEERS_MAX} in all"))));
    }
    if let Some(fault) = node_info_too_long(config) {
        found.push(("node_info", fault));
    }
    found
}

fn opens_nothing() -> Fault {
    Fault::new(
        "\"everyone\" has no effect while sessions = \"circles\" keeps strangers out",
        "write \"circles\" here, or sessions = \"everyone\"",
    )
}

/// Two entries that differ only in their options are the same link.
fn listed_twice(config: &Config) -> Option<(&'static str, Fault)> {
    let plain = config.peers.iter().map(|uri| ("peers", "", uri));
    let bound = config.interface_peers.iter().flat_map(|(name, uris)| {
        uris.iter().map(move |uri| ("interface_peers", name.as_str(), uri))
    });
    let mut seen = BTreeSet::new();
    plain.chain(bound).find_map(|(key, interface, uri)| {
        let repeated = !seen.insert((interface, uri.to_string()));
        repeated.then(|| {
            let what = format!("{} is listed twice", super::printable(&uri.to_string()));
            (key, Fault::new(what, "keep one of the two"))
        })
    })
}

fn node_info_too_long(config: &Config) -> Option<Fault> {
    let reserved = if config.node_info_privacy { 0 } else { BUILD_INFO_LEN_MAX };
    let len_max = NODE_INFO_MAX - reserved;
    let len = serde_json::to_string(&config.node_info).map_or(usize::MAX, |text| text.len());
    (len > len_max).then(|| {
        Fault::new(format!("{len} bytes as JSON"), format!("shorten it to at most {len_max}"))
    })
}
