//! A real service and its friends: what is asked is stored, told and still there after a restart.
//!
//! ```text
//!   alpha  (listens on 127.0.0.1, any port)  <---- tcp ----  beta
//! ```

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use planetary_ipc::client::RequestError;
use planetary_ipc::friends::{Audience, FriendName, LocalService};
use planetary_ipc::{
    Client, ErrorCode, Event, FriendChange, FriendLink, NodeKey, State, Status, Target, Topic,
    client,
};

/// Longest wait for anything; a healthy run needs a small part of it.
const PATIENCE: Duration = Duration::from_secs(20);

const ADA: NodeKey = NodeKey([7; 32]);

/// A service in a folder of its own; killed when dropped.
struct Service {
    child: Child,
    dir: tempfile::TempDir,
}

impl Service {
    async fn start(config: &str, arguments: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), config, arguments).await
    }

    async fn start_in(dir: tempfile::TempDir, config: &str, arguments: &[&str]) -> Self {
        fs::write(dir.path().join("config.toml"), config).unwrap();
        let log = dir.path().join("log");
        let log = fs::File::options().create(true).append(true).open(log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_planetaryd"))
            .args(["run", "--no-lan", "--tun", "none", "--state-dir"])
            .arg(dir.path())
            .arg("--control")
            .arg(dir.path().join("control.sock"))
            .args(arguments)
            .env_remove("RUST_LOG")
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut service = Self { child, dir };
        let deadline = Instant::now() + PATIENCE;
        while client::connect(&service.path("control.sock"), "test").await.is_err() {
            let ended = service.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "{}", service.text("log"));
            pause().await;
        }
        service
    }

    /// Ends the service with a signal, and starts another in its folder.
    async fn again(mut self, signal: &str, config: &str) -> Self {
        self.signal(signal);
        self.child.wait().unwrap();
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap());
        Self::start_in(dir, config, &[]).await
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    async fn client(&self) -> Client {
        client::connect(&self.path("control.sock"), "test").await.unwrap().0
    }

    fn reload(&self, config: &str) {
        fs::write(self.path("config.toml"), config).unwrap();
        self.signal("HUP");
    }

    async fn until(&self, what: &str, reached: impl Fn(&Status) -> bool) -> Box<Status> {
        let client = self.client().await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = client.status().await.unwrap();
            if reached(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "never {what}: {status:#?}");
            pause().await;
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

fn refusal(error: RequestError) -> (ErrorCode, String, String) {
    let RequestError::Refused(error) = error else { panic!("{error}") };
    (error.code, error.message, error.hint.unwrap_or_default())
}

fn name(text: &str) -> Option<FriendName> {
    Some(text.parse().unwrap())
}

fn services(texts: &[&str]) -> Vec<LocalService> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Adds a key under a name, with nothing said about its rights.
async fn add(client: &Client, key: NodeKey, called: &str) -> Result<(), RequestError> {
    let who = Target::Key(key);
    client.add_friend(who, name(called), None, Vec::new(), String::new()).await.map(drop)
}

#[tokio::test]
async fn fresh_node_is_closed_and_a_new_friend_may_send_echo_and_nothing_else() {
    let service = Service::start("", &[]).await;
    let client = service.client().await;
    let access = client.status().await.unwrap().access;
    let words = (access.inbound, access.echo, access.sessions);
    assert_eq!(words, (Audience::Circles, Audience::Circles, Audience::Circles));
    assert_eq!((access.friends, access.blocked, access.everyone.len()), (0, 0, 0));
    assert!(access.paused.is_none() && access.lobby_until.is_none());
    assert!(!service.path("friends.json").exists());

    add(&client, ADA, "Ada").await.unwrap();
    let (friends, everyone) = client.friends().await.unwrap();
    let ada = &friends[0];
    assert!(ada.echo && ada.services.is_empty() && !ada.verified && !ada.blocked && !ada.online);
    assert_eq!((ada.name.as_str(), ada.last_seen, everyone.len()), ("Ada", None, 0));
    assert_eq!(ada.address.octets()[0], 2);
    assert_eq!(client.status().await.unwrap().access.friends, 1);
    let mode = fs::metadata(service.path("friends.json")).unwrap().permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
}

#[tokio::test]
async fn what_was_set_is_there_after_a_kill() {
    let service = Service::start("", &[]).await;
    let client = service.client().await;
    add(&client, ADA, "Ada").await.unwrap();
    let change = FriendChange {
        name: name("Augusta"),
        allow: services(&["tcp/22", "udp/5000-5010"]),
        echo: Some(false),
        verified: Some(true),
        notes: Some("poet\nof science".into()),
        deny: Vec::new(),
    };
    let ada = client.change_friend(ADA, change).await.unwrap();
    client.block(NodeKey([8; 32]), name("Mallory"), "noise".into()).await.unwrap();
    client.change_open(services(&["tcp/80"]), Vec::new()).await.unwrap();
    client.pause(None).await.unwrap();
    let service = service.again("KILL", "").await;
    let client = service.client().await;
    let (friends, everyone) = client.friends().await.unwrap();
    assert_eq!((&friends[..], &everyone[..]), (&[ada][..], &services(&["tcp/80"])[..]));
    assert_eq!(client.blocked().await.unwrap()[0].notes, "noise");
    let access = client.status().await.unwrap().access;
    assert_eq!((access.friends, access.blocked, access.sessions), (1, 1, Audience::Circles));
    assert_eq!(access.paused.unwrap().until, None);
    let access = client.resume().await.unwrap().access;
    assert_eq!((access.paused, access.sessions), (None, Audience::Everyone));
}

#[tokio::test]
async fn friends_that_make_no_sense_are_refused_with_the_reason() {
    let service = Service::start("", &[]).await;
    let client = service.client().await;
    add(&client, ADA, "Ada").await.unwrap();
    let own = client.status().await.unwrap().key;
    let (code, words, _) = refusal(add(&client, own, "me").await.unwrap_err());
    assert_eq!(
        (code, words.as_str()),
        (ErrorCode::InvalidTarget, "this is the key of this node itself")
    );
    let (code, words, _) = refusal(add(&client, ADA, "Eve").await.unwrap_err());
    assert_eq!(code, ErrorCode::FriendExists);
    assert!(words.contains("called Ada"), "{words}");
    let (code, ..) = refusal(add(&client, NodeKey([9; 32]), "ADA").await.unwrap_err());
    assert_eq!(code, ErrorCode::FriendExists);
    client.block(NodeKey([9; 32]), None, String::new()).await.unwrap();
    let (code, _, hint) = refusal(add(&client, NodeKey([9; 32]), "Eve").await.unwrap_err());
    assert_eq!(code, ErrorCode::KeyBlocked);
    assert!(hint.contains("planetary friend unblock 0909"), "{hint}");

    let allow = services(&["tcp/22@200::1"]);
    let change = FriendChange { allow, ..FriendChange::default() };
    let (code, words, _) = refusal(client.change_friend(ADA, change).await.unwrap_err());
    assert_eq!(code, ErrorCode::InvalidFriend);
    assert!(words.starts_with("200::1 is not an address of this computer"), "{words}");
    let home = client.status().await.unwrap().address;
    let allow = services(&[&format!("tcp/22@{home}")]);
    client.change_friend(ADA, FriendChange { allow, ..FriendChange::default() }).await.unwrap();
    let unknown = client.remove_friend(NodeKey([1; 32])).await.unwrap_err();
    assert_eq!(refusal(unknown).0, ErrorCode::FriendNotFound);
    // Its own address is no stranger's, and needs no network to be known.
    let address = client.status().await.unwrap().address;
    let who = Target::Address(address);
    let own = client.add_friend(who, None, None, Vec::new(), String::new()).await.unwrap_err();
    assert_eq!(refusal(own).0, ErrorCode::InvalidTarget);
    client.down().await.unwrap();
    let who = Target::Address("200::1".parse().unwrap());
    let down = client.add_friend(who, None, None, Vec::new(), String::new()).await.unwrap_err();
    assert_eq!(refusal(down).0, ErrorCode::NodeDown);
    add(&client, NodeKey([3; 32]), "Bob").await.unwrap();
}

#[tokio::test]
async fn service_at_an_address_of_a_former_identity_is_in_nobodys_way() {
    let service = Service::start("", &[]).await;
    let client = service.client().await;
    add(&client, ADA, "Ada").await.unwrap();
    let home = client.status().await.unwrap().address;
    let allow = services(&[&format!("tcp/22@{home}")]);
    client.change_friend(ADA, FriendChange { allow, ..FriendChange::default() }).await.unwrap();
    fs::remove_file(service.path("identity.pem")).unwrap();
    let service = service.again("TERM", "").await;
    let client = service.client().await;
    assert_ne!(client.status().await.unwrap().address, home);
    add(&client, NodeKey([3; 32]), "Bob").await.unwrap();
    let change = FriendChange { notes: Some("moved".into()), ..FriendChange::default() };
    assert_eq!(client.change_friend(ADA, change).await.unwrap().services.len(), 1);
}

#[tokio::test]
async fn pause_ends_on_time_and_clients_are_told() {
    let service = Service::start("", &[]).await;
    let client = service.client().await;
    let paused = client.pause(Some(2)).await.unwrap();
    let until = paused.access.paused.unwrap().until.unwrap();
    assert!(until.0 >= paused.time.0 && until.0 <= paused.time.0 + 2);
    let status = service.until("resumed", |status| status.access.paused.is_none()).await;
    assert!(status.time >= until);
    assert!(service.text("log").contains("who may reach this computer has changed with the time"));
    let error = refusal(client.pause(Some(0)).await.unwrap_err());
    assert_eq!(error.0, ErrorCode::InvalidRequest);
}

#[tokio::test]
async fn settings_apply_on_reload_without_a_restart_of_the_node() {
    let service = Service::start("", &["--listen", "tcp://127.0.0.1:0"]).await;
    let client = service.client().await;
    let listener = |status: &Status| status.listeners.first().map(|listener| listener.uri.clone());
    let before = service.until("listening", |status| listener(status).is_some()).await;
    service.reload("filter.inbound = \"everyone\"\nfilter.echo = \"nobody\"\n");
    let open = |status: &Status| status.access.inbound == Audience::Everyone;
    let status = service.until("open", open).await;
    assert_eq!(
        (status.access.echo, status.access.sessions),
        (Audience::Nobody, Audience::Everyone)
    );
    assert_eq!(listener(&status), listener(&before), "the port that the system chose is the same");

    client.change_open(services(&["tcp/80"]), Vec::new()).await.unwrap();
    service.reload("sessions = \"circles\"\n");
    let told = |status: &Status| status.health.iter().any(|item| item.code == "open_unreachable");
    let status = service.until("told of the contradiction", told).await;
    assert_eq!(status.access.sessions, Audience::Circles);
    let more = client.change_open(services(&["tcp/81"]), Vec::new()).await.unwrap_err();
    let (code, _, hint) = refusal(more);
    assert_eq!(code, ErrorCode::NotAllowed);
    assert!(hint.contains("remove `sessions`"), "{hint}");
    client.change_open(Vec::new(), services(&["tcp/any"])).await.unwrap();
    service.until("no contradiction", |status| !told(status)).await;

    service.reload("sessions = \"circles\"\nfilter.echo = \"everyone\"\n");
    let told = |status: &Status| status.health.iter().any(|item| item.code == "config_not_read");
    let status = service.until("told of the mistake", told).await;
    assert_eq!(status.access.echo, Audience::Circles, "the old settings hold");
}

#[tokio::test]
async fn damaged_friends_are_kept_and_the_door_is_shut() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("friends.json"), "{\"version\":1,\"friends\":[{").unwrap();
    let service = Service::start_in(dir, "filter.inbound = \"everyone\"\n", &[]).await;
    let status = service.client().await.status().await.unwrap();
    let item = status.health.iter().find(|item| item.code == "friends_damaged").unwrap();
    assert!(item.text.contains("Nobody may open anything"), "{}", item.text);
    assert!(status.access.paused.is_some() && status.access.sessions == Audience::Circles);
    let kept = fs::read_dir(service.dir.path())
        .unwrap()
        .flatten()
        .find(|entry| entry.file_name().to_str().unwrap().starts_with("friends.json.damaged-"));
    assert_eq!(fs::read_to_string(kept.unwrap().path()).unwrap().len(), 25);
    let service = service.again("TERM", "filter.inbound = \"everyone\"\n").await;
    let status = service.client().await.status().await.unwrap();
    assert!(status.access.paused.is_some(), "a restart is no yes");
}

