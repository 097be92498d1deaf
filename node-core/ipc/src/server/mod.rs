//! The server: accepts clients, checks who they are, and carries requests to a [`Handler`].
//!
//! ```text
//!  client ──> reader ──> request task ──> Handler        a set of these for each client
//!    ^                        │
//!    └────── writer <─────────┘
//!              ^
//!              └── hub <── watch channel of the Status    one for all: what changed
//! ```
//!
//! The service brings a [`Handler`] for what must be done and a `watch` channel with its latest
//! [`Status`]; what changed, for whom, and who is too slow to hear it is found out here.
//! Invariants: requests never wait for each other; every request is answered once, within its
//! deadline; no queue grows with a client that does not read; nothing a client sends ends anything
//! but its own connection.

mod connection;
mod hub;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time;

use crate::endpoint::{self, Listener, PeerCredentials, ServerStream};
use crate::error::{ApiError, ErrorCode};
use crate::limits;
use crate::message::{Reply, Request, Right};
use crate::status::Status;

use hub::Hub;

/// What a service does for its clients.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    ///
    /// Called for every request but `status`, `resync` and `subscribe`, which the server answers
    /// itself, and only if `caller` has the right for it and [`Request::check`] passed. For
    /// `topology` the answer is the whole topology. Many calls run at the same time.
    ///
    /// A request that only reads is dropped at its next await when its deadline passes or its
    /// client goes; one that changes something always runs to its end, even when nobody hears the
    /// answer any more.
    fn handle(
        &self,
        request: Request,
        caller: PeerCredentials,
    ) -> impl Future<Output = Result<Reply, ApiError>> + Send;

    /// Brings the status up to date for a client that is about to be greeted. To be quick: the
    /// greeting waits for it.
    fn refresh(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Learns how many clients there are, each time the number changes. While there are none,
    /// nobody reads the status. Calls come one after the other and are to be short.
    fn clients_are_there(&self, clients: usize) {
        let _ = clients;
    }

    /// Learns how many clients show questions to a person ([`Topic::Questions`](crate::Topic)) and
    /// may answer them, each time the number changes. Calls come one after the other and are to be
    /// short.
    fn questions_are_shown(&self, clients: usize) {
        let _ = clients;
    }
}

/// What the server needs of a service.
pub struct Service<H> {
    /// Answers requests.
    pub handler: Arc<H>,
    /// The latest state. Sending a new value tells every client; while there are clients, send one
    /// about once a second for the traffic, and at once when something else changes.
    pub status: watch::Receiver<Arc<Status>>,
    /// Program and version for the greeting, such as `planetaryd 0.1.0`.
    pub build: String,
}

impl<H> Clone for Service<H> {
    fn clone(&self) -> Self {
        Self {
            handler: Arc::clone(&self.handler),
            status: self.status.clone(),
            build: self.build.clone(),
        }
    }
}

impl<H> fmt::Debug for Service<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("build", &self.build).finish_non_exhaustive()
    }
}

/// Serves clients until `shutdown` is ready or the service drops its status, then tells the clients
/// and gives them a moment to read it.
pub async fn serve<H: Handler>(
    mut listener: Listener,
    service: Service<H>,
    shutdown: impl Future<Output = ()>,
) {
    let server = Server::new(service);
    let places = Arc::new(Semaphore::new(limits::CLIENTS_MAX));
    let mut clients = JoinSet::new();
    let mut hub = tokio::spawn(Arc::clone(&server.hub).run());
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = clients.join_next() => continue,
            () = &mut shutdown => break,
            _ = &mut hub => break,
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => {
                let server = Arc::clone(&server);
                clients.spawn(async move {
                    welcome(stream, server).await;
                    drop(place);
                });
            }
            // Turned away in place: a flood of callers waits for this, instead of piling up.
            Err(_) => connection::refuse(stream, too_many()).await,
        }
    }
    hub.abort();
    server.close();
    let all_gone = async { while clients.join_next().await.is_some() {} };
    let _ = time::timeout(FAREWELL, all_gone).await;
}

/// What all connections of a server share.
struct Server<H> {
    service: Service<H>,
    hub: Arc<Hub>,
    closing: watch::Sender<bool>,
    /// Clients that are served.
    clients: Mutex<usize>,
    /// Clients that show questions.
    askers: Mutex<usize>,
}

impl<H: Handler> Server<H> {
    fn new(service: Service<H>) -> Arc<Self> {
        let hub = Arc::new(Hub::new(service.status.clone()));
        let closing = watch::Sender::new(false);
        Arc::new(Self { service, hub, closing, clients: Mutex::new(0), askers: Mutex::new(0) })
    }

    /// Counts who does something, and tells the service. The lock keeps what it is told in order.
    fn count(&self, subject: Subject, count: impl FnOnce(usize) -> usize) {
        let handler = &self.service.handler;
        let (number, tell): (_, fn(&H, usize)) = match subject {
            Subject::Client => (&self.clients, H::clients_are_there),
            Subject::Asker => (&self.askers, H::questions_are_shown),
        };
        let mut number = number.lock().unwrap_or_else(PoisonError::into_inner);
        *number = count(*number);
        tell(handler, *number);
    }

    fn close(&self) {
        self.closing.send_replace(true);
    }
}

/// What clients are counted as.
#[derive(Clone, Copy)]
enum Subject {
    /// Connected.
    Client,
    /// Shows questions.
    Asker,
}

/// One that is counted, until it is dropped.
struct Counted<H: Handler>(Arc<Server<H>>, Subject);

impl<H: Handler> Counted<H> {
    fn new(server: &Arc<Server<H>>, subject: Subject) -> Self {
        server.count(subject, |number| number + 1);
        Self(Arc::clone(server), subject)
    }
}

impl<H: Handler> Drop for Counted<H> {
    fn drop(&mut self) {
        // Each was counted when it was made.
        self.0.count(self.1, |number| number.saturating_sub(1));
    }
}

/// Serves a client, if the operating system knows it as one.
async fn welcome<H: Handler>(stream: ServerStream, server: Arc<Server<H>>) {
    match endpoint::credentials(&stream).await {
        Ok(caller) if caller.may(Right::Read) => {
            let look = endpoint::second_look(&stream);
            connection::run(stream, caller, look, server).await;
        }
        Ok(caller) => {
            tracing::warn!(uid = caller.uid, "a stranger tried the control socket");
            connection::refuse(stream, stranger()).await;
        }
        Err(error) => tracing::debug!(%error, "a client went before it was known"),
    }
}

async fn pause_after(error: &io::Error) {
    // Mostly too many open files: trying again at once would only burn the processor.
    tracing::warn!(%error, "a client of the control socket could not be accepted");
    time::sleep(Duration::from_millis(100)).await;
}

fn stranger() -> ApiError {
    ApiError::new(ErrorCode::PermissionDenied, "this user may not use the control socket")
}

fn too_many() -> ApiError {
    let message = format!("all {} places for clients are taken", limits::CLIENTS_MAX);
    ApiError::new(ErrorCode::TooManyClients, message)
}

/// Time for clients to take in that the service ends.
const FAREWELL: Duration = Duration::from_millis(500);
