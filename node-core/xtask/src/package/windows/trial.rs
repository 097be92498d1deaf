//! Tries the installers under Wine: put in, looked at, replaced by a newer version, refused where
//! they must be, taken out again, with the real service behind them.
//!
//! Wine ends all services when the last program of a session has ended, so the whole trial is one
//! script of one command line. Each of its steps leaves its output and its exit code in a folder,
//! and what they must be is compared afterwards, step by step.
//!
//! ```text
//! files that are made -> one `cmd /c trial.cmd` -> NAME.out, NAME.code -> what is expected of NAME
//! ```
//!
//! What this does not show: windows and questions (all is silent), the adapter (Wine has none), the
//! firewall, the group and recovery after a crash (Wine takes orders about them and does nothing).

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::super::commit_time;
use super::{Build, make};
use crate::step::{self, Tally};
use crate::wine::Wine;

/// The trial takes no longer than this many seconds.
const TRIAL_SECONDS: u32 = 900;

/// Two versions, both of them made up.
const OLD: &str = "0.8.1";
const NEW: &str = "0.9.0";

const INSTALLED: &str = r"C:\Program Files\Planetary Network";
const HOME: &str = r"C:\ProgramData\PlanetaryNetwork";
const UNINSTALL_KEY: &str =
    r"HKLM\Software\Microsoft\Windows\CurrentVersion\Uninstall\net.planetary.PlanetaryNetwork";
const SCHEME_KEY: &str = r"HKLM\Software\Classes\planetary\shell\open\command";
const PATH_KEY: &str = r"HKLM\System\CurrentControlSet\Control\Session Manager\Environment";

