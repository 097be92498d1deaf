//! Links, TUN and the engine that drives the protocol.

pub mod clock;
mod control;
mod data;
mod datagram;
mod engine;
pub mod gateway;
pub mod http;
pub mod lan;
pub mod links;
mod notices;
pub mod offload;
mod processor;
pub mod surroundings;
pub mod tun;

pub use control::News;
pub use engine::{
    AskError, Counters, Engine, EngineConfig, LinkSnapshot, PathReport, PathSnapshot,
    SessionSnapshot, Snapshot, StartError, Topology, TreeSnapshot,
};
