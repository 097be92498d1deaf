//! The checklist behind `planetary doctor`: a person's questions in their order, each with its
//! answer.
//!
//! What is wrong is said by the health items that the status shows as well; this adds what was
//! checked and found good, so that a person sees how far things work.

use std::borrow::Cow;

use planetary_ipc::{DoctorReport, HealthItem, Severity, Status};

use super::state::counted;
use super::{Facts, conditions};

/// Codes of the health items that answer one question, in the place of a good answer.
const QUESTIONS: &[(Question, &[&str])] = &[
    (identity, &["identity_exposed"]),
    (settings, &["config_not_read", "config_exposed", "open_unreachable"]),
    (
        records,
        &[
            "intent_damaged",
            "sequence_damaged",
            "friends_damaged",
            "chosen_peers_damaged",
            "paused_peers_damaged",
            "peer_statistics_damaged",
            "public_list_damaged",
            "state_not_stored",
        ],
    ),
    (switch, &["node_not_started", "node_broken"]),
    (interface, &["tun_lost", "unguarded"]),
    (listeners, &["listener_failed"]),
    (
        peers,
        &["no_peers_configured", "no_peer_connected", "peer_refused", "peer_down", "peer_replaced"],
    ),
    (tree, &[]),
    (proof, &["no_answer"]),
];

/// Returns the good answer, or `None` when the question does not arise.
type Question = fn(&Facts, &Status) -> Option<Answer>;

/// Code, title and text of a check that was passed.
type Answer = (&'static str, &'static str, String);

/// Checks everything.
#[must_use]
pub fn examine(facts: &Facts, status: &Status) -> DoctorReport {
    let mut items = Vec::new();
    // Who asks wants to know at once what a status keeps quiet about until it has lasted.
    let mut known = status.health.clone();
    for item in conditions::present(facts) {
        if !known.iter().any(|other| other.code == item.code) {
            known.push(item);
        }
    }
    for (question, codes) in QUESTIONS {
        let problems: Vec<_> =
            known.iter().filter(|item| codes.contains(&&*item.code)).cloned().collect();
        if problems.is_empty() {
            items.extend(question(facts, status).map(passed));
        } else {
            items.extend(problems);
        }
    }
    // A condition that no question knows is told all the same.
    let told: Vec<_> = QUESTIONS.iter().flat_map(|(_, codes)| codes.iter().copied()).collect();
    items.extend(known.iter().filter(|item| !told.contains(&&*item.code)).cloned());
    DoctorReport { time: status.time, items }
}

fn passed((code, title, text): Answer) -> HealthItem {
    HealthItem {
        code: Cow::Borrowed(code),
        title: title.to_owned(),
        severity: Severity::Ok,
        text,
        since: None,
        affects_connectivity: false,
        action: None,
    }
}

fn identity(_: &Facts, status: &Status) -> Option<Answer> {
    Some(("identity", "The node has its key", format!("Its address is {}.", status.address)))
}

fn settings(_: &Facts, status: &Status) -> Option<Answer> {
    let text = format!("planetaryd {} runs with it.", status.version);
    Some(("config", "The configuration is in order", text))
}

fn records(_: &Facts, _: &Status) -> Option<Answer> {
    Some(("state", "The state folder is in order", "What must be kept is kept.".to_owned()))
}

fn switch(facts: &Facts, _: &Status) -> Option<Answer> {
    let (code, title, text) = if facts.up {
        ("up", "The node is switched on", "It wants to be on the network.")
    } else {
        ("down", "The node is switched off", "Run `planetary up` to go on the network.")
    };
    Some((code, title, text.to_owned()))
}

fn interface(facts: &Facts, status: &Status) -> Option<Answer> {
    if !facts.up {
        return None;
    }
    let (title, text) = match &status.tun {
        Some(tun) => {
            ("The network interface is there", format!("It is {}, MTU {}.", tun.name, tun.mtu))
        }
        None => (
            "No network interface was asked for",
            "The node routes and answers; programs on this computer do not see the network."
                .to_owned(),
        ),
    };
    Some(("tun", title, text))
}

