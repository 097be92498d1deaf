//! Many nodes on one host behind one of them, and how soon all of them answer somebody.
//!
//! Nodes of ours without a TUN, each a process, answer echo requests themselves; the one in front
//! is the only one that others can link to. They are the same for whoever asks, so what differs
//! between two who ask is their own doing.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use crate::echo::wait_readable;
use crate::host::Host;
use crate::identity::Identity;
use crate::lab::Lab;
use crate::node::{Kind, Node};
use crate::wait::{Deadline, until};

/// Where the node in front listens for the others.
const INSIDE: &str = "tcp://127.0.0.1:9000";

/// Whoever does not answer is asked again after so long: well under ten times a second, beyond
/// which a node does not answer one and the same key.
const AGAIN: Duration = Duration::from_millis(200);

/// Numbers of identities of the crowd begin here; the lab itself counts from zero.
const FIRST_NUMBER: u16 = 1000;

/// Types of ICMPv6.
const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;

/// Marks our questions.
const IDENTIFIER: [u8; 2] = *b"cr";

/// Many nodes behind one. They end when this is dropped.
pub struct Crowd {
    front: Node,
    members: Vec<Node>,
}

/// When who answered.
#[derive(Clone, Debug)]
pub struct Answers {
    /// How long each took since the first question, in seconds, ascending. Who did not answer
    /// counts as having taken the whole time.
    pub sorted_seconds: Vec<f64>,
    /// How many did not answer.
    pub missing: usize,
}

impl Crowd {
    /// Starts so many nodes on a host and waits until they are linked; the node in front listens at
    /// this URI.
    ///
    /// # Errors
    /// When one cannot be started, or they do not link in time.
    pub fn start(lab: &Lab, host: &Host, uri: &str, count: u16) -> Result<Self> {
        let prepare = |index: u16| -> Result<Node> {
            let node = lab.node(Kind::Ours, host)?.called(&format!("crowd{index}")).without_tun();
            let node = node.identity(Identity::numbered(FIRST_NUMBER + index));
            match index {
                0 => node.listen(uri).listen(INSIDE),
                _ => node.peer(INSIDE),
            }
            .build()
        };
        let front = prepare(0)?;
        front.start()?;
        let members = (1..=count).map(prepare).collect::<Result<Vec<_>>>()?;
        members.iter().try_for_each(Node::launch)?;
        let crowd = Self { front, members };
        until("the crowd to be linked", Deadline::seconds(120), || {
            let up = crowd.front.status()?.peers.iter().filter(|peer| peer.up).count();
            ensure!(up >= crowd.members.len(), "{up} of {} links are up", crowd.members.len());
            Ok(Some(()))
        })?;
        Ok(crowd)
    }

    /// The node in front.
    #[must_use]
    pub fn front(&self) -> &Node {
        &self.front
    }

    /// The addresses of all others.
    #[must_use]
    pub fn addresses(&self) -> Vec<Ipv6Addr> {
        self.members.iter().map(Node::address).collect()
    }
}

impl Answers {
    /// Asks all of these at once from a host, and those again that do not answer, until all have or
    /// the deadline passes.
    ///
    /// # Errors
    /// When a socket fails, or nobody answers.
    pub fn of(from: &Host, addresses: &[Ipv6Addr], deadline: Deadline) -> Result<Self> {
        from.enter(|| ask(addresses, deadline))?
    }
}

fn ask(addresses: &[Ipv6Addr], deadline: Deadline) -> Result<Answers> {
    let (family, kind) = (AddressFamily::Inet6, SockType::Raw);
    let raw = socket(family, kind, SockFlag::SOCK_NONBLOCK, SockProtocol::IcmpV6)?;
    // A raw socket is one of datagrams, too.
    let socket = UdpSocket::from(raw);
    // The kernel fills in the checksum.
    let question = [ECHO_REQUEST, 0, 0, 0, IDENTIFIER[0], IDENTIFIER[1], 0, 1];
    let mut waiting: BTreeSet<Ipv6Addr> = addresses.iter().copied().collect();
    let (begun, mut next) = (Instant::now(), Instant::now());
    let mut sorted_seconds = Vec::with_capacity(addresses.len());
    while !waiting.is_empty() && !deadline.is_over() {
        if next <= Instant::now() {
            next += AGAIN;
            for address in &waiting {
                // There may be no route yet; it is asked again.
                let _ = socket.send_to(&question, (*address, 0));
            }
        }
        wait_readable(&socket, next.saturating_duration_since(Instant::now()))?;
        let mut answer = [0; 64];
        while let Ok((length, from)) = socket.recv_from(&mut answer) {
            let is_answer =
                length >= question.len() && answer[0] == ECHO_REPLY && answer[4..6] == IDENTIFIER;
            if let (true, IpAddr::V6(from)) = (is_answer, from.ip())
                && waiting.remove(&from)
            {
                sorted_seconds.push(begun.elapsed().as_secs_f64());
            }
        }
    }
    ensure!(!sorted_seconds.is_empty(), "nobody of {} answers", addresses.len());
    sorted_seconds.resize(addresses.len(), begun.elapsed().as_secs_f64());
    Ok(Answers { sorted_seconds, missing: waiting.len() })
}
