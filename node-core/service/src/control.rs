//! Answers to the requests of the control socket.
//!
//! Conversion and nothing else: what a request means is done by [`Node`], what a client reads is
//! made in `report`, and who may ask what is decided by the server before a request gets here. A
//! URI that a client names goes into the configuration file and to the dialler, an interface name
//! to the system's lookup; nothing a client names becomes a path or a command.

mod circles;
mod forwards;
mod friends;

use std::sync::Arc;
use std::time::Duration;

use planetary_ipc::endpoint::PeerCredentials;
use planetary_ipc::logs::LogLevel;
use planetary_ipc::{
    ApiError, ErrorCode, Handler, PathReport, PingReply, PingReport, Reply, Request, Status,
    Target, limits,
};
use planetary_proto::identity::{Address, NodeKey, Subnet as NodeSubnet};
use planetary_runtime::{AskError, Engine};
use tokio::task::JoinSet;
use tokio::time;

use crate::config::{EditError, Problem};
use crate::handover::{self, Desk};
use crate::node::{ChangeSettingsError, ExploreError, Node, SwitchError, TrustError};
use crate::public::{self, jobs};
use crate::report::{path, plain, topology};

/// How long a path is looked for: the server gives a request ten seconds, and an answer that says
/// "nobody answered" should be among the answers.
const PATH_PATIENCE: Duration = Duration::from_secs(8);

/// How long the key behind an address that answered is looked for: it is known then.
const KEY_PATIENCE: Duration = Duration::from_secs(1);

/// The service's side of the control socket.
#[derive(Clone, Debug)]
pub struct Control {
    node: Arc<Node>,
    desk: Arc<Desk>,
}

impl Control {
    /// Answers for `node`.
    #[must_use]
    pub fn new(node: Arc<Node>) -> Self {
        let desk = Arc::new(Desk::new(Arc::clone(&node)));
        Self { node, desk }
    }

    fn engine(&self) -> Result<Engine, ApiError> {
        let down = || ApiError::new(ErrorCode::NodeDown, "the node is switched off");
        self.node.engine().ok_or_else(down)
    }

    async fn find(&self, engine: &Engine, target: Target) -> Result<PathReport, ApiError> {
        let found = match target {
            Target::Key(key) => engine.find_key(core_key(key), PATH_PATIENCE).await,
            Target::Address(to) => engine.find_address(to, PATH_PATIENCE).await,
        };
        let found = found.map_err(|error| unanswered(target, error))?;
        let snapshot = engine.snapshot().await.map_err(|error| unanswered(target, error))?;
        let known = engine.topology().await.map_err(|error| unanswered(target, error))?;
        Ok(path::describe(target, &found, &snapshot, &known))
    }

    async fn topology(&self, engine: &Engine) -> Result<Reply, ApiError> {
        let failed = |error| ask_error("the topology", error);
        let snapshot = engine.snapshot().await.map_err(failed)?;
        let known = engine.topology().await.map_err(failed)?;
        let revision = self.node.status().borrow().topology_revision;
        let (friends, _) = self.node.friends();
        let name = |key: &planetary_ipc::NodeKey| {
            friends.friends().get(key).map(|friend| friend.name.clone())
        };
        let drawn = self.node.with_explored(|explored| {
            topology::draw(&known, snapshot.coords, revision, name, explored)
        });
        Ok(Reply::Topology(drawn))
    }

    /// Passes on an answer once the status shows what it says, so that the next request sees it. A
    /// change that failed counts as well: it may have stopped and started the node on the way.
    async fn told(&self, answer: Result<Reply, ApiError>) -> Result<Reply, ApiError> {
        self.node.publish().await;
        answer
    }
}

