//! What an eavesdropper at a host sees: every frame on its devices, kept to be searched.
//!
//! A packet socket in the host's namespace hears all of them, in both directions. Nothing is
//! decoded. Bytes are looked for frame by frame, and over the border of two frames of the same
//! stream as well, since a stream may be cut anywhere.

use std::collections::BTreeMap;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, recv, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::host::Host;

/// Longest that the end of a capture waits for the next frame.
const PATIENCE_MS: i64 = 100;

/// Most bytes that are kept: far more than a scenario sends. What comes after is counted alone.
const KEPT_MAX: usize = 512 << 20;

/// Ethernet, IPv4 and TCP headers without options, before which no stream begins.
const HEADERS_MIN: usize = 14 + 20 + 20;

/// A capture at work; it ends when it is dropped.
pub struct Capture {
    stop: Arc<AtomicBool>,
    frames: Arc<Mutex<Vec<Vec<u8>>>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Capture {
    /// Listens on all devices of a host.
    ///
    /// # Errors
    /// When the system gives no packet socket.
    pub fn start(host: &Host) -> Result<Self> {
        let opened = host.enter(|| {
            let flags = SockFlag::SOCK_CLOEXEC;
            let all = SockProtocol::EthAll;
            socket(AddressFamily::Packet, SockType::Raw, flags, all)
        })?;
        let packets = opened.context("no packet socket")?;
        let patience = TimeVal::milliseconds(PATIENCE_MS);
        setsockopt(&packets, sockopt::ReceiveTimeout, &patience)?;
        let stop = Arc::new(AtomicBool::new(false));
        let frames = Arc::new(Mutex::new(Vec::new()));
        let (ended, heard) = (Arc::clone(&stop), Arc::clone(&frames));
        let thread = std::thread::spawn(move || {
            let (mut buffer, mut kept) = (vec![0; 1 << 17], 0);
            while !ended.load(Ordering::Relaxed) {
                match recv(packets.as_raw_fd(), &mut buffer, nix::sys::socket::MsgFlags::empty()) {
                    Ok(len) if kept + len <= KEPT_MAX => {
                        kept += len;
                        locked(&heard).push(buffer[..len].to_vec());
                    }
                    Ok(_) | Err(Errno::EAGAIN | Errno::EINTR | Errno::ENETDOWN) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(())
        });
        Ok(Self { stop, frames, thread: Some(thread) })
    }

    /// How many frames were heard so far.
    #[must_use]
    pub fn len(&self) -> usize {
        locked(&self.frames).len()
    }

    /// Whether nothing was heard so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether these bytes, which are not empty, were on a wire.
    #[must_use]
    pub fn saw(&self, bytes: &[u8]) -> bool {
        let frames = locked(&self.frames);
        let mut tails: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        frames.iter().any(|frame| {
            if contains(frame, bytes) {
                return true;
            }
            let Some((stream, payload)) = of_stream(frame) else { return false };
            let tail = tails.entry(stream).or_default();
            tail.extend_from_slice(&payload[..payload.len().min(bytes.len())]);
            let found = contains(tail, bytes);
            let from = payload.len().saturating_sub(bytes.len());
            *tail = payload[from..].to_vec();
            found
        })
    }
}

/// Addresses and ports of a frame that is TCP over IPv4, and what it carries.
fn of_stream(frame: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    if frame.len() < HEADERS_MIN || frame[12..14] != [8, 0] || frame[23] != 6 {
        return None;
    }
    let tcp = 14 + usize::from(frame[14] & 0xf) * 4;
    let data = tcp + usize::from(frame.get(tcp + 12)? >> 4) * 4;
    let end = 14 + usize::from(u16::from_be_bytes([frame[16], frame[17]]));
    let stream = [&frame[26..34], frame.get(tcp..tcp + 4)?].concat();
    Some((stream, frame.get(data..end.min(frame.len()))?))
}

fn contains(frame: &[u8], bytes: &[u8]) -> bool {
    frame.windows(bytes.len()).any(|window| window == bytes)
}

fn locked(frames: &Mutex<Vec<Vec<u8>>>) -> MutexGuard<'_, Vec<Vec<u8>>> {
    frames.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What was heard counts.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(port: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; HEADERS_MIN];
        frame[12] = 8;
        frame[14] = 0x45;
        frame[16..18].copy_from_slice(&((40 + payload.len()) as u16).to_be_bytes());
        frame[23] = 6;
        frame[35] = port;
        frame[46] = 0x50;
        frame.extend_from_slice(payload);
        frame
    }

    #[test]
    fn bytes_are_found_in_frames_and_over_their_borders() {
        let frames = vec![
            frame(1, b"one str"),
            frame(2, b"eam?"),
            frame(1, b"eam"),
            frame(1, b"ing"),
            frame(2, b""),
        ];
        let frames = Arc::new(Mutex::new(frames));
        let capture = Capture { stop: Arc::default(), frames, thread: None };
        for (bytes, seen) in
            [("one", true), ("stream", true), ("eaming", true), ("stream?", false), ("two", false)]
        {
            assert_eq!(capture.saw(bytes.as_bytes()), seen, "{bytes}");
        }
    }
}
