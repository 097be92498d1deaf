//! The policy by the lines of `docs/security.md`, through the compiled rules where they answer.

use planetary_circles::Rules;
use planetary_ipc::{FriendChange, NodeKey as Plain};

use super::*;
use crate::config::Audience as Setting;
use crate::state::friends::{Blocked, Friend, Pause};

const NOW: u64 = 1_700_000_000;
const ADA: Plain = Plain([1; 32]);
const BOB: Plain = Plain([2; 32]);

const DEFAULT: Doors = Doors { inbound: Setting::Circles, echo: Setting::Circles, sessions: None };

fn core(key: Plain) -> NodeKey {
    NodeKey::from_bytes(key.0)
}

/// Ada may reach SSH, Bob nothing but echo.
fn friends() -> Friends {
    let mut friends = Friends::default();
    friends.add(ADA, Friend::new("Ada".parse().unwrap(), NOW)).unwrap();
    friends.add(BOB, Friend::new("Bob".parse().unwrap(), NOW)).unwrap();
    let allow = vec!["tcp/22".parse().unwrap(), "ip/47@300::1".parse().unwrap()];
    friends.change(&ADA, FriendChange { allow, ..FriendChange::default() }).unwrap();
    friends
}

fn with(change: impl FnOnce(&mut Friends)) -> Friends {
    let mut friends = friends();
    change(&mut friends);
    friends
}

fn open(friends: &mut Friends, service: &str) {
    friends.open(&[service.parse().unwrap()], &[]).unwrap();
}

#[test]
fn line_4_fresh_node_lets_nobody_in_and_answers_no_stranger() {
    let made = policy(&DEFAULT, &Friends::default(), NOW);
    assert_eq!((made.inbound, made.echo), (Audience::Circles, Audience::Circles));
    assert_eq!((made.outbound, made.sessions), (Audience::Everyone, Audience::Circles));
    assert!(!made.paused && !made.lobby);
    assert!(made.people.is_empty() && made.rules.is_empty() && made.blocked.is_empty());
    assert!(!Rules::compile(&made).unwrap().is_open_to_strangers());
}

#[test]
fn line_7_friend_reaches_what_it_was_allowed_and_a_new_one_only_echo() {
    let made = policy(&DEFAULT, &friends(), NOW);
    let services = |key| {
        let person = made.people.iter().find(|person| person.key == core(key)).unwrap();
        assert!(person.echo && person.circles == 0);
        person.services.clone()
    };
    let host = Destination::Host(*b"\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01");
    assert_eq!(
        services(ADA),
        [
            Service { protocol: Protocol::Tcp(22, 22), destination: Destination::Anywhere },
            Service { protocol: Protocol::Other(47), destination: host },
        ]
    );
    assert_eq!(services(BOB), []);
    assert!(Rules::compile(&made).unwrap().knows(&core(BOB)));
}

#[test]
fn line_8_what_is_open_to_everyone_gives_strangers_sessions_until_it_is_closed() {
    let mut friends = friends();
    open(&mut friends, "tcp/80");
    let made = policy(&DEFAULT, &friends, NOW);
    let service = Service { protocol: Protocol::Tcp(80, 80), destination: Destination::Anywhere };
    assert_eq!(made.rules, [Rule { who: Who::Everyone, service }]);
    assert_eq!(made.sessions, Audience::Everyone);
    assert!(Rules::compile(&made).unwrap().is_open_to_strangers());
    friends.open(&[], &["tcp/any".parse().unwrap()]).unwrap();
    assert_eq!(policy(&DEFAULT, &friends, NOW).sessions, Audience::Circles);
}

#[test]
fn lines_10_and_14_everyone_in_the_configuration_gives_sessions_too() {
    let inbound = Doors { inbound: Setting::Everyone, ..DEFAULT };
    let echo = Doors { echo: Setting::Everyone, ..DEFAULT };
    for doors in [inbound, echo] {
        let made = policy(&doors, &friends(), NOW);
        assert_eq!(made.sessions, Audience::Everyone);
        assert_eq!(made.inbound, audience(doors.inbound));
        assert_eq!(made.echo, audience(doors.echo));
    }
}

#[test]
fn line_12_nobody_closes_the_door_and_keeps_strangers_out() {
    let doors = Doors { inbound: Setting::Nobody, ..DEFAULT };
    let made = policy(&doors, &with(|friends| open(friends, "tcp/80")), NOW);
    assert_eq!((made.inbound, made.sessions), (Audience::Nobody, Audience::Circles));
}

