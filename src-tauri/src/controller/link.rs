//! What a person pastes or follows to add a friend or to join a circle: read, and shown before
//! anything is stored or sent.

use std::net::Ipv6Addr;

use planetary_ipc::{
    BlockedKey, Circle, CircleId, CircleState, Friend, FriendLink, FriendName, JoinLink, LinkPeer,
    NodeKey, Status, Subnet, Target, UnixTime,
};
use serde::Serialize;

use super::failure::Failure;

/// Links that wait for the pages to be there. More are dropped: nobody opens so many.
const WAITING_MAX: usize = 8;

/// Longest text that is passed on, in bytes. A link is shorter, and what is not is none.
const TEXT_LEN_MAX: usize = 4 * planetary_ipc::limits::LINK_LEN_MAX;

/// What a person was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Link {
    /// Somebody who may become a friend.
    Node(LinkPreview),
    /// An invite to a circle.
    Join(JoinPreview),
}

impl Link {
    /// Reads a link, a key or an address.
    ///
    /// # Errors
    /// `invalid_link`, with the reason.
    pub(super) fn read(text: &str, now: UnixTime) -> Result<Self, Failure> {
        if JoinLink::is_meant(text) {
            return JoinPreview::read(text, now).map(Self::Join);
        }
        LinkPreview::read(text).map(Self::Node)
    }
}

/// An invite to a circle. The token in it is not among this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct JoinPreview {
    /// Tells it from the others.
    pub kind: JoinKind,
    /// The circle.
    #[cfg_attr(test, schemars(with = "String"))]
    pub circle: CircleId,
    /// What the link calls the circle. Nobody has checked it.
    #[cfg_attr(test, schemars(with = "String"))]
    pub name: FriendName,
    /// Who made the link, and alone lets guests in.
    pub inviter: Inviter,
    /// When the link is over.
    #[cfg_attr(test, schemars(with = "u64"))]
    pub expires_at: UnixTime,
    /// Whether it is.
    pub expired: bool,
    /// Peers that the inviter suggests.
    pub peers: Vec<String>,
    /// Whether this node made it.
    pub own: bool,
    /// How this computer stands to the circle already, or `null` if it does not know it.
    #[cfg_attr(test, schemars(schema_with = "crate::schema::circle_state"))]
    pub known: Option<CircleState>,
}

/// Stands in an invite where another preview says what it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum JoinKind {
    /// A link that invites.
    Join,
}

/// Who made an invite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Inviter {
    /// Its key.
    #[cfg_attr(test, schemars(with = "String"))]
    pub key: NodeKey,
    /// Its address.
    pub address: Ipv6Addr,
    /// The friend it is, or `null`.
    #[cfg_attr(test, schemars(schema_with = "crate::schema::friend"))]
    pub known: Option<Friend>,
    /// Whether it is blocked.
    pub blocked: bool,
}

impl JoinPreview {
    fn read(text: &str, now: UnixTime) -> Result<Self, Failure> {
        let link: JoinLink = text.parse().map_err(|error| {
            invalid(&error).with_hint("copy the whole link; it begins with `planetary:join?`")
        })?;
        let (key, address) = (link.inviter, address_of(&link.inviter));
        Ok(Self {
            kind: JoinKind::Join,
            circle: link.circle,
            name: link.name,
            inviter: Inviter { key, address, known: None, blocked: false },
            expires_at: link.expires,
            expired: link.expires <= now,
            peers: link.peers.iter().map(LinkPeer::to_string).collect(),
            own: false,
            known: None,
        })
    }

    /// Adds what is known here about the circle and about who invites.
    pub(super) fn compared(
        mut self,
        own: &Status,
        friends: &[Friend],
        blocked: &[BlockedKey],
        circles: &[Circle],
    ) -> Self {
        let Inviter { key, .. } = self.inviter;
        // The service's clock decides when it is followed.
        self.expired = self.expires_at <= own.time;
        self.own = own.key == key;
        self.inviter.known = friends.iter().find(|friend| friend.key == key).cloned();
        self.inviter.blocked = blocked.iter().any(|blocked| blocked.key == key);
        self.known = circles.iter().find(|known| known.id == self.circle).map(|known| known.state);
        self
    }
}

