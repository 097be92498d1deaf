//! The node service.

fn main() {}
