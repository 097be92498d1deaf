//! What can be wrong with a configuration file, worded for the person who has to correct it.

use std::fmt;
use std::path::PathBuf;

use crate::state::ReadError;

/// Problems listed in one report; more of them would not help anybody.
const PROBLEMS_SHOWN_MAX: usize = 20;

/// Longest piece of a file that is repeated in a message, in characters.
const QUOTE_LEN_MAX: usize = 60;

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is missing, too large, not an ordinary file, or the system refuses to read it.
    #[error("{}: {source}; {}", path.display(), source.remedy())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What reading it met.
        source: ReadError,
    },
    /// The file is not UTF-8 text; it was damaged or written by something that is not a text
    /// editor.
    #[error(
        "{}:{line}: not UTF-8 text; save the file as UTF-8, or start again from `planetaryd \
         genconf`",
        path.display()
    )]
    NotText {
        /// The file.
        path: PathBuf,
        /// The first line that is not text.
        line: usize,
    },
    /// The file is text, but not a valid configuration; every problem stands on a line of its own.
    #[error("{}", Listing(path, problems))]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong, in the order of the file; never empty.
        problems: Vec<Problem>,
    },
}

impl ConfigError {
    /// What is the matter with the file, to follow "the configuration file".
    #[must_use]
    pub fn trouble(&self) -> &'static str {
        match self {
            Self::Unreadable { source: ReadError::Missing, .. } => "is gone",
            Self::Unreadable { .. } => "cannot be read",
            Self::NotText { .. } | Self::Wrong { .. } => "has a mistake",
        }
    }
}

/// One mistake in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line in the file, from 1.
    pub line: usize,
    /// The key that is wrong, or empty when the text is not TOML at all.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}; {}", self.what, self.remedy)
    }
}

struct Listing<'a>(&'a PathBuf, &'a [Problem]);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(path, problems) = self;
        for (index, problem) in problems.iter().take(PROBLEMS_SHOWN_MAX).enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:{}: {problem}", path.display(), problem.line)?;
        }
        match problems.len().checked_sub(PROBLEMS_SHOWN_MAX) {
            None | Some(0) => Ok(()),
            Some(rest) => write!(f, "\n{}: and {rest} more", path.display()),
        }
    }
}

/// Returns `text` fit for a terminal and a log: control characters escaped, cut at 60 characters.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(QUOTE_LEN_MAX)
        .flat_map(|c| {
            let escaped = is_misleading(c).then(|| c.escape_unicode());
            let plain = escaped.is_none().then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect();
    if text.chars().nth(QUOTE_LEN_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// Control characters, and the format characters (zero width, direction, line and paragraph ends)
/// that can disguise the rest of a line.
fn is_misleading(c: char) -> bool {
    let disguises = ['\u{200b}'..='\u{200f}', '\u{2028}'..='\u{202e}', '\u{2066}'..='\u{2069}'];
    c.is_control() || c == '\u{feff}' || disguises.iter().any(|range| range.contains(&c))
}
