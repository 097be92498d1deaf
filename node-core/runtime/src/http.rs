//! The head of an HTTP/1.1 message, read from somebody who may be anybody, and short answers.
//!
//! This is no HTTP server and no client. It is the one part that a WebSocket listener, an HTTP
//! proxy and a page of figures have in common: up to the empty line, bounded in bytes, fields and
//! time. What arrived behind it is handed back, so that no byte is lost to whoever goes on with the
//! connection. Bodies are nobody's business here.

use std::{fmt::Write as _, io, time::Duration};

use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};

/// Longest head, in bytes. Browsers and proxies send one or two thousand.
pub const HEAD_LEN_MAX: usize = 8 * 1024;

/// Most header fields of a head. A dozen is usual, and proxies add some.
pub const FIELDS_MAX: usize = 64;

/// How long a head may take to arrive.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(10);

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method as it was written, such as `GET`.
    pub method: String,
    /// The target as it was written: a path with its query, or the `host:port` of `CONNECT`.
    pub target: String,
    /// Whether the request is of HTTP/1.1; else it is of HTTP/1.0.
    pub is_http_1_1: bool,
    /// The header fields.
    pub fields: Fields,
}

/// The head of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status, such as 101.
    pub status: u16,
    /// The header fields.
    pub fields: Fields,
}

/// The header fields of a head, in their order. What is not UTF-8 in a value is replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

/// Why there is no head.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HeadError {
    /// The bytes are not HTTP/1, or there are more than [`FIELDS_MAX`] fields.
    #[error("this is not HTTP")]
    Malformed(#[source] httparse::Error),
    /// There was no end within [`HEAD_LEN_MAX`] bytes.
    #[error("the HTTP head is longer than {HEAD_LEN_MAX} bytes")]
    TooLong,
    /// There was no end within [`HEAD_TIME_MAX`].
    #[error("the HTTP head did not arrive in time")]
    Timeout,
    /// The connection ended or failed first.
    #[error("the connection ended before the HTTP head did")]
    Io(#[from] io::Error),
}

impl HeadError {
    /// The status to refuse such a request with, where somebody is there to read it.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Malformed(httparse::Error::TooManyHeaders) | Self::TooLong => Some(431),
            Self::Malformed(_) => Some(400),
            Self::Timeout => Some(408),
            Self::Io(_) => None,
        }
    }
}

impl Request {
    /// Reads a request's head from the beginning of `bytes`; with it comes its length. `None` if it
    /// is not complete.
    ///
    /// # Errors
    /// [`HeadError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, HeadError> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut request = httparse::Request::new(&mut fields);
        match request.parse(bytes).map_err(HeadError::Malformed)? {
            httparse::Status::Partial => Ok(None),
            httparse::Status::Complete(len) => {
                let parsed = Self {
                    method: request.method.unwrap_or_default().to_owned(),
                    target: request.path.unwrap_or_default().to_owned(),
                    is_http_1_1: request.version == Some(1),
                    fields: Fields::from(&*request.headers),
                };
                Ok(Some((parsed, len)))
            }
        }
    }

    /// Reads a request's head off a connection. With it comes what arrived behind it.
    ///
    /// # Errors
    /// See [`HeadError`].
    pub async fn read<S>(stream: &mut S) -> Result<(Self, Vec<u8>), HeadError>
    where
        S: AsyncRead + Unpin,
    {
        read_head(stream, Self::parse).await
    }

    /// The target without its query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&*self.target, |(path, _)| path)
    }
}

impl Response {
    /// Reads a response's head from the beginning of `bytes`; with it comes its length. `None` if
    /// it is not complete.
    ///
    /// # Errors
    /// [`HeadError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, HeadError> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut response = httparse::Response::new(&mut fields);
        match response.parse(bytes).map_err(HeadError::Malformed)? {
            httparse::Status::Partial => Ok(None),
            httparse::Status::Complete(len) => {
                let status = response.code.unwrap_or_default();
                Ok(Some((Self { status, fields: Fields::from(&*response.headers) }, len)))
            }
        }
    }

    /// Reads a response's head off a connection. With it comes what arrived behind it.
    ///
    /// # Errors
    /// See [`HeadError`].
    pub async fn read<S>(stream: &mut S) -> Result<(Self, Vec<u8>), HeadError>
    where
        S: AsyncRead + Unpin,
    {
        read_head(stream, Self::parse).await
    }
}

impl Fields {
    /// All values of a field, whose name may be written in any case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = move |(other, value): &'a (String, String)| {
            other.eq_ignore_ascii_case(name).then_some(value.as_str())
        };
        self.0.iter().filter_map(named)
    }

    /// All fields in their order, names as they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The first value of a field.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    /// Whether a field that is a list, as `Connection` is, has a member, in any case.
    #[must_use]
    pub fn lists(&self, name: &str, member: &str) -> bool {
        let mut members = self.all(name).flat_map(|value| value.split(','));
        members.any(|one| one.trim().eq_ignore_ascii_case(member))
    }
}

impl From<&[httparse::Header<'_>]> for Fields {
    fn from(fields: &[httparse::Header<'_>]) -> Self {
        let owned = |field: &httparse::Header<'_>| {
            let value = String::from_utf8_lossy(field.value).trim().to_owned();
            (field.name.to_owned(), value)
        };
        Self(fields.iter().map(owned).collect())
    }
}

