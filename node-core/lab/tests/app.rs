//! The desktop app and the service, used as a person uses them, against the real `yggdrasil`.
//!
//! ```text
//!   [me] app + ours ======wire1======> [far] reference listens <======wire2====== ours [bob]
//! ```
//!
//! `bob` is there in the story of a circle.

#![cfg(target_os = "linux")]

use std::fs;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use planetary_lab::Kind::{Ours, Reference};
use planetary_lab::{App, Deadline, Lab, Node, Talker, Wire, run, until};
use serde_json::Value;

/// What a window says of a node that cannot reach anybody.
const CUT_OFF: &[&str] = &["Offline", "Connecting"];

/// Runs where the app can be run. Where it cannot, that is a failure under `CI`, as elsewhere.
fn run_app(scenario: &str, body: impl FnOnce(&Lab) -> Result<()>) {
    let missing = App::missing();
    if missing.is_empty() {
        return run(scenario, body);
    }
    let missing = missing.join(", ");
    let automatic = std::env::var_os("CI").is_some();
    assert!(!automatic, "{scenario}: missing: {missing}; run: cargo xtask test");
    eprintln!("{scenario} SKIPPED, missing: {missing}; run: cargo xtask test");
}

struct Ground {
    me: Arc<Node>,
    far: Arc<Node>,
    wire: Arc<Wire>,
    /// Where the far node is to be dialled.
    uri: String,
}

/// A node without peers, and one to dial. The service of the first has just been installed.
fn ground(lab: &Lab) -> Result<Ground> {
    let (here, there) = (lab.host("me")?, lab.host("far")?);
    let wire = lab.wire(&here, &there)?;
    let uri = wire.ends()[1].uri("tls", 9001);
    let far = lab.start(lab.node(Reference, &there)?.listen(&uri))?;
    let me = lab.start(lab.node(Ours, &here)?.closed())?;
    Ok(Ground { me, far, wire, uri })
}

#[test]
fn person_goes_from_the_first_start_to_a_friend() {
    run_app("app", |lab| {
        let Ground { me, far, wire, uri } = ground(lab)?;
        let app = App::start(&me, &lab.folder().join("app"), &[])?;
        let outcome = whole_story(&app, &me, &far, &wire, &uri);
        report(&app, outcome)
    });
}

fn whole_story(app: &App, me: &Node, far: &Node, wire: &Wire, uri: &str) -> Result<()> {
    // First run: three cards, and a peer of one's own.
    app.wait_for("welcome-what")?;
    app.picture("1-welcome")?;
    app.click("welcome-next")?;
    app.wait_for("welcome-who")?;
    app.click("welcome-next")?;
    app.click("way-own")?;
    app.enter("welcome-uri", uri)?;
    app.click("welcome-connect")?;
    app.wait_for("welcome-added")?;
    app.click("welcome-finish")?;
    connected(app)?;
    app.picture("2-connected")?;

    // Who am I? The same as the command line says.
    let told = me.planetary(["address"])?;
    let address = told["address"].as_str().context("planetary address told no address")?;
    let shown = app.wait_for("own-address")?;
    ensure!(shown.trim() == address, "the window shows {shown}, planetary says {address}");

    // The peer is there, with its latency.
    app.click("nav-peers")?;
    app.wait_until_reads("peer-table", &[" ms"], Deadline::seconds(30))?;
    let rows = app.count(&format!("[data-testid=peer-table] button[title^=\"{uri}\"]"))?;
    ensure!(rows == 1, "{rows} rows for {uri}");
    app.picture("3-peers")?;

    // The map shows both.
    app.click("nav-map")?;
    app.wait_for("map")?;
    let nodes = "Number(document.querySelector('[data-testid=map]').dataset.nodes)";
    until("two nodes on the map", Deadline::seconds(30), || {
        let count = app.evaluate(nodes)?;
        ensure!(count.as_u64() >= Some(2), "it has {count}");
        Ok(Some(()))
    })?;
    app.picture("4-map")?;

    // The interface goes: degraded. It comes back: healed.
    app.click("nav-home")?;
    me.host().ip(["link", "set", me.device(), "down"])?;
    app.wait_until_reads("state-word", &["trouble"], Deadline::seconds(60))?;
    app.picture("5-degraded")?;
    me.host().ip(["link", "set", me.device(), "up"])?;
    connected(app)?;

    // The wire goes, and comes back.
    wire.cut()?;
    app.wait_until_reads("state-word", CUT_OFF, Deadline::seconds(60))?;
    wire.heal()?;
    connected(app)?;

    // A friend from a link that a browser opened: shown first, stored on a press.
    let link = format!("planetary:friend?k={}&n=Ada", far.identity().key());
    app.start_again(&[&link])?;
    let preview = app.wait_for("link-preview")?;
    ensure!(preview.contains(&far.address().to_string()), "the preview shows {preview}");
    ensure!(friends(me)?.is_empty(), "stored before it was wanted");
    app.picture("6-friend")?;
    app.click("add-friend-submit")?;
    app.wait_until_reads("friend-row", &["Ada"], Deadline::seconds(20))?;
    ensure!(friends(me)?.len() == 1, "the service has not stored it");

    // Off, and on again.
    app.click("nav-home")?;
    app.click("connect-toggle")?;
    app.wait_until_reads("state-word", &["Off"], Deadline::seconds(20))?;
    app.click("connect-toggle")?;
    connected(app)?;

    // The service is killed, and started again: nobody has to help.
    me.kill()?;
    app.wait_until_reads("state-word", &["stopped"], Deadline::seconds(30))?;
    app.picture("7-stopped")?;
    me.start()?;
    connected(app)?;
    Ok(())
}

