//! `planetaryd`: the program around the service. Turns words into calls, and results into exit
//! codes.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use clap_complete::Shell;
use planetary_service::args::{Arguments, Command, RunArguments};
use planetary_service::config::{Config, default_file};
use planetary_service::{install, lifecycle, places};

fn main() -> ExitCode {
    // Wrong usage ends here with exit code 2, --help and --version with 0.
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Run(arguments) => run(arguments),
        Command::Install(arguments) => {
            install::install(&arguments, &mut io::stdout()).map_err(Into::into)
        }
        Command::Uninstall(arguments) => {
            install::uninstall(&arguments, &mut io::stdout()).map_err(Into::into)
        }
        Command::Genconf => print(&default_file()),
        Command::CheckConfig { file } => check_config(file),
        Command::Manual { folder } => manual(&folder).map_err(Into::into),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[cfg(not(windows))]
fn run(arguments: RunArguments) -> Outcome {
    Ok(lifecycle::run(arguments, std::future::pending())?)
}

#[cfg(windows)]
fn run(arguments: RunArguments) -> Outcome {
    if !arguments.windows_service {
        return Ok(lifecycle::run(arguments, std::future::pending())?);
    }
    Ok(install::run_as_service(arguments)?)
}

fn check_config(file: Option<PathBuf>) -> Outcome {
    let path = file.map_or_else(places::config_to_check, Ok)?;
    let config = Config::load(&path)?;
    let shown = path.display();
    if config.is_exposed(&path) {
        eprintln!(
            "{shown}: warning: every account of this computer can read the passwords in it; run \
             `chmod o-r {shown}`"
        );
    }
    print(&format!("{shown}: no mistakes\n"))
}

/// Writes what packages bring beside the program, from the definition of what can be typed.
fn manual(folder: &Path) -> io::Result<()> {
    let (pages, completions) = (folder.join("man"), folder.join("completions"));
    fs::create_dir_all(&pages)?;
    fs::create_dir_all(&completions)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let mut command = Arguments::command();
        clap_complete::generate_to(shell, &mut command, "planetaryd", &completions)?;
    }
    clap_mangen::generate_to(Arguments::command(), pages)
}

/// Writes to standard output. A reader that has seen enough is no failure.
fn print(text: &str) -> Outcome {
    let mut out = io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("standard output cannot be written: {error}").into())
        }
        _ => Ok(()),
    }
}
