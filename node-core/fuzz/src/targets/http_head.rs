//! Heads of HTTP messages, and what a WebSocket listener makes of a request.
//!
//! Asserted: a head ends within the bytes and is the same without those behind it; patterns of
//! origins let more in and never less; nobody gets in whose key is not one, or who comes from
//! another origin that no pattern names.

use planetary_runtime::{
    http::{FIELDS_MAX, Request, Response},
    links::{
        uri::ListenUri,
        websocket::upgrade::{Verdict, judge},
    },
};

/// See the module.
pub fn http_head(data: &[u8]) {
    if let Ok(Some((response, len))) = Response::parse(data) {
        let again = Response::parse(&data[..len]).expect("it was read before");
        assert_eq!(again, Some((response, len)));
    }
    let Ok(Some((request, len))) = Request::parse(data) else { return };
    let again = Request::parse(&data[..len]).expect("it was read before");
    assert_eq!(again.as_ref(), Some(&(request.clone(), len)));
    assert!(request.fields.all("origin").count() <= FIELDS_MAX);

    let closed: ListenUri = "ws://[::]:0".parse().expect("a listener");
    let open: ListenUri = "ws://[::]:0?origin=*".parse().expect("a listener");
    let verdict = judge(&request, closed.origins());
    let with_patterns = judge(&request, open.origins());
    match &verdict {
        Verdict::Refuse(403) => assert!(request.fields.first("origin").is_some()),
        other => assert_eq!(*other, with_patterns),
    }
    assert_ne!(with_patterns, Verdict::Refuse(403));
    if let Verdict::Link { accept } | Verdict::OtherProtocol { accept } = &verdict {
        assert_eq!(accept.len(), 28, "20 bytes in base64");
        assert_eq!(request.fields.first("sec-websocket-key").map(str::len), Some(24));
        let host = request.fields.first("host").expect("a host").to_ascii_lowercase();
        for origin in request.fields.all("origin") {
            assert!(origin.to_ascii_lowercase().ends_with(&format!("://{host}")), "{origin}");
        }
    }
}
