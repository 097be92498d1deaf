//! A web server on one host and a download from another.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::host::{self, Host};
use crate::wait::{Deadline, until};

/// A web server that serves the files of a folder; it ends when dropped.
pub struct WebServer {
    process: Child,
    address: SocketAddr,
}

impl WebServer {
    /// Starts to serve a folder at an address of a host.
    ///
    /// # Errors
    /// When it does not start to answer.
    pub fn start(host: &Host, address: impl Into<IpAddr>, folder: &Path) -> Result<Self> {
        let address = SocketAddr::from((address.into(), 8000));
        let mut command = host.command("python3");
        command.args(["-m", "http.server", "8000", "--bind", &address.ip().to_string()]);
        command.arg("--directory").arg(folder).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().context("cannot start the web server")?;
        let server = Self { process, address };
        let dial = || TcpStream::connect_timeout(&address, Duration::from_secs(1)).map(drop);
        until("the web server to answer", Deadline::seconds(20), || {
            host.enter(dial)?.context("not yet")?;
            Ok(Some(()))
        })?;
        Ok(server)
    }

    /// The URL of a file.
    #[must_use]
    pub fn url(&self, file: &str) -> String {
        format!("http://{}/{file}", self.address)
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Fetches a URL into a file with `curl`, on a host.
///
/// # Errors
/// When `curl` fails; the text has what it said.
pub fn fetch(host: &Host, url: &str, file: &Path) -> Result<()> {
    let mut command = host.command("curl");
    command.args(["--silent", "--show-error", "--fail", "--globoff", "--noproxy", "*"]);
    command.args(["--connect-timeout", "5", "--max-time", "60", "--output"]).arg(file).arg(url);
    host::finish(&mut command).map(drop)
}
