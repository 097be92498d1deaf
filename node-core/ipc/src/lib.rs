//! The control API between the node service and its clients.
//!
//! `planetaryd` serves it, `planetary` and the desktop app speak it, over a Unix socket or a
//! Windows named pipe. The crate holds the messages ([`message`] and the types it carries), the
//! framing ([`frame`]), both ends ([`client`], [`server`]), the places where the service is looked
//! for ([`location`]), why it cannot be asked ([`absence`]), the readers of other programs'
//! configurations ([`foreign`]), and an in-memory network that answers like a service does
//! ([`mock`]).
//!
//! It is not a view into the node: the types here are plain, and `service` converts. The core may
//! change freely; what is written here changes by version ([`message::PROTOCOL_VERSION`]). Nothing
//! here opens a TUN, touches a key or knows the wire protocol of the network.
//!
//! Invariants: every member of an answer is always present, an unknown value is `null`; unknown
//! members are ignored; everything read from the other side is bounded ([`limits`]) and answered
//! with a typed [`ApiError`], never a panic. `docs/ipc.md` describes the same for people who write
//! a client in another language.

pub mod absence;
pub mod circles;
pub mod client;
pub mod endpoint;
pub mod error;
pub mod explore;
pub mod foreign;
pub mod frame;
pub mod friends;
pub mod gateway;
pub mod health;
pub mod identity;
pub mod import;
pub mod lan;
pub mod limits;
pub mod link;
pub mod location;
pub mod logs;
pub mod message;
pub mod mock;
pub mod peers;
pub mod recovery;
pub mod releases;
pub mod report;
#[cfg(test)]
mod schema;
pub mod secret;
pub mod server;
pub mod settings;
pub mod status;
pub mod support;
pub mod topology;
pub mod transit;

pub use absence::Absence;
pub use circles::{
    Answer, Circle, CircleAccess, CircleAccessChange, CircleChange, CircleDetails, CircleDraft,
    CircleId, CircleList, CircleRef, CircleState, Invite, InviteList, InviteState, Member,
    MemberRole, MemberState, Names, NamesState, Party, Question, Subject, Visit, VisitList,
    VisitOutcome,
};
pub use client::{Client, ConnectError, RequestError, Updates};
pub use endpoint::PeerCredentials;
pub use error::{ApiError, ErrorCode};
pub use explore::Explored;
pub use friends::{
    Access, Audience, BlockedKey, BlockedList, Dropped, Friend, FriendBook, FriendChange,
    FriendList, FriendName, ImportReport, LocalService, Pause, Shared,
};
pub use gateway::{Forward, ForwardList, ForwardProtocol, ForwardRule, ForwardWay, Gateway};
pub use health::{DoctorReport, HealthItem, Severity};
pub use identity::{Identity, NodeKey, Subnet, Target, UnixTime};
pub use import::{
    Backup, Dialect, ForeignKey, ForeignSettings, IdentityImport, ImportItem, ImportOutcome,
    ImportSource, SettingsImport,
};
pub use lan::{Lan, LanInterface, LanState};
pub use link::{FriendLink, JoinLink, LinkPeer};
pub use message::{
    ClientHello, ClientMessage, Event, Hello, Reply, Request, Right, ServerMessage, Topic, Update,
};
pub use peers::{
    ListTrust, PeerChoice, PeerJob, PeerRecord, PeerTest, PublicFilter, PublicPeer, PublicPeers,
    RejectedEntry,
};
pub use recovery::RecoveryKey;
pub use releases::{Release, ReleaseCheck, Releases};
pub use report::{
    Cipher, Hop, NextHop, PathReport, PingReply, PingReport, SessionReport, SessionState,
};
pub use secret::{Sealed, SealingKey, SealingKeys};
pub use server::{Handler, Service, serve};
pub use settings::{LogThreshold, PublicList, SessionsSetting, Settings, SettingsChange};
pub use status::{
    Direction, LinkTraffic, ListenerStatus, PeerEntry, PeerError, PeerSource, PeerStatus, State,
    Status, Traffic, TunStatus,
};
pub use topology::{Edge, EdgeKind, Node, Role, Topology};
pub use transit::{Saving, Transit, TransitMode};
