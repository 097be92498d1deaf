//! The table of every key: the one place where a configuration key is defined.
//!
//! Adding a key is adding an entry here and a field to [`Config`]; parsing, error messages, the
//! default file and the reference page follow. An entry that is not [`Key::available`] is held to
//! its default: that is the value which means the feature is off.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use planetary_ipc::status::public_uri;
use planetary_proto::identity::NodeKey;
use planetary_runtime::links::peers::{LISTENERS_MAX, PEERS_MAX};
use toml_edit::Item;
use zeroize::Zeroizing;

use super::read::{Fault, choice, flag, integer, key, list, object, text, uri};
use super::{Audience, Config, InterfaceName, LogLevel, Transit};

/// The version of the file that this program reads and writes.
const VERSION: i64 = 1;

/// Most keys in `allowed_keys`.
pub(super) const ALLOWED_KEYS_MAX: usize = 4096;

/// One key of the file.
pub(super) struct Key {
    /// Full name, with its section: `tun.mtu`.
    pub(super) name: &'static str,
    /// The value that an absent key has, as TOML. Empty for a key without one.
    pub(super) default: &'static str,
    /// What may be written, in words.
    pub(super) accepts: &'static str,
    /// What the key does, in whole sentences; one line of the default file per line.
    pub(super) explains: &'static str,
    /// A line to learn from, or empty.
    pub(super) example: &'static str,
    /// Whether this program has the feature behind the key.
    pub(super) available: bool,
    /// Reads the value into the configuration.
    pub(super) read: fn(&Item, &mut Config) -> Result<(), Fault>,
}

/// A section of the file and what it is about.
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) explains: &'static str,
}

/// The sections, in the order of the default file. A key without a dot stands before all of them.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "interface_peers",
        explains: "Peers that are reached through one network interface only.",
    },
    Section { name: "node_info", explains: "What this node tells about itself to whoever asks." },
    Section {
        name: "tun",
        explains: "The network interface through which programs on this machine use the network.",
    },
    Section { name: "filter", explains: "Who may reach this machine over the network." },
    Section { name: "lan", explains: "Finding other nodes on the local network." },
    Section {
        name: "admin",
        explains: "A second control socket that speaks the admin API of Yggdrasil.",
    },
    Section { name: "metrics", explains: "Figures for Prometheus." },
    Section { name: "gateway", explains: "Proxies into the network for programs on this machine." },
    Section { name: "names", explains: "Names instead of addresses, for friends." },
    Section { name: "direct", explains: "Direct links to friends." },
    Section { name: "dht", explains: "Finding friends when no other way leads to them." },
    Section {
        name: "public_peers",
        explains: "Where the list of public peers is fetched from, once a day.",
    },
    Section { name: "log", explains: "What the service writes to the system's log." },
];

