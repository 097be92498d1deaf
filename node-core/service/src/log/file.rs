//! A log file for services that no system's journal listens to.
//!
//! It never grows beyond [`LEN_MAX`]: what is longer becomes `NAME.old`, in the place of the one
//! before, and a new file begins. So there are always the last megabytes, and no more than two
//! files.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

/// Longest log file in bytes: some weeks of a quiet node.
pub const LEN_MAX: u64 = 4 << 20;

/// See the module.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    len_max: u64,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    file: File,
    len: u64,
}

impl LogFile {
    /// Opens the file, to write behind what is there.
    ///
    /// # Errors
    /// What the system answers.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::with_len_max(path, LEN_MAX)
    }

    fn with_len_max(path: &Path, len_max: u64) -> io::Result<Self> {
        let current = Mutex::new(Current::open(path)?);
        Ok(Self { path: path.to_owned(), len_max, current })
    }

    fn old(&self) -> PathBuf {
        let mut name: OsString = self.path.clone().into();
        name.push(".old");
        name.into()
    }
}

impl Current {
    fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        let len = file.metadata()?.len();
        Ok(Self { file, len })
    }
}

impl Write for &LogFile {
    /// Takes a whole line, however long.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut current = self.current.lock();
        let line_len = line.len() as u64;
        if current.len > 0 && current.len.saturating_add(line_len) > self.len_max {
            fs::rename(&self.path, self.old())?;
            *current = Current::open(&self.path)?;
        }
        current.file.write_all(line)?;
        current.len += line_len;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.current.lock().file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_two_files_at_most_and_the_last_lines_are_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for start in [0, 50] {
            // A service that is started again writes behind what is there.
            let log = LogFile::with_len_max(&path, 100).unwrap();
            for line in start..start + 50 {
                (&log).write_all(format!("line {line:03}\n").as_bytes()).unwrap();
            }
        }
        let text = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let kept = format!("{}{}", text("log.old"), text("log"));
        let lines: Vec<&str> = kept.lines().collect();
        assert_eq!(lines.last(), Some(&"line 099"));
        assert!(lines.len() >= 12 && kept.len() <= 200, "{kept}");
        let numbers = lines.iter().map(|line| line[5..].parse::<u32>().unwrap());
        assert!(numbers.clone().zip(numbers.skip(1)).all(|(one, next)| next == one + 1), "{kept}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_line_longer_than_the_file_may_be_is_written_whole() {
        let folder = tempfile::tempdir().unwrap();
        let log = LogFile::with_len_max(&folder.path().join("log"), 10).unwrap();
        (&log).write_all(&[b'x'; 30]).unwrap();
        (&log).write_all(&[b'y'; 30]).unwrap();
        assert_eq!(fs::read(folder.path().join("log")).unwrap(), [b'y'; 30]);
        assert_eq!(fs::read(folder.path().join("log.old")).unwrap(), [b'x'; 30]);
    }
}
