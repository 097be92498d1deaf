//! The icon in the tray and its menu. What it shows is decided elsewhere.

use std::sync::{Arc, OnceLock};

use tauri::image::Image;
use tauri::menu::{Menu, MenuItem, PredefinedMenuItem};
use tauri::tray::{TrayIconBuilder, TrayIconId};
use tauri::{AppHandle, Manager, Wry, include_image};

use crate::controller::Controller;
use crate::controller::tray::{Choice, Entry, Light, Tray};
use crate::desktop::Desktop;

const ID: &str = "main";

/// Where in the menu an entry comes that is not always there: below the lines for state and peers.
const COMING: usize = 2;

/// The icon, once it is made; clones share it.
#[derive(Clone, Default)]
pub(super) struct TrayIcon {
    made: Arc<OnceLock<Made>>,
}

struct Made {
    app: AppHandle,
    menu: Menu<Wry>,
    state: MenuItem<Wry>,
    peers: MenuItem<Wry>,
    choices: Vec<(Choice, MenuItem<Wry>)>,
}

impl TrayIcon {
    /// Makes the icon, where the desktop has a place for one.
    pub(super) fn make(&self, app: &AppHandle, shows: &Tray) -> tauri::Result<()> {
        if !desktop_has_trays() {
            return Ok(());
        }
        let line = |text: &str| MenuItem::new(app, text, false, None::<&str>);
        let (state, peers) = (line(&shows.state)?, line(shows.peers.as_deref().unwrap_or("–"))?);
        let choices = Choice::ALL.into_iter().map(|choice| {
            let entry = shows.entry(choice);
            let text = entry.map_or("", |entry| &entry.text);
            let enabled = entry.is_some_and(|entry| entry.enabled);
            MenuItem::with_id(app, choice.name(), text, enabled, None::<&str>)
                .map(|item| (choice, item))
        });
        let choices = choices.collect::<tauri::Result<Vec<_>>>()?;
        let menu = Menu::with_items(app, &[&state, &peers])?;
        let separate = || PredefinedMenuItem::separator(app);
        for (choice, item) in &choices {
            if matches!(choice, Choice::CopyAddress | Choice::Switch | Choice::Open | Choice::Quit)
            {
                menu.append(&separate()?)?;
            }
            if shows.entry(*choice).is_some() {
                menu.append(item)?;
            }
        }
        let mut builder = TrayIconBuilder::with_id(TrayIconId::new(ID));
        // On Linux the picture is a file, which is nobody else's business.
        if let Ok(folder) = app.path().runtime_dir().or_else(|_| app.path().app_cache_dir()) {
            builder = builder.temp_dir_path(folder.join("planetary-network"));
        }
        builder
            .icon(picture(shows.light))
            .tooltip(&shows.state)
            .menu(&menu)
            .on_menu_event(|app, event| {
                let choice = Choice::ALL.into_iter().find(|choice| event.id() == choice.name());
                let controller = app.try_state::<Arc<Controller<Desktop>>>();
                if let (Some(choice), Some(controller)) = (choice, controller) {
                    let controller = Arc::clone(&controller);
                    tauri::async_runtime::spawn(async move { controller.chosen(choice).await });
                }
            })
            .build(app)?;
        // It is made once, at the start.
        let _ = self.made.set(Made { app: app.clone(), menu, state, peers, choices });
        Ok(())
    }

    pub(super) fn is_there(&self) -> bool {
        self.made.get().is_some()
    }

    /// Shows something else. Drawn on the main thread, one after the other, without waiting for it.
    pub(super) fn show(&self, shows: &Tray) {
        let Some(made) = self.made.get() else { return };
        let (own, shows) = (self.clone(), shows.clone());
        let drawn = made.app.run_on_main_thread(move || {
            if let Some(Err(error)) = own.made.get().map(|made| made.show(&shows)) {
                tracing::warn!(%error, "the tray cannot be drawn");
            }
        });
        if let Err(error) = drawn {
            tracing::debug!(%error, "the app is about to end");
        }
    }
}

impl Made {
    fn show(&self, shows: &Tray) -> tauri::Result<()> {
        self.state.set_text(&shows.state)?;
        self.peers.set_text(shows.peers.as_deref().unwrap_or("–"))?;
        for (choice, item) in &self.choices {
            let is_there = self.menu.get(choice.name()).is_some();
            match shows.entry(*choice) {
                Some(Entry { text, enabled }) => {
                    item.set_text(text)?;
                    item.set_enabled(*enabled)?;
                    if !is_there {
                        self.menu.insert(item, COMING)?;
                    }
                }
                None if is_there => self.menu.remove(item)?,
                None => {}
            }
        }
        let Some(icon) = self.app.tray_by_id(ID) else { return Ok(()) };
        icon.set_tooltip(Some(&shows.state))?;
        icon.set_icon(Some(picture(shows.light)))
    }
}

fn picture(light: Light) -> Image<'static> {
    match light {
        Light::Connected => include_image!("../icons/tray/connected.png"),
        Light::Connecting => include_image!("../icons/tray/connecting.png"),
        Light::Degraded => include_image!("../icons/tray/degraded.png"),
        Light::Off => include_image!("../icons/tray/off.png"),
    }
}

/// Not every desktop on Linux has a tray, and a window that is closed into none is lost.
#[cfg(target_os = "linux")]
fn desktop_has_trays() -> bool {
    use gtk::gio::prelude::*;
    use gtk::gio::{BusType, Cancellable, DBusCallFlags, bus_get_sync};

    const HOST: &str = "org.kde.StatusNotifierWatcher";
    const PATIENCE_MS: i32 = 1_000;
    let asked = bus_get_sync(BusType::Session, None::<&Cancellable>).and_then(|bus| {
        bus.call_sync(
            Some("org.freedesktop.DBus"),
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus",
            "NameHasOwner",
            Some(&(HOST,).to_variant()),
            None,
            DBusCallFlags::NO_AUTO_START,
            PATIENCE_MS,
            None::<&Cancellable>,
        )
    });
    match asked {
        Ok(answer) => answer.get::<(bool,)>().is_some_and(|(there,)| there),
        Err(error) => {
            tracing::debug!(%error, "no session bus, so no tray");
            false
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn desktop_has_trays() -> bool {
    true
}
