//! Real services on loopback, without a network interface: two of them find each other, and one
//! goes through everything that may happen to it.
//!
//! ```text
//!   alpha  (listens on 127.0.0.1, any port)  <---- tcp ----  beta
//! ```

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod running;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use planetary_ipc::client::RequestError;
use planetary_ipc::{
    Direction, EdgeKind, ErrorCode, PeerSource, Role, SessionState, State, Status, Target, client,
};

use running::{LISTEN, PATIENCE, Place, Service, code, pause};

#[tokio::test]
async fn two_services_connect_and_know_each_other() {
    let (a, b) = (Place::open_to_strangers(), Place::open_to_strangers());
    let alpha = a.start(LISTEN).await;
    let uri = alpha.listening_uri().await;
    let beta = b.start(&["--peer", &format!("{uri}?priority=3")]).await;

    let of_beta = beta.until("connected", |status| status.state == State::Connected).await;
    let of_alpha = alpha.until("connected", |status| status.state == State::Connected).await;
    assert_eq!(of_alpha.root, of_beta.root);
    let depth = |status: &Status| status.coordinates.as_ref().unwrap().len();
    assert_eq!(depth(&of_alpha) + depth(&of_beta), 1, "one is the root, the other its child");

    let link = &of_beta.peers[0];
    assert_eq!(
        (&link.uri, link.direction, link.source),
        (&uri, Direction::Out, PeerSource::Argument)
    );
    assert_eq!((link.key, link.address), (Some(of_alpha.key), Some(of_alpha.address)));
    assert!(link.up && link.priority == 3 && link.cost.is_some() && link.last_error.is_none());
    let link = &of_alpha.peers[0];
    assert_eq!((link.direction, link.source), (Direction::In, PeerSource::Inbound));
    assert_eq!(link.key, Some(of_beta.key));

    let client = beta.client().await;
    let target = Target::Address(of_alpha.address);
    let ping = client.ping(target, Some(2), Some(5000)).await.unwrap();
    assert_eq!((ping.sent, ping.received, ping.key), (2, 2, Some(of_alpha.key)));
    let path = client.path(Target::Key(of_alpha.key)).await.unwrap();
    assert_eq!((path.distance, &path.next_hops[0].uri), (Some(1), &uri));
    assert_eq!(path.session.state, SessionState::Established);

    let topology = client.topology().await.unwrap();
    assert_eq!(topology.nodes[0].key, of_beta.key);
    assert_eq!(topology.nodes[0].roles[0], Role::Myself);
    let peer = topology.nodes.iter().find(|node| node.key == of_alpha.key).unwrap();
    assert!(peer.roles.contains(&Role::Peer));
    assert!(topology.edges.iter().any(|edge| edge.kind == EdgeKind::Tree));

    let doctor = client.doctor().await.unwrap();
    assert!(doctor.items.iter().any(|item| item.code == "proof"), "{doctor:#?}");
    let identity = client.identity().await.unwrap();
    assert_eq!(identity.key, of_beta.key);
    assert_eq!(identity.file.unwrap(), b.path("identity.pem").display().to_string());
}

#[tokio::test]
async fn node_that_is_explored_tells_friends_and_no_strangers() {
    let (a, b) = (Place::new(), Place::new());
    let alpha = a.start(LISTEN).await;
    let uri = alpha.listening_uri().await;
    let beta = b.start(&["--peer", &uri]).await;
    beta.until("linked", |status| status.peers.iter().any(|peer| peer.up)).await;
    let (near, far) = (alpha.client().await, beta.client().await);
    let (own, key) = (near.status().await.unwrap().key, far.status().await.unwrap().key);

    let silent = near.explore(key).await.unwrap();
    assert!(!silent.answered && silent.key == key && silent.peers.is_none(), "{silent:?}");
    let drawn = near.topology().await.unwrap();
    assert!(!drawn.nodes.iter().any(|node| node.roles.contains(&Role::Explored)));

    far.add_friend(Target::Key(own), None, None, Vec::new(), String::new()).await.unwrap();
    let deadline = Instant::now() + 2 * PATIENCE;
    let told = loop {
        let told = near.explore(key).await.unwrap();
        if told.peers.is_some() {
            break told;
        }
        assert!(Instant::now() < deadline, "never told: {told:?}");
    };
    assert_eq!((told.answered, told.peers, told.name), (true, Some(vec![own]), None));
    assert!(told.round_trip_ms.is_some() && told.routing_entries == Some(2));
    let drawn = near.topology().await.unwrap();
    let node = drawn.nodes.iter().find(|node| node.key == key).unwrap();
    assert!(node.roles.contains(&Role::Explored) && node.direct, "{node:?}");
    assert!(!drawn.edges.iter().any(|edge| edge.kind == EdgeKind::Link), "a link twice");

    let nobody = near.explore(planetary_ipc::NodeKey([7; 32])).await;
    assert_eq!(code(nobody.unwrap_err()), ErrorCode::Unreachable);
    near.block(key, None, String::new()).await.unwrap();
    assert_eq!(code(near.explore(key).await.unwrap_err()), ErrorCode::KeyBlocked);
}

