//! Links to other nodes: from a URI to a byte stream with a known key at its far end, and back
//! again when it breaks.
//!
//! [`uri`] says what may be dialled and listened on, [`dial`] and [`listen`] open transports,
//! [`tls`] and [`websocket`] wrap them, [`handshake`] exchanges the `meta` messages, [`peers`]
//! keeps the configured set going, and [`probe`] tries a peer without linking to it. What comes out
//! is an [`Established`] link, given to the [`LinkSink`] that the engine implements. Nothing here
//! reads or writes a frame: that is done by threads of the engine through [`socket`], on the
//! blocking parts into which a finished link is taken apart; what is no socket gets one from
//! `bridge`, and datagrams beside a stream get one from [`lane`].
//! Invariants: no byte that arrived behind a `meta` message is lost; a key in [`Established`] has
//! signed the handshake under the link's password; no link runs to or from an address of the
//! overlay itself (`200::/7`).

pub(crate) mod admission;
mod bridge;
pub mod dial;
pub mod handshake;
mod interface;
pub mod lane;
pub mod listen;
pub mod peers;
pub mod probe;
mod quic;
pub mod socket;
mod socks;
mod steady;
pub mod tls;
mod transport;
#[cfg(unix)]
mod unix;
pub mod uri;
pub mod websocket;

use std::{
    borrow::Cow, collections::BTreeSet, error::Error as _, future::Future, net::SocketAddr,
    sync::Arc,
};

pub use interface::InterfaceError;
pub(crate) use interface::outside_addresses;
use planetary_proto::{
    identity::{Identity, NodeKey},
    link::meta::Capabilities,
};
use socket2::Socket;
pub use socks::SocksError;
use thiserror::Error;

use self::{
    dial::DialError,
    handshake::HandshakeError,
    lane::DatagramLane,
    tls::{Tls, TlsSetupError},
};

/// Whether this machine has an address under which it speaks to others, so that it makes sense to
/// expect an answer. What the system does not say counts as yes.
#[must_use]
pub fn has_outside_address() -> bool {
    outside_addresses().map_or(true, |addresses| !addresses.is_empty())
}

/// This end of every link: who we are and whom we let in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LocalEnd {
    identity: Arc<Identity>,
    tls: Tls,
    allowed_keys: Arc<BTreeSet<NodeKey>>,
}

impl LocalEnd {
    /// The end of the node `identity`, which takes incoming links from `allowed_keys` only, or from
    /// everybody if that is empty. Links that we dial are not held against the list.
    ///
    /// # Errors
    /// None that depends on the arguments.
    pub fn new(
        identity: Arc<Identity>,
        allowed_keys: BTreeSet<NodeKey>,
    ) -> Result<Self, TlsSetupError> {
        let tls = Tls::new(&identity)?;
        Ok(Self { identity, tls, allowed_keys: Arc::new(allowed_keys) })
    }

    /// The TLS settings, which hold for all clones.
    #[must_use]
    pub const fn tls(&self) -> &Tls {
        &self.tls
    }

    /// The own key.
    #[must_use]
    pub fn key(&self) -> NodeKey {
        self.identity.key()
    }

    /// The same end, which takes incoming links from everybody.
    pub(crate) fn open_to_all(&self) -> Self {
        Self { allowed_keys: Arc::default(), ..self.clone() }
    }
}

/// A link whose handshake is done, ready to carry frames.
#[derive(Debug)]
pub struct Established {
    /// The transport, in the state that [`socket`] works on.
    pub stream: LinkStream,
    /// The lane for frames of traffic beside the stream, where both ends know of it.
    pub datagrams: Option<DatagramLane>,
    /// The key that signed the peer's handshake.
    pub peer: NodeKey,
    /// The larger of both sides' priorities. Lower is preferred.
    pub priority: u8,
    /// What both ends can do on this link beyond the protocol of the network.
    pub capabilities: Capabilities,
    /// The socket address of the other side, or of the proxy before it; `None` on a socket file.
    pub remote: Option<SocketAddr>,
    /// Who dialled.
    pub direction: Direction,
    /// The source interface that the link was dialled from, if one is configured.
    pub interface: Option<String>,
    /// What arrived behind the peer's `meta` message: the beginning of the frame stream.
    pub leftover: Vec<u8>,
    /// The peer's URI as it may be shown: the configured one without options, or the listener's
    /// with the remote address in it.
    pub uri: String,
    /// The interface on which both ends have found each other, for a link of the local network.
    pub found_on: Option<String>,
}

/// Who opened a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The peer dialled one of our listeners.
    Incoming,
    /// We dialled the peer.
    Outgoing,
}

/// The transport of a finished link, taken apart into what blocking threads work with.
#[derive(Debug)]
pub enum LinkStream {
    /// A socket that carries the link's bytes as they are.
    Plain(Socket),
    /// TLS over a socket. Whoever serves the link moves bytes between the two. What the connection
    /// had decrypted before the hand-over is in [`Established::leftover`]; it may hold the
    /// beginning of a record that is not complete.
    Tls {
        /// The connection below.
        socket: Socket,
        /// The state of the TLS session.
        connection: Box<rustls::Connection>,
    },
}

impl LinkStream {
    /// The connection at the bottom of the link.
    #[must_use]
    pub const fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) | Self::Tls { socket, .. } => socket,
        }
    }
}

/// Why a link ended, or was not established.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkEnd {
    /// A stable name for the reason, such as `peer_timeout`.
    pub code: &'static str,
    /// The reason in words, lower case, without secrets.
    pub message: Cow<'static, str>,
}

/// Where established links go.
pub trait LinkSink: Send + Sync + 'static {
    /// Serves `link` until it ends, and says why it ended.
    ///
    /// The future may be dropped before it is done, when the peer is removed or the node stops; the
    /// implementor then closes the link at once.
    fn run(&self, link: Established) -> impl Future<Output = LinkEnd> + Send;
}

/// Why a peer could not be linked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LinkError {
    /// There was no connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// There was a connection, but no agreement on it.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
}

impl LinkError {
    /// A stable name for the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Dial(error) => error.code(),
            Self::Handshake(error) => error.code(),
        }
    }
}

impl From<&LinkError> for LinkEnd {
    fn from(error: &LinkError) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        Self { code: error.code(), message: message.into() }
    }
}

#[cfg(test)]
mod tests;