impl Handler for Control {
    async fn handle(&self, request: Request, caller: PeerCredentials) -> Result<Reply, ApiError> {
        match request {
            Request::Up => {
                self.node.up().await.map_err(switch_error)?;
                Ok(Reply::Status(Box::new(Status::clone(&*self.node.publish().await))))
            }
            Request::Down => {
                self.node.down().await.map_err(switch_error)?;
                Ok(Reply::Status(Box::new(Status::clone(&*self.node.publish().await))))
            }
            Request::PeerAdd { uri, interface } => {
                let entry = self.node.add_peer(&uri, interface.as_deref()).await;
                self.told(entry.map(Reply::Peer).map_err(edit_error)).await
            }
            Request::PeerRemove { uri, interface } => {
                let entry = self.node.remove_peer(&uri, interface.as_deref()).await;
                self.told(entry.map(Reply::Peer).map_err(edit_error)).await
            }
            Request::PeerPause { uri, interface } => {
                let entry = self.node.pause_peer(&uri, interface.as_deref(), true).await;
                self.told(entry.map(Reply::Peer)).await
            }
            Request::PeerResume { uri, interface } => {
                let entry = self.node.pause_peer(&uri, interface.as_deref(), false).await;
                self.told(entry.map(Reply::Peer)).await
            }
            Request::PeerPublic { filter } => {
                public::list(&self.node, Some(&filter)).map(Reply::PublicPeers)
            }
            Request::PeerPublicRefresh => {
                public::refresh(&self.node).await.map_err(|error| error.told())?;
                public::list(&self.node, None).map(Reply::PublicPeers)
            }
            Request::PeerTest { uris } => {
                self.engine()?;
                jobs::test(&self.node, caller, &uris).map(Reply::PeerJob)
            }
            Request::PeerChoose { filter, best, add } => {
                self.engine()?;
                let best = best.unwrap_or(limits::PEER_CHOICE_DEFAULT);
                jobs::choose(&self.node, caller, &filter, best, add).map(Reply::PeerJob)
            }
            Request::PeerJob { job, seen } => {
                self.node.public().jobs.ask(job, seen).await.map(Reply::PeerJob)
            }
            Request::PeerJobCancel { job, seen } => {
                self.node.public().jobs.cancel(job, seen).await.map(Reply::PeerJob)
            }
            Request::Topology { .. } => self.topology(&self.engine()?).await,
            Request::Path { target } => self.find(&self.engine()?, target).await.map(Reply::Path),
            Request::Explore { key } => {
                let engine = self.engine()?;
                let explored = self.node.explore(&engine, core_key(key)).await;
                let explored = explored.map(Box::new).map(Reply::Explored);
                self.told(explored.map_err(|error| explore_error(key, error))).await
            }
            Request::Ping { target, count, timeout_ms } => {
                let engine = self.engine()?;
                let wait = timeout_ms.unwrap_or(limits::PING_TIMEOUT_MS_DEFAULT);
                let wait = Duration::from_millis(wait);
                ping(engine, target, count.unwrap_or(1), wait).await.map(Reply::Ping)
            }
            Request::Doctor => {
                let busy = || ApiError::new(ErrorCode::Busy, "the node is too busy to be examined");
                self.node.examine().await.map(Reply::Doctor).ok_or_else(busy)
            }
            Request::Report => {
                let busy = || ApiError::new(ErrorCode::Busy, "the node is too busy to be examined");
                let report = self.node.report().await.ok_or_else(busy)?;
                Ok(Reply::Report(Box::new(report)))
            }
            Request::Logs { after, level } => {
                Ok(Reply::Logs(self.node.logs(after.unwrap_or(0), level.unwrap_or(LogLevel::Info))))
            }
            Request::Settings => Ok(Reply::Settings(Box::new(self.node.settings()))),
            Request::SettingsChange { change } => {
                let changed = self.node.change_settings(&change).await;
                let changed = changed.map(|settings| Reply::Settings(Box::new(settings)));
                self.told(changed.map_err(settings_error)).await
            }
            Request::IdentityShow => Ok(Reply::Identity(handover::identity(&self.node))),
            Request::SealingKey | Request::SealedPart { .. } | Request::IdentityExport { .. } => {
                self.desk.answer(request).await
            }
            Request::IdentityImport { .. } | Request::Import { .. } => {
                self.told(self.desk.answer(request).await).await
            }
            Request::LanTrust { network, trusted } => {
                self.node.trust_network(&network, trusted).await.map_err(trust_error)?;
                Ok(Reply::Status(Box::new(Status::clone(&*self.node.publish().await))))
            }
            request @ (Request::ForwardList
            | Request::ForwardAdd { .. }
            | Request::ForwardRemove { .. }) => self.answer_about_forwards(request).await,
            other if is_about_circles(&other) => self.answer_about_circles(other).await,
            other => self.answer_about_friends(other).await,
        }
    }

    async fn refresh(&self) {
        if !self.node.is_watched() {
            self.node.publish().await;
        }
    }

    fn clients_are_there(&self, clients: usize) {
        self.node.serve_clients(clients);
    }

    fn questions_are_shown(&self, clients: usize) {
        self.node.show_questions(clients);
    }
}

fn is_about_circles(request: &Request) -> bool {
    let name = request.name();
    ["circle_", "member_", "invite_", "question_", "visit_"]
        .iter()
        .any(|subject| name.starts_with(subject))
}

/// Sends the echo requests one a second and collects what comes back.
async fn ping(
    engine: Engine,
    target: Target,
    count: u32,
    wait: Duration,
) -> Result<PingReport, ApiError> {
    let to = match target {
        Target::Address(to) => to,
        Target::Key(key) => core_key(key).address().to_ipv6(),
    };
    if Address::from_ipv6(to).is_none() && NodeSubnet::containing(to).is_none() {
        return Err(unanswered(target, AskError::ForeignAddress(to)));
    }
    let mut echoes = JoinSet::new();
    for seq in 1..=count {
        let engine = engine.clone();
        echoes.spawn(async move {
            time::sleep(limits::PING_INTERVAL * (seq - 1)).await;
            (seq, engine.ping(to, wait).await)
        });
    }
    let mut replies = Vec::new();
    while let Some(echo) = echoes.join_next().await {
        // A task of ours neither panics nor is aborted while we wait for it.
        let Ok((seq, outcome)) = echo else { continue };
        let rtt_ms = match outcome {
            Ok(round_trip) => Some(round_trip.as_secs_f64() * 1e3),
            Err(AskError::Timeout) => None,
            Err(error) => return Err(unanswered(target, error)),
        };
        replies.push(PingReply { seq, rtt_ms });
    }
    replies.sort_by_key(|reply| reply.seq);
    let answered = replies.iter().any(|reply| reply.rtt_ms.is_some());
    let key = match target {
        Target::Key(key) => Some(key),
        Target::Address(to) if answered => {
            engine.find_address(to, KEY_PATIENCE).await.ok().map(|found| plain(&found.key))
        }
        Target::Address(_) => None,
    };
    Ok(PingReport::new(target, to, key, replies))
}

