//! `planetary up` and `planetary down`: switches the node on and off.

use super::status;
use crate::failure::Failure;
use crate::format::Printer;
use crate::session::Session;

pub(super) async fn up(session: &Session, printer: &Printer) -> Result<(), Failure> {
    let after = session.client().await?.up().await?;
    Ok(printer.print(&after, |after, style| status::headline(after, style))?)
}

pub(super) async fn down(session: &Session, printer: &Printer) -> Result<(), Failure> {
    let after = session.client().await?.down().await?;
    Ok(printer.print(&after, |after, style| status::headline(after, style))?)
}
