//! `planetary friend`, `share`, `pause` and `resume` as a person meets them, against the mock
//! service: golden transcripts, questions on a terminal, files.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

#[expect(dead_code, reason = "other tests need the rest")]
mod running;

use std::fs;

use planetary_ipc::mock::Mock;

use running::{Service, Terminal, golden, run};

/// The moment at which the mock service stands still.
const SECOND: u64 = 45;

/// A key that nobody has.
const STRANGER: &str = "0707070707070707070707070707070707070707070707070707070707070707";

const LINK: &str = "planetary:friend?k=a4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dq&\
    n=Zo%C3%AB&p=tls://zoe.example:443&p=tls://frankfurt.example:443";

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

#[tokio::test]
async fn friends_are_listed_and_shown() {
    both_forms("friend-list", &["friend", "list"]).await;
    both_forms("friend-show", &["friend", "show", "ada"]).await;
}

#[tokio::test]
async fn friends_are_added_by_key_link_and_address() {
    let named = ["friend", "add", STRANGER, "--name", "Zoe", "--allow", "tcp/22", "--no-echo"];
    both_forms("friend-add", &named).await;
    both_forms("friend-add-link", &["friend", "add", LINK, "--yes", "--with-peers"]).await;
    let service = Service::start(Mock::after(SECOND));
    let address = service.mock.status().peers[0].address.unwrap().to_string();
    let added = run(&service, &["friend", "add", &address]).await;
    golden("friend-add-address.txt", &added.transcript(&service));
    both_forms_ending("friend-add-unanswered", 1, &["friend", "add", "200::1"]).await;
}

#[tokio::test]
async fn friends_are_changed() {
    both_forms("friend-remove", &["friend", "remove", "Ada"]).await;
    both_forms("friend-rename", &["friend", "rename", "Ada", "Augusta"]).await;
    both_forms("friend-allow", &["friend", "allow", "Uncle Bob", "tcp/80", "udp/any"]).await;
    both_forms("friend-deny", &["friend", "deny", "Ada", "echo", "tcp/8050"]).await;
    both_forms("friend-verify", &["friend", "verify", "uncle bob", "--yes"]).await;
    both_forms("friend-verify-undo", &["friend", "verify", "Ada", "--undo"]).await;
    both_forms("friend-note", &["friend", "note", "Ada"]).await;
    both_forms("friend-note-set", &["friend", "note", "Ada", "likes engines"]).await;
}

#[tokio::test]
async fn services_are_opened_to_everyone_and_closed() {
    both_forms("friend-allow-everyone", &["friend", "allow", "everyone", "tcp/80"]).await;
    both_forms("friend-deny-everyone", &["friend", "deny", "everyone", "tcp/80"]).await;
    let service = Service::start(Mock::after(SECOND));
    run(&service, &["friend", "allow", "everyone", "tcp/80"]).await;
    let denied = run(&service, &["friend", "deny", "Ada", "tcp/22"]).await;
    golden("friend-deny-open.txt", &denied.transcript(&service));
    let status = run(&service, &["status"]).await;
    assert!(status.stdout.contains("as allowed; everyone for tcp/80\n"), "{}", status.stdout);
}

#[tokio::test]
async fn keys_are_blocked_and_unblocked() {
    both_forms("friend-block", &["friend", "block", "Ada"]).await;
    let stranger = ["friend", "block", STRANGER, "--name", "Eve", "--note", "scans"];
    both_forms("friend-block-stranger", &stranger).await;
    both_forms("friend-unblock", &["friend", "unblock", "mallory"]).await;
    let service = Service::start(Mock::after(SECOND));
    run(&service, &["friend", "block", "Ada"]).await;
    let list = run(&service, &["friend", "list"]).await;
    golden("friend-list-blocked.txt", &list.transcript(&service));
    let unblocked = run(&service, &["friend", "unblock", "Ada"]).await;
    golden("friend-unblock-friend.txt", &unblocked.transcript(&service));
    let again = run(&service, &["friend", "unblock", "Ada"]).await;
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("is not blocked"), "{}", again.stderr);
}

