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
    Client, ErrorCode, Invite, InviteState, JoinLink, MemberRole, MemberState, NodeKey, Status,
    Subject, Target, Topic, VisitOutcome, client,
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
    assert!(made.circle.access.services.is_empty() && made.circle.access.echo);
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
    assert_eq!(roll(&guest.circle(id).await.unwrap()), both);
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

#[tokio::test]
async fn links_that_let_nobody_in_are_all_refused_alike() {
    let (alpha, others, _) = network(2).await;
    let (beta, gamma) = (&others[0], &others[1]);
    let client = alpha.client().await;
    let id = client.create_circle("Crew".parse().unwrap()).await.unwrap().circle.id;
    bring_in(&alpha, gamma, id, "Gamma").await;
    let used = client.invites().await.unwrap().invites[0].id;
    let revoked = invite(&client, id).await;
    let open: JoinLink = invite(&client, id).await.link.unwrap().parse().unwrap();
    let mut altered = open.clone();
    altered.token[3] ^= 1;
    // A member redeems no link of another's.
    let elsewhere = JoinLink { inviter: key(gamma).await, ..open.clone() };
    let invented = JoinLink { circle: CircleId([7; 32]), ..open.clone() };
    let told = client.revoke_invite(revoked.id).await.unwrap();
    assert_eq!((told.state, &told.link), (InviteState::Revoked, &None));
    assert_eq!(refusal(client.revoke_invite(99).await.unwrap_err()).0, ErrorCode::InviteNotFound);
    assert_eq!(client.invites().await.unwrap().invites.last().unwrap().id, used);

    let guest = beta.client().await;
    let mut seen = Vec::new();
    for link in [revoked.link.unwrap(), altered.to_string(), invented.to_string()] {
        let id = link.parse::<JoinLink>().unwrap().circle;
        guest.join_circle(link, None).await.unwrap();
        let refused = beta.circle_until(id, "refused", is(CircleState::Refused)).await.circle;
        seen.push((refused.name, refused.members, refused.expires_at, refused.synced_at));
        guest.forget_circle(id).await.unwrap();
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
    // Gamma does not listen to strangers at all.
    guest.join_circle(elsewhere.to_string(), None).await.unwrap();
    let members = |details: &CircleDetails| details.members.len();
    assert_eq!(members(&client.circle(id).await.unwrap()), 2, "nobody came in");
    // The same circle by the link that is good takes the place of what was tried.
    guest.join_circle(open.to_string(), None).await.unwrap();
    beta.circle_until(id, "invited", is(CircleState::Invited)).await;
    assert_eq!(members(&client.circle(id).await.unwrap()), 3);
}

#[tokio::test]
async fn person_is_asked_before_a_guest_is_let_in() {
    let (alpha, others, _) = network(2).await;
    let client = alpha.client().await;
    let id = client.create_circle("Club".parse().unwrap()).await.unwrap().circle.id;
    let made = client.create_invite(id, None, Some(2), None, true, Some(Vec::new())).await.unwrap();
    let link = made.link.clone().unwrap();
    let mut asked = Vec::new();
    for (guest, label) in others.iter().zip(["Beta", "Gamma"]) {
        let label = Some(label.parse().unwrap());
        guest.client().await.join_circle(link.clone(), label.clone()).await.unwrap();
        guest.circle_until(id, "waiting", is(CircleState::Waiting)).await;
        let is_new = |status: &Status| status.questions.len() == asked.len() + 1;
        let status = alpha.until("asked", is_new).await;
        let question = status.questions.last().unwrap().clone();
        assert_eq!(question.until, made.expires_at);
        let Subject::Guest { who, circle, invite } = &question.subject else { panic!() };
        assert_eq!((who.key, &who.label), (key(guest).await, &label));
        assert_eq!((circle.id, circle.name.as_str(), *invite), (id, "Club", made.id));
        asked.push(question.id);
    }
    let (code, words, _) =
        refusal(client.answer_question(asked[0], Answer::Always, None).await.unwrap_err());
    assert_eq!(
        (code, &words[..]),
        (ErrorCode::InvalidRequest, "the question can be answered with `yes` or `no`")
    );
    client.answer_question(asked[0], Answer::Yes, None).await.unwrap();
    let status = client.answer_question(asked[1], Answer::No, None).await.unwrap();
    assert!(status.questions.is_empty());
    others[0].circle_until(id, "invited", is(CircleState::Invited)).await;
    // Who was refused learns it when it asks again, half a minute later.
    let refused = others[1].client().await.circle(id).await.unwrap();
    assert_eq!((refused.circle.state, refused.members.len()), (CircleState::Waiting, 0));
    assert_eq!(client.circle(id).await.unwrap().members.len(), 2);
    let again = client.answer_question(asked[0], Answer::Yes, None).await.unwrap_err();
    assert_eq!(refusal(again).0, ErrorCode::QuestionNotFound);
    let invite = &client.invites().await.unwrap().invites[0];
    assert_eq!((invite.state, invite.used), (InviteState::Open, 1));
}

#[tokio::test]
async fn everything_is_there_after_a_kill_and_an_open_link_still_works() {
    let (alpha, others, uri) = network(2).await;
    let (beta, gamma) = (&others[0], &others[1]);
    let client = alpha.client().await;
    let id = client.create_circle("Family".parse().unwrap()).await.unwrap().circle.id;
    bring_in(&alpha, beta, id, "Beta").await;
    client.change_circle_access(id, allow(&["tcp/22", "udp/5000-5010"])).await.unwrap();
    let theirs = key(beta).await;
    client.change_member_access(id, theirs, services(&["tcp/80"]), Vec::new()).await.unwrap();
    let suggest = CircleChange { suggest: Some(services(&["tcp/22"])), name: None };
    client.change_circle(id, suggest).await.unwrap();
    let link = invite(&client, id).await.link.unwrap();
    let before = client.circle(id).await.unwrap();

    let alpha = alpha.again("KILL", &["--listen", &uri]).await;
    let client = alpha.client().await;
    let after = client.circle(id).await.unwrap();
    assert_eq!(after.circle.access, before.circle.access);
    assert_eq!(after.circle.suggested, services(&["tcp/22"]));
    assert_eq!(after.circle.state, CircleState::Member);
    assert_eq!(after.invites, before.invites);
    assert_eq!(after.members[1].services, services(&["tcp/80"]));
    assert_eq!(roll(&after), roll(&before));
    for (name, mode) in [("circles.json", 0o600), (&format!("circles/{id}.log"), 0o600)] {
        let found = fs::metadata(alpha.path(name)).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&found) & 0o777, mode, "{name}");
    }
    gamma.until("linked again", |status| status.peers.iter().any(|peer| peer.up)).await;
    gamma.client().await.join_circle(link, None).await.unwrap();
    gamma.circle_until(id, "invited", is(CircleState::Invited)).await;
    gamma.client().await.accept_circle(id).await.unwrap();
    let all = |details: &CircleDetails| details.circle.members == 3;
    for service in [&alpha, beta, gamma] {
        service.circle_until(id, "of three", all).await;
    }
}

