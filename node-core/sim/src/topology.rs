//! How hosts are wired.

use std::collections::BTreeSet;

use clap::ValueEnum;
use planetary_proto::time::Duration;
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use serde::Serialize;

use crate::{HostId, Line, World};

/// A shape of network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topology {
    /// A random tree with random links added until the wanted degree is reached.
    Random,
    /// Each host has two neighbours.
    Ring,
    /// Rows and columns, as square as possible.
    Grid,
    /// Hosts that come later prefer neighbours that have many already.
    ScaleFree,
    /// All hosts at one.
    Star,
}

/// Cables of a network of `hosts` hosts. All hosts are connected; `degree` is how many neighbours
/// one has on average, where the shape leaves a choice.
#[must_use]
pub fn cables(
    topology: Topology,
    hosts: usize,
    degree: usize,
    rng: &mut ChaCha20Rng,
) -> Vec<(usize, usize)> {
    match topology {
        Topology::Random => random(hosts, degree, rng),
        Topology::Ring => ring(hosts),
        Topology::Grid => grid(hosts),
        Topology::ScaleFree => scale_free(hosts, degree, rng),
        Topology::Star => (1..hosts).map(|host| (host, 0)).collect(),
    }
}

/// Adds hosts wired in a shape to a world, with latencies from 2 to 40 ms.
pub fn build(world: &mut World, topology: Topology, hosts: usize, degree: usize) -> Vec<HostId> {
    let ids: Vec<HostId> = (0..hosts).map(|_| world.add_host()).collect();
    let mut rng = world.fork_rng();
    for (a, b) in cables(topology, hosts, degree, &mut rng) {
        let latency = Duration::from_micros(2_000 + rng.next_u64() % 38_000);
        world.connect(ids[a], ids[b], Line::new(latency));
    }
    ids
}

/// A number below `bound`.
pub(crate) fn below(rng: &mut ChaCha20Rng, bound: usize) -> usize {
    // The bias is below a billionth for any number of hosts there will be.
    (rng.next_u64() % bound.max(1) as u64) as usize
}

fn random(hosts: usize, degree: usize, rng: &mut ChaCha20Rng) -> Vec<(usize, usize)> {
    let mut cables: BTreeSet<(usize, usize)> =
        (1..hosts).map(|host| (below(rng, host), host)).collect();
    let most = hosts * hosts.saturating_sub(1) / 2;
    let wanted = (hosts * degree / 2).min(most);
    while cables.len() < wanted {
        let (a, b) = (below(rng, hosts), below(rng, hosts));
        if a != b {
            cables.insert((a.min(b), a.max(b)));
        }
    }
    cables.into_iter().collect()
}

fn ring(hosts: usize) -> Vec<(usize, usize)> {
    let closing = (hosts > 2).then_some((0, hosts.saturating_sub(1)));
    (1..hosts).map(|host| (host - 1, host)).chain(closing).collect()
}

fn grid(hosts: usize) -> Vec<(usize, usize)> {
    let width = hosts.isqrt().max(1);
    let right = (0..hosts).filter(|host| host % width + 1 < width).map(|host| (host, host + 1));
    let down = (0..hosts).map(|host| (host, host + width));
    right.chain(down).filter(|(_, b)| *b < hosts).collect()
}

fn scale_free(hosts: usize, degree: usize, rng: &mut ChaCha20Rng) -> Vec<(usize, usize)> {
    let each = (degree / 2).max(1);
    let mut cables = Vec::new();
    // Every host once for each of its cables, so that drawing from here prefers those that have
    // many.
    let mut drawn_from = vec![0];
    for host in 1..hosts {
        let mut chosen = BTreeSet::new();
        while chosen.len() < each.min(host) {
            chosen.insert(drawn_from[below(rng, drawn_from.len())]);
            if chosen.len() < each.min(host) {
                chosen.insert(below(rng, host));
            }
        }
        for other in chosen {
            cables.push((other, host));
            drawn_from.extend([other, host]);
        }
    }
    cables
}

#[cfg(test)]
mod tests {
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn every_shape_is_connected_and_has_no_cable_twice() {
        for topology in Topology::value_variants() {
            for hosts in [1, 2, 3, 10, 64, 101] {
                let mut rng = ChaCha20Rng::seed_from_u64(7);
                let cables = cables(*topology, hosts, 4, &mut rng);
                let mut reached = vec![false; hosts];
                reached[0] = true;
                for _ in 0..hosts {
                    for (a, b) in &cables {
                        let either = reached[*a] || reached[*b];
                        (reached[*a], reached[*b]) = (either, either);
                    }
                }
                assert!(reached.iter().all(|host| *host), "{topology:?} of {hosts}");
                let pairs: BTreeSet<_> = cables.iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
                assert_eq!(pairs.len(), cables.len(), "{topology:?} of {hosts}");
                assert!(cables.iter().all(|(a, b)| a != b));
            }
        }
    }
}
