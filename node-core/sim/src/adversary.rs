//! Hosts that do not play by the rules.
//!
//! A rogue is a host like any other, with a node that behaves; what leaves it is distorted here,
//! and now and then it sends something of its own making. The checkers do not hold it to anything,
//! but honest hosts must stay within their bounds and keep working next to it.

use planetary_proto::{
    Identity, Instant,
    time::Duration,
    wire::{Announce, EdgeDraft, FrameKind, SigReq, TrafficView, cut_frame},
};
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

use crate::host::{Host, Task};

/// Handshakes that a rogue keeps.
const RECORDS_MAX: usize = 64;

/// What a rogue does.
#[derive(Clone, Debug)]
pub enum Mischief {
    /// Announces ever new nodes, properly signed, that nobody ever saw: this many a second.
    FloodAnnounces(u32),
    /// Hangs itself below a chain of this many nodes of its own, whose root has a low key.
    DeepChain(DeepChain),
    /// Claims in every filter that all keys are behind it.
    FullFilters,
    /// Takes links and never says a word.
    Mute,
    /// Sends random bytes now and then.
    Noise,
    /// Loses every third packet that passes through it; counts them.
    LoseTraffic(usize),
    /// Repeats every handshake that passes through it, at once and again later.
    ReplayHandshakes(Vec<Vec<u8>>),
}

/// A chain of nodes that exist on paper only.
#[derive(Clone, Debug)]
pub struct DeepChain {
    length: usize,
    /// The announcements, once they are made.
    frames: Vec<Vec<u8>>,
}

impl Mischief {
    /// [`Self::DeepChain`] of this many nodes.
    #[must_use]
    pub const fn deep_chain(length: usize) -> Self {
        Self::DeepChain(DeepChain { length, frames: Vec::new() })
    }

    /// Whether honest hosts keep their links to the rogue.
    pub(crate) const fn keeps_links(&self) -> bool {
        matches!(
            self,
            Self::FullFilters
                | Self::DeepChain(_)
                | Self::LoseTraffic(_)
                | Self::ReplayHandshakes(_)
        )
    }

    /// How often the rogue has an idea of its own.
    pub(crate) fn every(&self) -> Duration {
        match self {
            Self::FloodAnnounces(per_s) => Duration::from_secs(1) / (*per_s).max(1),
            Self::FullFilters | Self::LoseTraffic(_) | Self::Mute => Duration::from_secs(60),
            Self::DeepChain(_) => Duration::from_secs(1),
            Self::Noise => Duration::from_millis(700),
            Self::ReplayHandshakes(_) => Duration::from_secs(2),
        }
    }

    /// What is sent in place of a frame of the rogue's node.
    pub(crate) fn distort(&mut self, frame: Vec<u8>) -> Vec<Vec<u8>> {
        match self {
            Self::FloodAnnounces(_) | Self::Noise => vec![frame],
            Self::FullFilters if kind_of(&frame) == Some(FrameKind::BloomFilter) => {
                vec![full_filter()]
            }
            Self::FullFilters => vec![frame],
            // Only the chain is announced.
            Self::DeepChain(_) if kind_of(&frame) == Some(FrameKind::Announce) => Vec::new(),
            Self::DeepChain(_) => vec![frame],
            Self::Mute => Vec::new(),
            Self::LoseTraffic(seen) if kind_of(&frame) == Some(FrameKind::Traffic) => {
                *seen += 1;
                if seen.is_multiple_of(3) { Vec::new() } else { vec![frame] }
            }
            Self::LoseTraffic(_) => vec![frame],
            Self::ReplayHandshakes(records) if is_handshake(&frame) => {
                if records.len() < RECORDS_MAX {
                    records.push(frame.clone());
                }
                vec![frame; 4]
            }
            Self::ReplayHandshakes(_) => vec![frame],
        }
    }

    /// What the rogue sends unasked over each of its links.
    fn invent(&mut self, own: &Identity, rng: &mut ChaCha20Rng) -> Vec<Vec<u8>> {
        match self {
            Self::DeepChain(chain) => {
                if chain.frames.is_empty() {
                    chain.frames = announces_of_a_chain(chain.length, own, rng);
                }
                chain.frames.clone()
            }
            Self::FloodAnnounces(_) => vec![announce_of_nobody(rng)],
            Self::FullFilters | Self::LoseTraffic(_) | Self::Mute => Vec::new(),
            Self::Noise => {
                let mut bytes = vec![0; 1 + (rng.next_u32() % 200) as usize];
                rng.fill_bytes(&mut bytes);
                vec![bytes]
            }
            Self::ReplayHandshakes(records) => records.clone(),
        }
    }
}

impl Host {
    /// The rogue has an idea.
    pub(crate) fn invent(&mut self, at: Instant) {
        let Some(mischief) = &mut self.mischief else { return };
        let (every, inventions) =
            (mischief.every(), mischief.invent(&self.identity, &mut self.rng));
        let links: Vec<_> = self.ends().keys().copied().collect();
        for link in links {
            for bytes in &inventions {
                self.hand_over(link, bytes.clone(), at);
            }
        }
        self.schedule(at + every, Task::Mischief);
    }
}

fn kind_of(frame: &[u8]) -> Option<FrameKind> {
    let (kind, _) = cut_frame(frame).ok()??;
    FrameKind::from_byte(frame[kind])
}

/// Every word of the filter is all ones.
fn full_filter() -> Vec<u8> {
    let mut frame = vec![33, FrameKind::BloomFilter as u8];
    frame.extend_from_slice(&[0; 16]);
    frame.extend_from_slice(&[0xff; 16]);
    frame
}

fn announce_of_nobody(rng: &mut ChaCha20Rng) -> Vec<u8> {
    let nobody = draw_identity(rng);
    announce(&nobody, &nobody, rng)
}

/// A root with a low key, `length - 1` more nodes each below the one before, and `last` at the end.
fn announces_of_a_chain(length: usize, last: &Identity, rng: &mut ChaCha20Rng) -> Vec<Vec<u8>> {
    let low = |identity: &Identity| identity.key().as_bytes()[0] == 0;
    let root = core::iter::repeat_with(|| draw_identity(rng)).find(low);
    let mut chain: Vec<Identity> = root.into_iter().collect();
    chain.resize_with(length, || draw_identity(rng));
    chain.push(last.clone());
    let mut frames = vec![announce(&chain[0], &chain[0], rng)];
    frames.extend(chain.windows(2).map(|pair| announce(&pair[1], &pair[0], rng)));
    frames
}

fn draw_identity(rng: &mut ChaCha20Rng) -> Identity {
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    Identity::from_seed(&seed)
}

/// An announcement that nothing the node said before can beat.
fn announce(node: &Identity, parent: &Identity, rng: &mut ChaCha20Rng) -> Vec<u8> {
    let request = SigReq { seq: u64::MAX / 2, nonce: rng.next_u64() };
    let (node_key, parent_key) = (node.key(), parent.key());
    let port = u64::from(node_key != parent_key);
    let edge = EdgeDraft { node: node_key, parent: parent_key, request, port };
    Announce { edge, psig: edge.sign(parent), sig: edge.sign(node) }.emit()
}

fn is_handshake(frame: &[u8]) -> bool {
    let Ok(Some((kind, _))) = cut_frame(frame) else { return false };
    let body = &frame[kind + 1..];
    frame[kind] == FrameKind::Traffic as u8
        && TrafficView::parse(body)
            .is_ok_and(|view| matches!(body.get(view.payload_offset()), Some(1 | 2)))
}
