//! What neighbours and strangers may cost, as tests: nobody gets more than the rates and sizes of
//! [`crate::limits`], and what goes beyond them is counted.

use std::collections::BTreeSet;

use super::*;
use crate::{
    crypto::Signature,
    limits::{
        ANNOUNCE_RATE, CALLED_TIME, COORDS_MAX, GUEST_TIME, GUESTS_MAX, INBAND_RATE, LOOKUPS_MAX,
        MOVE_TOLD_MAX, PATHS_MAX, Rate, SESSIONS_MAX, SIG_REQ_RATE,
    },
    session::{Handshake, HandshakeKind, Opener, Sealer, Standing, compose},
    upper::InbandKind,
    wire::{EdgeDraft, cut_frame},
};

/// The session table of a node that carries no traffic.
#[derive(Default)]
pub(super) struct Sessions {
    open: BTreeMap<NodeKey, (Opener, Sealer, Option<Coords>)>,
    /// Others are welcome.
    pub(super) standings: BTreeMap<NodeKey, Standing>,
    pub(super) guests: BTreeSet<NodeKey>,
}

impl SessionTable for Sessions {
    fn standing(&mut self, key: &NodeKey, _: Instant) -> Standing {
        self.standings.get(key).copied().unwrap_or(Standing::Welcome)
    }

    fn confine(&mut self, key: &NodeKey, is_guest: bool) {
        if is_guest {
            self.guests.insert(*key);
        } else {
            self.guests.remove(key);
        }
    }

    fn open(&mut self, key: NodeKey, opener: Opener, sealer: Sealer) {
        self.open.insert(key, (opener, sealer, None));
    }

    fn close(&mut self, key: &NodeKey) {
        self.open.remove(key);
        self.guests.remove(key);
    }

    fn with<R>(
        &mut self,
        key: &NodeKey,
        change: impl FnOnce(&mut Opener, &mut Sealer) -> R,
    ) -> Option<R> {
        self.open.get_mut(key).map(|(opener, sealer, _)| change(opener, sealer))
    }

    fn set_path(&mut self, key: &NodeKey, path: Option<&Coords>) {
        if let Some((.., at)) = self.open.get_mut(key) {
            *at = path.cloned();
        }
    }

    fn last_heard(&self, _: &NodeKey) -> Option<Instant> {
        None
    }

    fn last_said(&self, _: &NodeKey) -> Option<Instant> {
        None
    }
}

pub(super) const LINK: LinkId = LinkId(1);

pub(super) fn identity(number: u8) -> Identity {
    Identity::from_seed(&[number; 32])
}

pub(super) fn at(millis: u64) -> Now {
    Now { mono: Instant::from_micros(millis * 1000), unix_s: 1_700_000_000 + millis / 1000 }
}

/// The node of identity 1, without links.
pub(super) fn lonely_node() -> Node<Sessions> {
    let config = NodeConfig {
        identity: identity(1),
        groups: Groups::default(),
        transit: Transit::default(),
        node_info: b"{}".to_vec(),
        fast: None,
        first_seq: 1,
    };
    Node::new(config, Sessions::default(), [0; 32], at(0))
}

/// The node of identity 1, which has identity 2 for a neighbour over [`LINK`] and has said all that
/// there is to say.
pub(super) fn node() -> Node<Sessions> {
    let mut node = lonely_node();
    node.handle_link_up(LINK, identity(2).key(), 0, at(0));
    drain(&mut node);
    node
}

impl Node<Sessions> {
    /// Takes a whole frame off [`LINK`].
    fn take(&mut self, frame: &[u8], now: Now) {
        let (kind, end) = cut_frame(frame).unwrap().unwrap();
        assert_eq!(end, frame.len());
        let frame_kind = FrameKind::from_byte(frame[kind]).unwrap();
        self.handle_link_input(LINK, frame_kind, &frame[kind + 1..], now);
    }

    /// The link that is to be closed, and why.
    fn closed(&self) -> Option<(LinkId, Misbehaviour)> {
        self.outbox.events.iter().find_map(|event| match event {
            Event::CloseLink(link, why) => Some((*link, *why)),
            _ => None,
        })
    }

    /// How many frames of this kind are to be sent.
    pub(super) fn sends(&self, kind: FrameKind) -> usize {
        let is_kind = |frame: &[u8]| frame[cut_frame(frame).unwrap().unwrap().0] == kind as u8;
        self.outbox.transmits.iter().filter(|transmit| is_kind(&transmit.frame)).count()
    }
}

