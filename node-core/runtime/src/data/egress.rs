//! The way out over one link: three queues, one writer, and a thread that waits when the socket is
//! full.
//!
//! Whoever has a frame writes it itself if nothing waits and nobody else is writing (*write
//! through*); else it is queued, and the thread that holds the writer takes it along. Order of
//! service: control frames, then packets in transit, then packets of this machine, which are sealed
//! only now.
//!
//! No wake-up is lost: who queues tries for the writer afterwards, and who lets go of the writer
//! looks at the queues again. Between the two steps of either stands a fence, for they touch
//! different places in memory.
//!
//! `busy` is changed only by who holds the writer, or by who has just queued something.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst, fence},
    },
    time::Duration,
};

use parking_lot::{Condvar, Mutex, MutexGuard};
use planetary_proto::{
    LinkId, NodeKey,
    queue::FairQueue,
    time::Instant,
    wire::{FrameKind, KEEP_ALIVE, TrafficHeader},
};
use socket2::Socket;

use super::{
    DataPlane, Routes,
    buffers::{Frame, HEADROOM, Packet, header_fits},
    count,
    flows::{SourceQueue, Waiting, Way},
    liveness::SharedLiveness,
    stream::{WriteHalf, Written},
};
use crate::links::socket;

/// Control frames that may wait. A neighbour that does not take so many is closed: it would miss
/// part of the tree.
const CONTROL_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What a frame in a queue costs besides its bytes.
const FRAME_OVERHEAD: usize = 64;
/// Control frames of one link that wait for the control thread. Its mailbox has room for those of
/// many links.
const UNHANDLED_MAX: usize = 64;
/// Frames that a thread writes for others before it returns to its own work; the waiting thread
/// does the rest.
const SERVE_MAX: usize = 16;
/// The waiting thread looks up this often, in case the link was closed.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct Egress {
    pub(crate) link: LinkId,
    pub(crate) liveness: SharedLiveness,
    pub(crate) tx_bytes: AtomicU64,
    pub(crate) rx_bytes: AtomicU64,
    writer: Mutex<Writer>,
    queues: Mutex<Queues>,
    /// Something is in the queues or in the writer's remainder.
    busy: AtomicBool,
    /// Since when the socket is full and has taken nothing; zero while it takes bytes.
    blocked_since: AtomicU64,
    /// Control frames of this link that the control thread has not handled yet.
    unhandled: Mutex<usize>,
    handled: Condvar,
    /// The socket is full; the waiting thread has the next turn.
    blocked: Mutex<bool>,
    unblocked: Condvar,
    closed: AtomicBool,
    socket: Arc<Socket>,
}

struct Writer {
    stream: WriteHalf,
    /// The rest of a frame that the socket did not take.
    rest: Option<Frame>,
    /// The socket is full.
    blocked: bool,
    failed: bool,
}

#[derive(Default)]
struct Queues {
    control: VecDeque<Vec<u8>>,
    control_bytes: usize,
    transit: FairQueue<Frame>,
    source: SourceQueue,
}

/// What is written next.
enum Next {
    Control(Vec<u8>),
    Transit(Frame),
    Source(Waiting),
}

impl Egress {
    pub(crate) fn new(link: LinkId, stream: WriteHalf) -> Self {
        Self {
            link,
            liveness: SharedLiveness::default(),
            tx_bytes: AtomicU64::new(0),
            rx_bytes: AtomicU64::new(0),
            socket: Arc::clone(stream.socket()),
            writer: Mutex::new(Writer { stream, rest: None, blocked: false, failed: false }),
            queues: Mutex::default(),
            busy: AtomicBool::new(false),
            blocked_since: AtomicU64::new(0),
            unhandled: Mutex::new(0),
            handled: Condvar::new(),
            blocked: Mutex::new(false),
            unblocked: Condvar::new(),
            closed: AtomicBool::new(false),
        }
    }

