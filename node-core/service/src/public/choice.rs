//! Which public peers to test, and which of those that answered to take. Pure functions: the same
//! arguments give the same answer, whatever their order.
//!
//! *Sampling* looks around first and close second: one peer a country, of different operators, in
//! an order that differs from node to node, so that no operator gets every newcomer; then more of
//! the countries whose peers answered fastest. What has proven itself before goes first.
//!
//! *Choosing* takes first the best peer on TCP port 443, which most networks let through (many
//! block UDP, and with it `quic`), unless one is kept already; then, one after the other, the peer
//! with the smallest round trip that differs from those taken in operator and network. A second
//! peer of one operator is taken only when nothing else of similar quality answered: two doors of
//! one house help little when the house is dark.
//!
//! Who runs a peer is seen from its name (the registrable domain, by its form), or its network: the
//! first 24 bits of an IPv4 address and the first 48 of an IPv6 address. Peers that answer with the
//! same key are one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use planetary_ipc::PeerRecord;
use planetary_proto::identity::NodeKey;
use planetary_runtime::links::uri::Host;

use super::list::Listed;

/// The port of TCP that most networks let through.
const OPEN_PORT: u16 = 443;

/// The transport that does not run over TCP.
const OVER_UDP: &str = "quic";

/// A peer that answered.
#[derive(Clone, Debug)]
pub struct Answered {
    /// What names it.
    pub name: String,
    /// Its transport.
    pub transport: String,
    /// Its port.
    pub port: u16,
    /// Who runs it, as far as its host shows; see [`operator`].
    pub operator: String,
    /// Its network; see [`network`].
    pub network: String,
    /// The key it answered with.
    pub key: NodeKey,
    /// Its round trip.
    pub round_trip: Duration,
    /// What is known of it from before.
    pub record: Option<PeerRecord>,
}

/// A peer that the node has anyway, as far as it matters.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its transport.
    pub transport: String,
    /// Its port.
    pub port: u16,
    /// Who runs it.
    pub operator: String,
    /// Its network, if its address is known.
    pub network: Option<String>,
    /// Its key, if it ever answered.
    pub key: Option<NodeKey>,
}

/// A peer that is taken, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// What names it.
    pub name: String,
    /// Why, in plain words.
    pub reason: String,
}

/// Takes at most `count` of those that answered, to stand beside those that are kept.
#[must_use]
pub fn choose(answered: &[Answered], kept: &[Kept], count: usize) -> Vec<Chosen> {
    let mut left: Vec<&Answered> = {
        let by_name: BTreeMap<_, _> = answered.iter().map(|peer| (&peer.name, peer)).collect();
        by_name.into_values().collect()
    };
    let Some(best) = left.iter().map(|peer| peer.round_trip).min() else { return Vec::new() };
    let field = Field { answered: left.len(), best, reach: best * 4 + SIMILAR };
    let mut company = Company::of(kept);
    let mut chosen = Vec::new();
    while chosen.len() < count {
        let needs_open_port = !company.open_port && left.iter().any(|peer| is_open(peer));
        let fits = |peer: &&&Answered| !needs_open_port || is_open(peer);
        let Some(next) = left.iter().filter(fits).min_by_key(|peer| field.rank(peer, &company))
        else {
            break;
        };
        let next = *next;
        chosen.push(Chosen { name: next.name.clone(), reason: field.reason(next, &company) });
        left.retain(|peer| peer.name != next.name && peer.key != next.key);
        company.admit(next);
    }
    chosen
}

/// What is left of similar quality may be slower than the best by a factor of four and by this
/// much: a person does not notice it, and it is worth another operator.
const SIMILAR: Duration = Duration::from_millis(100);

fn is_open(peer: &Answered) -> bool {
    lets_through(peer.port, &peer.transport)
}

/// Whether most networks let a transport through on this port.
fn lets_through(port: u16, transport: &str) -> bool {
    port == OPEN_PORT && transport != OVER_UDP
}

/// All who answered.
struct Field {
    answered: usize,
    best: Duration,
    /// Longest round trip that is of similar quality as the best.
    reach: Duration,
}

/// Those taken so far, and those kept.
struct Company {
    operators: BTreeSet<String>,
    networks: BTreeSet<String>,
    transports: BTreeSet<String>,
    keys: BTreeSet<NodeKey>,
    open_port: bool,
}

impl Company {
    fn of(kept: &[Kept]) -> Self {
        Self {
            operators: kept.iter().map(|peer| peer.operator.clone()).collect(),
            networks: kept.iter().filter_map(|peer| peer.network.clone()).collect(),
            transports: kept.iter().map(|peer| peer.transport.clone()).collect(),
            keys: kept.iter().filter_map(|peer| peer.key).collect(),
            open_port: kept.iter().any(|peer| lets_through(peer.port, &peer.transport)),
        }
    }

