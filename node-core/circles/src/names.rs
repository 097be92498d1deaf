//! Names for nodes, as programs of this machine look them up: a small part of the DNS, about keys.
//!
//! ```text
//! ada.pln.internal           a friend, under the name that was chosen here
//! web.ada.pln.internal       the same node: what stands before it is for servers to tell apart
//! <base32>.k.pln.internal    any key, 52 letters and digits
//! 2.0.ip6.arpa, 3.0.ip6.arpa back from an address to a friend's name
//! ```
//!
//! [`Zone::answer`] maps the bytes of a question to the bytes of its answer. It is *not* a
//! resolver: it asks nobody, and refuses whatever is not below these three names. What it knows
//! are labels that the service made from friends' names, so no name in it comes from a stranger.
//! An answer depends on nothing else: no clock, no state, the same each time.
//!
//! The name itself is reserved: `internal` will never be delegated by anybody (ICANN board, 2024),
//! so no question of ours means something else elsewhere.
//!
//! Source: RFC 1035, RFC 2308 (negative answers), RFC 3596 (IPv6), RFC 6891 (EDNS), RFC 8020.

mod message;
mod packet;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    net::Ipv6Addr,
    sync::Arc,
};

use planetary_proto::{Address, NodeKey};

use self::message::{Content, Kind, Labels, Query, Rcode, Refused, Reply};

pub use self::message::{ANSWER_LEN_MAX, QUERY_LEN_MAX};

/// What all names end with.
pub const SUFFIX: &str = "pln.internal";

/// The zones in which addresses of the network are looked up: those of `200::/8` and `300::/8`.
pub const REVERSE_SUFFIXES: [&str; 2] = ["2.0.ip6.arpa", "3.0.ip6.arpa"];

/// The port on which names are asked for.
pub const PORT: u16 = 53;

/// How long an answer may be kept, in seconds. A friend's address never changes, but who is meant
/// by a name may.
pub const TTL_S: u32 = 30;

/// How long it may be kept that there is no such name, in seconds: whoever adds a friend tries the
/// name soon after, and often just before.
pub const NEGATIVE_TTL_S: u32 = 10;

/// The label below which keys stand.
const KEYS: &str = "k";

/// Length of a label in bytes, at most.
const LABEL_LEN_MAX: usize = 63;

/// Where names are asked for: an address in the node's own subnet, which nobody else can have and
/// which belongs to no interface.
#[must_use]
pub fn server(own: &NodeKey) -> Ipv6Addr {
    let mut octets = own.subnet().to_ipv6().octets();
    octets[15] = 0x53;
    octets.into()
}

/// The first part of a friend's name: 1 to 63 lower-case letters, digits and hyphens, without one
/// at the beginning or end, and not the word that keys stand below.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(Arc<str>);

impl Label {
    /// A label, or `None` for a text that cannot be one.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-') && text != KEYS;
        let fits = (1..=LABEL_LEN_MAX).contains(&text.len()) && text.bytes().all(is_plain);
        let framed = text.starts_with('-') || text.ends_with('-');
        (fits && !framed).then(|| Self(text.into()))
    }

    /// The label.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The whole name, such as `ada.pln.internal`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}.{SUFFIX}", self.0)
    }
}

/// The name of a key that has no other: `<base32>.k.pln.internal`.
#[must_use]
pub fn key_host(key: &NodeKey) -> String {
    format!("{}.{KEYS}.{SUFFIX}", base32(key.as_bytes()))
}

/// All names that are known at one moment. Replaced as a whole.
#[derive(Clone, Debug)]
pub struct Zone {
    own: NodeKey,
    keys: BTreeMap<Label, NodeKey>,
    labels: BTreeMap<Address, Label>,
}

/// What a name stands for.
enum Found<'a> {
    /// There is no such name.
    Nothing,
    /// It is there because something stands below it.
    Branch,
    /// It is the name of a zone.
    Apex,
    /// It is a node's name.
    Node(Address),
    /// It is an address, written backwards, of the node with this name.
    Address(&'a Label),
    /// It is the own address.
    Own,
}

impl Zone {
    /// The names of a node and its friends. A label or key that comes again is left out.
    #[must_use]
    pub fn new(own: NodeKey, friends: impl IntoIterator<Item = (Label, NodeKey)>) -> Self {
        let (mut keys, mut labels) = (BTreeMap::new(), BTreeMap::new());
        for (label, key) in friends {
            if let Entry::Vacant(free) = keys.entry(label) {
                labels.entry(key.address()).or_insert_with(|| free.key().clone());
                free.insert(key);
            }
        }
        Self { own, keys, labels }
    }

