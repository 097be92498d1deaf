//! Judgements about made-up interfaces and routes.

use std::sync::Arc;

use planetary_proto::identity::Identity;
use planetary_runtime::surroundings::{PROBES, Routing};

use super::*;
use crate::health::{Health, Moment};
use crate::report::tests::snapshot;
use crate::survey::process::Process;
use crate::survey::{Finding, Survey};

const NAME: &str = "planetary0";

fn address() -> Ipv6Addr {
    Identity::from_seed(&[1; 32]).key().address().to_ipv6()
}

fn interface(name: &str, overlay_addresses: Vec<(Ipv6Addr, u8)>) -> Interface {
    Interface {
        name: name.to_owned(),
        up: Some(true),
        mtu: Some(65535),
        loopback: name == "lo",
        overlay_addresses,
    }
}

fn to(name: &str) -> Way {
    Way::Interface(name.to_owned())
}

fn route(range: &str, way: Way) -> Route {
    let (prefix, len) = range.split_once('/').unwrap();
    Route { prefix: prefix.parse().unwrap(), prefix_len: len.parse().unwrap(), way }
}

/// A system in which all is well.
fn good() -> Surroundings {
    let routing =
        Routing { ways: vec![to(NAME); PROBES.len()], inside: vec![route("200::/7", to(NAME))] };
    Surroundings {
        interfaces: vec![interface("lo", vec![]), interface(NAME, vec![(address(), 7)])],
        routing: Some(routing),
    }
}

fn facts(network: Finding<Surroundings>) -> Facts {
    Facts {
        up: true,
        snapshot: Some(snapshot(vec![], None)),
        key: Some(Identity::from_seed(&[1; 32]).key()),
        wanted_tun: true,
        tun: Some((NAME.to_owned(), 65535)),
        survey: Arc::new(Survey { network, ..Survey::default() }),
        ..Facts::of_silence(&Health::default(), Moment::now())
    }
}

/// All that is found wrong.
fn wrong(seen: Surroundings) -> Vec<Condition> {
    let facts = facts(Finding::Known(seen));
    [interface_changed, mtu_changed, route_missing, network_clash]
        .into_iter()
        .filter_map(|check| check(&facts))
        .collect()
}

fn codes(seen: Surroundings) -> Vec<&'static str> {
    wrong(seen).iter().map(|condition| condition.code).collect()
}

fn changed(change: impl FnOnce(&mut Surroundings)) -> Surroundings {
    let mut seen = good();
    change(&mut seen);
    seen
}

fn routing(seen: &mut Surroundings) -> &mut Routing {
    seen.routing.as_mut().unwrap()
}

#[test]
fn a_good_interface_is_praised() {
    assert_eq!(wrong(good()), []);
    let facts = facts(Finding::Known(good()));
    let expected = "It is up, has its address, and packets to the network go through it.";
    assert_eq!(praise(&facts).unwrap(), expected);
    assert!(is_alone(&facts));
}

#[test]
fn what_is_not_known_is_neither_wrong_nor_good() {
    for network in [Finding::Unasked, Finding::Overdue, Finding::Refused] {
        let facts = facts(network);
        assert!(interface_changed(&facts).is_none() && network_clash(&facts).is_none());
        assert!(praise(&facts).is_none() && !is_alone(&facts));
    }
    // Systems that do not tell of routes.
    let facts = facts(Finding::Known(Surroundings { routing: None, ..good() }));
    assert!(route_missing(&facts).is_none() && is_alone(&facts));
    assert_eq!(praise(&facts).unwrap(), "It is up, has its address.");
}

#[test]
fn the_first_thing_that_is_wrong_with_the_interface_is_told_alone() {
    let nowhere = |seen: &mut Surroundings| {
        *routing(seen) = Routing { ways: vec![Way::Nowhere; PROBES.len()], inside: vec![] };
    };
    let gone = changed(|seen| {
        seen.interfaces.pop();
        nowhere(seen);
    });
    let off = changed(|seen| {
        let own = &mut seen.interfaces[1];
        (own.up, own.overlay_addresses) = (Some(false), vec![]);
        nowhere(seen);
    });
    let bare = changed(|seen| {
        seen.interfaces[1].overlay_addresses.clear();
        nowhere(seen);
    });
    for (seen, title) in [
        (gone, "The network interface is gone"),
        (off, "The network interface is switched off"),
        (bare, "The network interface has lost its address"),
    ] {
        let found = wrong(seen);
        assert_eq!(found.len(), 1, "{title}: {found:?}");
        assert_eq!((found[0].title.as_str(), found[0].severity), (title, Severity::Error));
        assert!(found[0].affects_connectivity && found[0].may_pass);
    }
    let mut lost = facts(Finding::Known(Surroundings::default()));
    lost.snapshot.as_mut().unwrap().tun_lost = Some("it was removed".to_owned());
    assert!(interface_changed(&lost).is_none(), "that is told as `tun_lost`");
}