#[tokio::test]
async fn down_holds_over_a_restart_and_a_kill_until_up() {
    let place = Place::new();
    let mut service = place.start(LISTEN).await;
    let status = service.client().await.down().await.unwrap();
    assert_eq!((status.state, status.listeners.len()), (State::Down, 0));
    let error = service.client().await.ping(Target::Key(status.key), None, None).await.unwrap_err();
    assert_eq!(code(error), ErrorCode::NodeDown);
    for signal in ["TERM", "KILL"] {
        service.signal(signal);
        let _ = service.child.wait();
        service = place.start(LISTEN).await;
        assert_eq!(service.client().await.status().await.unwrap().state, State::Down);
    }
    let status = service.client().await.up().await.unwrap();
    assert!(status.state != State::Down && status.listeners.len() == 1);
    service.signal("KILL");
    let _ = service.child.wait();
    let service = place.start(LISTEN).await;
    assert!(service.client().await.status().await.unwrap().state != State::Down);
}

#[tokio::test]
async fn peers_are_kept_in_the_file_with_its_comments() {
    let place = Place::new();
    fs::write(place.path("config.toml"), "# mine\npeers = [] # few\n").unwrap();
    let service = place.start(&["--peer", "tcp://127.0.0.1:9"]).await;
    let client = service.client().await;
    let uri = "tcp://127.0.0.1:1?password=hush";

    let entry = client.add_peer(uri.into(), None).await.unwrap();
    assert_eq!((entry.uri.as_str(), entry.persistent), ("tcp://127.0.0.1:1", true));
    assert_eq!(place.text("config.toml"), format!("# mine\npeers = [\"{uri}\"] # few\n"));
    let peers = client.status().await.unwrap().peers;
    let sources: Vec<_> = peers.iter().map(|peer| (peer.uri.as_str(), peer.source)).collect();
    assert_eq!(
        sources,
        [("tcp://127.0.0.1:1", PeerSource::Config), ("tcp://127.0.0.1:9", PeerSource::Argument)]
    );
    let failed = |status: &Status| status.peers.iter().all(|peer| peer.last_error.is_some());
    let status = service.until("refused by the closed ports", failed).await;
    assert_eq!(status.peers[0].last_error.as_ref().unwrap().code, "cannot_connect");

    let again = client.add_peer("tcp://127.0.0.1:1".into(), None).await.unwrap_err();
    assert_eq!(code(again), ErrorCode::PeerExists);
    let wrong = client.add_peer("gopher://h:1".into(), None).await.unwrap_err();
    assert_eq!(code(wrong), ErrorCode::InvalidUri);
    let missing = client.remove_peer("tcp://127.0.0.1:2".into(), None).await.unwrap_err();
    assert_eq!(code(missing), ErrorCode::PeerNotFound);

    let entry = client.remove_peer("tcp://127.0.0.1:9".into(), None).await.unwrap();
    assert!(entry.argument && !entry.persistent, "it was there for this run only");
    client.remove_peer("tcp://127.0.0.1:1".into(), None).await.unwrap();
    assert_eq!(place.text("config.toml"), "# mine\npeers = [] # few\n");
    assert!(client.status().await.unwrap().peers.is_empty());
    assert!(!place.text("log").contains("hush"), "passwords are not logged");
}

