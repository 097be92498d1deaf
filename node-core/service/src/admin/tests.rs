//! Requests and the frame around answers.

use serde_json::{Value, json};

use super::request::{Reading, Refusal, Request, answer, read};

fn understood(text: &str) -> Result<Request, Refusal> {
    match read(text.as_bytes()) {
        Reading::Whole(value, len) => {
            assert_eq!(len, text.len());
            Request::of(value)
        }
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn values_are_found_one_after_the_other_without_a_delimiter() {
    let Reading::Whole(value, len) = read(b"{\"request\":\"a\"}{\"request\"") else {
        panic!("a value is there")
    };
    assert_eq!((value, len), (json!({ "request": "a" }), 15));
    for begun in ["", " ", "{", "{\"request\":", "[[", "\"x"] {
        assert_eq!(read(begun.as_bytes()), Reading::Unfinished, "{begun}");
    }
    for nonsense in ["GET / HTTP/1.1\r\n", "}", "{]", "\u{1}", "{\"a\" 1}"] {
        assert_eq!(read(nonsense.as_bytes()), Reading::Nonsense, "{nonsense}");
    }
    let deep = "[".repeat(10_000);
    assert_eq!(read(deep.as_bytes()), Reading::Nonsense);
}

#[test]
fn names_have_no_case_and_unknown_ones_no_meaning() {
    let request = understood(
        r#"{"Request":"getPeers","ARGUMENTS":{"Sort":"cost"},"keepAlive":true,"other":[1]}"#,
    )
    .unwrap();
    assert_eq!((request.request.as_str(), request.keepalive), ("getPeers", true));
    assert_eq!(request.argument("sort"), Ok("cost"));
    assert_eq!(request.argument("uri"), Ok(""));
    let empty = understood(r#"{"request":"x","arguments":null,"keepalive":null}"#).unwrap();
    assert_eq!((empty.keepalive, empty.argument("sort")), (false, Ok("")));
}

#[test]
fn other_shapes_are_refused() {
    for text in [
        "[]",
        "7 ",
        r#"{"request":1}"#,
        r#"{"arguments":[]}"#,
        r#"{"arguments":"sort"}"#,
        r#"{"keepalive":"true"}"#,
    ] {
        let Reading::Whole(value, _) = read(text.as_bytes()) else { panic!("{text}") };
        assert!(matches!(Request::of(value), Err(Refusal::Malformed(_))), "{text}");
    }
    let request = understood(r#"{"request":"getPeers","arguments":{"sort":7}}"#).unwrap();
    assert!(matches!(request.argument("sort"), Err(Refusal::Malformed(_))));
}

#[test]
fn answers_look_as_the_chapter_shows_them() {
    let request = understood(r#"{"request":"nope"}"#).unwrap();
    let refused = answer(&request, Err(Refusal::UnknownCommand("nope".to_owned())));
    assert_eq!(
        String::from_utf8(refused).unwrap(),
        r#"{
  "status": "error",
  "error": "unknown command 'nope', try 'list' for help",
  "request": {
    "request": "nope",
    "arguments": {}
  },
  "response": null
}
"#
    );
    let kept = understood(r#"{"request":"list","keepalive":true}"#).unwrap();
    let answered: Value = serde_json::from_slice(&answer(&kept, Ok(json!({})))).unwrap();
    let expected = json!({ "request": "list", "arguments": {}, "keepalive": true });
    assert_eq!((&answered["status"], &answered["request"]), (&json!("success"), &expected));
    // Nobody knows what was asked for.
    let nothing = answer(&Request::default(), Err(Refusal::NoRequest));
    let nothing: Value = serde_json::from_slice(&nothing).unwrap();
    assert_eq!(nothing["request"], json!({ "request": "" }));
}
