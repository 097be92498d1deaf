//! Part of the oracle: whether a packet is well formed, worked out from what it was made of.

use planetary_circles::Reason;

use super::packets::{Damage, Extension, Sketch};

/// Whether a packet is well formed.
pub(crate) fn form(sketch: &Sketch) -> Result<(), Reason> {
    let begins_with_hop_by_hop = match (sketch.before.first(), sketch.part, sketch.after.first()) {
        (Some(first), _, _) | (None, None, Some(first)) => {
            matches!(first, Extension::HopByHop | Extension::HopByHopWithJumbo)
        }
        _ => false,
    };
    match sketch.damage {
        Damage::NoLength if begins_with_hop_by_hop => return Err(Reason::Jumbogram),
        Damage::NoLength | Damage::Length => return Err(Reason::Malformed),
        _ => {}
    }
    walk(sketch)
}

/// Goes along the headers of a packet that has the length that it says.
pub(crate) fn walk(sketch: &Sketch) -> Result<(), Reason> {
    let mut at = 0;
    let mut number = 0;
    let end = |at: usize| {
        if let Damage::Cut(len) = sketch.damage { at <= len } else { true }
    };
    for extension in &sketch.before {
        step(*extension, &mut at, &mut number, &end, Reason::Malformed)?;
    }
    let mut short = Reason::Malformed;
    let mut shown = usize::MAX;
    if let Some(part) = &sketch.part {
        number += 1;
        if number > 8 {
            return Err(Reason::Extensions);
        }
        if !end(at + 2) {
            return Err(Reason::Malformed);
        }
        at += 8;
        if at > 256 {
            return Err(Reason::Extensions);
        }
        if !end(at) {
            return Err(Reason::Malformed);
        }
        let mut len = sketch.part_range(part).len();
        if let Damage::Cut(cut) = sketch.damage {
            len = len.min(cut - at);
        }
        if part.more && (len == 0 || !len.is_multiple_of(8)) || len == 0 && part.from > 0 {
            return Err(Reason::Malformed);
        }
        if part.from > 0 {
            return Ok(());
        }
        shown = at + len;
        short = if part.more { Reason::FragmentTiny } else { Reason::Malformed };
    }
    let end = |at: usize| end(at) && at <= shown;
    for extension in &sketch.after {
        step(*extension, &mut at, &mut number, &end, short)?;
    }
    if end(at + sketch.body.head_len()) { Ok(()) } else { Err(short) }
}

fn step(
    extension: Extension,
    at: &mut usize,
    number: &mut usize,
    end: &dyn Fn(usize) -> bool,
    short: Reason,
) -> Result<(), Reason> {
    if extension == Extension::Routing {
        return Err(Reason::RoutingHeader);
    }
    *number += 1;
    if *number > 8 {
        return Err(Reason::Extensions);
    }
    if !end(*at + 2) {
        return Err(short);
    }
    let is_first = *at == 0;
    *at += extension.len();
    if *at > 256 {
        return Err(Reason::Extensions);
    }
    if !end(*at) {
        return Err(short);
    }
    match extension {
        Extension::HopByHop | Extension::HopByHopWithJumbo if !is_first => Err(Reason::Malformed),
        Extension::HopByHopWithJumbo => Err(Reason::Jumbogram),
        _ => Ok(()),
    }
}
