//! `planetary circle`: circles, their members, and what these may reach here.

mod access;
mod change;
mod create;
mod list;
mod recover;

use std::process::ExitCode;

use planetary_ipc::friends::{FindError, find};
use planetary_ipc::{
    ApiError, Circle, CircleAccess, CircleAccessChange, CircleDetails, CircleState, Client,
    ErrorCode, Member, MemberRole, NodeKey,
};

use super::friend::{find_friend, not_found, refused};
use crate::args::{CircleCommand, OnOff};
use crate::failure::Failure;
use crate::format::{self, Printer};
use crate::session::Session;

pub(super) use change::{joined, page_for_guest};
pub(super) use list::invites;

pub(super) async fn run(
    command: CircleCommand,
    session: &Session,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let client = session.client().await?;
    let done = match command {
        CircleCommand::List => list::list(&client, printer).await,
        CircleCommand::Show { circle } => list::show(&client, printer, &circle.circle).await,
        CircleCommand::Access => access::run(&client, printer).await,
        CircleCommand::Create { name, no_recovery } => {
            create::run(&client, printer, name, no_recovery).await
        }
        CircleCommand::Rename { circle, name } => {
            change::rename(&client, printer, &circle.circle, name).await
        }
        CircleCommand::Suggest { circle, services } => {
            change::suggest(&client, printer, &circle.circle, services).await
        }
        CircleCommand::Add { circle, who, label, admin } => {
            change::add(&client, printer, &circle.circle, &who, label, admin).await
        }
        CircleCommand::Remove { member } => change::remove(&client, printer, &member).await,
        CircleCommand::Role { member, role } => {
            change::role(&client, printer, &member, role.into()).await
        }
        CircleCommand::Accept { circle, yes } => {
            return change::accept(&client, printer, &circle.circle, yes).await;
        }
        CircleCommand::Join(args) => return super::join::run(session, printer, args).await,
        CircleCommand::Leave { circle, yes } => {
            return change::leave(&client, printer, &circle.circle, yes).await;
        }
        CircleCommand::Forget { circle } => change::forget(&client, printer, &circle.circle).await,
        CircleCommand::Allow(args) => change::allow(&client, printer, args).await,
        CircleCommand::Deny(args) => change::deny(&client, printer, args).await,
        CircleCommand::Echo { circle, to } => {
            let echo = Some(to == OnOff::On);
            let access = CircleAccessChange { echo, ..Default::default() };
            change::access(&client, printer, &circle.circle, access).await
        }
        CircleCommand::Subnet { circle, to } => {
            let subnet = Some(to == OnOff::On);
            let access = CircleAccessChange { subnet, ..Default::default() };
            change::access(&client, printer, &circle.circle, access).await
        }
        CircleCommand::Pause { circle } => {
            let access = CircleAccessChange { enabled: Some(false), ..Default::default() };
            change::access(&client, printer, &circle.circle, access).await
        }
        CircleCommand::Resume { circle } => {
            let access = CircleAccessChange { enabled: Some(true), ..Default::default() };
            change::access(&client, printer, &circle.circle, access).await
        }
        CircleCommand::Recover(args) => recover::run(&client, printer, args).await,
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// Fewest digits of a number that stand for the whole.
const PREFIX_LEN_MIN: usize = 4;

/// The circle that was meant: by name whatever its case, by number, by the begin of a name that no
/// other circle has, or by at least four digits that its number alone begins with.
pub(super) async fn circle_named(client: &Client, text: &str) -> Result<Circle, Failure> {
    let circles = client.circles().await?.circles;
    find_circle(&circles, text).cloned()
}

pub(super) fn find_circle<'a>(circles: &'a [Circle], text: &str) -> Result<&'a Circle, Failure> {
    let folded = text.trim().to_lowercase();
    let ways: [&dyn Fn(&Circle) -> bool; 4] = [
        &|circle| circle.name.folded() == folded,
        &|circle| circle.id.to_string() == folded,
        &|circle| !folded.is_empty() && circle.name.folded().starts_with(&folded),
        &|circle| folded.len() >= PREFIX_LEN_MIN && circle.id.to_string().starts_with(&folded),
    ];
    for is_meant in ways {
        let found: Vec<_> = circles.iter().filter(|circle| is_meant(circle)).collect();
        match found[..] {
            [] => {}
            [circle] => return Ok(circle),
            _ => return Err(several(text, &found)),
        }
    }
    let text = format!("no circle is called `{}`", format::shortened(text));
    Err(refused(ApiError::new(ErrorCode::CircleNotFound, text)))
}

