//! Changes of single settings, as clients ask for them.
//!
//! A key that is not in the file yet takes the place of the line that shows its default, so that it
//! stands below its explanation; a key that goes becomes a comment again. Where that is not
//! possible (the person arranged the file in another way) the key is put where it means the same.

use planetary_ipc::{SessionsSetting, SettingsChange};
use planetary_runtime::links::peers::LISTENERS_MAX;
use planetary_runtime::links::uri::ListenUri;
use toml_edit::{Array, DocumentMut, Item, Table, TableLike, Value};

use super::Config;
use super::edit::{EditError, position, push, remove};

/// Changes `document`, whose meaning is `config`. What is wrong with values is found when the
/// result is checked.
pub(super) fn apply(
    change: &SettingsChange,
    config: &Config,
    document: &mut DocumentMut,
) -> Result<(), EditError> {
    listeners(change, config.listen.len(), document)?;
    if let Some(audience) = change.inbound {
        set(document, "filter", "inbound", audience.name());
    }
    if let Some(audience) = change.echo {
        set(document, "filter", "echo", audience.name());
    }
    match change.sessions {
        None => {}
        // An absent key is what means that.
        Some(SessionsSetting::Auto) => unset(document, "sessions"),
        Some(sessions) => set(document, "", "sessions", sessions.name()),
    }
    if let Some(answered) = change.names {
        set(document, "names", "enabled", answered);
    }
    if let Some(looks) = change.lan {
        set(document, "lan", "enabled", looks);
    }
    if let Some(transit) = change.transit {
        set(document, "", "transit", transit.name());
    }
    if let Some(saves) = change.save_on_battery {
        set(document, "save", "on_battery", saves);
    }
    if let Some(saves) = change.save_on_metered {
        set(document, "save", "on_metered", saves);
    }
    local_address(document, "metrics", "listen", change.metrics.as_deref());
    local_address(document, "gateway", "socks", change.gateway_socks.as_deref());
    local_address(document, "gateway", "http", change.gateway_http.as_deref());
    if let Some(private) = change.node_info_privacy {
        set(document, "", "node_info_privacy", private);
    }
    if let Some(looks) = change.release_check {
        set(document, "releases", "check", looks);
    }
    if let Some(level) = change.log_level {
        set(document, "log", "level", level.name());
    }
    if let Some(url) = &change.public_list_url {
        set(document, "public_peers", "url", url.as_str());
    }
    if let Some(key) = &change.public_list_key {
        set(document, "public_peers", "key", key.as_str());
    }
    Ok(())
}

fn listeners(
    change: &SettingsChange,
    mut count: usize,
    document: &mut DocumentMut,
) -> Result<(), EditError> {
    if change.listen_add.is_empty() && change.listen_remove.is_empty() {
        return Ok(());
    }
    let empty = || Item::Value(Value::Array(Array::new()));
    let mut none = Array::new();
    // What is no list did not pass the check.
    let list = document.entry("listen").or_insert_with(empty).as_array_mut().unwrap_or(&mut none);
    for uri in &change.listen_remove {
        let place: ListenUri = uri.parse()?;
        let missing = || EditError::ListenerNotFound(place.to_string());
        let index = position(list, &place).ok_or_else(missing)?;
        remove(list, index);
        count = count.saturating_sub(1);
    }
    for uri in &change.listen_add {
        let place: ListenUri = uri.parse()?;
        if position(list, &place).is_some() {
            return Err(EditError::ListenerExists(place.to_string()));
        }
        if count >= LISTENERS_MAX {
            return Err(EditError::ListenersFull);
        }
        push(list, uri);
        count += 1;
    }
    Ok(())
}

/// Sets where to listen for programs of this computer; an empty text ends it.
fn local_address(document: &mut DocumentMut, section: &str, name: &str, address: Option<&str>) {
    match address {
        None => {}
        Some("") => set(document, section, name, "none"),
        Some(address) => set(document, section, name, address),
    }
}

/// Sets a key of a section, or of none.
fn set(document: &mut DocumentMut, section: &str, name: &str, value: impl Into<Value>) {
    let mut value = value.into();
    let is_there = table_of(document, section).is_some_and(|table| table.contains_key(name));
    if !is_there && let Some(woken) = wake(&document.to_string(), section, name, &value) {
        *document = woken;
        return;
    }
    let table: &mut dyn TableLike = match section {
        "" => document.as_table_mut(),
        section => {
            let entry = document.entry(section).or_insert_with(|| Item::Table(Table::new()));
            // What is no section did not pass the check.
            let Some(table) = entry.as_table_like_mut() else { return };
            table
        }
    };
    match table.get_mut(name).and_then(Item::as_value_mut) {
        Some(before) => {
            // The comment behind it stays.
            *value.decor_mut() = before.decor().clone();
            *before = value;
        }
        None => drop(table.insert(name, Item::Value(value))),
    }
}

fn table_of<'a>(document: &'a DocumentMut, section: &str) -> Option<&'a dyn TableLike> {
    match section {
        "" => Some(document.as_table()),
        section => document.get(section)?.as_table_like(),
    }
}

/// Writes the value in place of the line that shows the key's default.
fn wake(text: &str, section: &str, name: &str, value: &Value) -> Option<DocumentMut> {
    let is_default = |line: &str| {
        let rest = line.strip_prefix('#').and_then(|rest| rest.strip_prefix(name));
        rest.is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let mut current = "";
    let mut found = None;
    for (index, line) in text.lines().enumerate() {
        if let Some(header) = header_of(line) {
            current = header;
        } else if current == section && is_default(line) {
            found = Some(index);
        }
    }
    let found = found?;
    let value = value.to_string();
    let line = |(index, line): (usize, &str)| match index == found {
        true => format!("{name} = {}", value.trim()),
        false => line.to_owned(),
    };
    let woken = text.lines().enumerate().map(line).collect::<Vec<_>>().join("\n") + "\n";
    // A line inside of a long text looks the same, and is none.
    let document: DocumentMut = woken.parse().ok()?;
    table_of(&document, section)?.contains_key(name).then_some(document)
}

/// The name of the section that begins with this line.
fn header_of(line: &str) -> Option<&str> {
    let (name, _) = line.trim_start().strip_prefix('[')?.split_once(']')?;
    // A list over several lines has brackets as well, and no bare name in them.
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ');
    (!name.is_empty() && name.chars().all(is_bare)).then(|| name.trim())
}

/// Makes a key that belongs to no section a comment.
fn unset(document: &mut DocumentMut, name: &str) {
    if !document.contains_key(name) {
        return;
    }
    let text = document.to_string();
    let is_key = |line: &str| {
        let rest = line.trim_start().strip_prefix(name);
        rest.is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let in_root = text.lines().take_while(|line| header_of(line).is_none());
    let found = in_root.enumerate().filter(|(_, line)| is_key(line)).last();
    if let Some((found, _)) = found {
        let line = |(index, line): (usize, &str)| match index == found {
            true => format!("#{}", line.trim_start()),
            false => line.to_owned(),
        };
        let asleep = text.lines().enumerate().map(line).collect::<Vec<_>>().join("\n") + "\n";
        if let Ok(asleep) = asleep.parse::<DocumentMut>()
            && !asleep.contains_key(name)
        {
            *document = asleep;
            return;
        }
    }
    document.remove(name);
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
