//! A pair of sockets over loopback, in the mode in which links use them.

use std::{
    io::IoSlice,
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use socket2::SockRef;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

fn pair() -> (Socket, Socket) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dialled = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    let (dialled, accepted) = (Socket::from(dialled), Socket::from(accepted));
    for socket in [&dialled, &accepted] {
        tune(SockRef::from(socket)).unwrap();
        adopt(socket).unwrap();
    }
    (dialled, accepted)
}

/// Writes until nothing fits, and says how much did.
fn fill(socket: &Socket) -> usize {
    let chunk = [7; 16 * 1024];
    let mut total = 0;
    loop {
        match try_send(socket, &chunk) {
            Ok(count) => total += count,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                break total;
            }
        }
    }
}

#[test]
fn tuned_sockets_have_the_options_of_links() {
    let (dialled, _accepted) = pair();
    let socket = SockRef::from(&dialled);
    assert!(socket.tcp_nodelay().unwrap());
    assert!(!socket.keepalive().unwrap());
    #[cfg(target_os = "linux")]
    assert_eq!(socket.tcp_notsent_lowat().unwrap(), UNSENT_MAX);
}

#[test]
fn a_write_never_waits_and_the_wait_ends_when_there_is_room() {
    let (writer, reader) = pair();
    let filled = fill(&writer);
    assert!(filled > 0);
    assert!(!wait_writable(&writer, Duration::from_millis(20)).unwrap());

    let draining = thread::spawn(move || {
        let mut chunk = [0; 4096];
        let mut total = 0;
        while total < filled {
            let count = recv(&reader, &mut chunk).unwrap();
            assert!(count > 0 && chunk[..count].iter().all(|byte| *byte == 7));
            total += count;
        }
        reader
    });
    assert!(wait_writable(&writer, PATIENCE).unwrap());
    let reader = draining.join().unwrap();
    assert_eq!(try_send(&writer, b"more").unwrap(), 4);
    let mut rest = [0; 16];
    assert_eq!(recv(&reader, &mut rest).unwrap(), 4);
}

/// On loopback the far end's buffer takes bytes without end as long as it grows, so the limit shows
/// only once that is full.
#[cfg(target_os = "linux")]
#[test]
fn little_waits_unsent_in_the_system() {
    let (writer, _reader) = pair();
    fill(&writer);
    let unsent = unsent_bytes(&writer);
    assert!(unsent <= 2 * UNSENT_MAX as usize, "{unsent} bytes");
}

#[cfg(target_os = "linux")]
#[test]
fn little_waits_unread_on_a_short_line() {
    let (dialled, accepted) = pair();
    for socket in [&dialled, &accepted] {
        let room = socket.recv_buffer_size().unwrap();
        // Set, so that the system does not let it grow; it may permit less.
        assert!((200_000..=768 * 1024).contains(&room), "{room}");
    }
}

#[test]
fn parts_are_written_as_one() {
    let (writer, reader) = pair();
    let parts = [&b"head"[..], b"", b"body", b"tail"].map(IoSlice::new);
    assert_eq!(try_send_vectored(&writer, &parts).unwrap(), 12);
    let mut bytes = [0; 32];
    let mut len = 0;
    while len < 12 {
        len += recv(&reader, &mut bytes[len..]).unwrap();
    }
    assert_eq!(&bytes[..len], b"headbodytail");
}

#[test]
fn reading_waits_for_bytes() {
    let (writer, reader) = pair();
    let reading = thread::spawn(move || {
        let mut bytes = [0; 8];
        let len = recv(&reader, &mut bytes).unwrap();
        bytes[..len].to_vec()
    });
    thread::sleep(Duration::from_millis(20));
    assert!(!reading.is_finished());
    try_send(&writer, b"late").unwrap();
    assert_eq!(reading.join().unwrap(), b"late");
}

#[test]
fn shutting_down_wakes_the_reader_and_fails_the_writers() {
    let (near, far) = pair();
    fill(&near);
    thread::scope(|scope| {
        let reading = scope.spawn(|| recv(&near, &mut [0; 8]));
        let waiting = scope.spawn(|| wait_writable(&near, PATIENCE));
        // Whether they wait already makes no difference.
        thread::sleep(Duration::from_millis(20));
        shutdown(&near).unwrap();
        assert!(matches!(reading.join().unwrap(), Ok(0) | Err(_)));
        assert!(waiting.join().unwrap().unwrap());
    });
    let error = try_send(&near, b"x").unwrap_err();
    assert_ne!(error.kind(), io::ErrorKind::WouldBlock);
    drop(far);
}

/// How many bytes of a connection wait in the system, not yet on their way.
#[cfg(target_os = "linux")]
fn unsent_bytes(socket: &Socket) -> usize {
    use std::os::fd::AsRawFd;

    // From linux/sockios.h.
    const SIOCOUTQNSD: libc::c_ulong = 0x894b;
    let mut unsent: libc::c_int = 0;
    // SAFETY: the socket is open, and the request writes one integer.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCOUTQNSD, &raw mut unsent) };
    assert_eq!(result, 0);
    unsent as usize
}
