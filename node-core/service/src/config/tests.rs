//! The file as a whole: defaults, golden messages, and whatever anybody may put where the file
//! should be.

use std::fs;

use proptest::prelude::*;

use super::table::{KEYS, SECTIONS};
use super::*;

const KEY_A: &str = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("config.toml")).map_err(|error| error.to_string())
}

/// Everything in a configuration as text, to compare two of them. Secrets are in it; tests have
/// none.
fn fingerprint(config: &Config) -> String {
    let Config { listen, peers, interface_peers, allowed_keys, group_password, groups, .. } =
        config;
    let Config { sessions, transit, node_info, node_info_privacy, tun, filter, log_level, .. } =
        config;
    let Config { lan, public_peers, web_certificate, fast_sessions, .. } = config;
    // The default of the table is what an absent key means while the filter is closed.
    let sessions = sessions.unwrap_or(Audience::Circles);
    let links = format!(
        "{listen:?} {peers:?} {interface_peers:?} {allowed_keys:?} {group_password:?} {}",
        groups.len()
    );
    format!(
        "{links} {sessions:?} {transit:?} {node_info:?} {node_info_privacy} {tun:?} {filter:?} \
         {log_level:?} {lan:?} {public_peers:?} {web_certificate:?} {fast_sessions}"
    )
}

#[test]
fn every_default_of_the_table_is_readable_and_is_what_an_empty_file_means() {
    for key in KEYS {
        let text = format!("{} = {}", key.name, key.default);
        let config = parse(&text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(fingerprint(&config), fingerprint(&Config::default()), "{text}");
    }
    let config = parse("").unwrap();
    assert_eq!(fingerprint(&config), fingerprint(&Config::default()));
    assert_eq!(config.tun, Tun { name: TunName::Auto, mtu: 65535 });
    assert_eq!((config.transit, config.log_level), (Transit::Reluctant, LogLevel::Info));
    assert!(config.save.on_battery && config.save.on_metered && config.groups.is_empty());
    assert!(config.node_info_privacy && config.group_password.is_none());
}

#[test]
fn table_has_every_key_once_and_each_in_a_known_section() {
    let mut names: Vec<_> = KEYS.iter().map(|key| key.name).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "admin.danger_tcp",
            "admin.listen",
            "allowed_keys",
            "dht.enabled",
            "direct.enabled",
            "fast.enabled",
            "filter.echo",
            "filter.inbound",
            "gateway.danger_beyond_this_machine",
            "gateway.http",
            "gateway.socks",
            "group",
            "group_password",
            "interface_peers",
            "lan.enabled",
            "lan.everywhere",
            "lan.interfaces",
            "lan.listen_port",
            "lan.max_links",
            "lan.password",
            "lan.priority",
            "listen",
            "log.format",
            "log.level",
            "metrics.listen",
            "names.enabled",
            "node_info",
            "node_info_privacy",
            "peers",
            "public_peers.key",
            "public_peers.url",
            "releases.check",
            "save.on_battery",
            "save.on_metered",
            "sessions",
            "tls.certificate",
            "tls.key",
            "transit",
            "tun.mtu",
            "tun.name",
            "version",
        ]
    );
    for (section, _) in names.iter().filter_map(|name| name.split_once('.')) {
        assert!(SECTIONS.iter().any(|known| known.name == section), "{section}");
    }
}

#[test]
fn default_file_means_the_defaults_commented_or_not() {
    let file = default_file();
    let defaults = fingerprint(&Config::default());
    assert_eq!(fingerprint(&parse(&file).unwrap()), defaults);

    // Every setting that is commented out, switched on.
    let setting = |line: &str| line.starts_with('#') && !line.starts_with("# ") && line.len() > 1;
    let switched_on: Vec<_> =
        file.lines().map(|line| if setting(line) { &line[1..] } else { line }).collect();
    let switched_on = switched_on.join("\n");
    assert_eq!(fingerprint(&parse(&switched_on).unwrap()), defaults);
    for key in KEYS {
        let name = key.name.rsplit('.').next().unwrap();
        let stands = switched_on.contains(&format!("\n{name} = "))
            || switched_on.contains(&format!("\n[{name}]"));
        assert!(stands, "{}", key.name);
    }

    // Every example, switched on in its place.
    let examples: Vec<_> =
        file.lines().map(|line| line.strip_prefix("# Example: ").unwrap_or(line)).collect();
    let examples = examples.join("\n").replace("\nlisten = []", "").replace("\npeers = []", "");
    let config = parse(&examples).unwrap();
    assert_eq!((config.peers.len(), config.listen.len(), config.interface_peers.len()), (2, 2, 1));
}

