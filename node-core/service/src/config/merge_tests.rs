//! Settings of other programs meet files of ours: empty, the default one, and one a person made.

use std::path::Path;

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;

fn config(text: &str) -> Config {
    Config::parse(text, Path::new("config.toml")).map_err(|error| error.to_string()).unwrap()
}

/// Merges into `text`; the result must pass our own check.
fn merged(text: &str, settings: &ForeignSettings, replace: bool) -> (String, Vec<ImportItem>) {
    let mut document: DocumentMut = text.parse().unwrap();
    let items = merge(settings, replace, &config(text), &mut document);
    let text = document.to_string();
    config(&text);
    (text, items)
}

fn outcomes(items: &[ImportItem]) -> Vec<(&str, ImportOutcome)> {
    items.iter().map(|item| (item.setting.as_str(), item.outcome)).collect()
}

const KEY: &str = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
const OTHER_KEY: &str = "29acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe12c89794bc9322966dd7";

fn settings() -> ForeignSettings {
    let info = serde_json::json!({"name": "lab", "nested": {"list": [1, 2.5, "x"]}, "gone": null});
    ForeignSettings {
        peers: vec![
            "tls://host.example:443?password=hVq3&key=".to_owned() + KEY,
            "quik://host.example:443".to_owned(),
        ],
        interface_peers: [("eth0".to_owned(), vec!["tcp://[fe80::1%25eth0]:9".to_owned()])].into(),
        listen: vec!["tls://[::]:9001".to_owned(), "tcp://[::]:9001".to_owned()],
        allowed_keys: vec![KEY.to_owned(), "short".to_owned()],
        group_password: Some(Zeroizing::new("hVq3".to_owned())),
        tun_name: Some("ygg0".to_owned()),
        tun_mtu: Some(1200),
        node_info: info.as_object().unwrap().clone(),
        node_info_privacy: Some(false),
        ..ForeignSettings::default()
    }
}

#[test]
fn everything_is_taken_that_can_be_and_the_rest_is_named() {
    let text = super::super::default_file();
    let (after, items) = merged(&text, &settings(), false);
    assert_eq!(
        outcomes(&items),
        [
            ("Peers", Taken),
            ("Peers", Left),
            ("InterfacePeers", Taken),
            ("Listen", Taken),
            ("Listen", Left),
            ("AllowedPublicKeys", Left),
            ("AllowedPublicKeys", Taken),
            ("GroupPassword", Taken),
            ("IfName", Taken),
            ("IfMTU", Taken),
            ("NodeInfoPrivacy", Kept),
            ("NodeInfo", Taken),
        ]
    );
    for line in text.lines().filter(|line| line.starts_with("# ")) {
        assert!(after.contains(line), "the comment is kept: {line}");
    }
    let config = config(&after);
    assert_eq!((config.peers.len(), config.listen.len(), config.allowed_keys.len()), (1, 1, 1));
    assert_eq!(config.peers[0].password().as_bytes(), b"hVq3");
    assert_eq!((config.tun.mtu, config.tun.name), (1280, "ygg0".parse().unwrap()));
    assert_eq!(config.node_info["nested"]["list"], serde_json::json!([1, 2.5, "x"]));
    assert!(config.node_info_privacy && !config.node_info.contains_key("gone"));
    let shown = format!("{items:?}");
    assert!(!shown.contains("hVq3"), "{shown}");
    assert!(items.iter().all(|item| item.outcome != Left || item.reason.is_some()));
    assert!(items[1].reason.as_ref().unwrap().contains("quik"), "{:?}", items[1]);
}

#[test]
fn second_time_changes_nothing() {
    let (once, _) = merged(&super::super::default_file(), &settings(), false);
    for replace in [false, true] {
        let mut again = settings();
        again.node_info.remove("gone");
        again.node_info_privacy = None;
        let (twice, items) = merged(&once, &again, replace);
        assert!(items.iter().all(|item| matches!(item.outcome, Same | Left)), "{items:#?}");
        assert_eq!(twice, once);
    }
}

