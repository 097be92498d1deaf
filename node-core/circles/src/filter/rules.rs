//! Who may open what on this machine: a [`Policy`] as people set it, compiled to [`Rules`].
//!
//! Rules only ever allow. What no rule allows stays shut, a key on the block list may do nothing at
//! all, and the settings [`Policy::inbound`] and [`Policy::paused`] close what rules open. Rules
//! are immutable: a change is a new snapshot, handed to every shard by
//! [`Filter::set_rules`](super::Filter::set_rules), which counts a generation so that live flows
//! are judged anew.
//!
//! Circles are bits of a `u64`; which bit is which circle is the caller's business. A person's own
//! services hang on the person and vanish with it.

use core::ops::Range;

use planetary_proto::{NodeKey, Subnet, session::Standing};
use thiserror::Error;

use super::{
    flow::{Kind, Tuple},
    knocks::Reached,
    verdict::Reason,
};
use crate::limits::{
    BLOCKED_MAX, DECLINED_PER_PERSON_MAX, PEOPLE_MAX, RULES_MAX, SERVICES_PER_PERSON_MAX,
};

/// Whom a setting means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// Nobody.
    Nobody,
    /// The people of the policy.
    #[default]
    Circles,
    /// Every key that is not blocked.
    Everyone,
}

/// What people have set. `Policy::default()` lets nobody in and everything out.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Who may open TCP and UDP here. `Circles`: whomever a rule names, which may be everyone for
    /// one port. `Everyone`: anybody anything, as without a filter. Other protocols always need a
    /// rule.
    pub inbound: Audience,
    /// Whose echo requests are let in. `Circles`: of people with [`Person::echo`].
    pub echo: Audience,
    /// Whom this machine may speak to.
    pub outbound: Audience,
    /// Who may open a session here. `Circles`: people; strangers are not answered unless this
    /// machine has called them, so they cannot even tell that it is on.
    pub sessions: Audience,
    /// A link for new friends or an invite to a circle is out: strangers may say who they are and
    /// ask to join, in a short session without IPv6.
    pub lobby: bool,
    /// Nobody may open anything here, echo included, until this is over.
    pub paused: bool,
    /// Somebody is there to be asked when a person knocks where no rule names anything.
    pub asks: bool,
    /// Friends and members of circles, at most [`PEOPLE_MAX`], each key once.
    pub people: Vec<Person>,
    /// Keys that nothing passes to or from, whatever else is set; at most [`BLOCKED_MAX`].
    pub blocked: Vec<NodeKey>,
    /// At most [`RULES_MAX`].
    pub rules: Vec<Rule>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            inbound: Audience::Circles,
            echo: Audience::Circles,
            outbound: Audience::Everyone,
            sessions: Audience::Circles,
            lobby: false,
            paused: false,
            asks: false,
            people: Vec::new(),
            blocked: Vec::new(),
            rules: Vec::new(),
        }
    }
}

impl Policy {
    /// Lets everybody do everything, as without a filter.
    #[must_use]
    pub fn open() -> Self {
        Self {
            inbound: Audience::Everyone,
            echo: Audience::Everyone,
            sessions: Audience::Everyone,
            ..Self::default()
        }
    }
}

/// A friend, or a member of a circle. Unlike a stranger, a person is told when something is
/// refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Its key.
    pub key: NodeKey,
    /// The circles it belongs to, one bit each; zero for a friend without any.
    pub circles: u64,
    /// Whether its echo requests are let in.
    pub echo: bool,
    /// What it may reach besides what its circles may; at most [`SERVICES_PER_PERSON_MAX`].
    pub services: Vec<Service>,
    /// What is not asked about when it knocks; at most [`DECLINED_PER_PERSON_MAX`].
    pub declined: Vec<Reached>,
    /// It is only on its way into a circle, or belongs to one that this node is on its way into: it
    /// gets a session for messages between nodes, and its packets are judged as a stranger's,
    /// whatever stands above.
    pub messages_only: bool,
}

