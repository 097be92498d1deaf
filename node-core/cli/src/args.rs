//! What can be typed. The only definition of names, options and help texts.

mod circle;
mod friend;
mod roads;
mod settings;

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use planetary_ipc::logs::LogLevel;
use planetary_ipc::{Target, limits};

pub(crate) use circle::{
    CircleCommand, CircleRights, InviteArgs, InviteCommand, JoinArgs, MemberOf, OnOff, Picture,
    QuestionCommand, QuestionsArgs, RecoverArgs,
};
pub(crate) use friend::{AddArgs, FriendCommand, Right, RightsArgs, ShareArgs, is_everyone};
pub(crate) use roads::{ForwardCommand, LanCommand};
pub(crate) use settings::{ListenerCommand, SettingsCommand};

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 the request failed, 2 what was typed is wrong,
3 the service cannot be reached.

With --json an error is one line on standard error, with code, message and hint:
{\"error\": {\"code\": …, \"message\": …, \"hint\": …}}
The code is one of the service, or: `usage` (the command line is wrong), `output`
(the answer cannot be written), `file` (a file cannot be read or written),
`not_confirmed` (a question was not answered with yes), `invalid_words` (the words
are not those of a key on paper), `not_joined` (a link let this computer into no
circle), and for a service that
cannot be reached `stopped`, `no_permission`, `version_mismatch`, `untrusted`,
`unreachable`, `connection_lost`.

The control socket is the one named by --control, else by PLANETARY_CONTROL, else the
first that exists of the system's service, of your own in the runtime folder and of your
own in the state folder. NO_COLOR turns colours off.";

/// See and steer the node of this computer.
#[derive(Debug, Parser)]
#[command(name = "planetary", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) place: Place,

    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the service is.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// Control socket of the service
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) control: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show how the node is: state, address, place in the network, peers
    Status,
    /// Switch the node on
    Up,
    /// Switch the node off; the service keeps running
    Down,
    /// Show the state as it changes, until interrupted
    ///
    /// On a terminal this is a live view with the traffic of the last minute, which waits for the
    /// service when it goes away; q ends it.
    /// Elsewhere, and where TERM is unset or `dumb`, it prints one line per change and ends with
    /// the service (exit code 3).
    Watch,
    /// Check everything and say what is wrong and what to do
    ///
    /// Exit code 1 when something does not work.
    Doctor(DoctorArgs),
    /// Show what the service has to say
    ///
    /// The system's service writes to the system's journal, which `journalctl` shows; any other
    /// service is asked for the latest lines that it keeps. JSON always comes from the service.
    Logs(LogsArgs),
    /// Print the address of this node
    Address {
        /// Print the routed subnet instead
        #[arg(long, conflicts_with = "key")]
        subnet: bool,
        /// Print the public key instead
        #[arg(long)]
        key: bool,
    },
    /// List, add, remove, test and choose peers
    #[command(subcommand)]
    Peer(PeerCommand),
    /// Show the part of the network this node knows
    Topology {
        /// Print a graph in the language of Graphviz
        #[arg(long, conflicts_with = "json")]
        dot: bool,
    },
    /// Show the way to a node, looking it up if need be
    Path {
        /// IPv6 address in 200::/7, or key of 64 hexadecimal digits
        #[arg(value_name = "ADDR")]
        target: Target,
    },
    /// Ask a node who it is and whom it has links to
    ///
    /// Most nodes tell it to anybody; ours only to friends. What it says is in `planetary
    /// topology` for ten minutes.
    Explore {
        /// IPv6 address in 200::/7, or key of 64 hexadecimal digits
        #[arg(value_name = "ADDR")]
        target: Target,
    },
    /// Send echo requests to a node
    ///
    /// Ctrl-C ends it with what was answered so far. Exit code 1 when none is answered.
    Ping {
        /// IPv6 address in 200::/7, or key of 64 hexadecimal digits
        #[arg(value_name = "ADDR")]
        target: Target,
        /// How many to send; 0 goes on until interrupted
        #[arg(short, long, value_name = "N", default_value_t = 4, allow_negative_numbers = true)]
        count: u32,
        /// How long to wait for each answer, in seconds, from 0.001 to 30
        #[arg(short = 'W', long, value_name = "SECONDS", default_value = "5", value_parser = wait)]
        #[arg(allow_negative_numbers = true)]
        timeout: Duration,
    },
    /// Show who this node is, save that to a backup, or take it from one
    #[command(subcommand)]
    Identity(IdentityCommand),
    /// Show or change the settings that need no editor
    Settings {
        #[command(subcommand)]
        command: Option<SettingsCommand>,
    },
    /// Say where to listen for links of other nodes
    #[command(subcommand)]
    Listener(ListenerCommand),
    /// Show what is done about other nodes on the local network, and on which to look for them
    ///
    /// Nodes on the same local network find each other and link without a configuration. On Wi-Fi
    /// that nobody vouched for nothing is done before `planetary lan trust`, because announcing
    /// itself tells everybody there that this computer runs a node.
    Lan {
        #[command(subcommand)]
        command: Option<LanCommand>,
    },
    /// Forward ports between this computer and the network
    ///
    /// Works with the network interface and without. Up to 64 ports, kept over restarts.
    #[command(subcommand)]
    Forward(ForwardCommand),
    /// Keep friends, and say what each may reach on this computer
    #[command(subcommand)]
    Friend(FriendCommand),
    /// Make the link with which others add this node as a friend
    ///
    /// For 48 hours the node listens to strangers who followed it.
    Share(ShareArgs),
    /// Keep circles: groups of computers that trust each other
    #[command(subcommand)]
    Circle(CircleCommand),
    /// Make links by which guests join your circles, list them, take them back
    #[command(subcommand)]
    Invite(InviteCommand),
    /// Follow a link to join a circle
    ///
    /// Asks the computer that made the link, tells what happens, shows the circle and its members,
    /// and asks whether you agree. Exit code 1 when nothing was joined.
    Join(JoinArgs),
    /// Show what waits for an answer of yours, and answer it
    ///
    /// Somebody you know knocks at a port that nothing opens to it, or a guest wants to join a
    /// circle. On a terminal each question is asked. Nobody is asked about knocks while no app and
    /// no `planetary questions --watch` is there to show them.
    Questions(QuestionsArgs),
    /// Show who reached what on this computer lately
    Visits,
    /// Let nobody open anything on this computer
    ///
    /// Connections that others opened end; what this computer opens goes on.
    Pause {
        /// For how long, such as 30m, 2h or 3d; without it until `planetary resume`
        #[arg(long = "for", value_name = "TIME", value_parser = friend::span)]
        for_s: Option<u64>,
    },
    /// End the pause
    Resume,
    /// Take over key, peers and settings of Yggdrasil
    ///
    /// Reads a configuration of Yggdrasil (HJSON or JSON, with its key file) or of Yggdrasil-ng
    /// (TOML), shows what would be taken over and what not, and asks. What is set here wins, and
    /// another identity is refused, unless --replace says otherwise.
    Import(ImportArgs),
    /// Write the manual pages and the completions for shells below FOLDER
    ///
    /// Packages are made with it: `man/*.1`, `completions/*`.
    #[command(hide = true)]
    Manual { folder: PathBuf },
}

