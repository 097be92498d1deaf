//! The set of peers over time: retries, kicks, removal, shutdown.

use std::time::Instant;

use super::*;
use crate::links::peers::{PeerId, PeerPhase, PeersError};

/// An address to which connections are neither made nor refused: a listener whose queue is full.
/// Other systems refuse then.
#[cfg(target_os = "linux")]
fn black_hole() -> (SocketAddr, Vec<socket2::Socket>) {
    use socket2::{Domain, Socket, Type};

    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut sockets = vec![listener];
    for _ in 0..4 {
        let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        filler.set_nonblocking(true).unwrap();
        let _ = filler.connect(&address.into());
        sockets.push(filler);
    }
    (address, sockets)
}

/// A port on which nobody listens.
fn closed_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Waits until the one peer of a side is in a phase that `fits`.
async fn phase(side: &Side, fits: impl Fn(&PeerPhase) -> bool) -> crate::links::peers::PeerStatus {
    soon(async {
        loop {
            let status = side.peers.list().remove(0);
            if fits(&status.phase) {
                break status;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

fn waiting(phase: &PeerPhase) -> bool {
    matches!(phase, PeerPhase::Waiting { .. })
}

#[tokio::test]
async fn a_configured_peer_is_linked_and_listed() {
    let (mut listener, address) = Side::listening(end(1, &[]), "tcp://127.0.0.1:0").await;
    let mut dialer = Side::new(end(2, &[]));
    let uri = peer_uri(&format!("tcp://{address}?password="));
    let id = dialer.peers.add(uri.clone(), None).unwrap();
    let held = dialer.link().await;
    assert_eq!(listener.link().await.link.peer, key(2));

    let status = phase(&dialer, |phase| *phase == PeerPhase::Up).await;
    assert_eq!((status.id, status.attempts, status.last_error), (id.clone(), 1, None));
    assert_eq!(id, PeerId { uri: format!("tcp://{address}"), interface: None });
    assert_eq!(held.link.uri, id.uri);
    assert_eq!(listener.peers.listeners()[0].address, Some(address));

    // The same place with other options is the same peer, from an interface it is another.
    let again = peer_uri(&format!("tcp://{address}?priority=3"));
    assert!(matches!(dialer.peers.add(again, None), Err(PeersError::AlreadyConfigured(_))));
    assert!(dialer.peers.add(uri, Some("lo".into())).is_ok());
    assert_eq!(dialer.peers.list().len(), 2);
}

#[tokio::test]
async fn removing_a_peer_closes_its_link() {
    let (mut listener, address) = Side::listening(end(1, &[]), "tcp://127.0.0.1:0").await;
    let mut dialer = Side::new(end(2, &[]));
    let id = dialer.peers.add(peer_uri(&format!("tcp://{address}")), None).unwrap();
    let _held = dialer.link().await;
    let far = listener.link().await;

    soon(dialer.peers.remove(&id)).await.unwrap();

    assert_eq!(socket::recv(far.link.stream.socket(), &mut [0; 1]).unwrap(), 0);
    assert!(dialer.peers.list().is_empty());
    assert!(matches!(dialer.peers.remove(&id).await, Err(PeersError::NotConfigured(_))));
    assert!(matches!(dialer.peers.kick(&id), Err(PeersError::NotConfigured(_))));
}

#[tokio::test]
async fn a_lost_link_is_noted_and_dialled_again() {
    let (mut listener, address) = Side::listening(end(1, &[]), "tls://127.0.0.1:0").await;
    let mut dialer = Side::new(end(2, &[]));
    let id = dialer.peers.add(peer_uri(&format!("tls://{address}")), None).unwrap();
    let held = dialer.link().await;
    let _far = listener.link().await;
    held.end.send(LinkEnd { code: "peer_timeout", message: "no answer".into() }).unwrap();

    let status = phase(&dialer, waiting).await;
    let error = status.last_error.unwrap();
    assert_eq!((error.code, &*error.message), ("peer_timeout", "no answer"));
    assert!(error.at.elapsed().unwrap() < PATIENCE);
    let PeerPhase::Waiting { next_attempt_in } = status.phase else { unreachable!() };
    assert!(next_attempt_in <= Duration::from_secs(2));

    // A kick ends the wait.
    let kicked = Instant::now();
    dialer.peers.kick(&id).unwrap();
    let _held = dialer.link().await;
    assert!(kicked.elapsed() < Duration::from_secs(1));
    assert_eq!(dialer.peers.list()[0].attempts, 2);
}

/// Under a clock that jumps to the next deadline whenever nothing else can happen.
#[tokio::test(start_paused = true)]
async fn waits_double_up_to_the_ceiling_while_another_peer_is_up() {
    let (_listener, address) = Side::listening(end(1, &[]), "tcp://127.0.0.1:0").await;
    let mut dialer = Side::new(end(2, &[]));
    dialer.peers.add(peer_uri(&format!("tcp://{address}")), None).unwrap();
    let _held = dialer.link().await;
    let closed = closed_port();
    let uri = format!("tcp://{closed}?maxbackoff=5s");
    dialer.peers.add(peer_uri(&uri), None).unwrap();
    let started = tokio::time::Instant::now();
    let waits = [0.0, 0.05, 0.15, 0.35, 0.75, 1.55, 3.15, 6.35, 11.35, 16.35];
    failures_come_after(&dialer, closed, started, &waits).await;
}

/// A node whose only peer restarts finds it within a second for half a minute, then within three.
#[tokio::test(start_paused = true)]
async fn a_lonely_node_does_not_wait_long() {
    let dialer = Side::new(end(2, &[]));
    let closed = closed_port();
    dialer.peers.add(peer_uri(&format!("tcp://{closed}")), None).unwrap();
    let started = tokio::time::Instant::now();
    let waits = [0.0, 0.05, 0.15, 0.35, 0.75, 1.55, 2.55, 3.55, 4.55, 5.55];
    failures_come_after(&dialer, closed, started, &waits).await;
    tokio::time::sleep(LONELY_OVER).await;
    let before = dialer.peers.list()[0].attempts;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let attempts = dialer.peers.list()[0].attempts - before;
    assert!((19..=28).contains(&attempts), "{attempts} in a minute");
    // After ten minutes the peer is left alone as if there were others, until there is hope.
    tokio::time::sleep(Duration::from_secs(1500)).await;
    let before = dialer.peers.list()[0].attempts;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(dialer.peers.list()[0].attempts - before <= 1);
    let before = dialer.peers.list()[0].attempts;
    dialer.peers.kick_all();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(dialer.peers.list()[0].attempts - before >= 10);
}

const LONELY_OVER: Duration = Duration::from_secs(30);

/// The attempts at the one peer that fails end at these times, in seconds, or a quarter sooner.
async fn failures_come_after(
    dialer: &Side,
    closed: SocketAddr,
    started: tokio::time::Instant,
    waits: &[f32],
) {
    let status = || {
        let uri = format!("tcp://{closed}");
        dialer.peers.list().into_iter().find(|peer| peer.id.uri == uri).unwrap()
    };
    for (attempts, at_most) in (1..).zip(waits.iter().copied()) {
        while status().attempts < attempts || !waiting(&status().phase) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let waited = started.elapsed().as_secs_f32();
        assert!((at_most * 0.75..=at_most + 0.2).contains(&waited), "{attempts} after {waited} s");
        assert_eq!(status().last_error.unwrap().code, "cannot_connect");
    }
}

#[tokio::test(start_paused = true)]
async fn a_steady_link_is_dialled_again_at_once_and_a_short_one_is_not() {
    let (mut listener, address) = Side::listening(end(1, &[]), "tcp://127.0.0.1:0").await;
    let mut dialer = Side::new(end(2, &[]));
    dialer.peers.add(peer_uri(&format!("tcp://{address}")), None).unwrap();
    let mut held = dialer.link().await;
    let mut far = listener.link().await;
    for (lasts_s, expected) in [(31, 0.0..0.1), (1, 0.03..0.1), (1, 0.06..0.2), (31, 0.0..0.1)] {
        tokio::time::sleep(Duration::from_secs(lasts_s)).await;
        let lost = tokio::time::Instant::now();
        held.end.send(LinkEnd { code: "closed", message: "closed".into() }).unwrap();
        drop(far);
        held = dialer.link().await;
        far = listener.link().await;
        let waited = lost.elapsed().as_secs_f32();
        assert!(expected.contains(&waited), "{lasts_s} s up, then {waited} s");
    }
}

#[tokio::test]
async fn a_node_that_dials_itself_stops_trying_until_it_is_kicked() {
    let (node, address) = Side::listening(end(1, &[]), "tcp://127.0.0.1:0").await;
    node.peers.add(peer_uri(&format!("tcp://{address}")), None).unwrap();

    let status = phase(&node, |phase| *phase == PeerPhase::Halted).await;
    assert_eq!(status.attempts, 1);
    assert_eq!(status.last_error.unwrap().code, "connected_to_self");

    node.peers.kick_all();
    soon(async {
        while node.peers.list()[0].attempts < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    phase(&node, |phase| *phase == PeerPhase::Halted).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_address_that_does_not_answer_delays_the_next_one_only_a_little() {
    // Both loopback addresses of the name, of which the first is silent.
    let (hole, _sockets) = black_hole();
    let good = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses = vec![hole, good.local_addr().unwrap()];
    let started = Instant::now();
    let won = soon(dial::tests::race_plain(&end(2, &[]).tls, addresses)).await;
    assert_eq!(won, good.local_addr().unwrap());
    let waited = started.elapsed();
    assert!((dial::STAGGER..Duration::from_secs(3)).contains(&waited), "{waited:?}");

    // An address that refuses is not waited for.
    let started = Instant::now();
    let addresses = vec![closed_port(), good.local_addr().unwrap()];
    let won = soon(dial::tests::race_plain(&end(2, &[]).tls, addresses)).await;
    assert_eq!(won, good.local_addr().unwrap());
    assert!(started.elapsed() < dial::STAGGER);
}

#[tokio::test]
async fn shutdown_is_prompt_whatever_is_going_on() {
    let (mut listener, address) = Side::listening(end(1, &[]), "tls://127.0.0.1:0").await;
    let mut node = Side::new(end(2, &[]));
    node.peers.listen(listen_uri("tcp://127.0.0.1:0")).await.unwrap();
    // Connections are made by the system, and then nobody answers.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = mute.local_addr().unwrap();
    for uri in
        [format!("tls://{address}"), format!("tls://{silent}"), format!("tcp://{}", closed_port())]
    {
        node.peers.add(peer_uri(&uri), None).unwrap();
    }
    let _held = node.link().await;
    let far = listener.link().await;

    let started = Instant::now();
    node.peers.shutdown().await;
    listener.peers.shutdown().await;
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());

    assert!(node.peers.list().is_empty() && node.peers.listeners().is_empty());
    assert_eq!(socket::recv(far.link.stream.socket(), &mut [0; 64]).unwrap(), 0);
    // The port is free again, and the set can be used again.
    listener.peers.listen(listen_uri(&format!("tls://{address}"))).await.unwrap();
    node.peers.add(peer_uri(&format!("tls://{address}")), None).unwrap();
    assert_eq!(node.link().await.link.peer, key(1));
}

#[tokio::test]
async fn stopping_a_listener_closes_what_came_in_through_it() {
    let (mut listener, address) = Side::listening(end(1, &[]), "tcp://127.0.0.1:0").await;
    let link = dialled(&format!("tcp://{address}")).await.unwrap();
    let _held = listener.link().await;
    let uri = listen_uri("tcp://127.0.0.1:0");
    assert!(matches!(
        listener.peers.listen(uri.clone()).await,
        Err(PeersError::AlreadyConfigured(_))
    ));

    soon(listener.peers.stop_listening(&uri)).await.unwrap();

    assert_eq!(socket::recv(link.stream.socket(), &mut [0; 1]).unwrap(), 0);
    assert!(matches!(listener.peers.stop_listening(&uri).await, Err(PeersError::NotConfigured(_))));
    let refused = dialled(&format!("tcp://{address}")).await;
    assert_eq!(refused.unwrap_err().code(), "cannot_connect");
}
