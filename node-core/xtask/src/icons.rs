//! `cargo xtask icons`: the pictures in `icons/`, made anew from their drawings.
//!
//! The drawings are `icon.svg` and `tray/*.svg`; a headless Chromium paints them, which the tests
//! of the pages need anyway. The containers of Windows (`.ico`) and macOS (`.icns`) hold PNGs as
//! they are, and are put together here. What comes out is committed: nobody needs this to build.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use base64ct::{Base64, Encoding};

use crate::package::{archive, sums};
use crate::setup::{self, Part};
use crate::step;

/// Pictures of the app that are files of their own.
const FILES: [(&str, u32); 8] = [
    ("16x16.png", 16),
    ("24x24.png", 24),
    ("32x32.png", 32),
    ("48x48.png", 48),
    ("64x64.png", 64),
    ("128x128.png", 128),
    ("128x128@2x.png", 256),
    ("icon.png", 512),
];

/// Sizes in the container of Windows.
const ICO_SIZES: [u32; 9] = [16, 20, 24, 32, 40, 48, 64, 128, 256];

/// Types and sizes in the container of macOS.
const ICNS_SIZES: [(&[u8; 4], u32); 10] = [
    (b"icp4", 16),
    (b"icp5", 32),
    (b"ic11", 32),
    (b"ic12", 64),
    (b"ic07", 128),
    (b"ic13", 256),
    (b"ic08", 256),
    (b"ic14", 512),
    (b"ic09", 512),
    (b"ic10", 1024),
];

/// The states that the tray tells apart, and the size of their pictures.
const TRAY: [&str; 5] = ["connected", "connecting", "degraded", "error", "off"];
const TRAY_SIZE: u32 = 64;

/// The colours of the drawings of the tray, which are for dark panels, and those for light ones.
const BY_DAY: [(&str, &str); 6] = [
    ("#151a21", "#ffffff"),
    ("#6ea8ff", "#1f5fc4"),
    ("#f5a524", "#b8560b"),
    ("#98a3b1", "#5b6573"),
    ("#ffd54a", "#a16207"),
    ("#ff6b5e", "#c2271b"),
];

/// Sums of all drawings and pictures, as `sha256sum -c` reads them.
const SUMS: &str = "painted.sums";

/// Paints all of them.
pub(crate) fn run() -> Result<()> {
    setup::ensure(&[Part::App])?;
    let start = Instant::now();
    let folder = folder();
    let drawing = read(&folder.join("icon.svg"))?;
    for (name, size) in FILES {
        fs::write(folder.join(name), paint(&drawing, size)?)?;
    }
    for state in TRAY {
        let tray = folder.join("tray");
        let by_night = read(&tray.join(format!("{state}.svg")))?;
        let put = |text: String, (night, day): (&str, &str)| text.replace(night, day);
        let by_day = BY_DAY.into_iter().fold(by_night.clone(), put);
        fs::write(tray.join(format!("{state}.png")), paint(&by_night, TRAY_SIZE)?)?;
        fs::write(tray.join(format!("{state}-light.png")), paint(&by_day, TRAY_SIZE)?)?;
    }
    let painted = |size| paint(&drawing, size).map(|picture| (size, picture));
    let pictures = ICO_SIZES.into_iter().map(painted).collect::<Result<Vec<_>>>()?;
    fs::write(folder.join("icon.ico"), ico(&pictures))?;
    let painted = |(kind, size)| paint(&drawing, size).map(|picture| (kind, picture));
    let pictures = ICNS_SIZES.into_iter().map(painted).collect::<Result<Vec<_>>>()?;
    fs::write(folder.join("icon.icns"), icns(&pictures))?;
    fs::write(folder.join(SUMS), sums()?)?;
    step::report("icons", true, start);
    Ok(())
}

fn folder() -> PathBuf {
    step::workspace_root().join("icons")
}

fn read(drawing: &Path) -> Result<String> {
    fs::read_to_string(drawing).with_context(|| drawing.display().to_string())
}

/// The sums of what is in the folder now.
fn sums() -> Result<String> {
    let mut lines = String::new();
    for path in archive::below(&folder())? {
        let name = path.strip_prefix(folder())?.to_string_lossy().replace('\\', "/");
        let drawn = [".svg", ".png", ".ico", ".icns"].iter().any(|ending| name.ends_with(ending));
        if drawn {
            lines += &format!("{}  {name}\n", sums::of_file(&path)?);
        }
    }
    Ok(lines)
}

