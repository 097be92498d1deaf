use std::{
    net::{Ipv6Addr, SocketAddrV6},
    thread,
    time::Duration,
};

use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::*;

const NEAR: Ipv6Addr = Ipv6Addr::new(0x200, 0, 0, 0, 0, 0, 0, 1);
const FAR: Ipv6Addr = Ipv6Addr::new(0x200, 0, 0, 0, 0, 0, 0, 2);
const PORT: u16 = 80;
const PATIENCE: Duration = Duration::from_secs(30);

/// Two stacks with a line between them, on which one packet of `lost_of` is lost, if any.
struct Line {
    near: Stack,
    far: Stack,
    carriers: Vec<thread::JoinHandle<()>>,
}

impl Line {
    fn new(lost_of: Option<u64>, seed: u64) -> Self {
        let (near, far) = (Stack::new(NEAR, seed), Stack::new(FAR, seed + 1));
        let carriers = [(&near, &far), (&far, &near)].map(|(from, to)| {
            let (from, to) = (from.clone(), to.clone());
            let mut random = seed | 1;
            thread::spawn(move || {
                let mut packet = vec![0; usize::from(Stack::MTU)];
                loop {
                    let len = from.recv(&mut packet);
                    if len == 0 {
                        return;
                    }
                    // Marsaglia's xorshift.
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    if lost_of.is_none_or(|of| !random.is_multiple_of(of)) {
                        to.send(&packet[..len]);
                    }
                }
            })
        });
        Self { near, far, carriers: carriers.into() }
    }

    /// A connection, both ends of it.
    async fn connection(&self, listener: &StackListener) -> (StackStream, StackStream) {
        let to = SocketAddrV6::new(FAR, PORT, 0, 0);
        let (near, far) = tokio::join!(self.near.connect(to), listener.accept());
        (near.expect("a connection"), far.expect("the same"))
    }

