//! How the pages hear that something was not done: as the service says it, with a few more codes.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use planetary_ipc::absence::Absence;
use planetary_ipc::{ApiError, ErrorCode, RequestError};
use serde::Serialize;

/// Why something was not done. Pages match [`code`](Self::code), people read the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Failure {
    /// The service's code, or one of these: `connecting`, `not_installed`, `stopped`,
    /// `no_permission`, `version_mismatch`, `untrusted`, `unreachable`, `connection_lost`,
    /// `cancelled`, `file`, `invalid_link`, `invalid_words`.
    pub code: Cow<'static, str>,
    /// What happened. Lower case, no full stop.
    pub message: String,
    /// What the person can do about it, or `null` when nothing can be done.
    pub hint: Option<String>,
}

impl Failure {
    /// One of the shell's own.
    pub(crate) fn own(code: &'static str, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), hint: None }
    }

    /// One of the service's, found out on this side.
    pub(crate) fn of(code: ErrorCode, message: impl Into<String>) -> Self {
        ApiError::new(code, message).into()
    }

    /// The person thought better of it.
    pub(crate) fn cancelled() -> Self {
        Self::own("cancelled", "it was cancelled")
    }

    /// A file that cannot be written.
    pub(crate) fn file(path: &Path, error: &std::io::Error) -> Self {
        Self {
            hint: Some("choose another place".to_owned()),
            ..Self::own("file", format!("{} cannot be written: {error}", path.display()))
        }
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl From<ApiError> for Failure {
    fn from(ApiError { code, message, hint }: ApiError) -> Self {
        // What the client calls it when it may not even open the socket.
        let code = if code == ErrorCode::PermissionDenied { "no_permission" } else { code.name() };
        Self { code: code.into(), message, hint }
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Refused(error) => error.into(),
            RequestError::Lost => Absence::lost().into(),
            error => Self::of(ErrorCode::VersionMismatch, error.to_string()),
        }
    }
}

impl From<Absence> for Failure {
    fn from(Absence { code, message, hint, .. }: Absence) -> Self {
        Self { code: code.into(), message, hint }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_service_and_of_its_clients() {
        let denied = ApiError::new(ErrorCode::PermissionDenied, "no");
        assert_eq!(Failure::from(denied).code, "no_permission");
        let refused = RequestError::Refused(ApiError::new(ErrorCode::PeerExists, "there"));
        assert_eq!(Failure::from(refused).code, "peer_exists");
        assert_eq!(Failure::from(RequestError::Lost).code, "connection_lost");
        assert_eq!(Failure::from(RequestError::Unexpected).code, "version_mismatch");
    }
}
