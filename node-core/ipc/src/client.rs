//! The client: requests with answers, and a stream of updates, over one connection.
//!
//! ```text
//!  Client (clone as you like) ── calls ──> writing task ──> service
//!                        ^── answers ──┐
//!  Updates (one)         <── updates ──┴── reading task <── service
//! ```
//!
//! The reading task waits for nothing but the socket: updates that [`Updates`] does not take in
//! time are dropped. It notices that by their numbers, as it notices `resync`, and then asks for
//! the whole state. So the stream is always right in the end, and a caller that wants no updates
//! just drops it.

mod handover;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time;

use crate::circles::{
    self, CircleAccessChange, CircleChange, CircleDetails, CircleDraft, CircleId, CircleList,
    Invite, InviteList, MemberRole, VisitList,
};
use crate::endpoint::{self, ReachError};
use crate::error::{ApiError, ErrorCode};
use crate::explore::Explored;
use crate::frame::{self, FrameError};
use crate::friends::{
    BlockedKey, Friend, FriendBook, FriendChange, FriendName, ImportReport, LocalService, Shared,
};
use crate::gateway::{Forward, ForwardList, ForwardRule};
use crate::health::DoctorReport;
use crate::identity::{Identity, NodeKey, Target};
use crate::limits;
use crate::logs::{LogLevel, LogPage};
use crate::message::{
    ClientHello, ClientMessage, Event, Hello, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN, Reply,
    Request, ServerMessage, Topic, Update, common_version,
};
use crate::peers::{PeerJob, PublicFilter, PublicPeers};
use crate::report::{PathReport, PingReport};
use crate::secret::{Sealed, SealingKey};
use crate::settings::{Settings, SettingsChange};
use crate::status::{PeerEntry, Status};
use crate::support::SupportReport;
use crate::topology::Topology;

/// Calls that wait to be written.
const CALLS_WAITING_MAX: usize = 16;

/// How much longer than the service's own deadline a client waits, so that the service's reason is
/// heard before the client gives up.
const GRACE: time::Duration = time::Duration::from_secs(2);

/// A connection to the service. Clones share it; it closes when the last one goes.
#[derive(Clone, Debug)]
pub struct Client {
    calls: mpsc::Sender<Call>,
    hello: Arc<Hello>,
}

/// What changes in the service. Dropping it is fine: the updates are thrown away.
#[derive(Debug)]
pub struct Updates {
    client: Client,
    queue: mpsc::Receiver<Update>,
    /// Set by the reading task when it dropped an update.
    dropped: Arc<AtomicBool>,
    /// Whether the whole state is to be asked for before anything else is given out.
    lost: bool,
    /// Number of the last update that was given out.
    seq: u64,
}

/// Why no connection was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The service cannot be reached, or is not to be trusted.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// The service turned the client away.
    #[error("the service refused the connection: {0}")]
    Refused(#[source] ApiError),
    /// Client and service share no version of the API: one of them is much older.
    #[error(
        "the service ({build}) speaks versions {lowest} to {version} of the control API, \
         this client {PROTOCOL_VERSION_MIN} to {PROTOCOL_VERSION}"
    )]
    Version {
        /// The service's program and version.
        build: String,
        /// Oldest version the service accepts.
        lowest: u32,
        /// Newest version the service speaks.
        version: u32,
    },
    /// What listens there does not speak this API, or not within the deadline.
    #[error("what listens there did not greet as the service does")]
    NoHello,
}

