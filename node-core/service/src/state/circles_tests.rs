//! What is kept of circles: bounds, restarts, damage.

use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_700_000_000;
const ADA: NodeKey = NodeKey([1; 32]);
const BOB: NodeKey = NodeKey([2; 32]);
const CLUB: CircleId = CircleId([7; 32]);
const CREW: CircleId = CircleId([8; 32]);

fn services(texts: &[&str]) -> Vec<LocalService> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn invite(uses: u32, expires: u64) -> Invite {
    Invite {
        circle: CLUB,
        operation: Hex([3; 32]),
        token: Some(Hex([4; 16])),
        peers: vec!["tls://a.example:443".to_owned()],
        role: MemberRole::Member,
        uses,
        asks: false,
        created_at: NOW,
        expires,
        revoked: false,
        guests: Vec::new(),
        refused: Vec::new(),
    }
}

/// A circle with everything that can be said about it.
fn full() -> Circles {
    let mut all = Circles::default();
    all.add(CLUB, Circle::new(NOW)).unwrap();
    let mut joined = Circle::new(NOW);
    joined.join = Some(Join {
        name: "Crew".parse().unwrap(),
        inviter: ADA,
        token: Hex([5; 16]),
        expires: NOW + 60,
        label: Some("Zoë's phone".parse().unwrap()),
        phase: Phase::Waiting,
    });
    joined.checkpoint = Some(Checkpoint { operation: Hex([9; 32]), seen_at: NOW - 9 });
    joined.secrets.push(Secret { generation: 1, secret: Hex([6; 32]) });
    all.add(CREW, joined).unwrap();
    let allow = services(&["tcp/22"]);
    let change = CircleAccessChange { echo: Some(true), allow, ..CircleAccessChange::default() };
    all.change_access(&CLUB, &change).unwrap();
    all.change_member(&CLUB, &BOB, &services(&["udp/53"]), &[]).unwrap();
    all.add_invite(invite(2, NOW + 60), NOW).unwrap();
    all.decline(Declined { key: BOB, service: services(&["tcp/80"])[0], at: NOW });
    all.see(BOB, NOW);
    all
}

fn state() -> (tempfile::TempDir, StateDir) {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    (dir, state)
}

#[test]
fn what_is_stored_is_loaded_and_only_its_owner_may_read_it() {
    #[cfg_attr(not(unix), expect(unused_variables, reason = "who may read is said otherwise"))]
    let (dir, state) = state();
    let loaded = CirclesKeeper::load(&state, NOW).unwrap();
    let mut keeper = loaded.keeper;
    assert_eq!((keeper.circles(), loaded.damage.len()), (&Circles::default(), 0));
    keeper.store_log(&CLUB, b"log of the club").unwrap();
    keeper.store(full()).unwrap();
    let loaded = CirclesKeeper::load(&state, NOW + 9).unwrap();
    assert_eq!(loaded.keeper.circles(), &full());
    assert_eq!(loaded.logs, BTreeMap::from([(CLUB, b"log of the club".to_vec())]));
    #[cfg(unix)]
    for (name, mode) in [
        ("circles.json".to_owned(), 0o600),
        ("circles".to_owned(), 0o700),
        (format!("circles/{CLUB}.log"), 0o600),
    ] {
        use std::os::unix::fs::PermissionsExt;
        let found = fs::metadata(dir.path().join(&name)).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{name}");
    }
    keeper.remove_log(&CLUB).unwrap();
    keeper.remove_log(&CLUB).unwrap();
    assert!(CirclesKeeper::load(&state, NOW).unwrap().logs.is_empty());
}

#[test]
fn secrets_are_in_the_file_and_nowhere_else() {
    let (dir, state) = state();
    let mut keeper = CirclesKeeper::load(&state, NOW).unwrap().keeper;
    keeper.store(full()).unwrap();
    let text = fs::read_to_string(dir.path().join("circles.json")).unwrap();
    for secret in ["04".repeat(16), "05".repeat(16), "06".repeat(32)] {
        assert!(text.contains(&secret));
        assert!(!format!("{keeper:?}").contains(&secret));
    }
}

