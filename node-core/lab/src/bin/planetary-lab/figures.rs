//! What is measured: on which grounds, which quantity, of whom.
//!
//! The order of the variants is that of the table.

use std::fmt;

use planetary_lab::Mishap;

/// A figure: a quantity on some grounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Figure {
    pub(crate) ground: Ground,
    pub(crate) quantity: Quantity,
}

/// Where it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ground {
    /// Two nodes and one link
    Direct(Scheme),
    /// A row of nodes, so many of them between its ends
    Row { transits: u8 },
    /// Two nodes and a line that loses and delays packets
    Line(Line),
    /// So many nodes behind one neighbour
    Crowd(u16),
    /// Four nodes in a circle, of which a line is cut
    Circle,
    /// What happens in the course of a day
    Mishap(Mishap),
    /// After a silence, so many hops away
    Silence { hops: u8 },
}

/// A kind of link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scheme {
    Tcp,
    Tls,
    Quic,
}

/// A line that is not a good one, and how the programs on it send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    pub(crate) scheme: Scheme,
    pub(crate) round_trip_ms: u16,
    pub(crate) jitter_ms: u16,
    pub(crate) loss_per_mille: u16,
    /// Congestion control of the stream inside.
    pub(crate) inside: Congestion,
}

/// A congestion control of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Congestion {
    Cubic,
    Bbr,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Quantity {
    /// From the start of both processes to the first echo
    FirstEcho,
    /// What a load over TCP carries
    Tcp(Pattern),
    /// Processor time for what one stream carries
    Cost(Whose),
    /// Round trip of an ICMPv6 echo, with a gap in which processors fall asleep
    Ping,
    /// Round trip of a small UDP packet, at a quick pace
    RoundTrip { beside: Beside, share: Share },
    /// Packets that arrive of as many as can be sent
    Flood { bytes: u16 },
    /// Processor time of both nodes for a packet that arrives of a flood
    PacketCost { bytes: u16 },
    /// Packets that are lost of so many a second
    Lost { bytes: u16, rate: u32 },
    /// Resident memory of the larger node
    Memory(Beside),
    /// From the first question to the answers of this share of all who were asked at once
    Answered(Share),
    /// From the moment from which it could work again to the next echo
    NextEcho,
    /// From the first question to its answer
    Echo,
}

/// How streams run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pattern {
    One,
    Reverse,
    Both,
    Four,
}

/// Whose processor time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Whose {
    Ends,
    Sender,
    Receiver,
    /// All nodes between the ends
    Between,
    /// All processors of this machine, whatever they did
    Machine,
}

/// What goes on beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Beside {
    Nothing,
    Bulk,
}

/// Which of many values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Share {
    Half,
    /// 99 of 100
    Most,
    All,
}

/// Whether more of a figure is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

/// Who was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// Nodes of ours as they are
    Ours,
    /// Nodes of ours that keep to sessions that the reference can have, too
    Compatible,
    /// One of ours that sends to the reference
    Mixed,
    Reference,
    /// The wire alone, without a node
    Raw,
}

impl Ground {
    pub(crate) const fn at(self, quantity: Quantity) -> Figure {
        Figure { ground: self, quantity }
    }

    /// Where the wire is measured that is under these: without nodes there are no kinds of links.
    pub(crate) const fn wire(self) -> Self {
        match self {
            Self::Direct(_) => Self::Direct(Scheme::Tcp),
            Self::Line(line) => Self::Line(Line { scheme: Scheme::Tcp, ..line }),
            other => other,
        }
    }
}

impl Scheme {
    /// As it stands in a URI.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Quic => "quic",
        }
    }
}

impl Congestion {
    /// As the system calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cubic => "cubic",
            Self::Bbr => "bbr",
        }
    }
}

impl Share {
    pub(crate) const fn quantile(self) -> f64 {
        match self {
            Self::Half => 0.5,
            Self::Most => 0.99,
            Self::All => 1.0,
        }
    }
}

