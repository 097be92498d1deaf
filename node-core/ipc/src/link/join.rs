//! Links that let guests join a circle.
//!
//! Whoever has such a link may join, so it is as much a secret as a key to a house until it is used
//! up or over: its token reaches no log and no message. The node under `k` alone lets guests in;
//! what the link says of the circle is what that node wrote, and nobody has checked it.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

use super::{LinkError, LinkPeer, add_peer, begins, encode, once, parameters, shown, write_peers};
use crate::circles::CircleId;
use crate::friends::FriendName;
use crate::identity::{NodeKey, UnixTime};
use crate::limits;

/// How every link that invites to a circle begins.
pub(super) const PREFIX: &str = "planetary:join?";

/// Length of a token, in bytes.
pub const TOKEN_LEN: usize = 16;

/// Digits of a token in base32.
const TOKEN_DIGITS: usize = 26;

/// Most digits of a time: enough for thirty thousand years, and exact in every language.
const TIME_DIGITS_MAX: usize = 12;

/// Letters of an unknown parameter that are repeated: what stands there may be a token that lost
/// its `t=`.
const UNKNOWN_CHARS_MAX: usize = 4;

/// The content of a link that invites to a circle, checked.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinLink {
    /// The circle.
    pub circle: CircleId,
    /// The node that made the link and lets guests in.
    pub inviter: NodeKey,
    /// What lets a guest in.
    pub token: Zeroizing<[u8; TOKEN_LEN]>,
    /// When the link is over, by the clock of the node that made it.
    pub expires: UnixTime,
    /// The circle's name when the link was made.
    pub name: FriendName,
    /// Peers that the inviter suggests, each once.
    pub peers: Vec<LinkPeer>,
}

/// Says nothing: whoever has the link may join.
impl fmt::Debug for JoinLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinLink(…)")
    }
}

impl JoinLink {
    /// Whether a text is meant as a link that invites to a circle, well formed or not.
    pub fn is_meant(text: &str) -> bool {
        begins(text, PREFIX.trim_end_matches('?'))
    }

    /// Leaves out peers, the last first, until the link has no more than
    /// [`limits::LINK_LEN_MAX`] bytes.
    #[must_use]
    pub fn fitting(mut self) -> Self {
        while self.to_string().len() > limits::LINK_LEN_MAX && self.peers.pop().is_some() {}
        self
    }
}

impl FromStr for JoinLink {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let (mut circle, mut inviter, mut token) = (None, None, None);
        let (mut expires, mut name, mut peers) = (None, None, Vec::new());
        for (parameter, value) in parameters(text, PREFIX, LinkError::NoJoinLink)? {
            match parameter {
                "c" => once(&mut circle, "c", value, |text| {
                    text.parse::<CircleId>().map_err(|_| LinkError::BadCircle)
                })?,
                "k" => once(&mut inviter, "k", value, |text| {
                    text.parse::<NodeKey>().map_err(|_| LinkError::BadKey)
                })?,
                "t" => once(&mut token, "t", value, |text| {
                    read_token(text).ok_or(LinkError::BadToken)
                })?,
                "e" => once(&mut expires, "e", value, |text| {
                    read_time(text).ok_or(LinkError::BadTime)
                })?,
                "n" => {
                    once(&mut name, "n", value, |text| text.parse().map_err(LinkError::BadName))?
                }
                "p" => add_peer(&mut peers, value)?,
                other => {
                    let begin: String = other.chars().take(UNKNOWN_CHARS_MAX).collect();
                    let more = if begin.len() < other.len() { "…" } else { "" };
                    return Err(LinkError::Unknown(shown(&begin) + more));
                }
            }
        }
        Ok(Self {
            circle: circle.ok_or(LinkError::Missing("c"))?,
            inviter: inviter.ok_or(LinkError::Missing("k"))?,
            token: token.ok_or(LinkError::Missing("t"))?,
            expires: expires.ok_or(LinkError::Missing("e"))?,
            name: name.ok_or(LinkError::Missing("n"))?,
            peers,
        })
    }
}

/// Writes the link with its token, which may be longer than one may be: see [`JoinLink::fitting`].
impl fmt::Display for JoinLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let circle = NodeKey(self.circle.0).to_base32();
        let mut token = Zeroizing::new(BASE32_NOPAD.encode(self.token.as_slice()));
        token.make_ascii_lowercase();
        write!(f, "{PREFIX}c={circle}&k={}&t={}", self.inviter.to_base32(), *token)?;
        write!(f, "&e={}&n=", self.expires.0)?;
        encode(f, self.name.as_str())?;
        write_peers(f, &self.peers)
    }
}

