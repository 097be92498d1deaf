//! Everything the app does, without a window: the connection to the service, what the pages ask,
//! what the tray shows, what the person is told.
//!
//! It knows no toolkit: a [`Shell`] stands for the desktop, and tests bring one of their own. It
//! holds no policy either: what the node does is the service's business, what is drawn the pages'.
//!
//! ```text
//! pages ── calls ──> commands ──> Controller ──> planetary_ipc::Client ──> planetaryd
//!   ^                                 │ ^
//!   └────────────── Shell <───────────┘ └──────── Updates
//! ```
//!
//! The life of the connection:
//!
//! ```text
//!              ┌──────────────── lost ────────────────┐
//!              v                                      │
//! start ─> connecting ── connect ──────────────────> ready
//!              │  ^                                   ^
//!     no answer│  └─ (3 s of grace after a loss)      │
//!              v                                      │
//!            absent ── again after 1, 2, 4, … 10 s ───┘
//! ```

pub mod connection;
pub mod failure;
pub mod link;
pub mod notices;
mod notification;
pub mod paper;
pub mod preferences;
mod questions;
pub mod saving;
mod shell;
mod supervise;
#[cfg(test)]
mod tests;
pub mod tray;
pub mod words;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use planetary_ipc::absence::{Absence as Reason, Seen};
use planetary_ipc::foreign::{self, ForeignError};
use planetary_ipc::import::{ExportSecret, ImportSecret};
use planetary_ipc::location::{self, Location};
use planetary_ipc::message::PROTOCOL_VERSION;
use planetary_ipc::{
    Client, ConnectError, ErrorCode, Event as Change, IdentityImport, ImportItem, ImportOutcome,
    Reply, Request, RequestError, SettingsImport, State, Status, Topic, Updates, client, limits,
};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Mutex as Turn, Notify};
use tokio::time::{self, Instant};
use zeroize::Zeroizing;

use connection::{Absent, Connection, Rights, Step};
use failure::Failure;
use link::{Link, WaitingLinks};
use notices::{Notices, Standing};
pub use notification::{Matter, Notification};
use preferences::{Preferences, PreferencesChange, PreferencesFile};
use questions::{Questions, Told};
use saving::{SaveKind, SavedFile};
pub use shell::{Event, SaveQuestion, Shell, View};
use tray::{Choice, Tray};
use words::Language;

/// How the app greets the service.
const BUILD: &str = concat!("planetary-network ", env!("CARGO_PKG_VERSION"));

/// How long a connection that was lost counts as on its way back: a service that is restarted is
/// there again by then.
const GRACE: Duration = Duration::from_secs(3);

/// The longest time between two attempts.
const RETRY_MAX: Duration = Duration::from_secs(10);

/// How often it is looked whether a socket has appeared, in between.
const LOOK: Duration = Duration::from_millis(500);

/// Versions of what is at work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct About {
    /// Version of the app.
    pub version: String,
    /// Version of the control API that the app speaks.
    pub protocol: u32,
    /// Operating system and processor.
    pub system: String,
    /// Version of the service, or `null` when it does not answer.
    pub service_version: Option<String>,
    /// Licence of the app.
    pub licence: String,
}

/// Everything the app does.
pub struct Controller<S> {
    shell: S,
    /// The socket that the command line named.
    control: Option<PathBuf>,
    /// The system's language.
    system_language: Language,
    inner: Mutex<Inner>,
    preferences: Mutex<PreferencesFile>,
    links: Mutex<WaitingLinks>,
    /// Rings when there is a reason to try anew.
    again: Notify,
    /// Rings when other topics are wanted.
    rewatch: Notify,
    /// Rings when the notices have something to wait for.
    renotice: Notify,
    /// The pages of a topology belong together, so it is fetched by one at a time.
    topology: Turn<()>,
}

struct Inner {
    connection: Connection,
    client: Option<Client>,
    /// What the pages want to hear of.
    topics: Vec<Topic>,
    notices: Notices,
    questions: Questions,
    /// What the tray shows already.
    tray: Option<Tray>,
}

impl<S: Shell> Controller<S> {
    /// Everything at rest; [`run`](Self::run) begins.
    pub fn new(
        shell: S,
        control: Option<PathBuf>,
        preferences: PreferencesFile,
        system_language: Language,
    ) -> Arc<Self> {
        Arc::new(Self {
            shell,
            control,
            system_language,
            inner: Mutex::new(Inner {
                connection: Connection::connecting(),
                client: None,
                topics: Vec::new(),
                notices: Notices::default(),
                questions: Questions::default(),
                tray: None,
            }),
            preferences: Mutex::new(preferences),
            links: Mutex::default(),
            again: Notify::new(),
            rewatch: Notify::new(),
            renotice: Notify::new(),
            topology: Turn::new(()),
        })
    }

