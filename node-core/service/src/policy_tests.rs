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

/// Ada may reach SSH, Bob nothing but echo.
fn friends() -> Friends {
    let mut friends = Friends::default();
    friends.add(ADA, Friend::new("Ada".parse().unwrap(), NOW)).unwrap();
    friends.add(BOB, Friend::new("Bob".parse().unwrap(), NOW)).unwrap();
    let allow = vec!["tcp/22".parse().unwrap(), "ip/47@300::1".parse().unwrap()];
    friends.change(&ADA, FriendChange { allow, ..FriendChange::default() }).unwrap();
    friends
}

fn of_friends(doors: &Doors, friends: &Friends, unix_s: u64) -> Policy {
    policy(doors, friends, &Circles::default(), unix_s)
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
    let made = of_friends(&DEFAULT, &Friends::default(), NOW);
    assert_eq!((made.inbound, made.echo), (Audience::Circles, Audience::Circles));
    assert_eq!((made.outbound, made.sessions), (Audience::Everyone, Audience::Circles));
    assert!(!made.paused && !made.lobby);
    assert!(made.people.is_empty() && made.rules.is_empty() && made.blocked.is_empty());
    assert!(!Rules::compile(&made).unwrap().is_open_to_strangers());
}

#[test]
fn line_7_friend_reaches_what_it_was_allowed_and_a_new_one_only_echo() {
    let made = of_friends(&DEFAULT, &friends(), NOW);
    let services = |key| {
        let person = made.people.iter().find(|person| person.key == core(&key)).unwrap();
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
    assert!(Rules::compile(&made).unwrap().knows(&core(&BOB)));
}

#[test]
fn line_8_what_is_open_to_everyone_gives_strangers_sessions_until_it_is_closed() {
    let mut friends = friends();
    open(&mut friends, "tcp/80");
    let made = of_friends(&DEFAULT, &friends, NOW);
    let service = Service { protocol: Protocol::Tcp(80, 80), destination: Destination::Anywhere };
    assert_eq!(made.rules, [Rule { who: Who::Everyone, service }]);
    assert_eq!(made.sessions, Audience::Everyone);
    assert!(Rules::compile(&made).unwrap().is_open_to_strangers());
    friends.open(&[], &["tcp/any".parse().unwrap()]).unwrap();
    assert_eq!(of_friends(&DEFAULT, &friends, NOW).sessions, Audience::Circles);
}

#[test]
fn lines_10_and_14_everyone_in_the_configuration_gives_sessions_too() {
    let inbound = Doors { inbound: Setting::Everyone, ..DEFAULT };
    let echo = Doors { echo: Setting::Everyone, ..DEFAULT };
    for doors in [inbound, echo] {
        let made = of_friends(&doors, &friends(), NOW);
        assert_eq!(made.sessions, Audience::Everyone);
        assert_eq!(made.inbound, audience(doors.inbound));
        assert_eq!(made.echo, audience(doors.echo));
    }
}

#[test]
fn line_12_nobody_closes_the_door_and_keeps_strangers_out() {
    let doors = Doors { inbound: Setting::Nobody, ..DEFAULT };
    let made = of_friends(&doors, &with(|friends| open(friends, "tcp/80")), NOW);
    assert_eq!((made.inbound, made.sessions), (Audience::Nobody, Audience::Circles));
}

#[test]
fn line_13_echo_can_be_denied_to_one_friend() {
    let change = FriendChange { echo: Some(false), ..FriendChange::default() };
    let made = of_friends(&DEFAULT, &with(|friends| friends.change(&BOB, change).unwrap()), NOW);
    let echo: Vec<_> = made.people.iter().map(|person| (person.key, person.echo)).collect();
    assert_eq!(echo, [(core(&ADA), true), (core(&BOB), false)]);
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
        let made = of_friends(&DEFAULT, &friends, at);
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
    let made = of_friends(&DEFAULT, &friends, NOW);
    assert_eq!(made.blocked, [core(&ADA), core(&Plain([9; 32]))]);
    let people: Vec<_> = made.people.iter().map(|person| person.key).collect();
    assert_eq!(people, [core(&BOB)]);
    friends.unblock(&ADA).unwrap();
    assert_eq!(of_friends(&DEFAULT, &friends, NOW).people.len(), 2);
}

#[test]
fn line_20_removed_friend_is_a_stranger() {
    let made = of_friends(&DEFAULT, &with(|friends| drop(friends.remove(&ADA).unwrap())), NOW);
    assert!(!Rules::compile(&made).unwrap().knows(&core(&ADA)));
}

#[test]
fn written_sessions_win_over_what_is_open() {
    let friends = with(|friends| open(friends, "tcp/80"));
    let closed = Doors { sessions: Some(Setting::Circles), ..DEFAULT };
    assert_eq!(of_friends(&closed, &friends, NOW).sessions, Audience::Circles);
    assert!(contradicts(&closed, &friends) && !contradicts(&DEFAULT, &friends));
    let open = Doors { sessions: Some(Setting::Everyone), ..DEFAULT };
    assert_eq!(of_friends(&open, &Friends::default(), NOW).sessions, Audience::Everyone);
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
        assert_eq!(of_friends(&DEFAULT, &friends, at).lobby, open, "{at}");
        assert_eq!(lobby_until(&friends, &Circles::default(), at), open.then_some(NOW + LOBBY_S));
    }
    assert!(!of_friends(&DEFAULT, &Friends::default(), NOW).lobby);
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
    Rules::compile(&of_friends(&DEFAULT, &friends, NOW)).unwrap();
    assert!(friends.open(&["tcp/1".parse().unwrap()], &[]).is_err());
}

