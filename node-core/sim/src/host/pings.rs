//! Echo requests and the answers to them: how the simulator asks whether one node reaches another.

use planetary_proto::{
    Address, ExtensionMessage, Instant, MessageError, NodeKey,
    time::Duration,
    upper::{
        InbandKind,
        ipv6::{Echo, HEADER_LEN},
    },
};

use super::{Host, HostId, Task};
use crate::check::{Fault, MARKER};

/// Names a ping of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PingId {
    /// Who asked.
    pub host: HostId,
    /// The host's number for it.
    pub number: u32,
}

/// Echo requests to one address until one is answered.
pub(crate) struct Ping {
    to: Address,
    began: Instant,
    /// How often the request is repeated; a single one if not at all.
    every: Option<Duration>,
    answered: Option<Instant>,
}

impl Host {
    /// Begins to ping `to`.
    pub(crate) fn ping(&mut self, to: NodeKey, every: Option<Duration>, at: Instant) -> PingId {
        let number = self.pinged;
        self.pinged += 1;
        let ping = Ping { to: to.address(), began: at, every, answered: None };
        self.pings.insert(number, ping);
        self.schedule(at, Task::Ping(number));
        PingId { host: self.id, number }
    }

    /// Sends an answer that nobody waits for, and that is not answered either.
    pub(crate) fn say(&mut self, to: NodeKey, at: Instant) {
        let reply = Echo { request: false, ..echo(u32::MAX) };
        let own = self.key().address();
        let packet = reply.emit(own.as_bytes(), to.address().as_bytes(), &payload(u32::MAX));
        self.send_packet(&packet, at);
    }

    /// How long the answer to a ping took, if there was one.
    pub(crate) fn answer(&self, number: u32) -> Option<Duration> {
        let ping = self.pings.get(&number)?;
        ping.answered.map(|at| at.since(ping.began))
    }

    /// Asks another node something over a session.
    pub(crate) fn ask(&mut self, key: NodeKey, kind: InbandKind, at: Instant) {
        self.change(at, |node, now| node.ask(key, kind, now));
    }

    /// Sends another node a request that has to be answered. Returns its number.
    pub(crate) fn request(
        &mut self,
        key: NodeKey,
        kind: u8,
        body: &[u8],
        at: Instant,
    ) -> Result<u32, MessageError> {
        let mut asked = Err(MessageError::ToItself);
        self.change(at, |node, now| asked = node.request(key, kind, body.to_vec(), now));
        asked
    }

    /// Answers a request with its own body, backwards.
    pub(super) fn reply(&mut self, key: NodeKey, request: ExtensionMessage, at: Instant) {
        let ExtensionMessage { kind, id, mut body } = request;
        body.reverse();
        let answer = ExtensionMessage { kind: kind + 1, id, body };
        self.change(at, |node, now| {
            // It is as long as the request.
            let _ = node.answer(key, &answer, now);
        });
    }

    pub(super) fn send_ping(&mut self, number: u32, at: Instant) {
        let own = self.key().address();
        let Some(ping) = self.pings.get(&number).filter(|ping| ping.answered.is_none()) else {
            return;
        };
        let packet = echo(number).emit(own.as_bytes(), ping.to.as_bytes(), &payload(number));
        if let Some(every) = ping.every {
            self.schedule(at + every, Task::Ping(number));
        }
        self.send_packet(&packet, at);
    }

    /// An IPv6 packet arrived that asks for nothing.
    pub(super) fn take_reply(&mut self, packet: &[u8], at: Instant) {
        let Some(reply) = Echo::parse(packet) else {
            return self.blame(at, Fault::ForeignPacket);
        };
        let number = u32::from(reply.identifier) << 16 | u32::from(reply.sequence);
        if packet[HEADER_LEN + 8..] != payload(number) {
            return self.blame(at, Fault::ForeignPacket);
        }
        // A host that was restarted knows nothing of what it asked before.
        if let Some(ping) = self.pings.get_mut(&number) {
            ping.answered.get_or_insert(at);
        }
    }
}

/// The request of a ping; identifier and sequence number hold its number.
const fn echo(number: u32) -> Echo {
    // Each half of the number fits.
    Echo { request: true, identifier: (number >> 16) as u16, sequence: number as u16 }
}

fn payload(number: u32) -> Vec<u8> {
    [&MARKER[..], &number.to_be_bytes()].concat()
}
