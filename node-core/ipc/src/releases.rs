//! Newer versions of the program: what is known of them, and whether anybody is asked.
//!
//! The service only ever tells. Nothing is downloaded but a small signed file, and nothing is
//! installed.

use serde::{Deserialize, Serialize};

use crate::identity::UnixTime;
use crate::status::PeerError;

/// Whether newer versions are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReleaseCheck {
    /// Never: whoever built this program gave it no place to ask, or no key to believe it by.
    #[default]
    Unavailable,
    /// Not while the settings say so.
    Off,
    /// Not while `PLANETARY_OFFLINE` is set for the service.
    Offline,
    /// At most once a day.
    On,
}

impl ReleaseCheck {
    /// The word as it is written in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Off => "off",
            Self::Offline => "offline",
            Self::On => "on",
        }
    }
}

/// What is known of newer versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Releases {
    /// Whether they are looked for.
    pub check: ReleaseCheck,
    /// When the last answer came that could be believed, or `null` if none has.
    pub checked_at: Option<UnixTime>,
    /// Why the last attempt failed, or `null` if it did not.
    pub error: Option<PeerError>,
    /// The newest version, if it is newer than the service, else `null`.
    pub newer: Option<Release>,
}

/// A version that was released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Release {
    /// Such as `0.2.0`.
    pub version: String,
    /// The day of its release, `2026-01-31`.
    pub date: String,
    /// What changed, and where to have it: an `https` URL for a person to open.
    pub notes_url: String,
}
