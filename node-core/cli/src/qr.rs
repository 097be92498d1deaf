//! A link as a QR code: on the terminal, or as a PNG file.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use qrcode::{Color, EcLevel, QrCode};

use crate::args::Picture;
use crate::ask;
use crate::failure::Failure;
use crate::format::{self, Style};

/// Empty modules around a code, as the standard asks for.
const QUIET: usize = 4;

/// Pixels of a module in a file: a code of usual size is then some 500 pixels wide.
const SCALE: usize = 8;

/// Writes the link to the file that was asked for.
pub(crate) fn save(link: &str, picture: &Picture) -> Result<(), Failure> {
    let Some(file) = &picture.png else { return Ok(()) };
    Code::of(link)?.write_png(file).map_err(|error| {
        let shown = format::shortened(&file.display().to_string()).into_owned();
        let tip = "name a file in a folder of yours";
        ask::usage(&format!("{shown} cannot be written: {error}"), tip)
    })
}

/// The words about a link, with the code before them and the file named after them, as asked for.
pub(crate) fn around(
    link: &str,
    words: &str,
    picture: &Picture,
    style: Style,
) -> io::Result<String> {
    let mut text = String::new();
    if picture.qr {
        text += &Code::of(link)?.as_text(style);
        text.push('\n');
    }
    text += words;
    if let Some(file) = &picture.png {
        let shown = file.display().to_string();
        text += &format!("The QR code is in {}.\n", format::plain(&shown));
    }
    Ok(text)
}

/// A QR code with its quiet zone.
struct Code {
    width: usize,
    dark: Vec<bool>,
}

impl Code {
    fn of(link: &str) -> io::Result<Self> {
        // A link is far shorter than the largest code.
        let code =
            QrCode::with_error_correction_level(link, EcLevel::M).map_err(io::Error::other)?;
        let inner = code.width();
        let width = inner + 2 * QUIET;
        let mut dark = vec![false; width * width];
        for (index, color) in code.to_colors().into_iter().enumerate() {
            let (x, y) = (index % inner + QUIET, index / inner + QUIET);
            dark[y * width + x] = color == Color::Dark;
        }
        Ok(Self { width, dark })
    }

    fn is_dark(&self, x: usize, y: usize) -> bool {
        self.dark.get(y * self.width + x).copied().unwrap_or(false)
    }

    /// Two modules in each character, one above the other. Light modules are drawn, because
    /// terminals are dark more often than not; with colours it is right on any.
    fn as_text(&self, style: Style) -> String {
        let (begin, end) = match style {
            Style::Colour => ("\x1b[97;40m", "\x1b[0m"),
            Style::Plain => ("", ""),
        };
        let mut text = String::new();
        for y in (0..self.width).step_by(2) {
            text += begin;
            for x in 0..self.width {
                let below = y + 1 < self.width && !self.is_dark(x, y + 1);
                text.push(match (!self.is_dark(x, y), below) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                });
            }
            text += end;
            text.push('\n');
        }
        text
    }

    fn write_png(&self, path: &Path) -> io::Result<()> {
        let side = u32::try_from(self.width * SCALE).map_err(io::Error::other)?;
        let file = BufWriter::new(File::create(path)?);
        let mut encoder = png::Encoder::new(file, side, side);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(io::Error::other)?;
        let pixel = |index: usize| {
            let (x, y) = (index % (self.width * SCALE), index / (self.width * SCALE));
            if self.is_dark(x / SCALE, y / SCALE) { 0 } else { u8::MAX }
        };
        let pixels: Vec<u8> = (0..self.width * SCALE * self.width * SCALE).map(pixel).collect();
        writer.write_image_data(&pixels).map_err(io::Error::other)?;
        writer.finish().map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str =
        "planetary:friend?k=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa&n=Ada";

    #[test]
    fn code_has_its_marks_and_a_quiet_zone() {
        let code = Code::of(LINK).unwrap();
        let inner = code.width - 2 * QUIET;
        assert_eq!(inner % 4, 1, "21, 25, 29, … modules");
        for y in 0..code.width {
            assert!(
                (0..QUIET).all(|x| !code.is_dark(x, y) && !code.is_dark(code.width - 1 - x, y))
            );
        }
        // The square in three corners, by its dark ring.
        for (x, y) in [(0, 0), (inner - 7, 0), (0, inner - 7)] {
            for at in 0..7 {
                assert!(code.is_dark(QUIET + x + at, QUIET + y));
                assert!(code.is_dark(QUIET + x, QUIET + y + at));
            }
        }
    }

    /// What a camera reads in a picture of so many pixels each way.
    fn read(side: usize, pixel: impl FnMut(usize, usize) -> u8) -> String {
        let mut picture = rqrr::PreparedImage::prepare_from_greyscale(side, side, pixel);
        let codes = picture.detect_grids();
        assert_eq!(codes.len(), 1);
        codes[0].decode().unwrap().1
    }

    #[test]
    fn text_shows_two_rows_in_one_and_can_be_read() {
        let code = Code::of(LINK).unwrap();
        let text = code.as_text(Style::Plain);
        let lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
        let link = read(code.width * SCALE, |x, y| {
            let (x, y) = (x / SCALE, y / SCALE);
            let light = if y % 2 == 0 { "█▀" } else { "█▄" };
            if light.contains(lines[y / 2][x]) { u8::MAX } else { 0 }
        });
        assert_eq!(link, LINK);
        assert_eq!(text.lines().count(), code.width.div_ceil(2));
        for (row, line) in text.lines().enumerate() {
            for (x, letter) in line.chars().enumerate() {
                let light = |y: usize| y < code.width && !code.is_dark(x, y);
                let (above, below) = (light(2 * row), light(2 * row + 1));
                assert_eq!("█▀".contains(letter), above);
                assert_eq!("█▄".contains(letter), below);
            }
        }
    }

    #[test]
    fn longest_link_fits() {
        let link = "x".repeat(planetary_ipc::limits::LINK_LEN_MAX);
        assert!(Code::of(&link).is_ok());
    }

    #[test]
    fn picture_holds_the_code_and_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("code.png");
        let code = Code::of(LINK).unwrap();
        code.write_png(&path).unwrap();
        let decoder = png::Decoder::new(io::BufReader::new(File::open(&path).unwrap()));
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!(info.width as usize, code.width * SCALE);
        let side = info.width as usize;
        assert_eq!(read(side, |x, y| pixels[y * info.line_size + x]), LINK);
        for y in 0..code.width {
            for x in 0..code.width {
                let at = (y * SCALE + 3) * info.line_size + x * SCALE + 3;
                assert_eq!(pixels[at] == 0, code.is_dark(x, y));
            }
        }
    }
}
