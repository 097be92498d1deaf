//! `cargo xtask icons`: the pictures in `icons/`, made anew from their drawings.
//!
//! The drawings are `icon.svg` and `tray/*.svg`; a headless Chromium paints them, which the tests
//! of the pages need anyway. The containers of Windows (`.ico`) and macOS (`.icns`) hold PNGs as
//! they are, and are put together here. What comes out is committed: nobody needs this to build.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::setup::{self, Part};
use crate::step;

/// Pictures of the app that are files of their own.
const FILES: [(&str, u32); 5] = [
    ("32x32.png", 32),
    ("64x64.png", 64),
    ("128x128.png", 128),
    ("128x128@2x.png", 256),
    ("icon.png", 512),
];

/// Sizes in the container of Windows.
const ICO_SIZES: [u32; 6] = [16, 24, 32, 48, 64, 256];

/// Types and sizes in the container of macOS.
const ICNS_SIZES: [(&[u8; 4], u32); 8] = [
    (b"icp4", 16),
    (b"icp5", 32),
    (b"ic11", 32),
    (b"ic12", 64),
    (b"ic07", 128),
    (b"ic08", 256),
    (b"ic09", 512),
    (b"ic10", 1024),
];

/// The states that the tray tells apart, and the size of their pictures.
const TRAY: [&str; 4] = ["connected", "connecting", "degraded", "off"];
const TRAY_SIZE: u32 = 64;

/// Paints all of them.
pub(crate) fn run() -> Result<()> {
    setup::ensure(&[Part::App])?;
    let start = Instant::now();
    let folder = step::workspace_root().join("icons");
    let drawing = folder.join("icon.svg");
    for (name, size) in FILES {
        fs::write(folder.join(name), paint(&drawing, size)?)?;
    }
    for state in TRAY {
        let drawing = folder.join("tray").join(state);
        let picture = paint(&drawing.with_extension("svg"), TRAY_SIZE)?;
        fs::write(drawing.with_extension("png"), picture)?;
    }
    let painted = |size| paint(&drawing, size).map(|picture| (size, picture));
    let pictures = ICO_SIZES.into_iter().map(painted).collect::<Result<Vec<_>>>()?;
    fs::write(folder.join("icon.ico"), ico(&pictures))?;
    let painted = |(kind, size)| paint(&drawing, size).map(|picture| (kind, picture));
    let pictures = ICNS_SIZES.into_iter().map(painted).collect::<Result<Vec<_>>>()?;
    fs::write(folder.join("icon.icns"), icns(&pictures))?;
    step::report("icons", true, start);
    Ok(())
}

/// Paints a drawing on nothing, as a PNG.
fn paint(drawing: &Path, size: u32) -> Result<Vec<u8>> {
    let folder = step::target_dir().join("icons");
    fs::create_dir_all(&folder)?;
    let svg = fs::read_to_string(drawing).with_context(|| drawing.display().to_string())?;
    let (page, picture) = (folder.join("page.html"), folder.join("picture.png"));
    let style = format!("html,body{{margin:0}}svg{{display:block;width:{size}px;height:{size}px}}");
    fs::write(&page, format!("<!doctype html><style>{style}</style>{svg}"))?;
    let mut chromium = Command::new("chromium");
    chromium
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
        .args(["--force-device-scale-factor=1", "--default-background-color=00000000"])
        .arg(format!("--window-size={size},{size}"))
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("--screenshot={}", picture.display()))
        .arg(format!("file://{}", page.display()));
    let output = chromium.output().context("cannot start chromium")?;
    ensure!(output.status.success(), "chromium could not paint {}", drawing.display());
    let bytes = fs::read(&picture)?;
    fs::remove_file(&picture)?;
    let found = size_of_png(&bytes).context("chromium made no PNG")?;
    ensure!(found == (size, size), "{} came out as {found:?}", drawing.display());
    Ok(bytes)
}

/// Width and height, from the first chunk.
fn size_of_png(bytes: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    bytes.starts_with(b"\x89PNG\r\n\x1a\n").then_some(())?;
    Some((number(16)?, number(20)?))
}

/// A directory of 16 bytes for each picture, then the pictures.
fn ico(pictures: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let count = u16::try_from(pictures.len()).unwrap_or(u16::MAX);
    let mut file = [0u16, 1, count].map(u16::to_le_bytes).concat();
    let mut offset = 6 + 16 * u32::from(count);
    for (size, picture) in pictures {
        // 256 is written as 0.
        let side = u8::try_from(*size).unwrap_or(0);
        let len = u32::try_from(picture.len()).unwrap_or(u32::MAX);
        file.extend([side, side, 0, 0, 1, 0, 32, 0]);
        file.extend(len.to_le_bytes());
        file.extend(offset.to_le_bytes());
        offset += len;
    }
    file.extend(pictures.iter().flat_map(|(_, picture)| picture));
    file
}

/// Blocks with a type and their length, heads included.
fn icns(pictures: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let len = |bytes: usize| u32::try_from(bytes + 8).unwrap_or(u32::MAX).to_be_bytes();
    let blocks = pictures
        .iter()
        .flat_map(|(kind, picture)| [kind.as_slice(), &len(picture.len()), picture].concat());
    let blocks: Vec<u8> = blocks.collect();
    [b"icns".as_slice(), &len(blocks.len()), &blocks].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_point_at_their_pictures() {
        let pictures = [(16, vec![1, 2, 3]), (256, vec![4, 5])];
        let file = ico(&pictures);
        assert_eq!(file[..6], [0, 0, 1, 0, 2, 0]);
        assert_eq!((file[6], file[22]), (16, 0));
        let offset = u32::from_le_bytes(file[34..38].try_into().unwrap()) as usize;
        assert_eq!(file[offset..], [4, 5]);
        let file = icns(&[(b"ic07", vec![9; 4])]);
        assert_eq!(file, [&b"icns\0\0\0\x14ic07\0\0\0\x0c"[..], &[9; 4]].concat());
    }
}
