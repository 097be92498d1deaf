//! What travels inside sessions: IPv6 packets and a few questions between nodes.
//!
//! Source: protocol chapters 8 and 9.

mod inband;
pub mod ipv6;
mod keys;
mod waiting;

pub(crate) use inband::{Inband, InbandMessage};
pub use inband::{InbandAnswer, InbandKind};
pub(crate) use keys::KeyTable;
pub(crate) use waiting::Waiting;

/// First byte of session data that is one IPv6 packet.
pub const PAYLOAD_IPV6: u8 = 1;
/// First byte of session data that is a message between nodes.
pub const PAYLOAD_INBAND: u8 = 2;