const CAROL: Plain = Plain([3; 32]);
const DAVE: Plain = Plain([4; 32]);

fn services(texts: &[&str]) -> Vec<LocalService> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn circle(texts: &[&str], members: &[Plain]) -> OpenCircle {
    OpenCircle {
        access: CircleAccess {
            enabled: true,
            echo: false,
            subnet: false,
            services: services(texts),
        },
        members: members.iter().map(|key| (*key, Vec::new())).collect(),
    }
}

fn of_circles(circles: &Circles) -> Policy {
    policy(&DEFAULT, &friends(), circles, NOW)
}

fn person(made: &Policy, key: Plain) -> Option<&Person> {
    made.people.iter().find(|person| person.key == core(&key))
}

#[test]
fn line_c1_who_is_asked_to_let_this_node_in_is_a_stranger() {
    let made = of_circles(&Circles::default());
    assert!(person(&made, CAROL).is_none() && !made.lobby && !made.asks);
}

#[test]
fn lines_c2_c4_and_c5_who_is_on_the_way_in_gets_messages_alone() {
    let circles = Circles { messages_only: BTreeSet::from([CAROL, ADA]), ..Circles::default() };
    let made = of_circles(&circles);
    let carol = person(&made, CAROL).unwrap();
    let expected = Person { messages_only: true, ..Person::of(core(&CAROL)) };
    assert_eq!(carol, &expected);
    let ada = person(&made, ADA).unwrap();
    assert!(!ada.messages_only && !ada.services.is_empty(), "a friend stays one");
    assert!(!Rules::compile(&made).unwrap().knows(&core(&CAROL)));
}

#[test]
fn line_c3_members_reach_what_their_circle_may_and_nothing_of_others() {
    let mut club = circle(&["tcp/80"], &[CAROL, ADA]);
    club.access.echo = true;
    let mut crew = circle(&[], &[CAROL, DAVE]);
    crew.access.subnet = true;
    let open = vec![club, crew, circle(&["udp/1"], &[])];
    let made = of_circles(&Circles { open, ..Circles::default() });
    let bits = |key| person(&made, key).unwrap().circles;
    assert_eq!((bits(CAROL), bits(ADA), bits(DAVE), bits(BOB)), (0b11, 0b01, 0b10, 0));
    let echo = |key| person(&made, key).unwrap().echo;
    assert!(echo(CAROL) && !echo(DAVE));
    let rule = |bit, protocol, destination| Rule {
        who: Who::Circles(bit),
        service: Service { protocol, destination },
    };
    let expected = [
        rule(1, Protocol::Tcp(80, 80), Destination::Anywhere),
        rule(2, Protocol::Tcp(1, u16::MAX), Destination::Subnet),
        rule(2, Protocol::Udp(1, u16::MAX), Destination::Subnet),
        rule(4, Protocol::Udp(1, 1), Destination::Anywhere),
    ];
    assert_eq!(made.rules, expected);
}

