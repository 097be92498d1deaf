//! Configuration files of other programs of this network: the reference (HJSON and JSON) and its
//! rewrite in Rust (TOML).
//!
//! Clients read such a file, with the rights of the person; the service never does, since a parser
//! of free text has no business in a privileged program. What comes out is plain: the settings that
//! have a meaning here, unchecked, for the service to judge, and a line for everything else, so
//! that nothing a file says goes unnoticed.
//!
//! ```text
//! bytes -> text (UTF-8, UTF-16) -> Value (hjson | toml) -> settings + what is left (meaning)
//! ```
//!
//! A file is hostile: it is bounded, its nesting is bounded, and no mistake in it repeats a value,
//! which may be the key.

mod hjson;
mod meaning;
mod toml;
mod value;

use std::path::PathBuf;

use crate::{Dialect, ForeignSettings, ImportItem};
use zeroize::Zeroizing;

/// The largest file that is read, in bytes; as large as our own configuration may be. What it says
/// must fit into a sealed secret besides.
pub const FILE_LEN_MAX: u64 = 700 * 1024;

/// A file of another program, understood.
#[derive(Debug)]
pub struct Foreign {
    /// Who writes such files.
    pub dialect: Dialect,
    /// What has a meaning here.
    pub settings: ForeignSettings,
    /// Where the private key is instead, as the file says it.
    pub key_file: Option<PathBuf>,
    /// What has none, or the wrong shape, with the reason.
    pub left: Vec<ImportItem>,
}

/// Why a file is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForeignError {
    /// Neither UTF-8 nor UTF-16.
    #[error("not a text file")]
    NotText,
    /// Not in the language of such files.
    #[error("line {line}: {what}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// What is wrong there.
        what: String,
    },
    /// Nothing in it is a setting of these programs.
    #[error("nothing in it is a setting of Yggdrasil")]
    NoSettings,
    /// It belongs to this program.
    #[error("a configuration of planetaryd itself, which needs no import")]
    Own,
}

/// Reads a file; `is_toml` is what its name says.
///
/// # Errors
/// [`ForeignError`]; a setting of the wrong shape is no error, but is left.
pub fn read(bytes: &[u8], is_toml: bool) -> Result<Foreign, ForeignError> {
    let text = text_of(bytes)?;
    let (value, dialect) = match language(&text, is_toml) {
        Dialect::Yggdrasil => (hjson::parse(&text)?, Dialect::Yggdrasil),
        Dialect::YggdrasilNg => (toml::parse(&text)?, Dialect::YggdrasilNg),
    };
    meaning::of(value, dialect)
}

/// An HJSON file of the reference begins with a brace; without one it might be either.
fn language(text: &str, is_toml: bool) -> Dialect {
    let first = text
        .lines()
        .map(str::trim_start)
        .find(|line| !line.is_empty() && !line.starts_with('#') && !line.starts_with("//"));
    match first {
        Some(line) if line.starts_with('{') || line.starts_with("/*") => Dialect::Yggdrasil,
        _ if is_toml => Dialect::YggdrasilNg,
        // `key = value` and `[section]` are no HJSON, `Key: value` is no TOML.
        Some(line) if line.starts_with('[') => Dialect::YggdrasilNg,
        Some(line) => match (line.find('='), line.find(':')) {
            (Some(equals), colon) if colon.is_none_or(|colon| equals < colon) => {
                Dialect::YggdrasilNg
            }
            _ => Dialect::Yggdrasil,
        },
        None => Dialect::Yggdrasil,
    }
}

fn text_of(bytes: &[u8]) -> Result<Zeroizing<String>, ForeignError> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = Zeroizing::new(
            bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect::<Vec<_>>(),
        );
        match bytes.len() % 2 {
            0 => String::from_utf16(&units).ok(),
            _ => None,
        }
    };
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => std::str::from_utf8(rest).ok().map(str::to_owned),
        bytes => std::str::from_utf8(bytes).ok().map(str::to_owned),
    };
    text.map(Zeroizing::new).ok_or(ForeignError::NotText)
}

#[cfg(test)]
mod tests;
