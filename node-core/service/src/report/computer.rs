//! The computer under the node: its clock, its resolver, what is left of files, memory and disk.

use std::collections::BTreeSet;

use planetary_ipc::Severity;
use planetary_runtime::links::peers::{PeerPhase, PeerStatus as Peer};
use planetary_runtime::links::uri::Host;

use super::Facts;
use super::conditions::first_of;
use super::state::counted;
use crate::health::Condition;
use crate::survey::process::Load;

/// No clock is right that shows a time before this program was written: 2026-11-01. A build can
/// raise it with `SOURCE_DATE_EPOCH`, the time of its sources.
pub(super) const WRITTEN_UNIX_S: u64 = match option_env!("SOURCE_DATE_EPOCH") {
    Some(text) => later_of(FIRST_RELEASE_UNIX_S, decimal(text)),
    None => FIRST_RELEASE_UNIX_S,
};

const FIRST_RELEASE_UNIX_S: u64 = 1_793_491_200;

/// How far the clock may be from that of other nodes. Less does no harm in this network, and their
/// word is not exact.
pub(super) const CLOCK_DIFFERENCE_MAX_S: u64 = 10 * 60;

/// With less room than this in the state folder, a file that is replaced whole may find no place.
const ROOM_BYTES_MIN: u64 = 16 << 20;

/// Files that replacing a few others at once takes, with room to spare.
const ROOM_FILES_MIN: u64 = 16;

pub(super) fn clock_before_release(facts: &Facts) -> Option<Condition> {
    (facts.now.unix_s < WRITTEN_UNIX_S).then(|| Condition {
        code: "clock_before_release",
        severity: Severity::Warning,
        title: "The clock of this computer is wrong".to_owned(),
        text: "It shows a time before this program was written. Ages and logs are wrong, and \
               other nodes may take what this one says for old."
            .to_owned(),
        action: Some(SET_CLOCK.to_owned()),
        affects_connectivity: false,
        may_pass: true,
    })
}

pub(super) fn clock_differs(facts: &Facts) -> Option<Condition> {
    let compared = facts.survey.clock.comparison?;
    let off_s = compared.ahead_s.unsigned_abs();
    if off_s <= CLOCK_DIFFERENCE_MAX_S || clock_before_release(facts).is_some() {
        return None;
    }
    let direction = if compared.ahead_s > 0 { "fast" } else { "slow" };
    Some(Condition {
        code: "clock_differs",
        severity: Severity::Warning,
        title: "The clock of this computer seems to be wrong".to_owned(),
        text: format!(
            "It is about {} {direction}, going by the middle of what {} of the network say.",
            span(off_s),
            counted(compared.witnesses, "node"),
        ),
        action: Some(SET_CLOCK.to_owned()),
        affects_connectivity: false,
        may_pass: true,
    })
}

pub(super) fn clock_jumped(facts: &Facts) -> Option<Condition> {
    let jump = facts.survey.clock.jump?;
    let direction = if jump.by_s > 0 { "forward" } else { "back" };
    Some(Condition {
        code: "clock_jumped",
        severity: Severity::Info,
        title: "The clock of this computer was set".to_owned(),
        text: format!(
            "It went {direction} by {} within the last ten minutes. The node goes on; ages that \
             are shown may be off.",
            span(jump.by_s.unsigned_abs())
        ),
        action: Some(
            "Nothing needs to be done if the clock is right now; if it keeps jumping, look what \
             sets it."
                .to_owned(),
        ),
        affects_connectivity: false,
        may_pass: false,
    })
}

pub(super) fn names_not_resolved(facts: &Facts) -> Option<Condition> {
    let looked = facts.survey.names.known();
    let told = facts.peers.iter().filter(|peer| has_failed_name(peer));
    let told = told.filter_map(|peer| name_of(facts, peer));
    let found = looked.map(|names| &names.found[..]).unwrap_or_default();
    let missing: BTreeSet<&str> = told
        .chain(looked.into_iter().flat_map(|names| names.missing.iter().map(String::as_str)))
        .filter(|name| !found.iter().any(|known| known == name))
        .collect();
    if missing.is_empty() {
        return None;
    }
    let no_resolver = looked.is_some_and(|names| names.resolver == Some(false));
    let all = found.is_empty() && !facts.peers.iter().any(|peer| is_proof_of_dns(facts, peer));
    let others = if missing.len() > 1 { ", nor for any other name" } else { "" };
    let names = first_of(missing.into_iter().map(str::to_owned));
    let (text, action) = if no_resolver {
        (
            format!("No address was found for {names}: this computer knows no DNS server."),
            "Put a DNS server into this computer's network settings, or name peers by address.",
        )
    } else if all {
        (
            format!("No address was found for {names}{others}."),
            "Check this computer's internet connection and its DNS settings.",
        )
    } else {
        (
            format!("No address was found for {names}, while other names have one."),
            "Check the spelling; remove the peer if its name is gone for good.",
        )
    };
    Some(Condition {
        code: "names_not_resolved",
        severity: Severity::Warning,
        title: "Names of peers do not resolve".to_owned(),
        text,
        action: Some(action.to_owned()),
        affects_connectivity: false,
        may_pass: true,
    })
}

pub(super) fn files_scarce(facts: &Facts) -> Option<Condition> {
    let files = near_its_end(facts.survey.process.known()?.files)?;
    Some(Condition {
        code: "files_scarce",
        severity: Severity::Warning,
        title: "The service is about to run out of open files".to_owned(),
        text: format!(
            "It has {} of {} open; each link and each client takes some.",
            files.used, files.most
        ),
        action: Some(
            "Raise the limit (`LimitNOFILE=` in the unit, `ulimit -n` in a shell), or have fewer \
             peers."
                .to_owned(),
        ),
        affects_connectivity: false,
        may_pass: true,
    })
}

