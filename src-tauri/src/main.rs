//! Planetary Network, the desktop app.

// No console window beside the app.
#![cfg_attr(windows, windows_subsystem = "windows")]

fn main() {
    planetary_network::run();
}
