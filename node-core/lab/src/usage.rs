//! What a process has used: memory and processor time, from `/proc`.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// Clock ticks a second in `/proc/PID/stat`; the kernel's interface fixes it at 100 on Linux.
const TICKS_PER_SECOND: u64 = 100;

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Resident memory at this moment, in KiB.
    pub resident_kib: u64,
    /// The most that was resident at any time, in KiB.
    pub peak_kib: u64,
    /// Descriptors that are open.
    pub files: usize,
    /// Processor time, user and system together.
    pub processor: Duration,
}

/// Reads what a process has used; an error when it is gone.
pub(crate) fn usage(pid: u32) -> Result<Usage> {
    let read = |name: &str| {
        let file = format!("/proc/{pid}/{name}");
        fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))
    };
    let status = read("status")?;
    let stat = read("stat")?;
    let files = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    let usage = parse(&status, &stat).map(|usage| Usage { files, ..usage });
    usage.with_context(|| format!("cannot make sense of /proc/{pid}"))
}

/// How long ago a process was started.
pub(crate) fn age(pid: u32) -> Result<Duration> {
    let (stat, uptime) =
        (fs::read_to_string(format!("/proc/{pid}/stat"))?, fs::read_to_string("/proc/uptime")?);
    let since_boot = || {
        let ticks: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
        let up: f64 = uptime.split_whitespace().next()?.parse().ok()?;
        let started = Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND);
        Duration::try_from_secs_f64(up).ok()?.checked_sub(started)
    };
    since_boot().with_context(|| format!("cannot make sense of /proc/{pid}/stat"))
}

fn parse(status: &str, stat: &str) -> Option<Usage> {
    let field = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').trim().strip_suffix(" kB")?.trim().parse().ok()
    };
    // The name in brackets may hold anything, brackets and spaces included; numbers follow the
    // last.
    let mut numbers = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks: u64 = numbers.next()?.parse::<u64>().ok()? + numbers.next()?.parse::<u64>().ok()?;
    Some(Usage {
        resident_kib: field("VmRSS")?,
        peak_kib: field("VmHWM")?,
        files: 0,
        processor: Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_any_name() {
        let status = "Name:\tx\nVmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\n";
        let stat = "7 (a) (b) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 1 0 0";
        let usage = parse(status, stat).expect("understood");
        assert_eq!((usage.resident_kib, usage.peak_kib), (1024, 2048));
        assert_eq!(usage.processor, Duration::from_secs(2));
    }

    #[test]
    fn our_own_process_has_used_something() {
        let usage = usage(std::process::id()).expect("we are alive");
        assert!(usage.resident_kib > 0 && usage.peak_kib >= usage.resident_kib);
    }
}
