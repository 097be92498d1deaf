//! Other nodes, explored on request: what they say when they are asked, and what is remembered.
//!
//! Only a person's wish leads here, and one new node a second is asked, however many clients there
//! are: other people's nodes are no playground. What comes back is a stranger's word. [`read`]
//! takes the answers apart and lets nothing pass that is long, deep or disguised; [`memory`] keeps
//! a bounded part for ten minutes. The talking is done by `node/exploring`.

pub mod memory;
pub mod read;

pub use memory::{Learnt, Memory};