fn listeners(facts: &Facts, status: &Status) -> Option<Answer> {
    let open = status.listeners.iter().filter(|listener| listener.up);
    let open: Vec<_> = open.map(|listener| listener.uri.as_str()).collect();
    let text = format!("It listens on {}.", open.join(", "));
    (facts.up && !open.is_empty()).then_some(("listen", "Other nodes can link to this one", text))
}

fn peers(facts: &Facts, status: &Status) -> Option<Answer> {
    let up = status.peers.iter().filter(|peer| peer.up).count();
    let text = format!("{} of {} up.", up, counted(status.peers.len(), "link"));
    (facts.up && up > 0).then_some(("peers", "Peers are connected", text))
}

fn tree(_: &Facts, status: &Status) -> Option<Answer> {
    let coordinates = status.coordinates.as_ref()?;
    let text = match coordinates.len() {
        0 => "It is the root of its tree.".to_owned(),
        depth => format!("It is {} from the root.", counted(depth, "hop")),
    };
    Some(("tree", "The node has its place in the network", text))
}

fn proof(facts: &Facts, _: &Status) -> Option<Answer> {
    let ago = facts.proven_ago()?.as_secs();
    let text =
        format!("The last answer came {} ago.", counted(usize::try_from(ago).ok()?, "second"));
    let proven = facts.is_proven() && facts.links_up() > 0;
    proven.then_some(("proof", "Other nodes answer through the network", text))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    const DOCUMENT: &str = include_str!("../../../docs/ipc.md");

    /// The codes of the table under `head`, each with what the document says of it.
    fn table(head: &str) -> Vec<(&'static str, &'static str)> {
        let (_, rows) = DOCUMENT.split_once(&format!("{head}\n| --- | --- |\n")).unwrap();
        let row =
            |row: &'static str| row.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | ");
        rows.lines().map_while(row).collect()
    }

    fn codes(head: &str) -> BTreeSet<&'static str> {
        table(head).into_iter().map(|(code, _)| code).collect()
    }

    #[test]
    fn document_lists_every_condition_and_no_other() {
        let known: BTreeSet<_> =
            QUESTIONS.iter().flat_map(|(_, codes)| codes.iter().copied()).collect();
        assert_eq!(codes("| code | means |"), known);
        assert!(conditions::codes().all(|code| known.contains(code)));
    }

    #[test]
    fn document_lists_every_reason_of_a_failure_and_no_other() {
        let mut known = BTreeSet::new();
        for sources in ["../runtime/src", "src/node"] {
            reasons_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join(sources), &mut known);
        }
        let listed = codes("| code | a link or a listener failed because |");
        assert_eq!(listed.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), known);
    }

    #[test]
    fn document_tells_which_reasons_are_settings() {
        let rows = table("| code | a link or a listener failed because |");
        let settings = rows.into_iter().filter(|(_, text)| text.starts_with("settings: "));
        let settings: BTreeSet<_> = settings.map(|(code, _)| code).collect();
        assert_eq!(settings, conditions::LASTING.iter().copied().collect());
    }

    /// The texts that the sources give as the code of a failure: in a struct, as a constant, or as
    /// an arm of a function called `code`.
    fn reasons_in(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("tests") {
                reasons_in(&path, found);
                continue;
            }
            let Some(text) = path.extension().and_then(|_| fs::read_to_string(&path).ok()) else {
                continue;
            };
            let mut in_code = false;
            for line in text.lines() {
                in_code = line.contains("fn code(") || (in_code && line != "    }");
                let starts = ["code: \"", "CANNOT_LISTEN: &str = \""];
                let arm = in_code.then_some("=> \"");
                let texts =
                    starts.into_iter().chain(arm).filter_map(|start| line.split_once(start));
                found
                    .extend(texts.filter_map(|(_, rest)| Some(rest.split_once('"')?.0.to_owned())));
            }
        }
    }
}
