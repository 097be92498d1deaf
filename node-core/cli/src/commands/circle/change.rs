//! `planetary circle rename|suggest|add|remove|role|accept|leave|forget` and what says what members
//! may reach here.

use std::process::ExitCode;

use planetary_ipc::{
    ApiError, Circle, CircleAccessChange, CircleChange, CircleDetails, CircleState, Client,
    ErrorCode, FriendName, LocalService, Member, MemberRole, MemberState,
};

use super::{circle_named, find_member, key_of, list, name, reach, refused};
use crate::args::{CircleRights, MemberOf, Right};
use crate::ask;
use crate::failure::Failure;
use crate::format::{self, Printer, Style};

pub(super) async fn rename(
    client: &Client,
    printer: &Printer,
    text: &str,
    new: FriendName,
) -> Result<(), Failure> {
    let circle = circle_named(client, text).await?;
    let change = CircleChange { name: Some(new), ..CircleChange::default() };
    let after = client.change_circle(circle.id, change).await?;
    Ok(printer.print(&*after, |after, _| {
        format!("{} is called {}, for all its members.\n", name(&circle), name(&after.circle))
    })?)
}

pub(super) async fn suggest(
    client: &Client,
    printer: &Printer,
    text: &str,
    services: Vec<LocalService>,
) -> Result<(), Failure> {
    let circle = circle_named(client, text).await?;
    let change = CircleChange { suggest: Some(services), ..CircleChange::default() };
    let after = client.change_circle(circle.id, change).await?;
    Ok(printer.print(&*after, |after, _| {
        let suggested = format::services(&after.circle.suggested, "nothing");
        format!(
            "{} suggests that members reach: {suggested}\nEach decides for its own computer.\n",
            name(&after.circle)
        )
    })?)
}

pub(super) async fn add(
    client: &Client,
    printer: &Printer,
    text: &str,
    who: &str,
    label: Option<FriendName>,
    admin: bool,
) -> Result<(), Failure> {
    let circle = circle_named(client, text).await?;
    let key = key_of(client, who).await?;
    let before = client.circle(circle.id).await?;
    if let Some(known) = before.members.iter().find(|member| member.party.key == key) {
        let text = format!("{} is in {} already", format::party(&known.party), circle.name);
        let hint = "`planetary circle role` changes what it may do";
        return Err(refused(ApiError::new(ErrorCode::InvalidCircle, text).with_hint(hint)));
    }
    let role = if admin { MemberRole::Admin } else { MemberRole::Member };
    let after = client.add_member(circle.id, key, role, label).await?;
    Ok(printer.print(&*after, |after, _| {
        let added = after.members.iter().find(|member| member.party.key == key);
        let who = added.map_or_else(|| format::digits(key), |member| format::party(&member.party));
        let circle = name(&after.circle);
        let typed = format::quoted(after.circle.name.as_str());
        format!(
            "Added {who} to {circle}. It is a member once its person agrees:\n    planetary circle \
             accept {typed}\n"
        )
    })?)
}

pub(super) async fn remove(
    client: &Client,
    printer: &Printer,
    meant: &MemberOf,
) -> Result<(), Failure> {
    let (circle, member) = member_of(client, meant).await?;
    let after = client.remove_member(circle.id, member.party.key).await?;
    Ok(printer.print(&*after, |after, _| {
        let friend = match member.party.name {
            Some(_) => " What it may as a friend it still may.",
            None => "",
        };
        format!("Removed {} from {}.{friend}\n", format::party(&member.party), name(&after.circle))
    })?)
}

pub(super) async fn role(
    client: &Client,
    printer: &Printer,
    meant: &MemberOf,
    role: MemberRole,
) -> Result<(), Failure> {
    let (circle, member) = member_of(client, meant).await?;
    let label = member.party.label.clone();
    let after = client.add_member(circle.id, member.party.key, role, label).await?;
    Ok(printer.print(&*after, |after, _| {
        let (who, circle) = (format::party(&member.party), name(&after.circle));
        match role {
            MemberRole::Admin => format!(
                "{who} is an admin of {circle}: it may invite, add and remove members below it.\n"
            ),
            MemberRole::Member => format!("{who} is a member of {circle} like any other.\n"),
        }
    })?)
}

