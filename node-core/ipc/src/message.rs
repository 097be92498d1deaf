//! The messages themselves: who says what, in which order.
//!
//! ```text
//! client                               server
//!  {"hello": {version, lowest, build}}  {"hello": {version, lowest, build, seq, status}}
//!  {"id": 7, "request": {"type": …}}    {"id": 7, "ok": {"type": …}}
//!                                       {"id": 7, "error": {code, message, hint}}
//!                                       {"seq": 12, "event": {"type": …}}
//! ```
//!
//! Both greet at once. Answers come in any order, updates at any time; `id` is the client's own
//! number. `seq` counts the updates of this connection from the one in the server's hello on; a gap
//! means that updates were lost, and [`Request::Resync`] brings the whole state. An error that
//! belongs to no request has the id `null`. Types here say nothing about sockets.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{ApiError, ErrorCode};
use crate::health::DoctorReport;
use crate::identity::{Identity, Target};
use crate::report::{PathReport, PingReport};
use crate::status::{PeerEntry, Status, Traffic};
use crate::topology::Topology;

/// Version of the API spoken by this crate. Grows when a member changes its meaning or goes away;
/// new members, requests and events do not make a new version.
pub const PROTOCOL_VERSION: u32 = 1;

/// Oldest version of the API this crate still understands.
pub const PROTOCOL_VERSION_MIN: u32 = 1;

/// First message of the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClientHello {
    /// Newest version the client speaks.
    pub version: u32,
    /// Oldest version the client accepts.
    pub lowest: u32,
    /// Program and version, such as `planetary 0.1.0`. For logs only.
    pub build: String,
}

/// First message of the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Hello {
    /// Newest version the service speaks.
    pub version: u32,
    /// Oldest version the service accepts.
    pub lowest: u32,
    /// Program and version, such as `planetaryd 0.1.0`.
    pub build: String,
    /// Number of the last update that is contained in `status`; the next one has the following
    /// number.
    pub seq: u64,
    /// The whole state.
    pub status: Box<Status>,
}

/// The version two sides speak together: the newest that both know, if both still accept it.
pub fn common_version(ours: (u32, u32), theirs: (u32, u32)) -> Option<u32> {
    let ((our_version, our_lowest), (their_version, their_lowest)) = (ours, theirs);
    let version = our_version.min(their_version);
    (version >= our_lowest.max(their_lowest)).then_some(version)
}

/// What a client may send.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ClientMessage {
    /// The greeting.
    Hello {
        /// Who the client is.
        hello: ClientHello,
    },
    /// Everything after it.
    Request {
        /// Number chosen by the client, given back in the answer.
        id: u64,
        /// What is wanted.
        request: Request,
    },
}

/// What a server may send.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ServerMessage {
    /// The greeting.
    Hello {
        /// Who the service is and how it is.
        hello: Hello,
    },
    /// A request was done.
    Ok {
        /// The client's number.
        id: u64,
        /// The answer.
        ok: Reply,
    },
    /// A request was not done, or the connection ends.
    Error {
        /// The client's number, or `null` when the error belongs to no request.
        id: Option<u64>,
        /// Why.
        error: ApiError,
    },
    /// Something changed.
    Update(Update),
}

/// A numbered update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Update {
    /// Number of the update on this connection.
    pub seq: u64,
    /// What changed.
    pub event: Event,
}

