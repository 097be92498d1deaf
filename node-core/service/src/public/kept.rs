//! What is kept of peers in the state folder: those chosen among the public ones, and those paused.
//!
//! `chosen-peers.json` holds the chosen peers with their options, those that were given up lately,
//! so that they are not chosen again at once, and the last replacement. `paused-peers.json` names
//! the peers that the person does not want dialled for now, wherever they come from. Both are
//! written on every change; a line in them that cannot be understood is left out with a warning.

use std::collections::BTreeSet;

use planetary_runtime::links::peers::PeerId;
use planetary_runtime::links::uri::PeerUri;
use serde::{Deserialize, Serialize};

use crate::state::record::Record;

/// Most chosen peers. Two or three are enough for anybody.
pub const CHOSEN_MAX: usize = 8;

/// Most peers that are remembered as given up; the oldest go first.
const GIVEN_UP_MAX: usize = 64;

/// How long a peer that was given up is not chosen again.
pub const GIVEN_UP_S: u64 = 86_400;

/// How long a replacement is told.
pub const TOLD_S: u64 = 86_400;

/// `chosen-peers.json`.
#[derive(Default, Serialize, Deserialize)]
pub struct ChosenRecord {
    peers: Vec<StoredPeer>,
    #[serde(default)]
    given_up: Vec<GivenUp>,
    #[serde(default)]
    replaced: Option<Replacement>,
}

#[derive(Serialize, Deserialize)]
struct StoredPeer {
    uri: String,
    region: String,
    country: String,
    chosen_at: u64,
    reason: String,
}

/// `paused-peers.json`.
#[derive(Default, Serialize, Deserialize)]
pub struct PausedRecord {
    peers: Vec<PausedPeer>,
}

#[derive(Serialize, Deserialize)]
struct PausedPeer {
    uri: String,
    interface: Option<String>,
}

impl Record for ChosenRecord {
    const FILE_NAME: &'static str = "chosen-peers.json";
    /// Eight URIs of any length, and the names of those given up.
    const LEN_MAX: u64 = 256 * 1024;
}

impl Record for PausedRecord {
    const FILE_NAME: &'static str = "paused-peers.json";
    /// As many as there may be peers.
    const LEN_MAX: u64 = 256 * 1024;
}

/// A peer chosen among the public ones.
#[derive(Clone)]
pub struct ChosenPeer {
    /// As it stands in the list.
    text: String,
    /// Where to dial.
    pub uri: PeerUri,
    /// Part of the world.
    pub region: String,
    /// Country.
    pub country: String,
    /// When it was chosen, in seconds since 1970.
    pub chosen_at: u64,
    /// Why, in plain words.
    pub reason: String,
}

/// A chosen peer that did not answer for long.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct GivenUp {
    uri: String,
    at: u64,
}

/// One peer in place of another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Replacement {
    /// The one that was given up.
    pub old: String,
    /// The one in its place.
    pub new: String,
    /// Why the new one.
    pub reason: String,
    /// When, in seconds since 1970.
    pub at: u64,
}

/// All of it, as the node works with it. Has no `Debug`: URIs hold passwords.
#[derive(Clone, Default)]
pub struct Kept {
    /// The chosen peers.
    pub chosen: Vec<ChosenPeer>,
    /// Those that are not to be dialled.
    pub paused: BTreeSet<PeerId>,
    given_up: Vec<GivenUp>,
    /// The last replacement.
    pub replaced: Option<Replacement>,
}

impl ChosenPeer {
    /// A peer as it stands in a list; `None` if it cannot be dialled.
    #[must_use]
    pub fn new(
        text: &str,
        (region, country): (&str, &str),
        reason: String,
        now: u64,
    ) -> Option<Self> {
        let uri = text.parse().ok()?;
        let (region, country) = (region.to_owned(), country.to_owned());
        Some(Self { text: text.to_owned(), uri, region, country, chosen_at: now, reason })
    }

    /// What names it.
    #[must_use]
    pub fn id(&self) -> PeerId {
        PeerId::new(&self.uri, None)
    }
}

impl Kept {
    /// What the records say.
    #[must_use]
    pub fn new(chosen: ChosenRecord, paused: PausedRecord) -> Self {
        let mut kept = Self { replaced: chosen.replaced, ..Self::default() };
        for stored in chosen.peers.into_iter().take(CHOSEN_MAX) {
            let StoredPeer { uri, region, country, chosen_at, reason } = stored;
            match ChosenPeer::new(&uri, (&region, &country), reason, chosen_at) {
                Some(peer) if !kept.is_chosen(&peer.id()) => kept.chosen.push(peer),
                _ => tracing::warn!("a line of chosen-peers.json cannot be used and is left out"),
            }
        }
        kept.given_up = chosen.given_up;
        kept.given_up.truncate(GIVEN_UP_MAX);
        let paused = paused.peers.into_iter();
        kept.paused =
            paused.map(|peer| PeerId { uri: peer.uri, interface: peer.interface }).collect();
        kept
    }

