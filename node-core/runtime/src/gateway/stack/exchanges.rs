//! What passes between the two ends of each connection, where the sockets would stand still.
//!
//! The sockets here leave four cases to luck; what is done about them needs no more than the
//! numbers that the packets show.
//!
//! - **Acknowledgements are lost with the segment they come in.** A segment outside of the receive
//!   window is dropped, and its acknowledgement with it (RFC 9293, 3.10.7.4). The sockets send an
//!   acknowledgement under the number of the byte that they would send next, and a retransmission
//!   moves that back to where the far end has long been. When both ends retransmit at once, each
//!   has everything and neither hears of it. The same happens when a window closes over a byte that
//!   was sent before. An acknowledgement without data says nothing by its sequence number: one that
//!   is surely outside of the window is given, besides, under the number that this end awaits.
//! - **Retransmissions come ever later.** The time until the next one doubles and stays so until a
//!   segment is acknowledged that was sent once: on a line that loses, a minute is soon reached.
//!   Acknowledged data says as well that the line carries. So after [`REPEAT_AFTER`] without any,
//!   the socket is shown the acknowledgement that it heard last again, as often as makes it repeat.
//! - **A probe of a closed window replaces the retransmission** of what was under way when the
//!   window closed, and goes out behind it: when that was lost, no answer to a probe says anything
//!   new. What makes a socket repeat mends this too.
//! - **Who is asked for data again and has only its end under way forgets to repeat that.** Such
//!   questions are kept from it: the end is repeated when its time comes.

use std::collections::HashMap;

use smoltcp::{
    phy::ChecksumCapabilities,
    time::{Duration, Instant},
    wire::{
        IpAddress, IpEndpoint, IpProtocol, Ipv6Address, Ipv6Packet, Ipv6Repr, TcpControl,
        TcpPacket, TcpRepr, TcpSeqNumber,
    },
};

use super::CONNECTIONS_MAX;

/// Bytes of an IPv6 header.
const HEADER_LEN: usize = 40;

/// Connections whose end was not noticed are forgotten when there are as many as this.
const KNOWN_MAX: usize = 2 * CONNECTIONS_MAX;

/// How long the oldest byte under way may be silent before it is sent again. The sockets begin
/// after a second by themselves; slower paths than this one are rare, and a needless repetition
/// costs one segment.
const REPEAT_AFTER: Duration = Duration::from_secs(2);
/// The same when it was repeated in vain.
const REPEAT_AFTER_MAX: Duration = Duration::from_secs(8);

/// Acknowledgements of the same byte that make a socket repeat it (RFC 5681, 3.2).
const DUPLICATES: usize = 3;

/// The far end of a connection and the port of this one.
pub(super) type Connection = (IpEndpoint, u16);

/// See the module.
#[derive(Default)]
pub(super) struct Exchanges(HashMap<Connection, Exchange>);

struct Exchange {
    /// The number that this end awaits next, as it said last.
    awaited: TcpSeqNumber,
    /// There is no room here for anything, as it said last.
    full: bool,
    /// The number after all that this end has said.
    said: TcpSeqNumber,
    heard: Option<Heard>,
}

/// What the far end said last.
struct Heard {
    /// The number that it awaits next.
    awaits: TcpSeqNumber,
    /// Its window as it stands in the header.
    window: u16,
    /// When it said that it has more, or the byte it awaits was sent.
    since: Instant,
    /// How often that byte was asked for since.
    asked: u32,
}

impl Exchanges {
    /// Takes note of a packet that goes out. `lives` says whether there still is a connection; it
    /// is asked when there are too many.
    pub(super) fn note_sent(
        &mut self,
        packet: &[u8],
        now: Instant,
        lives: impl Fn(&Connection) -> bool,
    ) {
        let Some((ip, segment)) = parse(packet) else { return };
        if !segment.ack() || segment.rst() {
            return;
        }
        let far = IpEndpoint::new(IpAddress::Ipv6(ip.dst_addr()), segment.dst_port());
        let connection = (far, segment.src_port());
        if self.0.len() >= KNOWN_MAX && !self.0.contains_key(&connection) {
            self.0.retain(|connection, _| lives(connection));
        }
        let (awaited, full) = (segment.ack_number(), segment.window_len() == 0);
        let said = segment.seq_number() + segment.segment_len();
        let new = || Exchange { awaited, full, said, heard: None };
        let exchange = self.0.entry(connection).or_insert_with(new);
        (exchange.awaited, exchange.full) = (awaited, full);
        exchange.said = exchange.said.max(said);
        if segment.syn() {
            // Another connection may have had these ports.
            (exchange.said, exchange.heard) = (said, None);
        }
        if let Some(heard) = &mut exchange.heard
            && heard.awaits == segment.seq_number()
            && !segment.payload().is_empty()
        {
            heard.since = now;
        }
    }

    /// Takes note of a packet that comes in.
    pub(super) fn note_heard(&mut self, packet: &[u8], now: Instant) {
        let Some((ip, segment)) = parse(packet) else { return };
        // The window of a segment that opens a connection is in other units.
        if !segment.ack() || segment.rst() || segment.syn() {
            return;
        }
        let Some(exchange) = self.0.get_mut(&connection_of(&ip, &segment)) else { return };
        let (awaits, window) = (segment.ack_number(), segment.window_len());
        match &mut exchange.heard {
            Some(heard) if awaits < heard.awaits => {}
            Some(heard) if awaits == heard.awaits => heard.window = window,
            heard => *heard = Some(Heard { awaits, window, since: now, asked: 0 }),
        }
    }

