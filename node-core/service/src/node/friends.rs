//! Friends as the running node has them: every change becomes a file first, then the rules of the
//! packet filter, then news for clients.
//!
//! ```text
//! change a copy -> compile its rules -> store it -> take it over, hand the rules to the engine
//! ```
//!
//! What cannot be compiled or stored changes nothing. Rules also depend on the time (the end of a
//! pause, of the lobby) and on the configuration, and are made anew when these change.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use planetary_circles::names::Label;
use planetary_circles::{Policy, Rules, RulesError};
use planetary_ipc::{Access, LinkPeer, LocalService, NodeKey, Severity, UnixTime, friends};
use planetary_proto::identity::{self, Address, Subnet};
use planetary_runtime::links::peers::{PeerId, PeerPhase};
use planetary_runtime::{Engine, SessionSnapshot};

use super::Node;
use crate::config::Audience;
use crate::health::{Condition, Moment};
use crate::names;
use crate::policy::{self, Circles, Circumstances, Doors};
use crate::state::friends::{Friends, FriendsError, FriendsKeeper, StoreError};
use crate::state::record::Damage;

/// A friend is online when something came from it within this time: three times the longest silence
/// of an open session.
pub(super) const ONLINE_MAX: Duration = Duration::from_secs(60);

/// Friends, and the rules that were made of them and of circles.
pub(super) struct Keeping {
    keeper: FriendsKeeper,
    circles: Circles,
    rules: Arc<Rules>,
    /// The first parts of friends' names for programs.
    labels: Arc<BTreeMap<NodeKey, Label>>,
    /// What the rules were made in.
    made_in: Circumstances,
    online: BTreeSet<NodeKey>,
    revision: u64,
}

/// Why friends were not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The change makes no sense.
    #[error(transparent)]
    Refused(#[from] FriendsError),
    /// A service lies at an address that is not this computer's.
    #[error("{0} is not an address of this computer")]
    Elsewhere(Ipv6Addr),
    /// The configuration gives strangers no session, so nothing can be open to them.
    #[error("the configuration says sessions = \"circles\", so strangers reach nothing here")]
    NoSessions,
    /// The packet filter does not take it.
    #[error("the packet filter does not take it: {0}")]
    Rules(#[from] RulesError),
    /// It could not be stored.
    #[error(transparent)]
    Storage(#[from] StoreError),
}

impl Keeping {
    pub(super) fn new(keeper: FriendsKeeper, circles: Circles, doors: &Doors, unix_s: u64) -> Self {
        let rules = Rules::compile(&policy::policy(doors, keeper.friends(), &circles, unix_s));
        let rules = rules.unwrap_or_else(|error| closed(&error));
        let made_in = Circumstances::of(keeper.friends(), &circles, unix_s);
        let (rules, online) = (Arc::new(rules), BTreeSet::new());
        let labels = Arc::new(names::labels(keeper.friends()));
        Self { keeper, circles, rules, labels, made_in, online, revision: 0 }
    }

    pub(super) fn blocks(&self, key: &identity::NodeKey) -> bool {
        self.keeper.friends().blocked().contains_key(&NodeKey(*key.as_bytes()))
    }

    pub(super) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules)
    }

    /// The first parts of friends' names for programs.
    pub(super) fn labels(&self) -> Arc<BTreeMap<NodeKey, Label>> {
        Arc::clone(&self.labels)
    }

    /// The rules that follow when circles are like that.
    pub(super) fn rules_with(
        &self,
        doors: &Doors,
        circles: &Circles,
        unix_s: u64,
    ) -> Result<Rules, RulesError> {
        Rules::compile(&policy::policy(doors, self.keeper.friends(), circles, unix_s))
    }

    /// Takes over how circles are, and the rules that follow.
    pub(super) fn take_circles(&mut self, circles: Circles, rules: Rules, unix_s: u64) {
        self.made_in = Circumstances::of(self.keeper.friends(), &circles, unix_s);
        self.rules = Arc::new(rules);
        self.circles = circles;
    }
}

