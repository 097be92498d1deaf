//! The controller against a service that lives in memory, on a real socket, without a window.

use std::sync::Mutex;

use planetary_ipc::mock::Mock;
use planetary_ipc::{CircleState, Question, UnixTime};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::preferences::Appearance;
use super::*;

/// A desktop that writes down what it is told.
#[derive(Default)]
struct Paper {
    told: Mutex<Vec<String>>,
    trays: Mutex<Vec<Tray>>,
    save_at: Mutex<Option<PathBuf>>,
    autostart: Mutex<bool>,
    focused: Mutex<bool>,
    /// Rings with each line.
    written: Notify,
}

impl Paper {
    fn write(&self, line: String) {
        self.told.lock().unwrap().push(line);
        self.written.notify_one();
    }

    fn lines(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
}

impl Shell for Paper {
    fn emit(&self, event: Event<'_>) {
        let detail = match &event {
            Event::Connection(connection) => state(connection),
            Event::Link { text } => (*text).to_owned(),
            Event::Show { view } => format!("{view:?}"),
            _ => String::new(),
        };
        self.write(format!("{} {detail}", event.name()).trim().to_owned());
    }

    fn set_tray(&self, tray: &Tray) {
        self.trays.lock().unwrap().push(tray.clone());
        self.write(format!("tray: {}", tray.state));
    }

    fn notify(&self, notification: &Notification) {
        self.write(format!("notice: {}", notification.title));
    }

    fn withdraw(&self, matter: Matter) {
        self.write(format!("withdrawn: {matter:?}"));
    }

    fn has_focus(&self) -> bool {
        *self.focused.lock().unwrap()
    }

    fn show_window(&self) {
        self.write("window".to_owned());
    }

    fn set_appearance(&self, appearance: Appearance) {
        self.write(format!("appearance: {appearance:?}"));
    }

    fn copy(&self, text: &str) -> Result<(), Failure> {
        self.write(format!("copied: {text}"));
        Ok(())
    }

    async fn pick_file(&self, question: SaveQuestion) -> Option<PathBuf> {
        self.write(format!("save: {}", question.name));
        self.save_at.lock().unwrap().clone()
    }

    fn autostart(&self) -> bool {
        *self.autostart.lock().unwrap()
    }

    fn set_autostart(&self, wanted: bool) -> Result<(), Failure> {
        *self.autostart.lock().unwrap() = wanted;
        Ok(())
    }

    fn quit(&self) {
        self.write("quit".to_owned());
    }
}

fn state(connection: &Connection) -> String {
    match connection {
        Connection::Connecting { .. } => "connecting".to_owned(),
        Connection::Ready { status, .. } => format!("ready {}", status.state.name()),
        Connection::Absent(absent) => absent.state.name().to_owned(),
    }
}

/// A controller that runs, and the place where its service is or is not.
struct Ground {
    folder: TempDir,
    controller: Arc<Controller<Paper>>,
    running: JoinHandle<()>,
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let preferences = PreferencesFile::open(Some(folder.path().join("app.json")));
        let socket = Some(folder.path().join("control.sock"));
        let controller = Controller::new(Paper::default(), socket, preferences, Language::En);
        let running = tokio::spawn(Arc::clone(&controller).run());
        Self { folder, controller, running }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("control.sock")
    }

    fn serve(&self, mock: &Arc<Mock>) -> JoinHandle<()> {
        let (mock, socket) = (Arc::clone(mock), self.socket());
        tokio::spawn(async move { mock.serve(&socket).await.unwrap() })
    }

    /// Until such a line is written; those before it are crossed out.
    async fn until(&self, line: &str) {
        let paper = self.controller.shell();
        let waiting = async {
            loop {
                let written = paper.written.notified();
                {
                    let mut told = paper.told.lock().unwrap();
                    if let Some(at) = told.iter().position(|told| told == line) {
                        told.drain(..=at);
                        return;
                    }
                }
                written.await;
            }
        };
        let found = time::timeout(Duration::from_secs(20), waiting).await;
        assert!(found.is_ok(), "no `{line}` in {:?}", paper.lines());
    }

    async fn ask(&self, request: Value) -> Result<Reply, Failure> {
        self.controller.ask(request).await
    }
}