#[tokio::test]
async fn removal_tells_of_the_command_line_and_of_interfaces() {
    let place = Place::new();
    let (both, bound) = ("tcp://127.0.0.1:1", "tcp://127.0.0.1:2");
    let text = format!("peers = [\"{both}\"]\ninterface_peers.lo = [\"{bound}\"]\n");
    fs::write(place.path("config.toml"), text).unwrap();
    let service = place.start(&["--peer", both]).await;
    let client = service.client().await;

    let refusal = async |uri: &str, interface: Option<&str>| {
        let refused = client.remove_peer(uri.into(), interface.map(Into::into)).await;
        let RequestError::Refused(error) = refused.unwrap_err() else { panic!("not refused") };
        (error.code, error.message, error.hint.unwrap())
    };
    let (code, message, hint) = refusal(bound, None).await;
    assert_eq!((code, hint.as_str()), (ErrorCode::PeerNotFound, "add `--interface lo`"));
    assert_eq!(message, format!("{bound} is configured on the interface lo, not without one"));
    let (code, _, hint) = refusal(both, Some("lo")).await;
    assert_eq!((code, hint.as_str()), (ErrorCode::PeerNotFound, "leave out --interface"));
    let (code, _, hint) = refusal(both, Some("")).await;
    assert_eq!(code, ErrorCode::InvalidRequest);
    assert!(hint.contains("leave out --interface"), "{hint}");

    let entry = client.remove_peer(both.into(), None).await.unwrap();
    assert!(entry.persistent && entry.argument, "file and command line named it");
    let entry = client.remove_peer(bound.into(), Some("lo".into())).await.unwrap();
    assert!(entry.persistent && !entry.argument);
    assert!(client.status().await.unwrap().peers.is_empty());
}

#[tokio::test]
async fn service_that_stays_says_why_its_node_does_not_start() {
    let place = Place::new();
    // There is one of this name, which is nobody's to take.
    let no_interface = ["--tun", "lo"];
    place.refused(&no_interface);
    let log = place.path("service.log");
    let to_log = ["--stay", "--log-file", log.to_str().unwrap()];
    let service = place.start(&[&no_interface[..], &to_log].concat()).await;
    let why = |status: &Status| {
        status.health.iter().find(|item| item.code == "node_not_started").map(|i| i.text.clone())
    };
    let status = service.until("told", |status| why(status).is_some()).await;
    assert_eq!(status.state, State::Down);
    assert!(why(&status).unwrap().contains("TUN") || why(&status).unwrap().contains("lo"));
    let refusal = service.client().await.up().await.unwrap_err();
    assert_eq!(code(refusal), ErrorCode::SystemRefused);
    service.signal("TERM");
    service.ended().await;
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("the node does not start") && log.contains("stopped"), "{log}");
}

#[tokio::test]
async fn passwords_that_all_can_read_are_told_at_start_and_after_an_edit() {
    let place = Place::new();
    place.open_to_all();
    let path = place.path("config.toml");
    let open = || std::os::unix::fs::PermissionsExt::from_mode(0o644);
    let told = |status: &Status| status.health.iter().any(|item| item.code == "config_exposed");
    fs::write(&path, "group_password = \"hush\"\n").unwrap();
    fs::set_permissions(&path, open()).unwrap();
    let service = place.start(&[]).await;
    service.until("told at start", told).await;
    let log = place.text("log");
    assert!(log.contains(&format!("chmod o-r {}", path.display())), "{log}");
    drop(service);

    fs::write(&path, "peers = []\n").unwrap();
    let service = place.start(&[]).await;
    let client = service.client().await;
    assert!(!told(&client.status().await.unwrap()));
    client.add_peer("tcp://127.0.0.1:1?password=hush".into(), None).await.unwrap();
    service.until("told after the edit", told).await;
    client.remove_peer("tcp://127.0.0.1:1".into(), None).await.unwrap();
    assert!(!told(&client.status().await.unwrap()));
}

#[tokio::test]
async fn node_that_only_listens_knows_itself() {
    let place = Place::new();
    let service = place.start(LISTEN).await;
    let client = service.client().await;
    let status = client.status().await.unwrap();
    let ping = client.ping(Target::Address(status.address), None, None).await.unwrap();
    assert_eq!((ping.received, ping.key), (1, Some(status.key)));
}

#[tokio::test]
async fn termination_is_clean_and_quick_with_links_and_clients() {
    let (a, b) = (Place::new(), Place::new());
    let alpha = a.start(LISTEN).await;
    let uri = alpha.listening_uri().await;
    let beta = b.start(&["--peer", &uri]).await;
    beta.until("connected", |status| status.state == State::Connected).await;
    let _clients = (beta.client().await, beta.client().await);
    for (place, service, signal) in [(&b, beta, "INT"), (&a, alpha, "TERM")] {
        service.signal(signal);
        let took = service.ended().await;
        assert!(took < Duration::from_secs(2), "{took:?}");
        assert!(!place.path("control.sock").exists());
        let log = place.text("log");
        assert!(log.trim_end().ends_with("stopped"), "{log}");
        assert!(!log.contains("ERROR"), "{log}");
    }
}