impl Node {
    /// What is stored about friends, and which of them are online.
    pub fn friends(&self) -> (Friends, BTreeSet<NodeKey>) {
        let keeping = self.friends.lock();
        (keeping.keeper.friends().clone(), keeping.online.clone())
    }

    /// Makes a change, or none of it.
    ///
    /// # Errors
    /// [`ChangeError`]; nothing is changed then.
    pub async fn change_friends<T>(
        &self,
        change: impl FnOnce(&mut Friends) -> Result<T, ChangeError>,
    ) -> Result<T, ChangeError> {
        let _intent = self.changing.lock().await;
        let doors = Doors::of(&self.settings.read().config);
        let unix_s = Moment::now().unix_s;
        let done = {
            let mut keeping = self.friends.lock();
            let mut friends = keeping.keeper.friends().clone();
            let done = change(&mut friends)?;
            self.check_addresses(&friends, keeping.keeper.friends())?;
            let circles = &keeping.circles;
            let rules = Rules::compile(&policy::policy(&doors, &friends, circles, unix_s))?;
            let made_in = Circumstances::of(&friends, circles, unix_s);
            let labels = names::labels(&friends);
            keeping.online.retain(|key| friends.friends().contains_key(key));
            keeping.keeper.store(friends)?;
            keeping.labels = Arc::new(labels);
            keeping.revision += 1;
            keeping.rules = Arc::new(rules);
            keeping.made_in = made_in;
            done
        };
        self.tell_circles_of_friends();
        self.tell_rules(&doors).await;
        self.renew_names();
        self.news.notify_one();
        Ok(done)
    }

    /// Makes the rules anew after a change of the configuration, of circles or of the time. The
    /// caller holds the lock.
    pub(super) async fn renew_rules(&self) {
        let doors = Doors::of(&self.settings.read().config);
        let unix_s = Moment::now().unix_s;
        let circles = self.rights_of_circles(unix_s);
        {
            let mut keeping = self.friends.lock();
            match keeping.rules_with(&doors, &circles, unix_s) {
                Ok(rules) => keeping.take_circles(circles, rules, unix_s),
                Err(error) => {
                    let rules = closed(&error);
                    keeping.take_circles(circles, rules, unix_s);
                }
            }
        }
        self.tell_rules(&doors).await;
    }

    /// Makes the rules anew when a pause or the time of the lobby is over, or there is no longer
    /// anybody to be asked. Called every second.
    pub async fn follow_clock(&self) {
        let (by_time, by_clients) = {
            let keeping = self.friends.lock();
            let (friends, circles) = (keeping.keeper.friends(), &keeping.circles);
            let now = Circumstances::of(friends, circles, Moment::now().unix_s);
            (keeping.made_in != now, circles.asks != self.asks())
        };
        // A change that is being made takes the time into account; the next second will show.
        if (by_time || by_clients)
            && let Ok(_intent) = self.changing.try_lock()
        {
            self.renew_rules().await;
            if by_time {
                tracing::info!("who may reach this computer has changed with the time");
            }
        }
    }

    /// Whether there is anybody for whom the time may change something.
    #[must_use]
    pub fn knows_people(&self) -> bool {
        !self.friends.lock().keeper.friends().friends().is_empty() || self.has_circles()
    }

    /// Whether the rules have people asked.
    #[cfg(test)]
    pub(crate) fn rules_ask(&self) -> bool {
        self.friends.lock().circles.asks
    }

    /// Hands the rules to the engine.
    pub(super) async fn tell_rules(&self, doors: &Doors) {
        let rules = self.friends.lock().rules();
        if let Some(engine) = self.engine()
            && let Err(error) = engine.set_rules(rules).await
        {
            // Packets obey already; a session that is not allowed ends when it is next looked at.
            tracing::warn!(%error, "sessions that are no longer allowed may linger");
        }
        self.check_doors(doors);
    }

    /// Says when rules cannot do what they are for.
    pub(super) fn check_doors(&self, doors: &Doors) {
        if policy::contradicts(doors, self.friends.lock().keeper.friends()) {
            self.raise(unreachable_doors());
        } else {
            self.health.lock().clear(OPEN_UNREACHABLE);
        }
    }

