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

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::circles::{
    Answer, CircleAccessChange, CircleChange, CircleDetails, CircleDraft, CircleId, CircleList,
    Invite, InviteList, MemberRole, VisitList,
};
use crate::error::{ApiError, ErrorCode};
use crate::explore::Explored;
use crate::friends::{
    self, BlockedKey, BlockedList, Friend, FriendBook, FriendChange, FriendList, FriendName,
    ImportReport, LocalService, Shared,
};
use crate::gateway::{Forward, ForwardList, ForwardRule};
use crate::health::DoctorReport;
use crate::identity::{Identity, NodeKey, Target};
use crate::import::{Backup, IdentityImport, SettingsImport};
use crate::limits;
use crate::logs::{LogLevel, LogPage};
use crate::peers::{self, PeerJob, PublicFilter, PublicPeers};
use crate::report::{PathReport, PingReport};
use crate::secret::{Sealed, SealingKey};
use crate::settings::{Settings, SettingsChange};
use crate::status::{PeerEntry, Status, Traffic};
use crate::support::SupportReport;
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
#[derive(Clone, Debug, PartialEq, Serialize)]
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
    /// The whole state; answered with `status`.
    Status = "status", Read;
    /// The whole state and the number up to which it contains updates; answered with
    /// [`Reply::State`]. Asked after a gap.
    Resync = "resync", Read;
    /// Chooses which updates come beside those of the state; answered with `subscribed`.
    Subscribe {
        /// The topics wanted from here on; those not named end.
        topics: Vec<Topic>,
    } = "subscribe", Read;
    /// Brings the node up and remembers it; answered with `status`.
    Up = "up", Change;
    /// Takes the node down and remembers it, keeping service and socket; answered with
    /// [`Reply::Status`].
    Down = "down", Change;
    /// Adds a peer to the configuration and dials it; answered with `peer`.
    PeerAdd {
        /// Where to dial, with its options.
        uri: String,
        /// Interface to bind to, or none.
        #[serde(default)]
        interface: Option<String>,
    } = "peer_add", Change;
    /// Removes a peer from the configuration and closes its link; answered with `peer`.
    PeerRemove {
        /// The peer's URI; options are not compared.
        uri: String,
        /// Interface it is bound to, or none.
        #[serde(default)]
        interface: Option<String>,
    } = "peer_remove", Change;
    /// Stops dialling a peer, and remembers it; answered with `peer`.
    PeerPause {
        /// The peer's URI; options are not compared.
        uri: String,
        /// Interface it is bound to, or none.
        #[serde(default)]
        interface: Option<String>,
    } = "peer_pause", Change;
    /// Dials a peer again that was paused; answered with `peer`.
    PeerResume {
        /// The peer's URI; options are not compared.
        uri: String,
        /// Interface it is bound to, or none.
        #[serde(default)]
        interface: Option<String>,
    } = "peer_resume", Change;
    /// The list of public peers; answered with `public_peers`.
    PeerPublic {
        /// Which of them.
        #[serde(default)]
        filter: PublicFilter,
    } = "peer_public", Read;
    /// Fetches the list of public peers anew from the URL in the configuration; answered with
    /// `public_peers`, without the peers.
    PeerPublicRefresh = "peer_public_refresh", Change;
    /// Starts to test peers by real handshakes; answered with `peer_job`.
    PeerTest {
        /// Which; every configured and chosen peer if empty, 256 at most.
        #[serde(default)]
        uris: Vec<String>,
    } = "peer_test", Change;
    /// Starts to test public peers and to choose some; answered with `peer_job`.
    PeerChoose {
        /// Among which.
        #[serde(default)]
        filter: PublicFilter,
        /// How many, 0 to 8; 3 when absent. With 0 all that match are tested, 256 at most, and none
        /// is chosen.
        #[serde(default)]
        best: Option<u32>,
        /// Whether to keep a link to those chosen from here on.
        #[serde(default)]
        add: bool,
    } = "peer_choose", Change;
    /// Asks how a job goes; answered with `peer_job` as soon as there is news, within 2 s.
    PeerJob {
        /// Number of the job.
        job: u64,
        /// How many results the client has seen.
        #[serde(default)]
        seen: u64,
    } = "peer_job", Read;
    /// Ends a job early; answered with `peer_job`.
    PeerJobCancel {
        /// Number of the job.
        job: u64,
        /// How many results the client has seen.
        #[serde(default)]
        seen: u64,
    } = "peer_job_cancel", Change;
    /// One page of the topology; answered with `topology`. Page 0 takes a new snapshot,
    /// later pages belong to it.
    Topology {
        /// Number of the page, from 0.
        #[serde(default)]
        page: u32,
    } = "topology", Read;
    /// The way to a node, looked up when it is not known; answered with `path`.
    Path {
        /// Address or key.
        target: Target,
    } = "path", Read;
    /// Sends ICMPv6 echo requests to a node; answered with `ping` when all are answered or
    /// overdue.
    Ping {
        /// Address or key.
        target: Target,
        /// How many, 1 to 100; 1 when absent.
        #[serde(default)]
        count: Option<u32>,
        /// How long to wait for each, in milliseconds, 1 to 30000; 5000 when absent.
        #[serde(default)]
        timeout_ms: Option<u64>,
    } = "ping", Read;
    /// Asks a node what it says of itself and its neighbours; answered with `explored`. What is
    /// learnt is in the topology for ten minutes.
    Explore {
        /// Its key.
        key: NodeKey,
    } = "explore", Read;
    /// Checks everything; answered with `doctor`.
    Doctor = "doctor", Read;
    /// What may be told to anybody who helps; answered with `report`.
    Report = "report", Read;
    /// The latest lines of the log, as far as the service keeps them; answered with `logs`.
    Logs {
        /// Only those after the line of this number; all when absent.
        #[serde(default)]
        after: Option<u64>,
        /// Only those that matter at least so much; all when absent.
        #[serde(default)]
        level: Option<LogLevel>,
    } = "logs", Read;
    /// Who the node is; answered with `identity`.
    IdentityShow = "identity_show", Read;
    /// What of the configuration clients can change; answered with `settings`.
    Settings = "settings", Read;
    /// Changes the configuration and applies it; answered with `settings`.
    SettingsChange {
        /// What to change.
        change: SettingsChange,
    } = "settings_change", Change;
    /// The friends in the order of their keys; answered with `friends`.
    FriendList {
        /// The `next` of the part before, or absent for the first.
        #[serde(default)]
        after: Option<NodeKey>,
    } = "friend_list", Read;
    /// The blocked keys in their order; answered with `blocked_keys`.
    FriendBlocked {
        /// The `next` of the part before, or absent for the first.
        #[serde(default)]
        after: Option<NodeKey>,
    } = "friend_blocked", Read;
    /// Adds a friend; answered with `friend`. The key of an address is asked of the network.
    FriendAdd {
        /// Key or address.
        who: Target,
        /// Its name here; made of the first digits of the key when absent.
        #[serde(default)]
        name: Option<FriendName>,
        /// Whether its echo requests are answered; yes when absent.
        #[serde(default)]
        echo: Option<bool>,
        /// What it may reach here besides; nothing when absent.
        #[serde(default)]
        services: Vec<LocalService>,
        /// Notes; none when absent.
        #[serde(default)]
        notes: String,
    } = "friend_add", Change;
    /// Removes a friend and its rights; answered with `friend` as it was.
    FriendRemove {
        /// Its key.
        key: NodeKey,
    } = "friend_remove", Change;
    /// Changes a friend; answered with `friend`.
    FriendChange {
        /// Its key.
        key: NodeKey,
        /// What to change.
        change: FriendChange,
    } = "friend_change", Change;
    /// Blocks a key, friend or not: nothing passes to or from it; answered with `blocked_key`.
    FriendBlock {
        /// The key.
        key: NodeKey,
        /// A name for a key that is no friend's.
        #[serde(default)]
        name: Option<FriendName>,
        /// Why.
        #[serde(default)]
        notes: String,
    } = "friend_block", Change;
    /// Ends a block; answered with `blocked_key` as it was.
    FriendUnblock {
        /// The key.
        key: NodeKey,
    } = "friend_unblock", Change;
    /// Adds the friends and blocked keys of a book, or of a piece of one, as far as they can be
    /// used; answered with `imported`.
    FriendImport {
        /// The book.
        book: FriendBook,
        /// Whether friends that are here already become as in the book.
        #[serde(default)]
        overwrite: bool,
    } = "friend_import", Change;
    /// Changes what is open to everyone; answered with `open`.
    OpenChange {
        /// What to open.
        #[serde(default)]
        allow: Vec<LocalService>,
        /// What to close: taken away before `allow` is added.
        #[serde(default)]
        deny: Vec<LocalService>,
    } = "open_change", Change;
    /// Makes the link of this node and listens to strangers who followed it for 48 hours; answered
    /// with `shared`.
    Share {
        /// A name to suggest.
        #[serde(default)]
        name: Option<FriendName>,
        /// Peers to suggest, at most 3; absent for those of this node that lie in the public
        /// internet.
        #[serde(default)]
        peers: Option<Vec<String>>,
    } = "share", Change;
    /// Lets nobody open anything on this computer; answered with `status`.
    Pause {
        /// For how long, in seconds, 1 to 31622400; until `resume` when absent.
        #[serde(default)]
        for_s: Option<u64>,
    } = "pause", Change;
    /// Ends the pause; answered with `status`.
    Resume = "resume", Change;
    /// The circles; answered with `circles`.
    CircleList = "circle_list", Read;
    /// A circle with its members; answered with `circle`.
    CircleShow {
        /// Which.
        circle: CircleId,
    } = "circle_show", Read;
    /// Begins a circle whose first member is this computer, without a key on paper; answered with
    /// `circle`.
    CircleCreate {
        /// Its name.
        name: FriendName,
    } = "circle_create", Change;
    /// Prepares what a key on paper is to sign; answered with `circle_draft`.
    CircleDraft {
        /// What.
        draft: CircleDraft,
    } = "circle_draft", Change;
    /// Takes a draft that was signed; answered with `circle`.
    CircleSubmit {
        /// The draft and its signature of 64 bytes, in Base64.
        operation: String,
    } = "circle_submit", Change;
    /// Changes a circle for all its members; answered with `circle`.
    CircleChange {
        /// Which.
        circle: CircleId,
        /// What to change.
        change: CircleChange,
    } = "circle_change", Change;
    /// Adds a node to a circle, or changes what a member may do in it; answered with `circle`. A
    /// node that is added has to agree.
    CircleAdd {
        /// Which circle.
        circle: CircleId,
        /// Whom.
        key: NodeKey,
        /// What it may do in the circle.
        role: MemberRole,
        /// What the circle calls it; the friend's name is not told when absent.
        #[serde(default)]
        label: Option<FriendName>,
    } = "circle_add", Change;
    /// Removes a member from a circle; answered with `circle`.
    CircleRemove {
        /// Which circle.
        circle: CircleId,
        /// Whom.
        key: NodeKey,
    } = "circle_remove", Change;
    /// Agrees to be a member of a circle; answered with `circle`.
    CircleAccept {
        /// Which.
        circle: CircleId,
    } = "circle_accept", Change;
    /// Leaves a circle, declines to join it, or gives up asking; answered with `circle`.
    CircleLeave {
        /// Which.
        circle: CircleId,
    } = "circle_leave", Change;
    /// Forgets a circle that this computer is no member of; answered with `circle` as it was.
    CircleForget {
        /// Which.
        circle: CircleId,
    } = "circle_forget", Change;
    /// Changes what a circle may reach on this computer; answered with `circle`.
    CircleAccess {
        /// Which.
        circle: CircleId,
        /// What to change.
        change: CircleAccessChange,
    } = "circle_access", Change;
    /// Changes what one member may reach on this computer besides its circles; answered with
    /// `circle`.
    MemberAccess {
        /// A circle that it belongs to.
        circle: CircleId,
        /// Whom.
        key: NodeKey,
        /// What it may reach from here on.
        #[serde(default)]
        allow: Vec<LocalService>,
        /// What it may no longer reach: taken away before `allow` is added.
        #[serde(default)]
        deny: Vec<LocalService>,
    } = "member_access", Change;
    /// Makes a link by which guests join a circle; answered with `invite`.
    InviteCreate {
        /// Which circle.
        circle: CircleId,
        /// What guests may do in it; member when absent.
        #[serde(default)]
        role: Option<MemberRole>,
        /// How many guests it lets in, 1 to 50; 1 when absent.
        #[serde(default)]
        uses: Option<u32>,
        /// For how long, in seconds, 60 to 2678400; 172800 when absent.
        #[serde(default)]
        valid_s: Option<u64>,
        /// Whether the person is asked before a guest is let in.
        #[serde(default)]
        asks: bool,
        /// Peers to suggest, at most 3; absent for those of this node that lie in the public
        /// internet.
        #[serde(default)]
        peers: Option<Vec<String>>,
    } = "invite_create", Change;
    /// The invites that this computer made; answered with `invites`.
    InviteList = "invite_list", Read;
    /// Takes an invite back; answered with `invite`.
    InviteRevoke {
        /// Its number.
        invite: u64,
    } = "invite_revoke", Change;
    /// Follows a link to join a circle; answered with `circle`, which is then asked for.
    CircleJoin {
        /// The link, `planetary:join?…`.
        link: String,
        /// What this computer calls itself to the circle; nothing when absent.
        #[serde(default)]
        label: Option<FriendName>,
    } = "circle_join", Change;
    /// Answers a question of the status; answered with `status`.
    QuestionAnswer {
        /// Its number.
        question: u64,
        /// The answer.
        answer: Answer,
        /// Which circle `circle` means; needed where the question names several.
        #[serde(default)]
        circle: Option<CircleId>,
    } = "question_answer", Change;
    /// Who reached what on this computer lately; answered with `visits`.
    VisitList = "visit_list", Read;
    /// Says whether nodes are looked for on a local network, and remembers it; answered with
    /// [`Reply::Status`].
    LanTrust {
        /// The network, as the status names it.
        network: String,
        /// Whether nodes are looked for on it.
        trusted: bool,
    } = "lan_trust", Change;
    /// The forwarded ports; answered with `forwards`.
    ForwardList = "forward_list", Read;
    /// Forwards a port from here on, and remembers it; answered with `forward`.
    ForwardAdd {
        /// What to forward.
        rule: ForwardRule,
    } = "forward_add", Change;
    /// Ends a forwarded port and its connections; answered with `forward`.
    ForwardRemove {
        /// Its number.
        forward: u64,
    } = "forward_remove", Change;
    /// A fresh key to seal one secret to; answered with `sealing_key`.
    SealingKey = "sealing_key", Admin;
    /// A piece of a sealed secret that is too long for one request, in order, all but the last;
    /// answered with `sealed_part`.
    SealedPart {
        /// The piece.
        secret: Sealed,
    } = "sealed_part", Admin;
    /// Makes a backup of the node's identity; answered with `backup`. Sealed:
    /// `{"passphrase"}`.
    IdentityExport {
        /// The passphrase.
        secret: Sealed,
    } = "identity_export", Admin;
    /// Takes the identity of a backup or a key file; answered with `identity_import`. Sealed:
    /// `{"passphrase", "text"}`.
    IdentityImport {
        /// The passphrase and the file.
        secret: Sealed,
        /// Whether to say only what would be done.
        #[serde(default)]
        dry_run: bool,
        /// Whether another identity may be replaced.
        #[serde(default)]
        replace: bool,
    } = "identity_import", Admin;
    /// Takes over the settings of another program; answered with `import`. Sealed: the settings.
    Import {
        /// The settings.
        secret: Sealed,
        /// Whether to say only what would be done.
        #[serde(default)]
        dry_run: bool,
        /// Whether another identity, and other values of settings, may be replaced.
        #[serde(default)]
        replace: bool,
        /// Whether the node keeps its identity and takes only the rest.
        #[serde(default)]
        keep_identity: bool,
    } = "import", Admin;
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
    /// The event `traffic`, once a second.
    Traffic,
    /// The event `topology`, when the topology changed.
    Topology,
    /// The event `friends`, when friends, blocked keys or who is online changed.
    Friends,
    /// The event `circles`, when circles, members, invites or visits changed.
    Circles,
    /// No event: the client shows the questions of a status to a person, so asking makes sense.
    /// While nobody has this topic, nobody is asked.
    Questions,
}

