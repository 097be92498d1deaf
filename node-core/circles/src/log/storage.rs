//! A log as bytes, for the state folder: the operations one after the other, the first one first.
//!
//! The file is read like a stranger's: every signature is verified again.

use thiserror::Error;

use super::{
    Log, LogError,
    operation::{Operation, OperationError},
};
use crate::limits::{LOG_LEN_MAX, OPERATION_HEAD_LEN, OPERATION_TAIL_LEN, OPERATIONS_MAX};

/// Why bytes are no log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// They end within an operation, or there is none.
    #[error("the log ends within an operation")]
    Cut,
    /// One of them is none.
    #[error("the log holds what is no operation")]
    Operation(#[from] OperationError),
    /// One of them has no place in it.
    #[error("the log holds an operation that has no place in it")]
    Place(#[from] LogError),
    /// One of them is there twice, or changes nothing.
    #[error("the log holds an operation that changes nothing")]
    Twice,
}

impl Log {
    /// The log as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        core::iter::once(self.genesis()).chain(self.operations()).fold(
            Vec::new(),
            |mut bytes, operation| {
                bytes.extend_from_slice(operation.bytes());
                bytes
            },
        )
    }

    /// Reads what [`Log::to_bytes`] gave. Verifies every signature.
    ///
    /// # Errors
    /// [`ReadError`] for bytes that are anything else, whatever part of it.
    pub fn read(bytes: &[u8]) -> Result<Self, ReadError> {
        let (genesis, mut rest) = cut(bytes)?;
        let mut log = Self::new(Operation::parse(genesis)?)?;
        while !rest.is_empty() {
            let (operation, after) = cut(rest)?;
            let operation = Operation::parse(operation)?;
            if operation.circle() != log.id() {
                return Err(LogError::OtherCircle.into());
            }
            if log.knows(&operation) {
                return Err(ReadError::Twice);
            }
            // By author and number, so that what adds an author may come after what it has said:
            // only the bounds of the whole hold.
            if log.len() >= OPERATIONS_MAX || log.bytes + operation.bytes().len() > LOG_LEN_MAX {
                return Err(LogError::Full.into());
            }
            log.take(operation);
            rest = after;
        }
        for senior in log.seniors().to_vec() {
            log.name_members_of(senior);
        }
        Ok(log)
    }
}

/// The first operation, as far as its length says, and what follows.
fn cut(bytes: &[u8]) -> Result<(&[u8], &[u8]), ReadError> {
    let len = bytes.get(OPERATION_HEAD_LEN - 2..OPERATION_HEAD_LEN).ok_or(ReadError::Cut)?;
    let len = usize::from(u16::from_be_bytes([len[0], len[1]]));
    bytes.split_at_checked(OPERATION_HEAD_LEN + len + OPERATION_TAIL_LEN).ok_or(ReadError::Cut)
}
