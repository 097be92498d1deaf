//! How a command ends that was not done: what is said, and the exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use planetary_ipc::client::ConnectError;
use planetary_ipc::location::{Location, Source};
use planetary_ipc::{ErrorCode, RequestError};
use serde_json::json;

use crate::format;

/// Why a command was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There is nobody to ask.
    Unreachable { error: ConnectError, location: Location },
    /// The service said no, or went away.
    Request(RequestError),
    /// What there is to say cannot be written.
    Output(io::Error),
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
    /// Tells the person, or the program, and gives the exit code.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        let code = match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return ExitCode::SUCCESS;
            }
            Self::Request(RequestError::Lost) | Self::Unreachable { .. } => 3,
            Self::Request(_) | Self::Output(_) => 1,
        };
        let text = if json { self.as_json() } else { self.as_text() };
        // There is no third place to tell that this one is closed.
        let _ = io::stderr().write_all(text.as_bytes());
        ExitCode::from(code)
    }

    fn as_text(&self) -> String {
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
            Self::Unreachable { error, .. } => error.code(),
            Self::Request(RequestError::Lost) => "connection_lost",
            Self::Request(error) => error.code().unwrap_or(ErrorCode::VersionMismatch).name(),
            Self::Output(_) => "output",
        }
    }

    pub(crate) fn message(&self) -> String {
        match self {
            Self::Unreachable { error, location } => {
                format!("{}{}", with_sources(error), chosen_by(location))
            }
            Self::Request(error) => with_sources(error),
            Self::Output(error) => format!("cannot write the output: {error}"),
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { error, .. } => error.hint().map(str::to_owned),
            Self::Request(RequestError::Refused(error)) => error.hint.clone(),
            Self::Request(RequestError::Lost) => {
                Some("the service may have been stopped; try again when it runs".to_owned())
            }
            Self::Request(_) => ErrorCode::VersionMismatch.hint().map(str::to_owned),
            Self::Output(_) => None,
        }
    }
}

/// Says why this socket was tried, unless the message is enough.
fn chosen_by(location: &Location) -> String {
    match location.source {
        Source::Option => " (named by --control)".to_owned(),
        Source::Environment => " (named by PLANETARY_CONTROL)".to_owned(),
        Source::System | Source::Runtime | Source::StateDir => match &location.looked_at[..] {
            [earlier @ .., _] if !earlier.is_empty() => {
                let earlier: Vec<_> = earlier.iter().map(|p| p.display().to_string()).collect();
                format!(" (nor at {})", earlier.join(", "))
            }
            _ => String::new(),
        },
    }
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
