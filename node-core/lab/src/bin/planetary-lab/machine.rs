//! The machine it is measured on: what it is, and what others do on it meanwhile.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Cores that others may use while we measure; samples that were taken beside more are discarded.
pub(crate) const OTHERS: f64 = 0.2;

/// Clock ticks a second in `/proc`; the kernel's interface fixes it at 100 on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// How long one look at the machine takes.
const LOOK: Duration = Duration::from_millis(150);

/// Looks at the machine from its making on.
///
/// What others use is the time that all processors spent in programs, less that of our own ones,
/// and what the hypervisor took. Time in the kernel is left out: much of ours is booked on nobody
/// there (the far end of a wire is served by whoever is at hand), and whoever compiles, which is
/// what disturbs, computes.
pub(crate) struct Watch {
    since: Instant,
    machine: Ticks,
    own: u64,
}

/// What the processors did, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticks {
    programs: u64,
    kernel: u64,
    stolen: u64,
}

impl Watch {
    pub(crate) fn start() -> Result<Self> {
        Ok(Self { since: Instant::now(), machine: ticks()?, own: own_ticks()? })
    }

    /// How many cores others used since.
    pub(crate) fn others(&self) -> Result<f64> {
        let machine = ticks()?;
        let busy = machine.programs + machine.stolen - self.machine.programs - self.machine.stolen;
        let own = own_ticks()?.saturating_sub(self.own);
        let seconds = self.since.elapsed().as_secs_f64();
        Ok(busy.saturating_sub(own) as f64 / TICKS_PER_SECOND / seconds)
    }

    /// Seconds that all processors together worked since, whatever for.
    pub(crate) fn worked(&self) -> Result<f64> {
        let (now, then) = (ticks()?, self.machine);
        Ok((now.programs + now.kernel - then.programs - then.kernel) as f64 / TICKS_PER_SECOND)
    }
}

/// Waits for an idle machine, at most so long; returns how long that took.
pub(crate) fn wait_for_quiet(patience: Duration) -> Result<Duration> {
    let begun = Instant::now();
    loop {
        let watch = Watch::start()?;
        thread::sleep(LOOK);
        if watch.others()? <= OTHERS || begun.elapsed() >= patience {
            return Ok(begun.elapsed());
        }
    }
}

/// What the figures of a run depend on.
pub(crate) fn describe() -> Value {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default().trim().to_owned();
    let said = |program: &str, word: &str| {
        let output = Command::new(program).arg(word).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        text.unwrap_or_default().trim().to_owned()
    };
    json!({
        "processor": field(&read("/proc/cpuinfo"), "model name"),
        "cores": thread::available_parallelism().map_or(0, usize::from),
        "memory": field(&read("/proc/meminfo"), "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease"),
        "load": read("/proc/loadavg"),
        "usual_congestion_control": read("/proc/sys/net/ipv4/tcp_congestion_control"),
        "reference": said("yggdrasil", "-version"),
        "iperf3": said("iperf3", "--version").lines().next().unwrap_or_default(),
    })
}

/// The value behind the first line of `name: value`.
fn field(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_once(':'))
        .map_or_else(String::new, |(_, v)| v.trim().to_owned())
}

fn ticks() -> Result<Ticks> {
    parse_ticks(&fs::read_to_string("/proc/stat")?).context("cannot make sense of /proc/stat")
}

fn parse_ticks(stat: &str) -> Option<Ticks> {
    let numbers = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let numbers: Vec<u64> = numbers.map(|word| word.parse().ok()).collect::<Option<_>>()?;
    let [user, nice, system, _idle, _iowait, irq, softirq, stolen, ..] = numbers[..] else {
        return None;
    };
    Some(Ticks { programs: user + nice, kernel: system + irq + softirq, stolen })
}

/// Ticks that this process and all it has started spent outside the kernel.
fn own_ticks() -> Result<u64> {
    let mut sum = program_ticks("/proc/self/stat")?;
    for thread in fs::read_dir("/proc/self/task")? {
        // A thread may have ended meanwhile; its children are then another one's.
        let children = fs::read_to_string(thread?.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            // A child that is gone is booked on its parent once it has been waited for.
            sum += program_ticks(&format!("/proc/{child}/stat")).unwrap_or_default();
        }
    }
    Ok(sum)
}

fn program_ticks(file: &str) -> Result<u64> {
    let stat = fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
    parse_program_ticks(&stat).with_context(|| format!("cannot make sense of {file}"))
}

/// User time of a process and of the children that it has waited for.
fn parse_program_ticks(stat: &str) -> Option<u64> {
    // The name in brackets may hold anything; numbers follow the last one.
    let numbers: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(numbers.get(11)?.parse::<u64>().ok()? + numbers.get(13)?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    fn the_first_line_of_stat_is_that_of_all_processors() {
        let stat = "cpu  100 20 30 900 5 6 7 8 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
        let ticks = Ticks { programs: 120, kernel: 43, stolen: 8 };
        assert_eq!(parse_ticks(stat), Some(ticks));
        assert_eq!(parse_ticks("intr 1 2 3\n"), None);
    }

    #[test]
    fn user_time_is_found_behind_any_name() {
        let stat = "7 (a) (b) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 20 9 20 0 1 0 1 0 0";
        assert_eq!(parse_program_ticks(stat), Some(170));
    }

    #[test]
    fn what_we_do_ourselves_is_not_done_by_others() {
        let (watch, begun) = (Watch::start().expect("a look"), Instant::now());
        let before = own_ticks().expect("own time");
        while begun.elapsed() < Duration::from_millis(300) {
            black_box((0..1000_u64).sum::<u64>());
        }
        let own = own_ticks().expect("own time") - before;
        assert!(own > 0, "work of this thread is booked on this process");
        let machine = ticks().expect("ticks").programs - watch.machine.programs;
        let others = watch.others().expect("others") * 0.3 * TICKS_PER_SECOND;
        assert!(others < machine as f64, "{others} of {machine} ticks are said to be others'");
    }

    #[test]
    fn fields_are_found_by_name() {
        assert_eq!(field("a: 1\nmodel name\t: A Processor\n", "model name"), "A Processor");
        assert_eq!(field("a: 1\n", "b"), "");
    }
}
