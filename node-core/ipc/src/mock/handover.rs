//! Backups and imports of the mock: no cryptography but that of sealed secrets, and no file.
//!
//! A backup opens with [`PASSPHRASE`] alone. A key file, and the private key of another program,
//! are always the identity [`OTHER`]; nothing of the settings is kept.

use std::sync::MutexGuard;
use std::time::Instant;

use super::Mock;
use super::world::{SCHEMES, World};
use crate::error::{ApiError, ErrorCode};
use crate::identity::{Identity, NodeKey, UnixTime};
use crate::import::{
    Backup, Dialect, ExportSecret, ForeignSettings, IdentityImport, ImportItem, ImportOutcome,
    ImportSecret, ImportSource, Setting, SettingsImport,
};
use crate::limits;
use crate::message::{Reply, Request};
use crate::secret::SealingKeys;
use crate::status::public_uri;

/// Opens every backup.
const PASSPHRASE: &str = "correct horse battery";

/// What is imported.
const OTHER: &str = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";

/// When every backup was made: 2026-01-01 00:00 UTC.
const CREATED: UnixTime = UnixTime(1_767_225_600);

const KEPT: &str = "/var/lib/planetary/identity.pem.replaced-1767225600";

impl Mock {
    pub(super) fn handover(&self, request: Request) -> Result<Reply, ApiError> {
        let now = Instant::now();
        match request {
            Request::SealingKey => self.keys().make(now).map(Reply::SealingKey),
            Request::SealedPart { secret } => {
                self.keys().add(&secret, now).map(|()| Reply::SealedPart)
            }
            Request::IdentityExport { secret } => {
                let secret: ExportSecret = self.keys().open(&secret, now)?;
                export(secret, self.world().identity()).map(Reply::Backup)
            }
            Request::IdentityImport { secret, dry_run, replace } => {
                let secret: ImportSecret = self.keys().open(&secret, now)?;
                let (source, key) = read(&secret, &self.world().identity())?;
                let (before, after, applied) =
                    self.change(|world| become_other(world, key, dry_run, replace))?;
                let differs = before.key != after.key;
                let created = (source == ImportSource::Backup).then_some(CREATED);
                let kept = applied.then(|| KEPT.to_owned());
                let left = Vec::new();
                Ok(Reply::IdentityImport(Box::new(IdentityImport {
                    source,
                    created,
                    before,
                    after,
                    differs,
                    applied,
                    kept,
                    left,
                })))
            }
            Request::Import { secret, dry_run, replace, keep_identity } => {
                let settings: ForeignSettings = self.keys().open(&secret, now)?;
                let own = self.world().identity().key;
                let key = match settings.private_key {
                    Some(_) if !keep_identity => OTHER.parse().unwrap_or(own),
                    _ => own,
                };
                let (before, after, moved) =
                    self.change(|world| become_other(world, key, dry_run, replace))?;
                let differs = before.key != after.key;
                let items = items(&settings, differs, replace, keep_identity);
                let some = items.iter().any(|item| item.outcome == ImportOutcome::Taken);
                Ok(Reply::Import(Box::new(SettingsImport {
                    differs: before.key != after.key,
                    before,
                    after,
                    applied: !dry_run && some,
                    kept: moved.then(|| KEPT.to_owned()),
                    config_file: "/etc/planetary/config.toml".to_owned(),
                    items,
                })))
            }
            other => {
                let text = format!("`{}` has no secret", other.name());
                Err(ApiError::new(ErrorCode::Internal, text))
            }
        }
    }

