//! A relay in user space that carries frames between two TAP devices and delays them: what netem
//! does on kernels that have it.
//!
//! For each direction one thread reads and one writes, with a queue ordered by the time at which a
//! frame is due between them. Without reordering the due times never run backwards, whatever the
//! jitter. TAP devices have no offloads, so that each frame is one packet of the wire. Its random
//! numbers are repeatable.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tun::Layer;

use crate::wire::WireEnd;

/// What a relay does to the frames it carries, in each direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Relay {
    /// How long each frame is held.
    pub delay: Duration,
    /// The delay varies evenly by up to this much, up and down.
    pub jitter: Duration,
    /// So many frames of a thousand are not held at all and overtake the others.
    pub reorder_per_mille: u16,
}

/// A relay at work; it ends when dropped.
pub(crate) struct Running {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// Frames that a device keeps for its reader: those of a tenth of a second in which the reader does
/// not run.
pub(crate) const DEVICE_QUEUE: &str = "10000";

/// Frames waiting to be due; beyond this many, new ones are lost, as on any real road.
const QUEUE_MAX: usize = 20_000;

/// How long a thread may not notice that the relay has ended.
const PATIENCE: Duration = Duration::from_millis(100);

/// When it is due, a number that keeps the order of frames due at once, and its bytes.
type Frame = (Instant, u64, Vec<u8>);

#[derive(Default)]
struct Queue {
    waiting: Mutex<BinaryHeap<Reverse<Frame>>>,
    changed: Condvar,
}

/// Makes a device at both ends and starts to carry frames between them.
pub(crate) fn start(ends: [&WireEnd; 2], relay: Relay) -> Result<Running> {
    let [one, other] = ends.map(open);
    let [one, other] = [Arc::new(one?), Arc::new(other?)];
    let mut running = Running { stop: Arc::default(), threads: Vec::new() };
    for (from, to, seed) in [(&one, &other, 1), (&other, &one, 2)] {
        let queue = Arc::<Queue>::default();
        let (device, shared, stop) = (from.clone(), queue.clone(), running.stop.clone());
        running.threads.push(std::thread::spawn(move || {
            read_frames(&device, &shared, &stop, Timing::new(relay, seed));
        }));
        let (device, stop) = (to.clone(), running.stop.clone());
        running.threads.push(std::thread::spawn(move || write_frames(&device, &queue, &stop)));
    }
    Ok(running)
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A relay thread that panicked has shown itself; the frames it lost are the symptom.
            let _ = thread.join();
        }
    }
}

fn open(end: &WireEnd) -> Result<tun::Device> {
    let open = || {
        let mut wish = tun::Configuration::default();
        wish.tun_name(&end.device).layer(Layer::L2);
        // Only the device is opened here; `ip` configures it like any other wire.
        wish.platform_config(|platform| {
            platform.ensure_root_privileges(false);
        });
        tun::create(&wish)
    };
    end.host.enter(open)?.with_context(|| format!("cannot open the TAP {}", end.device))
}

fn read_frames(device: &tun::Device, queue: &Queue, stop: &AtomicBool, mut timing: Timing) {
    let mut buffer = vec![0; 65_536];
    let mut serial = 0;
    while !stop.load(Ordering::Relaxed) {
        let length = match device.recv_timeout(&mut buffer, PATIENCE) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::TimedOut => continue,
            // The device is not up yet, or not any more.
            Err(_) => {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
        };
        let due = timing.due(Instant::now());
        let mut waiting = queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < QUEUE_MAX {
            serial += 1;
            // Whoever waits for an earlier frame looks at this one without being told.
            let is_first = waiting.peek().is_none_or(|Reverse((first, ..))| due < *first);
            waiting.push(Reverse((due, serial, buffer[..length].to_vec())));
            if is_first {
                queue.changed.notify_one();
            }
        }
    }
}

fn write_frames(device: &tun::Device, queue: &Queue, stop: &AtomicBool) {
    let mut waiting = queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
    while !stop.load(Ordering::Relaxed) {
        let wait = match waiting.peek() {
            Some(Reverse((due, ..))) => due.saturating_duration_since(Instant::now()),
            None => PATIENCE,
        };
        if !wait.is_zero() {
            let woken = queue.changed.wait_timeout(waiting, wait.min(PATIENCE));
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        } else if let Some(Reverse((_, _, frame))) = waiting.pop() {
            drop(waiting);
            // A device that is down loses the frame, as a wire does.
            let _ = device.send(&frame);
            waiting = queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Decides when a frame is due.
struct Timing {
    relay: Relay,
    random: u64,
    latest: Option<Instant>,
}

impl Timing {
    fn new(relay: Relay, seed: u64) -> Self {
        Self { relay, random: seed, latest: None }
    }

    fn due(&mut self, now: Instant) -> Instant {
        let Relay { delay, jitter, reorder_per_mille } = self.relay;
        if self.below(1000) < u64::from(reorder_per_mille) {
            return now;
        }
        let spread = self.below(2 * jitter.as_micros() as u64 + 1);
        let due = now + (delay + Duration::from_micros(spread)).saturating_sub(jitter);
        let due = self.latest.map_or(due, |latest| due.max(latest));
        self.latest = Some(due);
        due
    }

    /// A number below the bound (splitmix64).
    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_millis(20);
    const JITTER: Duration = Duration::from_millis(5);

    #[test]
    fn jitter_stays_in_its_bounds_and_keeps_the_order() {
        let relay = Relay { delay: DELAY, jitter: JITTER, reorder_per_mille: 0 };
        let mut timing = Timing::new(relay, 7);
        let start = Instant::now();
        let mut last = start;
        for step in 0..1000_u32 {
            let now = start + step * Duration::from_millis(20);
            let due = timing.due(now);
            assert!(due >= last && due >= now + (DELAY - JITTER) && due <= now + DELAY + JITTER);
            last = due;
        }
    }

    #[test]
    fn reordered_frames_are_due_at_once() {
        let relay = Relay { delay: DELAY, jitter: Duration::ZERO, reorder_per_mille: 250 };
        let mut timing = Timing::new(relay, 7);
        let now = Instant::now();
        let early = (0..1000).filter(|_| timing.due(now) == now).count();
        assert!((200..300).contains(&early), "{early} of 1000 overtook");
    }
}