impl ConnectError {
    /// Stable name of what is wrong, for programs: the client's own words `stopped`,
    /// `no_permission`, `version_mismatch`, `untrusted` and `unreachable`, or the service's code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Reach(ReachError::NotFound { .. } | ReachError::NotListening { .. }) => "stopped",
            Self::Reach(ReachError::PermissionDenied { .. }) => "no_permission",
            Self::Reach(ReachError::Untrusted { .. }) => "untrusted",
            Self::Reach(ReachError::Io { .. }) | Self::NoHello => "unreachable",
            Self::Refused(error) if error.code == ErrorCode::PermissionDenied => "no_permission",
            Self::Refused(error) => error.code.name(),
            Self::Version { .. } => "version_mismatch",
        }
    }

    /// What the person can do about it.
    pub fn hint(&self) -> Option<&str> {
        Some(match self {
            Self::Reach(ReachError::NotFound { .. } | ReachError::NotListening { .. }) => {
                START_THE_SERVICE
            }
            Self::Reach(ReachError::PermissionDenied { .. }) => {
                ErrorCode::PermissionDenied.hint()?
            }
            Self::Reach(ReachError::Untrusted { .. }) => {
                "only root, your own account and `planetary` may run the service; name the right \
                 socket with --control"
            }
            Self::Reach(ReachError::Io { .. }) | Self::NoHello => {
                "check that --control or PLANETARY_CONTROL names the socket of planetaryd"
            }
            Self::Refused(error) => return error.hint.as_deref(),
            Self::Version { .. } => ErrorCode::VersionMismatch.hint()?,
        })
    }
}

/// How a stopped service is started.
const START_THE_SERVICE: &str = if cfg!(target_os = "linux") {
    "start the service with `sudo systemctl start planetaryd`, or your own with `planetaryd run`"
} else {
    "start the service `planetaryd`, or your own with `planetaryd run`"
};

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The service said no.
    #[error(transparent)]
    Refused(#[from] ApiError),
    /// The connection ended before the answer came. Connect again.
    #[error("the connection to the service was lost")]
    Lost,
    /// The service answered something else than was asked. It is of another release.
    #[error("the service gave an answer to another question")]
    Unexpected,
}

impl RequestError {
    /// The code of the service's error, or `None` when the service said nothing.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused(error) => Some(error.code),
            Self::Lost | Self::Unexpected => None,
        }
    }
}

/// Connects to the service that listens on `path`; `build` names the program for the service's log.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(path: &Path, build: &str) -> Result<(Client, Updates), ConnectError> {
    let stream = endpoint::connect(path).await?;
    over(stream, build).await
}

/// Greets over a stream that is connected already.
///
/// # Errors
/// All of [`ConnectError`] but the first.
pub async fn over<S>(stream: S, build: &str) -> Result<(Client, Updates), ConnectError>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (mut input, mut output) = tokio::io::split(stream);
    let greeting = greet(&mut input, &mut output, build);
    let hello = time::timeout(limits::HELLO_DEADLINE, greeting)
        .await
        .unwrap_or(Err(ConnectError::NoHello))?;
    let (calls, call_queue) = mpsc::channel(CALLS_WAITING_MAX);
    let (updates, queue) = mpsc::channel(limits::UPDATES_WAITING_MAX);
    let dropped = Arc::new(AtomicBool::new(false));
    let waiting = Waiting::default();
    let reader = Reader { waiting: Arc::clone(&waiting), updates, dropped: Arc::clone(&dropped) };
    let reading = tokio::spawn(reader.run(input));
    tokio::spawn(write_calls(output, call_queue, waiting, reading));
    let seq = hello.seq;
    let client = Client { calls, hello: Arc::new(hello) };
    Ok((client.clone(), Updates { client, queue, dropped, lost: false, seq }))
}

async fn greet<R, W>(input: &mut R, output: &mut W, build: &str) -> Result<Hello, ConnectError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let hello = ClientHello {
        version: PROTOCOL_VERSION,
        lowest: PROTOCOL_VERSION_MIN,
        build: build.to_owned(),
    };
    let ours = ClientMessage::Hello { hello };
    // A service that turns us away closes at once, but has said why before: so this may fail.
    let sent = frame::write(output, &ours, limits::CLIENT_FRAME_LEN_MAX).await;
    let body = match frame::read(input, limits::SERVER_FRAME_LEN_MAX).await {
        Ok(Some(body)) => body,
        got => {
            tracing::debug!(?sent, ?got, "no hello");
            return Err(ConnectError::NoHello);
        }
    };
    let hello = match ServerMessage::parse(&body) {
        Ok(ServerMessage::Hello { hello }) => hello,
        Ok(ServerMessage::Error { id: None, error }) => return Err(ConnectError::Refused(error)),
        Ok(_) => return Err(ConnectError::NoHello),
        Err(error) => {
            tracing::debug!(%error, "unreadable hello");
            return Err(unreadable_hello(&body));
        }
    };
    let ours = (PROTOCOL_VERSION, PROTOCOL_VERSION_MIN);
    match common_version(ours, (hello.version, hello.lowest)) {
        Some(_) => Ok(hello),
        None => Err(ConnectError::Version {
            build: hello.build,
            lowest: hello.lowest,
            version: hello.version,
        }),
    }
}

