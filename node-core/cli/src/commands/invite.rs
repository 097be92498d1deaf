//! `planetary invite`: links by which guests join a circle.

use planetary_ipc::{ApiError, Client, ErrorCode, Invite, InviteList, InviteState, JoinLink};
use planetary_ipc::{LinkPeer, MemberRole, UnixTime};

use super::circle::{circle_named, invites};
use super::friend::refused;
use crate::args::{InviteArgs, InviteCommand, Picture};
use crate::ask;
use crate::failure::Failure;
use crate::format::{self, Printer, Style};
use crate::qr;
use crate::session::Session;

pub(super) async fn run(
    command: InviteCommand,
    session: &Session,
    printer: &Printer,
) -> Result<(), Failure> {
    let client = session.client().await?;
    match command {
        InviteCommand::Create(args) => create(&client, printer, args).await,
        InviteCommand::List => list(&client, printer).await,
        InviteCommand::Show { invite, picture } => show(&client, printer, invite, &picture).await,
        InviteCommand::Revoke { invite } => revoke(&client, printer, invite).await,
    }
}

async fn create(client: &Client, printer: &Printer, args: InviteArgs) -> Result<(), Failure> {
    let circle = circle_named(client, &args.circle.circle).await?;
    let role = if args.admin { MemberRole::Admin } else { MemberRole::Member };
    let peers = match (args.no_peers, args.peers.is_empty()) {
        (true, _) => Some(Vec::new()),
        (false, true) => None,
        (false, false) => Some(args.peers),
    };
    let made = client
        .create_invite(circle.id, Some(role), Some(args.uses), args.valid_s, args.ask, peers)
        .await?;
    print(printer, &made, &args.picture, made.created_at)
}

async fn list(client: &Client, printer: &Printer) -> Result<(), Failure> {
    let list = client.invites().await?;
    Ok(printer.print(&list, |list: &InviteList, style| match &list.invites[..] {
        [] => "No invites. Make one with: planetary invite create CIRCLE\n".to_owned(),
        all => invites(all, list.time, style),
    })?)
}

async fn show(
    client: &Client,
    printer: &Printer,
    number: u64,
    picture: &Picture,
) -> Result<(), Failure> {
    let list = client.invites().await?;
    let found = list.invites.iter().find(|invite| invite.id == number);
    let invite = found.ok_or_else(|| {
        let text = format!("this computer made no invite with the number {number}");
        refused(ApiError::new(ErrorCode::InviteNotFound, text))
    })?;
    print(printer, invite, picture, list.time)
}

async fn revoke(client: &Client, printer: &Printer, number: u64) -> Result<(), Failure> {
    let invite = client.revoke_invite(number).await?;
    Ok(printer.print(&*invite, |invite, _| {
        let circle = format::plain(invite.circle_name.as_str());
        match (invite.state, invite.used) {
            (InviteState::Revoked, 0) => {
                format!("Invite {number} to {circle} is taken back; nobody came by it.\n")
            }
            (InviteState::Revoked, _) => format!(
                "Invite {number} to {circle} is taken back; who came by it stays a member.\n"
            ),
            _ => format!("Invite {number} to {circle} lets nobody in anyway: {}\n", state(invite)),
        }
    })?)
}

fn print(
    printer: &Printer,
    invite: &Invite,
    picture: &Picture,
    now: UnixTime,
) -> Result<(), Failure> {
    let Some(link) = &invite.link else {
        if picture.qr || picture.png.is_some() {
            let tip = "`planetary invite create` makes a new one";
            return Err(ask::usage(&format!("the invite has no link: {}", state(invite)), tip));
        }
        return Ok(printer.print(invite, |invite, style| over(invite, now, style))?);
    };
    qr::save(link, picture)?;
    let text = qr::around(link, &words(invite, link, now), picture, printer.style())?;
    Ok(printer.print(invite, |_, _| text)?)
}

fn over(invite: &Invite, now: UnixTime, style: Style) -> String {
    invites(std::slice::from_ref(invite), now, style)
}

fn words(invite: &Invite, link: &str, now: UnixTime) -> String {
    let circle = format::plain(invite.circle_name.as_str());
    let left = invite.uses.saturating_sub(invite.used);
    let left = usize::try_from(left).unwrap_or(usize::MAX);
    let open = format::duration(invite.expires_at.0.saturating_sub(now.0));
    let guests = format::count(left, "guest", "guests");
    let role = match invite.role {
        MemberRole::Member => "",
        MemberRole::Admin => " as admins",
    };
    let asks = match invite.asks {
        true => " You are asked before: planetary questions.",
        false => "",
    };
    // The service wrote the link, and another release may have written it otherwise.
    let peers = match link.parse::<JoinLink>().map(|link| link.peers).unwrap_or_default() {
        peers if peers.is_empty() => "It names no peers.".to_owned(),
        peers => {
            let shown: Vec<_> = peers.iter().map(LinkPeer::to_string).collect();
            format!("It names {}.", shown.join(" and "))
        }
    };
    format!(
        "{link}\n\nInvite {}: lets {guests} into {circle}{role} for {open}, while this computer is \
         on.{asks}\nWhoever has the link may join: send it as you would a key. {peers}\nThe guest \
         runs: planetary join 'LINK'\nTo take it back: planetary invite revoke {}\n",
        invite.id, invite.id
    )
}

fn state(invite: &Invite) -> String {
    match invite.state {
        InviteState::Open => "it is open".to_owned(),
        InviteState::Used => "it is used up".to_owned(),
        InviteState::Expired => {
            format!("it was over at {}", format::timestamp(invite.expires_at))
        }
        InviteState::Revoked => "it was taken back".to_owned(),
    }
}
