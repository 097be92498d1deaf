//! The table at the end.

use crate::figures::{ALL, Better, Figure, Samples, Subject, median, rounded};

/// A ratio below this is marked: the floor of what we accept of ourselves.
const FLOOR: f64 = 0.95;

/// One line for each figure: both programs, the raw wire, and how many times as good ours is.
pub(crate) fn render(samples: &Samples) -> String {
    let mut text = format!(
        "{:<32} {:>26} {:>26} {:>9} {:>8}\n",
        "median [least, most]", "ours", "reference", "raw wire", "ratio"
    );
    let measured = |figure: &Figure| !samples.of(*figure, Subject::Ours).is_empty();
    for figure in ALL.into_iter().filter(measured) {
        let cell = |subject| cell(samples.of(figure, subject));
        let raw = median(samples.of(figure, Subject::Raw)).map(rounded).unwrap_or_default();
        text.push_str(&format!(
            "{:<32} {:>26} {:>26} {:>9} {:>8}\n",
            format!("{} ({})", figure.0, figure.1),
            cell(Subject::Ours),
            cell(Subject::Reference),
            raw,
            ratio(samples, figure).map(marked).unwrap_or_default()
        ));
    }
    text.push_str("ratio: how many times as good ours is; ! marks those below the floor of 0.95\n");
    text
}

fn cell(values: &[f64]) -> String {
    let Some(middle) = median(values) else { return "-".to_owned() };
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{} [{}, {}]", rounded(middle), rounded(least), rounded(most))
}

/// Above one, ours is better, whichever direction is the good one.
fn ratio(samples: &Samples, figure: Figure) -> Option<f64> {
    let ours = median(samples.of(figure, Subject::Ours))?;
    let reference = median(samples.of(figure, Subject::Reference))?;
    let (above, below) = match figure.2 {
        Better::More => (ours, reference),
        Better::Less => (reference, ours),
    };
    (below > 0.0).then_some(above / below)
}

fn marked(ratio: f64) -> String {
    let mark = if ratio < FLOOR { "!" } else { "" };
    format!("{ratio:.2}{mark}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{DIRECT, PING_MEDIAN};

    #[test]
    fn a_ratio_above_one_is_good_in_both_directions() {
        let mut samples = Samples::default();
        samples.add(DIRECT, Subject::Ours, 2000.0);
        samples.add(DIRECT, Subject::Reference, 1000.0);
        samples.add(PING_MEDIAN, Subject::Ours, 0.4);
        samples.add(PING_MEDIAN, Subject::Reference, 0.2);
        assert_eq!(ratio(&samples, DIRECT), Some(2.0));
        assert_eq!(ratio(&samples, PING_MEDIAN), Some(0.5));
        let table = render(&samples);
        assert!(table.contains("2.00\n") && table.contains("0.50!"), "{table}");
    }
}