async fn member_of(client: &Client, meant: &MemberOf) -> Result<(Circle, Member), Failure> {
    let circle = circle_named(client, &meant.circle).await?;
    let details = client.circle(circle.id).await?;
    let member = find_member(&details, &meant.member)?.clone();
    Ok((circle, member))
}

pub(super) async fn accept(
    client: &Client,
    printer: &Printer,
    text: &str,
    yes: bool,
) -> Result<ExitCode, Failure> {
    let circle = circle_named(client, text).await?;
    if circle.state == CircleState::Invited {
        let details = client.circle(circle.id).await?;
        let about = page_for_guest(&details, Style::Plain);
        let question = format!("Join {}?", name(&circle));
        if !ask::confirm(printer, &about, &question, yes).await? {
            eprintln!("Nothing was changed.");
            return Ok(ExitCode::FAILURE);
        }
    }
    let after = client.accept_circle(circle.id).await?;
    printer.print(&*after, |after, _| joined(after))?;
    Ok(ExitCode::SUCCESS)
}

/// What a guest sees before it agrees.
pub(in crate::commands) fn page_for_guest(details: &CircleDetails, style: Style) -> String {
    let circle = &details.circle;
    let by = circle.inviter.as_ref().map_or_else(format::dash, format::party);
    let mut text = format!("You are invited to {}, by {by}. Its members:\n\n", name(circle));
    text += &list::members(details, style);
    text += "\nThey will see your address and what you call yourself. They may ping this computer \
             and reach\nnothing else here, unless you allow it.\n";
    if !circle.suggested.is_empty() {
        let suggested = format::services(&circle.suggested, "");
        text += &format!("The circle suggests to allow: {suggested}\n");
    }
    text
}

/// What is said to a new member.
pub(in crate::commands) fn joined(after: &CircleDetails) -> String {
    let circle = &after.circle;
    let (shown, typed) = (name(circle), format::quoted(circle.name.as_str()));
    let mut text = format!(
        "This computer is a member of {shown}. Members may reach here: {}\n",
        reach(&circle.access)
    );
    if !circle.suggested.is_empty() {
        let suggested = format::services(&circle.suggested, "");
        text += &format!(
            "To allow what it suggests ({suggested}): planetary circle allow {typed} --suggested\n"
        );
    }
    text
}

