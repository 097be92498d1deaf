//! Circles among real nodes: who joins by an invite gets in, who is removed is out at once, and the
//! real `yggdrasil` between them carries all of it without learning any of it.
//!
//! ```text
//!   [ada] ==\                         /== [carl]
//!            [left] =====bridge===== [right]
//!   [bob] ==/                         \== [eve]
//! ```
//!
//! `left` and `right` run the reference, and are the strangers too; everybody else runs ours with
//! its default settings.

#![cfg(target_os = "linux")]

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use planetary_lab::Kind::{Ours, Reference};
use planetary_lab::{
    Capture, Deadline, Found, Host, Identity, Lab, Node, Ping, Talk, Talker, WebServer, Wire,
    fetch, run, scan, until,
};
use serde_json::Value;

const WEB: u16 = 8000;
const TALK: u16 = 7000;
const CIRCLE: &str = "Sternwarte Bergheim";

/// Longest time in which a live flow may go on after its right has gone.
const OUT_WITHIN: Duration = Duration::from_secs(1);

struct Grounds {
    left: Arc<Node>,
    members: Vec<Arc<Node>>,
    bridge: Arc<Wire>,
}

impl Grounds {
    /// Starts the two of the reference and so many nodes of ours, left and right in turn.
    fn new(lab: &Lab, labels: &[&str]) -> Result<Self> {
        let (left, right) = (lab.host("left")?, lab.host("right")?);
        let bridge = lab.wire(&left, &right)?;
        let far = bridge.ends()[1].uri("tcp", 9001);
        let mut hubs =
            [lab.node(Reference, &left)?.peer(&far), lab.node(Reference, &right)?.listen(&far)];
        // Made before any is started, so they would be numbered alike.
        let [one, other] = hubs;
        hubs = [one.identity(Identity::numbered(101)), other.identity(Identity::numbered(102))];
        let mut places = Vec::new();
        for (index, label) in labels.iter().enumerate() {
            let host = lab.host(label)?;
            let hub = if index % 2 == 0 { &left } else { &right };
            let uri = lab.wire(&host, hub)?.ends()[1].uri("tcp", 9001);
            let [one, other] = hubs;
            hubs = match index % 2 {
                0 => [one.listen(&uri), other],
                _ => [one, other.listen(&uri)],
            };
            places.push((host, uri));
        }
        let [left, right] = hubs;
        let right = lab.start(right)?;
        let left = lab.start(left)?;
        let mut members = Vec::new();
        for (host, uri) in places {
            members.push(lab.start(lab.node(Ours, &host)?.peer(uri).closed())?);
        }
        let mut all: Vec<&Node> = members.iter().map(AsRef::as_ref).collect();
        all.extend([&*left, &*right]);
        lab.settled(&all, Deadline::seconds(60))?;
        Ok(Self { left, members, bridge })
    }

    /// Grounds with a circle of the first, that all others have joined.
    fn with_circle(lab: &Lab, labels: &[&str]) -> Result<Self> {
        let grounds = Self::new(lab, labels)?;
        let ada = &grounds.members[0];
        say(ada, ["circle", "create", CIRCLE, "--no-recovery"])?;
        for guest in &grounds.members[1..] {
            let link = invite(ada, &[])?;
            say(guest, ["join", &link, "--as", guest.label(), "--yes"])?;
        }
        for member in &grounds.members {
            let all = labels.len();
            until(&format!("{} to see {all}", member.name()), Deadline::seconds(60), || {
                let seen = members_of(member)?;
                Ok((seen.len() == all).then_some(()))
            })?;
        }
        Ok(grounds)
    }
}

/// Runs `planetary` on a node.
fn say<'a>(node: &Node, words: impl AsRef<[&'a str]>) -> Result<Value> {
    let words = words.as_ref();
    let said = node.planetary(words);
    said.with_context(|| format!("{}: planetary {}", node.name(), words.join(" ")))
}

fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.with_context(|| format!("no text at {pointer} in {value}"))
}

/// The link of a new invite.
fn invite(node: &Node, more: &[&str]) -> Result<String> {
    let made = say(node, [&["invite", "create", CIRCLE][..], more].concat())?;
    Ok(text(&made, "/link")?.to_owned())
}