/// Answer to a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reply {
    /// To `status`, `up`, `down`, `pause`, `resume` and `question_answer`: the state after it.
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
    /// To `peer_add`, `peer_remove`, `peer_pause` and `peer_resume`: the peer as it is, or was,
    /// stored.
    Peer(PeerEntry),
    /// To `peer_public` and `peer_public_refresh`.
    PublicPeers(PublicPeers),
    /// To `peer_test`, `peer_choose`, `peer_job` and `peer_job_cancel`.
    PeerJob(PeerJob),
    /// To `topology`. A handler answers with the whole; the server cuts it into pages.
    Topology(Topology),
    /// To `path`.
    Path(PathReport),
    /// To `ping`.
    Ping(PingReport),
    /// To `explore`.
    Explored(Box<Explored>),
    /// To `doctor`.
    Doctor(DoctorReport),
    /// To `report`.
    Report(Box<SupportReport>),
    /// To `logs`.
    Logs(LogPage),
    /// To `identity_show`.
    Identity(Identity),
    /// To `settings` and `settings_change`: what the node runs with.
    Settings(Box<Settings>),
    /// To `friend_list`.
    Friends(FriendList),
    /// To `friend_blocked`.
    BlockedKeys(BlockedList),
    /// To `friend_add`, `friend_change` and `friend_remove`: the friend as it is, or was, stored.
    Friend(Friend),
    /// To `friend_block` and `friend_unblock`: the entry as it is, or was, stored.
    BlockedKey(BlockedKey),
    /// To `friend_import`.
    Imported(ImportReport),
    /// To `open_change`: all that is open to everyone.
    Open {
        /// The services.
        everyone: Vec<LocalService>,
    },
    /// To `share`.
    Shared(Shared),
    /// To `circle_list`.
    Circles(CircleList),
    /// To all other requests about one circle.
    Circle(Box<CircleDetails>),
    /// To `circle_draft`.
    CircleDraft {
        /// What is to be signed, in Base64.
        operation: String,
    },
    /// To `invite_create` and `invite_revoke`.
    Invite(Box<Invite>),
    /// To `invite_list`.
    Invites(InviteList),
    /// To `visit_list`.
    Visits(VisitList),
    /// To `forward_list`.
    Forwards(ForwardList),
    /// To `forward_add` and `forward_remove`: the forwarded port as it is, or was.
    Forward(Forward),
    /// To `sealing_key`.
    SealingKey(SealingKey),
    /// To `sealed_part`: it was kept.
    SealedPart,
    /// To `identity_export`.
    Backup(Backup),
    /// To `identity_import`.
    IdentityImport(Box<IdentityImport>),
    /// To `import`.
    Import(Box<SettingsImport>),
}