/// Every key, in the order of the default file.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "version",
        default: "1",
        accepts: "1",
        explains: "Version of this file. Leave it as it is.",
        example: "",
        available: true,
        read: |item, _| match integer(item, 1..=i64::MAX)? {
            VERSION => Ok(()),
            newer => Err(Fault::new(
                format!("the file is of version {newer}, this program reads version {VERSION}"),
                "update the program, or go back to the file of the older one",
            )),
        },
    },
    Key {
        name: "listen",
        default: "[]",
        accepts: "list of tcp and tls URIs",
        explains: "Addresses on which other nodes may link to this one.\n\
                   A node behind a home router needs none.",
        example: "listen = [\"tls://[::]:9001\", \"tcp://0.0.0.0:9002?password=secret\"]",
        available: true,
        read: |item, config| {
            config.listen = list(item, LISTENERS_MAX, uri)?;
            Ok(())
        },
    },
    Key {
        name: "peers",
        default: "[]",
        accepts: "list of tcp and tls URIs",
        explains: "Nodes to keep a link to. Two or three near ones are enough.\n\
                   Options: ?key=HEX (the peer must have this key), &password=TEXT,\n\
                   &priority=0..255, &maxbackoff=5m (longest pause between two tries),\n\
                   &sni=NAME (tls).",
        example: "peers = [\"tls://peer.example.org:443\", \
            \"tcp://192.0.2.7:9002?password=secret\"]",
        available: true,
        read: |item, config| {
            config.peers = list(item, PEERS_MAX, uri)?;
            Ok(())
        },
    },
    Key {
        name: "allowed_keys",
        default: "[]",
        accepts: "list of public keys, 64 hexadecimal digits each",
        explains: "Keys that may link to the addresses in `listen`; an empty list lets all in.\n\
                   Links that this node opens itself are not concerned.",
        example: "",
        available: true,
        read: |item, config| {
            config.allowed_keys = list(item, ALLOWED_KEYS_MAX, key)?;
            Ok(())
        },
    },
    Key {
        name: "group_password",
        default: "\"\"",
        accepts: "text; empty means none",
        explains: "Both ends of a connection through the network must have the same one.\n\
                   Links and forwarding are not concerned.",
        example: "",
        available: true,
        read: |item, config| {
            let password = text(item)?;
            config.group_password =
                (!password.is_empty()).then(|| Zeroizing::new(password.to_owned()));
            Ok(())
        },
    },
    Key {
        name: "group",
        default: "[]",
        accepts: "list of tables with `password` and `keys`",
        explains: "Several group passwords, each for some keys.",
        example: "",
        available: false,
        read: |item, _| match item {
            Item::ArrayOfTables(_) => Ok(()),
            other if other.is_array() => Ok(()),
            other => Err(Fault::new(
                format!("expected a list of tables, found a value of type {}", other.type_name()),
                "write each group as [[group]]",
            )),
        },
    },
    Key {
        name: "sessions",
        default: "\"circles\"",
        accepts: "\"circles\", \"everyone\"",
        explains: "Who may open a session to this node. With \"circles\" a stranger gets no\n\
                   answer, and cannot tell that the node is on. Without this key everyone may\n\
                   while anything is open to everyone, and circles otherwise.",
        example: "",
        available: true,
        read: |item, config| {
            let words = [("circles", Audience::Circles), ("everyone", Audience::Everyone)];
            config.sessions = Some(choice(item, &words)?);
            Ok(())
        },
    },
    Key {
        name: "transit",
        default: "\"relay\"",
        accepts: "\"relay\", \"reluctant\", \"leaf\"",
        explains: "What this node carries for others.",
        example: "",
        available: false,
        read: |item, config| {
            let words = [
                ("relay", Transit::Relay),
                ("reluctant", Transit::Reluctant),
                ("leaf", Transit::Leaf),
            ];
            config.transit = choice(item, &words)?;
            Ok(())
        },
    },
    Key {
        name: "node_info_privacy",
        default: "true",
        accepts: "true or false",
        explains: "Keeps the names of program and system out of what the node tells.",
        example: "",
        available: true,
        read: |item, config| {
            config.node_info_privacy = flag(item)?;
            Ok(())
        },
    },
    Key {
        name: "interface_peers",
        default: "{}",
        accepts: "table: interface name = list of tcp and tls URIs",
        explains: "",
        example: "eth0 = [\"tcp://192.0.2.7:9002\"]",
        available: true,
        read: interface_peers,
    },
    Key {
        name: "node_info",
        default: "{}",
        accepts: "table of anything JSON can say, at most 16384 bytes of it",
        explains: "",
        example: "name = \"garden shed\"",
        available: true,
        read: |item, config| {
            config.node_info = object(item)?;
            Ok(())
        },
    },
    Key {
        name: "tun.name",
        default: "\"auto\"",
        accepts: "\"auto\", \"none\", or the name of an interface",
        explains: "The interface to create. \"none\" needs no privilege: the node routes and\n\
                   answers, and programs on this machine reach the network through [gateway]\n\
                   and forwarded ports.",
        example: "",
        available: true,
        read: |item, config| {
            let name = text(item)?;
            config.tun.name = name.parse().map_err(|remedy| not_an_interface(name, remedy))?;
            Ok(())
        },
    },
    Key {
        name: "tun.mtu",
        default: "65535",
        accepts: "number from 1280 to 65535",
        explains: "Largest packet of the interface, in bytes.",
        example: "",
        available: true,
        read: |item, config| {
            let mtu = integer(item, 1280..=65535)?;
            // In range, so the conversion cannot fail; the default stands in for a reader's
            // benefit.
            config.tun.mtu = u16::try_from(mtu).unwrap_or(u16::MAX);
            Ok(())
        },
    },
    Key {
        name: "filter.inbound",
        default: "\"circles\"",
        accepts: "\"circles\", \"everyone\", \"nobody\"",
        explains: "Who may open a connection to this machine. \"circles\": friends, each what\n\
                   `planetary friend allow` lets it reach, and everyone what is open to\n\
                   everyone. \"everyone\": any node any TCP and UDP port.",
        example: "",
        available: true,
        read: |item, config| {
            config.filter.inbound = audience(item)?;
            Ok(())
        },
    },
    Key {
        name: "filter.echo",
        default: "\"circles\"",
        accepts: "\"circles\", \"everyone\", \"nobody\"",
        explains: "Who gets an answer to a ping. \"circles\": friends, unless denied one by one.",
        example: "",
        available: true,
        read: |item, config| {
            config.filter.echo = audience(item)?;
            Ok(())
        },
    },
    later(
        "lan.enabled",
        "false",
        "true or false",
        "Announces this node and links to the ones found.",
    ),
    later("lan.interfaces", "[\".*\"]", "list of regular expressions", "Interfaces to look on."),
    later(
        "lan.password",
        "\"\"",
        "text; empty means none",
        "Links only to nodes with the same password.",
    ),
    later(
        "lan.priority",
        "0",
        "number from 0 to 255",
        "Priority of the links; lower is preferred.",
    ),
    later("lan.max_links", "8", "number from 1 to 64", "Most links to nodes that were found."),
    later("lan.listen_port", "0", "number from 0 to 65535", "TCP port; 0 lets the system choose."),
    later("admin.listen", "\"none\"", "\"none\" or a URI", "Where to listen."),
    later("metrics.listen", "\"none\"", "\"none\" or a URI", "Where to listen."),
    Key {
        name: "gateway.socks",
        default: "\"none\"",
        accepts: "\"none\", or an address with a port",
        explains: "Where a SOCKS5 proxy listens: the way into the network for programs that know\n\
                   nothing of it, with the interface or without. It leads nowhere else.",
        example: "socks = \"127.0.0.1:1080\"",
        available: true,
        read: |item, config| {
            config.gateway.socks = address_or_none(item, "127.0.0.1:1080")?;
            Ok(())
        },
    },
    Key {
        name: "gateway.http",
        default: "\"none\"",
        accepts: "\"none\", or an address with a port",
        explains: "Where an HTTP proxy listens, for browsers and others, in the same way.",
        example: "http = \"127.0.0.1:8080\"",
        available: true,
        read: |item, config| {
            config.gateway.http = address_or_none(item, "127.0.0.1:8080")?;
            Ok(())
        },
    },
    Key {
        name: "gateway.danger_beyond_this_machine",
        default: "false",
        accepts: "true or false",
        explains: "Lets other machines use the proxies. Whoever reaches them is, to the network,\n\
                   this node.",
        example: "",
        available: true,
        read: |item, config| {
            config.gateway.danger_beyond_this_machine = flag(item)?;
            Ok(())
        },
    },
    Key {
        name: "names.enabled",
        default: "true",
        accepts: "true or false",
        explains: "Answers names such as ada.pln.internal on this machine, for friends by the\n\
                   names they have here, and has the system's resolver ask. Needs the interface.",
        example: "",
        available: true,
        read: |item, config| {
            config.names = flag(item)?;
            Ok(())
        },
    },
    later("direct.enabled", "false", "true or false", "Opens direct links to friends."),
    later("dht.enabled", "false", "true or false", "Publishes and looks up sealed records."),
    Key {
        name: "public_peers.url",
        default: "\"\"",
        accepts: "text; an http or https URL, or empty for none",
        explains: "Where to fetch the list. Without one, the list that ships with the program is\n\
                   used. Without a key it must be https and not lead into a private network.",
        example: "url = \"https://host.example/public-peers.json\"",
        available: true,
        read: |item, config| {
            config.public_peers.url = list_url(text(item)?)?;
            Ok(())
        },
    },
    Key {
        name: "public_peers.key",
        default: "\"\"",
        accepts: "text; 64 hexadecimal digits of an Ed25519 public key, or empty for none",
        explains: "Key with which the list must be signed. The signature is fetched from the same\n\
                   URL with \".sig\" behind it, as hexadecimal digits or base64.",
        example: "",
        available: true,
        read: |item, config| {
            config.public_peers.key = match text(item)? {
                "" => None,
                digits => Some(signing_key(digits)?),
            };
            Ok(())
        },
    },
    Key {
        name: "log.level",
        default: "\"info\"",
        accepts: "\"error\", \"warn\", \"info\", \"debug\", \"trace\"",
        explains: "The least severe event that is logged.",
        example: "",
        available: true,
        read: |item, config| {
            let all =
                [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
            config.log_level = choice(item, &all.map(|level| (level.as_str(), level)))?;
            Ok(())
        },
    },
];