impl Person {
    /// A friend that may reach nothing.
    #[must_use]
    pub const fn of(key: NodeKey) -> Self {
        Self {
            key,
            circles: 0,
            echo: false,
            services: Vec::new(),
            declined: Vec::new(),
            messages_only: false,
        }
    }
}

/// Lets somebody reach a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whom.
    pub who: Who,
    /// What.
    pub service: Service,
}

/// Whom a rule names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Members of any of these circles.
    Circles(u64),
    /// Everybody, strangers too.
    Everyone,
}

/// Something to be reached on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// Protocol and ports.
    pub protocol: Protocol,
    /// Where.
    pub destination: Destination,
}

/// Protocol of a service, with its ports from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP to these ports.
    Tcp(u16, u16),
    /// UDP to these ports.
    Udp(u16, u16),
    /// Any other protocol, by its number. TCP, UDP and ICMPv6 are not among them.
    Other(u8),
}

/// Where a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// At the node's address and everywhere in its subnet.
    Anywhere,
    /// Everywhere in the node's subnet, and not at the node itself.
    Subnet,
    /// At this address alone.
    Host([u8; 16]),
}

/// Why a policy cannot be used. It is to be refused as a whole, and the rules before it stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RulesError {
    /// A key stands twice among the people: their rights are to be joined by who knows them.
    #[error("{0} is among the people twice")]
    Twice(NodeKey),
    /// More people, rules, services or blocked keys than a bound allows.
    #[error("more than {0} {1}")]
    TooMany(usize, &'static str),
    /// A range of ports that ends before it begins.
    #[error("ports {0} to {1} are none")]
    NoPorts(u16, u16),
    /// A protocol that has a form of its own, or, ICMPv6, settings.
    #[error("protocol {0} has rules of its own")]
    NamedProtocol(u8),
}

/// A compiled policy. See the module.
#[derive(Debug)]
pub struct Rules {
    inbound: Audience,
    echo: Audience,
    outbound: Audience,
    sessions: Audience,
    lobby: bool,
    paused: bool,
    asks: bool,
    /// Ordered by key.
    people: Vec<Compiled>,
    /// Services of people, each person's together.
    services: Vec<Service>,
    /// What is not asked about, each person's together.
    declined: Vec<Reached>,
    /// Ordered.
    blocked: Vec<NodeKey>,
    for_everyone: Vec<Service>,
    for_circles: Vec<(u64, Service)>,
}

#[derive(Debug)]
struct Compiled {
    key: NodeKey,
    circles: u64,
    echo: bool,
    messages_only: bool,
    services: Range<usize>,
    declined: Range<usize>,
}

impl Default for Rules {
    /// Those of [`Policy::default`].
    fn default() -> Self {
        let policy = Policy::default();
        let Policy { inbound, echo, outbound, sessions, lobby, paused, asks, .. } = policy;
        Self {
            inbound,
            echo,
            outbound,
            sessions,
            lobby,
            paused,
            asks,
            people: Vec::new(),
            services: Vec::new(),
            declined: Vec::new(),
            blocked: Vec::new(),
            for_everyone: Vec::new(),
            for_circles: Vec::new(),
        }
    }
}