#[test]
fn another_mtu_is_told_with_both_numbers() {
    let found = wrong(changed(|seen| seen.interfaces[1].mtu = Some(1500)));
    assert_eq!(found[0].text, "planetary0 has an MTU of 1500 bytes and was given 65535.");
    assert_eq!((found.len(), found[0].severity), (1, Severity::Warning));
}

#[test]
fn a_route_that_is_gone_or_overruled_is_told_with_where_packets_go() {
    let removed = changed(|seen| {
        *routing(seen) = Routing { ways: vec![Way::Nowhere; PROBES.len()], inside: vec![] };
    });
    let found = wrong(removed);
    assert_eq!((found.len(), found[0].code), (1, "route_missing"));
    let expected = "The system has no route for the network (200::/7) through planetary0.";
    assert_eq!(found[0].text, expected);

    let overruled = changed(|seen| routing(seen).ways = vec![to("vpn0"); PROBES.len()]);
    let found = wrong(overruled);
    assert_eq!((found.len(), found[0].code), (1, "route_missing"));
    assert_eq!(found[0].text, "Packets to the network (200::/7) go to vpn0, not to planetary0.");
}

#[test]
fn another_node_is_told_by_its_interface_and_what_it_takes() {
    let other: Ipv6Addr = "201:abcd::1".parse().unwrap();
    let beside = changed(|seen| {
        seen.interfaces.push(interface("ygg0", vec![(other, 7)]));
        routing(seen).inside.push(route("200::/7", to("ygg0")));
    });
    let found = wrong(beside.clone());
    assert_eq!((found.len(), found[0].severity), (1, Severity::Warning));
    assert_eq!(found[0].title, "Another node of this network runs on this computer");
    assert_eq!(
        found[0].text,
        "In the network's range 200::/7: ygg0 has 201:abcd::1. Both want the same traffic, and \
         which one gets it may change."
    );
    assert!(found[0].action.as_ref().unwrap().contains("behind ygg0"));

    let mut taking = beside;
    routing(&mut taking).ways = vec![to("ygg0"); PROBES.len()];
    let found = wrong(taking);
    assert_eq!((found.len(), found[0].severity), (1, Severity::Error));
    assert!(found[0].affects_connectivity);
}

#[test]
fn routes_into_the_range_are_told_one_by_one() {
    let found = wrong(changed(|seen| {
        let inside = &mut routing(seen).inside;
        inside.push(route("2ff::/16", to("eth0")));
        inside.push(route("300::/16", Way::Nowhere));
    }));
    assert_eq!((found.len(), found[0].severity), (1, Severity::Error));
    let listed = "2ff::/16 goes to eth0, 300::/16 is refused.";
    assert!(found[0].text.contains(listed), "{}", found[0].text);
    assert_eq!(found[0].title, "Something else uses addresses of this network");
}

#[test]
fn a_route_that_keeps_packets_in_while_the_node_is_off_is_no_clash() {
    let spare = |seen: &mut Surroundings| {
        routing(seen).inside.push(route("200::/7", Way::Nowhere));
    };
    assert_eq!(codes(changed(spare)), [""; 0]);
    let in_effect = changed(|seen| {
        spare(seen);
        routing(seen).ways[0] = Way::Nowhere;
    });
    assert_eq!(codes(in_effect), ["network_clash"]);
}

#[test]
fn the_own_subnet_may_be_used_and_so_may_the_own_address_on_the_loopback() {
    let mut octets = address().octets();
    octets[0] |= 1;
    octets[8..].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
    let at_home = Ipv6Addr::from(octets);
    octets[8..].fill(0);
    let subnet = Ipv6Addr::from(octets);
    let seen = changed(|seen| {
        seen.interfaces[0].overlay_addresses.push((address(), 128));
        seen.interfaces.push(interface("br0", vec![(at_home, 64)]));
        let inside = &mut routing(seen).inside;
        inside.push(Route { prefix: subnet, prefix_len: 64, way: to("br0") });
        inside.push(Route { prefix: subnet, prefix_len: 64, way: Way::Nowhere });
    });
    assert_eq!(codes(seen), [""; 0]);
    // The own address elsewhere is another node with the same key.
    let twice = changed(|seen| seen.interfaces.push(interface("ygg0", vec![(address(), 7)])));
    assert_eq!(codes(twice), ["network_clash"]);
}

#[test]
fn rights_are_missed_where_an_interface_is_wanted() {
    let with = |may_configure, wanted_tun| {
        let process =
            Process { account: Some("anna".to_owned()), may_configure, ..Process::default() };
        let survey = Survey { process: Finding::Known(process), ..Survey::default() };
        rights_missing(&Facts { wanted_tun, survey: Arc::new(survey), ..facts(Finding::Unasked) })
    };
    let found = with(Some(false), true).unwrap();
    assert!(found.text.starts_with("It runs as anna without"), "{}", found.text);
    assert!(with(Some(true), true).is_none());
    assert!(with(Some(false), false).is_none());
    assert!(with(None, true).is_none());
}
