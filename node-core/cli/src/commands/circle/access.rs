//! `planetary circle access`: one table of what circles, friends and everyone may reach here.

use planetary_ipc::{
    Access, Audience, Circle, CircleState, Client, Friend, LocalService, Member, MemberState,
    UnixTime,
};
use serde::Serialize;

use crate::failure::Failure;
use crate::format::{self, Align, Printer, Style};

/// What `planetary circle access --json` prints.
#[derive(Serialize)]
struct Reach {
    circles: Vec<CircleReach>,
    friends: Vec<Friend>,
    everyone: Vec<LocalService>,
    access: Access,
    #[serde(skip)]
    time: UnixTime,
}

/// A circle, with those members that may reach more than the others.
#[derive(Serialize)]
struct CircleReach {
    circle: Circle,
    members: Vec<Member>,
}

pub(super) async fn run(client: &Client, printer: &Printer) -> Result<(), Failure> {
    let list = client.circles().await?;
    let mut circles = Vec::with_capacity(list.circles.len());
    for circle in list.circles {
        if circle.state != CircleState::Member {
            continue;
        }
        let mut members = client.circle(circle.id).await?.members;
        members.retain(|member| {
            member.state == MemberState::Member && !member.services.is_empty() && !member.blocked
        });
        circles.push(CircleReach { circle, members });
    }
    let (mut friends, everyone) = client.friends().await?;
    friends.sort_by_key(|friend| friend.name.folded());
    let access = client.hello().status.access.clone();
    let reach = Reach { circles, friends, everyone, access, time: list.time };
    Ok(printer.print(&reach, render)?)
}

fn render(reach: &Reach, style: Style) -> String {
    let access = &reach.access;
    let mut text = format!("This computer is open to {}.\n\n", format::access(access, reach.time));
    let heading = [
        ("WHO", Align::Left),
        ("PINGS", Align::Left),
        ("SERVICES", Align::Left),
        ("DEVICES BEHIND", Align::Left),
    ];
    let row = |who: String, echo: &str, services: String, subnet: &str| {
        [who, echo.to_owned(), services, subnet.to_owned()]
    };
    let everyone = match access.inbound {
        Audience::Everyone => "every port".to_owned(),
        Audience::Circles | Audience::Nobody => format::services(&reach.everyone, "-"),
    };
    let mut rows =
        vec![row("everyone".into(), yes(access.echo == Audience::Everyone), everyone, "-")];
    for CircleReach { circle, members } in &reach.circles {
        let who = format!("circle {}", circle.name);
        let may = &circle.access;
        rows.push(match may.enabled {
            true => row(who, yes(may.echo), format::services(&may.services, "-"), yes(may.subnet)),
            false => row(who, "-", "nothing while paused".to_owned(), "-"),
        });
        rows.extend(members.iter().filter(|_| may.enabled).map(|member| {
            let who = format!("{} in {}", format::party(&member.party), circle.name);
            row(who, "-", format::services(&member.services, "-"), "-")
        }));
    }
    rows.extend(reach.friends.iter().map(|friend| {
        let who = format!("friend {}", friend.name);
        match friend.blocked {
            true => row(who, "-", "nothing while blocked".to_owned(), "-"),
            false => row(who, yes(friend.echo), format::services(&friend.services, "-"), "-"),
        }
    }));
    text += &format::table(heading, &rows, style);
    text += match (access.paused, access.inbound) {
        (Some(_), _) => "\nNothing of it holds during the pause.\n",
        (None, Audience::Nobody) => {
            "\nNo services are open while `inbound` is nobody: planetary settings\n"
        }
        (None, _) => "\nWho is in several rows may what any of them says.\n",
    };
    text
}

fn yes(it_is: bool) -> &'static str {
    if it_is { "yes" } else { "-" }
}
