//! What can go wrong with a request, as the other side of the socket hears it.
//!
//! A code is stable and is what programs match; the message says what happened to which thing; the
//! hint says what the person can do. Codes are listed in `docs/ipc.md`, and a test keeps the list
//! whole.

use serde::{Deserialize, Serialize};

/// Why a request was not done. Programs match [`code`](Self::code), people read the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[error("{message}")]
pub struct ApiError {
    /// What kind of failure this is.
    pub code: ErrorCode,
    /// What happened, naming the thing it happened to. Lower case, no full stop.
    pub message: String,
    /// What the person can do about it, or `null` when nothing can be done.
    pub hint: Option<String>,
}

impl ApiError {
    /// Makes an error with the usual hint of its code.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: code.hint().map(str::to_owned) }
    }

    /// Replaces the hint with one that fits this case better.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

macro_rules! error_codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $hint:expr;)+) => {
        /// The stable codes of [`ApiError`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)+
            /// A code that this side does not know: the other side is newer.
            #[serde(other, rename = "unknown")]
            Unknown,
        }

        impl ErrorCode {
            /// Every code that a service of this version may send.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The code as it is written in JSON.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                    Self::Unknown => "unknown",
                }
            }

            /// What the person can do in the usual case of this code.
            pub const fn hint(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => $hint,)+
                    Self::Unknown => None,
                }
            }
        }
    };
}