#[tokio::test]
async fn service_that_comes_and_goes_is_followed() {
    let ground = Ground::new();
    ground.until("connection stopped").await;
    let Connection::Absent(absent) = ground.controller.connection() else { panic!() };
    assert_eq!(absent.place, ground.socket().display().to_string());
    assert!(!absent.can_supervise && absent.retry_in_s > 0);
    // A socket that the person named is theirs, and no business of the service manager.
    assert_eq!((absent.step, absent.command), (None, None));
    let failure = ground.ask(json!({ "type": "status" })).await.unwrap_err();
    assert_eq!(failure.code, "stopped");

    let mock = Mock::settled();
    let serving = ground.serve(&mock);
    ground.until("connection ready connected").await;
    ground.until("tray: Connected").await;
    let Connection::Ready { rights, status, .. } = ground.controller.connection() else { panic!() };
    assert_eq!((rights, *status == mock.status()), (Rights::Admin, true));

    serving.abort();
    ground.until("connection connecting").await;
    ground.until("connection stopped").await;
    let _serving = ground.serve(&mock);
    ground.until("connection ready connected").await;
}

#[tokio::test]
async fn restart_within_a_moment_is_no_absence() {
    let ground = Ground::new();
    ground.until("connection stopped").await;
    let mock = Mock::settled();
    let serving = ground.serve(&mock);
    ground.until("connection ready connected").await;
    serving.abort();
    let _ = serving.await;
    ground.until("connection connecting").await;
    let _serving = ground.serve(&mock);
    ground.until("connection ready connected").await;
    let lines = ground.controller.shell().lines();
    assert!(!lines.contains(&"connection stopped".to_owned()), "{lines:?}");
}

#[tokio::test]
async fn topics_hold_over_reconnects_and_end_when_they_are_not_wanted() {
    let ground = Ground::new();
    ground.controller.watch(vec![Topic::Traffic]);
    let mock = Mock::settled();
    let serving = ground.serve(&mock);
    ground.until("connection ready connected").await;
    let ticking = |mock: Arc<Mock>| {
        tokio::spawn(async move {
            loop {
                mock.tick();
                time::sleep(Duration::from_millis(50)).await;
            }
        })
    };
    let clock = ticking(Arc::clone(&mock));
    ground.until("traffic").await;
    serving.abort();
    ground.until("connection connecting").await;
    let _serving = ground.serve(&mock);
    ground.until("traffic").await;
    clock.abort();
    // What the pages ask for is as new as what they were told.
    let status = ground.controller.connection().status().cloned().unwrap();
    assert!(status.uptime_s >= Mock::settled().status().uptime_s);
    ground.controller.watch(Vec::new());
    ground.ask(json!({ "type": "status" })).await.unwrap();
}

#[tokio::test]
async fn requests_are_passed_on_but_for_those_that_are_not_the_pages_business() {
    let ground = Ground::new();
    let mock = Mock::settled();
    let _serving = ground.serve(&mock);
    ground.until("connection ready connected").await;
    let reply = ground.ask(json!({ "type": "identity_show" })).await.unwrap();
    assert!(matches!(reply, Reply::Identity(_)));
    let Reply::Topology(topology) = ground.ask(json!({ "type": "topology" })).await.unwrap() else {
        panic!()
    };
    assert!(topology.pages == 1 && topology.nodes.len() > 3);
    for (request, code) in [
        (json!({ "type": "resync" }), "not_allowed"),
        (json!({ "type": "subscribe", "topics": [] }), "not_allowed"),
        (json!({ "type": "sealing_key" }), "not_allowed"),
        (json!({ "type": "moon" }), "unknown_request"),
        (json!({ "type": "path", "target": "moon" }), "invalid_target"),
        (json!({ "type": "ping", "target": "200::1", "count": 0 }), "invalid_request"),
        (json!(7), "invalid_request"),
        (json!({ "type": "peer_remove", "uri": "tls://none.example:1" }), "peer_not_found"),
    ] {
        let failure = ground.ask(request.clone()).await.unwrap_err();
        assert_eq!(failure.code, code, "{request}");
    }
}

