//! Whole URIs, what is refused and how, and whatever anybody may write in place of one.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::options::parse_duration;
use super::*;

const KEY: &str = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";

fn peer(text: &str) -> Result<PeerUri, UriError> {
    text.parse()
}

fn refusal(text: &str) -> UriError {
    peer(text).expect_err(text)
}

fn host(text: &str) -> Host {
    peer(text).unwrap().endpoint().unwrap().host.clone()
}

fn endpoint(text: &str) -> Endpoint {
    peer(&format!("tcp://{text}")).unwrap().endpoint().unwrap().clone()
}

const fn inapplicable(option: &'static str, scheme: Scheme, role: &'static str) -> UriError {
    UriError::Inapplicable { option, scheme: scheme.name(), role }
}

#[test]
fn a_full_peer_uri_gives_all_its_options() {
    let upper = KEY.to_uppercase();
    let uri = peer(&format!(
        "TLS://Example.ORG:443/?key={KEY}&key={upper}&priority=7\
         &password=p%26q+r&maxbackoff=1m30s&sni=front.example"
    ))
    .unwrap();

    assert_eq!(uri.scheme(), Scheme::Tls);
    let endpoint = Endpoint { host: Host::Name("example.org".into()), port: 443 };
    assert_eq!(uri.place(), &Place::Node(endpoint));
    assert_eq!(uri.pinned_keys(), [KEY.parse().unwrap(); 2]);
    assert_eq!(uri.priority(), 7);
    assert_eq!(uri.password().as_bytes(), b"p&q r");
    assert_eq!(uri.backoff_ceiling(), Duration::from_secs(90));
    assert_eq!(uri.server_name(), Some("front.example"));
}

#[test]
fn options_that_are_absent_have_the_defaults_of_the_network() {
    let uri = peer("tcp://192.0.2.1:9001").unwrap();

    assert!(uri.pinned_keys().is_empty());
    assert_eq!(uri.priority(), 0);
    assert_eq!(uri.password().as_bytes(), b"");
    assert_eq!(uri.backoff_ceiling(), BACKOFF_CEILING_DEFAULT);
}

#[test]
fn display_and_debug_show_no_password() {
    let text = format!("tls://example.org:443?password=hunter2&key={KEY}");
    let uri = peer(&text).unwrap();
    let listen: ListenUri = "tcp://0.0.0.0:1?password=hunter2".parse().unwrap();

    assert_eq!(uri.to_string(), "tls://example.org:443");
    assert_eq!(listen.to_string(), "tcp://0.0.0.0:1");
    for shown in [format!("{uri:?}"), format!("{listen:?}")] {
        assert!(!shown.contains("hunter") && shown.contains("hidden"), "{shown}");
    }
}

#[test]
fn addresses_of_all_kinds_are_understood() {
    let hosts = [
        ("tcp://192.0.2.1:1", Host::Address("192.0.2.1".parse().unwrap())),
        ("tcp://[2001:DB8::1]:1", Host::Address("2001:db8::1".parse().unwrap())),
        ("tcp://_x-y.example.:1", Host::Name("_x-y.example.".into())),
        ("tcp://localhost:1", Host::Name("localhost".into())),
    ];
    for (text, expected) in hosts {
        assert_eq!(host(text), expected, "{text}");
    }
}

#[test]
fn a_zone_is_kept_in_both_spellings() {
    let scoped =
        |zone: &str| Host::Scoped { address: "fe80::1".parse().unwrap(), zone: zone.into() };
    assert_eq!(host("tls://[fe80::1%25eth0]:1"), scoped("eth0"));
    assert_eq!(host("tls://[fe80::1%eth0]:1"), scoped("eth0"));
    assert_eq!(host("tls://[fe80::1%25]:1"), scoped("25"));
    assert_eq!(peer("tls://[fe80::1%eth0]:1").unwrap().to_string(), "tls://[fe80::1%25eth0]:1");

    for wrong in ["[fe80::1%]", "[fe80::1%25a/b]", "[fe80::1%a%b]", "[2001:db8::1%eth0]"] {
        assert!(peer(&format!("tcp://{wrong}:1")).is_err(), "{wrong}");
    }
    assert_eq!(refusal("tcp://[2001:db8::1%eth0]:1"), UriError::BadZone);
}