    /// Sends a control frame, in order with all others.
    pub(crate) fn send_control(&self, data: &DataPlane, frame: Vec<u8>) {
        let mut queues = self.queues.lock();
        queues.control_bytes += frame.len() + FRAME_OVERHEAD;
        queues.control.push_back(frame);
        let flooded = queues.control_bytes > CONTROL_BYTES_MAX;
        self.busy.store(true, SeqCst);
        drop(queues);
        if flooded {
            self.close();
        } else {
            self.drain_control(data);
        }
    }

    /// Sends a keep-alive, unless something else waits that does as well.
    pub(crate) fn send_keep_alive(&self, data: &DataPlane) {
        let waits = !self.queues.lock().control.is_empty();
        if !waits {
            self.send_control(data, KEEP_ALIVE.to_vec());
        }
    }

    /// Writes control frames only: the control thread must not be caught in the traffic of others.
    fn drain_control(&self, data: &DataPlane) {
        fence(SeqCst);
        // Whoever holds the writer looks at the queues before letting go.
        let Some(mut writer) = self.writer.try_lock() else { return };
        while !writer.blocked && !writer.failed {
            let Some(frame) = self.queues.lock().pop_control() else { break };
            self.write(&mut writer, data, &frame);
        }
        let stuck = writer.blocked || writer.failed;
        if !stuck {
            self.queues.lock().settle(&self.busy);
        }
        drop(writer);
        fence(SeqCst);
        if !stuck && self.busy.load(SeqCst) {
            self.hand_over();
        }
    }

    /// Leaves what is queued to the waiting thread.
    fn hand_over(&self) {
        *self.blocked.lock() = true;
        self.unblocked.notify_all();
    }

    /// Sends a packet or note that is in transit, or that the control half wrote.
    pub(crate) fn send_transit(
        &self,
        data: &DataPlane,
        source: NodeKey,
        dest: NodeKey,
        frame: &[u8],
    ) {
        if let Some(mut writer) = self.try_write_through() {
            self.write(&mut writer, data, frame);
            self.release(writer, data, SERVE_MAX);
            return;
        }
        let waiting = Frame::copy_of(frame);
        let mut queues = self.queues.lock();
        let dropped = queues.transit.push(source, dest, frame.len(), waiting);
        data.counters.drop_queue.fetch_add(dropped.len() as u64, Relaxed);
        self.busy.store(true, SeqCst);
        drop(queues);
        self.drain(data);
    }

    /// Seals and sends a packet of this machine. Gives the packet's buffer back unless the packet
    /// waits in it.
    pub(crate) fn send_source(
        &self,
        data: &DataPlane,
        routes: &Routes,
        mut waiting: Waiting,
    ) -> Option<Packet> {
        if let Some(mut writer) = self.try_write_through() {
            self.seal_and_write(&mut writer, data, routes, &mut waiting);
            self.release(writer, data, SERVE_MAX);
            return Some(waiting.packet);
        }
        let free = waiting.packet.fit();
        let mut queues = self.queues.lock();
        let dropped = queues.source.push(waiting);
        data.counters.drop_queue.fetch_add(dropped, Relaxed);
        self.busy.store(true, SeqCst);
        drop(queues);
        self.drain(data);
        free
    }

