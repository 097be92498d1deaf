//! The URIs that name peers to dial and addresses to listen on.
//!
//! `scheme://host:port?option=value&…`, the syntax of the whole network. A [`PeerUri`] or
//! [`ListenUri`] exists only if everything in it is understood and usable: unknown schemes, unknown
//! options, options that do nothing where they stand and second values are errors, because a
//! misspelt `password` that is silently dropped is worse than a refusal.
//!
//! What may be shown to people is `Display`: scheme, host and port, without options and user
//! information. It is also the identity of a link, so two URIs that differ only in options name the
//! same link. Passwords appear in no output of this module.
//!
//! Unlike the reference, the zone of a link-local address (`[fe80::1%25eth0]` or `[fe80::1%eth0]`)
//! is honoured, and a pinned key must have exactly 64 digits.
//!
//! Source: protocol chapter 2.1.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
    time::Duration,
};

use planetary_proto::{identity::NodeKey, link::meta::PASSWORD_MAX};
use thiserror::Error;
use zeroize::Zeroizing;

/// Longest URI taken, in bytes: room for [`PINNED_KEYS_MAX`] keys and every other option.
pub const URI_LEN_MAX: usize = 4096;

/// Most keys that one peer may be pinned to. More are refused; a handful is the usual number.
pub const PINNED_KEYS_MAX: usize = 32;

/// Smallest accepted ceiling of the reconnect delay.
pub const BACKOFF_CEILING_MIN: Duration = Duration::from_secs(5);

/// Ceiling of the reconnect delay when a URI names none.
pub const BACKOFF_CEILING_DEFAULT: Duration = Duration::from_secs(4096);

/// Longest zone name, the interface name limit of the systems we run on, with room for long Windows
/// names.
const ZONE_LEN_MAX: usize = 64;

/// A transport that links can run over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

/// The host part of a URI.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name to resolve, in lower case.
    Name(String),
    /// An address without a zone.
    Address(IpAddr),
    /// A link-local IPv6 address on the interface named by its zone.
    Scoped {
        /// The address, inside `fe80::/10`.
        address: Ipv6Addr,
        /// The interface's name, or its number where the system uses numbers.
        zone: String,
    },
}

/// A link password of 1 to 64 bytes, or none at all, which is the empty one. Never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Password(Zeroizing<Vec<u8>>);

/// A peer to dial.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerUri {
    place: Place,
    pinned_keys: Vec<NodeKey>,
    priority: u8,
    password: Password,
    backoff_ceiling: Duration,
    sni: Option<String>,
}

/// An address to listen on.
#[derive(Clone, PartialEq, Eq)]
pub struct ListenUri {
    place: Place,
    priority: u8,
    password: Password,
}

/// Where a link goes to or comes in.
#[derive(Clone, PartialEq, Eq)]
struct Place {
    scheme: Scheme,
    host: Host,
    port: u16,
}

