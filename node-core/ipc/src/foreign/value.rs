//! What both languages have in common.

use serde_json::{Map, Value as Json};
use zeroize::Zeroizing;

/// How deep values may be nested. Node info is the only place where anybody nests.
pub(super) const DEPTH_MAX: usize = 64;

/// A value as it stands in the file. Numbers keep their letters, because a member that wants a text
/// takes them as one. Texts are overwritten when dropped: one of them is the private key.
pub(super) enum Value {
    Null,
    Flag(bool),
    Number(Zeroizing<String>),
    Text(Zeroizing<String>),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Value {
    /// The value as a member takes it that wants a text.
    pub(super) fn into_text(self) -> Option<Zeroizing<String>> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text),
            Self::Flag(flag) => Some(Zeroizing::new(flag.to_string())),
            Self::Null | Self::List(_) | Self::Object(_) => None,
        }
    }

    pub(super) fn as_flag(&self) -> Option<bool> {
        match self {
            Self::Flag(flag) => Some(*flag),
            _ => None,
        }
    }

    pub(super) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Number(text) | Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The value as JSON; `None` for a number that JSON has not. Depth is bounded by the parsers.
    pub(super) fn into_json(self) -> Option<Json> {
        Some(match self {
            Self::Null => Json::Null,
            Self::Flag(flag) => Json::Bool(flag),
            Self::Number(text) => Json::Number(text.parse().ok()?),
            Self::Text(text) => Json::String(text.to_string()),
            Self::List(values) => {
                Json::Array(values.into_iter().map(Self::into_json).collect::<Option<_>>()?)
            }
            Self::Object(members) => Json::Object(
                members
                    .into_iter()
                    .map(|(name, value)| Some((name, value.into_json()?)))
                    .collect::<Option<Map<_, _>>>()?,
            ),
        })
    }
}
