//! Names of nodes, looked up by ordinary programs through a real systemd-resolved.
//!
//! ```text
//!                               [internet] answers every name
//!                                   || wire2
//!   [friend] ==wire1== dials ==> [home]  programs -- systemd-resolved -- node
//! ```

#![cfg(target_os = "linux")]

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use planetary_lab::Kind::Ours;
use planetary_lab::{Deadline, Host, Lab, Node, Resolver, Upstream, datagram, run, until};
use serde_json::Value;

/// How long names may take to be there, or to be gone.
const SOON: u64 = 20;

struct Grounds {
    internet: Upstream,
    resolver: Resolver,
    home: Arc<Node>,
    friend: Arc<Node>,
}

impl Grounds {
    fn new(lab: &Lab) -> Result<Self> {
        let (home, friend, internet) = (lab.host("home")?, lab.host("friend")?, lab.host("net")?);
        let wire = lab.wire(&friend, &home)?;
        let line = lab.wire(&home, &internet)?;
        let upstream = line.ends()[1].v4;
        let internet = Upstream::start(&internet, upstream)?;
        let resolver = Resolver::start(&home, lab.folder(), upstream)?;
        let uri = wire.ends()[1].uri("tcp", 9001);
        let home = lab.node(Ours, &home)?.listen(&uri).bus(resolver.bus());
        let home = lab.start(home)?;
        // Nobody answers on a bus that is not there.
        let nowhere = format!("unix:path={}", lab.folder().join("no-bus").display());
        let friend = lab.start(lab.node(Ours, &friend)?.peer(&uri).bus(nowhere))?;
        Ok(Self { internet, resolver, home, friend })
    }

    /// Looks a name up as programs do.
    fn look_up(&self, name: &str) -> Result<Ipv6Addr> {
        let said = self.home.host().run("getent", ["ahostsv6", name])?;
        let address = said.split_whitespace().next().context("no address")?;
        address.parse().with_context(|| format!("not an address: {said}"))
    }

    fn server(&self) -> Result<SocketAddr> {
        let subnet = self.home.status()?.subnet;
        let subnet: Ipv6Addr = subnet.trim_end_matches("/64").parse()?;
        Ok(SocketAddr::new(Ipv6Addr::from(u128::from(subnet) | 0x53).into(), 53))
    }

    /// Waits until the system finds what is answered here.
    fn wired(&self) -> Result<Value> {
        until("programs to find names", Deadline::seconds(SOON), || {
            let names = names(&self.home)?;
            ensure!(names["state"] == "wired", "{names}");
            Ok(Some(names))
        })
    }
}

fn names(node: &Node) -> Result<Value> {
    Ok(node.raw_status()?["names"].clone())
}

/// Runs a scenario where there is a resolver for it.
fn with_resolver(scenario: &str, body: impl FnOnce(&Lab) -> Result<()>) {
    if let Some(missing) = Resolver::missing() {
        assert!(std::env::var_os("CI").is_none(), "{scenario}: missing: {missing}");
        eprintln!("{scenario} SKIPPED, missing: {missing}; run as root: cargo xtask setup");
        return;
    }
    run(scenario, body);
}

#[test]
fn programs_find_friends_by_name_and_nobody_else_is_asked() {
    with_resolver("names", |lab| {
        let grounds = Grounds::new(lab)?;
        let Grounds { internet, resolver, home, friend } = &grounds;
        let told = grounds.wired()?;
        let server = grounds.server()?;
        ensure!(told["resolver"] == "systemd-resolved" && told["hint"].is_null(), "{told}");
        ensure!(told["server"] == server.ip().to_string(), "{told}");
        ensure!(told["suffix"] == "pln.internal", "{told}");
        let asked_before = internet.asked().len();

        // A name is there as soon as there is a friend, though it was not a moment ago.
        ensure!(grounds.look_up("ada-l.pln.internal").is_err(), "nobody is called that");
        let key = friend.identity().key();
        let friended = home.planetary(["friend", "add", &key, "--name", "Ada L.", "--yes"])?;
        ensure!(friended["host"] == "ada-l.pln.internal", "{friended}");
        until("the friend's name", Deadline::seconds(SOON), || {
            let address = grounds.look_up("ada-l.pln.internal")?;
            ensure!(address == friend.address(), "it is {address}");
            Ok(Some(()))
        })?;
        for name in ["ADA-L.pln.internal", "web.ada-l.pln.internal", &key_host(friend)] {
            let address = grounds.look_up(name)?;
            ensure!(address == friend.address(), "{name} is {address}");
        }
        let back = home.host().run("getent", ["hosts", &friend.address().to_string()])?;
        ensure!(back.trim_end().ends_with("ada-l.pln.internal"), "{back}");
        let query = resolver.ctl(["query", "ada-l.pln.internal"])?;
        ensure!(query.contains(&friend.address().to_string()), "{query}");
        ensure!(query.contains(home.device()), "asked over another interface: {query}");

        // What is not there: an IPv4 address, other kinds of records, other names.
        let home_host = home.host();
        ensure!(home_host.run("getent", ["ahostsv4", "ada-l.pln.internal"]).is_err());
        ensure!(resolver.ctl(["query", "-t", "HTTPS", "ada-l.pln.internal"]).is_err());
        ensure!(grounds.look_up("bob.pln.internal").is_err(), "nobody is called that");
        ensure!(home_host.run("getent", ["hosts", "200::1"]).is_err(), "nobody is there");

        // Nothing of this has left the computer.
        let asked = internet.asked().split_off(asked_before);
        ensure!(asked.is_empty(), "the internet was asked for {asked:?}");
        // All else does, and is not asked for here.
        let outside = home_host.run("getent", ["ahostsv4", "example.org"])?;
        ensure!(outside.starts_with(&Upstream::ADDRESS.to_string()), "{outside}");
        let refused = ask(home_host, server, "example.org")?.context("no answer")?;
        ensure!(refused[3] & 15 == 5, "the server itself refuses: {refused:?}");
        // A short name is completed with nothing.
        ensure!(grounds.look_up("ada-l").is_err(), "a search domain was set");

        // Names follow the person.
        home.planetary(["friend", "rename", &key, "Bob"])?;
        ensure!(grounds.look_up("bob.pln.internal").is_ok() || later(&grounds, friend)?);
        // The other end answers nobody in the network, and not through it.
        friend.wait_until_reaches(home, Deadline::seconds(60))?;
        let question = ask(friend.host(), server, "bob.pln.internal")?;
        ensure!(question.is_none(), "a node was answered: {question:?}");
        let said = names(friend)?;
        let hint = said["hint"].as_str().context("no hint")?;
        ensure!(said["state"] == "answering" && hint.contains("pln.internal"), "{said}");
        Ok(())
    });
}

