//! `planetary doctor`: what is wrong, in plain words, and one thing to do about each.
//!
//! The service checks itself; what only a client can see (nobody listens, no permission, another
//! release, not even installed) is added here in the same form, from what `computer` and
//! `planetary_ipc::absence` see.

mod computer;
mod report;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use planetary_ipc::absence::{HOW_TO_RESTART, Seen};
use planetary_ipc::{
    Absence, DoctorReport, ErrorCode, HealthItem, RequestError, Severity, UnixTime,
};

use crate::args::DoctorArgs;
use crate::failure::Failure;
use crate::format::{self, Printer, Style};
use crate::session::Session;

pub(super) async fn run(
    session: &Session,
    printer: &Printer,
    wish: DoctorArgs,
) -> Result<ExitCode, Failure> {
    let DoctorArgs { report, yes, force } = wish;
    if let Some(file) = report {
        return report::run(session, printer, report::Wish { file, yes, force }).await;
    }
    let (report, code) = match examine(session).await {
        Ok(report) => {
            let broken = report.worst() == Severity::Error;
            (report, if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        Err(Failure::Absent(absence)) => away(session, absence),
        Err(Failure::Request(RequestError::Lost)) => away(session, Absence::lost()),
        // The usual advice is to run this command.
        Err(Failure::Request(error)) if error.code() == Some(ErrorCode::DeadlineExceeded) => {
            let items = vec![stuck(session, &error)];
            (DoctorReport { time: now(), items }, ExitCode::FAILURE)
        }
        Err(failure) => return Err(failure),
    };
    printer.print(&report, render)?;
    Ok(code)
}

/// What is said when nobody can be asked.
fn away(session: &Session, absence: Absence) -> (DoctorReport, ExitCode) {
    let absence = absence.seen(&Seen::look(&session.location));
    let items = computer::findings(&absence, &computer::nodes(&session.location));
    (DoctorReport { time: now(), items }, ExitCode::from(3))
}

async fn examine(session: &Session) -> Result<DoctorReport, Failure> {
    let client = session.client().await?;
    let mut report = client.doctor().await?;
    let theirs = &client.hello().status.version;
    if theirs != env!("CARGO_PKG_VERSION") {
        report.items.insert(0, other_release(theirs));
    }
    let path = &session.location.path;
    report.items.insert(0, computer::welcome(path, &Seen::of_socket(path)));
    Ok(report)
}

fn render(report: &DoctorReport, style: Style) -> String {
    let items = report.items.iter();
    let mut text: String =
        items.map(|item| format::health_item(item, report.time, style)).collect();
    let notable = report.items.iter().filter(|item| item.severity > Severity::Ok).count();
    text += &match notable {
        0 => "\nAll is well.\n".to_owned(),
        notable => format!("\n{} to look at.\n", format::count(notable, "thing", "things")),
    };
    text
}

fn other_release(theirs: &str) -> HealthItem {
    HealthItem {
        code: "version_differs".into(),
        title: "Service and command line are of different releases".into(),
        severity: Severity::Warning,
        text: format!("The service is {theirs}, this program {}.", env!("CARGO_PKG_VERSION")),
        since: None,
        affects_connectivity: false,
        action: Some("Restart the service, so that it runs what is installed.".to_owned()),
    }
}

fn stuck(session: &Session, error: &RequestError) -> HealthItem {
    let socket = session.location.path.display();
    HealthItem {
        code: ErrorCode::DeadlineExceeded.name().into(),
        title: "The service does not finish its checks".to_owned(),
        severity: Severity::Error,
        text: format!("It greets at {socket}, and then does not answer: {error}."),
        since: None,
        affects_connectivity: false,
        action: Some(sentence(HOW_TO_RESTART)),
    }
}

/// The text with a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).chain(['.']).collect()
}

fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    // A clock before 1970 is shown as 1970.
    UnixTime(since.map_or(0, |since| since.as_secs()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    const DOCUMENT: &str = include_str!("../../../../docs/ipc.md");

    #[test]
    fn document_lists_every_finding_of_the_client_and_no_other() {
        let head = "| code | the client finds that |\n| --- | --- |\n";
        let (_, rows) = DOCUMENT.split_once(head).expect("the table is there");
        let rows = rows.lines().map_while(|row| row.strip_prefix("| `")?.split_once("` | "));
        let listed: BTreeSet<_> = rows.map(|(code, _)| code).collect();
        let found = BTreeSet::from([
            "control_socket",
            "version_differs",
            "not_installed",
            "stopped",
            "no_permission",
            "version_mismatch",
            "untrusted",
            "unreachable",
            "connection_lost",
            "too_many_clients",
            "deadline_exceeded",
            "other_node",
        ]);
        assert_eq!(listed, found);
    }
}
