//! What travels inside sessions: IPv6 packets, a few questions between nodes, and messages that
//! only nodes of this program know.
//!
//! Source: protocol chapters 8 and 9; the last are our own ([`extension`]).

pub mod extension;
mod inband;
pub mod ipv6;
mod keys;
mod waiting;

pub(crate) use extension::{Answered, Extensions};
pub use extension::{ExtensionMessage, MessageError};
pub(crate) use inband::{Inband, InbandMessage};
pub use inband::{InbandAnswer, InbandKind};
pub(crate) use keys::KeyTable;
pub(crate) use waiting::Waiting;

/// First byte of session data that is one IPv6 packet.
pub const PAYLOAD_IPV6: u8 = 1;
/// First byte of session data that is a message between nodes.
pub const PAYLOAD_INBAND: u8 = 2;
/// First byte of session data that is a message between nodes of this program.
pub const PAYLOAD_EXTENSION: u8 = 0x50;
/// First byte of data of a fast session that is one IPv6 packet which the far end may finish: its
/// checksum, or its division into segments (`docs/fast-session.md`).
pub const PAYLOAD_OFFLOAD: u8 = 0x51;
