//! A real `systemd-resolved` on a host, with a bus of its own, and a name server out in the
//! internet.
//!
//! The resolver answers what programs of the host look up, because the host has files of its own
//! for that (`/etc/netns`, which `ip netns exec` puts in the places of the machine's). Nothing of
//! the machine is touched: the bus is a socket in the folder of the scenario, and the resolver's
//! own files lie in a mount namespace that ends with it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::host::{self, Host};
use crate::need;
use crate::wait::{Deadline, until};

/// Where `ip netns exec` looks for files of a host.
pub(crate) const FILES: &str = "/etc/netns";

/// The account that the resolver runs as. Its package makes it; where the resolver was only
/// unpacked there is none.
const ACCOUNT: &str = "systemd-resolve";
const ACCOUNT_ID: u32 = 64_987;

/// The resolver of a host; it ends when dropped.
pub struct Resolver {
    host: Host,
    folder: PathBuf,
    bus: Child,
    /// Gone while it is being restarted.
    daemon: Option<Child>,
}

/// The programs, from where they are installed or were unpacked by `cargo xtask setup`.
struct Programs {
    daemon: PathBuf,
    tool: PathBuf,
}

impl Programs {
    fn find() -> Option<Self> {
        let unpacked = host::target_dir().join("lab/systemd-resolved");
        let roots = [PathBuf::from("/"), unpacked];
        roots.into_iter().find_map(|root| {
            let folders = ["usr/lib/systemd", "lib/systemd"].map(|folder| root.join(folder));
            let daemon = folders.map(|folder| folder.join("systemd-resolved"));
            let daemon = daemon.into_iter().find(|file| file.is_file())?;
            let tool = Some(root.join("usr/bin/resolvectl")).filter(|file| file.is_file())?;
            Some(Self { daemon, tool })
        })
    }
}

impl Resolver {
    /// What is missing here for it, in words.
    #[must_use]
    pub fn missing() -> Option<&'static str> {
        match (Programs::find(), need::find("dbus-daemon")) {
            (None, _) => Some("systemd-resolved"),
            (_, None) => Some("dbus-daemon"),
            _ => None,
        }
    }

    /// Starts bus and resolver on a host. Whatever nobody else is to be asked for is asked at
    /// `upstream`.
    ///
    /// # Errors
    /// When they do not start to answer.
    pub fn start(host: &Host, folder: &Path, upstream: Ipv4Addr) -> Result<Self> {
        let folder = folder.join("resolver");
        fs::create_dir_all(&folder)?;
        write_files(host, &folder, upstream)?;
        let mut bus = host.command("dbus-daemon");
        bus.arg(format!("--config-file={}", folder.join("bus.conf").display()));
        let log = fs::File::create(folder.join("bus.log"))?;
        let bus = bus.args(["--nofork", "--nopidfile"]).stdout(Stdio::null()).stderr(log).spawn();
        let bus = bus.context("cannot start the bus")?;
        let mut resolver = Self { host: host.clone(), folder, bus, daemon: None };
        until("the bus to answer", Deadline::seconds(20), || {
            ensure!(resolver.folder.join("bus").exists(), "no socket yet");
            Ok(Some(()))
        })?;
        resolver.run()?;
        Ok(resolver)
    }

    /// The address of the bus, for programs that are to use it as the system's.
    #[must_use]
    pub fn bus(&self) -> String {
        format!("unix:path={}", self.folder.join("bus").display())
    }

    /// Ends the resolver and starts it anew: it has forgotten everything then.
    ///
    /// # Errors
    /// When it does not start to answer.
    pub fn restart(&mut self) -> Result<()> {
        self.end();
        self.run()
    }

    /// Runs `resolvectl`.
    ///
    /// # Errors
    /// When it fails; the text has what it said.
    pub fn ctl<const N: usize>(&self, args: [&str; N]) -> Result<String> {
        let tool = Programs::find().context("no resolvectl")?.tool;
        let mut command = self.host.command(tool);
        command.env("DBUS_SYSTEM_BUS_ADDRESS", self.bus()).args(["--no-pager", "--legend=no"]);
        host::finish(command.args(args))
    }

    fn run(&mut self) -> Result<()> {
        let programs = Programs::find().context("no systemd-resolved")?;
        let script = "mount -t tmpfs tmpfs /run/systemd && mkdir /run/systemd/resolve \
                      /run/systemd/resolved.conf.d && chown $1:$1 /run/systemd/resolve && cp $2 \
                      /run/systemd/resolved.conf.d && exec $3";
        let log = self.folder.join("log");
        let log = fs::File::options().create(true).append(true).open(log)?;
        fs::create_dir_all("/run/systemd")?;
        let mut command = self.host.command("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-ec", script, "sh", ACCOUNT]);
        command.arg(self.folder.join("lab.conf")).arg(programs.daemon);
        command.env("DBUS_SYSTEM_BUS_ADDRESS", self.bus()).stdout(Stdio::null()).stderr(log);
        self.daemon = Some(command.spawn().context("cannot start systemd-resolved")?);
        until("systemd-resolved to answer", Deadline::seconds(20), || {
            self.ctl(["status"]).map(|_| Some(()))
        })
    }

    fn end(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            // It may be gone already.
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.end();
        let _ = self.bus.kill();
        let _ = self.bus.wait();
        let _ = fs::remove_dir_all(Path::new(FILES).join(self.host.name()));
    }
}

