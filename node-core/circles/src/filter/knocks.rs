//! Questions to the person at this machine: somebody of theirs knocks where no rule names anything.
//!
//! ```text
//!              first packet                 yes, once
//!   (nothing) ──────────────> open, 30 s ─────────────> granted, 60 s ──> (nothing)
//!                                  └── no, or 30 s over ──> quiet, 60 s ──> (nothing)
//! ```
//!
//! Each step is about one key and one service. While a question about a key is open there is no
//! other about it, and there are three an hour at most. A quiet service is refused without a
//! question, so that a program that goes on trying does not ask again for its user.

use std::collections::BTreeMap;

use planetary_proto::{NodeKey, time::Instant};

use super::flow::{Kind, Tuple};
use crate::limits::{
    KNOCK_GRANT, KNOCK_OPEN, KNOCK_PERIOD, KNOCK_QUIET, KNOCKERS_PER_SHARD_MAX, KNOCKS_PER_PERIOD,
};

/// Something to be reached on this machine, as people are told of it and asked about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reached {
    /// A TCP port.
    Tcp(u16),
    /// A UDP port.
    Udp(u16),
    /// The machine itself, by echo requests.
    Echo,
}

impl Reached {
    /// What a flow that others open reaches, if it is anything that people have a name for.
    pub(super) const fn by(tuple: &Tuple) -> Option<Self> {
        match tuple.kind {
            Kind::Tcp => Some(Self::Tcp(tuple.local_port)),
            Kind::Udp => Some(Self::Udp(tuple.local_port)),
            Kind::EchoTheirs => Some(Self::Echo),
            Kind::EchoOurs | Kind::Other(_) => None,
        }
    }
}

/// What was answered to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The key may open the service for a minute. Flows that it opens so live on after that.
    Once,
    /// It may not.
    Refused,
}

/// Something that people may want to know of. At most one a service and look is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Somebody has opened a flow here.
    Opened(NodeKey, Reached),
    /// A person was not let in, for want of a rule.
    Refused(NodeKey, Reached),
    /// A question was opened.
    Knocked(NodeKey, Reached),
}

/// What a packet meets that no rule lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Knock {
    /// A question that was not open before.
    First,
    /// An open question.
    Open,
    /// A yes.
    Granted,
    /// A no, or that this is not the time to ask.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Granted,
    Quiet,
}

/// What is remembered of a key that has knocked.
#[derive(Debug, Default)]
struct Knocker {
    /// When questions about it were opened, in the last hour.
    asked: Vec<Instant>,
    /// Services and until when; at most one is open.
    services: Vec<(Reached, State, Instant)>,
}

/// The questions of one shard.
#[derive(Debug, Default)]
pub(super) struct Knocks(BTreeMap<NodeKey, Knocker>);

impl Knocks {
    /// A packet of a person that wants to reach a service which no rule names. `may_ask`: a new
    /// question may be opened.
    pub(super) fn knock(
        &mut self,
        key: &NodeKey,
        reached: Reached,
        may_ask: bool,
        now: Instant,
    ) -> Knock {
        if let Some(knocker) = self.0.get_mut(key) {
            match knocker.state_of(reached, now) {
                Some(State::Open) => return Knock::Open,
                Some(State::Granted) => return Knock::Granted,
                Some(State::Quiet) => return Knock::Refused,
                None => {}
            }
        }
        if !may_ask || !self.has_room_for(key, now) {
            return Knock::Refused;
        }
        let knocker = self.0.entry(*key).or_default();
        let is_open = knocker.services.iter().any(|(_, state, _)| *state == State::Open);
        if is_open || knocker.asked.len() >= KNOCKS_PER_PERIOD {
            return Knock::Refused;
        }
        knocker.asked.push(now);
        knocker.services.push((reached, State::Open, now + KNOCK_OPEN));
        Knock::First
    }

    /// Answers a question, if it is open.
    pub(super) fn settle(
        &mut self,
        key: &NodeKey,
        reached: Reached,
        settled: Settled,
        now: Instant,
    ) -> bool {
        let Some(knocker) = self.0.get_mut(key) else { return false };
        let is_open = knocker.state_of(reached, now) == Some(State::Open);
        if is_open {
            let answer = match settled {
                Settled::Once => (reached, State::Granted, now + KNOCK_GRANT),
                Settled::Refused => (reached, State::Quiet, now + KNOCK_QUIET),
            };
            knocker.services.retain(|(at, ..)| *at != reached);
            knocker.services.push(answer);
        }
        is_open
    }

    /// Forgets keys that have not knocked for an hour.
    pub(super) fn forget_idle(&mut self, now: Instant) {
        self.0.retain(|_, knocker| !knocker.is_idle(now));
    }

    fn has_room_for(&mut self, key: &NodeKey, now: Instant) -> bool {
        if self.0.len() >= KNOCKERS_PER_SHARD_MAX && !self.0.contains_key(key) {
            self.forget_idle(now);
        }
        self.0.len() < KNOCKERS_PER_SHARD_MAX || self.0.contains_key(key)
    }
}

impl Knocker {
    fn state_of(&mut self, reached: Reached, now: Instant) -> Option<State> {
        self.pass_time(now);
        self.services.iter().find(|(at, ..)| *at == reached).map(|(_, state, _)| *state)
    }

    fn pass_time(&mut self, now: Instant) {
        self.asked.retain(|at| now.since(*at) < KNOCK_PERIOD);
        for (_, state, until) in &mut self.services {
            if *state == State::Open && *until <= now {
                // Silence is a no.
                (*state, *until) = (State::Quiet, *until + KNOCK_QUIET);
            }
        }
        self.services.retain(|(.., until)| now < *until);
    }

    fn is_idle(&mut self, now: Instant) -> bool {
        self.pass_time(now);
        self.asked.is_empty() && self.services.is_empty()
    }
}
