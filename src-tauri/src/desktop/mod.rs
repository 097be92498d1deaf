//! The desktop as the controller sees it: [`Shell`] over Tauri, GTK and the system.

mod clipboard;
mod notification;
mod saving;
mod tray;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use planetary_ipc::ErrorCode;
use tauri::{AppHandle, Emitter, Manager, Theme};
use tauri_plugin_autostart::ManagerExt;

use crate::controller::failure::Failure;
use crate::controller::preferences::Appearance;
use crate::controller::tray::Tray;
use crate::controller::{Event, Matter, Notification, SaveQuestion, Shell};
use notification::Notifications;
use tray::TrayIcon;

/// The label of the window.
pub(crate) const MAIN: &str = "main";

/// The desktop.
#[derive(Clone)]
pub(crate) struct Desktop {
    app: AppHandle,
    tray: TrayIcon,
    notifications: Arc<Notifications>,
    focused: Arc<AtomicBool>,
}

impl Desktop {
    pub(crate) fn new(app: AppHandle) -> Self {
        let notifications = Arc::new(Notifications::new(&app));
        Self { app, tray: TrayIcon::default(), notifications, focused: Arc::default() }
    }

    /// Takes in whether the person works in the window.
    pub(crate) fn set_focus(&self, focused: bool) {
        self.focused.store(focused, Ordering::Relaxed);
    }

    /// Makes the tray, where the desktop has a place for one.
    ///
    /// # Errors
    /// What the toolkit says.
    pub(crate) fn make_tray(&self, shows: &Tray) -> tauri::Result<()> {
        self.tray.make(&self.app, shows)
    }

    /// Whether there is a tray to find the app in.
    pub(crate) fn has_tray(&self) -> bool {
        self.tray.is_there()
    }

    /// The system's colours are others now.
    pub(crate) fn repaint_tray(&self) {
        self.tray.repaint();
    }
}

impl Shell for Desktop {
    fn emit(&self, event: Event<'_>) {
        if let Err(error) = self.app.emit_to(MAIN, event.name(), &event) {
            tracing::debug!(%error, "nobody heard of {}", event.name());
        }
    }

    fn set_tray(&self, tray: &Tray) {
        self.tray.show(tray);
    }

    fn notify(&self, notification: &Notification) {
        self.notifications.show(notification);
    }

    fn withdraw(&self, matter: Matter) {
        self.notifications.withdraw(matter);
    }

    fn has_focus(&self) -> bool {
        self.focused.load(Ordering::Relaxed)
    }

    fn show_window(&self) {
        if let Some(window) = self.app.get_webview_window(MAIN) {
            let shown = window.unminimize().and_then(|()| window.show());
            if let Err(error) = shown.and_then(|()| window.set_focus()) {
                tracing::warn!(%error, "the window cannot be shown");
            }
        }
    }

    fn set_appearance(&self, appearance: Appearance) {
        let theme = match appearance {
            Appearance::System => None,
            Appearance::Light => Some(Theme::Light),
            Appearance::Dark => Some(Theme::Dark),
        };
        self.app.set_theme(theme);
    }

    fn copy(&self, text: &str) -> Result<(), Failure> {
        clipboard::copy(&self.app, text)
    }

    async fn pick_file(&self, question: SaveQuestion) -> Option<PathBuf> {
        saving::ask(&self.app, question).await
    }

    fn autostart(&self) -> bool {
        self.app.autolaunch().is_enabled().unwrap_or(false)
    }

    fn set_autostart(&self, wanted: bool) -> Result<(), Failure> {
        let autostart = self.app.autolaunch();
        let done = if wanted { autostart.enable() } else { autostart.disable() };
        done.map_err(|error| refused(&error))
    }

    fn quit(&self) {
        self.app.exit(0);
    }
}

fn refused(error: &dyn std::error::Error) -> Failure {
    Failure { hint: None, ..Failure::of(ErrorCode::SystemRefused, error.to_string()) }
}
