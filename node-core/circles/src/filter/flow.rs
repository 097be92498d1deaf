//! What a flow is, and what a packet changes about it.
//!
//! ```text
//!             answer          opener again          FIN            FIN of the other
//! TCP   Opening ───> (Opening) ──────> Established ───> Finishing ─────> Closed
//!          └──────────── RST, from any state ──────────────────────────────^
//!             answer
//! UDP, echo, other  OneWay ───> BothWays
//! ```
//!
//! A connection counts as established once its opener has spoken after an answer: a flood of SYN
//! that only the system's own SYN-ACK answers stays in the state that ends soon and makes room for
//! others.

use planetary_proto::time::Duration;

use super::{
    headers::{Header, Upper, flags},
    verdict::Direction,
};
use crate::limits::{
    ECHO_TIMEOUT, OTHER_TIMEOUT, TCP_CLOSED_TIMEOUT, TCP_ESTABLISHED_TIMEOUT,
    TCP_FINISHING_TIMEOUT, TCP_OPENING_TIMEOUT, UDP_BOTH_WAYS_TIMEOUT, UDP_ONE_WAY_TIMEOUT,
};

/// Who sent the first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// This machine.
    Ours,
    /// The far end.
    Theirs,
}

impl Origin {
    /// Whose packets go this way.
    pub(crate) const fn of(direction: Direction) -> Self {
        match direction {
            Direction::Out => Self::Ours,
            Direction::In => Self::Theirs,
        }
    }
}

/// What tells flows with one key apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tuple {
    pub(crate) local: [u8; 16],
    pub(crate) remote: [u8; 16],
    /// Zero without ports; the identifier of an echo.
    pub(crate) local_port: u16,
    pub(crate) remote_port: u16,
    pub(crate) kind: Kind,
}

/// The protocol of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tcp,
    Udp,
    /// Requests of this machine, replies of the far end. Identifiers of either side have nothing to
    /// do with those of the other.
    EchoOurs,
    /// The other way round.
    EchoTheirs,
    Other(u8),
}

/// Bytes of [`Tuple::to_bytes`].
pub(crate) const TUPLE_LEN: usize = 38;

impl Tuple {
    /// The flow that a packet belongs to, if its upper layer has any.
    pub(crate) const fn of(header: &Header, direction: Direction) -> Option<Self> {
        let (source_port, dest_port, kind) = match (header.upper, direction) {
            (Upper::Tcp { source, dest, .. }, _) => (source, dest, Kind::Tcp),
            (Upper::Udp { source, dest }, _) => (source, dest, Kind::Udp),
            (Upper::EchoRequest(id), Direction::Out) => (id, 0, Kind::EchoOurs),
            (Upper::EchoReply(id), Direction::In) => (0, id, Kind::EchoOurs),
            (Upper::EchoRequest(id), Direction::In) => (0, id, Kind::EchoTheirs),
            (Upper::EchoReply(id), Direction::Out) => (id, 0, Kind::EchoTheirs),
            (Upper::Other(protocol), _) => (0, 0, Kind::Other(protocol)),
            (Upper::Error | Upper::Confined | Upper::Unseen, _) => return None,
        };
        let Header { source, dest, .. } = *header;
        Some(match direction {
            Direction::Out => Self {
                local: source,
                remote: dest,
                local_port: source_port,
                remote_port: dest_port,
                kind,
            },
            Direction::In => Self {
                local: dest,
                remote: source,
                local_port: dest_port,
                remote_port: source_port,
                kind,
            },
        })
    }

    /// The tuple as bytes to hash.
    pub(crate) fn to_bytes(self) -> [u8; TUPLE_LEN] {
        let mut bytes = [0; TUPLE_LEN];
        bytes[..16].copy_from_slice(&self.local);
        bytes[16..32].copy_from_slice(&self.remote);
        bytes[32..34].copy_from_slice(&self.local_port.to_be_bytes());
        bytes[34..36].copy_from_slice(&self.remote_port.to_be_bytes());
        (bytes[36], bytes[37]) = match self.kind {
            Kind::Tcp => (1, 0),
            Kind::Udp => (2, 0),
            Kind::EchoOurs => (3, 0),
            Kind::EchoTheirs => (4, 0),
            Kind::Other(protocol) => (5, protocol),
        };
        bytes
    }
}

/// How far a flow has come, which decides when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    TcpOpening,
    UdpOneWay,
    EchoOneWay,
    OtherOneWay,
    TcpEstablished,
    TcpFinishing,
    TcpClosed,
    UdpBothWays,
    EchoBothWays,
    OtherBothWays,
}

impl Class {
    /// Number of classes.
    pub(crate) const COUNT: usize = 10;

    /// Those that count as one-way, which make room when the table is full.
    pub(crate) const ONE_WAY: [Self; 4] =
        [Self::TcpOpening, Self::UdpOneWay, Self::EchoOneWay, Self::OtherOneWay];

