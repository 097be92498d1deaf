//! What another node says of itself and its neighbourhood when it is asked.
//!
//! All of it is that node's word and may be wrong, made up or out of date. Texts are short and hold
//! nothing that could disguise itself; they are text, never markup.

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use crate::identity::{NodeKey, UnixTime};

/// Answer to `explore`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Explored {
    /// When it was asked.
    pub time: UnixTime,
    /// Key of the node.
    pub key: NodeKey,
    /// Its address.
    pub address: Ipv6Addr,
    /// Whether it said anything. A node that did not is there, but is closed to strangers: its
    /// place in the network is known, and nothing else.
    pub answered: bool,
    /// What it calls itself, at most 64 characters, or `null`.
    pub name: Option<String>,
    /// Its program and version, or `null`.
    pub program: Option<String>,
    /// Its system and processor, or `null`.
    pub system: Option<String>,
    /// How many nodes it knows the place of, or `null`.
    pub routing_entries: Option<u64>,
    /// How long it took to answer a question, in milliseconds, or `null`.
    pub round_trip_ms: Option<f64>,
    /// Keys of the nodes it has links to, or `null` when it did not say. At most 512.
    pub peers: Option<Vec<NodeKey>>,
    /// Keys of the nodes it knows the place of, or `null` when it did not say. At most 2047.
    pub tree: Option<Vec<NodeKey>>,
}
