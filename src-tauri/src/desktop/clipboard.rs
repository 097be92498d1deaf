//! The clipboard. On Linux that is GTK's, which speaks X11 and Wayland and is there anyway.

use tauri::AppHandle;

use super::refused;
use crate::controller::failure::Failure;

#[cfg(target_os = "linux")]
pub(super) fn copy(app: &AppHandle, text: &str) -> Result<(), Failure> {
    let text = text.to_owned();
    let done = app.run_on_main_thread(move || {
        let clipboard = gtk::Clipboard::get(&gtk::gdk::SELECTION_CLIPBOARD);
        clipboard.set_text(&text);
        // So that it is still there when the app is not.
        clipboard.store();
    });
    done.map_err(|error| refused(&error))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn copy(_: &AppHandle, text: &str) -> Result<(), Failure> {
    let done = arboard::Clipboard::new().and_then(|mut clipboard| clipboard.set_text(text));
    done.map_err(|error| refused(&error))
}
