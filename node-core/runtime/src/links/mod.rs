//! Links to other nodes: from a URI to a byte stream with a known key at its far end, and back
//! again when it breaks.
//!
//! [`uri`] says what may be dialled and listened on, [`dial`] and [`listen`] open transports,
//! [`tls`] wraps them, [`handshake`] exchanges the `meta` messages, and [`peers`] keeps the
//! configured set going. What comes out is an [`Established`] link, given to the [`LinkSink`] that
//! the engine implements. Nothing here reads or writes a frame: that is done by threads of the
//! engine through [`socket`], on the blocking parts into which a finished link is taken apart.
//!
//! Invariants: no byte that arrived behind a `meta` message is lost; a key in [`Established`] has
//! signed the handshake under the link's password; no link runs to or from an address of the
//! overlay itself (`200::/7`).

pub mod socket;
pub mod uri;

use std::{
    borrow::Cow,
    future::Future,
    net::{SocketAddr, TcpStream},
};

use planetary_proto::identity::NodeKey;

/// A link whose handshake is done, ready to carry frames.
#[derive(Debug)]
pub struct Established {
    /// The transport, in the state that [`socket`] works on.
    pub stream: LinkStream,
    /// The key that signed the peer's handshake.
    pub peer: NodeKey,
    /// The larger of both sides' priorities. Lower is preferred.
    pub priority: u8,
    /// The socket address of the other side.
    pub remote: SocketAddr,
    /// Who dialled.
    pub direction: Direction,
    /// What arrived behind the peer's `meta` message: the beginning of the frame stream.
    pub leftover: Vec<u8>,
    /// The peer's URI as it may be shown: the configured one without options, or the remote address
    /// behind the listener's scheme.
    pub uri: String,
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
    /// Plain TCP.
    Plain(TcpStream),
    /// TLS over TCP. Whoever serves the link moves bytes between the two; the connection may hold
    /// decrypted bytes that were received before the hand-over.
    Tls {
        /// The TCP connection below.
        socket: TcpStream,
        /// The state of the TLS session.
        connection: Box<rustls::Connection>,
    },
}

impl LinkStream {
    /// The TCP connection at the bottom of the link.
    #[must_use]
    pub const fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) | Self::Tls { socket, .. } => socket,
        }
    }
}

/// Why an established link ended.
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
