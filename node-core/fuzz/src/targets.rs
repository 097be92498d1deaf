//! The targets, each in a module of its name that says what it asserts.

pub(crate) mod backup;
pub(crate) mod beacon;
pub(crate) mod circle_message;
pub(crate) mod circle_op;
pub(crate) mod config;
pub(crate) mod control_frames;
pub(crate) mod extension;
pub(crate) mod filter;
pub(crate) mod foreign;
pub(crate) mod frames;
pub(crate) mod friend_link;
pub(crate) mod http_head;
pub(crate) mod identity_pem;
pub(crate) mod invite;
pub(crate) mod join_link;
pub(crate) mod meta;
pub(crate) mod names;
pub(crate) mod node_info;
pub(crate) mod packets;
pub(crate) mod public_list;
pub(crate) mod session;
pub(crate) mod socks;
pub(crate) mod stack;
pub(crate) mod traffic;
pub(crate) mod uri;
