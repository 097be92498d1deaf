//! Why a URI is refused, in words that may be logged.

use planetary_proto::link::meta::PASSWORD_MAX;
use thiserror::Error;

use super::{LOGIN_PART_MAX, ORIGINS_MAX, PINNED_KEYS_MAX, SOCKET_PATH_MAX, URI_LEN_MAX};

/// Why a URI is refused. No variant carries the value of an option or user
/// information, so an error may be logged.
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
    #[error("the URI has no scheme, it begins with tls:// or tcp://, for example")]
    NoScheme,
    /// A scheme that the network does not know.
    #[error("unknown scheme {0}, known are tcp, tls, quic, ws, wss, unix, socks and sockstls")]
    UnknownScheme(String),
    /// A listener of a scheme that leads through somebody else's proxy.
    #[error("nobody can listen by {0}, it is for dialling through a proxy")]
    DialOnly(&'static str),
    /// There is user information, for which the scheme has no use; most often it is a password.
    #[error("nothing may stand before the host (as user@), a password is the option ?password=")]
    UserInformation,
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
    /// User information that neither SOCKS nor HTTP can carry.
    #[error(
        "before the @ stand a user name and perhaps a password (user:password@), each of at most \
         {LOGIN_PART_MAX} bytes"
    )]
    BadLogin,
    /// There is no node behind the proxy.
    #[error("the URI names no node behind the proxy, write socks://proxy:port/host:port")]
    NoDestination,
    /// The path on a web server has characters that do not belong into one.
    #[error("a path has ASCII letters, digits and signs, write & ; = @ as %XX")]
    BadPath,
    /// A host in the URI of a socket file; most often a slash is missing.
    #[error("a socket file has no host, write unix:///path/of/the.sock")]
    SocketHost,
    /// The path is none of a socket file, or too long for one.
    #[error("a socket file has an absolute path of at most {SOCKET_PATH_MAX} bytes")]
    BadSocketPath,
    /// There is a path or a fragment, which the scheme does not have.
    #[error("nothing but options (?name=value) may follow the port, write # as %23")]
    Trailing,
    /// An option that the network does not know.
    #[error("unknown option {option}, did you mean {nearest}?")]
    UnknownOption {
        /// The name as written, made printable.
        option: String,
        /// The known option that is spelt most like it.
        nearest: &'static str,
    },
    /// Something that is spelt like no option; it may be a piece of a password with an `&` in it,
    /// so it is not repeated.
    #[error(
        "unknown option, known are key, password, priority, maxbackoff, sni and origin; write & in \
         a password as %26"
    )]
    NoOption,
    /// A known option that would do nothing here.
    #[error("the option {option} does nothing on a {scheme} {role}")]
    Inapplicable {
        /// The option's name.
        option: &'static str,
        /// The scheme of the URI.
        scheme: &'static str,
        /// `peer` or `listener`.
        role: &'static str,
    },
    /// An option other than `key` and `origin` appears twice.
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
    /// An `origin` that is no pattern.
    #[error("bad origin, it is a host with perhaps * in it, such as *.example.org")]
    BadOrigin,
    /// More than [`ORIGINS_MAX`] origins.
    #[error("more than {ORIGINS_MAX} origins")]
    TooManyOrigins,
}

/// A name from a URI as it may stand in an error: at most 24 characters, none of them odd.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).take(24).collect()
}
