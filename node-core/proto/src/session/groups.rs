//! Which secret goes into the handshakes with whom (chapter 7.3).
//!
//! The protocol leaves the secret of a handshake to its two ends, so one node can be in several
//! closed groups and in the public network at once: what matters is the secret for *this* far end.
//! A key that is listed in a group is spoken to with that group's secret and with no other; all
//! other keys with the common one, or with none.

use std::collections::BTreeMap;

use thiserror::Error;

use super::GroupSecret;
use crate::{
    identity::NodeKey,
    limits::{GROUP_KEYS_MAX, GROUPS_MAX},
};

/// The secrets of a node's handshakes, by far end.
///
/// Has no `Debug`: it is made of secrets.
#[derive(Clone, Default)]
pub struct Groups {
    common: Option<GroupSecret>,
    secrets: Vec<GroupSecret>,
    /// Index into `secrets`.
    members: BTreeMap<NodeKey, usize>,
}

/// Why a group was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GroupsError {
    /// There are [`GROUPS_MAX`] groups already.
    #[error("there are {GROUPS_MAX} groups already")]
    TooManyGroups,
    /// The groups would have more than [`GROUP_KEYS_MAX`] keys in all.
    #[error("the groups have more than {GROUP_KEYS_MAX} keys in all")]
    TooManyKeys,
    /// The key is in a group already, and only one secret can go into its handshakes.
    #[error("key {0} is in a group already")]
    Taken(NodeKey),
}

impl Groups {
    /// No groups: `common` goes into all handshakes, `None` is the public network.
    #[must_use]
    pub fn new(common: Option<GroupSecret>) -> Self {
        Self { common, ..Self::default() }
    }

    /// Adds a group of `keys`, which have been in none so far. The own key may be among them, so
    /// that all members can have the same list.
    ///
    /// # Errors
    /// [`GroupsError`]; nothing is added then.
    pub fn add(&mut self, secret: GroupSecret, keys: &[NodeKey]) -> Result<(), GroupsError> {
        if self.secrets.len() >= GROUPS_MAX {
            return Err(GroupsError::TooManyGroups);
        }
        let mut members = self.members.clone();
        for key in keys {
            if members.insert(*key, self.secrets.len()).is_some() {
                return Err(GroupsError::Taken(*key));
            }
        }
        if members.len() > GROUP_KEYS_MAX {
            return Err(GroupsError::TooManyKeys);
        }
        self.secrets.push(secret);
        self.members = members;
        Ok(())
    }

    /// What goes into the handshakes with `key`.
    pub(crate) fn secret_for(&self, key: &NodeKey) -> Option<&GroupSecret> {
        match self.members.get(key) {
            Some(group) => self.secrets.get(*group),
            None => self.common.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u16) -> NodeKey {
        let mut bytes = [1; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        NodeKey::from_bytes(bytes)
    }

    fn secret(password: &str) -> GroupSecret {
        GroupSecret::from_password(password.as_bytes())
    }

    #[test]
    fn each_key_has_the_secret_of_its_group_and_all_others_the_common_one() {
        for common in [None, Some(secret("common"))] {
            let mut groups = Groups::new(common.clone());
            groups.add(secret("one"), &[key(1), key(2)]).unwrap();
            groups.add(secret("two"), &[key(3)]).unwrap();
            for (member, password) in [(1, "one"), (2, "one"), (3, "two")] {
                assert!(groups.secret_for(&key(member)) == Some(&secret(password)));
            }
            assert!(groups.secret_for(&key(4)) == common.as_ref());
        }
    }

    #[test]
    fn a_group_that_is_refused_leaves_nothing_behind() {
        let mut groups = Groups::default();
        groups.add(secret("one"), &[key(1)]).unwrap();
        let taken = groups.add(secret("two"), &[key(2), key(1)]);
        assert_eq!(taken, Err(GroupsError::Taken(key(1))));
        assert_eq!(groups.add(secret("two"), &[key(3), key(3)]), Err(GroupsError::Taken(key(3))));
        assert!(groups.secret_for(&key(1)) == Some(&secret("one")));
        assert!(groups.secret_for(&key(2)).is_none());
    }

    #[test]
    fn groups_and_their_keys_are_bounded() {
        let mut groups = Groups::default();
        let many: Vec<_> = (0..).map(key).take(GROUP_KEYS_MAX).collect();
        groups.add(secret("full"), &many).unwrap();
        let one_more = groups.add(secret("more"), &[key(u16::MAX)]);
        assert_eq!(one_more, Err(GroupsError::TooManyKeys));
        for _ in 1..GROUPS_MAX {
            groups.add(secret("empty"), &[]).unwrap();
        }
        assert_eq!(groups.add(secret("empty"), &[]), Err(GroupsError::TooManyGroups));
    }
}
