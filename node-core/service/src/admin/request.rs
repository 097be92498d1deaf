//! What a client wrote, and the frame around what it gets (chapter 11.2).

use serde::Serialize;
use serde_json::{Map, Value};

/// A request as it was understood.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Request {
    /// The command, as it was written.
    pub(super) request: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<Map<String, Value>>,
    /// Whether another one may follow.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) keepalive: bool,
}

/// Why a client gets an error. The text is for people; the stock client shows it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// What arrived is not JSON, or nothing did.
    #[error("no request found")]
    NoRequest,
    /// A request is longer than this many bytes.
    #[error("the request is longer than {0} bytes")]
    TooLong(usize),
    /// JSON of another shape.
    #[error("request malformed: {0}")]
    Malformed(&'static str),
    /// Nothing was asked for.
    #[error("no command given")]
    NoCommand,
    /// There is no such command.
    #[error("unknown command '{0}', try 'list' for help")]
    UnknownCommand(String),
    /// The system's accounts do not let this caller do it.
    #[error("permission denied: {0}")]
    Denied(&'static str),
    /// The command could not be carried out.
    #[error("{0}")]
    Failed(String),
}

/// The whole answer.
#[derive(Serialize)]
struct Answer<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    request: &'a Request,
    response: Value,
}

/// What the bytes so far are.
#[derive(Debug, PartialEq)]
pub(super) enum Reading {
    /// The beginning of a request.
    Unfinished,
    /// A JSON value of so many bytes.
    Whole(Value, usize),
    /// No JSON.
    Nonsense,
}

/// Looks for a JSON value at the beginning of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Reading {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
    match values.next() {
        None => Reading::Unfinished,
        Some(Ok(value)) => Reading::Whole(value, values.byte_offset()),
        Some(Err(error)) if error.is_eof() => Reading::Unfinished,
        Some(Err(_)) => Reading::Nonsense,
    }
}

impl Request {
    /// Understands a JSON value; members with other names are ignored, and so is the case of names.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] with what is of the wrong type.
    pub(super) fn of(value: Value) -> Result<Self, Refusal> {
        let Value::Object(members) = value else {
            return Err(Refusal::Malformed("it is no object"));
        };
        let mut request = Self { arguments: Some(Map::new()), ..Self::default() };
        for (name, value) in members {
            match (name.to_ascii_lowercase().as_str(), value) {
                (_, Value::Null) => {}
                ("request", Value::String(name)) => request.request = name,
                ("request", _) => return Err(Refusal::Malformed("`request` is no text")),
                ("arguments", Value::Object(all)) => request.arguments = Some(all),
                ("arguments", _) => return Err(Refusal::Malformed("`arguments` is no object")),
                ("keepalive", Value::Bool(keepalive)) => request.keepalive = keepalive,
                ("keepalive", _) => {
                    return Err(Refusal::Malformed("`keepalive` is neither true nor false"));
                }
                _ => {}
            }
        }
        Ok(request)
    }

    /// An argument, empty if it was not given.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] for one that is no text.
    pub(super) fn argument(&self, name: &str) -> Result<&str, Refusal> {
        let mut all = self.arguments.iter().flatten();
        match all.find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            None | Some((_, Value::Null)) => Ok(""),
            Some((_, Value::String(text))) => Ok(text),
            Some(_) => Err(Refusal::Malformed("an argument is no text")),
        }
    }
}

/// The bytes to answer with: JSON indented by two spaces, and a newline.
pub(super) fn answer(request: &Request, outcome: Result<Value, Refusal>) -> Vec<u8> {
    let (status, error, response) = match outcome {
        Ok(response) => ("success", None, response),
        Err(refusal) => ("error", Some(refusal.to_string()), Value::Null),
    };
    // Texts, numbers and objects named by texts can be written.
    let answer = Answer { status, error, request, response };
    let mut bytes = serde_json::to_vec_pretty(&answer).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