    /// What to store of the chosen peers.
    #[must_use]
    pub fn chosen_record(&self) -> ChosenRecord {
        let stored = |peer: &ChosenPeer| StoredPeer {
            uri: peer.text.clone(),
            region: peer.region.clone(),
            country: peer.country.clone(),
            chosen_at: peer.chosen_at,
            reason: peer.reason.clone(),
        };
        ChosenRecord {
            peers: self.chosen.iter().map(stored).collect(),
            given_up: self.given_up.clone(),
            replaced: self.replaced.clone(),
        }
    }

    /// What to store of the paused ones.
    #[must_use]
    pub fn paused_record(&self) -> PausedRecord {
        let stored =
            |id: &PeerId| PausedPeer { uri: id.uri.clone(), interface: id.interface.clone() };
        PausedRecord { peers: self.paused.iter().map(stored).collect() }
    }

    /// Whether a peer is among the chosen ones.
    #[must_use]
    pub fn is_chosen(&self, id: &PeerId) -> bool {
        self.chosen.iter().any(|peer| peer.id() == *id)
    }

    /// Puts `new` in the place of `old`, and remembers that.
    pub fn replace(&mut self, old: &PeerId, new: ChosenPeer, now: u64) {
        let reason = new.reason.clone();
        self.replaced =
            Some(Replacement { old: old.uri.clone(), new: new.id().uri, reason, at: now });
        self.chosen.retain(|peer| peer.id() != *old && peer.id() != new.id());
        self.chosen.push(new);
        self.given_up.retain(|gone| gone.uri != old.uri && now.abs_diff(gone.at) < GIVEN_UP_S);
        if self.given_up.len() >= GIVEN_UP_MAX {
            self.given_up.remove(0);
        }
        self.given_up.push(GivenUp { uri: old.uri.clone(), at: now });
    }

    /// Whether a peer was given up lately.
    #[must_use]
    pub fn was_given_up(&self, name: &str, now: u64) -> bool {
        // A clock that was set back must not ban a peer for ever.
        self.given_up.iter().any(|gone| gone.uri == name && now.abs_diff(gone.at) < GIVEN_UP_S)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(uri: &str) -> ChosenPeer {
        ChosenPeer::new(uri, ("europe", "iceland"), "near: 1 ms".to_owned(), 7).unwrap()
    }

    fn again(kept: &Kept) -> Kept {
        let chosen = serde_json::to_string(&kept.chosen_record()).unwrap();
        let paused = serde_json::to_string(&kept.paused_record()).unwrap();
        Kept::new(serde_json::from_str(&chosen).unwrap(), serde_json::from_str(&paused).unwrap())
    }

    #[test]
    fn what_is_stored_comes_back_with_its_options() {
        let mut kept = Kept::default();
        kept.chosen.push(peer("tls://a.example:443?password=x&priority=3"));
        kept.paused.insert(PeerId { uri: "tcp://b:1".into(), interface: Some("eth0".into()) });
        let kept = again(&kept);
        assert_eq!(kept.chosen[0].uri.password().as_bytes(), b"x");
        assert_eq!((kept.chosen[0].uri.priority(), kept.chosen[0].chosen_at), (3, 7));
        assert_eq!(kept.paused.len(), 1);
        assert!(kept.is_chosen(&peer("tls://a.example:443").id()));
    }

    #[test]
    fn peer_that_was_given_up_is_remembered_for_a_day() {
        let mut kept = Kept::default();
        kept.chosen.push(peer("tcp://a:1"));
        kept.replace(&peer("tcp://a:1").id(), peer("tcp://b:1"), 1_000_000);
        let kept = again(&kept);
        assert_eq!(kept.chosen.len(), 1);
        assert!(kept.is_chosen(&peer("tcp://b:1").id()));
        assert!(kept.was_given_up("tcp://a:1", 1_000_000 + GIVEN_UP_S - 1));
        assert!(!kept.was_given_up("tcp://a:1", 1_000_000 + GIVEN_UP_S));
        assert!(!kept.was_given_up("tcp://b:1", 1_000_000));
        // The clock was set back by a year.
        assert!(!kept.was_given_up("tcp://a:1", 1_000_000 - 2 * GIVEN_UP_S.min(400_000)));
        assert_eq!(kept.replaced.unwrap().old, "tcp://a:1");
    }

    #[test]
    fn memory_of_those_given_up_is_bounded() {
        let mut kept = Kept::default();
        for number in 1..=200 {
            let old = peer(&format!("tcp://a:{number}")).id();
            kept.replace(&old, peer("tcp://b:1"), 1_000_000 + number);
        }
        assert_eq!((kept.given_up.len(), kept.chosen.len()), (GIVEN_UP_MAX, 1));
        assert!(kept.was_given_up("tcp://a:200", 1_000_200));
    }

    #[test]
    fn lines_that_make_no_sense_are_left_out() {
        let line = r#"{"uri":"gopher://a:1","region":"x","country":"x","chosen_at":1,"reason":""}"#;
        let text = format!(r#"{{"peers":[{line},{}]}}"#, line.replace("gopher", "tcp"));
        let kept = Kept::new(serde_json::from_str(&text).unwrap(), PausedRecord::default());
        assert_eq!(kept.chosen.len(), 1);
    }
}
