//! A beacon of the local network.
//!
//! Asserted: what is accepted under one password is refused under another; it is written again as
//! it was read, but for what follows; and cutting it short makes it a beacon no more.

use planetary_proto::link::beacon::{BEACON_LEN, Beacon};

const PASSWORDS: [&[u8]; 2] = [b"", b"secret"];

/// See the module. The first byte chooses a password.
pub fn beacon(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else { return };
    let [password, other] = match choice % 2 {
        0 => PASSWORDS,
        _ => [PASSWORDS[1], PASSWORDS[0]],
    };
    assert!(Beacon::parse(data, &[0; 65]).is_err());
    let Ok(beacon) = Beacon::parse(data, password) else { return };
    assert_eq!(Beacon::claim(data), Ok(beacon));
    assert!(beacon.port != 0);
    assert!(Beacon::parse(data, other).is_err(), "two passwords fit {beacon:?}");
    let again = beacon.emit(password).expect("the password is short enough");
    assert_eq!(again[..], data[..BEACON_LEN]);
    assert!(Beacon::parse(&data[..BEACON_LEN - 1], password).is_err());
}
