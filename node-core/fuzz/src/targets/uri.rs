//! URIs of peers and listeners.
//!
//! Asserted: no password and no login is in anything that is shown, errors included; what is shown
//! is a URI of the same place; and what it can hold is bounded.

use std::fmt::{Debug, Display};

use planetary_proto::link::meta::PASSWORD_MAX;
use planetary_runtime::links::uri::{
    BACKOFF_CEILING_MIN, ListenUri, ORIGINS_MAX, PINNED_KEYS_MAX, PeerUri, UriError,
};

const PASSWORD: &str = "hVq3Zk8sT1";

/// See the module.
pub fn uri(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let join = if text.contains('?') { '&' } else { '?' };
    let secret = format!("{text}{join}password={PASSWORD}");
    check_hidden(&secret.parse::<PeerUri>());
    check_hidden(&secret.parse::<ListenUri>());
    if let Some((scheme, rest)) = text.split_once("://") {
        let secret = format!("{scheme}://user:{PASSWORD}@{rest}");
        check_hidden(&secret.parse::<PeerUri>());
        check_hidden(&secret.parse::<ListenUri>());
    }

    if let Ok(peer) = text.parse::<PeerUri>() {
        assert!(peer.endpoint().is_none_or(|endpoint| endpoint.port != 0));
        assert!(peer.backoff_ceiling() >= BACKOFF_CEILING_MIN);
        assert!(peer.pinned_keys().len() <= PINNED_KEYS_MAX);
        assert!(peer.password().as_bytes().len() <= PASSWORD_MAX);
        let shown = peer.to_string();
        let again: PeerUri = shown.parse().expect("what is shown is a URI");
        assert_eq!(again.to_string(), shown);
        assert_eq!((again.scheme(), again.place()), (peer.scheme(), peer.place()));
        assert!(again.password().as_bytes().is_empty() && again.pinned_keys().is_empty());
        assert!(again.login().is_none());
    }
    if let Ok(listener) = text.parse::<ListenUri>() {
        let shown = listener.to_string();
        let again: ListenUri = shown.parse().expect("what is shown is a URI");
        assert_eq!(again.to_string(), shown);
        assert_eq!((again.scheme(), again.place()), (listener.scheme(), listener.place()));
        assert!(again.password().as_bytes().is_empty() && again.origins().is_empty());
        assert!(listener.origins().len() <= ORIGINS_MAX);
    }
}

fn check_hidden<T: Debug + Display>(parsed: &Result<T, UriError>) {
    let shown = match parsed {
        Ok(uri) => format!("{uri} {uri:?}"),
        Err(error) => format!("{error} {error:?}"),
    };
    assert!(!shown.contains(PASSWORD), "the password is shown: {shown}");
}