/// Why a URI is refused. No variant carries the value of an option, so an error may be logged.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UriError {
    /// Longer than [`URI_LEN_MAX`].
    #[error("the URI is longer than {URI_LEN_MAX} bytes")]
    TooLong,
    /// A blank or control character; write it as `%XX`.
    #[error("a URI has no blanks or control characters, write them as %XX")]
    BadCharacter,
    /// There is no `scheme://`.
    #[error("the URI has no scheme, it begins with tcp:// or tls://")]
    NoScheme,
    /// A scheme that the network does not know.
    #[error("unknown scheme {0}, known are tcp and tls")]
    UnknownScheme(String),
    /// A scheme of the network that this program does not speak.
    #[error("the scheme {0} is not built yet, use tcp or tls")]
    NotBuiltYet(&'static str),
    /// The host is empty.
    #[error("the URI names no host")]
    NoHost,
    /// The host is neither a name nor an address.
    #[error("the host is neither a name in ASCII letters nor an address (IPv6 in brackets)")]
    BadHost,
    /// A zone that is no interface name, or one on an address that needs none.
    #[error("a zone is an interface name behind a link-local address, as in [fe80::1%25eth0]")]
    BadZone,
    /// There is no port, and no transport has a default one.
    #[error("the URI names no port, write host:port")]
    NoPort,
    /// The port is not a number from 1 to 65535 (or 0 for a listener: any free port).
    #[error("the port is not a number from 1 to 65535")]
    BadPort,
    /// There is a path or a fragment, which tcp and tls do not have.
    #[error("nothing but options (?name=value) may follow the port, write # as %23")]
    Trailing,
    /// An option that the network does not know.
    #[error("unknown option {option}, did you mean {nearest}?")]
    UnknownOption {
        /// The name as written, shortened and made printable.
        option: String,
        /// The known option that is spelt most like it.
        nearest: &'static str,
    },
    /// A known option that would do nothing here.
    #[error("the option {option} does nothing {place}")]
    Inapplicable {
        /// The option's name.
        option: &'static str,
        /// Where it would do nothing.
        place: &'static str,
    },
    /// An option other than `key` appears twice.
    #[error("the option {0} is given twice")]
    Repeated(&'static str),
    /// A `%` that two hexadecimal digits do not follow.
    #[error("the value of {0} has a % that two hexadecimal digits do not follow")]
    BadEscape(&'static str),
    /// A pinned key that is not 64 hexadecimal digits.
    #[error("bad pinned key, a key is exactly 64 hexadecimal digits")]
    BadKey,
    /// More than [`PINNED_KEYS_MAX`] pinned keys.
    #[error("more than {PINNED_KEYS_MAX} pinned keys")]
    TooManyKeys,
    /// A priority outside 0 to 255.
    #[error("bad priority, it is a number from 0 to 255")]
    BadPriority,
    /// A password of more than 64 bytes.
    #[error("bad password, it has at most {PASSWORD_MAX} bytes")]
    BadPassword,
    /// A `maxbackoff` that is no duration or less than 5 s.
    #[error("bad maxbackoff, it is a duration of at least 5s, such as 30s or 1h30m")]
    BadBackoff,
    /// An `sni` that is no host name.
    #[error("bad sni, it is a host name in ASCII letters")]
    BadSni,
}

impl Scheme {
    /// The scheme as written in a URI.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    fn parse(text: &str) -> Result<Self, UriError> {
        // Schemes of the network that have no transport here.
        const UNBUILT: [&str; 6] = ["quic", "ws", "wss", "unix", "socks", "sockstls"];
        let lower = text.to_ascii_lowercase();
        match lower.as_str() {
            "tcp" => Ok(Self::Tcp),
            "tls" => Ok(Self::Tls),
            other => Err(UNBUILT.iter().find(|name| **name == other).map_or_else(
                || UriError::UnknownScheme(printable(text)),
                |name| UriError::NotBuiltYet(name),
            )),
        }
    }
}

impl Host {
    /// Reads the host part of a URI, brackets included.
    fn parse(text: &str) -> Result<Self, UriError> {
        if text.is_empty() {
            return Err(UriError::NoHost);
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(UriError::BadHost)?;
            return Self::parse_v6(inner);
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        if is_host_name(text) {
            return Ok(Self::Name(text.to_ascii_lowercase()));
        }
        Err(UriError::BadHost)
    }

    /// Reads what stands between brackets: an IPv6 address, perhaps with a zone.
    fn parse_v6(text: &str) -> Result<Self, UriError> {
        let Some((address, zone)) = text.split_once('%') else {
            let address: Ipv6Addr = text.parse().map_err(|_| UriError::BadHost)?;
            return Ok(Self::Address(address.into()));
        };
        let address: Ipv6Addr = address.parse().map_err(|_| UriError::BadHost)?;
        // A URI writes the separator as %25; people write it as a plain %.
        let zone = zone.strip_prefix("25").filter(|rest| !rest.is_empty()).unwrap_or(zone);
        let named = !zone.is_empty()
            && zone.len() <= ZONE_LEN_MAX
            && zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-:@".contains(&byte));
        if named && address.is_unicast_link_local() {
            Ok(Self::Scoped { address, zone: zone.to_owned() })
        } else {
            Err(UriError::BadZone)
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Scoped { address, zone } => write!(f, "[{address}%25{zone}]"),
        }
    }
}

impl Password {
    /// Takes a password, unless it is longer than [`PASSWORD_MAX`] bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() <= PASSWORD_MAX).then(|| Self(Zeroizing::new(bytes.to_vec())))
    }

    /// The password's bytes; empty if there is none.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Password(none)" } else { "Password(hidden)" })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme.name(), self.host, self.port)
    }
}

impl PeerUri {
    /// The transport to dial with.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.place.scheme
    }

    /// The host to dial.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.place.host
    }

    /// The port to dial, never 0.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.place.port
    }

    /// The keys of which the peer must have one; empty if any key will do.
    #[must_use]
    pub fn pinned_keys(&self) -> &[NodeKey] {
        &self.pinned_keys
    }

    /// The priority to announce. Lower is preferred.
    #[must_use]
    pub const fn priority(&self) -> u8 {
        self.priority
    }

    /// The link password.
    #[must_use]
    pub const fn password(&self) -> &Password {
        &self.password
    }

    /// The longest wait between two attempts, at least [`BACKOFF_CEILING_MIN`].
    #[must_use]
    pub const fn backoff_ceiling(&self) -> Duration {
        self.backoff_ceiling
    }

    /// The TLS server name: the `sni` option, else the host if it is a name, else none.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        match (&self.sni, &self.place.host) {
            (Some(sni), _) => Some(sni),
            (None, Host::Name(name)) => Some(name),
            (None, _) => None,
        }
    }
}

