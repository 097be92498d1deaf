//! Requests that carry secrets: backups, identities that come and go, settings of other programs.
//!
//! Conversion, like `control`, but for what is sealed: secrets are opened here, checked, handed to
//! [`backup`] and [`Node::take_over`], and overwritten. None is logged, shown or put into an error.
//! The server has let only root and the service's own account get here.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use planetary_ipc::import::{ExportSecret, ImportSecret, Setting};
use planetary_ipc::limits::{BACKUP_LEN_MAX, PASSPHRASE_CHARS_MIN, PASSPHRASE_LEN_MAX};
use planetary_ipc::{
    ApiError, Backup, Dialect, ErrorCode, ForeignKey, ForeignSettings, Identity, IdentityImport,
    ImportItem, ImportOutcome, ImportSource, Reply, Request, Sealed, SealingKeys, SettingsImport,
    Subnet, UnixTime,
};
use planetary_proto::identity::{self as core, NodeKey};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::backup::{self, BackupError, Cost, Opened, Parts};
use crate::control::{edit_error, switch_error};
use crate::health::Moment;
use crate::node::{Node, TakeOver, TakeOverError, TakenOver};
use crate::report::plain;
use crate::state::identity;

/// Answers requests with secrets, one passphrase at a time.
#[derive(Debug)]
pub struct Desk {
    node: Arc<Node>,
    keys: Mutex<SealingKeys>,
    /// Held while a passphrase is hashed: many at once would take the memory of the machine.
    hashing: Semaphore,
}

/// What the node calls itself.
#[must_use]
pub fn identity(node: &Node) -> Identity {
    named(&node.key(), Some(node.identity_path()))
}

fn named(key: &NodeKey, file: Option<&Path>) -> Identity {
    Identity {
        key: plain(key),
        address: key.address().to_ipv6(),
        subnet: Subnet::containing(key.subnet().to_ipv6()),
        file: file.map(|file| file.display().to_string()),
    }
}

impl Desk {
    /// A desk for `node`.
    #[must_use]
    pub fn new(node: Arc<Node>) -> Self {
        Self { node, keys: Mutex::default(), hashing: Semaphore::new(1) }
    }

    /// Answers a request with a secret.
    ///
    /// # Errors
    /// What the client is told.
    pub async fn answer(&self, request: Request) -> Result<Reply, ApiError> {
        match request {
            Request::SealingKey => self.keys.lock().make(Instant::now()).map(Reply::SealingKey),
            Request::SealedPart { secret } => {
                self.keys.lock().add(&secret, Instant::now()).map(|()| Reply::SealedPart)
            }
            Request::IdentityExport { secret } => {
                let secret = self.open::<ExportSecret>(&secret)?;
                self.export(secret.passphrase).await.map(Reply::Backup)
            }
            Request::IdentityImport { secret, dry_run, replace } => {
                let secret = self.open::<ImportSecret>(&secret)?;
                let import = self.import_identity(secret, dry_run, replace).await?;
                Ok(Reply::IdentityImport(Box::new(import)))
            }
            Request::Import { secret, dry_run, replace, keep_identity } => {
                let settings = self.open::<ForeignSettings>(&secret)?;
                let report = self.import(settings, dry_run, replace, keep_identity).await?;
                Ok(Reply::Import(Box::new(report)))
            }
            other => {
                let text = format!("`{}` has no secret", other.name());
                Err(ApiError::new(ErrorCode::Internal, text))
            }
        }
    }

    fn open<T: DeserializeOwned>(&self, sealed: &Sealed) -> Result<T, ApiError> {
        self.keys.lock().open(sealed, Instant::now())
    }

    async fn export(&self, passphrase: Zeroizing<String>) -> Result<Backup, ApiError> {
        check_passphrase(&passphrase)?;
        let (identity, created) = (self.node.identity(), Moment::now().unix_s);
        let text = {
            let identity = Arc::clone(&identity);
            let make =
                move || backup::make(&identity, Parts::default(), &passphrase, created, Cost::NEW);
            self.hash(make).await?.map_err(backup_error)?
        };
        tracing::info!("a backup of the identity was made");
        Ok(Backup {
            text,
            identity: named(&identity.key(), None),
            created: UnixTime(created),
            parts: vec![backup::IDENTITY.to_owned()],
        })
    }