#[test]
fn places_that_are_no_places_are_refused_by_name() {
    let long_name = format!("tcp://{}:1", "a".repeat(64));
    let long_user = format!("socks://{}@a:1/b:2", "a".repeat(LOGIN_PART_MAX + 1));
    let long_path = format!("unix:///{}", "a".repeat(SOCKET_PATH_MAX));
    let cases = [
        ("", UriError::NoScheme),
        ("example.org:9001", UriError::NoScheme),
        ("://example.org:1", UriError::UnknownScheme(String::new())),
        ("http://example.org:1", UriError::UnknownScheme("http".into())),
        ("quic://user@example.org:1", UriError::UserInformation),
        ("quic://example.org:1/path", UriError::Trailing),
        ("ws://example.org", UriError::NoPort),
        ("ws://example.org/path:1", UriError::NoPort),
        ("wss://example.org:1/a&password=b", UriError::BadPath),
        ("wss://example.org:1/b\u{fc}cher", UriError::BadPath),
        ("ws://:word@example.org:1/", UriError::BadLogin),
        ("ws://us%3Aer:word@example.org:1/", UriError::BadLogin),
        ("socks://user%zz@proxy.example:1/a:2", UriError::BadLogin),
        (&long_user, UriError::BadLogin),
        ("socks://proxy.example:1", UriError::NoDestination),
        ("socks://proxy.example:1/", UriError::NoDestination),
        ("socks://proxy.example/a:2", UriError::NoPort),
        ("SOCKSTLS://a:1/b", UriError::NoPort),
        ("socks://a:1/b:0", UriError::BadPort),
        ("socks://a:1/b:2/c", UriError::BadPort),
        ("socks://a:1/[fe80::1%25eth0]:2", UriError::BadZone),
        ("unix://run/x.sock", UriError::SocketHost),
        ("unix://", UriError::BadSocketPath),
        ("unix:///run/", UriError::BadSocketPath),
        ("unix:///run/%00", UriError::BadSocketPath),
        ("unix:///run/%ff", UriError::BadSocketPath),
        (&long_path, UriError::BadSocketPath),
        ("tls://user:word@example.org:1", UriError::UserInformation),
        ("tcp://user@[::1]:1?priority=1", UriError::UserInformation),
        ("tcp://@example.org:1", UriError::UserInformation),
        ("tcp://", UriError::NoHost),
        ("tcp://:9001", UriError::NoHost),
        ("tcp://example.org", UriError::NoPort),
        ("tcp://example.org:", UriError::NoPort),
        ("tcp://[::1]", UriError::NoPort),
        ("tcp://[::1]9001", UriError::BadHost),
        ("tcp://[::1:9001", UriError::BadHost),
        ("tcp://::1:9001", UriError::BadHost),
        ("tcp://[1.2.3.4]:1", UriError::BadHost),
        ("tcp://1.2.3.256:1", UriError::BadHost),
        ("tcp://1.2.3:1", UriError::BadHost),
        ("tcp://ex%61mple.org:1", UriError::BadHost),
        ("tcp://a..b:1", UriError::BadHost),
        ("tcp://b\u{fc}cher.example:1", UriError::BadHost),
        (&long_name, UriError::BadHost),
        ("tcp://example.org:0", UriError::BadPort),
        ("tcp://example.org:65536", UriError::BadPort),
        ("tcp://example.org:+1", UriError::BadPort),
        ("tcp://example.org:1/path", UriError::Trailing),
        ("tcp://example.org:1#part", UriError::Trailing),
        ("tcp://example.org:1?password=a#b", UriError::Trailing),
        (" tcp://example.org:1", UriError::BadCharacter),
        ("tcp://example.org:1?password=a\nb", UriError::BadCharacter),
    ];
    for (text, error) in cases {
        assert_eq!(refusal(text), error, "{text}");
    }
    assert_eq!(refusal(&format!("tcp://a:1?{}", "&".repeat(URI_LEN_MAX))), UriError::TooLong);
}