pub(super) fn drain(node: &mut Node<Sessions>) {
    while node.poll_transmit().is_some() {}
    while node.poll_event().is_some() {}
}

/// Does something too often at one moment, and again a second later. What is `done` must be the
/// burst and then the rate, and the rest is counted.
pub(super) fn assert_rate(
    rate: Rate,
    node: &mut Node<Sessions>,
    mut act: impl FnMut(&mut Node<Sessions>, Now),
    done: impl Fn(&Node<Sessions>) -> usize,
) {
    let (burst, per_s) = (rate.burst as usize, rate.per_s as usize);
    for _ in 0..burst + 7 {
        act(node, at(100));
    }
    assert_eq!((done(node), node.stats.rate_limited), (burst, 7));
    for _ in 0..per_s + 2 {
        act(node, at(1100));
    }
    assert_eq!((done(node), node.stats.rate_limited), (burst + per_s, 9));
}

/// An edge that both ends signed.
fn announce(node: &Identity, parent: &Identity, port: u64) -> Announce {
    let request = SigReq { seq: 1, nonce: 1 };
    let edge = EdgeDraft { node: node.key(), parent: parent.key(), request, port };
    Announce { edge, psig: edge.sign(parent), sig: edge.sign(node) }
}

pub(super) fn init(from: &Identity, seq: u64) -> Vec<u8> {
    let pair = |byte| ExchangeSecret::from_bytes(&[byte; 32]);
    let said = Handshake { current: pair(1).public(), next: pair(2).public(), key_seq: 0, seq };
    compose(HandshakeKind::Init, &said, from, None, &identity(1).key(), &pair(3)).unwrap()
}

// ---- what a neighbour sends ----

#[test]
fn announcements_of_weak_keys_are_ignored_and_the_link_stays() {
    let mut node = node();
    let neighbour = identity(2);
    // For the neutral point this signature fits whatever is signed, and nothing of the other key.
    let mut forged = [0; 64];
    forged[0] = 1;
    let (neutral, sig) = (*forged.first_chunk().unwrap(), Signature::from_bytes(forged));
    let mut count = 0;
    for key in [neutral, [0; 32]].map(NodeKey::from_bytes) {
        let request = SigReq { seq: 1, nonce: 1 };
        let root = EdgeDraft { node: key, parent: key, request, port: 0 };
        let below = EdgeDraft { node: neighbour.key(), parent: key, request, port: 1 };
        let below_us = EdgeDraft { node: key, parent: identity(1).key(), request, port: 1 };
        for announce in [
            Announce { edge: root, psig: sig, sig },
            Announce { edge: below, psig: sig, sig: below.sign(&neighbour) },
            Announce { edge: below_us, psig: below_us.sign(&identity(1)), sig },
        ] {
            node.take(&announce.emit(), at(100));
            count += 1;
            assert_eq!(node.stats.weak_keys, count);
        }
    }
    assert_eq!((node.announces().count(), node.closed()), (1, None));
    assert_eq!(node.tree.neighbour_of(LINK), Some(neighbour.key()));
}

#[test]
fn announcements_beyond_their_rate_close_the_link() {
    let mut node = node();
    let frame = announce(&identity(2), &identity(2), 0).emit();
    for _ in 0..ANNOUNCE_RATE.burst {
        node.take(&frame, at(0));
    }
    assert_eq!(node.closed(), None);
    node.take(&frame, at(0));
    assert_eq!(node.closed(), Some((LINK, Misbehaviour::AnnounceFlood)));
    assert_eq!(node.tree.link_count(), 0);
}

#[test]
fn requests_for_signatures_are_answered_at_their_rate() {
    let request = SigReq { seq: 1, nonce: 1 }.emit();
    assert_rate(
        SIG_REQ_RATE,
        &mut node(),
        |node, now| node.take(&request, now),
        |node| node.sends(FrameKind::SigRes),
    );
}

