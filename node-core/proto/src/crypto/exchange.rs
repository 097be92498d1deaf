//! X25519 key agreement and the NaCl box built on it (chapter 7.1).

use core::fmt;

use curve25519_dalek::edwards::CompressedEdwardsY;
use planetary_secretbox::{Cipher, TAG_LEN, hsalsa20};
use sha2::{Digest, Sha512};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::identity::NodeKey;

/// An X25519 public key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExchangeKey([u8; 32]);

impl ExchangeKey {
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The X25519 form of a node's key; `None` when the bytes are no curve point, in which case
    /// nobody holds its secret.
    pub(crate) fn of_node(key: &NodeKey) -> Option<Self> {
        let point = CompressedEdwardsY(*key.as_bytes()).decompress()?;
        Some(Self(point.to_montgomery().to_bytes()))
    }
}

impl fmt::Debug for ExchangeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExchangeKey({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// An X25519 secret with its public half.
#[derive(Clone)]
pub(crate) struct ExchangeSecret {
    secret: StaticSecret,
    public: ExchangeKey,
}

impl ExchangeSecret {
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Self {
        let secret = StaticSecret::from(*bytes);
        let public = ExchangeKey(PublicKey::from(&secret).to_bytes());
        Self { secret, public }
    }

    pub(crate) const fn public(&self) -> ExchangeKey {
        self.public
    }

    /// The box key shared with `theirs`.
    pub(crate) fn shared(&self, theirs: &ExchangeKey) -> SharedKey {
        shared(&self.secret, theirs)
    }

    /// What X25519 agrees on with `theirs`; `None` when that is zero, whatever the own secret: the
    /// far end's key is of low order.
    pub(crate) fn agree(&self, theirs: &ExchangeKey) -> Option<Zeroizing<[u8; 32]>> {
        let agreed = self.secret.diffie_hellman(&PublicKey::from(theirs.0));
        agreed.was_contributory().then(|| Zeroizing::new(*agreed.as_bytes()))
    }
}

/// The X25519 form of the own node key.
#[derive(Clone)]
pub(crate) struct BoxSecret(StaticSecret);

impl BoxSecret {
    pub(crate) fn of_node(seed: &[u8; 32]) -> Self {
        let hash = Sha512::digest(seed);
        let mut secret = Zeroizing::new([0; 32]);
        secret.copy_from_slice(&hash[..32]);
        Self(StaticSecret::from(*secret))
    }

    pub(crate) fn shared(&self, theirs: &ExchangeKey) -> SharedKey {
        shared(&self.0, theirs)
    }

    #[cfg(test)]
    pub(crate) fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }
}

/// What two X25519 keys agree on: the NaCl box key.
pub(crate) struct SharedKey(Zeroizing<[u8; 32]>);

impl SharedKey {
    /// The cipher under this key.
    pub(crate) fn cipher(&self) -> Cipher {
        Cipher::new(&self.0)
    }

    /// The key itself.
    pub(crate) fn into_bytes(self) -> Zeroizing<[u8; 32]> {
        self.0
    }

    #[cfg(test)]
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

fn shared(secret: &StaticSecret, theirs: &ExchangeKey) -> SharedKey {
    let agreed = secret.diffie_hellman(&PublicKey::from(theirs.0));
    // An all-zero agreement (a low-order peer key) is not refused: only its sender is hurt by it.
    SharedKey(Zeroizing::new(hsalsa20(agreed.as_bytes(), &[0; 16])))
}

/// Appends `box(plain, 0, shared)`, tag first, to `out`.
pub(crate) fn box_seal(shared: &SharedKey, plain: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; TAG_LEN]);
    out.extend_from_slice(plain);
    let (tag, data) = out[start..].split_at_mut(TAG_LEN);
    tag.copy_from_slice(&shared.cipher().seal_in_place(0, data));
}

/// Opens `box(plain, 0, shared)`.
pub(crate) fn box_open(shared: &SharedKey, boxed: &[u8]) -> Option<Vec<u8>> {
    let (tag, data) = boxed.split_first_chunk::<TAG_LEN>()?;
    let mut data = data.to_vec();
    shared.cipher().open_in_place(0, tag, &mut data).ok()?;
    Some(data)
}
