//! One client: a reader that starts requests, a writer that owns the order of what goes out.
//!
//! Only the writer counts updates, so an answer that carries a count (`resync`) is made by it, and
//! is always followed by the very next update. A client that does not read fills its socket, then
//! the ring of events passes it by: it hears `resync` once, and nothing more until it asks.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time;

use super::{Counted, Handler, Server, Subject};
use crate::endpoint::PeerCredentials;
use crate::error::{ApiError, ErrorCode};
use crate::frame::{self, FrameError};
use crate::limits;
use crate::message::{
    ClientMessage, Event, Hello, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN, Reply, Request, Right,
    ServerMessage, Topic, Update, common_version,
};
use crate::status::Status;
use crate::topology::Topology;

/// Answers that wait for the writer. The reader stops reading when there are more.
const ANSWERS_WAITING_MAX: usize = 8;

/// Talks with one client until it goes, misbehaves beyond repair, or the server closes. Once it has
/// said hello it gets a second `look`.
pub(super) async fn run<S, H>(
    stream: S,
    caller: PeerCredentials,
    look: impl FnOnce(PeerCredentials) -> PeerCredentials + Send,
    server: Arc<Server<H>>,
) where
    S: AsyncRead + AsyncWrite + Send + 'static,
    H: Handler,
{
    server.service.handler.refresh().await;
    let _client = Counted::new(&server, Subject::Client);
    let (mut input, output) = tokio::io::split(stream);
    let (answers, queue) = mpsc::channel(ANSWERS_WAITING_MAX);
    let writer = Writer::new(output, Arc::clone(&server));
    let mut writing = AbortOnDrop(tokio::spawn(writer.run(queue)));
    let mut closing = server.closing.subscribe();
    let mut reader = Reader {
        caller,
        server: Arc::clone(&server),
        answers: answers.clone(),
        in_progress: Arc::new(Semaphore::new(limits::REQUESTS_IN_PROGRESS_MAX)),
        pages: Arc::default(),
        tasks: JoinSet::new(),
    };
    let farewell = tokio::select! {
        end = reader.run(&mut input, look) => end,
        // The writer ended: the client does not read, or not any more.
        () = answers.closed() => None,
        // An error means that the server is gone, which is the same.
        _ = closing.wait_for(|closing| *closing) => {
            Some(ApiError::new(ErrorCode::ShuttingDown, "the service is shutting down"))
        }
    };
    if let Some(error) = farewell {
        let last = Outgoing::Last(ServerMessage::Error { id: None, error });
        let _ = time::timeout(limits::WRITE_DEADLINE, answers.send(last)).await;
    }
    drop((reader, answers));
    // The writer ends by itself once its queue is closed, and each of its writes has a deadline.
    let _ = (&mut writing.0).await;
}

/// Tells a client why it is not served, and closes.
pub(super) async fn refuse<S: AsyncWrite + Unpin>(mut stream: S, error: ApiError) {
    let message = ServerMessage::Error { id: None, error };
    let told = async {
        let _ = frame::write(&mut stream, &message, limits::SERVER_FRAME_LEN_MAX).await;
        let _ = stream.shutdown().await;
    };
    // The message fits into any socket's buffer; waiting would serve only someone who plays games.
    let _ = time::timeout(limits::UPDATE_INTERVAL_MIN, told).await;
}

/// How somebody who may not handle secrets comes to handle them.
const ADMIN_HINT: &str = if cfg!(unix) {
    "the node's key is for root and the account of the service only: run the same with `sudo`"
} else {
    "the node's key is for administrators only: run the same as administrator"
};

/// What the reader and its requests hand to the writer.
enum Outgoing {
    Message(ServerMessage),
    /// Answered by the writer, because it knows the number of the last update.
    Resync {
        id: u64,
    },
    /// Answered by the writer, because it does the choosing.
    Subscribe {
        id: u64,
        topics: Vec<Topic>,
        /// Whether the client may answer questions, so that asking it makes sense.
        may_answer: bool,
    },
    /// Nothing follows.
    Last(ServerMessage),
}

impl Outgoing {
    fn answer(id: u64, answer: Result<Reply, ApiError>) -> Self {
        Self::Message(match answer {
            Ok(ok) => ServerMessage::Ok { id, ok },
            Err(error) => ServerMessage::Error { id: Some(id), error },
        })
    }
}

