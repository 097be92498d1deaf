//! The desktop app on a host: the real program on a display without a screen, used as a person
//! uses it, by what stands on its window.
//!
//! Around the program stand what a desktop brings: a display (Xvfb), a session bus, and a folder
//! for its settings, all of this app alone. WebKit's own driver starts it and steers it; that is
//! the driver to which `tauri-driver` would pass everything on.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use base64ct::{Base64, Encoding};
use serde_json::Value;

use crate::driver::{Driver, Element};
use crate::host::{self, Host};
use crate::need;
use crate::node::Node;
use crate::usage;
use crate::wait::{Deadline, until};

/// Names the app's program; `cargo xtask test` sets it.
const PROGRAM: &str = "PLANETARY_APP";

/// Where the driver listens. Every host has a loopback of its own.
const PORT: u16 = 4444;

/// How long the app may take to show something after a click.
const PATIENCE_SECONDS: u64 = 20;

/// What the app needs of a machine, beside what every scenario does.
const PROGRAMS: [&str; 3] = ["Xvfb", "dbus-daemon", "WebKitWebDriver"];

/// The app, running; it ends when this is dropped.
pub struct App {
    driver: Driver,
    folder: PathBuf,
    program: PathBuf,
    host: Host,
    // They end in this order.
    _steering: Running,
    _bus: Running,
    _display: Running,
}

impl App {
    /// What is missing to run it, in words; empty where all is there.
    #[must_use]
    pub fn missing() -> Vec<String> {
        let gone = PROGRAMS.into_iter().filter(|program| need::find(program).is_none());
        let mut missing: Vec<String> = gone.map(|name| format!("the program {name}")).collect();
        match std::env::var_os(PROGRAM).map(PathBuf::from) {
            Some(program) if program.is_file() => {}
            _ => missing.push(format!("the app's program in {PROGRAM}")),
        }
        missing
    }

    /// Starts the app beside a node of ours, as on the computer of whoever uses both, with settings
    /// in `folder`, and with more of an environment.
    ///
    /// # Errors
    /// When a part of it does not start.
    pub fn start(node: &Node, folder: &Path, environment: &[(&str, &str)]) -> Result<Self> {
        Self::start_at(node.host(), &node.control(), folder, environment)
    }

