//! `planetary`, the command line of the node.
//!
//! It asks the service over the control socket and prints what it hears; it opens no interface, has
//! no node of its own and knows nothing of the network's protocol. `args.rs` is what was typed,
//! `commands/` what it means (one file per command), `format.rs` how it looks, `failure.rs` how it
//! ends. What was asked for and what was done goes to standard output, errors to standard error; a
//! reader that has heard enough (a closed pipe) is no failure.
//!
//! Exit codes: 0 done, 1 the request failed, 2 what was typed is wrong (whether this program or the
//! service finds that), 3 the service cannot be reached. The codes of errors are in `failure.rs`.

mod args;
mod ask;
mod changes;
mod commands;
mod failure;
mod files;
mod format;
mod keys;
mod passphrase;
mod qr;
mod session;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use args::Args;
use failure::Failure;
use format::Printer;
use session::Session;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(asked) if !asked.use_stderr() => return print_help(&asked),
        Err(mistake) => return Failure::Usage(mistake).report(args::wants_json()),
    };
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

/// Prints the help or the version that was asked for.
fn print_help(asked: &clap::Error) -> ExitCode {
    match asked.print().and_then(|()| io::stdout().flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => Failure::Output(error).report(args::wants_json()),
    }
}
