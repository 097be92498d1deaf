//! The system's own dialog that asks where to save.

use std::path::PathBuf;

use tauri::{AppHandle, Manager};
use tokio::sync::oneshot;

use super::MAIN;
use crate::controller::SaveQuestion;

/// Asks; `None` when the person thought better of it, or there is no window to ask in.
pub(super) async fn ask(app: &AppHandle, question: SaveQuestion) -> Option<PathBuf> {
    let window = app.get_webview_window(MAIN)?;
    let (answer, answered) = oneshot::channel();
    // Dialogs belong to the main thread.
    app.run_on_main_thread(move || open(&window, question, answer)).ok()?;
    answered.await.ok().flatten()
}

#[cfg(target_os = "linux")]
fn open(
    window: &tauri::WebviewWindow,
    SaveQuestion { title, name }: SaveQuestion,
    answer: oneshot::Sender<Option<PathBuf>>,
) {
    use std::cell::RefCell;
    use std::rc::Rc;

    use gtk::prelude::*;
    use gtk::{FileChooserAction, FileChooserNative, ResponseType};

    let parent = window.gtk_window().ok();
    let action = FileChooserAction::Save;
    let dialog = FileChooserNative::new(Some(title), parent.as_ref(), action, None, None);
    dialog.set_do_overwrite_confirmation(true);
    dialog.set_current_name(&name);
    // It is gone as soon as nobody holds it, so the answer holds it.
    let held = Rc::new(RefCell::new(Some((dialog.clone(), answer))));
    dialog.connect_response(move |_, response| {
        let Some((dialog, answer)) = held.borrow_mut().take() else { return };
        let chosen = if response == ResponseType::Accept { dialog.filename() } else { None };
        // Whoever asked may be gone.
        let _ = answer.send(chosen);
        dialog.destroy();
    });
    dialog.show();
}

#[cfg(not(target_os = "linux"))]
fn open(
    window: &tauri::WebviewWindow,
    SaveQuestion { title, name }: SaveQuestion,
    answer: oneshot::Sender<Option<PathBuf>>,
) {
    let dialog = rfd::AsyncFileDialog::new().set_title(title).set_file_name(name);
    let chosen = dialog.set_parent(window).save_file();
    tauri::async_runtime::spawn(async move {
        let chosen = chosen.await.map(|file| file.path().to_owned());
        // Whoever asked may be gone.
        let _ = answer.send(chosen);
    });
}
