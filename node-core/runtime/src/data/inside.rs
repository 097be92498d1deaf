//! This machine's side of the node: where packets of its programs come from, and where those for
//! them go.
//!
//! Either the system has an interface for them, or there is none and the node has TCP and UDP of
//! its own. Both take and give whole IPv6 packets, so nothing else of the data half knows which one
//! it is.

use std::io;

use crate::{gateway::stack::Stack, tun::Tun};

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

    /// Waits for a packet that a program sends and copies it into `packet`; 0 once this is closed.
    ///
    /// # Errors
    /// What the system answers.
    pub(crate) fn recv(&self, packet: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tun(tun) => tun.recv(packet),
            Self::Stack(stack) => Ok(stack.recv(packet)),
        }
    }

    /// Hands over one packet for a program. One that is refused is lost.
    pub(crate) fn send(&self, packet: &[u8]) {
        match self {
            Self::Tun(tun) => {
                if let Err(error) = tun.send(packet) {
                    tracing::trace!(%error, "the system refused a packet");
                }
            }
            Self::Stack(stack) => stack.send(packet),
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