fn several(text: &str, found: &[&Circle]) -> Failure {
    let shown = |circle: &&Circle| format!("{} ({:.8})", circle.name, circle.id.to_string());
    let names: Vec<_> = found.iter().take(3).map(shown).collect();
    let text = format!("`{}` can be {}", format::shortened(text), names.join(" or "));
    let hint = "name it by more letters, or by the digits of its number";
    refused(ApiError::new(ErrorCode::CircleNotFound, text).with_hint(hint))
}

/// The member that was meant: by the name of a friend, by key or address, by at least four digits
/// of its key, or by what the circle calls it where that is said of one alone.
fn find_member<'a>(details: &'a CircleDetails, text: &str) -> Result<&'a Member, Failure> {
    let members = &details.members;
    let known = |member: &Member| (member.party.key, member.address, None, None);
    let named =
        |member: &Member| (member.party.key, member.address, None, member.party.name.clone());
    let folded = text.trim().to_lowercase();
    let is_called = |member: &&Member| {
        member.party.label.as_ref().is_some_and(|label| label.folded() == folded)
    };
    let is_friend =
        |member: &&Member| member.party.name.as_ref().is_some_and(|name| name.folded() == folded);
    let called: Vec<_> = members.iter().filter(is_called).collect();
    // What was chosen here counts for more than what somebody calls itself.
    if let Some(friend) = members.iter().find(is_friend) {
        return Ok(friend);
    }
    match (&called[..], find(text, members, known)) {
        ([member], _) => Ok(member),
        ([], Ok(member)) => Ok(member),
        ([], Err(FindError::Several(..))) => find(text, members, named).map_err(not_found),
        ([], Err(_)) => {
            let circle = &details.circle.name;
            let text = format!("no member of {circle} is called `{}`", format::shortened(text));
            let hint = format!(
                "`planetary circle show {}` lists the members",
                format::quoted(circle.as_str())
            );
            Err(refused(ApiError::new(ErrorCode::InvalidCircle, text).with_hint(hint)))
        }
        (several, _) => {
            let keys: Vec<_> =
                several.iter().map(|member| format::digits(member.party.key)).collect();
            let text =
                format!("{} members call themselves `{}`", several.len(), format::shortened(text));
            let hint = format!("name it by the digits of its key: {}", keys.join(" or "));
            Err(refused(ApiError::new(ErrorCode::InvalidCircle, text).with_hint(hint)))
        }
    }
}

/// The key of a friend by its name, or a key as it is.
async fn key_of(client: &Client, text: &str) -> Result<NodeKey, Failure> {
    let (friends, _) = client.friends().await?;
    match find_friend(&friends, text) {
        Ok(friend) => Ok(friend.key),
        Err(error @ FindError::Nobody(_)) => text.trim().parse().map_err(|_| not_found(error)),
        Err(error) => Err(not_found(error)),
    }
}

/// A name that may stand in a sentence.
pub(super) fn name(circle: &Circle) -> String {
    format::plain(circle.name.as_str()).into_owned()
}

/// What members of a circle may reach, in words.
fn reach(access: &CircleAccess) -> String {
    let echo = access.echo.then(|| "echo".to_owned());
    let subnet = access.subnet.then(|| "devices behind this node".to_owned());
    let services = (!access.services.is_empty()).then(|| format::services(&access.services, ""));
    let all: Vec<_> = echo.into_iter().chain(services).chain(subnet).collect();
    if all.is_empty() { "nothing".to_owned() } else { all.join(" ") }
}

