//! The handshake messages Init and Ack (chapter 7.3).

use zeroize::Zeroizing;

use crate::{
    crypto::{
        ExchangeKey, ExchangeSecret, SIGNATURE_LEN, Signature, box_open, box_seal, equal, sha256,
    },
    identity::{Identity, NodeKey},
};

/// Length of either message in bytes.
pub const HANDSHAKE_LEN: usize = 193;
const KEYS_LEN: usize = 32 + 32 + 8 + 8;

/// What the nodes of a closed group mix into their handshakes, derived from the group password.
#[derive(Clone)]
pub struct GroupSecret(Zeroizing<[u8; 32]>);

impl GroupSecret {
    /// The secret that belongs to a password.
    #[must_use]
    pub fn from_password(password: &[u8]) -> Self {
        Self(Zeroizing::new(sha256(&[b"ironwood/encrypted", &[0], password])))
    }
}

/// In constant time.
impl PartialEq for GroupSecret {
    fn eq(&self, other: &Self) -> bool {
        equal(&*self.0, &*other.0)
    }
}

impl Eq for GroupSecret {}

/// Which of the two messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandshakeKind {
    /// Wants an answer.
    Init = 1,
    /// Is one.
    Ack = 2,
}

/// What either message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handshake {
    /// The key that the sender seals with.
    pub(crate) current: ExchangeKey,
    /// The key that the sender will seal with after its next step.
    pub(crate) next: ExchangeKey,
    /// How often the sender has rotated its keys.
    pub(crate) key_seq: u64,
    /// Version: the sender's UNIX time in seconds.
    pub(crate) seq: u64,
}

impl Handshake {
    fn keys(&self) -> [u8; KEYS_LEN] {
        let mut out = [0; KEYS_LEN];
        out[..32].copy_from_slice(self.current.as_bytes());
        out[32..64].copy_from_slice(self.next.as_bytes());
        out[64..72].copy_from_slice(&self.key_seq.to_be_bytes());
        out[72..].copy_from_slice(&self.seq.to_be_bytes());
        out
    }
}

/// What the sender signs.
fn signature_input(group: Option<&GroupSecret>, ephemeral: &ExchangeKey, keys: &[u8]) -> Vec<u8> {
    let mut input = Vec::with_capacity(32 + 32 + KEYS_LEN);
    if let Some(group) = group {
        input.extend_from_slice(&*group.0);
    }
    input.extend_from_slice(ephemeral.as_bytes());
    input.extend_from_slice(keys);
    input
}

/// The message for `receiver`; `None` when no node can have that key.
pub(crate) fn compose(
    kind: HandshakeKind,
    handshake: &Handshake,
    identity: &Identity,
    group: Option<&GroupSecret>,
    receiver: &NodeKey,
    ephemeral: &ExchangeSecret,
) -> Option<Vec<u8>> {
    let receiver = ExchangeKey::of_node(receiver)?;
    let keys = handshake.keys();
    let signature = identity.sign(&signature_input(group, &ephemeral.public(), &keys));
    let mut inner = Vec::with_capacity(SIGNATURE_LEN + KEYS_LEN);
    inner.extend_from_slice(signature.as_bytes());
    inner.extend_from_slice(&keys);
    let mut out = Vec::with_capacity(HANDSHAKE_LEN);
    out.push(kind as u8);
    out.extend_from_slice(ephemeral.public().as_bytes());
    box_seal(&ephemeral.shared(&receiver), &inner, &mut out);
    Some(out)
}

/// Opens and verifies a message that claims to be from `sender`.
pub(crate) fn open_handshake(
    message: &[u8],
    identity: &Identity,
    group: Option<&GroupSecret>,
    sender: &NodeKey,
) -> Option<(HandshakeKind, Handshake)> {
    let message: &[u8; HANDSHAKE_LEN] = message.try_into().ok()?;
    let kind = match message[0] {
        1 => HandshakeKind::Init,
        2 => HandshakeKind::Ack,
        _ => return None,
    };
    let (ephemeral, boxed) = message[1..].split_first_chunk::<32>()?;
    let ephemeral = ExchangeKey::from_bytes(*ephemeral);
    let inner = box_open(&identity.exchange().shared(&ephemeral), boxed)?;
    let (signature, keys) = inner.split_first_chunk::<SIGNATURE_LEN>()?;
    let input = signature_input(group, &ephemeral, keys);
    if !sender.verify(&input, &Signature::from_bytes(*signature)) {
        return None;
    }
    let (current, rest) = keys.split_first_chunk::<32>()?;
    let (next, rest) = rest.split_first_chunk::<32>()?;
    let (key_seq, rest) = rest.split_first_chunk::<8>()?;
    let seq = rest.first_chunk::<8>()?;
    let handshake = Handshake {
        current: ExchangeKey::from_bytes(*current),
        next: ExchangeKey::from_bytes(*next),
        key_seq: u64::from_be_bytes(*key_seq),
        seq: u64::from_be_bytes(*seq),
    };
    Some((kind, handshake))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_opens_only_for_its_receiver_from_its_sender_in_its_group() {
        let [a, b, c] = [1, 2, 3].map(|seed| Identity::from_seed(&[seed; 32]));
        let secret = |byte| ExchangeSecret::from_bytes(&[byte; 32]);
        let handshake = Handshake {
            current: secret(11).public(),
            next: secret(12).public(),
            key_seq: 7,
            seq: 9,
        };
        let group = GroupSecret::from_password(b"secret");
        let compose = |group| {
            compose(HandshakeKind::Init, &handshake, &a, group, &b.key(), &secret(13)).unwrap()
        };
        let plain = compose(None);
        assert_eq!(
            open_handshake(&plain, &b, None, &a.key()),
            Some((HandshakeKind::Init, handshake))
        );
        assert_eq!(open_handshake(&plain, &b, None, &c.key()), None);
        assert_eq!(open_handshake(&plain, &c, None, &a.key()), None);
        assert_eq!(open_handshake(&plain, &b, Some(&group), &a.key()), None);
        let grouped = compose(Some(&group));
        assert!(open_handshake(&grouped, &b, Some(&group), &a.key()).is_some());
        assert_eq!(open_handshake(&grouped, &b, None, &a.key()), None);
        for len in 0..plain.len() {
            assert_eq!(open_handshake(&plain[..len], &b, None, &a.key()), None);
        }
        for at in 1..plain.len() {
            let mut flipped = plain.clone();
            flipped[at] ^= 0x40;
            // X25519 ignores the top bit of a key, and only that one.
            assert_eq!(open_handshake(&flipped, &b, None, &a.key()), None, "byte {at}");
        }
    }
}
