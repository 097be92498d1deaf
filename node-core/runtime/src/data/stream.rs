//! The byte stream of a link as the data half sees it: blocking reads by one thread, writes by any
//! thread that never wait.

use std::{
    io::{self, ErrorKind, IoSlice, Read, Write},
    sync::Arc,
};

use parking_lot::Mutex;
use socket2::Socket;

use crate::links::{LinkStream, socket};

/// Ciphertext is read in pieces of this size: a TLS record and its head.
const CIPHERTEXT_READ: usize = 64 * 1024;

/// A stream split into its two directions, which share the TLS state if there is one.
pub(crate) fn split(stream: LinkStream) -> (ReadHalf, WriteHalf) {
    match stream {
        LinkStream::Plain(socket) => {
            let socket = Arc::new(socket);
            (ReadHalf { socket: Arc::clone(&socket), tls: None }, WriteHalf { socket, tls: None })
        }
        LinkStream::Tls { socket, mut connection } => {
            let socket = Arc::new(socket);
            // Bounded by the link's own queues instead: a frame is encrypted only when the socket
            // took the one before.
            connection.set_buffer_limit(None);
            let connection = Arc::new(Mutex::new(*connection));
            let tls = TlsReader {
                connection: Arc::clone(&connection),
                ciphertext: vec![0; CIPHERTEXT_READ].into_boxed_slice(),
            };
            (
                ReadHalf { socket: Arc::clone(&socket), tls: Some(tls) },
                WriteHalf { socket, tls: Some(connection) },
            )
        }
    }
}

/// The direction from the far end to us.
pub(crate) struct ReadHalf {
    socket: Arc<Socket>,
    tls: Option<TlsReader>,
}

struct TlsReader {
    connection: Arc<Mutex<rustls::Connection>>,
    ciphertext: Box<[u8]>,
}

impl ReadHalf {
    /// Waits for bytes and appends them to `into`, which must have room; 0 is the end of the
    /// stream.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => socket::recv(&self.socket, into),
            Some(tls) => tls.read(&self.socket, into),
        }
    }
}

impl TlsReader {
    fn read(&mut self, socket: &Socket, into: &mut [u8]) -> io::Result<usize> {
        loop {
            // Plaintext that did not fit last time.
            let len = drain(&mut self.connection.lock(), into)?;
            if len > 0 {
                return Ok(len);
            }
            let got = socket::recv(socket, &mut self.ciphertext)?;
            if got == 0 {
                return Ok(0);
            }
            let mut rest = &self.ciphertext[..got];
            let mut connection = self.connection.lock();
            let mut len = 0;
            while !rest.is_empty() {
                let taken = connection.read_tls(&mut rest)?;
                let state = connection
                    .process_new_packets()
                    .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
                len += drain(&mut connection, &mut into[len..])?;
                if state.peer_has_closed() && len == 0 {
                    return Ok(0);
                }
                if taken == 0 {
                    // No room is left for more than what `into` takes; callers offer more than was
                    // read.
                    return Err(io::Error::new(ErrorKind::InvalidData, "TLS buffer is full"));
                }
            }
            if len > 0 {
                return Ok(len);
            }
        }
    }
}

/// Moves decrypted bytes out of the connection.
fn drain(connection: &mut rustls::Connection, into: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < into.len() {
        match connection.reader().read(&mut into[len..]) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            // The far end went away without a farewell; what it sent before counts.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

/// The direction from us to the far end.
pub(crate) struct WriteHalf {
    socket: Arc<Socket>,
    tls: Option<Arc<Mutex<rustls::Connection>>>,
}

/// How far a write got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// All of it.
    All,
    /// The socket is full after this many bytes. With TLS the rest is in the connection and counts
    /// as taken.
    Blocked(usize),
}

impl WriteHalf {
    pub(crate) const fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    /// Writes the parts, one after the other, without waiting. Until [`Self::flush`] says
    /// [`Written::All`], nothing more may be written after a blocked write.
    pub(crate) fn write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<Written> {
        match &self.tls {
            None => write_plain(&self.socket, parts),
            Some(tls) => {
                let mut connection = tls.lock();
                for part in parts {
                    connection.writer().write_all(part)?;
                }
                match flush_tls(&self.socket, &mut connection)? {
                    Written::All => Ok(Written::All),
                    Written::Blocked(_) => Ok(Written::Blocked(total(parts))),
                }
            }
        }
    }

    /// Writes what is left in the TLS connection. A blocked one says how many bytes of ciphertext
    /// the socket took.
    pub(crate) fn flush(&mut self) -> io::Result<Written> {
        match &self.tls {
            None => Ok(Written::All),
            Some(tls) => flush_tls(&self.socket, &mut tls.lock()),
        }
    }
}

/// A socket that takes a part of what it is given is full: that the next call says so is not waited
/// for.
fn write_plain(socket: &Socket, parts: &[IoSlice<'_>]) -> io::Result<Written> {
    let taken = match parts {
        [part] => socket::try_send(socket, part),
        parts => socket::try_send_vectored(socket, parts),
    };
    match taken {
        Ok(taken) if taken == total(parts) => Ok(Written::All),
        Ok(taken) => Ok(Written::Blocked(taken)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Written::Blocked(0)),
        Err(error) => Err(error),
    }
}

fn total(parts: &[IoSlice<'_>]) -> usize {
    parts.iter().map(|part| part.len()).sum()
}

fn flush_tls(socket: &Socket, connection: &mut rustls::Connection) -> io::Result<Written> {
    let mut socket = NonBlocking(socket);
    let mut taken = 0;
    while connection.wants_write() {
        match connection.write_tls(&mut socket) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(more) => taken += more,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Ok(Written::Blocked(taken));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Written::All)
}

/// A socket as a writer that never waits.
struct NonBlocking<'a>(&'a Socket);

impl Write for NonBlocking<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        socket::try_send(self.0, bytes)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        // More parts than one system call takes are written by the next one.
        socket::try_send_vectored(self.0, &parts[..parts.len().min(64)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
