//! What can be asked for (chapter 11.3).

use planetary_ipc::Right;
use planetary_proto::identity::NodeKey;
use planetary_proto::upper::{InbandAnswer, InbandKind};
use planetary_runtime::{AskError, Engine};
use serde_json::{Value, json};

use super::answers;
use super::request::{Refusal, Request};
use crate::node::{Node, PassingError};

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    AddPeer,
    RemoteGetPeers,
    RemoteGetSelf,
    RemoteGetTree,
    GetMulticastInterfaces,
    GetNodeInfo,
    GetPaths,
    GetPeers,
    GetSelf,
    GetSessions,
    GetTree,
    GetTun,
    List,
    RemovePeer,
}

/// A line of `list`: the name in lower case, names of arguments, and what it is for.
type Line = (Command, &'static str, &'static [&'static str], &'static str);

/// All commands, ordered by name.
const COMMANDS: &[Line] = &[
    (Command::AddPeer, "addpeer", &["uri", "interface"], "Add a peer for this run"),
    (Command::RemoteGetPeers, "debug_remotegetpeers", &["key"], "Ask a node for its peers"),
    (Command::RemoteGetSelf, "debug_remotegetself", &["key"], "Ask a node for its key"),
    (Command::RemoteGetTree, "debug_remotegettree", &["key"], "Ask a node for the edges it knows"),
    (
        Command::GetMulticastInterfaces,
        "getmulticastinterfaces",
        &[],
        "Show where nodes of the local network are looked for",
    ),
    (Command::GetNodeInfo, "getnodeinfo", &["key"], "Ask a node what it tells about itself"),
    (Command::GetPaths, "getpaths", &[], "Show known paths"),
    (Command::GetPeers, "getpeers", &["sort"], "Show peers and links"),
    (Command::GetSelf, "getself", &[], "Show this node"),
    (Command::GetSessions, "getsessions", &[], "Show open sessions"),
    (Command::GetTree, "gettree", &[], "Show known edges of the tree"),
    (Command::GetTun, "gettun", &[], "Show the network interface"),
    (Command::List, "list", &[], "Show these commands"),
    (Command::RemovePeer, "removepeer", &["uri", "interface"], "Remove a peer for this run"),
];

impl Command {
    fn of(name: &str) -> Option<Self> {
        let line = COMMANDS.iter().find(|(_, known, ..)| known.eq_ignore_ascii_case(name));
        line.map(|(command, ..)| *command)
    }

    const fn right(self) -> Right {
        if matches!(self, Self::AddPeer | Self::RemovePeer) { Right::Change } else { Right::Read }
    }
}

/// Carries out a request of a caller with this right, if any.
///
/// # Errors
/// What the client is told.
pub(super) async fn run(
    request: &Request,
    right: Option<Right>,
    node: &Node,
) -> Result<Value, Refusal> {
    let name = request.request.as_str();
    if name.is_empty() {
        return Err(Refusal::NoCommand);
    }
    let command = Command::of(name).ok_or_else(|| Refusal::UnknownCommand(name.to_owned()))?;
    if right.is_none_or(|granted| granted < command.right()) {
        return Err(Refusal::Denied("ask as root or as a member of the group planetary"));
    }
    match command {
        Command::List => Ok(list()),
        Command::GetSelf => Ok(answers::this_node(&*node.publish().await)),
        Command::GetPeers => Ok(answers::peers(&*node.publish().await, request.argument("sort")?)),
        Command::GetTun => Ok(answers::tun(&*node.publish().await)),
        Command::GetMulticastInterfaces => {
            Ok(answers::multicast(&*node.publish().await, node.has_lan_password()))
        }
        Command::GetTree => Ok(answers::tree(&topology(node).await?)),
        Command::GetPaths => Ok(answers::paths(&topology(node).await?)),
        Command::GetSessions => {
            let sessions = engine(node)?.sessions().await.map_err(failed)?;
            Ok(answers::sessions(&sessions))
        }
        Command::AddPeer => {
            let (uri, interface) = peer(request)?;
            done(node.add_passing_peer(uri, interface).await)
        }
        Command::RemovePeer => {
            let (uri, interface) = peer(request)?;
            done(node.remove_passing_peer(uri, interface).await)
        }
        Command::GetNodeInfo => {
            let key = key(request)?;
            let answer = ask(node, key, InbandKind::NodeInfo).await?;
            Ok(named(key.to_string(), told(answer)?))
        }
        Command::RemoteGetSelf => remote(node, key(request)?, InbandKind::GetSelf).await,
        Command::RemoteGetPeers => remote(node, key(request)?, InbandKind::GetPeers).await,
        Command::RemoteGetTree => remote(node, key(request)?, InbandKind::GetTree).await,
    }
}

fn list() -> Value {
    let entries = COMMANDS.iter().map(|(_, name, fields, description)| {
        let mut entry = json!({ "command": name, "description": description });
        if !fields.is_empty() {
            entry["fields"] = json!(fields);
        }
        entry
    });
    json!({ "list": entries.collect::<Vec<_>>() })
}

/// Which peer a request names, and over which interface.
fn peer(request: &Request) -> Result<(&str, Option<&str>), Refusal> {
    let interface = request.argument("interface")?;
    Ok((request.argument("uri")?, Some(interface).filter(|name| !name.is_empty())))
}

fn done(outcome: Result<(), PassingError>) -> Result<Value, Refusal> {
    outcome.map(|()| json!({})).map_err(|error| Refusal::Failed(error.to_string()))
}

/// Asks another node about itself; the answer goes by its address.
async fn remote(node: &Node, key: NodeKey, kind: InbandKind) -> Result<Value, Refusal> {
    let answer = ask(node, key, kind).await?;
    Ok(named(key.address().to_ipv6().to_string(), told(answer)?))
}

/// What another node said.
fn told(answer: InbandAnswer) -> Result<Value, Refusal> {
    match answer {
        InbandAnswer::NodeInfo(text) | InbandAnswer::GetSelf(text) => {
            let wrong = |_| Refusal::Failed("the node's answer is no JSON".to_owned());
            serde_json::from_slice(&text).map_err(wrong)
        }
        InbandAnswer::GetPeers(keys) | InbandAnswer::GetTree(keys) if keys.is_empty() => {
            Ok(json!({}))
        }
        InbandAnswer::GetPeers(keys) | InbandAnswer::GetTree(keys) => {
            let keys: Vec<_> = keys.iter().map(ToString::to_string).collect();
            Ok(json!({ "keys": keys }))
        }
    }
}

async fn ask(node: &Node, key: NodeKey, kind: InbandKind) -> Result<InbandAnswer, Refusal> {
    engine(node)?.ask(key, kind).await.map_err(failed)
}

async fn topology(node: &Node) -> Result<planetary_runtime::Topology, Refusal> {
    engine(node)?.topology().await.map_err(failed)
}

fn engine(node: &Node) -> Result<Engine, Refusal> {
    node.engine().ok_or_else(|| failed(AskError::Stopped))
}

fn key(request: &Request) -> Result<NodeKey, Refusal> {
    let text = request.argument("key")?;
    if text.is_empty() {
        return Err(Refusal::Failed("no key given".to_owned()));
    }
    let wrong = |_| Refusal::Failed("the key is not 64 hexadecimal digits".to_owned());
    text.parse().map_err(wrong)
}

fn named(name: String, value: Value) -> Value {
    Value::Object([(name, value)].into_iter().collect())
}

fn failed(error: AskError) -> Refusal {
    Refusal::Failed(error.to_string())
}
