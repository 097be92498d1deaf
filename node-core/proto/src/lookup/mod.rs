//! Finding where a key is: Bloom filters along the tree, lookups that follow them, and the paths
//! they bring back.
//!
//! Source: protocol chapter 5.

mod bloom;
mod filters;
mod paths;

#[cfg(test)]
pub(crate) use bloom::murmur3_x64_128;
pub use bloom::{BloomFilter, BloomPositions};
pub(crate) use filters::Filters;
pub use paths::KnownPath;
pub(crate) use paths::{Paths, Verdict};