    fn admit(&mut self, peer: &Answered) {
        self.operators.insert(peer.operator.clone());
        self.networks.insert(peer.network.clone());
        self.transports.insert(peer.transport.clone());
        self.keys.insert(peer.key);
        self.open_port |= is_open(peer);
    }

    fn has_operator_of(&self, peer: &Answered) -> bool {
        self.operators.contains(&peer.operator) || self.keys.contains(&peer.key)
    }
}

/// Sorts peers, the best first.
type Rank<'a> = (u8, Duration, &'a str);

impl Field {
    fn rank<'a>(&self, peer: &'a Answered, company: &Company) -> Rank<'a> {
        let near = peer.round_trip <= self.reach;
        let known_operator = company.has_operator_of(peer);
        let known_network = company.networks.contains(&peer.network);
        let class = match (near, known_operator, known_network) {
            (true, false, false) => 0,
            (true, false, true) => 1,
            (true, true, _) => 2,
            (false, false, _) => 3,
            (false, true, _) => 4,
        };
        let mut cost = peer.round_trip;
        if company.transports.contains(&peer.transport) {
            cost += peer.round_trip / 5;
        }
        match &peer.record {
            // Half a round trip more for one that often did not answer.
            Some(record) if record.tries >= 4 && record.answers * 2 < record.tries => {
                cost += peer.round_trip / 2;
            }
            // A little less for one that has proven itself.
            Some(record) if is_proven(record) => cost -= peer.round_trip / 5,
            _ => {}
        }
        (class, cost, &peer.name)
    }

    fn reason(&self, peer: &Answered, company: &Company) -> String {
        let ms = milliseconds(peer.round_trip);
        let mut reasons = vec![match peer.round_trip {
            time if time == self.best && self.answered > 1 => {
                format!("nearest of {} that answered: {ms}", self.answered)
            }
            time if time <= self.reach => format!("near: {ms}"),
            _ => format!("farther: {ms}"),
        }];
        reasons.push(match is_open(peer) {
            true => format!("{} on port 443, which most networks let through", peer.transport),
            false => format!("{} on port {}", peer.transport, peer.port),
        });
        if !company.operators.is_empty() {
            let differs =
                match (company.has_operator_of(peer), company.networks.contains(&peer.network)) {
                    (false, false) => "another operator and network than the others",
                    (false, true) => "another operator than the others, in a network of theirs",
                    (true, _) => "the operator of another one, since nothing else as good answered",
                };
            reasons.push(differs.to_owned());
        }
        if let Some(record) = peer.record.as_ref().filter(|record| is_proven(record)) {
            reasons.push(format!("answered {} of {} earlier tries", record.answers, record.tries));
        }
        reasons.join("; ")
    }
}

/// Whether a peer has answered nearly always.
fn is_proven(record: &PeerRecord) -> bool {
    record.answers >= 3 && record.answers * 10 >= record.tries * 9
}

/// Milliseconds as a person reads them.
#[must_use]
pub fn milliseconds(time: Duration) -> String {
    match time.as_secs_f64() * 1e3 {
        ms if ms < 9.95 => format!("{ms:.1} ms"),
        ms => format!("{ms:.0} ms"),
    }
}

/// Who runs a peer, as far as its host shows: the domain that was registered, by its form, or the
/// network of an address.
#[must_use]
pub fn operator(host: &Host) -> String {
    let name = match host {
        Host::Name(name) => name,
        Host::Address(address) => return network(*address),
        Host::Scoped { address, .. } => return network((*address).into()),
    };
    let labels: Vec<&str> = name.trim_end_matches('.').split('.').collect();
    let [.., second, last] = labels[..] else { return name.clone() };
    // co.uk, com.br, org.ua and their like: what is registered stands before them.
    let shared = last.len() == 2 && SHARED.contains(&second);
    let kept = if shared { 3 } else { 2 };
    labels[labels.len().saturating_sub(kept)..].join(".")
}

/// Second labels below countries under which others register.
const SHARED: &[&str] = &["ac", "co", "com", "edu", "gov", "in", "msk", "net", "org", "pp", "spb"];

/// The network of an address: its first 24 bits, or its first 48 for IPv6.
#[must_use]
pub fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    }
}

/// Peers tested to look around.
pub const AROUND: usize = 16;

/// Peers tested where it was fastest.
pub const CLOSE: usize = 8;

/// Places in a sample that go to peers which have proven themselves.
const PROVEN: usize = 4;

/// Countries that are looked at closer.
const COUNTRIES: usize = 3;

/// What is known of a peer from before.
pub type Record<'a> = &'a dyn Fn(&str) -> Option<PeerRecord>;