    fn keys(&self) -> MutexGuard<'_, SealingKeys> {
        self.keys.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn export(ExportSecret { passphrase }: ExportSecret, own: Identity) -> Result<Backup, ApiError> {
    let chars = passphrase.chars().count();
    if chars < limits::PASSPHRASE_CHARS_MIN {
        let least = limits::PASSPHRASE_CHARS_MIN;
        let text = format!("the passphrase has {chars} characters, and needs {least}");
        return Err(ApiError::new(ErrorCode::WeakPassphrase, text));
    }
    let text = format!(
        "{{\"format\": \"planetary-backup\", \"version\": 1, \"address\": \"{}\"}}\n",
        own.address
    );
    let identity = Identity { file: None, ..own };
    Ok(Backup { text, identity, created: CREATED, parts: vec!["identity".to_owned()] })
}

fn read(secret: &ImportSecret, own: &Identity) -> Result<(ImportSource, NodeKey), ApiError> {
    let other = OTHER.parse().unwrap_or(own.key);
    let Some(passphrase) = &secret.passphrase else {
        return match secret.text.contains("BEGIN PRIVATE KEY") {
            true => Ok((ImportSource::Key, other)),
            false => {
                let text = "there is no \"-----BEGIN\" line";
                Err(ApiError::new(ErrorCode::InvalidImport, text))
            }
        };
    };
    if !secret.text.contains("planetary-backup") {
        let text = "the file is not a backup of this program";
        return Err(ApiError::new(ErrorCode::InvalidImport, text));
    }
    if passphrase.as_str() != PASSPHRASE {
        let text = "wrong passphrase, or the file was changed";
        return Err(ApiError::new(ErrorCode::WrongPassphrase, text));
    }
    let own_address = secret.text.contains(&own.address.to_string());
    Ok((ImportSource::Backup, if own_address { own.key } else { other }))
}

/// Who the node was and is, or would be, and whether that was done.
fn become_other(
    world: &mut World,
    key: NodeKey,
    dry_run: bool,
    replace: bool,
) -> Result<(Identity, Identity, bool), ApiError> {
    let before = world.identity();
    let differs = before.key != key;
    if differs && !dry_run && !replace {
        let text = format!(
            "this node has another identity: its address is {}, and would become {}",
            before.address,
            world.identity_of(key).address
        );
        return Err(ApiError::new(ErrorCode::IdentityExists, text));
    }
    if !differs || dry_run {
        let file = before.file.clone().filter(|_| !differs);
        return Ok((before, Identity { file, ..world.identity_of(key) }, false));
    }
    world.become_key(key);
    Ok((Identity { file: Some(KEPT.to_owned()), ..before }, world.identity(), true))
}

fn items(
    settings: &ForeignSettings,
    differs: bool,
    replace: bool,
    keep_identity: bool,
) -> Vec<ImportItem> {
    let dialect = settings.dialect.unwrap_or(Dialect::Yggdrasil);
    let item =
        |setting: Setting, value: Option<String>, outcome, reason: Option<&str>| ImportItem {
            setting: setting.name(dialect).to_owned(),
            value,
            outcome,
            key: setting.key().filter(|_| outcome != ImportOutcome::Left).map(str::to_owned),
            reason: reason.map(str::to_owned),
        };
    let mut items = Vec::new();
    if settings.private_key.is_some() {
        items.push(match (differs, replace) {
            _ if keep_identity => {
                let reason = "the node keeps its own identity, as asked";
                item(Setting::PrivateKey, None, ImportOutcome::Kept, Some(reason))
            }
            (false, _) => item(Setting::PrivateKey, None, ImportOutcome::Same, None),
            (true, true) => item(Setting::PrivateKey, None, ImportOutcome::Taken, None),
            (true, false) => {
                let reason = "the node has another identity; `--replace` takes this one, \
                              `--keep-identity` only the rest";
                item(Setting::PrivateKey, None, ImportOutcome::Kept, Some(reason))
            }
        });
    }
    for (setting, uris) in [(Setting::Peers, &settings.peers), (Setting::Listen, &settings.listen)]
    {
        items.extend(uris.iter().map(|uri| {
            let shown = Some(public_uri(uri));
            match uri.split_once("://").is_some_and(|(scheme, _)| SCHEMES.contains(&scheme)) {
                true => item(setting, shown, ImportOutcome::Taken, None),
                false => item(setting, shown, ImportOutcome::Left, Some("unknown scheme")),
            }
        }));
    }
    if let Some(name) = &settings.tun_name {
        items.push(item(Setting::TunName, Some(name.clone()), ImportOutcome::Same, None));
    }
    if settings.node_info_privacy == Some(false) {
        let reason = "name and version of program and system stay private here; set \
                      node_info_privacy = false to publish them";
        let value = Some("false".to_owned());
        items.push(item(Setting::NodeInfoPrivacy, value, ImportOutcome::Kept, Some(reason)));
    }
    items
}
