//! Moves bytes over TCP from one host to another and checks every one of them.
//!
//! The content is a function of the position alone, so the receiver needs no copy and no checksum:
//! it compares each byte with what belongs there. When the connection breaks or stalls, the sender
//! dials again and goes on where the receiver stands: a transfer is only over when all has arrived.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::host::Host;
use crate::wait::{Deadline, until};

/// A connection on which nothing moves for so long is given up and dialled anew.
const STALL: Duration = Duration::from_secs(5);

/// The content repeats after so many bytes, but for the number of the repetition at its start.
const BLOCK: usize = 1 << 20;

/// How much is read or written at once.
const CHUNK: usize = 128 << 10;

/// A transfer on its way.
pub struct Transfer {
    what: String,
    total: u64,
    received: Arc<AtomicU64>,
    sender: JoinHandle<Result<u32>>,
    receiver: JoinHandle<Result<()>>,
    start: Instant,
}

/// A transfer that has arrived, every byte as sent.
#[derive(Clone, Copy, Debug)]
pub struct TransferResult {
    /// How many bytes arrived.
    pub bytes: u64,
    /// How long it took.
    pub took: Duration,
    /// How many connections it needed: one, unless something broke.
    pub connections: u32,
}

impl Transfer {
    /// Starts to move so many bytes from a host to an address of another.
    ///
    /// # Errors
    /// When the receiver cannot listen.
    pub fn start(
        from: &Host,
        to: &Host,
        address: Ipv6Addr,
        total: u64,
        deadline: Deadline,
    ) -> Result<Self> {
        let what = format!("{total} bytes from {} to {}", from.label(), to.label());
        let listen = || TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0));
        let listener = to.enter(listen)?.context("cannot listen")?;
        let target = SocketAddr::from((address, listener.local_addr()?.port()));
        let received = Arc::new(AtomicU64::new(0));
        let counter = received.clone();
        let receiver = to.spawn(move || receive(&listener, total, &counter, deadline));
        let sender = from.spawn(move || send(target, total, deadline));
        Ok(Self { what, total, received, sender, receiver, start: Instant::now() })
    }

    /// Waits until so many bytes have arrived.
    ///
    /// # Errors
    /// When the deadline passes first.
    pub fn wait_for(&self, bytes: u64, deadline: Deadline) -> Result<()> {
        until(&format!("the first {bytes} of {}", self.what), deadline, || {
            Ok((self.received.load(Ordering::Relaxed) >= bytes).then_some(()))
        })
    }

    /// Waits until all has arrived.
    ///
    /// # Errors
    /// When a byte is wrong, or the deadline that the transfer was given has passed.
    pub fn finish(self) -> Result<TransferResult> {
        let panicked = |_| anyhow!("a thread of the transfer panicked");
        let receiver = self.receiver.join().map_err(panicked)?;
        let sender = self.sender.join().map_err(panicked)?;
        let got = self.received.load(Ordering::Relaxed);
        receiver.with_context(|| format!("{}: {got} arrived", self.what))?;
        let connections = sender.with_context(|| self.what.clone())?;
        let result = TransferResult { bytes: self.total, took: self.start.elapsed(), connections };
        eprintln!("{}: {result}", self.what);
        Ok(result)
    }
}

impl TransferResult {
    /// Megabits a second.
    #[must_use]
    pub fn megabits(&self) -> f64 {
        self.bytes as f64 * 8.0 / 1e6 / self.took.as_secs_f64()
    }
}

impl std::fmt::Display for TransferResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seconds, rate) = (self.took.as_secs_f64(), self.megabits());
        write!(f, "{seconds:.1} s, {rate:.0} Mbit/s, {} connection(s)", self.connections)
    }
}