pub(super) async fn leave(
    client: &Client,
    printer: &Printer,
    text: &str,
    yes: bool,
) -> Result<ExitCode, Failure> {
    let circle = circle_named(client, text).await?;
    if circle.state == CircleState::Member {
        let about = about_leaving(client, &circle).await?;
        let question = format!("Leave {}?", name(&circle));
        if !ask::confirm(printer, &about, &question, yes).await? {
            eprintln!("Nothing was changed.");
            return Ok(ExitCode::FAILURE);
        }
    }
    let after = client.leave_circle(circle.id).await?;
    printer.print(&*after, |after, _| {
        let name = name(&after.circle);
        match circle.state {
            CircleState::Member => {
                format!("Left {name}: its members may reach nothing here as members.\n")
            }
            CircleState::Invited => format!("Declined to join {name}.\n"),
            _ => format!("No longer asking for {name}.\n"),
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn about_leaving(client: &Client, circle: &Circle) -> Result<String, Failure> {
    let details = client.circle(circle.id).await?;
    let mut others = details.members.iter().filter(|member| {
        !member.own && member.role == MemberRole::Admin && member.state == MemberState::Member
    });
    let alone = circle.role == Some(MemberRole::Admin) && others.next().is_none();
    let back = match (alone, circle.recovery) {
        (false, _) => "Only an admin can let you in again.",
        (true, true) => "You are the last admin: only the key on paper makes another.",
        (true, false) => "You are the last admin: nobody can change the circle after you.",
    };
    Ok(format!("The others see that you left {}. {back}\n", name(circle)))
}

pub(super) async fn forget(client: &Client, printer: &Printer, text: &str) -> Result<(), Failure> {
    let circle = circle_named(client, text).await?;
    let was = client.forget_circle(circle.id).await?;
    Ok(printer.print(&*was, |was, _| format!("Forgot {}.\n", name(&was.circle)))?)
}

pub(super) async fn allow(
    client: &Client,
    printer: &Printer,
    args: CircleRights,
) -> Result<(), Failure> {
    let circle = circle_named(client, &args.circle.circle).await?;
    let (echo, allow) = rights(&args, &circle)?;
    if let Some(member) = &args.member {
        return for_member(client, printer, &circle, member, (allow, Vec::new()), echo).await;
    }
    let echo = echo.then_some(true);
    change(client, printer, &circle, CircleAccessChange { echo, allow, ..Default::default() }).await
}

pub(super) async fn deny(
    client: &Client,
    printer: &Printer,
    args: CircleRights,
) -> Result<(), Failure> {
    let circle = circle_named(client, &args.circle.circle).await?;
    let (echo, deny) = rights(&args, &circle)?;
    if let Some(member) = &args.member {
        return for_member(client, printer, &circle, member, (Vec::new(), deny), echo).await;
    }
    let echo = echo.then_some(false);
    change(client, printer, &circle, CircleAccessChange { echo, deny, ..Default::default() }).await
}

/// What was typed: whether pings are among it, and the services.
fn rights(args: &CircleRights, circle: &Circle) -> Result<(bool, Vec<LocalService>), Failure> {
    let typed = args.services.iter().filter_map(|right| match right {
        Right::Echo => None,
        Right::Service(service) => Some(*service),
    });
    let mut services: Vec<_> = typed.collect();
    if args.suggested {
        if circle.suggested.is_empty() {
            let text = format!("{} suggests nothing", circle.name);
            let hint = "name the services, such as tcp/22";
            return Err(refused(ApiError::new(ErrorCode::InvalidCircle, text).with_hint(hint)));
        }
        services.extend(&circle.suggested);
    }
    Ok((args.services.contains(&Right::Echo), services))
}

async fn for_member(
    client: &Client,
    printer: &Printer,
    circle: &Circle,
    text: &str,
    (allow, deny): (Vec<LocalService>, Vec<LocalService>),
    echo: bool,
) -> Result<(), Failure> {
    if echo {
        let tip = "`planetary circle echo` says it for all members";
        return Err(ask::usage("pings are not allowed to one member alone", tip));
    }
    let details = client.circle(circle.id).await?;
    let key = find_member(&details, text)?.party.key;
    let after = client.change_member_access(circle.id, key, allow, deny).await?;
    Ok(printer.print(&*after, |after, _| {
        let Some(member) = after.members.iter().find(|member| member.party.key == key) else {
            return String::new();
        };
        let (who, circle) = (format::party(&member.party), name(&after.circle));
        match &member.services[..] {
            [] => format!("{who} may reach here what all of {circle} may.\n"),
            services => format!(
                "{who} may reach here what all of {circle} may, and: {}\n",
                format::services(services, "")
            ),
        }
    })?)
}

/// Changes what all members may reach here.
pub(super) async fn access(
    client: &Client,
    printer: &Printer,
    text: &str,
    access: CircleAccessChange,
) -> Result<(), Failure> {
    let circle = circle_named(client, text).await?;
    change(client, printer, &circle, access).await
}

async fn change(
    client: &Client,
    printer: &Printer,
    circle: &Circle,
    change: CircleAccessChange,
) -> Result<(), Failure> {
    let after = client.change_circle_access(circle.id, change).await?;
    Ok(printer.print(&*after, |after, _| {
        let (access, circle) = (&after.circle.access, name(&after.circle));
        match access.enabled {
            true => format!("Members of {circle} may reach here: {}\n", reach(access)),
            false => format!(
                "{circle} is paused: its members may reach nothing here as members.\n`planetary \
                 circle resume {}` ends that; then they may reach: {}\n",
                format::quoted(after.circle.name.as_str()),
                reach(access)
            ),
        }
    })?)
}
