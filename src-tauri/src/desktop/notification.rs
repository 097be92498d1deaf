//! Notifications of the desktop. The newest takes the place of the one before: what was lost and is
//! back need not be read twice.

#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicU32, Ordering};

use tauri::AppHandle;

/// What was shown last.
#[derive(Debug, Default)]
pub(super) struct Notifications {
    #[cfg(target_os = "linux")]
    last: AtomicU32,
}

impl Notifications {
    /// Shows one, in place of the one before.
    #[cfg(target_os = "linux")]
    pub(super) fn show(
        self: &std::sync::Arc<Self>,
        _: &AppHandle,
        title: &'static str,
        text: &'static str,
    ) {
        let own = std::sync::Arc::clone(self);
        tauri::async_runtime::spawn_blocking(move || {
            match notify(own.last.load(Ordering::Relaxed), title, text) {
                Ok(id) => own.last.store(id, Ordering::Relaxed),
                Err(error) => tracing::info!(%error, "no notification"),
            }
        });
    }

    /// Shows one.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn show(&self, app: &AppHandle, title: &str, text: &str) {
        use tauri_plugin_notification::NotificationExt;

        let shown = app.notification().builder().title(title).body(text).show();
        if let Err(error) = shown {
            tracing::info!(%error, "no notification");
        }
    }
}

/// Asks the desktop's notification service, as its specification has it.
#[cfg(target_os = "linux")]
fn notify(replaces: u32, title: &str, text: &str) -> Result<u32, gtk::glib::Error> {
    use std::collections::HashMap;

    use gtk::gio::prelude::*;
    use gtk::gio::{BusType, Cancellable, DBusCallFlags, bus_get_sync};
    use gtk::glib::Variant;

    const APP: &str = "Planetary Network";
    const ICON: &str = "planetary-network";
    const PATIENCE_MS: i32 = 3_000;
    /// As long as the desktop shows such things.
    const EXPIRES: i32 = -1;
    let (actions, hints) = (Vec::<String>::new(), HashMap::<String, Variant>::new());
    let bus = bus_get_sync(BusType::Session, None::<&Cancellable>)?;
    let answer = bus.call_sync(
        Some("org.freedesktop.Notifications"),
        "/org/freedesktop/Notifications",
        "org.freedesktop.Notifications",
        "Notify",
        Some(&(APP, replaces, ICON, title, text, actions, hints, EXPIRES).to_variant()),
        None,
        DBusCallFlags::NONE,
        PATIENCE_MS,
        None::<&Cancellable>,
    )?;
    Ok(answer.get::<(u32,)>().map_or(0, |(id,)| id))
}
