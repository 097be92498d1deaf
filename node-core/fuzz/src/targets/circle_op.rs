//! Operations of circles, and logs of them.
//!
//! The input is tried as an operation and as a log as it stands; then as kind and body of an
//! operation that is signed as it should be, so that what lies behind the signature is reached.
//!
//! Asserted: what is read is read again the same; a log that takes an operation amounts to
//! something within its bounds, is read again from its bytes, and lacks nothing of itself.

use planetary_circles::{
    limits::{BODY_LEN_MAX, MEMBERS_MAX, OPERATION_LEN_MAX},
    log::{Draft, Kind, Log, Operation, Role},
};
use planetary_proto::Identity;

use crate::host::identity;

/// See the module.
pub fn circle_op(data: &[u8]) {
    if let Ok(operation) = Operation::parse(data) {
        assert_eq!(operation.bytes(), data);
        assert!(data.len() <= OPERATION_LEN_MAX);
    }
    if let Ok(log) = Log::read(data) {
        check(&log);
    }
    let Some((kind, body)) = data.split_first() else { return };
    let body = &body[..body.len().min(BODY_LEN_MAX)];
    for author in 0..2 {
        // The log is that of A, and B is an admin of it.
        let mut log = circle();
        let author = identity(author);
        let Ok(operation) = Operation::parse(&signed(&log, &author, *kind, body)) else { return };
        log.insert(operation).expect("the next operation of a member has a place");
        check(&log);
        log.adopt_checkpoint();
        check(&log);
        for checkpoint in log.checkpoints() {
            if let Some(compacted) = log.compacted(&checkpoint) {
                assert_eq!(compacted.view().members, log.view().members);
            }
        }
    }
}

/// A circle of A, with B as an admin.
fn circle() -> Log {
    let (ada, bob) = (identity(0), identity(1));
    let name = "Family".parse().expect("a name");
    let draft = Draft::genesis(name, vec![ada.key()], [7; 16], false).expect("a beginning");
    let mut log = Log::new(draft.sign(&ada).expect("A's")).expect("a beginning");
    let add = log.addition(bob.key(), Role::Admin, None, None);
    write(&mut log, &ada, add);
    let accept = log.acceptance(&bob.key(), None).expect("B is invited");
    write(&mut log, &bob, accept);
    log
}

fn write(log: &mut Log, author: &Identity, kind: Kind) {
    let draft = Draft::new(log, author.key(), kind).expect("the rules allow it");
    log.insert(draft.sign(author).expect("its author's")).expect("there is room");
}

/// The author's next operation, of any kind and with any body.
fn signed(log: &Log, author: &Identity, kind: u8, body: &[u8]) -> Vec<u8> {
    let last = log.operations().filter(|one| one.author() == author.key()).last();
    let last = last.expect("A and B have said something");
    let len = u16::try_from(body.len()).expect("a body is short");
    let unsigned = [
        b"PLNC1",
        &log.id().as_bytes()[..],
        author.key().as_bytes(),
        &(last.seq() + 1).to_be_bytes(),
        last.id().as_bytes(),
        &[kind],
        &len.to_be_bytes(),
        body,
    ]
    .concat();
    let signature = author.sign(&[b"planetary circle op\0", &unsigned[..]].concat());
    [&unsigned[..], signature.as_bytes()].concat()
}

fn check(log: &Log) {
    assert!(log.view().members.len() <= MEMBERS_MAX);
    assert!(!log.heads().iter().any(|head| log.lacks(head)));
    let heads = log.heads();
    assert!(heads.is_empty() || log.missing(&heads, usize::MAX, usize::MAX).is_empty());
    let read = Log::read(&log.to_bytes()).expect("a log reads what it wrote");
    assert_eq!(read.view(), log.view());
    assert_eq!(read.heads(), heads);
}