/// A key whose feature is not available and whose value nothing looks at yet.
const fn later(
    name: &'static str,
    default: &'static str,
    accepts: &'static str,
    explains: &'static str,
) -> Key {
    Key { name, default, accepts, explains, example: "", available: false, read: |_, _| Ok(()) }
}

/// Where something listens that may be off.
fn address_or_none(item: &Item, example: &str) -> Result<Option<SocketAddr>, Fault> {
    let text = text(item)?;
    if text == "none" {
        return Ok(None);
    }
    let address = text.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
    address.map(Some).ok_or_else(|| {
        let what = format!("\"{}\" is no address with a port", super::printable(text));
        Fault::new(what, &format!("write one such as \"{example}\", or \"none\""))
    })
}

fn audience(item: &Item) -> Result<Audience, Fault> {
    let words = [
        ("circles", Audience::Circles),
        ("everyone", Audience::Everyone),
        ("nobody", Audience::Nobody),
    ];
    choice(item, &words)
}

/// Longest URL of a list, in bytes.
const LIST_URL_LEN_MAX: usize = 1024;

fn list_url(url: &str) -> Result<String, Fault> {
    let lower = url.to_ascii_lowercase();
    let rest = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://"));
    let authority = rest.map(|rest| rest.split('/').next().unwrap_or(""));
    let plain = url.bytes().all(|byte| byte.is_ascii_graphic()) && !url.contains(['?', '#', '\\']);
    let fits = authority.is_some_and(|authority| !authority.is_empty() && !authority.contains('@'));
    if url.is_empty() || (fits && plain && url.len() <= LIST_URL_LEN_MAX) {
        return Ok(url.to_owned());
    }
    Err(Fault::new(
        format!("\"{}\" cannot be fetched", super::printable(&public_uri(url))),
        "write a URL without user, `?` and `#`, such as https://host.example/public-peers.json",
    ))
}

