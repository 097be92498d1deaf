//! The thread that reads one link: cuts the stream into frames, passes packets on, delivers those
//! for this node.
//!
//! Bytes are read into one chunk and frames are handled where they lie. The chunk is filled from
//! its beginning whenever it is empty, so a quiet link touches only a page or two of it.

use std::{
    io::{self, IoSlice},
    ops::Range,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use planetary_proto::{
    Misbehaviour, NodeKey,
    forward::Decision,
    limits::FRAME_LEN_MAX,
    wire::{FrameKind, TrafficView, cut_frame},
};

use super::{
    DataPlane,
    burst::PARCELS_MAX,
    count,
    egress::{Egress, TOGETHER_MAX},
    road::Road,
    sink::Sink,
    stream::ReadHalf,
};
use crate::{
    control::Input,
    links::{
        LinkEnd,
        lane::{DatagramLane, FrameMax},
        socket,
    },
};

const CHUNK_LEN: usize = 256 * 1024;
/// A few dozen datagrams of ordinary size, which together are worth the work of passing them on.
const LANE_CHUNK_LEN: usize = 64 * 1024;
/// A whole frame, and its length in the longest form.
const FRAME_ROOM: usize = FRAME_LEN_MAX + 10;
/// After so many small reads in a row, a chunk that once was full is exchanged for an untouched
/// one.
const QUIET_READS: u32 = 256;
const SMALL_READ: usize = 16 * 1024;
/// Ports that are decoded without touching the heap.
const PORTS_INLINE: usize = 64;

/// Reads until the link ends, and says why it did.
pub(crate) fn run(
    data: &DataPlane,
    egress: &Egress,
    mut stream: ReadHalf,
    leftover: &[u8],
) -> LinkEnd {
    let len = CHUNK_LEN.max(leftover.len() + FRAME_ROOM);
    let mut reader = Reader::new(data, egress, Road::Stream, len);
    reader.end = leftover.len();
    reader.chunk[..leftover.len()].copy_from_slice(leftover);
    let end = loop {
        if let Err(misbehaviour) = reader.handle_frames() {
            break misbehaved(&misbehaviour);
        }
        reader.make_room();
        match stream.read(&mut reader.chunk[reader.end..]) {
            Ok(0) => break closed(egress),
            Ok(len) => reader.filled(len),
            Err(error) => break failed(egress, &error),
        }
    };
    egress.close();
    end
}

/// Reads the lane of a link until it ends. That of the stream says why the link did, unless it is
/// for what came here.
fn run_lane(data: &DataPlane, egress: &Egress, lane: &DatagramLane) -> Option<LinkEnd> {
    let mut reader = Reader::new(data, egress, Road::Lane, LANE_CHUNK_LEN);
    loop {
        // Waits for the first frame only; those that are there already are handled with it.
        let mut got = socket::recv(&lane.socket, &mut reader.chunk[reader.end..]);
        while let Ok(len) = got
            && len > 0
        {
            reader.took_datagram(len);
            if reader.chunk.len() - reader.end < FrameMax::LIMIT {
                break;
            }
            got = lane.try_recv(&mut reader.chunk[reader.end..]);
        }
        if let Err(misbehaviour) = reader.handle_frames() {
            egress.close();
            return Some(misbehaved(&misbehaviour));
        }
        (reader.start, reader.end) = (0, 0);
        match got {
            Ok(0) => return None,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return None,
            Ok(_) | Err(_) => {}
        }
    }
}

fn misbehaved(misbehaviour: &Misbehaviour) -> LinkEnd {
    LinkEnd { code: "peer_misbehaved", message: format!("the peer {misbehaviour}").into() }
}

fn closed(egress: &Egress) -> LinkEnd {
    if egress.is_closed() {
        LinkEnd { code: "closed", message: "closed by this node".into() }
    } else {
        LinkEnd { code: "closed_by_peer", message: "the peer closed the connection".into() }
    }
}

fn failed(egress: &Egress, error: &io::Error) -> LinkEnd {
    if egress.is_closed() {
        return closed(egress);
    }
    LinkEnd { code: "connection_lost", message: format!("the connection was lost: {error}").into() }
}

struct Reader<'a> {
    data: &'a DataPlane,
    egress: &'a Egress,
    road: Road,
    chunk: Vec<u8>,
    start: usize,
    end: usize,
    quiet: u32,
    spill: Vec<u64>,
    passing: Passing,
    sink: Sink<'a>,
}

