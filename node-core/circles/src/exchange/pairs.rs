//! What two nodes call a circle when they speak about it.

use std::collections::BTreeMap;

use blake2::{
    Blake2bMac,
    digest::{KeyInit, Mac, consts::U16},
};
use planetary_proto::{Identity, NodeKey};
use zeroize::Zeroizing;

use super::messages::Tag;
use crate::{limits::PAIRS_MAX, log::CircleId};

/// The secrets that this node has with others, kept because each costs a key agreement.
pub(super) struct Pairs {
    identity: Identity,
    secrets: BTreeMap<NodeKey, Zeroizing<[u8; 32]>>,
}

impl Pairs {
    pub(super) const fn new(identity: Identity) -> Self {
        Self { identity, secrets: BTreeMap::new() }
    }

    pub(super) const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What this node and `other` call `circle`; `None` if nobody can hold the key `other`.
    pub(super) fn tag(&mut self, other: &NodeKey, circle: &CircleId) -> Option<Tag> {
        if !self.secrets.contains_key(other) {
            // Strangers that ask to be let in come here too: too many of them only cost time.
            if self.secrets.len() >= PAIRS_MAX {
                self.secrets.clear();
            }
            self.secrets.insert(*other, self.identity.pair_secret(other)?);
        }
        let secret = self.secrets.get(other)?;
        // BLAKE2b takes keys of up to 64 bytes.
        let mut mac = Blake2bMac::<U16>::new_from_slice(&**secret).ok()?;
        mac.update(b"planetary circle tag");
        mac.update(circle.as_bytes());
        Some(Tag(mac.finalize().into_bytes().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_one_pair_s_name_of_one_circle() {
        let [a, b, c] = [1, 2, 3].map(|seed| Identity::from_seed(&[seed; 32]));
        let [mut of_a, mut of_b, mut of_c] = [&a, &b, &c].map(|who| Pairs::new(who.clone()));
        let [one, other] = [1, 2].map(|byte| CircleId::from_bytes([byte; 32]));
        let tag = of_a.tag(&b.key(), &one);
        assert!(tag.is_some());
        assert!(of_b.tag(&a.key(), &one) == tag);
        assert!(of_a.tag(&b.key(), &other) != tag);
        assert!(of_a.tag(&c.key(), &one) != tag);
        assert!(of_c.tag(&b.key(), &one) != tag);
        assert!(of_a.tag(&NodeKey::from_bytes([0; 32]), &one).is_none());
    }
}
