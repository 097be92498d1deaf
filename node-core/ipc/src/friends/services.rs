//! What may be reached on this computer, in the words that people write: `tcp/22`,
//! `tcp/8000-8100`, `udp/53`, `tcp/any`, `ip/47`, each with or without `@ADDRESS`.
//!
//! Lists of services are kept small by [`allow`], which leaves out what another entry contains, and
//! are cut by [`deny`], after which the denied ports are closed for certain, whatever ranges they
//! were part of.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::identity::{is_of_network, shorten, string_in_json};

/// Something that may be reached on this computer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalService {
    /// Protocol and ports.
    pub protocol: Protocol,
    /// The one address of this computer at which, or `None` for all of them.
    pub at: Option<Ipv6Addr>,
}

/// Protocol of a service, with its ports from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP to these ports.
    Tcp(u16, u16),
    /// UDP to these ports.
    Udp(u16, u16),
    /// Any other protocol, by its number.
    Other(u8),
}

/// Why a text names no service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// Not of the form.
    #[error("`{0}` is not a service such as tcp/22, tcp/8000-8100, udp/53, tcp/any or ip/47")]
    Form(String),
    /// No port, or a range that ends before it begins.
    #[error("`{0}` is neither a port from 1 to 65535, nor a range of them, nor `any`")]
    Ports(String),
    /// A number that is no protocol of its own.
    #[error("the protocol {0} has its own rules: tcp/… and udp/… for 6 and 17, echo for 58")]
    Named(u8),
    /// Behind `@` there is no address of this network.
    #[error("`{0}` is not an address of this network, which uses 200::/7")]
    Address(String),
}

/// Something that cannot be denied because a wider entry would have to be split by address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{wider} is allowed at every address, so {denied} cannot be denied alone")]
pub struct StillOpen {
    /// What was to be denied.
    pub denied: LocalService,
    /// The entry that contains it.
    pub wider: LocalService,
}

const PORT_MAX: u16 = u16::MAX;

impl LocalService {
    /// Whether everything of `other` is in this one.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        (self.at.is_none() || self.at == other.at)
            && match (self.protocol, other.protocol) {
                (Protocol::Tcp(first, last), Protocol::Tcp(from, to))
                | (Protocol::Udp(first, last), Protocol::Udp(from, to)) => {
                    first <= from && to <= last
                }
                (one, other) => one == other,
            }
    }
}

impl Protocol {
    /// What is left of this without `other`, or `None` if they have nothing in common.
    fn without(self, other: Self) -> Option<Vec<Self>> {
        let (make, (first, last), (from, to)): (fn(u16, u16) -> Self, _, _) = match (self, other) {
            (Self::Tcp(a, b), Self::Tcp(c, d)) => (Self::Tcp, (a, b), (c, d)),
            (Self::Udp(a, b), Self::Udp(c, d)) => (Self::Udp, (a, b), (c, d)),
            (one, other) => return (one == other).then(Vec::new),
        };
        if to < first || last < from {
            return None;
        }
        let before = from.checked_sub(1).filter(|end| first <= *end).map(|end| make(first, end));
        let after = to.checked_add(1).filter(|start| *start <= last).map(|start| make(start, last));
        Some(before.into_iter().chain(after).collect())
    }
}

/// Adds services to a list; what is contained in another entry is left out. The list stays sorted.
pub fn allow(list: &mut Vec<LocalService>, services: &[LocalService]) {
    for service in services {
        if list.iter().any(|wider| wider.contains(service)) {
            continue;
        }
        list.retain(|narrower| !service.contains(narrower));
        list.push(*service);
    }
    list.sort();
}

/// Takes services out of a list, splitting ranges. What was not in it is no mistake.
///
/// # Errors
/// [`StillOpen`]; the list is then as it was.
pub fn deny(list: &mut Vec<LocalService>, services: &[LocalService]) -> Result<(), StillOpen> {
    let mut kept = list.clone();
    for denied in services {
        let mut rest = Vec::with_capacity(kept.len() + 1);
        for entry in kept {
            match entry.protocol.without(denied.protocol) {
                Some(_) if denied.at.is_some() && entry.at.is_none() => {
                    return Err(StillOpen { denied: *denied, wider: entry });
                }
                Some(parts) if denied.at.is_none() || denied.at == entry.at => {
                    rest.extend(
                        parts.into_iter().map(|protocol| LocalService { protocol, ..entry }),
                    );
                }
                _ => rest.push(entry),
            }
        }
        kept = rest;
    }
    // What is left of a wide range may be part of another.
    list.clear();
    allow(list, &kept);
    Ok(())
}

