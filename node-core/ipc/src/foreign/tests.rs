//! Files as the programs write them, as people write them, and as nobody should.

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::value::Value;
use super::*;
use crate::import::ForeignKey;

fn hjson(text: &str) -> serde_json::Value {
    hjson::parse(text).unwrap().into_json().unwrap()
}

fn mistake(text: &str) -> (usize, String) {
    match hjson::parse(text) {
        Err(ForeignError::Syntax { line, what }) => (line, what),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("no mistake in {text:?}"),
    }
}

fn understood(text: &str) -> Foreign {
    read(text.as_bytes(), false).unwrap()
}

fn reasons(foreign: &Foreign) -> Vec<(&str, &str)> {
    let reason = |item: &'_ ImportItem| item.reason.clone().unwrap();
    foreign.left.iter().map(|item| (item.setting.as_str(), &*reason(item).leak())).collect()
}

const GENCONF: &str = r#"{
  # Your private key. DO NOT share this with anyone!
  PrivateKey: 2622a57c500dbf22

  // Peers
  Peers: [
    tls://one.example:443?key=00
    "tls://two.example:443"
    tcp://three.example:1 # no comment
  ]
  InterfacePeers: { "eth0": [ "tcp://[fe80::1%25eth0]:9" ] }
  Listen: []
  MulticastInterfaces: [
    {
      Regex: .*
      Beacon: true
      Listen: true
      Password: ""
    }
    { Regex: "lo", Beacon: false, Listen: false }
  ]
  /* none
     yet */
  AllowedPublicKeys: ["00"]
  IfName: auto
  IfMTU: 65535
  NodeInfoPrivacy: false
  NodeInfo: { name: lab
              nested: { list: [1, 2.5, null, true] } }
}
"#;

#[test]
fn file_of_the_reference_is_understood() {
    let Foreign { dialect, settings, key_file, left } = understood(GENCONF);
    assert_eq!((dialect, key_file), (Dialect::Yggdrasil, None));
    let Some(ForeignKey::Hex(key)) = &settings.private_key else { panic!("no key") };
    assert_eq!(key.as_str(), "2622a57c500dbf22");
    assert_eq!(
        settings.peers,
        [
            "tls://one.example:443?key=00",
            "tls://two.example:443",
            // As the reference reads it: a text without quotes ends with its line.
            "tcp://three.example:1 # no comment",
        ]
    );
    assert_eq!(settings.interface_peers["eth0"], ["tcp://[fe80::1%25eth0]:9"]);
    assert_eq!((settings.listen.len(), settings.allowed_keys.len()), (0, 1));
    assert_eq!(settings.tun_name.as_deref(), Some("auto"));
    assert_eq!((settings.tun_mtu, settings.node_info_privacy), (Some(65535), Some(false)));
    let info = serde_json::json!({"name": "lab", "nested": {"list": [1, 2.5, null, true]}});
    assert_eq!(serde_json::Value::Object(settings.node_info), info);
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(
        (left[0].setting.as_str(), left[0].value.as_deref()),
        ("MulticastInterfaces", Some(".*"))
    );
}

#[test]
fn json_is_understood_the_same() {
    let text = r#"{"PrivateKeyPath": "key.pem", "peers": ["tcp://a:1"], "NodeInfo": null,
                   "AdminListen": "none", "GroupPassword": 12345, "IfMTU": 1280}"#;
    let Foreign { settings, key_file, left, .. } = understood(text);
    assert_eq!(key_file.unwrap().to_str(), Some("key.pem"));
    assert_eq!(settings.peers, ["tcp://a:1"]);
    assert_eq!(settings.group_password.unwrap().as_str(), "12345");
    assert!(left.is_empty() && settings.node_info.is_empty(), "{left:?}");
}