#[tokio::test]
async fn friends_travel_in_a_file() {
    both_forms("friend-export", &["friend", "export"]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("friends.json");
    let path = path.to_str().unwrap();
    let from = Service::start(Mock::after(SECOND));
    let exported = run(&from, &["friend", "export", path]).await;
    assert!(exported.stdout.starts_with("Wrote 2 friends and 1 blocked key to "));
    let mode = fs::metadata(path).unwrap().permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
    let again = run(&from, &["friend", "export", path]).await;
    assert_eq!(again.code, 2, "a file that is there stays as it is: {}", again.stderr);

    let to = Service::start(Mock::after(SECOND));
    run(&to, &["friend", "remove", "Ada"]).await;
    let unasked = run(&to, &["friend", "import", path]).await;
    assert_eq!(unasked.code, 2);
    assert!(unasked.stderr.contains("--yes"), "{}", unasked.stderr);
    let imported = run(&to, &["friend", "import", path, "--yes"]).await;
    golden("friend-import.txt", &imported.transcript(&to));
    let show = run(&to, &["friend", "show", "Ada"]).await;
    assert!(show.stdout.contains("tcp/22 tcp/8000-8100"), "{}", show.stdout);

    for (content, words) in [
        ("", "is no list of friends"),
        ("{\"version\":1}", "is no list of friends"),
        ("{\"version\":1,\"friends\":[{\"key\":\"12\",\"name\":\"x\"}]}", "is not a key"),
    ] {
        fs::write(path, content).unwrap();
        let refused = run(&to, &["friend", "import", path, "--yes"]).await;
        assert_eq!(refused.code, 2);
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
    let folder = folder.path().to_str().unwrap();
    let refused = run(&to, &["friend", "import", folder, "--yes"]).await;
    assert!(refused.stderr.contains("is not an ordinary file"), "{}", refused.stderr);
}

#[tokio::test]
async fn link_of_the_node_is_printed_and_drawn() {
    both_forms("share", &["share", "--name", "Ada's laptop"]).await;
    both_forms("share-no-peers", &["share", "--no-peers"]).await;
    let service = Service::start(Mock::after(SECOND));
    let drawn = run(&service, &["share", "--qr", "--no-peers"]).await;
    golden("share-qr.txt", &drawn.transcript(&service));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("code.png");
    let written = run(&service, &["share", "--png", path.to_str().unwrap()]).await;
    assert_eq!(written.code, 0, "{}", written.stderr);
    assert!(fs::read(&path).unwrap().starts_with(b"\x89PNG"));
    let bad = run(&service, &["share", "--peer", "tls://10.0.0.1:1"]).await;
    assert_eq!(bad.code, 2);
    assert!(bad.stderr.contains("not in the public internet"), "{}", bad.stderr);
}

#[tokio::test]
async fn computer_is_closed_for_a_while() {
    both_forms("pause", &["pause"]).await;
    both_forms("pause-for", &["pause", "--for", "2h"]).await;
    both_forms("resume", &["resume"]).await;
}

#[tokio::test]
async fn mistakes_are_told_with_what_to_do() {
    both_forms_ending("friend-unknown", 1, &["friend", "show", "nobody"]).await;
    both_forms_ending("friend-name-taken", 1, &["friend", "rename", "Ada", "uncle bob"]).await;
    both_forms_ending("friend-add-unasked", 2, &["friend", "add", LINK]).await;
    both_forms_ending("friend-add-bad-link", 2, &["friend", "add", "planetary:friend?k=1"]).await;
    let local = "planetary:friend?p=tls://192.168.0.1:1";
    both_forms_ending("friend-add-local-peer", 2, &["friend", "add", local]).await;
    let echo = ["friend", "allow", "everyone", "echo"];
    both_forms_ending("friend-allow-everyone-echo", 2, &echo).await;
    let service = Service::start(Mock::after(SECOND));
    let own = service.mock.status().key.to_string();
    for (arguments, code, words) in [
        (&["friend", "add", &own][..], 2, "own key"),
        (&["friend", "add", &format!("planetary:friend?k={own}"), "--yes"], 2, "this node itself"),
        (&["friend", "add", "moon"], 2, "neither an IPv6 address nor a key"),
        (&["friend", "add", "2001:db8::1"], 2, "200::/7"),
        (&["friend", "add", STRANGER, "--with-peers"], 2, "--with-peers is for a link"),
        (&["friend", "add", STRANGER, "--name", "everyone"], 2, "stands for all nodes"),
        (&["friend", "add", STRANGER, "--name", "a\u{202e}b"], 2, "invisible character U+202E"),
        (&["friend", "allow", "Ada", "ssh"], 2, "is not a service such as tcp/22"),
        (&["friend", "allow", "Ada", "tcp/0"], 2, "is neither a port"),
        (&["friend", "allow", "Ada"], 2, "required"),
        (&["friend", "rename", "Ada", ""], 2, "the name is empty"),
        (&["friend", "block", "moon"], 1, "no friend is called `moon`"),
        (&["friend", "note", "Ada", &"x".repeat(1_025)], 2, "1025 bytes, where 1024 fit"),
        (&["friend"], 2, ""),
        (&["pause", "--for", "soon"], 2, "a time looks like"),
        (&["pause", "--for", "400d"], 2, "366 days"),
        (&["share", "--qr", "--json"], 2, "cannot be used with"),
    ] {
        let text = run(&service, arguments).await;
        assert_eq!((text.code, text.stdout.as_str()), (code, ""), "{arguments:?} {}", text.stderr);
        assert!(text.stderr.contains(words), "{arguments:?}: {}", text.stderr);
    }
    run(&service, &["friend", "block", STRANGER]).await;
    let blocked = run(&service, &["friend", "add", LINK, "--yes"]).await;
    assert!(blocked.stderr.contains("unblock it first"), "{}", blocked.stderr);
}

#[tokio::test]
async fn link_is_shown_on_a_terminal_and_does_nothing_without_a_yes() {
    let service = Service::start(Mock::after(SECOND));
    let before = service.mock.status();
    let mut terminal = Terminal::run(&service, &["friend", "add", LINK]);
    terminal.until("Add this friend? [y/N]").await;
    assert!(terminal.seen.contains("calls itself"), "{}", terminal.seen);
    assert!(terminal.seen.contains("ping this computer, nothing else"), "{}", terminal.seen);
    assert!(terminal.seen.contains("not added (--with-peers adds them)"), "{}", terminal.seen);
    terminal.press("\n");
    let (code, seen) = terminal.end().await;
    assert_eq!(code, Some(1));
    assert!(seen.contains("Nothing was changed."), "{seen}");
    assert_eq!(service.mock.status(), before);

    let mut terminal = Terminal::run(&service, &["friend", "add", LINK, "--name", "Zoe"]);
    terminal.until("[y/N]").await;
    terminal.press("y\n");
    let (code, seen) = terminal.end().await;
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("Added Zoe"), "{seen}");
    let status = service.mock.status();
    assert_eq!((status.access.friends, &status.peers), (3, &before.peers));
}

#[tokio::test]
async fn key_is_compared_on_a_terminal() {
    let service = Service::start(Mock::after(SECOND));
    let mut terminal = Terminal::run(&service, &["friend", "verify", "Uncle Bob"]);
    terminal.until("Is it the same? [y/N]").await;
    terminal.press("yes\n");
    let (code, seen) = terminal.end().await;
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("The key of Uncle Bob is verified."), "{seen}");
}
