//! What a link to join is made of: a token, which the link carries, and what shows that somebody
//! has it.
//!
//! The log of the circle holds the hash of the token only, the guest shows a proof that is bound to
//! its own key and to the node that made the link, and that node alone lets the guest in. So
//! neither the log nor a proof that was overheard opens anything to anybody else.
//!
//! Source: `research/beyond.md` section 4.3.

use core::fmt;

use blake2::digest::Mac;
use planetary_proto::NodeKey;
use zeroize::Zeroizing;

use crate::{
    hash::{blake2b_256, keyed_blake2b_256},
    log::CircleId,
};

/// Bytes of a token.
pub const TOKEN_LEN: usize = 16;

/// The secret of a link: whoever has it may join. Wiped on drop, and without `Debug` of what it is.
#[derive(Clone)]
pub struct Token(Zeroizing<[u8; TOKEN_LEN]>);

impl Token {
    /// Takes 16 random bytes, or those of a link.
    #[must_use]
    pub fn from_bytes(bytes: [u8; TOKEN_LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for the link and for the state folder.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; TOKEN_LEN] {
        &self.0
    }

    /// What stands for the token in the log of `circle`:
    /// `BLAKE2b-256("pln invite" | circle | token)`.
    #[must_use]
    pub fn hash(&self, circle: &CircleId) -> [u8; 32] {
        blake2b_256(&[b"pln invite", circle.as_bytes(), &*self.0])
    }

    /// What `guest` shows to `inviter`, the node that made the link:
    /// `BLAKE2b-256(key = token, "join" | guest | inviter)`.
    #[must_use]
    pub fn proof(&self, guest: &NodeKey, inviter: &NodeKey) -> [u8; 32] {
        self.prover(guest, inviter).finalize().into_bytes().into()
    }

    /// Whether `proof` is what `guest` shows to `inviter`, compared in constant time.
    #[must_use]
    pub fn proves(&self, proof: &[u8; 32], guest: &NodeKey, inviter: &NodeKey) -> bool {
        self.prover(guest, inviter).verify_slice(proof).is_ok()
    }

    fn prover(
        &self,
        guest: &NodeKey,
        inviter: &NodeKey,
    ) -> blake2::Blake2bMac<blake2::digest::consts::U32> {
        keyed_blake2b_256(&self.0, &[b"join", guest.as_bytes(), inviter.as_bytes()])
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_bound_to_token_guest_and_inviter() {
        let token = Token::from_bytes([7; TOKEN_LEN]);
        let [guest, inviter, other] = [1, 2, 3].map(|byte| NodeKey::from_bytes([byte; 32]));
        let proof = token.proof(&guest, &inviter);
        assert!(token.proves(&proof, &guest, &inviter));
        assert!(!token.proves(&proof, &other, &inviter));
        assert!(!token.proves(&proof, &guest, &other));
        assert!(!token.proves(&proof, &inviter, &guest));
        assert!(!Token::from_bytes([8; TOKEN_LEN]).proves(&proof, &guest, &inviter));
        let mut altered = proof;
        altered[31] ^= 1;
        assert!(!token.proves(&altered, &guest, &inviter));
    }

    #[test]
    fn the_hash_is_bound_to_the_circle() {
        let token = Token::from_bytes([7; TOKEN_LEN]);
        let [one, other] = [1, 2].map(|byte| CircleId::from_bytes([byte; 32]));
        assert_ne!(token.hash(&one), token.hash(&other));
        assert_ne!(token.hash(&one), Token::from_bytes([8; TOKEN_LEN]).hash(&one));
    }

    #[test]
    fn a_token_does_not_show_in_debug_output() {
        assert_eq!(format!("{:?}", Token::from_bytes([7; TOKEN_LEN])), "Token(…)");
    }
}