    /// Answers a question. `None` for what must not be answered: bytes that are no question, or
    /// more of them than [`QUERY_LEN_MAX`]. An answer has [`ANSWER_LEN_MAX`] bytes at most, so it
    /// fits into any packet that a question comes in.
    #[must_use]
    pub fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let query = match Query::parse(question) {
            Ok(query) => query,
            Err(Refused::Silently) => return None,
            Err(Refused::With(head, rcode)) => return Some(head.refuse(rcode)),
        };
        Some(self.reply(&query).emit(&query))
    }

    /// Whether a name is one of the network's: it ends with [`SUFFIX`], in letters of either case.
    #[must_use]
    pub fn covers(name: &str) -> bool {
        strip(&labels_of(name), SUFFIX).is_some()
    }

    /// The address of the node with this name, as [`Zone::answer`] says it.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Address> {
        let labels = labels_of(name);
        Some(self.node(strip(&labels, SUFFIX)?)?.address())
    }

    fn reply(&self, query: &Query<'_>) -> Reply {
        if query.edns.is_some_and(|version| version > 0) {
            return Reply::error(Rcode::BadVersion);
        }
        if !query.is_internet || matches!(query.kind, Kind::Transfer) {
            return Reply::error(Rcode::Refused);
        }
        let labels: &Labels<'_> = &query.labels;
        let zones = [SUFFIX].into_iter().chain(REVERSE_SUFFIXES);
        let Some((suffix, above)) =
            zones.into_iter().find_map(|suffix| Some((suffix, strip(labels, suffix)?)))
        else {
            return Reply::error(Rcode::Refused);
        };
        let found = match suffix {
            SUFFIX => self.name(above),
            _ => self.address(labels),
        };
        let apex = labels.len() - suffix.split('.').count();
        let content = match (found, query.kind) {
            (Found::Nothing, _) => return Reply::none(Rcode::NoName, apex),
            (Found::Node(address), Kind::Aaaa | Kind::Any) => Content::Aaaa(address.to_ipv6()),
            (Found::Address(label), Kind::Ptr | Kind::Any) => Content::Ptr(label.host()),
            (Found::Own, Kind::Ptr | Kind::Any) => Content::Ptr(key_host(&self.own)),
            (Found::Apex, Kind::Soa | Kind::Any) => Content::Soa,
            _ => return Reply::none(Rcode::NoError, apex),
        };
        Reply::with(content, apex)
    }

    /// What stands under [`SUFFIX`].
    fn name(&self, above: &[&[u8]]) -> Found<'_> {
        match above {
            [] => Found::Apex,
            [keys] if is(keys, KEYS) => Found::Branch,
            labels => match self.node(labels) {
                Some(key) => Found::Node(key.address()),
                None => Found::Nothing,
            },
        }
    }

    fn node(&self, above: &[&[u8]]) -> Option<NodeKey> {
        match above {
            [.., key, keys] if is(keys, KEYS) && above.len() <= 3 => key_in(key),
            [name] | [_, name] => self.keys.get(&lower(name)?).copied(),
            _ => None,
        }
    }

    /// What stands under [`REVERSE_SUFFIXES`]: an address, its last digit first.
    fn address(&self, labels: &[&[u8]]) -> Found<'_> {
        let mut digits = labels.iter().rev().skip(2);
        let (mut octets, mut count) = ([0_u8; 16], 0);
        for label in &mut digits {
            let [digit] = label else { return Found::Nothing };
            let Some(digit) = char::from(*digit).to_digit(16) else { return Found::Nothing };
            let Some(octet) = octets.get_mut(count / 2) else { return Found::Nothing };
            *octet = *octet << 4 | digit as u8;
            count += 1;
        }
        match count {
            2 => Found::Apex,
            // Whether somebody is known below it is not worth knowing.
            3..32 => Found::Branch,
            _ => match Address::from_ipv6(octets.into()) {
                Some(address) if address == self.own.address() => Found::Own,
                Some(address) => match self.labels.get(&address) {
                    Some(label) => Found::Address(label),
                    None => Found::Nothing,
                },
                None => Found::Nothing,
            },
        }
    }
}

/// The labels of a name as people write it, with or without a dot at the end.
fn labels_of(name: &str) -> Vec<&[u8]> {
    name.strip_suffix('.').unwrap_or(name).split('.').map(str::as_bytes).collect()
}

/// What stands before `suffix`, or `None` where the name has another end.
fn strip<'a, 'b>(labels: &'b [&'a [u8]], suffix: &str) -> Option<&'b [&'a [u8]]> {
    let mut rest = labels;
    for end in suffix.rsplit('.') {
        let (last, before) = rest.split_last()?;
        rest = is(last, end).then_some(before)?;
    }
    Some(rest)
}

fn is(label: &[u8], text: &str) -> bool {
    label.eq_ignore_ascii_case(text.as_bytes())
}

fn lower(label: &[u8]) -> Option<Label> {
    Label::new(&str::from_utf8(label).ok()?.to_ascii_lowercase())
}

/// Digits of a key in base32.
const KEY_DIGITS: usize = 52;
const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// A key in base32 (RFC 4648, lower case, no padding).
fn base32(key: &[u8; 32]) -> String {
    let bit = |at: usize| key.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
    let digit = |at: usize| (0..5).fold(0, |digit, bits| digit << 1 | bit(at * 5 + bits));
    (0..KEY_DIGITS).map(|at| char::from(DIGITS[usize::from(digit(at))])).collect()
}

/// The key that a label is in base32. A key has one form: bits of the last digit that belong to
/// none are zero.
fn key_in(label: &[u8]) -> Option<NodeKey> {
    if label.len() != KEY_DIGITS {
        return None;
    }
    let mut key = [0; 32];
    for (at, letter) in label.iter().enumerate() {
        let letter = letter.to_ascii_lowercase();
        let digit = DIGITS.iter().position(|digit| *digit == letter)?;
        for bit in 0..5 {
            if digit >> (4 - bit) & 1 != 0 {
                let at = at * 5 + bit;
                *key.get_mut(at / 8)? |= 1 << (7 - at % 8);
            }
        }
    }
    Some(NodeKey::from_bytes(key))
}

#[cfg(test)]
mod tests;
