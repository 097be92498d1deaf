//! Links that let guests join a circle, and the tokens in them.
//!
//! Asserted: what is read prints and reads the same; a link is bounded and shows nothing invisible;
//! no refusal and no debug output repeats a token; a proof opens to nobody but the guest that made
//! it, at nobody but the node that it names.

use planetary_circles::{invite::Token, log::CircleId};
use planetary_ipc::{JoinLink, limits};
use planetary_proto::NodeKey;

const TOKEN: &str = "abcdefghijklmnopqrstuvwxyz";

/// See the module.
pub fn invite(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    check(text);
    check(&format!("planetary:join?{text}"));
    check(&format!("{text}&t={TOKEN}"));
}

fn check(text: &str) {
    match text.parse::<JoinLink>() {
        Ok(link) => {
            assert!(JoinLink::is_meant(text));
            assert!(text.trim().len() <= limits::LINK_LEN_MAX);
            assert!(link.peers.len() <= limits::LINK_PEERS_MAX);
            let shown = link.to_string();
            assert!(shown.bytes().all(|byte| byte.is_ascii_graphic()), "{shown:?}");
            let fitting = link.clone().fitting();
            assert!(fitting.to_string().parse::<JoinLink>().is_ok_and(|read| read == fitting));
            redeem(&link);
        }
        Err(error) => {
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains(TOKEN), "the token is shown: {shown}");
            assert!(!error.to_string().contains(char::is_control), "{shown:?}");
        }
    }
}

fn redeem(link: &JoinLink) {
    let token = Token::from_bytes(*link.token);
    let inviter = NodeKey::from_bytes(link.inviter.0);
    let guest = NodeKey::from_bytes(link.circle.0);
    let proof = token.proof(&guest, &inviter);
    assert!(token.proves(&proof, &guest, &inviter));
    assert_eq!(token.proves(&proof, &inviter, &guest), guest == inviter);
    let mut other = *link.token;
    other[0] ^= 1;
    let other = Token::from_bytes(other);
    assert!(!other.proves(&proof, &guest, &inviter));
    let circle = CircleId::from_bytes(link.circle.0);
    assert_ne!(other.hash(&circle), token.hash(&circle));
    assert_eq!(format!("{token:?} {link:?}"), "Token(…) JoinLink(…)");
}
