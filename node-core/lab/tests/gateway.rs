//! Two nodes of ours that run without any right and without an interface, and a real `yggdrasil`
//! with an interface: programs of each reach the others with `curl`, over SOCKS5, an HTTP proxy and
//! forwarded ports.
//!
//! ```text
//!   [alice] dials ==wire1==> [carol] <==wire2== dials [bob]
//!   user space, no rights     yggdrasil, TUN     user space, no rights, closed to strangers
//! ```

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use planetary_ipc::{
    Client, Forward, ForwardProtocol, ForwardRule, ForwardWay, Settings, SettingsChange, client,
};
use planetary_lab::Kind::{Ours, Reference};
use planetary_lab::{Deadline, Host, Lab, Node, Ping, WebServer, run, until};

const SOCKS: &str = "127.0.0.1:1080";
const HTTP: &str = "127.0.0.1:8080";
/// Where a program listens on bob's computer, and the port of his node that leads there.
const PROGRAM: u16 = 7000;
const PORT: u16 = 80;
/// Bytes that go each way in the long transfer.
const MUCH: usize = 50_000_000;

struct Grounds {
    alice: Arc<Node>,
    bob: Arc<Node>,
    carol: Arc<Node>,
}

impl Grounds {
    fn new(lab: &Lab) -> Result<Self> {
        let [alice, bob, carol] = ["alice", "bob", "carol"].map(|label| lab.host(label));
        let (alice, bob, carol) = (alice?, bob?, carol?);
        let wires = [lab.wire(&alice, &carol)?, lab.wire(&bob, &carol)?];
        let [one, other] = wires.map(|wire| wire.ends()[1].uri("tcp", 9001));
        let carol = lab.start(lab.node(Reference, &carol)?.listen(&one).listen(&other))?;
        let alice = lab.start(lab.node(Ours, &alice)?.peer(&one).unprivileged())?;
        let bob = lab.start(lab.node(Ours, &bob)?.peer(&other).unprivileged().closed())?;
        lab.settled(&[&alice, &bob, &carol], Deadline::seconds(60))?;
        Ok(Self { alice, bob, carol })
    }
}

/// Asks a node as a client of its control socket.
fn ask<T>(node: &Node, question: impl AsyncFnOnce(&Client) -> Result<T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (client, _updates) = client::connect(&node.control(), "lab").await?;
        question(&client).await
    })
}

fn change(node: &Node, change: SettingsChange) -> Result<Settings> {
    ask(node, async |client| Ok(*client.change_settings(change).await?))
}

fn forward(
    node: &Node,
    way: ForwardWay,
    protocol: ForwardProtocol,
    listen: impl ToString,
    target: impl ToString,
) -> Result<Forward> {
    let (listen, target) = (listen.to_string(), target.to_string());
    let rule = ForwardRule { way, protocol, listen, target };
    ask(node, async |client| Ok(client.add_forward(rule).await?))
}

/// Runs `curl` on a host; returns what it fetched.
fn curl(host: &Host, proxy: &[&str], url: &str) -> Result<String> {
    let mut command = host.command("curl");
    command.args(["--silent", "--show-error", "--fail", "--globoff"]);
    command.args(["--connect-timeout", "5", "--max-time", "20"]).args(proxy).arg(url);
    let output = command.output()?;
    ensure!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Says everything again that is said at a loopback port of a host, over both protocols, for as
/// long as the scenario runs.
fn repeater(host: &Host, port: u16) -> Result<()> {
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let (listener, socket) =
        host.enter(|| -> Result<_> { Ok((TcpListener::bind(at)?, UdpSocket::bind(at)?)) })??;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    std::thread::spawn(move || {
        let mut room = [0; 2048];
        while let Ok((len, from)) = socket.recv_from(&mut room) {
            // Whoever asked may have gone.
            let _ = socket.send_to(&room[..len], from);
        }
    });
    Ok(())
}

fn dial(host: &Host, to: impl Into<SocketAddr>) -> Result<TcpStream> {
    let to = to.into();
    let stream = host.enter(|| TcpStream::connect_timeout(&to, Duration::from_secs(5)))??;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.set_write_timeout(Some(Duration::from_secs(20)))?;
    Ok(stream)
}

/// Says something and hears it again.
fn talk(stream: &mut TcpStream, words: &[u8]) -> Result<()> {
    stream.write_all(words)?;
    let mut heard = vec![0; words.len()];
    stream.read_exact(&mut heard)?;
    ensure!(heard == words, "something else came back");
    Ok(())
}

/// Sends much, hears it again, and compares every byte.
fn talk_much(stream: &TcpStream) -> Result<Duration> {
    let begun = Instant::now();
    let words: Vec<u8> = (0..MUCH).map(|at| (at * 7 + (at >> 12)) as u8).collect();
    let heard = std::thread::scope(|scope| -> Result<Vec<u8>> {
        let say = scope.spawn(|| {
            (&mut &*stream).write_all(&words)?;
            stream.shutdown(std::net::Shutdown::Write)
        });
        let mut heard = Vec::with_capacity(MUCH);
        (&mut &*stream).read_to_end(&mut heard)?;
        match say.join() {
            Ok(said) => said?,
            Err(_) => bail!("the sender panicked"),
        }
        Ok(heard)
    })?;
    ensure!(heard == words, "{} of {MUCH} bytes came back, or others", heard.len());
    Ok(begun.elapsed())
}

/// A question over UDP that is answered with the same words.
fn ask_datagram(host: &Host, to: SocketAddr, words: &[u8], answer: &[u8]) -> Result<()> {
    let socket = host.enter(|| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)))??;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    let mut room = [0; 2048];
    until("an answer over UDP", Deadline::seconds(15), || {
        socket.send_to(words, to)?;
        let (len, _) = socket.recv_from(&mut room)?;
        ensure!(&room[..len] == answer, "another answer: {:?}", &room[..len]);
        Ok(Some(()))
    })
}

