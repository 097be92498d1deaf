//! Server and clients over a real socket: the number of clients, trust, and the end.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a step that fails ends its test")]

use std::path::{Path, PathBuf};

use planetary_ipc::client::{self, ConnectError};
use planetary_ipc::endpoint::{Listener, ReachError};
use planetary_ipc::mock::Mock;
use planetary_ipc::{Client, ErrorCode, State, Updates, limits, serve};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

struct Running {
    path: PathBuf,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

fn start() -> Running {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let listener = Listener::bind(&path).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let service = Mock::settled().service();
    let serving = tokio::spawn(serve(listener, service, async {
        let _ = stopped.await;
    }));
    Running { path, stop, serving, _folder: folder }
}

async fn connect(path: &Path) -> Result<(Client, Updates), ConnectError> {
    client::connect(path, "test").await
}

#[tokio::test]
async fn client_reaches_the_service() {
    let running = start();
    let (client, _updates) = connect(&running.path).await.unwrap();
    assert_eq!(client.status().await.unwrap().state, State::Connected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_client_is_lost_while_others_come_and_go() {
    let running = start();
    let callers = (0..8).map(|_| {
        let path = running.path.clone();
        tokio::spawn(async move {
            for _ in 0..100 {
                connect(&path).await.unwrap();
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
}

#[tokio::test]
async fn one_client_too_many_is_told_so_and_place_becomes_free() {
    let running = start();
    let mut clients = Vec::new();
    for _ in 0..limits::CLIENTS_MAX {
        clients.push(connect(&running.path).await.unwrap());
    }
    for _ in 0..3 {
        let Err(ConnectError::Refused(error)) = connect(&running.path).await else { panic!() };
        assert_eq!(error.code, ErrorCode::TooManyClients);
    }
    clients[0].0.status().await.unwrap();

    clients.pop();
    // The place is free as soon as the server has seen the end of the connection.
    let mut tries = 0;
    while connect(&running.path).await.is_err() {
        tries += 1;
        assert!(tries < 1_000, "no place became free");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn stopped_service_tells_its_clients_and_leaves_no_file() {
    let Running { path, stop, serving, _folder } = start();
    let (client, mut updates) = connect(&path).await.unwrap();
    stop.send(()).unwrap();
    serving.await.unwrap();
    assert!(updates.next().await.is_err());
    assert!(client.status().await.is_err());
    assert!(matches!(connect(&path).await, Err(ConnectError::Reach(ReachError::NotFound { .. }))));
}
