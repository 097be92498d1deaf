//! The beacon with which nodes announce themselves on a local network.
//!
//! It names the sender's key and the port of its TLS listener, and shows that the sender knows the
//! password of the local network. Nothing in it is signed: whoever hears a beacon may send it again
//! from elsewhere, so all that may follow from one is an attempt to dial, pinned to the key. And
//! whoever hears it may try passwords at leisure, so the password must be long to be one.
//!
//! Source: protocol chapter 10.2.

use thiserror::Error;

use super::meta::{VERSION_MAJOR, VERSION_MINOR, password_hash};
use crate::identity::{KEY_LEN, NodeKey};

/// Length of a beacon in bytes. Receivers ignore what follows.
pub const BEACON_LEN: usize = HEAD_LEN + HASH_LEN;

/// Bytes before the hash: versions, key, port, and the length of the hash.
const HEAD_LEN: usize = 40;
/// Length of the hash.
const HASH_LEN: usize = 64;

/// What a node says to everybody on a local network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beacon {
    /// The sender's key, unproven.
    pub key: NodeKey,
    /// TCP port of the sender's TLS listener, never 0.
    pub port: u16,
}

/// Why a beacon is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BeaconError {
    /// Too short, or its hash has another length.
    #[error("the beacon has a wrong length")]
    BadLength,
    /// Another protocol version.
    #[error("the sender speaks protocol {0}.{1}")]
    IncompatibleVersion(u16, u16),
    /// Nobody listens on port 0.
    #[error("the beacon names no port")]
    NoPort,
    /// The sender has another password.
    #[error("the passwords of the local network differ")]
    PasswordMismatch,
    /// The own password is longer than 64 bytes.
    #[error("the password of the local network is longer than 64 bytes")]
    UnusablePassword,
}

impl Beacon {
    /// The datagram, under `password`.
    ///
    /// # Errors
    /// [`BeaconError::UnusablePassword`].
    pub fn emit(&self, password: &[u8]) -> Result<[u8; BEACON_LEN], BeaconError> {
        let hash = password_hash(&self.key, password).ok_or(BeaconError::UnusablePassword)?;
        let mut out = [0; BEACON_LEN];
        out[..2].copy_from_slice(&VERSION_MAJOR.to_be_bytes());
        out[2..4].copy_from_slice(&VERSION_MINOR.to_be_bytes());
        out[4..4 + KEY_LEN].copy_from_slice(self.key.as_bytes());
        out[36..38].copy_from_slice(&self.port.to_be_bytes());
        out[38..HEAD_LEN].copy_from_slice(&(HASH_LEN as u16).to_be_bytes());
        out[HEAD_LEN..].copy_from_slice(&hash);
        Ok(out)
    }

    /// Reads a datagram, without a look at the hash: cheap enough for a flood.
    ///
    /// # Errors
    /// The first check that fails; never one of the password.
    pub fn claim(bytes: &[u8]) -> Result<Self, BeaconError> {
        let (head, rest) = bytes.split_first_chunk::<HEAD_LEN>().ok_or(BeaconError::BadLength)?;
        let short = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let version = (short(0), short(2));
        if version != (VERSION_MAJOR, VERSION_MINOR) {
            return Err(BeaconError::IncompatibleVersion(version.0, version.1));
        }
        // Another length can be no hash of ours.
        if usize::from(short(38)) != HASH_LEN || rest.len() < HASH_LEN {
            return Err(BeaconError::BadLength);
        }
        let mut key = [0; KEY_LEN];
        key.copy_from_slice(&head[4..4 + KEY_LEN]);
        match short(36) {
            0 => Err(BeaconError::NoPort),
            port => Ok(Self { key: NodeKey::from_bytes(key), port }),
        }
    }

    /// Reads a datagram and checks that its sender knows `password`.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn parse(bytes: &[u8], password: &[u8]) -> Result<Self, BeaconError> {
        let beacon = Self::claim(bytes)?;
        let hash = password_hash(&beacon.key, password).ok_or(BeaconError::UnusablePassword)?;
        // The hash is no secret, it was sent to everybody: its comparison may take what it takes.
        if bytes.get(HEAD_LEN..BEACON_LEN) == Some(&hash[..]) {
            Ok(beacon)
        } else {
            Err(BeaconError::PasswordMismatch)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::identity::Identity;

    fn beacon() -> Beacon {
        Beacon { key: Identity::from_seed(&[7; 32]).key(), port: 9 }
    }

    #[test]
    fn passwords_must_agree() {
        for (theirs, ours) in [(&b"secret"[..], &b""[..]), (b"", b"secret"), (b"a", b"b")] {
            let wire = beacon().emit(theirs).unwrap();
            assert_eq!(Beacon::parse(&wire, theirs), Ok(beacon()));
            assert_eq!(Beacon::parse(&wire, ours), Err(BeaconError::PasswordMismatch));
        }
        let wire = beacon().emit(b"").unwrap();
        assert_eq!(Beacon::parse(&wire, &[0; 65]), Err(BeaconError::UnusablePassword));
        assert_eq!(beacon().emit(&[0; 65]), Err(BeaconError::UnusablePassword));
    }

    #[test]
    fn the_first_failing_check_is_reported() {
        let wire = beacon().emit(b"").unwrap();
        let changed = |at: usize, to: u8| {
            let mut wire = wire;
            wire[at] = to;
            Beacon::parse(&wire, b"")
        };
        assert_eq!(changed(1, 1), Err(BeaconError::IncompatibleVersion(1, 5)));
        assert_eq!(changed(3, 6), Err(BeaconError::IncompatibleVersion(0, 6)));
        assert_eq!(changed(37, 0), Err(BeaconError::NoPort));
        assert_eq!(changed(38, 1), Err(BeaconError::BadLength));
        assert_eq!(changed(39, 63), Err(BeaconError::BadLength));
        assert_eq!(changed(4, wire[4] ^ 1), Err(BeaconError::PasswordMismatch));
        for len in 0..BEACON_LEN {
            assert_eq!(Beacon::parse(&wire[..len], b""), Err(BeaconError::BadLength), "{len}");
        }
    }

    #[test]
    fn what_follows_is_ignored() {
        let longer = [&beacon().emit(b"").unwrap()[..], b"later versions"].concat();
        assert_eq!(Beacon::parse(&longer, b""), Ok(beacon()));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seed: [u8; 32], port in 1u16.., password: [u8; 8]) {
            let beacon = Beacon { key: Identity::from_seed(&seed).key(), port };
            let wire = beacon.emit(&password).unwrap();
            prop_assert_eq!(Beacon::claim(&wire), Ok(beacon));
            prop_assert_eq!(Beacon::parse(&wire, &password), Ok(beacon));
        }

        #[test]
        fn any_flipped_bit_but_that_of_the_port_is_noticed(at in 0..BEACON_LEN, bit in 0u32..8) {
            let mut wire = beacon().emit(b"secret").unwrap();
            wire[at] ^= 1u8 << bit;
            let is_port = (36..38).contains(&at);
            prop_assert!(is_port || Beacon::parse(&wire, b"secret").is_err());
        }

        #[test]
        fn any_bytes_are_refused_without_a_panic(bytes: Vec<u8>) {
            prop_assert!(Beacon::parse(&bytes, b"").is_err());
        }
    }
}