/// Opens a way for datagrams at the SOCKS5 proxy of a host; it is open as long as the connection.
fn associate(host: &Host) -> Result<(TcpStream, SocketAddr)> {
    let mut control = dial(host, SOCKS.parse::<SocketAddr>()?)?;
    control.write_all(&[5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0])?;
    let mut reply = [0; 12];
    control.read_exact(&mut reply)?;
    let [5, 0, 5, 0, 0, 1, a, b, c, d, high, low] = reply else { bail!("refused: {reply:?}") };
    let at = (Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low]));
    Ok((control, at.into()))
}

#[test]
fn programs_without_rights_reach_the_network() {
    run("gateway", |lab| {
        let Grounds { alice, bob, carol } = &Grounds::new(lab)?;
        let (at_alice, at_bob, at_carol) = (alice.host(), bob.host(), carol.host());
        for node in [alice, bob] {
            let status = node.raw_status()?;
            ensure!(status["tun"].is_null(), "{status}");
            ensure!(status["gateway"]["user_space"] == true, "{status}");
        }
        let (socks, http) = (Some(SOCKS.to_owned()), Some(HTTP.to_owned()));
        let proxies =
            SettingsChange { gateway_socks: socks, gateway_http: http, ..Default::default() };
        change(alice, proxies.clone())?;
        let elsewhere =
            SettingsChange { gateway_socks: Some("0.0.0.0:1080".to_owned()), ..Default::default() };
        ensure!(change(alice, elsewhere).is_err(), "a proxy for everybody");

        // An interface and a web server at the far end, by address.
        fs::write(lab.folder().join("page"), "hello")?;
        let web = WebServer::start(at_carol, carol.address(), lab.folder())?;
        let url = web.url("page");
        let (through_socks, through_http) =
            (format!("socks5h://{SOCKS}"), format!("http://{HTTP}"));
        until("curl to get the page", Deadline::seconds(30), || {
            curl(at_alice, &["--proxy", &through_socks], &url).map(Some)
        })?;
        for proxy in [
            &["--proxy", &through_socks][..],
            &["--proxy", &through_http],
            &["--proxy", &through_http, "--proxytunnel"],
        ] {
            ensure!(curl(at_alice, proxy, &url)? == "hello", "another page with {proxy:?}");
        }
        for outside in ["http://127.0.0.1:8080/", "http://example.org/"] {
            for proxy in [&through_socks, &through_http] {
                ensure!(curl(at_alice, &["--proxy", proxy], outside).is_err(), "out to {outside}");
            }
        }
        Ping::new(alice.address()).until_answered(at_carol, Deadline::seconds(30))?;

        // Names, and both ways between nodes without an interface.
        repeater(at_bob, PROGRAM)?;
        let program = SocketAddr::from((Ipv4Addr::LOCALHOST, PROGRAM));
        let (bob_key, alice_key) = (bob.identity().key(), alice.identity().key());
        alice.planetary(["friend", "add", &bob_key, "--name", "bob", "--yes"])?;
        for protocol in [ForwardProtocol::Tcp, ForwardProtocol::Udp] {
            forward(bob, ForwardWay::In, protocol, PORT, program)?;
            let (listen, target) = ("127.0.0.1:7001", format!("bob.pln.internal:{PORT}"));
            forward(alice, ForwardWay::Out, protocol, listen, target)?;
        }
        let to_bob = SocketAddr::from((Ipv4Addr::LOCALHOST, 7001));
        let begun = Instant::now();
        let mut stranger = dial(at_carol, (IpAddr::V6(bob.address()), PORT));
        ensure!(stranger.is_err(), "a stranger got in through a forwarded port");
        eprintln!("a stranger heard nothing for {:?}", begun.elapsed());
        bob.planetary(["friend", "add", &alice_key, "--name", "alice", "--yes"])?;
        let mut refused = dial(at_alice, to_bob)?;
        ensure!(talk(&mut refused, b"?").is_err(), "a friend may nothing but what was allowed");
        bob.planetary(["friend", "allow", "alice", "tcp/80", "udp/80"])?;
        let mut shell = dial(at_alice, to_bob)?;
        talk(&mut shell, b"hello")?;
        stranger = dial(at_carol, (IpAddr::V6(bob.address()), PORT));
        ensure!(stranger.is_err(), "a stranger got in with a friend");
        ask_datagram(at_alice, to_bob, b"hello", b"hello")?;

        let (control, at) = associate(at_alice)?;
        let place: &[u8] = b"\x00\x00\x00\x03\x10bob.pln.internal\x00\x50hello";
        let from: Ipv6Addr = bob.address();
        let answer = [&[0, 0, 0, 4][..], &from.octets(), &PORT.to_be_bytes(), b"hello"].concat();
        ask_datagram(at_alice, at, place, &answer)?;
        drop(control);

        // Much in each direction, while the long connection goes on.
        let much = dial(at_alice, to_bob)?;
        let took = talk_much(&much)?;
        eprintln!("{MUCH} bytes each way took {took:?}");
        talk(&mut shell, b"still there")?;

        // From the interface to a port of a node without one.
        bob.planetary(["friend", "add", &carol.identity().key(), "--name", "carol", "--yes"])?;
        bob.planetary(["friend", "allow", "carol", "tcp/80"])?;
        let mut from_carol = until("carol to get in", Deadline::seconds(20), || {
            dial(at_carol, (IpAddr::V6(bob.address()), PORT)).map(Some)
        })?;
        talk(&mut from_carol, b"hello from the interface")?;

        // Rights that end, and a restart that forgets nothing.
        bob.planetary(["friend", "deny", "carol", "tcp/80"])?;
        from_carol.set_read_timeout(Some(Duration::from_secs(1)))?;
        ensure!(talk(&mut from_carol, b"?").is_err(), "the right has ended, the talk has not");
        alice.restart()?;
        let mut again = until("the forwarded port after a restart", Deadline::seconds(30), || {
            let mut stream = dial(at_alice, to_bob)?;
            talk(&mut stream, b"hello").map(|()| Some(stream))
        })?;
        ensure!(curl(at_alice, &["--proxy", &through_http], &url)? == "hello", "no proxy");
        let forwards = ask(alice, async |client| Ok(client.forwards().await?))?.forwards;
        ensure!(forwards.len() == 2 && forwards.iter().all(|forward| forward.up), "{forwards:?}");
        alice.planetary(["down"])?;
        ensure!(talk(&mut again, b"?").is_err(), "a connection outlived the node");
        ensure!(dial(at_alice, to_bob).is_err(), "a port is open while the node is down");
        Ok(())
    });
}

