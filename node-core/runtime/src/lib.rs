//! Links, TUN and the engine that drives the protocol.
