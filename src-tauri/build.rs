//! Prepares what Tauri builds in: configuration, permissions, icons, pages.

use std::path::Path;
use std::{fs, io};

/// Where the built pages lie, as `tauri.conf.json` says.
const PAGES: &str = "../ui/dist";

fn main() -> io::Result<()> {
    // Rust is built and tested without npm: where no pages are, there is an empty folder for them.
    if !Path::new(PAGES).exists() {
        fs::create_dir_all(PAGES)?;
    }
    println!("cargo:rerun-if-changed={PAGES}");
    tauri_build::build();
    Ok(())
}
