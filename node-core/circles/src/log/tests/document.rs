//! The vectors of `docs/circles.md`, which another program has computed.

use super::{
    super::{Draft, Kind, Log, Operation, Role},
    identity, key,
};
use crate::invite::Token;

const DOCUMENT: &str = include_str!("../../../../docs/circles.md");

fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    let digit = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(digit).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn vector(name: &str) -> Vec<u8> {
    let (_, rest) = DOCUMENT.split_once(&format!("```vector {name}\n")).unwrap();
    unhex(rest.split_once("```").unwrap().0)
}

fn is_named(bytes: &[u8]) {
    assert!(DOCUMENT.contains(&hex(bytes)), "{} is not in the document", hex(bytes));
}

#[test]
fn operations_are_those_of_the_document() {
    is_named(key(0).as_bytes());
    is_named(key(1).as_bytes());
    let draft = Draft::genesis("Family".parse().unwrap(), vec![key(0)], [7; 16], false).unwrap();
    let genesis = draft.sign(identity(0)).unwrap();
    assert_eq!(hex(genesis.bytes()), hex(&vector("genesis")));
    let mut log = Log::new(genesis).unwrap();
    is_named(log.id().as_bytes());

    let mut next = |who: usize, kind: &dyn Fn(&Log) -> Kind, name: &str| {
        let draft = Draft::new(&log, key(who), kind(&log)).unwrap();
        let operation = draft.sign(identity(who)).unwrap();
        assert_eq!(hex(operation.bytes()), hex(&vector(name)));
        assert_eq!(Operation::parse(&vector(name)).unwrap(), operation);
        log.insert(operation.clone()).unwrap();
        operation.id()
    };
    let label = || Some("Bob".parse().unwrap());
    let add = next(0, &|log| log.addition(key(1), Role::Member, label(), None), "add");
    is_named(add.as_bytes());
    next(1, &|log| log.acceptance(&key(1), None).unwrap(), "accept");
    let reason = "moved".parse().unwrap();
    next(0, &|log| log.removal(&key(0), &key(1), &reason).remove(0), "remove");

    let token = Token::from_bytes(core::array::from_fn(|at| at as u8));
    is_named(&token.hash(&log.id()));
    is_named(&token.proof(&key(1), &key(0)));
}
