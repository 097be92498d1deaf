//! The HTTP proxy: `CONNECT` for everything, and requests for `http://` as browsers make them.
//!
//! A connection of a client carries one request: what is asked for goes to the far node with
//! `Connection: close`, and from then on bytes are carried as they come. So no answer can be taken
//! for that to another request, whatever a client or a server sends.
//!
//! A page in a browser can make requests to this port as to any on the computer. They reach
//! nothing: a page can neither ask with `CONNECT` nor for a whole URI, so all that it gets is the
//! refusal of a request for a path, which says nothing of this node and which other origins may not
//! read.
//!
//! Source: RFC 9110 section 9.3.6, RFC 9112 sections 3.2 and 9.

use std::fmt::Write as _;

use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::{
    host::{Host, Stream},
    relay::{Tally, farewell, relay},
    target::{ReachError, Target},
};
use crate::http::{self, Request};

const HTTP_PORT: u16 = 80;

/// Fields that are about one connection and go no further.
const HOP_FIELDS: [&str; 8] = [
    "connection",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "upgrade",
];

/// Where a request is to be taken, and what is to be said first: there, or here.
#[derive(Debug, PartialEq, Eq)]
enum Task {
    /// `CONNECT`: the client is told, and then both ends talk.
    Tunnel(Target),
    /// The request itself is passed on, with this head.
    Pass(Target, String),
}

/// Why a request is refused: the status, and a sentence for people.
type Refusal = (u16, &'static str);

/// Serves one client until it has finished. What goes wrong, the client is told.
pub(super) async fn serve(mut client: TcpStream, host: &Host, tally: &Tally) {
    let (request, rest) = match Request::read(&mut client).await {
        Ok(read) => read,
        Err(error) => {
            if let Some(status) = error.status() {
                farewell(client, http::refusal(status).as_bytes()).await;
            }
            return;
        }
    };
    let task = match Task::of(&request) {
        Ok(task) => task,
        Err((status, why)) => return farewell(client, told(status, why).as_bytes()).await,
    };
    let (Task::Tunnel(target) | Task::Pass(target, _)) = &task;
    let mut far = match host.reach(target).await {
        Ok(far) => far,
        Err(error) => {
            tracing::debug!(reason = error.code(), "a client of the proxy was refused");
            return farewell(client, told(status(&error), &error.to_string()).as_bytes()).await;
        }
    };
    let said = match &task {
        Task::Tunnel(_) => client.write_all(http::response_head(200, &[]).as_bytes()).await,
        Task::Pass(_, head) => {
            tally.sent(head.len());
            far.write_all(head.as_bytes()).await
        }
    };
    if said.is_ok() && far.write_all(&rest).await.is_ok() {
        tally.sent(rest.len());
        relay(Stream::System(client), far, tally).await;
    }
}

impl Task {
    fn of(request: &Request) -> Result<Self, Refusal> {
        if request.method == "CONNECT" {
            let target = Target::parse(&request.target, None);
            return target.map(Self::Tunnel).map_err(|_| NO_AUTHORITY);
        }
        let scheme_len = "http://".len();
        let is_http = request
            .target
            .get(..scheme_len)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"));
        if !is_http {
            return Err(NO_PROXY_REQUEST);
        }
        let rest = &request.target[scheme_len..];
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let target = Target::parse(authority, Some(HTTP_PORT)).map_err(|_| NO_AUTHORITY)?;
        Ok(Self::Pass(target, head(request, authority, path)))
    }
}

/// The head of a request as it goes to the far node.
fn head(request: &Request, authority: &str, path: &str) -> String {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let minor = u8::from(request.is_http_1_1);
    let mut head = format!(
        "{} {slash}{path} HTTP/1.{minor}\r\nHost: {authority}\r\nConnection: close\r\n",
        request.method
    );
    for (name, value) in request.fields.iter() {
        let is_of_this_hop = HOP_FIELDS.iter().any(|hop| hop.eq_ignore_ascii_case(name))
            || request.fields.lists("connection", name);
        if !is_of_this_hop {
            // Writing to a string does not fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
    }
    head.push_str("\r\n");
    head
}

const NO_AUTHORITY: Refusal =
    (400, "this names no node and port, such as ada.pln.internal:80 or [200::1]:80");
const NO_PROXY_REQUEST: Refusal = (
    405,
    "this is a proxy into the network: it takes CONNECT, and requests for a whole http:// address",
);

/// The status for a node that cannot be reached.
const fn status(error: &ReachError) -> u16 {
    match error {
        ReachError::Foreign => 403,
        ReachError::Timeout => 504,
        ReachError::Full | ReachError::Down => 503,
        ReachError::UnknownName
        | ReachError::NamesOff
        | ReachError::Refused
        | ReachError::System(_) => 502,
    }
}

fn told(status: u16, why: &str) -> String {
    http::answer(status, "text/plain; charset=utf-8", &format!("{why}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(text: &str) -> Result<Task, u16> {
        let (request, len) = Request::parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!(len, text.len());
        Task::of(&request).map_err(|(status, _)| status)
    }

    #[test]
    fn requests_name_where_they_go() {
        let target = |text: &str| text.parse::<Target>().unwrap();
        assert_eq!(
            task("CONNECT ada.pln.internal:443 HTTP/1.1\r\nHost: x\r\n\r\n"),
            Ok(Task::Tunnel(target("ada.pln.internal:443")))
        );
        assert_eq!(
            task(
                "POST HTTP://ada.pln.internal/a?b=http://c/ HTTP/1.1\r\nHost: other\r\nX-A: 1\r\n\
                 Connection: keep-alive, X-B\r\nX-B: 2\r\nProxy-Authorization: secret\r\n\
                 Content-Length: 3\r\n\r\n"
            ),
            Ok(Task::Pass(
                target("ada.pln.internal:80"),
                "POST /a?b=http://c/ HTTP/1.1\r\nHost: ada.pln.internal\r\nConnection: close\r\n\
                 X-A: 1\r\nContent-Length: 3\r\n\r\n"
                    .to_owned()
            ))
        );
        assert_eq!(
            task("GET http://[200::1]:81?q HTTP/1.0\r\n\r\n"),
            Ok(Task::Pass(
                target("[200::1]:81"),
                "GET /?q HTTP/1.0\r\nHost: [200::1]:81\r\nConnection: close\r\n\r\n".to_owned()
            ))
        );
    }

    #[test]
    fn what_a_page_can_ask_for_is_refused() {
        for (line, status) in [
            ("GET / HTTP/1.1", 405),
            ("GET /http://ada.pln.internal/ HTTP/1.1", 405),
            ("OPTIONS * HTTP/1.1", 405),
            ("GET https://ada.pln.internal/ HTTP/1.1", 405),
            ("GET ftp://ada.pln.internal/ HTTP/1.1", 405),
            ("GET http:///a HTTP/1.1", 400),
            ("GET http://user@ada.pln.internal:x/ HTTP/1.1", 400),
            ("CONNECT ada.pln.internal HTTP/1.1", 400),
            ("CONNECT / HTTP/1.1", 400),
        ] {
            assert_eq!(task(&format!("{line}\r\n\r\n")), Err(status), "{line}");
        }
    }
}