/// Tells a hello of another version, whose state need not look like ours, from no hello at all.
fn unreadable_hello(body: &[u8]) -> ConnectError {
    #[derive(serde::Deserialize)]
    struct Greeting {
        hello: ClientHello,
    }
    match serde_json::from_slice(body) {
        Ok(Greeting { hello: ClientHello { version, lowest, build } }) => {
            ConnectError::Version { build, lowest, version }
        }
        Err(_) => ConnectError::NoHello,
    }
}

impl Client {
    /// What the service said when the connection was made: its version, and its state back then.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Makes a request and waits for its answer.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn request(&self, request: Request) -> Result<Reply, RequestError> {
        let deadline = request.deadline() + GRACE;
        let name = request.name();
        let (answer, answered) = oneshot::channel();
        let call = async {
            let sent = self.calls.send(Call { request, answer }).await;
            sent.map_err(|_| RequestError::Lost)?;
            answered.await.map_err(|_| RequestError::Lost)?.map_err(RequestError::Refused)
        };
        time::timeout(deadline, call).await.unwrap_or_else(|_| {
            let text = format!("`{name}` was not answered within {} s", deadline.as_secs());
            Err(ApiError::new(ErrorCode::DeadlineExceeded, text).into())
        })
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.calls.is_closed()
    }
}

