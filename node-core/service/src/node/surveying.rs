//! The node's looks around itself, for health and the doctor.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use planetary_ipc::logs::{LogLevel, LogPage};
use planetary_ipc::support::SupportReport;
use planetary_ipc::{DoctorReport, Status};
use planetary_runtime::Engine;
use planetary_runtime::links::peers::{PeerPhase, PeerStatus};
use planetary_runtime::links::uri::Host;
use tokio::time::timeout;

use super::{Node, SNAPSHOT_PATIENCE};
use crate::health::Moment;
use crate::log::LogHandle;
use crate::report::pseudonym::Pseudonyms;
use crate::report::{Facts, doctor, support};
use crate::survey::Wishes;
use crate::survey::clock::{self, Witness};
use crate::survey::supply::Supply;

/// How old a failed lookup may be to be taken for an answer.
const LOOKUP_AGE_MAX: Duration = Duration::from_secs(60);

/// The dialler's word for a name without an address.
const NAME_NOT_RESOLVED: &str = "name_not_resolved";

impl Node {
    /// Looks at the system around the node, so that the next status knows of it. With `others`,
    /// also at what other nodes say the time is.
    pub async fn look_around(&self, others: bool) {
        let engine = self.engine();
        let witnesses = match engine.as_ref().filter(|_| others) {
            Some(engine) => self.witnesses(engine).await,
            None => None,
        };
        let network = engine.is_some_and(|engine| engine.tun().is_some());
        self.surveyor.look(Wishes { network, witnesses, names: Vec::new() }).await;
    }

    /// Looks what power and network cost, and does what follows if that has changed.
    pub async fn look_at_supply(&self) {
        if self.surveyor.look_at_supply().await {
            let Supply { metered, battery } = self.supply();
            tracing::debug!(metered, battery, "power or network changed");
            if let Some(engine) = self.engine() {
                self.reconcile_transit(&engine).await;
            }
            self.news.notify_one();
        }
    }

    /// What power and network cost, by the last look.
    #[must_use]
    pub fn supply(&self) -> Supply {
        self.surveyor.supply()
    }

    /// Checks everything; `None` while the engine is too busy to answer.
    ///
    /// Takes a few seconds at most, whatever hangs.
    pub async fn examine(&self) -> Option<DoctorReport> {
        let (facts, status) = self.facts_for_doctor().await?;
        Some(doctor::examine(&facts, &status))
    }

    /// Makes the report for somebody who helps; `None` as for [`Node::examine`], and when the
    /// system gives no random numbers.
    pub async fn report(&self) -> Option<SupportReport> {
        let (facts, status) = self.facts_for_doctor().await?;
        let examined = doctor::examine(&facts, &status);
        let names = Pseudonyms::of(&self.state_dir, facts.now.unix_s).ok()?;
        let settings = self.settings.read().classes();
        Some(support::compose(&facts, &status, &examined, settings, &names))
    }

    /// The latest lines of the log after number `after` that matter at least as much as `level`.
    #[must_use]
    pub fn logs(&self, after: u64, level: LogLevel) -> LogPage {
        let recent = self.log.as_ref().map(LogHandle::recent);
        recent.map_or_else(LogPage::default, |recent| recent.page(after, level))
    }

    async fn facts_for_doctor(&self) -> Option<(Facts, Arc<Status>)> {
        let engine = self.engine();
        let wishes = match &engine {
            Some(engine) => Wishes {
                network: engine.tun().is_some(),
                names: self.unsettled_names(&engine.peers().list()),
                witnesses: self.witnesses(engine).await,
            },
            None => Wishes::default(),
        };
        let survey = self.surveyor.look(wishes).await;
        let status = self.publish().await;
        let mut facts = self.facts().await?;
        // Another look may have been made meanwhile, one that did not ask for names.
        facts.survey = survey;
        Some((facts, status))
    }

    /// What other nodes say the time is; `None` while the engine is too busy to answer.
    async fn witnesses(&self, engine: &Engine) -> Option<Vec<Witness>> {
        let known = timeout(SNAPSHOT_PATIENCE, engine.topology()).await.ok()?.ok()?;
        Some(clock::witnesses(&known, Moment::now().unix_s))
    }

    /// Names of configured peers of which nobody has found out lately whether they resolve.
    fn unsettled_names(&self, peers: &[PeerStatus]) -> Vec<String> {
        let wanted = self.settings.read().peers();
        let unsettled = peers.iter().filter(|peer| !is_settled(peer));
        let names =
            unsettled.filter_map(|peer| match &wanted.get(&peer.id)?.uri.endpoint()?.host {
                Host::Name(name) => Some(name.clone()),
                Host::Address(_) | Host::Scoped { .. } => None,
            });
        BTreeSet::from_iter(names).into_iter().collect()
    }
}

/// Whether the last attempt to link has just told whether the peer's name resolves.
fn is_settled(peer: &PeerStatus) -> bool {
    let Some(error) = &peer.last_error else { return peer.phase == PeerPhase::Up };
    // Whatever else went wrong, it did so at an address.
    let recent = error.at.elapsed().is_ok_and(|age| age <= LOOKUP_AGE_MAX);
    peer.phase == PeerPhase::Up || error.code != NAME_NOT_RESOLVED || recent
}
