//! A backup of an identity, opened with a passphrase.
//!
//! Asserted: no file takes more memory or time than the bounds allow, whatever it asks for; what
//! opens is the backup of the key that it names; and the passphrase is in no message.

use std::time::{Duration, Instant};

use planetary_service::backup::{open, peek};

/// Opens the backups of the corpus.
const PASSPHRASE: &str = "hVq3Zk8sT1";

/// See the module.
pub fn backup(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let began = Instant::now();
    match (open(text, PASSPHRASE), peek(text)) {
        (Ok(opened), Ok((key, created))) => {
            assert_eq!((opened.identity.key(), opened.created), (key, created));
        }
        (Ok(_), Err(error)) => panic!("it opens and cannot be read: {error}"),
        (Err(error), _) => {
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains(PASSPHRASE), "the passphrase is shown: {shown}");
            assert!(!shown.chars().any(|c| c.is_control()), "a control character: {shown:?}");
        }
    }
    // Two seconds on a laptop, and this may be a slow and busy machine.
    assert!(began.elapsed() < Duration::from_secs(60), "it takes too long");
}
