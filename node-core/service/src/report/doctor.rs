//! The checklist behind `planetary doctor`: a person's questions in their order, each with its
//! answer.
//!
//! What is wrong is said by the health items that the status shows as well; this adds what was
//! checked and found good, so that a person sees how far things work.

use std::borrow::Cow;

use planetary_ipc::{
    DoctorReport, HealthItem, Lan, LanInterface, LanState, Names, NamesState, Saving, Severity,
    Status,
};

use super::state::counted;
use super::{Facts, OVERLAY, computer, conditions, interface};
use crate::survey::Finding;

/// A person's question: the good answer to it, and the codes of the health items that stand in its
/// place.
type Entry = (Question, &'static [&'static str]);

const QUESTIONS: &[Entry] = &[
    (service, &[]),
    (identity, &["identity_exposed"]),
    (settings, &["config_not_read", "config_exposed", "open_unreachable", "web_certificate"]),
    (
        records,
        &[
            "intent_damaged",
            "sequence_damaged",
            "friends_damaged",
            "circles_damaged",
            "circles_not_stored",
            "forwards_damaged",
            "networks_damaged",
            "chosen_peers_damaged",
            "paused_peers_damaged",
            "peer_statistics_damaged",
            "public_list_damaged",
            "state_not_stored",
        ],
    ),
    (room, &["files_scarce", "memory_scarce", "disk_scarce"]),
    (switch, &["node_not_started", "node_broken"]),
    (tun, &["tun_lost", "unguarded", "interface_changed", "mtu_changed", "route_missing"]),
    (rights, &["rights_missing"]),
    (alone, &["network_clash"]),
    (listeners, &["listener_failed", "metrics_failed", "admin_not_listening"]),
    (
        peers,
        &["no_peers_configured", "no_peer_connected", "peer_refused", "peer_down", "peer_replaced"],
    ),
    (tree, &["root_changes"]),
    (proof, &["no_answer"]),
    (clock, &["clock_before_release", "clock_differs", "clock_jumped"]),
    (names, &["names_not_resolved"]),
    (hosts, &[]),
];

/// The code of what could not be looked at. It stands for itself in the list, and is no lasting
/// condition: asking again may well answer it.
const NOT_CHECKED: &str = "not_checked";

/// The code of names that are answered while programs ask elsewhere. It is a note of the doctor's:
/// whoever wants names finds out here how to have them, and nobody else is told.
const NAMES_NOT_ASKED: &str = "names_not_asked";

/// The code of a local network on which nobody is looked for until the person says so. Another note
/// of the doctor's: whoever wants no neighbours shall not be told of it for ever.
const LAN_NOT_TRUSTED: &str = "lan_not_trusted";

/// The code of a node that does less to save power or money. It is a note of the doctor's: it is as
/// it was wished to be, and who wonders why finds out here.
const SAVING: &str = "saving";

/// Codes of good answers.
#[cfg(test)]
const GOOD: &[&str] = &[
    "service", "identity", "config", "state", "room", "up", "down", "tun", "rights", "alone",
    "listen", "peers", "tree", "proof", "clock", "hosts", "names",
];

/// The answer for a node that is off.
const DOWN: &str = "down";

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
    items.extend(not_asked(&facts.names));
    items.extend(not_trusted(&status.lan));
    items.extend(facts.saving.filter(|_| facts.up).map(saved));
    items.extend(not_checked(facts));
    // A condition that no question knows is told all the same.
    let told: Vec<_> = QUESTIONS.iter().flat_map(|(_, codes)| codes.iter().copied()).collect();
    items.extend(known.iter().filter(|item| !told.contains(&&*item.code)).cloned());
    DoctorReport { time: status.time, items }
}

fn passed((code, title, text): Answer) -> HealthItem {
    // Nothing is wrong with a node that is off, but whoever asks may have forgotten it.
    let off = code == DOWN;
    HealthItem {
        code: Cow::Borrowed(code),
        title: title.to_owned(),
        severity: if off { Severity::Info } else { Severity::Ok },
        text,
        since: None,
        affects_connectivity: false,
        action: off.then(|| "Switch it on with `planetary up`.".to_owned()),
    }
}

/// What to do so that programs find nodes by name.
fn not_asked(names: &Names) -> Option<HealthItem> {
    let server = names.server.filter(|_| names.state == NamesState::Answering)?;
    Some(HealthItem {
        code: Cow::Borrowed(NAMES_NOT_ASKED),
        title: "Programs on this computer do not find nodes by name".to_owned(),
        severity: Severity::Info,
        text: format!(
            "Names such as ada.{} are answered at {server}, but the system does not ask there.",
            names.suffix
        ),
        since: None,
        affects_connectivity: false,
        action: Some(names.hint.clone().unwrap_or_else(|| "Try again in a moment.".to_owned())),
    })
}