impl Rules {
    /// Compiles a policy. The same policy gives the same verdicts, in whatever order its lists are.
    ///
    /// # Errors
    /// See [`RulesError`].
    pub fn compile(policy: &Policy) -> Result<Self, RulesError> {
        let counts = [
            (policy.people.len(), PEOPLE_MAX, "people"),
            (policy.blocked.len(), BLOCKED_MAX, "blocked keys"),
            (policy.rules.len(), RULES_MAX, "rules"),
        ];
        let of_people = policy.people.iter().flat_map(|person| {
            [
                (person.services.len(), SERVICES_PER_PERSON_MAX, "services of a person"),
                (person.declined.len(), DECLINED_PER_PERSON_MAX, "declined services of a person"),
            ]
        });
        for (len, max, what) in counts.into_iter().chain(of_people) {
            if len > max {
                return Err(RulesError::TooMany(max, what));
            }
        }
        let of_people = policy.people.iter().flat_map(|person| &person.services);
        for service in policy.rules.iter().map(|rule| &rule.service).chain(of_people) {
            service.check()?;
        }

        let mut order: Vec<&Person> = policy.people.iter().collect();
        order.sort_by_key(|person| person.key);
        if let Some(pair) = order.windows(2).find(|pair| pair[0].key == pair[1].key) {
            return Err(RulesError::Twice(pair[0].key));
        }
        let mut people = Vec::with_capacity(order.len());
        let (mut services, mut declined) = (Vec::new(), Vec::new());
        for person in order {
            people.push(Compiled {
                key: person.key,
                circles: person.circles,
                echo: person.echo,
                messages_only: person.messages_only,
                services: append(&mut services, &person.services),
                declined: append(&mut declined, &person.declined),
            });
        }
        let mut blocked = policy.blocked.clone();
        blocked.sort();
        let (mut for_everyone, mut for_circles) = (Vec::new(), Vec::new());
        for Rule { who, service } in &policy.rules {
            match who {
                Who::Everyone => for_everyone.push(*service),
                Who::Circles(circles) => for_circles.push((*circles, *service)),
            }
        }
        let Policy { inbound, echo, outbound, sessions, lobby, paused, asks, .. } = *policy;
        Ok(Self {
            inbound,
            echo,
            outbound,
            sessions,
            lobby,
            paused,
            asks,
            people,
            services,
            declined,
            blocked,
            for_everyone,
            for_circles,
        })
    }

    /// Whether a stranger can open anything at all here. If not, strangers need no session.
    #[must_use]
    pub fn is_open_to_strangers(&self) -> bool {
        let inbound = match self.inbound {
            Audience::Nobody => false,
            Audience::Circles => !self.for_everyone.is_empty(),
            Audience::Everyone => true,
        };
        !self.paused && (inbound || self.echo == Audience::Everyone)
    }

    /// What a key is to a node under these rules, flows with it aside.
    ///
    /// A stranger gets answers to what nodes ask each other only where everything is open anyway.
    #[must_use]
    pub fn standing(&self, key: &NodeKey) -> Standing {
        if self.is_blocked(key) {
            return Standing::Blocked;
        }
        match self.sessions {
            Audience::Circles | Audience::Everyone if self.listed(key).is_some() => {
                Standing::Welcome
            }
            Audience::Everyone if self.inbound == Audience::Everyone => Standing::Welcome,
            Audience::Everyone => Standing::Wanted,
            Audience::Circles | Audience::Nobody if self.lobby => Standing::Guest,
            Audience::Circles | Audience::Nobody => Standing::Stranger,
        }
    }

    /// Whether the key is a friend or a member of a circle, more than for messages, and not
    /// blocked.
    #[must_use]
    pub fn knows(&self, key: &NodeKey) -> bool {
        self.person(key).is_some() && !self.is_blocked(key)
    }

    /// Whether nothing passes to or from the key.
    #[must_use]
    pub fn is_blocked(&self, key: &NodeKey) -> bool {
        self.blocked.binary_search(key).is_ok()
    }

    /// Whether `key`, which is not blocked, may open this flow here.
    pub(crate) fn admit(&self, key: &NodeKey, tuple: &Tuple) -> Result<(), Reason> {
        if self.paused {
            return Err(Reason::Shut);
        }
        let person = self.person(key);
        if tuple.kind == Kind::EchoTheirs {
            let admitted = match self.echo {
                Audience::Nobody => false,
                Audience::Circles => person.is_some_and(|person| person.echo),
                Audience::Everyone => true,
            };
            return if admitted { Ok(()) } else { Err(Reason::EchoRefused) };
        }
        match self.inbound {
            Audience::Nobody => return Err(Reason::Shut),
            Audience::Everyone if matches!(tuple.kind, Kind::Tcp | Kind::Udp) => return Ok(()),
            Audience::Circles | Audience::Everyone => {}
        }
        let of_person = person.is_some_and(|person| {
            let own = &self.services[person.services.clone()];
            let of_circles = self.for_circles.iter();
            own.iter().any(|service| service.matches(tuple))
                || of_circles
                    .filter(|(circles, _)| circles & person.circles != 0)
                    .any(|(_, service)| service.matches(tuple))
        });
        if of_person || self.for_everyone.iter().any(|service| service.matches(tuple)) {
            Ok(())
        } else {
            Err(Reason::NoRule)
        }
    }

