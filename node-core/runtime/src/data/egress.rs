//! The way out over one link: three queues, one writer, and a thread that waits when the socket is
//! full.
//!
//! Whoever has a frame writes it itself if nothing waits and nobody else is writing (*write
//! through*); else it is queued, and the thread that holds the writer takes it along. Order of
//! service: control frames, then packets in transit, then packets of this machine, which are sealed
//! only now.
//!
//! A link over QUIC may have a second road beside its stream, the lane ([`Road`]). Both are full or
//! not together: while one of them takes nothing, all wait, so that packets wait here, where the
//! more urgent ones go first, and do not wait long.
//!
//! No wake-up is lost: who queues tries for the writer afterwards, and who lets go of the writer
//! looks at the queues again. Between the two steps of either stands a fence, for they touch
//! different places in memory.
//!
//! `busy` is changed only by who holds the writer, or by who has just queued something.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst, fence},
    },
    time::Duration,
};

use parking_lot::{Condvar, Mutex, MutexGuard};
use planetary_proto::{
    LinkId, NodeKey,
    limits::FRAME_LEN_MAX,
    queue::FairQueue,
    time::Instant,
    wire::{FrameKind, KEEP_ALIVE},
};
use socket2::Socket;

use super::{
    DataPlane, Routes,
    buffers::{Frame, HEADROOM, Packet},
    burst::{PARCELS_MAX, Parcel},
    count,
    flows::{SourceQueue, Waiting},
    liveness::SharedLiveness,
    road::Road,
    sealing::Sealed,
    stream::{WriteHalf, Written},
};
use crate::links::{lane::DatagramLane, socket};

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
/// Frames that wait are written together until they are so many bytes: a call of the system is
/// shared by small ones, and what comes meanwhile does not wait behind more than this.
pub(super) const TOGETHER_MAX: usize = 16 * 1024;
/// Packets in transit that may wait, in bytes: what a fast line carries in about two milliseconds.
/// With less, each pause of a sender or of this machine's scheduler costs a stream a packet.
const TRANSIT_BYTES_MAX: usize = 1024 * 1024;
/// On a slow line that would be seconds, so a packet that has waited this long is dropped while
/// there are [`TRANSIT_BYTES_KEPT`] bytes behind it.
const TRANSIT_TIME_MAX: Duration = Duration::from_millis(25);
/// A packet of the largest size may take longer than that by itself.
const TRANSIT_BYTES_KEPT: usize = FRAME_LEN_MAX;
/// While the lane is used, one frame in this time takes the stream instead and asks the far end
/// whether it is there.
const QUESTION_GAP: Duration = Duration::from_secs(1);
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
    /// It is the lane that is full. Changed before `blocked`.
    is_lane_full: AtomicBool,
    /// A socket is full; the waiting thread has the next turn.
    blocked: Mutex<bool>,
    unblocked: Condvar,
    closed: AtomicBool,
    /// When a frame for the lane last took the stream.
    asked_at: AtomicU64,
    socket: Arc<Socket>,
    lane: Option<Arc<DatagramLane>>,
}

struct Writer {
    stream: WriteHalf,
    /// What its road did not take, and what was to be written behind it.
    rest: VecDeque<(Frame, Road)>,
    /// A socket is full: that of the road on which the first of the rest waits.
    blocked: bool,
    failed: bool,
    /// Empty between calls; kept for its room.
    together: Vec<Next>,
}

struct Queues {
    control: VecDeque<Vec<u8>>,
    control_bytes: usize,
    /// Frames, their road, and since when they wait.
    transit: FairQueue<(Frame, Road, Instant)>,
    source: SourceQueue,
}

impl Default for Queues {
    fn default() -> Self {
        Self {
            control: VecDeque::new(),
            control_bytes: 0,
            transit: FairQueue::with_bound(TRANSIT_BYTES_MAX),
            source: SourceQueue::default(),
        }
    }
}

/// What is written next.
enum Next {
    Control(Vec<u8>),
    Transit(Frame, Road),
    /// A packet of this machine, and where its frame begins and which road it takes once it is
    /// sealed.
    Source(Waiting, usize, Road),
}

