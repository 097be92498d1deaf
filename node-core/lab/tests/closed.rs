//! A fresh node of ours among real `yggdrasil` nodes: closed to strangers, open to friends as far
//! as was said, and closed again at once when it is unsaid.
//!
//! ```text
//!   [stranger] dials ==wire1==> [hub] <==wire2== dials [closed] ==wire4== [neighbour]
//!                                 ^
//!   [friend] dials =====wire3=====/
//! ```
//!
//! The stranger and the friend run the reference, the hub runs ours and is as open as they are;
//! `neighbour` runs nothing and has only a cable.

#![cfg(target_os = "linux")]

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use planetary_lab::Kind::{Ours, Reference};
use planetary_lab::{
    Deadline, Found, Host, Lab, Node, Ping, SshServer, Talk, Talker, WebServer, fetch, run, scan,
    until,
};

/// Where the services on the closed host listen.
const WEB: u16 = 8000;
const TALK: u16 = 7000;

/// Longest time in which a live flow may go on after its right has gone.
const OUT_WITHIN: Duration = Duration::from_secs(1);

struct Grounds {
    closed: Arc<Node>,
    stranger: Arc<Node>,
    friend: Arc<Node>,
    neighbour: Host,
}

impl Grounds {
    /// Starts everything and waits until `closed` reaches the others, so that silence in the other
    /// direction is the filter's doing.
    fn new(lab: &Lab) -> Result<Self> {
        let [hub, stranger, closed, friend, neighbour] =
            ["hub", "strange", "closed", "friend", "cable"].map(|label| lab.host(label));
        let (hub, stranger, closed) = (hub?, stranger?, closed?);
        let (friend, neighbour) = (friend?, neighbour?);
        let wires = [&stranger, &closed, &friend].map(|host| lab.wire(host, &hub));
        let uris = wires.into_iter().map(|wire| Ok(wire?.ends()[1].uri("tcp", 9001)));
        let uris = uris.collect::<Result<Vec<_>>>()?;
        let cable = lab.wire(&closed, &neighbour)?;
        let beside = cable.ends()[0].v6.to_string();
        neighbour.ip(["-6", "route", "add", "200::/7", "via", &beside])?;
        let mut listener = lab.node(Ours, &hub)?;
        for uri in &uris {
            listener = listener.listen(uri);
        }
        let hub = lab.start(listener)?;
        let stranger = lab.start(lab.node(Reference, &stranger)?.peer(&uris[0]))?;
        let friend = lab.start(lab.node(Reference, &friend)?.peer(&uris[2]))?;
        let closed = lab.start(lab.node(Ours, &closed)?.peer(&uris[1]).closed())?;
        lab.settled(&[&hub, &stranger, &friend, &closed], Deadline::seconds(60))?;
        for other in [&stranger, &friend] {
            closed.wait_until_reaches(other, Deadline::seconds(100))?;
        }
        Ok(Self { closed, stranger, friend, neighbour })
    }

    /// Runs `planetary` on the closed node.
    fn say<'a>(&self, words: impl AsRef<[&'a str]>) -> Result<()> {
        let words = words.as_ref();
        let said = self.closed.planetary(words).map(drop);
        said.with_context(|| format!("planetary {}", words.join(" ")))
    }

    fn befriend(&self) -> Result<()> {
        let key = self.friend.identity().key();
        self.say(["friend", "add", &key, "--name", "ada", "--yes"])
    }

    /// Waits until `friend` gets through, and then begins a conversation.
    fn talk(&self, talker: &Talker) -> Result<Talk> {
        let address = self.closed.address();
        let talk = until("a conversation", Deadline::seconds(60), || {
            talker.talk(self.friend.host(), address).map(Some)
        })?;
        ensure!(talk.goes_on(), "the conversation never began");
        Ok(talk)
    }
}

fn answers(host: &Host, node: &Node) -> Result<bool> {
    let ping = Ping::new(node.address()).times(5, Duration::from_millis(200));
    Ok(!ping.once(host, 2)?.round_trips_ms.is_empty())
}

/// `nc` connects and hangs up.
fn nc(host: &Host, node: &Node, port: u16) -> Result<()> {
    let (address, port) = (node.address().to_string(), port.to_string());
    host.run("nc", ["-6", "-z", "-w", "3", &address, &port]).map(drop)
}

