//! Links that make friends: a key, perhaps what its owner calls it, and peers.

use std::fmt;
use std::str::FromStr;

use super::{LinkError, LinkPeer, add_peer, begins, encode, once, parameters, shown, write_peers};
use crate::friends::FriendName;
use crate::identity::NodeKey;
use crate::limits;

/// How every link that makes a friend begins.
pub(super) const PREFIX: &str = "planetary:friend?";

/// The content of a link, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FriendLink {
    /// The key that is to become a friend.
    pub key: NodeKey,
    /// What its owner calls it.
    pub name: Option<FriendName>,
    /// Peers that its owner suggests, each once.
    pub peers: Vec<LinkPeer>,
}

impl FriendLink {
    /// Whether a text is meant as a link of this network, well formed or not.
    pub fn is_meant(text: &str) -> bool {
        begins(text, PREFIX.split_inclusive(':').next().unwrap_or(PREFIX))
    }

    /// Leaves out peers, the last first, until the link has no more than
    /// [`limits::LINK_LEN_MAX`] bytes.
    #[must_use]
    pub fn fitting(mut self) -> Self {
        while self.to_string().len() > limits::LINK_LEN_MAX && self.peers.pop().is_some() {}
        self
    }
}

impl FromStr for FriendLink {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let (mut key, mut name, mut peers) = (None, None, Vec::new());
        for (parameter, value) in parameters(text, PREFIX, LinkError::NoFriendLink)? {
            match parameter {
                "k" => once(&mut key, "k", value, |text| {
                    text.parse::<NodeKey>().map_err(|_| LinkError::BadKey)
                })?,
                "n" => {
                    once(&mut name, "n", value, |text| text.parse().map_err(LinkError::BadName))?
                }
                "p" => add_peer(&mut peers, value)?,
                other => return Err(LinkError::Unknown(shown(other))),
            }
        }
        Ok(Self { key: key.ok_or(LinkError::NoKey)?, name, peers })
    }
}

