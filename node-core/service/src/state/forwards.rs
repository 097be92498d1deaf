//! `forwards.json`: the ports that a person has forwarded.
//!
//! Read at start, written whole on every change. One that is damaged is set aside, and no port is
//! forwarded then: that opens nothing.

use std::collections::BTreeMap;

use planetary_ipc::limits::FORWARDS_MAX;
use planetary_ipc::{ForwardRule, ForwardWay};
use planetary_runtime::gateway::{NoTarget, Target};
use serde::{Deserialize, Serialize};

use super::record::Record;

/// The forwarded ports by their numbers: within bounds, each a rule that can be, no two of which
/// listen at the same place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Forwards {
    rules: BTreeMap<u64, ForwardRule>,
    last_id: u64,
}

/// Why the list is not changed, or a file is damaged.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardsError {
    /// The rule cannot be.
    #[error("{0}")]
    Wrong(String),
    /// Something else is forwarded from there.
    #[error("{0} is forwarded already")]
    Exists(String),
    /// There are too many.
    #[error("{FORWARDS_MAX} ports are forwarded already")]
    Full,
    /// None has this number.
    #[error("no forwarded port has the number {0}")]
    NotFound(u64),
}

/// The form on disk.
#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    last_id: u64,
    forwards: Vec<StoredForward>,
}

#[derive(Clone, Serialize, Deserialize)]
struct StoredForward {
    id: u64,
    #[serde(flatten)]
    rule: ForwardRule,
}

impl Record for Forwards {
    const FILE_NAME: &'static str = "forwards.json";
    /// Each rule takes some hundred bytes, twice the longest texts at most.
    const LEN_MAX: u64 = 64 * 1024;
}

impl Forwards {
    /// The rules, by number.
    #[must_use]
    pub const fn rules(&self) -> &BTreeMap<u64, ForwardRule> {
        &self.rules
    }

    /// Adds a rule under a number that was never used.
    ///
    /// # Errors
    /// [`ForwardsError`].
    pub fn add(&mut self, rule: ForwardRule) -> Result<u64, ForwardsError> {
        let id = self.last_id.saturating_add(1);
        self.insert(id, rule)?;
        self.last_id = id;
        Ok(id)
    }

    /// Takes a rule away.
    ///
    /// # Errors
    /// [`ForwardsError::NotFound`].
    pub fn remove(&mut self, id: u64) -> Result<ForwardRule, ForwardsError> {
        self.rules.remove(&id).ok_or(ForwardsError::NotFound(id))
    }

    fn insert(&mut self, id: u64, rule: ForwardRule) -> Result<(), ForwardsError> {
        rule.check().map_err(|error| ForwardsError::Wrong(error.message))?;
        if rule.way == ForwardWay::Out {
            let wrong = |error: &dyn std::error::Error| ForwardsError::Wrong(error.to_string());
            let target: Target = rule.target.parse().map_err(|error: NoTarget| wrong(&error))?;
            target.check().map_err(|error| wrong(&error))?;
        }
        let place = |rule: &ForwardRule| (rule.way, rule.protocol, rule.listen.clone());
        if self.rules.contains_key(&id)
            || self.rules.values().any(|kept| place(kept) == place(&rule))
        {
            return Err(ForwardsError::Exists(rule.listen));
        }
        if self.rules.len() >= FORWARDS_MAX {
            return Err(ForwardsError::Full);
        }
        self.rules.insert(id, rule);
        Ok(())
    }
}

impl TryFrom<Stored> for Forwards {
    type Error = ForwardsError;

    fn try_from(stored: Stored) -> Result<Self, ForwardsError> {
        let mut forwards = Self { rules: BTreeMap::new(), last_id: stored.last_id };
        for StoredForward { id, rule } in stored.forwards {
            forwards.insert(id, rule)?;
            forwards.last_id = forwards.last_id.max(id);
        }
        Ok(forwards)
    }
}

impl From<Forwards> for Stored {
    fn from(forwards: Forwards) -> Self {
        let Forwards { rules, last_id } = forwards;
        let forwards = rules.into_iter().map(|(id, rule)| StoredForward { id, rule }).collect();
        Self { last_id, forwards }
    }
}

