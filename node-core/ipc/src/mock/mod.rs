//! A service without a node: a small network that lives in memory and answers every request.
//!
//! Command line and app are built and tested against it, with no root, no TUN and no network. It is
//! deterministic: time moves only with [`Mock::tick`], so the same calls give the same answers.
//! Nothing here is simulated faithfully; what matters is that every member of every answer is
//! filled as a real node would fill it, and that something happens:
//!
//! ```text
//! second  0  starting, nobody asked yet           40, 100, …  the third peer is suspect
//!         1  the first peer, place in the tree    42, 102, …  and gone, for 8 seconds
//!         2  connected                            90, 210, …  the parent is gone, for 10 seconds:
//!         4  a neighbour dials in                             degraded, another place in the tree
//! ```
//!
//! What happens in its circles stands in `circles.rs`.

mod circles;
mod explore;
mod friends;
mod handover;
mod peer;
mod public;
mod roads;
mod settings;
mod support;
mod world;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::endpoint::{BindError, Listener, PeerCredentials};
use crate::error::{ApiError, ErrorCode};
use crate::logs::LogLevel;
use crate::message::{Reply, Request};
use crate::secret::SealingKeys;
use crate::server::{self, Handler, Service};
use crate::status::Status;

pub use circles::PAPER;

use world::World;

/// The service without a node.
#[derive(Debug)]
pub struct Mock {
    world: Mutex<World>,
    keys: Mutex<SealingKeys>,
    status: watch::Sender<Arc<Status>>,
}

impl Mock {
    /// A service that has just been started.
    pub fn new() -> Arc<Self> {
        let world = World::new();
        let status = watch::Sender::new(Arc::new(world.status()));
        Arc::new(Self { world: Mutex::new(world), keys: Mutex::default(), status })
    }

    /// A service that was started half a minute ago and is well connected.
    pub fn settled() -> Arc<Self> {
        Self::after(30)
    }

    /// A service that was started so many seconds ago.
    pub fn after(seconds: u64) -> Arc<Self> {
        let mock = Self::new();
        (0..seconds).for_each(|_| mock.tick());
        mock
    }

    /// Lets a second pass.
    pub fn tick(&self) {
        self.change(World::tick);
    }

    /// The state of this moment.
    pub fn status(&self) -> Status {
        self.world().status()
    }

    /// What [`server::serve`] needs.
    pub fn service(self: &Arc<Self>) -> Service<Self> {
        Service {
            handler: Arc::clone(self),
            status: self.status.subscribe(),
            build: concat!("planetaryd ", env!("CARGO_PKG_VERSION"), " (mock)").to_owned(),
        }
    }

    /// Serves clients on `path` until the future is dropped. Time stands still but for
    /// [`Mock::tick`]; see [`Mock::run`].
    ///
    /// # Errors
    /// See [`BindError`].
    pub async fn serve(self: &Arc<Self>, path: &Path) -> Result<(), BindError> {
        let listener = Listener::bind(path)?;
        server::serve(listener, self.service(), std::future::pending()).await;
        Ok(())
    }

    /// Lets time pass at its usual speed, until the future is dropped.
    pub async fn run(&self) {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        loop {
            seconds.tick().await;
            self.tick();
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.world();
        let result = change(&mut world);
        self.status.send_replace(Arc::new(world.status()));
        result
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // A test that failed in between has been told already.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handler for Mock {
    async fn handle(&self, request: Request, _caller: PeerCredentials) -> Result<Reply, ApiError> {
        match request {
            Request::Up => Ok(Reply::Status(Box::new(self.change(|world| world.switch(true))))),
            Request::Down => Ok(Reply::Status(Box::new(self.change(|world| world.switch(false))))),
            Request::PeerAdd { uri, interface } => {
                self.change(|world| world.add_peer(&uri, interface)).map(Reply::Peer)
            }
            Request::PeerRemove { uri, interface } => {
                self.change(|world| world.remove_peer(&uri, interface)).map(Reply::Peer)
            }
            Request::PeerPause { uri, interface } => {
                let interface = interface.as_deref();
                self.change(|world| world.pause_peer(&uri, interface, true)).map(Reply::Peer)
            }
            Request::PeerResume { uri, interface } => {
                let interface = interface.as_deref();
                self.change(|world| world.pause_peer(&uri, interface, false)).map(Reply::Peer)
            }
            request @ (Request::PeerPublic { .. }
            | Request::PeerPublicRefresh
            | Request::PeerTest { .. }
            | Request::PeerChoose { .. }
            | Request::PeerJob { .. }
            | Request::PeerJobCancel { .. }) => self.change(|world| world.public(request)),
            Request::Topology { .. } => Ok(Reply::Topology(self.world().topology())),
            Request::Path { target } => self.world().path(target).map(Reply::Path),
            Request::Ping { target, count, .. } => {
                self.world().ping(target, count.unwrap_or(1)).map(Reply::Ping)
            }
            Request::Explore { key } => {
                self.change(|world| world.explore(key)).map(Box::new).map(Reply::Explored)
            }
            Request::Doctor => Ok(Reply::Doctor(self.world().doctor())),
            Request::Report => {
                let world = self.world();
                let report = support::report(&world.status(), world.doctor());
                Ok(Reply::Report(Box::new(report)))
            }
            Request::Logs { after, level } => Ok(Reply::Logs(support::logs(
                &self.world().status(),
                after.unwrap_or(0),
                level.unwrap_or(LogLevel::Info),
            ))),
            Request::IdentityShow => Ok(Reply::Identity(self.world().identity())),
            request @ (Request::Settings | Request::SettingsChange { .. }) => {
                self.change(|world| world.answer_about_settings(request))
            }
            Request::FriendList { .. }
            | Request::FriendBlocked { .. }
            | Request::FriendAdd { .. }
            | Request::FriendRemove { .. }
            | Request::FriendChange { .. }
            | Request::FriendBlock { .. }
            | Request::FriendUnblock { .. }
            | Request::FriendImport { .. }
            | Request::OpenChange { .. }
            | Request::Share { .. }
            | Request::Pause { .. }
            | Request::Resume => self.change(|world| world.answer_about_friends(request)),
            Request::SealingKey
            | Request::SealedPart { .. }
            | Request::IdentityExport { .. }
            | Request::IdentityImport { .. }
            | Request::Import { .. } => self.handover(request),
            request @ (Request::CircleList
            | Request::CircleShow { .. }
            | Request::CircleCreate { .. }
            | Request::CircleDraft { .. }
            | Request::CircleSubmit { .. }
            | Request::CircleChange { .. }
            | Request::CircleAdd { .. }
            | Request::CircleRemove { .. }
            | Request::CircleAccept { .. }
            | Request::CircleLeave { .. }
            | Request::CircleForget { .. }
            | Request::CircleAccess { .. }
            | Request::MemberAccess { .. }
            | Request::CircleJoin { .. }
            | Request::InviteCreate { .. }
            | Request::InviteList
            | Request::InviteRevoke { .. }
            | Request::QuestionAnswer { .. }
            | Request::VisitList) => self.change(|world| world.answer_about_circles(request)),
            request @ (Request::LanTrust { .. }
            | Request::ForwardList
            | Request::ForwardAdd { .. }
            | Request::ForwardRemove { .. }) => {
                self.change(|world| world.answer_about_roads(request))
            }
            // The server answers these.
            Request::Status | Request::Resync | Request::Subscribe { .. } => {
                Err(ApiError::new(ErrorCode::Internal, "the server passed on what it answers"))
            }
        }
    }
}
