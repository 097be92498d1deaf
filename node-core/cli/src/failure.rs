//! How a command ends that was not done: what is said, and the exit code.
//!
//! An error has a code for programs. Most are the service's own or name why it cannot be reached,
//! and are listed in `docs/ipc.md`; six come from here alone:
//!
//! | code | when |
//! | --- | --- |
//! | `usage` | the command line is wrong |
//! | `output` | what there is to say cannot be written, as on a full disk |
//! | `file` | a file that was named cannot be read, written or understood |
//! | `not_confirmed` | a question was not answered with yes |
//! | `invalid_words` | words are not those of a key on paper |
//! | `not_joined` | a link let this computer into no circle |

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ContextValue;
use planetary_ipc::{Absence, ErrorCode, RequestError};
use serde_json::json;

use crate::format;

/// Why a command was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was typed cannot be understood.
    Usage(clap::Error),
    /// There is nobody to ask.
    Absent(Absence),
    /// The service said no, or went away.
    Request(RequestError),
    /// What there is to say cannot be written.
    Output(io::Error),
    /// A file is to be written, and nobody is there to say yes.
    Unasked { file: PathBuf },
    /// A file cannot be written.
    NotSaved { file: PathBuf, error: io::Error },
    /// Something on this side of the socket: a file, or a question without an answer.
    Here { code: &'static str, message: String, hint: Option<String> },
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Failure {
    /// The person said no.
    pub(crate) fn not_confirmed() -> Self {
        let message = "nothing was changed".to_owned();
        Self::Here { code: "not_confirmed", message, hint: None }
    }

    /// Tells the person, or the program, and gives the exit code.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        let code = match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return ExitCode::SUCCESS;
            }
            Self::Usage(_) | Self::Unasked { .. } => 2,
            Self::Here { code: "usage" | "invalid_words", .. } => 2,
            Self::Request(error) if is_wrong_argument(error) => 2,
            Self::Request(RequestError::Lost) | Self::Absent(_) => 3,
            Self::Request(_) | Self::Output(_) | Self::NotSaved { .. } | Self::Here { .. } => 1,
        };
        let text = if json { self.as_json() } else { self.as_text() };
        // There is no third place to tell that this one is closed.
        let _ = io::stderr().write_all(text.as_bytes());
        ExitCode::from(code)
    }

    fn as_text(&self) -> String {
        if let Self::Usage(mistake) = self {
            return usage(mistake);
        }
        let mut text = format!("planetary: {}\n", format::plain(&self.message()));
        if let Some(hint) = self.hint() {
            text += &format!("hint: {}\n", format::plain(&hint));
        }
        text
    }

    fn as_json(&self) -> String {
        let (code, message, hint) = (self.code(), self.message(), self.hint());
        let error = json!({ "error": { "code": code, "message": message, "hint": hint } });
        format!("{error}\n")
    }

    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Usage(_) | Self::Unasked { .. } => "usage",
            Self::Absent(absence) => absence.code,
            Self::Request(RequestError::Lost) => "connection_lost",
            // What the client calls it when it may not even open the socket.
            Self::Request(error) if error.code() == Some(ErrorCode::PermissionDenied) => {
                "no_permission"
            }
            Self::Here { code, .. } => code,
            Self::Request(error) => error.code().unwrap_or(ErrorCode::VersionMismatch).name(),
            Self::Output(_) | Self::NotSaved { .. } => "output",
        }
    }

    pub(crate) fn message(&self) -> String {
        match self {
            Self::Usage(mistake) => {
                let text = usage(mistake);
                match text.strip_prefix("error: ") {
                    Some(text) => paragraphs(text).next().unwrap_or_default(),
                    // The whole help is shown instead of an error when nothing follows a command.
                    None => "a command is missing".to_owned(),
                }
            }
            Self::Absent(absence) => absence.message.clone(),
            Self::Request(error) => with_sources(error),
            Self::Output(error) => format!("cannot write the output: {error}"),
            Self::Unasked { file } => {
                format!("nobody is there to be asked whether to save {}", file.display())
            }
            Self::NotSaved { file, error } => format!("cannot write {}: {error}", file.display()),
            Self::Here { message, .. } => message.clone(),
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Usage(mistake) => {
                let text = usage(mistake);
                let hint = paragraphs(&text).find_map(|paragraph| {
                    let usage = paragraph.starts_with("Usage: ").then(|| paragraph.clone());
                    paragraph.strip_prefix("tip: ").map(str::to_owned).or(usage)
                });
                Some(hint.unwrap_or_else(|| "`planetary --help` says what can be typed".to_owned()))
            }
            Self::Absent(absence) => absence.hint.clone(),
            Self::Request(RequestError::Refused(error)) => error.hint.clone(),
            Self::Request(RequestError::Lost) => Absence::lost().hint,
            Self::Request(_) => ErrorCode::VersionMismatch.hint().map(str::to_owned),
            Self::Output(_) => None,
            Self::Unasked { .. } => Some("add --yes to save it without being asked".to_owned()),
            Self::NotSaved { error, .. } if error.kind() == io::ErrorKind::AlreadyExists => {
                Some("choose another name, or add --force to replace the file".to_owned())
            }
            Self::NotSaved { .. } => Some("choose a place that you may write to".to_owned()),
            Self::Here { hint, .. } => hint.clone(),
        }
    }
}

/// Whether the service says that what was typed names nothing. That is the same mistake as one that
/// is found here.
fn is_wrong_argument(error: &RequestError) -> bool {
    matches!(
        error.code(),
        Some(
            ErrorCode::InvalidUri
                | ErrorCode::InvalidTarget
                | ErrorCode::InvalidFriend
                | ErrorCode::InvalidLink
                | ErrorCode::InvalidSetting
                | ErrorCode::InvalidForward
        )
    )
}

/// What is wrong with the command line, with long arguments shortened.
fn usage(mistake: &clap::Error) -> String {
    let mut text = mistake.render().to_string();
    for (_, value) in mistake.context() {
        if let ContextValue::String(typed) = value
            && let Cow::Owned(short) = format::shortened(typed)
        {
            text = text.replace(typed.as_str(), &short);
        }
    }
    text
}

/// Each paragraph of a text in one line.
fn paragraphs(text: &str) -> impl Iterator<Item = String> {
    text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The error and what caused it, in one line.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text += &format!(": {cause_text}");
        }
        source = cause.source();
    }
    text
}