#[tokio::test]
async fn link_of_a_node_leads_to_it_and_holds_no_secret() {
    let config = "peers = [\"tls://a.example:443?password=hush\", \"tls://b.example:443\", \
                  \"tcp://10.0.0.1:1\", \"tcp://c.example:1?priority=3\"]\n";
    let service = Service::start(config, &["--listen", "tcp://127.0.0.1:0"]).await;
    let client = service.client().await;
    let shared = client.share(name("Ada's laptop"), None).await.unwrap();
    let link: FriendLink = shared.link.parse().unwrap();
    assert_eq!(link.key, client.status().await.unwrap().key);
    assert_eq!(link.name, name("Ada's laptop"));
    let mut peers: Vec<_> = link.peers.iter().map(ToString::to_string).collect();
    peers.sort();
    assert_eq!(peers, ["tcp://c.example:1", "tls://b.example:443"]);
    assert!(!shared.link.contains("hush"));
    let status = client.status().await.unwrap();
    assert_eq!(status.access.lobby_until, Some(shared.lobby_until));
    assert!(shared.lobby_until.0 >= status.time.0 + 48 * 3600 - 2);
    let named = client.share(None, Some(vec!["tls://d.example:1".into()])).await.unwrap();
    assert_eq!(named.peers, ["tls://d.example:1"]);
    let bad = client.share(None, Some(vec!["tls://192.168.0.1:1".into()])).await.unwrap_err();
    assert_eq!(refusal(bad).0, ErrorCode::InvalidUri);
    let none = client.share(None, Some(Vec::new())).await.unwrap();
    assert!(none.peers.is_empty());
}