impl Quantity {
    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Self::Tcp(_) => "Mbit/s",
            Self::Cost(_) => "s/GB",
            Self::Ping | Self::RoundTrip { .. } | Self::Echo => "ms",
            Self::Flood { .. } => "1/s",
            Self::PacketCost { .. } => "µs",
            Self::Lost { .. } => "%",
            Self::Memory(_) => "MB",
            Self::FirstEcho | Self::Answered(_) | Self::NextEcho => "s",
        }
    }

    pub(crate) const fn better(self) -> Better {
        match self {
            Self::Tcp(_) | Self::Flood { .. } => Better::More,
            _ => Better::Less,
        }
    }
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct(scheme) => write!(f, "direct, {}", scheme.name()),
            Self::Row { transits: 1 } => f.write_str("through one transit"),
            Self::Row { transits } => write!(f, "through {transits} transits"),
            Self::Line(line) => {
                let Line { scheme, round_trip_ms, jitter_ms, loss_per_mille, inside } = line;
                let loss = f64::from(*loss_per_mille) / 10.0;
                let (scheme, inside) = (scheme.name(), inside.name());
                write!(
                    f,
                    "{round_trip_ms}±{jitter_ms} ms, {loss} % lost, {scheme}, {inside} inside"
                )
            }
            Self::Crowd(1) => f.write_str("one destination"),
            Self::Crowd(count) => write!(f, "{count} destinations"),
            Self::Circle => f.write_str("line cut in a circle of four"),
            Self::Mishap(mishap) => match mishap {
                Mishap::Cut(time) => write!(f, "line cut for {} s and healed", time.as_secs()),
                Mishap::Nap(time) => write!(f, "asleep for {} s", time.as_secs()),
                Mishap::Move => f.write_str("another address"),
                Mishap::Restart(time) => write!(f, "only peer down for {} s", time.as_secs()),
                Mishap::Kill => f.write_str("one of two peers killed"),
                Mishap::CutOne => f.write_str("line to one of two peers cut"),
                Mishap::MuteOne => f.write_str("line to one of two peers cut one way"),
                Mishap::RouteLost(time) => write!(f, "no default route for {} s", time.as_secs()),
            },
            Self::Silence { hops: 1 } => f.write_str("after a silence, one hop"),
            Self::Silence { hops } => write!(f, "after a silence, {hops} hops"),
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstEcho => f.write_str("start to first echo"),
            Self::Tcp(Pattern::One) => f.write_str("one stream"),
            Self::Tcp(Pattern::Reverse) => f.write_str("one stream, reverse"),
            Self::Tcp(Pattern::Both) => f.write_str("both directions at once"),
            Self::Tcp(Pattern::Four) => f.write_str("four streams"),
            Self::Cost(Whose::Ends) => f.write_str("processor, both ends"),
            Self::Cost(Whose::Sender) => f.write_str("processor, sender"),
            Self::Cost(Whose::Receiver) => f.write_str("processor, receiver"),
            Self::Cost(Whose::Between) => f.write_str("processor, between"),
            Self::Cost(Whose::Machine) => f.write_str("processor, whole machine"),
            Self::Ping => f.write_str("ping, median"),
            Self::RoundTrip { beside, share } => {
                let beside = if *beside == Beside::Bulk { " beside bulk" } else { "" };
                write!(f, "round trip{beside}, {share}")
            }
            Self::Flood { bytes } => write!(f, "flood of {bytes} bytes, received"),
            Self::PacketCost { bytes } => write!(f, "flood of {bytes} bytes, processor"),
            Self::Lost { bytes, rate } => {
                write!(f, "{}k/s of {bytes} bytes, lost", rate / 1000)
            }
            Self::Memory(Beside::Nothing) => f.write_str("memory, idle"),
            Self::Memory(Beside::Bulk) => f.write_str("memory, peak"),
            Self::Answered(share) => write!(f, "answered, {share}"),
            Self::NextEcho => f.write_str("next echo"),
            Self::Echo => f.write_str("first echo"),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Half => "median",
            Self::Most => "p99",
            Self::All => "all",
        })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "ours",
            Self::Compatible => "ours, compatible sessions",
            Self::Mixed => "ours to reference",
            Self::Reference => "reference",
            Self::Raw => "raw wire",
        })
    }
}
