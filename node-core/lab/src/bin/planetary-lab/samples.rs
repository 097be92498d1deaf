//! The samples of a run, and what they come to.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::figures::{Figure, Subject};
use crate::machine::OTHERS;

/// One value, and how many cores others used while it was taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) value: f64,
    pub(crate) others: f64,
}

/// All samples of a run, in the order in which they were taken.
#[derive(Default)]
pub(crate) struct Samples(BTreeMap<(Figure, Subject), Vec<Sample>>);

/// What the samples of a figure come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    /// No sample was taken undisturbed, so all of them count.
    pub(crate) disturbed: bool,
    pub(crate) discarded: usize,
}

impl Samples {
    pub(crate) fn add(&mut self, figure: Figure, subject: Subject, sample: Sample) {
        let Figure { ground, quantity } = figure;
        let note = if sample.is_quiet() { "" } else { ", disturbed" };
        println!(
            "  {subject}: {ground}: {quantity} {} {}{note}",
            rounded(sample.value),
            quantity.unit()
        );
        self.0.entry((figure, subject)).or_default().push(sample);
    }

    /// Every figure of which there is a sample, once.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let mut figures: Vec<Figure> = self.0.keys().map(|(figure, _)| *figure).collect();
        figures.dedup();
        figures
    }

    /// The median of the samples that were taken undisturbed, or of all where none was.
    pub(crate) fn summary(&self, figure: Figure, subject: Subject) -> Option<Summary> {
        let all = self.0.get(&(figure, subject))?;
        let quiet = || all.iter().filter(|sample| sample.is_quiet());
        let disturbed = quiet().next().is_none();
        let mut values: Vec<f64> = match disturbed {
            true => all.iter().map(|sample| sample.value).collect(),
            false => quiet().map(|sample| sample.value).collect(),
        };
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let discarded = all.len() - values.len();
        Some(Summary { median: quantile(&values, 0.5)?, least, most, disturbed, discarded })
    }

    /// How many samples do not count.
    pub(crate) fn discarded(&self) -> usize {
        let keys = self.0.keys();
        keys.filter_map(|(figure, subject)| Some(self.summary(*figure, *subject)?.discarded)).sum()
    }

    pub(crate) fn to_json(&self) -> Value {
        let entries = self.0.iter().map(|((figure, subject), samples)| {
            json!({
                "ground": figure.ground.to_string(),
                "quantity": figure.quantity.to_string(),
                "unit": figure.quantity.unit(),
                "subject": subject.to_string(),
                "samples": samples.iter().map(|sample| sample.value).collect::<Vec<_>>(),
                "others": samples.iter().map(|sample| sample.others).collect::<Vec<_>>(),
            })
        });
        entries.collect()
    }
}

impl Sample {
    fn is_quiet(&self) -> bool {
        self.others <= OTHERS
    }
}

/// A quantile of sorted values, between two of them where it lies between; none of no values.
pub(crate) fn quantile(sorted: &[f64], quantile: f64) -> Option<f64> {
    let place = (sorted.len().checked_sub(1)?) as f64 * quantile;
    let (below, above) =
        (*sorted.get(place.floor() as usize)?, *sorted.get(place.ceil() as usize)?);
    Some(below + (above - below) * place.fract())
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
    use crate::figures::{Ground, Quantity, Scheme};

    const PING: Figure = Ground::Direct(Scheme::Tcp).at(Quantity::Ping);

    fn samples(values: &[(f64, f64)]) -> Samples {
        let mut samples = Samples::default();
        for (value, others) in values {
            samples.add(PING, Subject::Ours, Sample { value: *value, others: *others });
        }
        samples
    }

    #[test]
    fn a_quantile_is_a_value_or_lies_between_two() {
        assert_eq!(quantile(&[1.0, 2.0, 3.0], 0.5), Some(2.0));
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.5), Some(2.5));
        assert_eq!(quantile(&[1.0, 2.0], 1.0), Some(2.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn disturbed_samples_are_discarded_where_there_are_others() {
        let summary = samples(&[(1.0, 0.0), (9.0, 1.5), (3.0, 0.1)]).summary(PING, Subject::Ours);
        let summary = summary.expect("samples are there");
        assert_eq!((summary.median, summary.most), (2.0, 3.0));
        assert_eq!((summary.disturbed, summary.discarded), (false, 1));
    }

    #[test]
    fn samples_that_are_all_disturbed_count_and_are_marked() {
        let summary = samples(&[(1.0, 1.0), (2.0, 1.5)]).summary(PING, Subject::Ours);
        let summary = summary.expect("samples are there");
        assert_eq!((summary.median, summary.least, summary.most), (1.5, 1.0, 2.0));
        assert_eq!((summary.disturbed, summary.discarded), (true, 0));
        assert_eq!(samples(&[]).summary(PING, Subject::Ours), None);
    }
}