#[tokio::test]
async fn book_goes_from_one_node_to_another() {
    let (alpha, beta) = (Service::start("", &[]).await, Service::start("", &[]).await);
    let (from, to) = (alpha.client().await, beta.client().await);
    for number in 1..=100 {
        add(&from, NodeKey([number; 32]), &format!("friend {number}")).await.unwrap();
        let notes = Some("n".repeat(1_000));
        let change = FriendChange { notes, ..FriendChange::default() };
        from.change_friend(NodeKey([number; 32]), change).await.unwrap();
    }
    from.block(NodeKey([200; 32]), None, "spam".into()).await.unwrap();
    let book = from.export_friends().await.unwrap();
    add(&to, NodeKey([5; 32]), "Five").await.unwrap();
    let report = to.import_friends(book.clone(), false).await.unwrap();
    assert_eq!((report.added, report.kept, report.blocked), (99, 1, 1));
    assert_eq!(report.refused, []);
    let report = to.import_friends(book.clone(), true).await.unwrap();
    assert_eq!((report.added, report.updated), (0, 100));
    assert_eq!(to.export_friends().await.unwrap(), book);
}

#[tokio::test]
async fn friend_is_found_by_its_address_and_seen_when_it_speaks() {
    let open = "filter.echo = \"everyone\"\n";
    let alpha = Service::start(open, &["--listen", "tcp://127.0.0.1:0"]).await;
    let listening = |status: &Status| !status.listeners.is_empty();
    let uri = alpha.until("listening", listening).await.listeners[0].uri.clone();
    let beta = Service::start(open, &["--peer", &uri]).await;
    let connected = |status: &Status| status.state == State::Connected;
    let of_alpha = alpha.until("connected", connected).await;
    let of_beta = beta.until("connected", connected).await;

    let (client, mut updates) = client::connect(&beta.path("control.sock"), "test").await.unwrap();
    client.subscribe(vec![Topic::Friends]).await.unwrap();
    let who = Target::Address(of_alpha.address);
    let alpha_there =
        client.add_friend(who, name("Alpha"), None, Vec::new(), String::new()).await.unwrap();
    assert_eq!(alpha_there.key, of_alpha.key);
    add(&alpha.client().await, of_beta.key, "Beta").await.unwrap();

    let ping = client.ping(Target::Key(of_alpha.key), Some(1), None).await.unwrap();
    assert_eq!(ping.received, 1);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (friends, _) = client.friends().await.unwrap();
        if friends[0].online {
            let at = friends[0].last_seen.unwrap();
            assert!(at.0 + 60 > client.status().await.unwrap().time.0);
            break;
        }
        assert!(Instant::now() < deadline, "never online");
        pause().await;
    }
    // Added and online are two changes, of which a busy service may tell in one update.
    let latest = client.status().await.unwrap().friends_revision;
    let mut told = 0;
    while told < latest {
        let update = tokio::time::timeout(PATIENCE, updates.next()).await.unwrap().unwrap();
        if let Event::Friends { revision } = update.event {
            assert!(told < revision, "every update tells of a change");
            told = revision;
        }
    }
    assert!(beta.text("friends.json").contains("\"last_seen\":null"), "no packet causes a write");
    beta.signal("TERM");
    let mut beta = beta;
    beta.child.wait().unwrap();
    assert!(!beta.text("friends.json").contains("\"last_seen\":null"), "the end does");
}
