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
            let mut draw = draws(seed);
            thread::spawn(move || {
                let mut packet = vec![0; usize::from(Stack::MTU)];
                loop {
                    let len = from.recv(&mut packet);
                    if len == 0 {
                        return;
                    }
                    if lost_of.is_none_or(|of| !draw().is_multiple_of(of)) {
                        to.send(&packet[..len]);
                    }
                }
            })
        });
        Self { near, far, carriers: carriers.into() }
    }

    /// A connection, both ends of it.
    async fn connection(&self, listener: &StackListener) -> (StackStream, StackStream) {
        connection(&self.near, listener).await
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

async fn connection(near: &Stack, listener: &StackListener) -> (StackStream, StackStream) {
    let to = SocketAddrV6::new(FAR, PORT, 0, 0);
    let (near, far) = tokio::join!(near.connect(to), listener.accept());
    (near.expect("a connection"), far.expect("the same"))
}

impl Stack {
    /// Bytes that the far ends of its connections have not acknowledged.
    fn unacknowledged(&self) -> usize {
        let core = self.0.core.lock();
        let sockets = core.sockets.iter().map(|(_, socket)| match socket {
            Socket::Tcp(socket) => socket.send_queue(),
            Socket::Udp(_) => 0,
        });
        sockets.sum()
    }
}

/// A runtime whose clock goes on as soon as everybody waits.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime")
}

/// Numbers that nobody can tell from chance (Marsaglia's xorshift).
fn draws(seed: u64) -> impl FnMut() -> u64 {
    let mut random = seed | 1;
    move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    }
}

fn bytes(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed) ^ (at >> 8) as u8).collect()
}

