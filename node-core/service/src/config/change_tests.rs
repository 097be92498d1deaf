//! Changes as a person sees them: the file before, the file after.

use std::fs;

use planetary_ipc::{Audience, LogThreshold};
use proptest::prelude::*;

use super::*;
use crate::config::{ConfigFile, default_file};

fn changed(before: &str, change: &SettingsChange) -> Result<String, EditError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    fs::write(&path, before).unwrap();
    let file = ConfigFile::new(path);
    let edited = file.change(change)?;
    assert_eq!(fs::read_to_string(file.path()).unwrap(), before, "written before it is to be");
    file.commit(&edited)?;
    Ok(fs::read_to_string(file.path()).unwrap())
}

fn echo(audience: Audience) -> SettingsChange {
    SettingsChange { echo: Some(audience), ..SettingsChange::default() }
}

fn sessions(sessions: SessionsSetting) -> SettingsChange {
    SettingsChange { sessions: Some(sessions), ..SettingsChange::default() }
}

fn listen(add: &[&str], remove: &[&str]) -> SettingsChange {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    SettingsChange {
        listen_add: texts(add),
        listen_remove: texts(remove),
        ..SettingsChange::default()
    }
}

#[test]
fn key_takes_the_place_of_its_default_and_the_rest_stays() {
    let file = default_file();
    for (change, before, after) in [
        (echo(Audience::Nobody), "#echo = \"circles\"", "echo = \"nobody\""),
        (sessions(SessionsSetting::Everyone), "#sessions = \"circles\"", "sessions = \"everyone\""),
        (
            SettingsChange { node_info_privacy: Some(false), ..SettingsChange::default() },
            "#node_info_privacy = true",
            "node_info_privacy = false",
        ),
        (
            SettingsChange { lan: Some(false), ..SettingsChange::default() },
            "lan trust`.\n#enabled = true",
            "lan trust`.\nenabled = false",
        ),
        (
            SettingsChange { names: Some(false), ..SettingsChange::default() },
            "Needs the interface.\n#enabled = true",
            "Needs the interface.\nenabled = false",
        ),
        (
            SettingsChange { log_level: Some(LogThreshold::Debug), ..SettingsChange::default() },
            "#level = \"info\"",
            "level = \"debug\"",
        ),
        (
            SettingsChange {
                public_list_url: Some("https://host.example/list".to_owned()),
                ..SettingsChange::default()
            },
            "#url = \"\"",
            "url = \"https://host.example/list\"",
        ),
    ] {
        assert_eq!(file.matches(before).count(), 1, "{before}");
        assert_eq!(changed(&file, &change).unwrap(), file.replace(before, after));
    }
}

