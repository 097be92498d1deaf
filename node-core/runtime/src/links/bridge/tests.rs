//! Bridges over streams in memory, whose far end is the test.

use std::{
    pin::Pin,
    task::{Context, Poll},
    thread,
    time::{Duration, Instant},
};

use tokio::{
    io::{DuplexStream, ReadBuf, duplex},
    sync::oneshot,
    task::spawn_blocking,
};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// What may wait on the way: both ends have a buffer for each direction, and a system may take
/// twice what it is asked for.
const WAITING_MAX: usize = 8 * LOCAL_BUFFER;

/// The data path's end, and the peer's.
fn bridged(room: usize) -> (Socket, DuplexStream) {
    let (stream, peer) = duplex(room);
    (bridge(stream).unwrap(), peer)
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ (at >> 8)) as u8).collect()
}

/// Writes all of `bytes` as the data path does.
fn send(socket: &Socket, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match socket::try_send(socket, bytes) {
            Ok(len) => bytes = &bytes[len..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                socket::wait_writable(socket, PATIENCE).unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn receive(socket: &Socket, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut done = 0;
    while done < len {
        let more = socket::recv(socket, &mut bytes[done..]).unwrap();
        assert!(more > 0, "the link ended after {done} bytes");
        done += more;
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_in_either_direction() {
    let (near, mut peer) = bridged(1000);
    let sent = bytes(1_000_000);
    let expected = sent.clone();
    let node = spawn_blocking(move || {
        thread::scope(|scope| {
            let reading = scope.spawn(|| receive(&near, 1_000_000));
            send(&near, &sent);
            reading.join().unwrap()
        })
    });
    let (mut from_node, mut to_node) = split(&mut peer);
    let mut outward = vec![0; expected.len()];
    let (read, written) =
        tokio::join!(from_node.read_exact(&mut outward), to_node.write_all(&expected));
    read.unwrap();
    written.unwrap();
    assert!(node.await.unwrap() == expected && outward == expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_takes_nothing_holds_the_node_up() {
    let (near, mut peer) = bridged(1000);
    let mut sent = 0;
    let mut last = Instant::now();
    // Until nothing more has gone in for a while.
    while last.elapsed() < Duration::from_millis(300) {
        match socket::try_send(&near, &[7; 1000]) {
            Ok(len) => (sent, last) = (sent + len, Instant::now()),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    assert!(sent < WAITING_MAX, "{sent} bytes wait where nothing can overtake them");
    let mut taken = vec![0; sent];
    peer.read_exact(&mut taken).await.unwrap();
    assert_eq!(socket::try_send(&near, b"x").unwrap(), 1, "there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_takes_nothing_holds_the_peer_up() {
    let (_near, mut peer) = bridged(1000);
    let mut sent = 0;
    while let Ok(len) = timeout(Duration::from_millis(300), peer.write(&[7; 1000])).await {
        sent += len.unwrap();
    }
    assert!(sent < WAITING_MAX, "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_stream_comes_behind_its_last_byte() {
    let (near, mut peer) = bridged(100_000);
    let sent = bytes(50_000);
    peer.write_all(&sent).await.unwrap();
    drop(peer);
    let received = spawn_blocking(move || {
        let received = receive(&near, 50_000);
        assert_eq!(socket::recv(&near, &mut [0]).unwrap(), 0, "then comes the end");
        received
    });
    assert!(received.await.unwrap() == sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_closes_ends_the_stream_behind_its_last_byte() {
    let (near, mut peer) = bridged(100_000);
    send(&near, &[1; 1000]);
    socket::shutdown(&near).unwrap();
    let mut received = Vec::new();
    timeout(PATIENCE, peer.read_to_end(&mut received)).await.unwrap().unwrap();
    assert_eq!(received.len(), 1000);
}

/// A peer that is there and takes nothing, and tells when it is let go of.
struct Wall(#[expect(dead_code, reason = "dropped with the wall")] oneshot::Sender<()>);

impl AsyncRead for Wall {
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Wall {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_closes_does_not_wait_for_ever_for_a_peer_that_takes_nothing() {
    let (sender, dropped) = oneshot::channel();
    let near = bridge(Wall(sender)).unwrap();
    send(&near, &[1; 1000]);
    socket::shutdown(&near).unwrap();
    let started = tokio::time::Instant::now();
    assert!(dropped.await.is_err(), "the task lets go of the peer");
    assert!(started.elapsed() <= STALLED_MAX + 2 * FAREWELL_TIME_MAX);
}