impl ListenUri {
    /// The transport to listen with.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.place.scheme
    }

    /// The host to listen on.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.place.host
    }

    /// The port to listen on; 0 stands for any free one.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.place.port
    }

    /// The priority to announce. Lower is preferred.
    #[must_use]
    pub const fn priority(&self) -> u8 {
        self.priority
    }

    /// The link password.
    #[must_use]
    pub const fn password(&self) -> &Password {
        &self.password
    }
}

impl FromStr for PeerUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let (place, query) = Place::split(text)?;
        if place.port == 0 {
            return Err(UriError::BadPort);
        }
        let options = match place.scheme {
            Scheme::Tcp => {
                let allowed = [Name::Key, Name::Priority, Name::Password, Name::MaxBackoff];
                Options::parse(query, &allowed, "on a tcp peer")?
            }
            Scheme::Tls => {
                let allowed =
                    [Name::Key, Name::Priority, Name::Password, Name::MaxBackoff, Name::Sni];
                Options::parse(query, &allowed, "on a tls peer")?
            }
        };
        Ok(Self {
            place,
            pinned_keys: options.keys,
            priority: options.priority.unwrap_or(0),
            password: options.password.unwrap_or_default(),
            backoff_ceiling: options.backoff_ceiling.unwrap_or(BACKOFF_CEILING_DEFAULT),
            sni: options.sni.flatten(),
        })
    }
}

impl FromStr for ListenUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let (place, query) = Place::split(text)?;
        let options = Options::parse(query, &[Name::Priority, Name::Password], "on a listener")?;
        Ok(Self {
            place,
            priority: options.priority.unwrap_or(0),
            password: options.password.unwrap_or_default(),
        })
    }
}

impl fmt::Display for PeerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

impl fmt::Display for ListenUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

impl fmt::Debug for PeerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerUri")
            .field("uri", &format_args!("{self}"))
            .field("pinned_keys", &self.pinned_keys)
            .field("priority", &self.priority)
            .field("password", &self.password)
            .field("backoff_ceiling", &self.backoff_ceiling)
            .field("sni", &self.sni)
            .finish()
    }
}

impl fmt::Debug for ListenUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenUri")
            .field("uri", &format_args!("{self}"))
            .field("priority", &self.priority)
            .field("password", &self.password)
            .finish()
    }
}

impl Place {
    /// Takes a URI apart into its place and its query string.
    fn split(text: &str) -> Result<(Self, &str), UriError> {
        if text.len() > URI_LEN_MAX {
            return Err(UriError::TooLong);
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(UriError::BadCharacter);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UriError::NoScheme)?;
        let scheme = Scheme::parse(scheme)?;
        if rest.contains('#') {
            return Err(UriError::Trailing);
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !path.is_empty() {
            return Err(UriError::Trailing);
        }
        // User information means nothing to tcp and tls, as in the reference.
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = split_port(authority)?;
        Ok((Self { scheme, host: Host::parse(host)?, port }, query))
    }
}

/// Options as they stand in a query string, before defaults.
#[derive(Default)]
struct Options {
    keys: Vec<NodeKey>,
    priority: Option<u8>,
    password: Option<Password>,
    backoff_ceiling: Option<Duration>,
    /// The inner `None` is an IP literal, which is accepted and has no effect.
    sni: Option<Option<String>>,
}

/// The options of the network, those that have no use here included.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Key,
    Priority,
    Password,
    MaxBackoff,
    Sni,
    Origin,
}

impl Name {
    const ALL: [Self; 6] =
        [Self::Key, Self::Priority, Self::Password, Self::MaxBackoff, Self::Sni, Self::Origin];

    const fn text(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Priority => "priority",
            Self::Password => "password",
            Self::MaxBackoff => "maxbackoff",
            Self::Sni => "sni",
            Self::Origin => "origin",
        }
    }

    fn parse(text: &str) -> Result<Self, UriError> {
        if let Some(name) = Self::ALL.into_iter().find(|name| name.text() == text) {
            return Ok(name);
        }
        let option = printable(text);
        let likeness = |name: &Self| strsim::jaro_winkler(name.text(), &option);
        let nearest = Self::ALL.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        // The list is not empty; `key` stands in for a case that cannot be.
        let nearest = nearest.unwrap_or(Self::Key).text();
        Err(UriError::UnknownOption { option, nearest })
    }
}