    async fn import_identity(
        &self,
        secret: ImportSecret,
        dry_run: bool,
        replace: bool,
    ) -> Result<IdentityImport, ApiError> {
        let ImportSecret { passphrase, text } = secret;
        if text.len() > BACKUP_LEN_MAX {
            let what = format!("the file is longer than {} KiB", BACKUP_LEN_MAX / 1024);
            return Err(ApiError::new(ErrorCode::InvalidImport, what));
        }
        let (source, created, left, new) = match passphrase {
            None => (ImportSource::Key, None, Vec::new(), key_of(&text)?),
            Some(passphrase) => {
                let opened = self.hash(move || backup::open(&text, &passphrase)).await?;
                let Opened { identity, created, parts } = opened.map_err(backup_error)?;
                let left = parts.names().map(str::to_owned).collect();
                (ImportSource::Backup, Some(UnixTime(created)), left, identity)
            }
        };
        let wanted = TakeOver { identity: Some(new), replace, dry_run, ..TakeOver::default() };
        let taken = self.node.take_over(wanted).await.map_err(take_over_error)?;
        let (before, after) = self.names(&taken);
        Ok(IdentityImport {
            source,
            created,
            before,
            after,
            differs: taken.before != taken.after,
            applied: taken.applied,
            kept: taken.kept.map(|kept| kept.display().to_string()),
            left,
        })
    }

    async fn import(
        &self,
        settings: ForeignSettings,
        dry_run: bool,
        replace: bool,
        keep_identity: bool,
    ) -> Result<SettingsImport, ApiError> {
        let new = match &settings.private_key {
            Some(key) if !keep_identity => Some(foreign_identity(key)?),
            _ => None,
        };
        let has_key = settings.private_key.is_some();
        let wanted = TakeOver { identity: new, settings: Some(&settings), replace, dry_run };
        let mut taken = self.node.take_over(wanted).await.map_err(take_over_error)?;
        let mut items = std::mem::take(&mut taken.items);
        if has_key {
            let dialect = settings.dialect.unwrap_or(Dialect::Yggdrasil);
            items.insert(0, key_item(&taken, dialect, keep_identity, replace));
        }
        let (before, after) = self.names(&taken);
        Ok(SettingsImport {
            before,
            after,
            differs: taken.before != taken.after,
            applied: taken.applied,
            kept: taken.kept.map(|kept| kept.display().to_string()),
            config_file: self.node.config_path().display().to_string(),
            items,
        })
    }

    /// Who the node was, and is or would be. Only what is on the disk has a file.
    fn names(&self, taken: &TakenOver) -> (Identity, Identity) {
        let path = self.node.identity_path();
        let moved = taken.applied && taken.before != taken.after;
        let before = if moved { taken.kept.as_deref() } else { Some(path) };
        let after = (taken.applied || taken.before == taken.after).then_some(path);
        (named(&taken.before, before), named(&taken.after, after))
    }

    /// Does work that hashes a passphrase, on a thread of its own.
    async fn hash<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let broken = |_| ApiError::new(ErrorCode::Internal, "the passphrase was not tried");
        let _turn =
            self.hashing.acquire().await.map_err(|_| {
                ApiError::new(ErrorCode::ShuttingDown, "the service is about to end")
            })?;
        tokio::task::spawn_blocking(work).await.map_err(broken)
    }
}

/// What became of the imported key.
fn key_item(taken: &TakenOver, dialect: Dialect, keep_identity: bool, replace: bool) -> ImportItem {
    let (outcome, reason) = if keep_identity {
        (ImportOutcome::Kept, Some("the node keeps its own identity, as asked".to_owned()))
    } else if taken.before == taken.after {
        (ImportOutcome::Same, None)
    } else if replace {
        (ImportOutcome::Taken, None)
    } else {
        let reason = "the node has another identity; `--replace` takes this one, `--keep-identity` \
                      only the rest";
        (ImportOutcome::Kept, Some(reason.to_owned()))
    };
    let setting = Setting::PrivateKey.name(dialect).to_owned();
    ImportItem { setting, value: None, outcome, key: None, reason }
}

