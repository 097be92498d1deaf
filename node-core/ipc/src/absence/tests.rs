use std::path::PathBuf;

use super::*;

fn absence(error: fn(PathBuf) -> ReachError) -> Absence {
    let path = PathBuf::from("/run/planetary/control.sock");
    let location =
        Location { source: Source::System, path: path.clone(), looked_at: vec![path.clone()] };
    Absence::of(&ConnectError::Reach(error(path)), &location, Duration::ZERO)
}

fn stopped() -> Absence {
    absence(|path| ReachError::NotFound { path })
}

fn closed() -> Absence {
    absence(|path| ReachError::PermissionDenied { path })
}

#[test]
fn a_service_that_is_not_there_is_not_installed_stopped_or_failed() {
    let seen = |installed, manager: Option<&str>| Seen {
        installed,
        manager: manager.map(str::to_owned),
        ..Seen::default()
    };
    let code = |seen: &Seen| (stopped().seen(seen).code, stopped().seen(seen).step);
    assert_eq!(code(&seen(Some(false), None)), ("not_installed", Some(Step::Install)));
    assert_eq!(code(&seen(Some(true), None)), ("stopped", Some(Step::Start)));
    assert_eq!(code(&seen(None, None)), ("stopped", None));
    let idle = stopped().seen(&seen(Some(true), Some("inactive")));
    assert_eq!(idle.details, "The service manager says: inactive.");
    let failed = stopped().seen(&seen(Some(true), Some("failed (exit-code)")));
    assert_eq!(failed.title, "The service has failed");
    assert_ne!(failed.hint, idle.hint);
    assert_eq!(failed.command(), Step::Start.command());
}

#[test]
fn a_closed_socket_is_told_with_its_group_and_the_way_in() {
    let socket = |in_group, listed| Socket {
        owner: "planetary".to_owned(),
        group: "planetary".to_owned(),
        mode: 0o660,
        in_group,
        listed,
        ..Socket::default()
    };
    for (in_group, listed, text, action) in [
        (false, false, "you are not in the group planetary", "YOUR-NAME"),
        (false, true, "but signed in before", "sign out and in again"),
        (true, true, "the folder that is closed", "enter the folders"),
    ] {
        let socket = Some(socket(in_group, listed));
        let told = closed().seen(&Seen { socket, ..Seen::default() });
        assert!(told.details.contains("planetary:planetary (mode 0660)"), "{}", told.details);
        assert!(told.details.contains(text), "{}", told.details);
        assert!(told.hint.as_deref().unwrap().contains(action));
        assert_eq!(told.command().is_some(), !in_group && !listed);
        assert_eq!(told.step, None);
    }
    let other = Socket { group: "wheel".to_owned(), ..socket(false, false) };
    let told = closed().seen(&Seen { socket: Some(other), ..Seen::default() });
    assert_eq!(told.command(), None, "no way into a group of others");
}

#[test]
fn a_service_that_hangs_or_is_old_is_restarted_where_it_is_the_systems() {
    let location = Location { source: Source::System, path: "/s".into(), looked_at: Vec::new() };
    let took = |took| Absence::of(&ConnectError::NoHello, &location, took);
    let installed = Seen { installed: Some(true), ..Seen::default() };
    let silent = took(limits::HELLO_DEADLINE);
    assert_eq!((silent.code, silent.title), ("unreachable", SILENT));
    assert_eq!(silent.clone().seen(&installed).step, Some(Step::Restart));
    assert_eq!(silent.seen(&Seen::default()).step, None);
    let other = took(Duration::ZERO).seen(&installed);
    assert_eq!((other.code, other.step), ("unreachable", None));
    let old = ConnectError::Version { build: "planetaryd 0".into(), lowest: 9, version: 9 };
    let old = Absence::of(&old, &location, Duration::ZERO).seen(&installed);
    assert_eq!((old.code, old.step), ("version_mismatch", Some(Step::Restart)));
}