#[tokio::test]
async fn tray_switches_pauses_copies_and_opens() {
    let ground = Ground::new();
    let mock = Mock::settled();
    let _serving = ground.serve(&mock);
    ground.until("tray: Connected").await;
    let controller = &ground.controller;
    controller.chosen(Choice::CopyAddress).await;
    ground.until(&format!("copied: {}", mock.status().address)).await;
    controller.chosen(Choice::Pause).await;
    ground.until("tray: Connected, closed to everyone").await;
    controller.chosen(Choice::Pause).await;
    ground.until("tray: Connected").await;
    controller.chosen(Choice::Switch).await;
    ground.until("tray: Off").await;
    controller.chosen(Choice::Switch).await;
    ground.until("tray: Connecting").await;
    controller.chosen(Choice::Settings).await;
    ground.until("window").await;
    ground.until("show Settings").await;
    controller.chosen(Choice::Quit).await;
    ground.until("quit").await;
}

#[tokio::test]
async fn tray_is_drawn_only_when_it_changes_and_in_the_language_chosen() {
    let ground = Ground::new();
    let mock = Mock::settled();
    let _serving = ground.serve(&mock);
    ground.until("tray: Connected").await;
    let before = ground.controller.shell().trays.lock().unwrap().len();
    let change = PreferencesChange { welcomed: Some(true), ..Default::default() };
    ground.controller.change_preferences(&change).unwrap();
    assert_eq!(ground.controller.shell().trays.lock().unwrap().len(), before);
    let change = json!({ "language": "de", "appearance": "dark", "autostart": true });
    let change: PreferencesChange = serde_json::from_value(change).unwrap();
    let preferences = ground.controller.change_preferences(&change).unwrap();
    assert!(preferences.autostart && preferences.welcomed);
    ground.until("appearance: Dark").await;
    ground.until("tray: Verbunden").await;
}

#[tokio::test]
async fn links_are_shown_with_what_is_known_and_told_when_they_are_opened() {
    let ground = Ground::new();
    let mock = Mock::settled();
    let _serving = ground.serve(&mock);
    ground.until("connection ready connected").await;
    let read = async |text: String| match ground.controller.read_link(&text).await.unwrap() {
        Link::Node(preview) => preview,
        Link::Join(other) => panic!("{other:?}"),
    };
    let own = read(mock.status().key.to_string()).await;
    assert!(own.own && own.address == mock.status().address);
    let (friends, _) = ground.controller.client().unwrap().friends().await.unwrap();
    let friend = read(friends[0].address.to_string()).await;
    assert_eq!(friend.known.as_ref(), Some(&friends[0]));
    assert_eq!(friend.key, Some(friends[0].key));
    let failure = ground.controller.read_link("moon").await.unwrap_err();
    assert_eq!(failure.code, "invalid_link");

    ground.controller.open_links(["--minimised", "planetary:friend?k=first"]);
    assert_eq!(ground.controller.pending_links(), ["planetary:friend?k=first"]);
    ground.controller.open_links(["planetary:friend?k=second"]);
    ground.until("link planetary:friend?k=second").await;
}

#[tokio::test]
async fn identity_is_saved_and_taken_back() {
    let ground = Ground::new();
    let mock = Mock::settled();
    let _serving = ground.serve(&mock);
    ground.until("connection ready connected").await;
    let passphrase = || Zeroizing::new("correct horse battery".to_owned());
    let export = || ground.controller.export_identity(passphrase());
    assert_eq!(export().await.unwrap(), None, "the person thought better of it");
    let path = ground.folder.path().join("a.backup");
    *ground.controller.shell().save_at.lock().unwrap() = Some(path.clone());
    let saved = export().await.unwrap().unwrap();
    assert_eq!(saved.file, path.display().to_string());
    let text = std::fs::read_to_string(&path).unwrap();
    let import = |passphrase| {
        let secret = ImportSecret { passphrase, text: Zeroizing::new(text.clone()) };
        ground.controller.import_identity(secret, true, false)
    };
    assert!(!import(Some(passphrase())).await.unwrap().differs);
    let weak = ground.controller.export_identity(Zeroizing::new("x".to_owned())).await;
    assert_eq!(weak.unwrap_err().code, "weak_passphrase");
}

