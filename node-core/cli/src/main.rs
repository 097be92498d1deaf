//! `planetary`, the command line of the node.
//!
//! It asks the service over the control socket and prints what it hears; it opens no interface, has
//! no node of its own and knows nothing of the network's protocol. `args.rs` is what was typed,
//! `commands/` what it means (one file per command), `format.rs` how it looks, `failure.rs` how it
//! ends. Data goes to standard output, talk to standard error; a reader that has heard enough (a
//! closed pipe) is no failure.
//!
//! Exit codes: 0 done, 1 the request failed, 2 wrong usage, 3 the service cannot be reached.

mod args;
mod changes;
mod commands;
mod failure;
mod format;
mod session;

use std::process::ExitCode;

use clap::Parser;

use args::Args;
use failure::Failure;
use format::Printer;
use session::Session;

fn main() -> ExitCode {
    let args = Args::parse();
    let json = args.json;
    let (session, printer) = (Session::new(&args.place), Printer::new(json));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(commands::run(args.command, session, printer)),
        Err(error) => Err(Failure::Output(error)),
    };
    match ended {
        Ok(code) => code,
        Err(failure) => failure.report(json),
    }
}