/// Something that changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The state changed in something that is not traffic; this is the whole new one.
    Status(Box<Status>),
    /// The moving part of the state, once a second. Only for the topic `traffic`.
    Traffic(Traffic),
    /// The topology changed; ask for it when it is on display. Only for the topic `topology`.
    Topology {
        /// Grows with every change.
        revision: u64,
    },
    /// Friends, blocked keys or who is online changed; ask for them when they are on display. Only
    /// for the topic `friends`.
    Friends {
        /// Grows with every change.
        revision: u64,
    },
    /// Circles, members, who of them is online, invites or visits changed; ask for them when they
    /// are on display. Only for the topic `circles`.
    Circles {
        /// Grows with every change.
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

impl ServerMessage {
    /// Reads a message of a server.
    ///
    /// # Errors
    /// What is wrong with it. The connection can go on when it was an answer: its request gets the
    /// error through [`ServerMessage::Error`] instead, so this is for the rest.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Members {
            hello: Option<Hello>,
            id: Option<u64>,
            ok: Option<Value>,
            error: Option<ApiError>,
            seq: Option<u64>,
            event: Option<Event>,
        }
        let members: Members = serde_json::from_slice(bytes)?;
        match members {
            Members { hello: Some(hello), .. } => Ok(Self::Hello { hello }),
            Members { id: Some(id), ok: Some(ok), .. } => Ok(match serde_json::from_value(ok) {
                Ok(ok) => Self::Ok { id, ok },
                Err(error) => Self::Error { id: Some(id), error: unreadable_answer(&error) },
            }),
            Members { id, error: Some(error), .. } => Ok(Self::Error { id, error }),
            Members { seq: Some(seq), event: Some(event), .. } => {
                Ok(Self::Update(Update { seq, event }))
            }
            _ => Err(serde::de::Error::custom("neither hello, answer nor update")),
        }
    }
}

