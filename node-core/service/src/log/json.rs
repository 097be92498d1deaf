//! Events for programs: an object a line.
//!
//! ```json
//! {"time":"2026-01-01T00:00:00.000000Z","level":"info","target":"planetary_service::node",
//!  "message":"the node is up","fields":{"tun":"planetary0"}}
//! ```
//!
//! These five members are always there, in this order, and keep their meaning. `fields` holds the
//! values of the event by their names: numbers and truth values as such, all else as text. Which
//! fields an event has, and its message, may change with every version. Control characters are
//! escaped, so that an event stays one line.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// An event as it is written.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    level: String,
    target: &'a str,
    message: String,
    fields: Map<String, Value>,
}

/// The message and the values of an event.
#[derive(Default)]
struct Values {
    message: String,
    fields: Map<String, Value>,
}

/// Writes events so.
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut values = Values::default();
        event.record(&mut values);
        let Values { message, fields } = values;
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        let line = Line { time, level, target: event.metadata().target(), message, fields };
        let line = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
        writeln!(writer, "{line}")
    }
}

impl Values {
    fn keep(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => drop(self.fields.insert(name.to_owned(), value)),
        }
    }
}

impl Visit for Values {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field, Value::from(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, Value::from(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, Value::from(value));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::log::Journal;

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Kept {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    fn written(journal: bool, tell: impl FnOnce()) -> String {
        let kept = Kept::default();
        let layer = tracing_subscriber::fmt::layer().with_writer(kept.clone()).with_ansi(false);
        if journal {
            let log = tracing_subscriber::registry().with(layer.event_format(Journal(Json)));
            tracing::subscriber::with_default(log, tell);
        } else {
            let log = tracing_subscriber::registry().with(layer.event_format(Json));
            tracing::subscriber::with_default(log, tell);
        }
        String::from_utf8(kept.0.lock().clone()).unwrap()
    }

    #[test]
    fn an_event_is_an_object_in_a_line_with_five_members_in_their_order() {
        let text = written(false, || {
            let uri = "tcp://a\n\x1b[2J:1";
            tracing::warn!(uri, attempts = 3, up = false, error = %"in words", "a {}", "peer\n");
        });
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        let (level, target) = (&line["level"], &line["target"]);
        assert_eq!((level, target), (&"warn".into(), &module_path!().into()));
        assert_eq!(line["message"], "a peer\n");
        let fields = serde_json::json!({
            "attempts": 3, "error": "in words", "up": false, "uri": "tcp://a\n\x1b[2J:1"
        });
        assert_eq!(line["fields"], fields);
        let time = line["time"].as_str().unwrap();
        assert!(time.len() == "2026-01-01T00:00:00.000000Z".len() && time.ends_with('Z'), "{time}");
        let order = ["time", "level", "target", "message", "fields"];
        let places = order.map(|name| text.find(&format!("\"{name}\":")).unwrap());
        assert!(places.is_sorted(), "{text}");
    }

    #[test]
    fn an_event_without_words_has_all_members() {
        let text = written(false, || tracing::info!(number = 1.5));
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["message"], &line["fields"]["number"]), (&"".into(), &1.5.into()));
    }

    #[test]
    fn the_journal_gets_its_priority_in_front() {
        let text = written(true, || tracing::error!("broken"));
        let line = text.strip_prefix("<3>").unwrap();
        assert_eq!(serde_json::from_str::<Value>(line).unwrap()["message"], "broken");
    }
}
