//! This machine's side of the node: where packets of its programs come from, and where those for
//! them go.
//!
//! Either the system has an interface for them, or there is none and the node has TCP and UDP of
//! its own. Both take and give whole IPv6 packets, so nothing else of the data half knows which one
//! it is.

use std::io::{self, IoSlice};

use planetary_proto::limits::MTU_MAX;

use super::buffers::Packet;
use crate::{
    gateway::stack::Stack,
    offload::{Checksums, Cut, Offload},
    tun::Tun,
};

/// See the module.
pub(crate) enum Inside {
    /// The system's interface.
    Tun(Tun),
    /// TCP and UDP of this program.
    Stack(Stack),
}

impl Inside {
    /// The interface, if there is one.
    pub(crate) const fn tun(&self) -> Option<&Tun> {
        match self {
            Self::Tun(tun) => Some(tun),
            Self::Stack(_) => None,
        }
    }

    /// TCP and UDP of this program, if there is no interface.
    pub(crate) const fn stack(&self) -> Option<&Stack> {
        match self {
            Self::Tun(_) => None,
            Self::Stack(stack) => Some(stack),
        }
    }

    /// How many queues packets come from, each of which a thread may wait for.
    pub(crate) fn queues(&self) -> usize {
        match self {
            Self::Tun(tun) => tun.queues(),
            Self::Stack(_) => 1,
        }
    }

    /// Whether it is worth joining packets before they are handed over.
    pub(crate) fn joins(&self) -> bool {
        match self {
            Self::Tun(tun) => tun.offloads(),
            Self::Stack(_) => false,
        }
    }

    /// Waits for a packet that a program sends and copies it into `packet`; 0 bytes once this is
    /// closed. Says what is left to do to it.
    ///
    /// # Errors
    /// What the system answers.
    pub(crate) fn recv(&self, queue: usize, packet: &mut [u8]) -> io::Result<(usize, Offload)> {
        match self {
            Self::Tun(tun) => tun.recv(queue, packet),
            Self::Stack(stack) => Ok((stack.recv(packet), Offload::None)),
        }
    }

    /// As [`Self::recv`], but `None` if there is no packet at hand.
    ///
    /// # Errors
    /// What the system answers.
    pub(crate) fn try_recv(
        &self,
        queue: usize,
        packet: &mut [u8],
    ) -> io::Result<Option<(usize, Offload)>> {
        match self {
            Self::Tun(tun) => tun.try_recv(queue, packet),
            Self::Stack(_) => Ok(None),
        }
    }

    /// Hands over one finished packet for a program. One that is refused is lost.
    pub(crate) fn send(&self, packet: &[u8]) {
        self.send_parts(0, &[IoSlice::new(packet)], Offload::None);
    }

    /// Hands over one packet for a program, in parts, the first of which holds all headers. `queue`
    /// is the one that answers come from, the same for all packets of a flow.
    pub(crate) fn send_parts(&self, queue: usize, parts: &[IoSlice<'_>], offload: Offload) {
        match self {
            Self::Tun(tun) if offload == Offload::None || tun.offloads() => {
                if let Err(error) = tun.send(queue, parts, offload) {
                    tracing::trace!(%error, "the system refused a packet");
                }
            }
            Self::Stack(stack) if offload == Offload::None => match parts {
                [packet] => stack.send(packet),
                parts => stack.send(Packet::joined(parts).bytes()),
            },
            Self::Tun(_) | Self::Stack(_) => {
                let packet = Packet::joined(parts);
                let cut = Cut::new(packet.bytes(), offload, MTU_MAX, Checksums::Complete);
                let Ok(mut cut) = cut else { return };
                let mut piece = Packet::large();
                while let Some((len, _)) = cut.next_into(piece.space()) {
                    piece.len = len;
                    self.send_parts(queue, &[IoSlice::new(piece.bytes())], Offload::None);
                }
            }
        }
    }

    /// The largest packet that is taken, in bytes.
    pub(crate) const fn mtu(&self) -> u16 {
        match self {
            Self::Tun(tun) => tun.mtu(),
            Self::Stack(_) => Stack::MTU,
        }
    }

    /// Ends the waiting and all later [`Inside::recv`] calls.
    pub(crate) fn close(&self) {
        match self {
            Self::Tun(tun) => tun.close(),
            Self::Stack(stack) => stack.close(),
        }
    }
}
