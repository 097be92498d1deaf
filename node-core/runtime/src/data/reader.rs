//! The thread that reads one link: cuts the stream into frames, passes packets on, delivers those
//! for this node.
//!
//! Bytes are read into one chunk and frames are handled where they lie. The chunk is filled from
//! its beginning whenever it is empty, so a quiet link touches only a page or two of it.

use std::{
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use planetary_proto::{
    Misbehaviour,
    forward::Decision,
    limits::FRAME_LEN_MAX,
    wire::{FrameKind, TrafficView, cut_frame},
};

use super::{DataPlane, count, egress::Egress, sink, stream::ReadHalf};
use crate::{control::Input, links::LinkEnd};

const CHUNK_LEN: usize = 256 * 1024;
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
    let mut reader = Reader {
        data,
        egress,
        chunk: vec![0; CHUNK_LEN.max(leftover.len() + FRAME_ROOM)],
        start: 0,
        end: leftover.len(),
        // An untouched chunk needs no exchange.
        quiet: u32::MAX,
        spill: Vec::new(),
    };
    reader.chunk[..leftover.len()].copy_from_slice(leftover);
    let end = loop {
        if let Err(misbehaviour) = reader.handle_frames() {
            break LinkEnd {
                code: "peer_misbehaved",
                message: format!("the peer {misbehaviour}").into(),
            };
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
    chunk: Vec<u8>,
    start: usize,
    end: usize,
    quiet: u32,
    spill: Vec<u64>,
}

impl Reader<'_> {
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

    fn handle_frames(&mut self) -> Result<(), Misbehaviour> {
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
                egress.send_transit(self.data, source, dest, &self.chunk[start..end]);
                count(&self.data.counters.transit);
                self.data.counters.transit_bytes.fetch_add((end - start) as u64, Relaxed);
            }
            Decision::Deliver { stale } => {
                if stale {
                    let from = view.from_coords(body);
                    self.data.mailbox.offer(Input::Stuck { source, from, dest });
                }
                let payload = &mut self.chunk[body_start + view.payload_offset()..end];
                sink::deliver(self.data, source, payload);
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

/// The reader of an established link together with what keeps it company.
pub(crate) fn spawn(
    data: Arc<DataPlane>,
    egress: Arc<Egress>,
    stream: ReadHalf,
    leftover: Vec<u8>,
) -> io::Result<()> {
    let name = |role: &str| format!("{role}-{}", egress.link.0);
    let waiter = Arc::clone(&egress);
    let shared = Arc::clone(&data);
    std::thread::Builder::new().name(name("out")).spawn(move || waiter.wait_and_drain(&shared))?;
    std::thread::Builder::new().name(name("in")).spawn(move || {
        let end = run(&data, &egress, stream, &leftover);
        data.mailbox.post(Input::LinkEnded { link: egress.link, end });
    })?;
    Ok(())
}
