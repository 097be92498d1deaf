//! What the desktop's notifications say.

use super::notices::Notice;
use super::words::Language;

/// A notification. It takes the place of the one about the same matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// What it is about.
    pub matter: Matter,
    /// Its first line, plain text.
    pub title: String,
    /// What is below. Desktops may take it for markup, so it holds nothing that others wrote.
    pub text: String,
}

/// What a notification is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matter {
    /// The connection to the network.
    Connection,
    /// A question that waits. To click at it is to ask for [`View::Questions`](super::View).
    Question,
}

impl Notification {
    /// The notification for a notice.
    pub(super) fn of(notice: Notice, words: Language) -> Self {
        let (title, text) = match notice {
            Notice::Lost => ("notify.lost", "notify.lost.text"),
            Notice::LostService => ("notify.lost", "notify.lost.service"),
            Notice::Regained => ("notify.regained", "notify.regained.text"),
        };
        let (title, text) = (words.text(title).to_owned(), words.text(text).to_owned());
        Self { matter: Matter::Connection, title, text }
    }
}
