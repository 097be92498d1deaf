//! The first echo: when does an address begin to answer, to the millisecond?
//!
//! `ping` is too slow a starter for that. One UDP socket answers, another asks every few
//! milliseconds; both are open before any node has started. The same pair measures series of round
//! trips at a pace at which their tail means something: nodes of ours let in ten echo requests of
//! ICMPv6 a second, and any number of packets of a flow.

use std::io::ErrorKind;
use std::net::{Ipv6Addr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::host::Host;
use crate::wait::Deadline;

/// How often is asked.
const INTERVAL: Duration = Duration::from_millis(5);

/// How long the answering thread may not notice that it is to end.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long the last answers of a series are waited for. One that is later is lost.
const LATE: Duration = Duration::from_secs(1);

/// As long as what `ping` sends.
const QUESTION: usize = 56;

/// A host that answers to whoever asks.
pub struct Echo {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Echo {
    /// Starts to answer on a host, at all of its addresses, also those that are yet to come.
    ///
    /// # Errors
    /// When there is no socket to be had.
    pub fn start(host: &Host) -> Result<Self> {
        let socket = host.enter(|| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)))??;
        socket.set_read_timeout(Some(PATIENCE))?;
        let port = socket.local_addr()?.port();
        let stop = Arc::new(AtomicBool::new(false));
        let ended = stop.clone();
        let thread = host.spawn(move || {
            let mut buffer = [0; 64];
            while !ended.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    // Whoever asked asks again.
                    let _ = socket.send_to(&buffer[..length], from);
                }
            }
            Ok(())
        });
        Ok(Self { port, stop, thread: Some(thread) })
    }

    /// Asks from another host until an answer comes from this address; returns when it came.
    ///
    /// # Errors
    /// When the deadline passes.
    pub fn first(&self, from: &Host, address: Ipv6Addr, deadline: Deadline) -> Result<Instant> {
        let target = (address, self.port);
        let ask = || -> Result<Instant> {
            let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
            socket.set_read_timeout(Some(INTERVAL))?;
            let mut buffer = [0; 64];
            while !deadline.is_over() {
                // Without a route yet there is an error and no waiting for an answer.
                if socket.send_to(b"echo", target).is_err() {
                    std::thread::sleep(INTERVAL);
                    continue;
                }
                match socket.recv_from(&mut buffer) {
                    Ok(_) => return Ok(Instant::now()),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error).context("cannot receive"),
                }
            }
            bail!("no echo from {address} after {:.1} s", deadline.elapsed().as_secs_f64())
        };
        from.enter(ask)?
    }

    /// Asks so many times at a steady pace, whether answers come or not, and returns the round
    /// trips.
    ///
    /// # Errors
    /// When a socket fails.
    pub fn round_trips(
        &self,
        from: &Host,
        address: Ipv6Addr,
        count: u32,
        gap: Duration,
    ) -> Result<RoundTrips> {
        from.enter(|| series((address, self.port), count, gap))?
    }
}

/// A series of round trips.
#[derive(Clone, Debug)]
pub struct RoundTrips {
    /// How long each took that was asked for, in milliseconds, ascending. What was lost counts as
    /// the second after which it is not waited for any more.
    pub sorted_ms: Vec<f64>,
    /// How many were lost.
    pub lost: usize,
}

fn series(target: (Ipv6Addr, u16), count: u32, gap: Duration) -> Result<RoundTrips> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
    socket.connect(target)?;
    socket.set_nonblocking(true)?;
    let (begun, mut sent) = (Instant::now(), Vec::new());
    let mut took: Vec<Option<Duration>> = vec![None; count as usize];
    loop {
        let due = begun + gap * sent.len() as u32;
        let asking = sent.len() < count as usize;
        if asking && due <= Instant::now() {
            let mut question = [0; QUESTION];
            question[..4].copy_from_slice(&(sent.len() as u32).to_be_bytes());
            sent.push(Instant::now());
            // What is refused here is lost.
            let _ = socket.send(&question);
        }
        let mut answer = [0; QUESTION];
        while let Ok(QUESTION) = socket.recv(&mut answer) {
            let number = u32::from_be_bytes([answer[0], answer[1], answer[2], answer[3]]) as usize;
            if let (Some(at), Some(took @ None)) = (sent.get(number), took.get_mut(number)) {
                *took = Some(at.elapsed());
            }
        }
        let until = if asking { due } else { due + LATE };
        let left = until.saturating_duration_since(Instant::now());
        if !asking && (left.is_zero() || took.iter().all(Option::is_some)) {
            break;
        }
        wait_readable(&socket, left)?;
    }
    let lost = took.iter().filter(|took| took.is_none()).count();
    let in_ms = |took: Option<Duration>| took.unwrap_or(LATE).as_secs_f64() * 1000.0;
    let mut sorted_ms: Vec<f64> = took.into_iter().map(in_ms).collect();
    sorted_ms.sort_by(f64::total_cmp);
    Ok(RoundTrips { sorted_ms, lost })
}

/// Waits until something can be read, at most so long, and a millisecond more: whoever waits for
/// less again and again keeps a processor busy.
pub(crate) fn wait_readable(socket: &UdpSocket, limit: Duration) -> Result<()> {
    let limit = if limit.is_zero() { limit } else { limit + Duration::from_millis(1) };
    let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
    poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], limit)?;
    Ok(())
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Nothing that this thread does can fail.
            let _ = thread.join();
        }
    }
}
