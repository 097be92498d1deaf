//! `planetary up` and `planetary down`: switches the node on and off.

use planetary_ipc::Status;

use super::status;
use crate::failure::Failure;
use crate::format::{Printer, Style};
use crate::session::Session;

pub(super) async fn up(session: &Session, printer: &Printer) -> Result<(), Failure> {
    let after = session.client().await?.up().await?;
    confirm(printer, &after)
}

pub(super) async fn down(session: &Session, printer: &Printer) -> Result<(), Failure> {
    let after = session.client().await?.down().await?;
    confirm(printer, &after)
}

fn confirm(printer: &Printer, after: &Status) -> Result<(), Failure> {
    // On standard error, whose colours standard output knows nothing of.
    Ok(printer
        .confirm(after, |after| status::headline(after, Style::Plain).trim_end().to_owned())?)
}
