//! Systems that tell interfaces and addresses through the standard calls, and no more here.

use std::{collections::BTreeMap, io, net::IpAddr};

use if_addrs::get_if_addrs;

use super::{FINDINGS_MAX, INTERFACES_MAX, Interface, Surroundings, is_overlay};

pub(super) fn look() -> io::Result<Surroundings> {
    let mut interfaces: BTreeMap<String, Interface> = BTreeMap::new();
    for entry in get_if_addrs()? {
        if interfaces.len() >= INTERFACES_MAX && !interfaces.contains_key(&entry.name) {
            continue;
        }
        let found = interfaces.entry(entry.name.clone()).or_insert_with(|| Interface {
            name: entry.name.clone(),
            up: None,
            mtu: None,
            loopback: entry.is_loopback(),
            overlay_addresses: Vec::new(),
        });
        if let (IpAddr::V6(address), if_addrs::IfAddr::V6(v6)) = (entry.ip(), &entry.addr)
            && is_overlay(address)
            && found.overlay_addresses.len() < FINDINGS_MAX
        {
            found.overlay_addresses.push((address, v6.prefixlen));
        }
    }
    Ok(Surroundings { interfaces: interfaces.into_values().collect(), routing: None })
}
