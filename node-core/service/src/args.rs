//! The command line of `planetaryd`: what may be typed. What it implies is decided elsewhere.

use std::ffi::OsStr;
use std::fmt::Display;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use planetary_ipc::status::public_uri;
use planetary_runtime::links::uri::{ListenUri, PeerUri};

use crate::config::{TunName, printable};

/// The node service of the Planetary Network.
#[derive(Debug, Parser)]
#[command(name = "planetaryd", version, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage.\n\
        A running service is controlled with `planetary`.")]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the node in the foreground until it is told to stop.
    Run(RunArguments),
    /// Install and start the system service. Needs root.
    Install(InstallArguments),
    /// Stop and remove the system service. The node's key and configuration stay. Needs root.
    Uninstall(UninstallArguments),
    /// Print a configuration file with every key, its explanation and its default.
    Genconf,
    /// Check a configuration file and name every mistake in it.
    CheckConfig {
        /// The file; without it the system service's, else the user's.
        file: Option<PathBuf>,
    },
    /// Write the manual pages and the completions for shells below a folder, for packages.
    #[command(hide = true)]
    Manual {
        /// Gets the folders `man` and `completions`.
        folder: PathBuf,
    },
}

/// How to run.
#[derive(Debug, Default, Args)]
pub struct RunArguments {
    /// Configuration file; must exist when named.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder for the node's key and state.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Control socket.
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,
    /// Network interface for this run: "auto", "none" (needs no privilege) or a name.
    #[arg(long, value_name = "auto|none|NAME")]
    pub tun: Option<TunName>,
    /// Peer for this run, beside those of the configuration; may be repeated.
    #[arg(long = "peer", value_name = "URI", value_parser = UriParser::<PeerUri>::new())]
    pub peers: Vec<PeerUri>,
    /// Address to accept links on in this run, beside those of the configuration; may be repeated.
    #[arg(long = "listen", value_name = "URI", value_parser = UriParser::<ListenUri>::new())]
    pub listen: Vec<ListenUri>,
    /// Look for no nodes on the local networks in this run.
    #[arg(long)]
    pub no_lan: bool,
    /// Stay when the node cannot be started, for want of an interface most often: tell clients why,
    /// and try again every half a minute. Without it the process ends.
    #[arg(long)]
    pub stay: bool,
    /// Write the log to this file instead of standard error. It is renamed to FILE.old when it has
    /// become long.
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Set by the Windows service manager's entry for this program.
    #[cfg(windows)]
    #[arg(long, hide = true)]
    pub windows_service: bool,
}

/// Reads a URI, and shows no password when it cannot: the usual message repeats what was typed.
#[derive(Clone, Copy, Debug)]
struct UriParser<U>(PhantomData<U>);

impl<U> UriParser<U> {
    const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<U> TypedValueParser for UriParser<U>
where
    U: FromStr<Err: Display> + Clone + Send + Sync + 'static,
{
    type Value = U;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<U, clap::Error> {
        let text = value.to_string_lossy();
        text.parse().map_err(|error| {
            let argument = argument.map(ToString::to_string).unwrap_or_default();
            let shown = printable(&public_uri(&text));
            let words = format!("invalid value '{shown}' for '{argument}': {error}");
            command.clone().error(ErrorKind::ValueValidation, words)
        })
    }
}

/// How to install.
#[derive(Debug, Default, Args)]
pub struct InstallArguments {
    /// Put the files below this folder and run no command: for packages and tests.
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
}

/// How to uninstall.
#[derive(Debug, Default, Args)]
pub struct UninstallArguments {
    /// Remove the files below this folder and run no command: for packages and tests.
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Remove the node's key, its state, the configuration and the account too. The address is lost
    /// for good.
    #[arg(long)]
    pub purge: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn run_takes_every_flag() {
        let line = "planetaryd run --config c --state-dir s --control x --tun none \
                    --peer tcp://h:1 --peer tls://h:2 --listen tcp://[::]:0";
        let parsed = Arguments::try_parse_from(line.split_whitespace()).unwrap();
        let Command::Run(run) = parsed.command else { panic!("not run") };
        assert_eq!((run.peers.len(), run.listen.len()), (2, 1));
        assert_eq!(run.tun, Some(TunName::None));
    }

    #[test]
    fn wrong_words_are_wrong_usage() {
        for line in [
            "planetaryd",
            "planetaryd walk",
            "planetaryd run --tun a/b",
            "planetaryd run --peer nonsense",
            "planetaryd run --peer gopher://h:1",
            "planetaryd run extra",
            "planetaryd genconf extra",
        ] {
            let error = Arguments::try_parse_from(line.split_whitespace()).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn a_uri_that_is_wrong_is_named_without_its_password() {
        for uri in
            ["tcp://h:1?password=hunter2&x", "tcp://h:1;password=hunter2", "tcp:/u:hunter2@h:x"]
        {
            for option in ["--peer", "--listen"] {
                let error = Arguments::try_parse_from(["planetaryd", "run", option, uri]);
                let words = error.unwrap_err().to_string();
                assert!(words.contains(option) && !words.contains("hunter2"), "{words}");
            }
        }
    }
}
