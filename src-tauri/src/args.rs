//! The command line of the app. Desktops put words of their own there, so unknown ones are no
//! mistake.

use std::path::PathBuf;

/// Shows no window, only the tray.
pub(crate) const MINIMISED: &str = "--minimised";

/// What the system adds when it starts the app as the person signs in.
pub(crate) const WITH_SYSTEM: &str = "--with-system";

/// Names the control socket, as with `planetary`.
const CONTROL: &str = "--control";

/// What the command line says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// See [`MINIMISED`].
    pub(crate) minimised: bool,
    /// See [`WITH_SYSTEM`].
    pub(crate) with_system: bool,
    /// The control socket.
    pub(crate) control: Option<PathBuf>,
    /// Everything else; links are among it.
    pub(crate) rest: Vec<String>,
}

impl Arguments {
    /// Reads the words after the program's name.
    pub(crate) fn read(words: impl IntoIterator<Item = String>) -> Self {
        let mut arguments = Self::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                MINIMISED => arguments.minimised = true,
                WITH_SYSTEM => arguments.with_system = true,
                CONTROL => arguments.control = words.next().map(PathBuf::from),
                _ => arguments.rest.push(word),
            }
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_in_any_order() {
        let read = |line: &str| Arguments::read(line.split_whitespace().map(str::to_owned));
        assert_eq!(read(""), Arguments::default());
        let arguments = read("planetary:friend?k=1 --minimised --control /run/x --psn_0_1");
        assert!(arguments.minimised && !arguments.with_system);
        assert_eq!(arguments.control, Some(PathBuf::from("/run/x")));
        assert_eq!(arguments.rest, ["planetary:friend?k=1", "--psn_0_1"]);
        assert!(read("--with-system --control").with_system);
    }
}