/// How this computer stands to a circle, in a word.
fn state(circle: &Circle) -> &'static str {
    match circle.state {
        CircleState::Asking => "asking",
        CircleState::Waiting => "waiting for a yes",
        CircleState::Refused => "refused",
        CircleState::Expired => "link is over",
        CircleState::Invited => "invited",
        CircleState::Member if !circle.access.enabled => "paused",
        CircleState::Member if circle.role == Some(MemberRole::Admin) => "admin",
        CircleState::Member => "member",
        CircleState::Removed => "removed",
        CircleState::Left => "left",
    }
}

#[cfg(test)]
mod tests {
    use planetary_ipc::mock::Mock;
    use planetary_ipc::server::Handler;
    use planetary_ipc::{CircleId, PeerCredentials, Reply, Request};

    use super::*;

    async fn ask(request: Request) -> Reply {
        let caller = PeerCredentials { uid: None, pid: None, right: None };
        Mock::after(45).handle(request, caller).await.unwrap()
    }

    async fn circles() -> Vec<Circle> {
        match ask(Request::CircleList).await {
            Reply::Circles(list) => list.circles,
            other => panic!("{other:?}"),
        }
    }

    async fn details(circle: CircleId) -> CircleDetails {
        match ask(Request::CircleShow { circle }).await {
            Reply::Circle(details) => *details,
            other => panic!("{other:?}"),
        }
    }

    fn message(failure: Failure) -> String {
        failure.message()
    }

    #[tokio::test]
    async fn circles_are_named_by_name_begin_or_number() {
        let mut circles = circles().await;
        let id = circles[1].id.to_string();
        for text in ["family", " Family ", "fam", "F", &id, &id[..4]] {
            assert_eq!(find_circle(&circles, text).unwrap().name.as_str(), "Family", "{text}");
        }
        for text in ["", " ", "families", &id[..3]] {
            let text = message(find_circle(&circles, text).unwrap_err());
            assert!(text.starts_with("no circle is called"), "{text}");
        }
        // Two of one name, and one whose name begins like another.
        circles.push(Circle { id: CircleId([9; 32]), ..circles[1].clone() });
        let text = message(find_circle(&circles, "family").unwrap_err());
        assert!(text.contains("Family (09090909)"), "{text}");
        circles[2].name = "Family and friends".parse().unwrap();
        assert_eq!(find_circle(&circles, "family").unwrap().id, circles[1].id);
        assert!(find_circle(&circles, "fam").is_err());
        assert_eq!(find_circle(&circles, "0909").unwrap().id, circles[2].id);
    }

    #[tokio::test]
    async fn members_are_named_by_friends_labels_and_keys() {
        let circles = circles().await;
        let mut details = details(circles[1].id).await;
        let label = |member: &Member| member.party.label.as_ref().map(ToString::to_string);
        for (text, expected) in [("ada", "Ada"), ("MUM", "Mum"), ("uncle bob", "Bob")] {
            let found = find_member(&details, text).unwrap();
            assert_eq!(label(found).as_deref(), Some(expected), "{text}");
        }
        let mum = find_member(&details, "Mum").unwrap().clone();
        let key = mum.party.key.to_string();
        for text in [key.clone(), key[..6].to_owned(), mum.address.to_string()] {
            assert_eq!(find_member(&details, &text).unwrap(), &mum, "{text}");
        }
        assert!(message(find_member(&details, "Moon").unwrap_err()).contains("Family"));
        // Whoever takes the name of a friend as its own is not taken for it.
        for member in details.members.iter_mut().filter(|member| member.party == mum.party) {
            member.party.label = Some("Ada".parse().unwrap());
        }
        let found = find_member(&details, "Ada").unwrap();
        assert!(found.party.name.is_some());
        for member in &mut details.members {
            member.party.name = None;
        }
        let text = message(find_member(&details, "Ada").unwrap_err());
        assert_eq!(text, "2 members call themselves `Ada`");
    }
}