/// Somebody who may become a friend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LinkPreview {
    /// What it was read from.
    pub kind: LinkKind,
    /// The key, or `null` for an address: the network is asked for its key when it is added.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub key: Option<NodeKey>,
    /// The address.
    pub address: Ipv6Addr,
    /// What its owner calls it, or `null`.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub name: Option<FriendName>,
    /// Peers that its owner suggests.
    pub peers: Vec<String>,
    /// Whether it is this node itself.
    pub own: bool,
    /// The friend it is already, or `null`.
    #[cfg_attr(test, schemars(schema_with = "crate::schema::friend"))]
    pub known: Option<Friend>,
    /// Whether it is blocked.
    pub blocked: bool,
}

/// What a preview was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// A `planetary:` link.
    Friend,
    /// A key.
    Key,
    /// An address.
    Address,
}

impl LinkPreview {
    /// Reads a link, a key or an address.
    ///
    /// # Errors
    /// `invalid_link`, with the reason.
    fn read(text: &str) -> Result<Self, Failure> {
        let text = text.trim();
        if FriendLink::is_meant(text) {
            let link: FriendLink = text.parse().map_err(|error| invalid(&error))?;
            let peers = link.peers.iter().map(LinkPeer::to_string).collect();
            let preview = Self::of(LinkKind::Friend, Some(link.key), address_of(&link.key));
            return Ok(Self { name: link.name, peers, ..preview });
        }
        Ok(match text.parse().map_err(|error| invalid(&error))? {
            Target::Key(key) => Self::of(LinkKind::Key, Some(key), address_of(&key)),
            Target::Address(address) => Self::of(LinkKind::Address, None, address),
        })
    }

    fn of(kind: LinkKind, key: Option<NodeKey>, address: Ipv6Addr) -> Self {
        let (name, peers) = (None, Vec::new());
        Self { kind, key, address, name, peers, own: false, known: None, blocked: false }
    }

    /// Adds what is known here about whom it names.
    pub(super) fn compared(
        mut self,
        own: &Status,
        friends: &[Friend],
        blocked: &[BlockedKey],
    ) -> Self {
        self.own = self.is(own.key, own.address, Some(own.subnet));
        let known = friends.iter().find(|friend| self.is(friend.key, friend.address, None));
        self.blocked = blocked.iter().any(|blocked| self.is(blocked.key, blocked.address, None));
        self.key = self.key.or(known.map(|friend| friend.key));
        self.known = known.cloned();
        self
    }

    fn is(&self, key: NodeKey, address: Ipv6Addr, subnet: Option<Subnet>) -> bool {
        match self.key {
            Some(own) => own == key,
            None => {
                let subnet = subnet.unwrap_or_else(|| subnet_beside(address));
                self.address == address || Subnet::containing(self.address) == subnet
            }
        }
    }
}

fn invalid(reason: &dyn std::error::Error) -> Failure {
    Failure::own("invalid_link", reason.to_string())
        .with_hint("a link begins with `planetary:`; a key or an address will do as well")
}

/// The address that belongs to a key: how many zeros it begins with, and the complement of what
/// follows the first one.
fn address_of(key: &NodeKey) -> Ipv6Addr {
    let bit = |index: usize| {
        let byte = key.0.get(index / 8).copied().unwrap_or(u8::MAX);
        byte & (0x80 >> (index % 8)) != 0
    };
    let bits = 8 * key.0.len();
    let zeros = (0..bits).take_while(|index| !bit(*index)).count();
    // Whole octets only: what a key has too few bits for stays zero.
    let shown = bits.saturating_sub(zeros + 1).min(112) / 8 * 8;
    let rest = (0..shown).filter(|index| !bit(zeros + 1 + index));
    let rest = rest.fold(0_u128, |rest, index| rest | 1 << (111 - index));
    Ipv6Addr::from_bits(0x02 << 120 | ((zeros % 256) as u128) << 112 | rest)
}

