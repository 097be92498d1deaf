//! `planetary circle`, `invite`, `join`, `questions` and `visits` as a person meets them, against
//! the mock service: golden transcripts, and conversations on a terminal.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

#[expect(dead_code, reason = "other tests need the rest")]
mod running;

use std::fs;
use std::time::Duration;

use planetary_ipc::JoinLink;
use planetary_ipc::mock::{Mock, PAPER};

use running::{Service, Terminal, golden, run};

/// The moment at which the mock service stands still: somebody knocks, and a guest is there.
const SECOND: u64 = 45;

/// A key that nobody has.
const STRANGER: &str = "0707070707070707070707070707070707070707070707070707070707070707";

/// A link whose maker lets guests in at once.
const LINK: &str = "planetary:join?c=rcpivwm2jypimduwspwuebdyjvmwyl6ydd2xqyd2iuq2m6xy4oiq&\
    k=aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4a&t=aaaqeayeaudaocajbifqydioby&\
    e=1800000000&n=Cinema&p=tls://cinema.example:443";

fn with_token(token: &str) -> String {
    LINK.replace("aaaqeayeaudaocajbifqydioby", token)
}

/// Runs a command in text and in JSON, each against a fresh service, and compares both.
async fn both_forms(name: &str, arguments: &[&str]) {
    both_forms_ending(name, 0, arguments).await;
}

async fn both_forms_ending(name: &str, code: i32, arguments: &[&str]) {
    for (form, json) in [("txt", false), ("json", true)] {
        let service = Service::start(Mock::after(SECOND));
        let mut arguments = arguments.to_vec();
        arguments.extend(json.then_some("--json"));
        let run = run(&service, &arguments).await;
        golden(&format!("{name}.{form}"), &run.transcript(&service));
        assert_eq!(run.code, code, "{name}: {}", run.stderr);
        if json {
            let text = if code == 0 { &run.stdout } else { &run.stderr };
            let parsed: serde_json::Value = serde_json::from_str(text).unwrap();
            assert!(parsed.is_object());
        }
    }
}

/// Compares what a command says on a service that others were run on before.
async fn says(service: &Service, name: &str, arguments: &[&str]) {
    let run = run(service, arguments).await;
    golden(&format!("{name}.txt"), &run.transcript(service));
}

#[tokio::test]
async fn circles_are_listed_and_shown() {
    both_forms("circle-list", &["circle", "list"]).await;
    both_forms("circle-show", &["circle", "show", "fam"]).await;
    both_forms("circle-access", &["circle", "access"]).await;
    let service = Service::start(Mock::after(SECOND));
    says(&service, "circle-show-chess", &["circle", "show", "chess"]).await;
}

#[tokio::test]
async fn circles_are_changed() {
    both_forms("circle-create", &["circle", "create", "Book club", "--no-recovery"]).await;
    both_forms("circle-rename", &["circle", "rename", "Family", "The clan"]).await;
    both_forms("circle-suggest", &["circle", "suggest", "Family", "tcp/22", "udp/any"]).await;
    let added = ["circle", "add", "Family", STRANGER, "--label", "Zoe", "--admin"];
    both_forms("circle-add", &added).await;
    both_forms("circle-remove", &["circle", "remove", "Family", "ada"]).await;
    both_forms("circle-role", &["circle", "role", "Family", "Mum", "admin"]).await;
    both_forms("circle-leave", &["circle", "leave", "Chess", "--yes"]).await;
    let service = Service::start(Mock::after(SECOND));
    says(&service, "circle-suggest-nothing", &["circle", "suggest", "Family"]).await;
    says(&service, "circle-role-member", &["circle", "role", "Family", "grandpa", "member"]).await;
    assert_eq!(run(&service, &["circle", "leave", "Family", "--yes"]).await.code, 0);
    says(&service, "circle-list-left", &["circle", "list"]).await;
    says(&service, "circle-forget", &["circle", "forget", "Family"]).await;
    says(&service, "circle-forgotten", &["circle", "list"]).await;
}

