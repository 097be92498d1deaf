//! Backups of the node's identity: a text file that one passphrase opens.
//!
//! `docs/backup.md` describes the file for people and for other programs. [`format`](mod@format) is
//! its outside, which anybody may read and nobody may change; [`parts`] is what is sealed in it, by
//! name, so that later versions can add to it; this module turns a passphrase into a key (Argon2id)
//! and seals (XChaCha20-Poly1305, with the whole outside as associated data).
//!
//! A file comes from anywhere: its costs are bounded before they are paid, its lengths before they
//! are allocated. A wrong passphrase and a changed file cannot be told apart once the outside is in
//! order, because the same tag proves both.

mod format;
mod parts;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use planetary_proto::identity::{Identity, NodeKey};
use zeroize::{Zeroize, Zeroizing};

use self::format::{Header, NONCE_LEN, SALT_LEN};
pub use self::parts::{Parts, PartsError};
use crate::state::identity::{self, KeyTextError};

/// Name of the part that holds the private key, as PKCS#8 in PEM.
pub const IDENTITY: &str = "identity";

/// Bytes of a tag of Poly1305.
const TAG_LEN: usize = 16;

/// What a guess at the passphrase costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes; computed one after the other here.
    pub lanes: u32,
}

impl Cost {
    /// The cost of new backups: a quarter of a second on a laptop, and 64 MiB for every guess of an
    /// attacker. The second choice of RFC 9106, with one lane.
    pub const NEW: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 };

    /// Most memory that a file may ask for. Four times that of new backups, so that a later version
    /// can ask for more; more would be an attack on this machine.
    pub const MEMORY_KIB_MAX: u32 = 256 * 1024;

    /// Most work that a file may ask for, in KiB times passes: about two seconds on a laptop.
    pub const WORK_MAX: u64 = 4 * 256 * 1024;

    /// Most lanes that a file may ask for.
    pub const LANES_MAX: u32 = 16;

    /// Whether the cost is one that may be paid.
    #[must_use]
    pub fn is_bearable(self) -> bool {
        self.memory_kib <= Self::MEMORY_KIB_MAX
            && (1..=Self::LANES_MAX).contains(&self.lanes)
            && u64::from(self.memory_kib) * u64::from(self.passes) <= Self::WORK_MAX
    }
}

/// Why there is no backup, or why a file does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The file is something else.
    #[error("the file is not a backup of this program")]
    NotABackup,
    /// A newer program made it.
    #[error("the backup is of version {0}, and this program reads version 1; update the program")]
    Newer(u64),
    /// The outside of the file is not in order.
    #[error("the backup is damaged: {0}")]
    Damaged(String),
    /// The file asks for more memory or work than a backup needs.
    #[error("the backup asks for more memory or time than this program gives to a passphrase")]
    Unbearable,
    /// The tag does not fit.
    #[error("wrong passphrase, or the file was changed")]
    WrongPassphrase,
    /// The system gives no memory for the passphrase.
    #[error("there is not enough free memory to try the passphrase ({0} MiB)")]
    NoMemory(u32),
    /// The system gives no random numbers.
    #[error("no random numbers: {0}")]
    NoRandomness(getrandom::Error),
    /// Too much is to be backed up.
    #[error(transparent)]
    Parts(#[from] PartsError),
}

/// A backup that was opened.
#[derive(Debug)]
pub struct Opened {
    /// Who it is of.
    pub identity: Identity,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// What else is in it.
    pub parts: Parts,
}

/// Makes the text of a backup.
///
/// # Errors
/// [`BackupError::Parts`], [`BackupError::NoMemory`] and [`BackupError::NoRandomness`].
pub fn make(
    identity: &Identity,
    mut parts: Parts,
    passphrase: &str,
    created: u64,
    cost: Cost,
) -> Result<String, BackupError> {
    parts.insert(IDENTITY, identity::to_text(identity).as_bytes())?;
    let (mut salt, mut nonce) = ([0; SALT_LEN], [0; NONCE_LEN]);
    getrandom::fill(&mut salt).map_err(BackupError::NoRandomness)?;
    getrandom::fill(&mut nonce).map_err(BackupError::NoRandomness)?;
    let header = Header { key: identity.key(), created, cost, salt, nonce };
    let cipher = cipher(&header, passphrase)?;
    let mut sealed = parts.emit(TAG_LEN);
    cipher
        .encrypt_in_place(&XNonce::from(nonce), header.bound().as_bytes(), &mut *sealed)
        .map_err(|_| PartsError::TooLong)?;
    Ok(format::render(&header, &sealed))
}

/// Opens a backup.
///
/// # Errors
/// [`BackupError`], all but [`BackupError::NoRandomness`].
pub fn open(text: &str, passphrase: &str) -> Result<Opened, BackupError> {
    let (header, sealed) = format::parse(text)?;
    if !header.cost.is_bearable() {
        return Err(BackupError::Unbearable);
    }
    let cipher = cipher(&header, passphrase)?;
    let mut plain = Zeroizing::new(sealed);
    cipher
        .decrypt_in_place(&XNonce::from(header.nonce), header.bound().as_bytes(), &mut *plain)
        .map_err(|_| BackupError::WrongPassphrase)?;
    // From here on the file is as somebody with the passphrase made it.
    let mut parts = Parts::parse(&plain)?;
    let key = parts.take(IDENTITY).ok_or_else(|| damaged("it holds no identity"))?;
    let identity = identity::from_text(&key).map_err(|error: KeyTextError| damaged(error))?;
    if identity.key() != header.key {
        return Err(damaged("it says to be of another key than the one in it"));
    }
    Ok(Opened { identity, created: header.created, parts })
}

/// Whose backup a text says to be, without a proof.
///
/// # Errors
/// [`BackupError::NotABackup`], [`BackupError::Newer`], [`BackupError::Damaged`].
pub fn peek(text: &str) -> Result<(NodeKey, u64), BackupError> {
    format::parse(text).map(|(header, _)| (header.key, header.created))
}

fn damaged(why: impl ToString) -> BackupError {
    BackupError::Damaged(why.to_string())
}

fn cipher(header: &Header, passphrase: &str) -> Result<XChaCha20Poly1305, BackupError> {
    let key = stretch(header.cost, &header.salt, passphrase)?;
    Ok(XChaCha20Poly1305::new((&*key).into()))
}

/// Turns a passphrase into a key, for the price of `cost`.
fn stretch(
    cost: Cost,
    salt: &[u8; SALT_LEN],
    passphrase: &str,
) -> Result<Zeroizing<[u8; 32]>, BackupError> {
    let Cost { memory_kib, passes, lanes } = cost;
    let impossible = |error: argon2::Error| damaged(format!("its costs are impossible: {error}"));
    let params = Params::new(memory_kib, passes, lanes, Some(32)).map_err(impossible)?;
    // Asked for by hand, because a refusal of the system must not end the service, and because the
    // blocks say something about the passphrase afterwards.
    let mut memory = Vec::new();
    memory
        .try_reserve_exact(params.block_count())
        .map_err(|_| BackupError::NoMemory(memory_kib.div_ceil(1024)))?;
    memory.resize(params.block_count(), Block::new());
    let mut key = Zeroizing::new([0; 32]);
    let hashed = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(passphrase.as_bytes(), salt, &mut *key, &mut memory);
    memory.iter_mut().for_each(Zeroize::zeroize);
    hashed.map_err(impossible)?;
    Ok(key)
}

#[cfg(test)]
mod tests;
