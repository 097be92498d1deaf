//! The HTTP part of a WebSocket: one request and one answer.
//!
//! As a client we send the path of the URI and none of its options: they are for the node behind
//! the server, and a password among them is nobody else's. The reference sends them all.
//!
//! As a server we answer on every path, and take part in no more HTTP than that: one request per
//! connection, no bodies. Health checks of a proxy in front get their `OK`. Web pages of other
//! origins are refused, for a browser would let any page in the world try the listeners of its
//! user's machine.
//!
//! Source: protocol chapter 2.5; RFC 6455.

use std::io;

use base64ct::{Base64, Encoding};
use glob::Pattern;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tungstenite::{
    handshake::{client::generate_key, derive_accept_key},
    protocol::{Role, frame::coding::CloseCode},
};
use zeroize::Zeroizing;

use super::WebSocket;
use crate::{
    http::{HeadError, Request, Response, answer, refusal, response_head},
    links::uri::{Host, Login},
};

/// What links speak inside a WebSocket.
const SUBPROTOCOL: &str = "ygg-ws";

/// The version of the WebSocket protocol.
const VERSION: &str = "13";

/// Why a connection did not become a WebSocket.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UpgradeError {
    /// The other side does not speak HTTP, or not in time.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The connection failed.
    #[error("the connection failed before it was a WebSocket")]
    Io(#[from] io::Error),
    /// The server has another answer than a WebSocket, perhaps that of a proxy in front of it.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// The server's answer is not the one that belongs to the request.
    #[error("the server's answer is no WebSocket handshake")]
    NotWebSocket,
    /// The server wants to speak something else inside.
    #[error("the server chose something that was not offered")]
    NotOffered,
    /// A client was refused with this status.
    #[error("refused a request with status {0}")]
    Refused(u16),
    /// A client asked how we are.
    #[error("answered a health check")]
    HealthCheck,
    /// A client does not speak the protocol of links.
    #[error("the client does not speak {SUBPROTOCOL}")]
    NoSubprotocol,
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It makes a link.
    Link {
        /// What proves that the request was understood.
        accept: String,
    },
    /// It makes a WebSocket for something else.
    OtherProtocol {
        /// As above.
        accept: String,
    },
    /// It asks whether we are there.
    HealthCheck,
    /// None of these; the status to refuse it with.
    Refuse(u16),
}

/// Asks the server `host` for a WebSocket at `path`.
///
/// # Errors
/// See [`UpgradeError`].
pub(in super::super) async fn connect<S>(
    mut stream: S,
    host: &Host,
    path: &str,
    login: Option<&Login>,
) -> Result<WebSocket<S>, UpgradeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let key = generate_key();
    stream.write_all(request(host, path, login, &key).as_bytes()).await?;
    stream.flush().await?;
    let (response, rest) = Response::read(&mut stream).await?;
    check(&response, &key)?;
    Ok(WebSocket::new(stream, Role::Client, rest))
}

/// Takes a client's request, and refuses it unless it is one for a link. `origins` are the patterns
/// of the listener, in lower case.
///
/// # Errors
/// See [`UpgradeError`].
pub(in super::super) async fn accept<S>(
    mut stream: S,
    origins: &[Pattern],
) -> Result<WebSocket<S>, UpgradeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (request, rest) = match Request::read(&mut stream).await {
        Ok(read) => read,
        Err(error) => {
            if let Some(status) = error.status() {
                close_with(stream, &refusal(status)).await?;
            }
            return Err(error.into());
        }
    };
    match judge(&request, origins) {
        Verdict::Link { accept } => {
            stream.write_all(switching(&accept, true).as_bytes()).await?;
            stream.flush().await?;
            Ok(WebSocket::new(stream, Role::Server, rest))
        }
        Verdict::OtherProtocol { accept } => {
            stream.write_all(switching(&accept, false).as_bytes()).await?;
            let socket = WebSocket::new(stream, Role::Server, rest);
            socket.refuse(CloseCode::Policy, "client must speak the ygg-ws subprotocol").await?;
            Err(UpgradeError::NoSubprotocol)
        }
        Verdict::HealthCheck => {
            close_with(stream, &answer(200, "text/plain; charset=utf-8", "OK")).await?;
            Err(UpgradeError::HealthCheck)
        }
        Verdict::Refuse(status) => {
            close_with(stream, &refused(status)).await?;
            Err(UpgradeError::Refused(status))
        }
    }
}

