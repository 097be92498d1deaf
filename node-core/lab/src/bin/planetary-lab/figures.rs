//! What is measured: the names of the figures, their units, and their samples.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Whether more of a figure is better.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

/// A figure: its name, unit, and direction. The order here is that of the table.
pub(crate) type Figure = (&'static str, &'static str, Better);

pub(crate) const DIRECT: Figure = ("direct, tcp x1", "Mbit/s", Better::More);
pub(crate) const DIRECT_REVERSE: Figure = ("direct, tcp x1, reverse", "Mbit/s", Better::More);
pub(crate) const DIRECT_FOUR: Figure = ("direct, tcp x4", "Mbit/s", Better::More);
pub(crate) const TRANSIT: Figure = ("through a transit, tcp x1", "Mbit/s", Better::More);
pub(crate) const COST: Figure = ("processor per GB, both ends", "s", Better::Less);
pub(crate) const TRANSIT_COST: Figure = ("processor per GB, transit", "s", Better::Less);
pub(crate) const PING_MEDIAN: Figure = ("ping, median", "ms", Better::Less);
pub(crate) const PING_TAIL: Figure = ("ping, 99th percentile", "ms", Better::Less);
pub(crate) const PING_LOADED: Figure = ("ping under load, median", "ms", Better::Less);
pub(crate) const TRANSIT_PING: Figure = ("ping through a transit, median", "ms", Better::Less);
pub(crate) const MEMORY_IDLE: Figure = ("memory, idle", "MB", Better::Less);
pub(crate) const MEMORY_PEAK: Figure = ("memory, peak", "MB", Better::Less);
pub(crate) const FIRST_ECHO: Figure = ("start to first echo", "s", Better::Less);
pub(crate) const RECOVERY: Figure = ("cut to next echo", "s", Better::Less);

pub(crate) const CUT: Figure = ("line cut for 5 s and healed", "s", Better::Less);
pub(crate) const NAP: Figure = ("asleep for 20 s", "s", Better::Less);
pub(crate) const MOVE: Figure = ("another address", "s", Better::Less);
pub(crate) const RESTART: Figure = ("only peer down for 5 s", "s", Better::Less);
pub(crate) const KILL: Figure = ("one of two peers killed", "s", Better::Less);
pub(crate) const CUT_ONE: Figure = ("line to one of two peers cut", "s", Better::Less);
pub(crate) const MUTE_ONE: Figure = ("the same, one way only", "s", Better::Less);
pub(crate) const ROUTE: Figure = ("default route gone for 10 s", "s", Better::Less);
pub(crate) const IDLE_NEAR: Figure = ("first echo after silence, one hop", "ms", Better::Less);
pub(crate) const IDLE_FAR: Figure = ("first echo after silence, three hops", "ms", Better::Less);

pub(crate) const ALL: [Figure; 24] = [
    DIRECT,
    DIRECT_REVERSE,
    DIRECT_FOUR,
    TRANSIT,
    COST,
    TRANSIT_COST,
    PING_MEDIAN,
    PING_TAIL,
    PING_LOADED,
    TRANSIT_PING,
    MEMORY_IDLE,
    MEMORY_PEAK,
    FIRST_ECHO,
    RECOVERY,
    CUT,
    NAP,
    MOVE,
    RESTART,
    KILL,
    CUT_ONE,
    MUTE_ONE,
    ROUTE,
    IDLE_NEAR,
    IDLE_FAR,
];

/// Who was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Ours,
    Reference,
    /// The wire alone, without a node.
    Raw,
}

/// All samples of a run, by figure and subject, in the order in which they were taken.
#[derive(Default)]
pub(crate) struct Samples(BTreeMap<(&'static str, Subject), Vec<f64>>);

impl Samples {
    pub(crate) fn add(&mut self, figure: Figure, subject: Subject, value: f64) {
        println!("  {subject:?}: {} {} {}", figure.0, rounded(value), figure.1);
        self.0.entry((figure.0, subject)).or_default().push(value);
    }

    pub(crate) fn of(&self, figure: Figure, subject: Subject) -> &[f64] {
        self.0.get(&(figure.0, subject)).map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn to_json(&self) -> Value {
        let entries = self.0.iter().map(|((figure, subject), values)| {
            json!({ "figure": figure, "subject": format!("{subject:?}"), "samples": values })
        });
        entries.collect()
    }
}

/// The value in the middle, or none of no values.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get((sorted.len() - 1) / 2)?;
    Some((upper + lower) / 2.0)
}

/// A number with about three digits that count.
pub(crate) fn rounded(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}
