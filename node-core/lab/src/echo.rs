//! The first echo: when does an address begin to answer, to the millisecond?
//!
//! `ping` is too slow a starter for that. One UDP socket answers, another asks every few
//! milliseconds; both are open before any node has started.

use std::io::ErrorKind;
use std::net::{Ipv6Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::host::Host;
use crate::wait::Deadline;

/// How often is asked.
const INTERVAL: Duration = Duration::from_millis(5);

/// How long the answering thread may not notice that it is to end.
const PATIENCE: Duration = Duration::from_millis(50);

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
