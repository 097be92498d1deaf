//! What the Unix systems share: a descriptor that has something to read is a notice.

use std::{fs, io, os::fd::OwnedFd, sync::Arc, time::SystemTime};

use rustix::io::{Errno, read};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::Notify,
    task::JoinHandle,
};

/// Where the list of name servers is.
pub(super) const RESOLVER_FILE: &str = "/etc/resolv.conf";

/// What is read at once. Only that there was something matters.
const PART_LEN: usize = 8 << 10;

/// When the list of name servers was last written.
pub(super) fn resolver_written_at() -> Option<SystemTime> {
    fs::metadata(RESOLVER_FILE).and_then(|file| file.modified()).ok()
}

/// A task that reads a descriptor, until it is dropped.
pub(super) struct Follower(JoinHandle<()>);

impl Follower {
    /// Tells `arrived` whenever there is something to read. `descriptor` does not block.
    pub(super) fn new(descriptor: OwnedFd, arrived: &Arc<Notify>) -> io::Result<Self> {
        // SAFETY: the descriptor is owned, and given away for good.
        let descriptor =
            unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }?;
        let arrived = Arc::clone(arrived);
        Ok(Self(tokio::spawn(async move {
            let mut part = vec![0; PART_LEN];
            while let Ok(mut ready) = descriptor.readable().await {
                arrived.notify_one();
                match read(&descriptor, &mut part[..]) {
                    // More may lie there: the next turn reads it.
                    Ok(1..) | Err(Errno::INTR) => {}
                    // More came than there was room for; what was lost is told as well as the rest.
                    Err(Errno::NOBUFS) => {}
                    Err(Errno::AGAIN) => ready.clear_ready(),
                    Ok(0) | Err(_) => return,
                }
            }
        })))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.abort();
    }
}
