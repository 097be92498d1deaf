//! The latest lines of the log, kept in memory for clients: for services that no system's journal
//! listens to, and for the app.
//!
//! Only INFO and above is kept, which is what may be told: keys and addresses of other nodes are
//! logged below it, secrets nowhere. What is kept is bounded in lines and in length, whatever a
//! peer or a file makes the service say.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use parking_lot::Mutex;
use planetary_ipc::UnixTime;
use planetary_ipc::logs::{LogLevel, LogLine, LogPage};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::health::Moment;

/// Lines that are kept: some hours of a quiet node, some minutes of one in trouble.
pub const LINES_MAX: usize = 1_000;

/// Longest text of a line, in bytes; the rest is cut off. A thousand of these, each byte escaped,
/// fit into one answer.
const TEXT_LEN_MAX: usize = 600;

/// The lines.
#[derive(Clone, Debug, Default)]
pub struct Recent(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    kept: VecDeque<LogLine>,
    /// Number of the latest line.
    last: u64,
}

impl Recent {
    /// The lines after number `after` that matter at least as much as `level`.
    #[must_use]
    pub fn page(&self, after: u64, level: LogLevel) -> LogPage {
        let lines = self.0.lock();
        let oldest = lines.last + 1 - u64::try_from(lines.kept.len()).unwrap_or(u64::MAX);
        let wanted = lines.kept.iter().filter(|line| line.number > after && line.level <= level);
        LogPage {
            lines: wanted.cloned().collect(),
            last: lines.last,
            lost: oldest.saturating_sub(after.saturating_add(1)),
        }
    }

    fn keep(&self, at: UnixTime, level: LogLevel, target: &str, text: String) {
        let mut lines = self.0.lock();
        if lines.kept.len() >= LINES_MAX {
            lines.kept.pop_front();
        }
        lines.last += 1;
        let number = lines.last;
        lines.kept.push_back(LogLine { number, at, level, target: target.to_owned(), text });
    }
}

impl<S: Subscriber> Layer<S> for Recent {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = match *event.metadata().level() {
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warn,
            Level::INFO => LogLevel::Info,
            _ => return,
        };
        let mut words = Words::default();
        event.record(&mut words);
        let at = UnixTime(Moment::now().unix_s);
        self.keep(at, level, event.metadata().target(), words.join());
    }
}

/// The message of an event and its values, each no longer than a line may be.
#[derive(Default)]
struct Words {
    message: Text,
    values: Text,
}

/// A text that stops growing.
#[derive(Default)]
struct Text(String);

impl fmt::Write for Text {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        for letter in more.chars() {
            // One line, and nothing that moves a cursor.
            let letter = if letter.is_control() { ' ' } else { letter };
            if self.0.len() + letter.len_utf8() > TEXT_LEN_MAX {
                break;
            }
            self.0.push(letter);
        }
        Ok(())
    }
}

impl Words {
    fn join(self) -> String {
        let mut text = self.message;
        // Writing to a text cannot fail.
        let _ = text.write_str(&self.values.0);
        text.0
    }
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a text cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.values, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = match field.name() {
            "message" => self.message.write_str(value),
            name => write!(self.values, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn lines_are_kept_with_their_values_from_info_up() {
        let recent = Recent::default();
        let log = tracing_subscriber::registry().with(recent.clone());
        tracing::subscriber::with_default(log, || {
            tracing::info!(uri = "tcp://a:1", attempts = 3, "a peer\nis up");
            tracing::debug!("not this");
            tracing::warn!(error = %"in words", "odd");
        });
        let page = recent.page(0, LogLevel::Info);
        let texts: Vec<_> = page.lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["a peer is up uri=\"tcp://a:1\" attempts=3", "odd error=in words"]);
        assert_eq!((page.last, page.lost), (2, 0));
        let warnings = recent.page(0, LogLevel::Warn);
        assert_eq!((warnings.lines.len(), warnings.lines[0].number), (1, 2));
        assert_eq!(recent.page(2, LogLevel::Info).lines, []);
        assert_eq!(recent.page(u64::MAX, LogLevel::Info).lost, 0);
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_gone_is_counted() {
        let recent = Recent::default();
        for number in 0..LINES_MAX + 5 {
            recent.keep(UnixTime(0), LogLevel::Info, "t", number.to_string());
        }
        let page = recent.page(2, LogLevel::Info);
        assert_eq!((page.lines.len(), page.lost), (LINES_MAX, 3));
        assert_eq!(page.lines[0].number, 6);
        let mut text = Text::default();
        write!(text, "{}", "ü\x1b".repeat(TEXT_LEN_MAX)).unwrap();
        assert!(text.0.len() <= TEXT_LEN_MAX && !text.0.contains('\x1b'));
    }
}
