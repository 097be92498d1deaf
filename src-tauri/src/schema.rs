//! Keeps `schema.json` true: what the pages' types are made of.
//!
//! After a change of the types, `PLANETARY_BLESS=1 cargo test -p planetary-network schema` writes
//! it anew. What belongs to the control API is referred to by name: its schemas are in
//! `docs/ipc.md`.

use std::fs;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::controller::About;
use crate::controller::View;
use crate::controller::connection::{Connection, Step};
use crate::controller::failure::Failure;
use crate::controller::link::Link;
use crate::controller::paper::{PaperKey, RecoveryWords, SignedOperation};
use crate::controller::preferences::{Preferences, PreferencesChange};
use crate::controller::saving::{SaveKind, SavedFile};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.json");

/// The state, a type of the control API.
pub(crate) fn status(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "$ref": "#/$defs/Status" })
}

/// A friend or none, a type of the control API.
pub(crate) fn friend(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [{ "$ref": "#/$defs/Friend" }, { "type": "null" }] })
}

/// How this computer stands to a circle, or nothing; a type of the control API.
pub(crate) fn circle_state(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [{ "$ref": "#/$defs/CircleState" }, { "type": "null" }] })
}

fn definitions() -> Map<String, Value> {
    fn add<T: JsonSchema>(generator: &mut SchemaGenerator) {
        generator.subschema_for::<T>();
    }
    let settings = SchemaSettings::draft2020_12();
    let mut received = settings.clone().for_deserialize().into_generator();
    add::<PreferencesChange>(&mut received);
    add::<SaveKind>(&mut received);
    add::<Step>(&mut received);
    let mut sent = settings.for_serialize().into_generator();
    add::<About>(&mut sent);
    add::<Connection>(&mut sent);
    add::<Failure>(&mut sent);
    add::<Link>(&mut sent);
    add::<PaperKey>(&mut sent);
    add::<Preferences>(&mut sent);
    add::<RecoveryWords>(&mut sent);
    add::<SavedFile>(&mut sent);
    add::<SignedOperation>(&mut sent);
    add::<View>(&mut sent);
    let mut all = received.take_definitions(true);
    all.extend(sent.take_definitions(true));
    all.into_iter().map(|(name, schema)| (name, plain(schema))).collect()
}

/// Turns the links of Rust's documentation into plain words.
fn plain(value: Value) -> Value {
    match value {
        Value::String(text) => {
            Value::String(text.replace("[`", "`").replace("`]", "`").replace('\n', " "))
        }
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(name, member)| (name, plain(member))).collect())
        }
        other => other,
    }
}

#[test]
fn schema_in_the_file_is_that_of_the_types() {
    let text = serde_json::to_string_pretty(&json!({ "$defs": definitions() })).unwrap() + "\n";
    if std::env::var_os("PLANETARY_BLESS").is_some() {
        fs::write(FILE, text).unwrap();
        return;
    }
    let written = fs::read_to_string(FILE).unwrap();
    for (written, expected) in written.lines().zip(text.lines()) {
        assert_eq!(written, expected, "write it anew with PLANETARY_BLESS=1");
    }
    assert_eq!(written.lines().count(), text.lines().count());
}