#[test]
fn other_encodings_are_read() {
    let text = "{ IfName: ygg0\n}";
    let wide: Vec<u16> = text.encode_utf16().collect();
    let little: Vec<u8> = wide.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let big: Vec<u8> = wide.iter().flat_map(|unit| unit.to_be_bytes()).collect();
    for bytes in [
        text.as_bytes().to_vec(),
        [&[0xef, 0xbb, 0xbf], text.as_bytes()].concat(),
        [&[0xff, 0xfe][..], &little].concat(),
        [&[0xfe, 0xff][..], &big].concat(),
    ] {
        assert_eq!(read(&bytes, false).unwrap().settings.tun_name.as_deref(), Some("ygg0"));
    }
    for bytes in [&b"\xff\xff"[..], b"\xff\xfe\0", b"\xc0\x80"] {
        assert_eq!(read(bytes, false).unwrap_err(), ForeignError::NotText);
    }
}

const NG: &str = r#"
# Yggdrasil configuration file
private_key = "00"
peers = ["tls://one.example:443"]
listen = ["tcp://0.0.0.0:0"]
admin_listen = "tcp://localhost:9001"
if_name = "auto"
if_mtu = 1500
group_password = "x"
session_path_timeout = 60
allowed_public_keys = ["11"]
[node_info]
name = "lab"
[[multicast_interfaces]]
filter = "eth*"
[[multicast_interfaces]]
beacon = false
listen = false
[firewall]
enable = false
[tunnel_routing]
enable = true
"#;

#[test]
fn file_of_the_rewrite_is_understood() {
    for is_toml in [true, false] {
        let foreign = read(NG.as_bytes(), is_toml).unwrap();
        assert_eq!(
            reasons(&foreign).iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            ["admin_listen", "multicast_interfaces", "tunnel_routing"]
        );
        let settings = foreign.settings;
        assert_eq!(settings.dialect, Some(Dialect::YggdrasilNg));
        assert_eq!((settings.peers.len(), settings.listen.len()), (1, 1));
        assert_eq!((settings.tun_mtu, settings.allowed_keys.len()), (Some(1500), 1));
        assert_eq!(settings.node_info["name"], "lab");
        assert!(matches!(settings.private_key, Some(ForeignKey::Hex(_))));
    }
}

#[test]
fn what_has_no_meaning_is_named_without_its_value() {
    let foreign = understood(
        "{ Peers: tcp://a:1\n IfMTU: big\n NodeInfo: []\n Suace: hVq3Zk8sT1\n LogLookups: true\n\
         SigningPrivateKey: hVq3Zk8sT1\n SessionFirewall: { Enable: true }\n\
         AdminListen: tcp://h:1\n}",
    );
    let reasons = reasons(&foreign);
    let names: Vec<_> = reasons.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [
            "Peers",
            "IfMTU",
            "NodeInfo",
            "Suace",
            "LogLookups",
            "SigningPrivateKey",
            "SessionFirewall",
            "AdminListen"
        ]
    );
    let shown = format!("{:?} {foreign:?}", foreign.left);
    assert!(!shown.contains("hVq3"), "{shown}");
}

#[test]
fn other_files_are_told_apart() {
    let error = |text: &str| read(text.as_bytes(), false).unwrap_err();
    assert_eq!(error("version = 1\npeers = []"), ForeignError::Own);
    for text in ["", "# nothing\n", "{}", "{ Sauce: 1\n}", "milk: remember", "[milk]\na = 1"] {
        assert_eq!(error(text), ForeignError::NoSettings, "{text}");
    }
    assert!(matches!(error("remember the milk"), ForeignError::Syntax { line: 1, .. }));
    assert!(matches!(error("a = 1\nb = = 2"), ForeignError::Syntax { line: 2, .. }));
}