#[tokio::test]
async fn what_members_reach_is_decided_here() {
    let allow = ["circle", "allow", "Family", "tcp/445", "udp/53"];
    both_forms("circle-allow", &allow).await;
    both_forms("circle-deny", &["circle", "deny", "Family", "tcp/8050", "echo"]).await;
    both_forms("circle-pause", &["circle", "pause", "Family"]).await;
    let service = Service::start(Mock::after(SECOND));
    for (name, arguments) in [
        ("circle-allow-suggested", &["circle", "allow", "chess", "--suggested"][..]),
        ("circle-allow-member", &["circle", "allow", "Family", "tcp/5900", "--member", "mum"]),
        ("circle-deny-member", &["circle", "deny", "Family", "tcp/any", "--member", "mum"]),
        ("circle-echo", &["circle", "echo", "Chess", "off"]),
        ("circle-subnet", &["circle", "subnet", "Family", "on"]),
        ("circle-paused", &["circle", "pause", "Family"]),
        ("circle-list-paused", &["circle", "list"]),
        ("circle-access-paused", &["circle", "access"]),
        ("circle-resume", &["circle", "resume", "Family"]),
    ] {
        says(&service, name, arguments).await;
    }
}

#[tokio::test]
async fn circle_is_made_after_a_word_of_its_paper_was_typed_back() {
    let service = Service::start(Mock::after(SECOND));
    let mut terminal = Terminal::run(&service, &["circle", "create", "Book club"]);
    terminal.until("To be sure, type word ").await;
    let mut words = vec![String::new(); 24];
    let shown: Vec<_> = terminal.seen.split_whitespace().map(str::to_owned).collect();
    for pair in shown.windows(2) {
        let number: Option<usize> = pair[0].parse().ok();
        if let Some(number) = number.filter(|number| (1..=24).contains(number)) {
            words[number - 1] = pair[1].clone();
        }
    }
    assert!(planetary_ipc::RecoveryKey::from_words(&words.join(" ")).is_ok(), "{shown:?}");
    let number = terminal.seen.rsplit("type word ").next().unwrap().trim_end_matches([':', ' ']);
    let number: usize = number.parse().unwrap();
    let before = service.mock.status().access.circles;
    terminal.press("nonsense\n");
    terminal.press(&format!("{}\n", words[number - 1].to_uppercase()));
    let (code, seen) = terminal.end().await;
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("Began the circle Book club."), "{seen}");
    assert_eq!(seen.matches("type word ").count(), 2);
    assert_eq!(service.mock.status().access.circles, before + 1);

    let mut terminal = Terminal::run(&service, &["circle", "create", "Other"]);
    terminal.until("To be sure, type word ").await;
    terminal.press("one\ntwo\nthree\n");
    let (code, seen) = terminal.end().await;
    assert_eq!(code, Some(1), "{seen}");
    assert!(seen.contains("no circle was made"), "{seen}");
    assert_eq!(service.mock.status().access.circles, before + 1);
}

#[tokio::test]
async fn paper_is_printed_where_nobody_can_be_asked() {
    let service = Service::start(Mock::after(SECOND));
    let made = run(&service, &["circle", "create", "Book club"]).await;
    assert_eq!((made.code, made.stderr.as_str()), (0, ""));
    assert!(made.stdout.contains("\n   1 ") && made.stdout.contains(" 24 "), "{}", made.stdout);
    let made = run(&service, &["circle", "create", "Choir", "--json"]).await;
    let parsed: serde_json::Value = serde_json::from_str(&made.stdout).unwrap();
    let words = parsed["recovery_key"]["words"].as_array().unwrap();
    let words: Vec<_> = words.iter().map(|word| word.as_str().unwrap()).collect();
    let key = planetary_ipc::RecoveryKey::from_words(&words.join(" ")).unwrap().key();
    assert_eq!(parsed["recovery_key"]["key"], key.to_string());
    assert_eq!(parsed["circle"]["recovery"], true);
}

