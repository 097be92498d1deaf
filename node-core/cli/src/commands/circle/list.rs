//! `planetary circle list` and `planetary circle show`.

use planetary_ipc::{
    Circle, CircleDetails, CircleList, Client, Invite, InviteState, Member, MemberRole,
    MemberState, UnixTime,
};

use super::{circle_named, name, reach, state};
use crate::failure::Failure;
use crate::format::{self, Align, Printer, Style};

pub(super) async fn list(client: &Client, printer: &Printer) -> Result<(), Failure> {
    let list = client.circles().await?;
    Ok(printer.print(&list, render)?)
}

fn render(list: &CircleList, style: Style) -> String {
    if list.circles.is_empty() {
        return "No circles yet. Begin one with: planetary circle create NAME\n\
                `planetary join LINK` follows a link that somebody sent you.\n"
            .to_owned();
    }
    let heading = [
        ("CIRCLE", Align::Left),
        ("YOU ARE", Align::Left),
        ("MEMBERS", Align::Right),
        ("ONLINE", Align::Right),
        ("MAY REACH HERE", Align::Left),
    ];
    let row = |circle: &Circle| {
        [
            circle.name.to_string(),
            state(circle).to_owned(),
            circle.members.to_string(),
            circle.online.to_string(),
            match circle.role.is_some() && circle.access.enabled {
                true => reach(&circle.access),
                false => "nothing".to_owned(),
            },
        ]
    };
    let rows: Vec<_> = list.circles.iter().map(row).collect();
    format::table(heading, &rows, style)
}

pub(super) async fn show(client: &Client, printer: &Printer, text: &str) -> Result<(), Failure> {
    let circle = circle_named(client, text).await?;
    let details = client.circle(circle.id).await?;
    Ok(printer.print(&*details, page)?)
}

fn page(details: &CircleDetails, style: Style) -> String {
    let mut text = format::fields(&about(&details.circle, details.time));
    text.push('\n');
    text += &members(details, style);
    if !details.invites.is_empty() {
        text.push('\n');
        text += &invites(&details.invites, details.time, style);
    }
    text
}

fn about(circle: &Circle, now: UnixTime) -> Vec<(&'static str, String)> {
    let may = match (circle.role, circle.access.enabled) {
        (None, _) => "nothing: this computer is no member".to_owned(),
        (Some(_), true) => reach(&circle.access),
        (Some(_), false) => format!("nothing, while it is paused; then {}", reach(&circle.access)),
    };
    let mut rows = vec![
        ("name", circle.name.to_string()),
        ("number", circle.id.to_string()),
        ("this computer", state(circle).to_owned()),
        ("may reach here", may),
        ("suggests", format::services(&circle.suggested, "nothing")),
        ("key on paper", if circle.recovery { "yes" } else { "no" }.to_owned()),
    ];
    if let Some(inviter) = &circle.inviter {
        rows.push(("invited by", format::party(inviter)));
    }
    if let Some(at) = circle.expires_at {
        rows.push(("link is over", format::timestamp(at)));
    }
    rows.push(("added", format::ago(circle.added_at, now)));
    if circle.role.is_some() {
        let synced =
            circle.synced_at.map_or_else(|| "not yet".to_owned(), |at| format::ago(at, now));
        rows.push(("last synced", synced));
    }
    rows.extend(circle.forked.iter().map(|forked| {
        (
            "key clash",
            format!("two nodes have the key of {}; what it says is ignored", format::party(forked)),
        )
    }));
    rows
}

/// The members as a table, which names each by the friend's name or the begin of its key.
pub(super) fn members(details: &CircleDetails, style: Style) -> String {
    let heading = [
        ("MEMBER", Align::Left),
        ("CALLS ITSELF", Align::Left),
        ("ROLE", Align::Left),
        ("SEEN", Align::Left),
        ("ALSO REACHES", Align::Left),
        ("ADDRESS", Align::Left),
    ];
    let row = |member: &Member| {
        let party = &member.party;
        let known = party.name.as_ref().map(ToString::to_string);
        [
            if member.own {
                "this computer".to_owned()
            } else {
                known.unwrap_or_else(|| format::digits(party.key))
            },
            party.label.as_ref().map_or_else(format::dash, ToString::to_string),
            role(member).to_owned(),
            match member.own {
                true => format::dash(),
                false => format::seen(member.online, member.last_seen, details.time),
            },
            match member.blocked {
                true => "blocked".to_owned(),
                false => format::services(&member.services, "-"),
            },
            member.address.to_string(),
        ]
    };
    let rows: Vec<_> = details.members.iter().map(row).collect();
    if rows.is_empty() {
        return format!("The members of {} are not known here.\n", name(&details.circle));
    }
    format::table(heading, &rows, style)
}

fn role(member: &Member) -> &'static str {
    match (member.state, member.role) {
        (MemberState::Invited, _) => "has not agreed",
        (MemberState::Member, MemberRole::Admin) => "admin",
        (MemberState::Member, MemberRole::Member) => "member",
    }
}

/// Invites as a table.
pub(in crate::commands) fn invites(invites: &[Invite], now: UnixTime, style: Style) -> String {
    let heading = [
        ("INVITE", Align::Right),
        ("CIRCLE", Align::Left),
        ("STATE", Align::Left),
        ("LET IN", Align::Left),
        ("UNTIL", Align::Left),
    ];
    let row = |invite: &Invite| {
        let guests = match &invite.guests[..] {
            [] => String::new(),
            guests => {
                let names: Vec<_> = guests.iter().map(format::party).collect();
                format!(": {}", names.join(", "))
            }
        };
        [
            invite.id.to_string(),
            invite.circle_name.to_string(),
            match (invite.state, invite.asks) {
                (InviteState::Open, true) => "open, asks you",
                (InviteState::Open, false) => "open",
                (InviteState::Used, _) => "used up",
                (InviteState::Expired, _) => "over",
                (InviteState::Revoked, _) => "taken back",
            }
            .to_owned(),
            format!("{} of {}{guests}", invite.used, invite.uses),
            match invite.state {
                InviteState::Open => {
                    format!("for {}", format::duration(invite.expires_at.0.saturating_sub(now.0)))
                }
                _ => format::timestamp(invite.expires_at),
            },
        ]
    };
    let rows: Vec<_> = invites.iter().map(row).collect();
    format::table(heading, &rows, style)
}