/// The subnet of the node that has this address: the same, but for the first byte.
fn subnet_beside(address: Ipv6Addr) -> Subnet {
    Subnet::containing(Ipv6Addr::from_bits(address.to_bits() | 0x01 << 120))
}

/// Links that were opened before the pages could hear of it.
#[derive(Debug, Default)]
pub(super) struct WaitingLinks {
    /// `None` once the pages are there and hear of links at once.
    waiting: Option<Vec<String>>,
    heard: bool,
}

impl WaitingLinks {
    /// Takes in a link; gives it back when the pages are to hear of it at once.
    pub(super) fn open(&mut self, text: &str) -> Option<String> {
        let text = text.trim();
        if !FriendLink::is_meant(text) || text.len() > TEXT_LEN_MAX {
            return None;
        }
        if self.heard {
            return Some(text.to_owned());
        }
        let waiting = self.waiting.get_or_insert_default();
        if waiting.len() < WAITING_MAX {
            waiting.push(text.to_owned());
        }
        None
    }

    /// Hands over what waits; from here on links are told at once.
    pub(super) fn take(&mut self) -> Vec<String> {
        self.heard = true;
        self.waiting.take().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use planetary_ipc::mock::Mock;

    use super::*;

    #[test]
    fn addresses_follow_from_keys_as_the_protocol_says() {
        // Chapter 1 of the protocol has these.
        for (key, address) in VECTORS {
            let key: NodeKey = key.parse().unwrap();
            assert_eq!(address_of(&key).to_string(), *address, "{key}");
        }
        assert_eq!(address_of(&NodeKey([0xff; 32])).to_string(), "200::");
        assert_eq!(address_of(&NodeKey([0; 32])).to_string(), "200::");
    }

    #[test]
    fn links_keys_and_addresses_are_read() {
        let key: NodeKey = VECTORS[0].0.parse().unwrap();
        let address: Ipv6Addr = VECTORS[0].1.parse().unwrap();
        let peer = "tls://peer.example:443";
        let link = format!("planetary:friend?k={}&n=Ada&p={peer}", key.to_base32());
        let preview = LinkPreview::read(&link).unwrap();
        assert_eq!((preview.kind, preview.key), (LinkKind::Friend, Some(key)));
        assert_eq!((preview.address, preview.peers), (address, vec![peer.to_owned()]));
        assert_eq!(preview.name.unwrap().as_str(), "Ada");
        for text in [key.to_string(), key.to_base32(), format!(" {key}\n")] {
            let preview = LinkPreview::read(&text).unwrap();
            assert_eq!((preview.kind, preview.address), (LinkKind::Key, address), "{text}");
        }
        let preview = LinkPreview::read(VECTORS[0].1).unwrap();
        assert_eq!((preview.kind, preview.key), (LinkKind::Address, None));
    }

    #[test]
    fn what_is_none_of_them_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "is neither an IPv6 address nor a key"),
            ("planetary:friend?n=Ada", "names no key"),
            ("planetary:peer?x", "begins with"),
            ("2001:db8::1", "not an address of this network"),
            ("https://host.example", "is neither"),
        ] {
            let failure = LinkPreview::read(text).unwrap_err();
            assert_eq!(failure.code, "invalid_link");
            assert!(failure.message.contains(reason), "{text}: {}", failure.message);
        }
    }

    #[test]
    fn invites_are_read_without_their_token() {
        let text = invite(1_800_000_000);
        let read = |now| match Link::read(&text, UnixTime(now)).unwrap() {
            Link::Join(preview) => preview,
            Link::Node(other) => panic!("{other:?}"),
        };
        let preview = read(1_799_999_999);
        assert_eq!((preview.name.as_str(), preview.circle), ("Hikers", CircleId([7; 32])));
        assert_eq!(preview.inviter.address.to_string(), VECTORS[0].1);
        assert_eq!(preview.peers, ["tls://peer.example:443"]);
        assert!(!preview.expired && read(1_800_000_000).expired);
        let sent = serde_json::to_string(&Link::Join(preview)).unwrap();
        assert!(sent.starts_with(r#"{"kind":"join","#) && !sent.contains(TOKEN), "{sent}");
        let cut = &text[..text.len() / 2];
        let failure = Link::read(cut, UnixTime(0)).unwrap_err();
        assert_eq!(failure.code, "invalid_link");
        assert!(!format!("{failure:?}").contains(TOKEN));
    }

    #[test]
    fn invite_says_what_is_known_of_the_circle_and_of_who_invites() {
        let mut own = Mock::settled().status();
        let expires = own.time.0;
        let preview = JoinPreview::read(&invite(expires), own.time).unwrap();
        let stranger = preview.clone().compared(&own, &[], &[], &[]);
        assert_eq!(stranger, preview);
        let circle: Circle = serde_json::from_value(serde_json::json!({
            "id": CircleId([7; 32]), "name": "Hikers", "state": "waiting", "role": null,
            "members": 0, "invited": 0, "online": 0, "suggested": [], "recovery": false,
            "access": { "enabled": true, "echo": false, "subnet": false, "services": [] },
            "inviter": null, "expires_at": 1, "added_at": 1, "synced_at": null, "forked": [],
        }))
        .unwrap();
        own.key = preview.inviter.key;
        own.time.0 -= 1;
        let known = preview.compared(&own, &[], &[], &[circle]);
        assert_eq!((known.own, known.known), (true, Some(CircleState::Waiting)));
        assert!(stranger.expired && !known.expired);
    }

    #[test]
    fn preview_says_who_is_known_already() {
        let own = Mock::settled().status();
        let compared = |text: &str| LinkPreview::read(text).unwrap().compared(&own, &[], &[]);
        assert!(compared(&own.key.to_string()).own);
        assert!(compared(&own.address.to_string()).own);
        assert!(compared(&own.subnet.prefix().to_string()).own);
        let other = compared(VECTORS[0].0);
        assert!(!other.own && !other.blocked && other.known.is_none());
    }

    #[test]
    fn links_wait_for_the_pages_and_only_links_do() {
        let mut links = WaitingLinks::default();
        for text in ["--minimised", "planetary:friend?k=1", "https://planetary:", " PLANETARY:x "] {
            assert_eq!(links.open(text), None);
        }
        for _ in 0..20 {
            links.open("planetary:many");
        }
        let waiting = links.take();
        assert_eq!(waiting[..2], ["planetary:friend?k=1", "PLANETARY:x"]);
        assert_eq!(waiting.len(), WAITING_MAX);
        assert_eq!(links.take(), Vec::<String>::new());
        assert_eq!(links.open("planetary:now"), Some("planetary:now".to_owned()));
        assert_eq!(links.open(&format!("planetary:{}", "x".repeat(9000))), None);
    }

    const TOKEN: &str = "aaaqeayeaudaocajbifqydiob4";

    fn invite(expires: u64) -> String {
        let (circle, key) = (CircleId([7; 32]), VECTORS[0].0);
        let rest = format!("t={TOKEN}&e={expires}&n=Hikers&p=tls://peer.example:443");
        format!("planetary:join?c={circle}&k={key}&{rest}")
    }

    const VECTORS: &[(&str, &str)] = &[
        (
            "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8",
            "206:2f7c:2006:18f7:a0f1:4791:738c:5a1f",
        ),
        (
            "29acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe12c89794bc9322966dd7",
            "202:b29a:28f5:f219:a87a:6e8f:2b59:6597",
        ),
        (
            "2543b92ff1095511476adc8369db6ddc933665a11978dda1404ee1066ca9559d",
            "202:d5e2:3680:77b5:5775:c4a9:1be4:b124",
        ),
        (
            "00001f8bea42b3c74c50aa3589b1aa065f196857db97a75e4a54953f093e6772",
            "213:741:5bd4:c38b:3af5:5ca7:64e5:5f9a",
        ),
    ];
}