#[tokio::test]
async fn paper_brings_back_in() {
    let service = Service::start(Mock::after(SECOND));
    assert_eq!(run(&service, &["circle", "leave", "Family", "--yes"]).await.code, 0);
    let mut terminal = Terminal::run(&service, &["circle", "recover", "Family"]);
    terminal.until("which are not shown: ").await;
    // In two lines, as a person may copy them.
    let half = PAPER.match_indices(' ').nth(11).unwrap().0;
    terminal.press(&format!("{}\n", &PAPER[..half]));
    terminal.until("12 words so far").await;
    terminal.press(&format!("{}\n", &PAPER[half..]));
    let (code, seen) = terminal.end().await;
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("This computer is an admin of Family, by the key on paper."), "{seen}");
    assert!(!seen.contains("sausage"), "the words are shown: {seen}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("words.txt");
    let file = path.to_str().unwrap();
    for (content, code, words) in [
        (PAPER.replacen("thank", "thanks", 1), 2, "word 3 is not in the list"),
        (PAPER.replacen("title", "winner", 1), 2, "the check at the end does not fit"),
        ("abandon ".repeat(23) + "art", 1, "another key on paper"),
        (PAPER.to_owned(), 0, "Removed \"Grandpa\""),
    ] {
        fs::write(&path, content).unwrap();
        let remove = ["circle", "recover", "Family", "--remove", "Grandpa", "--words-file", file];
        let run = run(&service, &remove).await;
        assert_eq!(run.code, code, "{}", run.stderr);
        assert!((run.stdout + &run.stderr).contains(words), "{words}");
    }
    fs::write(&path, PAPER).unwrap();
    let made = ["circle", "recover", "Family", "--admin", STRANGER, "--words-file", file];
    says(&service, "circle-recover", &made).await;
    says(&service, "circle-recover-unasked", &["circle", "recover", "Family"]).await;
    says(&service, "circle-recover-none", &["circle", "recover", "Chess"]).await;
}

#[tokio::test]
async fn invites_are_made_listed_shown_and_taken_back() {
    both_forms("invite-create", &["invite", "create", "Family"]).await;
    let many = ["invite", "create", "fam", "--uses", "5", "--for", "1h30m", "--ask", "--no-peers"];
    both_forms("invite-create-many", &many).await;
    both_forms("invite-list", &["invite", "list"]).await;
    both_forms("invite-show", &["invite", "show", "1"]).await;
    both_forms("invite-revoke", &["invite", "revoke", "1"]).await;
    let service = Service::start(Mock::after(SECOND));
    says(&service, "invite-show-over", &["invite", "show", "2"]).await;
    says(&service, "invite-revoke-over", &["invite", "revoke", "2"]).await;
    let drawn = run(&service, &["invite", "show", "1", "--qr"]).await;
    assert!(drawn.stdout.starts_with('█'), "{}", drawn.stdout);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("code.png");
    let arguments = ["invite", "create", "Family", "--png", path.to_str().unwrap()];
    let written = run(&service, &arguments).await;
    let link: JoinLink = written.stdout.lines().next().unwrap().parse().unwrap();
    assert_eq!(link.name.as_str(), "Family");
    assert!(fs::read(&path).unwrap().starts_with(b"\x89PNG"));
}

