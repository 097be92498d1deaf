//! Traffic packets (chapter 6.1), read in place and re-headed in place.
//!
//! A node that passes a packet on changes only the watermark, which never grows and stands right
//! before the payload. So the header moves right by a few bytes at most, and the payload stays
//! where it is.

use super::{
    Coords, DecodeError, FrameKind, Reader,
    number::{parse_number, put_number_before},
    number_len, put_number,
};
use crate::{
    identity::{KEY_LEN, NodeKey},
    limits::COORDS_MAX,
};

/// Bytes of a sender's coordinates that are worth decoding: ports have one or two bytes each.
const FROM_LEN_MAX: usize = 2 * COORDS_MAX;

/// The header of a packet to be sent.
#[derive(Clone, Copy, Debug)]
pub struct TrafficHeader<'a> {
    /// Destination's coordinates.
    pub path: &'a Coords,
    /// Sender's coordinates.
    pub from: &'a Coords,
    /// Sender.
    pub source: &'a NodeKey,
    /// Destination.
    pub dest: &'a NodeKey,
    /// Routing watermark.
    pub watermark: u64,
}

/// Where the fields of a received packet are, as offsets into the body of its frame. Made by
/// [`TrafficView::parse`] only, so the offsets hold for the body they were read from.
#[derive(Clone, Copy, Debug)]
pub struct TrafficView {
    from: u32,
    keys: u32,
    payload: u32,
    watermark: u64,
}

impl TrafficHeader<'_> {
    /// Length of the frame's length, type and header when `payload_len` bytes follow.
    #[must_use]
    pub fn encoded_len(&self, payload_len: usize) -> usize {
        let body = self.body_len() + payload_len;
        number_len((body + 1) as u64) + 1 + self.body_len()
    }

    fn body_len(&self) -> usize {
        self.path.encoded_len() + self.from.encoded_len() + 2 * KEY_LEN + number_len(self.watermark)
    }

    /// Appends frame length, type and header for a payload of `payload_len` bytes that the caller
    /// appends next.
    pub fn emit(&self, payload_len: usize, out: &mut Vec<u8>) {
        put_number(out, (self.body_len() + payload_len + 1) as u64);
        out.push(FrameKind::Traffic as u8);
        self.path.emit(out);
        self.from.emit(out);
        out.extend_from_slice(self.source.as_bytes());
        out.extend_from_slice(self.dest.as_bytes());
        put_number(out, self.watermark);
    }

    /// Writes the same bytes so that they end at the end of `room`, and returns where they begin;
    /// `None` when `room` is too short.
    pub fn emit_before(&self, payload_len: usize, room: &mut [u8]) -> Option<usize> {
        let start = room.len().checked_sub(self.encoded_len(payload_len))?;
        let mut end = put_number_before(room, self.watermark);
        for key in [self.dest, self.source] {
            end -= KEY_LEN;
            room[end..end + KEY_LEN].copy_from_slice(key.as_bytes());
        }
        for coords in [self.from, self.path] {
            end -= 1;
            room[end] = 0;
            for port in coords.ports().iter().rev() {
                end = put_number_before(&mut room[..end], *port);
            }
        }
        put_kind_and_len(room, end, payload_len);
        Some(start)
    }
}

/// Puts type and frame length before a header that begins at `header`; returns where the frame
/// begins.
fn put_kind_and_len(room: &mut [u8], header: usize, payload_len: usize) -> usize {
    let body = room.len() - header + payload_len;
    room[header - 1] = FrameKind::Traffic as u8;
    put_number_before(&mut room[..header - 1], (body + 1) as u64)
}

