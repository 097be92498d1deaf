//! The admin socket: the interface of the reference, for tools that were written for it.
//!
//! `yggdrasilctl` and what people have built on its API ask here what they would ask the reference,
//! in the same words, and get answers of the same shape. It is off unless the configuration names a
//! place. It is no second control socket: it changes nothing but the peers of this run, and
//! everything that this program has beyond the reference is on the other one.
//!
//! ```text
//!   connection -> bytes -> [`Request`] -> [`Command`] -> node -> JSON -> closed, or kept if asked
//! ```
//!
//! Whoever connects is hostile until proven otherwise, and afterwards: requests, clients and the
//! time for both are bounded, and nothing that is sent ends anything but its own connection.
//!
//! Source: protocol chapter 11.

mod answers;
mod command;
mod connection;
mod place;
mod request;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use planetary_ipc::endpoint::{self, BindError, Listener, ServerStream};
use planetary_ipc::{Right, Severity};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

pub use self::place::{Place, PlaceError};
use crate::health::Condition;
use crate::node::Node;

/// Clients at once. Tools ask and go; further ones are turned away.
const CLIENTS_MAX: usize = 16;

/// Pause after the system refused a connection, most often for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Health item while the socket cannot be opened.
pub(crate) const ADMIN_NOT_LISTENING: &str = "admin_not_listening";

/// The admin socket of a running service: open where the configuration says.
#[derive(Debug, Default)]
pub struct Admin {
    open: Option<(Place, JoinHandle<()>)>,
    /// Where it could not be opened.
    refused: Option<Place>,
}

impl Admin {
    /// Opens, moves or closes the socket, as the configuration says by now. A place that was
    /// refused is not tried again before [`Self::retry`].
    pub async fn follow(&mut self, node: &Arc<Node>) {
        let wanted = node.admin_place();
        if self.place() == wanted.as_ref() || self.open.is_none() && self.refused == wanted {
            return;
        }
        self.close();
        self.refused = None;
        let Some(place) = wanted else {
            node.clear(ADMIN_NOT_LISTENING);
            return;
        };
        match Socket::bind(&place).await {
            Ok(socket) => {
                tracing::info!(%place, "the admin socket is open");
                node.clear(ADMIN_NOT_LISTENING);
                let served = tokio::spawn(serve(socket, Arc::clone(node)));
                self.open = Some((place, served));
            }
            Err(error) => {
                tracing::warn!(%place, error = crate::node::chain(&error), "no admin socket");
                node.raise(not_listening(&place, &error));
                self.refused = Some(place);
            }
        }
    }

    /// A place that was refused may be free by now.
    pub fn retry(&mut self) {
        self.refused = None;
    }

    /// Ends all conversations.
    pub fn close(&mut self) {
        if let Some((_, served)) = self.open.take() {
            served.abort();
        }
    }

    fn place(&self) -> Option<&Place> {
        self.open.as_ref().map(|(place, _)| place)
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.close();
    }
}

/// Why the socket was not opened.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error(transparent)]
    File(#[from] BindError),
    #[error("the system refused")]
    Port(#[source] io::Error),
}

enum Socket {
    File(Listener),
    Port(TcpListener),
}

enum Arrival {
    File(ServerStream),
    Port(TcpStream),
}

impl Socket {
    async fn bind(place: &Place) -> Result<Self, OpenError> {
        match place {
            Place::File(path) => Ok(Self::File(Listener::bind(path)?)),
            Place::Port(address) => {
                TcpListener::bind(address).await.map(Self::Port).map_err(OpenError::Port)
            }
        }
    }

    async fn accept(&mut self) -> io::Result<Arrival> {
        match self {
            Self::File(listener) => listener.accept().await.map(Arrival::File),
            Self::Port(listener) => {
                listener.accept().await.map(|(stream, _)| Arrival::Port(stream))
            }
        }
    }
}

/// Serves until it is aborted, with everybody who is connected.
async fn serve(mut socket: Socket, node: Arc<Node>) {
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    let mut clients = JoinSet::new();
    loop {
        let arrival = tokio::select! {
            arrival = socket.accept() => arrival,
            Some(_) = clients.join_next() => continue,
        };
        let Ok(arrival) = arrival else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let node = Arc::clone(&node);
        clients.spawn(async move {
            match arrival {
                Arrival::File(stream) => {
                    let right = endpoint::credentials(&stream).await.ok().and_then(|it| it.right);
                    connection::serve(stream, right, &node).await;
                }
                // Everybody on this computer: the configuration said that this is dangerous.
                Arrival::Port(stream) => {
                    connection::serve(stream, Some(Right::Change), &node).await
                }
            }
            drop(place);
        });
    }
}

fn not_listening(place: &Place, error: &OpenError) -> Condition {
    Condition {
        code: ADMIN_NOT_LISTENING,
        severity: Severity::Warning,
        title: "The admin socket is not open".to_owned(),
        text: format!("{place}: {}.", crate::node::chain(error)),
        action: Some("Choose another place in `admin.listen`, then reload the service.".to_owned()),
        affects_connectivity: false,
        may_pass: false,
    }
}
