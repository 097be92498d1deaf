//! TOML, through `toml_edit`, which bounds the depth itself.

use toml_edit::{Document, Item, TableLike, Value as Toml};
use zeroize::Zeroizing;

use super::ForeignError;
use super::value::Value;

pub(super) fn parse(text: &str) -> Result<Value, ForeignError> {
    let document = Document::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.as_bytes().get(..start).unwrap_or_default();
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        ForeignError::Syntax { line, what: "not valid TOML".to_owned() }
    })?;
    Ok(table(document.as_table()))
}

fn table(table: &dyn TableLike) -> Value {
    Value::Object(table.iter().map(|(name, value)| (name.to_owned(), item(value))).collect())
}

fn item(item: &Item) -> Value {
    match item {
        Item::None => Value::Null,
        Item::Value(found) => value(found),
        Item::Table(found) => table(found),
        Item::ArrayOfTables(tables) => Value::List(tables.iter().map(|it| table(it)).collect()),
    }
}

fn value(value: &Toml) -> Value {
    let text = |text: &str| Zeroizing::new(text.to_owned());
    match value {
        Toml::String(found) => Value::Text(text(found.value())),
        Toml::Integer(found) => Value::Number(text(&found.value().to_string())),
        Toml::Float(found) => Value::Number(text(&found.value().to_string())),
        Toml::Boolean(found) => Value::Flag(*found.value()),
        Toml::Datetime(found) => Value::Text(text(&found.value().to_string())),
        Toml::Array(found) => Value::List(found.iter().map(self::value).collect()),
        Toml::InlineTable(found) => table(found),
    }
}