/// The peers to look around with, at most [`AROUND`]: those that have proven themselves, one of
/// each country, then others, of different operators as long as there are such.
#[must_use]
pub fn around<'a>(candidates: &[&'a Listed], record: Record<'_>, seed: u64) -> Vec<&'a Listed> {
    let shuffled = shuffled(candidates, seed);
    let mut sample = Sample::default();
    let mut proven: Vec<_> = shuffled
        .iter()
        .filter_map(|peer| {
            let record = record(&peer.name).filter(is_proven_enough)?;
            Some((record.median_ms.unwrap_or(f64::MAX), *peer))
        })
        .collect();
    proven.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (_, peer) in proven.into_iter().take(PROVEN) {
        sample.add(peer);
    }
    // Port 443 first in each country, since one of those is wanted.
    let (open, other): (Vec<&Listed>, Vec<&Listed>) =
        shuffled.iter().copied().partition(|peer| lets_through(peer.port, &peer.transport));
    for peer in open.iter().take(AROUND / 2).chain(&other).chain(&open) {
        if sample.peers.len() < AROUND && !sample.countries.contains(peer.country.as_str()) {
            sample.add(peer);
        }
    }
    for fresh in [true, false] {
        for peer in &shuffled {
            if sample.peers.len() < AROUND && (!fresh || !sample.has_operator_of(peer)) {
                sample.add(peer);
            }
        }
    }
    sample.peers
}

fn is_proven_enough(record: &PeerRecord) -> bool {
    is_proven(record)
}

/// The peers to look at closer, at most [`CLOSE`]: not tested yet, in the countries whose peers
/// answered fastest; or, when none answered, on port 443, since a network may block the others.
#[must_use]
pub fn close<'a>(
    candidates: &[&'a Listed],
    tested: &BTreeMap<String, Option<Duration>>,
    seed: u64,
) -> Vec<&'a Listed> {
    let mut times: BTreeMap<&str, Duration> = BTreeMap::new();
    for peer in candidates {
        if let Some(Some(time)) = tested.get(&peer.name) {
            let best = times.entry(&peer.country).or_insert(*time);
            *best = (*best).min(*time);
        }
    }
    let mut fastest: Vec<_> = times.into_iter().map(|(country, time)| (time, country)).collect();
    fastest.sort_unstable();
    let countries: Vec<&str> = fastest.iter().take(COUNTRIES).map(|(_, name)| *name).collect();
    let left: Vec<&Listed> = shuffled(candidates, seed)
        .into_iter()
        .filter(|peer| !tested.contains_key(&peer.name))
        .collect();
    let mut sample = Sample::default();
    let had = candidates.iter().filter(|peer| tested.contains_key(&peer.name));
    sample.operators.extend(had.map(|peer| operator(&peer.host)));
    if countries.is_empty() {
        let open = |peer: &&&Listed| lets_through(peer.port, &peer.transport);
        for peer in left.iter().filter(open).take(CLOSE) {
            sample.add(peer);
        }
        return sample.peers;
    }
    for fresh in [true, false] {
        for country in &countries {
            for peer in left.iter().filter(|peer| peer.country == *country) {
                if sample.peers.len() < CLOSE && (!fresh || !sample.has_operator_of(peer)) {
                    sample.add(peer);
                }
            }
        }
    }
    sample.peers
}

/// Peers that are to be tested, and what is had by them.
#[derive(Default)]
struct Sample<'a> {
    peers: Vec<&'a Listed>,
    names: BTreeSet<&'a str>,
    countries: BTreeSet<&'a str>,
    operators: BTreeSet<String>,
}

impl<'a> Sample<'a> {
    fn add(&mut self, peer: &'a Listed) {
        if self.names.insert(&peer.name) {
            self.countries.insert(&peer.country);
            self.operators.insert(operator(&peer.host));
            self.peers.push(peer);
        }
    }

    fn has_operator_of(&self, peer: &Listed) -> bool {
        self.operators.contains(&operator(&peer.host))
    }
}

/// The candidates in an order that depends on nothing but their names and the seed.
fn shuffled<'a>(candidates: &[&'a Listed], seed: u64) -> Vec<&'a Listed> {
    let mut shuffled = candidates.to_vec();
    shuffled.sort_by_key(|peer| (scatter(&peer.name, seed), &peer.name));
    shuffled
}

/// FNV-1a over the seed and the text, stirred: an order that is even enough.
fn scatter(text: &str, seed: u64) -> u64 {
    let hash = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let sum = seed.to_be_bytes().iter().chain(text.as_bytes()).fold(0xcbf2_9ce4_8422_2325, hash);
    let sum = (sum ^ (sum >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    sum ^ (sum >> 33)
}

#[cfg(test)]
#[path = "choice_tests.rs"]
mod tests;