impl Options {
    /// Reads a query string in which only the options `allowed` have an effect; `place` says where
    /// it stands.
    fn parse(query: &str, allowed: &[Name], place: &'static str) -> Result<Self, UriError> {
        let mut options = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = Name::parse(name)?;
            if !allowed.contains(&name) {
                return Err(UriError::Inapplicable { option: name.text(), place });
            }
            let value = decode(value).ok_or(UriError::BadEscape(name.text()))?;
            options.set(name, &value)?;
        }
        Ok(options)
    }

    fn set(&mut self, name: Name, value: &[u8]) -> Result<(), UriError> {
        // Every option but the password is text; what is not is no valid value of any of them.
        let text = std::str::from_utf8(value).unwrap_or("\u{fffd}");
        let repeated = match name {
            Name::Key => {
                if self.keys.len() == PINNED_KEYS_MAX {
                    return Err(UriError::TooManyKeys);
                }
                self.keys.push(text.parse().map_err(|_| UriError::BadKey)?);
                false
            }
            Name::Priority => {
                // The standard parser would take a sign.
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                let priority = text.parse().ok().filter(|_| digits);
                self.priority.replace(priority.ok_or(UriError::BadPriority)?).is_some()
            }
            Name::Password => {
                let password = Password::new(value).ok_or(UriError::BadPassword)?;
                self.password.replace(password).is_some()
            }
            Name::MaxBackoff => {
                let ceiling = parse_duration(text).filter(|time| *time >= BACKOFF_CEILING_MIN);
                self.backoff_ceiling.replace(ceiling.ok_or(UriError::BadBackoff)?).is_some()
            }
            Name::Sni => self.sni.replace(parse_sni(text)?).is_some(),
            // Belongs to a transport that does not exist here, so no caller allows it.
            Name::Origin => false,
        };
        if repeated { Err(UriError::Repeated(name.text())) } else { Ok(()) }
    }
}

/// Splits `host:port`, where the host may be a bracketed IPv6 address.
fn split_port(authority: &str) -> Result<(&str, u16), UriError> {
    let colon = match authority.rfind(']') {
        // Only a port may follow the bracket.
        Some(bracket) => match authority[bracket + 1..].chars().next() {
            None => return Err(UriError::NoPort),
            Some(':') => bracket + 1,
            Some(_) => return Err(UriError::BadHost),
        },
        None => authority.rfind(':').ok_or(match authority {
            "" => UriError::NoHost,
            _ => UriError::NoPort,
        })?,
    };
    let (host, port) = (&authority[..colon], &authority[colon + 1..]);
    if port.is_empty() {
        return Err(UriError::NoPort);
    }
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UriError::BadPort);
    }
    Ok((host, port.parse().map_err(|_| UriError::BadPort)?))
}

/// Whether `text` can be a name in the DNS: labels of letters, digits, `-` and `_`. A name that
/// ends in a number is a mistyped IPv4 address.
fn is_host_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let last_is_number =
        name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    name.len() <= 253 && name.split('.').all(label) && !last_is_number
}

/// Reads a TLS server name; an IP literal is accepted and means none.
fn parse_sni(text: &str) -> Result<Option<String>, UriError> {
    let literal = text.trim_start_matches('[').trim_end_matches(']');
    if text.is_empty() || literal.parse::<IpAddr>().is_ok() {
        Ok(None)
    } else if is_host_name(text) {
        Ok(Some(text.to_ascii_lowercase()))
    } else {
        Err(UriError::BadSni)
    }
}

/// Undoes percent-encoding. A `+` is a blank, as everywhere in query strings.
fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high << 4 | low).ok()?
            }
            other => other,
        });
    }
    Some(bytes)
}

/// Reads a duration such as `30s`, `1.5h` or `1h30m`: decimal numbers, each with a unit.
fn parse_duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("\u{b5}s", 1_000),
        ("\u{3bc}s", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    let mut total_ns = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(number_len);
        let unit_len = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        let (_, unit_ns) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        total_ns = total_ns.checked_add(scale(number, unit_ns)?)?;
        rest = after;
    }
    (!text.is_empty()).then(|| Duration::from_nanos(total_ns))
}

