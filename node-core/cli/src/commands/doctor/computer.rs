//! What only a client can see: whether the service is installed, who may open its socket, and
//! whether another node runs here while ours cannot be asked.
//!
//! [`Seen`] is looked at in one go; every judgement is a pure function of it. Where the person
//! names a socket, it is that service they ask about and not the computer's: only the socket
//! is looked at then.

use std::net::Ipv6Addr;
use std::path::Path;

use planetary_ipc::location::{Location, Source};
use planetary_ipc::{HealthItem, Severity};

use crate::failure::Failure;

/// Where the system's service manager keeps the entry of the service.
const ENTRIES: &[&str] = if cfg!(target_os = "linux") {
    &[
        "/etc/systemd/system/planetaryd.service",
        "/usr/local/lib/systemd/system/planetaryd.service",
        "/usr/lib/systemd/system/planetaryd.service",
        "/lib/systemd/system/planetaryd.service",
    ]
} else if cfg!(target_os = "macos") {
    &["/Library/LaunchDaemons/net.planetary.PlanetaryNetwork.planetaryd.plist"]
} else {
    &[]
};

/// Names that our own interfaces have unless somebody chose another.
const OWN_NAMES: &str = "planetary";

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Whether the system has an entry for the service; `None` where that is not known, or not
    /// asked about.
    pub(super) installed: Option<bool>,
    /// What the service manager says of a service that does not run, such as `failed`.
    pub(super) manager: Option<String>,
    /// The socket's file.
    pub(super) socket: Option<Socket>,
    /// Interfaces with an address of the network.
    pub(super) nodes: Vec<(String, Ipv6Addr)>,
}

/// The file of a control socket, and how the caller stands to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) owner: String,
    pub(super) group: String,
    pub(super) mode: u32,
    /// The caller is the owner.
    pub(super) is_own: bool,
    /// The caller is root.
    pub(super) is_root: bool,
    /// The caller's process is in the group.
    pub(super) in_group: bool,
    /// The list of accounts has the caller in the group.
    pub(super) listed: bool,
}

impl Seen {
    /// Looks at the socket alone.
    pub(super) fn of_socket(path: &Path) -> Self {
        Self { socket: socket(path), ..Self::default() }
    }

    /// Looks at this computer. Blocks for a moment.
    pub(super) fn look(location: &Location) -> Self {
        let socket = socket(&location.path);
        if matches!(location.source, Source::Option | Source::Environment) {
            return Self { socket, ..Self::default() };
        }
        let installed =
            (!ENTRIES.is_empty()).then(|| ENTRIES.iter().any(|e| Path::new(e).exists()));
        Self { installed, manager: manager(installed), socket, nodes: nodes() }
    }
}

/// What the doctor says when the service cannot be asked.
pub(super) fn findings(failure: &Failure, seen: &Seen) -> Vec<HealthItem> {
    let mut items = vec![unreachable(failure, seen)];
    items.extend(other_node(failure, seen));
    items
}

/// How the caller may use the socket that answered.
pub(super) fn welcome(path: &Path, seen: &Seen) -> HealthItem {
    let path = path.display();
    let right = seen.socket.as_ref().map_or("", |socket| match socket {
        Socket { is_own: true, .. } => " You may do everything: the service runs as your account.",
        Socket { is_root: true, .. } => " You may do everything: you are root.",
        _ => " You may see and change everything but keys: you are in its group.",
    });
    HealthItem {
        code: "control_socket".into(),
        title: "The service answers".into(),
        severity: Severity::Ok,
        text: format!("It listens on {path}.{right}"),
        since: None,
        affects_connectivity: false,
        action: None,
    }
}

fn unreachable(failure: &Failure, seen: &Seen) -> HealthItem {
    let mut item = HealthItem {
        code: failure.code().into(),
        title: title(failure).to_owned(),
        severity: Severity::Error,
        text: super::sentence(&failure.message()),
        since: None,
        // The node may be well; it only cannot be asked. A service that does not run has no node.
        affects_connectivity: failure.code() == "stopped",
        action: failure.hint().map(|hint| super::sentence(&hint)),
    };
    match failure.code() {
        "stopped" if seen.installed == Some(false) => {
            item.code = "not_installed".into();
            item.title = "The service is not installed".to_owned();
            item.text += " The system has no entry for it either.";
            item.action = Some(
                "Install it with `sudo planetaryd install`, or start your own with `planetaryd \
                 run`."
                    .to_owned(),
            );
        }
        "stopped" => {
            if let Some(said) = seen.manager.as_deref() {
                item.text += &format!(" The service manager says: {said}.");
            }
            if seen.manager.as_deref().is_some_and(|said| said.starts_with("failed")) {
                item.title = "The service has failed".to_owned();
                item.action = Some(
                    "See why with `sudo journalctl -u planetaryd -n 20`, then start it with `sudo \
                     systemctl start planetaryd`."
                        .to_owned(),
                );
            }
        }
        "no_permission" => {
            if let Some(socket) = &seen.socket {
                item.text += &permission(socket);
                item.action = Some(way_in(socket).to_owned());
            }
        }
        _ => {}
    }
    item
}