/// Keys and roles of those who have agreed, ordered.
fn members_of(node: &Node) -> Result<Vec<String>> {
    let shown = say(node, ["circle", "show", CIRCLE])?;
    let members = shown.pointer("/members").and_then(Value::as_array).context("no members")?;
    let agreed = members.iter().filter(|member| member["state"] == "member");
    let mut agreed: Vec<String> =
        agreed.map(|member| format!("{} {}", member["party"]["key"], member["role"])).collect();
    agreed.sort();
    Ok(agreed)
}

/// How a node stands to its only circle.
fn state(node: &Node) -> Result<String> {
    let list = say(node, ["circle", "list"])?;
    Ok(text(&list, "/circles/0/state")?.to_owned())
}

fn wait_for_state(node: &Node, wanted: &str, deadline: Deadline) -> Result<()> {
    until(&format!("{} to be {wanted}", node.name()), deadline, || {
        let is = state(node)?;
        if is == wanted { Ok(Some(())) } else { bail!("it is {is}") }
    })
}

fn answers(host: &Host, node: &Node) -> Result<bool> {
    let ping = Ping::new(node.address()).times(5, Duration::from_millis(200));
    Ok(!ping.once(host, 2)?.round_trips_ms.is_empty())
}

/// `nc` connects within some seconds and hangs up.
fn nc(host: &Host, node: &Node, port: u16, seconds: u8) -> Result<()> {
    let (address, port) = (node.address().to_string(), port.to_string());
    host.run("nc", ["-6", "-z", "-w", &seconds.to_string(), &address, &port]).map(drop)
}

fn talk(talker: &Talker, from: &Node, to: &Node) -> Result<Talk> {
    let talk = until("a conversation", Deadline::seconds(60), || {
        talker.talk(from.host(), to.address()).map(Some)
    })?;
    ensure!(talk.goes_on(), "the conversation never began");
    Ok(talk)
}

#[test]
fn a_guest_joins_by_a_link_and_reaches_what_its_circle_may() {
    run("a circle of two", |lab| {
        let grounds = Grounds::with_circle(lab, &["ada", "bob"])?;
        let [ada, bob] = &grounds.members[..] else { bail!("not two members") };
        fs::write(lab.folder().join("page"), "hello")?;
        let web = WebServer::start(ada.host(), ada.address(), lab.folder())?;
        let _talker = Talker::start(ada.host(), TALK)?;
        let page = lab.folder().join("fetched");

        Ping::new(ada.address()).until_answered(bob.host(), Deadline::seconds(30))?;
        let found = scan(bob.host(), ada.address(), &[22, WEB], Duration::from_secs(2))?;
        ensure!(found == [Found::Refused(22), Found::Refused(WEB)], "bob found {found:?}");
        say(ada, ["circle", "allow", CIRCLE, "tcp/8000"])?;
        fetch(bob.host(), &web.url("page"), &page)?;
        ensure!(fs::read_to_string(&page)? == "hello", "another page came");

        // The real stranger, one link away, finds nothing.
        let stranger = grounds.left.host();
        let found = scan(stranger, ada.address(), &[22, TALK, WEB], Duration::from_secs(2))?;
        ensure!(found.is_empty(), "the stranger found {found:?}");
        ensure!(!answers(stranger, ada)?, "the stranger got an echo");

        // Who reached what is told, and told apart from who was turned away.
        let visits = say(ada, ["visits"])?;
        let visits = visits.pointer("/visits").and_then(Value::as_array).context("no visits")?;
        let key = bob.identity().key();
        for (service, outcome) in [("tcp/8000", "opened"), ("tcp/22", "refused")] {
            let told = visits.iter().any(|visit| {
                visit["who"]["key"] == *key
                    && visit["service"] == service
                    && visit["outcome"] == outcome
            });
            ensure!(told, "nothing tells that bob's {service} was {outcome}: {visits:?}");
        }
        Ok(())
    });
}

