//! `planetary forward`: ports between this computer and the network.

use std::fmt::Write as _;

use planetary_ipc::{Forward, ForwardList, ForwardRule, ForwardWay, UnixTime};

use crate::args::ForwardCommand;
use crate::failure::Failure;
use crate::format::{self, Align, Printer, Style};
use crate::session::Session;

pub(super) async fn run(
    command: ForwardCommand,
    session: &Session,
    printer: &Printer,
) -> Result<(), Failure> {
    let client = session.client().await?;
    match command {
        ForwardCommand::List => Ok(printer.print(&client.forwards().await?, list)?),
        ForwardCommand::Out { listen, target, carries } => {
            let rule = carries.rule(ForwardWay::Out, listen, target);
            let forward = client.add_forward(rule).await?;
            Ok(printer.print(&forward, |forward, _| added(forward, client.hello().status.time))?)
        }
        ForwardCommand::In { port, target, carries } => {
            let rule = carries.rule(ForwardWay::In, port.to_string(), target);
            let forward = client.add_forward(rule).await?;
            Ok(printer.print(&forward, |forward, _| added(forward, client.hello().status.time))?)
        }
        ForwardCommand::Remove { id } => {
            let forward = client.remove_forward(id).await?;
            Ok(printer.print(&forward, |forward, _| {
                format!("No longer forwarding {}.\n", route(&forward.rule))
            })?)
        }
    }
}

fn list(list: &ForwardList, style: Style) -> String {
    if list.forwards.is_empty() {
        return "No ports are forwarded. Reach one of another node with: planetary forward out \
                LISTEN TARGET\nor offer one of this computer with: planetary forward in PORT \
                TARGET\n"
            .to_owned();
    }
    let heading = [
        ("ID", Align::Right),
        ("WAY", Align::Left),
        ("CARRIES", Align::Left),
        ("FROM", Align::Left),
        ("TO", Align::Left),
        ("STATE", Align::Left),
        ("OPEN", Align::Right),
        ("RECEIVED", Align::Right),
        ("SENT", Align::Right),
    ];
    let rows: Vec<_> = list.forwards.iter().map(row).collect();
    let mut text = format::table(heading, &rows, style);
    for forward in list.forwards.iter().filter(|forward| !forward.up) {
        if let Some(trouble) = trouble(forward, list.time) {
            let _ = writeln!(text, "  {}: {trouble}", forward.id);
        }
    }
    text
}

fn row(forward: &Forward) -> [String; 9] {
    let Forward { id, rule, up, connections, rx_bytes, tx_bytes, .. } = forward;
    [
        id.to_string(),
        rule.way.name().to_owned(),
        rule.protocol.name().to_owned(),
        rule.listen.clone(),
        rule.target.clone(),
        if *up { "up" } else { "down" }.to_owned(),
        connections.to_string(),
        format::bytes(*rx_bytes),
        format::bytes(*tx_bytes),
    ]
}

fn added(forward: &Forward, now: UnixTime) -> String {
    let Forward { id, rule, .. } = forward;
    let mut text = format!("Forwarding {} (number {id}).\n", route(rule));
    if let Some(trouble) = trouble(forward, now).filter(|_| !forward.up) {
        let _ = writeln!(text, "It does not work yet: {trouble}.");
    }
    if rule.way == ForwardWay::In {
        let service = format!("{}/{}", rule.protocol.name(), format::plain(&rule.listen));
        let _ = writeln!(
            text,
            "Who may connect is up to you, for example: planetary friend allow NAME {service}"
        );
    }
    text
}

/// `tcp from 127.0.0.1:8080 to [200::1]:80`.
fn route(rule: &ForwardRule) -> String {
    let ForwardRule { way, protocol, listen, target } = rule;
    let listen = match way {
        ForwardWay::Out => format::plain(listen).into_owned(),
        ForwardWay::In => format!("port {} of this node", format::plain(listen)),
    };
    format!("{} from {listen} to {}", protocol.name(), format::plain(target))
}

/// Why no connections are taken.
fn trouble(forward: &Forward, now: UnixTime) -> Option<String> {
    let error = forward.last_error.as_ref()?;
    Some(format!("{} ({})", format::plain(&error.message), format::ago(error.at, now)))
}
