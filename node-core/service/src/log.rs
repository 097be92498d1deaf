//! Where the log goes and what may be in it.
//!
//! The log is written to standard error, one event a line: with time and, on a terminal, colour;
//! under the system's journal with a priority instead, because the journal has its own clock.
//! `log.level` in the configuration decides what is logged of this program; `RUST_LOG`, when set,
//! decides everything. The level can be changed while running.
//!
//! Privacy: private keys and passwords never reach a log call. Keys and addresses of other nodes
//! are logged at DEBUG and TRACE only; at INFO and above stand the peers that the person has
//! written into the configuration, without their options.

use std::fmt;
use std::io::IsTerminal;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::config::LogLevel;

/// Changes the level of the running log.
#[derive(Clone, Debug)]
pub struct LogHandle {
    filter: reload::Handle<EnvFilter, Registry>,
    /// `RUST_LOG` decides, whatever the configuration says.
    fixed: bool,
}

/// Starts the log of the process.
///
/// # Errors
/// When the process has a log already.
pub fn start(level: LogLevel) -> Result<LogHandle, TryInitError> {
    let chosen = EnvFilter::try_from_default_env().ok();
    let fixed = chosen.is_some();
    let (filter, handle) = reload::Layer::new(chosen.unwrap_or_else(|| filter(level)));
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    if is_journal() {
        let format = Journal(Format::default().without_time().with_ansi(false).with_level(false));
        registry.with(lines.with_ansi(false).event_format(format)).try_init()?;
    } else {
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        registry.with(lines.with_ansi(colour)).try_init()?;
    }
    Ok(LogHandle { filter: handle, fixed })
}

impl LogHandle {
    /// Logs from `level` up from here on, unless `RUST_LOG` decides.
    pub fn set_level(&self, level: LogLevel) {
        if !self.fixed {
            // Fails only when the log is gone, and with it whoever could be told.
            let _ = self.filter.reload(filter(level));
        }
    }
}

/// Libraries speak up from WARN only; what they say below it is about themselves.
fn filter(level: LogLevel) -> EnvFilter {
    let level = level.as_str();
    let libraries = if level == "error" { "error" } else { "warn" };
    EnvFilter::new(format!("{libraries},planetary={level}"))
}

/// The service manager says so in the environment of the processes whose output it takes.
fn is_journal() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some() && !std::io::stderr().is_terminal()
}

/// Lines for the journal: `<priority>` in front, no time.
struct Journal(Format<Full, ()>);

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}

/// The priority of syslog (RFC 5424) for a level.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_keeps_libraries_quiet() {
        assert_eq!(filter(LogLevel::Debug).to_string(), "planetary=debug,warn");
        assert_eq!(filter(LogLevel::Error).to_string(), "planetary=error,error");
    }

    #[test]
    fn priorities_are_those_of_syslog() {
        let levels = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
        assert_eq!(levels.map(priority), [3, 4, 6, 7, 7]);
    }
}
