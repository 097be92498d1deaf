//! Entering the service into the system, and taking it out again.
//!
//! A platform's file says *what* belongs to an installation as a list of [`Step`]s: plain values
//! made of constants, so that a test can read them. This file carries them out, one after another,
//! each of them repeatable: `install` after a failure, or over an older installation, ends in the
//! same state. Below `--root` only files are written: no command, no owner, which is what packages
//! and tests need.
//!
//! Nothing here takes a name from a client or from a file. The person's key and configuration are
//! never overwritten by `install`, and removed by `uninstall` only with `--purge`.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(target_os = "macos", test))]
mod macos;
#[cfg(any(windows, test))]
mod windows;

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

#[cfg(target_os = "linux")]
use self::linux as platform;
#[cfg(target_os = "macos")]
use self::macos as platform;
#[cfg(windows)]
use self::windows as platform;
#[cfg(windows)]
pub use self::windows::run_as_service;
#[cfg(windows)]
pub(crate) use self::windows::tell;
use crate::args::{InstallArguments, UninstallArguments};
use crate::state::atomic::{self, OsDisk};

/// One thing to do to the system.
#[derive(Clone, Debug)]
enum Step {
    /// Makes a folder where there is none, and gives it mode and owner.
    Folder { path: PathBuf, mode: u32, owner: Owner },
    /// Writes a file; one that is there is replaced or kept.
    File { path: PathBuf, content: String, mode: u32, owner: Owner, existing: Existing },
    /// Copies this program.
    Program { path: PathBuf },
    /// Copies the file of that name that lies beside this program, if there is one.
    #[cfg_attr(not(any(windows, test)), expect(dead_code, reason = "others need one file alone"))]
    Beside { path: PathBuf },
    /// Removes a file, if it is there.
    #[cfg_attr(not(any(unix, test)), expect(dead_code, reason = "Windows has folders only"))]
    RemoveFile { path: PathBuf },
    /// Removes a folder with everything in it, if it is there.
    RemoveTree { path: PathBuf },
    /// Runs a command of the system.
    Run { program: &'static str, arguments: Vec<String>, failure: Failure },
    /// Calls into the system where no command will do.
    #[cfg_attr(
        not(any(windows, test)),
        expect(dead_code, reason = "needed for the service control manager of Windows")
    )]
    Call { what: &'static str, run: fn(&Path) -> Result<(), String> },
    /// Tells the person something.
    Say(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// Whoever runs the installation: root.
    Installer,
    /// The service's own account.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "others run it as the system"))]
    Service,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Existing {
    Keep,
    #[cfg_attr(not(any(unix, test)), expect(dead_code, reason = "for unit files of Unix systems"))]
    Replace,
}

/// What a command that fails means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// The installation cannot go on.
    Ends,
    /// There was nothing to do.
    IsFine,
}

/// Why an installation or a removal stopped. What was done until then stays; running it again goes
/// on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// Somebody else than root asked.
    #[error("only root may change what is installed; run this with sudo")]
    NeedsRoot,
    /// The system refused to change a file.
    #[error("{}: {source}; {}", path.display(), remedy(source))]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// A command could not be started or failed.
    #[error("`{command}` failed: {reason}")]
    Command {
        /// The command line.
        command: String,
        /// Its last words, or why it could not be started.
        reason: String,
    },
    /// A call into the system failed.
    #[error("cannot {what}: {reason}")]
    Call {
        /// What was to be done.
        what: &'static str,
        /// The system's word.
        reason: String,
    },
    /// This program does not know where it is.
    #[error("cannot find this program's own file: {0}; start it by its full path")]
    NoProgram(io::Error),
    /// The report could not be printed.
    #[error("cannot print what was done: {0}")]
    Report(io::Error),
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "run it as root, or with --root DIR for a trial",
        io::ErrorKind::ReadOnlyFilesystem => {
            "this system keeps its files read-only; use its own packages"
        }
        _ => "remove what is in the way and run it again",
    }
}

/// Installs the service and starts it; tells `report` what it does.
///
/// # Errors
/// [`InstallError`] from the first step that failed.
pub fn install(arguments: &InstallArguments, report: &mut dyn Write) -> Result<(), InstallError> {
    check_right(arguments.root.as_deref())?;
    let program = std::env::current_exe().map_err(InstallError::NoProgram)?;
    let steps = platform::installation(&program, arguments.root.is_none());
    carry_out(&steps, arguments.root.as_deref(), &program, report)
}

/// Stops the service and removes it; tells `report` what it does.
///
/// # Errors
/// [`InstallError`] from the first step that failed.
pub fn uninstall(
    arguments: &UninstallArguments,
    report: &mut dyn Write,
) -> Result<(), InstallError> {
    let root = arguments.root.as_deref();
    check_right(root)?;
    let program = std::env::current_exe().map_err(InstallError::NoProgram)?;
    let steps = platform::removal(root, arguments.purge);
    carry_out(&steps, root, &program, report)
}

/// Refuses at once what would fail half-way.
#[cfg(unix)]
fn check_right(root: Option<&Path>) -> Result<(), InstallError> {
    if root.is_some() || nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    Err(InstallError::NeedsRoot)
}

/// The service control manager refuses by itself.
#[cfg(windows)]
fn check_right(_root: Option<&Path>) -> Result<(), InstallError> {
    Ok(())
}

fn carry_out(
    steps: &[Step],
    root: Option<&Path>,
    program: &Path,
    report: &mut dyn Write,
) -> Result<(), InstallError> {
    for step in steps {
        let needs_system = matches!(step, Step::Run { .. } | Step::Call { .. });
        if needs_system && root.is_some() {
            continue;
        }
        writeln!(report, "{step}").map_err(InstallError::Report)?;
        step.carry_out(root, program)?;
    }
    Ok(())
}