#[tokio::test]
async fn reload_takes_over_a_good_file_and_tells_of_a_wrong_one() {
    let place = Place::new();
    fs::write(place.path("config.toml"), "").unwrap();
    let service = place.start(&[]).await;
    fs::write(
        place.path("config.toml"),
        "peers = [\"tcp://127.0.0.1:1\"]\nlisten = [\"tcp://127.0.0.1:0\"]\n",
    )
    .unwrap();
    service.signal("HUP");
    let listening = |status: &Status| status.peers.len() == 1 && status.listeners.len() == 1;
    service.until("reloaded", listening).await;

    fs::write(place.path("config.toml"), "pers = []\n").unwrap();
    service.signal("HUP");
    let told = |status: &Status| status.health.iter().any(|item| item.code == "config_not_read");
    let status = service.until("told of the mistake", told).await;
    assert_eq!(status.peers.len(), 1, "the old configuration holds");
    let item = status.health.iter().find(|item| item.code == "config_not_read").unwrap();
    assert!(item.text.contains("config.toml:1: pers: unknown key"), "{}", item.text);

    fs::remove_file(place.path("config.toml")).unwrap();
    service.signal("HUP");
    let told = |status: &Status| {
        status.health.iter().any(|item| item.title == "The configuration file is gone")
    };
    service.until("told of the missing file", told).await;

    let text = "tun.mtu = 1500\ngroup_password = \"x\"\n";
    fs::write(place.path("config.toml"), text).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(place.path("config.toml"), open).unwrap();
    place.open_to_all();
    service.signal("HUP");
    let exposed = |status: &Status| status.health.iter().any(|item| item.code == "config_exposed");
    service.until("told of the open passwords", exposed).await;

    fs::write(place.path("config.toml"), "tun.mtu = 1500\n").unwrap();
    service.signal("HUP");
    let anew = |status: &Status| {
        let told = status.health.iter().any(|item| item.code.starts_with("config_"));
        let gone = status.peers.is_empty() && status.listeners.is_empty();
        !told && gone && status.state != State::Down
    };
    service.until("started anew", anew).await;
}

#[tokio::test]
async fn reload_takes_over_changed_options_of_peers_and_listeners() {
    let (a, b) = (Place::new(), Place::new());
    let config = |place: &Place, text: &str| fs::write(place.path("config.toml"), text).unwrap();
    config(&a, "listen = [\"tcp://127.0.0.1:0?password=old\"]\n");
    let alpha = a.start(&[]).await;
    // Its port is known now, and stays when the options change.
    let uri = alpha.listening_uri().await;
    config(&a, &format!("listen = [\"{uri}?password=old\"]\n"));
    alpha.signal("HUP");
    config(&b, &format!("peers = [\"{uri}\"]\n"));
    let beta = b.start(&[]).await;
    let refused = |status: &Status| {
        let error = status.peers.first().and_then(|peer| peer.last_error.as_ref());
        error.is_some_and(|error| error.code == "password_mismatch")
    };
    beta.until("refused", refused).await;

    config(&b, &format!("peers = [\"{uri}?password=new\"]\n"));
    beta.signal("HUP");
    config(&a, &format!("listen = [\"{uri}?password=new\"]\n"));
    alpha.signal("HUP");
    beta.until("let in", |status| status.peers[0].up).await;
}

#[tokio::test]
async fn second_service_is_refused_by_folder_and_by_socket() {
    let (a, b) = (Place::new(), Place::new());
    let service = a.start(&[]).await;
    let words = a.refused(&[]);
    assert!(
        words.contains(&format!("process id {} uses this folder", service.child.id())),
        "{words}"
    );
    let socket = a.path("control.sock");
    let output = Command::new(env!("CARGO_BIN_EXE_planetaryd"))
        .args(["run", "--tun", "none", "--state-dir"])
        .arg(b.dir.path())
        .arg("--control")
        .arg(&socket)
        .output()
        .unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(words.contains("another service is already listening on"), "{words}");
    assert!(service.client().await.status().await.is_ok(), "the first one is not disturbed");
}

