//! What each command means: one file per command.

mod address;
mod circle;
mod doctor;
mod explore;
mod forward;
mod friend;
mod identity;
mod import;
mod invite;
mod join;
mod lan;
mod logs;
mod manual;
mod path;
mod pause;
mod peer;
mod peer_public;
mod peer_test;
mod ping;
mod questions;
mod settings;
mod share;
mod status;
mod switch;
mod topology;
mod visits;
mod watch;

use std::process::ExitCode;

use crate::args::{Command, IdentityCommand, PeerCommand};
use crate::failure::Failure;
use crate::format::Printer;
use crate::session::Session;

/// Runs a command to its end.
pub(crate) async fn run(
    command: Command,
    session: Session,
    printer: Printer,
) -> Result<ExitCode, Failure> {
    let done = match command {
        Command::Status => status::run(&session, &printer).await,
        Command::Up => switch::up(&session, &printer).await,
        Command::Down => switch::down(&session, &printer).await,
        Command::Watch => watch::run(&session, &printer).await,
        Command::Doctor(wish) => return doctor::run(&session, &printer, wish).await,
        Command::Logs(wish) => return logs::run(&session, &printer, wish).await,
        Command::Address { subnet, key } => address::run(&session, &printer, subnet, key).await,
        Command::Peer(PeerCommand::List) => peer::list(&session, &printer).await,
        Command::Peer(PeerCommand::Add { peer }) => peer::add(&session, &printer, peer).await,
        Command::Peer(PeerCommand::Remove { peer }) => peer::remove(&session, &printer, peer).await,
        Command::Peer(PeerCommand::Pause { peer }) => peer::pause(&session, &printer, peer).await,
        Command::Peer(PeerCommand::Resume { peer }) => peer::resume(&session, &printer, peer).await,
        Command::Peer(PeerCommand::Test { uris }) => {
            return peer_test::run(&session, &printer, uris).await;
        }
        Command::Peer(PeerCommand::Public(asked)) => {
            return peer_public::run(&session, &printer, asked).await;
        }
        Command::Topology { dot } => topology::run(&session, &printer, dot).await,
        Command::Path { target } => path::run(&session, &printer, target).await,
        Command::Explore { target } => explore::run(&session, &printer, target).await,
        Command::Ping { target, count, timeout } => {
            return ping::run(&session, &printer, target, count, timeout).await;
        }
        Command::Identity(IdentityCommand::Show) => identity::run(&session, &printer).await,
        Command::Settings { command } => settings::run(&session, &printer, command).await,
        Command::Listener(command) => settings::listener(&session, &printer, command).await,
        Command::Lan { command } => lan::run(&session, &printer, command).await,
        Command::Forward(command) => forward::run(command, &session, &printer).await,
        Command::Friend(command) => return friend::run(command, &session, &printer).await,
        Command::Share(args) => share::run(&session, &printer, args).await,
        Command::Circle(command) => return circle::run(command, &session, &printer).await,
        Command::Invite(command) => invite::run(command, &session, &printer).await,
        Command::Join(args) => return join::run(&session, &printer, args).await,
        Command::Questions(args) => questions::run(&session, &printer, args).await,
        Command::Visits => visits::run(&session, &printer).await,
        Command::Pause { for_s } => pause::pause(&session, &printer, for_s).await,
        Command::Resume => pause::resume(&session, &printer).await,
        Command::Identity(IdentityCommand::Export(args)) => {
            identity::export(&session, &printer, args).await
        }
        Command::Identity(IdentityCommand::Import(args)) => {
            identity::import(&session, &printer, args).await
        }
        Command::Import(args) => import::run(&session, &printer, args).await,
        Command::Manual { folder } => manual::run(&folder),
    };
    done.map(|()| ExitCode::SUCCESS)
}