/// A circle begins with a key on paper; a guest whom nobody knows joins it by a link, knocks, and
/// is let in by a press of a button.
#[test]
fn person_begins_a_circle_and_answers_a_knock() {
    run_app("a circle in the app", |lab| {
        let [here, there, elsewhere] = ["me", "far", "bob"].map(|label| lab.host(label));
        let (here, there, elsewhere) = (here?, there?, elsewhere?);
        let uri = lab.wire(&here, &there)?.ends()[1].uri("tls", 9001);
        let other = lab.wire(&elsewhere, &there)?.ends()[1].uri("tls", 9001);
        lab.start(lab.node(Reference, &there)?.listen(&uri).listen(&other))?;
        let me = lab.start(lab.node(Ours, &here)?.peer(&uri).closed())?;
        let bob = lab.start(lab.node(Ours, &elsewhere)?.peer(&other).closed())?;
        let app = App::start(&me, &lab.folder().join("app"), &[])?;
        let outcome = story_of_a_circle(&app, &me, &bob);
        report(&app, outcome)
    });
}

fn story_of_a_circle(app: &App, me: &Node, bob: &Node) -> Result<()> {
    app.click("welcome-skip")?;
    connected(app)?;
    app.click("nav-friends")?;
    app.click("tab-circles")?;
    app.click("create-circle")?;
    app.enter("create-name", "Family")?;
    app.click("create-next")?;
    // The words of the key are shown once, and two of them are to be typed back.
    app.wait_for("paper-words")?;
    app.picture("8-paper")?;
    let words = "[...document.querySelectorAll('[data-testid=paper-words] .word')]\
                 .map((word) => word.textContent)";
    let words = app.evaluate(words)?;
    let words: Vec<&str> =
        words.as_array().context("no words")?.iter().filter_map(Value::as_str).collect();
    ensure!(words.len() == 24, "{} words", words.len());
    app.click("create-next")?;
    let numbers = "[...document.querySelectorAll('[data-testid=prove-word]')]\
                   .map((field) => Number(field.dataset.number))";
    let asked = until("two words to be asked for", Deadline::seconds(20), || {
        let asked = app.evaluate(numbers)?;
        let asked: Vec<u64> =
            asked.as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
        Ok((asked.len() == 2).then_some(asked))
    })?;
    for number in asked {
        let word = words[usize::try_from(number)? - 1];
        app.enter(&format!("[data-number=\"{number}\"]"), word)?;
    }
    app.click("create-next")?;

    // A link for one guest, who is nobody's friend.
    app.click("invite-make")?;
    let link = app.wait_for("invite-link")?;
    app.picture("9-invite")?;
    ensure!(!words.iter().any(|word| link.contains(word)), "the key on paper is in the link");
    bob.planetary(["join", link.trim(), "--as", "Bob", "--yes"])?;
    let members = "document.body.innerText.includes('2 members')";
    until("two members in the window", Deadline::seconds(60), || {
        Ok((app.evaluate(members)? == true).then_some(()))
    })?;
    app.picture("10-circle")?;
    let list = me.planetary(["circle", "list"])?;
    let circle = list.pointer("/circles/0").context("no circle")?;
    ensure!(circle["recovery"] == true && circle["name"] == "Family", "another circle: {circle}");

    // It knocks at a port that no rule names, and gets in by the answer.
    let _talker = Talker::start(me.host(), 7000)?;
    let mut knock = bob.host().command("nc");
    knock.args(["-6", "-z", "-w", "25", &me.address().to_string(), "7000"]);
    let mut knock = knock.spawn()?;
    app.wait_until_reads("question", &["7000"], Deadline::seconds(20))?;
    app.picture("11-question")?;
    app.click("answer-always")?;
    ensure!(knock.wait()?.success(), "let in, and kept out");
    until("the question to go", Deadline::seconds(20), || {
        Ok((app.count("question")? == 0).then_some(()))
    })?;
    until("the visit to be told", Deadline::seconds(20), || {
        let told = me.planetary(["visits"])?;
        let visits = told["visits"].as_array().context("no visits")?;
        let opened = |visit: &Value| visit["service"] == "tcp/7000" && visit["outcome"] == "opened";
        ensure!(visits.iter().any(opened), "nobody came: {told}");
        Ok(Some(()))
    })?;
    Ok(())
}

