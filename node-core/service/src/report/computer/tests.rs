//! Judgements about a made-up computer.

use std::sync::Arc;

use super::*;
use crate::health::{Health, Moment};
use crate::report::tests::{peer, waiting, wanting};
use crate::survey::clock::{ClockFacts, Comparison, Jump};
use crate::survey::names::Names;
use crate::survey::process::{Process, Room};
use crate::survey::{Finding, Survey};

const A: &str = "tcp://a.example:1";
const B: &str = "tls://b.example:2";
const NUMBER: &str = "tcp://192.0.2.1:1";

fn facts(survey: Survey) -> Facts {
    let survey = Arc::new(survey);
    Facts { up: true, survey, ..Facts::of_silence(&Health::default(), Moment::now()) }
}

fn clock(clock: ClockFacts) -> Facts {
    facts(Survey { clock, ..Survey::default() })
}

fn ahead(ahead_s: i64) -> Facts {
    let comparison = Some(Comparison { ahead_s, witnesses: 5 });
    clock(ClockFacts { comparison, jump: None })
}

#[test]
fn a_clock_before_the_program_is_wrong_whatever_others_say() {
    let mut facts = ahead(-1_000_000);
    facts.now.unix_s = WRITTEN_UNIX_S - 1;
    assert_eq!(clock_before_release(&facts).unwrap().severity, Severity::Warning);
    assert!(clock_differs(&facts).is_none(), "told already");
    facts.now.unix_s = WRITTEN_UNIX_S;
    assert!(clock_before_release(&facts).is_none());
}

#[test]
fn a_clock_far_from_others_is_a_warning_and_never_more() {
    for (seconds, words) in [
        (601, "about 10 minutes fast"),
        (-7_200, "about 2 hours slow"),
        (-172_800, "about 2 days slow"),
        (i64::MAX, "years fast"),
        (i64::MIN, "years slow"),
    ] {
        let found = clock_differs(&ahead(seconds)).unwrap();
        assert!(found.text.contains(words) && found.text.contains("5 nodes"), "{}", found.text);
        assert_eq!((found.severity, found.affects_connectivity), (Severity::Warning, false));
    }
    assert!(clock_differs(&ahead(600)).is_none() && clock_differs(&ahead(-600)).is_none());
    assert!(praise_of_clock(&ahead(3)).contains("5 nodes"));
    assert!(praise_of_clock(&clock(ClockFacts::default())).contains("too few"));
}

#[test]
fn a_jump_is_told_with_its_direction() {
    let jump = Some(Jump { by_s: -3_700, at_unix_s: 0 });
    let found = clock_jumped(&clock(ClockFacts { jump, comparison: None })).unwrap();
    assert!(found.text.starts_with("It went back by 61 minutes"), "{}", found.text);
    assert_eq!(found.severity, Severity::Info);
}

fn names(found: &[&str], missing: &[&str], resolver: Option<bool>) -> Survey {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let names = Names { found: owned(found), missing: owned(missing), resolver };
    Survey { names: Finding::Known(names), ..Survey::default() }
}

#[test]
fn names_without_an_address_are_told_with_what_to_look_at() {
    let failed = || vec![peer(A, waiting(), Some("name_not_resolved"))];
    let with = |survey, peers| {
        let facts = Facts { peers, ..wanting(facts(survey), &[A, B, NUMBER]) };
        names_not_resolved(&facts).map(|found| found.text)
    };
    let quiet = Survey::default;
    assert_eq!(with(quiet(), failed()).unwrap(), "No address was found for a.example.");
    let mut others = failed();
    others.push(peer(B, PeerPhase::Up, None));
    let expected = "No address was found for a.example, while other names have one.";
    assert_eq!(with(quiet(), others).unwrap(), expected);
    assert_eq!(with(names(&["b.example"], &[], Some(true)), failed()).unwrap(), expected);
    assert_eq!(
        with(names(&[], &["a.example"], Some(false)), vec![]).unwrap(),
        "No address was found for a.example: this computer knows no DNS server."
    );
    // It has an address by now, or the link is up again.
    assert_eq!(with(names(&["a.example"], &[], Some(true)), failed()), None);
    let up = vec![peer(A, PeerPhase::Up, Some("name_not_resolved"))];
    assert_eq!(with(quiet(), up), None);
}

#[test]
fn names_are_praised_where_there_are_any() {
    let praise = |peers| {
        praise_of_names(&Facts { peers, ..wanting(facts(Survey::default()), &[A, NUMBER]) })
    };
    assert_eq!(praise(vec![peer(NUMBER, PeerPhase::Up, None)]), None);
    assert_eq!(praise(vec![peer(A, PeerPhase::Dialling, None)]), None);
    let dialled = vec![peer(A, waiting(), Some("cannot_connect"))];
    assert_eq!(praise(dialled).unwrap(), "1 name of a peer has an address.");
}

#[test]
fn limits_are_told_when_they_are_near() {
    let with = |files, memory, room| {
        let process = Process { files, memory, ..Process::default() };
        facts(Survey {
            process: Finding::Known(process),
            disk: Finding::Known(room),
            ..Survey::default()
        })
    };
    let load = |used, most| Some(Load { used, most });
    let plenty = Room { bytes: 1 << 40, files: None };
    let good = with(load(10, 1024), load(1 << 20, 1 << 30), plenty);
    assert!([files_scarce, memory_scarce, disk_scarce].iter().all(|check| check(&good).is_none()));
    assert_eq!(
        praise_of_room(&good).unwrap(),
        "10 of 1024 files are open, 1024 GiB are free on the disk."
    );
    let full = with(load(1000, 1024), load(990 << 20, 1 << 30), Room { bytes: 7, files: None });
    let words: Vec<_> = [files_scarce, memory_scarce, disk_scarce]
        .iter()
        .map(|check| check(&full).unwrap().text)
        .collect();
    assert_eq!(
        words,
        [
            "It has 1000 of 1024 open; each link and each client takes some.",
            "It uses 990 MiB of the 1024 MiB that the system lets it have, and is ended beyond.",
            "7 bytes are left.",
        ]
    );
    let inodes = with(None, None, Room { bytes: 1 << 40, files: Some(3) });
    assert_eq!(disk_scarce(&inodes).unwrap().text, "There is room for 3 more files only.");
}

#[test]
fn time_of_the_sources_is_read_and_nonsense_is_none() {
    assert_eq!((decimal("1800000000"), decimal(""), decimal("soon")), (1_800_000_000, 0, 0));
    assert_eq!(decimal("99999999999999999999999"), 0);
}