    /// Starts the app on a host, for a service that listens there or not.
    ///
    /// # Errors
    /// When a part of it does not start.
    pub fn start_at(
        host: &Host,
        control: &Path,
        folder: &Path,
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let program = PathBuf::from(std::env::var_os(PROGRAM).context("no app to start")?);
        let runtime = folder.join("runtime");
        if !runtime.is_dir() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&runtime)?;
        }
        let (display, number) = display(host, folder)?;
        let (bus, address) = bus(host, folder)?;
        let mut driver = host.command("WebKitWebDriver");
        driver
            .args(["--host=127.0.0.1", &format!("--port={PORT}")])
            .env("DISPLAY", format!(":{number}"))
            .env("DBUS_SESSION_BUS_ADDRESS", address)
            .env("XDG_RUNTIME_DIR", &runtime)
            .env("HOME", folder)
            .env("XDG_CONFIG_HOME", folder.join("config"))
            .env("XDG_DATA_HOME", folder.join("data"))
            .env("XDG_CACHE_HOME", folder.join("cache"))
            .env("PLANETARY_CONTROL", control)
            .env("PLANETARY_LOG", "info")
            .env("GDK_BACKEND", "x11")
            .env("TAURI_WEBVIEW_AUTOMATION", "true")
            .env_remove("WAYLAND_DISPLAY")
            .envs(["LC_ALL", "LC_MESSAGES", "LANGUAGE"].map(|name| (name, "")))
            .env("LANG", "en_US.UTF-8")
            .envs(environment.iter().copied());
        let steering = Running::start(&mut driver, &folder.join("app.log"))?;
        until("the driver to answer", Deadline::seconds(PATIENCE_SECONDS), || {
            Driver::is_ready(host, PORT).map(Some)
        })?;
        let path = program.to_string_lossy();
        let driver = Driver::open(host, PORT, &path, &[]).context("the app did not start")?;
        Ok(Self {
            driver,
            folder: folder.to_owned(),
            program,
            host: host.clone(),
            _steering: steering,
            _bus: bus,
            _display: display,
        })
    }

    /// How many of this name are on the window.
    ///
    /// # Errors
    /// When the window does not answer.
    pub fn count(&self, name: &str) -> Result<usize> {
        Ok(self.driver.find(&selector(name))?.len())
    }

    /// The text of the only one of this name, as it is seen.
    ///
    /// # Errors
    /// When there is none, or several.
    pub fn text(&self, name: &str) -> Result<String> {
        self.driver.text(&self.only(name)?)
    }

    /// Waits until there is one of this name, and gives its text.
    ///
    /// # Errors
    /// When there is none in time.
    pub fn wait_for(&self, name: &str) -> Result<String> {
        until(&format!("`{name}` on the window"), Deadline::seconds(PATIENCE_SECONDS), || {
            self.text(name).map(Some)
        })
    }

    /// Waits until the text of this name holds one of these pieces; gives the text.
    ///
    /// # Errors
    /// When it does not in time; says what stands there instead.
    pub fn wait_until_reads(
        &self,
        name: &str,
        pieces: &[&str],
        deadline: Deadline,
    ) -> Result<String> {
        until(&format!("`{name}` to read {}", pieces.join(" or ")), deadline, || {
            let text = self.text(name)?;
            ensure!(pieces.iter().any(|piece| text.contains(piece)), "it reads: {text}");
            Ok(Some(text))
        })
    }

    /// Waits until there is something of this name to click on, and clicks.
    ///
    /// # Errors
    /// When there is nothing in time, or something is in the way.
    pub fn click(&self, name: &str) -> Result<()> {
        until(&format!("a click on `{name}`"), Deadline::seconds(PATIENCE_SECONDS), || {
            let element = self.only(name)?;
            ensure!(self.driver.is_enabled(&element)?, "it cannot be used");
            self.driver.click(&element).map(Some)
        })
    }

    /// Waits until there is a field of this name, and types into it.
    ///
    /// # Errors
    /// When there is none in time.
    pub fn enter(&self, name: &str, text: &str) -> Result<()> {
        until(&format!("typing into `{name}`"), Deadline::seconds(PATIENCE_SECONDS), || {
            self.driver.enter(&self.only(name)?, text).map(Some)
        })
    }

    /// What an expression of JavaScript gives on the page.
    ///
    /// # Errors
    /// When the page throws.
    pub fn evaluate(&self, expression: &str) -> Result<Value> {
        self.driver.evaluate(expression)
    }

    /// Keeps a picture of the window below `target/lab/pictures`; gives its place.
    ///
    /// # Errors
    /// When it cannot be taken or kept.
    pub fn picture(&self, name: &str) -> Result<PathBuf> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.ancestors().nth(2).unwrap_or(here);
        let folder = root.join("target/lab/pictures");
        fs::create_dir_all(&folder)?;
        let bytes = Base64::decode_vec(&self.driver.picture()?).ok().context("not Base64")?;
        let file = folder.join(name).with_extension("png");
        fs::write(&file, bytes)?;
        Ok(file)
    }

    /// The memory that the app's processes use, with those that WebKit starts for it.
    ///
    /// # Errors
    /// When they cannot be looked at.
    pub fn memory(&self) -> Result<Vec<Memory>> {
        let processes = self.processes()?;
        ensure!(!processes.is_empty(), "the app does not run");
        processes.into_iter().map(|(pid, name)| memory(pid, name)).collect()
    }

    /// The time from the start of the process to the first picture of something.
    ///
    /// # Errors
    /// When the page has not drawn yet, or does not tell.
    pub fn first_picture(&self) -> Result<Duration> {
        let drawn = "performance.timeOrigin + \
                     performance.getEntriesByName('first-contentful-paint')[0].startTime";
        let drawn_ms = self.evaluate(drawn)?.as_f64().context("nothing was drawn")?;
        let own = self.processes()?.into_iter().find(|(_, name)| is_app(name, &self.program));
        let (pid, _) = own.context("the app does not run")?;
        let age = usage::age(pid)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let drawn = Duration::from_secs_f64(drawn_ms / 1000.0);
        (drawn + age).checked_sub(now).context("drawn before it was started")
    }

    /// Starts the program once more, as a desktop does to open a link.
    ///
    /// # Errors
    /// When it does not end at once, because the app that runs takes the link.
    pub fn start_again(&self, words: &[&str]) -> Result<()> {
        let own = self.processes()?.into_iter().find(|(_, name)| is_app(name, &self.program));
        let (pid, _) = own.context("the app does not run")?;
        let environment = fs::read(format!("/proc/{pid}/environ"))?;
        let pairs = environment.split(|byte| *byte == 0).filter_map(|pair| {
            let text = std::str::from_utf8(pair).ok()?;
            text.split_once('=')
        });
        let mut command = self.host.command(&self.program);
        command.args(words).env_clear().envs(pairs);
        let log = File::create(self.folder.join("again.log"))?;
        let mut process = command.stdout(Stdio::null()).stderr(log).spawn()?;
        let ended = until("the second start to end", Deadline::seconds(PATIENCE_SECONDS), || {
            Ok(process.try_wait()?)
        });
        if ended.is_err() {
            let _ = process.kill();
        }
        ensure!(ended?.success(), "the second start failed");
        Ok(())
    }

    /// What the app has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("app.log")).unwrap_or_default()
    }

    fn only(&self, name: &str) -> Result<Element> {
        let mut found = self.driver.find(&selector(name))?;
        match (found.pop(), found.len()) {
            (Some(element), 0) => Ok(element),
            (None, _) => bail!("there is no `{name}`"),
            (_, others) => bail!("there are {} of `{name}`", others + 1),
        }
    }

    /// The processes of the app on its host: itself and those that WebKit starts.
    fn processes(&self) -> Result<Vec<(u32, String)>> {
        let pids = host::run("ip", ["netns", "pids", self.host.name()])?;
        let named = pids.lines().filter_map(|pid| {
            let pid: u32 = pid.trim().parse().ok()?;
            let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
            let name = program.file_name()?.to_string_lossy().into_owned();
            let is_ours = name.starts_with("WebKit") && name.ends_with("Process");
            (is_ours || is_app(&name, &self.program)).then_some((pid, name))
        });
        Ok(named.collect())
    }
}

