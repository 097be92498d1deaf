//! Packets for the node's own TCP and UDP, which the packet filter would have let in.
//!
//! The bytes are a script: segments and datagrams that are well made but for what the script says,
//! with numbers near those that the other end expects, and packets of any bytes between them.
//!
//! Asserted: no packet is too much; whatever goes out is a whole packet between the two addresses;
//! a packet opens one connection at most; and the end ends everything.

use planetary_proto::upper::ipv6::endpoints;
use planetary_runtime::gateway::stack::Stack;

use crate::{host::key, input::Input};

/// A port with a listener.
const PORT: u16 = 80;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// Packets of one script.
const STEPS_MAX: usize = 64;

/// What the far end knows of a connection.
struct Far {
    own: [u8; 16],
    far: [u8; 16],
    /// The number that the stack sent last.
    theirs: u32,
    /// The number that it expects.
    ours: u32,
}

/// See the module.
pub fn stack(data: &[u8]) {
    let [own, far] = [0, 1].map(|seed| key(seed).address().to_ipv6());
    let stack = Stack::new(own, 1);
    let _listener = stack.listen(PORT).expect("a free port");
    let _datagrams = stack.bind(PORT).expect("a free port");
    let mut end = Far { own: own.octets(), far: far.octets(), theirs: 0, ours: 0 };
    let mut input = Input::new(data);
    let mut room = vec![0; usize::from(Stack::MTU)];
    let mut opened = 0;
    while !input.is_empty() && opened < STEPS_MAX {
        let packet = match input.byte() {
            0 => input.block().to_vec(),
            1 => end.packet(UDP, &end.datagram(&mut input)),
            choice => end.packet(TCP, &end.segment(choice, &mut input)),
        };
        stack.send(&packet);
        opened += 1;
        assert!(stack.sizes().0 <= opened);
        while let Some(len) = stack.try_recv(&mut room) {
            let packet = &room[..len];
            assert_eq!(endpoints(packet), Ok((end.own, end.far)));
            if let (TCP, Some(segment)) = (packet[6], packet.get(40..60)) {
                end.theirs = number(&segment[4..]);
                end.ours = number(&segment[8..]);
            }
        }
    }
    stack.close();
    assert_eq!(stack.recv(&mut room), 0);
}

fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

impl Far {
    /// A segment of TCP: to the port with a listener for an even choice; behind it flags, how far
    /// the numbers are from what is expected, window, options and data.
    fn segment(&self, choice: u8, input: &mut Input<'_>) -> Vec<u8> {
        let flags = input.byte();
        let [seq, ack] = [self.ours, self.theirs.wrapping_add(1)]
            .map(|number| number.wrapping_add(u32::from(input.byte())).wrapping_sub(8));
        let window = u16::from(input.byte()) << 4;
        let options = input.block();
        let options = &options[..options.len().min(40) / 4 * 4];
        let ports = [1024 + u16::from(choice >> 6), PORT + u16::from(choice & 1)];
        let len = 5 + options.len() as u8 / 4;
        let head = [&ports.map(u16::to_be_bytes).concat()[..], &seq.to_be_bytes()];
        let tail = [&ack.to_be_bytes()[..], &[len << 4, flags], &window.to_be_bytes(), &[0; 4]];
        [head.concat(), tail.concat(), options.to_vec(), input.block().to_vec()].concat()
    }

    fn datagram(&self, input: &mut Input<'_>) -> Vec<u8> {
        let port = PORT + u16::from(input.byte() & 1);
        let data = input.block();
        let len = (8 + data.len()) as u16;
        let words = [1024, port, len, 0].map(u16::to_be_bytes);
        [&words.concat(), data].concat()
    }

    /// A packet with a good checksum around a message.
    fn packet(&self, next: u8, message: &[u8]) -> Vec<u8> {
        let len = message.len() as u16;
        let head = [0x60, 0, 0, 0, (len >> 8) as u8, len as u8, next, 64];
        let mut packet = [&head[..], &self.far, &self.own, message].concat();
        let at = 40 + if next == TCP { 16 } else { 6 };
        let mut sum = u32::from(len) + u32::from(next);
        for pair in packet[8..].chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        packet[at..at + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
        packet
    }
}