/// How to check.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Make a report for somebody who helps instead, and save it in FILE if there is one
    ///
    /// It has no keys, addresses, names or texts in it, but pseudonyms in their place. It is shown
    /// first, and saved only after a yes.
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub(crate) report: Option<Option<PathBuf>>,
    /// Save the report without asking
    #[arg(long, requires = "report")]
    pub(crate) yes: bool,
    /// Replace FILE if it is there
    #[arg(long, requires = "report")]
    pub(crate) force: bool,
}

/// Which lines to show.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct LogsArgs {
    /// Go on showing what comes, until interrupted
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many lines to begin with
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    pub(crate) lines: usize,
    /// Only lines that matter at least so much: error, warn or info
    #[arg(short, long, default_value = "info", value_parser = level)]
    pub(crate) level: LogLevel,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PeerCommand {
    /// List the peers, also those that are down
    List,
    /// Add a peer to the configuration and connect to it
    Add {
        #[command(flatten)]
        peer: PeerName,
    },
    /// Remove a peer from the configuration and disconnect it
    Remove {
        #[command(flatten)]
        peer: PeerName,
    },
    /// Do not dial a peer until it is resumed, also after a restart
    Pause {
        #[command(flatten)]
        peer: PeerName,
    },
    /// Dial a peer again that was paused
    Resume {
        #[command(flatten)]
        peer: PeerName,
    },
    /// Try peers by a real handshake and show how fast they answer
    ///
    /// Nothing is changed, and no link is kept. Ctrl-C ends it with what is known by then. Exit
    /// code 1 when none answers.
    Test {
        /// Which, such as tls://host.example:443; without any, all peers of this node
        #[arg(value_name = "URI", value_parser = uri)]
        uris: Vec<String>,
    },
    /// List public peers, or test them and choose the best
    ///
    /// Without --best, --add and --test it lists those that match. Chosen peers are kept beside
    /// your own, and one that is gone for good is replaced; `peer remove` removes them.
    Public(PublicArgs),
}

