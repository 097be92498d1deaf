//! Names of nodes: keys, addresses, subnets and what a person may type for them.
//!
//! These are carriers, not cryptography: a [`NodeKey`] is 32 bytes that print as hex, whether or
//! not they are a point on a curve. The service computes addresses from keys; this crate never
//! does.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};

/// Public key of a node; in JSON 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey(pub [u8; 32]);

impl fmt::Display for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl NodeKey {
    /// The key in base32 (RFC 4648, lower case, no padding): 52 letters and digits, for places
    /// where room is scarce, such as links and names.
    pub fn to_base32(&self) -> String {
        BASE32_NOPAD.encode(&self.0).to_ascii_lowercase()
    }

    /// Reads what [`Self::to_base32`] wrote, in whatever case.
    fn from_base32(text: &str) -> Option<Self> {
        let fits = text.len() == BASE32_LEN && text.is_ascii();
        let bytes = fits.then(|| BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok())?;
        Some(Self(bytes?.try_into().ok()?))
    }
}

/// Digits of a key in base32.
const BASE32_LEN: usize = 52;

/// A key is read from 64 hexadecimal digits or from base32.
impl FromStr for NodeKey {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        if let Some(key) = Self::from_base32(text) {
            return Ok(key);
        }
        let digits = text.as_bytes();
        let mut key = [0; 32];
        if digits.len() != 2 * key.len() {
            return Err(TargetError::Key(shorten(text)));
        }
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            let value = |digit: u8| char::from(digit).to_digit(16);
            let (Some(high), Some(low)) = (value(pair[0]), value(pair[1])) else {
                return Err(TargetError::Key(shorten(text)));
            };
            // Both digits are below 16, so the sum is at most 255.
            *byte = (high << 4 | low) as u8;
        }
        Ok(Self(key))
    }
}

/// Routed subnet of a node; in JSON the prefix and `/64`, as in `306:2f7c:2006:18f7::/64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet(Ipv6Addr);

impl Subnet {
    /// The subnet that contains `address`: its first 64 bits, the rest cleared.
    pub fn containing(address: Ipv6Addr) -> Self {
        Self(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64))
    }

    /// The first address of the subnet.
    pub fn prefix(self) -> Ipv6Addr {
        self.0
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/64", self.0)
    }
}

impl FromStr for Subnet {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        text.strip_suffix("/64")
            .and_then(|prefix| prefix.parse().ok())
            .filter(|&prefix| Self::containing(prefix).0 == prefix)
            .map(Self)
            .ok_or_else(|| TargetError::Subnet(shorten(text)))
    }
}

/// A node as a person names it: by address (of the node or inside its subnet) or by key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// An IPv6 address in `200::/7`.
    Address(Ipv6Addr),
    /// A public key.
    Key(NodeKey),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Key(key) => key.fmt(f),
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return if is_of_network(&address) {
                Ok(Self::Address(address))
            } else {
                Err(TargetError::Foreign(address))
            };
        }
        text.parse().map(Self::Key).map_err(|_| TargetError::Target(shorten(text)))
    }
}

/// What a person typed is not the name of a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Not 64 hexadecimal digits.
    #[error("`{0}` is not a key of 64 hexadecimal digits")]
    Key(String),
    /// Not a prefix of 64 bits.
    #[error("`{0}` is not a subnet such as 300:1:2:3::/64")]
    Subnet(String),
    /// An address that belongs to another network.
    #[error("{0} is not an address of this network, which uses 200::/7")]
    Foreign(Ipv6Addr),
    /// Neither an address nor a key.
    #[error("`{0}` is neither an IPv6 address nor a key of 64 hexadecimal digits")]
    Target(String),
}

/// Whether the address lies in `200::/7`.
pub(crate) fn is_of_network(address: &Ipv6Addr) -> bool {
    address.octets()[0] & 0xfe == 0x02
}

/// Cuts what somebody typed to a length that fits into an error message.
pub(crate) fn shorten(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

macro_rules! string_in_json {
    ($type:ident, $pattern:literal) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        #[cfg(test)]
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

pub(crate) use string_in_json;

string_in_json!(NodeKey, "^[0-9a-f]{64}$");
string_in_json!(Subnet, "^[0-9a-f:]+/64$");
string_in_json!(Target, "^([0-9a-f:.]+|[0-9a-f]{64})$");

/// Point in time; in JSON whole seconds since 1970-01-01 00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(inline))]
#[serde(transparent)]
pub struct UnixTime(pub u64);

/// Who this node is, without anything private.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Identity {
    /// Public key, 64 hexadecimal digits.
    pub key: NodeKey,
    /// Address that follows from the key.
    pub address: Ipv6Addr,
    /// Routed subnet that follows from the key.
    pub subnet: Subnet,
    /// Where the service keeps the private key, or `null` when the identity lives in memory only.
    pub file: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";

    #[test]
    fn key_prints_as_it_was_read() {
        assert_eq!(KEY.parse::<NodeKey>().unwrap().to_string(), KEY);
        assert_eq!(KEY.to_uppercase().parse::<NodeKey>().unwrap().to_string(), KEY);
    }

    #[test]
    fn key_in_base32_is_read_in_any_case_and_has_one_form() {
        let key: NodeKey = KEY.parse().unwrap();
        let text = key.to_base32();
        assert_eq!((text.len(), text.to_ascii_lowercase()), (52, text.clone()));
        assert_eq!(text.parse::<NodeKey>().unwrap(), key);
        assert_eq!(text.to_ascii_uppercase().parse::<NodeKey>().unwrap(), key);
        // The last digit has four bits that belong to no byte and must be zero.
        let last = if text.ends_with('a') { "b" } else { "r" };
        for text in [&text[1..], &format!("{}{last}", &text[..51]), &format!("{text}====")] {
            assert!(text.parse::<NodeKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn key_of_wrong_length_or_alphabet_is_refused() {
        for text in ["", "03a1", &KEY[1..], &format!("{KEY}0"), &KEY.replace('0', "g"), "ä"] {
            assert!(text.parse::<NodeKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn subnet_is_the_first_half_of_an_address() {
        let address: Ipv6Addr = "306:2f7c:2006:18f7:a0f1::1".parse().unwrap();
        let subnet = Subnet::containing(address);
        assert_eq!(subnet.to_string(), "306:2f7c:2006:18f7::/64");
        assert_eq!("306:2f7c:2006:18f7::/64".parse::<Subnet>().unwrap(), subnet);
        assert!("306:2f7c:2006:18f7::1/64".parse::<Subnet>().is_err());
        assert!("306:2f7c:2006:18f7::/48".parse::<Subnet>().is_err());
    }

    #[test]
    fn target_is_an_address_of_this_network_or_a_key() {
        assert!(matches!("200:1::2".parse::<Target>().unwrap(), Target::Address(_)));
        assert!(matches!("3ff:1::2".parse::<Target>().unwrap(), Target::Address(_)));
        assert!(matches!(KEY.parse::<Target>().unwrap(), Target::Key(_)));
        assert_eq!(
            "2001:db8::1".parse::<Target>().unwrap_err().to_string(),
            "2001:db8::1 is not an address of this network, which uses 200::/7"
        );
        assert_eq!(
            "somewhere".parse::<Target>().unwrap_err().to_string(),
            "`somewhere` is neither an IPv6 address nor a key of 64 hexadecimal digits"
        );
    }

    #[test]
    fn long_input_is_cut_in_the_message() {
        let message = "ü".repeat(100_000).parse::<Target>().unwrap_err().to_string();
        assert!(message.chars().count() < 200);
    }
}
