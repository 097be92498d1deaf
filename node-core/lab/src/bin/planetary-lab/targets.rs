//! What is to be reached: ratios to the reference in the same run, and values.

use crate::figures::{
    Beside, Better, Figure, Ground, Line, Pattern, Quantity, Scheme, Share, Subject, Whose,
};

/// What a figure is to be: at least, or at most where less is better, so many times that of the
/// reference, a value, or both.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Target {
    pub(crate) times: Option<f64>,
    pub(crate) value: Option<f64>,
}

/// What is to be reached of this figure, if anything is.
pub(crate) fn target(figure: Figure, subject: Subject) -> Option<Target> {
    let times = |times| Some(Target { times: Some(times), value: None });
    let value = |value| Some(Target { times: None, value: Some(value) });
    let both = |times, value| Some(Target { times: Some(times), value: Some(value) });
    match (figure.ground, subject) {
        (Ground::Direct(Scheme::Tcp), Subject::Ours) => match figure.quantity {
            Quantity::FirstEcho => value(0.1),
            Quantity::Tcp(Pattern::One) => times(3.5),
            Quantity::Cost(Whose::Ends) => times(0.35),
            Quantity::Ping => times(0.4),
            Quantity::RoundTrip { beside: Beside::Bulk, share: Share::Half | Share::Most } => {
                times(0.2)
            }
            Quantity::Flood { bytes: 100 } => times(2.0),
            Quantity::Lost { bytes: 100, rate: 100_000 } => value(1.0),
            Quantity::Memory(Beside::Nothing) => both(0.7, 10.0),
            Quantity::Memory(Beside::Bulk) => times(0.5),
            _ => None,
        },
        (Ground::Direct(Scheme::Tcp), Subject::Compatible) => match figure.quantity {
            Quantity::Tcp(Pattern::One) => times(2.0),
            _ => None,
        },
        (Ground::Direct(Scheme::Tcp), Subject::Mixed) => match figure.quantity {
            Quantity::Tcp(Pattern::One) => times(1.3),
            _ => None,
        },
        (Ground::Row { transits: 1 }, Subject::Ours) => match figure.quantity {
            Quantity::Tcp(Pattern::One) => times(3.0),
            _ => None,
        },
        (Ground::Line(Line { round_trip_ms: 20, loss_per_mille: 5, .. }), Subject::Ours) => {
            times(10.0)
        }
        _ => None,
    }
}

impl Target {
    /// Whether a value reaches it, `reference` being that of the reference; not known as long as it
    /// is measured against one that is missing.
    pub(crate) fn is_met(self, better: Better, value: f64, reference: Option<f64>) -> Option<bool> {
        let reaches = |bound: f64| match better {
            Better::More => value >= bound,
            Better::Less => value <= bound,
        };
        let by_ratio = match self.times {
            Some(times) => reaches(times * reference?),
            None => true,
        };
        Some(by_ratio && self.value.is_none_or(reaches))
    }

    /// In words.
    pub(crate) fn words(self, better: Better) -> String {
        let bound = if better == Better::More { "≥" } else { "≤" };
        let times = self.times.map(|times| format!("{bound} {times}x"));
        let value = self.value.map(|value| format!("{bound} {value}"));
        times.into_iter().chain(value).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIRECT: Ground = Ground::Direct(Scheme::Tcp);

    #[test]
    fn a_ratio_is_met_in_the_direction_that_is_good() {
        let speed = target(DIRECT.at(Quantity::Tcp(Pattern::One)), Subject::Ours).expect("one");
        assert_eq!(speed.is_met(Better::More, 3500.0, Some(1000.0)), Some(true));
        assert_eq!(speed.is_met(Better::More, 3400.0, Some(1000.0)), Some(false));
        assert_eq!(speed.is_met(Better::More, 3500.0, None), None);
        let cost = target(DIRECT.at(Quantity::Cost(Whose::Ends)), Subject::Ours).expect("one");
        assert_eq!(cost.is_met(Better::Less, 1.0, Some(4.0)), Some(true));
        assert_eq!(cost.is_met(Better::Less, 2.0, Some(4.0)), Some(false));
    }

    #[test]
    fn a_value_needs_no_reference_and_both_bounds_hold() {
        let echo = target(DIRECT.at(Quantity::FirstEcho), Subject::Ours).expect("one");
        assert_eq!(echo.is_met(Better::Less, 0.05, None), Some(true));
        let memory = target(DIRECT.at(Quantity::Memory(Beside::Nothing)), Subject::Ours);
        let memory = memory.expect("one");
        assert_eq!(memory.is_met(Better::Less, 9.0, Some(13.0)), Some(true));
        assert_eq!(memory.is_met(Better::Less, 10.5, Some(20.0)), Some(false));
        assert_eq!(memory.is_met(Better::Less, 9.5, Some(13.0)), Some(false));
        assert_eq!(memory.words(Better::Less), "≤ 0.7x, ≤ 10");
    }

    #[test]
    fn each_kind_of_session_has_a_target_of_its_own() {
        let figure = DIRECT.at(Quantity::Tcp(Pattern::One));
        let of = |subject| target(figure, subject).and_then(|target| target.times);
        assert_eq!(of(Subject::Ours), Some(3.5));
        assert_eq!(of(Subject::Compatible), Some(2.0));
        assert_eq!(of(Subject::Mixed), Some(1.3));
        assert_eq!(of(Subject::Reference), None);
    }
}
