//! A SOCKS5 proxy on a host, as much of one as nodes need: it connects for one user.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Result;

use crate::host::Host;

/// How long the listening thread may not notice that it is to end.
const PATIENCE: Duration = Duration::from_millis(20);

/// A proxy that runs until its handle is dropped. Connections through it end with their nodes.
pub struct Proxy {
    /// Its port, at all addresses of the host.
    pub port: u16,
    served: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Proxy {
    /// Starts a proxy that wants this login, `user:password`.
    ///
    /// # Errors
    /// When there is no socket to be had.
    pub fn start(host: &Host, login: &str) -> Result<Self> {
        let listener = host.enter(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)))??;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let (served, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (count, ended) = (Arc::clone(&served), Arc::clone(&stop));
        let login: Arc<str> = login.into();
        let thread = host.spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((client, _)) => {
                        let (login, count) = (Arc::clone(&login), Arc::clone(&count));
                        // What fails is the client's business; it sees its connection end.
                        thread::spawn(move || drop(serve(client, &login, &count)));
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(PATIENCE),
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(())
        });
        Ok(Self { port, served, stop, thread: Some(thread) })
    }

    /// For how many connections it has reached the other side.
    #[must_use]
    pub fn served(&self) -> usize {
        self.served.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // An error of it shows in what went through it.
            let _ = thread.join();
        }
    }
}

/// Serves one client: greeting, login, request, and then bytes in both directions.
fn serve(mut client: TcpStream, login: &str, served: &AtomicUsize) -> io::Result<()> {
    client.set_nonblocking(false)?;
    client.set_nodelay(true)?;
    let [_, methods] = read(&mut client)?;
    let mut offered = vec![0; methods.into()];
    client.read_exact(&mut offered)?;
    if !offered.contains(&2) {
        return client.write_all(&[5, 0xff]);
    }
    client.write_all(&[5, 2])?;
    let [_, user] = read(&mut client)?;
    let user = text(&mut client, user)?;
    let [password] = read(&mut client)?;
    let given = format!("{user}:{}", text(&mut client, password)?);
    client.write_all(&[1, u8::from(given != login)])?;
    let [_, _, _, kind] = read(&mut client)?;
    let host = match kind {
        1 => Ipv4Addr::from(read::<4>(&mut client)?).to_string(),
        4 => Ipv6Addr::from(read::<16>(&mut client)?).to_string(),
        _ => {
            let [len] = read(&mut client)?;
            text(&mut client, len)?
        }
    };
    let port = u16::from_be_bytes(read(&mut client)?);
    let found: Vec<SocketAddr> = (host.as_str(), port).to_socket_addrs()?.collect();
    let Ok(node) = TcpStream::connect(&*found) else {
        return client.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]);
    };
    node.set_nodelay(true)?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    served.fetch_add(1, Ordering::Relaxed);
    let (inwards, outwards) = (client.try_clone()?, node.try_clone()?);
    let back = thread::spawn(move || pass_on(node, client));
    pass_on(inwards, outwards);
    let _ = back.join();
    Ok(())
}

/// Moves bytes until either side ends, and ends both then.
fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

fn read<const LEN: usize>(client: &mut TcpStream) -> io::Result<[u8; LEN]> {
    let mut bytes = [0; LEN];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn text(client: &mut TcpStream, len: u8) -> io::Result<String> {
    let mut bytes = vec![0; len.into()];
    client.read_exact(&mut bytes)?;
    String::from_utf8(bytes).map_err(|_| ErrorKind::InvalidData.into())
}
