//! Texts that members write for one another.

use core::{fmt, ops::RangeInclusive, str::FromStr};

use thiserror::Error;

use crate::limits::{LABEL_CHARS_MAX, REASON_CHARS_MAX};

/// A name that somebody chose for a circle or for a member: 1 to [`LABEL_CHARS_MAX`] visible
/// characters, without blanks around them. Nobody has checked that it is true.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(String);

/// Why somebody was removed: at most [`REASON_CHARS_MAX`] visible characters, perhaps none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemovalReason(String);

/// Why a text is not for members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LabelError {
    /// Nothing but blanks.
    #[error("the text is empty")]
    Empty,
    /// Too many characters.
    #[error("the text has more than {0} characters")]
    TooLong(usize),
    /// A character that cannot be seen or that moves others about.
    #[error("the text holds an invisible character")]
    Invisible,
}

fn check(text: &str, lengths: RangeInclusive<usize>) -> Result<String, LabelError> {
    let text = text.trim();
    // Counted no further than needed, whatever came.
    let count = text.chars().take(lengths.end() + 1).count();
    if count < *lengths.start() {
        return Err(LabelError::Empty);
    }
    if count > *lengths.end() {
        return Err(LabelError::TooLong(*lengths.end()));
    }
    if text.chars().any(is_invisible) {
        return Err(LabelError::Invisible);
    }
    Ok(text.to_owned())
}

macro_rules! text {
    ($name:ident, $lengths:expr) => {
        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = LabelError;

            /// Blanks around the text are left out.
            fn from_str(text: &str) -> Result<Self, LabelError> {
                check(text, $lengths).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(Label, 1..=LABEL_CHARS_MAX);
text!(RemovalReason, 0..=REASON_CHARS_MAX);

/// Control characters, separators of lines, and the characters that show nothing, join letters or
/// turn the direction of writing: the same that friends' names must not hold.
fn is_invisible(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_visible_and_short() {
        assert_eq!("  Uncle Bob ".parse::<Label>().unwrap().as_str(), "Uncle Bob");
        assert!("ü".repeat(48).parse::<Label>().is_ok());
        assert_eq!("ü".repeat(49).parse::<Label>(), Err(LabelError::TooLong(48)));
        assert_eq!(" ".parse::<Label>(), Err(LabelError::Empty));
        assert_eq!("a\u{202e}b".parse::<Label>(), Err(LabelError::Invisible));
        assert_eq!("".parse::<RemovalReason>().unwrap().as_str(), "");
        assert_eq!("x".repeat(65).parse::<RemovalReason>(), Err(LabelError::TooLong(64)));
    }
}
