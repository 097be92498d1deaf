//! `planetary doctor --report`: a report for somebody who helps, shown before it is saved.
//!
//! The service makes it, of allow-listed members with pseudonyms in place of names; this shows it,
//! asks, and writes the file as the person who asked, readable by them alone.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, BufRead, IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use planetary_ipc::support::{ReportedError, ReportedLink, SupportReport};
use planetary_ipc::{Direction, Severity};

use crate::failure::Failure;
use crate::format::{self, Align, Printer, Style};
use crate::session::Session;

/// What is to become of the report.
#[derive(Debug)]
pub(super) struct Wish {
    /// Where to save it, or nowhere.
    pub(super) file: Option<PathBuf>,
    /// Save it without asking.
    pub(super) yes: bool,
    /// Replace a file that is there.
    pub(super) force: bool,
}

pub(super) async fn run(
    session: &Session,
    printer: &Printer,
    wish: Wish,
) -> Result<ExitCode, Failure> {
    let report = session.client().await?.report().await?;
    printer.print(&*report, render)?;
    let Some(file) = wish.file else { return Ok(ExitCode::SUCCESS) };
    if !wish.yes && !agreed(&file)? {
        return Ok(ExitCode::SUCCESS);
    }
    let text = if printer.is_json() {
        let mut json = serde_json::to_string_pretty(&report).map_err(io::Error::from)?;
        json.push('\n');
        json
    } else {
        render(&report, Style::Plain)
    };
    save(&file, &text, wish.force)?;
    tell(&format!("Saved in {}, readable by you alone.\n", shown(&file)));
    Ok(ExitCode::SUCCESS)
}

/// Asks on the terminal that shows the report. Without one nobody has seen it, so nothing is saved.
fn agreed(file: &Path) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Failure::Unasked { file: file.to_owned() });
    }
    format::write_out(&format!("\nSave this in {}? [y/N] ", shown(file)))?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    let agreed = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    if !agreed {
        format::write_out("Not saved.\n")?;
    }
    Ok(agreed)
}

/// Writes the file. One that is there is somebody's, and is replaced only by force.
fn save(file: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        // Removed and not emptied: who has it open, or is allowed to read it, keeps the old one.
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Failure::NotSaved { file: file.to_owned(), error });
            }
            _ => {}
        }
    }
    options.create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(file).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| Failure::NotSaved { file: file.to_owned(), error })
}

/// What is said beside the report itself.
fn tell(text: &str) {
    // There is no third place to tell that this one is closed.
    let _ = io::stderr().write_all(text.as_bytes());
}

fn shown(file: &Path) -> String {
    format::shortened(&format::plain(&file.display().to_string())).into_owned()
}

fn render(report: &SupportReport, style: Style) -> String {
    let mut text =
        format!("Report of a Planetary Network node, {}\n", format::timestamp(report.time));
    text += if report.pseudonyms_last {
        "Keys, addresses, hosts and interfaces have pseudonyms, the same in each report of this \
         node.\n\n"
    } else {
        "Keys, addresses, hosts and interfaces have pseudonyms, made for this report alone.\n\n"
    };
    text += &format::fields(&about(report));
    text += "\nHealth\n";
    text += &health(report, style);
    text += "\nSettings\n";
    let settings: Vec<_> =
        report.settings.iter().map(|one| (one.name.as_str(), one.value.clone())).collect();
    text += &format::fields(&settings);
    text += "\nLinks\n";
    text += &links(report, style);
    if !report.listeners.is_empty() {
        text += "\nListeners\n";
        for one in &report.listeners {
            let state = if one.up { "open" } else { "not open" };
            let why = failure(one.last_error.as_ref());
            let _ = writeln!(text, "  {} {state}{why}", format::plain(&one.transport));
        }
    }
    text += "\nCounters\n";
    let counters: Vec<_> =
        report.counters.iter().map(|one| (one.name.as_str(), one.value.to_string())).collect();
    text += &format::fields(&counters);
    text
}

