//! The public peers that `cargo xtask run` starts with.
//!
//! The list is `node-core/service/facts/public-peers.json`, with its source and date. Chosen are a
//! few far apart: from different regions and different operators. Which ones changes from start to
//! start, so that no operator gets every newcomer.

use std::collections::BTreeSet;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::step;

const FACTS: &str = "node-core/service/facts/public-peers.json";

/// What the node can dial.
const SCHEMES: [&str; 2] = ["tls://", "tcp://"];

/// A public peer: where it stands and how it is dialled.
#[derive(Clone, Debug)]
struct Peer {
    region: String,
    uri: String,
}

/// Chooses so many peers.
pub(crate) fn choose(count: usize) -> Result<Vec<String>> {
    let file = step::workspace_root().join(FACTS);
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {FACTS}"))?;
    let facts: Value =
        serde_json::from_str(&text).with_context(|| format!("{FACTS} is no JSON"))?;
    let peers = facts.get("peers").and_then(Value::as_array).context("no list of peers")?;
    let peers = peers.iter().filter_map(|peer| {
        let text = |name: &str| Some(peer.get(name)?.as_str()?.to_owned());
        Some(Peer { region: text("region")?, uri: text("uri")? })
    });
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(spread(peers.collect(), count, u64::from(since.subsec_nanos())))
}

/// Takes peers from an order that depends on the seed, first of regions that were not had yet.
fn spread(mut peers: Vec<Peer>, count: usize, seed: u64) -> Vec<String> {
    peers.retain(|peer| SCHEMES.iter().any(|scheme| peer.uri.starts_with(scheme)));
    peers.sort_by_key(|peer| scatter(&peer.uri, seed));
    let (mut regions, mut operators) = (BTreeSet::new(), BTreeSet::new());
    let mut chosen = Vec::new();
    for new_region in [true, false] {
        for peer in &peers {
            let fits = !new_region || !regions.contains(&peer.region);
            if chosen.len() < count && fits && operators.insert(operator(&peer.uri)) {
                regions.insert(peer.region.clone());
                chosen.push(peer.uri.clone());
            }
        }
    }
    chosen
}

/// Who runs a peer, as far as its host shows: the last two labels of a name, or the whole address.
fn operator(uri: &str) -> String {
    let host = uri.split("://").nth(1).unwrap_or(uri);
    let host = host.split(['/', '?']).next().unwrap_or(host);
    let host = host.rsplit_once(':').map_or(host, |(host, _port)| host);
    if host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok() {
        return host.to_owned();
    }
    let labels: Vec<&str> = host.split('.').collect();
    labels[labels.len().saturating_sub(2)..].join(".")
}

/// FNV-1a over the seed and the text: an order that is even enough.
fn scatter(text: &str, seed: u64) -> u64 {
    seed.to_be_bytes().iter().chain(text.as_bytes()).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(region: &str, uri: &str) -> Peer {
        Peer { region: region.to_owned(), uri: uri.to_owned() }
    }

    #[test]
    fn an_operator_is_a_domain_or_an_address() {
        assert_eq!(operator("tls://a.b.example.net:443?key=00"), "example.net");
        assert_eq!(operator("tcp://192.0.2.7:1"), "192.0.2.7");
        assert_eq!(operator("tls://[2001:db8::1]:1"), "[2001:db8::1]");
    }

    #[test]
    fn chosen_peers_differ_in_region_and_operator() {
        let peers = vec![
            peer("north", "tls://one.example.net:1"),
            peer("north", "tls://two.example.net:1"),
            peer("north", "tcp://192.0.2.1:1"),
            peer("south", "tls://three.example.net:1"),
            peer("south", "tls://one.example.org:1"),
            peer("south", "quic://one.example.com:1"),
        ];
        for seed in 0..50 {
            let chosen = spread(peers.clone(), 3, seed);
            let operators: BTreeSet<String> = chosen.iter().map(|uri| operator(uri)).collect();
            assert_eq!((chosen.len(), operators.len()), (3, 3), "{chosen:?}");
            assert!(chosen.iter().all(|uri| !uri.starts_with("quic")), "{chosen:?}");
        }
    }

    #[test]
    fn the_committed_list_yields_enough() {
        let chosen = choose(4).expect("a list");
        assert_eq!(chosen.len(), 4);
    }
}
