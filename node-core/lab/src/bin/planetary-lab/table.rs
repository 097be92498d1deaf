//! The table at the end.

use std::fmt::Write;

use crate::figures::{Better, Figure, Subject};
use crate::machine::OTHERS;
use crate::samples::{Samples, Summary, rounded};
use crate::targets::target;

/// Ours is marked when it is worse than the reference by more than a twentieth.
const FLOOR: f64 = 0.95;

/// A block for each of the grounds, with a line for each figure and each of those of ours that were
/// measured: ours, the reference, the raw wire, the ratio, and what it is to be.
pub(crate) fn render(samples: &Samples) -> String {
    let mut text = String::new();
    let mut ground = None;
    for figure in samples.figures() {
        let reference = samples.summary(figure, Subject::Reference);
        let raw = samples.summary(figure.ground.wire().at(figure.quantity), Subject::Raw);
        let ours = [Subject::Ours, Subject::Compatible, Subject::Mixed];
        let mut lines: Vec<_> = ours
            .into_iter()
            .filter_map(|subject| Some((subject, Some(samples.summary(figure, subject)?))))
            .collect();
        if lines.is_empty() {
            lines.push((Subject::Ours, None));
        }
        if ground.replace(figure.ground) != Some(figure.ground) {
            header(&mut text, &figure);
        }
        for (subject, summary) in lines {
            line(&mut text, figure, subject, [summary, reference, raw]);
        }
    }
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\nmedian [least, most] of the samples that were taken while others used at most {OTHERS} \
         cores; {} others are discarded. *: none was, so that all count.\n\
         ratio: ours to the reference; ! marks where ours is worse.\n",
        samples.discarded()
    );
    text
}

fn header(text: &mut String, figure: &Figure) {
    let _ = writeln!(
        text,
        "\n{:<51} {:>26} {:>26} {:>9} {:>8}  target",
        figure.ground.to_string(),
        "ours",
        "reference",
        "raw wire",
        "ratio"
    );
}

fn line(text: &mut String, figure: Figure, subject: Subject, summaries: [Option<Summary>; 3]) {
    let [ours, reference, raw] = summaries;
    let (quantity, better) = (figure.quantity, figure.quantity.better());
    let whose = match subject {
        Subject::Compatible => ", compatible",
        Subject::Mixed => ", to reference",
        _ => "",
    };
    let ratio = ours.zip(reference).filter(|(_, reference)| reference.median > 0.0);
    let ratio = ratio.map(|(ours, reference)| ours.median / reference.median);
    let judged = ours.zip(target(figure, subject)).map(|(ours, target)| {
        let met = target.is_met(better, ours.median, reference.map(|summary| summary.median));
        let met = met.map_or("?", |met| if met { "met" } else { "NOT MET" });
        format!("  {}: {met}", target.words(better))
    });
    let _ = writeln!(
        text,
        "  {:<49} {:>26} {:>26} {:>9} {:>8}{}",
        format!("{quantity}{whose} ({})", quantity.unit()),
        cell(ours),
        cell(reference),
        raw.map(|summary| rounded(summary.median)).unwrap_or_default(),
        ratio.map(|ratio| marked(ratio, better)).unwrap_or_default(),
        judged.unwrap_or_default()
    );
}

fn cell(summary: Option<Summary>) -> String {
    summary.map_or_else(
        || "-".to_owned(),
        |Summary { median, least, most, disturbed, .. }| {
            let mark = if disturbed { "*" } else { "" };
            format!("{} [{}, {}]{mark}", rounded(median), rounded(least), rounded(most))
        },
    )
}

fn marked(ratio: f64, better: Better) -> String {
    let good = if better == Better::More { ratio } else { 1.0 / ratio };
    let mark = if good < FLOOR { "!" } else { "" };
    format!("{ratio:.2}{mark}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{Ground, Pattern, Quantity, Scheme};
    use crate::samples::Sample;

    const SPEED: Figure = Ground::Direct(Scheme::Tcp).at(Quantity::Tcp(Pattern::One));
    const PING: Figure = Ground::Direct(Scheme::Tcp).at(Quantity::Ping);

    fn quiet(value: f64) -> Sample {
        Sample { value, others: 0.0 }
    }

    #[test]
    fn ratios_stand_beside_their_targets() {
        let mut samples = Samples::default();
        samples.add(SPEED, Subject::Ours, quiet(4000.0));
        samples.add(SPEED, Subject::Compatible, quiet(1000.0));
        samples.add(SPEED, Subject::Reference, quiet(1000.0));
        samples.add(PING, Subject::Ours, quiet(0.4));
        samples.add(PING, Subject::Reference, quiet(0.2));
        let table = render(&samples);
        let line = |begin: &str| {
            let line = table.lines().find(|line| line.trim_start().starts_with(begin));
            line.unwrap_or_else(|| panic!("no line {begin} in\n{table}")).to_owned()
        };
        assert!(line("one stream (Mbit/s)").ends_with("4.00  ≥ 3.5x: met"), "{table}");
        assert!(line("one stream, compatible").ends_with("1.00  ≥ 2x: NOT MET"), "{table}");
        assert!(line("ping, median").ends_with("2.00!  ≤ 0.4x: NOT MET"), "{table}");
        assert_eq!(table.matches("direct, tcp").count(), 1);
    }

    #[test]
    fn the_raw_wire_is_the_same_whatever_the_links_are() {
        let quic = Ground::Direct(Scheme::Quic).at(Quantity::Tcp(Pattern::One));
        let mut samples = Samples::default();
        samples.add(SPEED, Subject::Raw, quiet(50_000.0));
        samples.add(quic, Subject::Ours, quiet(1000.0));
        assert_eq!(render(&samples).matches(" 50000 ").count(), 2);
    }

    #[test]
    fn what_is_discarded_is_told() {
        let mut samples = Samples::default();
        samples.add(PING, Subject::Ours, quiet(0.4));
        samples.add(PING, Subject::Ours, Sample { value: 9.0, others: 1.0 });
        samples.add(PING, Subject::Reference, Sample { value: 1.0, others: 1.0 });
        let table = render(&samples);
        assert!(table.contains("1 others are discarded"), "{table}");
        assert!(table.contains("1.000 [1.000, 1.000]*"), "{table}");
    }
}