/// Sends `words` and then the end, and reads to the other's end.
async fn exchange(stream: StackStream, words: Vec<u8>) -> Vec<u8> {
    let whole = words.len().max(1);
    talk(stream, &words, whole, Duration::ZERO).await.expect("all of it")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_arrives_whole_whatever_is_lost(
        lost_of in prop::option::of(8_u64..60),
        out in 0_usize..400_000,
        back in 0_usize..400_000,
        seed: u64,
    ) {
        runtime().block_on(async {
            let (near, far) = (Stack::new(NEAR, seed), Stack::new(FAR, !seed));
            let listener = far.listen(PORT).expect("a port");
            let (said, answered) = (bytes(out, 1), bytes(back, 2));
            let exchanged = async {
                let (one, other) = connection(&near, &listener).await;
                tokio::join!(exchange(one, said.clone()), exchange(other, answered.clone()))
            };
            let (heard, got) = tokio::select! {
                biased;
                exchanged = exchanged => exchanged,
                () = carry(&near, &far, lost_of, draws(seed)) => unreachable!(),
                () = tokio::time::sleep(2 * PATIENCE) => panic!("no end in time"),
            };
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

/// The packets that an end sends now.
fn collect(from: &Stack) -> Vec<Vec<u8>> {
    let mut packet = vec![0; usize::from(Stack::MTU)];
    std::iter::from_fn(|| from.try_recv(&mut packet).map(|len| packet[..len].to_vec())).collect()
}

#[tokio::test]
async fn both_ends_may_repeat_what_the_other_has() {
    let (near, far) = (Stack::new(NEAR, 1), Stack::new(FAR, 2));
    let listener = far.listen(PORT).unwrap();
    let carry_on = async |line: Duration| {
        let begun = Instant::now();
        while begun.elapsed() < line {
            collect(&near).iter().for_each(|packet| far.send(packet));
            collect(&far).iter().for_each(|packet| near.send(packet));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let to = SocketAddrV6::new(FAR, PORT, 0, 0);
    let opening = async { tokio::join!(near.connect(to), listener.accept()) };
    let ((one, other), ()) = tokio::join!(opening, carry_on(Duration::from_millis(50)));
    let (mut one, mut other) = (one.unwrap(), other.unwrap());

    // Room for several segments in both directions is earned first.
    let words = bytes(200_000, 12);
    let mut room = vec![0; words.len()];
    let earn = async {
        let (said, heard) = tokio::join!(one.write_all(&words), other.read_exact(&mut room));
        said.and(heard.map(drop)).unwrap();
        let (said, heard) = tokio::join!(other.write_all(&words), one.read_exact(&mut room));
        said.and(heard.map(drop)).unwrap();
    };
    tokio::select! {
        () = earn => {}
        () = carry_on(PATIENCE) => panic!("nothing arrives"),
    }
    carry_on(Duration::from_millis(50)).await;
    // Now they are under way at once, and no end knows of the other's.
    one.write_all(&words).await.unwrap();
    other.write_all(&words).await.unwrap();
    let deliver = |most: usize| {
        let under_way = [collect(&near), collect(&far)];
        assert!(under_way.iter().all(|packets| packets.len() >= most), "{:?}", under_way.len());
        for (packets, to) in under_way.iter().zip([&far, &near]) {
            packets.iter().for_each(|packet| to.send(packet));
        }
    };
    deliver(4);
    // All that answers them is lost.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(50) {
        collect(&near);
        collect(&far);
    }
    // Both begin to repeat, and then the line is sound.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    deliver(1);
    let exchanged = async {
        let (mut heard, mut got) = (vec![0; words.len()], vec![0; words.len()]);
        let (one, other) = tokio::join!(one.read_exact(&mut heard), other.read_exact(&mut got));
        one.and(other).unwrap();
        let acknowledged = async {
            while [&near, &far].iter().any(|stack| stack.unacknowledged() > 0) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        acknowledged.await;
        (heard, got)
    };
    let exchanged = tokio::select! {
        exchanged = exchanged => Some(exchanged),
        () = carry_on(PATIENCE) => None,
    };
    let (heard, got) = exchanged.expect("both hear what the other has");
    assert!(heard == words && got == words);
}

/// Sends `words` in parts of `chunk` bytes and then the end, and reads to the other's end, but not
/// before `pause` has passed.
async fn talk(
    stream: StackStream,
    words: &[u8],
    chunk: usize,
    pause: Duration,
) -> io::Result<Vec<u8>> {
    let (mut read, mut write) = tokio::io::split(stream);
    let say = async {
        for part in words.chunks(chunk) {
            write.write_all(part).await?;
        }
        write.shutdown().await
    };
    let hear = async {
        tokio::time::sleep(pause).await;
        let mut heard = Vec::new();
        read.read_to_end(&mut heard).await.map(|_| heard)
    };
    let (said, heard) = tokio::join!(say, hear);
    said.and(heard)
}

/// Carries packets between two stacks for ever, some a few milliseconds late, in order; one of
/// `lost_of` is lost, if any.
async fn carry(near: &Stack, far: &Stack, lost_of: Option<u64>, mut draw: impl FnMut() -> u64) {
    let mut packet = vec![0; usize::from(Stack::MTU)];
    let mut under_way = [VecDeque::new(), VecDeque::new()];
    loop {
        for (under_way, (from, to)) in under_way.iter_mut().zip([(near, far), (far, near)]) {
            for _ in 0..draw() % 7 {
                let Some(len) = from.try_recv(&mut packet) else { break };
                under_way.push_back(packet[..len].to_vec());
            }
            for packet in under_way.drain(..under_way.len().min(draw() as usize % 7)) {
                if lost_of.is_none_or(|of| !draw().is_multiple_of(of)) {
                    to.send(&packet);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Who takes nothing and answers all the same does not hold a connection for ever.
#[tokio::test(start_paused = true)]
async fn last_words_that_nobody_takes_come_to_an_end() {
    for far_finishes in [false, true] {
        let (near, far) = (Stack::new(NEAR, 1), Stack::new(FAR, 2));
        let listener = far.listen(PORT).unwrap();
        let story = async {
            let (mut one, mut other) = connection(&near, &listener).await;
            if far_finishes {
                other.shutdown().await.unwrap();
                assert_eq!(one.read_u8().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
            }
            let all = bytes(2 * BUFFER_LEN - 100, 3);
            one.write_all(&all).await.unwrap();
            one.shutdown().await.unwrap();
            assert_eq!(one.write_u8(1).await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
            if !far_finishes {
                other.shutdown().await.unwrap();
                assert_eq!(one.read_u8().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
            }
            drop(one);
            tokio::time::sleep(SILENCE_MAX - Duration::from_secs(5)).await;
            assert_eq!((near.sizes().0, near.unacknowledged() > 0), (1, true), "{far_finishes}");
            tokio::time::sleep(Duration::from_secs(20)).await;
            assert_eq!(near.sizes().0, 0, "{far_finishes}");
        };
        let carry_slowly = async {
            loop {
                collect(&near).iter().for_each(|packet| far.send(packet));
                collect(&far).iter().for_each(|packet| near.send(packet));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            () = story => {}
            () = carry_slowly => unreachable!(),
        }
    }
}

/// Both ends write more than there is room for before either reads, over lines that lose. The
/// clock is the runtime's: it goes on as soon as everybody waits.
#[tokio::test(start_paused = true)]
async fn both_ends_may_be_full_at_once() {
    let words = bytes(3 * BUFFER_LEN, 11);
    // To look at the clock costs Wine a hundred times as much.
    let seeds: u64 = if std::env::var_os("PLANETARY_WINE").is_some() { 3 } else { 300 };
    for seed in 1..=seeds {
        let mut draw = draws(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let lost_of = [None, Some(60), Some(30), Some(10)][draw() as usize % 4];
        let chunk = [107, 1_001, 16_325, 40_001][draw() as usize % 4];
        let pauses = [draw() % 2_000, draw() % 2_000].map(Duration::from_millis);
        let back = &words[draw() as usize % words.len()..];
        let (near, far) = (Stack::new(NEAR, draw()), Stack::new(FAR, draw()));
        let listener = far.listen(PORT).unwrap();
        let begun = Instant::now();
        let both = async {
            let (one, other) = connection(&near, &listener).await;
            let one = talk(one, &words, chunk, pauses[0]);
            let other = talk(other, back, chunk, pauses[1]);
            tokio::join!(one, other)
        };
        let both = tokio::select! {
            biased;
            both = timeout(2 * PATIENCE, both) => both,
            () = carry(&near, &far, lost_of, draw) => unreachable!(),
        };
        let how = format!("{seed}: {lost_of:?}, {chunk}, {pauses:?}, {:?}", begun.elapsed());
        let Ok((Ok(one), Ok(other))) = both else { panic!("{how}: {:?}", both.is_err()) };
        assert!(one == back && other == words, "{how}: something else arrives");
    }
}

/// The same in the time of this computer, with a thread for each direction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ends_may_be_full_at_once_on_threads() {
    let words: Arc<[u8]> = bytes(3 * BUFFER_LEN, 11).into();
    let mut talks = tokio::task::JoinSet::new();
    for (seed, lost_of) in (10..).zip([None, Some(30), None, Some(60)].repeat(3)) {
        let words = Arc::clone(&words);
        talks.spawn(async move {
            let chunk = [7, 1_001, 16_325][seed as usize % 3];
            let line = Line::new(lost_of, seed);
            let listener = line.far.listen(PORT).unwrap();
            let (near, far) = line.connection(&listener).await;
            let pause = Duration::from_secs(1);
            let [one, other] = [near, far].map(|end| talk(end, &words, chunk, pause));
            let both = timeout(4 * PATIENCE, async { tokio::join!(one, other) }).await;
            let Ok((Ok(one), Ok(other))) = both else { panic!("{lost_of:?}, {chunk}: {both:?}") };
            assert!(one[..] == words[..] && other[..] == words[..]);
        });
    }
    while let Some(done) = talks.join_next().await {
        done.unwrap();
    }
}