#[test]
fn reference_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/config.md");
    let (begin, end) = ("<!-- generated: keys -->\n", "<!-- end -->");
    let page = fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(begin).unwrap();
    let (_, tail) = rest.split_once(end).unwrap();
    let fresh = format!("{head}{begin}{}{end}{tail}", reference_page());
    check_golden("../docs/config.md", &page, &fresh);
}

#[test]
fn full_file_is_read() {
    let config = parse(&format!(
        r#"
        version = 1
        listen = ["tls://[::]:9001?password=x", "tcp://0.0.0.0:9002"]
        peers = ["tls://peer.example:443?key={KEY_A}&priority=2"]
        allowed_keys = ["{KEY_A}"]
        group_password = "secret"
        transit = "relay"
        node_info_privacy = false
        interface_peers.eth0 = ["tcp://192.0.2.1:9"]
        node_info = {{ name = "x", tags = ["a", 1, 2.5, {{ deep = true }}] }}
        tun = {{ name = "ygg0", mtu = 1280 }}
        save.on_battery = false
        [log]
        level = "debug"
        [lan]
        enabled = false
        [[group]]
        password = "other"
        keys = ["{KEY_A}"]
        "#
    ))
    .unwrap();
    assert_eq!((config.listen.len(), config.peers.len(), config.allowed_keys.len()), (2, 1, 1));
    assert_eq!(config.group_password.as_deref().map(String::as_str), Some("secret"));
    assert_eq!(config.tun.mtu, 1280);
    let [group] = &config.groups[..] else { panic!("one group") };
    assert_eq!((group.password.as_str(), group.keys.len()), ("other", 1));
    assert_eq!(config.save, Save { on_battery: false, on_metered: true });
    assert_eq!(config.log_level, LogLevel::Debug);
    assert_eq!(config.interface_peers["eth0"].len(), 1);
    let node_info = serde_json::to_string(&config.node_info).unwrap();
    assert_eq!(node_info, r#"{"name":"x","tags":["a",1,2.5,{"deep":true}]}"#);
}

#[test]
fn messages_name_line_key_mistake_and_remedy() {
    let golden = include_str!("messages.txt");
    let mut fresh = golden.lines().take(2).map(|line| format!("{line}\n")).collect::<String>();
    for block in golden.split("\n\n").skip(1) {
        let lines = block.lines().filter(|line| !line.starts_with("=> "));
        let text = lines.collect::<Vec<_>>().join("\n");
        let message = parse(&text).err().unwrap_or_else(|| "accepted".to_owned());
        assert!(!message.contains("hunter2"), "{message}");
        fresh.push_str(&format!("\n{text}\n"));
        message.lines().for_each(|line| fresh.push_str(&format!("=> {line}\n")));
    }
    check_golden("src/config/messages.txt", golden, &fresh);
}

/// Compares a file with what it should be, or makes it that.
fn check_golden(name: &str, found: &str, fresh: &str) {
    if std::env::var_os("PLANETARY_UPDATE_DOCS").is_some() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(name), fresh).unwrap();
    } else {
        let differs = found.lines().zip(fresh.lines()).find(|(found, fresh)| found != fresh);
        assert!(found == fresh, "{name}: run the tests with PLANETARY_UPDATE_DOCS=1; {differs:#?}");
    }
}

#[test]
fn all_mistakes_are_reported_up_to_a_number() {
    let text: String = (0..100).map(|n| format!("key{n} = 1\n")).collect();
    let message = parse(&text).err().unwrap();
    assert_eq!(message.lines().count(), 21);
    assert!(message.ends_with("config.toml: and 80 more"), "{message}");
}

