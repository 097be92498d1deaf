//! Bytes that are operations or logs, and bytes that are none.

use proptest::prelude::*;

use super::{
    super::{
        BodyError, Draft, Kind, Log, OpId, Operation, OperationError, ReadError, Role,
        operation::{OpHead, emit_unsigned, signed_bytes},
        storage,
    },
    identity, key,
};
use crate::limits::{OPERATION_HEAD_LEN, OPERATION_LEN_MAX};

fn signed_circle() -> Log {
    let draft = Draft::genesis("Family".parse().unwrap(), vec![key(0)], [7; 16], false).unwrap();
    Log::new(draft.sign(identity(0)).unwrap()).unwrap()
}

fn sign(log: &mut Log, who: usize, kind: Kind) -> Operation {
    let draft = Draft::new(log, key(who), kind).unwrap();
    let operation = draft.sign(identity(who)).unwrap();
    log.insert(operation.clone()).unwrap();
    operation
}

/// A log with one of nearly everything.
pub(super) fn signed_log() -> Log {
    let mut log = signed_circle();
    let invite = Kind::Invite { token_hash: [1; 32], expires: 9, uses: 1, role: Role::Admin };
    let invite = sign(&mut log, 0, invite).id();
    let label = Some("Bob".parse().unwrap());
    let add = log.addition(key(1), Role::Admin, label, Some(invite));
    sign(&mut log, 0, add);
    let accept = log.acceptance(&key(1), Some([2; 32])).unwrap();
    sign(&mut log, 1, accept);
    let suggested = Some(vec!["tcp/22".parse().unwrap(), "udp/1-9".parse().unwrap()]);
    sign(&mut log, 1, Kind::Meta { name: Some("Home".parse().unwrap()), suggested });
    sign(&mut log, 0, Kind::Key { generation: 1, commitment: [3; 32] });
    let reason = "moved".parse().unwrap();
    let kinds = log.removal(&key(0), &key(1), &reason);
    kinds.into_iter().for_each(|kind| drop(sign(&mut log, 0, kind)));
    log
}

#[test]
fn operations_and_logs_read_as_they_were_written() {
    let log = signed_log();
    for operation in log.operations().chain([log.genesis()]) {
        let read = Operation::parse(operation.bytes()).unwrap();
        assert_eq!((read.id(), read.kind()), (operation.id(), operation.kind()));
        assert_eq!((read.author(), read.seq()), (operation.author(), operation.seq()));
        assert_eq!(read.circle(), log.id());
    }
    let read = Log::read(&log.to_bytes()).unwrap();
    assert_eq!(read.view(), log.view());
    assert_eq!(read.to_bytes(), log.to_bytes());
    assert_eq!(read.len(), 7);
}

#[test]
fn no_byte_of_an_operation_can_be_another() {
    let log = signed_log();
    for operation in log.operations().chain([log.genesis()]) {
        for at in 0..operation.bytes().len() {
            let mut bytes = operation.bytes().to_vec();
            bytes[at] ^= 1;
            assert!(Operation::parse(&bytes).is_err(), "byte {at} of {operation:?}");
        }
        assert_eq!(
            Operation::parse(&operation.bytes()[..operation.bytes().len() - 1]),
            Err(OperationError::Layout)
        );
        assert_eq!(
            Operation::parse(&[operation.bytes(), &[0]].concat()),
            Err(OperationError::Layout)
        );
    }
}

/// The operation with this body, signed as it should be.
fn with_body(kind: u8, body: &[u8]) -> Result<Operation, OperationError> {
    let log = signed_circle();
    let head = OpHead { circle: log.id(), author: key(0), seq: 1, prev: log.id().genesis() };
    let meta = Kind::Meta { name: Some("x".parse().unwrap()), suggested: None };
    let mut bytes = emit_unsigned(&head, &meta).unwrap();
    bytes.truncate(OPERATION_HEAD_LEN - 3);
    bytes.push(kind);
    bytes.extend((body.len() as u16).to_be_bytes());
    bytes.extend(body);
    let signature = identity(0).sign(&signed_bytes(&bytes));
    bytes.extend(signature.as_bytes());
    Operation::parse(&bytes)
}