    /// Keeps the connection, until dropped.
    pub async fn run(self: Arc<Self>) {
        self.draw_tray();
        tokio::join!(self.keep_connected(), self.tell_notices());
    }

    async fn keep_connected(&self) {
        let mut attempts = 0;
        let mut lost_at: Option<Instant> = None;
        loop {
            let place = location::locate(self.control.as_deref());
            let start = Instant::now();
            match client::connect(&place.path, BUILD).await {
                Ok((client, updates)) => {
                    attempts = 0;
                    self.follow(&place, client, updates).await;
                    lost_at = Some(Instant::now());
                    self.set_connection(Connection::connecting(), None);
                }
                Err(error) => {
                    if lost_at.is_some_and(|at| at.elapsed() < GRACE) {
                        time::sleep(LOOK).await;
                        continue;
                    }
                    let wait = retry_after(attempts);
                    attempts += 1;
                    self.set_absent(&error, &place, start.elapsed(), wait).await;
                    self.wait_for_a_reason(&place, wait).await;
                }
            }
        }
    }

    /// Follows what the service says until it says nothing more.
    async fn follow(&self, place: &Location, client: Client, mut updates: Updates) {
        let path = place.path.clone();
        let seen = aside(move || Seen::of_socket(&path)).await.unwrap_or_default();
        let status = Arc::new((*client.hello().status).clone());
        let ready = Connection::Ready {
            since: connection::now(),
            place: place.path.display().to_string(),
            rights: Rights::of(&seen),
            status,
        };
        self.set_connection(ready, Some(client.clone()));
        loop {
            let topics = self.inner().topics.clone();
            if client.subscribe(with_questions(&topics)).await.is_err() {
                // It is gone, or older than these topics; what comes anyway is followed.
                tracing::debug!("no topics");
            }
            let ended = tokio::select! {
                () = self.take_updates(&mut updates) => true,
                () = self.rewatched(&topics) => false,
            };
            if ended {
                break;
            }
        }
    }

    /// Until other topics are wanted than these.
    async fn rewatched(&self, topics: &[Topic]) {
        loop {
            let notified = self.rewatch.notified();
            if self.inner().topics != topics {
                return;
            }
            notified.await;
        }
    }

    /// Passes updates on until the connection ends.
    async fn take_updates(&self, updates: &mut Updates) {
        loop {
            match updates.next().await {
                Ok(update) => self.take(update.event),
                Err(RequestError::Lost) => break,
                Err(error) => {
                    // The whole state was asked for and not given. The next update asks again.
                    tracing::debug!(%error, "an update is missing");
                    if updates.client().is_closed() {
                        break;
                    }
                }
            }
        }
    }

    fn take(&self, change: Change) {
        match change {
            Change::Status(status) => self.set_status(Arc::new(*status)),
            Change::Traffic(traffic) => {
                if let Connection::Ready { status, .. } = &mut self.inner().connection {
                    Arc::make_mut(status).apply_traffic(&traffic);
                }
                self.shell.emit(Event::Traffic(&traffic));
            }
            Change::Topology { revision } => self.shell.emit(Event::Topology { revision }),
            Change::Friends { revision } => self.shell.emit(Event::Friends { revision }),
            Change::Circles { revision } => self.shell.emit(Event::Circles { revision }),
            Change::Resync | Change::Unknown => {}
            _ => tracing::debug!("an update that is new to this app"),
        }
    }

    async fn set_absent(
        &self,
        error: &ConnectError,
        place: &Location,
        took: Duration,
        wait: Duration,
    ) {
        let here = place.clone();
        let seen = aside(move || Seen::look(&here)).await.unwrap_or_default();
        let reason = Reason::of(error, place, took).seen(&seen);
        let mut absent = Absent::new(&reason, &place.path, wait.as_secs(), supervise::can);
        if let Connection::Absent(earlier) = &self.inner().connection
            && absent.goes_on_from(earlier)
        {
            absent.since = earlier.since;
        }
        self.set_connection(Connection::Absent(absent), None);
    }

    /// Until it is time, the person did something about it, or a socket has appeared.
    async fn wait_for_a_reason(&self, place: &Location, wait: Duration) {
        let control = self.control.clone();
        let before = existing(&place.path);
        let appeared = async {
            loop {
                time::sleep(LOOK).await;
                let now = location::locate(control.as_deref()).path;
                if now != place.path || existing(&now) != before {
                    break;
                }
            }
        };
        tokio::select! {
            () = time::sleep(wait) => {}
            () = self.again.notified() => {}
            () = appeared => {}
        }
    }

