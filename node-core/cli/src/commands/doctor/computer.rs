//! What only a client can say: that the service cannot be asked, how the caller may use its
//! socket, and whether another node runs here while ours cannot be asked.
//!
//! Every judgement is a pure function of what was seen.

use std::net::Ipv6Addr;
use std::path::Path;

use planetary_ipc::absence::{Absence, Seen, Socket};
use planetary_ipc::location::{Location, Source};
use planetary_ipc::{HealthItem, Severity};

use super::sentence;

/// Names that our own interfaces have unless somebody chose another.
const OWN_NAMES: &str = "planetary";

/// An interface with an address of the network.
pub(super) type NodeInterface = (String, Ipv6Addr);

/// What the doctor says when the service cannot be asked.
pub(super) fn findings(absence: &Absence, nodes: &[NodeInterface]) -> Vec<HealthItem> {
    let mut items = vec![unreachable(absence)];
    items.extend(other_node(absence, nodes));
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

fn unreachable(absence: &Absence) -> HealthItem {
    let mut text = sentence(&absence.message);
    if !absence.details.is_empty() {
        text += " ";
        text += &absence.details;
    }
    HealthItem {
        code: absence.code.into(),
        title: absence.title.to_owned(),
        severity: Severity::Error,
        text,
        since: None,
        // The node may be well; it only cannot be asked. A service that does not run has no node.
        affects_connectivity: does_not_run(absence),
        action: absence.hint.as_deref().map(sentence),
    }
}

fn does_not_run(absence: &Absence) -> bool {
    matches!(absence.code, "stopped" | "not_installed")
}

/// A node that is none of ours, as far as that can be told without asking ours.
fn other_node(absence: &Absence, nodes: &[NodeInterface]) -> Option<HealthItem> {
    // A service that lives but cannot be asked has an interface of its own.
    let ours_may_live = !does_not_run(absence);
    let foreign = |(name, _): &&NodeInterface| !(ours_may_live && name.starts_with(OWN_NAMES));
    let (name, address) = nodes.iter().find(foreign)?;
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

/// Interfaces with an address in `200::/7`; none where the person asks about another service than
/// the computer's.
pub(super) fn nodes(location: &Location) -> Vec<NodeInterface> {
    if matches!(location.source, Source::Option | Source::Environment) {
        return Vec::new();
    }
    let entries = if_addrs::get_if_addrs().unwrap_or_default().into_iter();
    let overlay = entries.filter_map(|entry| match entry.ip() {
        std::net::IpAddr::V6(ip) if ip.octets()[0] & 0xfe == 0x02 => Some((entry.name, ip)),
        _ => None,
    });
    let mut nodes: Vec<_> = overlay.collect();
    nodes.sort();
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn absence(code: &'static str) -> Absence {
        Absence { code, ..Absence::lost() }
    }

    #[test]
    fn what_was_seen_follows_what_happened_in_sentences() {
        let absence = Absence { details: "It was seen.".to_owned(), ..absence("stopped") };
        let item = unreachable(&absence);
        assert_eq!(item.text, "The connection to the service was lost. It was seen.");
        let action = "The service may have been stopped; try again when it runs.";
        assert_eq!(item.action.as_deref(), Some(action));
        assert!(item.affects_connectivity);
    }

    #[test]
    fn another_node_is_named_and_our_own_is_not_taken_for_one() {
        let nodes = |names: &[&str]| -> Vec<NodeInterface> {
            let address: Ipv6Addr = "201::1".parse().unwrap();
            names.iter().map(|name| ((*name).to_owned(), address)).collect()
        };
        let told = |code, nodes: &[NodeInterface]| {
            let items = findings(&absence(code), nodes);
            items.get(1).map(|item| (item.code.clone().into_owned(), item.severity))
        };
        let found = |severity| Some(("other_node".to_owned(), severity));
        assert_eq!(told("not_installed", &nodes(&["ygg0"])), found(Severity::Warning));
        assert_eq!(told("no_permission", &nodes(&["planetary0", "ygg0"])), found(Severity::Info));
        assert_eq!(told("no_permission", &nodes(&["planetary0"])), None);
        assert_eq!(told("stopped", &nodes(&[])), None);
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
