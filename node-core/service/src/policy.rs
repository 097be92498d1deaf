//! Who may reach this computer: settings, friends and circles, made one [`Policy`] of the packet
//! filter.
//!
//! A pure function of what people have set and of the time, so that `docs/security.md` can be
//! tested line by line ([`policy`]). The rules of precedence, the first that applies:
//!
//! 1. A blocked key may do nothing, friend or not.
//! 2. During a pause nobody may open anything.
//! 3. `filter.*` of the configuration closes (`nobody`) or opens (`everyone`) as a whole.
//! 4. A friend may do what it was allowed, a member what its circles and it alone were allowed,
//!    everyone what is open to everyone.
//!
//! Sessions: what the configuration says; without a word from it, strangers may open sessions
//! exactly while something is open to strangers. For 48 hours after a link was shared, and while an
//! invite's time lasts, strangers are let into the lobby, except in a pause.

use std::collections::{BTreeMap, BTreeSet};

use planetary_circles::limits::{DECLINED_PER_PERSON_MAX, SERVICES_PER_PERSON_MAX};
use planetary_circles::{
    Audience, Destination, Person, Policy, Protocol, Reached, Rule, Service, Who,
};
use planetary_ipc::{CircleAccess, LocalService, NodeKey as Plain, friends};
use planetary_proto::identity::NodeKey;

use crate::config;
use crate::state::circles::{CIRCLES_MAX, Declined};
use crate::state::friends::Friends;

/// How long strangers who followed a shared link are listened to, in seconds.
pub const LOBBY_S: u64 = 48 * 3600;

/// What the configuration says about who may reach this computer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doors {
    /// `filter.inbound`.
    pub inbound: config::Audience,
    /// `filter.echo`.
    pub echo: config::Audience,
    /// `sessions`, if it is written.
    pub sessions: Option<config::Audience>,
}

impl Doors {
    /// Those of a configuration.
    #[must_use]
    pub fn of(config: &config::Config) -> Self {
        let config::Filter { inbound, echo } = config.filter;
        Self { inbound, echo, sessions: config.sessions }
    }
}

/// What the rules have to know of circles.
#[derive(Clone, Debug, Default)]
pub struct Circles {
    /// The circles whose members have rights here: this computer is a member, and they are not
    /// paused.
    pub open: Vec<OpenCircle>,
    /// Who gets messages and nothing else: on its way into a circle, in one that is paused here, or
    /// an admin of one that this computer is on its way into.
    pub messages_only: BTreeSet<Plain>,
    /// What is not asked about.
    pub declined: Vec<Declined>,
    /// When the invite that is open longest is over.
    pub invites_until: Option<u64>,
    /// Whether somebody is there to be asked.
    pub asks: bool,
    /// Number of circles of which this computer is a member.
    pub count: usize,
    /// Their other members.
    pub members: BTreeSet<Plain>,
}

/// A circle whose members have rights here.
#[derive(Clone, Debug)]
pub struct OpenCircle {
    /// What its members may reach.
    pub access: CircleAccess,
    /// The other members, and what each may reach besides.
    pub members: BTreeMap<Plain, Vec<LocalService>>,
}

/// What of the time the rules depend on: when it changes they are made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    paused: bool,
    lobby: bool,
    declined: usize,
}

impl Circumstances {
    /// Those of this second.
    #[must_use]
    pub fn of(friends: &Friends, circles: &Circles, unix_s: u64) -> Self {
        Self {
            paused: friends.paused(unix_s).is_some(),
            lobby: lobby_until(friends, circles, unix_s).is_some(),
            declined: circles.declined.iter().filter(|one| one.holds(unix_s)).count(),
        }
    }
}

/// What packets meet at this second.
#[must_use]
pub fn policy(doors: &Doors, friends: &Friends, circles: &Circles, unix_s: u64) -> Policy {
    let everyone = friends.everyone().iter().map(|service| (Who::Everyone, of_filter(service)));
    let of_circles = circles.open.iter().zip(bits()).flat_map(|(circle, bit)| {
        let services = circle.access.services.iter().map(of_filter);
        let subnet = if circle.access.subnet { &SUBNET[..] } else { &[] };
        services.chain(subnet.iter().copied()).map(move |service| (Who::Circles(bit), service))
    });
    let rules = everyone.chain(of_circles).map(|(who, service)| Rule { who, service });
    Policy {
        inbound: audience(doors.inbound),
        echo: audience(doors.echo),
        outbound: Audience::Everyone,
        sessions: sessions(doors, friends, unix_s),
        lobby: lobby_until(friends, circles, unix_s).is_some(),
        paused: friends.paused(unix_s).is_some(),
        asks: circles.asks,
        people: people(friends, circles, unix_s),
        blocked: friends.blocked().keys().map(core).collect(),
        rules: rules.collect(),
    }
}

