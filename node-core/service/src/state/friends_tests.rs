//! Friends and their file: what may stand together, what is refused, what survives.

use std::fs;

use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_700_000_000;

fn key(number: u8) -> NodeKey {
    NodeKey([number; 32])
}

fn name(text: &str) -> FriendName {
    text.parse().unwrap()
}

fn friend(text: &str) -> Friend {
    Friend::new(name(text), NOW)
}

fn blocked(text: Option<&str>) -> Blocked {
    Blocked { name: text.map(name), notes: "spam".into(), blocked_at: NOW }
}

/// One of everything.
fn some() -> Friends {
    let mut all = Friends::default();
    all.add(key(1), friend("Ada")).unwrap();
    let change = FriendChange {
        allow: vec!["tcp/22".parse().unwrap(), "udp/any@300::1".parse().unwrap()],
        notes: Some("line one\nline two".into()),
        verified: Some(true),
        echo: Some(false),
        ..FriendChange::default()
    };
    all.change(&key(1), change).unwrap();
    all.see(&key(1), NOW + 1);
    all.add(key(2), friend("Bob")).unwrap();
    all.block(key(2), blocked(None)).unwrap();
    all.block(key(3), blocked(Some("Mallory"))).unwrap();
    all.open(&["tcp/80".parse().unwrap()], &[]).unwrap();
    all.set_pause(Some(Pause { until: Some(NOW + 60) }));
    all.set_shared(NOW);
    all
}

fn keeper_of(dir: &StateDir) -> FriendsKeeper {
    let (keeper, damage) = FriendsKeeper::load(dir, NOW).unwrap();
    assert!(damage.is_none());
    keeper
}

#[test]
fn what_is_stored_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let mut first = keeper_of(&state);
    assert_eq!(first.friends(), &Friends::default());
    first.store(some()).unwrap();
    assert_eq!(keeper_of(&state).friends(), &some());
    let text = fs::read_to_string(dir.path().join("friends.json")).unwrap();
    assert!(text.starts_with("{\"version\":1,\"friends\":[{\"key\":\"0101"), "{text}");
    assert!(text.contains("\"services\":[\"tcp/22\",\"udp/any@300::1\"]"), "{text}");
}

#[test]
fn names_are_unique_whatever_their_case_among_friends_and_blocked_keys() {
    let mut all = some();
    assert_eq!(all.add(key(1), friend("New")), Err(FriendsError::Exists(name("Ada"))));
    assert_eq!(all.add(key(3), friend("New")), Err(FriendsError::Blocked(key(3))));
    assert_eq!(all.add(key(4), friend("aDA")), Err(FriendsError::NameTaken(name("aDA"))));
    assert_eq!(all.add(key(4), friend("mallory")), Err(FriendsError::NameBlocked(name("mallory"))));
    let renamed = |to: &str| FriendChange { name: Some(name(to)), ..FriendChange::default() };
    assert_eq!(all.change(&key(1), renamed("BOB")), Err(FriendsError::NameTaken(name("BOB"))));
    all.change(&key(1), renamed("ADA")).unwrap();
    assert_eq!(all.friends()[&key(1)].name.as_str(), "ADA");
    assert_eq!(all.block(key(5), blocked(Some("bob"))), Err(FriendsError::NameTaken(name("bob"))));
}

#[test]
fn key_without_a_name_gets_one_of_its_digits() {
    let mut all = Friends::default();
    let first = all.name_for(&key(7)).unwrap();
    assert_eq!(first.as_str(), "07070707");
    all.add(key(8), Friend::new(first, NOW)).unwrap();
    assert_eq!(all.name_for(&key(7)).unwrap().as_str(), "070707070");
}

#[test]
fn removed_friend_takes_its_rights_along_and_a_block_keeps_its_name() {
    let mut all = some();
    assert_eq!(all.name_of_blocked(&key(2)), Some(&name("Bob")));
    all.remove(&key(2)).unwrap();
    assert_eq!(all.name_of_blocked(&key(2)), Some(&name("Bob")));
    assert_eq!(all.remove(&key(2)), Err(FriendsError::Unknown(key(2))));
    all.unblock(&key(2)).unwrap();
    assert_eq!(all.unblock(&key(2)), Err(FriendsError::NotBlocked(key(2))));
    all.remove(&key(1)).unwrap();
    all.add(key(1), friend("Ada")).unwrap();
    assert_eq!(all.friends()[&key(1)], friend("Ada"), "nothing of the old rights is left");
}

#[test]
fn refused_change_leaves_everything_as_it_was() {
    let mut all = some();
    let before = all.clone();
    let port = |port: u16| format!("tcp/{port}").parse().unwrap();
    for change in [
        FriendChange { allow: (1..=600).step_by(2).map(port).collect(), ..Default::default() },
        FriendChange { notes: Some("x".repeat(1025)), ..Default::default() },
        FriendChange { notes: Some("bell \u{7}".into()), ..Default::default() },
        FriendChange { deny: vec!["tcp/22@300::1".parse().unwrap()], ..Default::default() },
        FriendChange { name: Some(name("Bob")), ..Default::default() },
    ] {
        assert!(all.change(&key(1), change).is_err());
        assert_eq!(all, before);
    }
    assert!(all.change(&key(9), FriendChange::default()).is_err());
    assert_eq!(all, before);
}

