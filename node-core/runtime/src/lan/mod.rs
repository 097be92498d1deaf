//! Nodes on the local networks of this machine: says that we are here, hears who else is, and
//! keeps links to some of them.
//!
//! ```text
//! attachments -> standing -> stations (a TLS listener and beacons for each active interface)
//!                                 |  incoming links        ^ quick beacons after a loss
//! beacons heard -> gate -> crowd -+- links that we dial ---+
//! ```
//!
//! One task ([`search`]) does all of it; what it decides by is pure: [`network`] says on which
//! interfaces, [`crowd`] to whom. Links are made as all others are ([`crate::links`]) and handed to
//! the same sink; they are marked with the interface on which the ends have found each other. A
//! link that is lost is not dialled again by itself: the next beacon does that, and both ends send
//! one at once.
//!
//! Where nothing is active there is no socket at all. On an active interface everybody learns the
//! node's key, that it runs, and whether somebody has the same password; `docs/security.md` has the
//! table.
//!
//! Source: protocol chapter 10. Unlike the reference, patterns are tried in their order, there is
//! no full mesh, and networks of strangers are left alone until a person says otherwise.

mod crowd;
mod gate;
mod network;
mod search;
mod socket;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot, watch},
    task::JoinHandle,
    time::timeout,
};

pub use self::network::{PATTERNS_MAX, Pattern, PatternError, Standing, Trust};
use self::{
    crowd::{Crowd, SeatId},
    search::Search,
};
use crate::{
    links::{LinkSink, LocalEnd, uri::Password},
    surroundings::attachments::Attachment,
};

/// Most links to nodes that were found that may be asked for.
pub const LINKS_MAX: usize = 64;

/// Where and how nodes are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanSettings {
    /// Names of interfaces, tried in this order.
    pub patterns: Vec<Pattern>,
    /// Whether networks that nobody has said a word of are as good as one's own.
    pub everywhere: bool,
    /// What a person has said of networks.
    pub trust: Trust,
    /// Nodes with another password are ignored.
    pub password: Password,
    /// Priority of the links; lower is preferred.
    pub priority: u8,
    /// Most links that we open, and most that we let in: 1 to [`LINKS_MAX`].
    pub links_max: usize,
    /// TCP port of the listeners; 0 lets the system choose.
    pub listen_port: u16,
}

/// How long a change may take until it is seen. It is a matter of milliseconds.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(2);

impl LanSettings {
    /// Whether links made under these settings are as they would be made under `other`.
    fn makes_same_links(&self, other: &Self) -> bool {
        self.password == other.password
            && self.priority == other.priority
            && self.links_max == other.links_max
            && self.listen_port == other.listen_port
    }
}

/// An interface that could be used, and what is done on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanInterface {
    /// Its name.
    pub name: String,
    /// Whether it is Wi-Fi.
    pub wireless: bool,
    /// Name of the network behind it, for [`LanSettings::trust`]; `None` while nothing is known of
    /// it.
    pub network: Option<String>,
    /// What people call the network.
    pub label: Option<String>,
    /// What is done.
    pub standing: Standing,
    /// Links over it that are up, whoever opened them.
    pub links: usize,
}

/// What links are made with.
pub(crate) struct Ends<S> {
    pub(crate) local: LocalEnd,
    pub(crate) sink: Arc<S>,
}

/// A running search. Everything of it ends when it is dropped, a little later than with
/// [`Lan::stop`].
#[derive(Debug)]
pub(crate) struct Lan {
    settings: watch::Sender<LanSettings>,
    shared: Arc<Shared>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// What the task and its links share.
struct Shared {
    crowd: Mutex<Crowd>,
    interfaces: Mutex<Vec<(Attachment, Standing)>>,
    /// The settings by which the interfaces were looked at last.
    settled: watch::Sender<Option<LanSettings>>,
    /// Somebody came or went.
    moved: Notify,
    /// The interfaces may have changed.
    changed: Notify,
}

impl Lan {
    /// Begins to look. Tasks run on `runtime`.
    pub(crate) fn start<S: LinkSink>(
        ends: Ends<S>,
        settings: LanSettings,
        runtime: &Handle,
    ) -> Self {
        let crowd = Crowd::new(ends.local.key(), settings.links_max, Instant::now());
        let shared = Arc::new(Shared {
            crowd: Mutex::new(crowd),
            interfaces: Mutex::default(),
            settled: watch::Sender::new(None),
            moved: Notify::new(),
            changed: Notify::new(),
        });
        let (settings, changes) = watch::channel(settings);
        let (stop, stopped) = oneshot::channel();
        let search = Search::new(ends, Arc::clone(&shared), changes);
        let task = runtime.spawn(search.run(stopped));
        Self { settings, shared, stop, task }
    }

    /// Goes on with other settings, unless links that are up would have to become others; then
    /// there is no answer. The answer is done when the interfaces were looked at by these settings,
    /// or the search has ended.
    pub(crate) fn adopt(&self, settings: &LanSettings) -> Option<impl Future<Output = ()> + use<>> {
        if !self.settings.borrow().makes_same_links(settings) {
            return None;
        }
        self.settings.send_if_modified(|current| {
            let is_other = *current != *settings;
            current.clone_from(settings);
            is_other
        });
        let (mut settled, settings) = (self.shared.settled.subscribe(), settings.clone());
        Some(async move {
            let settles = settled.wait_for(|by| by.as_ref() == Some(&settings));
            // A task that has ended settles nothing more, and a look that takes long is waited for
            // no longer.
            let _ = timeout(SETTLE_TIME_MAX, settles).await;
        })
    }

    /// Looks at the interfaces at once: they may have changed.
    pub(crate) fn look(&self) {
        self.shared.changed.notify_one();
    }

    /// The interfaces as they were seen last, ordered by name.
    pub(crate) fn interfaces(&self) -> Vec<LanInterface> {
        let crowd = self.shared.crowd.lock();
        let interfaces = self.shared.interfaces.lock();
        let told = interfaces.iter().map(|(attachment, standing)| LanInterface {
            name: attachment.name.clone(),
            wireless: attachment.wireless,
            network: attachment.network.clone(),
            label: attachment.label.clone(),
            standing: *standing,
            links: crowd.links_over(attachment.index),
        });
        told.collect()
    }

    /// Ends the search and its links; returns when they are closed.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        // The task does not panic, and nobody else cancels it.
        let _ = self.task.await;
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// A seat in the crowd for as long as it lives.
struct Seat {
    shared: Arc<Shared>,
    id: SeatId,
    close: Arc<Notify>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.crowd.lock().leave(self.id, Instant::now());
        self.shared.moved.notify_one();
    }
}