/// One method per request, each giving the one reply that fits. All fail with [`RequestError`].
macro_rules! requests {
    ($($(#[$doc:meta])+ $method:ident($($name:ident: $type:ty),*) -> $answer:ty
        = $request:expr => $pattern:pat => $value:expr;)+) => {
        impl Client {
            $(
                $(#[$doc])+
                ///
                /// # Errors
                /// See [`RequestError`].
                pub async fn $method(&self, $($name: $type),*) -> Result<$answer, RequestError> {
                    match self.request($request).await? {
                        $pattern => Ok($value),
                        _ => Err(RequestError::Unexpected),
                    }
                }
            )+
        }
    };
}

requests! {
    /// The whole state.
    status() -> Box<Status> = Request::Status => Reply::Status(status) => status;
    /// Brings the node up; gives the state after it.
    up() -> Box<Status> = Request::Up => Reply::Status(status) => status;
    /// Takes the node down; gives the state after it.
    down() -> Box<Status> = Request::Down => Reply::Status(status) => status;
    /// Chooses the updates that come beside those of the state.
    subscribe(topics: Vec<Topic>) -> Vec<Topic>
        = Request::Subscribe { topics } => Reply::Subscribed { topics } => topics;
    /// Adds a peer; gives what was stored.
    add_peer(uri: String, interface: Option<String>) -> PeerEntry
        = Request::PeerAdd { uri, interface } => Reply::Peer(entry) => entry;
    /// Removes a peer; gives what was stored.
    remove_peer(uri: String, interface: Option<String>) -> PeerEntry
        = Request::PeerRemove { uri, interface } => Reply::Peer(entry) => entry;
    /// Pauses a peer; gives what was stored.
    pause_peer(uri: String, interface: Option<String>) -> PeerEntry
        = Request::PeerPause { uri, interface } => Reply::Peer(entry) => entry;
    /// Dials a paused peer again; gives what was stored.
    resume_peer(uri: String, interface: Option<String>) -> PeerEntry
        = Request::PeerResume { uri, interface } => Reply::Peer(entry) => entry;
    /// The public peers that match.
    public_peers(filter: PublicFilter) -> PublicPeers
        = Request::PeerPublic { filter } => Reply::PublicPeers(peers) => peers;
    /// Fetches the list of public peers anew.
    refresh_public_peers() -> PublicPeers
        = Request::PeerPublicRefresh => Reply::PublicPeers(peers) => peers;
    /// Starts to test peers.
    test_peers(uris: Vec<String>) -> PeerJob
        = Request::PeerTest { uris } => Reply::PeerJob(job) => job;
    /// Starts to choose public peers.
    choose_peers(filter: PublicFilter, best: Option<u32>, add: bool) -> PeerJob
        = Request::PeerChoose { filter, best, add } => Reply::PeerJob(job) => job;
    /// How a job goes.
    peer_job(job: u64, seen: u64) -> PeerJob
        = Request::PeerJob { job, seen } => Reply::PeerJob(job) => job;
    /// Ends a job early.
    cancel_peer_job(job: u64, seen: u64) -> PeerJob
        = Request::PeerJobCancel { job, seen } => Reply::PeerJob(job) => job;
    /// The way to a node.
    path(target: Target) -> PathReport = Request::Path { target } => Reply::Path(path) => path;
    /// Sends echo requests, one a second.
    ping(target: Target, count: Option<u32>, timeout_ms: Option<u64>) -> PingReport
        = Request::Ping { target, count, timeout_ms } => Reply::Ping(report) => report;
    /// Asks a node about itself and its neighbours.
    explore(key: NodeKey) -> Box<Explored>
        = Request::Explore { key } => Reply::Explored(explored) => explored;
    /// What is right and what is wrong.
    doctor() -> DoctorReport = Request::Doctor => Reply::Doctor(report) => report;
    /// What may be told to anybody who helps.
    report() -> Box<SupportReport> = Request::Report => Reply::Report(report) => report;
    /// The latest lines of the log.
    logs(after: Option<u64>, level: Option<LogLevel>) -> LogPage
        = Request::Logs { after, level } => Reply::Logs(page) => page;
    /// Who the node is.
    identity() -> Identity = Request::IdentityShow => Reply::Identity(identity) => identity;
    /// What of the configuration can be changed.
    settings() -> Box<Settings> = Request::Settings => Reply::Settings(settings) => settings;
    /// Changes the configuration; gives what the node runs with from here on.
    change_settings(change: SettingsChange) -> Box<Settings>
        = Request::SettingsChange { change } => Reply::Settings(settings) => settings;
    /// Adds a friend by its key or address; gives what was stored.
    add_friend(
        who: Target,
        name: Option<FriendName>,
        echo: Option<bool>,
        services: Vec<LocalService>,
        notes: String
    ) -> Friend
        = Request::FriendAdd { who, name, echo, services, notes }
            => Reply::Friend(friend) => friend;
    /// Removes a friend; gives what was stored.
    remove_friend(key: NodeKey) -> Friend
        = Request::FriendRemove { key } => Reply::Friend(friend) => friend;
    /// Changes a friend; gives what is stored.
    change_friend(key: NodeKey, change: FriendChange) -> Friend
        = Request::FriendChange { key, change } => Reply::Friend(friend) => friend;
    /// Blocks a key; gives what is stored.
    block(key: NodeKey, name: Option<FriendName>, notes: String) -> BlockedKey
        = Request::FriendBlock { key, name, notes } => Reply::BlockedKey(blocked) => blocked;
    /// Ends a block; gives what was stored.
    unblock(key: NodeKey) -> BlockedKey
        = Request::FriendUnblock { key } => Reply::BlockedKey(blocked) => blocked;
    /// Opens and closes services to everyone; gives all that is open.
    change_open(allow: Vec<LocalService>, deny: Vec<LocalService>) -> Vec<LocalService>
        = Request::OpenChange { allow, deny } => Reply::Open { everyone } => everyone;
    /// Makes the link of this node.
    share(name: Option<FriendName>, peers: Option<Vec<String>>) -> Shared
        = Request::Share { name, peers } => Reply::Shared(shared) => shared;
    /// Lets nobody open anything, for so many seconds or until told otherwise; gives the state
    /// after it.
    pause(for_s: Option<u64>) -> Box<Status>
        = Request::Pause { for_s } => Reply::Status(status) => status;
    /// Ends the pause; gives the state after it.
    resume() -> Box<Status> = Request::Resume => Reply::Status(status) => status;
    /// The circles by name.
    circles() -> CircleList = Request::CircleList => Reply::Circles(list) => list;
    /// A circle with its members.
    circle(circle: CircleId) -> Box<CircleDetails>
        = Request::CircleShow { circle } => Reply::Circle(details) => details;
    /// Begins a circle without a key on paper.
    create_circle(name: FriendName) -> Box<CircleDetails>
        = Request::CircleCreate { name } => Reply::Circle(details) => details;
    /// What a key on paper is to sign, in Base64.
    draft_circle(draft: CircleDraft) -> String
        = Request::CircleDraft { draft } => Reply::CircleDraft { operation } => operation;
    /// Hands in what a key on paper signed.
    submit_circle(operation: String) -> Box<CircleDetails>
        = Request::CircleSubmit { operation } => Reply::Circle(details) => details;
    /// Changes a circle for all its members.
    change_circle(circle: CircleId, change: CircleChange) -> Box<CircleDetails>
        = Request::CircleChange { circle, change } => Reply::Circle(details) => details;
    /// Adds a node to a circle, or changes what a member may do in it.
    add_member(
        circle: CircleId,
        key: NodeKey,
        role: MemberRole,
        label: Option<FriendName>
    ) -> Box<CircleDetails>
        = Request::CircleAdd { circle, key, role, label } => Reply::Circle(details) => details;
    /// Removes a member from a circle.
    remove_member(circle: CircleId, key: NodeKey) -> Box<CircleDetails>
        = Request::CircleRemove { circle, key } => Reply::Circle(details) => details;
    /// Agrees to be a member.
    accept_circle(circle: CircleId) -> Box<CircleDetails>
        = Request::CircleAccept { circle } => Reply::Circle(details) => details;
    /// Leaves a circle, declines to join it, or gives up asking.
    leave_circle(circle: CircleId) -> Box<CircleDetails>
        = Request::CircleLeave { circle } => Reply::Circle(details) => details;
    /// Forgets a circle; gives what it was.
    forget_circle(circle: CircleId) -> Box<CircleDetails>
        = Request::CircleForget { circle } => Reply::Circle(details) => details;
    /// Changes what a circle may reach on this computer.
    change_circle_access(circle: CircleId, change: CircleAccessChange) -> Box<CircleDetails>
        = Request::CircleAccess { circle, change } => Reply::Circle(details) => details;
    /// Changes what one member may reach besides.
    change_member_access(
        circle: CircleId,
        key: NodeKey,
        allow: Vec<LocalService>,
        deny: Vec<LocalService>
    ) -> Box<CircleDetails>
        = Request::MemberAccess { circle, key, allow, deny } => Reply::Circle(details) => details;
    /// Makes a link by which guests join a circle.
    create_invite(
        circle: CircleId,
        role: Option<MemberRole>,
        uses: Option<u32>,
        valid_s: Option<u64>,
        asks: bool,
        peers: Option<Vec<String>>
    ) -> Box<Invite>
        = Request::InviteCreate { circle, role, uses, valid_s, asks, peers }
            => Reply::Invite(invite) => invite;
    /// The invites that this computer made, the latest first.
    invites() -> InviteList = Request::InviteList => Reply::Invites(list) => list;
    /// Takes an invite back.
    revoke_invite(invite: u64) -> Box<Invite>
        = Request::InviteRevoke { invite } => Reply::Invite(invite) => invite;
    /// Follows a link to join a circle.
    join_circle(link: String, label: Option<FriendName>) -> Box<CircleDetails>
        = Request::CircleJoin { link, label } => Reply::Circle(details) => details;
    /// Answers a question; gives the state after it.
    answer_question(question: u64, answer: circles::Answer, circle: Option<CircleId>)
        -> Box<Status>
        = Request::QuestionAnswer { question, answer, circle } => Reply::Status(status) => status;
    /// Who reached what on this computer lately, the latest first.
    visits() -> VisitList = Request::VisitList => Reply::Visits(list) => list;
    /// Says whether nodes are looked for on a local network.
    trust_network(network: &str, trusted: bool) -> Box<Status>
        = Request::LanTrust { network: network.to_owned(), trusted }
        => Reply::Status(status) => status;
    /// The forwarded ports.
    forwards() -> ForwardList = Request::ForwardList => Reply::Forwards(list) => list;
    /// Forwards a port.
    add_forward(rule: ForwardRule) -> Forward
        = Request::ForwardAdd { rule } => Reply::Forward(forward) => forward;
    /// Ends a forwarded port.
    remove_forward(forward: u64) -> Forward
        = Request::ForwardRemove { forward } => Reply::Forward(forward) => forward;
    /// A key to seal a secret to.
    sealing_key() -> SealingKey = Request::SealingKey => Reply::SealingKey(key) => key;
    /// Sends a piece of a sealed secret ahead.
    sealed_part(secret: Sealed) -> ()
        = Request::SealedPart { secret } => Reply::SealedPart => ();
}

impl Client {
    /// All friends in the order of their keys, and what is open to everyone.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn friends(&self) -> Result<(Vec<Friend>, Vec<LocalService>), RequestError> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let Reply::Friends(list) = self.request(Request::FriendList { after }).await? else {
                return Err(RequestError::Unexpected);
            };
            all.extend(list.friends);
            after = further(after, list.next)?;
            if after.is_none() {
                return Ok((all, list.everyone));
            }
        }
    }

    /// All blocked keys in their order.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn blocked(&self) -> Result<Vec<BlockedKey>, RequestError> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let request = Request::FriendBlocked { after };
            let Reply::BlockedKeys(list) = self.request(request).await? else {
                return Err(RequestError::Unexpected);
            };
            all.extend(list.blocked);
            after = further(after, list.next)?;
            if after.is_none() {
                return Ok(all);
            }
        }
    }

    /// Friends and blocked keys as a book.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn export_friends(&self) -> Result<FriendBook, RequestError> {
        let (friends, _) = self.friends().await?;
        Ok(FriendBook::new(friends, self.blocked().await?))
    }

    /// Adds the friends and blocked keys of a book, piece by piece.
    ///
    /// # Errors
    /// See [`RequestError`]; the pieces before the one that failed are stored.
    pub async fn import_friends(
        &self,
        book: FriendBook,
        overwrite: bool,
    ) -> Result<ImportReport, RequestError> {
        let mut report = ImportReport::default();
        for book in book.pieces(limits::BOOK_PIECE_LEN_MAX) {
            match self.request(Request::FriendImport { book, overwrite }).await? {
                Reply::Imported(part) => report.join(part),
                _ => return Err(RequestError::Unexpected),
            }
        }
        Ok(report)
    }
}