/// The name of a friend, asked for at the loopback address.
#[test]
fn names_are_answered_without_an_interface() {
    run("names without an interface", |lab| {
        let host = lab.host("alone")?;
        let node = lab.start(lab.node(Ours, &host)?.unprivileged())?;
        let name = planetary_lab::Identity::numbered(9);
        node.planetary(["friend", "add", &name.key(), "--name", "ada", "--yes"])?;
        let head = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let question = [&head[..], b"\x03ada\x03pln\x08internal\x00", &[0, 28, 0, 1]].concat();
        let at: SocketAddr = "127.0.0.1:5380".parse()?;
        let socket = host.enter(|| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)))??;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        socket.send_to(&question, at)?;
        let mut room = [0; 512];
        let (len, _) = socket.recv_from(&mut room)?;
        ensure!(room[..len].ends_with(&name.address().octets()), "another answer");
        let mut stream = dial(&host, at)?;
        let len = u16::try_from(question.len())?.to_be_bytes();
        stream.write_all(&[&len[..], &question].concat())?;
        let mut len = [0; 2];
        stream.read_exact(&mut len)?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(len))];
        stream.read_exact(&mut answer)?;
        ensure!(answer.ends_with(&name.address().octets()), "another answer over TCP");
        node.status().map(drop).context("still there")
    });
}
