//! More handshakes than there is room for.

use tokio::{
    io::AsyncReadExt,
    net::{TcpSocket, TcpStream},
};

use super::*;
use crate::links::listen::{HANDSHAKES_MAX, HANDSHAKES_PER_SOURCE_MAX};

/// Connects from an address of the loopback network.
async fn connect_from(source: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((source, 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// Whether the other side has closed the connection without a word.
async fn is_refused(stream: &mut TcpStream) -> bool {
    matches!(soon(stream.read(&mut [0; 1])).await, Ok(0) | Err(_))
}

#[tokio::test]
async fn too_many_handshakes_at_once_are_refused_and_room_is_made_again() {
    // TLS, so that the listener says nothing by itself to those it takes.
    let (mut side, address) = Side::listening(end(1, &[]), "tls://127.0.0.1:0").await;
    let mut silent = Vec::new();
    for source in 0..(HANDSHAKES_MAX / HANDSHAKES_PER_SOURCE_MAX) as u8 {
        for _ in 0..HANDSHAKES_PER_SOURCE_MAX {
            silent.push(connect_from([127, 0, 1, source], address).await);
        }
    }
    let uri = format!("tls://{address}");
    let mut stranger = connect_from([127, 0, 2, 1], address).await;
    assert!(is_refused(&mut stranger).await);

    // Those who were taken are still being waited for.
    assert!(silent[0].try_read(&mut [0; 1]).is_err());
    drop(silent);
    // The listener sees that they are gone, each in its own task.
    let linked = async {
        loop {
            if let Ok(link) = dialled(&uri).await {
                break link;
            }
        }
    };
    assert_eq!(soon(linked).await.peer, key(1));
    assert_eq!(side.link().await.link.peer, key(2));
}

#[tokio::test]
async fn one_source_cannot_take_all_the_room() {
    let (mut side, address) = Side::listening(end(1, &[]), "tls://127.0.0.1:0").await;
    let mut silent = Vec::new();
    for _ in 0..HANDSHAKES_PER_SOURCE_MAX {
        silent.push(connect_from([127, 0, 1, 1], address).await);
    }
    assert!(is_refused(&mut connect_from([127, 0, 1, 1], address).await).await);

    // The dialer comes from 127.0.0.1.
    assert_eq!(dialled(&format!("tls://{address}")).await.unwrap().peer, key(1));
    assert_eq!(side.link().await.link.peer, key(2));
}