#[test]
fn options_that_cannot_be_meant_are_refused_by_name() {
    let unknown =
        |option: &str, nearest| UriError::UnknownOption { option: option.into(), nearest };
    let cases = [
        ("passwrd=a", unknown("passwrd", "password")),
        ("Key=a", unknown("Key", "key")),
        ("prio=1", unknown("prio", "priority")),
        ("password=abc&hunter2", UriError::NoOption),
        ("password=abc&hunter=2", UriError::NoOption),
        ("password:hunter2", UriError::NoOption),
        ("max_backoff=1m", unknown("max_backoff", "maxbackoff")),
        ("sni=x", inapplicable("sni", Scheme::Tcp, "peer")),
        ("origin=*", inapplicable("origin", Scheme::Tcp, "peer")),
        ("priority=1&priority=1", UriError::Repeated("priority")),
        ("password=%4", UriError::BadEscape("password")),
        ("password=%+1", UriError::BadEscape("password")),
        ("key=", UriError::BadKey),
        ("key=03a1", UriError::BadKey),
        ("key=%ff", UriError::BadKey),
        ("priority=", UriError::BadPriority),
        ("priority=-1", UriError::BadPriority),
        ("priority=256", UriError::BadPriority),
        ("priority=%2b5", UriError::BadPriority),
        ("maxbackoff=4.999s", UriError::BadBackoff),
        ("maxbackoff=30", UriError::BadBackoff),
        ("maxbackoff=", UriError::BadBackoff),
        ("maxbackoff=1d", UriError::BadBackoff),
        ("maxbackoff=99999999999h", UriError::BadBackoff),
    ];
    for (query, error) in cases {
        assert_eq!(refusal(&format!("tcp://example.org:1?{query}")), error, "{query}");
    }
    assert_eq!(refusal("tls://example.org:1?sni=a%20b"), UriError::BadSni);
    let long = format!("tcp://a:1?password={}", "a".repeat(65));
    assert_eq!(refusal(&long), UriError::BadPassword);
    let keys = format!("key={KEY}&").repeat(33);
    assert_eq!(refusal(&format!("tcp://a:1?{keys}")), UriError::TooManyKeys);
}

