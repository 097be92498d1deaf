//! `planetary forward` and `planetary lan`.

use clap::Subcommand;
use planetary_ipc::{ForwardProtocol, ForwardRule, ForwardWay, limits};

#[derive(Debug, Subcommand)]
pub(crate) enum ForwardCommand {
    /// List the forwarded ports
    List,
    /// Take connections to a port of this computer to a node on the network
    ///
    /// Only programs of this computer can connect to it. `planetary forward out 8080
    /// ada.pln.internal:80` shows Ada's web server at http://127.0.0.1:8080.
    Out {
        /// Port of this computer, such as 8080; a loopback address with a port names one address
        #[arg(value_name = "LISTEN", value_parser = here)]
        listen: String,
        /// Where to: name or address of a node with a port, such as ada.pln.internal:80
        #[arg(value_name = "TARGET", value_parser = far)]
        target: String,
        #[command(flatten)]
        carries: Carries,
    },
    /// Take connections to a port of this node on the network to a program of this computer
    ///
    /// Who may connect is decided as for every other port: by `planetary friend allow` and
    /// `planetary circle allow`. `planetary forward in 80 3000` shows what listens at
    /// 127.0.0.1:3000 under the address of this node.
    In {
        /// Port of this node, such as 80
        #[arg(value_name = "PORT")]
        #[arg(value_parser = clap::value_parser!(u16).range(1..))]
        port: u16,
        /// Where to: a port of this computer, such as 8080; a loopback address with a port names
        /// one address
        #[arg(value_name = "TARGET", value_parser = here)]
        target: String,
        #[command(flatten)]
        carries: Carries,
    },
    /// Forward a port no longer; its connections end
    Remove {
        /// Its number in `planetary forward list`
        #[arg(value_name = "ID")]
        id: u64,
    },
}

/// What a forwarded port carries.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Carries {
    /// Carry datagrams (UDP) instead of connections (TCP)
    #[arg(long)]
    udp: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LanCommand {
    /// Look for other nodes on a network from here on
    Trust {
        #[command(flatten)]
        place: LanPlace,
    },
    /// Do not look for other nodes on a network, nor ask about it again
    Distrust {
        #[command(flatten)]
        place: LanPlace,
    },
}

/// A local network, by one of its names.
#[derive(Debug, clap::Args)]
pub(crate) struct LanPlace {
    /// Which: the interface that is connected to it, or what `planetary lan` calls it
    #[arg(value_name = "NETWORK", value_parser = super::interface)]
    pub(crate) name: String,
}

impl Carries {
    /// The rule of a port that is forwarded so.
    pub(crate) fn rule(self, way: ForwardWay, listen: String, target: String) -> ForwardRule {
        let protocol = if self.udp { ForwardProtocol::Udp } else { ForwardProtocol::Tcp };
        ForwardRule { way, protocol, listen, target }
    }
}

/// A place of this computer; a port alone is one of the loopback address.
pub(super) fn here(text: &str) -> Result<String, String> {
    match text.parse::<u16>() {
        Ok(0) => Err("port 0 is no port".to_owned()),
        Ok(port) => Ok(format!("127.0.0.1:{port}")),
        Err(_) => far(text),
    }
}

fn far(text: &str) -> Result<String, String> {
    super::of_length(text, limits::FORWARD_LEN_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_one_of_this_computer() {
        assert_eq!(here("8080"), Ok("127.0.0.1:8080".to_owned()));
        assert_eq!(here("[::1]:53"), Ok("[::1]:53".to_owned()));
        assert!(here("0").is_err() && here("").is_err());
        assert!(here(&"x".repeat(limits::FORWARD_LEN_MAX + 1)).is_err());
    }
}