/// Containers and some desktops have a locale that names no language, which pages cannot stand.
#[test]
fn window_is_whole_without_a_language_and_without_a_service() {
    run_app("app in no language", |lab| {
        let host = lab.host("me")?;
        for (number, language) in ["C.UTF-8", ""].into_iter().enumerate() {
            let folder = lab.folder().join(format!("app{number}"));
            let environment = [("LANG", language)];
            let control = lab.folder().join("nobody.sock");
            let app = App::start_at(&host, &control, &folder, &environment)?;
            let outcome = app.wait_for("welcome-what").and_then(|_| {
                app.click("welcome-skip")?;
                app.wait_until_reads("state-word", &["stopped"], Deadline::seconds(20))?;
                let language = app.evaluate("navigator.language")?;
                ensure!(language == "en-US", "the page was told the language {language}");
                Ok(())
            });
            report(&app, outcome)?;
        }
        Ok(())
    });
}

/// The app that is shut and opened again knows what it was told.
#[test]
fn preferences_hold_over_a_restart_of_the_app() {
    run_app("app again", |lab| {
        let host = lab.host("me")?;
        let folder = lab.folder().join("app");
        let control = lab.folder().join("nobody.sock");
        let app = App::start_at(&host, &control, &folder, &[])?;
        app.click("welcome-skip")?;
        app.wait_for("view-home")?;
        drop(app);
        let file = folder.join("config/planetarynetwork/app.json");
        let kept: Value = serde_json::from_str(&fs::read_to_string(file)?)?;
        ensure!(kept["welcomed"] == true, "kept: {kept}");
        let app = App::start_at(&host, &control, &folder, &[])?;
        let outcome = app.wait_for("view-home").map(drop);
        ensure!(app.count("welcome")? == 0, "the first steps again");
        report(&app, outcome)
    });
}

/// Waits until the window says that all is well, and nothing else.
fn connected(app: &App) -> Result<()> {
    until("the window to say `Connected`", Deadline::seconds(60), || {
        let word = app.text("state-word")?;
        ensure!(word.trim() == "Connected", "it says: {word}");
        Ok(Some(()))
    })
}

fn friends(node: &Node) -> Result<Vec<Value>> {
    let told = node.planetary(["friend", "list"])?;
    Ok(told["friends"].as_array().context("no list of friends")?.clone())
}

/// A story that failed tells what the window looked like.
fn report(app: &App, outcome: Result<()>) -> Result<()> {
    outcome.inspect_err(|_| {
        match app.picture("failed") {
            Ok(file) => eprintln!("the window: {}", file.display()),
            Err(error) => eprintln!("no picture of the window: {error:#}"),
        }
        let page = app.evaluate("document.body.innerText");
        eprintln!("on it: {}", page.unwrap_or_default().as_str().unwrap_or_default());
        eprintln!("the app's log:\n{}", app.log());
    })
}