/// `number * unit_ns`, where `number` is decimal digits with at most one point; what is below a
/// nanosecond is dropped.
fn scale(number: &str, unit_ns: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut nanos = 0;
    let mut place = unit_ns;
    // The units are at most 10^13, so later digits count for nothing.
    for digit in fraction.bytes().take(14) {
        // Exact only while the unit divides; what gets lost is below a nanosecond per digit.
        nanos += u64::from(digit - b'0') * place / 10;
        place /= 10;
    }
    whole.checked_mul(unit_ns)?.checked_add(nanos)
}

/// A name from a URI as it may stand in an error: at most 24 characters, none of them odd.
fn printable(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).take(24).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";

    fn peer(text: &str) -> Result<PeerUri, UriError> {
        text.parse()
    }

    fn refusal(text: &str) -> UriError {
        peer(text).expect_err(text)
    }

    #[test]
    fn a_full_peer_uri_gives_all_its_options() {
        let upper = KEY.to_uppercase();
        let uri = peer(&format!(
            "TLS://someone:secret@Example.ORG:443/?key={KEY}&key={upper}&priority=7\
             &password=p%26q+r&maxbackoff=1m30s&sni=front.example"
        ))
        .unwrap();

        assert_eq!(uri.scheme(), Scheme::Tls);
        assert_eq!(uri.host(), &Host::Name("example.org".into()));
        assert_eq!(uri.port(), 443);
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
    fn display_and_debug_show_neither_password_nor_user() {
        let text = format!("tls://user:hunter1@example.org:443?password=hunter2&key={KEY}");
        let uri = peer(&text).unwrap();
        let listen: ListenUri = "tcp://x:hunter1@0.0.0.0:1?password=hunter2".parse().unwrap();

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
        for (text, host) in hosts {
            assert_eq!(peer(text).unwrap().host(), &host, "{text}");
        }
    }

    #[test]
    fn a_zone_is_kept_in_both_spellings() {
        let scoped =
            |zone: &str| Host::Scoped { address: "fe80::1".parse().unwrap(), zone: zone.into() };
        assert_eq!(peer("tls://[fe80::1%25eth0]:1").unwrap().host(), &scoped("eth0"));
        assert_eq!(peer("tls://[fe80::1%eth0]:1").unwrap().host(), &scoped("eth0"));
        assert_eq!(peer("tls://[fe80::1%25]:1").unwrap().host(), &scoped("25"));
        assert_eq!(peer("tls://[fe80::1%eth0]:1").unwrap().to_string(), "tls://[fe80::1%25eth0]:1");

        for wrong in ["[fe80::1%]", "[fe80::1%25a/b]", "[fe80::1%a%b]", "[2001:db8::1%eth0]"] {
            assert!(peer(&format!("tcp://{wrong}:1")).is_err(), "{wrong}");
        }
        assert_eq!(refusal("tcp://[2001:db8::1%eth0]:1"), UriError::BadZone);
    }

    #[test]
    fn places_that_are_no_places_are_refused_by_name() {
        let long_name = format!("tcp://{}:1", "a".repeat(64));
        let cases = [
            ("", UriError::NoScheme),
            ("example.org:9001", UriError::NoScheme),
            ("://example.org:1", UriError::UnknownScheme(String::new())),
            ("http://example.org:1", UriError::UnknownScheme("http".into())),
            ("quic://example.org:1", UriError::NotBuiltYet("quic")),
            ("SOCKSTLS://a:1/b:2", UriError::NotBuiltYet("sockstls")),
            ("unix:///run/x.sock", UriError::NotBuiltYet("unix")),
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
            ("max_backoff=1m", unknown("max_backoff", "maxbackoff")),
            ("sni=x", UriError::Inapplicable { option: "sni", place: "on a tcp peer" }),
            ("origin=*", UriError::Inapplicable { option: "origin", place: "on a tcp peer" }),
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
            format!("tcp://a:1?password={secret}"),
            format!("tcp://a:1?passwort={secret}"),
            format!("tcp://a:1?password={secret}%"),
            format!("tcp://{secret}@a?password=x"),
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
        assert_eq!((uri.scheme(), uri.port(), uri.priority()), (Scheme::Tls, 0, 3));
        assert_eq!(uri.password().as_bytes(), b"x");
        assert_eq!(uri.host(), &Host::Address(Ipv6Addr::UNSPECIFIED.into()));

        let pinned = format!("tls://[::]:0?key={KEY}").parse::<ListenUri>();
        let inapplicable = UriError::Inapplicable { option: "key", place: "on a listener" };
        assert_eq!(pinned.unwrap_err(), inapplicable);
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
            text in r"(tcp|tls)://[\[\]a-f0-9:.%@/?]{0,40}(\?[a-z=&%+0-9.µ]{0,40})?",
        ) {
            let _ = peer(&text);
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
}