impl Step {
    fn carry_out(&self, root: Option<&Path>, own_program: &Path) -> Result<(), InstallError> {
        match self {
            Self::Folder { path, mode, owner } => {
                let path = below(root, path);
                make_folder(&path, *mode)
                    .map_err(|source| InstallError::File { path: path.clone(), source })?;
                give(&path, *owner, root)
            }
            Self::File { path, content, mode, owner, existing } => {
                let path = below(root, path);
                let failed = |source| InstallError::File { path: path.clone(), source };
                if *existing == Existing::Keep && fs::symlink_metadata(&path).is_ok() {
                    return Ok(());
                }
                make_parent(&path).map_err(failed)?;
                atomic::replace(&OsDisk, &path, content.as_bytes(), *mode).map_err(failed)?;
                give(&path, *owner, root)
            }
            Self::Program { path } => {
                let path = below(root, path);
                copy_program(own_program, &path)
                    .map_err(|source| InstallError::File { path, source })
            }
            Self::Beside { path } => {
                let beside = own_program.with_file_name(path.file_name().unwrap_or_default());
                let path = below(root, path);
                match copy_program(&beside, &path) {
                    Err(source) if source.kind() != io::ErrorKind::NotFound => {
                        Err(InstallError::File { path, source })
                    }
                    _ => Ok(()),
                }
            }
            Self::RemoveFile { path } => remove(below(root, path), |path| fs::remove_file(path)),
            Self::RemoveTree { path } => remove(below(root, path), |path| fs::remove_dir_all(path)),
            Self::Run { program, arguments, failure } => run(program, arguments, *failure),
            Self::Call { what, run } => {
                run(own_program).map_err(|reason| InstallError::Call { what, reason })
            }
            Self::Say(_) => Ok(()),
        }
    }
}

/// Returns where `path` is below a trial's root, or itself.
fn below(root: Option<&Path>, path: &Path) -> PathBuf {
    let Some(root) = root else { return path.to_owned() };
    let normal = path.components().filter(|part| matches!(part, Component::Normal(_)));
    root.join(normal.collect::<PathBuf>())
}

/// Makes a folder that the service itself will trust.
fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    fs::create_dir_all(path)?;
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    #[cfg(not(unix))]
    let _ = mode;
    Ok(())
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

fn give(path: &Path, owner: Owner, root: Option<&Path>) -> Result<(), InstallError> {
    if owner == Owner::Installer || root.is_some() || cfg!(not(target_os = "linux")) {
        return Ok(());
    }
    let account = planetary_ipc::endpoint::GROUP;
    let arguments = [format!("{account}:{account}"), path.display().to_string()];
    run("chown", &arguments, Failure::Ends)
}

fn copy_program(from: &Path, to: &Path) -> io::Result<()> {
    if fs::canonicalize(from).ok() == fs::canonicalize(to).ok() {
        return Ok(());
    }
    make_parent(to)?;
    // Replaced as a whole: a running program cannot be written to.
    atomic::replace(&OsDisk, to, &fs::read(from)?, 0o755)
}

fn remove(path: PathBuf, remove: impl Fn(&Path) -> io::Result<()>) -> Result<(), InstallError> {
    match remove(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(InstallError::File { path, source })
        }
        _ => Ok(()),
    }
}

fn run(program: &str, arguments: &[String], failure: Failure) -> Result<(), InstallError> {
    let output = system_command(program).args(arguments).stdin(Stdio::null()).output();
    let reason = match output {
        Ok(output) if output.status.success() => return Ok(()),
        _ if failure == Failure::IsFine => return Ok(()),
        Ok(output) => {
            let words = String::from_utf8_lossy(&output.stderr);
            let last = words.trim().lines().last().unwrap_or_default();
            format!("{} ({})", crate::config::printable(last), output.status)
        }
        Err(error) => error.to_string(),
    };
    Err(InstallError::Command { command: command_line(program, arguments), reason })
}

#[cfg(not(windows))]
fn system_command(program: &str) -> Command {
    Command::new(program)
}

#[cfg(windows)]
fn system_command(program: &str) -> Command {
    Command::new(platform::system_program(program))
}

fn command_line(program: &str, arguments: &[String]) -> String {
    std::iter::once(program)
        .chain(arguments.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join(" ")
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { path, mode, .. } => write!(f, "folder  {} ({mode:o})", path.display()),
            Self::File { path, mode, existing: Existing::Replace, .. } => {
                write!(f, "file    {} ({mode:o})", path.display())
            }
            Self::File { path, mode, existing: Existing::Keep, .. } => {
                write!(f, "file    {} ({mode:o}), unless it is there", path.display())
            }
            Self::Program { path } => write!(f, "program {}", path.display()),
            Self::Beside { path } => write!(f, "file    {}, if there is one", path.display()),
            Self::RemoveFile { path } | Self::RemoveTree { path } => {
                write!(f, "remove  {}", path.display())
            }
            Self::Run { program, arguments, .. } => {
                write!(f, "run     {}", command_line(program, arguments))
            }
            Self::Call { what, .. } => f.write_str(what),
            Self::Say(text) => f.write_str(text),
        }
    }
}

/// A command whose arguments are words.
fn command(program: &'static str, arguments: &str, failure: Failure) -> Step {
    let arguments = arguments.split_whitespace().map(str::to_owned).collect();
    Step::Run { program, arguments, failure }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