#[test]
fn every_form_of_a_text_is_read() {
    let text = "a: it's  # text \nb: 'it\\'s' // not text\n\
                \"c\" : \"\\u00e4\\ud83d\\ude00\\n\" d:''e: 1.5e3,f:-0\n\
                g: tr ue\nh: true # not text\n i : nullify\n k: null, l: 01\n m: a, b ] }";
    assert_eq!(
        hjson(text),
        serde_json::json!({
            "a": "it's  # text", "b": "it's", "c": "ä😀\n", "d": "", "e": 1500.0, "f": -0.0,
            "g": "tr ue", "h": true, "i": "nullify", "k": null, "l": "01", "m": "a, b ] }",
        })
    );
}

#[test]
fn text_over_lines_loses_its_indentation() {
    let text =
        "{\n  a: '''\n     one\n    two\n       three\n     '''\n  b: '''x''' c: ''''quoted'''\n}";
    let value = hjson(text);
    assert_eq!(value["a"], "one\ntwo\n  three");
    assert_eq!((&value["b"], &value["c"]), (&"x".into(), &"'quoted".into()));
}

#[test]
fn mistakes_have_a_line_and_no_value() {
    for (text, line, part) in [
        ("{\n a: 1\n", 3, "brace"),
        ("{\n a: [ hVq3 ]\n}", 4, "put it in quotes"),
        ("{ a: \"hVq3\n\" }", 2, "quote"),
        ("{ a \n b: 1 }", 2, "colon"),
        ("{ a: ,}", 1, "value is missing"),
        ("{ : 1 }", 1, "name is missing"),
        ("{ a: \"\\x\" }", 1, "backslash"),
        ("{ a: '''hVq3 }", 1, "'''"),
        ("/* {", 1, "comment"),
        ("{} {}", 1, "follows"),
        ("{ a: 1 ] }", 1, "name is missing"),
    ] {
        let (found, what) = mistake(text);
        assert!(found.abs_diff(line) <= 1 && what.contains(part), "{text}: {found} {what}");
        assert!(!what.contains("hVq3"), "{what}");
    }
}

#[test]
fn nesting_has_a_bound() {
    for open in ["[", "{a:"] {
        let deep = format!("a: {}", open.repeat(200_000));
        assert!(mistake(&deep).1.contains("nested"), "{open}");
    }
    let fine = format!("a: {}1{}", "[".repeat(60), "]".repeat(60));
    assert!(hjson(&fine).is_object());
    let deep = format!("a = {}", "[".repeat(200_000));
    assert!(read(deep.as_bytes(), true).is_err());
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            proptest::collection::btree_map(".{0,6}", inner, 0..5)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes, false);
        let _ = read(&bytes, true);
    }

    #[test]
    fn any_text_like_hjson_is_answered(text in "[{}\\[\\],:'\"#/*\\\\ \na1t.-]{0,80}") {
        let _ = hjson::parse(&text);
    }

    /// JSON is a part of HJSON, however it is laid out.
    #[test]
    fn json_means_what_it_means(value in json_value(), pretty in any::<bool>()) {
        let value = serde_json::json!({ "a": value });
        let text = if pretty {
            serde_json::to_string_pretty(&value).unwrap()
        } else {
            value.to_string()
        };
        prop_assert_eq!(hjson(&text), value);
    }

    #[test]
    fn numbers_are_those_of_json(text in "-?[0-9]{1,3}(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?") {
        let is_number = serde_json::from_str::<serde_json::Number>(&text).is_ok();
        let value = hjson::parse(&format!("a: {text}\n"));
        let Ok(Value::Object(members)) = value else { panic!("{text}") };
        prop_assert_eq!(matches!(&members[0].1, Value::Number(_)), is_number, "{}", text);
    }
}

#[test]
fn secrets_are_not_shown() {
    let foreign = understood("{ PrivateKey: hVq3Zk8sT1\n GroupPassword: hVq3Zk8sT1\n}");
    let secret = Zeroizing::new("hVq3Zk8sT1".to_owned());
    assert_eq!(foreign.settings.group_password, Some(secret));
    assert!(!format!("{foreign:?}").contains("hVq3"));
}
