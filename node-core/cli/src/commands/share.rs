//! `planetary share`: the link with which others add this node as a friend, as text and as a QR
//! code.

use planetary_ipc::Shared;

use crate::args::ShareArgs;
use crate::failure::Failure;
use crate::format::{self, Printer};
use crate::qr;
use crate::session::Session;

pub(super) async fn run(
    session: &Session,
    printer: &Printer,
    args: ShareArgs,
) -> Result<(), Failure> {
    let peers = match (args.no_peers, args.peers.is_empty()) {
        (true, _) => Some(Vec::new()),
        (false, true) => None,
        (false, false) => Some(args.peers),
    };
    let shared = session.client().await?.share(args.name, peers).await?;
    qr::save(&shared.link, &args.picture)?;
    let text = qr::around(&shared.link, &words(&shared), &args.picture, printer.style())?;
    Ok(printer.print(&shared, |_, _| text)?)
}

fn words(shared: &Shared) -> String {
    let until = format::timestamp(shared.lobby_until);
    let peers = match &shared.peers[..] {
        [] => "It names no peers.".to_owned(),
        peers => format!("It names {}.", peers.join(" and ")),
    };
    format!(
        "{}\n\n{peers}\nSend it to a friend, who runs: planetary friend add 'LINK'\nUntil {until} \
         your node listens to strangers who followed it;\nwhat anybody may reach here you decide \
         yourself, with `planetary friend`.\n",
        shared.link
    )
}
