//! `planetary visits`: who reached what on this computer lately.

use planetary_ipc::{Visit, VisitList, VisitOutcome};

use crate::failure::Failure;
use crate::format::{self, Align, Printer, Style};
use crate::session::Session;

pub(super) async fn run(session: &Session, printer: &Printer) -> Result<(), Failure> {
    let list = session.client().await?.visits().await?;
    Ok(printer.print(&list, render)?)
}

fn render(list: &VisitList, style: Style) -> String {
    if list.visits.is_empty() {
        return "Nobody has reached for anything here since the service was started.\n".to_owned();
    }
    let heading = [
        ("WHO", Align::Left),
        ("WHAT", Align::Left),
        ("", Align::Left),
        ("TIMES", Align::Right),
        ("LAST", Align::Left),
    ];
    let row = |visit: &Visit| {
        let what = visit.service.as_ref();
        [
            format::party(&visit.who),
            what.map_or_else(|| "pings".to_owned(), format::known_service),
            match visit.outcome {
                VisitOutcome::Opened => "reached".to_owned(),
                VisitOutcome::Refused => "refused".to_owned(),
            },
            visit.count.to_string(),
            format::ago(visit.last_at, list.time),
        ]
    };
    let rows: Vec<_> = list.visits.iter().map(row).collect();
    format::table(heading, &rows, style)
}