    fn set_status(&self, status: Arc<Status>) {
        let mut connection = self.inner().connection.clone();
        if let Connection::Ready { status: current, .. } = &mut connection {
            *current = status;
            let client = self.inner().client.clone();
            self.set_connection(connection, client);
        }
    }

    fn set_connection(&self, connection: Connection, client: Option<Client>) {
        let waiting = connection.status().map_or(&[][..], |status| &status.questions);
        let (changed, notice, told) = {
            let mut inner = self.inner();
            let changed = inner.connection != connection;
            inner.client = client;
            inner.connection = connection.clone();
            let notice = inner.notices.see(standing(&connection), Instant::now());
            (changed, notice, inner.questions.see(waiting))
        };
        self.renotice.notify_one();
        self.tell(notice);
        self.tell_question(told);
        if changed {
            self.shell.emit(Event::Connection(&connection));
            self.draw_tray();
        }
    }

    /// Tells a loss when it has lasted.
    async fn tell_notices(&self) {
        loop {
            let due = self.inner().notices.due();
            let ring = async {
                match due {
                    Some(due) => time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = ring => {
                    let notice = self.inner().notices.ring(Instant::now());
                    self.tell(notice);
                }
                () = self.renotice.notified() => {}
            }
        }
    }

    fn tell(&self, notice: Option<notices::Notice>) {
        if let Some(notice) = notice {
            self.notify(&Notification::of(notice, self.language()));
        }
    }

    fn tell_question(&self, told: Told<'_>) {
        match told {
            // Who looks at the window sees the question itself.
            Told::Asked(question) if !self.shell.has_focus() => {
                self.notify(&questions::notification(question, self.language()));
            }
            Told::Over => self.shell.withdraw(Matter::Question),
            Told::Asked(_) | Told::Nothing => {}
        }
    }

    fn notify(&self, notification: &Notification) {
        if self.preferences_file().kept().notifications {
            self.shell.notify(notification);
        }
    }

    fn draw_tray(&self) {
        let language = self.language();
        let mut inner = self.inner();
        let tray = Tray::of(&inner.connection, language);
        if inner.tray.as_ref() != Some(&tray) {
            // Under the lock, so that what is newer is drawn later.
            self.shell.set_tray(&tray);
            inner.tray = Some(tray);
        }
    }

    fn language(&self) -> Language {
        self.preferences_file().kept().language.or(self.system_language)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Every change is whole in itself, so it is sound after a panic elsewhere.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn preferences_file(&self) -> MutexGuard<'_, PreferencesFile> {
        self.preferences.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the tray shows.
    pub fn tray(&self) -> Tray {
        Tray::of(&self.inner().connection, self.language())
    }

    /// The desktop.
    pub fn shell(&self) -> &S {
        &self.shell
    }
}

/// What the pages ask.
impl<S: Shell> Controller<S> {
    /// Where the app stands with the service.
    pub fn connection(&self) -> Connection {
        self.inner().connection.clone()
    }

    /// Passes a request on. A topology comes whole, as one page.
    ///
    /// # Errors
    /// The service's, or why it cannot be asked; `not_allowed` for requests that carry secrets or
    /// belong to the connection itself.
    pub async fn ask(&self, request: Value) -> Result<Reply, Failure> {
        let request = Request::parse(request)?;
        request.check()?;
        let client = self.client()?;
        match request {
            Request::Subscribe { .. }
            | Request::Resync
            | Request::SealingKey
            | Request::SealedPart { .. }
            | Request::IdentityExport { .. }
            | Request::IdentityImport { .. }
            | Request::Import { .. } => {
                let text = format!("the pages may not ask `{}`", request.name());
                Err(Failure { hint: None, ..Failure::of(ErrorCode::NotAllowed, text) })
            }
            Request::Topology { .. } => {
                let _turn = self.topology.lock().await;
                Ok(Reply::Topology(client.topology().await?))
            }
            request => Ok(client.request(request).await?),
        }
    }

    /// Chooses the updates that come beside the connection; it holds for later connections too.
    pub fn watch(&self, topics: Vec<Topic>) {
        self.inner().topics = topics;
        self.rewatch.notify_one();
    }

    /// Asks the system to install, start or restart the service.
    ///
    /// # Errors
    /// `cancelled`, `no_permission`, `unsupported`, `system_refused`.
    pub async fn supervise(&self, step: Step) -> Result<(), Failure> {
        let done = supervise::carry_out(step).await;
        self.again.notify_one();
        done
    }

    /// Reads a link, a key or an address; nothing is stored, and nobody is asked but the service.
    ///
    /// # Errors
    /// `invalid_link`, with the reason.
    pub async fn read_link(&self, text: &str) -> Result<Link, Failure> {
        let link = Link::read(text, connection::now())?;
        let Ok(client) = self.client() else { return Ok(link) };
        let status = client.status().await?;
        let (friends, _) = client.friends().await?;
        let blocked = client.blocked().await?;
        Ok(match link {
            Link::Node(node) => Link::Node(node.compared(&status, &friends, &blocked)),
            Link::Join(join) => {
                let circles = match client.request(Request::CircleList).await? {
                    Reply::Circles(list) => list.circles,
                    _ => return Err(RequestError::Unexpected.into()),
                };
                Link::Join(join.compared(&status, &friends, &blocked, &circles))
            }
        })
    }

    /// Links that were opened before anybody listened.
    pub fn pending_links(&self) -> Vec<String> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Makes a backup of the identity, and saves it where the person says; `None` when they thought
    /// better of it.
    ///
    /// # Errors
    /// The service's, or `file`.
    pub async fn export_identity(
        &self,
        passphrase: Zeroizing<String>,
    ) -> Result<Option<SavedFile>, Failure> {
        let backup = self.client()?.export_identity(&ExportSecret { passphrase }).await?;
        let question = SaveQuestion {
            title: self.language().text("dialog.backup"),
            name: saving::plain_name(
                &format!("{}.backup", backup.identity.address).replace(':', "-"),
            ),
        };
        let Some(path) = self.shell.pick_file(question).await else { return Ok(None) };
        saving::write(&path, backup.text.as_bytes(), true)?;
        Ok(Some(SavedFile::at(&path)))
    }

    /// Takes the identity of a backup or a key file, or says what that would do.
    ///
    /// # Errors
    /// The service's.
    pub async fn import_identity(
        &self,
        secret: ImportSecret,
        dry_run: bool,
        replace: bool,
    ) -> Result<IdentityImport, Failure> {
        Ok(self.client()?.import_identity(&secret, dry_run, replace).await?)
    }

    /// Takes over the settings of another program, or says what that would do.
    ///
    /// # Errors
    /// `invalid_import` for a text that is none of these, or the service's.
    pub async fn import_settings(
        &self,
        text: &Zeroizing<String>,
        is_toml: bool,
        dry_run: bool,
        replace: bool,
        keep_identity: bool,
    ) -> Result<SettingsImport, Failure> {
        let read = foreign::read(text.as_bytes(), is_toml).map_err(not_understood)?;
        let client = self.client()?;
        let mut done = client.import(&read.settings, dry_run, replace, keep_identity).await?;
        done.items.extend(read.left);
        // The app was given one file and looks at no other.
        done.items.extend(read.key_file.filter(|_| !keep_identity).map(|path| ImportItem {
            setting: "PrivateKeyPath".to_owned(),
            value: Some(path.display().to_string()),
            outcome: ImportOutcome::Left,
            key: None,
            reason: Some("the key is in this file; import it as an identity".to_owned()),
        }));
        Ok(done)
    }

    /// Saves a file where the person says; `None` when they thought better of it.
    ///
    /// # Errors
    /// `file`, or `invalid_request` for what is no such file.
    pub async fn save(
        &self,
        name: &str,
        kind: SaveKind,
        data: String,
    ) -> Result<Option<SavedFile>, Failure> {
        let bytes = saving::content(kind, data)?;
        let title = self.language().text("dialog.save");
        let question = SaveQuestion { title, name: saving::plain_name(name) };
        let Some(path) = self.shell.pick_file(question).await else { return Ok(None) };
        saving::write(&path, &bytes, false)?;
        Ok(Some(SavedFile::at(&path)))
    }

    /// What the person chose for the app itself.
    pub fn preferences(&self) -> Preferences {
        self.preferences_file().kept().with_autostart(self.shell.autostart())
    }

    /// Changes it.
    ///
    /// # Errors
    /// `file` or `system_refused`; then it is as before.
    pub fn change_preferences(&self, change: &PreferencesChange) -> Result<Preferences, Failure> {
        if let Some(wanted) = change.autostart.filter(|wanted| *wanted != self.shell.autostart()) {
            self.shell.set_autostart(wanted)?;
        }
        let changed = self.preferences_file().change(change);
        changed.map_err(|error| {
            Failure::own("file", format!("the preferences cannot be kept: {error}"))
        })?;
        if let Some(appearance) = change.appearance {
            self.shell.set_appearance(appearance);
        }
        self.draw_tray();
        Ok(self.preferences())
    }

    /// Versions of what is at work.
    pub fn about(&self) -> About {
        let service = self.inner().connection.status().map(|status| status.version.clone());
        About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL_VERSION,
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            service_version: service,
            licence: env!("CARGO_PKG_LICENSE").to_owned(),
        }
    }

    fn client(&self) -> Result<Client, Failure> {
        let inner = self.inner();
        match (&inner.client, &inner.connection) {
            (Some(client), _) => Ok(client.clone()),
            (None, Connection::Absent(absent)) => {
                let failure = Failure::own(absent.state.name(), absent.message.clone());
                Err(Failure { hint: absent.command.clone(), ..failure })
            }
            (None, _) => Err(Failure::own("connecting", "the service has not answered yet")),
        }
    }
}

/// What the desktop reports.
impl<S: Shell> Controller<S> {
    /// Takes in the words of a command line, of this start or of a later one.
    pub fn open_links<T: AsRef<str>>(&self, words: impl IntoIterator<Item = T>) {
        for word in words {
            let opened =
                self.links.lock().unwrap_or_else(PoisonError::into_inner).open(word.as_ref());
            if let Some(text) = opened {
                self.shell.emit(Event::Link { text: &text });
            }
        }
    }