#[test]
fn line_c6_without_its_circle_a_member_is_a_stranger() {
    let made = of_circles(&Circles { open: vec![circle(&["tcp/80"], &[])], ..Circles::default() });
    assert!(person(&made, CAROL).is_none());
}

#[test]
fn lines_c7_and_c8_rights_add_up_and_a_block_ends_them_all() {
    let mut club = circle(&["tcp/80"], &[ADA]);
    club.members.insert(ADA, services(&["udp/53"]));
    club.members.insert(CAROL, services(&["udp/54"]));
    let mut crew = circle(&[], &[]);
    crew.members.insert(CAROL, services(&["udp/55"]));
    let circles = Circles { open: vec![club, crew], ..Circles::default() };
    let made = of_circles(&circles);
    let ports = |key| {
        let services = &person(&made, key).unwrap().services;
        services.iter().map(|service| service.protocol).collect::<Vec<_>>()
    };
    let udp = |port| Protocol::Udp(port, port);
    assert_eq!(ports(ADA), [Protocol::Tcp(22, 22), Protocol::Other(47), udp(53)]);
    assert_eq!(ports(CAROL), [udp(54), udp(55)]);
    let blocked = with(|friends| {
        for key in [ADA, CAROL] {
            let entry = Blocked { name: None, notes: String::new(), blocked_at: NOW };
            friends.block(key, entry).unwrap();
        }
    });
    let made = policy(&DEFAULT, &blocked, &circles, NOW);
    assert!(person(&made, ADA).is_none() && person(&made, CAROL).is_none());
}

#[test]
fn line_s5_lobby_is_open_while_an_invite_is() {
    let circles = Circles { invites_until: Some(NOW + 60), ..Circles::default() };
    let at = |unix_s, friends: &Friends| policy(&DEFAULT, friends, &circles, unix_s).lobby;
    assert!(at(NOW + 59, &friends()) && !at(NOW + 60, &friends()));
    let paused = with(|friends| friends.set_pause(Some(Pause { until: None })));
    assert!(!at(NOW, &paused));
    let shared = with(|friends| friends.set_shared(NOW));
    assert_eq!(lobby_until(&shared, &circles, NOW), Some(NOW + LOBBY_S), "the later of both");
}

#[test]
fn line_28_what_was_declined_is_not_asked_about_for_a_day() {
    let declined = |text: &str, at| Declined { key: ADA, service: services(&[text])[0], at };
    let all = vec![declined("tcp/80", NOW), declined("udp/7", NOW - 86_400)];
    let circles = Circles { declined: all, asks: true, ..Circles::default() };
    let made = of_circles(&circles);
    assert!(made.asks);
    assert_eq!(person(&made, ADA).unwrap().declined, [Reached::Tcp(80)]);
    assert_eq!(person(&made, BOB).unwrap().declined, []);
}

#[test]
fn rules_are_made_anew_when_the_time_changes_them() {
    let circles = Circles {
        invites_until: Some(NOW + 60),
        declined: vec![Declined { key: ADA, service: services(&["tcp/80"])[0], at: NOW }],
        ..Circles::default()
    };
    let at = |unix_s| Circumstances::of(&friends(), &circles, unix_s);
    assert_eq!(at(NOW), at(NOW + 59));
    assert_ne!(at(NOW + 59), at(NOW + 60));
    assert_ne!(at(NOW + 86_399), at(NOW + 86_400));
}

#[test]
fn all_circles_with_full_lists_compile() {
    let many: Vec<_> = (1..=64).map(|port| format!("tcp/{}", 2 * port)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let open: Vec<_> = (0..CIRCLES_MAX as u8)
        .map(|number| {
            let member = |other| Plain([number | 0x80, other].repeat(16).try_into().unwrap());
            let members: Vec<_> = (0..255).map(member).collect();
            let texts = if number < 16 { &many[..] } else { &[] };
            let mut circle = circle(texts, &members);
            let of_one = (1..=256).map(|port| format!("udp/{port}").parse().unwrap()).collect();
            circle.members.insert(ADA, of_one);
            circle
        })
        .collect();
    let made = of_circles(&Circles { open, ..Circles::default() });
    assert_eq!(person(&made, ADA).unwrap().services.len(), SERVICES_PER_PERSON_MAX);
    Rules::compile(&made).unwrap();
}
