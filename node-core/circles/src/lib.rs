//! Who may reach this machine, decided on this machine.
//!
//! [`filter`] judges every IPv6 packet between the sessions and the TUN: by default nobody opens a
//! connection to this machine, whatever it opens itself works, and what friends may reach is a list
//! of services. [`names`] answers what programs ask about names of nodes. Nothing here reads a clock, opens a socket or file, or starts a thread: packets and
//! the time come in, verdicts go out. So the part that must be right is a function that tests can
//! ask about any packet at any time.
//!
//! The table of what goes in and out, and the threats that it answers, is `docs/security.md`.

#![forbid(unsafe_code)]

pub mod filter;
pub mod limits;
pub mod names;

pub use filter::{
    Answer, Audience, Budget, Destination, Drops, Filter, Person, Policy, Protocol, Reason, Remote,
    Rule, Rules, RulesError, Service, Sizes, Verdict, Who,
};
