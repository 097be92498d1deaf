//! Connections of the stack, as the rest of the program reads and writes them.

use std::{
    io,
    net::SocketAddrV6,
    pin::Pin,
    task::{Context, Poll, ready},
};

use smoltcp::{
    iface::SocketHandle,
    socket::tcp::{self, RecvError, State},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Core, Stack, socket_address, watch_over};

/// One connection. Dropped before both ends have finished, it is reset.
#[derive(Debug)]
pub struct StackStream {
    stack: Stack,
    handle: SocketHandle,
    remote: SocketAddrV6,
}

/// Takes connections to one port. Dropped, it refuses those that were not taken.
#[derive(Debug)]
pub struct StackListener {
    stack: Stack,
    port: u16,
}

impl StackStream {
    pub(super) const fn new(stack: Stack, handle: SocketHandle, remote: SocketAddrV6) -> Self {
        Self { stack, handle, remote }
    }

    /// The far end.
    #[must_use]
    pub const fn remote(&self) -> SocketAddrV6 {
        self.remote
    }

    fn with_core<R>(&self, work: impl FnOnce(&mut Core, SocketHandle) -> R) -> R {
        work(&mut self.stack.0.core.lock(), self.handle)
    }
}

impl Core {
    /// Reads into `room`; nothing read means the end.
    fn poll_read(
        &mut self,
        handle: SocketHandle,
        room: &mut ReadBuf<'_>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(saved) = self.saved.get_mut(&handle) {
            let len = saved.len().min(room.remaining());
            let (front, back) = saved.as_slices();
            room.put_slice(&front[..len.min(front.len())]);
            room.put_slice(&back[..len.saturating_sub(front.len())]);
            saved.drain(..len);
            return Poll::Ready(Ok(()));
        }
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        match socket.recv_slice(room.initialize_unfilled()) {
            Ok(0) if room.remaining() > 0 => {
                socket.register_recv_waker(context.waker());
                Poll::Pending
            }
            Ok(len) => {
                room.advance(len);
                Poll::Ready(Ok(()))
            }
            Err(RecvError::Finished) => Poll::Ready(Ok(())),
            Err(RecvError::InvalidState) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }

    fn poll_write(
        &mut self,
        handle: SocketHandle,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.finishing.contains(&handle) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        match socket.send_slice(bytes) {
            Ok(0) if !bytes.is_empty() => {
                socket.register_send_waker(context.waker());
                Poll::Pending
            }
            Ok(len) => Poll::Ready(Ok(len)),
            Err(_) => {
                let reset = socket.state() == State::Closed;
                let kind =
                    if reset { io::ErrorKind::ConnectionReset } else { io::ErrorKind::BrokenPipe };
                Poll::Ready(Err(kind.into()))
            }
        }
    }

    /// Says that nothing more will come from this end.
    fn finish(&mut self, handle: SocketHandle) {
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        if socket.may_send() && !self.finishing.contains(&handle) {
            if socket.state() != State::CloseWait {
                socket.close();
            }
            self.finishing.push(handle);
            self.finish_more();
        }
    }

    /// The next connection to a port.
    fn poll_accept(
        &mut self,
        port: u16,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<(SocketHandle, SocketAddrV6)>> {
        self.check_open()?;
        let Some(backlog) = self.listeners.get_mut(&port) else { return Poll::Pending };
        backlog.acceptor = Some(context.waker().clone());
        let (mut accepted, mut waiting) = (None, Vec::new());
        for handle in std::mem::take(&mut backlog.waiting) {
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
            match (socket.state(), socket.remote_endpoint()) {
                (State::Established | State::CloseWait, Some(remote)) if accepted.is_none() => {
                    watch_over(socket);
                    accepted = Some((handle, remote));
                }
                (State::SynReceived | State::Established | State::CloseWait, _) => {
                    socket.register_recv_waker(context.waker());
                    waiting.push(handle);
                }
                // It was opened and reset.
                _ => self.discard(handle),
            }
        }
        if let Some(backlog) = self.listeners.get_mut(&port) {
            backlog.waiting = waiting;
        }
        match accepted {
            Some((handle, remote)) => Poll::Ready(Ok((handle, socket_address(remote)))),
            None => Poll::Pending,
        }
    }

    /// Ends the acceptance of connections to a port.
    fn stop_listening(&mut self, port: u16) {
        let Some(backlog) = self.listeners.remove(&port) else { return };
        for handle in backlog.waiting {
            self.abandon(handle);
        }
    }
}

impl AsyncRead for StackStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(self.with_core(|core, handle| core.poll_read(handle, room, context)));
        // There is room for more, which the far end may have to be told.
        self.stack.0.work.notify_one();
        Poll::Ready(read)
    }
}

impl AsyncWrite for StackStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let len = ready!(self.with_core(|core, handle| core.poll_write(handle, bytes, context)));
        self.stack.0.work.notify_one();
        Poll::Ready(len)
    }

    /// What was written is on its way already.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with_core(Core::finish);
        self.stack.0.work.notify_one();
        Poll::Ready(Ok(()))
    }
}

impl Drop for StackStream {
    fn drop(&mut self) {
        self.with_core(Core::abandon);
        self.stack.0.work.notify_one();
    }
}

impl StackListener {
    pub(super) const fn new(stack: Stack, port: u16) -> Self {
        Self { stack, port }
    }

    /// The next connection.
    ///
    /// # Errors
    /// `NotConnected` once the stack is closed.
    pub async fn accept(&self) -> io::Result<StackStream> {
        let accept =
            |context: &mut Context<'_>| self.stack.0.core.lock().poll_accept(self.port, context);
        let (handle, remote) = std::future::poll_fn(accept).await?;
        Ok(StackStream::new(self.stack.clone(), handle, remote))
    }
}

impl Drop for StackListener {
    fn drop(&mut self) {
        self.stack.0.core.lock().stop_listening(self.port);
        self.stack.0.work.notify_one();
    }
}
