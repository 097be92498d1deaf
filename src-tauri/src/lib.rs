//! The desktop app around the pages.

/// Runs the app until it is quit.
pub fn run() {
    let built = tauri::Builder::default()
        .plugin(tauri_plugin_single_instance::init(|_, _, _| ()))
        .plugin(tauri_plugin_deep_link::init())
        .plugin(tauri_plugin_window_state::Builder::new().build())
        .plugin(tauri_plugin_autostart::Builder::new().build())
        .build(tauri::generate_context!());
    if let Ok(app) = built {
        app.run(|_, _| ());
    }
}