/// Where to go on in a list; one that does not get ahead would never end.
fn further(after: Option<NodeKey>, next: Option<NodeKey>) -> Result<Option<NodeKey>, RequestError> {
    match next {
        Some(_) if next <= after => Err(RequestError::Unexpected),
        next => Ok(next),
    }
}

impl Client {
    /// The whole topology, all pages of it.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn topology(&self) -> Result<Topology, RequestError> {
        let mut whole = self.topology_page(0).await?;
        for page in 1..whole.pages {
            let next = self.topology_page(page).await?;
            if (next.page, next.revision) != (page, whole.revision) {
                return Err(RequestError::Unexpected);
            }
            whole.append(next);
        }
        whole.pages = 1;
        Ok(whole)
    }

    async fn topology_page(&self, page: u32) -> Result<Topology, RequestError> {
        match self.request(Request::Topology { page }).await? {
            Reply::Topology(topology) => Ok(topology),
            _ => Err(RequestError::Unexpected),
        }
    }

    async fn resync(&self) -> Result<(u64, Box<Status>), RequestError> {
        match self.request(Request::Resync).await? {
            Reply::State { seq, status } => Ok((seq, status)),
            _ => Err(RequestError::Unexpected),
        }
    }
}

impl Updates {
    /// The connection these updates come from.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Waits for the next update. After a loss this is the whole state ([`Event::Status`]).
    /// [`Event::Resync`] is dealt with here and never given out.
    ///
    /// Safe to cancel.
    ///
    /// # Errors
    /// [`RequestError::Lost`] when the connection has ended; it does not come back.
    pub async fn next(&mut self) -> Result<Update, RequestError> {
        loop {
            if self.lost || (self.queue.is_empty() && self.dropped.load(Ordering::Acquire)) {
                return self.start_over().await;
            }
            let update = self.queue.recv().await.ok_or(RequestError::Lost)?;
            if update.seq <= self.seq {
                // Older than the state that was asked for in between.
                continue;
            }
            if update.seq != self.seq + 1 || update.event == Event::Resync {
                self.lost = true;
                continue;
            }
            self.seq = update.seq;
            return Ok(update);
        }
    }

