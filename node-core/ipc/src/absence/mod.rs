//! Why the service cannot be asked, as far as a client can find out: whether it is installed, what
//! the system's service manager says of it, and how the caller stands to its socket.
//!
//! [`Seen`] is what this computer shows, looked at in one go; every judgement is a pure function of
//! it. Where the person names a socket, it is that service they ask about and not the computer's:
//! only the socket is looked at then.
//!
//! ```text
//! ConnectError -> Absence::of -> Absence::seen(Seen::look) -> what the person is told
//! ```
//!
//! Texts are for people; programs match [`Absence::code`], whose values `docs/ipc.md` lists.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::client::ConnectError;
use crate::endpoint::{GROUP, ReachError};
use crate::limits;
use crate::location::{Location, Source};

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod system;
#[cfg(target_os = "macos")]
#[path = "macos.rs"]
mod system;
#[cfg(windows)]
#[path = "windows.rs"]
mod system;

#[cfg(unix)]
mod socket;

#[cfg(test)]
mod tests;

/// Why the service cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absence {
    /// Stable name: `not_installed`, `stopped`, `no_permission`, `version_mismatch`, `untrusted`,
    /// `unreachable`, `connection_lost`, or the code with which the service turned the client away.
    pub code: &'static str,
    /// The same in a few words.
    pub title: &'static str,
    /// What happened. Lower case, no full stop.
    pub message: String,
    /// What was seen besides, as whole sentences; empty when nothing was.
    pub details: String,
    /// What the person can do about it. Lower case, no full stop.
    pub hint: Option<String>,
    /// What the system's service manager can do about it.
    pub step: Option<Step>,
}

/// What the system's service manager can be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Enter the service and start it.
    Install,
    /// Start it.
    Start,
    /// End it, and start what is installed.
    Restart,
}

impl Step {
    /// What a person types to the same end, where that is one line.
    pub fn command(self) -> Option<&'static str> {
        Some(match self {
            Self::Install => system::INSTALL,
            Self::Start => system::START,
            Self::Restart => system::RESTART,
        })
    }
}

/// What this computer shows of the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Whether the system has an entry for the service; `None` where that is not known, or not
    /// asked about.
    pub installed: Option<bool>,
    /// What the service manager says of a service that does not run, such as `failed`.
    pub manager: Option<String>,
    /// The socket's file.
    pub socket: Option<Socket>,
}

/// The file of a control socket, and how the caller stands to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Socket {
    /// Account it belongs to.
    pub owner: String,
    /// Group it belongs to.
    pub group: String,
    /// Who may use it.
    pub mode: u32,
    /// The caller is the owner.
    pub is_own: bool,
    /// The caller is root.
    pub is_root: bool,
    /// The caller's process is in the group.
    pub in_group: bool,
    /// The list of accounts has the caller in the group.
    pub listed: bool,
}

impl Seen {
    /// Looks at the socket alone.
    pub fn of_socket(path: &Path) -> Self {
        Self { socket: socket_at(path), ..Self::default() }
    }

    /// Looks at this computer. Blocks for a moment.
    pub fn look(location: &Location) -> Self {
        let socket = socket_at(&location.path);
        if matches!(location.source, Source::Option | Source::Environment) {
            return Self { socket, ..Self::default() };
        }
        let installed = system::installed();
        let manager = if installed == Some(true) { system::manager() } else { None };
        Self { installed, manager, socket }
    }
}

#[cfg(unix)]
use socket::look as socket_at;

#[cfg(not(unix))]
fn socket_at(_: &Path) -> Option<Socket> {
    None
}

impl Absence {
    /// Names the reason why no connection was made, after so long.
    pub fn of(error: &ConnectError, location: &Location, took: Duration) -> Self {
        let path = &location.path;
        match error {
            ConnectError::NoHello if took >= limits::HELLO_DEADLINE => Self::silent(location),
            ConnectError::NoHello => Self {
                message: format!(
                    "what listens on {} did not greet as the service does{}",
                    shown(path),
                    chosen_by(location)
                ),
                ..Self::plain(error, location)
            },
            ConnectError::Reach(ReachError::Io { source, .. }) => match source.kind() {
                // The queue of those who wait to be accepted is full.
                io::ErrorKind::WouldBlock => Self::silent(location),
                io::ErrorKind::InvalidInput => {
                    let len = path.as_os_str().len();
                    Self::no_socket(&format!("its path of {len} bytes is too long"), location)
                }
                _ => Self::plain(error, location),
            },
            ConnectError::Reach(ReachError::NotListening { .. }) if is_no_socket(path) => {
                Self::no_socket("it is not a socket", location)
            }
            _ => Self::plain(error, location),
        }
    }

