//! The exchange of `meta` messages that makes a connection a link.
//!
//! Both sides send at once and then read, all within six seconds. The messages themselves are read
//! and written by [`planetary_proto::link::meta`]; here are the socket, the deadline and the checks
//! that need to know more than the bytes: ourselves, pinned keys and the allow-list. Whoever fails
//! a check is not told; the connection is simply closed.
//!
//! Exactly the bytes of the message are read, so frames right behind it stay where they are.
//!
//! Source: protocol chapter 2.7.

use std::{collections::BTreeSet, io, time::Duration};

use planetary_proto::{
    identity::{Identity, NodeKey},
    link::meta::{Capabilities, HEAD_LEN, Meta, MetaError},
};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{uri::Password, websocket::upgrade::UpgradeError};

/// How long a handshake may take from the moment the connection is open; for a listener this
/// includes TLS.
///
/// The network's value. Shorter would cut off slow satellite roads, longer helps only those who
/// hold connections open.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(6);

/// What one side brings to a handshake.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Who we are.
    pub identity: &'a Identity,
    /// The priority to announce.
    pub priority: u8,
    /// The password, which must be the other side's too.
    pub password: &'a Password,
    /// Keys of which the other side must have one; any if empty.
    pub pinned: &'a [NodeKey],
    /// Keys that may come in; any if empty. Empty for links that we dial.
    pub allowed: &'a BTreeSet<NodeKey>,
}

/// Why a connection did not become a link.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The message itself is refused (checks 1 to 6).
    #[error(transparent)]
    Meta(#[from] MetaError),
    /// The other side is this node (check 7).
    #[error("connected to self")]
    SelfConnection,
    /// The peer has none of the keys it is pinned to (check 8).
    #[error("the peer has another key than the one it is pinned to")]
    PinnedKeyMismatch,
    /// The peer is not in the allow-list (check 9).
    #[error("the key of the peer is not in the allow-list")]
    NotAllowed,
    /// The other side said nothing, or not enough, in [`HANDSHAKE_TIME_MAX`].
    #[error("the other side did not finish the handshake in time")]
    Timeout,
    /// The other side closed the connection, as it does when it refuses us.
    #[error("the other side closed the connection, perhaps it has another password or allow-list")]
    Closed,
    /// TLS failed on a connection that a listener took.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// A connection that a listener took did not become a WebSocket.
    #[error(transparent)]
    Upgrade(#[from] UpgradeError),
    /// The connection failed.
    #[error("the connection failed during the handshake")]
    Io(#[source] io::Error),
}

impl HandshakeError {
    /// A stable name for the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Meta(MetaError::NotThisProtocol) => "not_this_protocol",
            Self::Meta(MetaError::BadLength) => "bad_handshake",
            Self::Meta(MetaError::UnusablePassword) => "unusable_password",
            Self::Meta(MetaError::NoKey) => "no_key",
            Self::Meta(MetaError::PasswordMismatch) => "password_mismatch",
            Self::Meta(MetaError::IncompatibleVersion(..)) => "incompatible_version",
            Self::Meta(_) => "handshake_refused",
            Self::SelfConnection => "connected_to_self",
            Self::PinnedKeyMismatch => "pinned_key_mismatch",
            Self::NotAllowed => "key_not_allowed",
            Self::Timeout => "handshake_timeout",
            Self::Closed => "closed_by_peer",
            Self::Tls(_) => "tls_failed",
            Self::Upgrade(_) => "no_websocket",
            Self::Io(_) => "connection_failed",
        }
    }
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{
            BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof,
        };
        match error.kind() {
            // The last but one is how QUIC tells of a connection that was closed.
            BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof => {
                Self::Closed
            }
            _ => Self::Io(error),
        }
    }
}

/// Exchanges `meta` messages; returns the peer's key, the priority that both sides agree on, the
/// larger one, and of `capabilities`, which this side has, those that the other side has as well.
///
/// The caller sets the deadline, because for a listener it began earlier.
///
/// # Errors
/// The first check that fails, in the order of the protocol.
pub async fn exchange<S>(
    stream: &mut S,
    terms: &Terms<'_>,
    capabilities: Capabilities,
) -> Result<Meta, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // An own password that cannot be used is check 3, but nothing can be sent with it.
    let ours = Meta::emit(terms.identity, terms.priority, capabilities, terms.password.as_bytes())?;
    // So few bytes fit every socket's buffer, so this waits for nobody to read.
    stream.write_all(&ours).await?;
    stream.flush().await?;

    let mut head = [0; HEAD_LEN];
    stream.read_exact(&mut head).await?;
    // At most 64 KiB, for one of a bounded number of handshakes.
    let mut body = vec![0; Meta::body_len(&head)?];
    stream.read_exact(&mut body).await?;
    let theirs = Meta::parse(&body, terms.password.as_bytes())?;

    if theirs.key == terms.identity.key() {
        return Err(HandshakeError::SelfConnection);
    }
    if !terms.pinned.is_empty() && !terms.pinned.contains(&theirs.key) {
        return Err(HandshakeError::PinnedKeyMismatch);
    }
    if !terms.allowed.is_empty() && !terms.allowed.contains(&theirs.key) {
        return Err(HandshakeError::NotAllowed);
    }
    Ok(Meta {
        priority: theirs.priority.max(terms.priority),
        capabilities: theirs.capabilities.shared_with(capabilities),
        ..theirs
    })
}
