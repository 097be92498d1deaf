//! The `meta` message that both ends of a link send first.
//!
//! It names the sender's key and shows that it knows the link's password; it proves nothing fresh,
//! so what it says is a claim until tree edges and sessions are signed. Pure functions over bytes:
//! reading from a socket, deadlines and the allow-list are the caller's.
//!
//! Source: protocol chapter 2.7.

use thiserror::Error;

use crate::{
    crypto::{SIGNATURE_LEN, Signature, keyed_hash},
    identity::{Identity, KEY_LEN, NodeKey},
};

/// Bytes before the fields: the magic word and the length.
pub const HEAD_LEN: usize = 6;
/// Longest link password in bytes.
pub const PASSWORD_MAX: usize = 64;
/// The longest message that [`Meta::emit`] makes, in bytes.
pub const META_LEN_MAX: usize = 131;
/// Major version of the protocol spoken.
pub const VERSION_MAJOR: u16 = 0;
/// Minor version of the protocol spoken.
pub const VERSION_MINOR: u16 = 5;

const MAGIC: &[u8; 4] = b"meta";
const FIELD_MAJOR: u16 = 0;
const FIELD_MINOR: u16 = 1;
const FIELD_KEY: u16 = 2;
const FIELD_PRIORITY: u16 = 3;
/// Ours, out of a range that stock nodes skip.
const FIELD_CAPABILITIES: u16 = 0x8001;

/// What a node says of itself when a link opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// The sender's key.
    pub key: NodeKey,
    /// The priority that the sender wishes for this link; smaller is better, the larger of both
    /// wins.
    pub priority: u8,
    /// What the sender can do on this link beyond the protocol.
    pub capabilities: Capabilities,
}

/// What a node can do on a link beyond the protocol of the network, as a set.
///
/// A hint that is not signed: whoever can change it on its way takes from both ends what they would
/// have done more, or has one of them offer what the other does not take up. So nothing may follow
/// from it but the choice of a road for what is sealed anyway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(u32);

impl Capabilities {
    /// What stock nodes can do.
    pub const NONE: Self = Self(0);
    /// Takes frames of traffic as QUIC datagrams beside the stream.
    pub const DATAGRAMS: Self = Self(1);