    /// A connection that ended.
    pub fn lost() -> Self {
        Self {
            code: "connection_lost",
            title: "The service went away",
            message: "the connection to the service was lost".to_owned(),
            details: String::new(),
            hint: Some("the service may have been stopped; try again when it runs".to_owned()),
            step: None,
        }
    }

    /// The same, with what was seen on this computer.
    pub fn seen(mut self, seen: &Seen) -> Self {
        self.step = seen.installed.and_then(|installed| match (self.code, installed) {
            ("stopped", false) => Some(Step::Install),
            ("stopped", true) => Some(Step::Start),
            ("version_mismatch", true) => Some(Step::Restart),
            ("unreachable", true) if self.title == SILENT => Some(Step::Restart),
            _ => None,
        });
        match self.code {
            "stopped" if seen.installed == Some(false) => {
                self.code = "not_installed";
                self.title = "The service is not installed";
                "The system has no entry for it either.".clone_into(&mut self.details);
                self.hint = Some(system::HOW_TO_INSTALL.to_owned());
            }
            "stopped" => {
                let Some(said) = seen.manager.as_deref() else { return self };
                self.details = format!("The service manager says: {said}.");
                if said.starts_with("failed") {
                    self.title = "The service has failed";
                    self.hint = Some(system::SEE_WHY.to_owned());
                }
            }
            "no_permission" => {
                let Some(socket) = &seen.socket else { return self };
                self.details = standing(socket);
                self.hint = Some(way_in(socket).to_owned());
            }
            _ => {}
        }
        self
    }

    /// The one line that mends it, typed by the person, where there is one.
    pub fn command(&self) -> Option<&'static str> {
        match (self.step, self.code) {
            (Some(step), _) => step.command(),
            (None, "no_permission") if self.hint.as_deref().is_some_and(names_the_group) => {
                Some(system::JOIN)
            }
            _ => None,
        }
    }

    /// What the error itself says.
    fn plain(error: &ConnectError, location: &Location) -> Self {
        let code = error.code();
        let title = match code {
            "stopped" => "The service does not run",
            "no_permission" => "You may not use the control socket",
            "version_mismatch" => "The service is of another release",
            "untrusted" => "Somebody else listens on the control socket",
            "too_many_clients" => "The service has too many clients",
            _ => "The service cannot be reached",
        };
        Self {
            code,
            title,
            message: format!("{}{}", with_sources(error), chosen_by(location)),
            details: String::new(),
            hint: error.hint().map(str::to_owned),
            step: None,
        }
    }

    /// The service accepts connections and says nothing.
    fn silent(location: &Location) -> Self {
        let (path, chosen) = (shown(&location.path), chosen_by(location));
        Self {
            code: "unreachable",
            title: SILENT,
            message: format!(
                "the service at {path} accepts connections but does not answer{chosen}"
            ),
            details: String::new(),
            hint: Some(HOW_TO_RESTART.to_owned()),
            step: None,
        }
    }

    /// There is no socket, and cannot be one.
    fn no_socket(why: &str, location: &Location) -> Self {
        let (path, chosen) = (shown(&location.path), chosen_by(location));
        Self {
            message: format!("{path} cannot be the control socket: {why}{chosen}"),
            ..Self::plain(&ConnectError::NoHello, location)
        }
    }
}

const SILENT: &str = "The service does not answer";

/// How a service that hangs is brought back.
pub const HOW_TO_RESTART: &str = system::HOW_TO_RESTART;

/// Whether there is something else than a socket.
fn is_no_socket(path: &Path) -> bool {
    path.is_file() || path.is_dir()
}

/// The path, cut to a length that fits into a sentence.
fn shown(path: &Path) -> String {
    const CHARS_MAX: usize = 120;
    let text = path.display().to_string();
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
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
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
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

/// Whose the socket is, and how the caller stands to it.
fn standing(socket: &Socket) -> String {
    let Socket { owner, group, mode, in_group, listed, .. } = socket;
    let standing = match (in_group, listed) {
        (true, _) => format!("you are in the group {group}, so it is the folder that is closed"),
        (false, true) => format!("you are in the group {group}, but signed in before you were"),
        (false, false) => format!("you are not in the group {group}"),
    };
    format!("It belongs to {owner}:{group} (mode {mode:04o}); {standing}.")
}

fn way_in(socket: &Socket) -> &'static str {
    match (socket.in_group, socket.listed, socket.group.as_str()) {
        (true, ..) => "let your account enter the folders above the socket, or use sudo",
        (_, true, _) => "sign out and in again, or use sudo",
        (.., GROUP) => system::HOW_TO_JOIN,
        // Another group would let in more than the node's friends.
        _ => "use sudo; a service that is installed gives its socket to the group `planetary`",
    }
}

fn names_the_group(hint: &str) -> bool {
    hint == system::HOW_TO_JOIN
}
