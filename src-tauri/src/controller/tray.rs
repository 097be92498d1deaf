//! What the tray shows and offers, as a value: the desktop only draws it.

use planetary_ipc::State;

use super::connection::Connection;
use super::questions;
use super::words::Language;

/// The picture in the tray.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Light {
    /// Proven.
    Connected,
    /// On its way.
    Connecting,
    /// Worse than it should be.
    Degraded,
    /// The service cannot be asked, and somebody has to do something about it.
    Error,
    /// Switched off, or offline.
    Off,
}

/// An entry of the tray's menu that does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Show the questions that wait.
    Questions,
    /// Copy the own address.
    CopyAddress,
    /// Switch the node on or off, whichever it is not.
    Switch,
    /// Let nobody in, or friends again.
    Pause,
    /// Show the window.
    Open,
    /// Show the settings.
    Settings,
    /// End the app. The node goes on.
    Quit,
}

impl Choice {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Questions,
        Self::CopyAddress,
        Self::Switch,
        Self::Pause,
        Self::Open,
        Self::Settings,
        Self::Quit,
    ];

    /// A name for the desktop's menu, which tells by names what was chosen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Questions => "questions",
            Self::CopyAddress => "copy_address",
            Self::Switch => "switch",
            Self::Pause => "pause",
            Self::Open => "open",
            Self::Settings => "settings",
            Self::Quit => "quit",
        }
    }
}

/// What the tray shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tray {
    /// The picture.
    pub light: Light,
    /// The state in words: first line of the menu, and the tooltip.
    pub state: String,
    /// The number of peers, or `None` without a service.
    pub peers: Option<String>,
    /// The entry that shows the questions, or `None` while none waits.
    pub questions: Option<Entry>,
    /// The entry for the own address.
    pub address: Entry,
    /// The entry that switches the node on or off.
    pub switch: Entry,
    /// The entry that closes this computer to everyone, or opens it to friends again.
    pub pause: Entry,
    /// The entry that shows the window.
    pub open: Entry,
    /// The entry that shows the settings.
    pub settings: Entry,
    /// The entry that ends the app.
    pub quit: Entry,
}

/// An entry that can be chosen, at times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its text.
    pub text: String,
    /// Whether it can be chosen.
    pub enabled: bool,
}

impl Entry {
    fn new(text: impl Into<String>, enabled: bool) -> Self {
        Self { text: text.into(), enabled }
    }
}

impl Tray {
    /// What it shows of a connection.
    pub(super) fn of(connection: &Connection, words: Language) -> Self {
        let status = connection.status();
        let address = status.map(|status| status.address.to_string());
        let is_on = status.is_some_and(|status| status.state != State::Down);
        let paused = status.is_some_and(|status| status.access.paused.is_some());
        let switch = if is_on { "tray.disconnect" } else { "tray.connect" };
        let pause = if paused { "tray.resume" } else { "tray.pause" };
        Self {
            light: light(status.map(|status| status.state), connection),
            state: state(connection, paused, words),
            peers: status.map(|status| {
                let up = status.peers.iter().filter(|peer| peer.up).count();
                words.text_with("tray.peers", &[("count", &up.to_string())])
            }),
            questions: match status.map_or(&[][..], |status| &status.questions) {
                [] => None,
                [question] => Some(Entry::new(questions::title(question, words), true)),
                several => {
                    let count = several.len().to_string();
                    Some(Entry::new(words.text_with("tray.questions", &[("count", &count)]), true))
                }
            },
            address: match &address {
                Some(address) => {
                    Entry::new(words.text_with("tray.address", &[("address", address)]), true)
                }
                None => Entry::new(words.text("tray.address.none"), false),
            },
            switch: Entry::new(words.text(switch), status.is_some()),
            pause: Entry::new(words.text(pause), status.is_some()),
            open: Entry::new(words.text("tray.open"), true),
            settings: Entry::new(words.text("tray.settings"), true),
            quit: Entry::new(words.text("tray.quit"), true),
        }
    }

    /// The entry of a choice, or `None` while the menu has none.
    pub fn entry(&self, choice: Choice) -> Option<&Entry> {
        match choice {
            Choice::Questions => self.questions.as_ref(),
            Choice::CopyAddress => Some(&self.address),
            Choice::Switch => Some(&self.switch),
            Choice::Pause => Some(&self.pause),
            Choice::Open => Some(&self.open),
            Choice::Settings => Some(&self.settings),
            Choice::Quit => Some(&self.quit),
        }
    }
}