struct Reader<H> {
    caller: PeerCredentials,
    server: Arc<Server<H>>,
    answers: mpsc::Sender<Outgoing>,
    in_progress: Arc<Semaphore>,
    /// The pages of the topology this client is reading, empty when there is only one.
    pages: Arc<Mutex<Vec<Topology>>>,
    tasks: JoinSet<()>,
}

impl<H: Handler> Reader<H> {
    /// Reads until the client closes (`None`) or the connection must end (with this error).
    async fn run<R: AsyncRead + Unpin>(
        &mut self,
        input: &mut R,
        look: impl FnOnce(PeerCredentials) -> PeerCredentials,
    ) -> Option<ApiError> {
        let greeted = time::timeout(limits::HELLO_DEADLINE, self.expect_hello(input)).await;
        match greeted {
            Ok(Ok(())) => self.caller = look(self.caller),
            Ok(Err(end)) => return end,
            Err(_) => {
                let text = "the client sent no hello in time";
                return Some(ApiError::new(ErrorCode::InvalidRequest, text));
            }
        }
        loop {
            let outgoing = match read_message(input).await {
                Ok(ClientMessage::Request { id, request }) => self.start(id, request),
                Ok(ClientMessage::Hello { .. }) => {
                    let error = ApiError::new(ErrorCode::InvalidRequest, "a second hello");
                    Some(Outgoing::Message(ServerMessage::Error { id: None, error }))
                }
                Err(Unreadable::Message(id, error)) => {
                    Some(Outgoing::Message(ServerMessage::Error { id, error }))
                }
                Err(Unreadable::Stream(error)) => return Some(error),
                Err(Unreadable::End) => return None,
            };
            if let Some(outgoing) = outgoing
                && self.answers.send(outgoing).await.is_err()
            {
                return None;
            }
            while self.tasks.try_join_next().is_some() {}
        }
    }

    async fn expect_hello<R: AsyncRead + Unpin>(
        &self,
        input: &mut R,
    ) -> Result<(), Option<ApiError>> {
        let hello = match read_message(input).await {
            Ok(ClientMessage::Hello { hello }) => hello,
            Ok(ClientMessage::Request { .. }) => {
                let text = "the first message must be the hello";
                return Err(Some(ApiError::new(ErrorCode::InvalidRequest, text)));
            }
            Err(Unreadable::Message(_, error) | Unreadable::Stream(error)) => {
                return Err(Some(error));
            }
            Err(Unreadable::End) => return Err(None),
        };
        let ours = (PROTOCOL_VERSION, PROTOCOL_VERSION_MIN);
        if common_version(ours, (hello.version, hello.lowest)).is_none() {
            let text = format!(
                "the client speaks versions {} to {} of the control API, the service {} to {}",
                hello.lowest, hello.version, PROTOCOL_VERSION_MIN, PROTOCOL_VERSION
            );
            return Err(Some(ApiError::new(ErrorCode::VersionMismatch, text)));
        }
        tracing::debug!(build = hello.build, uid = self.caller.uid, "a client said hello");
        Ok(())
    }

    /// Starts a request; gives what can be answered at once.
    fn start(&mut self, id: u64, request: Request) -> Option<Outgoing> {
        if !self.caller.may(request.right()) {
            let text = format!("this user may not use `{}`", request.name());
            let mut error = ApiError::new(ErrorCode::PermissionDenied, text);
            if request.right() == Right::Admin {
                // The group would not help.
                error = error.with_hint(ADMIN_HINT);
            }
            return Some(Outgoing::answer(id, Err(error)));
        }
        if let Err(error) = request.check() {
            return Some(Outgoing::answer(id, Err(error)));
        }
        match request {
            Request::Status => {
                let status = Box::new(Status::clone(&self.server.hub.status()));
                Some(Outgoing::answer(id, Ok(Reply::Status(status))))
            }
            Request::Resync => Some(Outgoing::Resync { id }),
            Request::Subscribe { topics } => {
                let may_answer = self.caller.may(Right::Change);
                Some(Outgoing::Subscribe { id, topics, may_answer })
            }
            Request::Topology { page } if page > 0 => {
                Some(Outgoing::answer(id, take_page(&self.pages, page)))
            }
            request => match Arc::clone(&self.in_progress).try_acquire_owned() {
                Ok(permit) => {
                    self.spawn(id, request, permit);
                    None
                }
                Err(_) => {
                    let most = limits::REQUESTS_IN_PROGRESS_MAX;
                    let text = format!("{most} requests of this client are in progress");
                    Some(Outgoing::answer(id, Err(ApiError::new(ErrorCode::Busy, text))))
                }
            },
        }
    }

