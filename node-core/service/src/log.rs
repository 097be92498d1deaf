//! Where the log goes and what may be in it.
//!
//! The log is written to standard error, or to a file ([`mod@file`]) where nobody reads that, one
//! event a line: with time and, on a terminal, colour; under the system's journal with a priority
//! instead, because the journal has its own clock. With `log.format = "json"` each event is an
//! object for programs, see [`json`], behind the priority where there is a journal.
//! `log.level` in the configuration decides what is logged of this program; `RUST_LOG`, when set
//! and understood, decides everything. The level can be changed while running.
//!
//! Privacy: private keys and passwords never reach a log call. Keys and addresses of other nodes
//! are logged at DEBUG and TRACE only; at INFO and above stand the peers that the person has
//! written into the configuration, without their options.

pub mod file;
mod json;
pub mod recent;

use std::fmt;
use std::io::IsTerminal;
use std::sync::Arc;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry, reload};

use self::file::LogFile;
use self::json::Json;
use self::recent::Recent;
use crate::config::{LogFormat, LogLevel};

/// The environment variable that chooses a filter.
const VARIABLE: &str = "RUST_LOG";

/// Changes the level of the running log.
#[derive(Clone, Debug)]
pub struct LogHandle {
    filter: reload::Handle<Targets, Registry>,
    /// `RUST_LOG` decides, whatever the configuration says.
    fixed: bool,
    recent: Recent,
}

/// Starts the log of the process.
///
/// # Errors
/// When the process has a log already.
pub fn start(
    level: LogLevel,
    format: LogFormat,
    file: Option<LogFile>,
) -> Result<LogHandle, TryInitError> {
    let wish = std::env::var_os(VARIABLE).unwrap_or_default();
    let chosen = chosen(&wish.to_string_lossy());
    let fixed = matches!(chosen, Ok(Some(_)));
    let asked_for_none = matches!(&chosen, Ok(Some(filter)) if is_off(filter));
    let not_understood = chosen.as_ref().err().map(ToString::to_string);
    let filter = chosen.ok().flatten().unwrap_or_else(|| filter(level));
    let (filter, handle) = reload::Layer::new(filter);
    let recent = Recent::default();
    let registry = tracing_subscriber::registry().with(filter).with(recent.clone());
    let to_file = file.is_some();
    let writer = match file {
        Some(file) => BoxMakeWriter::new(Arc::new(file)),
        None => BoxMakeWriter::new(std::io::stderr),
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    match (format, is_journal() && !to_file) {
        (LogFormat::Json, false) => registry.with(lines.event_format(Json)).try_init()?,
        (LogFormat::Json, true) => registry.with(lines.event_format(Journal(Json))).try_init()?,
        (LogFormat::Text, true) => {
            let bare = Format::default().without_time().with_ansi(false).with_level(false);
            registry.with(lines.with_ansi(false).event_format(Journal(bare))).try_init()?;
        }
        (LogFormat::Text, false) => {
            let is_terminal = !to_file && std::io::stderr().is_terminal();
            let colour = is_terminal && std::env::var_os("NO_COLOR").is_none();
            registry.with(lines.with_ansi(colour)).try_init()?;
        }
    }
    if let Some(error) = not_understood {
        let level = level.as_str();
        tracing::warn!(error, level, "RUST_LOG is not understood; log.level decides");
    } else if !asked_for_none && !tracing::enabled!(Level::ERROR) {
        // Most often a misspelt level, which is taken for the name of a program part. The log is
        // closed to this line as well.
        eprintln!("RUST_LOG={}: nothing of this program is logged", wish.display());
    }
    Ok(LogHandle { filter: handle, fixed, recent })
}

/// Reads the value of `RUST_LOG`, words like `info` and `planetary=debug` with commas between them;
/// without a word it chooses nothing.
fn chosen(wish: &str) -> Result<Option<Targets>, ParseError> {
    let words = wish.split(',').map(str::trim).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    // A word of no letters would stand for everything.
    if words.is_empty() { Ok(None) } else { words.join(",").parse().map(Some) }
}

fn is_off(filter: &Targets) -> bool {
    Layer::<Registry>::max_level_hint(filter) == Some(LevelFilter::OFF)
}

impl LogHandle {
    /// The latest lines.
    #[must_use]
    pub const fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Logs from `level` up from here on, unless `RUST_LOG` decides.
    pub fn set_level(&self, level: LogLevel) {
        if !self.fixed {
            // Fails only when the log is gone, and with it whoever could be told.
            let _ = self.filter.reload(filter(level));
        }
    }
}

/// Libraries speak up from WARN only; what they say below it is about themselves.
fn filter(level: LogLevel) -> Targets {
    let level = LevelFilter::from(level);
    Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("planetary", level)
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

/// The service manager says so in the environment of the processes whose output it takes.
fn is_journal() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some() && !std::io::stderr().is_terminal()
}

/// Lines for the journal: `<priority>` in front.
struct Journal<F>(F);

impl<S, N, F> FormatEvent<S, N> for Journal<F>
where
    F: FormatEvent<S, N>,
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
    fn wish_is_understood_or_refused_and_an_empty_one_is_none() {
        assert!(chosen("").unwrap().is_none());
        assert!(chosen(" , ").unwrap().is_none());
        assert_eq!(chosen("warn, planetary=info,").unwrap().unwrap().to_string(), {
            "planetary=info,warn"
        });
        assert_eq!(chosen("planetary=debug").unwrap().unwrap().to_string(), "planetary=debug");
        assert!(chosen("=====").is_err());
        assert!(is_off(&chosen("off").unwrap().unwrap()));
        assert!(!is_off(&chosen("inof").unwrap().unwrap()));
    }

    #[test]
    fn priorities_are_those_of_syslog() {
        let levels = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
        assert_eq!(levels.map(priority), [3, 4, 6, 7, 7]);
    }
}