error_codes! {
    /// The frame is longer than the receiver accepts, or empty. The connection is closed after
    /// this.
    FrameTooLarge = "frame_too_large",
        Some("send a smaller request; a client's frame holds at most 64 KiB of JSON");
    /// The frame is not UTF-8 or not JSON. The connection is closed after this.
    InvalidJson = "invalid_json", Some("send one JSON object a frame, encoded as UTF-8");
    /// The message is JSON, but a member is missing or has the wrong shape.
    InvalidRequest = "invalid_request", Some("compare the request with docs/ipc.md");
    /// The service does not know this request. It is older than the client.
    UnknownRequest = "unknown_request",
        Some("update and restart the service (planetaryd), then try again");
    /// Client and service share no version of the API. The connection is closed after this.
    VersionMismatch = "version_mismatch",
        Some("install client and service of the same release and restart the service");
    /// The caller may not do this.
    PermissionDenied = "permission_denied",
        Some("run it as root, or join the group `planetary` and sign in again");
    /// All places for clients are taken. The connection is closed after this.
    TooManyClients = "too_many_clients",
        Some("close a client that is no longer needed, then try again");
    /// This client has too many requests in progress.
    Busy = "busy", Some("wait for earlier requests to be answered");
    /// The service did not finish within its deadline.
    DeadlineExceeded = "deadline_exceeded",
        Some("try again; `planetary doctor` tells what is slow");
    /// The answer does not fit into one frame.
    AnswerTooLarge = "answer_too_large", None;
    /// The service is about to end. The connection is closed after this.
    ShuttingDown = "shutting_down", Some("start the service again, then try again");
    /// The service broke one of its own rules.
    Internal = "internal", Some("report this with the service's log");
    /// The URI of a peer cannot be used.
    InvalidUri = "invalid_uri",
        Some("a peer looks like tls://host.example:443 or tcp://[2001:db8::1]:12345");
    /// The target is neither an address of this network nor a key.
    InvalidTarget = "invalid_target",
        Some("give an IPv6 address in 200::/7 or a key of 64 hexadecimal digits");
    /// The peer is configured already.
    PeerExists = "peer_exists", Some("`planetary peer list` shows the configured peers");
    /// No peer with this URI is configured.
    PeerNotFound = "peer_not_found", Some("`planetary peer list` shows the configured peers");
    /// The list of peers is full.
    PeerLimit = "peer_limit", Some("remove a peer that is not needed first");
    /// A setting cannot have this value, or not together with the others.
    InvalidSetting = "invalid_setting", Some("`planetary settings` shows the settings");
    /// The node listens there already.
    ListenerExists = "listener_exists", Some("`planetary settings` shows where the node listens");
    /// The configuration has no such listener.
    ListenerNotFound = "listener_not_found",
        Some("`planetary settings` shows where the node listens");
    /// The list of listeners is full.
    ListenerLimit = "listener_limit", Some("remove a listener that is not needed first");
    /// The system refused the address of a listener.
    CannotListen = "cannot_listen",
        Some("name an address of this computer, or [::] for all, and a port that is free");
    /// A port cannot be forwarded like this.
    InvalidForward = "invalid_forward",
        Some("for example: planetary forward out 127.0.0.1:8080 ada.pln.internal:80");
    /// The port is forwarded already.
    ForwardExists = "forward_exists", Some("`planetary forward list` shows the forwarded ports");
    /// No forwarded port has this number.
    ForwardNotFound = "forward_not_found",
        Some("`planetary forward list` shows the forwarded ports");
    /// The list of forwarded ports is full.
    ForwardLimit = "forward_limit", Some("remove a forwarded port that is not needed first");
    /// No interface of this computer is connected to such a network now.
    NetworkNotFound = "network_not_found", Some("`planetary lan` shows the local networks");
    /// A name, a service or notes of a friend cannot be used.
    InvalidFriend = "invalid_friend",
        Some("a name has 1 to 48 characters, a service looks like tcp/22 or udp/5000-5010");
    /// The key is a friend already, or the name belongs to another.
    FriendExists = "friend_exists", Some("`planetary friend list` shows the friends");
    /// Nobody of that name or key is a friend, or blocked.
    FriendNotFound = "friend_not_found",
        Some("`planetary friend list` shows the friends and who is blocked");
    /// There is no room for a further friend, blocked key or service.
    FriendLimit = "friend_limit", Some("remove what is not needed first");
    /// The key is blocked.
    KeyBlocked = "key_blocked", Some("unblock it first: `planetary friend unblock KEY`");
    /// What was given cannot be used for a circle.
    InvalidCircle = "invalid_circle", None;
    /// No circle has this name or number here.
    CircleNotFound = "circle_not_found", Some("`planetary circle list` shows the circles");
    /// There is no room for a further circle, member, operation or invite.
    CircleLimit = "circle_limit", Some("remove what is not needed first");
    /// The circle does not let this computer do it.
    CircleRights = "circle_rights",
        Some("ask an admin of the circle whose rank is above; `planetary circle show` lists them");
    /// No invite of this computer has this number.
    InviteNotFound = "invite_not_found", Some("`planetary invite list` shows the invites");
    /// The link is not one that invites to a circle.
    InvalidLink = "invalid_link", Some("copy the whole link; it begins with planetary:join?");
    /// The question was answered already, or its time is over.
    QuestionNotFound = "question_not_found",
        Some("`planetary questions` shows what is asked now");
    /// The configuration does not allow it.
    NotAllowed = "not_allowed", Some("change the configuration, then reload the service");
    /// The node is down, and the request needs it up.
    NodeDown = "node_down", Some("`planetary up` brings the node up");
    /// No node with this address or key answered.
    Unreachable = "unreachable",
        Some("check the address; the other node may be off, or `planetary doctor` knows more");
    /// This build or platform cannot do it.
    Unsupported = "unsupported", None;
    /// The configuration file could not be written or does not parse.
    Config = "config", Some("`planetaryd check-config` names the line");
    /// The node has another identity than the one to import, and nobody said to replace it.
    IdentityExists = "identity_exists",
        Some("`--replace` takes the other identity; the address of this node changes");
    /// What is to be imported is none of the things that can be, or is damaged.
    InvalidImport = "invalid_import", Some("check that it is the right file, and all of it");
    /// The backup does not open: the passphrase is another one, or the file was changed.
    WrongPassphrase = "wrong_passphrase",
        Some("type the passphrase that was chosen when the backup was made");
    /// The passphrase for a new backup is too short or too long.
    WeakPassphrase = "weak_passphrase", Some("choose several words that belong to no sentence");
    /// The operating system refused, for example to open the TUN.
    SystemRefused = "system_refused", Some("the service's log has the system's own words");
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_in_json_is_its_name() {
        for &code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.name());
            let back: ErrorCode = serde_json::from_value(code.name().into()).unwrap();
            assert_eq!(back, code);
        }
    }

    #[test]
    fn code_of_a_newer_service_is_unknown() {
        let code: ErrorCode = serde_json::from_str("\"moon_is_full\"").unwrap();
        assert_eq!(code, ErrorCode::Unknown);
    }
}