impl fmt::Display for LocalService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            Protocol::Tcp(first, last) => ports(f, "tcp", first, last),
            Protocol::Udp(first, last) => ports(f, "udp", first, last),
            Protocol::Other(number) => write!(f, "ip/{number}"),
        }?;
        self.at.map_or(Ok(()), |address| write!(f, "@{address}"))
    }
}

fn ports(f: &mut fmt::Formatter<'_>, name: &str, first: u16, last: u16) -> fmt::Result {
    match (first, last) {
        (1, PORT_MAX) => write!(f, "{name}/any"),
        (first, last) if first == last => write!(f, "{name}/{first}"),
        (first, last) => write!(f, "{name}/{first}-{last}"),
    }
}

impl FromStr for LocalService {
    type Err = ServiceError;

    fn from_str(text: &str) -> Result<Self, ServiceError> {
        let form = || ServiceError::Form(shorten(text));
        let (what, at) = match text.split_once('@') {
            Some((what, address)) => {
                let wrong = || ServiceError::Address(shorten(address));
                let at: Ipv6Addr = address.parse().map_err(|_| wrong())?;
                (what, Some(Some(at).filter(is_of_network).ok_or_else(wrong)?))
            }
            None => (text, None),
        };
        let (protocol, which) = what.split_once('/').ok_or_else(form)?;
        let protocol = match protocol.to_ascii_lowercase().as_str() {
            "tcp" => read_ports(which).map(|(first, last)| Protocol::Tcp(first, last))?,
            "udp" => read_ports(which).map(|(first, last)| Protocol::Udp(first, last))?,
            "ip" => match number(which).and_then(|number| u8::try_from(number).ok()) {
                // TCP, UDP, ICMPv6, and what is no protocol but a header of extension.
                Some(named @ (0 | 6 | 17 | 43 | 44 | 58 | 60)) => {
                    return Err(ServiceError::Named(named));
                }
                Some(number) => Protocol::Other(number),
                None => return Err(form()),
            },
            _ => return Err(form()),
        };
        Ok(Self { protocol, at })
    }
}

fn read_ports(text: &str) -> Result<(u16, u16), ServiceError> {
    if text.eq_ignore_ascii_case("any") {
        return Ok((1, PORT_MAX));
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if 0 < first && first <= last => Ok((first, last)),
        _ => Err(ServiceError::Ports(shorten(text))),
    }
}

