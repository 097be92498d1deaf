//! `planetary manual FOLDER`: manual pages and completions, for packages. Both come from the
//! definition of what can be typed, so they never say anything else than the program does.

use std::fs;
use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Args;
use crate::failure::Failure;

/// Shells that there are completions for.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

pub(super) fn run(folder: &Path) -> Result<(), Failure> {
    write(folder).map_err(|error| Failure::NotSaved { file: folder.to_owned(), error })
}

fn write(folder: &Path) -> io::Result<()> {
    let (pages, completions) = (folder.join("man"), folder.join("completions"));
    fs::create_dir_all(&pages)?;
    fs::create_dir_all(&completions)?;
    for shell in SHELLS {
        clap_complete::generate_to(shell, &mut Args::command(), "planetary", &completions)?;
    }
    clap_mangen::generate_to(Args::command(), pages)
}