#[test]
fn a_body_has_one_encoding() {
    assert!(with_body(6, b"\xa1\x00\x61x").is_ok());
    for (body, error) in [
        (&b"\xa1\x18\x00\x61x"[..], BodyError::Encoding), // A longer key.
        (b"\xa1\x00\x78\x01x", BodyError::Encoding),      // A longer length.
        (b"\xbf\x00\x61x\xff", BodyError::Encoding),      // A map without length.
        (b"\xa1\x00\x63 x ", BodyError::Encoding),        // Blanks around a name.
        (b"\xa2\x00\x61x\x00\x61x", BodyError::Fields),   // A field twice.
        (b"\xa1\x00\x61x\x00", BodyError::Fields),        // A byte behind it.
        (b"\xa1\x05\x61x", BodyError::Fields),            // An unknown field.
        (b"\xa1\x00\x41x", BodyError::Fields),            // Bytes in place of a text.
        (b"\xa1\x00\x61\xff", BodyError::Fields),         // No UTF-8.
        (b"\xa0", BodyError::Value),                      // Nothing at all.
        (b"\xa1\x00\x60", BodyError::Value),              // An empty name.
        (b"\xa1\x01\x81\x66tcp/00", BodyError::Value),    // No port.
        (b"", BodyError::Fields),
    ] {
        assert_eq!(with_body(6, body), Err(error.into()), "{body:x?}");
    }
    assert_eq!(with_body(8, b"\xa0"), Err(BodyError::Kind(8).into()));
    assert_eq!(with_body(7, &[0; 1025]), Err(OperationError::Layout));
}

#[test]
fn a_first_operation_has_no_place_elsewhere_and_others_none_at_the_beginning() {
    let log = signed_log();
    let place = |change: fn(&mut OpHead), author: usize, kind: &Kind| {
        let mut head =
            OpHead { circle: log.id(), author: key(author), seq: 1, prev: log.id().genesis() };
        change(&mut head);
        let bytes = emit_unsigned(&head, kind).unwrap();
        let signature = identity(author).sign(&signed_bytes(&bytes));
        Operation::parse(&[&bytes[..], signature.as_bytes()].concat()).map(|_| ())
    };
    let first = |head: &mut OpHead| {
        head.circle = super::super::CircleId::from_bytes([0; 32]);
        head.seq = 0;
        head.prev = OpId::from_bytes([0; 32]);
    };
    let genesis = log.genesis().kind();
    let other = Kind::Accept { add: OpId::from_bytes([1; 32]), proof: None };
    assert_eq!(place(first, 0, genesis), Ok(()));
    assert_eq!(place(|_| (), 0, &other), Ok(()));
    assert_eq!(place(|_| (), 0, genesis), Err(OperationError::Place));
    assert_eq!(place(first, 1, genesis), Err(OperationError::Place));
    assert_eq!(place(first, 0, &other), Err(OperationError::Place));
    assert_eq!(place(|head| head.seq = 0, 0, &other), Err(OperationError::Place));
}

#[test]
fn a_weak_key_signs_nothing() {
    // With the neutral point as key, anybody's signature of R = point, S = 0 is valid.
    let log = signed_circle();
    let mut weak = [0; 32];
    weak[0] = 1;
    let head = OpHead {
        circle: log.id(),
        author: planetary_proto::NodeKey::from_bytes(weak),
        seq: 1,
        prev: log.id().genesis(),
    };
    let kind = Kind::Accept { add: log.id().genesis(), proof: None };
    let bytes = emit_unsigned(&head, &kind).unwrap();
    let signature = [&weak[..], &[0; 32]].concat();
    let operation = [&bytes[..], &signature].concat();
    assert_eq!(Operation::parse(&operation), Err(OperationError::WeakKey));
}

#[test]
fn a_draft_is_signed_by_its_author_alone() {
    let log = signed_circle();
    let draft = Draft::new(&log, key(0), log.addition(key(1), Role::Member, None, None)).unwrap();
    assert_eq!(draft.sign(identity(1)), Err(OperationError::Signature));
    // As a program signs it that has nothing but the bytes.
    let message = [b"planetary circle op\0", draft.bytes()].concat();
    let operation = draft.signed(*identity(0).sign(&message).as_bytes()).unwrap();
    assert_eq!(operation.bytes()[..draft.bytes().len()], *draft.bytes());
}

#[test]
fn a_damaged_log_is_refused() {
    let log = signed_log();
    let bytes = log.to_bytes();
    assert_eq!(Log::read(&[]).unwrap_err(), ReadError::Cut);
    for len in 1..bytes.len() {
        // Some ends are the ends of operations.
        if let Ok(shorter) = Log::read(&bytes[..len]) {
            assert!(shorter.len() < log.len());
            assert_eq!(shorter.to_bytes(), &bytes[..len]);
        }
    }
    let last = log.operations().last().unwrap();
    let twice = [&bytes[..], last.bytes()].concat();
    assert_eq!(Log::read(&twice).unwrap_err(), ReadError::Twice);
    let genesis = log.genesis().bytes();
    assert!(matches!(Log::read(&bytes[genesis.len()..]).unwrap_err(), ReadError::Place(_)));
    let based = [storage::BASED, &[1; 32][..], &bytes].concat();
    assert_eq!(Log::read(&based).unwrap_err(), ReadError::Checkpoint);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..OPERATION_LEN_MAX + 9)) {
        prop_assert!(Operation::parse(&bytes).is_err());
        prop_assert!(Log::read(&bytes).is_err());
    }
}
