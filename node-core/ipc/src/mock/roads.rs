//! Local networks, transit, proxies and forwarded ports of the mock.

use super::world::World;
use crate::error::{ApiError, ErrorCode};
use crate::gateway::{Forward, ForwardList, ForwardRule, Gateway};
use crate::lan::{Lan, LanInterface, LanState};
use crate::limits;
use crate::message::{Reply, Request};
use crate::status::ListenerStatus;
use crate::transit::Transit;

/// What the mock remembers of all this.
#[derive(Debug, Default)]
pub(super) struct Roads {
    forwards: Vec<Forward>,
    next_forward: u64,
    /// What the person said of the Wi-Fi.
    trusted: Option<bool>,
}

/// The network behind the Wi-Fi of the mock.
const WIFI: &str = "5c1f0a77d2be9043";

impl World {
    pub(super) fn lan(&self) -> Lan {
        let enabled = self.settings.lan;
        let wifi = match self.roads.trusted {
            None => LanState::Unknown,
            Some(true) => LanState::Active,
            Some(false) => LanState::Refused,
        };
        let interface = |name: &str, wireless, network: &str, label: Option<&str>, state| {
            let (name, network) = (name.to_owned(), Some(network.to_owned()));
            let label = label.map(str::to_owned);
            LanInterface { name, wireless, network, label, state, links: 0 }
        };
        let interfaces = vec![
            interface("eth0", false, "0b5e7f21a9c3d684", None, LanState::Active),
            interface("wlan0", true, WIFI, Some("Harbour Cafe"), wifi),
        ];
        let interfaces = if enabled && self.on { interfaces } else { Vec::new() };
        Lan { enabled, links: 0, max_links: 8, interfaces }
    }

    pub(super) fn transit(&self) -> Transit {
        let setting = self.settings.transit;
        let settled = self.on;
        Transit {
            setting,
            mode: setting,
            saving: None,
            bytes: if settled { 48_213_007 } else { 0 },
            rate: settled.then_some(1_204),
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
            connections: 0,
        }
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
                let number = self.roads.forwards.iter().position(|kept| kept.id == forward);
                let Some(index) = number else {
                    let text = format!("no forwarded port has the number {forward}");
                    return Err(ApiError::new(ErrorCode::ForwardNotFound, text));
                };
                Ok(Reply::Forward(self.roads.forwards.remove(index)))
            }
            _ => {
                let forwards = self.roads.forwards.clone();
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
