//! Callers that wait for an answer from the network: echoes, paths, and messages between nodes.

use std::{collections::BTreeMap, net::Ipv6Addr};

use planetary_proto::{
    Node, NodeKey,
    time::Instant,
    upper::{
        InbandAnswer, InbandKind,
        ipv6::{Echo, Target},
    },
};
use tokio::sync::oneshot;

use crate::{
    data::{ECHO_ID_FIRST, sessions::Sessions},
    engine::PathReport,
};

/// Callers of one kind that may wait at once.
const WAITING_MAX: usize = 1_024;

/// What a caller looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// This very key.
    Key(NodeKey),
    /// The key behind an address or subnet.
    Target(Target),
}

/// All callers.
#[derive(Default)]
pub(crate) struct Questions {
    echoes: BTreeMap<(u16, u16), (Ipv6Addr, oneshot::Sender<Instant>)>,
    next_echo: u32,
    paths: Vec<(Wanted, oneshot::Sender<PathReport>)>,
    inband: BTreeMap<(NodeKey, InbandKind), Vec<oneshot::Sender<InbandAnswer>>>,
}

impl Wanted {
    fn is(&self, key: &NodeKey) -> bool {
        match self {
            Self::Key(wanted) => wanted == key,
            Self::Target(Target::Address(address)) => *address == key.address(),
            Self::Target(Target::Subnet(subnet)) => *subnet == key.subnet(),
        }
    }

    /// What a lookup searches for.
    pub(crate) fn search_key(&self) -> NodeKey {
        match self {
            Self::Key(key) => *key,
            Self::Target(target) => target.search_key(),
        }
    }
}

impl Questions {
    /// An echo request that nobody else has out; `None` when too many are.
    pub(crate) fn new_echo(
        &mut self,
        to: Ipv6Addr,
        replied: oneshot::Sender<Instant>,
    ) -> Option<Echo> {
        if self.echoes.len() >= WAITING_MAX {
            return None;
        }
        let number = self.next_echo;
        self.next_echo = self.next_echo.wrapping_add(1);
        // 256 identifiers of 65,536 numbers each.
        let identifier = ECHO_ID_FIRST | (number >> 16 & 0xff) as u16;
        let echo = Echo { request: true, identifier, sequence: number as u16 };
        self.echoes.insert((echo.identifier, echo.sequence), (to, replied));
        Some(echo)
    }

    pub(super) fn echo_replied(&mut self, from: Ipv6Addr, echo: Echo, at: Instant) {
        let id = (echo.identifier, echo.sequence);
        if self.echoes.get(&id).is_some_and(|(to, _)| *to == from)
            && let Some((_, replied)) = self.echoes.remove(&id)
        {
            // The caller may have given up.
            let _ = replied.send(at);
        }
    }

    /// Waits for a path. Returns `false` when too many wait.
    pub(crate) fn await_path(
        &mut self,
        wanted: Wanted,
        found: oneshot::Sender<PathReport>,
    ) -> bool {
        let room = self.paths.len() < WAITING_MAX;
        if room {
            self.paths.push((wanted, found));
        }
        room
    }

    pub(super) fn path_found(&mut self, node: &Node<Sessions>, key: NodeKey) {
        let (found, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.paths).into_iter().partition(|(wanted, _)| wanted.is(&key));
        self.paths = rest;
        for (_, caller) in found {
            if let Some(report) = PathReport::of(node, &key) {
                // The caller may have given up.
                let _ = caller.send(report);
            }
        }
    }

    /// Waits for an answer. Returns `false` when too many wait.
    pub(crate) fn await_answer(
        &mut self,
        key: NodeKey,
        kind: InbandKind,
        answered: oneshot::Sender<InbandAnswer>,
    ) -> bool {
        let room = self.inband.len() < WAITING_MAX;
        if room {
            self.inband.entry((key, kind)).or_default().push(answered);
        }
        room
    }

    pub(super) fn answered(&mut self, key: NodeKey, answer: InbandAnswer) {
        for caller in self.inband.remove(&(key, answer.kind())).unwrap_or_default() {
            // The caller may have given up.
            let _ = caller.send(answer.clone());
        }
    }

    /// Nobody answered: callers see their channel close.
    pub(super) fn unanswered(&mut self, key: NodeKey, kind: InbandKind) {
        self.inband.remove(&(key, kind));
    }

    /// Forgets callers that gave up.
    pub(super) fn forget_abandoned(&mut self) {
        self.echoes.retain(|_, (_, caller)| !caller.is_closed());
        self.paths.retain(|(_, caller)| !caller.is_closed());
        self.inband.retain(|_, callers| {
            callers.retain(|caller| !caller.is_closed());
            !callers.is_empty()
        });
    }
}