/// Dials until the receiver has everything; returns how many connections that took.
fn send(target: SocketAddr, total: u64, deadline: Deadline) -> Result<u32> {
    let mut connections = 0;
    loop {
        connections += 1;
        match send_once(target, total) {
            Ok(()) => return Ok(connections),
            Err(error) if deadline.is_over() => return Err(error.context("the time is over")),
            // Refused at once means that the overlay is not there at the moment.
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// One connection: learn where the receiver stands, send the rest, wait for its last word.
fn send_once(target: SocketAddr, total: u64) -> Result<()> {
    let mut stream = TcpStream::connect_timeout(&target, STALL)?;
    stream.set_read_timeout(Some(STALL))?;
    stream.set_write_timeout(Some(STALL))?;
    let mut offset = read_number(&mut stream)?;
    let (content, mut chunk) = (content(), vec![0; CHUNK]);
    while offset < total {
        let length = fill(&content, offset, total, &mut chunk);
        stream.write_all(&chunk[..length])?;
        offset += length as u64;
    }
    ensure!(read_number(&mut stream)? == total, "the receiver wants something else");
    Ok(())
}

fn receive(
    listener: &TcpListener,
    total: u64,
    received: &AtomicU64,
    deadline: Deadline,
) -> Result<()> {
    let content = content();
    loop {
        let left = PollTimeout::try_from(deadline.left()).unwrap_or(PollTimeout::MAX);
        if poll(&mut [PollFd::new(listener.as_fd(), PollFlags::POLLIN)], left)? == 0 {
            bail!("the time is over and nobody dials");
        }
        let (stream, _) = listener.accept()?;
        match receive_once(stream, &content, total, received) {
            Ok(()) => return Ok(()),
            Err(Broken::Content(error)) => return Err(error),
            Err(Broken::Connection) if deadline.is_over() => bail!("the time is over"),
            Err(Broken::Connection) => {}
        }
    }
}

enum Broken {
    Connection,
    Content(anyhow::Error),
}

impl From<std::io::Error> for Broken {
    fn from(_: std::io::Error) -> Self {
        Self::Connection
    }
}

fn receive_once(
    mut stream: TcpStream,
    content: &[u8],
    total: u64,
    received: &AtomicU64,
) -> Result<(), Broken> {
    stream.set_read_timeout(Some(STALL))?;
    stream.set_write_timeout(Some(STALL))?;
    let mut offset = received.load(Ordering::Relaxed);
    stream.write_all(&offset.to_be_bytes())?;
    let (mut chunk, mut expected) = (vec![0; CHUNK], vec![0; CHUNK]);
    while offset < total {
        let length = stream.read(&mut chunk)?;
        if length == 0 {
            return Err(Broken::Connection);
        }
        if fill(content, offset, total, &mut expected[..length]) != length
            || chunk[..length] != expected[..length]
        {
            let at = chunk.iter().zip(&expected).take_while(|(got, want)| got == want).count();
            return Err(Broken::Content(anyhow!("the byte at {} is wrong", offset + at as u64)));
        }
        offset += length as u64;
        received.store(offset, Ordering::Relaxed);
    }
    // The last word is a courtesy: everything is here, whether or not it arrives.
    let _ = stream.write_all(&total.to_be_bytes());
    Ok(())
}

fn read_number(stream: &mut TcpStream) -> Result<u64> {
    let mut octets = [0; 8];
    stream.read_exact(&mut octets)?;
    Ok(u64::from_be_bytes(octets))
}

/// One block of bytes that do not repeat in any short distance.
fn content() -> Vec<u8> {
    let mut state = 0x1234_5678_9abc_def1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()
    };
    (0..BLOCK / 8).flat_map(|_| next()).collect()
}

/// Writes the bytes that belong at an offset and returns how many, at most up to the total.
fn fill(content: &[u8], offset: u64, total: u64, out: &mut [u8]) -> usize {
    let length = out.len().min(usize::try_from(total - offset).unwrap_or(usize::MAX));
    let mut done = 0;
    while done < length {
        let position = offset + done as u64;
        let (block, inside) = (position / BLOCK as u64, (position % BLOCK as u64) as usize);
        let piece = (length - done).min(BLOCK - inside);
        out[done..done + piece].copy_from_slice(&content[inside..inside + piece]);
        // The first eight bytes of a block are its number.
        for index in inside..(inside + piece).min(8) {
            out[done + index - inside] = block.to_be_bytes()[index];
        }
        done += piece;
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_depends_on_the_position_alone() {
        let content = content();
        let total = 3 * BLOCK as u64;
        let mut whole = vec![0; 3 * BLOCK];
        assert_eq!(fill(&content, 0, total, &mut whole), whole.len());
        for offset in [0, 1, 7, 8, BLOCK - 3, BLOCK, 2 * BLOCK + 5] {
            let mut piece = vec![0; 4096];
            let length = fill(&content, offset as u64, total, &mut piece);
            assert_eq!(piece[..length], whole[offset..offset + length], "at {offset}");
        }
        assert_ne!(whole[..BLOCK], whole[BLOCK..2 * BLOCK]);
        let mut end = vec![0; 10];
        assert_eq!(fill(&content, total - 4, total, &mut end), 4);
    }

    #[test]
    fn a_transfer_survives_a_connection_that_breaks() {
        let listener = TcpListener::bind("[::1]:0").expect("loopback");
        let target = listener.local_addr().expect("bound");
        let (total, received) = (3 * BLOCK as u64, AtomicU64::new(0));
        let deadline = Deadline::seconds(30);
        std::thread::scope(|scope| {
            let receiver = scope.spawn(|| receive(&listener, total, &received, deadline));
            // The first connection sends some right bytes and is gone.
            let mut first = TcpStream::connect(target).expect("listening");
            let mut some = vec![0; CHUNK];
            let offset = read_number(&mut first).expect("an offset");
            let length = fill(&content(), offset, total, &mut some);
            first.write_all(&some[..length]).expect("sent");
            drop(first);
            send(target, total, deadline).expect("sent");
            receiver.join().expect("no panic").expect("received");
        });
        assert_eq!(received.into_inner(), total);
    }

    #[test]
    fn a_wrong_byte_is_found() {
        let listener = TcpListener::bind("[::1]:0").expect("loopback");
        let target = listener.local_addr().expect("bound");
        let received = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let receive = || receive(&listener, 4096, &received, Deadline::seconds(30));
            let receiver = scope.spawn(receive);
            let mut stream = TcpStream::connect(target).expect("listening");
            let mut bytes = vec![0; 4096];
            fill(&content(), 0, 4096, &mut bytes);
            bytes[1000] ^= 1;
            stream.write_all(&bytes).expect("sent");
            let error = receiver.join().expect("no panic").expect_err("wrong byte");
            assert_eq!(error.to_string(), "the byte at 1000 is wrong");
        });
    }
}
