//! What nodes of ours have in common with the reference beyond links: its control program, group
//! passwords for some keys and the public network for others, and roads that lead around a leaf.
//!
//! ```text
//!   [left] =====slow wire===== [right]       both run the reference; `leaf` runs ours and carries
//!      \\=== wire === [leaf] === wire ===//    nothing, though the way over it is the faster one
//!                      ||
//!                   [member]                 runs ours, with a password between it and the leaf
//! ```

#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use planetary_lab::Kind::{Ours, Reference};
use planetary_lab::{Deadline, Identity, Lab, Node, Ping, Relay, run, until};
use serde_json::Value;

struct Grounds {
    left: Arc<Node>,
    right: Arc<Node>,
    leaf: Arc<Node>,
    member: Arc<Node>,
    admin: String,
}

impl Grounds {
    fn new(lab: &Lab) -> Result<Self> {
        let [left, right, leaf, member] =
            ["left", "right", "leaf", "member"].map(|label| lab.host(label));
        let (left, right, leaf, member) = (left?, right?, leaf?, member?);
        let relay = Relay { delay: Duration::from_millis(20), ..Relay::default() };
        let slow = lab.slow_wire(&left, &right, relay)?.ends()[1].uri("tcp", 9001);
        let [to_left, to_right] = [&left, &right].map(|host| lab.wire(&leaf, host));
        let (to_left, to_right) =
            (to_left?.ends()[1].uri("tcp", 9002), to_right?.ends()[1].uri("tcp", 9003));
        let to_leaf = lab.wire(&member, &leaf)?.ends()[1].uri("tcp", 9004);
        let [me, leaf_key, left_key, right_key] = [1, 2, 3, 4].map(Identity::numbered);
        let admin = format!("unix://{}", lab.folder().join("admin.sock").display());
        let group = |password: &str, key: &Identity| {
            format!("group = [{{ password = \"{password}\", keys = [\"{}\"] }}]", key.key())
        };
        let right = lab.node(Reference, &right)?.identity(right_key.clone());
        let right = lab.start(right.listen(&slow).listen(&to_right))?;
        let left = lab.node(Reference, &left)?.identity(left_key.clone());
        let left = lab.start(left.listen(&to_left).peer(&slow))?;
        let node = lab.node(Ours, &leaf)?.identity(leaf_key.clone()).transit("leaf");
        let node = node.line(&format!("admin.listen = \"{admin}\"")).line(&group("shed", &me));
        let leaf = lab.start(node.listen(&to_leaf).peer(&to_left).peer(&to_right))?;
        let member = lab.node(Ours, &member)?.identity(me).line(&group("shed", &leaf_key));
        let member = lab.start(member.peer(&to_leaf))?;
        Ok(Self { left, right, leaf, member, admin })
    }

    /// Asks the leaf with the stock program.
    fn ask(&self, words: &[&str]) -> Result<Value> {
        let text = self.say(&[&["-json"], words].concat())?;
        serde_json::from_str(&text).context("what yggdrasilctl printed is not JSON")
    }

    fn say(&self, words: &[&str]) -> Result<String> {
        let words = words.join(" ");
        let line = format!("exec yggdrasilctl -endpoint={} {words}", self.admin);
        self.leaf.host().run("sh", ["-c", &line])
    }

    fn carried(&self) -> Result<u64> {
        let status = self.leaf.raw_status()?;
        status.pointer("/transit/bytes").and_then(Value::as_u64).context("no bytes of transit")
    }
}