#[tokio::test]
async fn friend_is_added_without_a_link_and_may_decline() {
    let (alpha, others, _) = network(1).await;
    let beta = &others[0];
    let (own, theirs) = (key(&alpha).await, key(beta).await);
    let (here, there) = (alpha.client().await, beta.client().await);
    for (client, key, name) in [(&here, theirs, "Beta"), (&there, own, "Alpha")] {
        let name = Some(name.parse().unwrap());
        client.add_friend(Target::Key(key), name, None, Vec::new(), String::new()).await.unwrap();
    }
    let id = here.create_circle("Choir".parse().unwrap()).await.unwrap().circle.id;
    let added = here.add_member(id, theirs, MemberRole::Admin, None).await.unwrap();
    assert_eq!((added.circle.members, added.circle.invited), (1, 1));
    let deadline = Instant::now() + PATIENCE;
    let offered = loop {
        if let Some(circle) = there.circles().await.unwrap().circles.first() {
            break circle.clone();
        }
        assert!(Instant::now() < deadline, "never offered\n{}", beta.text("log"));
        pause().await;
    };
    assert_eq!(
        (offered.id, offered.state, offered.name.as_str()),
        (id, CircleState::Invited, "Choir")
    );
    assert_eq!(offered.inviter.unwrap().name.unwrap().as_str(), "Alpha");
    let declined = there.leave_circle(id).await.unwrap();
    assert_eq!(declined.circle.state, CircleState::Left);
    alpha.circle_until(id, "told", |details| details.members.len() == 1).await;

    // Once more, and this time the friend agrees and becomes an admin who can add others.
    here.add_member(id, theirs, MemberRole::Admin, None).await.unwrap();
    beta.circle_until(id, "invited again", is(CircleState::Invited)).await;
    there.accept_circle(id).await.unwrap();
    let name = CircleChange { name: Some("Quartet".parse().unwrap()), suggest: None };
    here.change_circle(id, name).await.unwrap();
    beta.circle_until(id, "renamed", |details| details.circle.name.as_str() == "Quartet").await;
    let (code, ..) = refusal(there.remove_member(id, own).await.unwrap_err());
    assert_eq!(code, ErrorCode::CircleRights);
    there.add_member(id, NodeKey(*SOMEBODY), MemberRole::Member, None).await.unwrap();
    alpha.circle_until(id, "told of the third", |details| details.circle.invited == 1).await;
    there.leave_circle(id).await.unwrap();
    let alone = |details: &CircleDetails| details.circle.members == 1;
    alpha.circle_until(id, "left alone", alone).await;
}

