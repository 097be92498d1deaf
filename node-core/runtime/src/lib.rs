//! Links, TUN and the engine that drives the protocol.

pub mod links;
pub mod tun;
