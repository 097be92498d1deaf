//! Answers of other nodes, read as what they are: texts and keys of strangers.

use std::collections::BTreeSet;

use planetary_proto::identity::NodeKey;
use serde_json::Value;

/// Longest name of a node that is taken over, in characters; more is cut.
pub const NAME_CHARS_MAX: usize = 64;

/// Longest name of a program, version or system, in characters; more is cut.
const WORD_CHARS_MAX: usize = 32;

/// Most peers of one node that are taken over: more than any node has, and the map stays readable.
pub const PEERS_MAX: usize = 512;

/// Longest answer to `getSelf`, in bytes: a key, a number, and room for what may be added. A longer
/// one is none.
const SELF_LEN_MAX: usize = 1024;

/// What a node publishes about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeInfo {
    /// What it is called.
    pub name: Option<String>,
    /// Program and version.
    pub program: Option<String>,
    /// System and processor.
    pub system: Option<String>,
}

/// Reads node info (protocol chapter 9.1). Its length is bounded by the protocol, its depth by the
/// parser; what is no text is nothing.
#[must_use]
pub fn node_info(text: &[u8]) -> NodeInfo {
    let Ok(Value::Object(members)) = serde_json::from_slice(text) else {
        return NodeInfo::default();
    };
    let member = |name: &str, most| members.get(name).and_then(Value::as_str).and_then(plain(most));
    let joined = |one: &str, other: &str| {
        let words = [member(one, WORD_CHARS_MAX), member(other, WORD_CHARS_MAX)];
        let words: Vec<String> = words.into_iter().flatten().collect();
        (!words.is_empty()).then(|| words.join(" "))
    };
    NodeInfo {
        name: member("name", NAME_CHARS_MAX),
        program: joined("buildname", "buildversion"),
        system: joined("buildplatform", "buildarch"),
    }
}

/// Reads how many nodes a node knows the place of (chapter 9.2).
#[must_use]
pub fn routing_entries(text: &[u8]) -> Option<u64> {
    if text.len() > SELF_LEN_MAX {
        return None;
    }
    let value: Value = serde_json::from_slice(text).ok()?;
    // The reference writes a text; a number is no less clear.
    match value.get("routing_entries")? {
        Value::String(digits) => digits.parse().ok(),
        other => other.as_u64(),
    }
}

/// The keys of an answer, each once, without the node itself.
#[must_use]
pub fn keys(of: &NodeKey, said: &[NodeKey], most: usize) -> Vec<NodeKey> {
    let keys: BTreeSet<NodeKey> = said.iter().copied().filter(|key| key != of).collect();
    keys.into_iter().take(most).collect()
}

/// Makes a stranger's text fit to be shown: one line of visible characters, so many at most.
fn plain(most: usize) -> impl Fn(&str) -> Option<String> {
    move |text| {
        let shown = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c });
        let shown: String = shown.filter(|c| !is_disguise(*c)).take(most).collect();
        let shown = shown.trim();
        (!shown.is_empty()).then(|| shown.to_owned())
    }
}

/// Characters that are not seen, and change how others are.
fn is_disguise(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{e0000}'..='\u{e0fff}' | '\u{fe00}'..='\u{fe0f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(seed: u8) -> NodeKey {
        NodeKey::from_bytes([seed; 32])
    }

    #[test]
    fn info_of_the_reference_is_read() {
        let text = br#"{"buildarch":"amd64","buildname":"yggdrasil","buildplatform":"linux",
            "buildversion":"0.5.14","name":"garden shed","location":{"lat":1}}"#;
        let expected = NodeInfo {
            name: Some("garden shed".to_owned()),
            program: Some("yggdrasil 0.5.14".to_owned()),
            system: Some("linux amd64".to_owned()),
        };
        assert_eq!(node_info(text), expected);
        let own = br#"{"key":"00","routing_entries":"42"}"#;
        assert_eq!(routing_entries(own), Some(42));
        assert_eq!(routing_entries(br#"{"routing_entries":7}"#), Some(7));
    }

    #[test]
    fn rubbish_is_nothing() {
        let deep = "[".repeat(16_000);
        for text in [
            "",
            "{",
            "null",
            "[]",
            "7",
            "{\"name\":7}",
            "{\"name\":\"\"}",
            "{\"name\":\" \\n\"}",
            "{\"name\":{\"a\":1}}",
            "{\"name\":\"\\ud800\"}",
            "\u{feff}{}",
            &deep,
        ] {
            assert_eq!(node_info(text.as_bytes()), NodeInfo::default(), "{text:.40}");
            assert_eq!(routing_entries(text.as_bytes()), None, "{text:.40}");
        }
        for number in ["\"-1\"", "\"x\"", "-1", "1.5", "\"99999999999999999999\"", "[1]"] {
            let text = format!("{{\"routing_entries\":{number}}}");
            assert_eq!(routing_entries(text.as_bytes()), None, "{number}");
        }
        let long = format!("{{\"routing_entries\":1,\"a\":\"{}\"}}", "x".repeat(SELF_LEN_MAX));
        assert_eq!(routing_entries(long.as_bytes()), None);
        assert_eq!(node_info(&[0xff, 0xfe]), NodeInfo::default());
    }

    #[test]
    fn names_are_short_and_hide_nothing() {
        let name = |text: &str| {
            let info = serde_json::json!({ "name": text }).to_string();
            node_info(info.as_bytes()).name
        };
        assert_eq!(name("a\u{202e}b\u{200b}\u{1b}[2Jc\n\td").unwrap(), "ab[2Jc  d");
        assert_eq!(name(&"ü".repeat(100)).unwrap().chars().count(), NAME_CHARS_MAX);
        assert_eq!(name("\u{200f}\u{e0041}"), None);
    }

    #[test]
    fn keys_come_once_and_not_more_than_so_many() {
        let said = [key(3), key(1), key(3), key(2)];
        assert_eq!(keys(&key(2), &said, 9), [key(1), key(3)]);
        assert_eq!(keys(&key(2), &said, 1), [key(1)]);
        assert_eq!(keys(&key(2), &[], 9), []);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let info = node_info(&bytes);
            prop_assert!(info.name.is_none_or(|name| !name.contains(char::is_control)));
            let _ = routing_entries(&bytes);
        }

        #[test]
        fn any_name_is_fit_to_be_shown(text in "\\PC{0,90}|.{0,90}") {
            let info = serde_json::json!({ "name": text, "buildname": text }).to_string();
            let info = node_info(info.as_bytes());
            for shown in [info.name, info.program].into_iter().flatten() {
                prop_assert!(!shown.is_empty() && !shown.contains(is_disguise));
                prop_assert!(shown.chars().count() <= NAME_CHARS_MAX);
            }
        }
    }
}