/// Lets the mock service live until the program has ended.
async fn end_while_time_passes(service: &Service, terminal: Terminal) -> (Option<i32>, String) {
    let mock = std::sync::Arc::clone(&service.mock);
    let ticking = async {
        loop {
            mock.tick();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        ended = terminal.end() => ended,
        () = ticking => unreachable!("time passes for ever"),
    }
}

async fn until_while_time_passes(service: &Service, terminal: &mut Terminal, text: &str) {
    let mock = std::sync::Arc::clone(&service.mock);
    let ticking = async {
        loop {
            mock.tick();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = terminal.until(text) => {}
        () = ticking => unreachable!("time passes for ever"),
    }
}

#[tokio::test]
async fn guest_sees_the_circle_before_it_agrees() {
    let service = Service::start(Mock::after(SECOND));
    let mut terminal = Terminal::run_sized(&service, &["join", LINK, "--as", "Me"], &[], (40, 120));
    until_while_time_passes(&service, &mut terminal, "Join Cinema? [y/N]").await;
    assert!(terminal.seen.contains("Asking"), "{}", terminal.seen);
    assert!(terminal.seen.contains("Front desk"), "{}", terminal.seen);
    assert_eq!(service.mock.status().access.circles, 2);
    terminal.press("n\n");
    let (code, seen) = terminal.end().await;
    assert_eq!(code, Some(1));
    assert!(seen.contains("Not joined."), "{seen}");
    says(&service, "circle-accept", &["circle", "accept", "Cinema", "--yes"]).await;
    assert_eq!(service.mock.status().access.circles, 3);
}

#[tokio::test]
async fn guest_waits_for_the_other_person_and_joins() {
    let service = Service::start(Mock::after(SECOND));
    let link = with_token("aaaqeayeaudaocajbifqydiob4");
    let mut terminal = Terminal::run(&service, &["join", &link, "--with-peers"]);
    until_while_time_passes(&service, &mut terminal, "Join Cinema? [y/N]").await;
    terminal.press("yes\n");
    let (code, seen) = terminal.end().await;
    assert_eq!(code, Some(0), "{seen}");
    for text in
        ["Added the peer tls://cinema.example:443.", "its person is asked", "member of Cinema"]
    {
        assert!(seen.contains(text), "{text}: {seen}");
    }
}

#[tokio::test]
async fn link_that_lets_nobody_in_says_no_more_than_that() {
    let service = Service::start(Mock::after(SECOND));
    let refused = with_token("aaaaaaaaaaaaaaaaaaaaaaaaaa");
    let terminal = Terminal::run(&service, &["join", &refused]);
    let (code, seen) = end_while_time_passes(&service, terminal).await;
    assert_eq!(code, Some(1), "{seen}");
    assert!(seen.contains("the link does not let this computer into Cinema"), "{seen}");
    let over = LINK.replace("e=1800000000", "e=1");
    both_forms_ending("join-over", 1, &["join", &over]).await;
}

#[tokio::test]
async fn joining_goes_on_without_a_person() {
    both_forms("join-no-wait", &["join", LINK, "--no-wait"]).await;
    let service = Service::start(Mock::after(SECOND));
    run(&service, &["join", LINK, "--no-wait"]).await;
    says(&service, "circle-show-asking", &["circle", "show", "cinema"]).await;
    service.mock.tick();
    service.mock.tick();
    says(&service, "circle-show-invited", &["circle", "show", "cinema"]).await;
    says(&service, "circle-accept-unasked", &["circle", "accept", "cinema"]).await;
    says(&service, "circle-decline", &["circle", "leave", "cinema"]).await;
    let again = run(&service, &["circle", "join", LINK, "--no-wait"]).await;
    assert!(again.stdout.starts_with("Asking to join Cinema."), "{}", again.stderr);
}

#[tokio::test]
async fn questions_are_listed_and_answered() {
    both_forms("questions", &["questions"]).await;
    both_forms("questions-answer", &["questions", "answer", "3", "always"]).await;
    both_forms_ending("questions-answer-over", 1, &["questions", "answer", "99", "no"]).await;
    let service = Service::start(Mock::after(SECOND));
    says(&service, "questions-answer-unfit", &["questions", "answer", "3", "yes"]).await;
    let circle = ["questions", "answer", "3", "circle", "--circle", "Family"];
    says(&service, "questions-answer-circle", &circle).await;
    says(&service, "questions-answer-guest", &["questions", "answer", "4", "yes"]).await;
    says(&service, "questions-none", &["questions"]).await;
    assert!(service.mock.status().questions.is_empty());
}

#[tokio::test]
async fn person_is_asked_on_a_terminal() {
    let service = Service::start(Mock::after(SECOND));
    let mut terminal = Terminal::run_sized(&service, &["questions"], &[], (40, 120));
    terminal.until("shared screen) of this computer. [o]nce, [a]lways, [c]ircle, [N]o: ").await;
    terminal.press("what?\n");
    terminal.press("c\n");
    terminal.until("All members of Family may reach tcp/5900").await;
    terminal.until("wants to join Family. [y]es, [N]o: ").await;
    terminal.press("\n");
    let (code, seen) = terminal.end().await;
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("\"Tim\"") && seen.contains("is not let into Family"), "{seen}");
    assert!(service.mock.status().questions.is_empty());
}

#[tokio::test]
async fn person_is_asked_as_questions_come() {
    let service = Service::start(Mock::after(39));
    let mut terminal = Terminal::run_sized(&service, &["questions", "--watch"], &[], (40, 120));
    terminal.until("Waiting for questions").await;
    service.mock.tick();
    terminal.until("[N]o: ").await;
    terminal.press("once\n");
    terminal.until("within the next minute").await;
    service.mock.tick();
    service.mock.tick();
    terminal.until("wants to join Family").await;
    terminal.press("y\n");
    terminal.until("is let into Family").await;
    terminal.interrupt();
    terminal.end().await;
}

#[tokio::test]
async fn visits_are_told() {
    both_forms("visits", &["visits"]).await;
    let service = Service::start(Mock::after(1));
    says(&service, "visits-none", &["visits"]).await;
}

#[tokio::test]
async fn mistakes_about_circles_are_told_with_what_to_do() {
    both_forms_ending("circle-unknown", 1, &["circle", "show", "moon"]).await;
    both_forms_ending("circle-no-right", 1, &["circle", "rename", "Chess", "Go"]).await;
    both_forms_ending("circle-no-member", 1, &["circle", "remove", "Family", "moon"]).await;
    both_forms_ending("join-bad-link", 2, &["join", "planetary:join?c=1"]).await;
    let service = Service::start(Mock::after(SECOND));
    let own = service.mock.status().key.to_string();
    let shown = run(&service, &["invite", "show", "1", "--json"]).await;
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    let own_link = shown["link"].as_str().unwrap();
    for (arguments, code, words) in [
        (&["circle", "create", "x\u{202e}"][..], 2, "invisible character"),
        (&["circle", "create", "family", "--no-recovery"], 1, "is called family"),
        (&["circle", "add", "Family", "moon"], 1, "no friend is called `moon`"),
        (&["circle", "add", "Family", "Ada"], 1, "is in Family already"),
        (&["circle", "role", "Family", &own, "member"], 1, "what it may do itself"),
        (&["circle", "remove", "Family", &own], 1, "planetary circle leave"),
        (&["circle", "allow", "Family"], 2, "required"),
        (&["circle", "allow", "Family", "ssh"], 2, "is not a service"),
        (&["circle", "allow", "Family", "echo", "--member", "Mum"], 2, "planetary circle echo"),
        (&["circle", "echo", "Family", "maybe"], 2, "possible values: on, off"),
        (&["circle", "forget", "Family"], 1, "leave it first"),
        (&["circle", "accept", "Family"], 1, "waits for a yes"),
        (&["circle", "leave", "Family"], 2, "--yes"),
        (&["invite", "create", "Chess"], 1, "no admin of Chess"),
        (&["invite", "create", "Family", "--uses", "51"], 2, "1..=50"),
        (&["invite", "create", "Family", "--for", "30s"], 2, "from 1m to 31d"),
        (&["invite", "create", "Family", "--peer", "tls://10.0.0.1:1"], 2, "public internet"),
        (&["invite", "show", "99"], 1, "no invite with the number 99"),
        (&["invite", "show", "2", "--qr"], 2, "has no link"),
        (&["join", own_link], 2, "made the link itself"),
        (&["join", "planetary:friend?k=1"], 2, "begins with `planetary:join?`"),
        (&["questions", "answer", "3", "perhaps"], 2, "possible values"),
        (&["questions", "--watch", "answer", "3", "no"], 2, "cannot be used with"),
    ] {
        let text = run(&service, arguments).await;
        assert_eq!((text.code, text.stdout.as_str()), (code, ""), "{arguments:?} {}", text.stderr);
        assert!(text.stderr.contains(words), "{arguments:?}: {}", text.stderr);
    }
}