#[tokio::test]
async fn settings_of_another_program_are_read_here_and_judged_by_the_service() {
    let ground = Ground::new();
    let mock = Mock::settled();
    let _serving = ground.serve(&mock);
    ground.until("connection ready connected").await;
    let import = |text: &str, is_toml| {
        let text = Zeroizing::new(text.to_owned());
        let controller = Arc::clone(&ground.controller);
        async move { controller.import_settings(&text, is_toml, true, false, false).await }
    };
    let hjson = "{\n Peers: [\"tls://peer.example:443\"]\n PrivateKeyPath: /etc/key.pem\n}";
    let report = import(hjson, false).await.unwrap();
    assert!(report.items.iter().any(|item| item.setting == "Peers"));
    let left = report.items.iter().find(|item| item.setting == "PrivateKeyPath").unwrap();
    assert_eq!(left.outcome, ImportOutcome::Left);
    import("peers = [\"tls://peer.example:443\"]", true).await.unwrap();
    let failure = import("nothing", false).await.unwrap_err();
    assert_eq!(failure.code, "invalid_import");
}

#[tokio::test]
async fn files_are_saved_where_the_person_says() {
    let ground = Ground::new();
    let path = ground.folder.path().join("report.txt");
    *ground.controller.shell().save_at.lock().unwrap() = Some(path.clone());
    let save = |kind, data: &str| ground.controller.save("../r.txt", kind, data.to_owned());
    save(SaveKind::Text, "a report").await.unwrap().unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a report");
    ground.until("save: r.txt").await;
    assert_eq!(save(SaveKind::Png, "no").await.unwrap_err().code, "invalid_request");
    *ground.controller.shell().save_at.lock().unwrap() = Some("/no/such/folder/x".into());
    assert_eq!(save(SaveKind::Text, "").await.unwrap_err().code, "file");
}

#[tokio::test(start_paused = true)]
async fn loss_is_told_after_a_while_and_not_to_those_who_do_not_want_it() {
    let controller = |notifications| {
        let folder = tempfile::tempdir().unwrap();
        let preferences = PreferencesFile::open(None);
        let socket = Some(folder.path().join("control.sock"));
        let controller = Controller::new(Paper::default(), socket, preferences, Language::En);
        let change = PreferencesChange { notifications: Some(notifications), ..Default::default() };
        controller.change_preferences(&change).unwrap();
        (controller, folder)
    };
    for wanted in [true, false] {
        let (controller, _folder) = controller(wanted);
        let telling = Arc::clone(&controller);
        let telling = tokio::spawn(async move { telling.tell_notices().await });
        let ready = |state| {
            let mut status = Mock::settled().status();
            status.state = state;
            Connection::Ready {
                since: connection::now(),
                place: String::new(),
                rights: Rights::Change,
                status: Arc::new(status),
            }
        };
        controller.set_connection(ready(State::Connected), None);
        controller.set_connection(ready(State::Offline), None);
        time::sleep(Duration::from_secs(9)).await;
        let notices = || {
            let lines = controller.shell().lines();
            lines.into_iter().filter(|line| line.starts_with("notice")).collect::<Vec<_>>()
        };
        assert_eq!(notices(), Vec::<String>::new());
        time::sleep(Duration::from_secs(2)).await;
        controller.set_connection(ready(State::Connected), None);
        time::sleep(Duration::from_secs(1)).await;
        let expected: &[&str] =
            if wanted { &["notice: Connection lost", "notice: Connected again"] } else { &[] };
        assert_eq!(notices(), expected);
        telling.abort();
    }
}

#[tokio::test]
async fn invites_are_shown_with_how_this_computer_stands_to_the_circle() {
    let ground = Ground::new();
    let mock = Mock::settled();
    let _serving = ground.serve(&mock);
    ground.until("connection ready connected").await;
    let Reply::Invites(list) = ground.ask(json!({ "type": "invite_list" })).await.unwrap() else {
        panic!()
    };
    let invite = list.invites.iter().find(|invite| invite.link.is_some()).unwrap();
    let read = async |text: &str| match ground.controller.read_link(text).await.unwrap() {
        Link::Join(preview) => preview,
        Link::Node(other) => panic!("{other:?}"),
    };
    let own = read(invite.link.as_deref().unwrap()).await;
    assert_eq!((own.circle, own.own, own.expired), (invite.circle, true, false));
    assert_eq!(own.known, Some(CircleState::Member));
    let (friends, _) = ground.controller.client().unwrap().friends().await.unwrap();
    let token = "aaaqeayeaudaocajbifqydiob4";
    let rest = format!("t={token}&e=1&n=Hikers");
    let link = format!("planetary:join?c={}&k={}&{rest}", "ab".repeat(32), friends[0].key);
    let other = read(&link).await;
    assert_eq!(other.inviter.known.as_ref(), Some(&friends[0]));
    assert!(other.expired && !other.own && other.known.is_none());

    ground.controller.open_links([link.clone()]);
    assert_eq!(ground.controller.pending_links(), [link]);
}

