//! A real `sshd` on a host, and logins to it from others.

use std::fs;
use std::net::{Ipv6Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::host::{self, Host};
use crate::need;
use crate::wait::{Deadline, until};

/// An SSH server with keys of its own; it ends when dropped.
pub struct SshServer {
    process: Child,
    key: PathBuf,
}

impl SshServer {
    /// The port it listens on, at every address of its host.
    pub const PORT: u16 = 22;

    /// Starts a server on a host, with its keys in `folder`.
    ///
    /// # Errors
    /// When it does not start to answer.
    pub fn start(host: &Host, folder: &Path) -> Result<Self> {
        let folder = folder.join("ssh");
        fs::create_dir_all(&folder)?;
        // sshd wants it, and the package makes it only where systemd runs.
        fs::create_dir_all("/run/sshd")?;
        let [host_key, key] = ["host", "user"].map(|name| folder.join(name));
        for file in [&host_key, &key] {
            let mut make = Command::new("ssh-keygen");
            host::finish(make.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(file))?;
        }
        let log = fs::File::create(folder.join("log"))?;
        let mut command = host.command(need::find("sshd").context("no sshd")?);
        command.args(["-D", "-e", "-f", "/dev/null", "-p", &Self::PORT.to_string(), "-h"]);
        command.arg(&host_key);
        let authorized = key.with_extension("pub");
        for option in [
            format!("AuthorizedKeysFile={}", authorized.display()),
            "StrictModes=no".to_owned(),
            "PermitRootLogin=prohibit-password".to_owned(),
            "PidFile=none".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        let process = command.stdout(Stdio::null()).stderr(log).spawn().context("no sshd")?;
        let server = Self { process, key };
        let dial = || {
            let here = (Ipv6Addr::LOCALHOST, Self::PORT).into();
            TcpStream::connect_timeout(&here, Duration::from_secs(1)).map(drop)
        };
        until("sshd to answer", Deadline::seconds(20), || {
            host.enter(dial)?.context("not yet")?;
            Ok(Some(()))
        })?;
        Ok(server)
    }

    /// Logs in from a host and runs `echo hello` there; returns what came back.
    ///
    /// # Errors
    /// When it fails; the text has what `ssh` said.
    pub fn login(&self, from: &Host, address: Ipv6Addr) -> Result<String> {
        let mut command = from.command("ssh");
        command.args(["-F", "/dev/null", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5"]);
        command.args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]);
        command.args(["-o", "LogLevel=ERROR", "-i"]).arg(&self.key);
        command.args([&format!("root@{address}"), "echo", "hello"]);
        host::finish(&mut command)
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