/// Where nodes might be found that are not looked for.
fn not_trusted(lan: &Lan) -> Option<HealthItem> {
    let unknown: Vec<&LanInterface> =
        lan.interfaces.iter().filter(|interface| interface.state == LanState::Unknown).collect();
    let first = unknown.first()?;
    let names: Vec<_> = unknown.iter().map(|interface| interface.name.as_str()).collect();
    let network = first.network.as_deref().unwrap_or("NETWORK");
    Some(HealthItem {
        code: Cow::Borrowed(LAN_NOT_TRUSTED),
        title: "Other nodes may be on this local network".to_owned(),
        severity: Severity::Info,
        text: format!(
            "Behind {} is a network that may be full of strangers, so the node neither announces \
             itself there nor looks for others.",
            names.join(", ")
        ),
        since: None,
        affects_connectivity: false,
        action: Some(format!("If it is yours: `planetary lan trust {network}`.")),
    })
}

/// What is not done, and why.
fn saved(saving: Saving) -> HealthItem {
    let (text, setting) = match saving {
        Saving::Battery => (
            "This computer runs on its battery, so the node carries next to nothing for others.",
            "save_on_battery",
        ),
        Saving::Metered => (
            "The network is paid by volume, so the node carries next to nothing for others, and \
             does not fetch the list of public peers.",
            "save_on_metered",
        ),
    };
    HealthItem {
        code: Cow::Borrowed(SAVING),
        title: "The node saves".to_owned(),
        severity: Severity::Info,
        text: text.to_owned(),
        since: None,
        affects_connectivity: false,
        action: Some(format!("To have it do all: `planetary settings set {setting} false`.")),
    }
}

/// What the system did not tell in time, or at all.
fn not_checked(facts: &Facts) -> impl Iterator<Item = HealthItem> {
    let survey = &facts.survey;
    let item = |what: &str, overdue: bool| HealthItem {
        code: Cow::Borrowed(NOT_CHECKED),
        title: format!("{what} could not be checked"),
        severity: Severity::Info,
        text: match overdue {
            true => "The system did not answer in time.".to_owned(),
            false => "The system does not let the service look.".to_owned(),
        },
        since: None,
        affects_connectivity: false,
        action: Some("Try again in a moment; the service's log has more at `debug`.".to_owned()),
    };
    fn lost<T>(finding: &Finding<T>) -> Option<bool> {
        finding.is_missing().then_some(matches!(finding, Finding::Overdue))
    }
    [
        ("The network interface", lost(&survey.network)),
        ("The account of the service", lost(&survey.process)),
        ("The disk of the state folder", lost(&survey.disk)),
        ("The names of peers", lost(&survey.names)),
    ]
    .into_iter()
    .filter_map(move |(what, overdue)| Some(item(what, overdue?)))
}

fn service(facts: &Facts, status: &Status) -> Option<Answer> {
    let account = facts.survey.process.known().and_then(|process| process.account.as_deref());
    let account = account.map(|name| format!(" as {name}")).unwrap_or_default();
    let since = lasted(facts.uptime.as_secs());
    let text = format!("planetaryd {} has been running{account} for {since}.", status.version);
    Some(("service", "The service runs", text))
}

fn identity(_: &Facts, status: &Status) -> Option<Answer> {
    Some(("identity", "The node has its key", format!("Its address is {}.", status.address)))
}

fn settings(_: &Facts, _: &Status) -> Option<Answer> {
    let text = "The service runs with what the file says.".to_owned();
    Some(("config", "The configuration is in order", text))
}

fn records(_: &Facts, _: &Status) -> Option<Answer> {
    Some(("state", "The state folder is in order", "What must be kept is kept.".to_owned()))
}

fn room(facts: &Facts, _: &Status) -> Option<Answer> {
    Some(("room", "The service has room", computer::praise_of_room(facts)?))
}

fn switch(facts: &Facts, _: &Status) -> Option<Answer> {
    let (code, title, text) = if facts.up {
        ("up", "The node is switched on", "It wants to be on the network.")
    } else {
        (
            DOWN,
            "The node is switched off",
            "Somebody switched it off: it has no links and no interface.",
        )
    };
    Some((code, title, text.to_owned()))
}

fn tun(facts: &Facts, status: &Status) -> Option<Answer> {
    if !facts.up {
        return None;
    }
    let (title, text) = match &status.tun {
        Some(tun) => {
            let text = format!("It is {}, MTU {}.", tun.name, tun.mtu);
            let more = interface::praise(facts).map(|praise| format!(" {praise}"));
            ("The network interface is there", text + &more.unwrap_or_default())
        }
        None => (
            "No network interface was asked for",
            "The node routes and answers; programs on this computer do not see the network."
                .to_owned(),
        ),
    };
    Some(("tun", title, text))
}