fn read_token(text: &str) -> Option<Zeroizing<[u8; TOKEN_LEN]>> {
    if text.len() != TOKEN_DIGITS || !text.is_ascii() {
        return None;
    }
    let digits = Zeroizing::new(text.to_ascii_uppercase());
    let bytes = Zeroizing::new(BASE32_NOPAD.decode(digits.as_bytes()).ok()?);
    let mut token = Zeroizing::new([0; TOKEN_LEN]);
    // 26 digits of base32 are 130 bits, which make 16 whole bytes.
    (bytes.len() == TOKEN_LEN).then(|| token.copy_from_slice(&bytes))?;
    Some(token)
}

fn read_time(text: &str) -> Option<UnixTime> {
    let fits = text.len() <= TIME_DIGITS_MAX && text.bytes().all(|digit| digit.is_ascii_digit());
    fits.then(|| text.parse().ok())?.map(UnixTime)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CIRCLE: &str = "rcpivwm2jypimduwspwuebdyjvmwyl6ydd2xqyd2iuq2m6xy4oiq";
    const KEY: &str = "aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4a";
    const TOKEN: &str = "aaaqeayeaudaocajbifqydiob4";

    fn link(rest: &str) -> String {
        format!("planetary:join?c={CIRCLE}&k={KEY}&t={TOKEN}&e=1800000000&n=Family{rest}")
    }

    #[test]
    fn link_prints_as_it_was_read() {
        for text in [
            link(""),
            link("%20%26%20Co"),
            link("&p=tls://a.example:443&p=quic://b.example:9001"),
            link("&p=tcp://%5B2a00::1%5D:1"),
        ] {
            assert_eq!(text.parse::<JoinLink>().unwrap().to_string(), text);
        }
        let read: JoinLink = link("").parse().unwrap();
        assert_eq!(*read.token, core::array::from_fn(|at| at as u8));
        assert_eq!((read.expires, read.name.as_str()), (UnixTime(1_800_000_000), "Family"));
        assert_eq!(read.inviter.to_base32(), KEY);
        assert_eq!(NodeKey(read.circle.0).to_base32(), CIRCLE);
    }

    #[test]
    fn other_ways_to_write_the_same_are_read() {
        let plain: JoinLink = link("").parse().unwrap();
        let mut parameters: Vec<_> =
            link("")[PREFIX.len()..].split('&').map(String::from).collect();
        parameters.reverse();
        for text in [
            format!(" PLANETARY:Join?{}\n", parameters.join("&")),
            link("").replace(TOKEN, &TOKEN.to_uppercase()),
            link("").replace(CIRCLE, &plain.circle.to_string().to_uppercase()),
            link("").replace("Family", "%46amily"),
        ] {
            assert_eq!(text.parse::<JoinLink>().unwrap(), plain, "{text}");
        }
    }

    #[test]
    fn links_that_are_wrong_are_refused_with_the_reason_and_without_the_token() {
        let instead = |parameter: &str, value: &str| {
            let kept = |part: &&str| !part.starts_with(&format!("{parameter}="));
            let whole = link("");
            let rest: Vec<_> = whole[PREFIX.len()..].split('&').filter(kept).collect();
            format!("{PREFIX}{}{value}", rest.join("&"))
        };
        // A token of which the last digit has bits that belong to no byte.
        let surplus = TOKEN.replace("b4", "b5");
        for (text, reason) in [
            (String::new(), "begins with `planetary:join?`"),
            (link("").replace("join", "friend"), "begins with"),
            (link("").replace("planetary:", "planetary://"), "begins with"),
            (instead("c", ""), "lacks the parameter `c`"),
            (instead("k", ""), "lacks the parameter `k`"),
            (instead("t", ""), "lacks the parameter `t`"),
            (instead("e", ""), "lacks the parameter `e`"),
            (instead("n", ""), "lacks the parameter `n`"),
            (link(&format!("&c={CIRCLE}")), "`c` twice"),
            (link(&format!("&k={KEY}")), "`k` twice"),
            (link(&format!("&t={TOKEN}")), "`t` twice"),
            (link("&e=1"), "`e` twice"),
            (link("&n=Work"), "`n` twice"),
            (link("&p=tls://a.example:1&p=tls://A.example:1"), "`p` twice"),
            (link("&x=1"), "the unknown parameter `x`"),
            (link("&"), "the unknown parameter ``"),
            (instead("t", &format!("&T={TOKEN}")), "the unknown parameter `T`"),
            (instead("t", &format!("&{TOKEN}")), "the unknown parameter `aaaq…`"),
            (instead("c", &format!("&c={}", &CIRCLE[1..])), "`c` is not the number"),
            (instead("c", "&c=Family"), "`c` is not the number"),
            (instead("k", &format!("&k={}", &KEY[1..])), "`k` is not a key"),
            (instead("t", &format!("&t={}", &TOKEN[1..])), "`t` is not a token"),
            (instead("t", &format!("&t={TOKEN}a")), "`t` is not a token"),
            (instead("t", &format!("&t={surplus}")), "`t` is not a token"),
            (instead("t", &format!("&t={TOKEN}%")), "`t` is not percent-encoded"),
            (instead("e", "&e=-1"), "`e` is not a time"),
            (instead("e", "&e=+1"), "`e` is not a time"),
            (instead("e", "&e="), "`e` is not a time"),
            (instead("e", "&e=1e9"), "`e` is not a time"),
            (instead("e", "&e=1000000000000"), "`e` is not a time"),
            (instead("n", "&n="), "the name is empty"),
            (instead("n", "&n=a%E2%80%AEb"), "invisible character U+202E"),
            (link("&p=tls://10.0.0.1:1"), "the peer `tls://10.0.0.1:1` in the link"),
            (link(" b"), "a blank or a character that is not ASCII"),
            (link(&"x".repeat(1000)), "bytes, where 1024 fit"),
        ] {
            let error = text.parse::<JoinLink>().unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(error.to_string().contains(reason), "{text}: {error}");
            assert!(!shown.contains(&TOKEN[6..]), "{shown}");
        }
        let peers = (1..5).map(|port| format!("&p=tls://a.example:{port}")).collect::<String>();
        assert_eq!(link(&peers).parse::<JoinLink>(), Err(LinkError::TooManyPeers));
    }

    #[test]
    fn nothing_of_the_link_is_told_to_a_debugger() {
        let shown = format!("{:?}", link("").parse::<JoinLink>());
        assert_eq!(shown, "Ok(JoinLink(…))");
    }

    #[test]
    fn longest_name_fits_and_peers_that_do_not_are_left_out() {
        let long = |port: u16| -> LinkPeer {
            let name = ["a", "b", "c"].map(|letter| letter.repeat(63)).join(".");
            format!("tls://{name}.example:{port}").parse().unwrap()
        };
        let name = "\u{10ffff}".repeat(48).parse().unwrap();
        let peers = (1..4).map(long).collect();
        let link = JoinLink { name, peers, ..link("").parse().unwrap() };
        let fitting = link.clone().fitting();
        assert!(fitting.peers.len() < 3 && fitting.to_string().len() <= limits::LINK_LEN_MAX);
        assert_eq!(fitting.to_string().parse::<JoinLink>().unwrap(), fitting);
        let longest = UnixTime(10_u64.pow(TIME_DIGITS_MAX as u32) - 1);
        let alone = JoinLink { peers: Vec::new(), expires: longest, ..link };
        assert_eq!(alone.to_string().parse::<JoinLink>().unwrap(), alone);
    }

    proptest! {
        #[test]
        fn any_text_is_answered_and_what_is_read_prints_and_reads_the_same(text in ".{0,120}") {
            for text in [text.clone(), format!("planetary:join?{text}"), link(&text),
                         link(&format!("&p={text}"))] {
                let _ = JoinLink::is_meant(&text);
                if let Ok(link) = text.parse::<JoinLink>() {
                    prop_assert!(JoinLink::is_meant(&text));
                    prop_assert_eq!(link.to_string().parse::<JoinLink>(), Ok(link));
                }
            }
        }

        #[test]
        fn any_link_is_read_as_it_is_printed(
            circle in any::<[u8; 32]>(),
            inviter in any::<[u8; 32]>(),
            token in any::<[u8; TOKEN_LEN]>(),
            expires in 0..1_000_000_000_000_u64,
            name in "[a-zA-Zäю&=%+][a-zA-Zäю&=%+ ]{0,18}x",
            ports in proptest::collection::btree_set(1..=u16::MAX, 0..=3),
        ) {
            let Ok(name) = name.parse() else { return Ok(()) };
            let peer = |port| format!("ws://x-{port}.example:{port}").parse().unwrap();
            let link = JoinLink {
                circle: CircleId(circle),
                inviter: NodeKey(inviter),
                token: Zeroizing::new(token),
                expires: UnixTime(expires),
                name,
                peers: ports.into_iter().map(peer).collect(),
            };
            prop_assert_eq!(link.to_string().parse::<JoinLink>(), Ok(link));
        }
    }
}
