//! What becomes of a packet, and why.

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Pass it on.
    Accept,
    /// Drop it and say nothing.
    Drop(Reason),
    /// Drop it and tell whoever sent it: [`Answer::to`](super::Answer::to) makes what to send back.
    /// Comes inwards only for people of the own circles, and outwards for programs of this machine.
    Reject(Reason),
}

impl Verdict {
    /// Whether the packet may pass.
    #[must_use]
    pub const fn is_accept(self) -> bool {
        matches!(self, Self::Accept)
    }

    /// Why it may not.
    #[must_use]
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::Accept => None,
            Self::Drop(reason) | Self::Reject(reason) => Some(reason),
        }
    }
}

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Out of a session, to this machine.
    In,
    /// From this machine, into a session.
    Out,
}

impl Direction {
    /// The other way.
    pub(crate) const fn reverse(self) -> Self {
        match self {
            Self::In => Self::Out,
            Self::Out => Self::In,
        }
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// Why a packet does not pass. In the order of the checks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// Every reason.
            pub const ALL: [Self; [$(Self::$name),+].len()] = [$(Self::$name),+];

            /// The reason in words, as counters and logs name it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

reasons! {
    /// Shorter than a header, or not version 6.
    NotIpv6 = "not an IPv6 packet",
    /// The source does not belong to the sender.
    ForeignSource = "foreign source",
    /// Its parts do not fit together: lengths that disagree, headers cut short or out of place.
    Malformed = "malformed",
    /// More extension headers, or more bytes of them, than any sensible packet has.
    Extensions = "too many extension headers",
    /// It names a way of its own through machines behind its destination.
    RoutingHeader = "routing header",
    /// It claims to be longer than the network carries.
    Jumbogram = "jumbogram",
    /// A first fragment that does not show what the packet is.
    FragmentTiny = "first fragment hides the packet",
    /// The destination is not at the receiver.
    ForeignDestination = "foreign destination",
    /// The far end is on the block list.
    Blocked = "blocked",
    /// A later fragment of a packet whose first was not let through, or too long ago.
    FragmentOrphan = "fragment without a first",
    /// A fragment of bytes that came before, or before others that have come.
    FragmentOverlap = "fragments overlap",
    /// An ICMPv6 error about a packet of no flow.
    ErrorUnrelated = "error about no known flow",
    /// ICMPv6 that belongs on one wire and never crosses the network, and kinds that nobody needs.
    Confined = "confined to a wire",
    /// An echo reply that nobody asked for.
    EchoUnasked = "echo reply without a request",
    /// Echo requests are not for the sender.
    EchoRefused = "echo not allowed",
    /// More echo requests than the sender may send.
    EchoRate = "too many echo requests",
    /// TCP of no flow that does not begin one either.
    TcpMidstream = "TCP without a connection",
    /// Nobody may open anything here at present: paused, or set so.
    Shut = "nobody may reach this machine",
    /// No rule lets it in.
    NoRule = "no rule",
    /// Whether to let it in is being asked.
    Asked = "asked about",
    /// The far end is not among those that this machine may speak to.
    OutboundRefused = "outbound not allowed",
    /// The table is full of flows that are answered.
    Full = "too many flows",
}

/// Packets that did not pass, by reason, since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drops {
    inbound: [u64; Reason::ALL.len()],
    outbound: [u64; Reason::ALL.len()],
}

impl Default for Drops {
    fn default() -> Self {
        Self { inbound: [0; Reason::ALL.len()], outbound: [0; Reason::ALL.len()] }
    }
}

impl Drops {
    /// Packets to this machine.
    #[must_use]
    pub const fn inbound(&self, reason: Reason) -> u64 {
        self.inbound[reason as usize]
    }

    /// Packets of this machine.
    #[must_use]
    pub const fn outbound(&self, reason: Reason) -> u64 {
        self.outbound[reason as usize]
    }

    /// Adds what another shard counted.
    pub fn add(&mut self, other: &Self) {
        let both = self.inbound.iter_mut().zip(other.inbound);
        for (count, more) in both.chain(self.outbound.iter_mut().zip(other.outbound)) {
            *count = count.saturating_add(more);
        }
    }

    pub(crate) const fn count(&mut self, direction: Direction, reason: Reason) {
        let counts = match direction {
            Direction::In => &mut self.inbound,
            Direction::Out => &mut self.outbound,
        };
        let count = &mut counts[reason as usize];
        *count = count.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_counter_of_its_own_and_shards_add_up() {
        let mut total = Drops::default();
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            let mut shard = Drops::default();
            shard.count(Direction::In, reason);
            shard.count(Direction::Out, reason);
            shard.count(Direction::Out, reason);
            total.add(&shard);
        }
        assert!(Reason::ALL.iter().all(|r| (total.inbound(*r), total.outbound(*r)) == (1, 2)));
    }
}