/// Names of members, and what type each has, of the first entry of a list or of the object itself.
fn shape(answer: &Value) -> BTreeSet<(String, &'static str)> {
    let lists = answer.as_object().into_iter().flat_map(|all| all.values());
    let first = lists.filter_map(Value::as_array).next().and_then(|list| list.first());
    let members = first.unwrap_or(answer).as_object().into_iter().flatten();
    members.map(|(name, value)| (name.clone(), kind(value))).collect()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[test]
fn the_stock_program_a_group_and_a_leaf() {
    run("compatible", |lab| {
        let grounds = Grounds::new(lab)?;
        let Grounds { left, right, leaf, member, .. } = &grounds;
        for other in [left, right, member] {
            leaf.wait_until_reaches(other, Deadline::seconds(60))?;
        }
        group(&grounds)?;
        roads(&grounds)?;
        commands(&grounds)?;
        peers(&grounds)
    });
}

/// The leaf is in a group with the member, and in the public network with the two others.
fn group(grounds: &Grounds) -> Result<()> {
    let Grounds { left, leaf, member, .. } = grounds;
    member.wait_until_reaches(leaf, Deadline::seconds(30))?;
    left.wait_until_reaches(leaf, Deadline::seconds(30))?;
    // For the reference the member has no password either. The member's only neighbour is a leaf,
    // so nobody else can find it.
    let ping = Ping::new(member.address()).times(3, Duration::from_millis(200));
    ensure!(
        ping.once(left.host(), 1)?.round_trips_ms.is_empty(),
        "a leaf carried for its neighbour"
    );
    Ok(())
}

/// Nothing goes over the leaf, though that would be faster.
fn roads(grounds: &Grounds) -> Result<()> {
    let Grounds { left, right, .. } = grounds;
    left.wait_until_reaches(right, Deadline::seconds(60))?;
    let before = grounds.carried()?;
    let ping = Ping::new(right.address()).times(20, Duration::from_millis(20));
    let times = ping.all_answered(left.host(), 10)?;
    let least = times.quantile_ms(0.0).unwrap_or_default();
    eprintln!("over the slow wire: at least {least} ms; carried {} bytes", grounds.carried()?);
    ensure!(least >= 40.0, "{least} ms, over the leaf");
    ensure!(grounds.carried()? == before, "the leaf carried {} bytes", grounds.carried()? - before);
    Ok(())
}

/// Every command, as text and as JSON, and of the shape that the reference's own answer has.
fn commands(grounds: &Grounds) -> Result<()> {
    let Grounds { left, leaf, member, .. } = grounds;
    let key = |node: &Node| format!("key={}", node.identity().key());
    for command in ["list", "getSelf", "getTree", "getPaths", "getSessions", "getTun"] {
        let (ours, theirs) = (grounds.ask(&[command])?, left.yggdrasilctl([command])?);
        if command != "list" {
            ensure!(shape(&ours) == shape(&theirs), "{command}: {ours:#} instead of {theirs:#}");
        }
        grounds.say(&[command]).with_context(|| format!("{command} as text"))?;
    }
    let own = grounds.ask(&["getSelf"])?;
    ensure!(own["key"] == leaf.identity().key().as_str(), "{own:#}");
    ensure!(own["address"] == leaf.address().to_string().as_str(), "{own:#}");
    // Members that are zero are left out, so the two need not be the same.
    let (ours, theirs) =
        (grounds.ask(&["getPeers", "sort=cost"])?, left.yggdrasilctl(["getPeers"])?);
    let known: BTreeSet<_> = [
        ("remote", "string"),
        ("up", "bool"),
        ("inbound", "bool"),
        ("address", "string"),
        ("key", "string"),
        ("port", "number"),
        ("priority", "number"),
        ("cost", "number"),
        ("bytes_recvd", "number"),
        ("bytes_sent", "number"),
        ("rate_recvd", "number"),
        ("rate_sent", "number"),
        ("uptime", "number"),
        ("latency", "number"),
        ("last_error", "string"),
        ("last_error_time", "number"),
    ]
    .map(|(name, kind)| (name.to_owned(), kind))
    .into();
    for answer in [&ours, &theirs] {
        ensure!(shape(answer).is_subset(&known), "{answer:#}");
    }
    ensure!(ours["peers"].as_array().map(Vec::len) == Some(3), "{ours:#}");
    grounds.say(&["getPeers"])?;
    grounds.say(&["getMulticastInterfaces"])?;
    ensure!(
        grounds.ask(&["getMulticastInterfaces"])?["multicast_interfaces"].is_array(),
        "no list"
    );

    for command in
        ["getNodeInfo", "debug_remoteGetSelf", "debug_remoteGetPeers", "debug_remoteGetTree"]
    {
        let asked = key(left);
        let ours =
            until(command, Deadline::seconds(30), || Ok(grounds.ask(&[command, &asked]).ok()))?;
        let by = if command == "getNodeInfo" {
            left.identity().key()
        } else {
            left.address().to_string()
        };
        ensure!(ours.get(&by).is_some(), "{command}: {ours:#}");
        grounds.say(&[command, &asked])?;
    }
    ensure!(grounds.ask(&["getNodeInfo", &key(member)]).is_ok(), "the member answers its group");
    for wrong in ["nope", "lookups", "getNodeInfo", "getNodeInfo key=12", "addPeer uri=tcp"] {
        ensure!(grounds.say(&[wrong]).is_err(), "{wrong} succeeded");
    }
    Ok(())
}

/// A peer that is removed is gone for this run, and back when it is added.
fn peers(grounds: &Grounds) -> Result<()> {
    let Grounds { right, leaf, .. } = grounds;
    let remotes = || -> Result<Vec<String>> {
        let answer = grounds.ask(&["getPeers"])?;
        let entries = answer["peers"].as_array().into_iter().flatten();
        let own = entries.filter(|entry| entry["inbound"] == false);
        Ok(own.filter_map(|entry| Some(entry["remote"].as_str()?.to_owned())).collect())
    };
    let all = remotes()?;
    let uri = all.iter().find(|uri| uri.ends_with(":9003")).context("the peer on the right")?;
    let argument = format!("uri={uri}");
    grounds.say(&["removePeer", &argument])?;
    ensure!(remotes()?.len() == all.len() - 1, "{:?}", remotes()?);
    ensure!(grounds.say(&["removePeer", &argument]).is_err(), "removed twice");
    grounds.say(&["addPeer", &argument])?;
    ensure!(grounds.say(&["addPeer", &argument]).is_err(), "added twice");
    leaf.wait_for_link(right, Deadline::seconds(20))
}

/// What the reference's own `-genconf` writes, filled in, is taken over whole, and is the same node
/// afterwards.
#[test]
fn a_configuration_of_the_reference_moves_in() {
    run("moving in", |lab| {
        let host = lab.host("home")?;
        let node = lab.start(lab.node(Ours, &host)?)?;
        let text = host.run("yggdrasil", ["-genconf", "-json"])?;
        let mut theirs: Value = serde_json::from_str(&text)?;
        let friend = Identity::numbered(9).key();
        theirs["Peers"] =
            serde_json::json!(["tls://192.0.2.7:443?password=word", "tcp://[2001:db8::1]:9"]);
        theirs["Listen"] = serde_json::json!(["tcp://127.0.0.1:9100"]);
        theirs["AllowedPublicKeys"] = serde_json::json!([friend]);
        theirs["GroupPassword"] = serde_json::json!("shed");
        let file = lab.folder().join("yggdrasil.conf");
        fs::write(&file, serde_json::to_string(&theirs)?)?;
        let path = file.display().to_string();
        let key = host.run("yggdrasil", ["-useconffile", &path, "-publickey"])?;
        node.planetary(["import", &path, "--replace", "--yes"])?;
        let status = node.status()?;
        ensure!(status.key == key.trim(), "{} instead of {key}", status.key);
        let config = fs::read_to_string(node.control().with_file_name("config.toml"))?;
        for piece in [
            "tls://192.0.2.7:443?password=word",
            "tcp://[2001:db8::1]:9",
            "tcp://127.0.0.1:9100",
            &friend,
            "group_password = \"shed\"",
        ] {
            ensure!(config.contains(piece), "{piece} is not in {config}");
        }
        // A second time there is nothing to do.
        node.planetary(["import", &path, "--yes"])?;
        ensure!(
            fs::read_to_string(node.control().with_file_name("config.toml"))? == config,
            "again"
        );
        Ok(())
    });
}