    /// Whether this machine may open something at `key`, which is not blocked.
    pub(crate) fn may_reach(&self, key: &NodeKey) -> Result<(), Reason> {
        let may = match self.outbound {
            Audience::Nobody => false,
            Audience::Circles => self.person(key).is_some(),
            Audience::Everyone => true,
        };
        if may { Ok(()) } else { Err(Reason::OutboundRefused) }
    }

    /// Whether a flow that `key`, which is not blocked, was let in for once may go on.
    pub(crate) fn tolerates(&self, key: &NodeKey) -> bool {
        !self.paused && self.inbound != Audience::Nobody && self.person(key).is_some()
    }

    /// Whether people are asked when `key` knocks at a service that [`Self::admit`] finds no rule
    /// for.
    pub(crate) fn asks_about(&self, key: &NodeKey, reached: Reached) -> bool {
        let may_ask = self.asks && self.inbound == Audience::Circles;
        may_ask
            && self
                .person(key)
                .is_some_and(|person| !self.declined[person.declined.clone()].contains(&reached))
    }

    /// Whom the filter takes for more than a stranger.
    fn person(&self, key: &NodeKey) -> Option<&Compiled> {
        self.listed(key).filter(|person| !person.messages_only)
    }

    fn listed(&self, key: &NodeKey) -> Option<&Compiled> {
        let at = self.people.binary_search_by_key(key, |person| person.key).ok()?;
        self.people.get(at)
    }
}

/// Appends a part, and says where it is.
fn append<T: Copy>(all: &mut Vec<T>, part: &[T]) -> Range<usize> {
    let first = all.len();
    all.extend_from_slice(part);
    first..all.len()
}

impl Service {
    fn check(&self) -> Result<(), RulesError> {
        match self.protocol {
            Protocol::Tcp(first, last) | Protocol::Udp(first, last) if first > last => {
                Err(RulesError::NoPorts(first, last))
            }
            // TCP, UDP, ICMPv6, and what is no protocol but an extension header.
            Protocol::Other(number @ (0 | 6 | 17 | 43 | 44 | 58 | 60)) => {
                Err(RulesError::NamedProtocol(number))
            }
            _ => Ok(()),
        }
    }