fn unreadable_answer(error: &serde_json::Error) -> ApiError {
    ApiError::new(ErrorCode::VersionMismatch, format!("the answer cannot be understood: {error}"))
}

impl Request {
    /// Checks what the types do not: lengths and counts.
    ///
    /// # Errors
    /// The error to answer with.
    pub fn check(&self) -> Result<(), ApiError> {
        match self {
            Self::PeerAdd { uri, .. }
            | Self::PeerRemove { uri, .. }
            | Self::PeerPause { uri, .. }
            | Self::PeerResume { uri, .. } => check_uri(uri),
            Self::PeerPublic { filter } => filter.check(),
            Self::PeerTest { uris } => {
                peers::check_test(uris)?;
                uris.iter().try_for_each(|uri| check_uri(uri))
            }
            Self::PeerChoose { filter, best, .. } => {
                let most = limits::PEER_CHOICE_MAX;
                check_number("best", best.filter(|best| *best > 0).map(u64::from), most.into())?;
                filter.check()
            }
            Self::Ping { count, timeout_ms, .. } => {
                let counts = u64::from(limits::PING_COUNT_MAX);
                check_number("count", count.map(u64::from), counts)?;
                check_number("timeout_ms", *timeout_ms, limits::PING_TIMEOUT_MS_MAX)
            }
            Self::FriendAdd { services, notes, .. } => {
                friends::check_services(services)?;
                friends::check_notes(notes)
            }
            Self::FriendChange { change: FriendChange { notes, allow, deny, .. }, .. } => {
                friends::check_services(allow)?;
                friends::check_services(deny)?;
                notes.as_deref().map_or(Ok(()), friends::check_notes)
            }
            Self::OpenChange { allow, deny } => {
                friends::check_services(allow)?;
                friends::check_services(deny)
            }
            Self::FriendBlock { notes, .. } => friends::check_notes(notes),
            Self::Share { peers: Some(peers), .. } => {
                let count = peers.len() as u64;
                check_number("peers", Some(count.max(1)), limits::LINK_PEERS_MAX as u64)?;
                peers.iter().try_for_each(|uri| check_uri(uri))
            }
            Self::CircleChange { change: CircleChange { suggest: Some(services), .. }, .. } => {
                let count = services.len() as u64;
                check_number("suggest", Some(count.max(1)), limits::CIRCLE_SUGGESTED_MAX as u64)
            }
            Self::CircleAccess { change: CircleAccessChange { allow, deny, .. }, .. }
            | Self::MemberAccess { allow, deny, .. } => {
                friends::check_services(allow)?;
                friends::check_services(deny)
            }
            Self::InviteCreate { uses, valid_s, peers, .. } => {
                check_number("uses", uses.map(u64::from), limits::INVITE_USES_MAX.into())?;
                let (least, most) = (limits::INVITE_VALID_S_MIN, limits::INVITE_VALID_S_MAX);
                check_between("valid_s", *valid_s, least, most)?;
                let peers = peers.as_deref().unwrap_or_default();
                let count = peers.len() as u64;
                check_number("peers", Some(count.max(1)), limits::LINK_PEERS_MAX as u64)?;
                peers.iter().try_for_each(|uri| check_uri(uri))
            }
            Self::LanTrust { network, .. } if network.len() > limits::NETWORK_LEN_MAX => {
                Err(ApiError::new(ErrorCode::NetworkNotFound, "no network has such a long name"))
            }
            Self::ForwardAdd { rule } => rule.check(),
            Self::SettingsChange { change } => {
                change.check()?;
                let mut uris = change.listen_add.iter().chain(&change.listen_remove);
                uris.try_for_each(|uri| check_uri(uri))
            }
            Self::Pause { for_s } => check_number("for_s", *for_s, limits::PAUSE_S_MAX),
            _ => Ok(()),
        }
    }

