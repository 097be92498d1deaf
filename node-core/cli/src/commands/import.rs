//! `planetary import`: takes over what another program of this network was told.

use std::path::Path;

use planetary_ipc::foreign::{self, Foreign, ForeignError};
use planetary_ipc::{
    ErrorCode, ForeignKey, ImportItem, ImportOutcome, RequestError, SettingsImport,
};
use zeroize::Zeroizing;

use crate::args::ImportArgs;
use crate::failure::Failure;
use crate::format::{self, Printer, Style, Tone};
use crate::session::Session;
use crate::{ask, files};

/// A key file has about 120 bytes.
const KEY_FILE_LEN_MAX: u64 = 16 * 1024;

pub(super) async fn run(
    session: &Session,
    printer: &Printer,
    args: ImportArgs,
) -> Result<(), Failure> {
    let ImportArgs { file, replace, keep_identity, dry_run, yes } = args;
    let Foreign { mut settings, key_file, left, .. } = read(&file)?;
    if let Some(named) = key_file.filter(|_| !keep_identity) {
        settings.private_key = Some(read_key(&file, &named)?);
    }
    let client = session.client().await?;
    let mut preview = client.import(&settings, true, replace, keep_identity).await?;
    preview.items.extend(left.iter().cloned());
    let nothing = !preview.differs && preview.count(ImportOutcome::Taken) == 0;
    if dry_run || nothing {
        return Ok(printer.print(&preview, |preview, style| shown(preview, &file, style))?);
    }
    let will_be_refused = preview.differs && !replace;
    let about = shown(&preview, &file, Style::Plain);
    if will_be_refused && !printer.is_json() {
        eprint!("{about}");
    }
    if !will_be_refused && !ask::confirm(printer, &about, "Take this over?", yes).await? {
        return Err(Failure::not_confirmed());
    }
    // A change of the address that nobody asked for is refused by the service, with the ways out.
    let done = client.import(&settings, false, replace, keep_identity).await;
    let mut done = done.map_err(refused)?;
    done.items.extend(left);
    Ok(printer.print(&done, |done, style| told(done, &file, yes, style))?)
}

fn read(file: &Path) -> Result<Foreign, Failure> {
    let bytes = files::read(file, foreign::FILE_LEN_MAX)?;
    let is_toml = file.extension().is_some_and(|name| name.eq_ignore_ascii_case("toml"));
    foreign::read(&bytes, is_toml).map_err(|error| {
        let hint = match error {
            ForeignError::Syntax { .. } => {
                "`yggdrasil -useconffile FILE -normaliseconf` writes a file in order"
            }
            ForeignError::Own => "`planetaryd run --config FILE` runs with it",
            _ => "name the configuration file of Yggdrasil, such as /etc/yggdrasil/yggdrasil.conf",
        };
        files::failure(file, &error.to_string(), hint)
    })
}

/// The key file that a configuration names, seen from there.
fn read_key(file: &Path, named: &Path) -> Result<ForeignKey, Failure> {
    let path = file.parent().unwrap_or(Path::new("")).join(named);
    let bytes = files::read(&path, KEY_FILE_LEN_MAX)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| {
        let hint = "a key file is PEM; `--keep-identity` takes the rest without it";
        files::failure(&path, "not a text file", hint)
    })?;
    Ok(ForeignKey::Pem(Zeroizing::new(text.to_owned())))
}

fn refused(error: RequestError) -> Failure {
    match error {
        RequestError::Refused(told) if told.code == ErrorCode::IdentityExists => {
            let hint = "`--replace` takes the imported identity and settings, `--keep-identity` \
                        only settings that are not set here";
            Failure::Request(RequestError::Refused(told.with_hint(hint)))
        }
        error => error.into(),
    }
}

/// What would be taken over.
fn shown(report: &SettingsImport, file: &Path, style: Style) -> String {
    let file = file.display().to_string();
    let mut text = format!("From {}:\n\n", format::plain(&file));
    text += &address(report);
    text.push('\n');
    text += &list(&report.items, style);
    if !report.differs && report.count(ImportOutcome::Taken) == 0 {
        text += "\nNothing to take over.\n";
    }
    text
}

fn address(report: &SettingsImport) -> String {
    let (before, after) = (report.before.address, report.after.address);
    if report.differs {
        format!("  address  {before}  ->  {after}\n")
    } else {
        format!("  address  {before}, as before\n")
    }
}

/// One line for each setting, what is taken first.
fn list(items: &[ImportItem], style: Style) -> String {
    let mut sorted: Vec<_> = items.iter().collect();
    sorted.sort_by_key(|item| item.outcome);
    let width = items.iter().map(|item| item.setting.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for item in sorted {
        let (word, tone) = match item.outcome {
            ImportOutcome::Taken => ("take", Tone::Good),
            ImportOutcome::Same => ("same", Tone::Muted),
            ImportOutcome::Kept => ("keep", Tone::Strong),
            ImportOutcome::Left => ("leave", Tone::Warning),
        };
        let (setting, word) = (format::plain(&item.setting), format!("{word:5}"));
        let mut line = format!("  {}  {setting:width$}", style.paint(tone, &word));
        if let Some(value) = &item.value {
            line += &format!("  {}", format::plain(value));
        }
        line += &match (&item.value, &item.reason) {
            (Some(_), Some(reason)) => format!(" ({})", format::plain(reason)),
            (None, Some(reason)) => format!("  {}", format::plain(reason)),
            (_, None) => String::new(),
        };
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// What was taken over. Who was asked has seen the list.
fn told(report: &SettingsImport, file: &Path, with_list: bool, style: Style) -> String {
    let mut text = if with_list { shown(report, file, style) + "\n" } else { String::new() };
    let taken = report.items.iter().filter(|item| item.outcome == ImportOutcome::Taken);
    let settings = taken.filter(|item| item.key.is_some()).count();
    if settings > 0 {
        let settings = format::count(settings, "setting", "settings");
        text += &format!("Wrote {settings} to {}.\n", format::plain(&report.config_file));
    }
    text += &format!("The address of this node is {}.\n", report.after.address);
    if let Some(kept) = &report.kept {
        let kept = format::plain(kept);
        text += &format!(
            "The former key ({}) is kept; this takes it back:\n  planetary identity import \
             --replace {kept}\n",
            report.before.address
        );
    }
    text
}