fn rights(facts: &Facts, _: &Status) -> Option<Answer> {
    let may = facts.survey.process.known()?.may_configure? && facts.wanted_tun;
    let text = "It can open the network interface whenever it has to.".to_owned();
    may.then_some(("rights", "The service has the rights that it needs", text))
}

fn alone(facts: &Facts, _: &Status) -> Option<Answer> {
    let text = format!("No other interface or route is in {OVERLAY}.");
    let title = "Nothing else uses the addresses of this network";
    (facts.up && interface::is_alone(facts)).then_some(("alone", title, text))
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
    let text = match (coordinates.len(), &status.root) {
        (0, _) | (_, None) => "It is the root of its tree.".to_owned(),
        (depth, Some(root)) => {
            let root = root.to_string();
            format!("It is {} from the root, {}….", counted(depth, "hop"), &root[..KEY_START])
        }
    };
    Some(("tree", "The node has its place in the network", text))
}

fn proof(facts: &Facts, _: &Status) -> Option<Answer> {
    let ago = facts.proven_ago()?.as_secs();
    let text = format!("The last answer came {} ago.", lasted(ago));
    let proven = facts.is_proven() && facts.links_up() > 0;
    proven.then_some(("proof", "Other nodes answer through the network", text))
}

fn clock(facts: &Facts, _: &Status) -> Option<Answer> {
    Some(("clock", "Nothing speaks against the clock", computer::praise_of_clock(facts)))
}

fn names(facts: &Facts, _: &Status) -> Option<Answer> {
    let text = facts.up.then(|| computer::praise_of_names(facts))??;
    Some(("names", "Names of peers resolve", text))
}

fn hosts(facts: &Facts, _: &Status) -> Option<Answer> {
    let names = &facts.names;
    let text = match &names.resolver {
        Some(resolver) => format!("{resolver} asks for names below {}.", names.suffix),
        None => format!("Names below {} are asked for here.", names.suffix),
    };
    let title = "Programs on this computer find nodes by name";
    (names.state == NamesState::Wired).then_some(("hosts", title, text))
}

/// A span of time, in words.
fn lasted(seconds: u64) -> String {
    let whole = |number: u64, noun| counted(usize::try_from(number).unwrap_or(usize::MAX), noun);
    match seconds {
        0..120 => whole(seconds, "second"),
        120..7_200 => whole(seconds / 60, "minute"),
        7_200..172_800 => whole(seconds / 3_600, "hour"),
        _ => whole(seconds / 86_400, "day"),
    }
}

/// How many digits of a key make it recognisable in a sentence.
const KEY_START: usize = 16;

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
        let mut known: BTreeSet<_> =
            QUESTIONS.iter().flat_map(|(_, codes)| codes.iter().copied()).collect();
        assert!(conditions::codes().all(|code| known.contains(code)));
        known.extend([NOT_CHECKED, NAMES_NOT_ASKED, LAN_NOT_TRUSTED, SAVING]);
        assert_eq!(codes("| code | means |"), known);
    }

    #[test]
    fn document_lists_every_good_answer_and_no_other() {
        let source = include_str!("doctor.rs");
        let (source, _) = source.split_once("#[cfg(test)]\nmod tests").unwrap();
        assert_eq!(codes("| code | is said when |"), GOOD.iter().copied().collect());
        for code in GOOD {
            let said = *code == DOWN || source.contains(&format!("(\"{code}\", "));
            assert!(said, "{code} is never said");
        }
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
    fn document_lists_every_reason_of_a_door_that_failed_and_no_other() {
        let mut known = BTreeSet::new();
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/src").join(GATEWAY);
        reasons_in(&sources, &mut known);
        let listed = codes("| code | a proxy or a forwarded port failed because |");
        assert_eq!(listed.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), known);
    }

    #[test]
    fn document_tells_which_reasons_are_settings() {
        let rows = table("| code | a link or a listener failed because |");
        let settings = rows.into_iter().filter(|(_, text)| text.starts_with("settings: "));
        let settings: BTreeSet<_> = settings.map(|(code, _)| code).collect();
        assert_eq!(settings, conditions::LASTING.iter().copied().collect());
    }

    /// The folder of proxies and forwarded ports, whose reasons have a table of their own.
    const GATEWAY: &str = "gateway";

    /// The texts that the sources give as the code of a failure: in a struct, as a constant, or as
    /// an arm of a function or a match called `code`.
    fn reasons_in(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("tests") && !path.ends_with(GATEWAY) {
                reasons_in(&path, found);
                continue;
            }
            let Some(text) = path.extension().and_then(|_| fs::read_to_string(&path).ok()) else {
                continue;
            };
            let mut in_code = false;
            for line in text.lines() {
                let begins = ["fn code(", "let code = match"].iter().any(|it| line.contains(it));
                in_code = begins || (in_code && line != "    }");
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