    fn spawn(&mut self, id: u64, request: Request, permit: OwnedSemaphorePermit) {
        let (name, deadline) = (request.name(), request.deadline());
        let reads = request.right() == Right::Read;
        let (handler, caller) = (Arc::clone(&self.server.service.handler), self.caller);
        let (answers, pages) = (self.answers.clone(), Arc::clone(&self.pages));
        // A task of its own, so that a panic is an answer and a change outlives its client.
        let mut work = tokio::spawn(async move {
            let _permit = permit;
            handler.handle(request, caller).await
        });
        self.tasks.spawn(async move {
            let in_time = if reads {
                let mut work = AbortOnDrop(work);
                time::timeout(deadline, &mut work.0).await
            } else {
                time::timeout(deadline, &mut work).await
            };
            let answer = match in_time {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => {
                    tracing::error!(request = name, "a request of the control API panicked");
                    let text = format!("`{name}` broke off inside the service");
                    Err(ApiError::new(ErrorCode::Internal, text))
                }
                Err(_) => {
                    let text = format!("`{name}` took longer than {} s", deadline.as_secs());
                    Err(ApiError::new(ErrorCode::DeadlineExceeded, text))
                }
            };
            let answer = answer.map(|reply| match reply {
                Reply::Topology(whole) => Reply::Topology(keep_pages(&pages, whole)),
                reply => reply,
            });
            // The writer is gone only when the client is.
            let _ = answers.send(Outgoing::answer(id, answer)).await;
        });
    }
}

/// Why there is no message to act on.
enum Unreadable {
    /// This one is wrong, the next may be right.
    Message(Option<u64>, ApiError),
    /// There can be no next one.
    Stream(ApiError),
    /// The client is gone.
    End,
}

async fn read_message<R: AsyncRead + Unpin>(input: &mut R) -> Result<ClientMessage, Unreadable> {
    let body = match frame::read(input, limits::CLIENT_FRAME_LEN_MAX).await {
        Ok(Some(body)) => body,
        Ok(None) => return Err(Unreadable::End),
        Err(error @ FrameError::Length { .. }) => {
            let error = ApiError::new(ErrorCode::FrameTooLarge, error.to_string());
            return Err(Unreadable::Stream(error));
        }
        Err(error) => {
            tracing::debug!(%error, "a client broke off");
            return Err(Unreadable::End);
        }
    };
    ClientMessage::parse(&body).map_err(|(id, error)| match error.code {
        ErrorCode::InvalidJson => Unreadable::Stream(error),
        _ => Unreadable::Message(id, error),
    })
}

/// Keeps the later pages of a topology for the same client, and gives the first.
fn keep_pages(kept: &Mutex<Vec<Topology>>, whole: Topology) -> Topology {
    let mut pages = whole.into_pages();
    let first = pages.first_mut().map(std::mem::take).unwrap_or_default();
    *kept.lock().unwrap_or_else(PoisonError::into_inner) = pages;
    first
}

/// Takes a page that was kept; each can be taken once.
fn take_page(kept: &Mutex<Vec<Topology>>, page: u32) -> Result<Reply, ApiError> {
    let mut pages = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let index = usize::try_from(page).unwrap_or(usize::MAX);
    // A page that was taken leaves an empty one behind, which has the number 0.
    let taken = pages.get_mut(index).map(std::mem::take).filter(|taken| taken.page == page);
    if index + 1 == pages.len() {
        pages.clear();
    }
    taken.map(Reply::Topology).ok_or_else(|| {
        let text = format!("there is no page {page} to take");
        ApiError::new(ErrorCode::InvalidRequest, text).with_hint("begin again with page 0")
    })
}

struct Writer<S, H: Handler> {
    output: WriteHalf<S>,
    server: Arc<Server<H>>,
    updates: broadcast::Receiver<Arc<Event>>,
    /// Number of the last update that was sent.
    seq: u64,
    topics: HashSet<Topic>,
    /// While the client shows questions.
    asker: Option<Counted<H>>,
    /// Whether updates were missed, so that none is sent until the client asked for the whole.
    behind: bool,
}

/// The client cannot be written to.
struct Gone;

