//! Logs as functions of sets: rule by rule, and at random against an oracle.
//!
//! Most operations here are not signed: signatures are slow, and `evaluate.rs` never looks at them.

mod checkpoint;
mod document;
mod form;
mod oracle;
mod random;
mod rules;
mod sync;

use std::sync::LazyLock;

use planetary_proto::{Identity, NodeKey};

use super::{
    Draft, Kind, Log, OpId, Operation, Role, RuleError,
    operation::{OpHead, emit_unsigned},
};

const PEOPLE: usize = 8;

static IDENTITIES: LazyLock<[Identity; PEOPLE]> = LazyLock::new(|| {
    // One after the other from 1: seeds of the vectors in `docs/circles.md`, too.
    core::array::from_fn(|at| Identity::from_seed(&[at as u8 + 1; 32]))
});

static KEYS: LazyLock<[NodeKey; PEOPLE]> =
    LazyLock::new(|| core::array::from_fn(|at| IDENTITIES[at].key()));

fn identity(who: usize) -> &'static Identity {
    &IDENTITIES[who]
}

fn key(who: usize) -> NodeKey {
    KEYS[who]
}

/// A circle of these seniors.
fn circle(seniors: &[usize], paper: bool) -> Log {
    let seniors = seniors.iter().map(|who| key(*who)).collect();
    let draft = Draft::genesis("Family".parse().unwrap(), seniors, [7; 16], paper).unwrap();
    Log::new(unsigned(draft.bytes())).unwrap()
}

fn unsigned(bytes: &[u8]) -> Operation {
    Operation::parse_unverified(&[bytes, &[0; 64]].concat()).unwrap()
}

/// An operation with any place, whether or not the rules allow it.
fn forge(log: &Log, author: usize, seq: u32, prev: OpId, kind: &Kind) -> Operation {
    let head = OpHead { circle: log.id(), author: key(author), seq, prev };
    unsigned(&emit_unsigned(&head, kind).unwrap())
}

/// The author's next operation, whether or not the rules allow it; it is in the log afterwards.
fn force(log: &mut Log, author: usize, kind: &Kind) -> Operation {
    let (seq, prev) = log.tip(&key(author));
    let operation = forge(log, author, seq + 1, prev, kind);
    log.insert(operation.clone()).unwrap();
    operation
}

/// The author's next operation, if the rules allow it; it is in the log afterwards.
fn write(log: &mut Log, author: usize, kind: Kind) -> Result<Operation, RuleError> {
    let operation = unsigned(Draft::new(log, key(author), kind)?.bytes());
    log.insert(operation.clone()).unwrap();
    assert!(log.view().counts(&operation.id()), "a draft had no effect: {operation:?}");
    Ok(operation)
}

/// Adds a key, which has not agreed yet.
fn offer(log: &mut Log, by: usize, who: usize, role: Role) -> OpId {
    let add = log.addition(key(who), role, None, None);
    write(log, by, add).unwrap().id()
}

/// Adds a key, which agrees.
fn admit(log: &mut Log, by: usize, who: usize, role: Role) -> OpId {
    let add = offer(log, by, who, role);
    let accept = log.acceptance(&key(who), None).unwrap();
    write(log, who, accept).unwrap();
    add
}

/// What `by` writes to remove somebody.
fn expel(log: &mut Log, by: usize, who: usize) -> Vec<Operation> {
    let kinds = log.removal(&key(by), &key(who), &"".parse().unwrap());
    assert!(!kinds.is_empty(), "{by} cannot remove {who}");
    kinds.into_iter().map(|kind| write(log, by, kind).unwrap()).collect()
}

/// Everything of several logs in one.
fn merged(logs: &[&Log]) -> Log {
    let mut whole = logs[0].clone();
    for operation in logs[1..].iter().flat_map(|log| log.operations()) {
        whole.insert(operation.clone()).unwrap();
    }
    whole
}
