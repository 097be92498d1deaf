//! The node service: what surrounds the engine so that a person, a system and other programs can
//! rely on it.
//!
//! `planetaryd` is a thin program around this crate. [`args`] is its command line, [`config`] its
//! file, [`state`] what it keeps on disk, [`places`] where all of these are, [`install`] its entry
//! in the system, [`survey`] what it sees around itself, [`log`] and [`health`] what it says about
//! itself, [`policy`] who may reach the computer, [`names`] what its programs call other nodes,
//! [`public`] how it finds peers for a person who has none, [`admin`] the interface of the
//! reference for tools that were written for it, and [`lifecycle`] the states it goes through from
//! start to stop.
//!
//! Packets, links and the protocol are none of its business: `planetary-runtime` has them. The
//! control API's messages and framing are `planetary-ipc`'s; this crate answers them. Nothing that
//! a client of the control socket names is ever used as a path or a command.

pub mod admin;
pub mod args;
pub mod backup;
pub mod config;
pub mod control;
pub mod explore;
pub mod handover;
pub mod health;
pub mod install;
pub mod lifecycle;
pub mod log;
pub mod metrics;
pub mod names;
pub mod node;
pub mod places;
pub mod policy;
pub mod public;
pub mod releases;
pub mod report;
pub mod state;
pub mod survey;
