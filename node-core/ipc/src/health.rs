//! Lasting conditions that a person should know about, and the checklist that `doctor` walks
//! through.
//!
//! The service keeps the list; command line and app render the same items and never invent their
//! own, except for what only a client can see (no service, no permission, another version).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::identity::UnixTime;

/// How much a condition matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Checked and good. Only in the answer to `doctor`, never in a status.
    Ok,
    /// Worth knowing; nothing is wrong.
    Info,
    /// Something works less well than it could.
    Warning,
    /// Something does not work.
    Error,
}

/// One condition, or one line of the checklist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HealthItem {
    /// Stable name in snake case, such as `no_peer_connected`; the list is in `docs/ipc.md`.
    pub code: Cow<'static, str>,
    /// A few words, such as "No peer is connected".
    pub title: String,
    /// How much it matters.
    pub severity: Severity,
    /// What is so and why, in plain sentences.
    pub text: String,
    /// Since when it is so, or `null` for a check made just now.
    pub since: Option<UnixTime>,
    /// Whether traffic suffers from it.
    pub affects_connectivity: bool,
    /// The one thing to do about it, or `null` when there is nothing to do.
    pub action: Option<String>,
}

/// Answer to `doctor`: what was checked, in the order of a person's questions (service, identity,
/// TUN, peers, tree, proof), problems and passed checks alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DoctorReport {
    /// When the checks were made, by the service's clock.
    pub time: UnixTime,
    /// The checks.
    pub items: Vec<HealthItem>,
}

impl DoctorReport {
    /// The worst severity of all items; [`Severity::Ok`] when there are none.
    pub fn worst(&self) -> Severity {
        self.items.iter().map(|item| item.severity).max().unwrap_or(Severity::Ok)
    }
}
