//! Names for programs of a computer without the interface: the answers of the zone, at a loopback
//! address, over UDP and TCP.
//!
//! With the interface they are answered at an address of the node's own subnet, where the system's
//! resolver asks; here a person sets programs up to ask. What is answered is the same, and is
//! [`Zone`](planetary_circles::names::Zone)'s business. Over TCP each message has its length before
//! it (RFC 7766).

use std::{io, net::SocketAddr, time::Duration};

use planetary_circles::names::QUERY_LEN_MAX;
use planetary_proto::{
    limits::Rate,
    rate::RateLimiter,
    time::{Duration as Span, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
    time::timeout,
};

use super::host::Host;
use crate::datagram::is_about_one;

/// Questions that are answered. A busy browser asks some tens a second. Those beyond are dropped,
/// and programs ask again.
const QUESTION_RATE: Rate = Rate { per_s: 1_000, burst: 2_000 };

/// Programs that ask over TCP at once; answers fit into datagrams, so there are few.
const CLIENTS_MAX: usize = 32;

/// How long one of them may take to ask (RFC 7766 section 6.2.3 wants some seconds).
const QUESTION_MAX: Duration = Duration::from_secs(10);

/// Sockets on which names are asked for.
#[derive(Debug)]
pub(super) struct NameServer {
    datagrams: UdpSocket,
    listener: TcpListener,
}

impl NameServer {
    /// Opens both sockets at the same port.
    pub(super) async fn open(at: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(at).await?;
        let datagrams = UdpSocket::bind(listener.local_addr()?).await?;
        Ok(Self { datagrams, listener })
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers for ever.
    pub(super) async fn serve(self, host: &Host) -> io::Error {
        let Self { datagrams, listener } = self;
        tokio::select! {
            error = over_datagrams(&datagrams, host) => error,
            error = over_connections(&listener, host) => error,
        }
    }
}

async fn over_datagrams(socket: &UdpSocket, host: &Host) -> io::Error {
    let begun = std::time::Instant::now();
    let mut limiter = RateLimiter::new(QUESTION_RATE, Instant::START);
    // A longer question is cut, and then is none.
    let mut question = [0; QUERY_LEN_MAX + 1];
    loop {
        let (len, from) = match socket.recv_from(&mut question).await {
            Ok(received) => received,
            Err(error) if is_about_one(&error) => continue,
            Err(error) => return error,
        };
        let elapsed = Span::from_micros(u64::try_from(begun.elapsed().as_micros()).unwrap_or(0));
        if !limiter.allow(Instant::START + elapsed) {
            continue;
        }
        if let Some(answer) = answer(host, &question[..len]) {
            // Whoever asked may have gone.
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

async fn over_connections(listener: &TcpListener, host: &Host) -> io::Error {
    let mut clients = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept(), if clients.len() < CLIENTS_MAX => accepted,
            Some(_) = clients.join_next() => continue,
        };
        match accepted {
            Ok((client, _)) => {
                let host = host.clone();
                clients.spawn(async move { converse(client, &host).await });
            }
            Err(_) => tokio::time::sleep(super::EXHAUSTED_PAUSE).await,
        }
    }
}

/// Answers one client until it has no more questions.
async fn converse(mut client: TcpStream, host: &Host) -> io::Result<()> {
    loop {
        let asked = async {
            let len = usize::from(client.read_u16().await?);
            if len > QUERY_LEN_MAX {
                return Err(io::Error::from(io::ErrorKind::InvalidData));
            }
            let mut question = vec![0; len];
            client.read_exact(&mut question).await?;
            Ok(question)
        };
        let question = timeout(QUESTION_MAX, asked).await??;
        let Some(answer) = answer(host, &question) else { return Ok(()) };
        // An answer is shorter than a datagram.
        let mut message = (answer.len() as u16).to_be_bytes().to_vec();
        message.extend_from_slice(&answer);
        timeout(QUESTION_MAX, client.write_all(&message)).await??;
    }
}

fn answer(host: &Host, question: &[u8]) -> Option<Vec<u8>> {
    host.zone()?.answer(question)
}