/// The head of a response, up to and with the empty line.
///
/// Names and values of `fields` are the program's own words, without line ends.
#[must_use]
pub fn response_head(status: u16, fields: &[(&str, &str)]) -> String {
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    for (name, value) in fields {
        // Writing to a string does not fail.
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("\r\n");
    head
}

/// A whole response behind which the connection is closed.
#[must_use]
pub fn answer(status: u16, content_type: &str, body: &str) -> String {
    let len = body.len().to_string();
    let fields = [
        ("Content-Type", content_type),
        ("Content-Length", &len),
        ("Cache-Control", "no-store"),
        ("Connection", "close"),
    ];
    response_head(status, &fields) + body
}

/// A whole response that has nothing to say but its status.
#[must_use]
pub fn refusal(status: u16) -> String {
    answer(status, "text/plain; charset=utf-8", &format!("{}\n", reason(status)))
}

/// Reads until `parse` finds the end of a head.
async fn read_head<S, T>(
    stream: &mut S,
    parse: impl Fn(&[u8]) -> Result<Option<(T, usize)>, HeadError>,
) -> Result<(T, Vec<u8>), HeadError>
where
    S: AsyncRead + Unpin,
{
    let reading = async {
        let mut bytes = Vec::with_capacity(1024);
        loop {
            let seen = bytes.len();
            // Grows with what arrives, and no further than the bound.
            let room = (HEAD_LEN_MAX - seen) as u64;
            if (&mut *stream).take(room).read_buf(&mut bytes).await? == 0 {
                return Err(match room {
                    0 => HeadError::TooLong,
                    _ => io::Error::from(io::ErrorKind::UnexpectedEof).into(),
                });
            }
            // A head ends with a line, so a sender of single bytes does not cause a parse each.
            if !bytes[seen..].contains(&b'\n') {
                continue;
            }
            if let Some((head, len)) = parse(&bytes)? {
                bytes.drain(..len);
                return Ok((head, bytes));
            }
        }
    };
    timeout(HEAD_TIME_MAX, reading).await.unwrap_or(Err(HeadError::Timeout))
}

/// The words that belong to a status, for those that are sent here.
const fn reason(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        426 => "Upgrade Required",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    const GET: &str = "GET /a/b?c=d HTTP/1.1\r\nHost: node\r\nConnection: keep-alive, Upgrade\r\n\
                       connection: x\r\n\r\n";

    async fn read(bytes: &[u8]) -> Result<(Request, Vec<u8>), HeadError> {
        let (mut near, mut far) = duplex(64 * 1024);
        far.write_all(bytes).await.unwrap();
        drop(far);
        Request::read(&mut near).await
    }

    #[tokio::test]
    async fn a_request_is_read_and_what_is_behind_it_is_kept() {
        let (request, rest) = read(&[GET.as_bytes(), b"meta\0"].concat()).await.unwrap();
        assert_eq!((&*request.method, &*request.target), ("GET", "/a/b?c=d"));
        assert_eq!((request.path(), request.is_http_1_1), ("/a/b", true));
        assert_eq!(request.fields.first("HOST"), Some("node"));
        assert_eq!(request.fields.all("Connection").count(), 2);
        assert!(request.fields.lists("Connection", "upgrade"));
        assert!(request.fields.lists("Connection", "X"));
        assert!(!request.fields.lists("Connection", "keep"));
        assert_eq!(rest, b"meta\0");
    }

    #[tokio::test]
    async fn a_head_may_come_byte_by_byte() {
        let (mut near, mut far) = duplex(1);
        let writing = tokio::spawn(async move { far.write_all(GET.as_bytes()).await });
        let (request, rest) = Request::read(&mut near).await.unwrap();
        writing.await.unwrap().unwrap();
        assert_eq!((request.path(), &*rest), ("/a/b", &[][..]));
    }

    #[tokio::test]
    async fn a_response_is_read() {
        let (mut near, mut far) = duplex(1024);
        let head = response_head(101, &[("Upgrade", "websocket")]);
        far.write_all((head + "more").as_bytes()).await.unwrap();
        let (response, rest) = Response::read(&mut near).await.unwrap();
        assert_eq!((response.status, &*rest), (101, &b"more"[..]));
        assert_eq!(response.fields.first("upgrade"), Some("websocket"));
    }

    #[tokio::test]
    async fn what_is_no_head_is_refused_with_its_status() {
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(FIELDS_MAX + 1));
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(HEAD_LEN_MAX));
        let lines = format!("GET / HTTP/1.1\r\na: {}", "\n ".repeat(HEAD_LEN_MAX));
        for (bytes, status) in [
            ("\x16\x03\x01\x02\x00\n", Some(400)),
            ("GET / HTTP/2.0\r\n\r\n", Some(400)),
            ("GET /\r\nHost: a\r\n\r\n", Some(400)),
            (&lines, Some(400)),
            (&many, Some(431)),
            (&long, Some(431)),
            ("GET / HTTP/1.1\r\nHost: a\r\n", None),
            ("", None),
        ] {
            let error = read(bytes.as_bytes()).await.unwrap_err();
            assert_eq!(error.status(), status, "{error} for {:?}", bytes.get(..40));
        }
    }

    #[tokio::test]
    async fn the_longest_head_is_taken() {
        let frame = "GET /".len() + " HTTP/1.1\r\n\r\n".len();
        let longest = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(HEAD_LEN_MAX - frame));
        let (request, _) = read(longest.as_bytes()).await.unwrap();
        assert_eq!(request.target.len(), HEAD_LEN_MAX - frame + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_not_waited_for() {
        let (mut near, _far) = duplex(16);
        let error = Request::read(&mut near).await.unwrap_err();
        assert_eq!(error.status(), Some(408));
    }

    #[test]
    fn an_answer_says_how_long_it_is() {
        let text = answer(200, "text/plain", "OK");
        let (response, len) = Response::parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!((response.status, &text[len..]), (200, "OK"));
        assert_eq!(response.fields.first("content-length"), Some("2"));
        assert!(refusal(405).starts_with("HTTP/1.1 405 Method Not Allowed\r\n"));
    }
}