#[test]
fn damaged_record_is_kept_and_circles_come_back_without_rights() {
    let (dir, state) = state();
    let mut keeper = CirclesKeeper::load(&state, NOW).unwrap().keeper;
    keeper.store_log(&CLUB, b"log").unwrap();
    keeper.store(full()).unwrap();
    fs::write(dir.path().join("circles.json"), "{\"version\":1,\"circles\":[{").unwrap();
    let loaded = CirclesKeeper::load(&state, NOW + 5).unwrap();
    assert_eq!(loaded.damage.len(), 1);
    let kept = loaded.damage[0].kept.as_ref().unwrap();
    assert_eq!(fs::read(kept).unwrap().len(), 25);
    let circles = loaded.keeper.circles();
    assert_eq!(circles.circles(), &BTreeMap::from([(CLUB, Circle::new(NOW + 5))]));
    assert!(circles.invites().is_empty());
}

#[test]
fn damaged_log_is_kept_and_its_circle_paused_for_good() {
    let (dir, state) = state();
    let mut keeper = CirclesKeeper::load(&state, NOW).unwrap().keeper;
    keeper.store(full()).unwrap();
    fs::create_dir_all(dir.path().join(format!("circles/{CLUB}.log"))).unwrap();
    let loaded = CirclesKeeper::load(&state, NOW).unwrap();
    assert_eq!((loaded.damage.len(), loaded.logs.len()), (1, 0));
    assert!(loaded.damage[0].kept.is_ok());
    let again = CirclesKeeper::load(&state, NOW).unwrap();
    assert!(again.damage.is_empty(), "it was set aside");
    assert!(!again.keeper.circles().circle(&CLUB).unwrap().access.enabled, "a restart is no yes");
}

#[test]
fn bounds_hold_and_a_refused_change_leaves_nothing() {
    let mut all = full();
    for number in 0..62 {
        all.add(CircleId([100 + number; 32]), Circle::new(NOW)).unwrap();
    }
    assert_eq!(
        all.add(CircleId([9; 32]), Circle::new(NOW)),
        Err(CirclesError::TooMany(64, "circles"))
    );
    assert_eq!(all.add(CLUB, Circle::new(NOW)), Err(CirclesError::Exists));

    let before = all.clone();
    let many: Vec<_> = (1..=257).map(|port| format!("tcp/{}", 2 * port).parse().unwrap()).collect();
    let change = CircleAccessChange { allow: many.clone(), ..CircleAccessChange::default() };
    assert!(matches!(all.change_access(&CLUB, &change), Err(CirclesError::TooMany(64, _))));
    assert!(matches!(
        all.change_member(&CLUB, &ADA, &many, &[]),
        Err(CirclesError::TooMany(256, _))
    ));
    let at = services(&["tcp/22@300::1"]);
    let change = CircleAccessChange { deny: at, ..CircleAccessChange::default() };
    assert!(matches!(all.change_access(&CLUB, &change), Err(CirclesError::StillOpen(_))));
    assert_eq!(all, before);
    all.change_member(&CLUB, &BOB, &[], &services(&["udp/any"])).unwrap();
    assert!(all.circle(&CLUB).unwrap().members.is_empty(), "an empty list is none");
}

#[test]
fn invite_is_open_until_it_is_used_over_or_taken_back() {
    let mut all = full();
    let number = *all.invites().keys().next().unwrap();
    let is_open = |all: &Circles, number, at| all.invites()[&number].is_open(at);
    assert!(is_open(&all, number, NOW + 59) && !is_open(&all, number, NOW + 60));
    assert!(!all.erase_tokens(NOW));
    all.invite_mut(number).unwrap().guests = vec![ADA, BOB];
    assert!(all.invites()[&number].is_used() && !all.invites()[&number].is_open(NOW));
    assert!(!all.erase_tokens(NOW + 59), "who was let in may ask again");
    assert!(all.erase_tokens(NOW + 60) && !all.erase_tokens(NOW + 60));
    assert_eq!(all.invites()[&number].token, None);

    let mut late = invite(1, NOW + 3600);
    let later = all.add_invite(late.clone(), NOW).unwrap();
    assert!(later == number + 1 && is_open(&all, later, NOW + 3599));
    all.invite_mut(later).unwrap().revoked = true;
    assert!(!is_open(&all, later, NOW));
    late.circle = CREW;
    all.add_invite(late, NOW).unwrap();
    all.remove(&CREW).unwrap();
    assert_eq!(all.invites().len(), 2, "invites go with their circle");
}

