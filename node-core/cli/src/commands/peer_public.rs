//! `planetary peer public`: lists public peers, tests them, and chooses the best.

use std::fmt::Write as _;
use std::process::ExitCode;

use planetary_ipc::{ListTrust, PublicFilter, PublicPeer, PublicPeers, limits};

use super::peer_test::{self, Report};
use crate::args::PublicArgs;
use crate::failure::Failure;
use crate::format::{self, Align, Printer, Style, Tone};
use crate::session::Session;

pub(super) async fn run(
    session: &Session,
    printer: &Printer,
    asked: PublicArgs,
) -> Result<ExitCode, Failure> {
    let client = session.client().await?;
    let PublicArgs { country, region, transports, search, best, add, test, refresh, .. } = asked;
    let filter = PublicFilter { country, region, transports, search };
    if refresh {
        let list = client.refresh_public_peers().await?;
        if !printer.is_json() {
            format::write_out(&format!("Fetched. {}", about(&list)))?;
        }
    }
    if best.is_none() && !add && !test {
        let peers = client.public_peers(filter).await?;
        printer.print(&peers, list)?;
        return Ok(ExitCode::SUCCESS);
    }
    let best = match (test, best) {
        (true, _) => 0,
        (false, best) => best.unwrap_or(limits::PEER_CHOICE_DEFAULT),
    };
    let job = client.choose_peers(filter, Some(best), add).await?;
    let report = peer_test::follow(&client, printer, job).await?;
    match test {
        true => printer.print(&report, peer_test::table)?,
        false => printer.print(&report, choices)?,
    }
    let done = if test { report.answered() } else { !report.choices.is_empty() };
    Ok(if done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Which list it is.
fn about(peers: &PublicPeers) -> String {
    let trust = match peers.trust {
        ListTrust::Shipped => "shipped with the program",
        ListTrust::Signed => "fetched, signed",
        ListTrust::Unsigned => "fetched, not signed",
    };
    let age = format::count(usize::try_from(peers.age_days).unwrap_or(usize::MAX), "day", "days");
    let fetched = match peers.fetched_at {
        Some(at) => format!(" {}", format::ago(at, peers.time)),
        None => String::new(),
    };
    format!(
        "The list of {} has {} ({age} old, {trust}{fetched}).\nSource: {}\n",
        format::plain(&peers.date),
        format::count(usize::try_from(peers.total).unwrap_or(usize::MAX), "peer", "peers"),
        format::plain(&peers.source),
    )
}

fn list(peers: &PublicPeers, style: Style) -> String {
    let mut text = about(peers);
    if let Some(error) = &peers.refresh_error {
        let when = format::ago(error.at, peers.time);
        let _ =
            writeln!(text, "It could not be refreshed {when}: {}", format::plain(&error.message));
    }
    if peers.rejected_total > 0 {
        let count = usize::try_from(peers.rejected_total).unwrap_or(usize::MAX);
        let entries = format::count(count, "entry", "entries");
        let _ = writeln!(text, "{entries} cannot be understood:");
        for entry in &peers.rejected {
            let _ = writeln!(text, "  entry {}: {}", entry.entry, format::plain(&entry.reason));
        }
        let left = count.saturating_sub(peers.rejected.len());
        if left > 0 {
            let _ = writeln!(text, "  {}", format::and_more(left, "entry", "entries"));
        }
    }
    if peers.peers.is_empty() {
        return text + "No peer matches all of that.\n";
    }
    let heading = [
        ("PEER", Align::Left),
        ("COUNTRY", Align::Left),
        ("REGION", Align::Left),
        ("", Align::Left),
    ];
    let row = |peer: &PublicPeer| {
        [peer.uri.clone(), peer.country.clone(), peer.region.clone(), note(peer)]
    };
    let rows: Vec<_> = peers.peers.iter().map(row).collect();
    let all = format::count(rows.len(), "peer matches", "peers match");
    let _ = writeln!(text, "{}", style.paint(Tone::Strong, &all));
    text + &format::table(heading, &rows, style)
}

fn note(peer: &PublicPeer) -> String {
    let mut notes = Vec::new();
    if peer.in_use {
        notes.push("in use".to_owned());
    }
    if !peer.usable {
        notes.push("this node cannot dial it".to_owned());
    }
    if let Some(record) = &peer.record {
        let answered = format!("answered {} of {}", record.answers, record.tries);
        notes.push(match record.median_ms {
            Some(ms) => format!("{}, {answered}", format::milliseconds(Some(ms))),
            None => answered,
        });
    }
    notes.join("; ")
}

fn choices(report: &Report, style: Style) -> String {
    let mut text = report.summary();
    if report.is_cancelled() {
        return text + "Nothing was chosen.\n";
    }
    for choice in &report.choices {
        let uri = format::plain(&choice.uri);
        let (uri, country) = (style.paint(Tone::Strong, &uri), format::plain(&choice.country));
        let _ = writeln!(text, "  {uri} ({country})\n      {}", format::plain(&choice.reason));
    }
    let added = report.choices.iter().filter(|choice| choice.added.is_some()).count();
    text + &match added {
        0 => "Nothing was changed; --add keeps a link to them.\n".to_owned(),
        _ => format!(
            "Added {} beside your own; `planetary peer list` shows how they are.\n",
            format::count(added, "peer", "peers")
        ),
    }
}
