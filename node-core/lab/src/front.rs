//! A web server in front of nodes: nginx, which terminates TLS and passes WebSockets on.

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::host::{self, Host};
use crate::wait::{Deadline, until};

/// The port of every front server.
const PORT: u16 = 443;

/// An nginx; it ends when dropped.
pub struct FrontServer {
    process: Child,
    access_log: PathBuf,
}

impl FrontServer {
    /// Starts to serve `https` at an address of a host. Requests for each path go to the server at
    /// the address beside it, in plain HTTP.
    ///
    /// # Errors
    /// When it does not start to answer.
    pub fn start(
        host: &Host,
        address: impl Into<IpAddr>,
        routes: &[(&str, SocketAddr)],
        folder: &Path,
    ) -> Result<Self> {
        let folder = folder.join("front");
        fs::create_dir_all(&folder)?;
        let address = SocketAddr::from((address.into(), PORT));
        make_certificate(&folder)?;
        let config = folder.join("nginx.conf");
        fs::write(&config, configuration(&folder, address, routes))?;
        let mut command = host.command("nginx");
        // The prefix is where it would write otherwise.
        command.arg("-p").arg(&folder).arg("-c").arg(&config);
        command.arg("-e").arg(folder.join("error.log"));
        let process = command.stdout(Stdio::null()).spawn().context("cannot start nginx")?;
        let server = Self { process, access_log: folder.join("access.log") };
        let dial = || TcpStream::connect_timeout(&address, Duration::from_secs(1)).map(drop);
        until("nginx to answer", Deadline::seconds(20), || {
            host.enter(dial)?.context("not yet")?;
            Ok(Some(()))
        })?;
        Ok(server)
    }

    /// What it has noted of the requests that are over: first lines, as they came.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn access_log(&self) -> Result<String> {
        fs::read_to_string(&self.access_log).context("no access log")
    }
}

impl Drop for FrontServer {
    fn drop(&mut self) {
        // A single process, which may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Writes a certificate that nobody has signed, and its key.
fn make_certificate(folder: &Path) -> Result<()> {
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    command.args(["-noenc", "-days", "2", "-subj", "/CN=front.example", "-keyout"]);
    command.arg(folder.join("key.pem")).arg("-out").arg(folder.join("certificate.pem"));
    host::finish(&mut command).map(drop)
}

fn configuration(folder: &Path, address: SocketAddr, routes: &[(&str, SocketAddr)]) -> String {
    let folder = folder.display();
    let locations = routes.iter().map(|(path, upstream)| {
        format!(
            "location {path} {{
                proxy_pass http://{upstream};
                proxy_http_version 1.1;
                proxy_set_header Upgrade $http_upgrade;
                proxy_set_header Connection \"upgrade\";
            }}\n"
        )
    });
    let locations: String = locations.collect();
    let scratch = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let scratch = scratch.map(|kind| format!("{kind}_temp_path {folder}/{kind};\n")).concat();
    format!(
        "daemon off;
        master_process off;
        pid {folder}/pid;
        events {{}}
        http {{
            access_log {folder}/access.log;
            {scratch}
            server {{
                listen {address} ssl;
                ssl_certificate {folder}/certificate.pem;
                ssl_certificate_key {folder}/key.pem;
                {locations}
            }}
        }}\n"
    )
}