fn core_key(key: planetary_ipc::NodeKey) -> NodeKey {
    NodeKey::from_bytes(key.0)
}

pub(crate) fn switch_error(error: SwitchError) -> ApiError {
    use planetary_runtime::StartError::Tun;
    let hint = match &error {
        SwitchError::Engine(Tun(_)) => {
            "run the service as its installation does, or set tun.name = \"none\" in the \
             configuration"
        }
        SwitchError::Storage(_) => "free space on the disk, or check who owns the state folder",
        _ => "the service's log has more",
    };
    ApiError::new(ErrorCode::SystemRefused, error.to_string()).with_hint(hint)
}

pub(crate) fn edit_error(error: EditError) -> ApiError {
    let code = match &error {
        EditError::Uri(_) => ErrorCode::InvalidUri,
        EditError::Interface(_) => ErrorCode::InvalidRequest,
        EditError::Exists(_) => ErrorCode::PeerExists,
        EditError::NotFound(_) | EditError::Elsewhere { .. } => ErrorCode::PeerNotFound,
        EditError::Full => ErrorCode::PeerLimit,
        EditError::ListenerExists(_) => ErrorCode::ListenerExists,
        EditError::ListenerNotFound(_) => ErrorCode::ListenerNotFound,
        EditError::ListenersFull => ErrorCode::ListenerLimit,
        EditError::Refused(_) => ErrorCode::InvalidSetting,
        EditError::Wrong(_) | EditError::Gone { .. } | EditError::Unwritable { .. } => {
            ErrorCode::Config
        }
    };
    let told = ApiError::new(code, error.to_string());
    match error {
        EditError::Interface(_) => told.with_hint(
            "name the interface as the system does (`ip link` lists them on Linux), or leave out \
             --interface",
        ),
        EditError::Elsewhere { interface: Some(name), .. } => {
            told.with_hint(format!("add `--interface {name}`"))
        }
        // With one problem the advice is about that.
        EditError::Refused(problems) if problems.len() == 1 => {
            let Problem { key, what, remedy, .. } = &problems[0];
            ApiError::new(code, format!("{key}: {what}")).with_hint(remedy)
        }
        EditError::Elsewhere { interface: None, .. } => told.with_hint("leave out --interface"),
        _ => told,
    }
}

fn settings_error(error: ChangeSettingsError) -> ApiError {
    match error {
        ChangeSettingsError::Edit(EditError::Uri(error)) => {
            let told = ApiError::new(ErrorCode::InvalidUri, error.to_string());
            told.with_hint("a listener looks like tls://[::]:9001 or tcp://192.0.2.7:9002")
        }
        ChangeSettingsError::Edit(error) => edit_error(error),
        ChangeSettingsError::Start(error) => switch_error(error),
        error @ ChangeSettingsError::Listener(_) => {
            ApiError::new(ErrorCode::CannotListen, error.to_string())
        }
    }
}

fn trust_error(error: TrustError) -> ApiError {
    match error {
        TrustError::Unknown => {
            let told = ApiError::new(ErrorCode::NetworkNotFound, error.to_string());
            told.with_hint("`planetary lan` lists the networks that can be named")
        }
        TrustError::Storage(_) => ApiError::new(ErrorCode::SystemRefused, error.to_string())
            .with_hint("free space on the disk, or check who owns the state folder"),
    }
}

fn explore_error(key: planetary_ipc::NodeKey, error: ExploreError) -> ApiError {
    match error {
        ExploreError::Busy => {
            let told = ApiError::new(ErrorCode::Busy, error.to_string());
            told.with_hint("try again in a few seconds")
        }
        ExploreError::Blocked(_) => ApiError::new(ErrorCode::KeyBlocked, error.to_string()),
        ExploreError::Ask(error) => unanswered(Target::Key(key), error),
    }
}

fn unanswered(target: Target, error: AskError) -> ApiError {
    ask_error(&target.to_string(), error)
}

fn ask_error(what: &str, error: AskError) -> ApiError {
    let code = match error {
        AskError::Timeout => ErrorCode::Unreachable,
        AskError::Busy => ErrorCode::Busy,
        AskError::Stopped => ErrorCode::NodeDown,
        AskError::ForeignAddress(_) => ErrorCode::InvalidTarget,
        _ => ErrorCode::Internal,
    };
    ApiError::new(code, format!("{what}: {error}"))
}
