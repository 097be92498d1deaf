//! `planetary logs`: what the service has to say.
//!
//! The system's service writes to the system's journal, which keeps it for long and over restarts;
//! `journalctl` shows it, as the person who asks. Any other service keeps its latest lines itself
//! and is asked for them.

use std::process::ExitCode;
use std::time::Duration;

use planetary_ipc::location::Source;
use planetary_ipc::logs::{LogLevel, LogLine, LogPage};
use tokio::time;

use crate::args::LogsArgs;
use crate::failure::Failure;
use crate::format::{self, Printer, Style, Tone};
use crate::session::Session;

/// Time between two looks for new lines.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

pub(super) async fn run(
    session: &Session,
    printer: &Printer,
    wish: LogsArgs,
) -> Result<ExitCode, Failure> {
    let source = session.location.source;
    // A program that reads JSON gets the same shape everywhere.
    let may_ask_journal =
        !printer.is_json() && !matches!(source, Source::Option | Source::Environment);
    if may_ask_journal
        && source == Source::System
        && let Some(code) = journal(&wish).await
    {
        return Ok(code);
    }
    let client = match session.client().await {
        Ok(client) => client,
        // The journal knows why the system's service does not run.
        Err(failure) => {
            let told = if may_ask_journal { journal(&wish).await } else { None };
            return told.ok_or(failure);
        }
    };
    let page = client.logs(None, Some(wish.level)).await?;
    let left_out = page.lines.len().saturating_sub(wish.lines);
    let page = LogPage { lines: page.lines[left_out..].to_vec(), ..page };
    if !wish.follow {
        printer.print(&page, |page, style| render(&page.lines, style))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut last = page.last;
    show(printer, &page.lines)?;
    loop {
        tokio::select! {
            () = time::sleep(LOOK_INTERVAL) => {}
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
        }
        let page = client.logs(Some(last), Some(wish.level)).await?;
        if page.lost > 0 && !printer.is_json() {
            let lost =
                format::count(usize::try_from(page.lost).unwrap_or(usize::MAX), "line", "lines");
            format::write_out(&format!("({lost} left out)\n"))?;
        }
        last = page.last;
        show(printer, &page.lines)?;
    }
}

fn show(printer: &Printer, lines: &[LogLine]) -> Result<(), Failure> {
    if printer.is_json() {
        lines.iter().try_for_each(|line| printer.json_line(line))?;
    } else if !lines.is_empty() {
        format::write_out(&render(lines, printer.style()))?;
    }
    Ok(())
}

fn render(lines: &[LogLine], style: Style) -> String {
    let line = |line: &LogLine| {
        let tone = match line.level {
            LogLevel::Error => Tone::Bad,
            LogLevel::Warn => Tone::Warning,
            LogLevel::Info => Tone::Good,
        };
        let at = style.paint(Tone::Muted, &format::timestamp(line.at)).into_owned();
        let level = format!("{:5}", line.level.name());
        format!("{at} {} {}\n", style.paint(tone, &level), format::plain(&line.text))
    };
    lines.iter().map(line).collect()
}

/// Lets `journalctl` show the log; `None` where it has none of this service.
#[cfg(target_os = "linux")]
async fn journal(wish: &LogsArgs) -> Option<ExitCode> {
    use std::process::Stdio;

    use tokio::process::Command;

    let unit = "--unit=planetaryd.service";
    // Without an entry there is nothing to follow either.
    let probe = Command::new("journalctl")
        .args([unit, "--lines=1", "--quiet", "--output=cat"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .await
        .ok()?;
    if !probe.status.success() || probe.stdout.is_empty() {
        return None;
    }
    let mut command = Command::new("journalctl");
    command.args([unit, "--no-pager", "--quiet", priority(wish.level)]);
    command.arg(format!("--lines={}", wish.lines));
    if wish.follow {
        command.arg("--follow");
    }
    let status = command.stdin(Stdio::null()).status().await.ok()?;
    Some(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unused_async, reason = "Linux waits for a program")]
async fn journal(_: &LogsArgs) -> Option<ExitCode> {
    None
}

/// The journal's option for a level. The service's words have the priorities of syslog.
#[cfg(target_os = "linux")]
fn priority(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "--priority=err",
        LogLevel::Warn => "--priority=warning",
        LogLevel::Info => "--priority=info",
    }
}
