//! Readers of single values: from a TOML item to a checked value, or a [`Fault`] that says what to
//! write instead.

use std::net::SocketAddr;
use std::ops::{Range, RangeInclusive};
use std::str::FromStr;

use planetary_ipc::status::public_uri;
use planetary_proto::identity::NodeKey;
use planetary_runtime::links::uri::UriError;
use serde_json::Value as Json;
use toml_edit::{Item, Value};

use super::error::printable;
use super::nearest::nearest;

/// Longest text value, in bytes.
pub(super) const TEXT_LEN_MAX: usize = 4096;

/// What is wrong with one value.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) what: String,
    pub(super) remedy: String,
    /// Where in the file, when that is more precise than where the key stands.
    pub(super) span: Option<Range<usize>>,
    /// What else is wrong with it, when it is a list.
    pub(super) others: Vec<Self>,
}

impl Fault {
    pub(super) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into(), span: None, others: Vec::new() }
    }

    /// All of them in one, if there are any.
    pub(super) fn all(mut faults: Vec<Self>) -> Option<Self> {
        let others = faults.split_off(faults.len().min(1));
        faults.pop().map(|mut first| {
            first.others.extend(others);
            first
        })
    }

    fn at(mut self, span: Option<Range<usize>>) -> Self {
        self.span = self.span.or(span);
        self
    }
}

fn mismatch(wanted: &str, found: &str, remedy: &str) -> Fault {
    Fault::new(format!("expected {wanted}, found {}", with_article(found)), remedy)
}

fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
    format!("{article} {noun}")
}

pub(super) fn flag(item: &Item) -> Result<bool, Fault> {
    item.as_bool().ok_or_else(|| {
        mismatch("true or false", item.type_name(), "write true or false, without quotes")
    })
}

pub(super) fn integer(item: &Item, range: RangeInclusive<i64>) -> Result<i64, Fault> {
    let remedy = format!("write a number from {} to {}", range.start(), range.end());
    let value =
        item.as_integer().ok_or_else(|| mismatch("a whole number", item.type_name(), &remedy))?;
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(Fault::new(format!("{value} is out of range"), remedy))
    }
}

pub(super) fn text(item: &Item) -> Result<&str, Fault> {
    let text = item
        .as_str()
        .ok_or_else(|| mismatch("a text", item.type_name(), "write the value in double quotes"))?;
    if text.len() > TEXT_LEN_MAX {
        return Err(Fault::new(
            format!("text of {} bytes", text.len()),
            format!("write at most {TEXT_LEN_MAX} bytes"),
        ));
    }
    Ok(text)
}

pub(super) fn choice<T: Copy>(item: &Item, choices: &[(&str, T)]) -> Result<T, Fault> {
    let found = text(item)?;
    if let Some((_, value)) = choices.iter().find(|(word, _)| *word == found) {
        return Ok(*value);
    }
    let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    let remedy = match nearest(found, choices.iter().map(|(word, _)| *word)) {
        Some(meant) => format!("the nearest of them is \"{meant}\""),
        None => "write one of these words".to_owned(),
    };
    let what = format!("\"{}\" is not one of {}", printable(found), words.join(", "));
    Err(Fault::new(what, remedy))
}

/// Reads a list of at most `len_max` texts, each through `read`, whose faults point at their own
/// line.
pub(super) fn list<T>(
    item: &Item,
    len_max: usize,
    read: impl Fn(&str) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let array = item.as_array().ok_or_else(|| {
        mismatch("a list", item.type_name(), "write it in brackets, such as [\"one\", \"two\"]")
    })?;
    if array.len() > len_max {
        let what = format!("{} entries", array.len());
        return Err(Fault::new(what, format!("list at most {len_max}")));
    }
    let (mut entries, mut faults) = (Vec::with_capacity(array.len()), Vec::new());
    for value in array {
        let text = value.as_str().ok_or_else(|| {
            let remedy = "write each entry in double quotes";
            mismatch("a text in the list", value.type_name(), remedy)
        });
        match text.and_then(&read) {
            Ok(entry) => entries.push(entry),
            Err(fault) => faults.push(fault.at(value.span())),
        }
    }
    Fault::all(faults).map_or(Ok(entries), Err)
}