#[test]
fn a_place_to_listen_comes_and_goes_in_its_own_section() {
    let metrics = |address: &str| {
        let metrics = Some(address.to_owned());
        SettingsChange { metrics, ..SettingsChange::default() }
    };
    let file = default_file();
    let (head, section) = file.split_once("\n[metrics]\n").unwrap();
    let with = |line: &str| {
        format!("{head}\n[metrics]\n{}", section.replacen("#listen = \"none\"", line, 1))
    };
    let open = changed(&file, &metrics("127.0.0.1:9090")).unwrap();
    assert_eq!(open, with("listen = \"127.0.0.1:9090\""));
    assert_eq!(changed(&open, &metrics("")).unwrap(), with("listen = \"none\""));
    for wrong in ["9090", "192.0.2.1:9090", "127.0.0.1:0", "none of it"] {
        assert!(changed(&file, &metrics(wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn old_value_back_is_the_old_file() {
    let file = default_file();
    let open = changed(&file, &sessions(SessionsSetting::Everyone)).unwrap();
    let back = changed(&open, &sessions(SessionsSetting::Auto)).unwrap();
    assert_eq!(back, file.replacen("#sessions = \"circles\"", "#sessions = \"everyone\"", 1));
    let uri = "tls://[::]:9001?password=secret";
    let more = changed(&file, &listen(&[uri], &[])).unwrap();
    assert_eq!(more, file.replacen("\nlisten = []", &format!("\nlisten = [\"{uri}\"]"), 1));
    assert_eq!(changed(&more, &listen(&[], &["tls://[::]:9001"])).unwrap(), file);
}

#[test]
fn files_of_other_shapes_keep_theirs() {
    for (before, after) in [
        ("", "[filter]\necho = \"nobody\"\n"),
        ("filter.echo = \"everyone\" # for now\n", "filter.echo = \"nobody\" # for now\n"),
        ("filter = { echo = \"circles\" }\n", "filter = { echo = \"nobody\" }\n"),
        ("filter = {}\n", "filter = { echo = \"nobody\" }\n"),
        (
            "[filter] # mine\n\n[tun]\n#echo = 1\n",
            "[filter] # mine\necho = \"nobody\"\n\n[tun]\n#echo = 1\n",
        ),
        // No comment, but a part of what the node tells.
        (
            "[filter]\n[node_info]\na = '''\n[filter]\n#echo = 1\n'''\n",
            "[filter]\necho = \"nobody\"\n[node_info]\na = '''\n[filter]\n#echo = 1\n'''\n",
        ),
    ] {
        assert_eq!(changed(before, &echo(Audience::Nobody)).unwrap(), after, "{before}");
    }
    let text = "# why\nsessions = \"everyone\"\n";
    let asleep = changed(text, &sessions(SessionsSetting::Auto)).unwrap();
    assert_eq!(asleep, "# why\n#sessions = \"everyone\"\n");
    assert_eq!(changed("", &sessions(SessionsSetting::Auto)).unwrap(), "");
}

#[test]
fn what_makes_no_sense_changes_nothing() {
    let text = "listen = [\"tls://[::]:9001\"]\n";
    let refused = |change: &SettingsChange| changed(text, change).unwrap_err();
    assert!(matches!(refused(&listen(&["gopher://[::]:70"], &[])), EditError::Uri(_)));
    assert!(matches!(
        refused(&listen(&["tls://[::]:9001?priority=3"], &[])),
        EditError::ListenerExists(_)
    ));
    assert!(matches!(refused(&listen(&[], &["tls://[::]:9002"])), EditError::ListenerNotFound(_)));
    // Another transport at the same place.
    assert!(matches!(refused(&listen(&["tcp://[::]:9001"], &[])), EditError::Refused(_)));
    let closed =
        SettingsChange { inbound: Some(Audience::Everyone), ..sessions(SessionsSetting::Circles) };
    let told = refused(&closed).to_string();
    assert!(told.starts_with("filter.inbound: is \"everyone\", while"), "{told}");
    for url in
        ["http://host.example/x", "gopher://x", "https://", "https://u:p@h/", "x\ny", "\u{202e}"]
    {
        let change =
            SettingsChange { public_list_url: Some(url.to_owned()), ..SettingsChange::default() };
        assert!(matches!(refused(&change), EditError::Refused(_)), "{url}");
    }
    let many: Vec<_> = (1..=LISTENERS_MAX).map(|port| format!("tcp://[::]:{port}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert!(matches!(refused(&listen(&many, &[])), EditError::ListenersFull));
    assert!(changed(text, &listen(&many, &["tls://[::]:9001"])).is_ok());
}

proptest! {
    #[test]
    fn values_are_never_more_than_values(text in "\\PC{0,40}|[\"'\\\\\n#\\[\\]=]{0,12}") {
        let public_list_url = Some(text.clone());
        let change = SettingsChange { public_list_url, ..SettingsChange::default() };
        if let Ok(after) = changed(&default_file(), &change) {
            prop_assert!(text.is_empty() || text.starts_with("http"), "{after}");
        }
    }
}
