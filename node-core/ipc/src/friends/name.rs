//! Names of friends: short, visible, and never mistaken for something else that names a node.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::identity::{NodeKey, string_in_json};
use crate::limits::FRIEND_NAME_CHARS_MAX;

/// The word that stands for all others where a friend is named, and so is no friend's name.
pub const EVERYONE: &str = "everyone";

/// A name for a friend: 1 to 48 visible characters without blanks around them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FriendName(String);

/// Why a text cannot be the name of a friend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing but blanks.
    #[error("the name is empty")]
    Empty,
    /// Too many characters.
    #[error("the name has {0} characters, where {FRIEND_NAME_CHARS_MAX} fit")]
    TooLong(usize),
    /// A character that cannot be seen or that moves others about.
    #[error("the name holds the invisible character U+{:04X}", u32::from(*.0))]
    Invisible(char),
    /// The word for all nodes.
    #[error("`{EVERYONE}` stands for all nodes, so no friend can have that name")]
    Everyone,
    /// The text is a key or an address.
    #[error("a name must not look like a key or an address")]
    NamesANode,
}

impl FriendName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name for comparisons, in which case does not count.
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

impl fmt::Display for FriendName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for FriendName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        // Counted no further than needed, whatever was typed.
        let count = text.chars().take(10 * FRIEND_NAME_CHARS_MAX).count();
        if count == 0 {
            return Err(NameError::Empty);
        }
        if count > FRIEND_NAME_CHARS_MAX {
            return Err(NameError::TooLong(count));
        }
        if let Some(letter) = text.chars().find(|&letter| is_invisible(letter)) {
            return Err(NameError::Invisible(letter));
        }
        if text.to_lowercase() == EVERYONE {
            return Err(NameError::Everyone);
        }
        if text.parse::<NodeKey>().is_ok() || text.parse::<Ipv6Addr>().is_ok() {
            return Err(NameError::NamesANode);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Control characters, separators of lines, and the characters that show nothing, join letters or
/// turn the direction of writing: two names that look the same must be the same.
fn is_invisible(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

string_in_json!(FriendName, "^.{1,48}$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_keep_their_letters() {
        for (typed, name) in
            [("Ada", "Ada"), ("  Uncle Bob ", "Uncle Bob"), ("Зоя", "Зоя"), ("a-b_c.d", "a-b_c.d")]
        {
            assert_eq!(typed.parse::<FriendName>().unwrap().as_str(), name);
        }
        assert!("ü".repeat(48).parse::<FriendName>().is_ok());
        assert_eq!("ADA".parse::<FriendName>().unwrap().folded(), "ada");
    }

    #[test]
    fn what_cannot_be_a_name_is_refused_with_the_reason() {
        for (typed, error) in [
            (" ".to_owned(), NameError::Empty),
            ("x".repeat(49), NameError::TooLong(49)),
            ("x".repeat(100_000), NameError::TooLong(480)),
            ("a\nb".to_owned(), NameError::Invisible('\n')),
            ("a\u{202e}b".to_owned(), NameError::Invisible('\u{202e}')),
            ("a\u{200d}b".to_owned(), NameError::Invisible('\u{200d}')),
            ("Everyone".to_owned(), NameError::Everyone),
            ("200::1".to_owned(), NameError::NamesANode),
            ("::".to_owned(), NameError::NamesANode),
        ] {
            assert_eq!(typed.parse::<FriendName>(), Err(error), "{typed:?}");
        }
        let key = NodeKey([7; 32]);
        for text in [key.to_string(), key.to_base32()] {
            assert!(text.parse::<FriendName>().is_err(), "{text}");
        }
        let message = NameError::Invisible('\u{7}').to_string();
        assert_eq!(message, "the name holds the invisible character U+0007");
    }
}
