//! The client's half of SOCKS5: asks a proxy to connect to a node.
//!
//! Exactly the bytes of the proxy's answers are read, so what the node says first stays where it
//! is. The node is handed over as it stands in the URI; a name is resolved by the proxy, which may
//! be the only one that can.
//!
//! Source: RFC 1928 and RFC 1929; protocol chapter 2.6.

use std::{io, net::IpAddr};

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use super::uri::{Endpoint, Host, Login};

/// Why a proxy did not connect us.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SocksError {
    /// What answers is no SOCKS5 proxy.
    #[error("this is no SOCKS5 proxy")]
    NotSocks,
    /// The proxy wants to know who we are, and we have not said or in another way.
    #[error("the proxy wants a login: user:password@ before its host")]
    LoginWanted,
    /// The proxy does not know the user, or not with this password.
    #[error("the proxy refused the user name or the password")]
    LoginRefused,
    /// The proxy did not connect; the word is its own.
    #[error("the proxy could not connect: {0}")]
    Refused(&'static str),
    /// The connection to the proxy failed; most often the proxy closed it.
    #[error("the connection to the proxy failed")]
    Io(#[from] io::Error),
}

/// Asks the proxy at the other end of `stream` for a connection to `destination`. When this
/// returns, `stream` leads there. The caller sets the deadline.
///
/// # Errors
/// See [`SocksError`].
pub(super) async fn connect<S>(
    stream: &mut S,
    destination: &Endpoint,
    login: Option<&Login>,
) -> Result<(), SocksError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match greet(stream, login.is_some()).await? {
        ANYBODY => {}
        LOGIN => match login {
            Some(login) => authenticate(stream, login).await?,
            // Not offered.
            None => return Err(SocksError::NotSocks),
        },
        NOTHING_FITS => return Err(SocksError::LoginWanted),
        _ => return Err(SocksError::NotSocks),
    }
    send(stream, &request(destination)).await?;
    let [version, reply, _, kind] = receive(stream).await?;
    if version != VERSION {
        return Err(SocksError::NotSocks);
    }
    if reply != 0 {
        return Err(SocksError::Refused(meaning(reply)));
    }
    // Where the proxy connects from is of no use, but must be out of the way.
    let address_len = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => {
            let [len] = receive(stream).await?;
            usize::from(len)
        }
        _ => return Err(SocksError::NotSocks),
    };
    stream.read_exact(&mut vec![0; address_len + PORT_LEN]).await?;
    Ok(())
}

/// Offers ways to say who we are; returns the one that the proxy chose.
async fn greet<S>(stream: &mut S, has_login: bool) -> Result<u8, SocksError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let offer: &[u8] =
        if has_login { &[VERSION, 2, ANYBODY, LOGIN] } else { &[VERSION, 1, ANYBODY] };
    send(stream, offer).await?;
    match receive(stream).await? {
        [VERSION, method] => Ok(method),
        _ => Err(SocksError::NotSocks),
    }
}

async fn authenticate<S>(stream: &mut S, login: &Login) -> Result<(), SocksError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // Large enough from the start, so that no copy of the password stays behind.
    let mut message = Zeroizing::new(Vec::with_capacity(3 + 2 * usize::from(u8::MAX)));
    message.push(LOGIN_VERSION);
    for part in [&login.user, &login.password] {
        // A login has no longer part than this.
        let part = &part.as_bytes()[..part.len().min(u8::MAX.into())];
        message.push(part.len() as u8);
        message.extend_from_slice(part);
    }
    send(stream, &message).await?;
    match receive(stream).await? {
        [_, 0] => Ok(()),
        _ => Err(SocksError::LoginRefused),
    }
}

/// The request for a connection.
fn request(destination: &Endpoint) -> Vec<u8> {
    let mut request = vec![VERSION, CONNECT, 0];
    match &destination.host {
        Host::Name(name) => {
            // At most 254 bytes, or it were no name of the DNS.
            let name = &name.as_bytes()[..name.len().min(u8::MAX.into())];
            request.extend_from_slice(&[NAME, name.len() as u8]);
            request.extend_from_slice(name);
        }
        Host::Address(IpAddr::V4(address)) => {
            request.push(IPV4);
            request.extend_from_slice(&address.octets());
        }
        Host::Address(IpAddr::V6(address)) | Host::Scoped { address, .. } => {
            request.push(IPV6);
            request.extend_from_slice(&address.octets());
        }
    }
    request.extend_from_slice(&destination.port.to_be_bytes());
    request
}

/// What a reply other than success means.
const fn meaning(reply: u8) -> &'static str {
    match reply {
        1 => "it has failed",
        2 => "its rules forbid it",
        3 => "the network cannot be reached",
        4 => "the host cannot be reached",
        5 => "the connection was refused",
        6 => "nothing answered in time",
        7 => "it makes no connections",
        8 => "it does not take such an address",
        _ => "it gives no known reason",
    }
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, message: &[u8]) -> io::Result<()> {
    stream.write_all(message).await?;
    stream.flush().await
}