#[test]
fn lookups_answers_and_broken_notes_of_a_link_share_one_rate() {
    let (stranger, other) = (identity(8).key(), identity(9));
    let lookup = PathLookup { source: stranger, dest: other.key(), from: Coords::default() };
    let coords = Coords::from(vec![9]);
    let notify = PathNotify {
        path: coords.clone(),
        watermark: u64::MAX,
        source: other.key(),
        dest: stranger,
        seq: 1,
        sig: PathNotify::sign(&other, 1, &coords),
        coords: coords.clone(),
    };
    let broken =
        PathBroken { path: coords, watermark: u64::MAX, source: stranger, dest: other.key() };
    let frames = [lookup.emit(), notify.emit(), broken.emit()];
    let mut turns = frames.iter().cycle();
    let mut node = node();
    // The lookup comes from off the tree, and the others find nobody closer.
    let handled = |node: &Node<Sessions>| (node.stats.off_tree_lookups + node.stats.stuck) as usize;
    let act = |node: &mut Node<Sessions>, now| node.take(turns.next().unwrap(), now);
    assert_rate(LOOKUP_RATE, &mut node, act, handled);
    let before = handled(&node);
    for frame in &frames {
        node.take(frame, at(1100));
    }
    assert_eq!((handled(&node), node.stats.rate_limited), (before, 12), "each kind is bounded");
    // Another link has a rate of its own.
    node.handle_link_up(LinkId(2), identity(3).key(), 0, at(1100));
    node.handle_link_input(LinkId(2), FrameKind::PathBroken, &frames[2][2..], at(1100));
    assert_eq!(handled(&node), before + 1);
}

#[test]
fn lookups_are_not_remembered_without_end() {
    let mut node = node();
    node.take(&announce(&identity(2), &identity(1), 1).emit(), at(0));
    let ask = |node: &mut Node<Sessions>, port: usize| {
        let from = Coords::from(vec![port as u64]);
        let lookup = PathLookup { source: identity(8).key(), dest: identity(9).key(), from };
        node.handle_lookup(&identity(2).key(), &lookup, at(100));
    };
    for port in 1..=LOOKUPS_MAX {
        ask(&mut node, port);
    }
    assert_eq!((node.recent_lookups.len(), node.stats.rate_limited), (LOOKUPS_MAX, 0));
    ask(&mut node, LOOKUPS_MAX);
    assert_eq!(node.stats.rate_limited, 1, "it has gone in a circle");
    ask(&mut node, LOOKUPS_MAX + 1);
    assert!(node.recent_lookups.len() <= LOOKUPS_MAX);
}

#[test]
fn lookups_from_places_too_deep_are_ignored() {
    let mut node = node();
    node.take(&announce(&identity(2), &identity(1), 1).emit(), at(0));
    for (depth, remembered) in [(COORDS_MAX + 1, 0), (COORDS_MAX, 1)] {
        let from = Coords::from(vec![1; depth]);
        let lookup = PathLookup { source: identity(8).key(), dest: identity(9).key(), from };
        node.take(&lookup.emit(), at(0));
        assert_eq!(node.recent_lookups.len(), remembered);
    }
}

#[test]
fn one_link_too_many_is_closed() {
    let mut node = lonely_node();
    let neighbour = identity(2).key();
    for number in 0..LINKS_MAX as u64 {
        node.handle_link_up(LinkId(number), neighbour, 0, at(0));
    }
    drain(&mut node);
    let one_more = LinkId(LINKS_MAX as u64);
    node.handle_link_up(one_more, neighbour, 0, at(0));
    assert_eq!(node.closed(), Some((one_more, Misbehaviour::TooManyLinks)));
    assert_eq!((node.poll_transmit(), node.sizes().links), (None, LINKS_MAX));
    // One that goes leaves room.
    node.handle_link_down(LinkId(0), at(0));
    node.handle_link_up(one_more, neighbour, 0, at(0));
    assert_eq!(node.tree.neighbour_of(one_more), Some(neighbour));
}

// ---- what a stranger sends ----

#[test]
fn handshakes_are_checked_at_their_rate() {
    let message = [1; 193];
    assert_rate(
        HANDSHAKE_RATE,
        &mut node(),
        |node, now| node.handle_handshake(identity(9).key(), &message, now),
        |node| node.stats.handshakes_ignored as usize,
    );
    // Not even a good one is looked at beyond it.
    let mut node = node();
    for _ in 0..HANDSHAKE_RATE.burst {
        node.handle_handshake(identity(9).key(), &message, at(0));
    }
    let good = init(&identity(2), 1);
    node.handle_handshake(identity(2).key(), &good, at(0));
    assert_eq!(node.sessions().count(), 0);
    node.handle_handshake(identity(2).key(), &good, at(1000));
    assert_eq!(node.sessions().count(), 1);
}

