//! Questions between nodes inside a session: node info and the debug services (chapter 9).
//!
//! There is no request id: an answer belongs to the one question of its kind that waits for that
//! key.

use std::collections::BTreeMap;

use super::PAYLOAD_INBAND;
use crate::{
    identity::{KEY_LEN, NodeKey},
    limits::{DEBUG_ANSWER_MAX, INBAND_RATE, NODE_INFO_MAX, REQUEST_TIMEOUT, REQUESTS_MAX},
    rate::RateLimiter,
    time::Instant,
};

const NODE_INFO_REQUEST: u8 = 1;
const NODE_INFO_ANSWER: u8 = 2;
const DEBUG: u8 = 0xff;
const GET_SELF_REQUEST: u8 = 1;
const GET_SELF_ANSWER: u8 = 2;
const GET_PEERS_REQUEST: u8 = 3;
const GET_PEERS_ANSWER: u8 = 4;
const GET_TREE_REQUEST: u8 = 5;
const GET_TREE_ANSWER: u8 = 6;

/// What may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InbandKind {
    /// What the node says of itself.
    NodeInfo,
    /// Its key and how many edges it knows.
    GetSelf,
    /// The keys of its neighbours.
    GetPeers,
    /// The keys of all nodes that it knows an edge of.
    GetTree,
}

/// An answer. Texts are as received: at most a packet long, not known to be JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InbandAnswer {
    /// JSON text of at most 16,384 bytes.
    NodeInfo(Vec<u8>),
    /// JSON text.
    GetSelf(Vec<u8>),
    /// Keys, one per link.
    GetPeers(Vec<NodeKey>),
    /// Keys in no order.
    GetTree(Vec<NodeKey>),
}

impl InbandAnswer {
    /// The question that this answers.
    #[must_use]
    pub const fn kind(&self) -> InbandKind {
        match self {
            Self::NodeInfo(_) => InbandKind::NodeInfo,
            Self::GetSelf(_) => InbandKind::GetSelf,
            Self::GetPeers(_) => InbandKind::GetPeers,
            Self::GetTree(_) => InbandKind::GetTree,
        }
    }

    /// The session data that carries this answer.
    pub(crate) fn emit(&self) -> Vec<u8> {
        let (head, body): (&[u8], Vec<u8>) = match self {
            Self::NodeInfo(text) => (&[NODE_INFO_ANSWER], text.clone()),
            Self::GetSelf(text) => (&[DEBUG, GET_SELF_ANSWER], text.clone()),
            Self::GetPeers(keys) => (&[DEBUG, GET_PEERS_ANSWER], concatenated(keys)),
            Self::GetTree(keys) => (&[DEBUG, GET_TREE_ANSWER], concatenated(keys)),
        };
        [&[PAYLOAD_INBAND], head, &body].concat()
    }
}

/// As many keys as one answer holds.
fn concatenated(keys: &[NodeKey]) -> Vec<u8> {
    let most = (DEBUG_ANSWER_MAX - 2) / KEY_LEN;
    keys.iter().take(most).flat_map(|key| *key.as_bytes()).collect()
}

/// A message that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InbandMessage {
    Request(InbandKind),
    Answer(InbandAnswer),
}

impl InbandMessage {
    /// Reads session data without its first byte; `None` for what is to be ignored.
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let keys = |body: &[u8]| {
            let keys = body.as_chunks::<KEY_LEN>().0;
            keys.iter().map(|key| NodeKey::from_bytes(*key)).collect()
        };
        Some(match data {
            [NODE_INFO_REQUEST, ..] => Self::Request(InbandKind::NodeInfo),
            [NODE_INFO_ANSWER, text @ ..] if text.len() <= NODE_INFO_MAX => {
                Self::Answer(InbandAnswer::NodeInfo(text.to_vec()))
            }
            [DEBUG, GET_SELF_REQUEST, ..] => Self::Request(InbandKind::GetSelf),
            [DEBUG, GET_PEERS_REQUEST, ..] => Self::Request(InbandKind::GetPeers),
            [DEBUG, GET_TREE_REQUEST, ..] => Self::Request(InbandKind::GetTree),
            [DEBUG, GET_SELF_ANSWER, text @ ..] => {
                Self::Answer(InbandAnswer::GetSelf(text.to_vec()))
            }
            [DEBUG, GET_PEERS_ANSWER, body @ ..] => {
                Self::Answer(InbandAnswer::GetPeers(keys(body)))
            }
            [DEBUG, GET_TREE_ANSWER, body @ ..] => Self::Answer(InbandAnswer::GetTree(keys(body))),
            _ => return None,
        })
    }
}

impl InbandKind {
    /// The session data that asks this.
    pub(crate) fn emit_request(self) -> Vec<u8> {
        match self {
            Self::NodeInfo => vec![PAYLOAD_INBAND, NODE_INFO_REQUEST],
            Self::GetSelf => vec![PAYLOAD_INBAND, DEBUG, GET_SELF_REQUEST],
            Self::GetPeers => vec![PAYLOAD_INBAND, DEBUG, GET_PEERS_REQUEST],
            Self::GetTree => vec![PAYLOAD_INBAND, DEBUG, GET_TREE_REQUEST],
        }
    }
}

