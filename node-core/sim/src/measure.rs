//! Numbers about a world: how good its paths are, what they cost, and how much memory a node takes.

use std::collections::{BTreeMap, VecDeque};

use planetary_proto::time::Duration;
use rand_chacha::ChaCha20Rng;
use serde::Serialize;

use crate::{
    HostId, World,
    check::{RouteError, follow},
    topology::below,
};

/// How the values of a sample are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// How many values there are.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// The middle one.
    pub median: f64,
    /// Larger than 99 of 100.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Sums up a sample; all zeros for an empty one.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let count = values.len();
        let at = |share: f64| {
            // An index into the sample: between zero and its length.
            let index = (share * (count.max(1) - 1) as f64).round() as usize;
            values.get(index).copied().unwrap_or_default()
        };
        let mean = values.iter().sum::<f64>() / count.max(1) as f64;
        Self { count, mean, median: at(0.5), p99: at(0.99), max: at(1.0) }
    }

    /// Sums up times, in milliseconds.
    #[must_use]
    pub fn of_times(times: impl IntoIterator<Item = Duration>) -> Self {
        Self::of(times.into_iter().map(|time| time.as_secs_f64() * 1000.0).collect())
    }
}

/// Hops of greedy paths, and how many times longer than the shortest ones they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Stretch {
    /// Hops of greedy paths.
    pub hops: Spread,
    /// Those hops over the hops of the shortest path.
    pub ratio: Spread,
}

/// Follows packets between `pairs` and compares with the shortest paths over the same links.
///
/// # Errors
/// The first pair whose packet does not arrive.
pub fn stretch(
    world: &World,
    pairs: &[(HostId, HostId)],
) -> Result<Stretch, (HostId, HostId, RouteError)> {
    let mut by_source: BTreeMap<HostId, Vec<HostId>> = BTreeMap::new();
    for (from, to) in pairs {
        by_source.entry(*from).or_default().push(*to);
    }
    let (mut hops, mut ratios) = (Vec::new(), Vec::new());
    for (from, targets) in by_source {
        let shortest = distances(world, from);
        for to in targets {
            let taken = follow(world, from, to).map_err(|error| (from, to, error))? as f64;
            let Some(least) = shortest[to.0].filter(|hops| *hops > 0) else { continue };
            hops.push(taken);
            ratios.push(taken / least as f64);
        }
    }
    Ok(Stretch { hops: Spread::of(hops), ratio: Spread::of(ratios) })
}

/// Hops of the shortest paths from a host over links that are up.
fn distances(world: &World, from: HostId) -> Vec<Option<u64>> {
    let mut distances = vec![None; world.host_count()];
    distances[from.0] = Some(0);
    let mut queue = VecDeque::from([(from, 0)]);
    while let Some((at, hops)) = queue.pop_front() {
        for end in world.host(at).ends().values() {
            let known = &mut distances[end.peer.0];
            if known.is_none() {
                *known = Some(hops + 1);
                queue.push_back((end.peer, hops + 1));
            }
        }
    }
    distances
}

/// All pairs of different hosts; if there are more than `most`, a draw of so many from few sources,
/// so that shortest paths are cheap to find.
#[must_use]
pub fn sample_pairs(hosts: &[HostId], most: usize, rng: &mut ChaCha20Rng) -> Vec<(HostId, HostId)> {
    if hosts.len() < 2 {
        return Vec::new();
    }
    let all = hosts.len() * (hosts.len() - 1);
    if all <= most {
        let pairs = hosts.iter().flat_map(|from| hosts.iter().map(move |to| (*from, *to)));
        return pairs.filter(|(from, to)| from != to).collect();
    }
    let sources = hosts.len().min(50);
    let mut pairs = Vec::with_capacity(most);
    for _ in 0..sources {
        let from = hosts[below(rng, hosts.len())];
        for _ in 0..most.div_ceil(sources) {
            let to = hosts[below(rng, hosts.len())];
            if from != to {
                pairs.push((from, to));
            }
        }
    }
    pairs.truncate(most);
    pairs
}

/// Memory of this process in bytes, where the system tells.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_sums_up() {
        let spread = Spread::of((1..=101).rev().map(f64::from).collect());
        assert_eq!((spread.count, spread.mean, spread.median), (101, 51.0, 51.0));
        assert_eq!((spread.p99, spread.max), (100.0, 101.0));
        assert_eq!(Spread::of(Vec::new()), Spread::default());
    }
}
