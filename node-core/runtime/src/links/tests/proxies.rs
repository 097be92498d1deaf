//! Links through a SOCKS proxy, here a small one that lets only one user through.

use std::net::{IpAddr, Ipv4Addr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use super::*;

/// A proxy that wants the login `user:word`, and takes every name for this machine. Tells which
/// names it was asked for.
async fn proxy() -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, names) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(client, asked.clone()));
        }
    });
    (address, names)
}

async fn serve(mut client: TcpStream, asked: mpsc::UnboundedSender<String>) -> io::Result<()> {
    let mut offer = [0; 3];
    client.read_exact(&mut offer).await?;
    if offer[1] != 2 {
        return client.write_all(&[5, 0xff]).await;
    }
    // The second of two methods, then the whole login in one go.
    let _ = client.read_u8().await?;
    client.write_all(&[5, 2]).await?;
    let mut login = [0; 11];
    client.read_exact(&mut login).await?;
    if login != *b"\x01\x04user\x04word" {
        return client.write_all(&[1, 1]).await;
    }
    client.write_all(&[1, 0]).await?;
    let mut head = [0; 4];
    client.read_exact(&mut head).await?;
    let host: IpAddr = if head[3] == 1 {
        let mut octets = [0; 4];
        client.read_exact(&mut octets).await?;
        octets.into()
    } else {
        let len = client.read_u8().await?;
        let mut name = vec![0; len.into()];
        client.read_exact(&mut name).await?;
        let _ = asked.send(String::from_utf8(name).unwrap());
        Ipv4Addr::LOCALHOST.into()
    };
    let port = client.read_u16().await?;
    let Ok(mut node) = TcpStream::connect((host, port)).await else {
        return client.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).await;
    };
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    copy_bidirectional(&mut client, &mut node).await.map(drop)
}

/// The test blocks on the link while the proxy works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_run_through_a_proxy() {
    for (scheme, listener) in [("socks", "tcp"), ("sockstls", "tls")] {
        let (proxy, mut names) = proxy().await;
        let (mut side, address) =
            Side::listening(end(1, &[]), &format!("{listener}://127.0.0.1:0?password=x")).await;
        for host in ["127.0.0.1", "node.example"] {
            let place = format!("{scheme}://{proxy}/{host}:{}", address.port());
            let uri = place.replace("://", "://user:word@") + "?password=x";
            let mut outgoing = dialled(&uri).await.unwrap();
            assert_eq!((outgoing.peer, outgoing.remote), (key(1), Some(proxy)));
            assert_eq!(outgoing.uri, place, "who we are to the proxy is nobody's business");

            let mut held = side.link().await;
            write(&mut outgoing, b"over");
            assert_eq!(read(&mut held.link, 4), b"over", "{uri}");
            write(&mut held.link, b"and back");
            assert_eq!(read(&mut outgoing, 8), b"and back", "{uri}");
        }
        assert_eq!(names.try_recv().unwrap(), "node.example", "the proxy resolves it");
    }
}

#[tokio::test]
async fn a_proxy_that_does_not_help_is_named_with_the_reason() {
    let (proxy, _names) = proxy().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (login, reason) in [
        ("", "wants a login"),
        ("user:wrod@", "refused the user name or the password"),
        ("user:word@", "the connection was refused"),
    ] {
        let error = dialled(&format!("socks://{login}{proxy}/{free}")).await.unwrap_err();
        let told = LinkEnd::from(&error);
        assert_eq!(told.code, "proxy_failed");
        let message = &told.message;
        assert!(message.contains(reason) && message.contains(&proxy.to_string()), "{message}");
        assert!(!message.contains("wrod"), "{message}");
    }
    let error = dialled(&format!("socks://user:word@{proxy}/[200::1]:9")).await.unwrap_err();
    assert_eq!(
        error.code(),
        "no_suitable_address",
        "not over the overlay by way of a proxy either"
    );
}
