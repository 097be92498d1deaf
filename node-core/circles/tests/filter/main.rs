//! The filter, compared with an oracle and tried case by case.

#![expect(clippy::unwrap_used, reason = "a step that fails ends its test")]

mod answers;
mod bounds;
mod cases;
mod choices;
mod form;
mod fragments;
mod oracle;
mod packets;
mod random;
