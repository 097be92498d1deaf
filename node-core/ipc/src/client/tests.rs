//! A client and a service that follows a script, in virtual time.

use tokio::io::DuplexStream;

use super::*;
use crate::message::Right;
use crate::mock::Mock;
use crate::status::State;

/// The other end of a client's connection, played by hand.
struct Script(DuplexStream);

impl Script {
    /// A client that was greeted with the number 5, and the script that goes on.
    async fn greeted() -> (Client, Updates, Self) {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let mut script = Self(theirs);
        let status = Box::new(Mock::settled().status());
        let hello = Hello { version: 1, lowest: 1, build: "script".into(), seq: 5, status };
        let (connected, ()) = tokio::join!(over(ours, "test"), async {
            script.say(&ServerMessage::Hello { hello }).await;
            assert!(matches!(script.hear().await, Some(ClientMessage::Hello { .. })));
        });
        let (client, updates) = connected.unwrap();
        (client, updates, script)
    }

    async fn say(&mut self, message: &ServerMessage) {
        frame::write(&mut self.0, message, limits::SERVER_FRAME_LEN_MAX).await.unwrap();
    }

    async fn update(&mut self, seq: u64, event: Event) {
        self.say(&ServerMessage::Update(Update { seq, event })).await;
    }

    async fn hear(&mut self) -> Option<ClientMessage> {
        let body = frame::read(&mut self.0, limits::CLIENT_FRAME_LEN_MAX).await.unwrap()?;
        Some(ClientMessage::parse(&body).unwrap())
    }

    /// Expects to be asked for the whole state, and answers.
    async fn resync(&mut self, seq: u64, status: Status) {
        let asked = self.hear().await;
        let Some(ClientMessage::Request { id, request: Request::Resync }) = asked else {
            panic!("{asked:?}")
        };
        let ok = Reply::State { seq, status: Box::new(status) };
        self.say(&ServerMessage::Ok { id, ok }).await;
    }
}

fn topology(revision: u64) -> Event {
    Event::Topology { revision }
}

fn offline() -> Status {
    Status { state: State::Offline, ..Mock::settled().status() }
}

#[tokio::test(start_paused = true)]
async fn gap_in_the_numbers_is_filled_with_the_whole_state() {
    let (_client, mut updates, mut script) = Script::greeted().await;
    script.update(6, topology(1)).await;
    assert_eq!(updates.next().await.unwrap(), Update { seq: 6, event: topology(1) });

    script.update(8, topology(2)).await;
    let (update, ()) = tokio::join!(updates.next(), script.resync(9, offline()));
    let event = Event::Status(Box::new(offline()));
    assert_eq!(update.unwrap(), Update { seq: 9, event });

    // What the state contains already is not given out again.
    script.update(9, topology(3)).await;
    script.update(10, topology(4)).await;
    assert_eq!(updates.next().await.unwrap(), Update { seq: 10, event: topology(4) });
}

#[tokio::test(start_paused = true)]
async fn resync_is_answered_with_a_question() {
    let (_client, mut updates, mut script) = Script::greeted().await;
    script.update(6, Event::Resync).await;
    let (update, ()) = tokio::join!(updates.next(), script.resync(6, offline()));
    assert!(matches!(update.unwrap(), Update { seq: 6, event: Event::Status(_) }));
}

#[tokio::test(start_paused = true)]
async fn question_after_a_gap_survives_cancelling() {
    let (_client, mut updates, mut script) = Script::greeted().await;
    script.update(7, topology(1)).await;
    let cancelled = time::timeout(time::Duration::from_secs(1), updates.next()).await;
    assert!(cancelled.is_err());
    script.resync(7, offline()).await;
    let (update, ()) = tokio::join!(updates.next(), script.resync(7, offline()));
    assert!(matches!(update.unwrap().event, Event::Status(_)));
}

#[tokio::test(start_paused = true)]
async fn reason_of_the_end_reaches_those_who_wait() {
    let (client, mut updates, mut script) = Script::greeted().await;
    let (answer, ()) = tokio::join!(client.status(), async {
        script.hear().await.unwrap();
        let error = ApiError::new(ErrorCode::ShuttingDown, "going");
        script.say(&ServerMessage::Error { id: None, error }).await;
    });
    assert_eq!(answer.unwrap_err().code(), Some(ErrorCode::ShuttingDown));
    drop(script);
    assert!(matches!(updates.next().await, Err(RequestError::Lost)));
    assert!(matches!(client.status().await, Err(RequestError::Lost)));
    assert!(client.is_closed());
}

#[tokio::test(start_paused = true)]
async fn request_without_an_answer_ends_in_time() {
    let (client, _updates, _script) = Script::greeted().await;
    let error = client.status().await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::DeadlineExceeded));
}

#[tokio::test(start_paused = true)]
async fn answers_find_their_questions_in_any_order() {
    let (client, _updates, mut script) = Script::greeted().await;
    let (up, down, ()) = tokio::join!(client.up(), client.down(), async {
        let mut asked = Vec::new();
        for _ in 0..2 {
            let Some(ClientMessage::Request { id, request }) = script.hear().await else {
                panic!()
            };
            assert_eq!(request.right(), Right::Change);
            asked.push((id, request));
        }
        for (id, request) in asked.into_iter().rev() {
            let state = if request == Request::Up { State::Connecting } else { State::Down };
            let status = Box::new(Status { state, ..offline() });
            script.say(&ServerMessage::Ok { id, ok: Reply::Status(status) }).await;
        }
    });
    assert_eq!(up.unwrap().state, State::Connecting);
    assert_eq!(down.unwrap().state, State::Down);
}

#[tokio::test(start_paused = true)]
async fn request_that_does_not_fit_is_refused_here() {
    let (client, _updates, _script) = Script::greeted().await;
    let uri = "x".repeat(limits::CLIENT_FRAME_LEN_MAX);
    let error = client.add_peer(uri, None).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::FrameTooLarge));
}

/// What a client makes of a service that begins with `json`, or says nothing.
async fn greeting(json: Option<&str>) -> ConnectError {
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    if let Some(json) = json {
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        frame::write(&mut theirs, &value, limits::SERVER_FRAME_LEN_MAX).await.unwrap();
    }
    over(ours, "test").await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn service_of_another_version_is_told_from_no_service() {
    let other = r#"{"hello":{"version":9,"lowest":8,"build":"planetaryd 9","status":"new"}}"#;
    let error = greeting(Some(other)).await;
    assert!(matches!(&error, ConnectError::Version { build, .. } if build == "planetaryd 9"));
    assert_eq!(error.code(), "version_mismatch");
    assert_eq!(
        error.to_string(),
        "the service (planetaryd 9) speaks versions 8 to 9 of the control API, this client 1 to 1"
    );
    for other in [Some("{}"), Some(r#"{"hello":7}"#), Some(r#"{"id":1,"ok":{}}"#), None] {
        assert!(matches!(greeting(other).await, ConnectError::NoHello), "{other:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn service_that_turns_us_away_says_why() {
    let refusal = r#"{"id":null,"error":{"code":"permission_denied","message":"no","hint":"ask"}}"#;
    let error = greeting(Some(refusal)).await;
    assert_eq!(error.to_string(), "the service refused the connection: no");
    assert_eq!((error.code(), error.hint()), ("no_permission", Some("ask")));
}
