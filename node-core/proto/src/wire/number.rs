//! Unsigned LEB128 numbers (chapter 3.1).

use super::DecodeError;

/// Longest encoding of a number, in bytes.
pub(crate) const NUMBER_LEN_MAX: usize = 10;

/// Appends `value` in minimal form.
pub fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        // The mask leaves seven bits.
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes `value` in minimal form so that it ends at the end of `room`, and returns where it
/// begins.
///
/// The caller offers at least [`number_len`] bytes.
pub(crate) fn put_number_before(room: &mut [u8], value: u64) -> usize {
    let start = room.len() - number_len(value);
    let mut rest = value;
    let last = room.len() - 1;
    for byte in &mut room[start..last] {
        *byte = (rest & 0x7f) as u8 | 0x80;
        rest >>= 7;
    }
    room[last] = rest as u8;
    start
}

/// Length of the minimal form of `value` in bytes, 1 to 10.
#[must_use]
pub const fn number_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Reads a number, minimal or not, and tells how many bytes it took.
#[inline]
pub(crate) fn parse_number(bytes: &[u8]) -> Result<(u64, usize), DecodeError> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(NUMBER_LEN_MAX).enumerate() {
        if index == NUMBER_LEN_MAX - 1 && *byte > 1 {
            return Err(DecodeError::Overflow);
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok((value, index + 1));
        }
    }
    Err(DecodeError::Truncated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_the_chapter() {
        let encode = |value| {
            let mut out = Vec::new();
            put_number(&mut out, value);
            out
        };
        assert_eq!(encode(1), [0x01]);
        assert_eq!(encode(300), [0xac, 0x02]);
        assert_eq!(encode(u64::MAX), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    }

    #[test]
    fn long_forms_are_read_and_overflow_is_refused() {
        assert_eq!(parse_number(&[0x80, 0x80, 0x00]), Ok((0, 3)));
        let mut long = [0xff; 10];
        long[9] = 0x02;
        assert_eq!(parse_number(&long), Err(DecodeError::Overflow));
        assert_eq!(parse_number(&[0x80; 10]), Err(DecodeError::Overflow));
        assert_eq!(parse_number(&[0x80; 9]), Err(DecodeError::Truncated));
        assert_eq!(parse_number(&[]), Err(DecodeError::Truncated));
    }

    proptest::proptest! {
        #[test]
        fn round_trip(value: u64) {
            let mut out = Vec::new();
            put_number(&mut out, value);
            proptest::prop_assert_eq!(out.len(), number_len(value));
            proptest::prop_assert_eq!(parse_number(&out), Ok((value, out.len())));
            let mut room = [0; 16];
            let start = put_number_before(&mut room, value);
            proptest::prop_assert_eq!(&room[start..], &out[..]);
        }
    }
}
