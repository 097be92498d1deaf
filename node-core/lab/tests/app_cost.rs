//! What the app costs: the time to the first picture, and memory, idle and after an hour of
//! updates. `cargo xtask bench --app` runs this; it takes minutes and judges nothing.

#![cfg(target_os = "linux")]
#![expect(clippy::print_stdout, reason = "what was measured is for people")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use planetary_ipc::mock::Mock;
use planetary_lab::{App, Deadline, run, until};

/// Starts whose times are compared.
const STARTS: usize = 5;

/// An hour, at twenty times its speed.
const UPDATES: u32 = 3_600;
const INTERVAL: Duration = Duration::from_millis(50);

/// How long it is left alone before its memory counts as idle.
const IDLE: Duration = Duration::from_secs(10);

#[test]
#[ignore = "measures for minutes: cargo xtask bench --app"]
fn cost_of_the_app() {
    assert!(App::missing().is_empty(), "missing: {:?}", App::missing());
    run("cost of the app", |lab| {
        let host = lab.host("me")?;
        let control = lab.folder().join("mock.sock");
        let service = serve(&control)?;
        let folder = lab.folder().join("app");
        let mut times = Vec::new();
        for _ in 0..STARTS {
            let app = App::start_at(&host, &control, &folder, &[])?;
            let drawn = || app.first_picture().map(Some);
            times.push(until("the first picture", Deadline::seconds(20), drawn)?);
            if app.count("welcome")? == 1 {
                app.click("welcome-skip")?;
                app.wait_for("view-home")?;
            }
        }
        println!("first picture, from the start of the process:");
        for (number, time) in times.iter().enumerate() {
            println!("  start {}: {:.0} ms", number + 1, time.as_secs_f64() * 1000.0);
        }
        let app = App::start_at(&host, &control, &folder, &[])?;
        app.wait_until_reads("state-word", &["Connected"], Deadline::seconds(20))?;
        std::thread::sleep(IDLE);
        print_memory("idle", &app)?;
        let before = service.mock.status().uptime_s;
        service.runtime.block_on(async {
            let mut beat = tokio::time::interval(INTERVAL);
            for _ in 0..UPDATES {
                beat.tick().await;
                service.mock.tick();
            }
        });
        ensure!(service.mock.status().uptime_s >= before + u64::from(UPDATES), "time stood still");
        std::thread::sleep(IDLE);
        print_memory("after 3,600 updates at 20 times their speed", &app)
    });
}

struct Served {
    mock: Arc<Mock>,
    runtime: tokio::runtime::Runtime,
}

/// A service without a node, on a socket.
fn serve(control: &Path) -> Result<Served> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mock = Mock::settled();
    let (serving, path) = (Arc::clone(&mock), control.to_owned());
    runtime.spawn(async move { serving.serve(&path).await });
    until("the service to listen", Deadline::seconds(5), || Ok(control.exists().then_some(())))?;
    Ok(Served { mock, runtime })
}

fn print_memory(when: &str, app: &App) -> Result<()> {
    let used = app.memory()?;
    let mib = |kib: u64| kib as f64 / 1024.0;
    println!("memory, {when} (resident; share of what is shared counted in parts):");
    for one in &used {
        let (resident, share) = (mib(one.resident_kib), mib(one.share_kib));
        println!("  {:20} {resident:7.1} MiB {share:7.1} MiB", one.name);
    }
    let sum: u64 = used.iter().map(|one| one.share_kib).sum();
    println!("  {:20} {:19.1} MiB", "together", mib(sum));
    Ok(())
}