    fn matches(&self, tuple: &Tuple) -> bool {
        let is_protocol = match (self.protocol, tuple.kind) {
            (Protocol::Tcp(first, last), Kind::Tcp) | (Protocol::Udp(first, last), Kind::Udp) => {
                (first..=last).contains(&tuple.local_port)
            }
            (Protocol::Other(number), Kind::Other(other)) => number == other,
            _ => false,
        };
        is_protocol
            && match self.destination {
                Destination::Anywhere => true,
                Destination::Subnet => Subnet::containing(tuple.local.into()).is_some(),
                Destination::Host(address) => address == tuple.local,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: NodeKey = NodeKey::from_bytes([7; 32]);

    fn service(protocol: Protocol) -> Service {
        Service { protocol, destination: Destination::Anywhere }
    }

    fn person(services: Vec<Service>) -> Person {
        Person { services, ..Person::of(KEY) }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let error = |policy: Policy| Rules::compile(&policy).err();
        let people = vec![person(vec![]), person(vec![])];
        assert_eq!(error(Policy { people, ..Policy::default() }), Some(RulesError::Twice(KEY)));
        for (protocol, expected) in [
            (Protocol::Tcp(2, 1), RulesError::NoPorts(2, 1)),
            (Protocol::Udp(1, 0), RulesError::NoPorts(1, 0)),
            (Protocol::Other(58), RulesError::NamedProtocol(58)),
        ] {
            let people = vec![person(vec![service(protocol)])];
            assert_eq!(error(Policy { people, ..Policy::default() }), Some(expected));
            let rules = vec![Rule { who: Who::Everyone, service: service(protocol) }];
            assert_eq!(error(Policy { rules, ..Policy::default() }), Some(expected));
        }
        let rule = Rule { who: Who::Circles(1), service: service(Protocol::Tcp(1, 1)) };
        let rules = vec![rule; RULES_MAX + 1];
        let too_many = RulesError::TooMany(RULES_MAX, "rules");
        assert_eq!(error(Policy { rules, ..Policy::default() }), Some(too_many));
        let services = vec![service(Protocol::Tcp(1, 1)); SERVICES_PER_PERSON_MAX + 1];
        let too_many = RulesError::TooMany(SERVICES_PER_PERSON_MAX, "services of a person");
        let people = vec![person(services)];
        assert_eq!(error(Policy { people, ..Policy::default() }), Some(too_many));
        assert_eq!(error(Policy::default()), None);
    }

    #[test]
    fn strangers_are_told_from_people_and_open_doors_are_known() {
        let open = |policy: &Policy| Rules::compile(policy).unwrap().is_open_to_strangers();
        let mut policy = Policy { people: vec![person(vec![])], ..Policy::default() };
        assert!(!open(&policy));
        let rules = Rules::compile(&policy).unwrap();
        assert!(rules.knows(&KEY) && !rules.knows(&NodeKey::from_bytes([8; 32])));
        policy.echo = Audience::Everyone;
        assert!(open(&policy));
        policy.echo = Audience::Circles;
        let service = service(Protocol::Tcp(80, 80));
        policy.rules.push(Rule { who: Who::Circles(u64::MAX), service });
        assert!(!open(&policy));
        policy.rules.push(Rule { who: Who::Everyone, service });
        assert!(open(&policy));
        policy.inbound = Audience::Nobody;
        assert!(!open(&policy));
        policy.inbound = Audience::Everyone;
        assert!(open(&policy));
        policy.paused = true;
        assert!(!open(&policy));
        policy.blocked = vec![KEY];
        let rules = Rules::compile(&policy).unwrap();
        assert!(rules.is_blocked(&KEY) && !rules.knows(&KEY));
    }

    #[test]
    fn standing_is_what_the_table_of_sessions_says() {
        use Audience::{Circles, Everyone, Nobody};
        use Standing::{Blocked, Guest, Stranger, Wanted, Welcome};
        let (stranger, blocked) = (NodeKey::from_bytes([8; 32]), NodeKey::from_bytes([9; 32]));
        for (sessions, inbound, lobby, of_person, of_stranger) in [
            (Circles, Circles, false, Welcome, Stranger),
            (Circles, Circles, true, Welcome, Guest),
            (Circles, Everyone, false, Welcome, Stranger),
            (Everyone, Circles, false, Welcome, Wanted),
            (Everyone, Circles, true, Welcome, Wanted),
            (Everyone, Nobody, false, Welcome, Wanted),
            (Everyone, Everyone, false, Welcome, Welcome),
            (Nobody, Circles, false, Stranger, Stranger),
        ] {
            let people = vec![person(vec![]), Person { key: blocked, ..person(vec![]) }];
            let blocked_keys = vec![blocked];
            let policy = Policy {
                sessions,
                inbound,
                lobby,
                people,
                blocked: blocked_keys,
                ..Policy::default()
            };
            let rules = Rules::compile(&policy).unwrap();
            let standings = [KEY, stranger, blocked].map(|key| rules.standing(&key));
            assert_eq!(standings, [of_person, of_stranger, Blocked], "{sessions:?} {inbound:?}");
        }
    }
}