pub(super) fn memory_scarce(facts: &Facts) -> Option<Condition> {
    let memory = near_its_end(facts.survey.process.known()?.memory)?;
    Some(Condition {
        code: "memory_scarce",
        severity: Severity::Warning,
        title: "The service is about to run out of memory".to_owned(),
        text: format!(
            "It uses {} of the {} that the system lets it have, and is ended beyond.",
            mebibytes(memory.used),
            mebibytes(memory.most)
        ),
        action: Some("Raise the limit (`MemoryMax=` in the unit), or have fewer peers.".to_owned()),
        affects_connectivity: false,
        may_pass: true,
    })
}

pub(super) fn disk_scarce(facts: &Facts) -> Option<Condition> {
    let room = facts.survey.disk.known()?;
    let few_files = room.files.is_some_and(|files| files < ROOM_FILES_MIN);
    (room.bytes < ROOM_BYTES_MIN || few_files).then(|| Condition {
        code: "disk_scarce",
        severity: Severity::Warning,
        title: "The disk of the state folder is almost full".to_owned(),
        text: match room.files.filter(|_| room.bytes >= ROOM_BYTES_MIN) {
            Some(files) => format!("There is room for {files} more files only."),
            None => format!("{} are left.", mebibytes(room.bytes)),
        },
        action: Some("Free space on the disk.".to_owned()),
        affects_connectivity: false,
        may_pass: true,
    })
}

/// What is found good of the clock.
pub(super) fn praise_of_clock(facts: &Facts) -> String {
    match facts.survey.clock.comparison {
        Some(compared) => {
            let nodes = counted(compared.witnesses, "node");
            format!("It agrees with the middle of what {nodes} of the network say.")
        }
        None => "There are too few other nodes to compare it with.".to_owned(),
    }
}

/// What is found good of names; `None` when no peer has one, or nothing is known of them yet.
pub(super) fn praise_of_names(facts: &Facts) -> Option<String> {
    let looked = facts.survey.names.known().map_or(0, |names| names.found.len());
    let linked = facts.peers.iter().filter(|peer| is_proof_of_dns(facts, peer)).count();
    match looked + linked {
        0 => None,
        1 => Some("1 name of a peer has an address.".to_owned()),
        several => Some(format!("{several} names of peers have addresses.")),
    }
}

/// What is found good of the computer's limits.
pub(super) fn praise_of_room(facts: &Facts) -> Option<String> {
    let files = facts.survey.process.known()?.files;
    let files = files.map(|files| format!("{} of {} files are open", files.used, files.most));
    let room = facts.survey.disk.known();
    let room = room.map(|room| format!("{} are free on the disk", mebibytes(room.bytes)));
    let words: Vec<_> = files.into_iter().chain(room).collect();
    (!words.is_empty()).then(|| format!("{}.", words.join(", ")))
}

fn near_its_end(load: Option<Load>) -> Option<Load> {
    load.filter(|load| load.is_near_its_end())
}

/// Whether the last attempt found no address, and is not over.
fn has_failed_name(peer: &Peer) -> bool {
    let error = peer.last_error.as_ref().filter(|_| peer.phase != PeerPhase::Up);
    error.is_some_and(|error| error.code == "name_not_resolved")
}

/// Whether a peer with a name was reached, or at least dialled at an address.
fn is_proof_of_dns(facts: &Facts, peer: &Peer) -> bool {
    let dialled = peer.phase == PeerPhase::Up || peer.last_error.is_some();
    dialled && !has_failed_name(peer) && name_of(facts, peer).is_some()
}

/// The name of a configured peer's host, if it has one.
fn name_of<'a>(facts: &'a Facts, peer: &Peer) -> Option<&'a str> {
    match &facts.wanted.get(&peer.id)?.uri.endpoint()?.host {
        Host::Name(name) => Some(name),
        Host::Address(_) | Host::Scoped { .. } => None,
    }
}

/// A span of time in its largest sensible unit.
fn span(seconds: u64) -> String {
    let whole = |number: u64, noun| counted(usize::try_from(number).unwrap_or(usize::MAX), noun);
    match seconds {
        0..120 => whole(seconds, "second"),
        120..7_200 => whole(seconds / 60, "minute"),
        7_200..172_800 => whole(seconds / 3_600, "hour"),
        172_800..63_072_000 => whole(seconds / 86_400, "day"),
        _ => whole(seconds / 31_536_000, "year"),
    }
}

fn mebibytes(bytes: u64) -> String {
    match bytes >> 20 {
        0 => format!("{bytes} bytes"),
        whole @ 1..10_240 => format!("{whole} MiB"),
        whole => format!("{} GiB", whole >> 10),
    }
}

const fn later_of(a: u64, b: u64) -> u64 {
    if a > b { a } else { b }
}

/// Reads decimal digits; what is none reads as zero.
const fn decimal(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let (mut number, mut at) = (0_u64, 0);
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() || number > u64::MAX / 100 {
            return 0;
        }
        number = number * 10 + (bytes[at] - b'0') as u64;
        at += 1;
    }
    number
}

const SET_CLOCK: &str = if cfg!(target_os = "linux") {
    "Set the clock, best by itself: `sudo timedatectl set-ntp true`."
} else {
    "Set the clock, best by itself: switch on automatic time in the system's settings."
};

#[cfg(test)]
mod tests;
