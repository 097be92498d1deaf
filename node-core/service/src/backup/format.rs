//! The outside of a backup: JSON that a person can read, with everything needed to open it but the
//! passphrase.
//!
//! Every value of the outside is bound to the seal ([`Header::bound`]), so none can be changed
//! without a trace; spaces and the order of members do not count. Members that are not known are
//! refused: version 1 has none to come.

use base64ct::{Base64, Encoding};
use planetary_ipc::limits::BACKUP_LEN_MAX;
use planetary_proto::identity::NodeKey;
use serde::{Deserialize, Serialize};

use super::{BackupError, Cost, damaged};

pub(super) const SALT_LEN: usize = 16;
pub(super) const NONCE_LEN: usize = 24;

const FORMAT: &str = "planetary-backup";
const VERSION: u64 = 1;
const KDF: &str = "argon2id";
const KDF_VERSION: u32 = 19;
const CIPHER: &str = "xchacha20-poly1305";

/// What the outside says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) key: NodeKey,
    /// In seconds since 1970.
    pub(super) created: u64,
    pub(super) cost: Cost,
    pub(super) salt: [u8; SALT_LEN],
    pub(super) nonce: [u8; NONCE_LEN],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outside {
    format: String,
    version: u64,
    address: String,
    key: String,
    created: u64,
    kdf: Kdf,
    cipher: Cipher,
    sealed: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kdf {
    name: String,
    version: u32,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cipher {
    name: String,
    nonce: String,
}

impl Header {
    /// The associated data of the seal: every value of the outside, a line each.
    pub(super) fn bound(&self) -> String {
        let Self { key, created, cost: Cost { memory_kib, passes, lanes }, salt, nonce } = self;
        let (salt, nonce) = (Base64::encode_string(salt), Base64::encode_string(nonce));
        let address = key.address().to_ipv6();
        format!(
            "{FORMAT}\n{VERSION}\n{address}\n{key}\n{created}\n{KDF}\n{KDF_VERSION}\n\
             {memory_kib}\n{passes}\n{lanes}\n{salt}\n{CIPHER}\n{nonce}\n"
        )
    }
}

pub(super) fn render(header: &Header, sealed: &[u8]) -> String {
    let Header { key, created, cost, salt, nonce } = header;
    let outside = Outside {
        format: FORMAT.to_owned(),
        version: VERSION,
        address: key.address().to_ipv6().to_string(),
        key: key.to_string(),
        created: *created,
        kdf: Kdf {
            name: KDF.to_owned(),
            version: KDF_VERSION,
            memory_kib: cost.memory_kib,
            passes: cost.passes,
            lanes: cost.lanes,
            salt: Base64::encode_string(salt),
        },
        cipher: Cipher { name: CIPHER.to_owned(), nonce: Base64::encode_string(nonce) },
        sealed: Base64::encode_string(sealed),
    };
    // Strings and numbers can always be written.
    serde_json::to_string_pretty(&outside).unwrap_or_default() + "\n"
}

pub(super) fn parse(text: &str) -> Result<(Header, Vec<u8>), BackupError> {
    #[derive(Deserialize)]
    struct Sort {
        format: String,
        version: u64,
    }
    if text.len() > BACKUP_LEN_MAX {
        return Err(damaged(format!("it is longer than {} KiB", BACKUP_LEN_MAX / 1024)));
    }
    let sort: Sort = serde_json::from_str(text).map_err(|error| {
        // A backup that is cut off should not be called something else.
        match text.contains(FORMAT) {
            true => damaged(format!("its text breaks off or is changed at line {}", error.line())),
            false => BackupError::NotABackup,
        }
    })?;
    if sort.format != FORMAT {
        return Err(BackupError::NotABackup);
    }
    if sort.version != VERSION {
        return Err(BackupError::Newer(sort.version));
    }
    let outside: Outside = serde_json::from_str(text).map_err(|error| {
        damaged(format!("a member is missing, unknown or of the wrong kind, line {}", error.line()))
    })?;
    read(&outside)
}

fn read(outside: &Outside) -> Result<(Header, Vec<u8>), BackupError> {
    let Outside { address, key, created, kdf, cipher, sealed, .. } = outside;
    if kdf.name != KDF || kdf.version != KDF_VERSION || cipher.name != CIPHER {
        return Err(damaged("it names other algorithms than argon2id and xchacha20-poly1305"));
    }
    let key: NodeKey = key.parse().map_err(|_| damaged("`key` is not a key"))?;
    if *address != key.address().to_ipv6().to_string() {
        return Err(damaged("`address` is not that of `key`"));
    }
    let cost = Cost { memory_kib: kdf.memory_kib, passes: kdf.passes, lanes: kdf.lanes };
    let salt = exact(&kdf.salt, "salt")?;
    let nonce = exact(&cipher.nonce, "nonce")?;
    let sealed = Base64::decode_vec(sealed).map_err(|_| damaged("`sealed` is not whole Base64"))?;
    Ok((Header { key, created: *created, cost, salt, nonce }, sealed))
}

fn exact<const LEN: usize>(text: &str, name: &str) -> Result<[u8; LEN], BackupError> {
    let wrong = || damaged(format!("`{name}` is not {LEN} bytes of Base64"));
    let mut bytes = [0; LEN];
    // The buffer takes no more, so a longer text is an error, not a cut.
    let decoded = Base64::decode(text, &mut bytes).map_err(|_| wrong())?;
    if decoded.len() == LEN { Ok(bytes) } else { Err(wrong()) }
}
