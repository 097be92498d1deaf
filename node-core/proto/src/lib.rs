//! The wire protocol of the Planetary Network, without any I/O.