    /// How long the service may take: the usual time, and what the request itself asks to wait.
    pub fn deadline(&self) -> Duration {
        match self {
            Self::Ping { count, timeout_ms, .. } => {
                let count = count.unwrap_or(1).min(limits::PING_COUNT_MAX);
                let wait = timeout_ms.unwrap_or(limits::PING_TIMEOUT_MS_DEFAULT);
                let wait = Duration::from_millis(wait.min(limits::PING_TIMEOUT_MS_MAX));
                limits::REQUEST_DEADLINE + wait + limits::PING_INTERVAL * count
            }
            Self::Explore { .. } => limits::EXPLORE_DEADLINE,
            Self::PeerPublicRefresh => limits::REQUEST_DEADLINE + limits::REFRESH_TIME,
            Self::IdentityExport { .. } | Self::IdentityImport { .. } => {
                limits::PASSPHRASE_DEADLINE
            }
            _ => limits::REQUEST_DEADLINE,
        }
    }

    /// Reads a request.
    ///
    /// # Errors
    /// The error to answer with.
    pub fn parse(value: Value) -> Result<Self, ApiError> {
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
        let bad_target = match value.get("target").or_else(|| value.get("who")) {
            Some(Value::String(target)) => target.parse::<Target>().err(),
            _ => None,
        };
        serde_json::from_value(value).map_err(|error| match bad_target {
            Some(error) => ApiError::new(ErrorCode::InvalidTarget, error.to_string()),
            None => invalid(format!("request `{name}`: {error}")),
        })
    }
}