/// Which public peers, and what to do with them.
#[derive(Debug, clap::Args)]
pub(crate) struct PublicArgs {
    /// Only those in this country, such as germany
    #[arg(long, value_name = "COUNTRY", value_parser = filter)]
    pub(crate) country: Option<String>,
    /// Only those in this part of the world, such as europe
    #[arg(long, value_name = "REGION", value_parser = filter)]
    pub(crate) region: Option<String>,
    /// Only those with this transport, such as tls; can be given several times
    #[arg(long = "transport", value_name = "TRANSPORT", value_parser = filter)]
    pub(crate) transports: Vec<String>,
    /// Only those with this text in URI, country or region
    #[arg(long, value_name = "TEXT", value_parser = filter)]
    pub(crate) search: Option<String>,
    /// List them, and do nothing else
    #[arg(long, conflicts_with_all = ["best", "add", "test"])]
    pub(crate) list: bool,
    /// Test some and choose so many, 1 to 8; 3 without a number
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "3")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::PEER_CHOICE_MAX)))]
    pub(crate) best: Option<u32>,
    /// Keep a link to those chosen, also after a restart
    #[arg(long)]
    pub(crate) add: bool,
    /// Test all that match, 256 at most, and choose none
    #[arg(long, conflicts_with_all = ["best", "add"])]
    pub(crate) test: bool,
    /// Fetch the list anew first, from the URL in the configuration
    #[arg(long)]
    pub(crate) refresh: bool,
}

/// A peer as it is configured.
#[derive(Debug, clap::Args)]
pub(crate) struct PeerName {
    /// Where it is, such as tls://host.example:443
    #[arg(value_parser = uri)]
    pub(crate) uri: String,
    /// Reach it over this interface only
    #[arg(long, value_name = "NAME", value_parser = interface)]
    pub(crate) interface: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum IdentityCommand {
    /// Show key, address and subnet
    Show,
    /// Save the identity to a file that a passphrase opens
    Export(ExportArgs),
    /// Take the identity of a backup, or of a key file (Ed25519, PKCS#8, PEM)
    ///
    /// The former key is kept. The address of the node changes with its key.
    Import(IdentityImportArgs),
}

/// Where a backup goes.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// File to make; `-` is standard output
    pub(crate) file: PathBuf,
    /// Take the passphrase from this file, which holds nothing else; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long)]
    pub(crate) force: bool,
}

/// Where an identity comes from.
#[derive(Debug, clap::Args)]
pub(crate) struct IdentityImportArgs {
    /// The backup or the key file
    pub(crate) file: PathBuf,
    /// Take the passphrase from this file, which holds nothing else; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Replace the identity of the node if it is another one
    #[arg(long)]
    pub(crate) replace: bool,
    /// Say only what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// What to take over.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// The configuration file, such as /etc/yggdrasil/yggdrasil.conf
    #[arg(value_name = "YGGDRASIL_CONF")]
    pub(crate) file: PathBuf,
    /// Let the file win: its identity and its settings replace what is here
    #[arg(long)]
    pub(crate) replace: bool,
    /// Keep the identity of the node and take only the rest
    #[arg(long)]
    pub(crate) keep_identity: bool,
    /// Say only what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// Whether errors are to be JSON, for a command line that cannot be understood otherwise.
pub(crate) fn wants_json() -> bool {
    env::args_os().any(|argument| argument == "--json")
}

fn uri(text: &str) -> Result<String, String> {
    of_length(text, limits::URI_LEN_MAX)
}

fn filter(text: &str) -> Result<String, String> {
    of_length(text, limits::FILTER_LEN_MAX)
}

fn interface(text: &str) -> Result<String, String> {
    of_length(text, INTERFACE_LEN_MAX)
}

/// The text if its length is sensible. What it means is for the service to judge.
fn of_length(text: &str, most: usize) -> Result<String, String> {
    match text.len() {
        0 => Err("it is empty".to_owned()),
        len if len > most => Err(format!("it has {len} bytes, where {most} fit")),
        _ => Ok(text.to_owned()),
    }
}

fn level(text: &str) -> Result<LogLevel, String> {
    let all = [LogLevel::Error, LogLevel::Warn, LogLevel::Info];
    let found = all.into_iter().find(|level| level.name() == text);
    found.ok_or_else(|| "it must be error, warn or info".to_owned())
}

fn wait(text: &str) -> Result<Duration, String> {
    let most = Duration::from_millis(limits::PING_TIMEOUT_MS_MAX);
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|wait| (Duration::from_millis(1)..=most).contains(wait))
        .ok_or_else(|| format!("it must be 0.001 to {} seconds", most.as_secs()))
}

/// Longest name of an interface. Windows has the longest, of 256 bytes.
const INTERFACE_LEN_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn wait_has_bounds() {
        assert_eq!(wait("0.5"), Ok(Duration::from_millis(500)));
        for text in ["0", "-1", "31", "NaN", "inf", "soon", ""] {
            assert!(wait(text).is_err(), "{text}");
        }
    }

    #[test]
    fn texts_have_bounds() {
        assert_eq!(uri("tls://host.example:443"), Ok("tls://host.example:443".to_owned()));
        assert!(uri("").is_err() && interface("").is_err());
        assert!(uri(&"x".repeat(limits::URI_LEN_MAX)).is_ok());
        assert!(uri(&"x".repeat(limits::URI_LEN_MAX + 1)).is_err());
        assert!(interface(&"x".repeat(257)).is_err());
    }
}