const MADE: &str = "\
# mine
peers = [\"tls://host.example:443\"] # near
listen = [\"tls://[::]:9001?priority=3\"]
allowed_keys = [\"29acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe12c89794bc9322966dd7\"]
group_password = \"mine\"
node_info = { name = \"mine\" }
[tun]
name = \"none\"
mtu = 9000
";

#[test]
fn what_is_set_here_wins_unless_told_otherwise() {
    let (after, items) = merged(MADE, &settings(), false);
    let kept: Vec<_> = items.iter().filter(|item| item.outcome == Kept).collect();
    assert_eq!(kept.len(), 8, "{kept:#?}");
    let says = |item: &&ImportItem, words: &str| item.reason.as_ref().unwrap().contains(words);
    let privacy = |item: &&ImportItem| item.setting == "NodeInfoPrivacy";
    assert!(kept.iter().all(|item| says(item, "--replace") || privacy(item)));
    let before = config(MADE);
    let after = config(&after);
    assert_eq!(after.allowed_keys, [OTHER_KEY.parse().unwrap()]);
    assert_eq!((after.peers == before.peers, after.listen == before.listen), (true, true));
    assert_eq!((after.tun, after.node_info), (before.tun, before.node_info));
    assert_eq!(after.group_password.unwrap().as_str(), "mine");

    let (text, items) = merged(MADE, &settings(), true);
    assert!(
        items.iter().all(|item| matches!(item.outcome, Taken | Left) || privacy(&item)),
        "{items:#?}"
    );
    assert!(text.contains("# mine") && text.contains("# near"), "{text}");
    let after = config(&text);
    assert_eq!(after.allowed_keys, [KEY.parse().unwrap()]);
    assert_eq!(after.peers.len(), 1);
    assert_eq!(after.peers[0].password().as_bytes(), b"hVq3");
    assert_eq!((after.listen[0].priority(), after.tun.mtu), (0, 1280));
    assert_eq!(after.group_password.unwrap().as_str(), "hVq3");
    assert!(after.node_info_privacy && after.node_info["name"] == "lab");
}

#[test]
fn list_of_wrong_keys_does_not_open_the_door() {
    let settings = ForeignSettings {
        allowed_keys: vec!["x".into(), String::new()],
        ..ForeignSettings::default()
    };
    let (after, items) = merged(MADE, &settings, true);
    assert_eq!(after, MADE);
    assert_eq!(items.len(), 3);
    assert!(items[2].reason.as_ref().unwrap().contains("let everybody in"));
}

#[test]
fn values_of_the_other_program_that_mean_nothing_are_the_same() {
    let settings = ForeignSettings {
        tun_name: Some("auto".into()),
        tun_mtu: Some(65535),
        ..ForeignSettings::default()
    };
    let (after, items) = merged("", &settings, false);
    assert_eq!(outcomes(&items), [("IfName", Same), ("IfMTU", Same)]);
    assert_eq!(after, "");
}

#[test]
fn what_toml_has_not_is_left() {
    let mut deep = serde_json::json!("x");
    for _ in 0..100 {
        deep = serde_json::json!([deep]);
    }
    for value in [deep, serde_json::json!([null]), serde_json::json!(u64::MAX)] {
        let mut settings = ForeignSettings::default();
        settings.node_info.insert("a".into(), value);
        let (after, items) = merged("", &settings, false);
        assert_eq!((after.as_str(), items[0].outcome), ("", Left));
    }
    let mut settings = ForeignSettings::default();
    settings.node_info.insert("a".into(), "x".repeat(20_000).into());
    assert_eq!(merged("", &settings, false).1[0].outcome, Left);
}

#[test]
fn lists_have_the_bounds_of_our_file() {
    let settings = ForeignSettings {
        peers: (0..300).map(|n| format!("tcp://host{n}.example:1")).collect(),
        listen: (0..40).map(|n| format!("tcp://[::]:{}", 1000 + n)).collect(),
        ..ForeignSettings::default()
    };
    let (after, items) = merged("", &settings, false);
    let config = config(&after);
    assert_eq!((config.peers.len(), config.listen.len()), (PEERS_MAX, LISTENERS_MAX));
    assert_eq!(items.len(), 340);
}

const PEER: &str = ".{0,20}|(tcp|tls|quic)://h:[0-9]{1,5}(\\?[a-z]{1,8}=.{0,4})?";

proptest! {
    /// Whatever another file says, ours passes its own check afterwards.
    #[test]
    fn nothing_breaks_our_file(
        peers in proptest::collection::vec(PEER, 0..6),
        listen in proptest::collection::vec("(tcp|tls)://\\[::\\]:[0-9]{1,4}|.{0,9}", 0..6),
        interface in ".{0,18}",
        keys in proptest::collection::vec("[0-9a-f]{64}|.{0,9}", 0..4),
        name in proptest::option::of(".{0,18}"),
        mtu in proptest::option::of(any::<i64>()),
        info in proptest::collection::btree_map(".{0,9}", ".{0,9}", 0..4),
        password in proptest::option::of(".{0,9}"),
        replace in any::<bool>(),
    ) {
        let settings = ForeignSettings {
            interface_peers: [(interface, peers.clone())].into(),
            peers,
            listen,
            allowed_keys: keys,
            tun_name: name,
            tun_mtu: mtu,
            node_info: info.into_iter().map(|(name, value)| (name, value.into())).collect(),
            group_password: password.map(Zeroizing::new),
            ..ForeignSettings::default()
        };
        for text in ["", MADE, &super::super::default_file()] {
            merged(text, &settings, replace);
        }
    }
}