#[test]
fn live_flows_end_within_a_second_of_a_circles_right() {
    run("out of the circle within a second", |lab| {
        let grounds = Grounds::with_circle(lab, &["ada", "bob"])?;
        let [ada, bob] = &grounds.members[..] else { bail!("not two members") };
        let key = bob.identity().key();
        let talker = Talker::start(ada.host(), TALK)?;
        say(ada, ["circle", "allow", CIRCLE, "tcp/7000"])?;
        let allow = ["circle", "allow", CIRCLE, "tcp/7000"];
        for (case, out, back) in [
            ("denied", &["circle", "deny", CIRCLE, "tcp/7000"][..], Some(&allow[..])),
            ("circle paused", &["circle", "pause", CIRCLE], Some(&["circle", "resume", CIRCLE])),
            ("everything paused", &["pause"], Some(&["resume"])),
            ("blocked", &["friend", "block", &key], Some(&["friend", "unblock", &key])),
            ("removed", &["circle", "remove", CIRCLE, &key], None),
        ] {
            let talk = talk(&talker, bob, ada)?;
            let said = Instant::now();
            say(ada, out)?;
            std::thread::sleep(OUT_WITHIN);
            ensure!(!talk.goes_on(), "{case}: the conversation goes on");
            let after = talk.last_heard().saturating_duration_since(said);
            eprintln!("{case}: the last word came {} ms after the command", after.as_millis());
            ensure!(after <= OUT_WITHIN, "{case}: the last word came after {after:?}");
            drop(talk);
            ensure!(nc(bob.host(), ada, TALK, 3).is_err(), "{case}: a new conversation began");
            if let Some(words) = back {
                say(ada, words)?;
            }
        }
        // Who was removed learns it, and gets in no more with a new link that was not for it.
        wait_for_state(bob, "removed", Deadline::seconds(60))
    });
}

#[test]
fn a_knock_is_asked_once_and_answered_as_the_person_says() {
    run("knocks", |lab| {
        let grounds = Grounds::with_circle(lab, &["ada", "bob"])?;
        let [ada, bob] = &grounds.members[..] else { bail!("not two members") };
        let _talker = Talker::start(ada.host(), TALK)?;
        Ping::new(ada.address()).until_answered(bob.host(), Deadline::seconds(30))?;
        // While nobody could answer, nobody is asked.
        ensure!(nc(bob.host(), ada, TALK, 3).is_err(), "in without a question");
        ensure!(questions(ada)?.is_empty(), "asked, and nobody there");

        let _asked = ada.begin(["questions", "--watch"])?;
        let knock = |seconds: u8| {
            let mut command = bob.host().command("nc");
            command.args(["-6", "-z", "-w", &seconds.to_string()]);
            command.args([ada.address().to_string(), TALK.to_string()]);
            command.spawn().context("nc")
        };
        let asked = || {
            until("a question", Deadline::seconds(20), || {
                Ok(questions(ada)?.first().map(ToString::to_string))
            })
        };
        // No.
        let mut caller = until("somebody to answer", Deadline::seconds(10), || {
            let mut caller = knock(25)?;
            std::thread::sleep(Duration::from_secs(2));
            if questions(ada)?.is_empty() {
                caller.kill()?;
                caller.wait()?;
                return Ok(None);
            }
            Ok(Some(caller))
        })?;
        let id = asked()?;
        say(ada, ["questions", "answer", &id, "no"])?;
        ensure!(!caller.wait()?.success(), "no, and in");
        // And not asked again for the same.
        ensure!(nc(bob.host(), ada, TALK, 3).is_err() && questions(ada)?.is_empty(), "asked again");
        // Another port is another question.
        let _other = Talker::start(ada.host(), TALK + 1)?;
        let mut command = bob.host().command("nc");
        command.args(["-6", "-z", "-w", "25", &ada.address().to_string(), "7001"]);
        let mut caller = command.spawn()?;
        let id = asked()?;
        say(ada, ["questions", "answer", &id, "circle"])?;
        ensure!(caller.wait()?.success(), "allowed, and kept out");
        nc(bob.host(), ada, TALK + 1, 5)?;
        // The stranger is never asked about.
        ensure!(nc(grounds.left.host(), ada, TALK, 3).is_err(), "a stranger got in");
        ensure!(questions(ada)?.is_empty(), "a stranger made a question");
        Ok(())
    });
}

/// The numbers of the questions that wait.
fn questions(node: &Node) -> Result<Vec<u64>> {
    let status = node.raw_status()?;
    let waiting = status.pointer("/questions").and_then(Value::as_array).context("no questions")?;
    Ok(waiting.iter().filter_map(|question| question["id"].as_u64()).collect())
}

