//! The SOCKS5 proxy: connections and datagrams for programs that speak it, by names and addresses
//! of the network.
//!
//! There is no authentication: whoever may connect at all is a program of this computer, as with
//! the interface. Datagrams are taken from the first port of the client's own address that sends
//! any, and for as long as the connection that asked for them is open.
//!
//! Source: RFC 1928.

pub mod wire;

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use self::wire::{DATAGRAM_HEADER_LEN, GREETING, MESSAGE_LEN_MAX, Malformed, Outcome, Request};
use super::{
    host::{Datagrams, Host, Stream},
    relay::{Tally, farewell, relay},
    target::ReachError,
};
use crate::{datagram::is_about_one, http::HEAD_TIME_MAX};

/// Longest datagram that is taken, headers included.
const DATAGRAM_LEN_MAX: usize = 65_535;

/// Serves one client until it has finished. What goes wrong, the client is told.
pub(super) async fn serve(mut client: TcpStream, host: &Host, tally: &Tally) {
    let asked = timeout(HEAD_TIME_MAX, read_request(&mut client)).await;
    let (request, rest) = match asked {
        Ok(Ok(Some(asked))) => asked,
        Ok(Ok(None)) | Err(_) => return,
        Ok(Err(error)) => return farewell(client, &error.answer()).await,
    };
    match request {
        Request::Connect(target) => match host.reach(&target).await {
            Ok(mut far) => {
                let reply = wire::reply(Outcome::Done, (host.address(), 0).into());
                // Some clients do not wait for the answer.
                let begun =
                    client.write_all(&reply).await.is_ok() && far.write_all(&rest).await.is_ok();
                if begun {
                    tally.sent(rest.len());
                    relay(Stream::System(client), far, tally).await;
                }
            }
            Err(error) => {
                tracing::debug!(reason = error.code(), "a client of the proxy was refused");
                farewell(client, &wire::reply(outcome(&error), wire::NOWHERE)).await;
            }
        },
        Request::Associate => associate(client, host, tally).await,
    }
}

/// Reads greeting and request. With it comes what arrived behind it; `None` if the client has gone.
async fn read_request(client: &mut TcpStream) -> Result<Option<(Request, Vec<u8>)>, Malformed> {
    let mut bytes = Vec::with_capacity(MESSAGE_LEN_MAX);
    let mut greeted = false;
    loop {
        if !greeted && let Some(len) = wire::parse_greeting(&bytes)? {
            bytes.drain(..len);
            if client.write_all(&GREETING).await.is_err() {
                return Ok(None);
            }
            greeted = true;
        }
        if greeted && let Some((request, len)) = wire::parse_request(&bytes)? {
            bytes.drain(..len);
            return Ok(Some((request, bytes)));
        }
        let mut room = [0; MESSAGE_LEN_MAX];
        match client.read(&mut room).await {
            Ok(len @ 1..) => bytes.extend_from_slice(&room[..len]),
            Ok(0) | Err(_) => return Ok(None),
        }
    }
}

/// The reply for a node that cannot be reached.
const fn outcome(error: &ReachError) -> Outcome {
    match error {
        ReachError::Foreign => Outcome::NotAllowed,
        ReachError::UnknownName | ReachError::NamesOff | ReachError::Timeout => {
            Outcome::HostUnreachable
        }
        ReachError::Refused => Outcome::Refused,
        ReachError::Full | ReachError::Down | ReachError::System(_) => Outcome::Failed,
    }
}

/// Carries datagrams for a client until it closes the connection.
async fn associate(mut client: TcpStream, host: &Host, tally: &Tally) {
    let opened = async {
        let (here, there) = (client.local_addr()?, client.peer_addr()?);
        let near = UdpSocket::bind((here.ip(), 0)).await?;
        let at = near.local_addr()?;
        Ok::<_, std::io::Error>((Datagrams::System(near), at, there, host.bind(0).await?))
    };
    let Ok((near, at, there, far)) = opened.await else {
        return farewell(client, &wire::reply(Outcome::Failed, wire::NOWHERE)).await;
    };
    if client.write_all(&wire::reply(Outcome::Done, at)).await.is_err() {
        return;
    }
    let mut from_near = vec![0; DATAGRAM_LEN_MAX];
    let mut from_far = vec![0; DATAGRAM_LEN_MAX];
    let mut ignored = [0; 64];
    let mut known: Option<SocketAddr> = None;
    loop {
        tokio::select! {
            read = client.read(&mut ignored) => match read {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            },
            received = near.recv_from(&mut from_near) => {
                let (len, from) = match received {
                    Ok(received) => received,
                    Err(error) if is_about_one(&error) => continue,
                    Err(_) => return,
                };
                if known.map_or(from.ip() != there.ip(), |known| known != from) {
                    continue;
                }
                known = Some(from);
                let Some((target, data)) = wire::parse_datagram(&from_near[..len]) else {
                    continue;
                };
                let Ok(to) = target.resolve(host.zone().as_deref()) else { continue };
                // One that cannot be sent is lost, as datagrams may be.
                if far.send_to(data, to.into()).await.is_ok() {
                    tally.sent(data.len());
                }
            }
            received = far.recv_from(&mut from_far[DATAGRAM_HEADER_LEN..]) => {
                let Ok((len, from)) = received else { return };
                let Some(known) = known else { continue };
                from_far[..DATAGRAM_HEADER_LEN].copy_from_slice(&wire::datagram_header(from));
                let datagram = &from_far[..DATAGRAM_HEADER_LEN + len];
                if near.send_to(datagram, known).await.is_ok() {
                    tally.received(len);
                }
            }
        }
    }
}
