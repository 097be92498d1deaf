//! What the person has said of local networks, in `networks.json`.

use std::collections::BTreeMap;
use std::io;

use planetary_ipc::limits::NETWORK_LEN_MAX;
use planetary_runtime::lan::Trust;
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Serialize};

use super::StateDir;
use super::record::{self, Record};

/// Networks that are remembered. Beyond, the one of which the person has spoken longest ago is
/// forgotten: nobody goes to so many.
pub const NETWORKS_MAX: usize = 256;

/// `networks.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Networks {
    #[serde(deserialize_with = "bounded")]
    networks: BTreeMap<String, Word>,
}

/// What was said of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Word {
    trusted: bool,
    /// UNIX time in seconds.
    at: u64,
}

impl Record for Networks {
    const FILE_NAME: &'static str = "networks.json";
    /// As many as there may be, with the longest names.
    const LEN_MAX: u64 = 64 * 1024;
}

fn bounded<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Word>, D::Error> {
    let networks = BTreeMap::<String, Word>::deserialize(deserializer)?;
    if networks.len() > NETWORKS_MAX {
        let expected = format!("at most {NETWORKS_MAX} networks");
        return Err(D::Error::invalid_length(networks.len(), &expected.as_str()));
    }
    match networks.keys().find(|name| !is_name(name)) {
        Some(name) => Err(D::Error::invalid_value(Unexpected::Str(name), &"name of a network")),
        None => Ok(networks),
    }
}

fn is_name(name: &str) -> bool {
    (1..=NETWORK_LEN_MAX).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric())
}

impl Networks {
    /// Whether the person has said something of a network.
    #[must_use]
    pub fn knows(&self, network: &str) -> bool {
        self.networks.contains_key(network)
    }

    /// All that was said.
    #[must_use]
    pub fn trust(&self) -> Trust {
        self.networks.iter().map(|(name, word)| (name.clone(), word.trusted)).collect()
    }

    /// Remembers what the person says of a network, on the disk first.
    ///
    /// # Errors
    /// Those of the system; nothing is changed then.
    pub fn say(
        &mut self,
        dir: &StateDir,
        network: &str,
        trusted: bool,
        unix_s: u64,
    ) -> io::Result<()> {
        let mut said = self.clone();
        said.networks.insert(network.to_owned(), Word { trusted, at: unix_s });
        if said.networks.len() > NETWORKS_MAX {
            let others = said.networks.iter().filter(|(name, _)| *name != network);
            let oldest = others.min_by_key(|(_, word)| word.at).map(|(name, _)| name.clone());
            said.networks.remove(&oldest.unwrap_or_default());
        }
        record::store(dir, said.clone())?;
        *self = said;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn load(dir: &StateDir) -> record::Loaded<Networks> {
        record::load(dir, NOW).unwrap()
    }

    #[test]
    fn what_was_said_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::open(folder.path()).unwrap();
        let mut networks = load(&dir).record;
        networks.say(&dir, "5c1f0a77d2be9043", true, NOW).unwrap();
        networks.say(&dir, "0b5e7f21a9c3d684", true, NOW).unwrap();
        networks.say(&dir, "0b5e7f21a9c3d684", false, NOW + 1).unwrap();
        let loaded = load(&dir);
        assert!(loaded.damage.is_none() && loaded.record == networks);
        let trust = loaded.record.trust();
        assert_eq!((trust["5c1f0a77d2be9043"], trust["0b5e7f21a9c3d684"]), (true, false));
        assert!(networks.knows("0b5e7f21a9c3d684") && !networks.knows("else"));
    }

    #[test]
    fn the_oldest_word_is_forgotten_first() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::open(folder.path()).unwrap();
        let mut networks = Networks::default();
        for number in 0..=NETWORKS_MAX {
            let name = format!("{:016x}", NETWORKS_MAX - number);
            networks.networks.insert(name, Word { trusted: true, at: number as u64 });
        }
        networks.networks.remove("0000000000000000");
        networks.say(&dir, "new", true, 0).unwrap();
        assert_eq!(networks.networks.len(), NETWORKS_MAX);
        assert!(networks.knows("new") && !networks.knows(&format!("{NETWORKS_MAX:016x}")));
        assert!(load(&dir).record == networks);
    }

    #[test]
    fn a_file_with_odd_names_or_too_many_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::open(folder.path()).unwrap();
        let word = "{\"trusted\":true,\"at\":1}";
        let many: Vec<_> =
            (0..=NETWORKS_MAX).map(|number| format!("\"{number}\":{word}")).collect();
        for networks in [format!("\"../x\":{word}"), many.join(",")] {
            let text = format!("{{\"version\":1,\"networks\":{{{networks}}}}}");
            fs::write(folder.path().join(Networks::FILE_NAME), text).unwrap();
            let loaded = load(&dir);
            assert!(loaded.damage.is_some() && loaded.record == Networks::default());
        }
    }
}
