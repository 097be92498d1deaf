//! `planetary explore`: what another node says of itself and its neighbours.

use std::fmt::Write as _;

use planetary_ipc::{Explored, NodeKey, Target};

use crate::failure::Failure;
use crate::format::{self, Printer};
use crate::session::Session;

/// Links that are listed; the rest is counted.
const LINKS_SHOWN_MAX: usize = 50;

pub(super) async fn run(
    session: &Session,
    printer: &Printer,
    target: Target,
) -> Result<(), Failure> {
    let client = session.client().await?;
    let key = match target {
        Target::Key(key) => key,
        Target::Address(_) => client.path(target).await?.key,
    };
    let explored = client.explore(key).await?;
    Ok(printer.print(&*explored, |explored, _| render(explored))?)
}

fn render(explored: &Explored) -> String {
    let address = explored.address;
    if !explored.answered {
        return format!(
            "{address} is there and says nothing of itself: it is closed to strangers, or does \
             not know the questions.\n"
        );
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_else(format::dash);
    let known = explored.routing_entries.map_or_else(format::dash, |known| known.to_string());
    let mut page = format!("{address} says of itself\n");
    page += &format::fields(&[
        ("key", explored.key.to_string()),
        ("name", text(&explored.name)),
        ("program", text(&explored.program)),
        ("system", text(&explored.system)),
        ("nodes it knows", known),
        ("round trip", format::milliseconds(explored.round_trip_ms)),
    ]);
    match explored.peers.as_deref() {
        None => page += "\nIt does not say whom it has links to.\n",
        Some(peers) => page += &links(peers),
    }
    page
}

fn links(peers: &[NodeKey]) -> String {
    let mut text = format!("\nLinks to {}\n", format::count(peers.len(), "node", "nodes"));
    for key in peers.iter().take(LINKS_SHOWN_MAX) {
        let _ = writeln!(text, "  {key}");
    }
    if let Some(rest) = peers.len().checked_sub(LINKS_SHOWN_MAX).filter(|rest| *rest > 0) {
        let _ = writeln!(text, "  and {rest} more");
    }
    text
}
