//! Running: the node is up or down as the person wishes, clients are served, and the service waits
//! for what happens next.
//!
//! Clients are told about once a second, and at once when the engine or a request changes
//! something. Nothing here waits for a peer or a client.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use planetary_ipc::endpoint::Listener;
use planetary_ipc::{Service, limits};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{self, Instant, MissedTickBehavior};

use super::RunError;
use super::manager::{self, News};
use super::signals::{Signal, Signals};
use super::starting::Started;
use super::stopping::Stopping;
use crate::admin::Admin;
use crate::control::Control;
use crate::node::Node;
use crate::public::tend;
use crate::survey::clock::COMPARISON_GAP;

/// Time between two looks at what moves all the time, while somebody reads it, and at the clock, on
/// which it may depend who is let in.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The same while nobody reads it: what is wrong is still written to the log.
const LOOK_INTERVAL_UNREAD: Duration = Duration::from_secs(20);

/// Time after which listeners that could not be opened are tried again.
const LISTEN_RETRY: Duration = Duration::from_secs(30);

/// Time between two looks at the system around the node: a little less than what a condition must
/// last to be shown, so that a blip is seen to be over before.
const SURVEY_INTERVAL: Duration = Duration::from_secs(4);

/// The same while nobody reads what is found.
const SURVEY_INTERVAL_UNREAD: Duration = Duration::from_secs(20);

/// Time between two looks at what power and network cost.
const SUPPLY_INTERVAL: Duration = Duration::from_secs(30);

/// A service that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) node: Arc<Node>,
    /// Ends the control socket when it is dropped or sent to.
    pub(super) close_control: oneshot::Sender<()>,
    pub(super) control: JoinHandle<()>,
    /// Attends to circles.
    pub(super) attending: JoinHandle<()>,
    /// For tools that were written for the reference.
    pub(super) admin: Admin,
    /// A node that cannot be started is tried again.
    stays: bool,
}

impl Running {
    /// Opens the control socket, brings the node up if it is to be, and tells the service manager.
    ///
    /// # Errors
    /// [`RunError`]; nothing is left running.
    pub(super) async fn enter(started: Started) -> Result<Self, RunError> {
        let listener = Listener::bind(&started.control)?;
        let stays = started.settings.arguments.stay;
        let node = Arc::new(Node::new(started));
        node.sweep_names().await;
        // A failure is told where the others are.
        let _ = node.reconcile_figures().await;
        match stays {
            true => node.try_to_follow_intent().await,
            false => node.follow_intent().await?,
        }
        // Before any client is answered: who finds the service there finds all of it.
        let mut admin = Admin::default();
        admin.follow(&node).await;
        node.publish().await;
        let (close_control, closed) = oneshot::channel();
        let service = Service {
            handler: Arc::new(Control::new(Arc::clone(&node))),
            status: node.status(),
            build: concat!("planetaryd ", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        tracing::info!(control = %listener.path().display(), "running");
        let control = tokio::spawn(planetary_ipc::serve(listener, service, async {
            // A sender that is gone means the same.
            let _ = closed.await;
        }));
        let attending = tokio::spawn(Arc::clone(&node).attend_circles());
        manager::tell(News::Ready);
        Ok(Self { node, close_control, control, attending, admin, stays })
    }

    /// Serves until a signal or `outside` says stop.
    pub(super) async fn until_told(
        mut self,
        mut signals: Signals,
        outside: impl Future<Output = ()>,
    ) -> Stopping {
        tokio::pin!(outside);
        let (mut looked, mut clock_seen) = (Instant::now(), Instant::now());
        let mut retry = time::interval_at(Instant::now() + LISTEN_RETRY, LISTEN_RETRY);
        retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tend = time::interval_at(Instant::now() + tend::INTERVAL, tend::INTERVAL);
        tend.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tending: Option<JoinHandle<()>> = None;
        let mut surveyed: Option<Instant> = None;
        let mut supply = time::interval(SUPPLY_INTERVAL);
        supply.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut compared: Option<Instant> = None;
        let mut changes = None;
        loop {
            follow(&mut changes, &self.node);
            let (look_gap, survey_gap) = match self.node.is_watched() {
                true => (LOOK_INTERVAL, SURVEY_INTERVAL),
                false => (LOOK_INTERVAL_UNREAD, SURVEY_INTERVAL_UNREAD),
            };
            let survey_at = surveyed.map_or_else(Instant::now, |at| at + survey_gap);
            tokio::select! {
                signal = signals.next() => match signal {
                    Signal::Stop => break,
                    Signal::Reload => in_background(&self.node, |node| async move {
                        node.reload().await;
                    }),
                },
                () = &mut outside => break,
                _ = retry.tick() => {
                    self.admin.retry();
                    let stays = self.stays;
                    in_background(&self.node, move |node| async move {
                        if stays {
                            node.try_to_follow_intent().await;
                        }
                        node.retry_listeners().await;
                    });
                }
                // One look at a time: a search for a peer may take longer than the gap.
                _ = tend.tick(), if tending.as_ref().is_none_or(JoinHandle::is_finished) => {
                    tending = Some(tokio::spawn(tend::tend(Arc::clone(&self.node))));
                }
                () = time::sleep_until(survey_at) => {
                    surveyed = Some(Instant::now());
                    let others = compared.is_none_or(|at| at.elapsed() >= COMPARISON_GAP);
                    compared = if others { Some(Instant::now()) } else { compared };
                    in_background(&self.node, move |node| async move {
                        node.look_around(others).await;
                    });
                    continue;
                }
                _ = supply.tick() => {
                    in_background(&self.node, |node| async move {
                        node.look_at_certificate();
                        node.look_at_supply().await;
                    });
                    continue;
                }
                () = time::sleep_until(looked + look_gap) => {}
                () = time::sleep_until(clock_seen + LOOK_INTERVAL), if self.node.knows_people() => {
                    clock_seen = Instant::now();
                    self.node.follow_clock().await;
                    continue;
                }
                () = self.node.changed() => {}
                () = next_change(&mut changes) => {
                    // Changes come in groups.
                    time::sleep(limits::UPDATE_INTERVAL_MIN).await;
                }
            }
            self.node.follow_clock().await;
            self.admin.follow(&self.node).await;
            self.node.publish().await;
            (looked, clock_seen) = (Instant::now(), Instant::now());
        }
        Stopping::begin(self)
    }
}

/// Does what may take a while, such as resolving a name, beside the loop, so that a signal is heard
/// meanwhile. The node makes one change at a time.
fn in_background<F>(node: &Arc<Node>, work: impl FnOnce(Arc<Node>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(work(Arc::clone(node)));
}

/// Follows the engine that runs now; one that is followed already stays, with what was seen of it.
fn follow(changes: &mut Option<watch::Receiver<u64>>, node: &Node) {
    let newest = node.engine().map(|engine| engine.changes());
    let same = match (&changes, &newest) {
        (Some(followed), Some(newest)) => followed.same_channel(newest),
        (None, None) => true,
        _ => false,
    };
    if !same {
        *changes = newest;
    }
}

/// Waits for the engine's next change; for ever while there is no engine.
async fn next_change(changes: &mut Option<watch::Receiver<u64>>) {
    if let Some(changes) = changes
        && changes.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}
