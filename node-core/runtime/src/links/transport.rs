//! An open connection on which no link is agreed yet, and its way into the parts that the data path
//! works with.

use std::{
    io::{self, Read},
    net::SocketAddr,
};

use planetary_proto::link::meta::Meta;
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use super::{
    Direction, Established, LinkStream,
    handshake::{HandshakeError, Terms, exchange},
    socket,
};

/// A connection while the runtime still owns it.
pub(super) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Where a connection came from or went to, to be told in [`Established`].
pub(super) struct Origin {
    pub(super) remote: SocketAddr,
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
        let Meta { key: peer, priority } = self.exchange(terms).await?;
        let (stream, leftover) = self.into_parts().map_err(HandshakeError::Io)?;
        let found_on = None;
        Ok(Established {
            stream,
            peer,
            priority,
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
            Self::Plain(stream) => exchange(stream, terms).await,
            Self::Tls(stream) => exchange(&mut **stream, terms).await,
        }
    }

    /// The address of the other side.
    pub(super) fn remote(&self) -> io::Result<SocketAddr> {
        let socket = match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_ref().0,
        };
        socket.peer_addr()
    }

    /// Takes the connection apart. The bytes are what the library had received and decrypted
    /// before.
    fn into_parts(self) -> io::Result<(LinkStream, Vec<u8>)> {
        let (socket, mut connection) = match self {
            Self::Plain(socket) => return Ok((LinkStream::Plain(adopted(socket)?), Vec::new())),
            Self::Tls(stream) => match *stream {
                TlsStream::Client(stream) => {
                    let (socket, connection) = stream.into_inner();
                    (socket, rustls::Connection::from(connection))
                }
                TlsStream::Server(stream) => {
                    let (socket, connection) = stream.into_inner();
                    (socket, rustls::Connection::from(connection))
                }
            },
        };
        let leftover = decrypted(&mut connection)?;
        let connection = Box::new(connection);
        Ok((LinkStream::Tls { socket: adopted(socket)?, connection }, leftover))
    }
}

/// Hands a socket over to blocking threads.
fn adopted(socket: TcpStream) -> io::Result<std::net::TcpStream> {
    let socket = socket.into_std()?;
    socket::adopt(&socket)?;
    Ok(socket)
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