#[tokio::test]
async fn question_of_the_service_is_told_and_gone_when_it_is_answered() {
    let ground = Ground::new();
    let mock = Mock::settled();
    let _serving = ground.serve(&mock);
    ground.until("connection ready connected").await;
    ground.controller.watch(vec![Topic::Circles]);
    while mock.status().questions.is_empty() {
        mock.tick();
    }
    let asked = mock.status().questions[0].clone();
    let title = questions::title(&asked, Language::En);
    ground.until(&format!("notice: {title}")).await;
    let answer = json!({ "type": "question_answer", "question": asked.id, "answer": "no" });
    ground.ask(answer).await.unwrap();
    ground.until("withdrawn: Question").await;
}

#[tokio::test]
async fn questions_are_told_while_nobody_looks_and_taken_back_when_they_are_over() {
    let folder = tempfile::tempdir().unwrap();
    let socket = Some(folder.path().join("control.sock"));
    let preferences = PreferencesFile::open(None);
    let controller = Controller::new(Paper::default(), socket, preferences, Language::En);
    let see = |ids: &[u64]| {
        let mut status = Mock::settled().status();
        status.questions = ids.iter().map(|id| knock(*id)).collect();
        let status = Arc::new(status);
        let (since, place, rights) = (connection::now(), String::new(), Rights::Change);
        controller.set_connection(Connection::Ready { since, place, rights, status }, None);
        let lines = std::mem::take(&mut *controller.shell().told.lock().unwrap());
        let told = |line: &String| line.starts_with("notice") || line.starts_with("withdrawn");
        lines.into_iter().filter(told).collect::<Vec<_>>()
    };
    assert_eq!(see(&[]), Vec::<String>::new());
    assert_eq!(see(&[1]), ["notice: Ada wants to reach port 22 (ssh)"]);
    let tray = controller.tray();
    assert_eq!(tray.entry(Choice::Questions).unwrap().text, "Ada wants to reach port 22 (ssh)");
    assert_eq!(see(&[1]), Vec::<String>::new());
    assert_eq!(see(&[]), ["withdrawn: Question"]);
    // Who looks at the window sees the question itself, and is not told of it later.
    *controller.shell().focused.lock().unwrap() = true;
    assert_eq!(see(&[2]), Vec::<String>::new());
    *controller.shell().focused.lock().unwrap() = false;
    assert_eq!(see(&[2]), Vec::<String>::new());
    assert_eq!(see(&[2, 3]).len(), 1);
    // Without a service nobody can answer.
    controller.set_connection(Connection::connecting(), None);
    assert!(controller.shell().lines().contains(&"withdrawn: Question".to_owned()));
    let change = PreferencesChange { notifications: Some(false), ..Default::default() };
    controller.change_preferences(&change).unwrap();
    assert!(!see(&[4]).iter().any(|line| line.starts_with("notice")));

    controller.chosen(Choice::Questions).await;
    assert_eq!(controller.shell().lines(), ["window", "show Questions"]);
}

fn knock(id: u64) -> Question {
    let who = json!({ "key": "cd".repeat(32), "name": "Ada", "label": null });
    let subject = json!({ "kind": "knock", "who": who, "circles": [], "service": "tcp/22" });
    let subject = serde_json::from_value(subject).unwrap();
    Question { id, asked_at: UnixTime(100), until: UnixTime(130), subject }
}

#[test]
fn questions_are_wanted_whatever_the_pages_want() {
    assert_eq!(with_questions(&[]), [Topic::Questions]);
    let both = [Topic::Traffic, Topic::Questions];
    assert_eq!(with_questions(&both[..1]), both);
    assert_eq!(with_questions(&both), both);
}

#[test]
fn attempts_get_rarer_up_to_a_bound() {
    let waits: Vec<u64> = (0..7).map(|attempts| retry_after(attempts).as_secs()).collect();
    assert_eq!(waits, [1, 2, 4, 8, 10, 10, 10]);
}