/// Writes the link, which may be longer than one may be: see [`FriendLink::fitting`].
impl fmt::Display for FriendLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}k={}", self.key.to_base32())?;
        if let Some(name) = &self.name {
            f.write_str("&n=")?;
            encode(f, name.as_str())?;
        }
        write_peers(f, &self.peers)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";

    fn key() -> NodeKey {
        KEY.parse().unwrap()
    }

    #[test]
    fn link_prints_as_it_was_read() {
        let base32 = key().to_base32();
        for text in [
            format!("planetary:friend?k={base32}"),
            format!("planetary:friend?k={base32}&n=Ada"),
            format!("planetary:friend?k={base32}&n=%D0%97%D0%BE%D1%8F%20%26%20Co"),
            format!("planetary:friend?k={base32}&p=tls://a.example:443&p=quic://b.example:9001"),
            format!("planetary:friend?k={base32}&p=tls://a.example:443%3Fkey%3D{KEY}"),
            format!("planetary:friend?k={base32}&p=tcp://%5B2a00::1%5D:1"),
        ] {
            assert_eq!(text.parse::<FriendLink>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_ways_to_write_the_same_are_read() {
        for text in [
            format!("  PLANETARY:Friend?k={}\n", KEY.to_uppercase()),
            format!("planetary:friend?k=%{:02x}{}", b'0', &KEY[1..]),
        ] {
            let link: FriendLink = text.parse().unwrap();
            assert_eq!((link.key, link.name), (key(), None), "{text}");
        }
        let link: FriendLink =
            format!("planetary:friend?p=wss%3a%2f%2fA.Example%3a443&k={KEY}").parse().unwrap();
        assert_eq!(link.peers[0].to_string(), "wss://a.example:443");
    }

    #[test]
    fn links_that_are_wrong_are_refused_with_the_reason() {
        let with = |rest: &str| format!("planetary:friend?k={KEY}{rest}");
        for (text, reason) in [
            (String::new(), "begins with `planetary:friend?`"),
            ("planetary:join?k=1".to_owned(), "begins with"),
            ("planetary://friend?k=1".to_owned(), "begins with"),
            ("https://friend?k=1".to_owned(), "begins with"),
            ("planetary:friend?".to_owned(), "the unknown parameter ``"),
            ("planetary:friend?n=Ada".to_owned(), "names no key"),
            ("planetary:friend?k=12".to_owned(), "`k` is not a key"),
            (with(&format!("&k={KEY}")), "`k` twice"),
            (with("&n=a&n=b"), "`n` twice"),
            (with("&p=tls://a.example:1&p=tls://A.example:1"), "`p` twice"),
            (with("&t=1"), "the unknown parameter `t`"),
            (with("&"), "the unknown parameter ``"),
            (with("&K=1"), "the unknown parameter `K`"),
            (with("#there"), "`k` is not a key"),
            (with("&n=a#b&x"), "unknown parameter `x`"),
            (with("&n=a b"), "a blank or a character that is not ASCII"),
            (with("&n=ä"), "a blank or a character that is not ASCII"),
            (with("&n=%4"), "`n` is not percent-encoded"),
            (with("&n=%zz"), "`n` is not percent-encoded"),
            (with("&n=%ff"), "`n` is not percent-encoded"),
            (with("&n="), "the name is empty"),
            (with("&n=%0a"), "the name is empty"),
            (with("&n=a%1bb"), "invisible character U+001B"),
            (with("&n=everyone"), "stands for all nodes"),
            (with("&p=tls://10.0.0.1:1"), "the peer `tls://10.0.0.1:1` in the link cannot be used"),
            (with("&p=tls://a.example:1?password=x"), "cannot be used"),
            (with("&p=tls://a.example:1%20"), "cannot be used"),
            (with(&format!("&n={}", "x".repeat(1000))), "bytes, where 1024 fit"),
        ] {
            let error = text.parse::<FriendLink>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains("password"), "{error}");
        }
        let peers = (1..5).map(|port| format!("&p=tls://a.example:{port}")).collect::<String>();
        assert_eq!(with(&peers).parse::<FriendLink>(), Err(LinkError::TooManyPeers));
    }

    #[test]
    fn peers_that_do_not_fit_are_left_out() {
        let long = |port: u16| -> LinkPeer {
            let name = ["a", "b", "c"].map(|letter| letter.repeat(63)).join(".");
            format!("tls://{name}.example:{port}?key={KEY}").parse().unwrap()
        };
        let name = Some("ю".repeat(48).parse().unwrap());
        let link = FriendLink { key: key(), name, peers: (1..4).map(long).collect() };
        let fitting = link.clone().fitting();
        assert!(fitting.peers.len() < 3 && fitting.to_string().len() <= 1024);
        assert_eq!(fitting.to_string().parse::<FriendLink>().unwrap(), fitting);
        // Whatever the name is, the key and the name alone fit.
        let name = Some("\u{10ffff}".repeat(48).parse().unwrap());
        assert!(FriendLink { name, peers: Vec::new(), ..link }.to_string().len() <= 1024);
    }

    proptest! {
        #[test]
        fn any_text_is_answered_and_what_is_read_prints_and_reads_the_same(text in ".{0,120}") {
            for text in [text.clone(), format!("planetary:friend?{text}"),
                         format!("planetary:friend?k={KEY}&n={text}"),
                         format!("planetary:friend?k={KEY}&p={text}")] {
                let _ = FriendLink::is_meant(&text);
                if let Ok(link) = text.parse::<FriendLink>() {
                    prop_assert!(FriendLink::is_meant(&text));
                    prop_assert_eq!(link.to_string().parse::<FriendLink>(), Ok(link));
                }
            }
        }

        #[test]
        fn any_link_is_read_as_it_is_printed(
            bytes in any::<[u8; 32]>(),
            name in proptest::option::of("[a-zA-Zäю&=%+ ]{1,20}"),
            ports in proptest::collection::btree_set(1..=u16::MAX, 0..=3),
        ) {
            let name = name.and_then(|name| name.parse().ok());
            let peer = |port| format!("ws://x-{port}.example:{port}").parse().unwrap();
            let peers = ports.into_iter().map(peer).collect();
            let link = FriendLink { key: NodeKey(bytes), name, peers };
            prop_assert_eq!(link.to_string().parse::<FriendLink>(), Ok(link));
        }
    }
}