fn check_uri(uri: &str) -> Result<(), ApiError> {
    if (1..=limits::URI_LEN_MAX).contains(&uri.len()) {
        return Ok(());
    }
    let text = format!("a URI of {} bytes, where 1 to {} fit", uri.len(), limits::URI_LEN_MAX);
    Err(ApiError::new(ErrorCode::InvalidUri, text))
}

fn check_number(name: &str, value: Option<u64>, max: u64) -> Result<(), ApiError> {
    check_between(name, value, 1, max)
}

fn check_between(name: &str, value: Option<u64>, min: u64, max: u64) -> Result<(), ApiError> {
    match value {
        Some(value) if !(min..=max).contains(&value) => {
            let text = format!("`{name}` is {value}, and must be {min} to {max}");
            Err(ApiError::new(ErrorCode::InvalidRequest, text))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(json: &str) -> (Option<u64>, ErrorCode, String) {
        let (id, error) = ClientMessage::parse(json.as_bytes()).unwrap_err();
        (id, error.code, error.message)
    }

    #[test]
    fn messages_of_a_client_are_read_as_they_are_written() {
        let hello = ClientHello { version: 1, lowest: 1, build: "test".into() };
        let target = Target::Address("200::1".parse().unwrap());
        let messages = [
            ClientMessage::Hello { hello },
            ClientMessage::Request { id: 0, request: Request::Status },
            ClientMessage::Request {
                id: u64::MAX,
                request: Request::Ping { target, count: Some(3), timeout_ms: None },
            },
            ClientMessage::Request {
                id: 1,
                request: Request::PeerAdd { uri: "tcp://a:1".into(), interface: None },
            },
        ];
        for message in messages {
            let json = serde_json::to_vec(&message).unwrap();
            assert_eq!(ClientMessage::parse(&json), Ok(message));
        }
    }

    #[test]
    fn members_with_a_default_may_be_absent_and_unknown_ones_are_ignored() {
        let json = br#"{"id":1,"new":1,"request":{"type":"ping","target":"200::1","new":[]}}"#;
        let expected = Request::Ping {
            target: Target::Address("200::1".parse().unwrap()),
            count: None,
            timeout_ms: None,
        };
        let parsed = ClientMessage::parse(json);
        assert_eq!(parsed, Ok(ClientMessage::Request { id: 1, request: expected }));
    }

    #[test]
    fn error_names_what_is_wrong_and_keeps_the_id() {
        use ErrorCode::{InvalidJson, InvalidRequest, InvalidTarget, UnknownRequest};
        for (json, id, code, part) in [
            ("{", None, InvalidJson, "not JSON"),
            ("[]", None, InvalidRequest, "not an object"),
            ("{}", None, InvalidRequest, "`id`"),
            (r#"{"id":-1,"request":{}}"#, None, InvalidRequest, "`id`"),
            (r#"{"id":1}"#, Some(1), InvalidRequest, "`request`"),
            (r#"{"id":1,"request":[]}"#, Some(1), InvalidRequest, "`type`"),
            (r#"{"id":1,"request":{"type":"x"}}"#, Some(1), UnknownRequest, "`x`"),
            (r#"{"id":1,"request":{"type":"path"}}"#, Some(1), InvalidRequest, "`target`"),
            (
                r#"{"id":1,"request":{"type":"path","target":"moon"}}"#,
                Some(1),
                InvalidTarget,
                "`moon` is neither",
            ),
            (r#"{"hello":{"version":1}}"#, None, InvalidRequest, "`lowest`"),
        ] {
            let (got_id, got_code, message) = error_of(json);
            assert_eq!((got_id, got_code), (id, code), "{json}");
            assert!(message.contains(part), "{json}: {message}");
        }
    }

    #[test]
    fn deeply_nested_json_is_an_error() {
        let json = "[".repeat(60_000);
        assert_eq!(error_of(&json).1, ErrorCode::InvalidJson);
    }

    #[test]
    fn update_of_a_newer_service_is_unknown_but_counted() {
        let json = br#"{"seq":9,"event":{"type":"moonrise","height":3}}"#;
        let update = Update { seq: 9, event: Event::Unknown };
        assert_eq!(ServerMessage::parse(json).unwrap(), ServerMessage::Update(update));
    }

    #[test]
    fn answer_of_a_newer_service_is_an_error_of_its_request() {
        let message = ServerMessage::parse(br#"{"id":4,"ok":{"type":"moon"}}"#).unwrap();
        let ServerMessage::Error { id: Some(4), error } = message else { panic!("{message:?}") };
        assert_eq!(error.code, ErrorCode::VersionMismatch);
    }

    #[test]
    fn versions_meet_where_both_accept_it() {
        assert_eq!(common_version((1, 1), (1, 1)), Some(1));
        assert_eq!(common_version((3, 1), (2, 2)), Some(2));
        assert_eq!(common_version((3, 3), (2, 1)), None);
        assert_eq!(common_version((1, 1), (5, 2)), None);
    }

    #[test]
    fn counts_and_lengths_are_checked() {
        let target = Target::Address("200::1".parse().unwrap());
        let ping = |count, timeout_ms| Request::Ping { target, count, timeout_ms }.check();
        assert_eq!(ping(None, None), Ok(()));
        assert_eq!(ping(Some(100), Some(30_000)), Ok(()));
        for (count, timeout_ms) in [(Some(0), None), (Some(101), None), (None, Some(0))] {
            assert_eq!(ping(count, timeout_ms).unwrap_err().code, ErrorCode::InvalidRequest);
        }
        let add = |uri: String| Request::PeerAdd { uri, interface: None }.check();
        assert_eq!(add("x".repeat(2_048)), Ok(()));
        assert_eq!(add("x".repeat(2_049)).unwrap_err().code, ErrorCode::InvalidUri);
        assert_eq!(add(String::new()).unwrap_err().code, ErrorCode::InvalidUri);
    }
}