macro_rules! requests {
    ($(
        $(#[$meta:meta])+
        $variant:ident $({ $($(#[$field_meta:meta])+ $field:ident: $type:ty,)+ })?
            = $name:literal, $right:ident;
    )+) => {
        /// What a client can ask for.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[serde(tag = "type")]
        #[non_exhaustive]
        pub enum Request {
            $(
                $(#[$meta])+
                #[serde(rename = $name)]
                $variant $({ $($(#[$field_meta])+ $field: $type,)+ })?,
            )+
        }

        impl Request {
            /// The names of all requests, as in the member `type`.
            pub const NAMES: &[&str] = &[$($name,)+];

            /// The name of the request, as in its member `type`.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $name,)+ }
            }

            /// What a caller must be allowed to do to make this request.
            pub const fn right(&self) -> Right {
                match self { $(Self::$variant { .. } => Right::$right,)+ }
            }
        }
    };
}

requests! {
    /// The whole state; answered with [`Reply::Status`].
    Status = "status", Read;
    /// The whole state and the number up to which it contains updates; answered with
    /// [`Reply::State`]. Asked after a gap.
    Resync = "resync", Read;
    /// Chooses which updates come beside those of the state; answered with [`Reply::Subscribed`].
    Subscribe {
        /// The topics wanted from here on; those not named end.
        topics: Vec<Topic>,
    } = "subscribe", Read;
    /// Brings the node up and remembers it; answered with [`Reply::Status`].
    Up = "up", Change;
    /// Takes the node down and remembers it, keeping service and socket; answered with
    /// [`Reply::Status`].
    Down = "down", Change;
    /// Adds a peer to the configuration and dials it; answered with [`Reply::Peer`].
    PeerAdd {
        /// Where to dial, with its options.
        uri: String,
        /// Interface to bind to, or none.
        #[serde(default)]
        interface: Option<String>,
    } = "peer_add", Change;
    /// Removes a peer from the configuration and closes its link; answered with [`Reply::Peer`].
    PeerRemove {
        /// The peer's URI; options are not compared.
        uri: String,
        /// Interface it is bound to, or none.
        #[serde(default)]
        interface: Option<String>,
    } = "peer_remove", Change;
    /// One page of the topology; answered with [`Reply::Topology`]. Page 0 takes a new snapshot,
    /// later pages belong to it.
    Topology {
        /// Number of the page, from 0.
        #[serde(default)]
        page: u32,
    } = "topology", Read;
    /// The way to a node, looked up when it is not known; answered with [`Reply::Path`].
    Path {
        /// Address or key.
        target: Target,
    } = "path", Read;
    /// Sends ICMPv6 echo requests to a node; answered with [`Reply::Ping`] when all are answered or
    /// overdue.
    Ping {
        /// Address or key.
        target: Target,
        /// How many, 1 to [`limits::PING_COUNT_MAX`](crate::limits::PING_COUNT_MAX); 1 when absent.
        #[serde(default)]
        count: Option<u32>,
        /// How long to wait for each, in milliseconds; 5000 when absent.
        #[serde(default)]
        timeout_ms: Option<u64>,
    } = "ping", Read;
    /// Checks everything; answered with [`Reply::Doctor`].
    Doctor = "doctor", Read;
    /// Who the node is; answered with [`Reply::Identity`].
    IdentityShow = "identity_show", Read;
}

/// What a caller may do; each right contains those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// See the state and ask about other nodes.
    Read,
    /// Change the state and the configuration.
    Change,
    /// Handle secrets: root and the node's own account.
    Admin,
}

/// Updates that come only to those who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// [`Event::Traffic`], once a second.
    Traffic,
    /// [`Event::Topology`], when the topology changed.
    Topology,
}

/// Answer to a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reply {
    /// To `status`, `up` and `down`: the state after it.
    Status(Box<Status>),
    /// To `resync`.
    State {
        /// Number of the last update contained in `status`; the next one has the following number.
        seq: u64,
        /// The whole state.
        status: Box<Status>,
    },
    /// To `subscribe`: what is subscribed from here on.
    Subscribed {
        /// The topics.
        topics: Vec<Topic>,
    },
    /// To `peer_add` and `peer_remove`: the peer as it is, or was, stored.
    Peer(PeerEntry),
    /// To `topology`. A handler answers with the whole; the server cuts it into pages.
    Topology(Topology),
    /// To `path`.
    Path(PathReport),
    /// To `ping`.
    Ping(PingReport),
    /// To `doctor`.
    Doctor(DoctorReport),
    /// To `identity_show`.
    Identity(Identity),
}

/// Something that changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The state changed in something that is not traffic; this is the whole new one.
    Status(Box<Status>),
    /// The moving part of the state, once a second. Only with [`Topic::Traffic`].
    Traffic(Traffic),
    /// The topology changed; ask for it when it is on display. Only with [`Topic::Topology`].
    Topology {
        /// As in [`Topology::revision`].
        revision: u64,
    },
    /// Updates were left out because they were not read in time. None follow until
    /// [`Request::Resync`].
    Resync,
    /// An update that this side does not know: the service is newer.
    #[serde(other)]
    Unknown,
}

impl ClientMessage {
    /// Reads a message of a client.
    ///
    /// # Errors
    /// The id of the request, if it could be read, and the error to answer with.
    /// [`ErrorCode::InvalidJson`] means that the bytes are no JSON; after all others the connection
    /// can go on.
    pub fn parse(bytes: &[u8]) -> Result<Self, (Option<u64>, ApiError)> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| {
            (None, ApiError::new(ErrorCode::InvalidJson, format!("the frame is not JSON: {error}")))
        })?;
        let invalid = |id, text: String| (id, ApiError::new(ErrorCode::InvalidRequest, text));
        let Value::Object(mut members) = value else {
            return Err(invalid(None, "the message is not an object".into()));
        };
        if let Some(hello) = members.remove("hello") {
            let hello = serde_json::from_value(hello)
                .map_err(|error| invalid(None, format!("`hello`: {error}")))?;
            return Ok(Self::Hello { hello });
        }
        let Some(id) = members.get("id").and_then(Value::as_u64) else {
            return Err(invalid(None, "the message has no `id` that is a whole number".into()));
        };
        let Some(request) = members.remove("request") else {
            return Err(invalid(Some(id), "the message has no `request`".into()));
        };
        let request = Request::parse(request).map_err(|error| (Some(id), error))?;
        Ok(Self::Request { id, request })
    }
}

impl Request {
    fn parse(value: Value) -> Result<Self, ApiError> {
        let invalid = |text: String| ApiError::new(ErrorCode::InvalidRequest, text);
        let Some(name) = value.get("type").and_then(Value::as_str) else {
            return Err(invalid("the request has no `type` that is a string".into()));
        };
        let Some(name) = Self::NAMES.iter().find(|known| **known == name) else {
            let shown: String = name.chars().take(64).collect();
            return Err(ApiError::new(
                ErrorCode::UnknownRequest,
                format!("the service does not know the request `{shown}`"),
            ));
        };
        let bad_target = match value.get("target") {
            Some(Value::String(target)) => target.parse::<Target>().err(),
            _ => None,
        };
        serde_json::from_value(value).map_err(|error| match bad_target {
            Some(error) => ApiError::new(ErrorCode::InvalidTarget, error.to_string()),
            None => invalid(format!("request `{name}`: {error}")),
        })
    }
}
