//! Test grounds.
