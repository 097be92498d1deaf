//! The icon in the tray and its menu. What it shows is decided elsewhere.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tauri::image::Image;
use tauri::menu::{Menu, MenuItem, PredefinedMenuItem};
use tauri::tray::{TrayIconBuilder, TrayIconId};
use tauri::{AppHandle, Manager, Theme, Wry, include_image};

use crate::controller::Controller;
use crate::controller::tray::{Choice, Entry, Light, Tray};
use crate::desktop::{Desktop, MAIN};

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
    shown: Mutex<Tray>,
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
            .icon(picture(shows.light, is_day(app)))
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
        let shown = Mutex::new(shows.clone());
        let _ = self.made.set(Made { app: app.clone(), menu, state, peers, choices, shown });
        Ok(())
    }

    pub(super) fn is_there(&self) -> bool {
        self.made.get().is_some()
    }

    /// Shows the same in the colours that fit now.
    pub(super) fn repaint(&self) {
        let Some(made) = self.made.get() else { return };
        let shown = made.shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.show(&shown);
    }

    /// Shows something else. Drawn on the main thread, one after the other, without waiting for it.
    pub(super) fn show(&self, shows: &Tray) {
        let Some(made) = self.made.get() else { return };
        *made.shown.lock().unwrap_or_else(PoisonError::into_inner) = shows.clone();
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
        icon.set_icon(Some(picture(shows.light, is_day(&self.app))))
    }
}

/// The picture of a state, in the colours of the day or of the night. Each stands on a disc of its
/// own, so that it can be told on a panel of the other kind as well.
fn picture(light: Light, by_day: bool) -> Image<'static> {
    match (light, by_day) {
        (Light::Connected, false) => include_image!("../icons/tray/connected.png"),
        (Light::Connected, true) => include_image!("../icons/tray/connected-light.png"),
        (Light::Connecting, false) => include_image!("../icons/tray/connecting.png"),
        (Light::Connecting, true) => include_image!("../icons/tray/connecting-light.png"),
        (Light::Degraded, false) => include_image!("../icons/tray/degraded.png"),
        (Light::Degraded, true) => include_image!("../icons/tray/degraded-light.png"),
        (Light::Error, false) => include_image!("../icons/tray/error.png"),
        (Light::Error, true) => include_image!("../icons/tray/error-light.png"),
        (Light::Off, false) => include_image!("../icons/tray/off.png"),
        (Light::Off, true) => include_image!("../icons/tray/off-light.png"),
    }
}

/// Whether panels are light, as far as the window shows it; no system tells it of its panel.
fn is_day(app: &AppHandle) -> bool {
    let theme = app.get_webview_window(MAIN).and_then(|window| window.theme().ok());
    theme == Some(Theme::Light)
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
