//! Jobs: work of some seconds that a client starts, watches and may end.
//!
//! A job lives as long as somebody asks for it: one that nobody has asked for in [`ALONE_MAX`] is
//! ended, since its client has gone. What it found can be asked for a while longer. One client has
//! one job at a time, and all clients together have [`JOBS_MAX`].

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use planetary_ipc::endpoint::PeerCredentials;
use planetary_ipc::{ApiError, ErrorCode, PeerChoice, PeerJob, PeerTest, PublicFilter, limits};
use planetary_runtime::links::uri::PeerUri;
use tokio::sync::watch;
use tokio::time;

use super::kept::ChosenPeer;
use super::probe::{Prober, Target};
use super::search::{self, Found, Step};
use crate::health::Moment;
use crate::node::{Node, chain};
use crate::report::milliseconds;

/// Jobs that run at one time.
const JOBS_MAX: usize = 4;

/// Jobs that are remembered, those that have ended included.
const REMEMBERED_MAX: usize = 32;

/// How long a job runs without being asked for.
const ALONE_MAX: Duration = Duration::from_secs(15);

/// How long a job that has ended can be asked for.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(120);

/// All jobs.
#[derive(Default)]
pub struct Jobs {
    last: AtomicU64,
    jobs: Mutex<BTreeMap<u64, Arc<Job>>>,
}

/// Who started a job. Told apart for fairness, not for protection: every client may ask for every
/// job.
type Owner = (Option<u32>, Option<u32>);

/// One job.
struct Job {
    number: u64,
    owner: Owner,
    progress: watch::Sender<Progress>,
    stop: watch::Sender<bool>,
    asked: Mutex<Instant>,
}

/// How far a job is.
#[derive(Default)]
struct Progress {
    done: bool,
    cancelled: bool,
    total: usize,
    results: Vec<PeerTest>,
    choices: Vec<PeerChoice>,
    error: Option<ApiError>,
}

impl Jobs {
    /// Runs `work` as a job.
    fn start<F>(
        &self,
        caller: PeerCredentials,
        total: usize,
        work: impl FnOnce(Arc<Job>) -> F,
    ) -> Result<PeerJob, ApiError>
    where
        F: Future<Output = Result<(), ApiError>> + Send + 'static,
    {
        let owner = (caller.uid, caller.pid);
        let mut jobs = self.jobs.lock();
        jobs.retain(|_, job| !job.is_forgotten());
        while jobs.len() >= REMEMBERED_MAX {
            let Some(oldest) = jobs.values().find(|job| job.is_done()).map(|job| job.number) else {
                break;
            };
            jobs.remove(&oldest);
        }
        let running = || jobs.values().filter(|job| !job.is_done());
        let busy = |text: &str| {
            let hint = "wait until it has ended, or end it";
            Err(ApiError::new(ErrorCode::Busy, text).with_hint(hint))
        };
        if owner.1.is_some() && running().any(|job| job.owner == owner) {
            return busy("this client is testing peers already");
        }
        if running().count() >= JOBS_MAX {
            return busy("other clients are testing peers");
        }
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let job = Arc::new(Job {
            number,
            owner,
            progress: watch::Sender::new(Progress { total, ..Progress::default() }),
            stop: watch::Sender::new(false),
            asked: Mutex::new(Instant::now()),
        });
        jobs.insert(number, Arc::clone(&job));
        let work = work(Arc::clone(&job));
        let running = Arc::clone(&job);
        tokio::spawn(async move {
            let mut work = tokio::spawn(work);
            let ended = tokio::select! {
                biased;
                ended = &mut work => Some(ended),
                () = running.ended_by_others() => None,
            };
            work.abort();
            running.progress.send_modify(|progress| {
                progress.done = true;
                match ended {
                    Some(Ok(Ok(()))) => {}
                    Some(Ok(Err(error))) => progress.error = Some(error),
                    Some(Err(_)) => {
                        let text = "the test broke off inside the service";
                        progress.error = Some(ApiError::new(ErrorCode::Internal, text));
                    }
                    None => progress.cancelled = true,
                }
            });
        });
        Ok(job.report(0))
    }

    /// How a job goes, as soon as there is more than `seen` results, or after a moment.
    ///
    /// # Errors
    /// There is no such job.
    pub async fn ask(&self, number: u64, seen: u64) -> Result<PeerJob, ApiError> {
        let job = self.find(number)?;
        let seen = usize::try_from(seen).unwrap_or(usize::MAX);
        let mut progress = job.progress.subscribe();
        let news = progress.wait_for(|progress| progress.done || progress.results.len() > seen);
        // No news is an answer as well.
        let _ = time::timeout(limits::PEER_JOB_WAIT, news).await.is_ok();
        *job.asked.lock() = Instant::now();
        Ok(job.report(seen))
    }

