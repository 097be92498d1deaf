//! The app as Tauri runs it: plugins, one window, the life from start to end.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tauri::webview::{NewWindowResponse, PageLoadEvent, WebviewWindowBuilder};
use tauri::{App, AppHandle, Manager, RunEvent, Url, WebviewWindow, WindowEvent};
use tauri_plugin_window_state::StateFlags;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::{self, Arguments};
use crate::commands;
use crate::controller::preferences::PreferencesFile;
use crate::controller::words::Language;
use crate::controller::{Controller, Shell};
use crate::desktop::{Desktop, MAIN};
use crate::environment;

/// Environment variable that says what is logged, as with the service.
const LOG_VARIABLE: &str = "PLANETARY_LOG";

/// What is remembered of the window. Whether it is shown is up to how the app was started.
const REMEMBERED: StateFlags =
    StateFlags::SIZE.union(StateFlags::POSITION).union(StateFlags::MAXIMIZED);

/// Runs the app until it is quit.
pub fn run() {
    let locale = environment::prepare();
    log_to_stderr();
    let arguments = Arguments::read(std::env::args().skip(1));
    let language = Language::of_locale(locale.as_deref().unwrap_or_default());
    let built = tauri::Builder::default()
        .plugin(tauri_plugin_single_instance::init(|app, words, _| start_again(app, words)))
        .plugin(tauri_plugin_deep_link::init())
        .plugin(tauri_plugin_window_state::Builder::new().with_state_flags(REMEMBERED).build())
        .plugin(tauri_plugin_autostart::Builder::new().args([args::WITH_SYSTEM]).build());
    #[cfg(not(target_os = "linux"))]
    let built = built.plugin(tauri_plugin_notification::init());
    let built = built
        .invoke_handler(commands::handler())
        .setup(move |app| set_up(app, arguments, language))
        .on_window_event(|window, event| match (event, desktop(window.app_handle())) {
            (WindowEvent::CloseRequested { api, .. }, Some(desktop)) if desktop.has_tray() => {
                // The window goes into the tray; ending the app is an entry of its menu.
                api.prevent_close();
                let _ = window.hide();
                desktop.set_focus(false);
            }
            (WindowEvent::Focused(focused), Some(desktop)) => desktop.set_focus(*focused),
            (WindowEvent::ThemeChanged(_), Some(desktop)) => desktop.repaint_tray(),
            _ => {}
        })
        .build(tauri::generate_context!());
    match built {
        Ok(app) => app.run(follow),
        Err(error) => {
            tracing::error!(%error, "the app cannot be started");
            eprintln!("planetary-network: {error}");
            std::process::exit(1);
        }
    }
}

fn log_to_stderr() {
    let wish = std::env::var(LOG_VARIABLE).unwrap_or_default();
    // A word of no letters would stand for everything.
    let words = wish.split(',').map(str::trim).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    let filter = if words.is_empty() { None } else { words.join(",").parse().ok() };
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN));
    let coloured = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_ansi(coloured).with_writer(std::io::stderr);
    // Somebody else's subscriber is as good.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
}

type Setup = Result<(), Box<dyn std::error::Error>>;

fn set_up(app: &mut App, arguments: Arguments, language: Language) -> Setup {
    let handle = app.handle().clone();
    let preferences = PreferencesFile::open(PreferencesFile::default_path());
    let controller =
        Controller::new(Desktop::new(handle.clone()), arguments.control, preferences, language);
    app.manage(Arc::clone(&controller));
    if let Err(error) = controller.shell().make_tray(&controller.tray()) {
        tracing::warn!(%error, "no tray");
    }
    controller.open_links(&arguments.rest);
    hear_of_links(&handle);
    let hidden = arguments.minimised || arguments.with_system && controller.starts_minimised();
    make_window(app, hidden, controller.shell().has_tray())?;
    controller.shell().set_appearance(controller.appearance());
    tauri::async_runtime::spawn(controller.run());
    Ok(())
}

/// macOS brings links by an event; elsewhere they are words of a command line.
#[cfg(target_os = "macos")]
fn hear_of_links(app: &AppHandle) {
    use tauri_plugin_deep_link::DeepLinkExt;

    let handle = app.clone();
    app.deep_link().on_open_url(move |event| {
        if let Some(controller) = controller(&handle) {
            controller.open_links(event.urls().iter().map(Url::as_str));
            controller.shell().show_window();
        }
    });
}

#[cfg(not(target_os = "macos"))]
fn hear_of_links(_: &AppHandle) {}

/// The app was started once more: what it was started for is done here.
fn start_again(app: &AppHandle, words: Vec<String>) {
    let arguments = Arguments::read(words.into_iter().skip(1));
    let Some(controller) = controller(app) else { return };
    controller.open_links(&arguments.rest);
    if !arguments.minimised && !arguments.with_system {
        controller.shell().show_window();
    }
}

fn make_window(app: &App, hidden: bool, has_tray: bool) -> tauri::Result<WebviewWindow> {
    let Some(config) = app.config().app.windows.iter().find(|window| window.label == MAIN) else {
        return Err(tauri::Error::WindowNotFound);
    };
    let first = AtomicBool::new(true);
    WebviewWindowBuilder::from_config(app, config)?
        .on_navigation(is_own_page)
        .on_new_window(|_, _| NewWindowResponse::Deny)
        .on_page_load(move |window, load| {
            // A window without a page would be seen white for a moment.
            if load.event() != PageLoadEvent::Finished || !first.swap(false, Ordering::Relaxed) {
                return;
            }
            if !hidden {
                let _ = window.show();
            } else if !has_tray {
                // Somewhere it has to be found again.
                let _ = window.show().and_then(|()| window.minimize());
            }
        })
        .build()
}

/// Pages that are built in, and those of the development server.
fn is_own_page(url: &Url) -> bool {
    let built_in = url.scheme() == "tauri" || url.host_str() == Some("tauri.localhost");
    let served = cfg!(dev) && url.host_str() == Some("127.0.0.1");
    built_in || served || url.as_str() == "about:blank"
}

fn follow(app: &AppHandle, event: RunEvent) {
    match event {
        // Without a window the tray is still there.
        RunEvent::ExitRequested { code: None, api, .. }
            if desktop(app).is_some_and(|desktop| desktop.has_tray()) =>
        {
            api.prevent_exit();
        }
        #[cfg(target_os = "macos")]
        RunEvent::Reopen { .. } => {
            if let Some(controller) = controller(app) {
                controller.shell().show_window();
            }
        }
        _ => {}
    }
}

pub(crate) fn controller(app: &AppHandle) -> Option<Arc<Controller<Desktop>>> {
    app.try_state::<Arc<Controller<Desktop>>>().map(|state| Arc::clone(state.inner()))
}

fn desktop(app: &AppHandle) -> Option<Desktop> {
    controller(app).map(|controller| controller.shell().clone())
}
