//! Serves the mock network on a socket, so that a client can be tried without a node:
//! `cargo run -p planetary-ipc --example mock -- /tmp/planetary.sock`.

use std::path::PathBuf;
use std::process::ExitCode;

use planetary_ipc::mock::Mock;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: mock SOCKET");
        return ExitCode::from(2);
    };
    let mock = Mock::new();
    eprintln!("PLANETARY_CONTROL={}", path.display());
    tokio::select! {
        served = mock.serve(&path) => {
            if let Err(error) = served {
                eprintln!("{error}");
            }
            ExitCode::FAILURE
        }
        () = mock.run() => ExitCode::SUCCESS,
    }
}
