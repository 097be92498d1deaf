//! Real interfaces and routes, each test in a network namespace of its own:
//!
//! ```text
//!   planetary0 (TUN, 200:1234::1/7)     other0 (veth: an address or a route of the overlay)
//! ```
//!
//! This needs root, as the tests of the TUN do.

use std::process::Command;

use super::*;
use crate::tun::{
    Tun, TunFeatures, TunSettings,
    linux::tests::{ADDRESS, in_namespace, settings},
};

/// Runs a line of `ip`, which must succeed.
fn ip(line: &str) {
    let output = Command::new("ip").args(line.split(' ')).output().expect("iproute2 is installed");
    assert!(output.status.success(), "ip {line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes `other0`, whose far end is `far0`.
fn other_interface() {
    ip("link add other0 type veth peer name far0");
    ip("link set other0 up");
    ip("link set far0 up");
}

fn tun() -> Tun {
    Tun::open(&TunSettings { mtu: 9000, ..settings("auto") }, TunFeatures::PLAIN).unwrap()
}

fn own() -> Way {
    Way::Interface("planetary0".to_owned())
}

fn other() -> Way {
    Way::Interface("other0".to_owned())
}

fn route_to(prefix: &str, prefix_len: u8, way: Way) -> Route {
    Route { prefix: prefix.parse().unwrap(), prefix_len, way }
}

#[test]
fn an_open_interface_is_seen_with_its_address_and_its_route() {
    in_namespace(|| {
        let _tun = tun();
        let seen = look().unwrap();
        let found = seen.interface("planetary0").unwrap();
        assert_eq!((found.up, found.mtu, found.loopback), (Some(true), Some(9000), false));
        assert_eq!(found.overlay_addresses, [(ADDRESS, 7)]);
        let routing = seen.routing.unwrap();
        assert_eq!(routing.ways, vec![own(); PROBES.len()]);
        assert_eq!(routing.inside, [route_to("200::", 7, own())]);
    });
}

#[test]
fn an_interface_that_lost_its_address_has_no_route_either() {
    in_namespace(|| {
        let _tun = tun();
        ip("link set planetary0 mtu 1500");
        ip("-6 address flush dev planetary0");
        let seen = look().unwrap();
        let found = seen.interface("planetary0").unwrap();
        assert_eq!((found.mtu, found.overlay_addresses.len()), (Some(1500), 0));
        let routing = seen.routing.unwrap();
        assert_eq!((routing.ways, routing.inside), (vec![Way::Nowhere; PROBES.len()], vec![]));

        ip("link set planetary0 down");
        assert_eq!(look().unwrap().interface("planetary0").unwrap().up, Some(false));
    });
}

#[test]
fn an_address_and_routes_of_the_overlay_on_another_interface_are_seen() {
    in_namespace(|| {
        let _tun = tun();
        other_interface();
        ip("address add 201:abcd::2/64 dev other0 nodad");
        ip("-6 route add 2ff:ffff::/32 dev other0");
        ip("-6 route add unreachable 300::/16");
        // What lies outside, in another table or is this machine's own does not matter.
        ip("address add 2001:db8::1/64 dev other0 nodad");
        ip("-6 route add 2ff::/16 dev other0 table 77");
        let seen = look().unwrap();
        let found = seen.interface("other0").unwrap();
        assert_eq!(found.overlay_addresses, [("201:abcd::2".parse().unwrap(), 64)]);
        let routing = seen.routing.unwrap();
        assert_eq!(routing.ways, [own(), other(), Way::Nowhere, own()]);
        let expected = [
            route_to("200::", 7, own()),
            route_to("201:abcd::", 64, other()),
            route_to("2ff:ffff::", 32, other()),
            route_to("300::", 16, Way::Nowhere),
        ];
        assert_eq!(routing.inside, expected);
    });
}

#[test]
fn a_route_with_several_next_hops_leads_to_each_of_them() {
    in_namespace(|| {
        other_interface();
        ip("-6 route add 200::/7 nexthop via fe80::1 dev other0 nexthop via fe80::2 dev far0");
        let inside = look().unwrap().routing.unwrap().inside;
        let second = Way::Interface("far0".to_owned());
        assert_eq!(inside, [route_to("200::", 7, second), route_to("200::", 7, other())]);
    });
}

#[test]
fn a_rule_that_goes_before_the_main_table_is_seen_by_its_effect() {
    in_namespace(|| {
        let _tun = tun();
        other_interface();
        ip("-6 route add default dev other0 table 52");
        ip("-6 rule add lookup 52 priority 100");
        let routing = look().unwrap().routing.unwrap();
        assert_eq!(routing.ways, vec![other(); PROBES.len()]);
        assert_eq!(routing.inside, [route_to("200::", 7, own())]);
    });
}

#[test]
fn many_routes_are_read_in_several_parts() {
    in_namespace(|| {
        other_interface();
        let lines: String = (0..3000)
            .map(|n| format!("route add 2{:02x}:{n:x}::/64 dev other0\n", n % 256))
            .collect();
        let mut batch = Command::new("ip")
            .args(["-6", "-batch", "-"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        io::Write::write_all(&mut batch.stdin.take().unwrap(), lines.as_bytes()).unwrap();
        assert!(batch.wait().unwrap().success());
        let inside = look().unwrap().routing.unwrap().inside;
        assert_eq!(inside.len(), FINDINGS_MAX);
    });
}

#[test]
fn messages_that_are_cut_or_lie_about_their_length_are_left_out() {
    let none = Interfaces::new();
    for bytes in [&[][..], &[0; 3], &[0; 16], &[255; 64], &[16, 0, 0, 0, 24, 0], &[200, 0, 0, 0]] {
        assert_eq!(messages(bytes).count(), 0, "{bytes:?}");
        assert_eq!(attribute(bytes, RTA_DST), None, "{bytes:?}");
        assert_eq!(route(&none, bytes), None, "{bytes:?}");
        assert!(next_hops(&none, bytes).is_empty(), "{bytes:?}");
        let mut interfaces = Interfaces::new();
        take_link(&mut interfaces, bytes);
        take_address(&mut interfaces, bytes);
        assert!(interfaces.is_empty(), "{bytes:?}");
    }
}