    /// The set with these bits, known or not.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Whether all of `other` is among them.
    #[must_use]
    pub const fn contain(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What is in both sets.
    #[must_use]
    pub const fn shared_with(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// Why a greeting is refused. In the order of the checks of chapter 2.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MetaError {
    /// The first bytes are not `meta`: the other end is something else.
    #[error("the other end does not speak this protocol")]
    NotThisProtocol,
    /// The length or a field is off.
    #[error("the greeting is malformed")]
    BadLength,
    /// The own password is longer than [`PASSWORD_MAX`].
    #[error("the link password is longer than 64 bytes")]
    UnusablePassword,
    /// No key was sent.
    #[error("the greeting has no key")]
    NoKey,
    /// The signature does not verify under the own password.
    #[error("the link passwords differ")]
    PasswordMismatch,
    /// Another protocol version.
    #[error("the other end speaks protocol {0}.{1}, this node {VERSION_MAJOR}.{VERSION_MINOR}")]
    IncompatibleVersion(u16, u16),
}

impl Meta {
    /// The whole message, signed under `password`. Without capabilities it is that of a stock node.
    ///
    /// # Errors
    /// [`MetaError::UnusablePassword`].
    pub fn emit(
        identity: &Identity,
        priority: u8,
        capabilities: Capabilities,
        password: &[u8],
    ) -> Result<Vec<u8>, MetaError> {
        let key = identity.key();
        let hash = keyed_hash(password, key.as_bytes()).ok_or(MetaError::UnusablePassword)?;
        let mut out = Vec::with_capacity(META_LEN_MAX);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[0, 0]);
        put_field(&mut out, FIELD_MAJOR, &VERSION_MAJOR.to_be_bytes());
        put_field(&mut out, FIELD_MINOR, &VERSION_MINOR.to_be_bytes());
        put_field(&mut out, FIELD_KEY, key.as_bytes());
        put_field(&mut out, FIELD_PRIORITY, &[priority]);
        if capabilities != Capabilities::NONE {
            put_field(&mut out, FIELD_CAPABILITIES, &capabilities.0.to_be_bytes());
        }
        out.extend_from_slice(identity.sign(&hash).as_bytes());
        // Five fields and a signature: 125 bytes at most.
        let len = (out.len() - HEAD_LEN) as u16;
        out[4..HEAD_LEN].copy_from_slice(&len.to_be_bytes());
        Ok(out)
    }

    /// How many bytes follow the first [`HEAD_LEN`] ones (checks 1 and, in part, 2).
    ///
    /// # Errors
    /// [`MetaError::NotThisProtocol`], [`MetaError::BadLength`].
    pub fn body_len(head: &[u8; HEAD_LEN]) -> Result<usize, MetaError> {
        if head[..4] != *MAGIC {
            return Err(MetaError::NotThisProtocol);
        }
        let len = usize::from(u16::from_be_bytes([head[4], head[5]]));
        if len < SIGNATURE_LEN { Err(MetaError::BadLength) } else { Ok(len) }
    }

    /// Reads and checks what follows the head (checks 2 to 6).
    ///
    /// # Errors
    /// The first check that fails.
    pub fn parse(body: &[u8], password: &[u8]) -> Result<Self, MetaError> {
        let (fields, signature) =
            body.split_last_chunk::<SIGNATURE_LEN>().ok_or(MetaError::BadLength)?;
        let fields = Fields::parse(fields)?;
        if password.len() > PASSWORD_MAX {
            return Err(MetaError::UnusablePassword);
        }
        let key = fields.key.ok_or(MetaError::NoKey)?;
        let hash = keyed_hash(password, key.as_bytes()).ok_or(MetaError::UnusablePassword)?;
        if !key.verify(&hash, &Signature::from_bytes(*signature)) {
            return Err(MetaError::PasswordMismatch);
        }
        if (fields.major, fields.minor) != (VERSION_MAJOR, VERSION_MINOR) {
            return Err(MetaError::IncompatibleVersion(fields.major, fields.minor));
        }
        Ok(Self { key, priority: fields.priority, capabilities: fields.capabilities })
    }
}

/// What a beacon and a greeting prove knowledge of a password with (chapters 2.7 and 10.2).
#[must_use]
pub fn password_hash(key: &NodeKey, password: &[u8]) -> Option<[u8; 64]> {
    keyed_hash(password, key.as_bytes())
}

/// The fields in whatever order they came; what is missing counts as zero.
#[derive(Default)]
struct Fields {
    major: u16,
    minor: u16,
    key: Option<NodeKey>,
    priority: u8,
    capabilities: Capabilities,
}

impl Fields {
    fn parse(mut bytes: &[u8]) -> Result<Self, MetaError> {
        let mut fields = Self::default();
        while !bytes.is_empty() {
            let (head, rest) = bytes.split_first_chunk::<4>().ok_or(MetaError::BadLength)?;
            let kind = u16::from_be_bytes([head[0], head[1]]);
            let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let (value, rest) = rest.split_at_checked(len).ok_or(MetaError::BadLength)?;
            match kind {
                FIELD_MAJOR => fields.major = u16::from_be_bytes(exactly(value)?),
                FIELD_MINOR => fields.minor = u16::from_be_bytes(exactly(value)?),
                FIELD_KEY => {
                    fields.key = Some(NodeKey::from_bytes(exactly::<KEY_LEN>(value)?));
                }
                FIELD_PRIORITY => fields.priority = exactly::<1>(value)?[0],
                // What follows is for later versions. A shorter one is not ours.
                FIELD_CAPABILITIES => {
                    if let Some((bits, _)) = value.split_first_chunk() {
                        fields.capabilities = Capabilities(u32::from_be_bytes(*bits));
                    }
                }
                _ => {}
            }
            bytes = rest;
        }
        Ok(fields)
    }
}

fn exactly<const N: usize>(value: &[u8]) -> Result<[u8; N], MetaError> {
    value.try_into().map_err(|_| MetaError::BadLength)
}

fn put_field(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend_from_slice(&kind.to_be_bytes());
    // Values are at most 32 bytes long.
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity::from_seed(&[7; 32])
    }