    async fn start_over(&mut self) -> Result<Update, RequestError> {
        // What is dropped from here on may be newer than the answer, so the mark goes before the
        // question; `lost` stays until there is an answer, should the question be cancelled.
        self.lost = true;
        self.dropped.store(false, Ordering::Release);
        let (seq, status) = self.client.resync().await?;
        self.lost = false;
        self.seq = seq;
        Ok(Update { seq, event: Event::Status(status) })
    }
}

/// A request on its way to the service.
#[derive(Debug)]
struct Call {
    request: Request,
    answer: Answer,
}

type Answer = oneshot::Sender<Result<Reply, ApiError>>;

/// The requests that have no answer yet, by their numbers.
type Waiting = Arc<Mutex<HashMap<u64, Answer>>>;

fn lock(waiting: &Waiting) -> MutexGuard<'_, HashMap<u64, Answer>> {
    // Each use is one insertion or removal, so the map is whole even after a panic elsewhere.
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

fn give(waiting: &Waiting, id: u64, answer: Result<Reply, ApiError>) {
    let receiver = lock(waiting).remove(&id);
    if let Some(receiver) = receiver {
        // Nobody waits any more when the caller gave up.
        let _ = receiver.send(answer);
    }
}

/// Puts what comes in where it belongs.
struct Reader {
    waiting: Waiting,
    updates: mpsc::Sender<Update>,
    dropped: Arc<AtomicBool>,
}

