//! Fast sessions, between two nodes of this program (`docs/fast-session.md`).
//!
//! A fast session is agreed upon inside an ordinary one, which stays and carries on whenever there
//! is none. [`exchange`] makes the keys: hybrid, bound to both nodes and to every byte that was
//! said. [`packet`] seals and opens under them, several threads at once and in any order;
//! [`window`] tells what was seen before; [`generations`] says which keys are in use while new ones
//! take over from old ones. All these serve the data half; [`negotiation`] is the control half's
//! and decides when to agree.

mod exchange;
mod generations;
mod negotiation;
mod packet;
mod window;

use core::fmt;

pub use exchange::{
    ANSWER_LEN, AnswerError, OFFER_LEN, OfferError, Offered, Parties, answer_offer, generation_of,
};
pub use generations::Generations;
pub(crate) use negotiation::{Negotiations, Saying, Taken};
pub use packet::{FAST_HEAD_LEN, FastOpener, FastSealer, fast_head};
use ring::aead;
pub use window::ReplayWindow;

/// The keys of one generation, and who speaks first under them.
pub struct FastKeys {
    /// For what is sent.
    pub sealer: FastSealer,
    /// For what arrives.
    pub opener: FastOpener,
    /// This end seals under them at once, since the far end has them; else as soon as a packet
    /// under them has opened.
    pub speaks: bool,
}

/// What the data half says of a fast session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FastState {
    /// The generation that this end seals under.
    pub generation: u8,
    /// So much was sealed or heard under it that it is time for the next.
    pub wants_rekey: bool,
    /// A packet under it has opened.
    pub heard: bool,
}

/// A cipher of fast sessions. Keys have 32 bytes, nonces 12, tags 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// Fast where the processor has instructions for it.
    Aes256Gcm = 1,
    /// Fast everywhere.
    ChaCha20Poly1305 = 2,
}

impl Suite {
    fn algorithm(self) -> &'static aead::Algorithm {
        match self {
            Self::Aes256Gcm => &aead::AES_256_GCM,
            Self::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Aes256Gcm),
            2 => Some(Self::ChaCha20Poly1305),
            _ => None,
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aes256Gcm => "aes-256-gcm",
            Self::ChaCha20Poly1305 => "chacha20-poly1305",
        })
    }
}

/// A set of [`Suite`]s: bit 0 is AES-256-GCM, bit 1 ChaCha20-Poly1305.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suites(u8);

impl Suites {
    /// What this program knows.
    pub const ALL: Self = Self(3);

    /// What a machine does fast whose processor has instructions for AES and for the multiplication
    /// of GCM, or has not.
    #[must_use]
    pub const fn fast_with(aes_instructions: bool) -> Self {
        if aes_instructions { Self::ALL } else { Self(2) }
    }

    const fn bits(self) -> u8 {
        self.0
    }

    /// Suites of a later version are left out.
    const fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }

    const fn has(self, suite: Suite) -> bool {
        self.0 & suite as u8 != 0
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The best of these: AES-256-GCM is the faster one where it is fast.
    fn best(self) -> Option<Suite> {
        [Suite::Aes256Gcm, Suite::ChaCha20Poly1305].into_iter().find(|suite| self.has(*suite))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_have_bits_and_names_of_their_own() {
        for suite in [Suite::Aes256Gcm, Suite::ChaCha20Poly1305] {
            assert_eq!(Suite::from_byte(suite as u8), Some(suite));
            assert!(Suites::ALL.has(suite));
            assert_eq!(Suites::from_bits(suite as u8).best(), Some(suite));
        }
        assert_eq!([0, 3, 4].map(Suite::from_byte), [None; 3]);
        assert_eq!(Suites::from_bits(0xfc).best(), None);
        assert_eq!(Suites::fast_with(false).best(), Some(Suite::ChaCha20Poly1305));
        assert_eq!(Suites::fast_with(true).best(), Some(Suite::Aes256Gcm));
        assert_eq!(Suite::Aes256Gcm.to_string(), "aes-256-gcm");
    }
}
