//! What can be typed about circles, invites, questions and visits.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use planetary_ipc::friends::{FriendName, LocalService};
use planetary_ipc::{Answer, MemberRole, limits};

use super::friend::{Right, span};

/// A circle: checked by the command, because only the service knows its circles.
const CIRCLE: &str = "CIRCLE";

#[derive(Debug, Subcommand)]
pub(crate) enum CircleCommand {
    /// List the circles of this computer
    List,
    /// Show all about a circle: members, what they may reach here, invites
    Show {
        #[command(flatten)]
        circle: Which,
    },
    /// Show what each circle, each friend and everyone may reach on this computer
    Access,
    /// Begin a circle
    ///
    /// It gets a key on paper: 24 words that are shown once and stand above everybody. With them
    /// you get back in when no computer of an admin is left, and remove whoever must go.
    #[command(alias = "new")]
    Create {
        /// What to call it; all its members see the name
        #[arg(value_name = "NAME")]
        name: FriendName,
        /// Make no key on paper; a lost circle stays lost
        #[arg(long)]
        no_recovery: bool,
    },
    /// Give a circle another name, for all its members
    Rename {
        #[command(flatten)]
        circle: Which,
        /// The new name
        #[arg(value_name = "NAME")]
        name: FriendName,
    },
    /// Suggest what members should let each other reach; each decides for itself
    Suggest {
        #[command(flatten)]
        circle: Which,
        /// Such as tcp/22, instead of all that was suggested before; none to suggest nothing
        #[arg(value_name = "SERVICE")]
        services: Vec<LocalService>,
    },
    /// Add a node to a circle; its person has to agree
    ///
    /// For somebody whose key you have. Others you invite by a link: `planetary invite create`.
    Add {
        #[command(flatten)]
        circle: Which,
        /// Name of a friend, or a key
        #[arg(value_name = "FRIEND|KEY")]
        who: String,
        /// What the circle calls it; all members see it. Your name for the friend is not told
        #[arg(long, value_name = "NAME")]
        label: Option<FriendName>,
        /// Let it invite, add and remove members below it
        #[arg(long)]
        admin: bool,
    },
    /// Remove a member from a circle; its live connections end
    Remove {
        #[command(flatten)]
        member: MemberOf,
    },
    /// Say whether a member may invite, add and remove others
    Role {
        #[command(flatten)]
        member: MemberOf,
        /// member or admin
        #[arg(value_name = "ROLE")]
        role: RoleWord,
    },
    /// Agree to be a member of a circle that you are invited to
    Accept {
        #[command(flatten)]
        circle: Which,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Follow a link: the same as `planetary join`
    #[command(hide = true)]
    Join(JoinArgs),
    /// Leave a circle, decline to join it, or stop asking
    Leave {
        #[command(flatten)]
        circle: Which,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Forget a circle that this computer is no member of
    Forget {
        #[command(flatten)]
        circle: Which,
    },
    /// Let members of a circle reach services on this computer
    Allow(CircleRights),
    /// No longer let members of a circle reach services on this computer
    ///
    /// Connections that need them end. Ranges are cut: what is denied is closed, whatever it was
    /// part of.
    Deny(CircleRights),
    /// Answer pings of members, or do not
    Echo {
        #[command(flatten)]
        circle: Which,
        /// on or off
        #[arg(value_name = "on|off")]
        to: OnOff,
    },
    /// Let members reach every port of the devices in the subnet of this node, or do not
    Subnet {
        #[command(flatten)]
        circle: Which,
        /// on or off
        #[arg(value_name = "on|off")]
        to: OnOff,
    },
    /// Let members of a circle reach nothing here until it is resumed
    Pause {
        #[command(flatten)]
        circle: Which,
    },
    /// End the pause of a circle
    Resume {
        #[command(flatten)]
        circle: Which,
    },
    /// Use the key on paper: make this computer, or another, an admin, or remove a member
    ///
    /// Asks for the 24 words, without showing them.
    Recover(RecoverArgs),
}

/// The circle that is meant.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Its name, the begin of it, or its number
    #[arg(value_name = CIRCLE)]
    pub(crate) circle: String,
}

/// A member and its circle.
#[derive(Debug, Args)]
pub(crate) struct MemberOf {
    /// Name of the circle, the begin of it, or its number
    #[arg(value_name = CIRCLE)]
    pub(crate) circle: String,
    /// Your name for it, what the circle calls it, its key or address, or four digits of the key
    #[arg(value_name = "MEMBER")]
    pub(crate) member: String,
}

#[derive(Debug, Args)]
pub(crate) struct CircleRights {
    #[command(flatten)]
    pub(crate) circle: Which,
    /// Such as tcp/22, tcp/8000-8100, udp/53, tcp/any, ip/47 (another protocol by its number),
    /// tcp/80@ADDR (at one address of this computer), or echo (pings)
    #[arg(value_name = "SERVICE", required_unless_present = "suggested")]
    pub(crate) services: Vec<Right>,
    /// All that the circle suggests
    #[arg(long)]
    pub(crate) suggested: bool,
    /// For this member alone
    #[arg(long, value_name = "MEMBER")]
    pub(crate) member: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RecoverArgs {
    #[command(flatten)]
    pub(crate) circle: Which,
    /// Make this friend or key an admin instead of this computer
    #[arg(long, value_name = "FRIEND|KEY")]
    pub(crate) admin: Option<String>,
    /// Remove this member, whatever its rank
    #[arg(long, value_name = "MEMBER", conflicts_with = "admin")]
    pub(crate) remove: Option<String>,
    /// Take the words from this file, which holds nothing else; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) words_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RoleWord {
    /// Belong to the circle
    Member,
    /// Invite, add and remove members below it
    Admin,
}

impl From<RoleWord> for MemberRole {
    fn from(word: RoleWord) -> Self {
        match word {
            RoleWord::Member => Self::Member,
            RoleWord::Admin => Self::Admin,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnOff {
    On,
    Off,
}

#[derive(Debug, Subcommand)]
pub(crate) enum InviteCommand {
    /// Make a link by which guests join a circle
    ///
    /// Whoever has the link may join, so send it as you would a key. This computer lets guests in,
    /// so it has to be on when they follow it.
    #[command(alias = "new")]
    Create(InviteArgs),
    /// List the invites that this computer made
    List,
    /// Show an invite, and its link while it is open
    Show {
        /// Its number
        #[arg(value_name = "INVITE")]
        invite: u64,
        #[command(flatten)]
        picture: Picture,
    },
    /// Take an invite back; who has joined stays a member
    Revoke {
        /// Its number
        #[arg(value_name = "INVITE")]
        invite: u64,
    },
}

#[derive(Debug, Args)]
pub(crate) struct InviteArgs {
    #[command(flatten)]
    pub(crate) circle: Which,
    /// How many guests it lets in, 1 to 50
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::INVITE_USES_MAX)))]
    pub(crate) uses: u32,
    /// For how long, from 1m to 31d; two days without it
    #[arg(long = "for", value_name = "TIME", value_parser = valid)]
    pub(crate) valid_s: Option<u64>,
    /// Ask you before a guest is let in: `planetary questions`
    #[arg(long)]
    pub(crate) ask: bool,
    /// Let guests invite, add and remove others as well
    #[arg(long)]
    pub(crate) admin: bool,
    /// Peer to suggest, at most three times; without it public peers of this node
    #[arg(long = "peer", value_name = "URI", value_parser = super::uri)]
    #[arg(conflicts_with = "no_peers")]
    pub(crate) peers: Vec<String>,
    /// Suggest no peers
    #[arg(long)]
    pub(crate) no_peers: bool,
    #[command(flatten)]
    pub(crate) picture: Picture,
}

/// A link as a picture.
#[derive(Debug, Args)]
pub(crate) struct Picture {
    /// Show the link as a QR code as well
    #[arg(long, conflicts_with = "json")]
    pub(crate) qr: bool,
    /// Write the link as a QR code to a PNG file
    #[arg(long, value_name = "FILE")]
    pub(crate) png: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct JoinArgs {
    /// The link, planetary:join?…
    pub(crate) link: String,
    /// What to call yourself; all members see it
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) label: Option<FriendName>,
    /// Add the peers that the link names as well
    #[arg(long)]
    pub(crate) with_peers: bool,
    /// Do not wait for an answer; the node goes on asking
    #[arg(long, conflicts_with = "yes")]
    pub(crate) no_wait: bool,
    /// Agree to be a member without being asked
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct QuestionsArgs {
    /// Wait for questions, and ask each as it comes, until interrupted
    ///
    /// Elsewhere than on a terminal each is a line; `planetary questions answer` answers it.
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(subcommand)]
    pub(crate) command: Option<QuestionCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QuestionCommand {
    /// Answer a question
    Answer {
        /// Its number
        #[arg(value_name = "QUESTION")]
        question: u64,
        /// once, always, circle or no to a knock; yes or no to a guest
        #[arg(value_name = "ANSWER")]
        answer: AnswerWord,
        /// Which circle `circle` means, where several are possible
        #[arg(long, value_name = CIRCLE)]
        circle: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum AnswerWord {
    /// Let in what is opened within a minute
    Once,
    /// Let this node in from here on
    Always,
    /// Let the whole circle in from here on
    Circle,
    /// Let the guest in
    Yes,
    /// No; the same is not asked for a day
    No,
}

impl From<AnswerWord> for Answer {
    fn from(word: AnswerWord) -> Self {
        match word {
            AnswerWord::Once => Self::Once,
            AnswerWord::Always => Self::Always,
            AnswerWord::Circle => Self::Circle,
            AnswerWord::Yes => Self::Yes,
            AnswerWord::No => Self::No,
        }
    }
}

/// Reads for how long an invite is open, in seconds.
fn valid(text: &str) -> Result<u64, String> {
    let allowed = limits::INVITE_VALID_S_MIN..=limits::INVITE_VALID_S_MAX;
    let seconds = span(text)?;
    match allowed.contains(&seconds) {
        true => Ok(seconds),
        false => Err("it must be from 1m to 31d".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invites_are_open_from_a_minute_to_a_month() {
        assert_eq!((valid("1m"), valid("31d")), (Ok(60), Ok(31 * 86_400)));
        for text in ["59s", "32d", "soon", "0s"] {
            assert!(valid(text).is_err(), "{text}");
        }
    }
}