#[test]
fn strangers_whose_packets_do_not_open_are_greeted_at_a_rate() {
    let mut node = lonely_node();
    for number in 2..=200 {
        node.handle_link_up(LinkId(number.into()), identity(number).key(), 0, at(0));
    }
    drain(&mut node);
    // Always another one, so that the gap between two Inits to one key does not matter.
    let mut strangers = 2..=200;
    assert_rate(
        STRANGER_INIT_RATE,
        &mut node,
        |node, now| node.handle_undecryptable(identity(strangers.next().unwrap()).key(), now),
        |node| node.sends(FrameKind::Traffic),
    );
}

#[test]
fn notes_of_broken_paths_are_written_at_their_rate() {
    let (sender, dest) = (identity(2).key(), identity(9).key());
    assert_rate(
        BROKEN_RATE,
        &mut node(),
        |node, now| node.handle_stuck(sender, Some(Coords::default()), dest, now),
        |node| node.sends(FrameKind::PathBroken),
    );
}

#[test]
fn questions_are_answered_at_a_rate_for_each_key() {
    let (asker, other) = (identity(2), identity(3));
    let mut node = node();
    node.handle_link_up(LinkId(2), other.key(), 0, at(0));
    for from in [&asker, &other] {
        node.handle_handshake(from.key(), &init(from, 1), at(0));
    }
    let answers = |node: &Node<Sessions>, key: &NodeKey| {
        let is_answer = |event: &&Event| matches!(event, Event::Send(to, _) if to == key);
        node.outbox.events.iter().filter(is_answer).count()
    };
    let request = &InbandKind::NodeInfo.emit_request()[1..];
    assert_rate(
        INBAND_RATE,
        &mut node,
        |node, now| node.handle_inband(asker.key(), request, now),
        |node| answers(node, &asker.key()),
    );
    node.handle_inband(other.key(), request, at(1100));
    assert_eq!(answers(&node, &other.key()), 1);
}

#[test]
fn a_session_too_many_is_refused_and_those_there_are_go_on() {
    let mut node = node();
    let (friend, stranger) = (identity(2), identity(3));
    node.handle_handshake(friend.key(), &init(&friend, 1), at(0));
    for number in 1..SESSIONS_MAX as u32 {
        let mut key = [0xff; 32];
        key[..4].copy_from_slice(&number.to_be_bytes());
        node.contacts.opened(NodeKey::from_bytes(key), 1, at(0).mono);
    }
    assert_eq!(node.sizes().sessions, SESSIONS_MAX);
    node.handle_handshake(stranger.key(), &init(&stranger, 1), at(0));
    assert_eq!((node.sizes().sessions, node.stats.sessions_refused), (SESSIONS_MAX, 1));
    assert!(!node.sessions.open.contains_key(&stranger.key()));
    node.handle_handshake(friend.key(), &init(&friend, 2), at(0));
    assert_eq!(node.contacts.get(&friend.key()).unwrap().session_seq, Some(2));
    assert_eq!(node.stats.sessions_refused, 1);
}

/// The answer of a node at `coords` to a lookup of this node.
fn answer(far: &Identity, coords: Coords) -> PathNotify {
    PathNotify {
        path: Coords::default(),
        watermark: u64::MAX,
        source: far.key(),
        dest: identity(1).key(),
        seq: 1,
        sig: PathNotify::sign(far, 1, &coords),
        coords,
    }
}

#[test]
fn answers_from_places_too_deep_are_ignored() {
    let mut node = node();
    let far = identity(3);
    node.look_up(far.key(), at(0));
    for (depth, found) in [(COORDS_MAX + 1, false), (COORDS_MAX, true)] {
        node.take(&answer(&far, Coords::from(vec![1; depth])).emit(), at(0));
        assert_eq!(node.paths.get(&far.key()).is_some(), found);
    }
    assert_eq!(node.stats.notifies_ignored, 1);
}

#[test]
fn a_move_is_told_to_so_many_far_ends_at_most() {
    let mut node = node();
    node.paths.fill(at(0).mono);
    let far: Vec<NodeKey> = node.paths.iter().map(|(key, _)| *key).collect();
    for key in &far[..MOVE_TOLD_MAX + 9] {
        node.contacts.opened(*key, 1, at(0).mono);
    }
    node.tell_place(at(0));
    // None of them is anywhere.
    assert_eq!(node.stats.stuck, MOVE_TOLD_MAX as u64);
}