async fn receive<const LEN: usize, S>(stream: &mut S) -> io::Result<[u8; LEN]>
where
    S: AsyncRead + Unpin,
{
    let mut bytes = [0; LEN];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

const VERSION: u8 = 5;
const LOGIN_VERSION: u8 = 1;
/// Ways to say who we are: not at all, by user name and password, and none that was offered.
const ANYBODY: u8 = 0;
const LOGIN: u8 = 2;
const NOTHING_FITS: u8 = 0xff;
const CONNECT: u8 = 1;
/// Kinds of addresses.
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;
const PORT_LEN: usize = 2;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::duplex;

    use super::*;
    use crate::links::uri::PeerUri;

    fn parts(uri: &str) -> (Endpoint, Option<Login>) {
        use crate::links::uri::Place;
        let uri: PeerUri = uri.parse().unwrap();
        let Place::Proxied { destination, .. } = uri.place() else { panic!("{uri:?}") };
        (destination.clone(), uri.login().cloned())
    }

    /// Connects through a proxy that says `answers` whatever it hears; what it heard, and what it
    /// said that was not read.
    async fn through(uri: &str, answers: &[u8]) -> (Result<(), SocksError>, Vec<u8>, Vec<u8>) {
        let (mut near, mut far) = duplex(4096);
        far.write_all(answers).await.unwrap();
        far.shutdown().await.unwrap();
        let (destination, login) = parts(uri);
        let result = connect(&mut near, &destination, login.as_ref()).await;
        let mut unread = Vec::new();
        near.read_to_end(&mut unread).await.unwrap();
        drop(near);
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.unwrap();
        (result, heard, unread)
    }

    #[tokio::test]
    async fn a_name_is_handed_over_and_nothing_behind_the_answer_is_read() {
        let answers = b"\x05\x00\x05\x00\x00\x03\x04abcd\x00\x50meta";
        let (result, heard, unread) = through("socks://p:1/node.example:258", answers).await;
        result.unwrap();
        assert_eq!(heard, b"\x05\x01\x00\x05\x01\x00\x03\x0cnode.example\x01\x02");
        assert_eq!(unread, b"meta");
    }

    #[tokio::test]
    async fn addresses_are_handed_over_as_such() {
        let answers = b"\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50";
        let (result, heard, _) = through("socks://p:1/192.0.2.1:80", answers).await;
        result.unwrap();
        assert_eq!(heard[3..], *b"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50");

        let (result, heard, _) = through("socks://p:1/[2001:db8::1]:80", answers).await;
        result.unwrap();
        assert_eq!(heard[3..10], *b"\x05\x01\x00\x04\x20\x01\x0d");
        assert_eq!(heard.len(), 3 + 4 + 16 + 2);
    }

    #[tokio::test]
    async fn a_login_is_offered_and_given_when_asked_for() {
        let uri = "socks://user:word@p:1/192.0.2.1:80";
        let answers = b"\x05\x02\x01\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50";
        let (result, heard, _) = through(uri, answers).await;
        result.unwrap();
        assert_eq!(heard[..15], *b"\x05\x02\x00\x02\x01\x04user\x04word");

        // A proxy that lets everybody through does not get it.
        let answers = b"\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50";
        let (result, heard, _) = through(uri, answers).await;
        result.unwrap();
        assert!(!heard.windows(4).any(|part| part == b"word"));
    }

    #[tokio::test]
    async fn refusals_are_told_apart() {
        for (answers, text) in [
            (&b"\x05\xff"[..], "the proxy wants a login: user:password@ before its host"),
            (b"\x05\x02\x01\x01", "the proxy refused the user name or the password"),
            (b"\x05\x00\x05\x05\x00\x01\x7f\x00\x00\x01\x00\x50", "the connection was refused"),
            (b"\x05\x00\x05\xfe\x00\x01\x7f\x00\x00\x01\x00\x50", "it gives no known reason"),
            (b"\x04\x00", "this is no SOCKS5 proxy"),
            (b"HTTP/1.1 400", "this is no SOCKS5 proxy"),
            (b"\x05\x00\x05\x00\x00\x09", "this is no SOCKS5 proxy"),
            (b"\x05\x00\x05\x00", "the connection to the proxy failed"),
            (b"", "the connection to the proxy failed"),
        ] {
            let (result, _, _) = through("socks://user:word@p:1/a.example:1", answers).await;
            let error = result.unwrap_err();
            assert!(error.to_string().ends_with(text), "{answers:?}: {error}");
        }
        // A login that we do not have is not made up.
        let (result, heard, _) = through("socks://p:1/a.example:1", b"\x05\x02").await;
        assert!(matches!(result, Err(SocksError::NotSocks)));
        assert_eq!(heard, b"\x05\x01\x00");
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(answers in prop::collection::vec(any::<u8>(), 0..64)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(through("socks://user:word@p:1/a.example:1", &answers));
        }
    }
}