    /// How long after its last packet a flow ends.
    pub(crate) const fn timeout(self) -> Duration {
        match self {
            Self::TcpOpening => TCP_OPENING_TIMEOUT,
            Self::TcpEstablished => TCP_ESTABLISHED_TIMEOUT,
            Self::TcpFinishing => TCP_FINISHING_TIMEOUT,
            Self::TcpClosed => TCP_CLOSED_TIMEOUT,
            Self::UdpOneWay => UDP_ONE_WAY_TIMEOUT,
            Self::UdpBothWays => UDP_BOTH_WAYS_TIMEOUT,
            Self::EchoOneWay | Self::EchoBothWays => ECHO_TIMEOUT,
            Self::OtherOneWay | Self::OtherBothWays => OTHER_TIMEOUT,
        }
    }

    pub(crate) fn is_one_way(self) -> bool {
        Self::ONE_WAY.contains(&self)
    }

    /// Of a flow's first packet.
    pub(crate) const fn first(kind: Kind) -> Self {
        match kind {
            Kind::Tcp => Self::TcpOpening,
            Kind::Udp => Self::UdpOneWay,
            Kind::EchoOurs | Kind::EchoTheirs => Self::EchoOneWay,
            Kind::Other(_) => Self::OtherOneWay,
        }
    }
}

/// What has been seen of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) class: Class,
    /// TCP: the side that did not open it has spoken.
    answered: bool,
    /// TCP: who has finished, opener and answerer.
    finished: [bool; 2],
}

impl Progress {
    /// After the first packet.
    pub(crate) const fn first(kind: Kind) -> Self {
        Self { class: Class::first(kind), answered: false, finished: [false; 2] }
    }

    /// After a further packet, of the opener or not, with these TCP flags.
    pub(crate) const fn after(self, is_opener: bool, tcp: u8) -> Self {
        match self.class {
            Class::TcpOpening | Class::TcpEstablished | Class::TcpFinishing => {
                self.after_segment(is_opener, tcp)
            }
            Class::UdpOneWay if !is_opener => Self { class: Class::UdpBothWays, ..self },
            Class::EchoOneWay if !is_opener => Self { class: Class::EchoBothWays, ..self },
            Class::OtherOneWay if !is_opener => Self { class: Class::OtherBothWays, ..self },
            _ => self,
        }
    }

    const fn after_segment(mut self, is_opener: bool, tcp: u8) -> Self {
        let confirms = is_opener && self.answered && tcp & flags::SYN == 0;
        self.answered |= !is_opener;
        if tcp & flags::FIN != 0 {
            self.finished[if is_opener { 0 } else { 1 }] = true;
        }
        let is_open = confirms || !matches!(self.class, Class::TcpOpening);
        self.class = match self.finished {
            _ if tcp & flags::RST != 0 => Class::TcpClosed,
            [true, true] => Class::TcpClosed,
            _ if !is_open => Class::TcpOpening,
            [false, false] => Class::TcpEstablished,
            _ => Class::TcpFinishing,
        };
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::headers::flags::{ACK, FIN, RST, SYN};

    fn classes(segments: &[(bool, u8)]) -> Vec<Class> {
        let mut progress = Progress::first(Kind::Tcp);
        let step = |(is_opener, tcp): &(bool, u8)| {
            progress = progress.after(*is_opener, *tcp);
            progress.class
        };
        segments.iter().map(step).collect()
    }

    #[test]
    fn a_connection_is_established_by_its_opener_and_ends_when_both_have() {
        use Class::{TcpClosed, TcpEstablished, TcpFinishing, TcpOpening};
        let segments = [
            (true, SYN),
            (false, SYN | ACK),
            (false, SYN | ACK),
            (true, ACK),
            (false, ACK),
            (false, FIN | ACK),
            (true, ACK),
            (true, FIN | ACK),
            (false, ACK),
        ];
        let expected = [
            TcpOpening,
            TcpOpening,
            TcpOpening,
            TcpEstablished,
            TcpEstablished,
            TcpFinishing,
            TcpFinishing,
            TcpClosed,
            TcpClosed,
        ];
        assert_eq!(classes(&segments), expected);
        assert_eq!(classes(&[(false, RST | ACK), (true, SYN)]), [TcpClosed; 2]);
        assert_eq!(classes(&[(false, ACK), (true, RST)]), [TcpOpening, TcpClosed]);
        // The opener alone never gets beyond the beginning.
        assert_eq!(classes(&[(true, ACK), (true, FIN), (true, ACK)]), [TcpOpening; 3]);
        // A side that finishes early has finished when the connection comes about.
        assert_eq!(classes(&[(false, FIN | ACK), (true, ACK)]), [TcpOpening, TcpFinishing]);
    }
}