impl<'a> Reader<'a> {
    fn new(data: &'a DataPlane, egress: &'a Egress, road: Road, len: usize) -> Self {
        Self {
            data,
            egress,
            road,
            chunk: vec![0; len],
            start: 0,
            end: 0,
            // An untouched chunk needs no exchange.
            quiet: u32::MAX,
            spill: Vec::new(),
            passing: Passing::default(),
            sink: Sink::new(data, egress.link.0),
        }
    }

    /// Keeps the datagram at the end of the chunk if it is what a lane is for: one frame of
    /// traffic. All other kinds are of use in their order only.
    fn took_datagram(&mut self, len: usize) {
        let datagram = &self.chunk[self.end..self.end + len];
        let is_traffic = |at: usize| FrameKind::from_byte(datagram[at]) == Some(FrameKind::Traffic);
        let is_one = matches!(cut_frame(datagram), Ok(Some((at, end)))
            if end == len && is_traffic(at));
        if is_one {
            self.end += len;
            self.egress.rx_bytes.fetch_add(len as u64, Relaxed);
            count(&self.data.counters.datagrams_in);
        }
    }

    fn filled(&mut self, len: usize) {
        self.end += len;
        self.egress.rx_bytes.fetch_add(len as u64, Relaxed);
        self.quiet = if len > SMALL_READ { 0 } else { self.quiet.saturating_add(1) };
    }

    /// Sees to it that a whole frame fits behind what is already there.
    fn make_room(&mut self) {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            if self.quiet == QUIET_READS {
                self.chunk = vec![0; CHUNK_LEN];
            }
        } else if self.chunk.len() - self.start < FRAME_ROOM
            || self.chunk.len() - self.end < FRAME_ROOM / 2
        {
            self.chunk.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }

    /// Handles all frames that are there as a whole. What is to be passed on is sent even if the
    /// link ends here.
    fn handle_frames(&mut self) -> Result<(), Misbehaviour> {
        let handled = self.cut_frames();
        self.sink.flush(&mut self.chunk);
        self.passing.send(self.data, &self.chunk, self.road);
        handled
    }

    fn cut_frames(&mut self) -> Result<(), Misbehaviour> {
        while let Some((kind_at, end)) = cut_frame(&self.chunk[self.start..self.end])? {
            let (kind_at, end) = (self.start + kind_at, self.start + end);
            self.start = end;
            let byte = self.chunk[kind_at];
            let kind = FrameKind::from_byte(byte).ok_or(Misbehaviour::UnknownFrame(byte))?;
            self.egress.liveness.received(kind, self.data.clock.mono());
            match kind {
                FrameKind::Dummy | FrameKind::KeepAlive => {}
                FrameKind::Traffic => self.handle_traffic(kind_at + 1, end)?,
                FrameKind::SigReq
                | FrameKind::SigRes
                | FrameKind::Announce
                | FrameKind::BloomFilter
                | FrameKind::PathLookup
                | FrameKind::PathNotify
                | FrameKind::PathBroken => {
                    let body = self.chunk[kind_at + 1..end].to_vec();
                    // None of these may be lost, so a busy control thread slows the link down; and
                    // one link alone must not fill its mailbox.
                    self.egress.await_control_room();
                    self.data.mailbox.post(Input::Frame { link: self.egress.link, kind, body });
                }
            }
        }
        Ok(())
    }

