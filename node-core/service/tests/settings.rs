//! Settings that clients change: they hold at once, are kept in the file with its comments, and
//! what does not work out changes nothing.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod running;

use std::fs;
use std::net::TcpListener;

use planetary_ipc::{
    Audience, Client, ErrorCode, LogThreshold, SessionsSetting, Settings, SettingsChange, State,
};

use running::{Place, Service, code};

const FILE: &str = "\
# Mine.
listen = []

#sessions = \"circles\"

[filter]
# Who gets an answer to a ping.
#echo = \"circles\"
";

async fn start(text: &str) -> (Place, Service, Client) {
    let place = Place::new();
    fs::write(place.path("config.toml"), text).unwrap();
    let service = place.start(&[]).await;
    let client = service.client().await;
    (place, service, client)
}

async fn change(client: &Client, change: SettingsChange) -> Settings {
    let changed = *client.change_settings(change).await.unwrap();
    assert_eq!(*client.settings().await.unwrap(), changed);
    changed
}

async fn refused(client: &Client, change: SettingsChange) -> ErrorCode {
    code(client.change_settings(change).await.unwrap_err())
}

fn listen(add: &[&str], remove: &[&str]) -> SettingsChange {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    SettingsChange {
        listen_add: texts(add),
        listen_remove: texts(remove),
        ..SettingsChange::default()
    }
}

#[tokio::test]
async fn change_holds_at_once_and_after_a_restart_and_can_be_taken_back() {
    let (place, service, client) = start(FILE).await;
    let before = *client.settings().await.unwrap();
    assert_eq!((before.echo, before.sessions), (Audience::Circles, SessionsSetting::Auto));
    assert_eq!(before.config_file, place.path("config.toml").display().to_string());

    let open = SettingsChange { echo: Some(Audience::Everyone), ..SettingsChange::default() };
    change(&client, open).await;
    let access = client.status().await.unwrap().access;
    assert_eq!((access.echo, access.sessions), (Audience::Everyone, Audience::Everyone));
    let text = FILE.replace("#echo = \"circles\"", "echo = \"everyone\"");
    assert_eq!(place.text("config.toml"), text);

    service.signal("TERM");
    service.ended().await;
    let service = place.start(&[]).await;
    let client = service.client().await;
    assert_eq!(client.settings().await.unwrap().echo, Audience::Everyone);

    let close = SettingsChange { echo: Some(before.echo), ..SettingsChange::default() };
    assert_eq!(change(&client, close).await, before);
    assert_eq!(client.status().await.unwrap().access.sessions, Audience::Circles);
    assert_eq!(place.text("config.toml"), FILE.replace("#echo", "echo"));
}

#[tokio::test]
async fn listeners_open_and_close_and_one_that_cannot_changes_nothing() {
    let (place, service, client) = start(FILE).await;
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("tcp://127.0.0.1:{}", port(&free));
    drop(free);
    let secret = format!("{uri}?password=secret");
    let settings = change(&client, listen(&[&secret], &[])).await;
    assert_eq!(settings.listen, [uri.as_str()]);
    let status = client.status().await.unwrap();
    assert!(status.listeners.iter().any(|listener| listener.uri == uri && listener.up));
    let text = place.text("config.toml");
    assert_eq!(text, FILE.replace("[]", &format!("[\"{secret}\"]")));

    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("tcp://127.0.0.1:{}", port(&other));
    let open = SettingsChange { echo: Some(Audience::Everyone), ..listen(&[&taken], &[&uri]) };
    assert_eq!(refused(&client, open).await, ErrorCode::CannotListen);
    assert_eq!(*client.settings().await.unwrap(), settings);
    assert_eq!(place.text("config.toml"), text);
    let status = client.status().await.unwrap();
    assert_eq!(status.listeners.len(), 1);
    assert!(status.listeners[0].up && status.listeners[0].uri == uri, "{status:#?}");
    assert_eq!(status.access.echo, Audience::Circles);

    assert_eq!(refused(&client, listen(&[&uri], &[])).await, ErrorCode::ListenerExists);
    assert_eq!(refused(&client, listen(&[], &[&taken])).await, ErrorCode::ListenerNotFound);
    // While the node is off nobody knows whether a listener will open.
    client.down().await.unwrap();
    let settings = change(&client, listen(&[&taken], &[&uri])).await;
    assert_eq!(settings.listen, [taken.as_str()]);
    drop(other);
    client.up().await.unwrap();
    service.until("listening", |status| status.listeners.iter().any(|one| one.up)).await;
    change(&client, listen(&[], &[&taken])).await;
    assert_eq!(client.status().await.unwrap().listeners, []);
    assert_eq!(place.text("config.toml"), FILE);
}

