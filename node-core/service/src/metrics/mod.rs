//! Figures for Prometheus, over HTTP, for programs of this computer.
//!
//! Off unless the configuration names a loopback address. What is served is the text that the node
//! made of its last look at itself ([`figures`]), at most a second old, so that asking costs the
//! node nothing however often it is done. There are neither keys, addresses nor names in it: any
//! program of this computer can read it, and whoever collects it need not be trusted with whom this
//! node knows.
//!
//! A web page must not read it either. Pages of other origins cannot, unless their name leads here
//! as well (DNS rebinding): so a request has to name a loopback host.

pub mod figures;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use planetary_runtime::http::{self, Request};
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Connections at once; more wait in the system's queue. A collector needs one, and none lasts
/// longer than a head and an answer may take.
const CLIENTS_MAX: usize = 8;

/// How long an answer may take to be written.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// Time before another attempt to accept, when the system has no sockets left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Where figures are read.
const PATH: &str = "/metrics";

/// Serves figures until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens at `address`, and serves there whatever `text` holds.
    ///
    /// # Errors
    /// Why the address cannot be had.
    pub(crate) async fn open(
        address: SocketAddr,
        text: watch::Receiver<Arc<str>>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { address: listener.local_addr()?, task: tokio::spawn(serve(listener, text)) })
    }

    /// Ends it; the address is free when this returns.
    pub(crate) async fn close(mut self) {
        self.task.abort();
        // It ended, however it did.
        let _ = (&mut self.task).await;
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, text: watch::Receiver<Arc<str>>) {
    let room = Arc::new(Semaphore::new(CLIENTS_MAX));
    // The semaphore is never closed.
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let text = Arc::clone(&text.borrow());
        tokio::spawn(async move {
            // A client that went away wants nothing any more.
            let _ = answer(stream, &text).await;
            drop(place);
        });
    }
}

async fn answer(mut stream: TcpStream, text: &str) -> io::Result<()> {
    let answer = match Request::read(&mut stream).await {
        Ok((request, _)) => match refused(&request) {
            Some(status) => http::refusal(status),
            // The first look is about to be made.
            None if text.is_empty() => http::refusal(503),
            None => http::answer(200, CONTENT_TYPE, text),
        },
        Err(error) => match error.status() {
            Some(status) => http::refusal(status),
            None => return Ok(()),
        },
    };
    let written = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    };
    timeout(ANSWER_TIME_MAX, written).await?
}

/// The status to refuse a request with.
fn refused(request: &Request) -> Option<u16> {
    let mut hosts = request.fields.all("host");
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_here(host) => {}
        _ => return Some(403),
    }
    match (request.path(), request.method.as_str()) {
        (PATH, "GET") => None,
        (PATH, _) => Some(405),
        _ => Some(404),
    }
}

/// Whether a host, with a port or without, is this computer by a name that nobody else can give.
fn is_here(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    struct Served {
        server: Server,
        text: watch::Sender<Arc<str>>,
    }

    async fn served() -> Served {
        let text = watch::Sender::new(Arc::from("a 1\n"));
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::open(here, text.subscribe()).await.unwrap();
        Served { server, text }
    }

    /// Everything that comes back on `request`.
    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn the_newest_text_is_served_as_prometheus_wants_it() {
        let Served { server, text } = served().await;
        text.send_replace(Arc::from("a 2\n"));
        let request = format!("GET /metrics?x HTTP/1.1\r\nHost: {}\r\n\r\n", server.address());
        let answer = ask(server.address(), &request).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
        assert!(answer.ends_with("\r\n\r\na 2\n"), "{answer}");
    }

    #[tokio::test]
    async fn all_else_is_refused() {
        let Served { server, .. } = served().await;
        for (request, status) in [
            ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
            ("GET /metrics/ HTTP/1.1\r\nHost: localhost:9090\r\n\r\n", 404),
            ("POST /metrics HTTP/1.1\r\nHost: [::1]\r\n\r\n", 405),
            ("GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
            ("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n", 403),
            ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 403),
            ("GET /metrics HTTP/1.1\r\n\r\n", 403),
            ("\x16\x03\x01\x02\x00\n\n", 400),
        ] {
            let answer = ask(server.address(), request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
            assert!(!answer.contains("a 1"), "{answer}");
        }
    }

    #[tokio::test]
    async fn before_there_are_figures_a_collector_is_told_to_come_again() {
        let Served { server, text } = served().await;
        text.send_replace(Arc::default());
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let answer = ask(server.address(), request).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    }

    #[test]
    fn only_this_computer_is_here() {
        for host in ["localhost", "LocalHost:1", "127.0.0.1", "127.9.9.9:80", "[::1]:9090", "[::1]"]
        {
            assert!(is_here(host), "{host}");
        }
        for host in ["", ":80", "localhost.example", "192.0.2.1", "[200::1]:80", "localhost:x"] {
            assert!(!is_here(host), "{host}");
        }
    }

    #[tokio::test]
    async fn who_says_nothing_takes_one_place_and_the_rest_is_for_others() {
        let Served { server, .. } = served().await;
        let mut silent = Vec::new();
        for _ in 0..CLIENTS_MAX - 1 {
            silent.push(TcpStream::connect(server.address()).await.unwrap());
        }
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
        for _ in 0..3 {
            assert!(ask(server.address(), request).await.ends_with("a 1\n"));
        }
    }

    #[tokio::test]
    async fn the_address_is_free_when_the_server_is_gone() {
        let Served { server, text } = served().await;
        let address = server.address();
        assert!(Server::open(address, text.subscribe()).await.is_err());
        server.close().await;
        Server::open(address, text.subscribe()).await.unwrap();
    }
}
