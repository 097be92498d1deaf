//! What the person is told of questions that wait: somebody knocks, or a guest wants to join.
//!
//! The pages show the questions themselves and take the answers. This is for a person who does not
//! look at them: a notification for each question that is new, taken back when none waits any more,
//! and a line in the tray. Names that others chose are quoted, so that none passes for a friend.

use std::collections::BTreeSet;

use planetary_ipc::circles::{CircleRef, Party, Question, Subject};
use planetary_ipc::friends::{LocalService, Protocol};

use super::notification::{Matter, Notification};
use super::words::Language;

/// What was told already.
#[derive(Debug, Default)]
pub(super) struct Questions {
    waiting: BTreeSet<u64>,
}

/// What there is to tell.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told<'a> {
    /// Nothing new.
    Nothing,
    /// This one, the latest of those that are new.
    Asked(&'a Question),
    /// None waits any more.
    Over,
}

impl Questions {
    /// Takes in what waits, the oldest first.
    pub(super) fn see<'a>(&mut self, waiting: &'a [Question]) -> Told<'a> {
        let now: BTreeSet<u64> = waiting.iter().map(|question| question.id).collect();
        let before = std::mem::replace(&mut self.waiting, now);
        match waiting.iter().rfind(|question| !before.contains(&question.id)) {
            Some(question) => Told::Asked(question),
            None if waiting.is_empty() && !before.is_empty() => Told::Over,
            None => Told::Nothing,
        }
    }
}

/// The notification for a question.
///
/// What others named is in the title only: desktops take the text below it for markup.
pub(super) fn notification(question: &Question, words: Language) -> Notification {
    let text = match question.subject {
        Subject::Knock { .. } => {
            let seconds = question.until.0.saturating_sub(question.asked_at.0).to_string();
            words.text_with("notify.knock.text", &[("seconds", &seconds)])
        }
        Subject::Guest { .. } => words.text("notify.guest.text").to_owned(),
    };
    Notification { matter: Matter::Question, title: title(question, words), text }
}

/// A question in one line: `Ada wants to reach port 22 (ssh)`.
pub(super) fn title(question: &Question, words: Language) -> String {
    match &question.subject {
        Subject::Knock { who, circles, service } => {
            let who = knocker(who, circles, words);
            let service = service_words(service, words);
            words.text_with("notify.knock", &[("who", &who), ("service", &service)])
        }
        Subject::Guest { who, circle, .. } => {
            let who = guest(who, words);
            words.text_with("notify.guest", &[("who", &who), ("circle", circle.name.as_str())])
        }
    }
}

fn knocker(who: &Party, circles: &[CircleRef], words: Language) -> String {
    let circle = circles.first().map(|circle| ("circle", circle.name.as_str()));
    match (&who.name, &who.label, circle) {
        (Some(name), ..) => name.to_string(),
        (None, Some(label), Some(circle)) => {
            words.text_with("question.label", &[("label", label.as_str()), circle])
        }
        (None, None, Some(circle)) => words.text_with("question.member", &[circle]),
        (None, _, None) => words.text("question.somebody").to_owned(),
    }
}

fn guest(who: &Party, words: Language) -> String {
    match (&who.name, &who.label) {
        (Some(name), _) => name.to_string(),
        (None, Some(label)) => {
            words.text_with("question.guest.label", &[("label", label.as_str())])
        }
        (None, None) => words.text("question.guest").to_owned(),
    }
}

/// `port 22 (ssh)`; as the service writes it where it is more than a port.
fn service_words(service: &LocalService, words: Language) -> String {
    let (key, port) = match service.protocol {
        Protocol::Tcp(first, last) if first == last => ("service.tcp", first),
        Protocol::Udp(first, last) if first == last => ("service.udp", first),
        Protocol::Tcp(..) | Protocol::Udp(..) | Protocol::Other(_) => return service.to_string(),
    };
    let text = words.text_with(key, &[("port", &port.to_string())]);
    match known(service.protocol) {
        Some(name) => {
            words.text_with("service.known", &[("service", &text), ("name", words.text(name))])
        }
        None => text,
    }
}

