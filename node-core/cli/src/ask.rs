//! Asking the person for a yes.
//!
//! Questions go to standard error, so that standard output stays what was asked for. Where nobody
//! sits at a terminal there is nobody to ask: `--yes` says it there.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use clap::error::ErrorKind;

use crate::failure::Failure;
use crate::format::Printer;

/// Longest answer that is read.
const ANSWER_LEN_MAX: u64 = 256;

/// Shows `about` and asks the question, unless the yes was given already. What a program reads is
/// the error alone.
///
/// # Errors
/// [`Failure::Usage`] without a terminal and without a yes.
pub(crate) async fn confirm(
    printer: &Printer,
    about: &str,
    question: &str,
    yes: bool,
) -> Result<bool, Failure> {
    let mut out = io::stderr();
    if yes {
        return Ok(true);
    }
    let is_terminal = is_somebody_there();
    if is_terminal || !printer.is_json() {
        out.write_all(about.as_bytes())?;
    }
    if !is_terminal {
        return Err(usage("this needs a yes, and there is no terminal to ask at", "add --yes"));
    }
    let answer = line(&format!("{question} [y/N] ")).await?.unwrap_or_default();
    Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Whether a person sits at a terminal, who can be asked.
pub(crate) fn is_somebody_there() -> bool {
    io::stdin().is_terminal()
}

/// Shows a prompt and reads a line, without the blanks around it; `None` at the end of the input.
pub(crate) async fn line(prompt: &str) -> io::Result<Option<String>> {
    let mut out = io::stderr();
    out.write_all(prompt.as_bytes())?;
    out.flush()?;
    // The connection to the service goes on meanwhile.
    let answer = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        let read = io::stdin().lock().take(ANSWER_LEN_MAX).read_line(&mut answer);
        read.map(|len| (len > 0).then_some(answer))
    });
    let answer = answer.await.map_err(io::Error::other)??;
    Ok(answer.map(|answer| answer.trim().to_owned()))
}

/// A mistake in what was typed that only this command finds, and what to type instead.
pub(crate) fn usage(mistake: &str, tip: &str) -> Failure {
    let text = format!("{mistake}\n\n  tip: {tip}\n");
    Failure::Usage(clap::Error::raw(ErrorKind::InvalidValue, text))
}