#[test]
fn damaged_file_is_kept_and_followed_by_a_pause_that_lasts() {
    let name = key(1).to_string();
    let entry = |key: &str, called: &str| {
        format!(
            "{{\"key\":\"{key}\",\"name\":\"{called}\",\"echo\":true,\"services\":[],\
             \"verified\":false,\"notes\":\"\",\"added_at\":1,\"last_seen\":null}}"
        )
    };
    let file = |friends: &str| {
        format!(
            "{{\"version\":1,\"friends\":[{friends}],\"blocked\":[],\"everyone\":[],\
             \"pause\":null,\"shared_at\":null}}"
        )
    };
    let twice = format!("{},{}", entry(&name, "Ada"), entry(&name, "Eve"));
    let namesakes = format!("{},{}", entry(&name, "Ada"), entry(&key(2).to_string(), "ADA"));
    for text in [
        String::new(),
        "{".to_owned(),
        "{\"version\":1}".to_owned(),
        file(&entry("12", "Ada")),
        file(&entry(&name, "everyone")),
        file(&entry(&name, "Ada").replace("[]", "[\"tcp/0\"]")),
        file(&twice),
        file(&namesakes),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        fs::write(dir.path().join("friends.json"), &text).unwrap();
        let (keeper, damage) = FriendsKeeper::load(&state, NOW).unwrap();
        assert!(keeper.friends().friends().is_empty());
        assert!(keeper.friends().paused(NOW).is_some(), "{text}");
        let kept = damage.expect(&text).kept.unwrap();
        assert_eq!(fs::read_to_string(kept).unwrap(), text);
        let (keeper, damage) = FriendsKeeper::load(&state, NOW).unwrap();
        assert!(damage.is_none() && keeper.friends().paused(NOW).is_some(), "{text}");
    }
    let good = file(&entry(&name, "Ada"));
    assert!(record::parse_text::<Friends>(good.as_bytes()).is_ok(), "the others differ from it");
}

#[test]
fn damaged_file_that_cannot_be_moved_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let path = dir.path().join("friends.json");
    fs::write(&path, "damaged").unwrap();
    // All names to which it could be renamed are taken.
    for attempt in 0..100 {
        let suffix = if attempt == 0 { String::new() } else { format!("-{attempt}") };
        fs::write(dir.path().join(format!("friends.json.damaged-{NOW}{suffix}")), "").unwrap();
    }
    let (mut keeper, damage) = FriendsKeeper::load(&state, NOW).unwrap();
    assert!(damage.unwrap().kept.is_err());
    assert!(matches!(keeper.store(some()), Err(StoreError::Obstructed(_))));
    keeper.settle(NOW).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "damaged");
}

#[test]
fn file_of_a_newer_program_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let path = dir.path().join("friends.json");
    fs::write(&path, "{\"version\":2,\"people\":{}}").unwrap();
    assert!(matches!(FriendsKeeper::load(&state, NOW), Err(RecordError::Newer { .. })));
    assert!(path.exists());
}

#[test]
fn being_seen_is_written_every_ten_minutes_and_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let mut running = keeper_of(&state);
    running.store(some()).unwrap();
    let stored = || keeper_of(&state).friends().friends()[&key(1)].last_seen;
    for second in 2..SEEN_INTERVAL_S {
        running.see([(key(1), NOW + second), (key(9), NOW)], NOW + second).unwrap();
        assert_eq!(stored(), Some(NOW + 1));
    }
    running.see([(key(1), NOW + SEEN_INTERVAL_S)], NOW + SEEN_INTERVAL_S).unwrap();
    assert_eq!(stored(), Some(NOW + SEEN_INTERVAL_S));
    running.see([(key(1), NOW + 700)], NOW + 700).unwrap();
    running.settle(NOW + 700).unwrap();
    assert_eq!(stored(), Some(NOW + 700));
    fs::remove_file(dir.path().join("friends.json")).unwrap();
    running.settle(NOW + 2_000).unwrap();
    assert!(!dir.path().join("friends.json").exists(), "nothing is written for nothing");
    running.store(running.friends().clone()).unwrap();
    assert_eq!(keeper_of(&state).friends().friends().len(), 2);
}

#[test]
fn file_that_would_be_too_long_to_be_read_again_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let mut keeper = keeper_of(&state);
    let mut many = Friends::default();
    for number in 0..FRIENDS_MAX {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
        let mut one = friend(&format!("friend {number}"));
        one.notes = "x".repeat(1024);
        // Names are unique by their numbers; to look for each would take minutes.
        many.friends.insert(NodeKey(bytes), one);
    }
    assert!(matches!(keeper.store(many.clone()), Err(StoreError::TooLong)));
    assert_eq!(keeper.friends(), &Friends::default());
    many.friends.values_mut().for_each(|friend| friend.notes.truncate(500));
    keeper.store(many.clone()).unwrap();
    assert_eq!(keeper_of(&state).friends(), &many);
}

proptest! {
    #[test]
    fn any_content_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = record::parse_text::<Friends>(&bytes);
    }

    #[test]
    fn whatever_was_accepted_is_loaded_again(
        steps in proptest::collection::vec((0..8u8, 0..5u8, "[a-c]{1,2}", 1..40u16), 0..30),
    ) {
        let mut all = Friends::default();
        for (step, number, text, port) in steps {
            let key = key(number);
            let service = [format!("tcp/{port}-{}", port + 9).parse().unwrap()];
            // What is refused leaves no trace; that is shown elsewhere.
            let _ = match step {
                0 => all.add(key, friend(&text)),
                1 => all.remove(&key).map(drop),
                2 => all.block(key, blocked(Some(&text))),
                3 => all.unblock(&key).map(drop),
                4 => all.open(&service, &[]),
                5 => all.open(&[], &service),
                6 => all.change(&key, FriendChange {
                    name: Some(name(&text)), allow: service.to_vec(), ..Default::default()
                }),
                _ => all.change(&key, FriendChange {
                    deny: service.to_vec(), verified: Some(true), ..Default::default()
                }),
            };
        }
        let text = record::to_text(&all).unwrap();
        prop_assert_eq!(record::parse_text::<Friends>(text.as_bytes()).unwrap(), Some(all));
    }
}
