//! The table of every key: the one place where a configuration key is defined.
//!
//! Adding a key is adding an entry here and a field to [`Config`]; parsing, error messages, the
//! default file and the reference page follow. An entry that is not [`Key::available`] is held to
//! its default: that is the value which means the feature is off.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use planetary_ipc::status::public_uri;
use planetary_proto::identity::NodeKey;
use planetary_proto::limits::{GROUP_KEYS_MAX, GROUPS_MAX};
use planetary_runtime::lan::{
    LINKS_MAX as LAN_LINKS_MAX, PATTERNS_MAX as LAN_PATTERNS_MAX, Pattern,
};
use planetary_runtime::links::peers::{LISTENERS_MAX, PEERS_MAX};
use planetary_runtime::links::uri::Password;
use toml_edit::{Array, Item, TableLike, Value};
use zeroize::Zeroizing;

use super::read::{Fault, choice, flag, integer, key, list, local_address, object, text, uri};
use super::{Audience, Config, Group, InterfaceName, LogFormat, LogLevel, Transit};
use crate::admin::PlaceError;

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
        name: "save",
        explains: "When this node carries next to nothing for others, as a leaf.",
    },
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
    Section { name: "tls", explains: "The certificate of listeners for `wss`." },
    Section { name: "lan", explains: "Finding other nodes on the local network." },
    Section {
        name: "admin",
        explains: "A second control socket that speaks the admin API of Yggdrasil.",
    },
    Section { name: "metrics", explains: "Figures for Prometheus." },
    Section { name: "gateway", explains: "Proxies into the network for programs on this machine." },
    Section { name: "names", explains: "Names instead of addresses, for friends." },
    Section { name: "fast", explains: "Fast sessions with other nodes of this program." },
    Section { name: "direct", explains: "Direct links to friends." },
    Section { name: "dht", explains: "Finding friends when no other way leads to them." },
    Section {
        name: "public_peers",
        explains: "Where the list of public peers is fetched from, once a day.",
    },
    Section { name: "releases", explains: "Telling of newer versions of this program." },
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
        accepts: "list of URIs: tcp, tls, quic, ws, wss, unix",
        explains: "Addresses on which other nodes may link to this one.\n\
                   A node behind a home router needs none.\n\
                   Options: ?password=TEXT, &priority=0..255, &origin=PATTERN (ws, wss:\n\
                   web pages that may connect).",
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
        accepts: "list of URIs: tcp, tls, quic, ws, wss, unix, socks, sockstls",
        explains: "Nodes to keep a link to. Two or three near ones are enough.\n\
                   Options: ?key=HEX (the peer must have this key), &password=TEXT,\n\
                   &priority=0..255, &maxbackoff=5m (longest pause between two tries),\n\
                   &sni=NAME (where there is TLS).\n\
                   Through a proxy: socks://user:word@proxy:port/host:port.",
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
        explains: "\
            Groups of nodes, each with a password that counts between them and this node in\n\
                   place of `group_password`. A key can be in one group; this node's own may be.",
        example: "group = [{ password = \"secret\", \
            keys = [\"79b5562e8fe654f94078b112e8a98ba7901f853ae695bed7e0e3910bad049664\"] }]",
        available: true,
        read: groups,
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
        default: "\"reluctant\"",
        accepts: "\"relay\", \"reluctant\", \"leaf\"",
        explains: "\
          What this node carries for others. \"relay\": whatever comes its way, as a server\n\
          should. \"reluctant\": what has no better way. \"leaf\": next to nothing, and a\n\
          node that has no other neighbour is cut off.",
        example: "",
        available: true,
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
        name: "save.on_battery",
        default: "true",
        accepts: "true or false",
        explains: "While this computer runs on its battery.",
        example: "",
        available: true,
        read: |item, config| {
            config.save.on_battery = flag(item)?;
            Ok(())
        },
    },
    Key {
        name: "save.on_metered",
        default: "true",
        accepts: "true or false",
        explains: "While its network is paid by volume, as far as the system tells.",
        example: "",
        available: true,
        read: |item, config| {
            config.save.on_metered = flag(item)?;
            Ok(())
        },
    },
    Key {
        name: "interface_peers",
        default: "{}",
        accepts: "table: interface name = list of URIs as in peers",
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
    Key {
        name: "tls.certificate",
        default: "\"\"",
        accepts: "text; an absolute path, or empty for none",
        explains: "\
            File with the certificate that listeners for wss show, in PEM, its chain behind\n\
                   it. Read again when it changes.",
        example: "certificate = \"/etc/planetary/wss.pem\"",
        available: true,
        read: |item, config| {
            config.web_certificate.certificate = file(item)?;
            Ok(())
        },
    },
    Key {
        name: "tls.key",
        default: "\"\"",
        accepts: "text; an absolute path, or empty for none",
        explains: "File with the private key of that certificate, in PEM. The account of the\n\
                   service must be able to read it, and nobody else should.",
        example: "key = \"/etc/planetary/wss.key\"",
        available: true,
        read: |item, config| {
            config.web_certificate.key = file(item)?;
            Ok(())
        },
    },
    Key {
        name: "lan.enabled",
        default: "true",
        accepts: "true or false",
        explains: "Announces this node on the local network and links to the nodes found there.\n\
                   On Wi-Fi and public networks only after `planetary lan trust`.",
        example: "",
        available: true,
        read: |item, config| {
            config.lan.enabled = flag(item)?;
            Ok(())
        },
    },
    Key {
        name: "lan.interfaces",
        default: "[\".*\"]",
        accepts: "list of regular expressions",
        explains: "\
            Interfaces to look on, by any part of their name. One that is named by more than\n\
                   \".*\" needs no further word, whatever network it is on.",
        example: "interfaces = [\"^eth\", \"^wlan0$\"]",
        available: true,
        read: |item, config| {
            config.lan.interfaces = list(item, LAN_PATTERNS_MAX, pattern)?;
            Ok(())
        },
    },
    Key {
        name: "lan.everywhere",
        default: "false",
        accepts: "true or false",
        explains: "\
            Takes every Wi-Fi and public network for one's own, unless told otherwise there.",
        example: "",
        available: true,
        read: |item, config| {
            config.lan.everywhere = flag(item)?;
            Ok(())
        },
    },
    Key {
        name: "lan.password",
        default: "\"\"",
        accepts: "text of at most 64 bytes; empty means none",
        explains: "Links only to nodes with the same password.",
        example: "",
        available: true,
        read: |item, config| {
            config.lan.password = Password::new(text(item)?.as_bytes()).ok_or_else(|| {
                let what = "longer than 64 bytes".to_owned();
                Fault::new(what, "choose a shorter one, the same on all nodes")
            })?;
            Ok(())
        },
    },
    Key {
        name: "lan.priority",
        default: "0",
        accepts: "number from 0 to 255",
        explains: "Priority of the links; lower is preferred.",
        example: "",
        available: true,
        read: |item, config| {
            config.lan.priority = within(item, 0, u8::MAX)?;
            Ok(())
        },
    },
    Key {
        name: "lan.max_links",
        default: "8",
        accepts: "number from 1 to 64",
        explains: "Most links that this node opens to nodes that were found. It lets in as many.",
        example: "",
        available: true,
        read: |item, config| {
            config.lan.max_links = within(item, 1, LAN_LINKS_MAX)?;
            Ok(())
        },
    },
    Key {
        name: "lan.listen_port",
        default: "0",
        accepts: "number from 0 to 65535",
        explains: "\
            TCP port on which nodes of the local network link to this one; 0 lets the system\n\
                   choose. A firewall must let it in, and UDP port 9001.",
        example: "",
        available: true,
        read: |item, config| {
            config.lan.listen_port = within(item, 0, u16::MAX)?;
            Ok(())
        },
    },
    Key {
        name: "admin.listen",
        default: "\"none\"",
        accepts: "\"none\", unix:///PATH or tcp://127.0.0.1:PORT",
        explains: "\
          Where `yggdrasilctl` and other tools of Yggdrasil find this node. A socket file is for\n\
                   root and the members of the group planetary; Windows has none.",
        example: if cfg!(windows) { "" } else { "listen = \"unix:///run/planetary/admin.sock\"" },
        available: true,
        read: |item, config| {
            let place = text(item)?;
            config.admin.listen = match place {
                "none" | "" => None,
                place => Some(place.parse().map_err(|error| no_admin_place(place, error))?),
            };
            Ok(())
        },
    },
    Key {
        name: "admin.danger_tcp",
        default: "false",
        accepts: "true or false",
        explains: "\
            Allows a port in `listen`. Every program and every account of this computer can then\n\
                   see this node's peers and change them until it is started anew.",
        example: "",
        available: true,
        read: |item, config| {
            config.admin.danger_tcp = flag(item)?;
            Ok(())
        },
    },
    Key {
        name: "metrics.listen",
        default: "\"none\"",
        accepts: "\"none\", or a loopback address with a port",
        explains: "Where figures are served at /metrics. They have neither keys nor addresses in\n\
                   them; every program of this machine can read them.",
        example: "listen = \"127.0.0.1:9090\"",
        available: true,
        read: |item, config| {
            config.metrics = local_address(item)?;
            Ok(())
        },
    },
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
    Key {
        name: "fast.enabled",
        default: "true",
        accepts: "true or false",
        explains: "Agrees with other nodes of this program on sessions of their own kind: a\n\
                   faster cipher, with keys that quantum computers do not break. Other nodes\n\
                   notice nothing.",
        example: "",
        available: true,
        read: |item, config| {
            config.fast_sessions = flag(item)?;
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
        name: "releases.check",
        default: "true",
        accepts: "true or false",
        explains: "Asks once a day for the newest version, where whoever built this program has\n\
                   given it a place to ask and a key to believe it by. Nothing is installed.",
        example: "",
        available: true,
        read: |item, config| {
            config.releases = flag(item)?;
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
    Key {
        name: "log.format",
        default: "\"text\"",
        accepts: "\"text\", \"json\"",
        explains: "How events are written: a line for people, or an object a line for programs,\n\
                   with time, level, target, message and fields. Holds from the next start on.",
        example: "",
        available: true,
        read: |item, config| {
            let all = [LogFormat::Text, LogFormat::Json];
            config.log_format = choice(item, &all.map(|format| (format.as_str(), format)))?;
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
        Fault::new(what, format!("write one such as \"{example}\", or \"none\""))
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

/// Reads the name of a file; none if it is empty.
fn file(item: &Item) -> Result<Option<PathBuf>, Fault> {
    let name = text(item)?;
    let path = PathBuf::from(name);
    if name.is_empty() {
        Ok(None)
    } else if path.has_root() {
        Ok(Some(path))
    } else {
        let what = format!("\"{}\" is not an absolute path", super::printable(name));
        Err(Fault::new(what, "write where the file is, from the root folder on"))
    }
}

fn pattern(text: &str) -> Result<Pattern, Fault> {
    Pattern::new(text).map_err(|error| {
        let what = format!("\"{}\": {error}", super::printable(text));
        Fault::new(what, "write a part of the name, such as \"eth\", or \".*\" for all")
    })
}

/// A number of a type that holds all from `least` to `most`.
fn within<T>(item: &Item, least: T, most: T) -> Result<T, Fault>
where
    T: TryInto<i64> + TryFrom<i64> + Copy,
{
    let [first, last] = [least, most].map(|bound| bound.try_into().unwrap_or(i64::MAX));
    // In range, so the conversion cannot fail; the bound stands in for a reader's benefit.
    Ok(T::try_from(integer(item, first..=last)?).unwrap_or(least))
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

fn groups(item: &Item, config: &mut Config) -> Result<(), Fault> {
    let tables: Vec<&dyn TableLike> = match item {
        Item::ArrayOfTables(tables) => tables.iter().map(|table| table as &dyn TableLike).collect(),
        Item::Value(Value::Array(array)) => array
            .iter()
            .map(|value| value.as_inline_table().map(|table| table as &dyn TableLike))
            .collect::<Option<_>>()
            .ok_or_else(|| no_group(item))?,
        _ => return Err(no_group(item)),
    };
    if tables.len() > GROUPS_MAX {
        let what = format!("{} groups", tables.len());
        return Err(Fault::new(what, format!("list at most {GROUPS_MAX}")));
    }
    let (mut all, mut faults) = (Vec::with_capacity(tables.len()), Vec::new());
    for table in tables {
        match group(table) {
            Ok(group) => all.push(group),
            Err(fault) => faults.push(fault),
        }
    }
    config.groups = all;
    Fault::all(faults).map_or(Ok(()), Err)
}

fn group(table: &dyn TableLike) -> Result<Group, Fault> {
    if let Some((name, _)) = table.iter().find(|(name, _)| !["password", "keys"].contains(name)) {
        let what = format!("a group has no \"{}\"", super::printable(name));
        return Err(Fault::new(what, "write `password` and `keys`"));
    }
    let password = table.get("password").map_or(Ok(""), text)?;
    if password.is_empty() {
        return Err(Fault::new("a group without a password", "write password = \"text\""));
    }
    let none = Item::Value(Value::Array(Array::new()));
    let keys = list(table.get("keys").unwrap_or(&none), GROUP_KEYS_MAX, key)?;
    if keys.is_empty() {
        return Err(Fault::new("a group without keys", "list the keys of its nodes in `keys`"));
    }
    Ok(Group { password: Zeroizing::new(password.to_owned()), keys })
}

fn no_admin_place(place: &str, error: PlaceError) -> Fault {
    let remedy = match error {
        PlaceError::NoFiles => "write \"tcp://127.0.0.1:9001\" together with danger_tcp = true",
        _ => {
            "write \"unix:///run/planetary/admin.sock\", or \"tcp://127.0.0.1:9001\" together with \
             danger_tcp = true"
        }
    };
    Fault::new(format!("\"{}\" {error}", super::printable(place)), remedy)
}

fn no_group(item: &Item) -> Fault {
    let found = item.type_name();
    Fault::new(
        format!("expected a list of tables, found a value of type {found}"),
        "write group = [{ password = \"text\", keys = [\"…\"] }]",
    )
}
