//! `planetary identity`: who this node is, saved to a backup, and taken from one.

use std::path::Path;

use planetary_ipc::import::{ExportSecret, ImportSecret};
use planetary_ipc::{Identity, IdentityImport, ImportSource, UnixTime, limits};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::args::{ExportArgs, IdentityImportArgs};
use crate::failure::Failure;
use crate::format::{self, Printer};
use crate::session::Session;
use crate::{ask, files, passphrase};

pub(super) async fn run(session: &Session, printer: &Printer) -> Result<(), Failure> {
    let identity = session.client().await?.identity().await?;
    Ok(printer.print(&identity, |identity, _| {
        let file = identity.file.clone().unwrap_or_else(|| "none, in memory only".into());
        format::fields(&[
            ("key", identity.key.to_string()),
            ("address", identity.address.to_string()),
            ("subnet", identity.subnet.to_string()),
            ("key file", file),
        ])
    })?)
}

/// What `planetary identity export --json` prints.
#[derive(Serialize)]
struct Exported {
    file: Option<String>,
    created: UnixTime,
    identity: Identity,
    parts: Vec<String>,
}

pub(super) async fn export(
    session: &Session,
    printer: &Printer,
    ExportArgs { file, passphrase_file, force }: ExportArgs,
) -> Result<(), Failure> {
    let to_stdout = file == Path::new("-");
    if !to_stdout {
        files::check_writable(&file, force)?;
    }
    let client = session.client().await?;
    let passphrase = passphrase::choose(passphrase_file).await?;
    let backup = client.export_identity(&ExportSecret { passphrase }).await?;
    if to_stdout {
        return Ok(format::write_out(&backup.text)?);
    }
    files::write_private(&file, &backup.text, force)?;
    let exported = Exported {
        file: Some(file.display().to_string()),
        created: backup.created,
        identity: backup.identity,
        parts: backup.parts,
    };
    Ok(printer.print(&exported, |exported, _| {
        let file = exported.file.as_deref().unwrap_or_default();
        let (address, parts) = (exported.identity.address, exported.parts.join(", "));
        format!(
            "Saved a backup of {address} to {} ({parts}).\nIt opens with the passphrase alone: \
             keep both, and keep them apart.\n",
            format::plain(file)
        )
    })?)
}

pub(super) async fn import(
    session: &Session,
    printer: &Printer,
    IdentityImportArgs { file, passphrase_file, replace, dry_run, yes }: IdentityImportArgs,
) -> Result<(), Failure> {
    let len_max = u64::try_from(limits::BACKUP_LEN_MAX).unwrap_or(u64::MAX);
    let bytes = files::read(&file, len_max)?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let is_backup = text.trim_start().starts_with('{');
    if !is_backup && !text.contains("-----BEGIN ") {
        let hint = "a backup is made with `planetary identity export`, a key file is PEM";
        return Err(files::failure(&file, "neither a backup nor a key file", hint));
    }
    let client = session.client().await?;
    // A bare key needs none.
    let passphrase = match is_backup {
        true => Some(passphrase::recall(passphrase_file).await?),
        false => None,
    };
    let secret = ImportSecret { passphrase, text: Zeroizing::new(text.to_owned()) };
    let preview = client.import_identity(&secret, true, replace).await?;
    if dry_run || !preview.differs {
        return Ok(printer.print(&preview, |preview, _| told(preview))?);
    }
    let question = "Replace the identity of this node?";
    if replace && !ask::confirm(printer, &told(&preview), question, yes).await? {
        return Err(Failure::not_confirmed());
    }
    // Without `--replace` the service says no, and what to do.
    let done = client.import_identity(&secret, false, replace).await?;
    Ok(printer.print(&done, |done, _| told(done))?)
}

fn told(import: &IdentityImport) -> String {
    let (before, after) = (import.before.address, import.after.address);
    let source = match (import.source, import.created) {
        (ImportSource::Backup, Some(made)) => {
            format!("The backup of {}", format::timestamp(made))
        }
        (ImportSource::Backup, None) => "The backup".to_owned(),
        (ImportSource::Key, _) => "The key file".to_owned(),
    };
    let mut text = if !import.differs {
        format!("{source} holds the identity that this node has: {before}. Nothing to do.\n")
    } else if import.applied {
        format!("The address of this node is {after}.\n")
    } else {
        format!(
            "{source} holds another identity:\n  now   {before}\n  then  {after}\n\
             Who knows this node by its present address does not reach it there any more.\n\
             The present key is kept and can be taken back.\n"
        )
    };
    if let Some(kept) = &import.kept {
        let kept = format::plain(kept);
        text += &format!(
            "The former key ({before}) is kept; this takes it back:\n  planetary identity import \
             --replace {kept}\n"
        );
    }
    if !import.left.is_empty() {
        text += &format!(
            "The backup also holds {}, which this version cannot take. Keep the file.\n",
            format::plain(&import.left.join(", "))
        );
    }
    text
}
