//! From the name that a person chose for a friend to one that programs can look up.

use std::collections::BTreeMap;

use planetary_circles::names::Label;
use planetary_ipc::{FriendName, NodeKey};

use crate::state::friends::Friends;

/// The labels of friends, by their keys. Two friends whose names make the same label have none: a
/// name that could mean either must not lead to one of them. Nor has a friend whose name makes no
/// label, because it is too long, or all of it is signs.
#[must_use]
pub fn labels(friends: &Friends) -> BTreeMap<NodeKey, Label> {
    let mut owners: BTreeMap<Label, Option<NodeKey>> = BTreeMap::new();
    for (key, friend) in friends.friends() {
        if let Some(label) = label(&friend.name) {
            owners.entry(label).and_modify(|owner| *owner = None).or_insert(Some(*key));
        }
    }
    owners.into_iter().filter_map(|(label, owner)| Some((owner?, label))).collect()
}

/// The label that a name makes: small letters, one hyphen for what stands between words, and
/// letters that the DNS does not know written as it does (IDNA).
fn label(name: &FriendName) -> Option<Label> {
    let words = name.as_str().split(separates).filter(|word| !word.is_empty());
    let joined = words.collect::<Vec<_>>().join("-");
    Label::new(&idna::domain_to_ascii_strict(&joined).ok()?)
}

/// Whether a character stands between words: blanks, and punctuation of any script but the marks
/// that letters are written with.
fn separates(letter: char) -> bool {
    letter.is_whitespace()
        || letter.is_ascii_punctuation()
        || matches!(letter,
            '\u{a0}'..='\u{a9}' | '\u{ab}'..='\u{b1}' | '\u{b4}' | '\u{b6}'..='\u{b8}'
            | '\u{bb}' | '\u{bf}' | '\u{d7}' | '\u{f7}' | '\u{2010}'..='\u{205e}'
            | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}' | '\u{30fb}'
            | '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{ff3b}'..='\u{ff40}'
            | '\u{ff5b}'..='\u{ff65}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::friends::Friend;

    fn label_of(name: &str) -> Option<String> {
        label(&name.parse().unwrap()).map(|label| label.as_str().to_owned())
    }

    #[test]
    fn names_become_labels() {
        for (name, expected) in [
            ("Ada", "ada"),
            ("Uncle Bob", "uncle-bob"),
            ("Ada's  laptop (old)", "ada-s-laptop-old"),
            ("a-b_c.d", "a-b-c-d"),
            ("--Zed--", "zed"),
            ("2nd floor", "2nd-floor"),
            ("Zoë", "xn--zo-ija"),
            ("ZOË", "xn--zo-ija"),
            ("Zoe\u{308}", "xn--zo-ija"),
            ("Straße", "xn--strae-oqa"),
            ("Зоя", "xn--g1ao5c"),
            ("山田　太郎", "xn----cc1bp4h9u1bcu4a"),
            ("Ｆｕｌｌ．Width", "full-width"),
            // Nobody can be given a name that was meant for another script.
            ("xn--zo-ija", "xn-zo-ija"),
        ] {
            assert_eq!(label_of(name).as_deref(), Some(expected), "{name}");
        }
    }

    #[test]
    fn what_makes_no_label_has_none() {
        // The label of keys; nothing but signs; a letter that belongs to none; too long in letters
        // of the DNS.
        let long = "山田太郎".repeat(12);
        for name in ["K", "k", "...", "—", "\u{301}a", long.as_str()] {
            assert_eq!(label_of(name), None, "{name}");
        }
    }

    #[test]
    fn of_two_friends_with_one_label_neither_has_it() {
        let mut friends = Friends::default();
        let names = ["Ada L", "ada-l", "Bob", "k"];
        for (number, name) in (1..).zip(names) {
            let friend = Friend::new(name.parse().unwrap(), 0);
            friends.add(NodeKey([number; 32]), friend).unwrap();
        }
        let labels = labels(&friends);
        let known: Vec<_> = labels.iter().map(|(key, label)| (key.0[0], label.as_str())).collect();
        assert_eq!(known, [(3, "bob")]);
    }
}
