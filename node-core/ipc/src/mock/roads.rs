//! Local networks, transit, proxies and forwarded ports of the mock.

use super::world::World;
use crate::error::{ApiError, ErrorCode};
use crate::gateway::{Forward, ForwardList, ForwardRule, Gateway};
use crate::lan::{Lan, LanInterface, LanState};
use crate::limits;
use crate::message::{Reply, Request};
use crate::status::{ListenerStatus, PeerSource, PeerStatus};
use crate::transit::Transit;

/// What the mock remembers of all this.
#[derive(Debug, Default)]
pub(super) struct Roads {
    forwards: Vec<Forward>,
    next_forward: u64,
    /// What the person said of the Wi-Fi.
    trusted: Option<bool>,
    /// Bytes of others that were passed on.
    carried: u64,
}

/// The network behind the Wi-Fi of the mock.
const WIFI: &str = "5c1f0a77d2be9043";

/// Bytes of others that are passed on in a second.
const TRANSIT_RATE: u64 = 1_204;

/// Bytes that a forwarded port takes from the network in a second.
const FORWARD_RATE: u64 = 18_310;

impl Roads {
    /// Lets the traffic of one second run.
    pub(super) fn tick(&mut self) {
        self.carried += TRANSIT_RATE;
        for forward in &mut self.forwards {
            forward.connections = 1 + forward.id % 3;
            forward.rx_bytes += FORWARD_RATE * forward.id;
            forward.tx_bytes += FORWARD_RATE / 16;
        }
    }
}

impl World {
    pub(super) fn lan(&self, peers: &[PeerStatus]) -> Lan {
        let found = peers.iter().filter(|peer| peer.source == PeerSource::Lan && peer.up);
        let links = found.count() as u64;
        let enabled = self.settings.lan;
        let wifi = match self.roads.trusted {
            None => LanState::Unknown,
            Some(true) => LanState::Active,
            Some(false) => LanState::Refused,
        };
        let interfaces = vec![
            LanInterface {
                name: "eth0".to_owned(),
                wireless: false,
                network: Some("0b5e7f21a9c3d684".to_owned()),
                label: None,
                state: LanState::Active,
                links,
            },
            LanInterface {
                name: "wlan0".to_owned(),
                wireless: true,
                network: Some(WIFI.to_owned()),
                label: Some("Harbour Cafe".to_owned()),
                state: wifi,
                links: 0,
            },
        ];
        let interfaces = if enabled && self.on { interfaces } else { Vec::new() };
        Lan { enabled, links, max_links: 8, interfaces }
    }

    pub(super) fn transit(&self) -> Transit {
        let setting = self.settings.transit;
        Transit {
            setting,
            mode: setting,
            saving: None,
            bytes: self.roads.carried,
            rate: (self.on && self.age() > 0).then_some(TRANSIT_RATE),
            metered: Some(false),
            battery: None,
        }
    }

    pub(super) fn gateway(&self) -> Gateway {
        let listener = |scheme: &str, address: &Option<String>| {
            let uri = format!("{scheme}://{}", address.as_ref()?);
            Some(ListenerStatus { uri, up: self.on, last_error: None })
        };
        Gateway {
            user_space: false,
            socks: listener("socks", &self.settings.gateway_socks),
            http: listener("http", &self.settings.gateway_http),
            dns: None,
            forwards: self.roads.forwards.len() as u64,
            connections: self.forwards().map(|forward| forward.connections).sum(),
        }
    }

    /// The forwarded ports, as they are now.
    fn forwards(&self) -> impl Iterator<Item = Forward> {
        self.roads.forwards.iter().map(|forward| Forward {
            up: self.on,
            connections: if self.on { forward.connections } else { 0 },
            ..forward.clone()
        })
    }

    /// Answers what is about local networks and forwarded ports.
    pub(super) fn answer_about_roads(&mut self, request: Request) -> Result<Reply, ApiError> {
        match request {
            Request::LanTrust { network, trusted } if network == WIFI => {
                self.roads.trusted = Some(trusted);
                Ok(Reply::Status(Box::new(self.status())))
            }
            Request::LanTrust { .. } => {
                let text = "no interface is connected to such a network now";
                Err(ApiError::new(ErrorCode::NetworkNotFound, text))
            }
            Request::ForwardAdd { rule } => self.forward(rule).map(Reply::Forward),
            Request::ForwardRemove { forward } => {
                let index = self.roads.forwards.iter().position(|kept| kept.id == forward);
                let Some(index) = index else {
                    let text = format!("no forwarded port has the number {forward}");
                    return Err(ApiError::new(ErrorCode::ForwardNotFound, text));
                };
                Ok(Reply::Forward(self.roads.forwards.remove(index)))
            }
            _ => {
                let forwards = self.forwards().collect();
                Ok(Reply::Forwards(ForwardList { time: self.now(), forwards }))
            }
        }
    }

    fn forward(&mut self, rule: ForwardRule) -> Result<Forward, ApiError> {
        rule.check()?;
        let forwards = &mut self.roads.forwards;
        let same = |kept: &&Forward| {
            (kept.rule.way, kept.rule.protocol, &kept.rule.listen)
                == (rule.way, rule.protocol, &rule.listen)
        };
        if let Some(kept) = forwards.iter().find(same) {
            let text = format!("{} is forwarded already", kept.rule.listen);
            return Err(ApiError::new(ErrorCode::ForwardExists, text));
        }
        if forwards.len() >= limits::FORWARDS_MAX {
            let text = format!("{} ports are forwarded already", limits::FORWARDS_MAX);
            return Err(ApiError::new(ErrorCode::ForwardLimit, text));
        }
        self.roads.next_forward += 1;
        let id = self.roads.next_forward;
        let (connections, rx_bytes, tx_bytes) = (0, 0, 0);
        let up = self.on;
        let forward = Forward { id, rule, up, connections, rx_bytes, tx_bytes, last_error: None };
        forwards.push(forward.clone());
        Ok(forward)
    }
}