#[test]
fn line_13_echo_can_be_denied_to_one_friend() {
    let change = FriendChange { echo: Some(false), ..FriendChange::default() };
    let made = policy(&DEFAULT, &with(|friends| friends.change(&BOB, change).unwrap()), NOW);
    let echo: Vec<_> = made.people.iter().map(|person| (person.key, person.echo)).collect();
    assert_eq!(echo, [(core(ADA), true), (core(BOB), false)]);
}

#[test]
fn line_16_pause_closes_everything_and_ends_on_time() {
    let paused = |until| {
        with(|friends| {
            open(friends, "tcp/80");
            friends.set_shared(NOW);
            friends.set_pause(Some(Pause { until }));
        })
    };
    for (friends, at, expected) in [
        (paused(None), NOW + 1_000_000_000, true),
        (paused(Some(NOW + 60)), NOW + 59, true),
        (paused(Some(NOW + 60)), NOW + 60, false),
    ] {
        let made = policy(&DEFAULT, &friends, at);
        assert_eq!(made.paused, expected);
        let sessions = if expected { Audience::Circles } else { Audience::Everyone };
        assert_eq!(made.sessions, sessions);
        assert_eq!(made.lobby, !expected);
        assert_eq!(made.people.len(), 2, "what a friend may do outlives the pause");
    }
}

#[test]
fn line_19_block_beats_friendship_and_ends_without_a_trace() {
    let mut friends = friends();
    let entry = Blocked { name: None, notes: String::new(), blocked_at: NOW };
    friends.block(ADA, entry.clone()).unwrap();
    friends.block(Plain([9; 32]), entry).unwrap();
    let made = policy(&DEFAULT, &friends, NOW);
    assert_eq!(made.blocked, [core(ADA), core(Plain([9; 32]))]);
    let people: Vec<_> = made.people.iter().map(|person| person.key).collect();
    assert_eq!(people, [core(BOB)]);
    friends.unblock(&ADA).unwrap();
    assert_eq!(policy(&DEFAULT, &friends, NOW).people.len(), 2);
}

#[test]
fn line_20_removed_friend_is_a_stranger() {
    let made = policy(&DEFAULT, &with(|friends| drop(friends.remove(&ADA).unwrap())), NOW);
    assert!(!Rules::compile(&made).unwrap().knows(&core(ADA)));
}

#[test]
fn written_sessions_win_over_what_is_open() {
    let friends = with(|friends| open(friends, "tcp/80"));
    let closed = Doors { sessions: Some(Setting::Circles), ..DEFAULT };
    assert_eq!(policy(&closed, &friends, NOW).sessions, Audience::Circles);
    assert!(contradicts(&closed, &friends) && !contradicts(&DEFAULT, &friends));
    let open = Doors { sessions: Some(Setting::Everyone), ..DEFAULT };
    assert_eq!(policy(&open, &Friends::default(), NOW).sessions, Audience::Everyone);
}

#[test]
fn lobby_is_open_for_48_hours_after_a_link_was_shared() {
    let friends = with(|friends| friends.set_shared(NOW));
    for (at, open) in [
        (NOW, true),
        (NOW + LOBBY_S - 1, true),
        (NOW + LOBBY_S, false),
        (NOW - 3600, true),
        // The clock that shared it was years ahead.
        (NOW - 10 * LOBBY_S, false),
    ] {
        assert_eq!(policy(&DEFAULT, &friends, at).lobby, open, "{at}");
        assert_eq!(lobby_until(&friends, at), open.then_some(NOW + LOBBY_S));
    }
    assert!(!policy(&DEFAULT, &Friends::default(), NOW).lobby);
}

#[test]
fn largest_list_of_friends_compiles() {
    let mut friends = Friends::default();
    for number in 0..300u16 {
        let mut key = [0; 32];
        key[..2].copy_from_slice(&number.to_be_bytes());
        let mut friend = Friend::new(format!("f{number}").parse().unwrap(), NOW);
        friend.services = (1..=256).map(|port| format!("tcp/{port}").parse().unwrap()).collect();
        friends.add(Plain(key), friend).unwrap();
    }
    let all: Vec<_> = (1..=1024).map(|port| format!("udp/{port}").parse().unwrap()).collect();
    friends.open(&all, &[]).unwrap();
    Rules::compile(&policy(&DEFAULT, &friends, NOW)).unwrap();
    assert!(friends.open(&["tcp/1".parse().unwrap()], &[]).is_err());
}