/// What a page does to paint a drawing: it has no size of its own, which windows limit.
const PAGE: &str = r#"<!doctype html><script type="module">
const picture = new Image();
picture.src = "data:image/svg+xml;base64,DRAWING";
await picture.decode();
const canvas = new OffscreenCanvas(SIZE, SIZE);
canvas.getContext("2d").drawImage(picture, 0, 0, SIZE, SIZE);
const painted = await canvas.convertToBlob({ type: "image/png" });
const reader = new FileReader();
reader.onload = () => { document.body.textContent = `<${reader.result}>`; };
reader.readAsDataURL(painted);
</script><body>"#;

/// What the page says before the picture in base64.
const MARK: &str = "&lt;data:image/png;base64,";

/// Paints a drawing on nothing, as a PNG.
fn paint(svg: &str, size: u32) -> Result<Vec<u8>> {
    let folder = step::target_dir().join("icons");
    fs::create_dir_all(&folder)?;
    // Without a size it would be painted small and made larger.
    let sized = format!("<svg width=\"{size}\" height=\"{size}\" ");
    let drawing = Base64::encode_string(svg.replacen("<svg ", &sized, 1).as_bytes());
    let page = folder.join("page.html");
    let text = PAGE.replace("DRAWING", &drawing).replace("SIZE", &size.to_string());
    fs::write(&page, text)?;
    let mut chromium = Command::new("chromium");
    chromium
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .args(["--dump-dom", &format!("file://{}", page.display())]);
    let output = chromium.output().context("cannot start chromium")?;
    ensure!(output.status.success(), "chromium could not paint");
    let said = String::from_utf8_lossy(&output.stdout);
    let picture = said.split_once(MARK).and_then(|(_, rest)| rest.split_once("&gt;"));
    let (picture, _) = picture.context("chromium painted nothing")?;
    let bytes = Base64::decode_vec(picture).ok().context("chromium made no base64")?;
    let found = size_of_png(&bytes).context("chromium made no PNG")?;
    ensure!(found == (size, size), "{size} pixels came out as {found:?}");
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

    /// Whoever changes a drawing paints it: `cargo xtask icons`.
    #[test]
    fn committed_pictures_are_those_of_the_committed_drawings() {
        assert_eq!(sums().unwrap(), read(&folder().join(SUMS)).unwrap());
    }

    #[test]
    fn every_size_is_there_and_in_its_container() {
        let file = |name: &str| fs::read(folder().join(name)).unwrap();
        for (name, size) in FILES {
            assert_eq!(size_of_png(&file(name)), Some((size, size)), "{name}");
        }
        for state in TRAY {
            for name in [format!("tray/{state}.png"), format!("tray/{state}-light.png")] {
                assert_eq!(size_of_png(&file(&name)), Some((TRAY_SIZE, TRAY_SIZE)), "{name}");
            }
        }
        let ico = file("icon.ico");
        let number = |at: usize| u32::from_le_bytes(ico[at..at + 4].try_into().unwrap()) as usize;
        let entries = (0..usize::from(ico[4])).map(|entry| 6 + 16 * entry);
        let inside = entries.map(|at| &ico[number(at + 12)..][..number(at + 8)]);
        let inside: Vec<&[u8]> = inside.collect();
        let sizes: Vec<u32> = inside.iter().map(|png| size_of_png(png).unwrap().0).collect();
        assert_eq!(sizes, ICO_SIZES);
        assert_eq!(inside[0], file("16x16.png"));
        let (icns, mut rest) = (file("icon.icns"), Vec::new());
        let mut at = 8;
        while at < icns.len() {
            let len = u32::from_be_bytes(icns[at + 4..at + 8].try_into().unwrap()) as usize;
            let size = size_of_png(&icns[at + 8..at + len]).unwrap().0;
            rest.push((<&[u8; 4]>::try_from(&icns[at..at + 4]).unwrap(), size));
            at += len;
        }
        assert_eq!((at, rest.as_slice()), (icns.len(), ICNS_SIZES.as_slice()));
    }

    /// A colour without a counterpart would be night in a picture of the day.
    #[test]
    fn every_colour_of_the_tray_has_one_for_light_panels() {
        for state in TRAY {
            let drawing = read(&folder().join(format!("tray/{state}.svg"))).unwrap();
            for (at, _) in drawing.match_indices('#') {
                let colour = &drawing[at..at + 7];
                assert!(BY_DAY.iter().any(|(night, _)| *night == colour), "{state}: {colour}");
            }
        }
    }

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
