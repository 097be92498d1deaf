//! Proxies, forwarded ports, and names without an interface, as the running node has them: open
//! while it is up, as settings and a person say.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use planetary_ipc::status::ListenerStatus;
use planetary_ipc::{Forward, ForwardProtocol, ForwardRule, ForwardWay, Gateway};
use planetary_runtime::Engine;
use planetary_runtime::gateway::{
    Door, DoorId, DoorState, DoorStatus, Forward as Carrier, Protocol, ProxyAt, Tally, Way,
};

use super::{FailedListener, Node};
use crate::config::Config;
use crate::report::peer_error;
use crate::state::forwards::{Forwards, ForwardsError};
use crate::state::record;

/// Where names are answered without an interface. The port of the system's own resolver belongs to
/// it, and is one that only a program with rights may take.
const NAMES_AT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5380);

/// What is forwarded, and what has gone through it since the service started.
pub(super) struct Forwarding {
    stored: Forwards,
    carriers: BTreeMap<u64, Arc<Carrier>>,
}

/// Why a forwarded port was not added or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardError {
    /// The list does not allow it.
    #[error(transparent)]
    Refused(#[from] ForwardsError),
    /// Nothing can listen there now.
    #[error("cannot listen on {listen}: {reason}")]
    CannotListen {
        /// Where.
        listen: String,
        /// The system's word.
        reason: String,
    },
    /// The state folder cannot be written.
    #[error("the forwarded ports cannot be stored: {0}")]
    Storage(#[from] std::io::Error),
}

impl Forwarding {
    /// With what was stored.
    pub(super) fn new(stored: Forwards) -> Self {
        let mut forwarding = Self { stored: Forwards::default(), carriers: BTreeMap::new() };
        forwarding.take_over(stored);
        forwarding
    }

    /// Replaces what is forwarded; what stays keeps its figures.
    fn take_over(&mut self, stored: Forwards) {
        self.carriers.retain(|id, _| stored.rules().contains_key(id));
        for (id, rule) in stored.rules() {
            if !self.carriers.contains_key(id)
                && let Some(carrier) = carrier(*id, rule)
            {
                self.carriers.insert(*id, Arc::new(carrier));
            }
        }
        self.stored = stored;
    }
}

impl Node {
    /// The forwarded ports, by number.
    #[must_use]
    pub fn forwards(&self) -> Vec<Forward> {
        let doors = self.doors();
        let forwarding = self.forwarding.lock();
        let shown = forwarding.stored.rules().iter().map(|(id, rule)| {
            let door = doors.iter().find(|door| door.id == DoorId::Forward(*id));
            let tally = forwarding.carriers.get(id).map(|carrier| &carrier.tally);
            let count = |figure: fn(&_) -> u64| tally.map_or(0, figure);
            Forward {
                id: *id,
                rule: rule.clone(),
                up: door.is_some_and(|door| matches!(door.state, DoorState::Open(_))),
                connections: count(Tally::connections),
                rx_bytes: count(Tally::rx_bytes),
                tx_bytes: count(Tally::tx_bytes),
                last_error: tally.and_then(|tally| Some(peer_error(&tally.last_error()?))),
            }
        });
        shown.collect()
    }

    /// Forwards a port from here on, and remembers it.
    ///
    /// # Errors
    /// [`ForwardError`]; nothing is changed then.
    pub async fn add_forward(&self, rule: ForwardRule) -> Result<Forward, ForwardError> {
        let _intent = self.changing.lock().await;
        let before = self.forwarding.lock().stored.clone();
        let mut stored = before.clone();
        let listen = rule.listen.clone();
        let id = stored.add(rule)?;
        self.forwarding.lock().take_over(stored.clone());
        self.reconcile_doors().await;
        let failed = self.doors().into_iter().find_map(|door| match door.state {
            DoorState::Failed(error) if door.id == DoorId::Forward(id) => Some(error.message),
            _ => None,
        });
        let kept = match failed {
            Some(reason) => Err(ForwardError::CannotListen { listen, reason: reason.into_owned() }),
            None => record::store(&self.state_dir, stored).map_err(ForwardError::Storage),
        };
        if let Err(error) = kept {
            self.forwarding.lock().take_over(before);
            self.reconcile_doors().await;
            return Err(error);
        }
        self.news.notify_one();
        let added = self.forwards().into_iter().find(|forward| forward.id == id);
        added.ok_or_else(|| ForwardsError::NotFound(id).into())
    }

    /// Ends a forwarded port with its connections, and returns how it was.
    ///
    /// # Errors
    /// [`ForwardError`]; nothing is changed then.
    pub async fn remove_forward(&self, id: u64) -> Result<Forward, ForwardError> {
        let _intent = self.changing.lock().await;
        let removed = self.forwards().into_iter().find(|forward| forward.id == id);
        let removed = removed.ok_or(ForwardsError::NotFound(id))?;
        let mut stored = self.forwarding.lock().stored.clone();
        stored.remove(id)?;
        record::store(&self.state_dir, stored.clone())?;
        self.forwarding.lock().take_over(stored);
        self.reconcile_doors().await;
        self.news.notify_one();
        Ok(removed)
    }

    /// Proxies and forwarded ports, as clients are told.
    #[must_use]
    pub(super) fn gateway(&self) -> Gateway {
        let doors = self.doors();
        let listener = |id: DoorId, scheme: &str| {
            doors.iter().find(|door| door.id == id).map(|door| listener_status(scheme, door))
        };
        let proxies = &self.settings.read().config.gateway;
        let closed = |scheme: &str, at: Option<SocketAddr>| {
            at.map(|at| ListenerStatus {
                uri: format!("{scheme}://{at}"),
                up: false,
                last_error: None,
            })
        };
        Gateway {
            user_space: self.engine().is_some_and(|engine| engine.gateway().host().is_user_space()),
            socks: listener(DoorId::Socks, "socks").or_else(|| closed("socks", proxies.socks)),
            http: listener(DoorId::Http, "http").or_else(|| closed("http", proxies.http)),
            dns: listener(DoorId::Names, "dns"),
            forwards: self.forwarding.lock().stored.rules().len() as u64,
            connections: doors.iter().map(|door| door.connections).sum(),
        }
    }

    /// The first proxy that was elsewhere `before` and cannot listen now, though the node is up.
    pub(super) fn failed_proxy(&self, before: &Config) -> Option<FailedListener> {
        self.doors().into_iter().find_map(|door| {
            let (scheme, before) = match door.id {
                DoorId::Socks => ("socks", before.gateway.socks),
                DoorId::Http => ("http", before.gateway.http),
                DoorId::Names | DoorId::Forward(_) => return None,
            };
            let DoorState::Failed(error) = &door.state else { return None };
            (before != Some(door.wanted)).then(|| FailedListener {
                uri: format!("{scheme}://{}", door.wanted),
                error: peer_error(error),
                remedy: "Choose a port that is free.",
            })
        })
    }

    /// Opens what shall be open, and closes the rest. The caller holds the lock.
    pub(super) async fn reconcile_doors(&self) {
        if let Some(engine) = self.engine() {
            let wanted = self.wanted_doors(&engine);
            engine.gateway().open(wanted).await;
        }
    }

    fn wanted_doors(&self, engine: &Engine) -> Vec<Door> {
        let (proxies, names) = {
            let config = &self.settings.read().config;
            (config.gateway.clone(), config.names)
        };
        let proxy = |at: SocketAddr| ProxyAt {
            address: at,
            beyond_this_machine: proxies.danger_beyond_this_machine,
        };
        let names = (names && engine.tun().is_none()).then_some(Door::Names(NAMES_AT));
        let socks = proxies.socks.map(|at| Door::Socks(proxy(at)));
        let http = proxies.http.map(|at| Door::Http(proxy(at)));
        let forwarding = self.forwarding.lock();
        let forwards = forwarding.carriers.values().cloned().map(Door::Forward);
        [socks, http, names].into_iter().flatten().chain(forwards).collect()
    }

    fn doors(&self) -> Vec<DoorStatus> {
        self.engine().map(|engine| engine.gateway().doors()).unwrap_or_default()
    }
}

fn listener_status(scheme: &str, door: &DoorStatus) -> ListenerStatus {
    let (at, last_error) = match &door.state {
        DoorState::Open(at) => (*at, None),
        DoorState::Opening => (door.wanted, None),
        DoorState::Failed(error) => (door.wanted, Some(peer_error(error))),
    };
    let up = matches!(door.state, DoorState::Open(_));
    ListenerStatus { uri: format!("{scheme}://{at}"), up, last_error }
}

/// What carries a rule. The list has none of which nothing can be made.
fn carrier(id: u64, rule: &ForwardRule) -> Option<Carrier> {
    let protocol = match rule.protocol {
        ForwardProtocol::Tcp => Protocol::Tcp,
        ForwardProtocol::Udp => Protocol::Udp,
    };
    let way = match rule.way {
        ForwardWay::Out => {
            Way::Out { listen: rule.listen.parse().ok()?, target: rule.target.parse().ok()? }
        }
        ForwardWay::In => {
            Way::In { port: rule.listen.parse().ok()?, target: rule.target.parse().ok()? }
        }
    };
    Some(Carrier::new(id, protocol, way))
}