/// Reads where on this computer to listen for its own programs: a loopback address with a port, or
/// "none".
pub(super) fn local_address(item: &Item) -> Result<Option<SocketAddr>, Fault> {
    const REMEDY: &str = "write \"none\", or a loopback address such as \"127.0.0.1:9090\"";
    let text = text(item)?;
    if text == "none" {
        return Ok(None);
    }
    let wrong = |what: &str| Fault::new(format!("\"{}\" {what}", printable(text)), REMEDY);
    match text.parse::<SocketAddr>() {
        Err(_) => Err(wrong("is no address with a port")),
        Ok(address) if !address.ip().is_loopback() => Err(wrong("can be reached from outside")),
        Ok(address) if address.port() == 0 => Err(wrong("has no port")),
        Ok(address) => Ok(Some(address)),
    }
}

/// Reads a public key.
pub(super) fn key(text: &str) -> Result<NodeKey, Fault> {
    text.parse().map_err(|_| {
        let what = format!("\"{}\" is not a public key", printable(text));
        Fault::new(what, "write its 64 hexadecimal digits")
    })
}

/// Reads the URI of a peer or a listener. The message repeats scheme, host and port only: options
/// hold passwords.
pub(super) fn uri<T: FromStr<Err = UriError>>(text: &str) -> Result<T, Fault> {
    text.parse().map_err(|error: UriError| {
        let shown = printable(&public_uri(text));
        match error {
            UriError::UnknownOption { option, nearest } => Fault::new(
                format!("\"{shown}\": unknown option {option}"),
                format!("the nearest known one is {nearest}"),
            ),
            error => {
                let what = format!("\"{shown}\": {error}");
                Fault::new(what, "a URI looks like tls://host.example:443")
            }
        }
    })
}

/// Reads a table as a JSON object. The parser bounds the depth of the text, and so this recursion.
pub(super) fn object(item: &Item) -> Result<serde_json::Map<String, Json>, Fault> {
    let table = item.as_table_like().ok_or_else(|| {
        mismatch("a table", item.type_name(), "write [section], then one key = value a line")
    })?;
    table.iter().map(|(name, item)| Ok((name.to_owned(), json(item)?))).collect()
}

/// Converts an item to JSON, for publication and for comparing two values whatever their layout.
pub(super) fn json(item: &Item) -> Result<Json, Fault> {
    match item {
        Item::None => Ok(Json::Null),
        Item::Value(value) => json_of_value(value),
        Item::Table(_) => object(item).map(Json::Object),
        Item::ArrayOfTables(tables) => {
            let items = tables.iter().map(|table| json(&Item::Table(table.clone())));
            items.collect::<Result<_, _>>().map(Json::Array)
        }
    }
}

fn json_of_value(value: &Value) -> Result<Json, Fault> {
    match value {
        Value::String(text) => Ok(Json::from(text.value().as_str())),
        Value::Integer(number) => Ok(Json::from(*number.value())),
        Value::Boolean(flag) => Ok(Json::from(*flag.value())),
        Value::Float(number) => {
            serde_json::Number::from_f64(*number.value()).map(Json::Number).ok_or_else(|| {
                Fault::new("JSON has no infinity and no nan", "write a finite number")
                    .at(value.span())
            })
        }
        Value::Datetime(_) => {
            Err(Fault::new("JSON has no dates", "write the date in double quotes").at(value.span()))
        }
        Value::Array(array) => {
            array.iter().map(json_of_value).collect::<Result<_, _>>().map(Json::Array)
        }
        Value::InlineTable(table) => table
            .iter()
            .map(|(name, value)| Ok((name.to_owned(), json_of_value(value)?)))
            .collect::<Result<_, _>>()
            .map(Json::Object),
    }
}