    /// Ends a job early.
    ///
    /// # Errors
    /// There is no such job.
    pub async fn cancel(&self, number: u64, seen: u64) -> Result<PeerJob, ApiError> {
        let job = self.find(number)?;
        job.stop.send_replace(true);
        let mut progress = job.progress.subscribe();
        let ended = progress.wait_for(|progress| progress.done);
        let _ = time::timeout(limits::PEER_JOB_WAIT, ended).await.is_ok();
        Ok(job.report(usize::try_from(seen).unwrap_or(usize::MAX)))
    }

    fn find(&self, number: u64) -> Result<Arc<Job>, ApiError> {
        let jobs = self.jobs.lock();
        let job = jobs.get(&number).ok_or_else(|| {
            ApiError::new(ErrorCode::InvalidRequest, format!("there is no job {number}")).with_hint(
                "start the test again; a job that nobody asks for is ended and forgotten",
            )
        })?;
        *job.asked.lock() = Instant::now();
        Ok(Arc::clone(job))
    }
}

impl Job {
    fn is_done(&self) -> bool {
        self.progress.borrow().done
    }

    fn is_forgotten(&self) -> bool {
        self.is_done() && self.asked.lock().elapsed() > FORGOTTEN_AFTER
    }

    async fn ended_by_others(&self) {
        let mut stop = self.stop.subscribe();
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = time::sleep(limits::PEER_JOB_WAIT) => {}
            }
            if self.asked.lock().elapsed() > ALONE_MAX {
                tracing::debug!(job = self.number, "nobody asks for a test any more");
                return;
            }
        }
    }

    fn report(&self, seen: usize) -> PeerJob {
        let progress = self.progress.borrow();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        PeerJob {
            job: self.number,
            done: progress.done,
            cancelled: progress.cancelled,
            total: count(progress.total.max(progress.results.len())),
            tested: count(progress.results.len()),
            results: progress.results.iter().skip(seen).cloned().collect(),
            choices: if progress.done { progress.choices.clone() } else { Vec::new() },
            error: progress.error.clone(),
        }
    }

    fn take(&self, step: &Step<'_>) {
        self.progress.send_modify(|progress| match step {
            Step::Total(total) => progress.total = *total,
            Step::Tested(tested) => progress.results.push(tested.told()),
        });
    }
}

/// Starts to test peers: those named, or all that the node is to keep a link to.
///
/// # Errors
/// A URI cannot be used, there is nothing to test, or too much is being tested.
pub fn test(
    node: &Arc<Node>,
    caller: PeerCredentials,
    uris: &[String],
) -> Result<PeerJob, ApiError> {
    let targets = targets(node, uris)?;
    let prober = Prober::own(node)
        .map_err(|error| ApiError::new(ErrorCode::SystemRefused, chain(&error)))?;
    let tester = Arc::clone(node);
    node.public().jobs.start(caller, targets.len(), |job| async move {
        prober.run(targets, &tester, |tested| job.take(&Step::Tested(&tested))).await;
        Ok(())
    })
}

fn targets(node: &Node, uris: &[String]) -> Result<Vec<Target>, ApiError> {
    let wanted = node.wanted();
    let configured = |peer: &crate::node::WantedPeer| Target {
        uri: peer.uri.clone(),
        interface: peer.interface.clone(),
        country: None,
    };
    if uris.is_empty() {
        if wanted.is_empty() {
            let text = "no peer is configured, so there is none to test";
            let hint = "name one, or choose public ones: `planetary peer public --best 3 --add`";
            return Err(ApiError::new(ErrorCode::PeerNotFound, text).with_hint(hint));
        }
        return Ok(wanted.values().map(configured).collect());
    }
    let mut targets: Vec<Target> = Vec::new();
    for text in uris {
        let uri: PeerUri = text.parse().map_err(|error| {
            let shown = crate::config::printable(&planetary_ipc::status::public_uri(text));
            ApiError::new(ErrorCode::InvalidUri, format!("{shown}: {error}"))
        })?;
        // A peer of the node that is named without options is meant with its own.
        let known = wanted.iter().find(|(id, _)| id.uri == uri.to_string() && !text.contains('?'));
        let target = match known {
            Some((_, peer)) => configured(peer),
            None => Target { uri, interface: None, country: None },
        };
        if !targets.iter().any(|other| other.id() == target.id()) {
            targets.push(target);
        }
    }
    Ok(targets)
}