/// A number in digits alone: no sign, no blanks.
fn number(text: &str) -> Option<u16> {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

string_in_json!(LocalService, "^(tcp|udp|ip)/(any|[0-9]+(-[0-9]+)?)(@[0-9a-f:]+)?$");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(texts: &[&str]) -> Vec<LocalService> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn shown(list: &[LocalService]) -> Vec<String> {
        list.iter().map(LocalService::to_string).collect()
    }

    #[test]
    fn services_print_as_they_are_read() {
        for text in
            ["tcp/22", "tcp/8000-8100", "udp/53", "tcp/any", "udp/any", "ip/47", "tcp/22@300::1"]
        {
            assert_eq!(text.parse::<LocalService>().unwrap().to_string(), text);
        }
        for (typed, text) in
            [("TCP/Any", "tcp/any"), ("tcp/1-65535", "tcp/any"), ("udp/7-7", "udp/7")]
        {
            assert_eq!(typed.parse::<LocalService>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_names_no_service_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "is not a service"),
            ("ssh", "is not a service"),
            ("sctp/1", "is not a service"),
            ("ip/any", "is not a service"),
            ("ip/256", "is not a service"),
            ("ip/58", "has its own rules"),
            ("tcp/", "is neither a port"),
            ("tcp/0", "is neither a port"),
            ("tcp/+22", "is neither a port"),
            ("tcp/ 22", "is neither a port"),
            ("tcp/65536", "is neither a port"),
            ("tcp/9-8", "is neither a port"),
            ("tcp/1-2-3", "is neither a port"),
            ("tcp/22@2001:db8::1", "is not an address of this network"),
            ("tcp/22@", "is not an address of this network"),
        ] {
            let error = text.parse::<LocalService>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn list_holds_nothing_that_another_entry_contains() {
        let mut services = Vec::new();
        allow(&mut services, &list(&["tcp/22", "tcp/22", "udp/53@300::1"]));
        assert_eq!(shown(&services), ["tcp/22", "udp/53@300::1"]);
        allow(&mut services, &list(&["tcp/any", "udp/53"]));
        assert_eq!(shown(&services), ["tcp/any", "udp/53"]);
        allow(&mut services, &list(&["tcp/80@300::1", "udp/1-60"]));
        assert_eq!(shown(&services), ["tcp/any", "udp/1-60"]);
    }

    #[test]
    fn denied_ports_are_closed_whatever_they_were_part_of() {
        let mut services = list(&["tcp/20-30", "tcp/22@300::1", "udp/22", "ip/47"]);
        deny(&mut services, &list(&["tcp/22"])).unwrap();
        assert_eq!(shown(&services), ["tcp/20-21", "tcp/23-30", "udp/22", "ip/47"]);
        deny(&mut services, &list(&["tcp/any", "ip/47", "ip/50"])).unwrap();
        assert_eq!(shown(&services), ["udp/22"]);
        let error = deny(&mut services, &list(&["udp/22@300::1"])).unwrap_err();
        assert!(error.to_string().starts_with("udp/22 is allowed at every address"), "{error}");
        assert_eq!(shown(&services), ["udp/22"]);
    }

    fn any_service() -> impl Strategy<Value = LocalService> {
        let ports = || (1..200u16, 0..100u16).prop_map(|(first, more)| (first, first + more));
        let at = prop_oneof![Just(None), Just(Some("300::1".parse().unwrap()))];
        let protocol = prop_oneof![
            ports().prop_map(|(first, last)| Protocol::Tcp(first, last)),
            ports().prop_map(|(first, last)| Protocol::Udp(first, last)),
            (70..80u8).prop_map(Protocol::Other),
        ];
        (protocol, at).prop_map(|(protocol, at)| LocalService { protocol, at })
    }

    /// Whether a list lets a packet to `port` at `at` in.
    fn lets_in(list: &[LocalService], probe: LocalService) -> bool {
        list.iter().any(|service| service.contains(&probe))
    }

    proptest! {
        #[test]
        fn any_service_is_read_as_it_is_printed(service in any_service()) {
            prop_assert_eq!(service.to_string().parse::<LocalService>().unwrap(), service);
        }

        #[test]
        fn any_text_is_answered(text in ".{0,40}") {
            let _ = text.parse::<LocalService>();
        }

        #[test]
        fn allowing_opens_that_and_nothing_else_denying_closes_that_and_nothing_else(
            before in proptest::collection::vec(any_service(), 0..6),
            changed in any_service(),
            port in 1..310u16,
            here in any::<bool>(),
        ) {
            let at = here.then(|| "300::1".parse().unwrap());
            for protocol in [Protocol::Tcp(port, port), Protocol::Udp(port, port)] {
                let probe = LocalService { protocol, at };
                let mut list = Vec::new();
                allow(&mut list, &before);
                prop_assert_eq!(lets_in(&list, probe), lets_in(&before, probe));
                let mut more = list.clone();
                allow(&mut more, &[changed]);
                let expected = lets_in(&list, probe) || changed.contains(&probe);
                prop_assert_eq!(lets_in(&more, probe), expected);
                let mut fewer = list.clone();
                if deny(&mut fewer, &[changed]).is_ok() {
                    let expected = lets_in(&list, probe) && !changed.contains(&probe);
                    prop_assert_eq!(lets_in(&fewer, probe), expected);
                }
            }
        }
    }
}