#[test]
fn closed_invites_make_room_and_numbers_are_never_used_twice() {
    let mut all = Circles::default();
    all.add(CLUB, Circle::new(NOW)).unwrap();
    for _ in 0..INVITES_MAX {
        all.add_invite(invite(1, NOW + 60), NOW).unwrap();
    }
    let full = all.add_invite(invite(1, NOW + 60), NOW);
    assert_eq!(full, Err(CirclesError::TooMany(INVITES_MAX, "open invites")));
    all.invite_mut(5).unwrap().revoked = true;
    assert_eq!(all.add_invite(invite(1, NOW + 60), NOW), Ok(257));
    assert!(!all.invites().contains_key(&5));
    assert_eq!(all.add_invite(invite(1, NOW + 99), NOW + 60), Ok(258));
}

#[test]
fn no_holds_for_a_day_and_one_port() {
    let mut all = Circles::default();
    let one = |key, text: &str, at| Declined { key, service: services(&[text])[0], at };
    all.decline(one(ADA, "tcp/22", NOW));
    all.decline(one(ADA, "tcp/22", NOW + 10));
    all.decline(one(BOB, "tcp/22", NOW + 20));
    assert_eq!(all.declined(), [one(ADA, "tcp/22", NOW + 10), one(BOB, "tcp/22", NOW + 20)]);
    assert!(all.declined()[0].holds(NOW + 10 + DECLINED_S - 1));
    assert!(!all.declined()[0].holds(NOW + 10 + DECLINED_S));
    assert!(!all.declined()[0].holds(NOW - DECLINED_S), "the clock that refused was wrong");
    for port in 1..=300 {
        all.decline(one(ADA, &format!("udp/{port}"), NOW + 30));
    }
    assert_eq!(all.declined().len(), DECLINED_MAX);
    assert_eq!(all.declined()[0], one(ADA, "udp/45", NOW + 30));
}

#[test]
fn who_is_no_member_any_more_is_forgotten() {
    let mut all = full();
    all.see(ADA, NOW);
    all.keep_members(|id, key| *id == CLUB && *key == ADA);
    assert!(all.circle(&CLUB).unwrap().members.is_empty());
    assert_eq!((all.last_seen(&ADA), all.last_seen(&BOB)), (Some(NOW), None));
}

#[test]
fn packets_cause_a_write_every_ten_minutes_and_at_the_end() {
    let (dir, state) = state();
    let mut keeper = CirclesKeeper::load(&state, NOW).unwrap().keeper;
    keeper.store(full()).unwrap();
    let stored = || fs::read_to_string(dir.path().join("circles.json")).unwrap();
    keeper.see(NOW + 599, |circles| circles.see(ADA, NOW + 599)).unwrap();
    assert!(!stored().contains(&(NOW + 599).to_string()));
    keeper.see(NOW + 600, |circles| circles.see(ADA, NOW + 600)).unwrap();
    assert!(stored().contains(&(NOW + 600).to_string()));
    keeper.see(NOW + 601, |circles| circles.see(ADA, NOW + 601)).unwrap();
    keeper.settle(NOW + 602).unwrap();
    assert!(stored().contains(&(NOW + 601).to_string()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_content_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = record::parse_text::<Circles>(&bytes);
    }

    #[test]
    fn any_change_of_a_good_file_is_answered(at in 0..2_000usize, byte in any::<u8>()) {
        let mut text = record::to_text(&full()).unwrap().into_bytes();
        let at = at % text.len();
        text[at] = byte;
        if let Ok(Some(read)) = record::parse_text::<Circles>(&text) {
            // What was read is within bounds, so it is read again.
            let again = record::to_text(&read).unwrap();
            prop_assert_eq!(record::parse_text::<Circles>(again.as_bytes()).unwrap(), Some(read));
        }
    }
}