impl<S, H> Writer<S, H>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
    H: Handler,
{
    fn new(output: WriteHalf<S>, server: Arc<Server<H>>) -> Self {
        // Replaced when the hello is made.
        let (_, updates) = server.hub.subscribe();
        let topics = HashSet::new();
        Self { output, server, updates, seq: 0, topics, asker: None, behind: false }
    }

    /// Greets, then sends until the queue is closed or the client is gone.
    async fn run(mut self, mut queue: mpsc::Receiver<Outgoing>) {
        // An error says that there is nobody to tell; the reader learns it from the closed queue.
        let _ = self.send_all(&mut queue).await;
        let _ = time::timeout(limits::WRITE_DEADLINE, self.output.shutdown()).await;
    }

    async fn send_all(&mut self, queue: &mut mpsc::Receiver<Outgoing>) -> Result<(), Gone> {
        let hello = Hello {
            version: PROTOCOL_VERSION,
            lowest: PROTOCOL_VERSION_MIN,
            build: self.server.service.build.clone(),
            seq: self.seq,
            status: self.start_over(),
        };
        self.send(ServerMessage::Hello { hello }).await?;
        loop {
            tokio::select! {
                biased;
                outgoing = queue.recv() => match outgoing {
                    Some(Outgoing::Message(message)) => self.send(message).await?,
                    Some(Outgoing::Resync { id }) => {
                        let status = self.start_over();
                        let ok = Reply::State { seq: self.seq, status };
                        self.send(ServerMessage::Ok { id, ok }).await?;
                    }
                    Some(Outgoing::Subscribe { id, topics, may_answer }) => {
                        self.choose(&topics, may_answer);
                        let ok = Reply::Subscribed { topics };
                        self.send(ServerMessage::Ok { id, ok }).await?;
                    }
                    Some(Outgoing::Last(message)) => return self.send(message).await,
                    None => return Ok(()),
                },
                update = self.updates.recv(), if !self.behind => match update {
                    Ok(event) => self.update(&event).await?,
                    Err(broadcast::error::RecvError::Lagged(_)) => {
                        self.behind = true;
                        self.update(&Event::Resync).await?;
                    }
                    // The hub outlives this connection, since the server holds it.
                    Err(broadcast::error::RecvError::Closed) => return Ok(()),
                },
            }
        }
    }

    fn choose(&mut self, topics: &[Topic], may_answer: bool) {
        self.topics = topics.iter().copied().collect();
        if !may_answer || !self.topics.contains(&Topic::Questions) {
            self.asker = None;
        } else if self.asker.is_none() {
            self.asker = Some(Counted::new(&self.server, Subject::Asker));
        }
    }

    /// The whole state of this moment; updates go on from here.
    fn start_over(&mut self) -> Box<Status> {
        let (status, updates) = self.server.hub.subscribe();
        self.updates = updates;
        self.behind = false;
        Box::new(Status::clone(&status))
    }

    async fn update(&mut self, event: &Event) -> Result<(), Gone> {
        let wanted = match event {
            Event::Traffic(_) => self.topics.contains(&Topic::Traffic),
            Event::Topology { .. } => self.topics.contains(&Topic::Topology),
            Event::Friends { .. } => self.topics.contains(&Topic::Friends),
            Event::Circles { .. } => self.topics.contains(&Topic::Circles),
            Event::Status(_) | Event::Resync | Event::Unknown => true,
        };
        if !wanted {
            return Ok(());
        }
        self.seq += 1;
        self.send(ServerMessage::Update(Update { seq: self.seq, event: event.clone() })).await
    }

    async fn send(&mut self, message: ServerMessage) -> Result<(), Gone> {
        let frame = match frame::encode(&message, limits::SERVER_FRAME_LEN_MAX) {
            Ok(frame) => frame,
            Err(error) => excuse(&message, &error)?,
        };
        let written = async {
            self.output.write_all(&frame).await?;
            self.output.flush().await
        };
        match time::timeout(limits::WRITE_DEADLINE, written).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }
}

/// What is sent instead of a message that does not fit; without a request to answer, nothing is.
fn excuse(message: &ServerMessage, error: &FrameError) -> Result<Vec<u8>, Gone> {
    tracing::error!(%error, "a message of the control API could not be sent");
    let ServerMessage::Ok { id, .. } = message else { return Err(Gone) };
    let error = ApiError::new(ErrorCode::AnswerTooLarge, error.to_string());
    let message = ServerMessage::Error { id: Some(*id), error };
    frame::encode(&message, limits::SERVER_FRAME_LEN_MAX).map_err(|_| Gone)
}

/// A task that does not outlive its handle.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