    /// Does what was chosen in the tray.
    pub async fn chosen(&self, choice: Choice) {
        let status = self.inner().connection.status().cloned();
        let done = match (choice, status) {
            (Choice::Questions, _) => return self.show(View::Questions),
            (Choice::Open, _) => return self.shell.show_window(),
            (Choice::Settings, _) => return self.show(View::Settings),
            (Choice::Quit, _) => return self.shell.quit(),
            // The entry could not be chosen any more.
            (_, None) => return,
            (Choice::CopyAddress, Some(status)) => self.shell.copy(&status.address.to_string()),
            (Choice::Switch, Some(status)) => {
                let down = status.state == State::Down;
                self.order(if down { Request::Up } else { Request::Down }).await
            }
            (Choice::Pause, Some(status)) => {
                let paused = status.access.paused.is_some();
                self.order(if paused { Request::Resume } else { Request::Pause { for_s: None } })
                    .await
            }
        };
        if let Err(error) = done {
            // The tray has no place for it; the window shows how things are.
            tracing::warn!(%error, "the tray's {} was not done", choice.name());
            self.shell.show_window();
        }
    }

    /// Brings the window to the front with something in it.
    pub fn show(&self, view: View) {
        self.shell.show_window();
        self.shell.emit(Event::Show { view });
    }