/// Starts to test public peers, to choose `best` of them, and to add those if wished.
///
/// # Errors
/// Nothing matches, or too much is being tested.
pub fn choose(
    node: &Arc<Node>,
    caller: PeerCredentials,
    filter: &PublicFilter,
    best: u32,
    add: bool,
) -> Result<PeerJob, ApiError> {
    let mut candidates = search::candidates(node, filter, best > 0)?;
    let count = usize::try_from(best).unwrap_or(usize::MAX);
    if add {
        node.check_room_for_chosen(count)?;
    }
    let chooser = Arc::clone(node);
    node.public().jobs.start(caller, 0, |job| async move {
        if best == 0 {
            candidates.truncate(limits::PEER_TEST_MAX);
            return search::survey(&chooser, &candidates, |step| job.take(&step)).await;
        }
        let found =
            search::search(&chooser, &candidates, count, None, |step| job.take(&step)).await?;
        if found.is_empty() {
            let tested = job.progress.borrow().results.len();
            return Err(nobody(tested, chooser.public().offline));
        }
        let mut choices: Vec<_> = found.iter().map(choice).collect();
        if add {
            let now = Moment::now().unix_s;
            let peers = found.iter().filter_map(|found| found.to_keep(now)).collect();
            let entries = chooser.add_chosen(peers).await?;
            for choice in &mut choices {
                choice.added = entries.iter().find(|entry| entry.uri == choice.uri).cloned();
            }
            chooser.publish().await;
        }
        job.progress.send_modify(|progress| progress.choices = choices);
        Ok(())
    })
}

/// None of so many answered.
fn nobody(tested: usize, offline: bool) -> ApiError {
    let text = match tested {
        1 => "the only public peer that was tested did not answer".to_owned(),
        tested => format!("none of {tested} public peers answered"),
    };
    let hint = match offline {
        true => "PLANETARY_OFFLINE is set for the service, so it tests peers on this computer only",
        false => "check this computer's internet connection; `planetary doctor` knows more",
    };
    ApiError::new(ErrorCode::Unreachable, text).with_hint(hint)
}

fn choice(found: &Found) -> PeerChoice {
    PeerChoice {
        uri: found.listed.name.clone(),
        region: found.listed.region.clone(),
        country: found.listed.country.clone(),
        round_trip_ms: milliseconds(found.round_trip),
        reason: found.chosen.reason.clone(),
        added: None,
    }
}

impl Found {
    /// The peer as it is kept.
    pub(super) fn to_keep(&self, now: u64) -> Option<ChosenPeer> {
        let place = (self.listed.region.as_str(), self.listed.country.as_str());
        ChosenPeer::new(self.listed.uri_with_options(), place, self.chosen.reason.clone(), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(pid: u32) -> PeerCredentials {
        PeerCredentials { uid: Some(1), pid: Some(pid), right: None }
    }

    fn result(number: u64) -> PeerTest {
        PeerTest {
            uri: format!("tcp://a:{number}"),
            interface: None,
            country: None,
            key: None,
            remote: None,
            connect_ms: None,
            round_trip_ms: None,
            error: None,
        }
    }

    async fn never(_job: Arc<Job>) -> Result<(), ApiError> {
        std::future::pending().await
    }

    #[tokio::test]
    async fn results_come_as_they_are_found_and_each_once() {
        let jobs = Jobs::default();
        let (more, mut next) = tokio::sync::mpsc::channel::<()>(1);
        let started = jobs.start(caller(1), 2, |job| async move {
            for number in 1..=2 {
                job.progress.send_modify(|progress| progress.results.push(result(number)));
                next.recv().await;
            }
            Ok(())
        });
        let number = started.unwrap().job;
        let first = jobs.ask(number, 0).await.unwrap();
        assert_eq!((first.done, first.total, first.results.len()), (false, 2, 1));
        more.send(()).await.unwrap();
        let second = jobs.ask(number, 1).await.unwrap();
        assert_eq!((second.tested, &*second.results), (2, &[result(2)][..]));
        drop(more);
        let last = jobs.ask(number, 2).await.unwrap();
        assert!(last.done && !last.cancelled && last.results.is_empty());
    }

    #[tokio::test]
    async fn job_ends_when_it_is_told_to() {
        let jobs = Jobs::default();
        let number = jobs.start(caller(1), 1, never).unwrap().job;
        let ended = jobs.cancel(number, 0).await.unwrap();
        assert!(ended.done && ended.cancelled && ended.error.is_none());
        assert!(jobs.start(caller(1), 1, never).is_ok());
    }

    #[tokio::test]
    async fn one_client_has_one_job_and_all_have_a_few() {
        let jobs = Jobs::default();
        for pid in 1..=4 {
            jobs.start(caller(pid), 1, never).unwrap();
        }
        let refused = |pid| jobs.start(caller(pid), 1, never).unwrap_err();
        assert!(refused(1).message.contains("this client"));
        assert!(refused(5).message.contains("other clients"));
        assert_eq!(jobs.ask(99, 0).await.unwrap_err().code, ErrorCode::InvalidRequest);
    }

    #[tokio::test]
    async fn failure_and_panic_are_told() {
        let jobs = Jobs::default();
        let failing = jobs.start(caller(1), 1, |_| async { Err(nobody(3, false)) }).unwrap().job;
        let told = jobs.ask(failing, 0).await.unwrap().error.unwrap();
        assert_eq!(told.message, "none of 3 public peers answered");
        let broken = jobs.start(caller(2), 1, |_| async { panic!("on purpose") }).unwrap().job;
        let told = jobs.ask(broken, 0).await.unwrap().error.unwrap();
        assert_eq!(told.code, ErrorCode::Internal);
    }
}
