//! A log as bytes, for the state folder: the operations one after the other, the first one first.
//! A log that began from a checkpoint has a few bytes before them that name its last operation.
//!
//! The file is read like a stranger's: every signature is verified again.

use std::sync::Arc;

use thiserror::Error;

use super::{
    Log, LogError,
    checkpoint::base_in,
    operation::{OpId, Operation, OperationError},
};
use crate::limits::{LOG_LEN_MAX, OPERATION_HEAD_LEN, OPERATION_TAIL_LEN, OPERATIONS_MAX};

/// Stands before the name of the checkpoint that a log began from.
pub(super) const BASED: &[u8; 5] = b"PLNB1";

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
    /// The checkpoint that it began from is not in it.
    #[error("the log lacks the checkpoint that it began from")]
    Checkpoint,
    /// One of them is there twice, or changes nothing.
    #[error("the log holds an operation that changes nothing")]
    Twice,
}

impl Log {
    /// The log as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes + BASED.len() + 32);
        if let Some(last) = self.began_at() {
            bytes.extend_from_slice(BASED);
            bytes.extend_from_slice(last.as_bytes());
        }
        for operation in core::iter::once(self.genesis()).chain(self.operations()) {
            bytes.extend_from_slice(operation.bytes());
        }
        bytes
    }

    /// Reads what [`Log::to_bytes`] gave. Verifies every signature.
    ///
    /// # Errors
    /// [`ReadError`] for bytes that are anything else, whatever part of it.
    pub fn read(bytes: &[u8]) -> Result<Self, ReadError> {
        let (last, rest) = match bytes.strip_prefix(BASED) {
            None => (None, bytes),
            Some(rest) => {
                let (last, rest) = rest.split_first_chunk().ok_or(ReadError::Cut)?;
                (Some(OpId::from_bytes(*last)), rest)
            }
        };
        let (genesis, rest) = cut(rest)?;
        let log = Self::new(Operation::parse(genesis)?)?;
        let operations = read_operations(&log, rest)?;
        let base = match last {
            None => None,
            Some(last) => {
                let base = base_in(&operations, &last).ok_or(ReadError::Checkpoint)?;
                Some((last, Arc::new(base)))
            }
        };
        let mut log = log.emptied(base);
        for operation in operations {
            if log.knows(&operation) {
                return Err(ReadError::Twice);
            }
            log.take(operation);
        }
        log.name_everybody();
        Ok(log)
    }
}

/// All operations, as many as a log holds. By author and number, so that what adds an author may
/// come after what it has said: the other bounds of [`Log::insert`] do not hold here.
fn read_operations(log: &Log, mut bytes: &[u8]) -> Result<Vec<Operation>, ReadError> {
    if bytes.len() + log.bytes > LOG_LEN_MAX {
        return Err(LogError::Full.into());
    }
    let mut operations = Vec::new();
    while !bytes.is_empty() {
        let (operation, rest) = cut(bytes)?;
        let operation = Operation::parse(operation)?;
        if operation.circle() != log.id() {
            return Err(LogError::OtherCircle.into());
        }
        if operations.len() + 1 >= OPERATIONS_MAX {
            return Err(LogError::Full.into());
        }
        operations.push(operation);
        bytes = rest;
    }
    Ok(operations)
}

/// The first operation, as far as its length says, and what follows.
fn cut(bytes: &[u8]) -> Result<(&[u8], &[u8]), ReadError> {
    let len = bytes.get(OPERATION_HEAD_LEN - 2..OPERATION_HEAD_LEN).ok_or(ReadError::Cut)?;
    let len = usize::from(u16::from_be_bytes([len[0], len[1]]));
    bytes.split_at_checked(OPERATION_HEAD_LEN + len + OPERATION_TAIL_LEN).ok_or(ReadError::Cut)
}