impl Reader {
    async fn run<S: AsyncRead>(self, mut input: ReadHalf<S>) {
        while let Ok(Some(body)) = frame::read(&mut input, limits::SERVER_FRAME_LEN_MAX).await {
            match ServerMessage::parse(&body) {
                Ok(message) => self.take(message),
                Err(error) => tracing::warn!(%error, "the service sent something unknown"),
            }
        }
    }

    fn take(&self, message: ServerMessage) {
        match message {
            ServerMessage::Ok { id, ok } => give(&self.waiting, id, Ok(ok)),
            ServerMessage::Error { id: Some(id), error } => give(&self.waiting, id, Err(error)),
            ServerMessage::Error { id: None, error } => {
                tracing::debug!(code = %error.code, "the service is about to close");
                // Whoever waits hears the reason rather than the end.
                for (_, receiver) in lock(&self.waiting).drain() {
                    let _ = receiver.send(Err(error.clone()));
                }
            }
            ServerMessage::Update(update) => {
                if let Err(mpsc::error::TrySendError::Full(_)) = self.updates.try_send(update) {
                    self.dropped.store(true, Ordering::Release);
                }
            }
            ServerMessage::Hello { .. } => tracing::debug!("the service said hello twice"),
        }
    }
}

/// Writes requests until all clients are dropped or the service closes.
async fn write_calls<S: AsyncWrite>(
    mut output: WriteHalf<S>,
    mut calls: mpsc::Receiver<Call>,
    waiting: Waiting,
    mut reading: JoinHandle<()>,
) {
    for id in 1.. {
        let call = tokio::select! {
            call = calls.recv() => call,
            _ = &mut reading => break,
        };
        let Some(Call { request, answer }) = call else { break };
        {
            let mut waiting = lock(&waiting);
            waiting.retain(|_, receiver| !receiver.is_closed());
            waiting.insert(id, answer);
        }
        let message = ClientMessage::Request { id, request };
        let sending = frame::write(&mut output, &message, limits::CLIENT_FRAME_LEN_MAX);
        match time::timeout(limits::WRITE_DEADLINE, sending).await {
            Ok(Ok(())) => {}
            Ok(Err(error @ FrameError::Length { .. })) => {
                let error = ApiError::new(ErrorCode::FrameTooLarge, error.to_string());
                give(&waiting, id, Err(error));
            }
            Ok(Err(_)) | Err(_) => {
                // What the service said before it closed is still to be read.
                let _ = time::timeout(GRACE, &mut reading).await;
                break;
            }
        }
    }
    reading.abort();
    lock(&waiting).clear();
}

#[cfg(test)]
mod tests;