#[test]
fn node_info_has_room_for_what_the_node_adds() {
    let text = |len: usize, privacy: bool| {
        format!(
            "node_info_privacy = {privacy}\n[node_info]\na = [{}]\n",
            format!("\"{}\",", "x".repeat(1000)).repeat(len)
        )
    };
    parse(&text(16, true)).unwrap();
    assert!(parse(&text(17, true)).is_err());
    parse(&text(15, false)).unwrap();
}

#[test]
fn whatever_stands_in_place_of_the_file_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    let message = || Config::load(&path).err().unwrap().to_string();
    let at = path.display();

    assert_eq!(message(), format!("{at}: no such file; check the name, or make the file"));
    fs::write(&path, b"peers = []\n# \xff\xfe\n").unwrap();
    assert_eq!(
        message(),
        format!(
            "{at}:2: not UTF-8 text; save the file as UTF-8, or start again from `planetaryd \
             genconf`"
        )
    );
    fs::write(&path, [0u8; 4096]).unwrap();
    assert!(message().contains("not valid TOML"), "{}", message());
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(
        message(),
        format!("{at}: larger than 1048576 bytes; check that it is the right file")
    );
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(message(), format!("{at}: not an ordinary file; put an ordinary file there"));
    fs::remove_dir(&path).unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&path, &path).unwrap();
        assert!(
            message().contains("check that the account of the service may read it"),
            "{}",
            message()
        );
    }
}

#[test]
fn deep_nesting_is_refused() {
    for text in [
        format!("node_info.a = {}", "[".repeat(200_000)),
        format!("node_info.a = {}{}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("node_info.a = {}1{}", "{a=".repeat(100_000), "}".repeat(100_000)),
        format!("node_info{} = 1", ".a".repeat(100_000)),
        format!("[{}a]", "a.".repeat(100_000)),
    ] {
        assert!(parse(&text).is_err());
    }
}

/// Text that gets past the first lines of the parser.
fn toml_like() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        (0..KEYS.len()).prop_map(|index| KEYS[index].name.to_owned()),
        "[a-z]{1,4}(\\.[a-z]{1,4}){0,2}",
        "\"\\PC{0,5}\"",
    ];
    let value = prop_oneof![
        (0..KEYS.len()).prop_map(|index| KEYS[index].default.to_owned()),
        "-?[0-9]{1,20}",
        "\"\\PC{0,12}\"",
        "\\[(\"(tcp|tls|quic)://[a-z0-9:%?&=]{0,12}\",?){0,3}\\]",
        "\\{[a-z]=[0-9]\\}",
        Just("nan".to_owned()),
        Just("1979-05-27T07:32:00Z".to_owned()),
    ];
    let line = prop_oneof![
        4 => (name.clone(), value).prop_map(|(name, value)| format!("{name} = {value}")),
        1 => name.clone().prop_map(|name| format!("[{name}]")),
        1 => name.prop_map(|name| format!("[[{name}]]")),
        1 => "# \\PC{0,9}",
        1 => "\\PC{0,9}",
    ];
    proptest::collection::vec(line, 0..8).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "(?s).{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn any_toml_is_answered_with_lines_of_the_file(text in toml_like()) {
        match Config::parse(&text, Path::new("config.toml")) {
            Ok(_) => {}
            Err(ConfigError::Wrong { problems, .. }) => {
                prop_assert!(!problems.is_empty());
                for problem in problems {
                    let lines = 1..=text.lines().count() + 1;
                    prop_assert!(lines.contains(&problem.line), "{problem}");
                    prop_assert!(!problem.to_string().contains('\n'), "{problem}");
                    prop_assert!(!problem.to_string().chars().any(char::is_control), "{problem}");
                }
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}

#[test]
fn open_doors_need_no_word_about_sessions_and_contradict_a_closed_one() {
    for text in [
        "filter.inbound = \"everyone\"",
        "filter.echo = \"everyone\"",
        "filter.inbound = \"everyone\"\nsessions = \"everyone\"",
        "filter.inbound = \"nobody\"\nfilter.echo = \"circles\"\nsessions = \"circles\"",
    ] {
        parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    assert_eq!(parse("filter.inbound = \"everyone\"").unwrap().sessions, None);
    for text in ["filter.inbound = \"everyone\"", "filter.echo = \"everyone\""] {
        assert!(parse(&format!("{text}\nsessions = \"circles\"")).is_err(), "{text}");
    }
}
