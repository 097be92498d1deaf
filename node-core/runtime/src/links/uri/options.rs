//! The query string of a URI: which options there are, and what their values mean.

use std::{net::IpAddr, time::Duration};

use glob::Pattern;
use planetary_proto::identity::NodeKey;
use zeroize::Zeroizing;

use super::{
    BACKOFF_CEILING_MIN, ORIGINS_MAX, PINNED_KEYS_MAX, Password, Scheme, UriError,
    error::printable, host::is_host_name,
};

/// How much an unknown option must be like a known one to be a slip of the finger: Jaro-Winkler,
/// from 0 to 1.
const LIKE_ENOUGH: f64 = 0.8;

/// Options as they stand in a query string, before defaults.
#[derive(Default)]
pub(super) struct Options {
    pub(super) keys: Vec<NodeKey>,
    pub(super) priority: Option<u8>,
    pub(super) password: Option<Password>,
    pub(super) backoff_ceiling: Option<Duration>,
    /// The inner `None` is an IP literal, which is accepted and has no effect.
    pub(super) sni: Option<Option<String>>,
    pub(super) origins: Vec<Pattern>,
}

/// The options of the network.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
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
        let lower = text.to_ascii_lowercase();
        let likeness = |name: &&str| strsim::jaro_winkler(name, &lower);
        let known = Self::ALL.map(Self::text);
        let nearest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        Err(match nearest.filter(|name| likeness(name) >= LIKE_ENOUGH) {
            Some(nearest) => UriError::UnknownOption { option: printable(text), nearest },
            None => UriError::NoOption,
        })
    }
}

impl Options {
    /// Reads a query string in which only the options `allowed` have an effect. It stands behind
    /// `scheme` and belongs to a peer or listener, as `role` says.
    pub(super) fn parse(
        query: &str,
        allowed: &[Name],
        scheme: Scheme,
        role: &'static str,
    ) -> Result<Self, UriError> {
        let mut options = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(UriError::NoOption)?;
            let name = Name::parse(name)?;
            if !allowed.contains(&name) {
                let (option, scheme) = (name.text(), scheme.name());
                return Err(UriError::Inapplicable { option, scheme, role });
            }
            // A plus is a blank, as everywhere in query strings.
            let value = unescape(value, b' ').ok_or(UriError::BadEscape(name.text()))?;
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
            Name::Origin => {
                if self.origins.len() == ORIGINS_MAX {
                    return Err(UriError::TooManyOrigins);
                }
                let pattern = Pattern::new(&text.to_lowercase()).ok();
                let pattern = pattern.filter(|pattern| !pattern.as_str().is_empty());
                self.origins.push(pattern.ok_or(UriError::BadOrigin)?);
                false
            }
        };
        if repeated { Err(UriError::Repeated(name.text())) } else { Ok(()) }
    }
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

/// Undoes percent-encoding; `plus` is what a `+` stands for.
pub(super) fn unescape(text: &str, plus: u8) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => plus,
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
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
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
