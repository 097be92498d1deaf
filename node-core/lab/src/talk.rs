//! A conversation over TCP that goes on until somebody ends it: when did the last word come back?

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::host::Host;

/// How often something is said, and how long an answer is waited for at a time.
const INTERVAL: Duration = Duration::from_millis(20);

/// Answers everybody with the same bytes, on a port of a host; ends when dropped.
pub struct Talker {
    port: u16,
    stop: Arc<AtomicBool>,
}

/// One conversation; ends when dropped.
pub struct Talk {
    stop: Arc<AtomicBool>,
    last: Arc<Mutex<Instant>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Talker {
    /// Listens at every address of a host, also those that are yet to come.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub fn start(host: &Host, port: u16) -> Result<Self> {
        let listener = host.enter(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)))??;
        listener.set_nonblocking(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let ended = stop.clone();
        host.spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let ended = ended.clone();
                        std::thread::spawn(move || answer(stream, &ended));
                    }
                    Err(_) => std::thread::sleep(INTERVAL),
                }
            }
            Ok(())
        });
        Ok(Self { port, stop })
    }

    /// Begins a conversation from another host, over this address.
    ///
    /// # Errors
    /// When no connection comes about within five seconds.
    pub fn talk(&self, from: &Host, address: Ipv6Addr) -> Result<Talk> {
        let target = SocketAddr::from((address, self.port));
        let dial = || TcpStream::connect_timeout(&target, Duration::from_secs(5));
        let mut stream = from.enter(dial)?.with_context(|| format!("no connection to {target}"))?;
        stream.set_read_timeout(Some(INTERVAL))?;
        stream.set_nonblocking(false)?;
        let last = Arc::new(Mutex::new(Instant::now()));
        let stop = Arc::new(AtomicBool::new(false));
        let (ended, heard) = (stop.clone(), last.clone());
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 64];
            while !ended.load(Ordering::Relaxed) {
                stream.write_all(b"a")?;
                match stream.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(_) => *locked(&heard) = Instant::now(),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error.into()),
                }
                std::thread::sleep(INTERVAL);
            }
            Ok(())
        });
        Ok(Talk { stop, last, thread: Some(thread) })
    }
}

impl Talk {
    /// When something last came back.
    #[must_use]
    pub fn last_heard(&self) -> Instant {
        *locked(&self.last)
    }

    /// Whether words come back: one has within this second, or one does within the next.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(1) {
            if self.last_heard() > begun {
                return true;
            }
            std::thread::sleep(INTERVAL);
        }
        false
    }
}

fn locked(time: &Mutex<Instant>) -> MutexGuard<'_, Instant> {
    time.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(mut stream: TcpStream, ended: &AtomicBool) {
    // A stream that was accepted may be as impatient as its listener.
    let ready = stream.set_nonblocking(false).and(stream.set_read_timeout(Some(INTERVAL)));
    let mut buffer = [0; 64];
    while ready.is_ok() && !ended.load(Ordering::Relaxed) {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(len) => {
                if stream.write_all(&buffer[..len]).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // That the conversation ended is no news.
            let _ = thread.join();
        }
    }
}