#[test]
fn two_halves_that_decided_apart_agree_again() {
    run("two partitions", |lab| {
        // In turn: ada, bob and dora left, carl and eve right.
        let labels = ["ada", "carl", "bob", "eve", "dora"];
        let grounds = Grounds::with_circle(lab, &labels)?;
        let [ada, carl, bob, eve, dora] = &grounds.members[..] else { bail!("not five") };
        say(ada, ["circle", "role", CIRCLE, &carl.identity().key(), "admin"])?;
        until("carl to be an admin", Deadline::seconds(60), || {
            let own = format!("\"{}\" \"admin\"", carl.identity().key());
            Ok(members_of(carl)?.contains(&own).then_some(()))
        })?;
        grounds.bridge.cut()?;
        // Long enough that links and sessions break.
        until("the bridge to be down", Deadline::seconds(60), || {
            let peers = grounds.left.status()?.peers;
            Ok(peers.iter().any(|peer| !peer.up).then_some(()))
        })?;
        // Each half removes or adds what the other does not know of.
        say(ada, ["circle", "remove", CIRCLE, &bob.identity().key()])?;
        say(carl, ["circle", "add", CIRCLE, &stranger_key(7)])?;
        say(ada, ["circle", "add", CIRCLE, &stranger_key(8)])?;
        say(ada, ["circle", "remove", CIRCLE, &eve.identity().key()])?;
        ensure!(members_of(carl)?.len() == 5, "news came through a cut bridge");
        grounds.bridge.heal()?;
        until("all to agree", Deadline::seconds(150), || {
            let of_ada = everybody(ada)?;
            for node in [carl, dora] {
                let seen = everybody(node)?;
                ensure!(seen == of_ada, "{} sees {seen:?}, ada {of_ada:?}", node.name());
            }
            for key in [stranger_key(7), stranger_key(8)] {
                ensure!(of_ada.iter().any(|line| line.contains(&key)), "{key} is not there");
            }
            Ok(Some(()))
        })?;
        let agreed = members_of(ada)?;
        ensure!(agreed.len() == 3, "members are {agreed:?}");
        Ok(())
    });
}

/// Everybody of a circle with role, rank and state, ordered.
fn everybody(node: &Node) -> Result<Vec<String>> {
    let shown = say(node, ["circle", "show", CIRCLE])?;
    let members = shown.pointer("/members").and_then(Value::as_array).context("no members")?;
    let line = |member: &Value| {
        let of = |name: &str| member[name].to_string();
        format!("{} {} {} {}", member["party"]["key"], of("role"), of("rank"), of("state"))
    };
    let mut lines: Vec<String> = members.iter().map(line).collect();
    lines.sort();
    Ok(lines)
}

/// A key that no node of the lab has.
fn stranger_key(number: u16) -> String {
    Identity::numbered(200 + number).key()
}

#[test]
fn an_invite_lets_in_whom_it_is_for_and_refuses_all_else_alike() {
    run("invites", |lab| {
        let grounds = Grounds::new(lab, &["ada", "bob", "carl"])?;
        let [ada, bob, carl] = &grounds.members[..] else { bail!("not three") };
        say(ada, ["circle", "create", CIRCLE, "--no-recovery"])?;
        // The one who made it is away, and comes back.
        let link = invite(ada, &[])?;
        ada.stop()?;
        say(bob, ["join", &link, "--no-wait"])?;
        std::thread::sleep(Duration::from_secs(3));
        ensure!(state(bob)? == "asking", "an answer from nowhere");
        ada.start()?;
        wait_for_state(bob, "invited", Deadline::seconds(120))?;
        say(bob, ["circle", "accept", CIRCLE, "--yes"])?;
        until("ada to see bob", Deadline::seconds(60), || {
            Ok((members_of(ada)?.len() == 2).then_some(()))
        })?;

        // Used, altered, late, taken back, and of a node that never made it: one refusal.
        let late = invite(ada, &["--for", "1m"])?;
        let revoked = say(ada, ["invite", "create", CIRCLE])?;
        let id = revoked["id"].to_string();
        let revoked = text(&revoked, "/link")?.to_owned();
        say(ada, ["invite", "revoke", &id])?;
        let token = |link: &str| -> Result<String> {
            let (_, rest) = link.split_once("&t=").context("no token")?;
            Ok(rest.split('&').next().unwrap_or_default().to_owned())
        };
        let altered = link.replace(&token(&link)?, &token(&revoked)?);
        let other = base32_of(&bob.identity().key());
        let elsewhere = link.replace(&base32_of(&ada.identity().key()), &other);
        ensure!(elsewhere != link, "the link names no inviter: {link}");
        // It hears strangers, having shared a link of its own, and knows of no such invite.
        say(bob, ["share"])?;
        std::thread::sleep(Duration::from_secs(61));
        let mut refusals = Vec::new();
        for (case, link) in [
            ("used", &link),
            ("altered", &altered),
            ("revoked", &revoked),
            ("elsewhere", &elsewhere),
        ] {
            say(carl, ["join", link, "--no-wait"]).with_context(|| case.to_owned())?;
            wait_for_state(carl, "refused", Deadline::seconds(60)).context(case)?;
            let list = say(carl, ["circle", "list"])?;
            let mut told = list.pointer("/circles/0").cloned().context("no circle")?;
            for changing in ["added_at", "expires_at", "inviter", "name", "id"] {
                told[changing] = Value::Null;
            }
            refusals.push((case, told));
            let id = text(&list, "/circles/0/id")?.to_owned();
            say(carl, ["circle", "forget", &id])?;
        }
        for (case, told) in &refusals {
            ensure!(*told == refusals[0].1, "{case} is refused otherwise: {refusals:?}");
        }
        // The link itself says that it is late, so nobody is asked.
        ensure!(carl.planetary(["join", &late, "--no-wait"]).is_err(), "a late link was followed");
        ensure!(members_of(ada)?.len() == 2, "somebody got in");
        Ok(())
    });
}

