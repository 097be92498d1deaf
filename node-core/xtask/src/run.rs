//! `cargo xtask run`: a node on this machine in one command, for whoever has just cloned this.
//!
//! It needs nothing but what built this program, and by default no privilege: no TUN, only routing
//! and answering. It joins the live network over a few public peers, which `planetary peer public`
//! chooses the first time, and shows how it goes; Ctrl-C ends everything. Without a network (`CI`
//! or `PLANETARY_OFFLINE` is set) it shows the demo instead. The node's key stays in `target/run`,
//! so that it has the same address the next time. Where there is a display the desktop app is shown
//! beside it, which chooses peers with the person, and the node ends with the app.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::programs::{self, LOOK, PrivateFolder, Service};
use crate::{app, demo, step};

/// How long a first peer may take to answer.
const FIRST_PEER: Duration = Duration::from_secs(10);

/// How many public peers are chosen.
const PEERS: &str = "3";

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Use a real network interface (needs the right to open one)
    #[arg(long, conflicts_with = "demo")]
    tun: bool,
    /// Show the terminal's view, not the desktop app
    #[arg(long)]
    no_app: bool,
    /// Start a small network of five nodes on this machine instead
    #[arg(long)]
    demo: bool,
    /// Dial these peers instead of public ones
    #[arg(long = "peer", value_name = "URI", conflicts_with = "demo")]
    peers: Vec<String>,
}

/// Runs a node until Ctrl-C, or the demo.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let stop = stop_on_ctrl_c()?;
    let automatic = std::env::var_os("CI").is_some();
    let offline = automatic || std::env::var_os("PLANETARY_OFFLINE").is_some();
    let programs = programs::build()?;
    let demo = arguments.demo || offline && !arguments.tun && arguments.peers.is_empty();
    if demo {
        if !arguments.demo {
            println!("CI or PLANETARY_OFFLINE is set: a demo on this machine instead");
        }
        return demo::run(&programs, &stop, !automatic);
    }
    let window = !arguments.no_app && !automatic && app::has_display() && app::can_be_built();
    let window = if window { Some(build_app()?) } else { None };
    let folder = PrivateFolder::new("run")?;
    let service = start(&programs, &folder, arguments.tun, &arguments.peers)?;
    if let Some(program) = window {
        return show(&program, &service, &stop);
    }
    if !offline && !has_peers(&service)? {
        choose_peers(&service)?;
    }
    let alone = offline && arguments.peers.is_empty();
    if !alone && !wait_for_a_peer(&service, &stop)? && !stop.load(Ordering::Relaxed) {
        println!("no peer has answered in {} s; last said:", FIRST_PEER.as_secs());
        print_peers(&service.status()?);
        println!("without a network there is still the demo: cargo xtask run --demo");
        if asked_for_the_demo()? {
            drop(service);
            return demo::run(&programs, &stop, true);
        }
    }
    watch(&service, &stop)
}

/// A flag that Ctrl-C (or being told to end) raises. The second one ends us at once.
fn stop_on_ctrl_c() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = stop.clone();
    ctrlc::set_handler(move || {
        if raised.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })
    .context("cannot listen for Ctrl-C")?;
    Ok(stop)
}

fn build_app() -> Result<std::path::PathBuf> {
    app::build_pages()?;
    app::build()
}

/// Shows the app until it is quit, or until Ctrl-C.
fn show(program: &std::path::Path, service: &Service, stop: &AtomicBool) -> Result<()> {
    println!("the app is open; quit it, or press Ctrl-C, to end all");
    let mut app = app::command(program, &service.control).spawn();
    let app = app.as_mut().map_err(|error| anyhow::anyhow!("cannot start the app: {error}"))?;
    loop {
        if stop.load(Ordering::Relaxed) {
            // The terminal's Ctrl-C reached it too; being told to end by others did not.
            let _ = app.kill();
        }
        if let Some(status) = app.try_wait()? {
            let fine = status.success() || stop.load(Ordering::Relaxed);
            anyhow::ensure!(fine, "the app ended with {status}");
            return Ok(());
        }
        thread::sleep(LOOK);
    }
}

fn start(
    programs: &std::path::Path,
    folder: &PrivateFolder,
    tun: bool,
    peers: &[String],
) -> Result<Service> {
    let state = step::target_dir().join("run");
    let tun = if tun { "auto" } else { "none" };
    let mut arguments = ["--tun", tun, "--state-dir"].map(str::to_owned).to_vec();
    arguments.push(state.to_string_lossy().into_owned());
    for peer in peers {
        println!("peer: {}", peer.split('?').next().unwrap_or(peer));
        arguments.extend(["--peer".to_owned(), peer.clone()]);
    }
    let service = Service::start(programs, folder.path(), &arguments)?;
    println!("control socket: PLANETARY_CONTROL={}", service.control.display());
    println!("log: {}", service.log.display());
    Ok(service)
}

/// Whether the node has peers: given ones, or those that an earlier run chose.
fn has_peers(service: &Service) -> Result<bool> {
    let status = service.status()?;
    Ok(status.get("peers").and_then(Value::as_array).is_some_and(|peers| !peers.is_empty()))
}

/// Lets the node test public peers and keep the best, as a newcomer would. When none answers, that
/// is said, and what follows finds out.
fn choose_peers(service: &Service) -> Result<()> {
    println!("$ planetary peer public --best {PEERS} --add");
    let words = ["peer", "public", "--best", PEERS, "--add"];
    service.cli(&words).status().context("cannot start planetary")?;
    Ok(())
}

fn wait_for_a_peer(service: &Service, stop: &AtomicBool) -> Result<bool> {
    let start = Instant::now();
    while start.elapsed() < FIRST_PEER && !stop.load(Ordering::Relaxed) {
        let status = service.status()?;
        let peers = status.get("peers").and_then(Value::as_array);
        if peers.is_some_and(|peers| peers.iter().any(|peer| peer["up"] == true)) {
            return Ok(true);
        }
        thread::sleep(LOOK);
    }
    Ok(false)
}

fn print_peers(status: &Value) {
    let peers = status.get("peers").and_then(Value::as_array).map(Vec::as_slice);
    for peer in peers.unwrap_or_default() {
        let error = peer["last_error"]["message"].as_str().unwrap_or("nothing yet");
        println!("  {}: {error}", peer["uri"].as_str().unwrap_or("?"));
    }
}

fn asked_for_the_demo() -> Result<bool> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Ok(false);
    }
    print!("start it now? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}

/// Shows the state until Ctrl-C: a live view on a terminal, else a line for each change.
fn watch(service: &Service, stop: &AtomicBool) -> Result<()> {
    let mut watch = service.cli(&["watch"]).spawn().context("cannot start planetary")?;
    let status = loop {
        if stop.load(Ordering::Relaxed) {
            // The terminal's Ctrl-C reached it too; being told to end by others did not.
            let _ = watch.kill();
        }
        if let Some(status) = watch.try_wait()? {
            break status;
        }
        thread::sleep(LOOK);
    };
    if !status.success() && !stop.load(Ordering::Relaxed) {
        println!("planetaryd said last:\n{}", service.log_tail());
        anyhow::bail!("planetary watch ended with {status}");
    }
    Ok(())
}