fn check_passphrase(passphrase: &str) -> Result<(), ApiError> {
    let weak = |text: String| Err(ApiError::new(ErrorCode::WeakPassphrase, text));
    let chars = passphrase.chars().count();
    if passphrase.len() > PASSPHRASE_LEN_MAX {
        weak(format!("the passphrase has more than {PASSPHRASE_LEN_MAX} bytes"))
    } else if chars < PASSPHRASE_CHARS_MIN {
        weak(format!("the passphrase has {chars} characters, and needs {PASSPHRASE_CHARS_MIN}"))
    } else {
        Ok(())
    }
}

fn key_of(text: &str) -> Result<core::Identity, ApiError> {
    identity::from_text(text.as_bytes()).map_err(|error| {
        ApiError::new(ErrorCode::InvalidImport, error.to_string())
            .with_hint("a key file is an Ed25519 key as PKCS#8 in PEM (\"BEGIN PRIVATE KEY\")")
    })
}

/// The identity in another program's configuration.
fn foreign_identity(key: &ForeignKey) -> Result<core::Identity, ApiError> {
    let wrong = |text: &str| {
        ApiError::new(ErrorCode::InvalidImport, text)
            .with_hint("mend the key, or take only the rest with `--keep-identity`")
    };
    let digits = match key {
        ForeignKey::Pem(text) => return key_of(text),
        ForeignKey::Hex(digits) => digits,
    };
    let halves = (digits.len() == 128 && digits.is_ascii()).then(|| digits.split_at(64));
    let halves = halves.and_then(|(seed, public)| {
        let seed = Zeroizing::new(seed.parse::<planetary_ipc::NodeKey>().ok()?.0);
        Some((seed, public.parse::<planetary_ipc::NodeKey>().ok()?))
    });
    let (seed, public) =
        halves.ok_or_else(|| wrong("the private key is not 128 hexadecimal digits"))?;
    let identity = core::Identity::from_seed(&seed);
    if plain(&identity.key()) != public {
        return Err(wrong("the two halves of the private key do not belong together"));
    }
    Ok(identity)
}

fn backup_error(error: BackupError) -> ApiError {
    let code = match &error {
        BackupError::WrongPassphrase => ErrorCode::WrongPassphrase,
        BackupError::NoMemory(_) | BackupError::NoRandomness(_) => ErrorCode::SystemRefused,
        _ => ErrorCode::InvalidImport,
    };
    let told = ApiError::new(code, error.to_string());
    match error {
        BackupError::NoMemory(_) => told.with_hint("close other programs, then try again"),
        BackupError::NotABackup => told.with_hint(
            "a backup is made with `planetary identity export`; a bare key file begins with \
             \"-----BEGIN PRIVATE KEY-----\"",
        ),
        BackupError::Newer(_) => told.with_hint("update planetary and planetaryd"),
        _ => told,
    }
}

fn take_over_error(error: TakeOverError) -> ApiError {
    match error {
        TakeOverError::Exists { .. } => ApiError::new(ErrorCode::IdentityExists, error.to_string()),
        TakeOverError::Edit(error) => edit_error(error),
        TakeOverError::Start(source) => {
            let text = format!("the node does not start with it, and stays as it was: {source}");
            ApiError { message: text, ..switch_error(source) }
        }
        other => ApiError::new(ErrorCode::SystemRefused, other.to_string())
            .with_hint("free space on the disk, or check who owns the state folder"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passphrase_has_bounds_in_characters_and_bytes() {
        assert!(check_passphrase("äöüßäöüß").is_ok());
        for weak in ["", "seven77", &"x".repeat(1025)] {
            assert_eq!(check_passphrase(weak).unwrap_err().code, ErrorCode::WeakPassphrase);
        }
    }

    #[test]
    fn halves_of_a_foreign_key_belong_together() {
        let good = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\
                    03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
        let read = |digits: &str| foreign_identity(&ForeignKey::Hex(digits.to_owned().into()));
        let address = read(good).unwrap().key().address().to_ipv6();
        assert_eq!(address.to_string(), "206:2f7c:2006:18f7:a0f1:4791:738c:5a1f");
        assert_eq!(read(&good.to_uppercase()).unwrap().key(), read(good).unwrap().key());
        for bad in ["", &good[2..], &good.replace("03a1", "03a2"), &"ä".repeat(64), &good[..64]] {
            let error = read(bad).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidImport);
            assert!(!error.message.contains("0405"), "{error}");
        }
    }
}