    /// Services at one address only make sense at an address that is here. Those that were there
    /// before are of a former identity, and in nobody's way.
    fn check_addresses(&self, friends: &Friends, before: &Friends) -> Result<(), ChangeError> {
        let former: BTreeSet<_> = services_of(before).filter_map(|service| service.at).collect();
        let is_new = |service: &&LocalService| service.at.is_none_or(|at| !former.contains(&at));
        let found = self.elsewhere(services_of(friends).filter(is_new));
        found.map_or(Ok(()), |address| Err(ChangeError::Elsewhere(address)))
    }

    /// Whether all services are at addresses of this computer.
    #[must_use]
    pub fn is_at_home(&self, services: &[LocalService]) -> bool {
        self.elsewhere(services).is_none()
    }

    pub(super) fn elsewhere<'a>(
        &self,
        services: impl IntoIterator<Item = &'a LocalService>,
    ) -> Option<Ipv6Addr> {
        let own = self.key();
        let is_own = |address| {
            Address::from_ipv6(address) == Some(own.address())
                || Subnet::containing(address) == Some(own.subnet())
        };
        services.into_iter().filter_map(|service| service.at).find(|address| !is_own(*address))
    }

    /// Whether the configuration says that strangers get no session.
    #[must_use]
    pub fn gives_strangers_no_session(&self) -> bool {
        let doors = Doors::of(&self.settings.read().config);
        doors.sessions == Some(Audience::Circles)
    }

    /// Notes which friends and members are online. Something is written at most every ten minutes.
    pub(super) async fn look_for_people(&self, engine: &Engine) {
        if !self.knows_people() {
            return;
        }
        let asked = tokio::time::timeout(super::SNAPSHOT_PATIENCE, engine.sessions()).await;
        if let Ok(Ok(sessions)) = asked {
            let unix_s = Moment::now().unix_s;
            self.see_friends(&sessions, unix_s);
            self.see_members(&sessions, unix_s);
        }
    }

    fn see_friends(&self, sessions: &[SessionSnapshot], unix_s: u64) {
        let mut keeping = self.friends.lock();
        let known = keeping.keeper.friends().friends();
        let heard: Vec<_> = sessions
            .iter()
            .filter_map(|session| {
                let key = NodeKey(*session.key.as_bytes());
                let ago = session.heard_ago.unwrap_or(session.uptime);
                (known.contains_key(&key) && ago <= ONLINE_MAX).then_some((key, ago))
            })
            .collect();
        let online: BTreeSet<_> = heard.iter().map(|(key, _)| *key).collect();
        if online != keeping.online {
            keeping.online = online;
            keeping.revision += 1;
        }
        let seen = heard.into_iter().map(|(key, ago)| (key, unix_s.saturating_sub(ago.as_secs())));
        if let Err(error) = keeping.keeper.see(seen, unix_s) {
            tracing::warn!(%error, "when friends were last seen was not stored");
        }
    }

    /// Writes what packets changed about friends, at the end.
    pub(super) fn settle_friends(&self) {
        let mut keeping = self.friends.lock();
        keeping.online.clear();
        if let Err(error) = keeping.keeper.settle(Moment::now().unix_s) {
            tracing::warn!(%error, "when friends were last seen was not stored");
        }
    }

    /// Who may reach this computer, as a status tells it, and how often friends have changed.
    pub(super) fn access(&self, unix_s: u64) -> (Access, u64) {
        let doors = Doors::of(&self.settings.read().config);
        let keeping = self.friends.lock();
        let friends = keeping.keeper.friends();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let words = |audience| policy::plain_audience(audience);
        let pause = |pause: crate::state::friends::Pause| friends::Pause {
            until: pause.until.map(UnixTime),
        };
        let access = Access {
            inbound: words(policy::audience(doors.inbound)),
            echo: words(policy::audience(doors.echo)),
            sessions: words(policy::sessions(&doors, friends, unix_s)),
            paused: friends.paused(unix_s).map(pause),
            friends: count(friends.friends().len()),
            circles: count(keeping.circles.count),
            members: count(keeping.circles.members.len()),
            blocked: count(friends.blocked().len()),
            everyone: friends.everyone().to_vec(),
            lobby_until: policy::lobby_until(friends, &keeping.circles, unix_s).map(UnixTime),
        };
        (access, keeping.revision)
    }

    /// The peers of this node that may stand in a link: its own listeners with a global address,
    /// then its peers, those that are up first. Whatever has a password is a secret and left out.
    #[must_use]
    pub fn public_peers(&self) -> Vec<LinkPeer> {
        let settings = self.settings.read();
        let engine = self.engine();
        let is_up = |id: &PeerId| {
            let peers = engine.as_ref().map(|engine| engine.peers().list()).unwrap_or_default();
            peers.iter().any(|peer| peer.id == *id && peer.phase == PeerPhase::Up)
        };
        let listeners = settings.listeners().into_iter();
        let open = listeners.filter(|(_, uri)| uri.password().as_bytes().is_empty());
        let own = open.filter_map(|(name, _)| name.parse().ok());
        let wanted = settings.peers();
        let open = wanted.iter().filter(|(_, peer)| {
            peer.uri.password().as_bytes().is_empty() && peer.uri.login().is_none()
        });
        let mut peers: Vec<(bool, LinkPeer)> = open
            .filter(|(_, peer)| peer.interface.is_none())
            .filter_map(|(id, peer)| {
                let uri = match peer.uri.pinned_keys() {
                    [] => peer.uri.to_string(),
                    [key, ..] => format!("{}?key={key}", peer.uri),
                };
                Some((!is_up(id), uri.parse().ok()?))
            })
            .collect();
        peers.sort_by_key(|(is_down, _)| *is_down);
        own.chain(peers.into_iter().map(|(_, peer)| peer)).collect()
    }
}