fn title(failure: &Failure) -> &'static str {
    match failure.code() {
        _ if matches!(failure, Failure::Silent { .. }) => "The service does not answer",
        "connection_lost" => "The service went away",
        "stopped" => "The service does not run",
        "no_permission" => "You may not use the control socket",
        "version_mismatch" => "The service is of another release",
        "untrusted" => "Somebody else listens on the control socket",
        "too_many_clients" => "The service has too many clients",
        _ => "The service cannot be reached",
    }
}

/// Whose the socket is, and how the caller stands to it.
fn permission(socket: &Socket) -> String {
    let Socket { owner, group, mode, in_group, listed, .. } = socket;
    let standing = match (in_group, listed) {
        (true, _) => format!("you are in the group {group}, so it is the folder that is closed"),
        (false, true) => format!("you are in the group {group}, but signed in before you were"),
        (false, false) => format!("you are not in the group {group}"),
    };
    format!(" It belongs to {owner}:{group} (mode {mode:04o}); {standing}.")
}

fn way_in(socket: &Socket) -> &'static str {
    match (socket.in_group, socket.listed, socket.group.as_str()) {
        (true, ..) => "Let your account enter the folders above the socket, or use sudo.",
        (_, true, _) => "Sign out and in again, or use sudo.",
        (.., "planetary") => {
            "Run `sudo usermod -aG planetary YOUR-NAME` and sign in again, or use sudo."
        }
        // Another group would let in more than the node's friends.
        _ => "Use sudo; a service that is installed gives its socket to the group `planetary`.",
    }
}

/// A node that is none of ours, as far as that can be told without asking ours.
fn other_node(failure: &Failure, seen: &Seen) -> Option<HealthItem> {
    // A service that lives but cannot be asked has an interface of its own.
    let ours_may_live = failure.code() != "stopped";
    let foreign = |(name, _): &&(String, Ipv6Addr)| !(ours_may_live && name.starts_with(OWN_NAMES));
    let (name, address) = seen.nodes.iter().find(foreign)?;
    Some(HealthItem {
        code: "other_node".into(),
        title: "Another node of this network seems to run on this computer".to_owned(),
        severity: if ours_may_live { Severity::Info } else { Severity::Warning },
        text: format!("The interface {name} has {address}, an address of the network."),
        since: None,
        affects_connectivity: false,
        action: Some(format!(
            "Stop the program behind {name} (such as `sudo systemctl stop yggdrasil`) before ours \
             is to use the network."
        )),
    })
}

/// Interfaces with an address in `200::/7`.
fn nodes() -> Vec<(String, Ipv6Addr)> {
    let entries = if_addrs::get_if_addrs().unwrap_or_default().into_iter();
    let overlay = entries.filter_map(|entry| match entry.ip() {
        std::net::IpAddr::V6(ip) if ip.octets()[0] & 0xfe == 0x02 => Some((entry.name, ip)),
        _ => None,
    });
    let mut nodes: Vec<_> = overlay.collect();
    nodes.sort();
    nodes
}

#[cfg(unix)]
fn socket(path: &Path) -> Option<Socket> {
    use std::os::unix::fs::MetadataExt;

    use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid};

    let file = std::fs::metadata(path).ok()?;
    let (uid, gid) = (Uid::from_raw(file.uid()), Gid::from_raw(file.gid()));
    let owner = User::from_uid(uid).ok().flatten().map(|user| user.name);
    let group = Group::from_gid(gid).ok().flatten();
    let caller = User::from_uid(geteuid()).ok().flatten();
    let listed = caller
        .as_ref()
        .zip(group.as_ref())
        .is_some_and(|(caller, group)| caller.gid == gid || group.mem.contains(&caller.name));
    Some(Socket {
        owner: owner.unwrap_or_else(|| uid.to_string()),
        group: group.map_or_else(|| gid.to_string(), |group| group.name),
        mode: file.mode() & 0o7777,
        is_own: geteuid() == uid,
        is_root: geteuid().is_root(),
        in_group: getegid() == gid || groups().contains(&gid),
        listed,
    })
}

/// The groups of this process. macOS tells them only through the list of accounts.
#[cfg(all(unix, not(target_os = "macos")))]
fn groups() -> Vec<nix::unistd::Gid> {
    nix::unistd::getgroups().unwrap_or_default()
}

#[cfg(target_os = "macos")]
fn groups() -> Vec<nix::unistd::Gid> {
    Vec::new()
}

#[cfg(not(unix))]
fn socket(_: &Path) -> Option<Socket> {
    None
}

/// Asks systemd how the service is.
#[cfg(target_os = "linux")]
fn manager(installed: Option<bool>) -> Option<String> {
    use std::process::{Command, Stdio};
    if installed != Some(true) || !Path::new("/run/systemd/system").is_dir() {
        return None;
    }
    let properties = "--property=ActiveState,Result";
    let output = Command::new("systemctl")
        .args(["show", "planetaryd.service", properties])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    verdict(&String::from_utf8_lossy(&output.stdout))
}