#[tokio::test]
async fn damaged_records_are_told_and_sequence_numbers_never_go_back() {
    let place = Place::new();
    fs::write(place.path("intent.json"), "{\"version\":1,\"conn").unwrap();
    let far = 9_000_000_000;
    fs::write(place.path("sequence.json"), format!("{{\"version\":1,\"highest\":{far}}}")).unwrap();
    let service = place.start(LISTEN).await;
    let status = service.client().await.status().await.unwrap();
    assert_eq!(status.health.iter().filter(|item| item.code == "intent_damaged").count(), 1);
    assert!(status.state != State::Down);

    let stored = || -> u64 {
        let record: serde_json::Value = serde_json::from_str(&place.text("sequence.json")).unwrap();
        record["highest"].as_u64().unwrap()
    };
    assert!(stored() > far, "the file is ahead before the first number is sent");
    service.signal("TERM");
    service.ended().await;
    let after = stored();
    assert!(after > far && after < far + 60, "{after} is what was sent, not the reserve");
    let service = place.start(LISTEN).await;
    service.signal("TERM");
    service.ended().await;
    assert!(stored() > after);
}

#[tokio::test]
async fn port_that_is_taken_is_told_and_the_node_runs_on() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("tcp://{}", taken.local_addr().unwrap());
    let place = Place::new();
    let service = place.start(&["--listen", &uri]).await;
    let status = service.until("listed", |status| !status.listeners.is_empty()).await;
    let listener = &status.listeners[0];
    assert_eq!((&listener.uri, listener.up), (&uri, false));
    assert_eq!(listener.last_error.as_ref().unwrap().code, "cannot_listen");
    let told = |status: &Status| status.health.iter().any(|item| item.code == "listener_failed");
    service.until("an item of health", told).await;
}

#[tokio::test]
async fn host_that_has_no_address_here_is_told_as_such() {
    let place = Place::new();
    let service = place.start(&["--listen", "tcp://host.invalid:1"]).await;
    let told = |status: &Status| status.health.iter().any(|item| item.code == "listener_failed");
    let status = service.until("an item of health", told).await;
    let error = status.listeners[0].last_error.as_ref().unwrap();
    assert_eq!(error.code, "name_not_resolved");
    let item = status.health.iter().find(|item| item.code == "listener_failed").unwrap();
    let action = item.action.as_ref().unwrap();
    assert!(action.starts_with("Name an address of this computer"), "{action}");
}

#[tokio::test]
async fn filter_that_is_not_understood_is_told_and_the_key_is_named_from_the_root() {
    let place = Place::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_planetaryd"));
    command.current_dir(place.dir.path()).env("RUST_LOG", "=====");
    let log = fs::File::create(place.path("log")).unwrap();
    command.args(["run", "--no-lan", "--tun", "none", "--state-dir", "state"]);
    command.args(["--control", "control.sock"]);
    let child = command.stderr(log).spawn().unwrap();
    let service = Service { child, control: place.path("control.sock") };
    let deadline = Instant::now() + PATIENCE;
    while client::connect(&service.control, "test").await.is_err() {
        assert!(Instant::now() < deadline, "{}", place.text("log"));
        pause().await;
    }
    let identity = service.client().await.identity().await.unwrap();
    let file = PathBuf::from(identity.file.unwrap());
    assert_eq!(file, fs::canonicalize(place.dir.path()).unwrap().join("state/identity.pem"));
    let log = place.text("log");
    assert_eq!(log.matches("RUST_LOG is not understood; log.level decides").count(), 1, "{log}");
    assert!(log.contains(" INFO "), "{log}");
}

#[test]
fn wish_for_an_interface_without_the_right_is_an_error_with_a_hint() {
    // Root may open one, so the test gives its rights away; without root there are none to give.
    let place = Place::new();
    let open = |path: &Path| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(path, mode).unwrap();
    };
    open(place.dir.path());
    let state = place.path("state");
    let mut command = Command::new(env!("CARGO_BIN_EXE_planetaryd"));
    command.args(["run", "--state-dir"]).arg(&state);
    command.arg("--control").arg(state.join("control.sock"));
    if fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
        std::os::unix::process::CommandExt::uid(&mut command, 65534);
        std::os::unix::process::CommandExt::gid(&mut command, 65534);
    }
    let output = command.output();
    let Ok(output) = output else {
        println!("skipped: this account cannot run the program as another");
        return;
    };
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("--tun none"), "{words}");
}