    async fn order(&self, request: Request) -> Result<(), Failure> {
        // What it changed comes as an update.
        self.client()?.request(request).await?;
        Ok(())
    }

    /// Whether an app that was started with the system shows its window.
    pub fn starts_minimised(&self) -> bool {
        self.preferences_file().kept().start_minimised
    }

    /// Light or dark, as the person chose.
    pub fn appearance(&self) -> preferences::Appearance {
        self.preferences_file().kept().appearance
    }
}

/// The topics of the pages, and the questions, which are told while no page is shown too: the
/// service asks only while somebody would see it.
fn with_questions(topics: &[Topic]) -> Vec<Topic> {
    let more = (!topics.contains(&Topic::Questions)).then_some(Topic::Questions);
    topics.iter().copied().chain(more).collect()
}

fn standing(connection: &Connection) -> Standing {
    match connection.status().map(|status| status.state) {
        Some(State::Connected | State::Degraded) => Standing::Well,
        Some(State::Connecting | State::Offline) => Standing::Away,
        Some(State::Down) => Standing::Off,
        None => Standing::Unknown,
    }
}

/// How long to wait after so many attempts that failed.
fn retry_after(attempts: u32) -> Duration {
    Duration::from_secs(1 << attempts.min(4)).min(RETRY_MAX)
}

/// Whether a socket is there. To look at a pipe of Windows would be to call at it.
fn existing(path: &Path) -> bool {
    cfg!(unix) && path.exists()
}

fn not_understood(error: ForeignError) -> Failure {
    Failure::of(ErrorCode::InvalidImport, error.to_string())
}

/// Does what blocks on another thread; `None` if it panicked.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

/// Longest text of a file that is imported, in bytes.
pub const IMPORT_LEN_MAX: usize = limits::SECRET_LEN_MAX;