#[test]
fn a_path_that_makes_room_for_another_leaves_its_session() {
    let mut node = node();
    let found = |node: &mut Node<Sessions>, far: &Identity, now| {
        node.look_up(far.key(), now);
        node.take(&answer(far, Coords::from(vec![1])).emit(), now);
    };
    let (friend, other) = (identity(3), identity(4));
    found(&mut node, &friend, at(0));
    node.handle_handshake(friend.key(), &init(&friend, 1), at(0));
    let path_of = |node: &Node<Sessions>, key: &NodeKey| node.sessions.open[key].2.clone();
    assert!(path_of(&node, &friend.key()).is_some());
    node.paths.fill(at(1000).mono);
    found(&mut node, &other, at(1000));
    assert_eq!(node.sizes().paths, PATHS_MAX);
    assert!(node.paths.get(&other.key()).is_some());
    assert_eq!(path_of(&node, &friend.key()), None);
}

/// The node of identity 1 below another, and a second neighbour over link 2 that has said nothing.
fn child() -> (Node<Sessions>, NodeKey) {
    let own = identity(1).key();
    let parent = (2..).map(identity).find(|it| it.key() < own).unwrap();
    let mut node = lonely_node();
    node.handle_link_up(LINK, parent.key(), 0, at(0));
    let request = node.outbox.transmits.iter().find_map(|transmit| {
        let (kind, _) = cut_frame(&transmit.frame).unwrap().unwrap();
        (transmit.frame[kind] == FrameKind::SigReq as u8)
            .then(|| SigReq::parse(&transmit.frame[kind + 1..]).unwrap())
    });
    let edge = EdgeDraft { node: own, parent: parent.key(), request: request.unwrap(), port: 1 };
    node.take(&announce(&parent, &parent, 0).emit(), at(100));
    let answer = SigRes { request: edge.request, port: 1, psig: edge.sign(&parent) };
    node.take(&answer.emit(), at(200));
    assert_eq!(node.tree.parent(), parent.key());
    node.handle_link_up(LinkId(2), identity(100).key(), 0, at(300));
    drain(&mut node);
    (node, parent.key())
}

#[test]
fn a_silent_parent_is_left_for_the_sake_of_others_once_a_minute() {
    let (mut node, parent) = child();
    node.handle_link_suspect(LINK, true, at(2_000));
    assert_eq!(node.tree.parent(), node.tree.own());
    // The simulator stammers for longer (`sim/tests/links.rs`).
    assert_ne!(node.tree.parent(), parent);
}

#[test]
fn a_node_whose_links_are_all_silent_stays_where_it_is() {
    for order in [[LINK, LinkId(2)], [LinkId(2), LINK]] {
        let (mut node, parent) = child();
        node.handle_links_suspect(order.map(|link| (link, true)), at(2_000));
        assert_eq!(node.tree.parent(), parent);
    }
}

// ---- what strangers get ----

impl Node<Sessions> {
    /// The rules say this of a key from now on.
    pub(super) fn regard(&mut self, key: NodeKey, standing: Standing, now: Now) {
        self.sessions.standings.insert(key, standing);
        self.review_sessions(now);
    }

    pub(super) fn has_session(&self, key: &NodeKey) -> bool {
        let here = self.contacts.has_session(key);
        assert_eq!(
            here,
            self.sessions.open.contains_key(key),
            "both halves know the same sessions"
        );
        here
    }
}

#[test]
fn greetings_of_strangers_and_of_blocked_keys_are_not_answered() {
    for standing in [Standing::Blocked, Standing::Stranger] {
        let mut node = node();
        let stranger = identity(2);
        node.regard(stranger.key(), standing, at(0));
        node.handle_handshake(stranger.key(), &init(&stranger, 1), at(0));
        node.handle_undecryptable(stranger.key(), at(0));
        assert!(!node.has_session(&stranger.key()));
        assert_eq!(node.sends(FrameKind::Traffic), 0, "{standing:?}");
        assert_eq!(node.stats.strangers_ignored, 2);
    }
}

