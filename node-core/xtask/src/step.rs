//! One step of a chore: a program that is run, and one line that says how it went and how long it
//! took.
//!
//! Three ways to run it. `quietly` keeps the output and shows it only when the step fails; `openly`
//! lets it through, for programs that a person watches; `counted` lets it through and reads from it
//! how many tests passed. Nothing here knows what the steps are for.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    /// A step that is one check and not a test run.
    pub(crate) fn one(ok: bool) -> Self {
        Self { passed: u64::from(ok), failed: u64::from(!ok) }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Runs a program without showing its output unless it fails; returns what it wrote to stdout.
pub(crate) fn quietly(title: &str, command: &mut Command) -> Result<String> {
    let start = Instant::now();
    let output = output_of(command)?;
    report(title, output.status.success(), start);
    if !output.status.success() {
        println!("{}", command_line(command));
        println!("{}", tail(&String::from_utf8_lossy(&output.stdout), 60));
        println!("{}", tail(&String::from_utf8_lossy(&output.stderr), 60));
        bail!("{title} failed ({})", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a program on our own terminal.
pub(crate) fn openly(title: &str, command: &mut Command) -> Result<()> {
    let start = Instant::now();
    let status = command.status().with_context(|| cannot_start(command))?;
    report(title, status.success(), start);
    if !status.success() {
        bail!("{title} failed ({status})");
    }
    Ok(())
}

/// Runs a test runner on our own terminal and counts what it ran.
///
/// A runner that fails without having counted a failed test (it did not compile, say) counts as one
/// failure, so that the sum never looks better than the run was.
pub(crate) fn counted(title: &str, command: &mut Command) -> Result<Tally> {
    let start = Instant::now();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| cannot_start(command))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let tally = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        scope.spawn(|| pass_on(out, std::io::stdout(), &tally));
        scope.spawn(|| pass_on(err, std::io::stderr(), &tally));
    });
    let status = child.wait()?;
    let mut tally = *tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !status.success() && tally.failed == 0 {
        tally.failed = 1;
    }
    report(title, status.success(), start);
    Ok(tally)
}

/// Prints the line of one step.
pub(crate) fn report(title: &str, ok: bool, start: Instant) {
    let word = if ok { "ok  " } else { "FAIL" };
    println!("[{word}] {title} ({:.1} s)", start.elapsed().as_secs_f64());
}

/// The folder that holds the workspace's `Cargo.toml`.
pub(crate) fn workspace_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// The folder that cargo builds into.
pub(crate) fn target_dir() -> PathBuf {
    let root = workspace_root();
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

/// The cargo that runs us, in the workspace.
pub(crate) fn cargo<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(args).current_dir(workspace_root());
    command
}

/// The same command, ended when it takes longer than this many seconds.
pub(crate) fn within(seconds: u32, command: &Command) -> Command {
    let mut timed = Command::new("timeout");
    timed.args(["-k", "10", &seconds.to_string()]).arg(command.get_program());
    timed.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => timed.env(name, value),
            None => timed.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        timed.current_dir(folder);
    }
    timed
}

/// Whether a program of this name is on the search path (or in a folder of system programs).
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// The last lines of a text.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn output_of(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().with_context(|| cannot_start(command))
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start {}", command.get_program().to_string_lossy())
}

fn command_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

fn pass_on(from: Option<impl Read>, mut to: impl Write, tally: &Mutex<Tally>) {
    let Some(from) = from else { return };
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        // Whoever reads our output may be gone; the runner is still to be drained.
        let _ = to.write_all(&line).and_then(|()| to.write_all(b"\n"));
        if let Some(found) = count_line(&String::from_utf8_lossy(&line)) {
            tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner).add(found);
        }
    }
}

/// Reads the closing line of cargo test, of nextest, of vitest, or one of the two of node's runner.
fn count_line(line: &str) -> Option<Tally> {
    let plain = without_colour(line);
    let line = plain.trim();
    let of_node = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ "));
    if let Some((word, number)) = of_node.and_then(|rest| rest.split_once(' ')) {
        let number = number.parse().ok()?;
        return match word {
            "pass" => Some(Tally { passed: number, failed: 0 }),
            "fail" => Some(Tally { passed: 0, failed: number }),
            _ => None,
        };
    }
    // Indented, it is the output of a failed test, which its runner shows and counts.
    let rest = if let Some(rest) = plain.strip_prefix("test result: ") {
        rest
    } else if line.starts_with("Summary [") {
        line.split_once("run: ")?.1
    } else {
        line.strip_prefix("Tests  ")?
    };
    // nextest says in brackets how many of the passed ones were slow: "3 passed (1 slow)".
    let parts: Vec<&str> = rest
        .split([',', ';', '.', '|'])
        .map(|part| part.split('(').next().unwrap_or_default().trim())
        .collect();
    let number_before = |word: &str| -> u64 {
        let found = parts.iter().find_map(|part| part.strip_suffix(word)?.trim().parse().ok());
        found.unwrap_or(0)
    };
    let failed = number_before("failed") + number_before("timed out");
    Some(Tally { passed: number_before("passed"), failed })
}

fn without_colour(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            rest.by_ref().find(char::is_ascii_alphabetic);
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u64, failed: u64) -> Option<Tally> {
        Some(Tally { passed, failed })
    }

    #[test]
    fn closing_lines_of_both_runners_are_counted() {
        let cargo = "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out";
        assert_eq!(count_line(cargo), tally(5, 0));
        let cargo = "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured";
        assert_eq!(count_line(cargo), tally(4, 2));
        assert_eq!(count_line(&format!("    {cargo}")), None);
        let nextest = "     Summary [   0.005s] 12 tests run: 11 passed, 1 failed, 3 skipped";
        assert_eq!(count_line(nextest), tally(11, 1));
        let nextest =
            "     Summary [   9.1s] 3 tests run: 2 passed (1 slow), 1 timed out, 0 skipped";
        assert_eq!(count_line(nextest), tally(2, 1));
        let vitest = "      Tests  2 failed | 130 passed (132)";
        assert_eq!(count_line(vitest), tally(130, 2));
        assert_eq!(count_line("# pass 12"), tally(12, 0));
        assert_eq!(count_line("ℹ fail 3"), tally(0, 3));
        assert_eq!(count_line("# tests 15"), None);
        let coloured = "\u{1b}[32;1m     Summary\u{1b}[0m [ 1s] \u{1b}[1m2\u{1b}[0m tests run: \
                        \u{1b}[1m2\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, 0 skipped";
        assert_eq!(count_line(coloured), tally(2, 0));
    }

    #[test]
    fn other_lines_count_nothing() {
        assert_eq!(count_line("3 passed, and that is no closing line"), None);
        assert_eq!(count_line(""), None);
    }

    #[test]
    fn a_tail_is_the_end_of_a_text() {
        assert_eq!(tail("a\nb\nc", 2), "b\nc");
        assert_eq!(tail("a", 5), "a");
    }
}
