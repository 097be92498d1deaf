//! The self-signed certificate of a node's key, written byte by byte.
//!
//! Everything in it is fixed but the key, the moment it was made and the signature, so a template
//! in DER is shorter than a certificate library and its dependencies. Nobody checks it (chapter
//! 2.3); it is there because TLS wants one, and looks like the reference's so that it tells an
//! observer nothing new.

use planetary_proto::identity::{Identity, NodeKey};

// Tags of ASN.1 types.
const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
const PRINTABLE_STRING: u8 = 0x13;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0]` and `[3]`, the explicit tags of version and extensions.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

// Object identifiers, as encoded.
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];

/// The last moment that a certificate can name.
const NOT_AFTER: &[u8] = b"99991231235959Z";

/// The certificate of `identity`, valid from `unix_s` (seconds since 1970) on, in DER.
pub(super) fn certificate(identity: &Identity, unix_s: u64) -> Vec<u8> {
    let algorithm = node(SEQUENCE, &[&value(OBJECT_ID, ED25519)]);
    let body = body(&identity.key(), unix_s, &algorithm);
    let signature = bits(identity.sign(&body).as_bytes());
    node(SEQUENCE, &[&body, &algorithm, &signature])
}

/// What is signed.
fn body(key: &NodeKey, unix_s: u64, algorithm: &[u8]) -> Vec<u8> {
    let name = name(key);
    node(
        SEQUENCE,
        &[
            // X.509 v3.
            &node(VERSION, &[&value(INTEGER, &[2])]),
            // The serial number.
            &value(INTEGER, &[1]),
            algorithm,
            &name,
            &node(SEQUENCE, &[&time(unix_s), &value(GENERALIZED_TIME, NOT_AFTER)]),
            &name,
            &node(SEQUENCE, &[algorithm, &bits(key.as_bytes())]),
            &node(EXTENSIONS, &[&extensions()]),
        ],
    )
}

/// `CN=<the key in hexadecimal>`.
fn name(key: &NodeKey) -> Vec<u8> {
    let text = value(PRINTABLE_STRING, key.to_string().as_bytes());
    let pair = node(SEQUENCE, &[&value(OBJECT_ID, COMMON_NAME), &text]);
    node(SEQUENCE, &[&node(SET, &[&pair])])
}

fn extensions() -> Vec<u8> {
    // Bits 0 (digital signature) and 2 (key encipherment), behind the number of unused bits.
    let usage = value(BIT_STRING, &[5, 0b1010_0000]);
    let extended_usage = node(SEQUENCE, &[&value(OBJECT_ID, SERVER_AUTH)]);
    // Not a CA is the default, and defaults are left out.
    let constraints = node(SEQUENCE, &[]);
    node(
        SEQUENCE,
        &[
            &extension(KEY_USAGE, true, &usage),
            &extension(EXTENDED_KEY_USAGE, false, &extended_usage),
            &extension(BASIC_CONSTRAINTS, true, &constraints),
        ],
    )
}

fn extension(id: &[u8], critical: bool, content: &[u8]) -> Vec<u8> {
    let critical = if critical { value(BOOLEAN, &[0xff]) } else { Vec::new() };
    node(SEQUENCE, &[&value(OBJECT_ID, id), &critical, &value(OCTET_STRING, content)])
}

/// A moment as X.509 wants it: two digits for the year up to 2049, four from then on.
fn time(unix_s: u64) -> Vec<u8> {
    let (year, month, day) = civil_date(unix_s / 86_400);
    let (hour, minute, second) = (unix_s / 3600 % 24, unix_s / 60 % 60, unix_s % 60);
    let rest = format!("{month:02}{day:02}{hour:02}{minute:02}{second:02}Z");
    if year < 2050 {
        value(UTC_TIME, format!("{:02}{rest}", year % 100).as_bytes())
    } else {
        // A clock beyond the year 9999 is not worth a wrong certificate.
        value(GENERALIZED_TIME, format!("{:04}{rest}", year.min(9999)).as_bytes())
    }
}

/// The Gregorian year, month and day of a number of days since 1 January 1970.
///
/// Counts in years that begin on 1 March, so that the leap day is the last one, and in eras of 400
/// years, which are all equally long.
fn civil_date(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097;
    // From 1 March of the year 0.
    let days = days + 719_468;
    let day_of_era = days % ERA;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / (ERA - 1)) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March on alternate 31 and 30 days, in groups of five that have 153.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + days / ERA * 400 + u64::from(month <= 2);
    (year, month, day)
}

/// A bit string of whole bytes.
fn bits(bytes: &[u8]) -> Vec<u8> {
    node(BIT_STRING, &[&[0], bytes])
}

fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    node(tag, &[content])
}

/// A tag, the length of what follows, and the parts.
fn node(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    // A certificate has about 450 bytes, so a length fits two.
    match content.len() {
        len @ 0..0x80 => out.push(len as u8),
        len @ 0x80..0x100 => out.extend([0x81, len as u8]),
        len => out.extend([0x82, (len >> 8) as u8, len as u8]),
    }
    out.extend(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_calendar() {
        let cases = [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_779, (2026, 11, 22)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
            (2_932_896, (9999, 12, 31)),
        ];
        for (days, date) in cases {
            assert_eq!(civil_date(days), date, "{days}");
        }
    }

    #[test]
    fn moments_change_their_form_in_2050() {
        assert_eq!(time(1_795_305_600 + 3_723)[2..], *b"261122010203Z");
        assert_eq!(time(2_524_607_999)[..4], [UTC_TIME, 13, b'4', b'9']);
        assert_eq!(time(2_524_608_000)[..6], *b"\x18\x0f2050");
        assert_eq!(time(u64::MAX / 2)[..6], *b"\x18\x0f9999");
    }

    #[test]
    fn lengths_have_one_to_three_bytes() {
        assert_eq!(value(0x04, &[7; 0x7f])[..2], [0x04, 0x7f]);
        assert_eq!(value(0x04, &[7; 0x80])[..3], [0x04, 0x81, 0x80]);
        assert_eq!(value(0x04, &[7; 0x123])[..4], [0x04, 0x82, 0x01, 0x23]);
    }

    #[test]
    fn the_certificate_is_the_one_of_the_protocol() {
        let identity = Identity::from_seed(&std::array::from_fn(|index| index as u8));
        let der = certificate(&identity, 1_795_305_600);

        // Read once by `openssl x509 -text` and kept: subject and issuer, serial 1, times, key, the
        // three extensions.
        let expected = include_str!("certificate.hex").split_whitespace().collect::<String>();
        let hex: String = der.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    }
}
