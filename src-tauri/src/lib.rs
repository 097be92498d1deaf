//! Planetary Network, the desktop app.
//!
//! It supervises the service and shows what the service says; the node is not in here, and nothing
//! here is ever elevated. The [`controller`] does the work and knows no toolkit; `app` and
//! `desktop` are the thin layer of Tauri around it; the pages are in `ui/`.
//!
//! Invariant: the pages reach the service through the commands in `commands` and nothing else.

mod app;
mod args;
mod commands;
pub mod controller;
mod desktop;
mod environment;
#[cfg(test)]
mod schema;

pub use app::run;
