//! From what a person types to the key that is meant.

use std::net::Ipv6Addr;

use super::FriendName;
use crate::identity::{NodeKey, Subnet, shorten};

/// Fewest digits of a key that stand for the whole.
const PREFIX_LEN_MIN: usize = 4;

/// Why what was typed names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// Nobody has that name, key or address.
    #[error("no friend is called `{0}`, and no friend's key begins so")]
    Nobody(String),
    /// Several keys begin so.
    #[error("the keys of {names} begin with `{text}`", names = .0.join(" and "), text = .1)]
    Several(Vec<String>, String),
}

/// Finds the one entry that `text` names: by name whatever its case, by key, by address (of the
/// node or in its subnet), or by at least four digits that one key alone begins with.
///
/// `known` says of an entry what it can be named by.
///
/// # Errors
/// [`FindError`].
pub fn find<'a, T>(
    text: &str,
    entries: &'a [T],
    known: impl Fn(&T) -> (NodeKey, Ipv6Addr, Option<Subnet>, Option<FriendName>),
) -> Result<&'a T, FindError> {
    let text = text.trim();
    let folded = text.to_lowercase();
    let named = |entry: &&T| known(entry).3.is_some_and(|name| name.folded() == folded);
    if let Some(entry) = entries.iter().find(named) {
        return Ok(entry);
    }
    let nobody = || FindError::Nobody(shorten(text));
    if let Ok(key) = text.parse::<NodeKey>() {
        return entries.iter().find(|entry| known(entry).0 == key).ok_or_else(nobody);
    }
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        let lives_there = |entry: &&T| {
            let (_, own, subnet, _) = known(entry);
            own == address || subnet == Some(Subnet::containing(address))
        };
        return entries.iter().find(lives_there).ok_or_else(nobody);
    }
    if folded.len() < PREFIX_LEN_MIN {
        return Err(nobody());
    }
    let begins = |entry: &&T| {
        let key = known(entry).0;
        key.to_string().starts_with(&folded) || key.to_base32().starts_with(&folded)
    };
    let found: Vec<_> = entries.iter().filter(begins).collect();
    match found[..] {
        [entry] => Ok(entry),
        [] => Err(nobody()),
        _ => {
            let names = found.iter().take(3).map(|entry| match known(entry) {
                (_, _, _, Some(name)) => name.to_string(),
                (key, ..) => key.to_string(),
            });
            Err(FindError::Several(names.collect(), shorten(text)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Entry = (NodeKey, Ipv6Addr, Option<Subnet>, Option<FriendName>);

    fn entry(byte: u8, last: u8, name: Option<&str>) -> Entry {
        let mut key = [byte; 32];
        key[31] = last;
        let address = Ipv6Addr::new(0x200, byte.into(), last.into(), 0, 0, 0, 0, 1);
        let subnet = Subnet::containing(Ipv6Addr::new(0x300, byte.into(), 0, 0, 0, 0, 0, 0));
        (NodeKey(key), address, Some(subnet), name.map(|name| name.parse().unwrap()))
    }

    #[test]
    fn entries_are_found_by_name_key_address_and_beginning() {
        let all = [entry(0xab, 1, Some("Ada")), entry(0xab, 2, Some("abab")), entry(0xcd, 3, None)];
        let found = |text: &str| find(text, &all, Entry::clone).map(|entry| entry.0.0[31]);
        let key = all[2].0;
        for (text, last) in [
            ("ada", 1),
            (" ADA ", 1),
            // A name wins over the beginning of a key.
            ("abab", 2),
            ("cdcd", 3),
            ("CDCDCD", 3),
            (&key.to_string(), 3),
            (&key.to_base32(), 3),
            (&key.to_base32()[..6], 3),
            ("200:ab:2::1", 2),
            ("300:cd::77", 3),
        ] {
            assert_eq!(found(text), Ok(last), "{text}");
        }
        assert!(matches!(found("cdc"), Err(FindError::Nobody(_))), "too short");
        assert!(matches!(found("nobody"), Err(FindError::Nobody(_))));
        assert!(matches!(found("200::9"), Err(FindError::Nobody(_))));
        let error = found("ababab").unwrap_err().to_string();
        assert_eq!(error, "the keys of Ada and abab begin with `ababab`");
    }
}