/// Writes what the resolver and the programs of the host read.
fn write_files(host: &Host, folder: &Path, upstream: Ipv4Addr) -> Result<()> {
    let policy = "<allow user='*'/><allow own='*'/><allow send_destination='*'/>\
                  <allow receive_sender='*'/>";
    let bus = format!(
        "<!DOCTYPE busconfig PUBLIC '-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN' \
         'busconfig.dtd'>\n<busconfig><type>system</type><listen>unix:path={}</listen>\
         <policy context='default'>{policy}</policy></busconfig>\n",
        folder.join("bus").display()
    );
    fs::write(folder.join("bus.conf"), bus)?;
    let settings = "LLMNR=no\nMulticastDNS=no\nDNSSEC=no\nFallbackDNS=\n";
    fs::write(folder.join("lab.conf"), format!("[Resolve]\nDNS={upstream}\n{settings}"))?;
    let files = Path::new(FILES).join(host.name());
    fs::create_dir_all(&files)?;
    fs::write(files.join("resolv.conf"), "nameserver 127.0.0.53\noptions edns0 trust-ad\n")?;
    fs::write(files.join("nsswitch.conf"), "passwd: files\ngroup: files\nhosts: files dns\n")?;
    for (name, line) in [
        ("passwd", format!("{ACCOUNT}:x:{ACCOUNT_ID}:{ACCOUNT_ID}::/:/usr/sbin/nologin\n")),
        ("group", format!("{ACCOUNT}:x:{ACCOUNT_ID}:\n")),
    ] {
        let there = fs::read_to_string(Path::new("/etc").join(name))?;
        let others = there.lines().filter(|line| !line.starts_with(&format!("{ACCOUNT}:")));
        let others: String = others.map(|line| format!("{line}\n")).collect();
        fs::write(files.join(name), others + &line)?;
    }
    Ok(())
}

/// A name server that knows an IPv4 address for every name, and remembers what it was asked.
pub struct Upstream {
    asked: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    /// What it answers.
    pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);

    /// Starts to answer at an address of a host. It ends with the process.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn start(host: &Host, address: Ipv4Addr) -> Result<Self> {
        let socket = host.enter(|| UdpSocket::bind(SocketAddr::from((address, 53))))??;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut question = [0; 2048];
            while let Ok((len, from)) = socket.recv_from(&mut question) {
                let Some((name, answer)) = answer(&question[..len]) else { continue };
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(name);
                // Whoever asked may be gone.
                let _ = socket.send_to(&answer, from);
            }
        });
        Ok(Self { asked })
    }

    /// The names that it was asked for, each as often as it was.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The name of a question, and its answer.
fn answer(question: &[u8]) -> Option<(String, Vec<u8>)> {
    const A: [u8; 2] = [0, 1];
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let len = usize::from(*question.get(at)?);
        let label = question.get(at + 1..at + 1 + len)?;
        at += 1 + len;
        if len == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
    }
    let has_address = question.get(at..at + 2)? == A;
    let mut answer = question.get(..at + 4)?.to_vec();
    // An answer to a question that wanted all of it, and nothing but the question in it so far.
    answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(has_address), 0, 0, 0, 0]);
    if has_address {
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
        answer.extend_from_slice(&Upstream::ADDRESS.octets());
    }
    Some((labels.join("."), answer))
}

/// Sends a datagram from a host and returns what comes back within so long, if anything does.
///
/// # Errors
/// When the host has no way to the address.
pub fn datagram(
    host: &Host,
    to: SocketAddr,
    data: &[u8],
    patience: Duration,
) -> Result<Option<Vec<u8>>> {
    host.enter(|| {
        let socket = UdpSocket::bind("[::]:0")?;
        socket.set_read_timeout(Some(patience))?;
        socket.connect(to)?;
        socket.send(data)?;
        let mut answer = vec![0; 2048];
        Ok(socket.recv(&mut answer).ok().map(|len| {
            answer.truncate(len);
            answer
        }))
    })?
}