fn base32_of(hex: &str) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digits = hex.chars().filter_map(|digit| digit.to_digit(16));
    let bits: Vec<u32> =
        digits.flat_map(|digit| (0..4).rev().map(move |bit| digit >> bit & 1)).collect();
    let group = |bits: &[u32]| (0..5).fold(0, |sum, at| sum << 1 | bits.get(at).unwrap_or(&0));
    bits.chunks(5).map(|bits| char::from(LETTERS[group(bits) as usize])).collect()
}

#[test]
fn the_wire_shows_no_name_no_circle_and_no_invite() {
    run("what an eavesdropper sees", |lab| {
        let grounds = Grounds::new(lab, &["ada", "bob"])?;
        let [ada, bob] = &grounds.members[..] else { bail!("not two") };
        let wire = Capture::start(grounds.left.host())?;
        say(ada, ["circle", "create", CIRCLE, "--no-recovery"])?;
        let link = invite(ada, &[])?;
        say(bob, ["join", &link, "--as", "Robert von Bergheim", "--yes"])?;
        until("ada to see bob", Deadline::seconds(60), || {
            Ok((members_of(ada)?.len() == 2).then_some(()))
        })?;
        say(ada, ["circle", "rename", CIRCLE, "Sternwarte Talheim"])?;
        until("bob to see the new name", Deadline::seconds(60), || {
            let list = say(bob, ["circle", "list"])?;
            Ok((text(&list, "/circles/0/name")? == "Sternwarte Talheim").then_some(()))
        })?;
        let list = say(ada, ["circle", "list"])?;
        let id = text(&list, "/circles/0/id")?.to_owned();
        // It does see what goes over the wire in clear: who speaks with whom.
        for end in [ada, bob] {
            ensure!(wire.saw(&bytes_of(&end.identity().key())), "the capture is blind");
        }
        let token = link.split_once("&t=").map(|(_, rest)| rest.split('&').next());
        let token = token.flatten().context("no token")?;
        for (what, bytes) in [
            ("name", b"Sternwarte".to_vec()),
            ("member's name", b"Robert".to_vec()),
            ("circle", bytes_of(&id)),
            ("circle in digits", id.clone().into_bytes()),
            ("circle in base32", base32_of(&id).into_bytes()),
            ("token in base32", token.as_bytes().to_vec()),
            ("token", from_base32(token)),
        ] {
            ensure!(bytes.len() >= 6, "nothing to look for: {what}");
            ensure!(!wire.saw(&bytes), "the {what} is on the wire in clear");
        }
        eprintln!("{} frames, none with a secret", wire.len());
        Ok(())
    });
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hex.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).unwrap_or(&0)).collect()
}

fn from_base32(text: &str) -> Vec<u8> {
    let value = |letter: char| match letter {
        'a'..='z' => letter as u32 - 'a' as u32,
        '2'..='7' => letter as u32 - '2' as u32 + 26,
        _ => 0,
    };
    let bits: Vec<u32> = text
        .chars()
        .flat_map(|letter| (0..5).rev().map(move |bit| value(letter) >> bit & 1))
        .collect();
    let whole = bits.chunks_exact(8);
    whole.map(|bits| bits.iter().fold(0, |sum, bit| sum << 1 | *bit as u8)).collect()
}
