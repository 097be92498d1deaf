//! The configuration file.
//!
//! Asserted: a file is either usable as a whole or refused with a list of mistakes that have lines
//! of the file, and no message repeats the group password.

use std::path::Path;

use planetary_service::config::{Config, ConfigError, TunName};

const PASSWORD: &str = "hVq3Zk8sT1";

/// See the module.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let path = Path::new("config.toml");
    match Config::parse(text, path) {
        Ok(config) => {
            assert!(config.tun.mtu >= 1280);
            if let TunName::Named(name) = &config.tun.name {
                assert!((1..=15).contains(&name.as_str().len()));
            }
            let mut endpoints = config.peers.iter().filter_map(|peer| peer.endpoint());
            assert!(endpoints.all(|endpoint| endpoint.port != 0));
        }
        Err(error) => check_error(&error, text),
    }
    let secret = format!("group_password = \"{PASSWORD}\"\n{text}");
    if let Err(error) = Config::parse(&secret, path) {
        assert!(!format!("{error} {error:?}").contains(PASSWORD), "the password is shown: {error}");
        check_error(&error, &secret);
    }
}

fn check_error(error: &ConfigError, text: &str) {
    let ConfigError::Wrong { problems, .. } = error else { panic!("no file was read: {error}") };
    assert!(!problems.is_empty(), "a refusal has a reason");
    let lines = text.split('\n').count();
    for problem in problems {
        assert!((1..=lines).contains(&problem.line), "line {} of {lines}", problem.line);
        assert!(!problem.what.is_empty() && !problem.remedy.is_empty());
    }
    let shown = error.to_string();
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "a control character: {shown:?}");
}