    fn body(priority: u8, password: &[u8]) -> Vec<u8> {
        Meta::emit(&identity(), priority, Capabilities::NONE, password).unwrap().split_off(HEAD_LEN)
    }

    /// A greeting with `fields` in place of the usual ones.
    fn signed(fields: &[(u16, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (kind, value) in fields {
            put_field(&mut out, *kind, value);
        }
        let hash = keyed_hash(b"", identity().key().as_bytes()).unwrap();
        out.extend_from_slice(identity().sign(&hash).as_bytes());
        out
    }

    #[test]
    fn passwords_must_agree() {
        assert!(Meta::parse(&body(3, b"secret"), b"secret").is_ok_and(|meta| meta.priority == 3));
        for (theirs, ours) in [(&b"secret"[..], &b""[..]), (b"", b"secret"), (b"a", b"b")] {
            assert_eq!(Meta::parse(&body(0, theirs), ours), Err(MetaError::PasswordMismatch));
        }
        assert_eq!(Meta::parse(&body(0, b""), &[0; 65]), Err(MetaError::UnusablePassword));
        assert!(Meta::emit(&identity(), 0, Capabilities::NONE, &[0; 65]).is_err());
    }

    #[test]
    fn fields_come_in_any_order_and_unknown_ones_are_skipped() {
        let key = *identity().key().as_bytes();
        let body = signed(&[(3, &[9]), (0x8002, b"hint"), (2, &key), (1, &[0, 5])]);
        let capabilities = Capabilities::NONE;
        let meta = Meta { key: identity().key(), priority: 9, capabilities };
        assert_eq!(Meta::parse(&body, b""), Ok(meta));
    }

    #[test]
    fn capabilities_are_said_and_may_grow() {
        let all = Capabilities::from_bits(0x8000_0001);
        let long = Meta::emit(&identity(), 0, all, b"").unwrap();
        assert_eq!(long.len(), META_LEN_MAX);
        assert_eq!(Meta::parse(&long[HEAD_LEN..], b"").unwrap().capabilities, all);
        assert!(all.contain(Capabilities::DATAGRAMS));
        assert_eq!(all.shared_with(Capabilities::DATAGRAMS), Capabilities::DATAGRAMS);
        assert!(!Capabilities::NONE.contain(Capabilities::DATAGRAMS));

        let key = *identity().key().as_bytes();
        let said = |value: &[u8]| {
            let body = signed(&[(2, &key), (1, &[0, 5]), (FIELD_CAPABILITIES, value)]);
            Meta::parse(&body, b"").unwrap().capabilities
        };
        assert_eq!(said(&[0, 0, 0, 1, 9, 9]), Capabilities::DATAGRAMS);
        assert_eq!(said(&[0, 0, 1]), Capabilities::NONE);
    }

    #[test]
    fn the_first_failing_check_is_reported() {
        let key = *identity().key().as_bytes();
        assert_eq!(Meta::body_len(b"HTTP/1"), Err(MetaError::NotThisProtocol));
        assert_eq!(Meta::body_len(b"meta\x00\x3f"), Err(MetaError::BadLength));
        assert_eq!(Meta::parse(&signed(&[(1, &[0, 5])]), b""), Err(MetaError::NoKey));
        assert_eq!(Meta::parse(&signed(&[(2, &key[1..])]), b""), Err(MetaError::BadLength));
        let old = signed(&[(2, &key), (1, &[0, 4])]);
        assert_eq!(Meta::parse(&old, b""), Err(MetaError::IncompatibleVersion(0, 4)));
        let unversioned = signed(&[(2, &key)]);
        assert_eq!(Meta::parse(&unversioned, b""), Err(MetaError::IncompatibleVersion(0, 0)));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_refused_without_a_panic(bytes: Vec<u8>) {
            proptest::prop_assert!(Meta::parse(&bytes, b"").is_err());
        }
    }
}