/// Rules for when none can be made. Not reached by what was changed here, which is compiled before
/// it is stored: files that somebody has edited may ask for more than the filter takes.
fn closed(error: &RulesError) -> Rules {
    tracing::error!(%error, "nobody may open anything: the rules cannot be made");
    Rules::compile(&Policy { paused: true, ..Policy::default() }).unwrap_or_default()
}

/// All services that anybody may reach.
fn services_of(friends: &Friends) -> impl Iterator<Item = &LocalService> {
    let of_friends = friends.friends().values().flat_map(|friend| &friend.services);
    of_friends.chain(friends.everyone())
}

/// A key as the core has it.
#[must_use]
pub fn core_key(key: &NodeKey) -> identity::NodeKey {
    identity::NodeKey::from_bytes(key.0)
}

const FRIENDS_DAMAGED: &str = "friends_damaged";
const OPEN_UNREACHABLE: &str = "open_unreachable";

fn unreachable_doors() -> Condition {
    Condition {
        code: OPEN_UNREACHABLE,
        severity: Severity::Warning,
        title: "What is open to everyone cannot be reached by strangers".to_owned(),
        text: "The configuration says sessions = \"circles\", so strangers get no session."
            .to_owned(),
        action: Some(
            "Remove `sessions` from the configuration and reload the service, or close the \
             services: `planetary friend deny everyone SERVICE`."
                .to_owned(),
        ),
        affects_connectivity: false,
        may_pass: false,
    }
}

/// The file of friends was damaged.
pub(crate) fn friends_damaged(damage: &Damage) -> Condition {
    let (path, reason) = (damage.path.display(), &damage.reason);
    let (whereabouts, action) = match &damage.kept {
        Ok(kept) => (
            format!("It was kept as {}.", kept.display()),
            format!(
                "Stop the service and put a good copy at {path}, or add your friends again; then \
                 run `planetary resume`."
            ),
        ),
        Err(error) => (
            format!("It could not be renamed ({error}), and no change is stored."),
            format!("Move {path} away and restart the service."),
        ),
    };
    Condition {
        code: FRIENDS_DAMAGED,
        severity: Severity::Error,
        title: "Friends and blocked keys were lost".to_owned(),
        text: format!(
            "{path} is damaged ({reason}). {whereabouts} Nobody may open anything on this computer \
             until you have looked at it."
        ),
        action: Some(action),
        affects_connectivity: false,
        may_pass: false,
    }
}
