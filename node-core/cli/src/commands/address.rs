//! `planetary address`: the address of this node, its subnet or its key, and nothing else.

use std::net::Ipv6Addr;

use planetary_ipc::{NodeKey, Subnet};
use serde::Serialize;

use crate::failure::Failure;
use crate::format::Printer;
use crate::session::Session;

/// What `planetary address --json` prints.
#[derive(Serialize)]
struct Address {
    address: Ipv6Addr,
    subnet: Subnet,
    key: NodeKey,
}

pub(super) async fn run(
    session: &Session,
    printer: &Printer,
    subnet: bool,
    key: bool,
) -> Result<(), Failure> {
    let client = session.client().await?;
    let status = &client.hello().status;
    let address = Address { address: status.address, subnet: status.subnet, key: status.key };
    Ok(printer.print(&address, |address, _| match (subnet, key) {
        (true, _) => format!("{}\n", address.subnet),
        (false, true) => format!("{}\n", address.key),
        (false, false) => format!("{}\n", address.address),
    })?)
}
