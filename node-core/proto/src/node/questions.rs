//! Questions and answers between nodes, inside of sessions (chapter 9).

use super::Node;
use crate::{
    identity::NodeKey,
    outbox::Event,
    session::{SessionTable, Standing},
    time::Now,
    upper::{InbandAnswer, InbandKind, InbandMessage},
};

impl<S: SessionTable> Node<S> {
    /// Session data from `source` that begins with [`crate::upper::PAYLOAD_INBAND`]; `data` is what
    /// follows that byte.
    pub fn handle_inband(&mut self, source: NodeKey, data: &[u8], now: Now) {
        match InbandMessage::parse(data) {
            // Who this node's neighbours are, and what it tells of itself, is for friends.
            Some(InbandMessage::Request(_))
                if self.sessions.standing(&source, now.mono) != Standing::Welcome =>
            {
                self.stats.strangers_ignored += 1;
            }
            Some(InbandMessage::Request(kind)) => {
                if self.inband.may_answer(source, now.mono) {
                    let answer = self.inband_answer(kind);
                    self.send_data(source, answer.emit(), now);
                } else {
                    self.stats.rate_limited += 1;
                }
            }
            Some(InbandMessage::Answer(answer)) if self.inband.answered(&source, answer.kind()) => {
                self.outbox.events.push_back(Event::Inband(source, answer));
            }
            Some(InbandMessage::Answer(_)) | None => {}
        }
        self.settle(now);
    }

    fn inband_answer(&self, kind: InbandKind) -> InbandAnswer {
        match kind {
            InbandKind::NodeInfo => InbandAnswer::NodeInfo(self.node_info.clone()),
            InbandKind::GetSelf => {
                let (key, entries) = (self.tree.own(), self.tree.info_count());
                let text = format!(r#"{{"key":"{key}","routing_entries":"{entries}"}}"#);
                InbandAnswer::GetSelf(text.into_bytes())
            }
            InbandKind::GetPeers => {
                let links =
                    self.tree.neighbours().iter().flat_map(|(key, neighbour)| {
                        core::iter::repeat_n(*key, neighbour.links.len())
                    });
                InbandAnswer::GetPeers(links.collect())
            }
            InbandKind::GetTree => {
                InbandAnswer::GetTree(self.tree.announces().map(|info| info.edge.node).collect())
            }
        }
    }

    /// Asks another node something. The answer, or the lack of one, comes as an event.
    pub fn ask(&mut self, key: NodeKey, kind: InbandKind, now: Now) {
        if key == self.tree.own() {
            let answer = self.inband_answer(kind);
            self.outbox.events.push_back(Event::Inband(key, answer));
        } else if self.inband.ask(key, kind, now.mono) {
            self.send_data(key, kind.emit_request(), now);
            self.wake_by(now.mono + crate::limits::REQUEST_TIMEOUT);
        } else {
            self.outbox.events.push_back(Event::InbandTimeout(key, kind));
        }
        self.settle(now);
    }
}
