//! Who may reach this machine, decided on this machine.
//!
//! [`filter`] judges every IPv6 packet between the sessions and the TUN: by default nobody opens a
//! connection to this machine, whatever it opens itself works, and what friends may reach is a list
//! of services. Nothing here reads a clock, opens a socket or file, or starts a thread: packets and
//! the time come in, verdicts go out. So the part that must be right is a function that tests can
//! ask about any packet at any time. [`names`] answers what programs ask about names of nodes.
//!
//! [`log`] holds what the members of a circle have signed, and says who is one of them: a function
//! of the set of operations, whatever order they came in. [`invite`] is what a link to join is made
//! of. [`exchange`] keeps the logs of members equal and lets guests in: messages and times come in,
//! messages and news go out.
//!
//! The table of what goes in and out, and the threats that it answers, is `docs/security.md`; the
//! records of circles are `docs/circles.md`.

#![forbid(unsafe_code)]

pub mod exchange;
pub mod filter;
mod hash;
pub mod invite;
pub mod limits;
pub mod log;
pub mod names;

pub use filter::{
    Answer, Audience, Budget, Destination, Drops, Filter, Notice, Person, Policy, Protocol,
    Reached, Reason, Remote, Rule, Rules, RulesError, Service, Settled, Sizes, Verdict, Who,
};
