//! Wine, which runs programs for Windows here, in a prefix of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::step;

/// Wine 8 lacks the library from which Rust's standard library takes its random numbers. This is
/// that one function, over one that Wine has.
const RANDOM_NUMBERS: &str = r"
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE p, SIZE_T n) {
  while (n) {
    ULONG k = n > 0x10000000 ? 0x10000000 : (ULONG)n;
    if (!SystemFunction036(p, k)) return FALSE;
    p += k;
    n -= k;
  }
  return TRUE;
}
";

/// A Wine prefix with what Wine 8 lacks; its server ends when this is dropped.
pub(crate) struct Wine {
    prefix: PathBuf,
}

impl Wine {
    pub(crate) const PROGRAM: &str = "/usr/lib/wine/wine64";

    /// Makes the prefix where it is missing.
    pub(crate) fn new(prefix: PathBuf) -> Result<Self> {
        let wine = Self { prefix };
        let library = wine.drive_c().join("windows/system32/bcryptprimitives.dll");
        if library.is_file() {
            return Ok(wine);
        }
        let mut boot = Command::new("timeout");
        boot.args(["-k", "10", "120", Self::PROGRAM, "wineboot", "-i"]);
        // It complains of parts that are not installed and need not be; what counts is the result.
        let _ = wine.visit(&mut boot).output().context("cannot start Wine")?;
        let Some(system32) = library.parent().filter(|folder| folder.is_dir()) else {
            bail!("Wine made no prefix in {}", wine.prefix.display());
        };
        let source = system32.join("bcryptprimitives.c");
        fs::write(&source, RANDOM_NUMBERS)?;
        let mut compiler = Command::new("x86_64-w64-mingw32-gcc-posix");
        compiler.args(["-shared", "-s", "-O2", "-o"]).arg(&library).arg(&source).arg("-ladvapi32");
        step::quietly("windows: make a Wine prefix", &mut compiler)?;
        Ok(wine)
    }

    /// What programs see as `C:\`.
    pub(crate) fn drive_c(&self) -> PathBuf {
        self.prefix.join("drive_c")
    }

    /// Lets a command find this prefix and show no window.
    pub(crate) fn visit<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("WINEPREFIX", &self.prefix)
            .env("WINEDEBUG", "-all")
            .env("WINEARCH", "win64")
            .env("DISPLAY", "")
            // Tests leave out what Wine is known to lack.
            .env("PLANETARY_WINE", "8")
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        // Nothing is left to do about a server that does not want to end.
        let _ = self.visit(Command::new("wineserver").arg("-k")).output();
    }
}