    /// Waits until both stacks have forgotten their connections.
    async fn emptied(&self) {
        let empty = async {
            while self.near.sizes() != (0, 0) || self.far.sizes() != (0, 0) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let sizes = || (self.near.sizes(), self.far.sizes());
        assert!(timeout(PATIENCE, empty).await.is_ok(), "what is left: {:?}", sizes());
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.near.close();
        self.far.close();
        for carrier in self.carriers.drain(..) {
            let _ = carrier.join();
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

fn bytes(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed) ^ (at >> 8) as u8).collect()
}

/// Sends `words` and then the end, and reads to the other's end.
async fn exchange(mut stream: StackStream, words: Vec<u8>) -> Vec<u8> {
    let (mut read, mut write) = tokio::io::split(&mut stream);
    let say = async {
        write.write_all(&words).await.expect("room");
        write.shutdown().await.expect("the end");
    };
    let mut heard = Vec::new();
    let ((), result) = tokio::join!(say, read.read_to_end(&mut heard));
    result.expect("all of it");
    heard
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_arrives_whole_whatever_is_lost(
        lost_of in prop::option::of(8_u64..60),
        out in 0_usize..400_000,
        back in 0_usize..400_000,
        seed: u64,
    ) {
        runtime().block_on(async {
            let line = Line::new(lost_of, seed >> 1);
            let listener = line.far.listen(PORT).expect("a port");
            let (near, far) = line.connection(&listener).await;
            let (said, answered) = (bytes(out, 1), bytes(back, 2));
            let exchanged = async {
                tokio::join!(exchange(near, said.clone()), exchange(far, answered.clone()))
            };
            let (heard, got) = timeout(2 * PATIENCE, exchanged).await.expect("an end in time");
            assert!(heard == answered, "the answer is {} bytes, not {back}", heard.len());
            assert!(got == said, "what was said is {} bytes, not {out}", got.len());
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_without_a_listener_refuses_at_once() {
    let line = Line::new(None, 1);
    let begun = Instant::now();
    let refused = line.near.connect(SocketAddrV6::new(FAR, PORT, 0, 0)).await;
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    assert!(begun.elapsed() < Duration::from_secs(1));
    line.emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_end_may_finish_long_before_the_other() {
    let line = Line::new(None, 2);
    let listener = line.far.listen(PORT).unwrap();
    let (mut near, mut far) = line.connection(&listener).await;
    near.write_all(b"question").await.unwrap();
    near.shutdown().await.unwrap();
    assert!(near.write_all(b"more").await.is_err());
    let mut question = Vec::new();
    far.read_to_end(&mut question).await.unwrap();
    assert_eq!(question, b"question");
    // To a reader that begins when all is over on the line.
    let answer = bytes(BUFFER_LEN / 2, 3);
    far.write_all(&answer).await.unwrap();
    far.shutdown().await.unwrap();
    let both_finished = || !line.near.0.core.lock().saved.is_empty();
    let finished = async {
        while !both_finished() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, finished).await.expect("both ends finish");
    let mut heard = Vec::new();
    near.read_to_end(&mut heard).await.unwrap();
    assert!(heard == answer, "{} bytes of {}", heard.len(), answer.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_dropped_early_is_reset() {
    let line = Line::new(None, 3);
    let listener = line.far.listen(PORT).unwrap();
    let (near, mut far) = line.connection(&listener).await;
    drop(near);
    let error = far.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    drop(far);
    line.emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_is_not_written_to_without_end() {
    let line = Line::new(None, 4);
    let listener = line.far.listen(PORT).unwrap();
    let (mut near, mut far) = line.connection(&listener).await;
    let much = bytes(4 * BUFFER_LEN, 5);
    let written = timeout(Duration::from_millis(500), near.write_all(&much)).await;
    assert!(written.is_err(), "more was taken than the buffers of both ends hold");
    let mut some = vec![0; BUFFER_LEN];
    timeout(PATIENCE, far.read_exact(&mut some)).await.expect("in time").unwrap();
    assert!(much.starts_with(&some));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_take_no_more_room_than_there_is() {
    let line = Line::new(None, 5);
    let listener = Arc::new(line.far.listen(PORT).unwrap());
    let taking = {
        let listener = Arc::clone(&listener);
        tokio::spawn(async move {
            let mut taken = Vec::new();
            while let Ok(stream) = listener.accept().await {
                taken.push(stream);
            }
        })
    };
    let (mut held, mut refused) = (Vec::new(), 0);
    for _ in 0..1_000 {
        match line.near.connect(SocketAddrV6::new(FAR, PORT, 0, 0)).await {
            Ok(stream) => held.push(stream),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
                refused += 1;
            }
        }
    }
    assert_eq!((held.len(), refused), (CONNECTIONS_MAX, 1_000 - CONNECTIONS_MAX));
    assert_eq!(line.far.sizes().0, CONNECTIONS_MAX);
    // Each of them is alive.
    for stream in &mut held {
        stream.write_all(b"?").await.unwrap();
    }
    drop(held);
    taking.abort();
    let _ = taking.await;
    drop(listener);
    line.emptied().await;
    let listener = line.far.listen(PORT).unwrap();
    timeout(PATIENCE, line.connection(&listener)).await.expect("room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_nobody_accepts_are_bounded() {
    let line = Line::new(None, 6);
    let listener = line.far.listen(PORT).unwrap();
    let to = SocketAddrV6::new(FAR, PORT, 0, 0);
    let mut held = Vec::new();
    for _ in 0..BACKLOG_MAX {
        held.push(line.near.connect(to).await.unwrap());
    }
    // One more is not refused, but asks again.
    let last = timeout(Duration::from_millis(300), line.near.connect(to)).await;
    assert!(last.is_err(), "{last:?}");
    assert_eq!(line.far.sizes().0, BACKLOG_MAX);
    drop(listener);
    let error = held[0].read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    drop(held);
    line.emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_come_one_by_one_and_too_long_ones_not_at_all() {
    let line = Line::new(None, 7);
    let (near, far) = (line.near.bind(0).unwrap(), line.far.bind(PORT).unwrap());
    assert_eq!(line.far.bind(PORT).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    let to = SocketAddrV6::new(FAR, PORT, 0, 0);
    let longest = bytes(Stack::DATAGRAM_LEN_MAX, 1);
    let mut room = vec![0; 65_535];
    for data in [&b"one"[..], b"", &longest] {
        near.send_to(data, to).await.unwrap();
        let (len, from) = timeout(PATIENCE, far.recv_from(&mut room)).await.unwrap().unwrap();
        assert_eq!((from.ip(), &room[..len]), (&NEAR, data));
        far.send_to(b"back", from).await.unwrap();
        let (len, _) = timeout(PATIENCE, near.recv_from(&mut room)).await.unwrap().unwrap();
        assert_eq!(&room[..len], b"back");
    }
    let longer = bytes(Stack::DATAGRAM_LEN_MAX + 1, 1);
    let error = near.send_to(&longer, to).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    drop((near, far));
    line.emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_reaches_itself() {
    let line = Line::new(None, 8);
    let listener = line.near.listen(PORT).unwrap();
    let to = SocketAddrV6::new(NEAR, PORT, 0, 0);
    let (one, other) = tokio::join!(line.near.connect(to), listener.accept());
    let (one, other) = (one.unwrap(), other.unwrap());
    let words = bytes(100_000, 9);
    let (heard, _) = tokio::join!(exchange(other, Vec::new()), exchange(one, words.clone()));
    assert!(heard == words);
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_who_waits_is_told_of_the_end() {
    let line = Line::new(None, 9);
    let listener = line.far.listen(PORT).unwrap();
    let datagrams = line.far.bind(PORT).unwrap();
    let (_near, mut far) = line.connection(&listener).await;
    let mut room = [0; 8];
    let waiting =
        async { tokio::join!(far.read_u8(), listener.accept(), datagrams.recv_from(&mut room)) };
    let end = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        line.far.close();
    };
    let all = async { tokio::join!(waiting, end) };
    let (waited, ()) = timeout(PATIENCE, all).await.expect("an end");
    assert!(waited.0.is_err() && waited.1.is_err() && waited.2.is_err());
    let refused = line.far.connect(SocketAddrV6::new(NEAR, PORT, 0, 0)).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::NotConnected);
}
