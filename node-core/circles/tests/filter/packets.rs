//! Packets as tests think of them, and as bytes.

use planetary_circles::Remote;
use planetary_proto::{NodeKey, upper::ipv6::Territory};

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

/// Far ends of sessions.
pub(crate) const PEERS: usize = 5;

pub(crate) fn remote(peer: usize) -> Remote {
    Remote::of(NodeKey::from_bytes([peer as u8 * 16 + 3; 32]))
}

pub(crate) fn own() -> Territory {
    Territory::of(&NodeKey::from_bytes([0x77; 32]))
}

/// An end of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// At this node: its address, or for other numbers a host of its subnet.
    Own(u8),
    /// At a far end, likewise.
    Far(usize, u8),
    /// All nodes of a wire.
    Multicast,
}

impl End {
    pub(crate) fn bytes(self) -> [u8; 16] {
        let of = |territory: Territory, host: u8| {
            if host == 0 {
                return *territory.address.as_bytes();
            }
            let mut bytes = territory.subnet.to_ipv6().octets();
            bytes[15] = host;
            bytes
        };
        match self {
            Self::Own(host) => of(own(), host),
            Self::Far(peer, host) => of(remote(peer).territory, host),
            Self::Multicast => std::net::Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).octets(),
        }
    }
}

/// An extension header other than that of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extension {
    HopByHop,
    HopByHopWithJumbo,
    /// Destination options, in units of eight bytes.
    Options(u8),
    Routing,
}

impl Extension {
    fn number(self) -> u8 {
        match self {
            Self::HopByHop | Self::HopByHopWithJumbo => 0,
            Self::Options(_) => 60,
            Self::Routing => 43,
        }
    }

    pub(crate) fn len(self) -> usize {
        match self {
            Self::Options(units) => usize::from(units) * 8,
            _ => 8,
        }
    }

    fn emit(self, next: u8) -> Vec<u8> {
        let mut bytes = vec![0; self.len()];
        (bytes[0], bytes[1]) = (next, (self.len() / 8 - 1) as u8);
        match self {
            // A pad of four bytes.
            Self::HopByHop => bytes[2..].copy_from_slice(&[1, 4, 0, 0, 0, 0]),
            Self::HopByHopWithJumbo => bytes[2..].copy_from_slice(&[0xc2, 4, 0, 1, 0, 0]),
            _ => {}
        }
        bytes
    }
}

/// Which part of a packet to send, in units of eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) id: u32,
    pub(crate) from: u8,
    pub(crate) units: u8,
    pub(crate) more: bool,
}

/// The upper layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Tcp {
        source: u16,
        dest: u16,
        flags: u8,
    },
    Udp {
        source: u16,
        dest: u16,
    },
    Echo {
        reply: bool,
        id: u16,
    },
    /// An error of this kind about a packet, of which so many bytes are quoted.
    Error {
        kind: u8,
        about: Box<Sketch>,
        len: usize,
    },
    /// Other ICMPv6.
    Icmp(u8),
    Other(u8),
}

impl Body {
    fn number(&self) -> u8 {
        match self {
            Self::Tcp { .. } => 6,
            Self::Udp { .. } => 17,
            Self::Other(number) => *number,
            _ => 58,
        }
    }

    /// Bytes that must be there for it to be what it is.
    pub(crate) fn head_len(&self) -> usize {
        match self {
            Self::Tcp { .. } => 20,
            Self::Other(_) => 0,
            _ => 8,
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Error { about, len, .. } => 8 + about.bytes().len().min(*len),
            _ => self.head_len() + 36,
        }
    }