impl Egress {
    pub(crate) fn new(link: LinkId, stream: WriteHalf, lane: Option<Arc<DatagramLane>>) -> Self {
        Self {
            link,
            liveness: SharedLiveness::default(),
            tx_bytes: AtomicU64::new(0),
            rx_bytes: AtomicU64::new(0),
            socket: Arc::clone(stream.socket()),
            writer: Mutex::new(Writer {
                stream,
                rest: VecDeque::new(),
                blocked: false,
                failed: false,
                together: Vec::new(),
            }),
            queues: Mutex::default(),
            busy: AtomicBool::new(false),
            blocked_since: AtomicU64::new(0),
            unhandled: Mutex::new(0),
            handled: Condvar::new(),
            is_lane_full: AtomicBool::new(false),
            blocked: Mutex::new(false),
            unblocked: Condvar::new(),
            closed: AtomicBool::new(false),
            asked_at: AtomicU64::new(0),
            lane,
        }
    }

    /// Whether frames may take another road than the stream.
    pub(crate) const fn has_lane(&self) -> bool {
        self.lane.is_some()
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
            self.write(&mut writer, data, &[IoSlice::new(&frame)], &[Road::Stream]);
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
        self.send_transits(data, &[(source, dest)], &[IoSlice::new(frame)], Road::Stream);
    }

    /// Sends packets in transit: whose each is, its frame, and by which road they came. At most
    /// [`PARCELS_MAX`].
    pub(crate) fn send_transits(
        &self,
        data: &DataPlane,
        flows: &[(NodeKey, NodeKey)],
        frames: &[IoSlice<'_>],
        road: Road,
    ) {
        if let Some(mut writer) = self.try_write_through() {
            self.write(&mut writer, data, frames, &[road; PARCELS_MAX]);
            self.release(writer, data, SERVE_MAX);
            return;
        }
        let now = data.clock.mono();
        self.queue(data, |queues| {
            let push = |((source, dest), frame): (&(NodeKey, NodeKey), &IoSlice<'_>)| {
                let waiting = (Frame::copy_of(frame), road, now);
                queues.transit.push(*source, *dest, frame.len(), waiting).len() as u64
            };
            flows.iter().zip(frames).map(push).sum()
        });
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
            let buffer = waiting.packet.whole_mut();
            match waiting.way.seal(data, routes, buffer, waiting.since) {
                Some(Sealed::InPlace(at, road)) => {
                    self.write(&mut writer, data, &[IoSlice::new(&buffer[at..])], &[road]);
                }
                Some(Sealed::Apart(frame)) => {
                    self.write(&mut writer, data, &[IoSlice::new(&frame)], &[Road::Stream]);
                }
                None => {}
            }
            self.release(writer, data, SERVE_MAX);
            return Some(waiting.packet);
        }
        let free = waiting.packet.fit();
        self.queue(data, |queues| queues.source.push(waiting));
        free
    }

    /// Seals and sends small packets of this machine that lie in one buffer, all of which have room
    /// for their headers.
    pub(crate) fn send_burst(
        &self,
        data: &DataPlane,
        routes: &Routes,
        buffer: &mut [u8],
        parcels: &[Parcel],
    ) {
        if let Some(mut writer) = self.try_write_through() {
            let mut frames = [(0, 0); PARCELS_MAX];
            let mut roads = [Road::Stream; PARCELS_MAX];
            let (mut count, mut apart) = (0, Vec::new());
            for Parcel { room, way, since } in parcels.iter().take(PARCELS_MAX) {
                match way.seal(data, routes, &mut buffer[room.clone()], *since) {
                    Some(Sealed::InPlace(at, road)) => {
                        frames[count] = (room.start + at, room.end);
                        roads[count] = road;
                        count += 1;
                    }
                    // Rare: its fast session ended in this moment.
                    Some(Sealed::Apart(frame)) => apart.push(frame),
                    None => {}
                }
            }
            let mut parts = [IoSlice::new(&[]); PARCELS_MAX];
            for (part, (start, end)) in parts.iter_mut().zip(&frames[..count]) {
                *part = IoSlice::new(&buffer[*start..*end]);
            }
            self.write(&mut writer, data, &parts[..count], &roads);
            for frame in apart {
                self.write(&mut writer, data, &[IoSlice::new(&frame)], &[Road::Stream]);
            }
            self.release(writer, data, SERVE_MAX);
            return;
        }
        self.queue(data, |queues| {
            let push = |Parcel { room, way, since }: &Parcel| {
                let packet = Packet::copy_of(&buffer[room.clone()][HEADROOM..]);
                queues.source.push(Waiting { packet, way: way.clone(), since: *since })
            };
            parcels.iter().map(push).sum()
        });
    }