/// Questions of ours that wait, and how often others have asked.
#[derive(Default)]
pub(crate) struct Inband {
    asked: BTreeMap<(NodeKey, InbandKind), Instant>,
    answered: BTreeMap<NodeKey, RateLimiter>,
}

impl Inband {
    /// Notes that an answer is awaited until the time-out. Returns `false` when too many are
    /// already.
    pub(crate) fn ask(&mut self, key: NodeKey, kind: InbandKind, now: Instant) -> bool {
        if self.asked.len() >= REQUESTS_MAX && !self.asked.contains_key(&(key, kind)) {
            return false;
        }
        self.asked.insert((key, kind), now + REQUEST_TIMEOUT);
        true
    }

    /// Whether an answer was awaited.
    pub(crate) fn answered(&mut self, key: &NodeKey, kind: InbandKind) -> bool {
        self.asked.remove(&(*key, kind)).is_some()
    }

    /// Whether a question of `key` is answered. Keys that ask are forgotten once too many have.
    pub(crate) fn may_answer(&mut self, key: NodeKey, now: Instant) -> bool {
        if self.answered.len() >= REQUESTS_MAX && !self.answered.contains_key(&key) {
            self.answered.clear();
        }
        let limiter =
            self.answered.entry(key).or_insert_with(|| RateLimiter::new(INBAND_RATE, now));
        limiter.allow(now)
    }

    /// Questions that nobody answered.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<(NodeKey, InbandKind)> {
        let mut late = Vec::new();
        self.asked.retain(|question, until| {
            let waits = now < *until;
            if !waits {
                late.push(*question);
            }
            waits
        });
        late
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.asked.values().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_the_chapter() {
        assert_eq!(InbandKind::NodeInfo.emit_request(), [2, 1]);
        assert_eq!(InbandKind::GetSelf.emit_request(), [2, 0xff, 1]);
        assert_eq!(InbandKind::GetPeers.emit_request(), [2, 0xff, 3]);
        assert_eq!(InbandKind::GetTree.emit_request(), [2, 0xff, 5]);
        let info = InbandAnswer::NodeInfo(br#"{"buildarch":"amd64"}"#.to_vec());
        assert_eq!(info.emit(), b"\x02\x02{\"buildarch\":\"amd64\"}");
        let key = NodeKey::from_bytes([0x29; 32]);
        let peers = InbandAnswer::GetPeers(vec![key]);
        assert_eq!(peers.emit()[..4], [2, 0xff, 4, 0x29]);
        for answer in [info, peers, InbandAnswer::GetTree(vec![key, key])] {
            assert_eq!(
                InbandMessage::parse(&answer.emit()[1..]),
                Some(InbandMessage::Answer(answer))
            );
        }
    }

    #[test]
    fn answers_hold_at_most_2047_keys_and_partial_keys_are_ignored() {
        let keys = vec![NodeKey::from_bytes([1; 32]); 3000];
        let data = InbandAnswer::GetTree(keys).emit();
        assert_eq!((data.len() - 3) / KEY_LEN, 2047);
        let cut = InbandMessage::parse(&data[1..100]);
        let two = vec![NodeKey::from_bytes([1; 32]); 3];
        assert_eq!(cut, Some(InbandMessage::Answer(InbandAnswer::GetTree(two))));
        for ignored in [&[0][..], &[], &[0xff], &[0xff, 0], &[3, 1], &[0xff, 9]] {
            assert_eq!(InbandMessage::parse(ignored), None);
        }
    }

    #[test]
    fn only_awaited_answers_count() {
        let key = NodeKey::from_bytes([1; 32]);
        let mut inband = Inband::default();
        assert!(!inband.answered(&key, InbandKind::NodeInfo));
        inband.ask(key, InbandKind::NodeInfo, Instant::START);
        assert!(!inband.answered(&key, InbandKind::GetSelf));
        assert!(inband.answered(&key, InbandKind::NodeInfo));
        inband.ask(key, InbandKind::GetSelf, Instant::START);
        let late = inband.expire(Instant::START + REQUEST_TIMEOUT);
        assert_eq!(late, [(key, InbandKind::GetSelf)]);
    }
    #[test]
    fn no_more_than_so_many_questions_wait_and_askers_are_remembered() {
        let key = |number: usize| NodeKey::from_bytes([number as u8; 32]);
        let mut inband = Inband::default();
        for number in 0..REQUESTS_MAX {
            assert!(inband.ask(key(number), InbandKind::NodeInfo, Instant::START));
            assert!(inband.may_answer(key(number), Instant::START));
        }
        assert!(!inband.ask(key(0), InbandKind::GetTree, Instant::START));
        assert!(inband.ask(key(0), InbandKind::NodeInfo, Instant::START), "asked already");
        assert_eq!(inband.asked.len(), REQUESTS_MAX);
        inband.may_answer(key(0), Instant::START);
        assert_eq!(inband.answered.len(), REQUESTS_MAX);
        let mut other = *key(0).as_bytes();
        other[0] = 1;
        inband.may_answer(NodeKey::from_bytes(other), Instant::START);
        assert!(inband.answered.len() <= REQUESTS_MAX);
    }
}
