//! `planetary friend export` and `import`.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use planetary_ipc::{Client, FriendBook, ImportReport};
use serde::Serialize;

use super::add::not_done;
use crate::ask;
use crate::failure::Failure;
use crate::format::{self, Printer};

/// Largest file that is read. The service keeps no more friends than fit into one.
const FILE_LEN_MAX: u64 = 16 << 20;

/// What an export into a file prints as JSON.
#[derive(Serialize)]
struct Exported {
    file: PathBuf,
    friends: usize,
    blocked: usize,
}

pub(super) async fn export(
    client: &Client,
    printer: &Printer,
    file: Option<PathBuf>,
) -> Result<(), Failure> {
    let book = client.export_friends().await?;
    let mut text = serde_json::to_string_pretty(&book).map_err(io::Error::from)?;
    text.push('\n');
    let Some(file) = file else { return Ok(format::write_out(&text)?) };
    create(&file, text.as_bytes()).map_err(|error| {
        let shown = format::shortened(&file.display().to_string()).into_owned();
        let tip = "name a file that does not exist yet, in a folder of yours";
        ask::usage(&format!("{shown} cannot be written: {error}"), tip)
    })?;
    let (friends, blocked) = (book.friends.len(), book.blocked.len());
    Ok(printer.print(&Exported { file, friends, blocked }, |done, _| {
        format!(
            "Wrote {} and {} to {}.\nWhoever reads the file knows your friends: keep it to \
             yourself.\n",
            format::count(done.friends, "friend", "friends"),
            format::count(done.blocked, "blocked key", "blocked keys"),
            format::plain(&done.file.display().to_string())
        )
    })?)
}

/// Makes a file for this account alone; one that exists is left as it is.
fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

pub(super) async fn import(
    client: &Client,
    printer: &Printer,
    file: &Path,
    overwrite: bool,
    yes: bool,
) -> Result<ExitCode, Failure> {
    let shown = format::shortened(&file.display().to_string()).into_owned();
    let book = read(file).map_err(|why| {
        let tip = "give a file that `planetary friend export` wrote";
        ask::usage(&format!("{shown} {why}"), tip)
    })?;
    let about = describe(&shown, &book, overwrite);
    if !ask::confirm(printer, &about, "Add them?", yes).await? {
        return not_done();
    }
    let report = client.import_friends(book, overwrite).await?;
    printer.print(&report, |report, _| words(report))?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<FriendBook, String> {
    let unreadable = |error: io::Error| format!("cannot be read: {error}");
    // Asked before opening: to open a pipe would wait for a writer.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("is not an ordinary file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(FILE_LEN_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > FILE_LEN_MAX) {
        return Err(format!("is larger than {FILE_LEN_MAX} bytes"));
    }
    serde_json::from_slice(&bytes).map_err(|error| format!("is no list of friends: {error}"))
}

fn describe(shown: &str, book: &FriendBook, overwrite: bool) -> String {
    let reaching = book.friends.iter().filter(|friend| !friend.services.is_empty()).count();
    let rows = [
        ("friends", book.friends.len().to_string()),
        ("may reach services here", reaching.to_string()),
        ("blocked keys", book.blocked.len().to_string()),
        (
            "friends that are here",
            if overwrite { "changed" } else { "kept as they are" }.to_owned(),
        ),
    ];
    format!("{shown} holds:\n{}", format::fields(&rows))
}

fn words(report: &ImportReport) -> String {
    let mut text = format!(
        "{} added, {} changed, {} kept as they were, {} blocked.\n",
        report.added, report.updated, report.kept, report.blocked
    );
    for refusal in &report.refused {
        let name = refusal.name.as_ref().map_or_else(|| refusal.key.to_string(), |n| n.to_string());
        let (name, reason) = (format::plain(&name), format::plain(&refusal.reason));
        text += &format!("Not taken: {name} ({reason})\n");
    }
    text
}
