//! An open connection on which no link is agreed yet, and its way into the parts that the data path
//! works with.

use std::{
    io::{self, Read},
    net::SocketAddr,
};

use planetary_proto::link::meta::{Capabilities, Meta};
use socket2::Socket;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsStream;

use super::{
    Direction, Established, LinkStream,
    handshake::{HandshakeError, Terms, exchange},
    lane::DatagramLane,
    socket,
};

/// A connection whose bytes are the link's, while the runtime still owns it.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send + Sync {
    /// What it can do beyond the stream of bytes.
    fn capabilities(&self) -> Capabilities {
        Capabilities::NONE
    }

    /// Opens the lane for datagrams beside the stream, once the peer has said that it knows of it.
    fn open_lane(&self) -> io::Result<Option<DatagramLane>> {
        Ok(None)
    }

    /// Hands the connection over to blocking threads: its own socket, or one that stands for it.
    fn into_socket(self: Box<Self>) -> io::Result<Socket>;
}

impl Wire for TcpStream {
    fn into_socket(self: Box<Self>) -> io::Result<Socket> {
        let socket = Socket::from(self.into_std()?);
        socket::adopt(&socket)?;
        Ok(socket)
    }
}

#[cfg(unix)]
impl Wire for tokio::net::UnixStream {
    fn into_socket(self: Box<Self>) -> io::Result<Socket> {
        let socket = Socket::from(std::os::fd::OwnedFd::from(self.into_std()?));
        socket::adopt(&socket)?;
        Ok(socket)
    }
}

/// A connection while the runtime still owns it.
pub(super) enum Transport {
    Plain(Box<dyn Wire>),
    Tls(Box<TlsStream<Box<dyn Wire>>>),
}

/// Where a connection came from or went to, to be told in [`Established`].
pub(super) struct Origin {
    pub(super) remote: Option<SocketAddr>,
    pub(super) direction: Direction,
    pub(super) interface: Option<String>,
    pub(super) uri: String,
}

impl Transport {
    /// Performs the handshake and takes the connection apart. The caller sets the deadline.
    pub(super) async fn agree(
        mut self,
        terms: &Terms<'_>,
        origin: Origin,
    ) -> Result<Established, HandshakeError> {
        let Origin { remote, direction, interface, uri } = origin;
        let Meta { key: peer, priority, capabilities } = self.exchange(terms).await?;
        let datagrams = if capabilities.contain(Capabilities::DATAGRAMS) {
            self.open_lane().map_err(HandshakeError::Io)?
        } else {
            None
        };
        let (stream, leftover) = self.into_parts().map_err(HandshakeError::Io)?;
        let found_on = None;
        Ok(Established {
            stream,
            datagrams,
            peer,
            priority,
            capabilities,
            remote,
            direction,
            interface,
            leftover,
            uri,
            found_on,
        })
    }

    /// Performs the handshake and closes the connection. The caller sets the deadline.
    pub(super) async fn greet(mut self, terms: &Terms<'_>) -> Result<Meta, HandshakeError> {
        self.exchange(terms).await
    }

    async fn exchange(&mut self, terms: &Terms<'_>) -> Result<Meta, HandshakeError> {
        match self {
            Self::Plain(wire) => {
                let capabilities = wire.capabilities();
                exchange(wire, terms, capabilities).await
            }
            Self::Tls(stream) => exchange(&mut **stream, terms, Capabilities::NONE).await,
        }
    }

    fn open_lane(&self) -> io::Result<Option<DatagramLane>> {
        match self {
            Self::Plain(wire) => wire.open_lane(),
            Self::Tls(_) => Ok(None),
        }
    }

    /// Takes the connection apart. The bytes are what the library had received and decrypted
    /// before.
    fn into_parts(self) -> io::Result<(LinkStream, Vec<u8>)> {
        let (wire, mut connection) = match self {
            Self::Plain(wire) => return Ok((LinkStream::Plain(wire.into_socket()?), Vec::new())),
            Self::Tls(stream) => match *stream {
                TlsStream::Client(stream) => {
                    let (wire, connection) = stream.into_inner();
                    (wire, rustls::Connection::from(connection))
                }
                TlsStream::Server(stream) => {
                    let (wire, connection) = stream.into_inner();
                    (wire, rustls::Connection::from(connection))
                }
            },
        };
        let leftover = decrypted(&mut connection)?;
        let connection = Box::new(connection);
        Ok((LinkStream::Tls { socket: wire.into_socket()?, connection }, leftover))
    }
}

/// Drains what a TLS session has decrypted; at most what was received in one go.
fn decrypted(connection: &mut rustls::Connection) -> io::Result<Vec<u8>> {
    connection.process_new_packets().map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    match connection.reader().read_to_end(&mut bytes) {
        // More may come, or the other side has ended its direction, which whoever reads on will
        // see.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(bytes),
        done => done.map(|_| bytes),
    }
}