#[test]
fn errors_do_not_repeat_the_values_of_options() {
    let secret = "hunter2".repeat(10);
    for text in [
        format!("socks://user:{secret}@a:1/b"),
        format!("ws://user:{secret}/{secret}@a:1"),
        format!("ws://a:1/&password={secret}"),
        format!("tcp://a:1?password={secret}"),
        format!("tcp://a:1?passwort={secret}"),
        format!("tcp://a:1?password={secret}%"),
        format!("tcp://{secret}@a?password=x"),
        format!("tcp://user:{secret}@a:1"),
    ] {
        let error = refusal(&text);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[test]
fn the_server_name_is_the_option_or_the_host_but_never_an_address() {
    let name = |text: &str| peer(text).unwrap().server_name().map(str::to_owned);
    assert_eq!(name("tls://Example.org:1"), Some("example.org".into()));
    assert_eq!(name("tls://192.0.2.1:1"), None);
    assert_eq!(name("tls://[::1]:1?sni=Front.example"), Some("front.example".into()));
    assert_eq!(name("tls://example.org:1?sni=192.0.2.1"), Some("example.org".into()));
    assert_eq!(name("tls://example.org:1?sni=[::1]"), Some("example.org".into()));
    assert_eq!(name("tls://example.org:1?sni="), Some("example.org".into()));
}

#[test]
fn a_listener_takes_priority_password_and_port_zero() {
    let uri: ListenUri = "tls://[::]:0?priority=3&password=x".parse().unwrap();
    assert_eq!((uri.scheme(), uri.endpoint().unwrap().port, uri.priority()), (Scheme::Tls, 0, 3));
    assert_eq!(uri.password().as_bytes(), b"x");
    let host = &uri.endpoint().unwrap().host;
    assert_eq!(host, &Host::Address(Ipv6Addr::UNSPECIFIED.into()));

    let pinned = format!("tls://[::]:0?key={KEY}").parse::<ListenUri>();
    assert_eq!(pinned.unwrap_err(), inapplicable("key", Scheme::Tls, "listener"));
}

#[test]
fn each_transport_has_its_own_kind_of_place() {
    let places = [
        ("quic://[::1]:1/", Place::Node(endpoint("[::1]:1")), "quic://[::1]:1"),
        (
            "WS://Host.example:80",
            Place::Web { server: endpoint("host.example:80"), path: "/".into() },
            "ws://host.example:80",
        ),
        (
            "wss://user:word@192.0.2.1:443/Some/path%3D?priority=1",
            Place::Web { server: endpoint("192.0.2.1:443"), path: "/Some/path%3D".into() },
            "wss://192.0.2.1:443/Some/path%3D",
        ),
        (
            "socks://us%40er:word@[::1]:9050/[2001:db8::1]:7/",
            Place::Proxied {
                proxy: endpoint("[::1]:9050"),
                destination: endpoint("[2001:db8::1]:7"),
            },
            "socks://[::1]:9050/[2001:db8::1]:7",
        ),
        (
            "sockstls://proxy.example:1080/Node.example:443",
            Place::Proxied {
                proxy: endpoint("proxy.example:1080"),
                destination: endpoint("node.example:443"),
            },
            "sockstls://proxy.example:1080/node.example:443",
        ),
        (
            "unix:///run/a%20b/c@d+e.sock?priority=1",
            Place::File("/run/a b/c@d+e.sock".into()),
            "unix:///run/a%20b/c%40d%2Be.sock",
        ),
    ];
    for (text, place, shown) in places {
        let uri = peer(text).unwrap();
        assert_eq!(uri.place(), &place, "{text}");
        assert_eq!(uri.to_string(), shown);
        assert_eq!(peer(shown).unwrap().place(), &place, "{shown}");
    }
}

#[test]
fn a_login_is_decoded_and_never_shown() {
    let uri = peer("socks://us%40er:hunter+2%3A@proxy.example:1/a:2").unwrap();
    let login = uri.login().unwrap();
    assert_eq!((&**login.user, &**login.password), ("us@er", "hunter+2:"));
    let shown = format!("{uri} {uri:?}");
    assert!(!shown.contains("er:") && !shown.contains("hunter"), "{shown}");

    let without = peer("ws://user@a.example:1").unwrap();
    assert_eq!(without.login().unwrap().password.as_str(), "");
    assert_ne!(without, peer("ws://a.example:1").unwrap());
}

#[test]
fn the_server_name_is_the_nodes_and_not_the_proxys() {
    let name = |text: &str| peer(text).unwrap().server_name().map(str::to_owned);
    assert_eq!(name("sockstls://proxy.example:1/node.example:2"), Some("node.example".into()));
    assert_eq!(name("sockstls://proxy.example:1/192.0.2.1:2"), None);
    assert_eq!(name("sockstls://a:1/b:2?sni=front.example"), Some("front.example".into()));
    assert_eq!(name("wss://host.example:443/path"), Some("host.example".into()));
    assert_eq!(name("quic://host.example:443"), None);
    assert_eq!(name("quic://host.example:443?sni=host.example"), Some("host.example".into()));
}

#[test]
fn listeners_take_what_their_transport_takes() {
    let listen = |text: &str| text.parse::<ListenUri>();
    let uri = listen("ws://[::]:80?origin=*.Example.org&origin=https://a.example").unwrap();
    let origins: Vec<_> = uri.origins().iter().map(Pattern::as_str).collect();
    assert_eq!(origins, ["*.example.org", "https://a.example"]);
    assert!(listen("wss://[::]:443?origin=*").is_ok() && listen("quic://[::]:0").is_ok());
    assert_eq!(listen("unix:///run/a.sock").unwrap().place().file(), Some("/run/a.sock".as_ref()));

    let many = format!("ws://[::]:80?{}", "origin=a&".repeat(ORIGINS_MAX + 1));
    for (text, error) in [
        ("socks://[::]:1/a:2", UriError::DialOnly("socks")),
        ("sockstls://[::]:1/a:2", UriError::DialOnly("sockstls")),
        ("ws://user:word@[::]:80", UriError::UserInformation),
        ("ws://[::]:80/path", UriError::Trailing),
        ("ws://[::]:80?origin=", UriError::BadOrigin),
        ("ws://[::]:80?origin=[", UriError::BadOrigin),
        ("tcp://[::]:80?origin=*", inapplicable("origin", Scheme::Tcp, "listener")),
        ("unix:///run/a.sock?sni=a", inapplicable("sni", Scheme::Unix, "listener")),
        (&many, UriError::TooManyOrigins),
    ] {
        assert_eq!(listen(text).unwrap_err(), error, "{text}");
    }
}

#[test]
fn ports_of_tcp_and_of_udp_do_not_collide() {
    let uris = ["tls://[::]:1", "ws://[::]:1", "quic://[::]:1", "quic://[::]:0", "unix:///a"];
    let uris = uris.map(|text| text.parse::<ListenUri>().unwrap());
    let [tls, ws, quic, any, file] = uris.each_ref().map(ListenUri::port_taken);
    assert!(tls.is_some() && tls == ws && quic.is_some() && quic != tls);
    assert_eq!((any, file), (None, None));
}

#[test]
fn durations_add_up_as_in_other_programs_of_the_network() {
    let cases = [
        ("30s", 30_000_000_000),
        ("1h30m", 5_400_000_000_000),
        ("1.5m", 90_000_000_000),
        (".5m", 30_000_000_000),
        ("5.s", 5_000_000_000),
        ("6000ms1us1\u{b5}s1ns", 6_000_002_001),
        ("0.000000001234h", 4_442),
        ("0s", 0),
    ];
    for (text, nanos) in cases {
        assert_eq!(parse_duration(text), Some(Duration::from_nanos(nanos)), "{text}");
    }
    for text in ["", "s", ".s", "1", "1.2.3s", "-5s", "1 s", "1S", "1s1", "9999999h9999999h"] {
        assert_eq!(parse_duration(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}") {
        let _ = peer(&text);
        let _ = text.parse::<ListenUri>();
    }

    #[test]
    fn near_misses_do_not_make_it_panic(
        text in r"(tcp|ws|unix|socks)://[\[\]a-f0-9:.%@/?]{0,40}(\?[a-z=&%+0-9.µ]{0,40})?",
    ) {
        let _ = peer(&text);
        let _ = text.parse::<ListenUri>();
    }

    #[test]
    fn what_is_shown_names_the_same_link(
        host in prop_oneof![
            "[a-z]([a-z0-9-]{0,20}[a-z])?(\\.[a-z]{1,10}){0,3}",
            any::<Ipv4Addr>().prop_map(|address| address.to_string()),
            any::<Ipv6Addr>().prop_map(|address| format!("[{address}]")),
            any::<u64>().prop_map(|low| format!("[fe80::{:x}%25eth0]", low & 0xffff)),
        ],
        port in 1_u16..,
        password in proptest::collection::vec(any::<u8>(), 0..=PASSWORD_MAX),
    ) {
        let encoded: String = password.iter().map(|byte| format!("%{byte:02X}")).collect();
        let uri = peer(&format!("tls://{host}:{port}?password={encoded}")).unwrap();
        prop_assert_eq!(uri.password().as_bytes(), &password[..]);
        prop_assert_eq!(peer(&uri.to_string()).unwrap().to_string(), uri.to_string());
    }
}
