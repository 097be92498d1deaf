//! The greeting of a link.
//!
//! Asserted: what is accepted under one password is refused under another, unless its key is one
//! that signs anything; and a greeting of our own is read back as it was written.

use planetary_proto::link::meta::{Capabilities, HEAD_LEN, Meta, PASSWORD_MAX};

use crate::host::identity;

const PASSWORDS: [&[u8]; 3] = [b"", b"secret", &[0x5a; PASSWORD_MAX]];

/// See the module. The first byte chooses a password.
pub fn meta(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else { return };
    let password = PASSWORDS[usize::from(choice) % PASSWORDS.len()];
    let capabilities = Capabilities::from_bits(u32::from(choice));
    let own = Meta::emit(&identity(0), choice, capabilities, password);
    let own = own.expect("the password is short enough");
    let head = own.first_chunk::<HEAD_LEN>().expect("a greeting has a head");
    assert_eq!(Meta::body_len(head), Ok(own.len() - HEAD_LEN));
    let read = Meta::parse(&own[HEAD_LEN..], password);
    assert_eq!(read, Ok(Meta { key: identity(0).key(), priority: choice, capabilities }));

    let Some((head, body)) = data.split_first_chunk::<HEAD_LEN>() else { return };
    let len = Meta::body_len(head).unwrap_or(body.len());
    let body = &body[..len.min(body.len())];
    if let Ok(meta) = Meta::parse(body, password)
        && !meta.key.is_weak()
    {
        for other in PASSWORDS.into_iter().filter(|other| *other != password) {
            assert!(Meta::parse(body, other).is_err(), "two passwords fit {meta:?}");
        }
    }
    assert!(Meta::parse(body, &[0; PASSWORD_MAX + 1]).is_err());
}