/// A key that is a point of the curve and nobody's.
const SOMEBODY: &[u8; 32] = b"\x03\xa1\x07\xbf\xf3\xce\x10\xbe\x1d\x70\xdd\x18\xe7\x4b\xc0\x99\
\x67\xe4\xd6\x30\x9b\xa5\x0d\x5f\x1d\xdc\x86\x64\x12\x55\x31\xb8";

#[tokio::test]
async fn key_on_paper_begins_a_circle_and_stands_above_all() {
    let (alpha, others, _) = network(1).await;
    let beta = &others[0];
    let client = alpha.client().await;
    let paper = RecoveryKey::generate().unwrap();
    let draft = CircleDraft::Create { name: "Village".parse().unwrap(), recovery: paper.key() };
    let draft = client.draft_circle(draft).await.unwrap();
    let made = client.submit_circle(paper.sign(&draft).unwrap()).await.unwrap();
    let id = made.circle.id;
    assert!(made.circle.recovery && made.circle.state == CircleState::Member);
    let again = client.submit_circle(paper.sign(&draft).unwrap()).await.unwrap_err();
    assert_eq!(refusal(again).0, ErrorCode::InvalidCircle);
    bring_in(&alpha, beta, id, "Beta").await;

    // Beta takes the paper and makes itself an admin, then removes alpha, which is above it.
    let (own, theirs) = (key(&alpha).await, key(beta).await);
    let there = beta.client().await;
    let (code, ..) = refusal(there.remove_member(id, own).await.unwrap_err());
    assert_eq!(code, ErrorCode::CircleRights);
    let (circle, recovery) = (id, paper.key());
    let add = CircleDraft::Add { circle, recovery, key: theirs };
    let draft = there.draft_circle(add.clone()).await.unwrap();
    there.submit_circle(paper.sign(&draft).unwrap()).await.unwrap();
    let is_admin = |details: &CircleDetails| details.circle.role == Some(MemberRole::Admin);
    beta.circle_until(id, "admin", is_admin).await;
    let draft =
        there.draft_circle(CircleDraft::Remove { circle, recovery, key: own }).await.unwrap();
    there.submit_circle(paper.sign(&draft).unwrap()).await.unwrap();
    alpha.circle_until(id, "removed", is(CircleState::Removed)).await;
    assert_eq!(there.circle(id).await.unwrap().circle.members, 1);

    let other = RecoveryKey::generate().unwrap();
    let draft = CircleDraft::Add { circle, recovery: other.key(), key: theirs };
    assert_eq!(refusal(there.draft_circle(draft).await.unwrap_err()).0, ErrorCode::CircleRights);
    for nonsense in ["", "%", "AAAA"] {
        let error = there.submit_circle(nonsense.to_owned()).await.unwrap_err();
        assert_eq!(refusal(error).0, ErrorCode::InvalidCircle, "{nonsense}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_the_reason() {
    let alpha = Service::start(&[]).await;
    let client = alpha.client().await;
    let nobody = CircleId([9; 32]);
    for error in [
        client.circle(nobody).await.unwrap_err(),
        client.accept_circle(nobody).await.unwrap_err(),
        client.leave_circle(nobody).await.unwrap_err(),
        client.forget_circle(nobody).await.unwrap_err(),
        client.remove_member(nobody, NodeKey([1; 32])).await.unwrap_err(),
        client.change_circle_access(nobody, allow(&["tcp/22"])).await.unwrap_err(),
        client.create_invite(nobody, None, None, None, false, None).await.unwrap_err(),
    ] {
        let (code, words, hint) = refusal(error);
        assert_eq!(code, ErrorCode::CircleNotFound, "{words}");
        assert!(hint.contains("planetary circle list"), "{hint}");
    }
    let id = client.create_circle("Solo".parse().unwrap()).await.unwrap().circle.id;
    let own = key(&alpha).await;
    let code = |error: RequestError| refusal(error).0;
    let invalid = ErrorCode::InvalidCircle;
    assert_eq!(code(client.accept_circle(id).await.unwrap_err()), invalid);
    assert_eq!(code(client.forget_circle(id).await.unwrap_err()), invalid);
    assert_eq!(code(client.remove_member(id, own).await.unwrap_err()), invalid);
    assert_eq!(code(client.remove_member(id, NodeKey(*SOMEBODY)).await.unwrap_err()), invalid);
    assert_eq!(
        code(client.add_member(id, own, MemberRole::Member, None).await.unwrap_err()),
        invalid
    );
    let stranger = client.change_member_access(id, NodeKey([1; 32]), Vec::new(), Vec::new());
    assert_eq!(code(stranger.await.unwrap_err()), invalid);
    let nothing = client.change_circle(id, CircleChange::default()).await.unwrap_err();
    assert_eq!(code(nothing), invalid);
    let suggest = CircleChange { suggest: Some(services(&["ip/47"])), name: None };
    let (told, words, _) = refusal(client.change_circle(id, suggest).await.unwrap_err());
    assert_eq!((told, words.as_str()), (invalid, "ip/47 cannot be suggested"));
    let (told, words, _) =
        refusal(client.change_circle_access(id, allow(&["tcp/22@200::1"])).await.unwrap_err());
    assert_eq!(told, invalid);
    assert!(words.starts_with("200::1 is not an address of this computer"), "{words}");
    let many: Vec<String> = (1..=65).map(|port| format!("tcp/{}", 2 * port)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (told, words, _) =
        refusal(client.change_circle_access(id, allow(&many)).await.unwrap_err());
    assert_eq!(
        (told, words.as_str()),
        (ErrorCode::CircleLimit, "more than 64 services of a circle")
    );
    assert_eq!(client.circle(id).await.unwrap().circle.access.services, []);

    client.block(NodeKey(*SOMEBODY), None, String::new()).await.unwrap();
    let blocked = client.add_member(id, NodeKey(*SOMEBODY), MemberRole::Member, None).await;
    assert_eq!(code(blocked.unwrap_err()), ErrorCode::KeyBlocked);
    let made = invite(&client, id).await;
    let link: JoinLink = made.link.unwrap().parse().unwrap();
    assert_eq!(link.inviter, own);
    let (told, words, _) = refusal(client.join_circle(link.to_string(), None).await.unwrap_err());
    assert_eq!(
        (told, words.as_str()),
        (ErrorCode::InvalidLink, "this computer made the link itself")
    );
    let late = JoinLink { inviter: NodeKey([1; 32]), expires: planetary_ipc::UnixTime(1), ..link };
    let (told, words, _) = refusal(client.join_circle(late.to_string(), None).await.unwrap_err());
    assert_eq!((told, words.as_str()), (ErrorCode::InvalidLink, "the time of the link is over"));
    let nonsense = client.join_circle("planetary:friend?k=1".to_owned(), None).await.unwrap_err();
    assert_eq!(code(nonsense), ErrorCode::InvalidLink);
    assert_eq!(client.circles().await.unwrap().circles.len(), 1, "nothing was followed");
    assert!(!alpha.text("log").contains(&id.to_string()));
}

#[tokio::test]
async fn asking_goes_on_after_a_restart_and_can_be_given_up() {
    let (alpha, others, uri) = network(0).await;
    assert!(others.is_empty());
    let client = alpha.client().await;
    let id = client.create_circle("Club".parse().unwrap()).await.unwrap().circle.id;
    let link = invite(&client, id).await.link.unwrap();
    // Nobody is there whom beta could ask.
    let beta = Service::start(&[]).await;
    beta.client().await.join_circle(link.clone(), None).await.unwrap();
    assert_eq!(beta.client().await.circle(id).await.unwrap().circle.state, CircleState::Asking);
    let beta = beta.again("TERM", &["--peer", &uri]).await;
    beta.circle_until(id, "invited", is(CircleState::Invited)).await;

    let gamma = Service::start(&[]).await;
    gamma.client().await.join_circle(link, None).await.unwrap();
    let left = gamma.client().await.leave_circle(id).await.unwrap();
    assert_eq!((left.circle.state, left.circle.expires_at), (CircleState::Left, None));
    assert!(!gamma.text("circles.json").contains("\"token\""), "the token is forgotten");
    gamma.client().await.forget_circle(id).await.unwrap();
    assert_eq!(gamma.client().await.circles().await.unwrap().circles, []);
}

#[tokio::test]
async fn damaged_files_are_kept_and_open_nothing() {
    let service = Service::start(&[]).await;
    let client = service.client().await;
    let [one, two] = ["One", "Two"].map(|name| name.parse().unwrap());
    let one = client.create_circle(one).await.unwrap().circle.id;
    let two = client.create_circle(two).await.unwrap().circle.id;
    client.change_circle_access(one, allow(&["tcp/22"])).await.unwrap();
    client.change_circle_access(two, allow(&["tcp/22"])).await.unwrap();
    let log = service.path(&format!("circles/{one}.log"));
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&log, bytes).unwrap();
    let service = service.again("TERM", &[]).await;
    let client = service.client().await;
    let told = |status: &Status| status.health.iter().any(|item| item.code == "circles_damaged");
    let status = service.until("told of the damage", told).await;
    assert_eq!(status.access.circles, 1);
    let lost = client.circle(one).await.unwrap().circle;
    assert_eq!((lost.state, lost.access.enabled), (CircleState::Removed, false));
    assert!(client.circle(two).await.unwrap().circle.access.enabled);

    fs::write(service.path("circles.json"), "{").unwrap();
    let service = service.again("TERM", &[]).await;
    let client = service.client().await;
    let status = service.until("told of the damage", told).await;
    assert!(status.access.paused.is_none(), "nothing that was shut is open now");
    let circle = client.circle(two).await.unwrap().circle;
    assert_eq!((circle.state, circle.access.services.len()), (CircleState::Invited, 0));
    let agreed = client.accept_circle(two).await.unwrap().circle;
    assert_eq!((agreed.state, agreed.name.as_str()), (CircleState::Member, "Two"));
}

#[tokio::test]
async fn echo_of_members_is_let_in_when_their_circle_may_and_seen() {
    let (alpha, others, _) = network(1).await;
    let beta = &others[0];
    let client = alpha.client().await;
    let id = client.create_circle("Club".parse().unwrap()).await.unwrap().circle.id;
    bring_in(&alpha, beta, id, "Beta").await;
    let there = beta.client().await;
    let target = Target::Key(key(&alpha).await);
    let echo = |echo| CircleAccessChange { echo: Some(echo), ..CircleAccessChange::default() };
    client.change_circle_access(id, echo(false)).await.unwrap();
    let refused = there.ping(target, Some(1), Some(2_000)).await.unwrap();
    assert_eq!(refused.received, 0);
    client.change_circle_access(id, echo(true)).await.unwrap();
    let let_in = there.ping(target, Some(1), None).await.unwrap();
    assert_eq!(let_in.received, 1);
    let deadline = Instant::now() + PATIENCE;
    let visits = loop {
        let visits = client.visits().await.unwrap().visits;
        if visits.len() >= 2 {
            break visits;
        }
        assert!(Instant::now() < deadline, "{visits:?}");
        pause().await;
    };
    let outcomes: Vec<_> = visits.iter().map(|visit| visit.outcome).collect();
    assert_eq!(outcomes, [VisitOutcome::Opened, VisitOutcome::Refused]);
    let label = visits[0].who.label.as_ref().unwrap().as_str();
    assert_eq!((visits[0].service, label), (None, "Beta"));

    let paused = CircleAccessChange { enabled: Some(false), ..CircleAccessChange::default() };
    let paused = client.change_circle_access(id, paused).await.unwrap();
    assert!(paused.circle.access.echo && !paused.circle.access.enabled);
    let refused = there.ping(target, Some(1), Some(2_000)).await.unwrap();
    assert_eq!(refused.received, 0);
}

#[tokio::test]
async fn clients_are_told_of_changes_and_counted_when_they_show_questions() {
    let service = Service::start(&[]).await;
    let (client, mut updates) =
        client::connect(&service.path("control.sock"), "test").await.unwrap();
    client.subscribe(vec![Topic::Circles, Topic::Questions]).await.unwrap();
    client.create_circle("Club".parse().unwrap()).await.unwrap();
    let latest = client.status().await.unwrap().circles_revision;
    assert!(latest > 0);
    loop {
        let update = tokio::time::timeout(PATIENCE, updates.next()).await.unwrap().unwrap();
        if matches!(update.event, planetary_ipc::Event::Circles { revision } if revision >= latest)
        {
            break;
        }
    }
}