    /// The writer, if nothing waits and the socket is not full.
    fn try_write_through(&self) -> Option<MutexGuard<'_, Writer>> {
        if self.busy.load(SeqCst) {
            return None;
        }
        // Since that look, somebody may have filled the socket.
        self.writer.try_lock().filter(|writer| !writer.blocked)
    }

    /// Waits until the control thread has room for another control frame of this link, and takes
    /// the place.
    pub(crate) fn await_control_room(&self) {
        let mut unhandled = self.unhandled.lock();
        while *unhandled >= UNHANDLED_MAX && !self.is_closed() {
            self.handled.wait(&mut unhandled);
        }
        *unhandled += 1;
    }

    /// The control thread has handled a control frame of this link.
    pub(crate) fn control_frame_handled(&self) {
        let mut unhandled = self.unhandled.lock();
        *unhandled = unhandled.saturating_sub(1);
        drop(unhandled);
        self.handled.notify_one();
    }

    /// Whether what is sent gets no acknowledgement from the other side's system.
    pub(crate) fn is_stalled(&self) -> bool {
        socket::is_stalled(&self.socket)
    }

    /// For how long the socket has been full without taking anything.
    pub(crate) fn blocked_for(&self, now: Instant) -> Duration {
        match self.blocked_since.load(Relaxed) {
            0 => Duration::ZERO,
            micros => now.since(Instant::from_micros(micros)),
        }
    }

    /// Closes the link; the reader and the waiting thread end.
    pub(crate) fn close(&self) {
        self.closed.store(true, SeqCst);
        // Closed already: nothing to do.
        let _ = socket::shutdown(&self.socket);
        self.hand_over();
        let unhandled = self.unhandled.lock();
        self.handled.notify_all();
        drop(unhandled);
    }

    /// Bytes that wait to be sent.
    pub(crate) fn queued(&self) -> usize {
        let queues = self.queues.lock();
        queues.control_bytes + queues.transit.bytes() + queues.source.bytes()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    /// The waiting thread: sleeps until the socket is full, then until it is not, then takes its
    /// turn.
    pub(crate) fn wait_and_drain(&self, data: &DataPlane) {
        loop {
            let mut blocked = self.blocked.lock();
            // The turn of a link that was closed meanwhile may have been taken already.
            while !*blocked && !self.is_closed() {
                self.unblocked.wait(&mut blocked);
            }
            drop(blocked);
            if self.is_closed() {
                return;
            }
            match socket::wait_writable(&self.socket, WAIT_MAX) {
                Ok(false) => continue,
                Ok(true) => {}
                Err(error) => {
                    tracing::debug!(link = self.link.0, %error, "waiting for a link failed");
                    return self.close();
                }
            }
            *self.blocked.lock() = false;
            let mut writer = self.writer.lock();
            self.flush(&mut writer, data);
            self.release(writer, data, usize::MAX);
        }
    }

    /// Serves the queues if nobody else does.
    fn drain(&self, data: &DataPlane) {
        fence(SeqCst);
        if let Some(writer) = self.writer.try_lock() {
            self.release(writer, data, SERVE_MAX);
        }
    }

    /// Serves the queues until they are empty, the socket is full or `budget` frames are written,
    /// and lets go of the writer.
    fn release<'a>(&'a self, mut writer: MutexGuard<'a, Writer>, data: &DataPlane, budget: usize) {
        loop {
            let served_all = self.serve(&mut writer, data, budget);
            let stuck = writer.blocked || writer.failed;
            drop(writer);
            fence(SeqCst);
            if stuck || !self.busy.load(SeqCst) {
                return;
            }
            if !served_all {
                return self.hand_over();
            }
            // Something was queued between the last look and letting go.
            match self.writer.try_lock() {
                Some(again) => writer = again,
                None => return,
            }
        }
    }

    /// Returns `false` when the budget ended before the queues did.
    fn serve(&self, writer: &mut Writer, data: &DataPlane, mut budget: usize) -> bool {
        let mut routes = None;
        while self.busy.load(SeqCst) && !writer.blocked && !writer.failed {
            if budget == 0 {
                return false;
            }
            budget -= 1;
            let mut queues = self.queues.lock();
            let mut dropped = 0;
            let Some(next) = queues.next(data.clock.mono(), &mut dropped) else {
                self.busy.store(false, SeqCst);
                break;
            };
            drop(queues);
            if dropped > 0 {
                data.counters.drop_queue.fetch_add(dropped, Relaxed);
            }
            match next {
                Next::Control(frame) => self.write(writer, data, &frame),
                Next::Transit(frame) => self.write(writer, data, frame.bytes()),
                Next::Source(mut waiting) => {
                    let routes = routes.get_or_insert_with(|| data.routes.load());
                    self.seal_and_write(writer, data, routes, &mut waiting);
                }
            }
        }
        true
    }

    /// Seals the packet where it is, puts the header before it, and writes the frame.
    fn seal_and_write(
        &self,
        writer: &mut Writer,
        data: &DataPlane,
        routes: &Routes,
        waiting: &mut Waiting,
    ) {
        let Way { session, path, watermark, kind } = &waiting.way;
        let none = Default::default();
        let path = path.as_deref().unwrap_or(&none);
        let from = routes.table.coords();
        let len = waiting.packet.len;
        let buffer = waiting.packet.whole();
        buffer[HEADROOM - 1] = *kind;
        // Nonces must leave in order, so the writer stays locked from here to the socket.
        let Some(start) = session.sealer.lock().seal(buffer, HEADROOM - 1) else {
            count(&data.counters.drop_session);
            return;
        };
        session.said(len, waiting.since);
        let header = TrafficHeader {
            path,
            from,
            source: &data.own,
            dest: &session.remote.key,
            watermark: *watermark,
        };
        let payload_len = buffer.len() - start;
        if header_fits(path, from)
            && let Some(frame) = header.emit_before(payload_len, &mut buffer[..start])
        {
            self.write(writer, data, &buffer[frame..]);
        } else {
            let mut frame = Vec::with_capacity(header.encoded_len(payload_len) + payload_len);
            header.emit(payload_len, &mut frame);
            frame.extend_from_slice(&buffer[start..]);
            self.write(writer, data, &frame);
        }
    }

    /// Writes one whole frame; what the socket does not take waits in the writer.
    fn write(&self, writer: &mut Writer, data: &DataPlane, frame: &[u8]) {
        if writer.failed {
            return;
        }
        debug_assert!(!writer.blocked, "a frame is written only after the one before it");
        self.sent(frame, data.clock.mono());
        match writer.stream.write(frame) {
            Ok(Written::All) => {}
            Ok(Written::Blocked(taken)) => {
                let rest = &frame[taken..];
                writer.rest = (!rest.is_empty()).then(|| Frame::copy_of(rest));
                self.block(writer, data, taken > 0);
            }
            Err(error) => self.fail(writer, &error),
        }
    }

    /// Writes what is left of the last frame.
    fn flush(&self, writer: &mut Writer, data: &DataPlane) {
        if writer.failed {
            return;
        }
        writer.blocked = false;
        let result = match (writer.stream.flush(), &mut writer.rest) {
            (Ok(Written::All), Some(rest)) => {
                let result = writer.stream.write(rest.bytes());
                if let Ok(Written::Blocked(taken)) = result {
                    rest.skip(taken);
                }
                result
            }
            (flushed, _) => flushed,
        };
        match result {
            Ok(Written::All) => {
                writer.rest = None;
                self.blocked_since.store(0, Relaxed);
            }
            Ok(Written::Blocked(taken)) => self.block(writer, data, taken > 0),
            Err(error) => self.fail(writer, &error),
        }
    }

    fn block(&self, writer: &mut Writer, data: &DataPlane, progress: bool) {
        writer.blocked = true;
        if progress || self.blocked_since.load(Relaxed) == 0 {
            self.blocked_since.store(data.clock.mono().as_micros(), Relaxed);
        }
        self.busy.store(true, SeqCst);
        self.hand_over();
    }

    /// The reader sees the end of the stream and reports it.
    fn fail(&self, writer: &mut Writer, error: &io::Error) {
        tracing::debug!(link = self.link.0, %error, "write to a link failed");
        writer.failed = true;
        self.close();
    }

    fn sent(&self, frame: &[u8], now: Instant) {
        self.tx_bytes.fetch_add(frame.len() as u64, Relaxed);
        // Frames written here have a length of one to three bytes in front of their kind.
        let kind = frame.iter().position(|byte| byte & 0x80 == 0).and_then(|at| frame.get(at + 1));
        let kind = kind.and_then(|byte| FrameKind::from_byte(*byte));
        self.liveness.sent(kind.unwrap_or(FrameKind::Dummy), now);
    }
}

