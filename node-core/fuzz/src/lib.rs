//! Fuzz targets: one function per door through which foreign bytes come in.
//!
//! A target takes any bytes, panics only on a bug, and is deterministic: no clock (but to see that
//! [`backup`] ends), no randomness and, but for [`identity_pem`], no file. What it asserts stands
//! at the top of its module. The same functions run in three places: `tests/replay.rs` replays the
//! committed corpora and mutates them with a fixed seed on every `cargo test`; `fuzz_targets/`
//! wraps them for `cargo fuzz`, which finds new inputs; `examples/seed.rs` writes the corpora anew.
//! README.md says how to use all three.
//!
//! Nothing here is a double of the code under test: nodes are real nodes with real keys, only time
//! and links are made up.

#![forbid(unsafe_code)]

mod host;
mod input;
mod targets;

pub use targets::backup::backup;
pub use targets::beacon::beacon;
pub use targets::circle_message::{circle_message, circle_message_seeds};
pub use targets::circle_op::circle_op;
pub use targets::config::config;
pub use targets::control_frames::control_frames;
pub use targets::extension::extension;
pub use targets::fast_exchange::fast_exchange;
pub use targets::fast_packets::fast_packets;
pub use targets::fast_talk::fast_talk;
pub use targets::filter::filter;
pub use targets::foreign::foreign;
pub use targets::frames::frames;
pub use targets::friend_link::friend_link;
pub use targets::http_head::http_head;
pub use targets::identity_pem::identity_pem;
pub use targets::invite::invite;
pub use targets::join_link::join_link;
pub use targets::meta::meta;
pub use targets::names::names;
pub use targets::node_info::node_info;
pub use targets::offload_cut::offload_cut;
pub use targets::offload_finish::offload_finish;
pub use targets::offload_join::offload_join;
pub use targets::packets::packets;
pub use targets::public_list::public_list;
pub use targets::session::session;
pub use targets::socks::socks;
pub use targets::stack::stack;
pub use targets::traffic::traffic;
pub use targets::uri::uri;

/// A target by its name, which is also that of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 31] = [
    ("backup", backup),
    ("beacon", beacon),
    ("circle_message", circle_message),
    ("circle_op", circle_op),
    ("config", config),
    ("control_frames", control_frames),
    ("extension", extension),
    ("fast_exchange", fast_exchange),
    ("fast_packets", fast_packets),
    ("fast_talk", fast_talk),
    ("filter", filter),
    ("foreign", foreign),
    ("frames", frames),
    ("friend_link", friend_link),
    ("http_head", http_head),
    ("identity_pem", identity_pem),
    ("invite", invite),
    ("join_link", join_link),
    ("meta", meta),
    ("names", names),
    ("node_info", node_info),
    ("offload_cut", offload_cut),
    ("offload_finish", offload_finish),
    ("offload_join", offload_join),
    ("packets", packets),
    ("public_list", public_list),
    ("session", session),
    ("socks", socks),
    ("stack", stack),
    ("traffic", traffic),
    ("uri", uri),
];
