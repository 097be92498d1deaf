//! One client: its requests, one after the other.

use std::time::Duration;

use planetary_ipc::Right;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::command;
use super::request::{Reading, Refusal, Request, answer, read};
use crate::node::Node;

/// Bytes of a request. The longest that makes sense names a peer.
pub(super) const REQUEST_LEN_MAX: usize = 16 * 1024;

/// How long a request may take to arrive once it has begun, and its answer to be read.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a connection that is kept may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(600);

/// Serves a client until it goes, asks for nothing more, or takes too long. `right` is what the
/// system's accounts let it do.
pub(super) async fn serve<S>(stream: S, right: Option<Right>, node: &Node)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut conversation = Conversation { stream, bytes: Vec::new() };
    let mut silence_max = PATIENCE;
    loop {
        let (request, outcome) = match conversation.next(silence_max).await {
            Ok(None) => return,
            Err(refusal) => (Request::default(), Err(refusal)),
            Ok(Some(value)) => match Request::of(value) {
                Err(refusal) => (Request::default(), Err(refusal)),
                Ok(request) => {
                    let outcome = command::run(&request, right, node).await;
                    (request, outcome)
                }
            },
        };
        let is_last = !request.keepalive;
        let answer = answer(&request, outcome);
        let sent = timeout(PATIENCE, conversation.stream.write_all(&answer)).await;
        if is_last || !matches!(sent, Ok(Ok(()))) {
            // What the client does with the end is its own business.
            let _ = timeout(PATIENCE, conversation.stream.shutdown()).await;
            return;
        }
        silence_max = SILENCE_MAX;
    }
}

struct Conversation<S> {
    stream: S,
    /// What arrived and is not worked off.
    bytes: Vec<u8>,
}

impl<S: AsyncRead + Unpin> Conversation<S> {
    /// The next JSON value; `None` when the client takes too long.
    ///
    /// # Errors
    /// [`Refusal::NoRequest`] for what is no JSON and at the end of input, [`Refusal::TooLong`].
    async fn next(&mut self, silence_max: Duration) -> Result<Option<serde_json::Value>, Refusal> {
        let Ok(begun) = timeout(silence_max, self.begin()).await else { return Ok(None) };
        begun?;
        timeout(PATIENCE, self.finish()).await.map_or(Ok(None), |read| read.map(Some))
    }

    /// Waits for the first byte that is no space.
    async fn begin(&mut self) -> Result<(), Refusal> {
        loop {
            let spaces = self.bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            self.bytes.drain(..spaces);
            match self.bytes.first() {
                Some(_) => return Ok(()),
                None => self.more().await?,
            }
        }
    }

    async fn finish(&mut self) -> Result<serde_json::Value, Refusal> {
        loop {
            match read(&self.bytes) {
                Reading::Whole(value, len) => {
                    self.bytes.drain(..len);
                    return Ok(value);
                }
                Reading::Nonsense => return Err(Refusal::NoRequest),
                Reading::Unfinished if self.bytes.len() >= REQUEST_LEN_MAX => {
                    return Err(Refusal::TooLong(REQUEST_LEN_MAX));
                }
                Reading::Unfinished => self.more().await?,
            }
        }
    }

    /// Takes what has arrived, up to a whole request of the greatest length.
    async fn more(&mut self) -> Result<(), Refusal> {
        let room = REQUEST_LEN_MAX.saturating_sub(self.bytes.len()).max(1);
        let mut limited = (&mut self.stream).take(room as u64);
        match limited.read_buf(&mut self.bytes).await {
            Ok(1..) => Ok(()),
            // Gone, or broken off: either way nothing more comes.
            Ok(0) | Err(_) => Err(Refusal::NoRequest),
        }
    }
}
