//! What a client of the SOCKS5 proxy sends: greeting, request, datagrams.
//!
//! Asserted: what was read is the same whatever follows it; what is not complete has another byte
//! to come; a refusal is one or two whole messages of the protocol, and nothing that is no SOCKS5
//! is answered.

use planetary_runtime::gateway::socks::wire::{
    MESSAGE_LEN_MAX, Malformed, parse_datagram, parse_greeting, parse_request,
};

/// See the module.
pub fn socks(data: &[u8]) {
    check(data, parse_greeting);
    check(data, |bytes| Ok(parse_request(bytes)?.map(|(_, len)| len)));
    if let Ok(Some((request, len))) = parse_request(data) {
        assert_eq!(parse_request(&data[..len]), Ok(Some((request, len))));
    }
    if let Some((_, rest)) = parse_datagram(data) {
        assert!(data.ends_with(rest) && rest.len() <= data.len() - 3);
    }
}

fn check(data: &[u8], parse: impl Fn(&[u8]) -> Result<Option<usize>, Malformed>) {
    match parse(data) {
        Ok(Some(len)) => {
            assert!((1..=MESSAGE_LEN_MAX.min(data.len())).contains(&len));
            assert_eq!(parse(&data[..len]), Ok(Some(len)));
            assert_eq!(parse(&data[..len - 1]), Ok(None));
        }
        Ok(None) => assert!(data.len() < MESSAGE_LEN_MAX),
        Err(error) => {
            let answer = error.answer();
            assert_eq!(answer.is_empty(), error == Malformed::Foreign);
            assert!(matches!(answer.len(), 0 | 2 | 10) && !answer.starts_with(&[5, 0]));
        }
    }
}