/// Waits for a name that was looked up in vain a moment ago.
fn later(grounds: &Grounds, friend: &Node) -> Result<bool> {
    until("the new name", Deadline::seconds(SOON), || {
        Ok(Some(grounds.look_up("bob.pln.internal")? == friend.address()))
    })
}

#[test]
fn nothing_is_left_when_it_stops_and_all_is_back_when_it_returns() {
    with_resolver("names that come and go", |lab| {
        let mut grounds = Grounds::new(lab)?;
        let key = grounds.friend.identity().key();
        grounds.home.planetary(["friend", "add", &key, "--name", "ada", "--yes"])?;
        let is_found = |grounds: &Grounds| -> Result<()> {
            grounds.wired()?;
            until("the friend's name", Deadline::seconds(SOON), || {
                let address = grounds.look_up("ada.pln.internal")?;
                ensure!(address == grounds.friend.address(), "it is {address}");
                Ok(Some(()))
            })
        };
        let is_gone = |grounds: &Grounds| -> Result<()> {
            let known = grounds.resolver.ctl(["domain"])?;
            ensure!(!known.contains("pln.internal"), "left behind: {known}");
            Ok(())
        };
        is_found(&grounds)?;

        // The resolver forgets everything, and is told again.
        grounds.resolver.restart()?;
        is_found(&grounds)?;

        // Down and up, which keeps the process.
        grounds.home.planetary(["down"])?;
        is_gone(&grounds)?;
        ensure!(names(&grounds.home)?["state"] == "off", "names of a node that is down");
        grounds.home.planetary(["up"])?;
        is_found(&grounds)?;

        // A service that is killed has no time to tidy up.
        grounds.home.kill()?;
        until("the interface to go", Deadline::seconds(SOON), || is_gone(&grounds).map(Some))?;
        grounds.home.start()?;
        is_found(&grounds)?;
        grounds.home.stop()?;
        is_gone(&grounds)?;
        grounds.home.start()?;
        is_found(&grounds)
    });
}

/// `<base32>.k.pln.internal`.
fn key_host(node: &Node) -> String {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let key = node.identity().key();
    let bits: String =
        key.chars().map(|c| format!("{:04b}", c.to_digit(16).unwrap_or(0))).collect();
    let digits = bits.as_bytes().chunks(5).map(|five| {
        let five = format!("{:0<5}", String::from_utf8_lossy(five));
        char::from(DIGITS[usize::from_str_radix(&five, 2).unwrap_or(0)])
    });
    format!("{}.k.pln.internal", digits.collect::<String>())
}

/// Asks a server for the IPv6 address of a name, past the resolver.
fn ask(host: &Host, server: SocketAddr, name: &str) -> Result<Option<Vec<u8>>> {
    let mut question = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(label.len().try_into()?);
        question.extend_from_slice(label.as_bytes());
    }
    question.extend_from_slice(&[0, 0, 28, 0, 1]);
    let Some(answer) = datagram(host, server, &question, Duration::from_secs(2))? else {
        return Ok(None);
    };
    if answer.len() < 12 || answer[..2] != question[..2] {
        bail!("not an answer: {answer:?}");
    }
    Ok(Some(answer))
}
