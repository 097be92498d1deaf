//! The gateway.

pub mod stack;
