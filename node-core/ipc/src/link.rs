//! Links: `planetary:friend?k=KEY&n=NAME&p=URI` makes friends, and
//! `planetary:join?c=CIRCLE&k=KEY&t=TOKEN&e=TIME&n=NAME&p=URI` lets guests join a circle.
//!
//! Both name a key (`k`) and suggest up to three peers (`p`, once for each) over which both nodes
//! reach the network. A link comes by mail or from a web page, so it is checked as a whole before
//! anything of it is shown: unknown and repeated parameters are refused, peers must lie in the
//! public internet and carry no secrets, and nothing may be invisible. A link that was read changes
//! nothing; what is done with it is for the person to say.
//!
//! Grammar: the scheme in any case, `friend?` or `join?`, parameters in any order separated by `&`,
//! values percent-encoded UTF-8. At most [`limits::LINK_LEN_MAX`] bytes, all of them printable
//! ASCII.

mod friend;
mod join;
mod peer;

use std::fmt::{self, Write};

use zeroize::Zeroizing;

pub use friend::FriendLink;
pub use join::{JoinLink, TOKEN_LEN};
pub use peer::{LinkPeer, LinkPeerError};

use crate::friends::NameError;
use crate::identity::shorten;
use crate::limits;

/// Why a link is refused. What it holds is repeated in small pieces only, and never the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Longer than [`limits::LINK_LEN_MAX`].
    #[error("the link has {0} bytes, where {max} fit", max = limits::LINK_LEN_MAX)]
    TooLong(usize),
    /// Another link, or none, where one to a friend was expected.
    #[error("a link to a friend begins with `{prefix}`", prefix = friend::PREFIX)]
    NoFriendLink,
    /// Another link, or none, where an invitation was expected.
    #[error("a link that invites to a circle begins with `{prefix}`", prefix = join::PREFIX)]
    NoJoinLink,
    /// A character that no link has.
    #[error("the link holds a blank or a character that is not ASCII; they are written as %XX")]
    BadCharacter,
    /// A parameter that this version does not know.
    #[error("the link has the unknown parameter `{0}`")]
    Unknown(String),
    /// A parameter that may appear once.
    #[error("the link has the parameter `{0}` twice")]
    Repeated(&'static str),
    /// A parameter without which the link means nothing.
    #[error("the link lacks the parameter `{0}`; was all of it copied?")]
    Missing(&'static str),
    /// `%` without two hexadecimal digits, or bytes that are no text.
    #[error("the parameter `{0}` is not percent-encoded UTF-8")]
    BadEncoding(&'static str),
    /// There is no key.
    #[error("the link names no key")]
    NoKey,
    /// The key is none.
    #[error("the parameter `k` is not a key, in base32 or in hexadecimal digits")]
    BadKey,
    /// What should name the circle does not.
    #[error("the parameter `c` is not the number of a circle, in base32 or in hexadecimal digits")]
    BadCircle,
    /// The token is none.
    #[error("the parameter `t` is not a token of 26 letters and digits in base32")]
    BadToken,
    /// The end is no time.
    #[error("the parameter `e` is not a time in seconds since 1970")]
    BadTime,
    /// The name cannot be one.
    #[error("the name in the link cannot be used: {0}")]
    BadName(NameError),
    /// More peers than a link may have.
    #[error("the link has more than {max} peers", max = limits::LINK_PEERS_MAX)]
    TooManyPeers,
    /// A peer cannot be used.
    #[error("the peer `{0}` in the link cannot be used: {1}")]
    BadPeer(String, LinkPeerError),
}

/// Whether `text` begins with `prefix`, in whatever case; blanks around it do not count.
fn begins(text: &str, prefix: &str) -> bool {
    text.trim().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// The parameters of a link and their values, which are still encoded. `other` is the error for a
/// text that does not begin with `prefix`.
fn parameters<'a>(
    text: &'a str,
    prefix: &str,
    other: LinkError,
) -> Result<impl Iterator<Item = (&'a str, &'a str)> + use<'a>, LinkError> {
    let text = text.trim();
    if text.len() > limits::LINK_LEN_MAX {
        return Err(LinkError::TooLong(text.len()));
    }
    if !begins(text, prefix) {
        return Err(other);
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(LinkError::BadCharacter);
    }
    let parameters = text[prefix.len()..].split('&');
    Ok(parameters.map(|parameter| parameter.split_once('=').unwrap_or((parameter, ""))))
}

/// Reads the value of a parameter that may appear once.
fn once<T>(
    slot: &mut Option<T>,
    parameter: &'static str,
    value: &str,
    read: impl FnOnce(&str) -> Result<T, LinkError>,
) -> Result<(), LinkError> {
    if slot.is_some() {
        return Err(LinkError::Repeated(parameter));
    }
    *slot = Some(read(&decoded(parameter, value)?)?);
    Ok(())
}

/// Reads the value of `p` and adds the peer to those before it.
fn add_peer(peers: &mut Vec<LinkPeer>, value: &str) -> Result<(), LinkError> {
    let text = decoded("p", value)?;
    let peer: LinkPeer = text.parse().map_err(|error| LinkError::BadPeer(shown(&text), error))?;
    if peers.contains(&peer) {
        return Err(LinkError::Repeated("p"));
    }
    if peers.len() == limits::LINK_PEERS_MAX {
        return Err(LinkError::TooManyPeers);
    }
    peers.push(peer);
    Ok(())
}

/// A piece of a link that may stand in a message: no options, short, nothing invisible.
fn shown(text: &str) -> String {
    let public = crate::status::public_uri(text);
    shorten(&public.replace(|letter: char| !letter.is_ascii_graphic(), "?"))
}

fn write_peers(f: &mut fmt::Formatter<'_>, peers: &[LinkPeer]) -> fmt::Result {
    peers.iter().try_for_each(|peer| {
        f.write_str("&p=")?;
        encode(f, &peer.to_string())
    })
}

fn encode(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.bytes().try_for_each(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'/' => {
            f.write_char(byte.into())
        }
        other => write!(f, "%{other:02X}"),
    })
}

/// The text of a value. It may be a token, so no copy of it stays in memory.
fn decoded(parameter: &'static str, text: &str) -> Result<Zeroizing<String>, LinkError> {
    let wrong = || LinkError::BadEncoding(parameter);
    // Decoding makes nothing longer, so the bytes are never moved.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let (high, low) = (digit().ok_or_else(wrong)?, digit().ok_or_else(wrong)?);
        bytes.push(u8::try_from(high << 4 | low).map_err(|_| wrong())?);
    }
    let text = String::from_utf8(std::mem::take(&mut *bytes));
    text.map(Zeroizing::new).map_err(|_| wrong())
}
