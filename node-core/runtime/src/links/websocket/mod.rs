//! A link's bytes inside the binary messages of a WebSocket.
//!
//! Messages mean nothing but their bytes: their borders lie anywhere, and payload is passed on as
//! it arrives, so a message may be of any size and none is ever held. What is written becomes one
//! message per write. Pings are answered, text ends the link with status 1003, and other breaches
//! of the protocol with 1002.
//!
//! [`upgrade`] holds the HTTP part at the beginning, [`deframe`] reads frames; heads of frames are
//! parsed and written by the WebSocket library.
//!
//! Source: protocol chapter 2.5; RFC 6455.

mod deframe;
pub mod upgrade;

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use socket2::Socket;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tungstenite::protocol::{
    Role,
    frame::{
        FrameHeader,
        coding::{CloseCode, Control, Data, OpCode},
    },
};

use self::deframe::{Deframer, Step};
use super::{bridge::bridge, transport::Wire};

/// How much is received at once.
const RECEIVED_MAX: usize = 32 * 1024;

/// Longest message that is sent. The other side may have to hold a whole one.
const MESSAGE_MAX: usize = 64 * 1024;

/// Pongs are not added to so many bytes that wait to be sent. A peer that sends pings faster than
/// it takes answers does not get them all.
const PONG_BACKLOG_MAX: usize = 2 * MESSAGE_MAX;

/// A WebSocket over a connection, from the end of the HTTP part on.
#[derive(Debug)]
pub(super) struct WebSocket<S> {
    stream: S,
    role: Role,
    deframer: Deframer,
    /// What was received; the deframer has taken everything before `looked_at`.
    received: Vec<u8>,
    looked_at: usize,
    /// Whole frames; the connection has taken everything before `sent`.
    outgoing: Vec<u8>,
    sent: usize,
    /// Nothing but what waits is sent.
    is_closed: bool,
}

impl<S> WebSocket<S> {
    /// Goes on after the HTTP part. `received` is what came behind it.
    fn new(stream: S, role: Role, received: Vec<u8>) -> Self {
        Self {
            stream,
            role,
            deframer: Deframer::new(role),
            received,
            looked_at: 0,
            outgoing: Vec::new(),
            sent: 0,
            is_closed: false,
        }
    }

    /// Puts a frame behind those that wait.
    fn push(&mut self, opcode: OpCode, payload: &[u8]) -> io::Result<()> {
        let mask = match self.role {
            Role::Client => {
                let mut mask = [0; 4];
                getrandom::fill(&mut mask).map_err(io::Error::other)?;
                Some(mask)
            }
            Role::Server => None,
        };
        let header = FrameHeader { opcode, mask, ..FrameHeader::default() };
        header.format(payload.len() as u64, &mut self.outgoing).map_err(io::Error::other)?;
        let start = self.outgoing.len();
        self.outgoing.extend_from_slice(payload);
        if let Some(mask) = mask {
            deframe::apply_mask(&mut self.outgoing[start..], mask, 0);
        }
        Ok(())
    }

    /// Puts the close frame behind what waits, unless there was one.
    fn push_close(&mut self, code: CloseCode, reason: &str) -> io::Result<()> {
        if self.is_closed {
            return Ok(());
        }
        self.is_closed = true;
        let mut payload = u16::from(code).to_be_bytes().to_vec();
        payload.extend_from_slice(reason.as_bytes());
        self.push(OpCode::Control(Control::Close), &payload)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Ends the connection with a status, because of something that the other side did.
    async fn refuse(mut self, code: CloseCode, reason: &str) -> io::Result<()> {
        self.push_close(code, reason)?;
        tokio::io::AsyncWriteExt::shutdown(&mut self).await
    }

    /// Sends what waits.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.outgoing.len() {
            let rest = &self.outgoing[self.sent..];
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                len => self.sent += len,
            }
        }
        self.outgoing.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Sends what can be sent now; the rest goes with the next write.
    fn send_soon(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let drained = match self.poll_drain(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut self.stream).poll_flush(cx),
            other => other,
        };
        match drained {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(()),
        }
    }

    /// Receives more. `false` at the end of the connection.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        // The head of a frame may be incomplete; everything else is taken as it comes.
        self.received.drain(..self.looked_at);
        self.looked_at = 0;
        let start = self.received.len();
        self.received.resize(start + RECEIVED_MAX, 0);
        let mut room = ReadBuf::new(&mut self.received[start..]);
        let polled = Pin::new(&mut self.stream).poll_read(cx, &mut room);
        let len = room.filled().len();
        self.received.truncate(start + len);
        ready!(polled)?;
        Poll::Ready(Ok(len > 0))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        loop {
            let (taken, step) = this.deframer.step(&this.received[this.looked_at..], buf);
            this.looked_at += taken;
            let has_some = buf.filled().len() > before;
            match step {
                Step::Data if buf.remaining() == 0 => return Poll::Ready(Ok(())),
                Step::Data => {}
                Step::Short if has_some => return Poll::Ready(Ok(())),
                Step::Short => {
                    if !ready!(this.poll_receive(cx))? {
                        // Without a farewell, as when a program is ended.
                        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                    }
                }
                Step::Ping(payload) => {
                    if !this.is_closed && this.outgoing.len() - this.sent <= PONG_BACKLOG_MAX {
                        this.push(OpCode::Control(Control::Pong), &payload)?;
                        this.send_soon(cx)?;
                    }
                }
                // What came before the end is delivered first; the end is seen again.
                Step::Close(_) | Step::Fault(..) if has_some => return Poll::Ready(Ok(())),
                Step::Close(code) => {
                    this.push_close(CloseCode::Normal, "")?;
                    // The other side may have gone without waiting for an answer.
                    let _ = this.send_soon(cx);
                    return Poll::Ready(match code {
                        CloseCode::Normal | CloseCode::Away => Ok(()),
                        code => Err(closed_with(code)),
                    });
                }
                Step::Fault(code, reason) => {
                    this.push_close(code, reason)?;
                    let _ = this.send_soon(cx);
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, reason)));
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_drain(cx))?;
        if self.is_closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let payload = &buf[..buf.len().min(MESSAGE_MAX)];
        if !payload.is_empty() {
            self.push(OpCode::Data(Data::Binary), payload)?;
        }
        match self.poll_drain(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // What the connection did not take waits here.
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(payload.len())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.push_close(CloseCode::Normal, "")?;
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S> Wire for WebSocket<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
{
    fn into_socket(self: Box<Self>) -> io::Result<Socket> {
        bridge(*self)
    }
}

fn closed_with(code: CloseCode) -> io::Error {
    let text = format!("the peer closed the WebSocket with status {}", u16::from(code));
    io::Error::new(io::ErrorKind::ConnectionAborted, text)
}

#[cfg(test)]
mod tests;
