//! Books that are imported, lists that are cut, and refusals with their remedies.

use super::*;

const NOW: u64 = 1_700_000_000;

fn key(number: u8) -> NodeKey {
    NodeKey([number; 32])
}

fn entry(number: u8, name: &str) -> BookFriend {
    BookFriend {
        key: key(number),
        name: name.parse().unwrap(),
        echo: false,
        services: vec!["tcp/22".parse().unwrap()],
        verified: true,
        notes: "from the book".into(),
    }
}

fn here() -> Friends {
    let mut friends = Friends::default();
    friends.add(key(1), stored::Friend::new("Ada".parse().unwrap(), NOW)).unwrap();
    friends
}

fn book(friends: Vec<BookFriend>) -> FriendBook {
    let blocked = vec![
        BookBlocked { key: key(7), name: Some("Eve".parse().unwrap()), notes: String::new() },
        BookBlocked { key: key(9), name: None, notes: String::new() },
    ];
    FriendBook { version: BOOK_VERSION, friends, blocked }
}

#[test]
fn book_adds_what_is_new_and_never_touches_rights_unless_asked() {
    let own = key(9);
    let entries = || vec![entry(1, "Augusta"), entry(2, "Bob"), entry(3, "ADA"), entry(9, "me")];
    let mut friends = here();
    let report = import(&mut friends, book(entries()), false, own, |_| true);
    assert_eq!((report.added, report.updated, report.kept, report.blocked), (1, 0, 1, 1));
    let refused: Vec<_> = report.refused.iter().map(|refusal| refusal.key).collect();
    assert_eq!(refused, [key(3), own, own], "a name that is taken, and this node itself twice");
    assert_eq!(friends.friends()[&key(1)], here().friends()[&key(1)]);
    let bob = &friends.friends()[&key(2)];
    assert!(bob.verified && !bob.echo && bob.last_seen.is_none());
    assert_eq!(friends.name_of_blocked(&key(7)).unwrap().as_str(), "Eve");

    let report = import(&mut friends, book(entries()), true, own, |_| true);
    assert_eq!((report.added, report.updated, report.kept, report.blocked), (1, 2, 0, 0));
    let ada = &friends.friends()[&key(1)];
    assert_eq!((ada.name.as_str(), ada.echo, ada.added_at), ("Augusta", false, NOW));
    assert_eq!(friends.friends()[&key(3)].name.as_str(), "ADA", "the name is free now");
}

#[test]
fn book_that_blocks_a_friend_blocks_it() {
    let mut friends = here();
    let blocked = vec![BookBlocked { key: key(1), name: None, notes: "why".into() }];
    let book = FriendBook { version: BOOK_VERSION, friends: Vec::new(), blocked };
    let report = import(&mut friends, book, false, key(9), |_| true);
    assert_eq!(report.blocked, 1);
    let shown = friend(&key(1), &friends, &BTreeSet::new(), None).unwrap();
    assert!(shown.blocked);
    assert!(blocked_key(&key(1), &friends).friend);
}

#[test]
fn services_of_another_computer_are_not_taken() {
    let mut friends = here();
    let report = import(&mut friends, book(vec![entry(2, "Bob")]), false, key(9), |_| false);
    assert_eq!(report.added, 0);
    assert!(report.refused[0].reason.contains("not this computer's"), "{report:?}");
}

#[test]
fn long_list_comes_in_parts_that_hold_everything_once() {
    let mut friends = Friends::default();
    for number in 0..3_000u16 {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        let mut one = stored::Friend::new(format!("f{number}").parse().unwrap(), NOW);
        one.notes = "x".repeat(1_000);
        friends.add(NodeKey(bytes), one).unwrap();
    }
    let (mut after, mut seen, mut parts) = (None, Vec::new(), 0);
    loop {
        let rest = friends.friends().keys().filter(|key| Some(**key) > after);
        let entries = rest.filter_map(|key| friend(key, &friends, &BTreeSet::new(), None));
        let (part, next) = page(entries, |friend| friend.key);
        assert!(serde_json::to_string(&part).unwrap().len() < limits::SERVER_FRAME_LEN_MAX / 2);
        seen.extend(part.into_iter().map(|friend| friend.key));
        parts += 1;
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert!(parts > 2);
    assert_eq!(seen, friends.friends().keys().copied().collect::<Vec<_>>());
}

#[test]
fn refusals_have_their_code_and_a_remedy() {
    let name = || "Ada".parse().unwrap();
    for (error, code) in [
        (FriendsError::Exists(name()), ErrorCode::FriendExists),
        (FriendsError::NameTaken(name()), ErrorCode::FriendExists),
        (FriendsError::NameBlocked(name()), ErrorCode::FriendExists),
        (FriendsError::Blocked(key(1)), ErrorCode::KeyBlocked),
        (FriendsError::Unknown(key(1)), ErrorCode::FriendNotFound),
        (FriendsError::NotBlocked(key(1)), ErrorCode::FriendNotFound),
        (FriendsError::TooMany(1, "friends"), ErrorCode::FriendLimit),
        (FriendsError::Notes, ErrorCode::InvalidFriend),
    ] {
        let told = refused(error);
        assert_eq!(told.code, code);
        assert!(told.hint.is_some() && !told.message.ends_with('.'), "{told:?}");
    }
    let told = change_error(ChangeError::NoSessions);
    assert_eq!(told.code, ErrorCode::NotAllowed);
    assert!(told.hint.unwrap().contains("remove `sessions`"));
}
