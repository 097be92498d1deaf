//! What a circle suggests that its members should reach.

use core::{fmt, str::FromStr};

use thiserror::Error;

/// Ports of TCP or UDP, from the first to the last, both included. As text `tcp/22` or
/// `udp/6000-6010`.
///
/// Nothing of it holds by itself: who wants to follow it says so on his own machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Suggestion {
    protocol: Protocol,
    first: u16,
    last: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Protocol {
    Tcp,
    Udp,
}

/// Why a text suggests nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a suggestion is of the form tcp/22 or udp/6000-6010")]
pub struct SuggestionError;

impl Suggestion {
    /// The ports `first` to `last` of TCP.
    ///
    /// # Errors
    /// [`SuggestionError`] if there are none, or one of them is 0.
    pub fn tcp(first: u16, last: u16) -> Result<Self, SuggestionError> {
        Self::new(Protocol::Tcp, first, last)
    }

    /// The ports `first` to `last` of UDP.
    ///
    /// # Errors
    /// [`SuggestionError`] if there are none, or one of them is 0.
    pub fn udp(first: u16, last: u16) -> Result<Self, SuggestionError> {
        Self::new(Protocol::Udp, first, last)
    }

    fn new(protocol: Protocol, first: u16, last: u16) -> Result<Self, SuggestionError> {
        if first == 0 || last < first {
            return Err(SuggestionError);
        }
        Ok(Self { protocol, first, last })
    }
}

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        write!(f, "{protocol}/{}", self.first)?;
        if self.last != self.first {
            write!(f, "-{}", self.last)?;
        }
        Ok(())
    }
}

impl FromStr for Suggestion {
    type Err = SuggestionError;

    /// Takes exactly what [`fmt::Display`] gives.
    fn from_str(text: &str) -> Result<Self, SuggestionError> {
        let (protocol, ports) = text.split_once('/').ok_or(SuggestionError)?;
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => return Err(SuggestionError),
        };
        let port = |text: &str| text.parse::<u16>().map_err(|_| SuggestionError);
        let suggestion = Self::new(protocol, port(first)?, port(last)?)?;
        if suggestion.to_string() == text { Ok(suggestion) } else { Err(SuggestionError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggestion_has_one_form() {
        for text in ["tcp/22", "udp/6000-6010", "tcp/1-65535"] {
            assert_eq!(text.parse::<Suggestion>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "tcp",
            "tcp/",
            "tcp/0",
            "tcp/022",
            "tcp/+22",
            "tcp/22-22",
            "tcp/9-8",
            "ip/4",
            "TCP/1",
        ] {
            assert_eq!(text.parse::<Suggestion>(), Err(SuggestionError), "{text}");
        }
    }
}