impl TrafficView {
    /// Finds the fields of a traffic body (the frame without length and type).
    ///
    /// # Errors
    /// The header does not decode.
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let at = |reader: &Reader<'_>| {
            u32::try_from(body.len() - reader.remaining()).map_err(|_| DecodeError::Overflow)
        };
        reader.skip_coords()?;
        let from = at(&reader)?;
        reader.skip_coords()?;
        let keys = at(&reader)?;
        reader.take(2 * KEY_LEN)?;
        let watermark = reader.number()?;
        Ok(Self { from, keys, payload: at(&reader)?, watermark })
    }

    /// Destination's coordinates, decoded into `ports` if they fit, else onto the heap.
    #[inline]
    pub fn path_ports<'b, const N: usize>(
        &self,
        body: &[u8],
        ports: &'b mut [u64; N],
        spill: &'b mut Vec<u64>,
    ) -> &'b [u64] {
        let mut bytes = &body[..self.from as usize];
        let mut count = 0;
        // Parsed before, so numbers neither end early nor overflow.
        while let Ok((port, len)) = parse_number(bytes) {
            if port == 0 {
                break;
            }
            if count < N {
                ports[count] = port;
            } else {
                if count == N {
                    spill.extend_from_slice(ports);
                }
                spill.push(port);
            }
            count += 1;
            bytes = &bytes[len..];
        }
        if count <= N { &ports[..count] } else { spill }
    }

    /// Sender's coordinates; `None` if they are longer than those of any sane tree, so that nothing
    /// is sent there.
    #[must_use]
    pub fn from_coords(&self, body: &[u8]) -> Option<Coords> {
        let from = &body[self.from as usize..self.keys as usize];
        if from.len() > FROM_LEN_MAX {
            return None;
        }
        Reader::new(from).coords().ok()
    }

    /// Sender's key.
    #[must_use]
    pub fn source(&self, body: &[u8]) -> NodeKey {
        key_at(body, self.keys as usize)
    }

    /// Destination's key.
    #[must_use]
    pub fn dest(&self, body: &[u8]) -> NodeKey {
        key_at(body, self.keys as usize + KEY_LEN)
    }

    /// Routing watermark.
    #[must_use]
    pub const fn watermark(&self) -> u64 {
        self.watermark
    }

    /// Offset of the end-to-end payload in the body.
    #[must_use]
    pub const fn payload_offset(&self) -> usize {
        self.payload as usize
    }

    /// Lowers the watermark of the packet whose body begins at `body_start` of `stream` and whose
    /// frame ends at `frame_end`. Returns where the frame now begins; the payload does not move.
    ///
    /// `watermark` must not be larger than the one in the packet.
    pub fn lower_watermark(
        &self,
        stream: &mut [u8],
        body_start: usize,
        frame_end: usize,
        watermark: u64,
    ) -> usize {
        debug_assert!(watermark <= self.watermark, "the watermark never grows");
        let payload = body_start + self.payload_offset();
        let kept = body_start..body_start + self.keys as usize + 2 * KEY_LEN;
        let header = payload - number_len(watermark) - kept.len();
        stream.copy_within(kept, header);
        put_number_before(&mut stream[..payload], watermark);
        put_kind_and_len(&mut stream[..payload], header, frame_end - payload)
    }
}

fn key_at(body: &[u8], at: usize) -> NodeKey {
    let mut bytes = [0; KEY_LEN];
    bytes.copy_from_slice(&body[at..at + KEY_LEN]);
    NodeKey::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::cut_frame;

    fn coords() -> impl Strategy<Value = Coords> {
        prop::collection::vec(1_u64.., 0..12).prop_map(Coords::from)
    }

    proptest! {
        #[test]
        fn emitted_packets_parse_back(
            path in coords(), from in coords(), a: [u8; 32], b: [u8; 32], watermark: u64,
            payload in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let (source, dest) = (NodeKey::from_bytes(a), NodeKey::from_bytes(b));
            let header =
                TrafficHeader { path: &path, from: &from, source: &source, dest: &dest, watermark };
            let mut frame = Vec::new();
            header.emit(payload.len(), &mut frame);
            prop_assert_eq!(frame.len(), header.encoded_len(payload.len()));
            let mut room = vec![0; frame.len() + 9];
            let start = header.emit_before(payload.len(), &mut room).unwrap();
            prop_assert_eq!(&room[start..], &frame[..]);
            frame.extend_from_slice(&payload);

            let (kind, end) = cut_frame(&frame).unwrap().unwrap();
            prop_assert_eq!(end, frame.len());
            let body = &frame[kind + 1..end];
            let view = TrafficView::parse(body).unwrap();
            let mut spill = Vec::new();
            let mut ports = [0; 4];
            prop_assert_eq!(view.path_ports(body, &mut ports, &mut spill), path.ports());
            prop_assert_eq!(view.from_coords(body), Some(from));
            prop_assert_eq!(view.source(body), source);
            prop_assert_eq!(view.dest(body), dest);
            prop_assert_eq!(view.watermark(), watermark);
            prop_assert_eq!(&body[view.payload_offset()..], &payload[..]);
        }

        #[test]
        fn lowering_the_watermark_keeps_everything_else(
            path in coords(), from in coords(), a: [u8; 32], b: [u8; 32],
            watermark: u64, lower: u64, payload in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let lower = lower.min(watermark);
            let (source, dest) = (NodeKey::from_bytes(a), NodeKey::from_bytes(b));
            let header =
                TrafficHeader { path: &path, from: &from, source: &source, dest: &dest, watermark };
            let mut stream = vec![0xee; 7];
            let frame_start = stream.len();
            header.emit(payload.len(), &mut stream);
            stream.extend_from_slice(&payload);
            let (kind, _) = cut_frame(&stream[frame_start..]).unwrap().unwrap();
            let body_start = frame_start + kind + 1;
            let view = TrafficView::parse(&stream[body_start..]).unwrap();
            let end = stream.len();
            let start = view.lower_watermark(&mut stream, body_start, end, lower);

            let mut frame = Vec::new();
            TrafficHeader { watermark: lower, ..header }.emit(payload.len(), &mut frame);
            frame.extend_from_slice(&payload);
            prop_assert!(start >= frame_start);
            prop_assert_eq!(&stream[start..], &frame[..]);
            prop_assert_eq!(&stream[..frame_start], &[0xee; 7][..]);
        }

        #[test]
        fn any_bytes_parse_or_fail_cleanly(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(view) = TrafficView::parse(&bytes) {
                let mut spill = Vec::new();
                view.path_ports(&bytes, &mut [0; 2], &mut spill);
                let _ = view.from_coords(&bytes);
                let _ = view.source(&bytes);
            }
        }
    }
}