/// Says what a request asks for. `origins` as for a listener.
#[must_use]
pub fn judge(request: &Request, origins: &[Pattern]) -> Verdict {
    if matches!(request.path(), "/health" | "/healthz") {
        return Verdict::HealthCheck;
    }
    let fields = &request.fields;
    let upgrades = request.is_http_1_1
        && fields.lists("Connection", "Upgrade")
        && fields.lists("Upgrade", "websocket");
    if !upgrades {
        return Verdict::Refuse(426);
    }
    if request.method != "GET" {
        return Verdict::Refuse(405);
    }
    let mut hosts = fields.all("Host");
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return Verdict::Refuse(400) };
    if fields.first("Sec-WebSocket-Version") != Some(VERSION) {
        return Verdict::Refuse(400);
    }
    let mut keys = fields.all("Sec-WebSocket-Key");
    let (Some(key), None) = (keys.next(), keys.next()) else { return Verdict::Refuse(400) };
    if Base64::decode(key, &mut [0; 16]).is_ok_and(|key| key.len() == 16) {
        if fields.all("Origin").any(|origin| !is_welcome(origin, host, origins)) {
            return Verdict::Refuse(403);
        }
        let accept = derive_accept_key(key.as_bytes());
        match fields.lists("Sec-WebSocket-Protocol", SUBPROTOCOL) {
            true => Verdict::Link { accept },
            false => Verdict::OtherProtocol { accept },
        }
    } else {
        Verdict::Refuse(400)
    }
}

/// Whether a page of `origin` may connect to a listener that it knows as `host`.
fn is_welcome(origin: &str, host: &str, patterns: &[Pattern]) -> bool {
    let origin = origin.to_ascii_lowercase();
    // An origin without a host, as that of a file, has its own name: `null`.
    let from = origin.split_once("://").map_or("", |(_, from)| from);
    if !from.is_empty() && from.eq_ignore_ascii_case(host) {
        return true;
    }
    patterns.iter().any(|pattern| {
        let whole = pattern.as_str().contains("://");
        pattern.matches(if whole { &origin } else { from })
    })
}

fn request(host: &Host, path: &str, login: Option<&Login>, key: &str) -> Zeroizing<String> {
    // As the reference writes it: no port, no brackets.
    let host = match host {
        Host::Name(name) => name.clone(),
        Host::Address(address) => address.to_string(),
        Host::Scoped { address, .. } => address.to_string(),
    };
    let authorization = login.map(|Login { user, password }| {
        let pair = Zeroizing::new(format!("{}:{}", **user, **password));
        let encoded = Zeroizing::new(Base64::encode_string(pair.as_bytes()));
        Zeroizing::new(format!("Authorization: Basic {}\r\n", *encoded))
    });
    Zeroizing::new(format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: {VERSION}\r\nSec-WebSocket-Key: {key}\r\n\
         Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n{}\r\n",
        authorization.as_ref().map_or("", |it| it.as_str()),
    ))
}

/// Checks a server's answer to the request with `key`. The server need not name the subprotocol.
fn check(response: &Response, key: &str) -> Result<(), UpgradeError> {
    let fields = &response.fields;
    if response.status != 101 {
        return Err(UpgradeError::Status(response.status));
    }
    let answers = fields.lists("Connection", "Upgrade")
        && fields.lists("Upgrade", "websocket")
        && fields.first("Sec-WebSocket-Accept") == Some(&*derive_accept_key(key.as_bytes()));
    if !answers {
        return Err(UpgradeError::NotWebSocket);
    }
    let mut protocols = fields.all("Sec-WebSocket-Protocol");
    let other = protocols.any(|protocol| !protocol.eq_ignore_ascii_case(SUBPROTOCOL));
    if other || fields.first("Sec-WebSocket-Extensions").is_some() {
        return Err(UpgradeError::NotOffered);
    }
    Ok(())
}

/// The answer that makes a connection a WebSocket.
fn switching(accept: &str, speaks: bool) -> String {
    let fields = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept),
        ("Sec-WebSocket-Protocol", SUBPROTOCOL),
    ];
    response_head(101, if speaks { &fields } else { &fields[..3] })
}

/// A refusal, with what would have been right.
fn refused(status: u16) -> String {
    let fields: &[(&str, &str)] = match status {
        426 => &[("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Content-Length", "0")],
        405 => &[("Allow", "GET"), ("Connection", "close"), ("Content-Length", "0")],
        400 => {
            &[("Sec-WebSocket-Version", VERSION), ("Connection", "close"), ("Content-Length", "0")]
        }
        _ => return refusal(status),
    };
    response_head(status, fields)
}

/// Says the last words on a connection.
async fn close_with<S: AsyncWrite + Unpin>(mut stream: S, words: &str) -> io::Result<()> {
    stream.write_all(words.as_bytes()).await?;
    stream.shutdown().await
}