#[test]
fn strangers_find_nothing_and_friends_what_was_opened() {
    run("closed to strangers", |lab| {
        let grounds = Grounds::new(lab)?;
        let Grounds { closed, stranger, friend, neighbour } = &grounds;
        let (address, at_home) = (closed.address(), closed.host());
        let ssh = SshServer::start(at_home, lab.folder())?;
        fs::write(lab.folder().join("page"), "hello")?;
        let web = WebServer::start(at_home, address, lab.folder())?;
        let _talker = Talker::start(at_home, TALK)?;
        let page = lab.folder().join("fetched");

        // What the closed node opens itself works, whoever is at the other end.
        ensure!(answers(at_home, stranger)?, "outwards everything goes");

        for (who, host) in [("the stranger", stranger.host()), ("the friend to be", friend.host())]
        {
            let ports: Vec<u16> = (1..=1024).chain([TALK, WEB]).collect();
            let found = scan(host, address, &ports, Duration::from_secs(2))?;
            ensure!(found.is_empty(), "{who} found {found:?}");
            ensure!(!answers(host, closed)?, "{who} got an echo");
            ensure!(nc(host, closed, TALK).is_err(), "{who} got through with nc");
            ensure!(ssh.login(host, address).is_err(), "{who} logged in");
            ensure!(fetch(host, &web.url("page"), &page).is_err(), "{who} got the page");
        }
        // Nor past the overlay, over the cable.
        let found = scan(neighbour, address, &[22, TALK, WEB], Duration::from_secs(2))?;
        ensure!(found.is_empty(), "the neighbour on the cable found {found:?}");
        ensure!(!answers(neighbour, closed)?, "the neighbour on the cable got an echo");

        grounds.befriend()?;
        Ping::new(address).until_answered(friend.host(), Deadline::seconds(60))?;
        ensure!(ssh.login(friend.host(), address).is_err(), "a new friend may nothing but echo");
        // Told, not left to wait: a person is no stranger.
        let found = scan(friend.host(), address, &[22, WEB], Duration::from_secs(2))?;
        ensure!(found == [Found::Refused(22), Found::Refused(WEB)], "the friend found {found:?}");
        grounds.say(["friend", "allow", "ada", "tcp/22", "tcp/8000"])?;
        ensure!(ssh.login(friend.host(), address)? == "hello\n", "ssh says something else");
        fetch(friend.host(), &web.url("page"), &page)?;
        ensure!(fs::read_to_string(&page)? == "hello", "another page came");
        nc(friend.host(), closed, WEB)?;
        ensure!(nc(friend.host(), closed, TALK).is_err(), "a port that nobody opened");
        let found = scan(friend.host(), address, &[22, TALK, WEB], Duration::from_secs(2))?;
        let expected = [Found::Open(22), Found::Open(WEB), Found::Refused(TALK)];
        ensure!(found == expected, "the friend found {found:?}");

        ensure!(!answers(stranger.host(), closed)?, "the stranger got in with the friend");
        let found = scan(stranger.host(), address, &[22, TALK, WEB], Duration::from_secs(2))?;
        ensure!(found.is_empty(), "the stranger found {found:?}");
        Ok(())
    });
}

#[test]
fn live_flows_end_within_a_second_of_their_right() {
    run("out within a second", |lab| {
        let grounds = Grounds::new(lab)?;
        let Grounds { closed, friend, .. } = &grounds;
        let talker = Talker::start(closed.host(), TALK)?;
        let again = |grounds: &Grounds| {
            grounds.befriend()?;
            grounds.say(["friend", "allow", "ada", "tcp/7000"])
        };
        again(&grounds)?;
        for (case, out, back) in [
            ("removed", &["friend", "remove", "ada"][..], None),
            ("blocked", &["friend", "block", "ada"], Some(&["friend", "unblock", "ada"][..])),
            ("paused", &["pause"], Some(&["resume"])),
            (
                "not allowed any more",
                &["friend", "deny", "ada", "tcp/7000"],
                Some(&["friend", "allow", "ada", "tcp/7000"]),
            ),
        ] {
            let talk = grounds.talk(&talker)?;
            let said = Instant::now();
            grounds.say(out)?;
            std::thread::sleep(OUT_WITHIN);
            ensure!(!talk.goes_on(), "{case}: the conversation goes on");
            let after = talk.last_heard().saturating_duration_since(said);
            eprintln!("{case}: the last word came {} ms after the command", after.as_millis());
            ensure!(after <= OUT_WITHIN, "{case}: the last word came after {after:?}");
            drop(talk);
            let shut = nc(friend.host(), closed, TALK).is_err();
            ensure!(shut, "{case}: a new conversation began");
            match back {
                Some(words) => grounds.say(words)?,
                None => again(&grounds)?,
            }
        }
        // The rights are back with the friend, and so is the conversation.
        grounds.talk(&talker)?;
        Ok(())
    });
}

#[test]
fn a_closed_node_starts_no_session_with_strangers_and_tells_them_nothing() {
    run("no session for strangers", |lab| {
        let grounds = Grounds::new(lab)?;
        let Grounds { closed, stranger, friend, .. } = &grounds;
        // It called them in the beginning, and that is over in two minutes: a restart is quicker.
        closed.restart()?;
        closed.wait_until_reaches(friend, Deadline::seconds(100))?;
        let key = closed.identity().key();
        ensure!(!answers(stranger.host(), closed)?, "the stranger got an echo");
        let node_info = stranger.yggdrasilctl(["getnodeinfo", &format!("key={key}")]);
        ensure!(node_info.is_err(), "the stranger got node info: {node_info:?}");
        let topology = closed.planetary(["topology"])?;
        ensure!(
            !has_session(&topology, &stranger.identity().key()),
            "the stranger got a session: {topology}"
        );

        grounds.befriend()?;
        Ping::new(closed.address()).until_answered(friend.host(), Deadline::seconds(60))?;
        until("node info for the friend", Deadline::seconds(30), || {
            friend.yggdrasilctl(["getnodeinfo", &format!("key={key}")]).map(Some)
        })?;
        Ok(())
    });
}

/// Whether the topology has a session with a key.
fn has_session(topology: &serde_json::Value, key: &str) -> bool {
    let edges = topology.pointer("/edges").and_then(serde_json::Value::as_array);
    edges.into_iter().flatten().any(|edge| {
        let is_session = edge.get("kind").and_then(serde_json::Value::as_str) == Some("session");
        is_session && edge.to_string().contains(key)
    })
}
