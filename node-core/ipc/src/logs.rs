//! The latest lines of the service's log, as far as the service keeps them itself.

use serde::{Deserialize, Serialize};

use crate::identity::UnixTime;

/// How much a line of the log matters, the most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Something is broken.
    Error,
    /// Odd, but working.
    Warn,
    /// A change that a person would notice.
    Info,
}

impl LogLevel {
    /// The level as it is written in JSON and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
        }
    }
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LogLine {
    /// Number of the line, from 1; grows by one from line to line while the service runs.
    pub number: u64,
    /// When it was written.
    pub at: UnixTime,
    /// How much it matters.
    pub level: LogLevel,
    /// The part of the program that wrote it.
    pub target: String,
    /// What it says, in one line, with its values as `name=value`.
    pub text: String,
}

/// Answer to `logs`: lines in the order of their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LogPage {
    /// The lines.
    pub lines: Vec<LogLine>,
    /// Number of the last line that was looked at; ask for those after it next.
    pub last: u64,
    /// How many lines after the number asked for are no longer kept.
    pub lost: u64,
}