/// Friends and members, each with all it may do, without who is blocked.
fn people(friends: &Friends, circles: &Circles, unix_s: u64) -> Vec<Person> {
    let mut people: BTreeMap<Plain, Person> = BTreeMap::new();
    for (key, friend) in friends.friends() {
        let services = friend.services.iter().map(of_filter).collect();
        people.insert(*key, Person { echo: friend.echo, services, ..Person::of(core(key)) });
    }
    for (circle, bit) in circles.open.iter().zip(bits()) {
        for (key, services) in &circle.members {
            let person = people.entry(*key).or_insert_with(|| Person::of(core(key)));
            person.circles |= bit;
            person.echo |= circle.access.echo;
            person.services.extend(services.iter().map(of_filter));
            // Whoever has several full lists gets no more than the filter takes.
            person.services.truncate(SERVICES_PER_PERSON_MAX);
        }
    }
    for key in &circles.messages_only {
        let person = || Person { messages_only: true, ..Person::of(core(key)) };
        people.entry(*key).or_insert_with(person);
    }
    for declined in circles.declined.iter().filter(|one| one.holds(unix_s)) {
        if let Some(person) = people.get_mut(&declined.key)
            && let Some(reached) = reached(&declined.service)
            && person.declined.len() < DECLINED_PER_PERSON_MAX
        {
            person.declined.push(reached);
        }
    }
    people.retain(|key, _| !friends.blocked().contains_key(key));
    people.into_values().collect()
}

/// A bit for each circle.
fn bits() -> impl Iterator<Item = u64> {
    (0..CIRCLES_MAX).map(|number| 1 << number)
}

/// Every port of the machines behind this one.
const SUBNET: [Service; 2] = [
    Service { protocol: Protocol::Tcp(1, u16::MAX), destination: Destination::Subnet },
    Service { protocol: Protocol::Udp(1, u16::MAX), destination: Destination::Subnet },
];

const _: () = assert!(CIRCLES_MAX <= 64, "the filter has 64 bits");

/// Until when strangers who followed a link are let into the lobby; `None` while they are not.
#[must_use]
pub fn lobby_until(friends: &Friends, circles: &Circles, unix_s: u64) -> Option<u64> {
    // A link that was shared far in the future was shared by a clock that was wrong.
    let shared_at = friends.shared_at().filter(|at| at.abs_diff(unix_s) < LOBBY_S);
    let shared_until = shared_at.map(|at| at.saturating_add(LOBBY_S));
    let invites_until = circles.invites_until.filter(|until| unix_s < *until);
    shared_until.max(invites_until).filter(|_| friends.paused(unix_s).is_none())
}

/// Who may open a session at this second.
#[must_use]
pub fn sessions(doors: &Doors, friends: &Friends, unix_s: u64) -> Audience {
    if let Some(written) = doors.sessions {
        return audience(written);
    }
    let open = friends.paused(unix_s).is_none() && is_open_to_strangers(doors, friends);
    if open { Audience::Everyone } else { Audience::Circles }
}

fn is_open_to_strangers(doors: &Doors, friends: &Friends) -> bool {
    let inbound = match doors.inbound {
        config::Audience::Everyone => true,
        config::Audience::Circles => !friends.everyone().is_empty(),
        config::Audience::Nobody => false,
    };
    inbound || doors.echo == config::Audience::Everyone
}

/// Whether services are open to everyone that no stranger can reach, because the configuration
/// gives strangers no session.
#[must_use]
pub fn contradicts(doors: &Doors, friends: &Friends) -> bool {
    doors.sessions == Some(config::Audience::Circles) && !friends.everyone().is_empty()
}

/// An audience of the configuration as the filter has it.
#[must_use]
pub const fn audience(audience: config::Audience) -> Audience {
    match audience {
        config::Audience::Everyone => Audience::Everyone,
        config::Audience::Circles => Audience::Circles,
        config::Audience::Nobody => Audience::Nobody,
    }
}

/// An audience of the filter as clients get it.
#[must_use]
pub const fn plain_audience(audience: Audience) -> friends::Audience {
    match audience {
        Audience::Everyone => friends::Audience::Everyone,
        Audience::Circles => friends::Audience::Circles,
        Audience::Nobody => friends::Audience::Nobody,
    }
}

fn of_filter(service: &LocalService) -> Service {
    use planetary_ipc::friends::Protocol as Plain;
    let protocol = match service.protocol {
        Plain::Tcp(first, last) => Protocol::Tcp(first, last),
        Plain::Udp(first, last) => Protocol::Udp(first, last),
        Plain::Other(number) => Protocol::Other(number),
    };
    let at = |address: std::net::Ipv6Addr| Destination::Host(address.octets());
    Service { protocol, destination: service.at.map_or(Destination::Anywhere, at) }
}

/// A service of one protocol and port as the filter tells of it.
#[must_use]
pub fn reached(service: &LocalService) -> Option<Reached> {
    use planetary_ipc::friends::Protocol as Plain;
    match service.protocol {
        Plain::Tcp(first, last) if first == last => Some(Reached::Tcp(first)),
        Plain::Udp(first, last) if first == last => Some(Reached::Udp(first)),
        Plain::Tcp(..) | Plain::Udp(..) | Plain::Other(_) => None,
    }
}

/// What was reached as clients get it; `None` for echo requests.
#[must_use]
pub fn plain_service(reached: Reached) -> Option<LocalService> {
    use planetary_ipc::friends::Protocol as Plain;
    let protocol = match reached {
        Reached::Tcp(port) => Plain::Tcp(port, port),
        Reached::Udp(port) => Plain::Udp(port, port),
        Reached::Echo => return None,
    };
    Some(LocalService { protocol, at: None })
}

fn core(key: &Plain) -> NodeKey {
    NodeKey::from_bytes(key.0)
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
