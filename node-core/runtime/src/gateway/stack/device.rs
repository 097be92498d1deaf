//! What the sockets see of the outside: at most one packet that comes in, and a place for those
//! that go out.

use std::collections::VecDeque;

use smoltcp::{
    phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken},
    time::Instant,
};

use super::{ANSWERS_MAX, Stack};
use crate::data::buffers::Packet;

/// See the module. Lives for one packet, or one round of sending.
pub(super) struct Wire<'a> {
    pub(super) incoming: Option<&'a [u8]>,
    pub(super) outgoing: &'a mut VecDeque<Packet>,
}

impl Device for Wire<'_> {
    type RxToken<'a>
        = Incoming<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Outgoing<'a>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Incoming<'_>, Outgoing<'_>)> {
        // What cannot be answered is not looked at: it is lost, as on a line that is too slow.
        if self.outgoing.len() >= ANSWERS_MAX {
            return None;
        }
        Some((Incoming(self.incoming.take()?), Outgoing(self.outgoing)))
    }

    /// A round takes at most one packet of each socket.
    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_>> {
        Some(Outgoing(self.outgoing))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = usize::from(Stack::MTU);
        capabilities
    }
}

/// The packet that comes in.
pub(super) struct Incoming<'a>(&'a [u8]);

impl RxToken for Incoming<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Room for a packet that goes out.
pub(super) struct Outgoing<'a>(&'a mut VecDeque<Packet>);

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = Packet::of_len(len);
        let done = f(packet.bytes_mut());
        self.0.push_back(packet);
        done
    }
}
