//! What can be typed about friends.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use planetary_ipc::friends::{EVERYONE, FriendName, LocalService};

/// Whom a command means: checked by the command, because only the service knows its friends.
const FRIEND: &str = "FRIEND";

#[derive(Debug, Subcommand)]
pub(crate) enum FriendCommand {
    /// List friends, what is open to everyone, and blocked keys
    List,
    /// Show all about a friend
    Show {
        /// Name, key or address, or at least four digits that the key begins with
        #[arg(value_name = FRIEND)]
        friend: String,
    },
    /// Add a friend
    ///
    /// A new friend may ping this computer and reach nothing else; `planetary friend allow` opens
    /// more. A link is shown before anything is done, and needs a yes.
    Add(AddArgs),
    /// Remove a friend and all it may reach
    ///
    /// Its live connections end. A removed friend is a stranger; to keep it out for good, block it.
    Remove {
        /// Name, key or address, or at least four digits that the key begins with
        #[arg(value_name = FRIEND)]
        friend: String,
    },
    /// Give a friend another name
    Rename {
        /// Name, key or address, or at least four digits that the key begins with
        #[arg(value_name = FRIEND)]
        friend: String,
        /// The new name
        #[arg(value_name = "NAME")]
        name: FriendName,
    },
    /// Let a friend, or everyone, reach services on this computer
    Allow(RightsArgs),
    /// No longer let a friend, or everyone, reach services on this computer
    ///
    /// Connections that need them end. Ranges are cut: what is denied is closed, whatever it was
    /// part of.
    Deny(RightsArgs),
    /// Compare a friend's key over the telephone, and remember that it is right
    Verify {
        /// Name, key or address, or at least four digits that the key begins with
        #[arg(value_name = FRIEND)]
        friend: String,
        /// Do not ask: the keys were compared
        #[arg(long, short)]
        yes: bool,
        /// Forget that the key was compared
        #[arg(long, conflicts_with = "yes")]
        undo: bool,
    },
    /// Let nothing pass to or from a key, friend or not
    Block {
        /// Name or key or address of a friend, or the key of a stranger
        #[arg(value_name = "FRIEND|KEY")]
        who: String,
        /// Name for a stranger in the list of blocked keys
        #[arg(long, value_name = "NAME")]
        name: Option<FriendName>,
        /// Why
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        note: String,
    },
    /// End a block
    Unblock {
        /// Name, key or address, or at least four digits that the key begins with
        #[arg(value_name = "FRIEND|KEY")]
        who: String,
    },
    /// Write down something about a friend, or read it
    Note {
        /// Name, key or address, or at least four digits that the key begins with
        #[arg(value_name = FRIEND)]
        friend: String,
        /// The notes from here on; empty for none. Without it, those that are there are printed
        #[arg(value_name = "TEXT")]
        text: Option<String>,
    },
    /// Write friends and blocked keys to a file, for a backup or another computer
    Export {
        /// The file, which must not exist; standard output without it
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Add the friends and blocked keys of a file
    Import {
        /// What `planetary friend export` wrote
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Change friends that are here already to what the file says
        #[arg(long)]
        overwrite: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Link (planetary:friend?…), key, or IPv6 address in 200::/7
    #[arg(value_name = "LINK|KEY|ADDR")]
    pub(crate) who: String,
    /// Name for the friend; without it that of the link, or the first digits of the key
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<FriendName>,
    /// Service that the friend may reach, such as tcp/22; can be repeated
    #[arg(long, value_name = "SERVICE")]
    pub(crate) allow: Vec<LocalService>,
    /// Do not answer the friend's pings
    #[arg(long)]
    pub(crate) no_echo: bool,
    /// Notes about the friend
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) note: String,
    /// Add the peers that a link names as well
    #[arg(long)]
    pub(crate) with_peers: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RightsArgs {
    /// Name, key or address, at least four digits that the key begins with, or `everyone`
    #[arg(value_name = "FRIEND|everyone")]
    pub(crate) who: String,
    /// Such as tcp/22, tcp/8000-8100, udp/53, tcp/any, ip/47 (another protocol by its number),
    /// tcp/80@ADDR (at one address of this computer), or echo (pings)
    #[arg(value_name = "SERVICE", required = true)]
    pub(crate) services: Vec<Right>,
}

/// Something that can be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// Answers to pings.
    Echo,
    /// A service.
    Service(LocalService),
}

impl std::str::FromStr for Right {
    type Err = planetary_ipc::friends::ServiceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "echo" | "ping" => Ok(Self::Echo),
            service => service.parse().map(Self::Service),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ShareArgs {
    /// Name to suggest to whoever follows the link
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<FriendName>,
    /// Peer to suggest, at most three times; without it public peers of this node
    #[arg(long = "peer", value_name = "URI", value_parser = super::uri)]
    #[arg(conflicts_with = "no_peers")]
    pub(crate) peers: Vec<String>,
    /// Suggest no peers
    #[arg(long)]
    pub(crate) no_peers: bool,
    #[command(flatten)]
    pub(crate) picture: super::Picture,
}

/// Whether a word stands for all nodes.
pub(crate) fn is_everyone(text: &str) -> bool {
    text.eq_ignore_ascii_case(EVERYONE)
}

/// Reads a span of time such as `90s`, `30m`, `2h`, `3d` or `1h30m`, in seconds.
pub(crate) fn span(text: &str) -> Result<u64, String> {
    let form = || "a time looks like 30m, 2h, 1h30m or 3d".to_owned();
    let (mut total, mut number) = (0_u64, String::new());
    for letter in text.trim().chars() {
        if letter.is_ascii_digit() {
            number.push(letter);
            continue;
        }
        let unit = match letter {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return Err(form()),
        };
        let count: u64 = std::mem::take(&mut number).parse().map_err(|_| form())?;
        let more = count.checked_mul(unit).and_then(|more| total.checked_add(more));
        total = more.ok_or_else(form)?;
    }
    let most = planetary_ipc::limits::PAUSE_S_MAX;
    match total {
        _ if !number.is_empty() => Err(form()),
        0 => Err(form()),
        total if total > most => Err(format!("it can be {} days at most", most / 86_400)),
        total => Ok(total),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_in_the_usual_units() {
        for (text, seconds) in
            [("90s", 90), ("30m", 1_800), ("2h", 7_200), ("1h30m", 5_400), ("3d", 259_200)]
        {
            assert_eq!(span(text), Ok(seconds), "{text}");
        }
        for text in
            ["", "2", "h", "2w", "2h3", "-1h", "0s", "367d", "99999999999999999999d", "1.5h"]
        {
            assert!(span(text).is_err(), "{text}");
        }
    }
}
