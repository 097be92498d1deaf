//! `planetary pause` and `planetary resume`: nobody can open anything on this computer for a while.

use planetary_ipc::Status;

use crate::failure::Failure;
use crate::format::{self, Printer};
use crate::session::Session;

pub(super) async fn pause(
    session: &Session,
    printer: &Printer,
    for_s: Option<u64>,
) -> Result<(), Failure> {
    let after = session.client().await?.pause(for_s).await?;
    Ok(printer.print(&after, |after, _| words(after))?)
}

pub(super) async fn resume(session: &Session, printer: &Printer) -> Result<(), Failure> {
    let after = session.client().await?.resume().await?;
    Ok(printer.print(&after, |after, _| words(after))?)
}

fn words(status: &Status) -> String {
    let access = format::access(&status.access, status.time);
    match status.access.paused {
        Some(_) => format!(
            "This computer is open to {access}.\nWhat you open yourself goes on; `planetary \
             resume` ends the pause.\n"
        ),
        None => format!("This computer is open to {access}.\n"),
    }
}