/// What must be true of a step.
enum Expected {
    /// It ended with this code.
    Code(i32),
    /// It ended with another code than 0.
    Fails,
    /// It ended with 0 and said this.
    Says(&'static str),
    /// It ended with 0 and did not say that.
    SaysNot(&'static str),
    /// It ended.
    Any,
}

use Expected::{Any, Code, Fails, Says, SaysNot};

struct Step {
    name: String,
    command: String,
    expected: Expected,
}

/// The script, while it grows.
#[derive(Default)]
struct Trial(Vec<Step>);

/// Makes installers of two versions of the programs in this folder, and tries them in a prefix of
/// their own below `scratch`. Each step counts as one check.
pub(crate) fn run(programs: &Path, scratch: &Path) -> Result<Tally> {
    let folder = scratch.join("trial");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let [old_setup, old_msi] = make_version(OLD, programs, &folder)?;
    let [new_setup, new_msi] = make_version(NEW, programs, &folder)?;
    let (setups, msis) = ([&*old_setup, &new_setup], [&*old_msi, &new_msi]);
    let mut trial = Trial::default();
    trial.setup(setups, msis);
    trial.msi(setups, msis);
    let script = folder.join("trial.cmd");
    let results = folder.join("results");
    fs::create_dir_all(&results)?;
    fs::write(&script, trial.render(&results)?)?;
    let wine = Wine::new(folder.join("wineprefix"))?;
    let mut command = Command::new(Wine::PROGRAM);
    command.args(["cmd", "/c", &on_drive_z(&script)?]);
    let mut command = step::within(TRIAL_SECONDS, wine.visit(&mut command));
    step::quietly("windows: try the installers under Wine", &mut command)?;
    let tally = trial.judge(&results)?;
    if tally.failed == 0 {
        drop(wine);
        fs::remove_dir_all(&folder)?;
    }
    Ok(tally)
}

/// A setup and an MSI, as programs under Wine call them.
fn make_version(version: &str, programs: &Path, folder: &Path) -> Result<[String; 2]> {
    let (version, out) = (version.to_owned(), folder.join(version));
    fs::create_dir_all(&out)?;
    let build = Build { version, epoch: commit_time()?, out, programs: None };
    let made = make(&build, programs)?;
    for file in &made {
        println!("{:8.2} MB  {}", fs::metadata(file)?.len() as f64 / 1e6, file.display());
    }
    let [setup, msi] = &*made else { bail!("one setup and one MSI were expected: {made:?}") };
    Ok([on_drive_z(setup)?, on_drive_z(msi)?])
}

impl Trial {
    fn step(&mut self, name: &str, command: impl Into<String>, expected: Expected) {
        self.0.push(Step { name: name.to_owned(), command: command.into(), expected });
    }

    /// The service runs, and is the node of this name, which the first one to say so decides.
    fn runs(&mut self, when: &str, node: &'static str) {
        self.step(&format!("{when}: service runs"), "sc query planetaryd", Says("RUNNING"));
        let ask = format!("\"{INSTALLED}\\planetary.exe\" status --json");
        self.step(&format!("{when}: node {node}"), ask, Says("\"address\""));
    }

    /// Nothing is left but what is kept.
    fn gone(&mut self, when: &str, keeps: bool) {
        self.step(&format!("{when}: no service"), "sc query planetaryd", Fails);
        self.step(&format!("{when}: no scheme"), format!("reg query \"{SCHEME_KEY}\""), Fails);
        self.step(&format!("{when}: no programs"), exists(INSTALLED), Code(1));
        self.step(
            &format!("{when}: path is as before"),
            query(PATH_KEY, "Path"),
            SaysNot("Planetary"),
        );
        let key = exists(&format!(r"{HOME}\state\identity.pem"));
        self.step(&format!("{when}: the key"), key, Code(i32::from(!keeps)));
        if !keeps {
            self.step(&format!("{when}: nothing of the node"), exists(HOME), Code(1));
        }
    }

    fn setup(&mut self, setup: [&str; 2], msi: [&str; 2]) {
        let [old, new] = setup.map(silently);
        self.step("setup", &*old, Code(0));
        self.runs("setup", "one");
        self.step(
            "setup: scheme",
            query_default(SCHEME_KEY),
            Says("planetary-network.exe\" \"%1\""),
        );
        self.step("setup: version", query(UNINSTALL_KEY, "DisplayVersion"), Says(OLD));
        self.step("setup: path", query(PATH_KEY, "Path"), Says(INSTALLED));
        self.step("setup: files", format!("dir /b \"{INSTALLED}\""), Says("wintun-LICENSE.txt"));
        let menu = r"C:\ProgramData\Microsoft\Windows\Start Menu\Programs\Planetary Network.lnk";
        self.step("setup: menu", exists(menu), Code(0));
        self.step("stop", "net stop planetaryd", Code(0));
        self.step("stop: stopped", "sc query planetaryd", Says("STOPPED"));
        // Wine's command line does not read a file that somebody writes.
        let log = format!("type {HOME}\\planetaryd.log");
        self.step("stop: privileges were given up", log, Says("gave up privileges"));
        self.step("start", "net start planetaryd", Code(0));
        self.runs("start", "one");
        self.step("upgrade", &*new, Code(0));
        self.runs("upgrade", "one");
        self.step("upgrade: version", query(UNINSTALL_KEY, "DisplayVersion"), Says(NEW));
        self.step("downgrade is refused", old, Code(3));
        self.step("downgrade: version", query(UNINSTALL_KEY, "DisplayVersion"), Says(NEW));
        self.runs("downgrade", "one");
        self.step("MSI beside the setup is refused", msiexec("/i", msi[1], ""), Fails);
        self.runs("MSI beside the setup", "one");
        self.step("uninstall", uninstaller(""), Code(0));
        self.step("uninstall ends", until_gone(INSTALLED), Any);
        self.gone("uninstall", true);
        self.step("setup again", &*new, Code(0));
        self.runs("setup again", "one");
        self.step("uninstall and forget", uninstaller("/PURGE"), Code(0));
        self.step("uninstall and forget ends", until_gone(INSTALLED), Any);
        self.gone("uninstall and forget", false);
    }

    fn msi(&mut self, setup: [&str; 2], msi: [&str; 2]) {
        self.step("MSI", msiexec("/i", msi[0], ""), Code(0));
        self.runs("MSI", "two");
        self.step("MSI: scheme", query_default(SCHEME_KEY), Says("planetary-network.exe\" \"%1\""));
        self.step("MSI: path", query(PATH_KEY, "Path"), Says(INSTALLED));
        self.step("MSI: files", format!("dir /b \"{INSTALLED}\""), Says("wintun-LICENSE.txt"));
        self.step("MSI upgrade", msiexec("/i", msi[1], ""), Code(0));
        self.runs("MSI upgrade", "two");
        self.step("MSI downgrade is refused", msiexec("/i", msi[0], ""), Fails);
        self.runs("MSI downgrade", "two");
        self.step("setup beside the MSI is refused", silently(setup[1]), Code(4));
        self.step("MSI uninstall", msiexec("/x", msi[1], ""), Code(0));
        self.gone("MSI uninstall", true);
        self.step("MSI again", msiexec("/i", msi[1], ""), Code(0));
        self.runs("MSI again", "two");
        self.step("MSI uninstall and forget", msiexec("/x", msi[1], "PURGE=1"), Code(0));
        self.gone("MSI uninstall and forget", false);
    }

    /// The script, for the system's command interpreter.
    fn render(&self, results: &Path) -> Result<String> {
        let results = on_drive_z(results)?;
        let mut script = String::from("@echo off\r\n");
        for (number, Step { command, .. }) in self.0.iter().enumerate() {
            // What is no program has no output, and its code in a variable.
            let (output, code) = match command.starts_with("if ") {
                true => (String::new(), "code"),
                false => (format!(" > {results}\\{number}.out 2>&1"), "errorlevel"),
            };
            write!(script, "{command}{output}\r\n")?;
            write!(script, "echo %{code}% > {results}\\{number}.code\r\n")?;
        }
        // A step that fails is judged by its code, and not by that of the script.
        script.push_str("exit /b 0\r\n");
        Ok(script)
    }

    /// Compares what came of each step, and prints what is otherwise than it must be.
    fn judge(&self, results: &Path) -> Result<Tally> {
        let mut tally = Tally::default();
        for (number, step) in self.0.iter().enumerate() {
            let read = |ending: &str| fs::read(results.join(format!("{number}.{ending}")));
            let said = read("out").map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            let code = read("code").map(|bytes| String::from_utf8_lossy(&bytes).trim().parse());
            let (said, code) = (said.unwrap_or_default(), code.ok().and_then(Result::ok));
            let ok = match step.expected {
                Code(expected) => code == Some(expected),
                Fails => code.is_some_and(|code: i32| code != 0),
                Says(words) => code == Some(0) && said.contains(words),
                SaysNot(words) => code == Some(0) && !said.contains(words),
                Any => code.is_some(),
            };
            println!("[{}] under Wine: {}", if ok { "ok  " } else { "FAIL" }, step.name);
            if !ok {
                println!(
                    "{}\nended with {code:?} and said:\n{}",
                    step.command,
                    step::tail(&said, 20)
                );
            }
            tally.add(Tally::one(ok));
        }
        tally.add(self.judge_nodes(results)?);
        Ok(tally)
    }

    /// All nodes of one name have one address, and nodes of two names have two.
    fn judge_nodes(&self, results: &Path) -> Result<Tally> {
        let mut seen: Vec<(&str, String)> = Vec::new();
        for (number, step) in self.0.iter().enumerate() {
            let Some((_, node)) = step.name.split_once(": node ") else { continue };
            let said = fs::read_to_string(results.join(format!("{number}.out")))?;
            let status: serde_json::Value = serde_json::from_str(&said).context("no status")?;
            let address = status["address"].as_str().context("no address")?.to_owned();
            seen.push((node, address));
        }
        let agree =
            |one: &(&str, String), other: &(&str, String)| (one.0 == other.0) == (one.1 == other.1);
        let ok = seen.iter().all(|one| seen.iter().all(|other| agree(one, other)));
        println!(
            "[{}] under Wine: the key is kept, or is another one",
            if ok { "ok  " } else { "FAIL" }
        );
        if !ok {
            println!("{seen:?}");
        }
        Ok(Tally::one(ok))
    }
}

fn silently(setup: &str) -> String {
    format!("start /wait \"\" \"{setup}\" /S")
}

fn uninstaller(option: &str) -> String {
    format!("start /wait \"\" \"{INSTALLED}\\uninstall.exe\" /S {option}")
}

/// Waits for a folder to go: the uninstaller goes on from a copy of itself, because no program can
/// remove its own file.
fn until_gone(folder: &str) -> String {
    format!("for /l %%i in (1,1,60) do if exist \"{folder}\" ping -n 2 127.0.0.1")
}

fn msiexec(what: &str, package: &str, properties: &str) -> String {
    format!("start /wait msiexec {what} {package} /qn {properties}")
}

/// Ends with 0 where there is a file or folder of this name, and with 1 where there is none.
fn exists(path: &str) -> String {
    format!("if exist \"{path}\" (set code=0) else (set code=1)")
}

fn query(key: &str, name: &str) -> String {
    format!("reg query \"{key}\" /v {name}")
}

fn query_default(key: &str) -> String {
    format!("reg query \"{key}\" /ve")
}

/// How programs under Wine call a file of this machine.
fn on_drive_z(path: &Path) -> Result<String> {
    let path = path.to_str().context("a strange path")?;
    ensure!(!path.contains(' '), "a path with a space: {path}");
    Ok(format!("Z:{}", path.replace('/', "\\")))
}
