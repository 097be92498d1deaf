//! A packet in transit.
//!
//! Asserted: fields lie inside the packet, each way on is a step closer, and lowering the watermark
//! changes neither another field nor the payload, whatever forms the sender wrote its numbers in.

use planetary_proto::{
    ForwardingTable, LinkId,
    forward::{Decision, Hop},
    wire::{Coords, FrameKind, TrafficHeader, TrafficView, cut_frame, put_number},
};

use crate::{host::key, input::Input};

/// See the module. A table first, then the packet's body.
pub fn traffic(data: &[u8]) {
    let mut input = Input::new(data);
    let hops = (0..input.below(5)).map(|index| Hop {
        key: key(index),
        coords: (input.byte() & 1 == 0).then(|| input.coords()),
        link: LinkId(index as u64),
        cost: input.number(),
        order: input.byte().into(),
    });
    let hops = hops.collect();
    let table = ForwardingTable::new(key(4), input.coords(), hops);
    let lower_to = input.number();
    let body = input.rest();
    let Ok(view) = TrafficView::parse(body) else { return };
    assert!(view.payload_offset() <= body.len());
    let path = path_of(&view, body);
    check_emitted(&view, body, &path);

    let lowered = match table.decide(&view.dest(body), path.ports(), view.watermark()) {
        Decision::Forward { link, watermark } => {
            let hop =
                table.hops().iter().find(|hop| hop.link == link).expect("a link of the table");
            assert!(watermark <= view.watermark(), "the watermark never grows");
            if let Some(coords) = hop.coords.as_ref().filter(|_| hop.key != view.dest(body)) {
                let own = table.coords().distance(&path);
                assert!(coords.distance(&path) < own, "the next hop is closer");
            }
            watermark
        }
        _ => lower_to.min(view.watermark()),
    };
    check_lowered(&view, body, lowered);
}

/// The same path, whether it fits the array or not.
fn path_of(view: &TrafficView, body: &[u8]) -> Coords {
    let (mut few, mut many) = ([0; 2], [0; 64]);
    let (mut spill, mut more) = (Vec::new(), Vec::new());
    let path = view.path_ports(body, &mut few, &mut spill).to_vec();
    assert_eq!(path, view.path_ports(body, &mut many, &mut more));
    Coords::from(path)
}

fn check_emitted(view: &TrafficView, body: &[u8], path: &Coords) {
    let Some(from) = view.from_coords(body) else { return };
    let (source, dest) = (view.source(body), view.dest(body));
    let watermark = view.watermark();
    let header = TrafficHeader { path, from: &from, source: &source, dest: &dest, watermark };
    let payload = &body[view.payload_offset()..];
    let mut frame = Vec::new();
    header.emit(payload.len(), &mut frame);
    let mut room = vec![0; frame.len()];
    assert_eq!(header.emit_before(payload.len(), &mut room), Some(0));
    assert_eq!(room, frame);
    frame.extend_from_slice(payload);
    check_same(view, body, &frame, watermark);
}

fn check_lowered(view: &TrafficView, body: &[u8], watermark: u64) {
    let mut stream = Vec::new();
    put_number(&mut stream, body.len() as u64 + 1);
    stream.push(FrameKind::Traffic as u8);
    let body_start = stream.len();
    stream.extend_from_slice(body);
    let end = stream.len();
    // The next frame is already there and must stay.
    stream.extend_from_slice(&[1, 1]);
    let start = view.lower_watermark(&mut stream, body_start, end, watermark);
    assert_eq!(stream[end..], [1, 1]);
    check_same(view, body, &stream[start..end], watermark);
}

fn check_same(view: &TrafficView, body: &[u8], frame: &[u8], watermark: u64) {
    let (kind, end) = cut_frame(frame).expect("a frame").expect("a whole frame");
    assert_eq!((frame[kind], end), (FrameKind::Traffic as u8, frame.len()));
    let new_body = &frame[kind + 1..];
    let new = TrafficView::parse(new_body).expect("a packet stays a packet");
    assert_eq!(new.watermark(), watermark);
    assert_eq!(path_of(&new, new_body), path_of(view, body));
    assert_eq!(new.from_coords(new_body), view.from_coords(body));
    assert_eq!(new.source(new_body), view.source(body));
    assert_eq!(new.dest(new_body), view.dest(body));
    assert_eq!(new_body[new.payload_offset()..], body[view.payload_offset()..]);
}