#[tokio::test]
async fn rubbish_is_refused_and_changes_nothing() {
    let (place, _service, client) = start(FILE).await;
    let before = client.settings().await.unwrap();
    let default = SettingsChange::default;
    for (wrong, expected) in [
        (listen(&["nonsense"], &[]), ErrorCode::InvalidUri),
        (listen(&["tls://"], &[]), ErrorCode::InvalidUri),
        (listen(&["tcp://[::]:1\n"], &[]), ErrorCode::InvalidUri),
        (listen(&[""], &[]), ErrorCode::InvalidUri),
        (listen(&["tcp://[::]:1"; 33], &[]), ErrorCode::InvalidRequest),
        (
            SettingsChange { public_list_url: Some("ftp://x\"\n[a]".to_owned()), ..default() },
            ErrorCode::InvalidSetting,
        ),
        (
            SettingsChange { public_list_url: Some("h".repeat(10_000)), ..default() },
            ErrorCode::InvalidRequest,
        ),
        (
            SettingsChange { public_list_key: Some("00".repeat(32)), ..default() },
            ErrorCode::InvalidSetting,
        ),
        (
            SettingsChange {
                inbound: Some(Audience::Everyone),
                sessions: Some(SessionsSetting::Circles),
                ..default()
            },
            ErrorCode::InvalidSetting,
        ),
    ] {
        let shown = format!("{wrong:?}");
        assert_eq!(refused(&client, wrong).await, expected, "{shown}");
    }
    assert_eq!(
        (client.settings().await.unwrap(), place.text("config.toml").as_str()),
        (before, FILE)
    );
}

#[tokio::test]
async fn file_that_was_edited_meanwhile_is_not_taken_over_and_not_lost() {
    let (place, _service, client) = start(FILE).await;
    let edited = format!("peers = [\"tcp://127.0.0.1:1\"]\n{FILE}");
    fs::write(place.path("config.toml"), &edited).unwrap();
    let quiet = SettingsChange {
        log_level: Some(LogThreshold::Warn),
        node_info_privacy: Some(false),
        ..SettingsChange::default()
    };
    let settings = change(&client, quiet).await;
    assert_eq!((settings.log_level, settings.node_info_privacy), (LogThreshold::Warn, false));
    let status = client.status().await.unwrap();
    assert_eq!((status.peers.len(), status.state != State::Down), (0, true));
    assert!(place.text("config.toml").contains("tcp://127.0.0.1:1"));

    fs::write(place.path("config.toml"), "listen = 7\n").unwrap();
    let change = SettingsChange { echo: Some(Audience::Nobody), ..SettingsChange::default() };
    assert_eq!(refused(&client, change).await, ErrorCode::Config);
    assert_eq!(place.text("config.toml"), "listen = 7\n");
}

/// An address of loopback that nobody has.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn metrics(address: &str) -> SettingsChange {
    SettingsChange { metrics: Some(address.to_owned()), ..SettingsChange::default() }
}

/// What an HTTP client gets there.
async fn fetched(address: &str) -> Result<String, ureq::Error> {
    let url = format!("http://{address}/metrics");
    let fetching = tokio::task::spawn_blocking(move || {
        let agent = ureq::Agent::config_builder().proxy(None).max_idle_connections(0).build();
        ureq::Agent::from(agent).get(url).call()?.body_mut().read_to_string()
    });
    fetching.await.unwrap()
}

#[tokio::test]
async fn figures_are_served_where_the_settings_say() {
    let (_place, _service, client) = start(FILE).await;
    let (first, second) = (free_address(), free_address());
    assert_eq!(change(&client, metrics(&first)).await.metrics.as_deref(), Some(&*first));
    // The node looks at itself once a second.
    let mut text = String::new();
    while !text.contains("\nplanetary_state{state=\"connecting\"} ") {
        text = fetched(&first).await.unwrap_or_default();
        running::pause().await;
    }
    let status = client.status().await.unwrap();
    for secret in [status.key.to_string(), status.address.to_string()] {
        assert!(!text.contains(&secret), "{text}");
    }

    client.down().await.unwrap();
    while !fetched(&first).await.unwrap().contains("\nplanetary_state{state=\"down\"} 1\n") {
        running::pause().await;
    }
    // A place that is taken is refused, and changes nothing.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let wish = metrics(&taken.local_addr().unwrap().to_string());
    assert_eq!(refused(&client, wish).await, ErrorCode::CannotListen);
    assert!(fetched(&first).await.is_ok());
    assert!(client.status().await.unwrap().health.is_empty());

    change(&client, metrics(&second)).await;
    assert!(fetched(&second).await.is_ok() && fetched(&first).await.is_err());
    assert_eq!(change(&client, metrics("")).await.metrics, None);
    assert!(fetched(&second).await.is_err());
    assert_eq!(refused(&client, metrics("0.0.0.0:1")).await, ErrorCode::InvalidSetting);
}