impl Queues {
    /// Notes whether something waits. Only for who holds the writer.
    fn settle(&self, busy: &AtomicBool) {
        let waits = !self.control.is_empty() || !self.transit.is_empty() || !self.source.is_empty();
        busy.store(waits, SeqCst);
    }

    fn pop_control(&mut self) -> Option<Vec<u8>> {
        let frame = self.control.pop_front()?;
        self.control_bytes -= frame.len() + FRAME_OVERHEAD;
        Some(frame)
    }

    fn next(&mut self, now: Instant, dropped: &mut u64) -> Option<Next> {
        if let Some(frame) = self.pop_control() {
            return Some(Next::Control(frame));
        }
        if let Some(frame) = self.transit.pop() {
            return Some(Next::Transit(frame));
        }
        self.source.pop(now, dropped).map(Next::Source)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        net::{TcpListener, TcpStream},
        sync::mpsc::Receiver,
        thread,
        time::{Duration, Instant},
    };

    use arc_swap::{ArcSwap, ArcSwapOption};
    use planetary_circles::{Policy, Rules};
    use planetary_proto::{upper::ipv6::Territory, wire::cut_frame};

    use super::*;
    use crate::{
        clock::Clock,
        control::{Input, Mailbox},
        data::{Counters, Sessions, stream},
        links::LinkStream,
    };

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A way out, its waiting thread, and the socket at its far end.
    struct Line {
        egress: Arc<Egress>,
        data: Arc<DataPlane>,
        far: Option<TcpStream>,
        waiter: Option<thread::JoinHandle<()>>,
        _inbox: Receiver<Input>,
    }