#[test]
fn a_stranger_that_was_called_may_answer_and_greet_for_a_minute() {
    let mut node = node();
    let stranger = identity(2);
    node.regard(stranger.key(), Standing::Stranger, at(0));
    node.send_data(stranger.key(), vec![1], at(0));
    assert_eq!(node.sends(FrameKind::Traffic), 1, "the call");
    node.handle_handshake(stranger.key(), &init(&stranger, 1), at(100));
    assert!(node.has_session(&stranger.key()) && node.sessions.guests.is_empty());
    // Services are for friends.
    drain(&mut node);
    node.handle_inband(stranger.key(), &InbandKind::NodeInfo.emit_request()[1..], at(100));
    assert!(node.poll_event().is_none());

    // The session ends in silence, and the call is too long ago.
    let late = at(100 + CALLED_TIME.as_secs() * 1000);
    node.handle_timeout(late);
    assert!(!node.has_session(&stranger.key()));
    node.handle_handshake(stranger.key(), &init(&stranger, 2), late);
    assert!(!node.has_session(&stranger.key()));
}

#[test]
fn sessions_end_with_the_rules_that_allowed_them() {
    let mut node = node();
    let (friend, other) = (identity(2), identity(3));
    for key in [&friend, &other] {
        node.handle_handshake(key.key(), &init(key, 1), at(0));
    }
    node.regard(friend.key(), Standing::Wanted, at(100));
    assert!(node.has_session(&friend.key()), "this machine speaks with it");
    node.regard(friend.key(), Standing::Stranger, at(200));
    assert!(!node.has_session(&friend.key()) && node.has_session(&other.key()));
    node.regard(other.key(), Standing::Blocked, at(200));
    assert!(!node.has_session(&other.key()));
    // Not even this machine speaks with a blocked key.
    drain(&mut node);
    node.send_data(other.key(), vec![1], at(300));
    assert_eq!((node.sends(FrameKind::Traffic), node.poll_event().is_none()), (0, true));
}

#[test]
fn a_guest_has_a_short_session_without_services() {
    let mut node = node();
    let guest = identity(2);
    node.regard(guest.key(), Standing::Guest, at(0));
    node.handle_handshake(guest.key(), &init(&guest, 1), at(0));
    assert!(node.has_session(&guest.key()) && node.sessions.guests.contains(&guest.key()));
    drain(&mut node);
    node.handle_inband(guest.key(), &InbandKind::GetPeers.emit_request()[1..], at(100));
    assert!(node.poll_event().is_none());
    // One greeting a second.
    node.handle_handshake(guest.key(), &init(&guest, 2), at(999));
    assert_eq!(node.contacts.get(&guest.key()).unwrap().session_seq, Some(1));
    node.handle_handshake(guest.key(), &init(&guest, 3), at(1000));
    assert_eq!(node.contacts.get(&guest.key()).unwrap().session_seq, Some(3));
    // Whatever it says, it has to leave.
    let (at_last, _) = node.poll_timeout().unwrap();
    assert!(at_last <= at(GUEST_TIME.as_secs() * 1000).mono);
    node.handle_timeout(at(GUEST_TIME.as_secs() * 1000 - 1));
    assert!(node.has_session(&guest.key()));
    node.handle_timeout(at(GUEST_TIME.as_secs() * 1000 + 20));
    assert!(!node.has_session(&guest.key()) && node.sessions.guests.is_empty());
}

#[test]
fn a_guest_that_becomes_a_friend_or_is_called_stays() {
    for called in [false, true] {
        let mut node = node();
        let guest = identity(2);
        node.regard(guest.key(), Standing::Guest, at(0));
        node.handle_handshake(guest.key(), &init(&guest, 1), at(0));
        assert!(node.sessions.guests.contains(&guest.key()));
        if called {
            node.send_data(guest.key(), vec![1], at(100));
        } else {
            node.regard(guest.key(), Standing::Welcome, at(100));
        }
        assert!(node.sessions.guests.is_empty());
        node.handle_timeout(at(GUEST_TIME.as_secs() * 1000 + 20));
        assert!(node.has_session(&guest.key()));
    }
}

#[test]
fn guests_are_few_and_leave_room_for_others_when_they_go() {
    let mut node = node();
    let greet = |node: &mut Node<Sessions>, number: u8, now: Now| {
        let guest = identity(number);
        node.sessions.standings.insert(guest.key(), Standing::Guest);
        node.handle_handshake(guest.key(), &init(&guest, 1), now);
        node.has_session(&guest.key())
    };
    let most = GUESTS_MAX as u8;
    assert!((10..10 + most).all(|number| greet(&mut node, number, at(0))));
    assert!(!greet(&mut node, 10 + most, at(2000)));
    let later = at(GUEST_TIME.as_secs() * 1000 + 100);
    node.handle_timeout(later);
    assert!(greet(&mut node, 10 + most, later));
    assert_eq!(node.sizes().sessions, 1);
}
