//! Configuration files of other programs.
//!
//! Asserted: a file is understood, or refused with a line of it; what is shown of it has a bound
//! and no control character; and a secret in it is neither in a message nor in what is left.

use planetary_ipc::foreign::{ForeignError, read};

const SECRET: &str = "hVq3Zk8sT1";

/// See the module.
pub fn foreign(data: &[u8]) {
    for is_toml in [false, true] {
        check(data, is_toml);
    }
    // The same with a key in front of it, in both languages.
    check(&[format!("PrivateKey: {SECRET}\n").as_bytes(), data].concat(), false);
    check(&[format!("private_key = \"{SECRET}\"\n").as_bytes(), data].concat(), true);
}

fn check(data: &[u8], is_toml: bool) {
    let shown = match read(data, is_toml) {
        Ok(foreign) => {
            for item in &foreign.left {
                let value = item.value.as_deref().unwrap_or_default();
                assert!(item.setting.chars().count() <= 61 && value.chars().count() <= 61);
                assert!(!item.setting.contains(char::is_control), "{item:?}");
                assert!(!value.contains(char::is_control), "{item:?}");
                assert!(item.reason.as_ref().is_some_and(|reason| !reason.is_empty()));
            }
            format!("{:?}", foreign.settings)
        }
        Err(error) => {
            if let ForeignError::Syntax { line, .. } = &error {
                let lines = data.split(|&byte| byte == b'\n').count();
                assert!((1..=lines).contains(line), "line {line} of {lines}");
            }
            format!("{error} {error:?}")
        }
    };
    assert!(!shown.contains(SECRET), "a secret is shown: {shown}");
}