fn light(state: Option<State>, connection: &Connection) -> Light {
    match (state, connection) {
        (Some(State::Connected), _) => Light::Connected,
        (Some(State::Degraded), _) => Light::Degraded,
        (Some(State::Connecting), _) | (None, Connection::Connecting { .. }) => Light::Connecting,
        (Some(State::Down | State::Offline), _) => Light::Off,
        (None, _) => Light::Error,
    }
}

fn state(connection: &Connection, paused: bool, words: Language) -> String {
    let name = match connection {
        Connection::Connecting { .. } => "loading",
        Connection::Ready { status, .. } => status.state.name(),
        Connection::Absent(absent) => absent.state.name(),
    };
    let state = words.text(&format!("tray.state.{name}"));
    if paused {
        words.text_with("tray.state.paused", &[("state", state)])
    } else {
        state.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use planetary_ipc::mock::Mock;
    use planetary_ipc::{Question, Status, UnixTime};

    use super::super::connection::{Absence, Absent, Rights};
    use super::*;

    fn ready(status: Status) -> Connection {
        Connection::Ready {
            since: UnixTime(0),
            place: "/run/planetary/control.sock".into(),
            rights: Rights::Change,
            status: Arc::new(status),
        }
    }

    fn absent(state: Absence) -> Connection {
        Connection::Absent(Absent {
            state,
            since: UnixTime(0),
            message: String::new(),
            details: String::new(),
            place: String::new(),
            step: None,
            command: None,
            can_supervise: false,
            retry_in_s: 1,
        })
    }

    #[test]
    fn connected_node_is_shown_with_all_that_can_be_done() {
        let status = Mock::settled().status();
        let address = status.address.to_string();
        let tray = Tray::of(&ready(status), Language::En);
        assert_eq!((tray.light, tray.state.as_str()), (Light::Connected, "Connected"));
        assert!(tray.peers.unwrap().starts_with("Peers: "));
        assert_eq!(tray.address, Entry::new(format!("Copy {address}"), true));
        assert_eq!(tray.switch, Entry::new("Disconnect", true));
        assert_eq!(tray.pause, Entry::new("Let nobody in", true));
    }

    #[test]
    fn every_state_has_a_picture_and_words() {
        let with = |state| {
            let mut status = Mock::settled().status();
            status.state = state;
            Tray::of(&ready(status), Language::De)
        };
        assert_eq!(with(State::Connecting).light, Light::Connecting);
        assert_eq!(with(State::Degraded).light, Light::Degraded);
        let down = with(State::Down);
        assert_eq!((down.light, down.switch.text.as_str()), (Light::Off, "Verbinden"));
        for state in [State::Offline, State::Degraded, State::Connecting, State::Connected] {
            let tray = with(state);
            assert!(!tray.state.is_empty() && tray.switch.text == "Trennen", "{state:?}");
        }
        use Absence::{
            NoPermission, NotInstalled, Stopped, Unreachable, Untrusted, VersionMismatch,
        };
        for state in [NotInstalled, Stopped, NoPermission, VersionMismatch, Untrusted, Unreachable]
        {
            let tray = Tray::of(&absent(state), Language::Ru);
            assert!(!tray.state.is_empty(), "{state:?}");
            assert_eq!((tray.light, tray.peers), (Light::Error, None));
            assert!(!tray.address.enabled && !tray.switch.enabled && !tray.pause.enabled);
            assert!(tray.open.enabled && tray.quit.enabled);
        }
        let connecting = Tray::of(&Connection::connecting(), Language::En);
        assert_eq!(connecting.state, "Looking for the service");
    }

    #[test]
    fn questions_have_an_entry_while_they_wait() {
        let question = |id| {
            let who = serde_json::json!({ "key": "cd".repeat(32), "name": "Ada", "label": null });
            let subject = serde_json::json!({
                "kind": "knock", "who": who, "circles": [], "service": "tcp/22",
            });
            Question {
                id,
                asked_at: UnixTime(0),
                until: UnixTime(30),
                subject: serde_json::from_value(subject).unwrap(),
            }
        };
        let with = |questions| {
            let status = Status { questions, ..Mock::settled().status() };
            Tray::of(&ready(status), Language::En).questions.map(|entry| entry.text)
        };
        assert_eq!(with(vec![]), None);
        let one = with(vec![question(1)]).unwrap();
        assert_eq!(one, "Ada wants to reach port 22 (ssh)");
        assert_eq!(with(vec![question(1), question(2)]).unwrap(), "Questions waiting: 2");
    }

    #[test]
    fn pause_is_told_beside_the_state() {
        let mock = Mock::settled();
        let mut status = mock.status();
        status.access.paused = Some(planetary_ipc::Pause { until: None });
        let tray = Tray::of(&ready(status), Language::En);
        assert_eq!(tray.state, "Connected, closed to everyone");
        assert_eq!(tray.pause.text, "Let friends in again");
    }
}