    /// Queues something, which returns how many packets were dropped for it, and sees to it that
    /// the queues are served.
    fn queue(&self, data: &DataPlane, push: impl FnOnce(&mut Queues) -> u64) {
        let mut queues = self.queues.lock();
        data.counters.drop_queue.fetch_add(push(&mut queues), Relaxed);
        self.busy.store(true, SeqCst);
        drop(queues);
        self.drain(data);
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

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
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
        if let Some(lane) = &self.lane {
            let _ = socket::shutdown(&lane.socket);
        }
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
            match socket::wait_writable(self.full_socket(), WAIT_MAX) {
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
        let mut together = std::mem::take(&mut writer.together);
        while self.busy.load(SeqCst) && !writer.blocked && !writer.failed && budget > 0 {
            let now = data.clock.mono();
            let mut queues = self.queues.lock();
            let dropped = queues.take(&mut together, PARCELS_MAX.min(budget), now);
            if together.is_empty() {
                self.busy.store(false, SeqCst);
            }
            drop(queues);
            if dropped > 0 {
                data.counters.drop_queue.fetch_add(dropped, Relaxed);
            }
            budget -= together.len();
            let routes = data.routes.load();
            together.retain_mut(|next| next.seal(data, &routes, now));
            let mut parts = [IoSlice::new(&[]); PARCELS_MAX];
            let mut roads = [Road::Stream; PARCELS_MAX];
            for ((part, road), next) in parts.iter_mut().zip(&mut roads).zip(&together) {
                *part = IoSlice::new(next.bytes());
                *road = next.road();
            }
            self.write(writer, data, &parts[..together.len()], &roads);
            together.clear();
        }
        writer.together = together;
        budget > 0 || !self.busy.load(SeqCst) || writer.blocked || writer.failed
    }

    /// Writes whole frames, each on its road; what does not find room waits in the writer. There
    /// are at least as many roads as frames.
    fn write(&self, writer: &mut Writer, data: &DataPlane, frames: &[IoSlice<'_>], roads: &[Road]) {
        if writer.failed || frames.is_empty() {
            return;
        }
        debug_assert!(!writer.blocked, "a frame is written only after the one before it");
        let now = data.clock.mono();
        let (mut begin, mut progress) = (0, false);
        while begin < frames.len() && !writer.failed {
            let (mut road, end) = self.stretch(frames, roads, begin);
            if road == Road::Lane && self.is_question_due(now) {
                road = Road::Stream;
            }
            progress |= self.put(writer, data, &frames[begin..end], road, now);
            begin = end;
        }
        if writer.blocked {
            self.block(writer, data, progress);
        }
    }

    /// Writes frames that take the same road, or leaves them in the writer behind others. Returns
    /// whether any of it was taken.
    fn put(
        &self,
        writer: &mut Writer,
        data: &DataPlane,
        frames: &[IoSlice<'_>],
        road: Road,
        now: Instant,
    ) -> bool {
        for frame in frames {
            self.sent(frame, road, now);
        }
        let mut taken = 0;
        if !writer.blocked {
            match self.write_on(road, writer, data, frames) {
                Ok(Written::All) => return true,
                Ok(Written::Blocked(some)) => taken = some,
                Err(error) => {
                    self.fail(writer, &error);
                    return false;
                }
            }
            writer.blocked = true;
        }
        writer.rest.extend(Frame::rest_of(frames, taken).map(|rest| (rest, road)));
        taken > 0
    }

    /// Whether the next frame for the lane is to take the stream: what takes the lane may be lost,
    /// so it cannot ask the far end for a sign of life.
    fn is_question_due(&self, now: Instant) -> bool {
        let asked = Instant::from_micros(self.asked_at.load(Relaxed));
        let due = now.since(asked) >= QUESTION_GAP;
        if due {
            self.asked_at.store(now.as_micros(), Relaxed);
        }
        due
    }

    /// The road of the frame at `begin`, and up to where it may be written together with those
    /// behind it.
    fn stretch(&self, frames: &[IoSlice<'_>], roads: &[Road], begin: usize) -> (Road, usize) {
        let Some(lane) = &self.lane else { return (Road::Stream, frames.len()) };
        let frame_max = lane.frame_max.get();
        let takes_lane = |at: usize| roads[at] == Road::Lane && frames[at].len() <= frame_max;
        if takes_lane(begin) {
            return (Road::Lane, begin + 1);
        }
        let next = (begin..frames.len()).find(|at| takes_lane(*at));
        (Road::Stream, next.unwrap_or(frames.len()))
    }

    fn write_on(
        &self,
        road: Road,
        writer: &mut Writer,
        data: &DataPlane,
        frames: &[IoSlice<'_>],
    ) -> io::Result<Written> {
        match (road, &self.lane) {
            (Road::Lane, Some(lane)) => match socket::try_send_vectored(&lane.socket, frames) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Written::Blocked(0)),
                Err(error) => Err(error),
                Ok(_) => {
                    count(&data.counters.datagrams_out);
                    Ok(Written::All)
                }
            },
            _ => writer.stream.write(frames),
        }
    }

    /// The socket for which the rest waits.
    fn full_socket(&self) -> &Socket {
        match &self.lane {
            Some(lane) if self.is_lane_full.load(Relaxed) => &lane.socket,
            _ => &self.socket,
        }
    }

    /// Writes what is left.
    fn flush(&self, writer: &mut Writer, data: &DataPlane) {
        if writer.failed {
            return;
        }
        writer.blocked = false;
        let mut result = writer.stream.flush();
        while let Ok(Written::All) = result
            && let Some((mut rest, road)) = writer.rest.pop_front()
        {
            result = self.write_on(road, writer, data, &[IoSlice::new(rest.bytes())]);
            if let Ok(Written::Blocked(taken)) = result {
                rest.skip(taken);
                writer.rest.push_front((rest, road));
            }
        }
        match result {
            Ok(Written::All) => self.blocked_since.store(0, Relaxed),
            Ok(Written::Blocked(taken)) => self.block(writer, data, taken > 0),
            Err(error) => self.fail(writer, &error),
        }
    }

    fn block(&self, writer: &mut Writer, data: &DataPlane, progress: bool) {
        writer.blocked = true;
        let is_lane_full = matches!(writer.rest.front(), Some((_, Road::Lane)));
        self.is_lane_full.store(is_lane_full, Relaxed);
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

    fn sent(&self, frame: &[u8], road: Road, now: Instant) {
        self.tx_bytes.fetch_add(frame.len() as u64, Relaxed);
        if road == Road::Lane {
            // It may be lost, so it neither answers anything nor asks for an answer.
            return;
        }
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

    /// Takes what is written next: frames that together are worth a call of the system, at most
    /// `count`. Returns how many packets were dropped on the way.
    fn take(&mut self, together: &mut Vec<Next>, count: usize, now: Instant) -> u64 {
        let (mut bytes, mut dropped) = (0, 0);
        while together.len() < count && bytes < TOGETHER_MAX {
            let Some(next) = self.next(now, &mut dropped) else { break };
            bytes += next.bytes().len();
            together.push(next);
        }
        dropped
    }

    fn next(&mut self, now: Instant, dropped: &mut u64) -> Option<Next> {
        if let Some(frame) = self.pop_control() {
            return Some(Next::Control(frame));
        }
        let usual = self.transit.mean_len();
        while let Some((frame, road, since)) = self.transit.pop() {
            let is_late = now.since(since) > TRANSIT_TIME_MAX;
            // Small ones beside large ones are not what others wait for.
            let is_small = frame.bytes().len() < usual;
            if !is_late || is_small || self.transit.bytes() < TRANSIT_BYTES_KEPT {
                return Some(Next::Transit(frame, road));
            }
            *dropped += 1;
        }
        self.source.pop(now, dropped).map(|waiting| Next::Source(waiting, 0, Road::Stream))
    }
}

impl Next {
    /// Makes a frame of it; `false` if there is none.
    fn seal(&mut self, data: &DataPlane, routes: &Routes, now: Instant) -> bool {
        let Self::Source(Waiting { packet, way, .. }, start, road) = self else { return true };
        match way.seal(data, routes, packet.whole_mut(), now) {
            Some(Sealed::InPlace(at, taken)) => (*start, *road) = (at, taken),
            Some(Sealed::Apart(frame)) => *self = Self::Control(frame),
            None => return false,
        }
        true
    }

    /// The frame; of a packet that is not sealed yet, about as many bytes.
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Control(frame) => frame,
            Self::Transit(frame, _) => frame.bytes(),
            Self::Source(waiting, start, _) => &waiting.packet.whole()[*start..],
        }
    }

    const fn road(&self) -> Road {
        match self {
            Self::Control(_) => Road::Stream,
            Self::Transit(_, road) | Self::Source(.., road) => *road,
        }
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
            Self::with_lane(None)
        }

        fn with_lane(lane: Option<Arc<DatagramLane>>) -> Self {
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
            let egress = Arc::new(Egress::new(LinkId(1), write, lane));
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
        // Two of this size wait for however long it takes.
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
        let fit = (TRANSIT_BYTES_MAX / 60_003) as u64;
        assert!(line.data.counters.drop_queue.load(Relaxed) >= 99 - fit);
        let last = (FrameKind::Traffic, 1, written + 99);
        let frames = line.read(|frames| frames.last() == Some(&last));
        let dropped = line.data.counters.drop_queue.load(Relaxed);
        assert_eq!(frames.len() as u64 + dropped, u64::from(written) + 100);
    }

    #[test]
    fn packets_in_transit_that_are_late_are_dropped_but_for_the_last_few() {
        let mut line = Line::new();
        let written = line.fill();
        let fit = (TRANSIT_BYTES_MAX / 60_003) as u32;
        line.transit(1, 1_000_000, 50);
        for number in written..written + fit {
            line.transit(1, number, 60_000);
        }
        assert_eq!(line.data.counters.drop_queue.load(Relaxed), 0);
        thread::sleep(TRANSIT_TIME_MAX * 2);
        let last = (FrameKind::Traffic, 1, written + fit - 1);
        let frames = line.read(|frames| frames.last() == Some(&last));
        // One that has so much behind it is dropped, the one after it is not.
        let kept = TRANSIT_BYTES_KEPT / 60_003 + 1;
        assert!(frames.contains(&(FrameKind::Traffic, 1, 1_000_000)), "a small one is kept");
        assert_eq!(frames.len(), written as usize + 1 + kept, "the newest are kept");
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
    fn frames_that_are_sent_together_stay_whole_and_in_order() {
        let mut line = Line::new();
        let flow = [1, 0xff].map(|byte| NodeKey::from_bytes([byte; 32]));
        let mut sent = 0;
        // Far more than a socket holds, so that calls are cut off in all places.
        for round in 0..400 {
            let frames: Vec<_> = (sent..sent + PARCELS_MAX as u32)
                .map(|number| frame(FrameKind::Traffic, 1, number, 600 + round % 7))
                .collect();
            let parts: Vec<_> = frames.iter().map(|frame| IoSlice::new(frame)).collect();
            line.egress.send_transits(
                &line.data,
                &[(flow[0], flow[1]); PARCELS_MAX],
                &parts,
                Road::Stream,
            );
            sent += PARCELS_MAX as u32;
        }
        let last = (FrameKind::Traffic, 1, sent - 1);
        let frames = line.read(|frames| frames.last() == Some(&last));
        let dropped = line.data.counters.drop_queue.load(Relaxed);
        assert!(dropped > 0, "the socket was full");
        assert_eq!(frames.len() as u64 + dropped, u64::from(sent));
        assert!(frames.is_sorted_by_key(|frame| frame.2));
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

    #[cfg(target_os = "linux")]
    #[test]
    fn a_lane_takes_what_fits_and_loses_nothing_when_it_is_full() {
        use crate::links::lane::FrameMax;

        let (near, far) =
            Socket::pair(socket2::Domain::UNIX, socket2::Type::SEQPACKET, None).unwrap();
        near.set_send_buffer_size(16 * 1024).unwrap();
        far.set_read_timeout(Some(PATIENCE)).unwrap();
        socket::adopt(&near).unwrap();
        let lane = DatagramLane { socket: near, frame_max: FrameMax::of(1_000) };
        let mut line = Line::with_lane(Some(Arc::new(lane)));
        let (egress, data) = (Arc::clone(&line.egress), Arc::clone(&line.data));
        let send = |number, len| {
            let flow = (NodeKey::from_bytes([1; 32]), NodeKey::from_bytes([0xff; 32]));
            let frame = frame(FrameKind::Traffic, 1, number, len);
            egress.send_transits(&data, &[flow], &[IoSlice::new(&frame)], Road::Lane);
        };
        let waits = || egress.liveness.snapshot().waiting_since.is_some();
        send(0, 500);
        assert_eq!(line.read(|frames| !frames.is_empty()), [(FrameKind::Traffic, 1, 0)]);
        assert!(waits(), "the first one asks for a sign of life, over the stream");
        egress.liveness.received(FrameKind::KeepAlive, data.clock.mono());
        egress.asked_at.store(u64::MAX, Relaxed);
        let mut next = 1;
        while !egress.busy.load(SeqCst) {
            send(next, 500);
            next += 1;
        }
        assert!(!waits() && next > 5, "{next}");
        // Behind those that wait.
        send(next, 500);
        let mut message = [0; 2_000];
        for number in 1..=next {
            let len = socket::recv(&far, &mut message).unwrap();
            assert_eq!(parse(&message[3..len]), (FrameKind::Traffic, 1, number));
        }
        until("the end of the queue", || !egress.busy.load(SeqCst));
        send(next + 1, 1_500);
        let stream = line.read(|frames| !frames.is_empty());
        assert_eq!(stream, [(FrameKind::Traffic, 1, next + 1)], "what does not fit");
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
