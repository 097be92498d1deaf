//! The control API: framing, and the messages of both sides.
//!
//! Asserted: no frame is longer than its limit or than what arrived, and a message that is
//! understood means the same after it is written again.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use planetary_ipc::{
    ClientMessage, ServerMessage, frame,
    limits::{CLIENT_FRAME_LEN_MAX, SERVER_FRAME_LEN_MAX},
};
use serde::Serialize;

/// See the module. A stream of frames, then the same bytes as one message.
pub fn control_frames(data: &[u8]) {
    let mut stream = data;
    while let Some(body) = read(&mut stream) {
        assert!((1..=CLIENT_FRAME_LEN_MAX).contains(&body.len()) && body.len() <= data.len());
        messages(&body);
    }
    messages(data);
}

/// The next frame, `None` at the end and after an error.
fn read(stream: &mut &[u8]) -> Option<Vec<u8>> {
    let read = pin!(frame::read(stream, CLIENT_FRAME_LEN_MAX));
    match read.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome.ok().flatten(),
        Poll::Pending => panic!("bytes in memory are always there"),
    }
}

fn messages(body: &[u8]) {
    match ClientMessage::parse(body) {
        Ok(message) => {
            if let ClientMessage::Request { request, .. } = &message {
                let _ = request.check();
                assert!(request.deadline().as_secs() < 3600, "no request holds a place for long");
            }
            let again = ClientMessage::parse(&rewritten(&message));
            assert_eq!(again.expect("what was written is read"), message);
        }
        Err((_, error)) => drop(rewritten(&ServerMessage::Error { id: None, error })),
    }
    if let Ok(message) = ServerMessage::parse(body) {
        // Twice: a fraction may lose its last digit the first time.
        let once = rewritten(&message);
        let again = ServerMessage::parse(&once).expect("what was written is read");
        assert_eq!(std::mem::discriminant(&again), std::mem::discriminant(&message));
        ServerMessage::parse(&rewritten(&again)).expect("what was written is read");
    }
}

/// The body of the frame that carries `message`. Inputs are far below every limit.
fn rewritten<T: Serialize>(message: &T) -> Vec<u8> {
    let mut bytes = frame::encode(message, SERVER_FRAME_LEN_MAX).expect("a message can be written");
    let body = bytes.split_off(4);
    assert_eq!(bytes, (body.len() as u32).to_be_bytes(), "a frame has one length");
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_understood() {
        let seeds: [&[u8]; 3] = [
            include_bytes!("../../corpus/control_frames/hello"),
            include_bytes!("../../corpus/control_frames/ping"),
            include_bytes!("../../corpus/control_frames/peer_add"),
        ];
        for seed in seeds {
            assert!(ClientMessage::parse(seed).is_ok(), "{:?}", ClientMessage::parse(seed));
        }
        let seeds: [&[u8]; 3] = [
            include_bytes!("../../corpus/control_frames/error"),
            include_bytes!("../../corpus/control_frames/update"),
            include_bytes!("../../corpus/control_frames/done"),
        ];
        for seed in seeds {
            assert!(ServerMessage::parse(seed).is_ok(), "{:?}", ServerMessage::parse(seed));
        }
    }
}