#[cfg(not(target_os = "linux"))]
fn manager(_: Option<bool>) -> Option<String> {
    None
}

/// Reads what `systemctl show` prints.
#[cfg(any(target_os = "linux", test))]
fn verdict(text: &str) -> Option<String> {
    let value = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        // Words of the service manager's own, and nothing else.
        let is_word = |word: &&str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        };
        value.filter(is_word)
    };
    let state = value("ActiveState")?;
    match value("Result").filter(|result| *result != "success") {
        Some(result) => Some(format!("{state} ({result})")),
        None => Some(state.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use planetary_ipc::client::ConnectError;
    use planetary_ipc::endpoint::ReachError;

    use super::*;

    fn failure(error: fn(PathBuf) -> ReachError) -> Failure {
        let path = PathBuf::from("/run/planetary/control.sock");
        let location =
            Location { source: Source::System, path: path.clone(), looked_at: vec![path.clone()] };
        Failure::unreachable(ConnectError::Reach(error(path)), &location, Duration::ZERO)
    }

    fn stopped() -> Failure {
        failure(|path| ReachError::NotFound { path })
    }

    fn closed() -> Failure {
        failure(|path| ReachError::PermissionDenied { path })
    }

    fn first(failure: &Failure, seen: &Seen) -> HealthItem {
        findings(failure, seen).remove(0)
    }

    #[test]
    fn a_service_that_is_not_there_is_not_installed_stopped_or_failed() {
        let seen = |installed, manager: Option<&str>| Seen {
            installed,
            manager: manager.map(str::to_owned),
            ..Seen::default()
        };
        let code = |seen: &Seen| first(&stopped(), seen).code.into_owned();
        assert_eq!(code(&seen(Some(false), None)), "not_installed");
        assert_eq!(code(&seen(Some(true), None)), "stopped");
        assert_eq!(code(&seen(None, None)), "stopped");
        let idle = first(&stopped(), &seen(Some(true), Some("inactive")));
        assert!(idle.text.ends_with("The service manager says: inactive."), "{}", idle.text);
        let failed = first(&stopped(), &seen(Some(true), Some("failed (exit-code)")));
        assert_eq!(failed.title, "The service has failed");
        assert!(failed.action.unwrap().contains("journalctl"));
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
            (false, false, "you are not in the group planetary", "usermod -aG planetary"),
            (false, true, "but signed in before", "Sign out and in again"),
            (true, true, "the folder that is closed", "enter the folders"),
        ] {
            let socket = Some(socket(in_group, listed));
            let item = first(&closed(), &Seen { socket, ..Seen::default() });
            assert!(item.text.contains("planetary:planetary (mode 0660)"), "{}", item.text);
            assert!(item.text.contains(text), "{}", item.text);
            assert!(item.action.unwrap().contains(action));
        }
        let other = Socket { group: "wheel".to_owned(), ..socket(false, false) };
        let item = first(&closed(), &Seen { socket: Some(other), ..Seen::default() });
        assert!(!item.action.unwrap().contains("usermod"), "no way into a group of others");
    }

    #[test]
    fn another_node_is_named_and_our_own_is_not_taken_for_one() {
        let nodes = |names: &[&str]| {
            let address: Ipv6Addr = "201::1".parse().unwrap();
            let nodes = names.iter().map(|name| ((*name).to_owned(), address)).collect();
            Seen { nodes, ..Seen::default() }
        };
        let told = |failure: &Failure, seen: &Seen| {
            let items = findings(failure, seen);
            items.get(1).map(|item| (item.code.clone().into_owned(), item.severity))
        };
        let found = |severity| Some(("other_node".to_owned(), severity));
        assert_eq!(told(&stopped(), &nodes(&["ygg0"])), found(Severity::Warning));
        assert_eq!(told(&closed(), &nodes(&["planetary0", "ygg0"])), found(Severity::Info));
        assert_eq!(told(&closed(), &nodes(&["planetary0"])), None);
        assert_eq!(told(&stopped(), &nodes(&[])), None);
    }

    #[test]
    fn words_of_the_service_manager_are_taken_and_nothing_else() {
        let text = "ActiveState=failed\nResult=exit-code\n";
        assert_eq!(verdict(text).unwrap(), "failed (exit-code)");
        assert_eq!(verdict("Result=success\nActiveState=inactive").unwrap(), "inactive");
        for nonsense in ["", "ActiveState=", "ActiveState=\x1b[2J", "ActiveState", "Result=x"] {
            assert_eq!(verdict(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn caller_is_told_what_they_may_do() {
        let seen = |socket| Seen { socket: Some(socket), ..Seen::default() };
        let text = |socket| welcome(Path::new("/s"), &seen(socket)).text;
        assert!(text(Socket { is_own: true, ..Socket::default() }).contains("your account"));
        assert!(text(Socket { is_root: true, ..Socket::default() }).contains("root"));
        assert!(text(Socket::default()).contains("group"));
        assert_eq!(welcome(Path::new("/s"), &Seen::default()).text, "It listens on /s.");
    }
}