/// What a port is known for. The pages have the same list, in `lib/friends/services.ts`.
const fn known(protocol: Protocol) -> Option<&'static str> {
    match protocol {
        Protocol::Tcp(22, 22) => Some("reach.ssh"),
        Protocol::Tcp(53, 53) | Protocol::Udp(53, 53) => Some("reach.names"),
        Protocol::Tcp(80, 80) | Protocol::Tcp(443, 443) | Protocol::Udp(443, 443) => {
            Some("reach.web")
        }
        Protocol::Tcp(445, 445) => Some("reach.files"),
        Protocol::Tcp(3389, 3389) | Protocol::Udp(3389, 3389) => Some("reach.desktop"),
        Protocol::Tcp(5900, 5900) => Some("reach.screen"),
        Protocol::Tcp(..) | Protocol::Udp(..) | Protocol::Other(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use planetary_ipc::UnixTime;
    use serde_json::{Value, json};

    use super::*;

    fn knock(id: u64, who: Value, circles: &[&str], service: &str) -> Question {
        let circles: Vec<Value> =
            circles.iter().map(|name| json!({ "id": "ab".repeat(32), "name": name })).collect();
        asked(id, json!({ "kind": "knock", "who": who, "circles": circles, "service": service }))
    }

    fn asked(id: u64, subject: Value) -> Question {
        let subject = serde_json::from_value(subject).unwrap();
        Question { id, asked_at: UnixTime(100), until: UnixTime(130), subject }
    }

    fn party(name: Option<&str>, label: Option<&str>) -> Value {
        json!({ "key": "cd".repeat(32), "name": name, "label": label })
    }

    #[test]
    fn each_question_is_told_once_and_taken_back_when_none_waits() {
        let ask = |id| knock(id, party(Some("Ada"), None), &[], "tcp/22");
        let mut questions = Questions::default();
        assert_eq!(questions.see(&[]), Told::Nothing);
        let first = [ask(1)];
        assert_eq!(questions.see(&first), Told::Asked(&first[0]));
        assert_eq!(questions.see(&first), Told::Nothing);
        let three = [ask(1), ask(2), ask(3)];
        assert_eq!(questions.see(&three), Told::Asked(&three[2]));
        assert_eq!(questions.see(&three[1..]), Told::Nothing);
        assert_eq!(questions.see(&[]), Told::Over);
        assert_eq!(questions.see(&[]), Told::Nothing);
        // A service that was started anew counts anew.
        assert_eq!(questions.see(&first), Told::Asked(&first[0]));
    }

    #[test]
    fn who_asks_for_what_is_said_in_one_line() {
        for (who, circles, service, line) in [
            (party(Some("Ada"), None), &[][..], "tcp/22", "Ada wants to reach port 22 (ssh)"),
            (
                party(Some("Ada"), Some("Bob")),
                &["Hikers"],
                "udp/53",
                "Ada wants to reach UDP port 53 (name service)",
            ),
            (
                party(None, Some("Ada")),
                &["Hikers", "Family"],
                "tcp/8080",
                "“Ada” of Hikers wants to reach port 8080",
            ),
            (
                party(None, None),
                &["Hikers"],
                "tcp/443",
                "Somebody of Hikers wants to reach port 443 (web)",
            ),
            (party(None, Some("Ada")), &[], "ip/47", "Somebody you know wants to reach ip/47"),
        ] {
            assert_eq!(title(&knock(1, who, circles, service), Language::En), line);
        }
        let guest = |who| {
            let circle = json!({ "id": "ab".repeat(32), "name": "Hikers" });
            let subject = json!({ "kind": "guest", "who": who, "circle": circle, "invite": 1 });
            title(&asked(1, subject), Language::En)
        };
        assert_eq!(guest(party(Some("Ada"), None)), "Ada wants to join Hikers");
        assert_eq!(guest(party(None, Some("Bob"))), "A guest called “Bob” wants to join Hikers");
        assert_eq!(guest(party(None, None)), "A guest wants to join Hikers");
    }

    #[test]
    fn names_that_others_chose_are_in_the_title_only() {
        let hostile = "<a href='x'>{seconds}</a>";
        for language in [Language::En, Language::De, Language::Fr, Language::Es, Language::Ru] {
            let question = knock(1, party(None, Some(hostile)), &[hostile], "tcp/22");
            let Notification { title, text, .. } = notification(&question, language);
            assert!(title.contains(hostile) && title.contains("22 (ssh)"), "{title}");
            assert!(text.contains("30") && !text.contains(['<', '{']), "{text}");
        }
    }
}