fn signing_key(digits: &str) -> Result<NodeKey, Fault> {
    let key = key(digits)?;
    if key.is_weak() {
        let what = "this key accepts signatures of everybody".to_owned();
        return Err(Fault::new(what, "ask who publishes the list for the right key"));
    }
    Ok(key)
}

fn not_an_interface(name: &str, remedy: &str) -> Fault {
    let name = super::printable(name);
    Fault::new(format!("no network interface can be called \"{name}\""), remedy)
}

fn interface_peers(item: &Item, config: &mut Config) -> Result<(), Fault> {
    let table = item.as_table_like().ok_or_else(|| {
        let found = item.type_name();
        Fault::new(
            format!("expected a table, found a value of type {found}"),
            "write eth0 = [\"tcp://…\"] under [interface_peers]",
        )
    })?;
    let (mut all, mut faults) = (BTreeMap::new(), Vec::new());
    for (name, peers) in table.iter() {
        if InterfaceName::new(name).is_none() {
            faults.push(not_an_interface(name, "write the name that `ip link` shows"));
        }
        match list(peers, PEERS_MAX, uri) {
            Ok(peers) => drop(all.insert(name.to_owned(), peers)),
            Err(fault) => faults.push(fault),
        }
    }
    config.interface_peers = all;
    Fault::all(faults).map_or(Ok(()), Err)
}