/// What a process has of the machine's memory.
#[derive(Clone, Debug)]
pub struct Memory {
    /// Its program.
    pub name: String,
    /// All that is resident, in KiB.
    pub resident_kib: u64,
    /// The same, where what is shared counts in parts, in KiB.
    pub share_kib: u64,
}

fn memory(pid: u32, name: String) -> Result<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let field = |wanted: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(wanted))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    let (resident_kib, share_kib) =
        field("Rss:").zip(field("Pss:")).context("no sums in smaps_rollup")?;
    Ok(Memory { name, resident_kib, share_kib })
}

impl Drop for App {
    fn drop(&mut self) {
        if self.driver.close().is_err() {
            // A window that hangs is ended by its process id.
            for (pid, _) in self.processes().unwrap_or_default() {
                let _ = host::run("kill", [&pid.to_string()]);
            }
        }
    }
}

/// What the pages call it in tests: a name, or a selector of CSS in its own right.
fn selector(name: &str) -> String {
    if name.contains(['[', ' ', '.']) {
        name.to_owned()
    } else {
        format!("[data-testid=\"{name}\"]")
    }
}

fn is_app(name: &str, program: &Path) -> bool {
    program.file_name() == Some(OsStr::new(name))
}

/// A display of the size of a laptop's, and its number.
fn display(host: &Host, folder: &Path) -> Result<(Running, u32)> {
    let mut command = host.command("Xvfb");
    command.args(["-displayfd", "1", "-screen", "0", "1280x900x24", "-nolisten", "tcp"]);
    let (running, line) = Running::start_and_hear(&mut command, &folder.join("display.log"))?;
    Ok((running, line.trim().parse().context("Xvfb named no display")?))
}

/// A session bus, and its address.
fn bus(host: &Host, folder: &Path) -> Result<(Running, String)> {
    let mut command = host.command("dbus-daemon");
    command.args(["--session", "--nofork", "--print-address=1", "--nopidfile"]);
    command.arg(format!("--address=unix:dir={}", folder.join("runtime").display()));
    let (running, line) = Running::start_and_hear(&mut command, &folder.join("bus.log"))?;
    Ok((running, line.trim().to_owned()))
}

/// A program that ends when this is dropped.
struct Running(Child);

impl Running {
    fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        command.stdout(log.try_clone()?).stderr(log);
        let name = command.get_program().to_string_lossy().into_owned();
        Ok(Self(command.spawn().with_context(|| format!("cannot start {name}"))?))
    }

    /// Waits for the first line that it says.
    fn start_and_hear(command: &mut Command, log: &Path) -> Result<(Self, String)> {
        let log = File::options().create(true).append(true).open(log)?;
        command.stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().context("cannot start a part of the desktop")?;
        let mut line = String::new();
        let out = child.stdout.take().context("no output")?;
        let running = Self(child);
        BufReader::new(out).read_line(&mut line)?;
        ensure!(!line.trim().is_empty(), "a part of the desktop ended at once; see its log");
        Ok((running, line))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