    /// The acknowledgement in a packet that comes in, as a packet inside of the window, when it is
    /// without data and surely outside.
    pub(super) fn saved(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let (ip, segment) = parse(packet).filter(|(_, segment)| only_acknowledges(segment))?;
        let (from, to) = (IpAddress::Ipv6(ip.src_addr()), IpAddress::Ipv6(ip.dst_addr()));
        let exchange = self.0.get(&connection_of(&ip, &segment))?;
        let seq = segment.seq_number();
        let outside = seq < exchange.awaited || exchange.full && seq > exchange.awaited;
        if !outside || !segment.verify_checksum(&from, &to) {
            return None;
        }
        let mut saved = packet.to_vec();
        let mut segment = TcpPacket::new_unchecked(saved.get_mut(HEADER_LEN..)?);
        segment.set_seq_number(exchange.awaited);
        segment.fill_checksum(&from, &to);
        Some(saved)
    }

    /// The connection of a packet that comes in and only acknowledges what was acknowledged before,
    /// when that is not all that was said.
    pub(super) fn repeated(&self, packet: &[u8]) -> Option<Connection> {
        let (ip, segment) = parse(packet).filter(|(_, segment)| only_acknowledges(segment))?;
        let connection = connection_of(&ip, &segment);
        let exchange = self.0.get(&connection)?;
        let (awaits, heard) = (segment.ack_number(), exchange.heard.as_ref()?);
        // Who asks for what comes after the end has heard of the end, though the socket may not
        // have taken that from a segment outside of its window.
        (awaits == heard.awaits && awaits < exchange.said).then_some(connection)
    }

    /// How long until the far end of a connection with bytes under way counts as silent; zero when
    /// it does.
    pub(super) fn patience(&self, connection: &Connection, now: Instant) -> Option<Duration> {
        let heard = self.0.get(connection)?.heard.as_ref()?;
        let patience = (REPEAT_AFTER * (1 << heard.asked.min(2))).min(REPEAT_AFTER_MAX);
        let due = heard.since + patience;
        Some(if due > now { due - now } else { Duration::ZERO })
    }

    /// What makes the socket of a connection send the oldest byte under way again, as if the far
    /// end had asked for it; into a closed window a few bytes that make the far end answer.
    pub(super) fn ask_again(
        &mut self,
        connection: Connection,
        own: Ipv6Address,
        now: Instant,
    ) -> Vec<Vec<u8>> {
        let Some(exchange) = self.0.get_mut(&connection) else { return Vec::new() };
        let Some(heard) = &mut exchange.heard else { return Vec::new() };
        heard.since = now;
        heard.asked += 1;
        let window = heard.window.max(1);
        // The socket counts from the last change of the window, and repeats once.
        let other = window.checked_add(1).unwrap_or(window - 1);
        let windows = [other].into_iter().chain([window; 1 + DUPLICATES]);
        let (awaited, awaits) = (exchange.awaited, heard.awaits);
        windows.map(|window| acknowledgement(connection, own, awaited, awaits, window)).collect()
    }
}

/// The two headers of a TCP segment.
type Segment<'a> = (Ipv6Packet<&'a [u8]>, TcpPacket<&'a [u8]>);

/// The two headers of a TCP segment without extension headers.
pub(super) fn parse(packet: &[u8]) -> Option<Segment<'_>> {
    let ip = Ipv6Packet::new_checked(packet).ok()?;
    if ip.next_header() != IpProtocol::Tcp {
        return None;
    }
    let segment = TcpPacket::new_checked(ip.payload()).ok()?;
    Some((ip, segment))
}

fn only_acknowledges(segment: &TcpPacket<&[u8]>) -> bool {
    let controls = segment.syn() || segment.fin() || segment.rst();
    segment.ack() && segment.payload().is_empty() && !controls
}

/// To which connection a packet belongs that comes in.
fn connection_of(ip: &Ipv6Packet<&[u8]>, segment: &TcpPacket<&[u8]>) -> Connection {
    (IpEndpoint::new(IpAddress::Ipv6(ip.src_addr()), segment.src_port()), segment.dst_port())
}

/// A packet from the far end of a connection that only acknowledges.
fn acknowledgement(
    (far, port): Connection,
    own: Ipv6Address,
    seq: TcpSeqNumber,
    ack: TcpSeqNumber,
    window_len: u16,
) -> Vec<u8> {
    let segment = TcpRepr {
        src_port: far.port,
        dst_port: port,
        control: TcpControl::None,
        seq_number: seq,
        ack_number: Some(ack),
        window_len,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let IpAddress::Ipv6(from) = far.addr;
    let header = Ipv6Repr {
        src_addr: from,
        dst_addr: own,
        next_header: IpProtocol::Tcp,
        payload_len: segment.buffer_len(),
        hop_limit: 64,
    };
    let mut packet = vec![0; HEADER_LEN + segment.buffer_len()];
    header.emit(&mut Ipv6Packet::new_unchecked(&mut packet[..]));
    segment.emit(
        &mut TcpPacket::new_unchecked(&mut packet[HEADER_LEN..]),
        &far.addr,
        &IpAddress::Ipv6(own),
        &ChecksumCapabilities::default(),
    );
    packet
}