    impl Line {
        fn new() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (far, _) = listener.accept().unwrap();
            far.set_read_timeout(Some(PATIENCE)).unwrap();
            let near = Socket::from(near);
            socket::adopt(&near).unwrap();
            socket::tune((&near).into()).unwrap();
            let (mailbox, inbox) = Mailbox::new();
            let own = NodeKey::from_bytes([1; 32]);
            let territory = Territory::of(&own);
            let rules = Arc::new(Rules::compile(&Policy::open()).unwrap());
            let data = Arc::new(DataPlane {
                own,
                territory,
                clock: Clock::start(),
                routes: ArcSwap::from_pointee(Routes::empty(own)),
                sessions: Sessions::new(territory, rules),
                inside: ArcSwapOption::empty(),
                names: ArcSwapOption::empty(),
                mailbox,
                counters: Counters::default(),
            });
            let (_, write) = stream::split(LinkStream::Plain(near));
            let egress = Arc::new(Egress::new(LinkId(1), write));
            let waiter = {
                let (egress, data) = (Arc::clone(&egress), Arc::clone(&data));
                Some(thread::spawn(move || egress.wait_and_drain(&data)))
            };
            Self { egress, data, far: Some(far), waiter, _inbox: inbox }
        }

        fn transit(&self, sender: u8, number: u32, len: usize) {
            let [source, dest] = [sender, 0xff].map(|byte| NodeKey::from_bytes([byte; 32]));
            let frame = frame(FrameKind::Traffic, sender, number, len);
            self.egress.send_transit(&self.data, source, dest, &frame);
        }

        fn control(&self, number: u32) {
            self.egress.send_control(&self.data, frame(FrameKind::Announce, 0, number, 100));
        }

        /// Sends to a far end that does not read, until something waits.
        fn fill(&self) -> u32 {
            for number in 0.. {
                self.transit(1, number, 60_000);
                if self.egress.busy.load(SeqCst) {
                    return number + 1;
                }
            }
            unreachable!("no socket is that large")
        }

