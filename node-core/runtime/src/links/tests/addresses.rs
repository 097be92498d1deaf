//! Addresses and interfaces that are not dialled.

use super::*;
use crate::links::dial::DialError;

#[tokio::test]
async fn addresses_that_must_not_be_dialled_are_not() {
    for host in [
        "[200::1]",
        "[3ff:ffff::1]",
        "[::]",
        "0.0.0.0",
        "224.0.0.1",
        "[ff02::1]",
        "[::ffff:0.0.0.0]",
    ] {
        let error = dialled(&format!("tcp://{host}:9")).await.unwrap_err();
        assert!(matches!(error, LinkError::Dial(DialError::NoSuitableAddress)), "{host}: {error}");
    }
    let error = dialled("tcp://[fe80::1]:9").await.unwrap_err();
    assert!(matches!(error, LinkError::Dial(DialError::ZoneRequired)), "{error}");
}

#[tokio::test]
async fn interfaces_that_cannot_be_used_are_named() {
    let code = async |uri: &str, interface| {
        dial::open(&end(2, &[]), &peer_uri(uri), interface).await.unwrap_err()
    };
    let error = code("tcp://192.0.2.1:9", Some("nosuchif0")).await;
    assert_eq!(error.to_string(), "there is no network interface nosuchif0 with an address");
    let error = code("tcp://[fe80::1%25nosuchif0]:9", None).await;
    assert_eq!(error.code(), "interface_unusable", "{error}");
    // The loopback has no address that reaches anything else.
    let listed = if_addrs::get_if_addrs().unwrap();
    let Some(loopback) = listed.iter().find(|interface| interface.is_loopback()) else {
        // Wine lists none.
        return assert!(std::env::var_os("PLANETARY_WINE").is_some());
    };
    let error = code("tcp://192.0.2.1:9", Some(&loopback.name)).await;
    let expected =
        format!("the interface {} has no address to reach 192.0.2.1 from", loopback.name);
    assert_eq!(error.to_string(), expected);
}
