//! Real services and their circles: made, joined by a link, left, and still there after a restart.
//!
//! ```text
//!   alpha  (listens on 127.0.0.1, any port)  <---- tcp ----  beta
//!                                            <---- tcp ----  gamma
//! ```

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use planetary_ipc::client::RequestError;
use planetary_ipc::friends::{Audience, LocalService};
use planetary_ipc::recovery::RecoveryKey;
use planetary_ipc::{
    Answer, CircleAccessChange, CircleChange, CircleDetails, CircleDraft, CircleId, CircleState,
    Client, ErrorCode, Invite, InviteState, MemberRole, MemberState, NodeKey, State, Status,
    Subject, Target, Topic, client,
};

/// Longest wait for anything; a healthy run needs a small part of it.
const PATIENCE: Duration = Duration::from_secs(40);

/// A service in a folder of its own; killed when dropped.
struct Service {
    child: Child,
    dir: tempfile::TempDir,
}

impl Service {
    async fn start(arguments: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), arguments).await
    }

    /// Default settings, but for the interface, which needs rights.
    async fn start_in(dir: tempfile::TempDir, arguments: &[&str]) -> Self {
        fs::write(dir.path().join("config.toml"), "").unwrap();
        let log = dir.path().join("log");
        let log = fs::File::options().create(true).append(true).open(log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_planetaryd"))
            .args(["run", "--tun", "none", "--state-dir"])
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
    async fn again(mut self, signal: &str, arguments: &[&str]) -> Self {
        self.signal(signal);
        self.child.wait().unwrap();
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap());
        Self::start_in(dir, arguments).await
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

    async fn until(&self, what: &str, reached: impl Fn(&Status) -> bool) -> Box<Status> {
        let client = self.client().await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = client.status().await.unwrap();
            if reached(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "never {what}: {status:#?}\n{}", self.text("log"));
            pause().await;
        }
    }

    async fn circle_until(
        &self,
        id: CircleId,
        what: &str,
        reached: impl Fn(&CircleDetails) -> bool,
    ) -> CircleDetails {
        let client = self.client().await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let details = client.circle(id).await.unwrap();
            if reached(&details) {
                return *details;
            }
            assert!(Instant::now() < deadline, "never {what}: {details:#?}\n{}", self.text("log"));
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
    tokio::time::sleep(Duration::from_millis(20)).await;
}

fn refusal(error: RequestError) -> (ErrorCode, String, String) {
    let RequestError::Refused(error) = error else { panic!("{error}") };
    (error.code, error.message, error.hint.unwrap_or_default())
}

fn services(texts: &[&str]) -> Vec<LocalService> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn allow(texts: &[&str]) -> CircleAccessChange {
    CircleAccessChange { allow: services(texts), ..CircleAccessChange::default() }
}

fn is(state: CircleState) -> impl Fn(&CircleDetails) -> bool {
    move |details| details.circle.state == state
}

/// Keys with states, as both sides should have them.
fn roll(details: &CircleDetails) -> Vec<(NodeKey, MemberState, MemberRole)> {
    let members = details.members.iter();
    members.map(|member| (member.party.key, member.state, member.role)).collect()
}

/// Alpha, and as many others that are its peers and know nobody.
async fn network(others: usize) -> (Service, Vec<Service>, String) {
    let alpha = Service::start(&["--listen", "tcp://127.0.0.1:0"]).await;
    let listening = |status: &Status| !status.listeners.is_empty();
    let uri = alpha.until("listening", listening).await.listeners[0].uri.clone();
    let mut all = Vec::new();
    for _ in 0..others {
        let service = Service::start(&["--peer", &uri]).await;
        service.until("linked", |status| status.peers.iter().any(|peer| peer.up)).await;
        all.push(service);
    }
    (alpha, all, uri)
}

async fn key(service: &Service) -> NodeKey {
    service.client().await.status().await.unwrap().key
}

async fn invite(client: &Client, circle: CircleId) -> Invite {
    *client.create_invite(circle, None, None, None, false, Some(Vec::new())).await.unwrap()
}

/// Lets `guest` follow a link of `host`, agree, and waits until both know.
async fn bring_in(host: &Service, guest: &Service, circle: CircleId, label: &str) {
    let link = invite(&host.client().await, circle).await.link.unwrap();
    let client = guest.client().await;
    client.join_circle(link, Some(label.parse().unwrap())).await.unwrap();
    guest.circle_until(circle, "invited", is(CircleState::Invited)).await;
    client.accept_circle(circle).await.unwrap();
    let guest = key(guest).await;
    let there = |details: &CircleDetails| {
        let mut members = details.members.iter();
        members.any(|one| one.party.key == guest && one.state == MemberState::Member)
    };
    host.circle_until(circle, "told of the guest", there).await;
}

#[tokio::test]
async fn guest_that_nobody_knows_joins_by_a_link_and_is_removed_again() {
    let (alpha, others, _) = network(1).await;
    let beta = &others[0];
    let client = alpha.client().await;
    let made = client.create_circle("Family".parse().unwrap()).await.unwrap();
    let id = made.circle.id;
    assert_eq!((made.circle.state, made.circle.members), (CircleState::Member, 1));
    assert_eq!(made.circle.role, Some(MemberRole::Admin));
    assert!(made.circle.access.services.is_empty() && !made.circle.access.echo);
    assert_eq!(client.status().await.unwrap().access.circles, 1);

    let made = invite(&client, id).await;
    assert_eq!((made.state, made.uses, made.used, made.asks), (InviteState::Open, 1, 0, false));
    let status = client.status().await.unwrap();
    assert_eq!(status.access.lobby_until, Some(made.expires_at));
    assert_eq!(status.access.sessions, Audience::Circles, "default settings");

    let guest = beta.client().await;
    let link = made.link.clone().unwrap();
    let label = Some("Beta's phone".parse().unwrap());
    let asked = guest.join_circle(link.clone(), label.clone()).await.unwrap().circle;
    assert_eq!((asked.state, asked.name.as_str()), (CircleState::Asking, "Family"));
    assert_eq!(asked.inviter.unwrap().key, key(&alpha).await);
    assert!(asked.expires_at.is_some());
    let seen = beta.circle_until(id, "invited", is(CircleState::Invited)).await;
    assert_eq!((seen.circle.name.as_str(), seen.circle.members), ("Family", 1));
    assert_eq!(guest.status().await.unwrap().access.circles, 0, "nobody has agreed");
    let used = &client.invites().await.unwrap().invites[0];
    assert_eq!((used.state, used.used, &used.link), (InviteState::Used, 1, &None));
    assert_eq!(used.guests[0].label, label);

    guest.accept_circle(id).await.unwrap();
    let (own, theirs) = (key(&alpha).await, key(beta).await);
    let both = [
        (own, MemberState::Member, MemberRole::Admin),
        (theirs, MemberState::Member, MemberRole::Member),
    ];
    let here = alpha.circle_until(id, "agreed", |details| roll(details) == both).await;
    assert_eq!(roll(&*guest.circle(id).await.unwrap()), both);
    assert_eq!(here.members[1].party.label, label);
    assert!(here.members[1].removable && !here.members[0].removable);
    alpha.circle_until(id, "online", |details| details.circle.online == 1).await;
    alpha.until("counted", |status| status.access.members == 1).await;

    client.change_circle_access(id, allow(&["tcp/22"])).await.unwrap();
    client.change_member_access(id, theirs, services(&["udp/53"]), Vec::new()).await.unwrap();
    let gone = client.remove_member(id, theirs).await.unwrap();
    assert_eq!(gone.circle.members, 1);
    assert_eq!(client.status().await.unwrap().access.members, 0);
    beta.circle_until(id, "removed", is(CircleState::Removed)).await;
    let forgotten = guest.forget_circle(id).await.unwrap();
    assert_eq!(forgotten.circle.state, CircleState::Removed);
    let (code, ..) = refusal(guest.circle(id).await.unwrap_err());
    assert_eq!(code, ErrorCode::CircleNotFound);
    assert!(!beta.path(&format!("circles/{id}.log")).exists());
    // A link that is used up lets nobody in, though it did before.
    guest.join_circle(link, None).await.unwrap();
    beta.circle_until(id, "refused", is(CircleState::Refused)).await;
    for service in [&alpha, beta] {
        let log = service.text("log");
        for secret in ["Family", "Beta's phone", &id.to_string()] {
            assert!(!log.contains(secret), "{secret} is in the log: {log}");
        }
    }
}
