//! What the core wants done: frames to send and news for whoever drives it.

use std::collections::VecDeque;

use crate::{
    identity::NodeKey,
    link::LinkId,
    misbehave::Misbehaviour,
    upper::{ExtensionMessage, InbandAnswer, InbandKind},
};

/// How a frame queues behind others of its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// In order, ahead of everything that is queued (chapter 3.4).
    Direct,
    /// In the fair queue, under these two keys (chapter 3.5).
    Queued {
        /// Who sent it first.
        source: NodeKey,
        /// Whom it is for.
        dest: NodeKey,
    },
}

/// One frame to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Over which link.
    pub link: LinkId,
    /// How it queues.
    pub class: Class,
    /// The whole frame, length included.
    pub frame: Vec<u8>,
}

/// News from the core.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The forwarding table is another one; ask for it with [`crate::Node::forwarding_table`].
    TableChanged,
    /// The link must be closed; the core has forgotten it already.
    CloseLink(LinkId, Misbehaviour),
    /// Session data, its type byte included, to be sealed and sent to a key in the order of these
    /// events, behind the frames: the data half does so, in one order with the packets that it
    /// seals itself; a driver that does not route hands what it sealed to
    /// [`crate::Node::send_payload`].
    Send(NodeKey, Vec<u8>),
    /// A key of the network was heard of through the overlay: an answer to a lookup of ours.
    PathFound(NodeKey),
    /// A node answered a request of ours.
    Inband(NodeKey, InbandAnswer),
    /// A node did not answer a request of ours in time.
    InbandTimeout(NodeKey, InbandKind),
    /// Somebody who may do so asks something; [`crate::Node::answer`] takes the answer. It may come
    /// several times with the same number.
    Requested(NodeKey, ExtensionMessage),
    /// The answer to a request of ours.
    Answered(NodeKey, ExtensionMessage),
    /// A request of ours, by its number, was not answered in time.
    Unanswered(NodeKey, u32),
}

/// Collects frames and news while an input is worked off; drained by the `poll_*` of
/// [`crate::Node`].
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) transmits: VecDeque<Transmit>,
    pub(crate) events: VecDeque<Event>,
}

impl Outbox {
    pub(crate) fn direct(&mut self, link: LinkId, frame: Vec<u8>) {
        self.transmits.push_back(Transmit { link, class: Class::Direct, frame });
    }

    pub(crate) fn queued(&mut self, link: LinkId, source: NodeKey, dest: NodeKey, frame: Vec<u8>) {
        let class = Class::Queued { source, dest };
        self.transmits.push_back(Transmit { link, class, frame });
    }
}
