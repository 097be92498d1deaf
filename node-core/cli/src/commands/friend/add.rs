//! `planetary friend add`: from a link, a key or an address.
//!
//! A link says what somebody else wants. So it is shown first, and done after a yes: the friend is
//! added, its peers only where that was asked for.

use std::process::ExitCode;

use planetary_ipc::{
    ApiError, Client, ErrorCode, Friend, FriendLink, NodeKey, PeerEntry, RequestError, Target,
};
use serde::Serialize;

use super::{reach, refused, services};
use crate::args::AddArgs;
use crate::ask;
use crate::failure::Failure;
use crate::format::{self, Printer};

/// What `planetary friend add --json` prints.
#[derive(Serialize)]
struct Added {
    #[serde(flatten)]
    friend: Friend,
    /// Peers of the link that were added.
    peers: Vec<PeerEntry>,
    /// Those that were not, and why.
    peers_refused: Vec<RefusedPeer>,
}

/// A peer of a link that the service did not take.
#[derive(Serialize)]
struct RefusedPeer {
    uri: String,
    reason: String,
}

pub(super) async fn add(
    client: &Client,
    printer: &Printer,
    args: AddArgs,
) -> Result<ExitCode, Failure> {
    let link = match FriendLink::is_meant(&args.who) {
        true => Some(read_link(&args.who)?),
        false => None,
    };
    if args.with_peers && link.is_none() {
        return Err(ask::usage("--with-peers is for a link", "leave out --with-peers"));
    }
    let who = match &link {
        Some(link) => Target::Key(link.key),
        None => read_target(&args.who)?,
    };
    let name = args.name.clone().or_else(|| link.as_ref().and_then(|link| link.name.clone()));
    if let Some(link) = &link {
        refuse_known(client, link.key).await?;
        let about = describe(link, &args, name.as_ref().map(|name| name.to_string()));
        if !ask::confirm(printer, &about, "Add this friend?", args.yes).await? {
            return not_done();
        }
    }
    let echo = args.no_echo.then_some(false);
    let friend = client.add_friend(who, name, echo, args.allow, args.note).await?;
    let (mut peers, mut peers_refused) = (Vec::new(), Vec::new());
    for peer in link.into_iter().filter(|_| args.with_peers).flat_map(|link| link.peers) {
        match client.add_peer(peer.to_string(), None).await {
            Ok(entry) => peers.push(entry),
            // It is there, which is all that was wanted.
            Err(error) if error.code() == Some(ErrorCode::PeerExists) => {}
            Err(RequestError::Refused(error)) => {
                let uri = planetary_ipc::status::public_uri(&peer.to_string());
                peers_refused.push(RefusedPeer { uri, reason: error.message });
            }
            Err(error) => return Err(error.into()),
        }
    }
    let asked_by_address = matches!(who, Target::Address(_));
    let added = Added { friend, peers, peers_refused };
    printer.print(&added, |added, _| words(added, asked_by_address))?;
    Ok(ExitCode::SUCCESS)
}

/// Says that nothing was done, because the person did not want it.
pub(super) fn not_done() -> Result<ExitCode, Failure> {
    eprintln!("Nothing was changed.");
    Ok(ExitCode::FAILURE)
}

fn read_link(text: &str) -> Result<FriendLink, Failure> {
    let tip = "ask for a new link: `planetary share` makes one";
    text.parse().map_err(|error| ask::usage(&format!("{error}"), tip))
}

fn read_target(text: &str) -> Result<Target, Failure> {
    let tip = "give a link (planetary:friend?…), a key, or an address in 200::/7";
    text.parse().map_err(|error| ask::usage(&format!("{error}"), tip))
}

/// Finds out before the question whether it is worth asking. The service decides in the end.
async fn refuse_known(client: &Client, key: NodeKey) -> Result<(), Failure> {
    if key == client.hello().status.key {
        return Err(refused(
            ApiError::new(ErrorCode::InvalidTarget, "this is the link of this node itself")
                .with_hint("send it to others, so that they can add you"),
        ));
    }
    let (friends, _) = client.friends().await?;
    if let Some(friend) = friends.iter().find(|friend| friend.key == key) {
        let text = format!("the key is a friend already, called {}", friend.name);
        return Err(refused(ApiError::new(ErrorCode::FriendExists, text)));
    }
    if client.blocked().await?.iter().any(|blocked| blocked.key == key) {
        let hint = format!("unblock it first: `planetary friend unblock {key}`");
        let error = ApiError::new(ErrorCode::KeyBlocked, format!("{key} is blocked"));
        return Err(refused(error.with_hint(hint)));
    }
    Ok(())
}

fn describe(link: &FriendLink, args: &AddArgs, name: Option<String>) -> String {
    let may = match (args.no_echo, &args.allow[..]) {
        (true, []) => "nothing here".to_owned(),
        (true, allow) => services(allow),
        (false, []) => "ping this computer, nothing else".to_owned(),
        (false, allow) => format!("ping this computer, and reach {}", services(allow)),
    };
    let calls_itself = link.name.as_ref().map_or_else(|| "nothing".to_owned(), |n| n.to_string());
    let digits = || format!("{:.8}", link.key.to_string());
    let mut rows = vec![
        ("key", link.key.to_string()),
        ("calls itself", calls_itself),
        ("your name for it", name.unwrap_or_else(digits)),
        ("it may", may),
    ];
    let peers = match (link.peers.len(), args.with_peers) {
        (0, _) => "none in the link",
        (_, true) => "added to your configuration",
        (_, false) => "not added (--with-peers adds them)",
    };
    rows.push(("peers", peers.to_owned()));
    rows.extend(link.peers.iter().map(|peer| ("", peer.to_string())));
    format!("The link asks you to add a friend:\n{}", format::fields(&rows))
}

fn words(added: &Added, asked_by_address: bool) -> String {
    let friend = &added.friend;
    let name = super::name(friend);
    let mut text = match asked_by_address {
        true => format!("Added {name}. The address belongs to the key {}.\n", friend.key),
        false => format!("Added {name}, {}.\n", friend.address),
    };
    text += &match (friend.echo, friend.services.is_empty()) {
        (true, true) => format!("{name} may ping this computer and reach nothing else here.\n"),
        _ => format!("{name} may reach here: {}\n", reach(friend)),
    };
    for peer in &added.peers {
        text += &format!("Added the peer {}.\n", format::plain(&peer.uri));
    }
    for RefusedPeer { uri, reason } in &added.peers_refused {
        text += &format!("Not added: {} ({})\n", format::plain(uri), format::plain(reason));
    }
    text += &format!(
        "To be sure of the key, compare it: planetary friend verify {}\n",
        format::quoted(&name)
    );
    text
}
