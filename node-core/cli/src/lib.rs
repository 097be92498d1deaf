//! What of the command line is worth testing from outside: the readers of other programs' files.
//!
//! The program itself is `main.rs`. Nothing here asks the service or prints.

pub mod foreign;
