//! Frames of a WebSocket, taken apart as they arrive.

use std::io::Cursor;

use tokio::io::ReadBuf;
use tungstenite::protocol::{
    Role,
    frame::{
        FrameHeader,
        coding::{CloseCode, Control, Data, OpCode},
    },
};

/// Longest payload of a control frame (RFC 6455, 5.5).
const CONTROL_LEN_MAX: u64 = 125;

/// Where in the stream of frames the reader is.
#[derive(Debug)]
pub(super) struct Deframer {
    /// Whose frames we send; the other side's are read.
    role: Role,
    place: Place,
    /// A message has begun and not ended.
    in_message: bool,
}

#[derive(Debug)]
enum Place {
    /// Before the head of a frame.
    Head,
    /// In the payload of a data frame, of which so much is to come, never 0.
    Data { left: u64, mask: Option<[u8; 4]>, phase: usize },
}

/// What the next bytes were.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Payload, or the head of a frame with payload.
    Data,
    /// Too few to tell.
    Short,
    /// A ping, with what to answer.
    Ping(Vec<u8>),
    /// The other side's farewell. It is not taken, and is seen again.
    Close(CloseCode),
    /// A breach of the protocol, and the status to end the connection with. It is not taken, and
    /// is seen again.
    Fault(CloseCode, &'static str),
}

impl Deframer {
    /// At the first frame. `role` is ours.
    pub(super) const fn new(role: Role) -> Self {
        Self { role, place: Place::Head, in_message: false }
    }

    /// Takes bytes from the beginning of `bytes`, and puts payload into `into`. The first number is
    /// how many were taken; what remains must be offered again, with more behind it after
    /// [`Step::Short`].
    pub(super) fn step(&mut self, bytes: &[u8], into: &mut ReadBuf<'_>) -> (usize, Step) {
        match &mut self.place {
            Place::Head => match self.head(bytes) {
                Ok((taken, step)) => (taken, step),
                Err(reason) => (0, Step::Fault(CloseCode::Protocol, reason)),
            },
            Place::Data { .. } if bytes.is_empty() => (0, Step::Short),
            Place::Data { left, mask, phase } => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX);
                let len = bytes.len().min(into.remaining()).min(most);
                let start = into.filled().len();
                into.put_slice(&bytes[..len]);
                if let Some(mask) = mask {
                    apply_mask(&mut into.filled_mut()[start..], *mask, *phase);
                    *phase = (*phase + len) % mask.len();
                }
                *left -= len as u64;
                if *left == 0 {
                    self.place = Place::Head;
                }
                (len, Step::Data)
            }
        }
    }

    /// Reads the head of a frame, and the whole of a control frame.
    fn head(&mut self, bytes: &[u8]) -> Result<(usize, Step), &'static str> {
        let mut cursor = Cursor::new(bytes);
        let Some((head, len)) =
            FrameHeader::parse(&mut cursor).map_err(|_| "a frame has an unknown type")?
        else {
            return Ok((0, Step::Short));
        };
        let head_len = cursor.position() as usize;
        if head.rsv1 || head.rsv2 || head.rsv3 {
            return Err("a frame uses an extension that was not agreed");
        }
        if head.mask.is_some() != (self.role == Role::Server) {
            return Err("frames of a client are masked, and of a server they are not");
        }
        match head.opcode {
            OpCode::Control(control) => {
                if !head.is_final || len > CONTROL_LEN_MAX {
                    return Err("a control frame is too long or in parts");
                }
                let end = head_len + len as usize;
                let Some(payload) = bytes.get(head_len..end) else {
                    return Ok((0, Step::Short));
                };
                let mut payload = payload.to_vec();
                if let Some(mask) = head.mask {
                    apply_mask(&mut payload, mask, 0);
                }
                match control {
                    Control::Ping => Ok((end, Step::Ping(payload))),
                    Control::Pong => Ok((end, Step::Data)),
                    Control::Close => Ok((0, Step::Close(close_code(&payload)?))),
                    Control::Reserved(_) => Err("a frame has an unknown type"),
                }
            }
            OpCode::Data(data) => {
                match (data, self.in_message) {
                    (Data::Text, _) => {
                        let reason = "links are made of binary messages";
                        return Ok((0, Step::Fault(CloseCode::Unsupported, reason)));
                    }
                    (Data::Binary, false) | (Data::Continue, true) => {}
                    (Data::Binary | Data::Continue | Data::Reserved(_), _) => {
                        return Err("the parts of messages are out of order");
                    }
                }
                self.in_message = !head.is_final;
                if len > 0 {
                    self.place = Place::Data { left: len, mask: head.mask, phase: 0 };
                }
                Ok((head_len, Step::Data))
            }
        }
    }
}

/// The status in a close frame; none counts as an ordinary end, as it does for browsers.
fn close_code(payload: &[u8]) -> Result<CloseCode, &'static str> {
    match payload {
        [] => Ok(CloseCode::Normal),
        [high, low, ..] => Ok(CloseCode::from(u16::from_be_bytes([*high, *low]))),
        [_] => Err("a close frame has half a status"),
    }
}

/// Masks or unmasks bytes, of which the first is the `phase`th of its frame.
pub(super) fn apply_mask(bytes: &mut [u8], mut mask: [u8; 4], phase: usize) {
    mask.rotate_left(phase % 4);
    for chunk in bytes.chunks_mut(4) {
        for (byte, key) in chunk.iter_mut().zip(mask) {
            *byte ^= key;
        }
    }
}