    fn handle_traffic(&mut self, body_start: usize, end: usize) -> Result<(), Misbehaviour> {
        let body = &self.chunk[body_start..end];
        let view = TrafficView::parse(body)
            .map_err(|source| Misbehaviour::Malformed { kind: FrameKind::Traffic, source })?;
        let (source, dest) = (view.source(body), view.dest(body));
        let mut ports = [0; PORTS_INLINE];
        self.spill.clear();
        let path = view.path_ports(body, &mut ports, &mut self.spill);
        let routes = self.data.routes.load();
        match routes.table.decide(&dest, path, view.watermark()) {
            Decision::Forward { link, watermark } => {
                let Some(egress) = routes.links.get(&link) else { return Ok(()) };
                let start = view.lower_watermark(&mut self.chunk, body_start, end, watermark);
                self.passing.push(
                    self.data,
                    &self.chunk,
                    egress,
                    (source, dest),
                    start..end,
                    self.road,
                );
                count(&self.data.counters.transit);
                self.data.counters.transit_bytes.fetch_add((end - start) as u64, Relaxed);
            }
            Decision::Deliver { stale } => {
                if stale {
                    let from = view.from_coords(body);
                    self.data.mailbox.offer(Input::Stuck { source, from, dest });
                }
                let payload = body_start + view.payload_offset()..end;
                self.sink.deliver(source, &mut self.chunk, payload);
            }
            Decision::Stuck => {
                count(&self.data.counters.drop_stuck);
                let from = view.from_coords(body);
                self.data.mailbox.offer(Input::Stuck { source, from, dest });
            }
        }
        Ok(())
    }
}

/// Packets in transit that lie in the chunk and leave over the same link: written with one call,
/// and sent as soon as they are worth one.
#[derive(Default)]
struct Passing {
    egress: Option<Arc<Egress>>,
    flows: Vec<(NodeKey, NodeKey)>,
    frames: Vec<Range<usize>>,
    bytes: usize,
}

impl Passing {
    /// Takes the frame at `frame` along, from its source to its destination.
    fn push(
        &mut self,
        data: &DataPlane,
        chunk: &[u8],
        egress: &Arc<Egress>,
        flow: (NodeKey, NodeKey),
        frame: Range<usize>,
        road: Road,
    ) {
        if self.egress.as_ref().is_some_and(|it| !Arc::ptr_eq(it, egress)) {
            self.send(data, chunk, road);
        }
        self.egress.get_or_insert_with(|| Arc::clone(egress));
        self.bytes += frame.len();
        self.flows.push(flow);
        self.frames.push(frame);
        if self.bytes >= TOGETHER_MAX || self.frames.len() == PARCELS_MAX {
            self.send(data, chunk, road);
        }
    }

    fn send(&mut self, data: &DataPlane, chunk: &[u8], road: Road) {
        let Some(egress) = self.egress.take() else { return };
        let mut parts = [IoSlice::new(&[]); PARCELS_MAX];
        for (part, frame) in parts.iter_mut().zip(&self.frames) {
            *part = IoSlice::new(&chunk[frame.clone()]);
        }
        egress.send_transits(data, &self.flows, &parts[..self.frames.len()], road);
        self.flows.clear();
        self.frames.clear();
        self.bytes = 0;
    }
}

/// The reader of an established link together with what keeps it company.
pub(crate) fn spawn(
    data: Arc<DataPlane>,
    egress: Arc<Egress>,
    stream: ReadHalf,
    leftover: Vec<u8>,
    lane: Option<Arc<DatagramLane>>,
) -> io::Result<()> {
    let name = |role: &str| format!("{role}-{}", egress.link.0);
    let waiter = Arc::clone(&egress);
    let shared = Arc::clone(&data);
    std::thread::Builder::new().name(name("out")).spawn(move || waiter.wait_and_drain(&shared))?;
    if let Some(lane) = lane {
        let (data, egress) = (Arc::clone(&data), Arc::clone(&egress));
        std::thread::Builder::new().name(name("lane")).spawn(move || {
            if let Some(end) = run_lane(&data, &egress, &lane) {
                data.mailbox.post(Input::LinkEnded { link: egress.link, end });
            }
        })?;
    }
    std::thread::Builder::new().name(name("in")).spawn(move || {
        let end = run(&data, &egress, stream, &leftover);
        data.mailbox.post(Input::LinkEnded { link: egress.link, end });
    })?;
    Ok(())
}