    fn emit(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len()];
        let mut word = |at: usize, word: u16| {
            bytes[at..at + 2].copy_from_slice(&word.to_be_bytes());
        };
        match self {
            Self::Tcp { source, dest, flags } => {
                word(0, *source);
                word(2, *dest);
                word(6, 100);
                word(10, 200);
                (bytes[12], bytes[13]) = (0x50, *flags);
            }
            Self::Udp { source, dest } => {
                word(0, *source);
                word(2, *dest);
                word(4, 44);
            }
            Self::Echo { reply, id } => {
                word(4, *id);
                bytes[0] = 128 + u8::from(*reply);
            }
            Self::Error { kind, about, .. } => {
                bytes[0] = *kind;
                let len = bytes.len() - 8;
                bytes[8..].copy_from_slice(&about.bytes()[..len]);
            }
            Self::Icmp(kind) => bytes[0] = *kind,
            Self::Other(_) => {}
        }
        bytes
    }
}

/// What is wrong with a packet besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    None,
    /// The version is 4.
    Version,
    /// The length says zero.
    NoLength,
    /// The length says one byte less than there are.
    Length,
    /// It ends after so many bytes of what follows the fixed header, and the length agrees.
    Cut(usize),
}

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sketch {
    pub(crate) source: End,
    pub(crate) dest: End,
    pub(crate) before: Vec<Extension>,
    pub(crate) part: Option<Part>,
    /// Extension headers that are part of what is cut into fragments.
    pub(crate) after: Vec<Extension>,
    pub(crate) body: Body,
    pub(crate) damage: Damage,
}

impl Sketch {
    pub(crate) fn new(source: End, dest: End, body: Body) -> Self {
        let (before, after) = (Vec::new(), Vec::new());
        Self { source, dest, before, part: None, after, body, damage: Damage::None }
    }

    /// Bytes that fragments are cut from.
    pub(crate) fn fragmentable_len(&self) -> usize {
        self.after.iter().map(|extension| extension.len()).sum::<usize>() + self.body.len()
    }

    /// Which of them the fragment has.
    pub(crate) fn part_range(&self, part: &Part) -> std::ops::Range<usize> {
        let len = self.fragmentable_len();
        let from = usize::from(part.from) * 8;
        // The last one has whatever is left.
        let to = if part.more { from + usize::from(part.units) * 8 } else { len };
        from.min(len)..to.clamp(from.min(len), len)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut rest = self.body.emit();
        let mut next = self.body.number();
        for extension in self.after.iter().rev() {
            rest = [extension.emit(next), rest].concat();
            next = extension.number();
        }
        if let Some(part) = &self.part {
            let field = u16::from(part.from) << 3 | u16::from(part.more);
            let mut header = vec![next, 0];
            header.extend(field.to_be_bytes());
            header.extend(part.id.to_be_bytes());
            rest = [&header, &rest[self.part_range(part)]].concat();
            next = 44;
        }
        for extension in self.before.iter().rev() {
            rest = [extension.emit(next), rest].concat();
            next = extension.number();
        }
        if let Damage::Cut(len) = self.damage {
            rest.truncate(len);
        }
        let len = match self.damage {
            Damage::NoLength => 0,
            Damage::Length => rest.len() - 1,
            _ => rest.len(),
        };
        let mut bytes = vec![if self.damage == Damage::Version { 0x45 } else { 0x60 }, 0, 0, 0];
        bytes.extend((len as u16).to_be_bytes());
        bytes.extend([next, 64]);
        bytes.extend(self.source.bytes());
        bytes.extend(self.dest.bytes());
        bytes.extend(rest);
        bytes
    }
}

pub(crate) fn tcp(source: End, from: u16, dest: End, to: u16, flags: u8) -> Sketch {
    Sketch::new(source, dest, Body::Tcp { source: from, dest: to, flags })
}

pub(crate) fn udp(source: End, from: u16, dest: End, to: u16) -> Sketch {
    Sketch::new(source, dest, Body::Udp { source: from, dest: to })
}

pub(crate) fn echo(source: End, dest: End, reply: bool, id: u16) -> Sketch {
    Sketch::new(source, dest, Body::Echo { reply, id })
}

pub(crate) fn error(source: End, dest: End, about: Sketch) -> Sketch {
    Sketch::new(source, dest, Body::Error { kind: 1, about: Box::new(about), len: 1200 })
}