#[cfg(test)]
mod tests {
    use planetary_ipc::ForwardProtocol;

    use super::*;
    use crate::state::{StateDir, record};

    fn rule(listen: &str) -> ForwardRule {
        ForwardRule {
            way: ForwardWay::In,
            protocol: ForwardProtocol::Tcp,
            listen: listen.to_owned(),
            target: "127.0.0.1:8080".to_owned(),
        }
    }

    #[test]
    fn numbers_are_never_used_twice_even_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let mut forwards = Forwards::default();
        assert_eq!((forwards.add(rule("80")), forwards.add(rule("81"))), (Ok(1), Ok(2)));
        forwards.remove(2).unwrap();
        record::store(&state, forwards.clone()).unwrap();
        let mut loaded = record::load::<Forwards>(&state, 0).unwrap().record;
        assert_eq!(loaded, forwards);
        assert_eq!(loaded.add(rule("81")), Ok(3));
        assert_eq!(loaded.remove(2), Err(ForwardsError::NotFound(2)));
    }

    #[test]
    fn no_place_is_taken_twice_and_the_list_is_bounded() {
        let mut forwards = Forwards::default();
        forwards.add(rule("80")).unwrap();
        assert_eq!(forwards.add(rule("80")), Err(ForwardsError::Exists("80".to_owned())));
        let datagrams = ForwardRule { protocol: ForwardProtocol::Udp, ..rule("80") };
        forwards.add(datagrams).unwrap();
        assert!(matches!(forwards.add(rule("eighty")), Err(ForwardsError::Wrong(_))));
        for target in ["example.org:80", "200::1:80", "[2001:db8::1]:80", "192.0.2.1:80"] {
            let (way, listen) = (ForwardWay::Out, "127.0.0.1:8080".to_owned());
            let elsewhere = ForwardRule { way, target: target.to_owned(), ..rule(&listen) };
            assert!(matches!(forwards.add(elsewhere), Err(ForwardsError::Wrong(_))), "{target}");
        }
        for port in 2..FORWARDS_MAX {
            forwards.add(rule(&(1000 + port).to_string())).unwrap();
        }
        assert_eq!(forwards.add(rule("9")), Err(ForwardsError::Full));
        // The longest list fits into the file.
        let long = ForwardRule {
            way: ForwardWay::Out,
            listen: "127.0.0.1:65535".to_owned(),
            target: format!("{}:65535", "a".repeat(planetary_ipc::limits::FORWARD_LEN_MAX - 6)),
            ..rule("")
        };
        let all = (0..FORWARDS_MAX as u64).map(|id| StoredForward { id, rule: long.clone() });
        let stored = Stored { last_id: u64::MAX, forwards: all.collect() };
        let len = serde_json::to_string_pretty(&stored).unwrap().len() as u64;
        assert!(len < Forwards::LEN_MAX, "{len} bytes");
    }

    #[test]
    fn a_file_that_somebody_has_edited_wrongly_is_set_aside() {
        let entry = |id: u64, port: u16, target: &str| {
            format!(r#"{{"id":{id},"way":"in","listen":"{port}","target":"{target}"}}"#)
        };
        let file = |entries: &[String]| {
            let entries = entries.join(",");
            format!(r#"{{"version":1,"last_id":1,"forwards":[{entries}]}}"#)
        };
        let outside = file(&[entry(1, 80, "192.0.2.1:1")]);
        let twice = file(&[entry(1, 80, "127.0.0.1:1"), entry(1, 81, "127.0.0.1:1")]);
        for text in [&outside, &twice, r#"{"version":1}"#] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(Forwards::FILE_NAME), text).unwrap();
            let state = StateDir::open(dir.path()).unwrap();
            let loaded = record::load::<Forwards>(&state, 7).unwrap();
            assert_eq!(loaded.record, Forwards::default());
            let kept = loaded.damage.unwrap().kept.unwrap();
            assert_eq!(std::fs::read_to_string(kept).unwrap(), text);
        }
    }
}
