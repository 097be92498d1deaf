//! `planetary identity show`: who this node is.

use crate::failure::Failure;
use crate::format::{self, Printer};
use crate::session::Session;

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
