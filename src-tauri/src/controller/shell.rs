//! What the controller needs of a desktop, and nothing of how that is done.

use std::future::Future;
use std::path::PathBuf;

use planetary_ipc::Traffic;
use serde::Serialize;

use super::connection::Connection;
use super::failure::Failure;
use super::notification::{Matter, Notification};
use super::preferences::Appearance;
use super::tray::Tray;

/// A desktop: windows, tray, notifications, clipboard, dialogs.
///
/// Calls come from any thread and return at once, but for [`pick_file`](Self::pick_file). None
/// calls back into the controller before it has returned.
pub trait Shell: Send + Sync + 'static {
    /// Tells the pages.
    fn emit(&self, event: Event<'_>);

    /// Draws the tray.
    fn set_tray(&self, tray: &Tray);

    /// Shows a notification.
    fn notify(&self, notification: &Notification);

    /// Takes a notification back, where the desktop can.
    fn withdraw(&self, matter: Matter);

    /// Whether the person works in the window.
    fn has_focus(&self) -> bool;

    /// Brings the window to the front, made anew if need be.
    fn show_window(&self);

    /// Makes the window light or dark.
    fn set_appearance(&self, appearance: Appearance);

    /// Puts a text into the clipboard.
    ///
    /// # Errors
    /// `system_refused`.
    fn copy(&self, text: &str) -> Result<(), Failure>;

    /// Asks the person where to save; `None` when they thought better of it.
    fn pick_file(&self, question: SaveQuestion) -> impl Future<Output = Option<PathBuf>> + Send;

    /// Whether the app starts when the person signs in.
    fn autostart(&self) -> bool;

    /// Lets the app start when the person signs in, or not.
    ///
    /// # Errors
    /// `system_refused`.
    fn set_autostart(&self, wanted: bool) -> Result<(), Failure>;

    /// Ends the app.
    fn quit(&self);
}

/// Something the pages hear of.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Event<'a> {
    /// Where the app stands with the service has changed.
    Connection(&'a Connection),
    /// The moving part of the state, once a second.
    Traffic(&'a Traffic),
    /// The topology changed.
    Topology {
        /// Grows with every change.
        revision: u64,
    },
    /// Friends, blocked keys or who is online changed.
    Friends {
        /// Grows with every change.
        revision: u64,
    },
    /// Circles, members, who of them is online, invites or visits changed.
    Circles {
        /// Grows with every change.
        revision: u64,
    },
    /// A link was opened.
    Link {
        /// The link.
        text: &'a str,
    },
    /// Something was asked for outside of the window.
    Show {
        /// What.
        view: View,
    },
}

impl Event<'_> {
    /// The name under which the pages listen.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Connection(_) => "connection",
            Self::Traffic(_) => "traffic",
            Self::Topology { .. } => "topology",
            Self::Friends { .. } => "friends",
            Self::Circles { .. } => "circles",
            Self::Link { .. } => "link",
            Self::Show { .. } => "show",
        }
    }
}

/// What the tray and notifications can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// The settings.
    Settings,
    /// The questions that wait, in whatever view they are shown.
    Questions,
}

/// What the person is asked when something is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaveQuestion {
    /// Title of the dialog.
    pub title: &'static str,
    /// Name that is suggested.
    pub name: String,
}