        /// Reads frames until `enough` says so: kind, sender, number.
        fn read(
            &mut self,
            mut enough: impl FnMut(&[(FrameKind, u8, u32)]) -> bool,
        ) -> Vec<(FrameKind, u8, u32)> {
            let (mut bytes, mut frames) = (Vec::new(), Vec::new());
            let mut chunk = vec![0; 100_000];
            while !enough(&frames) {
                let far = self.far.as_mut().expect("the far end is there");
                let len = far.read(&mut chunk).expect("the frame arrives");
                assert!(len > 0, "the link was closed after {frames:?}");
                bytes.extend_from_slice(&chunk[..len]);
                let mut start = 0;
                while let Some((kind, end)) = cut_frame(&bytes[start..]).unwrap() {
                    frames.push(parse(&bytes[start + kind..start + end]));
                    start += end;
                }
                bytes.drain(..start);
            }
            assert_eq!(bytes, [], "nothing but whole frames");
            frames
        }
    }

    impl Drop for Line {
        fn drop(&mut self) {
            self.egress.close();
            self.waiter.take().map(thread::JoinHandle::join);
        }
    }

    /// A frame of `len` bytes that says who sent it as which, and can be told from a damaged one.
    fn frame(kind: FrameKind, sender: u8, number: u32, len: usize) -> Vec<u8> {
        let mut frame = vec![len as u8 | 0x80, (len >> 7) as u8 | 0x80, (len >> 14) as u8];
        frame.push(kind as u8);
        frame.push(sender);
        frame.extend_from_slice(&number.to_be_bytes());
        frame.resize(3 + len, sender ^ number as u8);
        frame
    }

    fn parse(frame: &[u8]) -> (FrameKind, u8, u32) {
        let number = u32::from_be_bytes(frame[2..6].try_into().unwrap());
        let filling = frame[1] ^ number as u8;
        assert!(frame[6..].iter().all(|byte| *byte == filling), "a frame is damaged");
        (FrameKind::from_byte(frame[0]).unwrap(), frame[1], number)
    }

    fn until(what: &str, condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < PATIENCE, "{what} did not happen");
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_frame_is_written_by_the_thread_that_has_it() {
        let mut line = Line::new();
        line.transit(1, 7, 50);
        assert!(!line.egress.busy.load(SeqCst), "nothing waits");
        assert_eq!(line.egress.tx_bytes.load(Relaxed), 53);
        line.control(8);
        let frames = line.read(|frames| frames.len() == 2);
        assert_eq!(frames, [(FrameKind::Traffic, 1, 7), (FrameKind::Announce, 0, 8)]);
    }

    #[test]
    fn what_waits_is_sent_when_there_is_room_and_control_goes_first() {
        let mut line = Line::new();
        let written = line.fill();
        // The queue of packets in transit holds two of this size.
        line.transit(1, written, 60_000);
        line.transit(1, written + 1, 60_000);
        line.control(0);
        line.control(1);
        let frames =
            line.read(|frames| frames.last() == Some(&(FrameKind::Traffic, 1, written + 1)));
        let control = frames.iter().position(|frame| frame.0 == FrameKind::Announce).unwrap();
        assert_eq!(frames[control + 1], (FrameKind::Announce, 0, 1));
        assert_eq!(frames[control + 2..].len(), 2, "before all packets that waited");
        let traffic: Vec<u32> =
            frames.iter().filter(|frame| frame.0 == FrameKind::Traffic).map(|it| it.2).collect();
        assert!(traffic.is_sorted(), "{traffic:?}");
        until("the end of the queue", || !line.egress.busy.load(SeqCst));
        line.transit(1, 1_000_000, 50);
        assert_eq!(line.read(|frames| !frames.is_empty()), [(FrameKind::Traffic, 1, 1_000_000)]);
    }

    #[test]
    fn packets_in_transit_are_dropped_rather_than_kept_without_bound() {
        let mut line = Line::new();
        let written = line.fill();
        for number in written..written + 100 {
            line.transit(1, number, 60_000);
        }
        let dropped = line.data.counters.drop_queue.load(Relaxed);
        assert!((97..=99).contains(&dropped), "{dropped}");
        let last = (FrameKind::Traffic, 1, written + 99);
        let frames = line.read(|frames| frames.last() == Some(&last));
        assert_eq!(frames.len() as u64 + dropped, u64::from(written) + 100);
    }

    #[test]
    fn a_neighbour_that_takes_no_control_frames_is_closed() {
        let line = Line::new();
        line.fill();
        let needed = CONTROL_BYTES_MAX / (103 + FRAME_OVERHEAD) + 1;
        for number in 0..needed as u32 {
            assert!(!line.egress.is_closed());
            line.control(number);
        }
        assert!(line.egress.is_closed());
    }

    #[test]
    fn frames_of_many_threads_stay_whole_and_in_order() {
        const THREADS: u8 = 4;
        const FRAMES: u32 = 5_000;
        const CONTROL_FRAMES: u32 = 2_000;
        let mut line = Line::new();
        let last = FRAMES - 1;
        let (egress, data) = (&Arc::clone(&line.egress), &Arc::clone(&line.data));
        thread::scope(|scope| {
            for sender in 1..=THREADS {
                scope.spawn(move || {
                    let [source, dest] = [sender, 0xff].map(|byte| NodeKey::from_bytes([byte; 32]));
                    for number in 0..FRAMES {
                        let frame = frame(FrameKind::Traffic, sender, number, 1_300);
                        egress.send_transit(data, source, dest, &frame);
                    }
                });
            }
            scope.spawn(move || {
                for number in 0..CONTROL_FRAMES {
                    egress.send_control(data, frame(FrameKind::Announce, 0, number, 100));
                    thread::sleep(Duration::from_micros(20));
                }
            });
            // By sender; control frames come from number 0.
            let mut expected = [None; THREADS as usize + 1];
            let frames = line.read(|frames| {
                // So slowly that the socket is full now and then.
                thread::sleep(Duration::from_micros(500));
                let sent = u64::from(THREADS) * u64::from(FRAMES) + u64::from(CONTROL_FRAMES);
                frames.len() as u64 + data.counters.drop_queue.load(Relaxed) >= sent
            });
            for (_, sender, number) in frames {
                let last = expected[usize::from(sender)].replace(number);
                assert!(last < Some(number), "{number} after {last:?}");
            }
            assert_eq!(expected[0], Some(CONTROL_FRAMES - 1), "no control frame is dropped");
            // The newest are never those that are dropped.
            assert!(expected[1..].contains(&Some(last)), "{expected:?}");
        });
        until("the end of the queue", || !egress.busy.load(SeqCst));
    }

    #[test]
    fn nothing_is_written_into_the_middle_of_a_frame() {
        let mut line = Line::new();
        let written = line.fill();
        // What a thread saw that looked just before another filled the socket.
        line.egress.busy.store(false, SeqCst);
        line.transit(1, written, 50);
        let last = (FrameKind::Traffic, 1, written);
        let frames = line.read(|frames| frames.last() == Some(&last));
        assert_eq!(frames.len() as u32, written + 1);
    }

    #[test]
    fn a_far_end_that_takes_nothing_is_seen_to() {
        let mut line = Line::new();
        let now = || line.data.clock.mono();
        line.transit(1, 0, 50);
        assert_eq!(line.egress.blocked_for(now()), Duration::ZERO);
        line.fill();
        thread::sleep(Duration::from_millis(30));
        assert!(line.egress.blocked_for(now()) >= Duration::from_millis(30));
        line.control(0);
        line.read(|frames| frames.last().is_some_and(|frame| frame.0 == FrameKind::Announce));
        until("progress", || line.egress.blocked_for(line.data.clock.mono()) == Duration::ZERO);
    }

    #[test]
    fn a_reader_waits_for_the_control_thread_unless_the_link_is_closed() {
        let line = Line::new();
        for _ in 0..UNHANDLED_MAX {
            line.egress.await_control_room();
        }
        let reads = |ends: fn(&Egress)| {
            let egress = Arc::clone(&line.egress);
            let reader = thread::spawn(move || egress.await_control_room());
            thread::sleep(Duration::from_millis(20));
            assert!(!reader.is_finished(), "there is no room");
            ends(&line.egress);
            until("the end of the wait", || reader.is_finished());
        };
        reads(Egress::control_frame_handled);
        reads(Egress::close);
    }

    #[test]
    fn a_far_end_that_went_away_ends_the_waiting_thread() {
        let mut line = Line::new();
        line.fill();
        line.far = None;
        until("the end of the link", || line.egress.is_closed());
        let waiter = line.waiter.take().unwrap();
        until("the end of the thread", || waiter.is_finished());
    }
}