fn about(report: &SupportReport) -> Vec<(&'static str, String)> {
    let node = &report.node;
    let ago = |seconds: Option<u64>| {
        seconds.map_or_else(|| "never".to_owned(), |s| format!("{} ago", format::duration(s)))
    };
    let depth = node.depth.map_or_else(format::dash, |depth| depth.to_string());
    let mut rows = vec![
        ("version", format!("{} on {} {}", report.version, report.os, report.arch)),
        ("node", node.name.clone()),
        ("state", format!("{} for {}", node.state.name(), format::duration(node.state_for_s))),
        ("running for", format::duration(node.uptime_s)),
        ("last answer", ago(node.proven_ago_s)),
        ("root", node.root.clone().unwrap_or_else(format::dash)),
        ("parent", node.parent.clone().unwrap_or_else(format::dash)),
        ("depth", depth),
    ];
    if let Some(interface) = &report.interface {
        rows.push(("interface", format!("{}, MTU {}", interface.name, interface.mtu)));
    }
    let clock = &report.clock;
    rows.push((
        "clock",
        match clock.ahead_s {
            Some(ahead) => format!("{ahead:+} s beside {} nodes", clock.witnesses),
            None => "not compared".to_owned(),
        },
    ));
    if let Some(jump) = clock.jump_s {
        rows.push(("clock was set", format!("by {jump:+} s")));
    }
    rows
}

fn health(report: &SupportReport, style: Style) -> String {
    let rows: Vec<[String; 3]> = report
        .health
        .iter()
        .map(|item| {
            let severity = match item.severity {
                Severity::Ok => "ok",
                Severity::Info => "note",
                Severity::Warning => "warning",
                Severity::Error => "error",
            };
            let lasted = item.for_s.map_or_else(String::new, format::duration);
            [severity.to_owned(), item.code.clone(), lasted]
        })
        .collect();
    let heading = [("RESULT", Align::Left), ("CODE", Align::Left), ("FOR", Align::Left)];
    format::table(heading, &rows, style)
}

fn links(report: &SupportReport, style: Style) -> String {
    if report.links.is_empty() {
        return "  none\n".to_owned();
    }
    let row = |link: &ReportedLink| {
        let state = match (link.up, link.suspect) {
            (true, false) => "up",
            (true, true) => "suspect",
            (false, _) => "down",
        };
        let way = match link.direction {
            Direction::Out => "out",
            Direction::In => "in",
        };
        let port = if link.is_port_443 { " 443" } else { "" };
        [
            link.node.clone().unwrap_or_else(format::dash),
            link.host.clone().unwrap_or_else(format::dash),
            format!("{}{port} {}", link.transport, link.host_kind),
            format!("{way} {state}"),
            format::milliseconds(link.latency_ms),
            link.uptime_s.map_or_else(format::dash, format::duration),
            format!("{} / {}", format::bytes(link.rx_bytes), format::bytes(link.tx_bytes)),
            failure(link.last_error.as_ref()).trim_start_matches(", ").to_owned(),
        ]
    };
    let rows: Vec<_> = report.links.iter().map(row).collect();
    let heading = [
        ("NODE", Align::Left),
        ("HOST", Align::Left),
        ("TRANSPORT", Align::Left),
        ("STATE", Align::Left),
        ("LATENCY", Align::Right),
        ("UP", Align::Right),
        ("RX / TX", Align::Right),
        ("LAST FAILURE", Align::Left),
    ];
    format::table(heading, &rows, style)
}

fn failure(error: Option<&ReportedError>) -> String {
    error.map_or_else(String::new, |error| {
        format!(", {} {} ago", format::plain(&error.code), format::duration(error.ago_s))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_made_private_and_one_that_is_there_is_kept_unless_forced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.txt");
        save(&path, "first", false).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(matches!(save(&path, "second", false), Err(Failure::NotSaved { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        save(&path, "third", true).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "third");
    }

    #[test]
    #[cfg(unix)]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "kept").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(save(&link, "x", false).is_err());
        save(&link, "x", true).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "kept");
    }
}
