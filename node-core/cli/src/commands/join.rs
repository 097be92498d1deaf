//! `planetary join`: follows a link, tells what happens, and asks before anything is agreed.

use std::process::ExitCode;

use planetary_ipc::{
    CircleDetails, CircleState, Client, ErrorCode, Event, JoinLink, RequestError, Topic, Updates,
};

use super::circle::{joined, name, page_for_guest};
use crate::args::JoinArgs;
use crate::ask;
use crate::failure::Failure;
use crate::format::{self, Printer, Style};
use crate::session::Session;

pub(super) async fn run(
    session: &Session,
    printer: &Printer,
    args: JoinArgs,
) -> Result<ExitCode, Failure> {
    let tip = "ask for the link again: `planetary invite create` makes it";
    let link: JoinLink = args.link.parse().map_err(|error| ask::usage(&format!("{error}"), tip))?;
    let (client, mut updates) = session.connect().await?;
    client.subscribe(vec![Topic::Circles]).await?;
    for peer in link.peers.iter().filter(|_| args.with_peers) {
        match client.add_peer(peer.to_string(), None).await {
            Ok(entry) => eprintln!("Added the peer {}.", format::plain(&entry.uri)),
            // It is there, which is all that was wanted.
            Err(error) if error.code() == Some(ErrorCode::PeerExists) => {}
            Err(RequestError::Refused(error)) => {
                let uri = planetary_ipc::status::public_uri(&peer.to_string());
                eprintln!("Not added: {} ({})", format::plain(&uri), format::plain(&error.message));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let asked = client.join_circle(link.to_string(), args.label).await?;
    if args.no_wait {
        printer.print(&*asked, |asked, _| {
            let typed = format::quoted(asked.circle.name.as_str());
            format!(
                "Asking to join {}.\nHow it stands: planetary circle show {typed}\n",
                name(&asked.circle)
            )
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let answered = wait(&client, &mut updates, asked).await?;
    decide(&client, printer, answered, args.yes).await
}

/// Waits for the end of asking, and tells each step.
async fn wait(
    client: &Client,
    updates: &mut Updates,
    mut asked: Box<CircleDetails>,
) -> Result<Box<CircleDetails>, Failure> {
    let mut told = None;
    loop {
        let state = asked.circle.state;
        if told != Some(state) {
            tell(&asked);
            told = Some(state);
        }
        if !matches!(state, CircleState::Asking | CircleState::Waiting) {
            return Ok(asked);
        }
        loop {
            // A whole new state comes in place of updates that were lost.
            if let Event::Circles { .. } | Event::Status(_) = updates.next().await?.event {
                break;
            }
        }
        asked = client.circle(asked.circle.id).await?;
    }
}

fn tell(asked: &CircleDetails) {
    let circle = name(&asked.circle);
    match asked.circle.state {
        CircleState::Asking => {
            let who = asked.circle.inviter.as_ref().map_or_else(format::dash, format::party);
            eprintln!("Asking {who}, who made the link, to let this computer into {circle}.");
            eprintln!("Ctrl-C ends the waiting; the node goes on asking until the link is over.");
        }
        CircleState::Waiting => {
            eprintln!("It is there, and its person is asked. That may take a while.");
        }
        _ => {}
    }
}

async fn decide(
    client: &Client,
    printer: &Printer,
    answered: Box<CircleDetails>,
    yes: bool,
) -> Result<ExitCode, Failure> {
    let circle = &answered.circle;
    let (shown, typed) = (name(circle), format::quoted(circle.name.as_str()));
    let over = |message: String, hint: &str| {
        Err(Failure::Here { code: "not_joined", message, hint: Some(hint.to_owned()) })
    };
    match circle.state {
        CircleState::Member => {}
        CircleState::Invited if yes || ask::is_somebody_there() => {
            let about = page_for_guest(&answered, Style::Plain);
            if !ask::confirm(printer, &about, &format!("Join {shown}?"), yes).await? {
                eprintln!("Not joined. To decline for good: planetary circle leave {typed}");
                return Ok(ExitCode::FAILURE);
            }
            let after = client.accept_circle(circle.id).await?;
            printer.print(&*after, |after, _| joined(after))?;
            return Ok(ExitCode::SUCCESS);
        }
        CircleState::Invited => {
            printer.print(&*answered, |answered, style| {
                let about = page_for_guest(answered, style);
                format!("{about}\nTo agree: planetary circle accept {typed}\n")
            })?;
            return Ok(ExitCode::SUCCESS);
        }
        CircleState::Refused => {
            let hint = "it may be used up, over, or not copied as a whole; ask for a new one";
            return over(format!("the link does not let this computer into {shown}"), hint);
        }
        CircleState::Expired => {
            let hint = "ask for a new link, and follow it while the other computer is on";
            return over(format!("the link to {shown} was over before it was answered"), hint);
        }
        _ => return over(format!("asking for {shown} was given up"), "follow the link again"),
    }
    printer.print(&*answered, |answered, _| joined(answered))?;
    Ok(ExitCode::SUCCESS)
}
