//! Who may reach this computer: settings and friends, made one [`Policy`] of the packet filter.
//!
//! A pure function of what people have set and of the time, so that `docs/security.md` can be
//! tested line by line ([`policy`]). The rules of precedence, the first that applies:
//!
//! 1. A blocked key may do nothing, friend or not.
//! 2. During a pause nobody may open anything.
//! 3. `filter.*` of the configuration closes (`nobody`) or opens (`everyone`) as a whole.
//! 4. A friend may do what it was allowed, everyone what is open to everyone.
//!
//! Sessions: what the configuration says; without a word from it, strangers may open sessions
//! exactly while something is open to strangers. For 48 hours after a link was shared, strangers
//! are let into the lobby, except in a pause.

use planetary_circles::{Audience, Destination, Person, Policy, Protocol, Rule, Service, Who};
use planetary_ipc::{LocalService, friends};
use planetary_proto::identity::NodeKey;

use crate::config;
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

/// What packets meet at this second.
#[must_use]
pub fn policy(doors: &Doors, friends: &Friends, unix_s: u64) -> Policy {
    let paused = friends.paused(unix_s).is_some();
    let rule = |service: &LocalService| Rule { who: Who::Everyone, service: of_filter(service) };
    let is_blocked = |key| friends.blocked().contains_key(key);
    let people = friends.friends().iter().filter(|(key, _)| !is_blocked(*key));
    Policy {
        inbound: audience(doors.inbound),
        echo: audience(doors.echo),
        outbound: Audience::Everyone,
        sessions: sessions(doors, friends, unix_s),
        lobby: lobby_until(friends, unix_s).is_some(),
        paused,
        asks: false,
        people: people
            .map(|(key, friend)| Person {
                echo: friend.echo,
                services: friend.services.iter().map(of_filter).collect(),
                ..Person::of(NodeKey::from_bytes(key.0))
            })
            .collect(),
        blocked: friends.blocked().keys().map(|key| NodeKey::from_bytes(key.0)).collect(),
        rules: friends.everyone().iter().map(rule).collect(),
    }
}

/// Until when strangers who followed a link are let into the lobby; `None` while they are not.
#[must_use]
pub fn lobby_until(friends: &Friends, unix_s: u64) -> Option<u64> {
    let shared_at = friends.shared_at()?;
    // A link that was shared far in the future was shared by a clock that was wrong.
    let open = shared_at.abs_diff(unix_s) < LOBBY_S && friends.paused(unix_s).is_none();
    open.then(|| shared_at.saturating_add(LOBBY_S))
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

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
