//! Keeps `docs/ipc.md` true: its JSON schema is the one of the types, what is sent fits it, and no
//! error code is missing.
//!
//! After a change of the types, `PLANETARY_BLESS=1 cargo test -p planetary-ipc schema` writes the
//! schema into the document anew.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::circles::{Answer, CircleAccessChange, CircleChange, CircleDraft, MemberRole, Subject};
use crate::endpoint::PeerCredentials;
use crate::friends::{Audience, BookBlocked, BookFriend, FriendBook, FriendChange, FriendName};
use crate::gateway::{ForwardProtocol, ForwardRule, ForwardWay};
use crate::identity::NodeKey;
use crate::import::{ExportSecret, ForeignKey, ForeignSettings, ImportSecret};
use crate::message::{ClientHello, Event, Hello, Reply, Request, Right};
use crate::mock::Mock;
use crate::recovery::RecoveryKey;
use crate::server::Handler;
use crate::settings::{LogThreshold, SessionsSetting, SettingsChange};
use crate::transit::TransitMode;
use crate::{ApiError, ErrorCode, PublicFilter, Sealed, SealingKey, Target, limits};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/ipc.md");
const BEGIN: &str = "<!-- schema: begin -->\n```json\n";
const END: &str = "```\n<!-- schema: end -->";

/// The schemas of everything that is sent, by name.
fn definitions() -> Map<String, Value> {
    fn add<T: JsonSchema>(generator: &mut SchemaGenerator) {
        generator.subschema_for::<T>();
    }
    let settings = SchemaSettings::draft2020_12();
    let mut received = settings.clone().for_deserialize().into_generator();
    add::<ClientHello>(&mut received);
    add::<Request>(&mut received);
    let mut sent = settings.for_serialize().into_generator();
    add::<Hello>(&mut sent);
    add::<Reply>(&mut sent);
    add::<Event>(&mut sent);
    add::<ApiError>(&mut sent);
    let mut all = received.take_definitions(true);
    all.extend(sent.take_definitions(true));
    all.into_iter().map(|(name, schema)| (name, without_links(schema))).collect()
}

/// Turns the links of Rust's documentation into plain words.
fn without_links(value: Value) -> Value {
    match value {
        Value::String(text) => {
            let mut plain = text;
            while let Some(start) = plain.find("](") {
                let end = plain[start..].find(')').map_or(plain.len(), |end| start + end + 1);
                plain.replace_range(start..end, "]");
            }
            let plain = plain.replace("[`", "`").replace("`]", "`");
            Value::String(plain.replace('\n', " "))
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_links).collect()),
        Value::Object(members) => {
            let plain = members.into_iter().map(|(name, member)| (name, without_links(member)));
            Value::Object(plain.collect())
        }
        other => other,
    }
}

/// The definitions as JSON with a line for each member, so that a change is a line of a difference.
fn render(definitions: &Map<String, Value>) -> String {
    let mut text = String::from("{\"$defs\": {\n");
    for (index, (name, schema)) in definitions.iter().enumerate() {
        let Value::Object(members) = schema else { panic!("{name} is no object") };
        let _ = writeln!(text, "\"{name}\": {{");
        for (index, (name, member)) in members.iter().enumerate() {
            let comma = if index + 1 < members.len() { "," } else { "" };
            let _ = writeln!(text, "  \"{name}\": {}{comma}", render_member(member));
        }
        text += if index + 1 < definitions.len() { "},\n" } else { "}\n" };
    }
    text + "}}\n"
}

fn render_member(member: &Value) -> String {
    let lines = |open: &str, items: Vec<String>, close: &str| {
        format!("{open}\n    {}\n  {close}", items.join(",\n    "))
    };
    match member {
        Value::Object(members) if members.values().all(Value::is_object) && !members.is_empty() => {
            let items = members.iter().map(|(name, member)| format!("\"{name}\": {member}"));
            lines("{", items.collect(), "}")
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            lines("[", items.iter().map(Value::to_string).collect(), "]")
        }
        other => other.to_string(),
    }
}

/// Where `value` does not fit `schema`; knows the words that occur in our schemas.
fn misfit(value: &Value, schema: &Value, all: &Map<String, Value>) -> Result<(), String> {
    let Value::Object(schema) = schema else {
        return if schema == &json!(true) { Ok(()) } else { Err("nothing fits".into()) };
    };
    for (word, rule) in schema {
        let fits = match word.as_str() {
            "description" | "format" | "pattern" | "default" => true,
            "$ref" => {
                let name = rule.as_str().unwrap().trim_start_matches("#/$defs/");
                misfit(value, &all[name], all)?;
                true
            }
            "type" => match rule {
                Value::Array(types) => types.iter().any(|rule| is_of_type(value, rule)),
                rule => is_of_type(value, rule),
            },
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_none_or(|value| value >= rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|value| value <= rule.as_f64().unwrap()),
            "oneOf" | "anyOf" => {
                let alternatives = rule.as_array().unwrap().iter();
                let tried: Vec<_> = alternatives.map(|rule| misfit(value, rule, all)).collect();
                if !tried.iter().any(Result::is_ok) {
                    return Err(format!("{value}: none of {tried:?}"));
                }
                true
            }
            "items" => {
                value.as_array().into_iter().flatten().try_for_each(|v| misfit(v, rule, all))?;
                true
            }
            "required" => rule.as_array().unwrap().iter().all(|name| {
                value.as_object().is_none_or(|value| value.contains_key(name.as_str().unwrap()))
            }),
            "properties" => {
                let Some(value) = value.as_object() else { continue };
                for (name, rule) in rule.as_object().unwrap() {
                    if let Some(member) = value.get(name) {
                        misfit(member, rule, all).map_err(|error| format!("{name}: {error}"))?;
                    }
                }
                true
            }
            other => panic!("the word {other} is new: teach it to this function"),
        };
        if !fits {
            return Err(format!("{value} breaks {word}: {rule}"));
        }
    }
    Ok(())
}

fn is_of_type(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the type {other} is new: teach it to this function"),
    }
}

/// Members of `value` that its schema does not name, anywhere inside.
fn unnamed(value: &Value, schema: &Value, all: &Map<String, Value>, path: &str) -> Vec<String> {
    let mut named = Map::new();
    let mut found = Vec::new();
    let mut schemas = vec![schema];
    while let Some(schema) = schemas.pop() {
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            schemas.push(&all[name.trim_start_matches("#/$defs/")]);
        }
        for word in ["oneOf", "anyOf"] {
            let alternatives = schema.get(word).and_then(Value::as_array).into_iter().flatten();
            schemas.extend(alternatives.filter(|rule| misfit(value, rule, all).is_ok()));
        }
        if let Some(Value::Object(members)) = schema.get("properties") {
            named.extend(members.clone());
        }
        if let (Some(rule), Value::Array(items)) = (schema.get("items"), value) {
            found.extend(items.iter().flat_map(|item| unnamed(item, rule, all, path)));
        }
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        match named.get(name) {
            Some(rule) => found.extend(unnamed(member, rule, all, &path)),
            None => found.push(path),
        }
    }
    found
}

fn check<T: Serialize>(name: &str, value: &T) {
    let all = definitions();
    let value = serde_json::to_value(value).unwrap();
    if let Err(error) = misfit(&value, &all[name], &all) {
        panic!("{name}: {error}");
    }
    assert_eq!(unnamed(&value, &all[name], &all, name), Vec::<String>::new());
}

#[test]
fn schema_in_the_document_is_that_of_the_types() {
    let schema = render(&definitions());
    serde_json::from_str::<Value>(&schema).unwrap();
    let document = fs::read_to_string(Path::new(DOCUMENT)).unwrap();
    let start = document.find(BEGIN).unwrap() + BEGIN.len();
    let end = start + document[start..].find(END).unwrap();
    if std::env::var_os("PLANETARY_BLESS").is_some() {
        let blessed = format!("{}{schema}{}", &document[..start], &document[end..]);
        fs::write(DOCUMENT, blessed).unwrap();
        return;
    }
    // Compared by lines, so that a failure shows the one that differs.
    for (written, expected) in document[start..end].lines().zip(schema.lines()) {
        assert_eq!(written, expected, "write it anew with PLANETARY_BLESS=1");
    }
    assert_eq!(document[start..end].lines().count(), schema.lines().count());
}

#[test]
fn schema_requires_every_member_that_is_sent() {
    for (name, schema) in definitions() {
        if RECEIVED.contains(&name.as_str()) {
            continue;
        }
        let Some(Value::Object(members)) = schema.get("properties") else { continue };
        let required = schema["required"].as_array().unwrap();
        for member in members.keys() {
            assert!(required.contains(&json!(member)), "{name}.{member} may be absent");
        }
    }
}

/// What only clients send, where members may be left out.
const RECEIVED: [&str; 10] = [
    "CircleAccessChange",
    "CircleChange",
    "ClientHello",
    "Request",
    "SettingsChange",
    "PublicFilter",
    "FriendChange",
    "FriendBook",
    "BookFriend",
    "BookBlocked",
];

#[tokio::test]
async fn schema_fits_everything_the_mock_sends() {
    let caller = PeerCredentials { uid: None, pid: None, right: Some(Right::Admin) };
    // Starting, settled, a peer lost, the parent lost, switched off.
    for (second, on) in [(0, true), (30, true), (45, true), (95, true), (45, false)] {
        let mock = Mock::after(second);
        if !on {
            mock.handle(Request::Down, caller).await.unwrap();
        }
        let status = Box::new(mock.status());
        let traffic = Event::Traffic(status.traffic());
        let target = mock.world_target();
        let key = NodeKey([7; 32]);
        for request in [
            Request::Settings,
            Request::SettingsChange { change: settings_change() },
            Request::SettingsChange {
                change: SettingsChange {
                    listen_add: vec!["gopher://[::]:70".into()],
                    ..SettingsChange::default()
                },
            },
            Request::FriendList { after: None },
            Request::FriendBlocked { after: Some(NodeKey([0; 32])) },
            Request::FriendAdd {
                who: Target::Key(key),
                name: Some("Zoe".parse().unwrap()),
                echo: Some(false),
                services: vec!["tcp/22@300::1".parse().unwrap()],
                notes: "n".into(),
            },
            Request::FriendChange {
                key,
                change: FriendChange {
                    verified: Some(true),
                    deny: vec!["udp/any".parse().unwrap()],
                    ..FriendChange::default()
                },
            },
            Request::FriendBlock { key, name: None, notes: String::new() },
            Request::FriendUnblock { key },
            Request::FriendRemove { key },
            Request::FriendRemove { key },
            Request::FriendImport { book: book(key), overwrite: false },
            Request::OpenChange { allow: vec!["tcp/80".parse().unwrap()], deny: Vec::new() },
            Request::Share { name: None, peers: Some(vec!["tls://a.example:1".into()]) },
            Request::Share { name: None, peers: Some(vec!["tls://10.0.0.1:1".into()]) },
            Request::Pause { for_s: Some(60) },
            Request::Resume,
            Request::CircleList,
            Request::InviteList,
            Request::VisitList,
            Request::CircleCreate { name: named("Work") },
            Request::CircleJoin { link: JOIN.into(), label: Some(named("Me")) },
            Request::CircleJoin { link: "planetary:join?".into(), label: None },
            Request::QuestionAnswer { question: 99, answer: Answer::No, circle: None },
            Request::InviteRevoke { invite: 2 },
            Request::Explore { key: mock.status().root.unwrap_or(key) },
            Request::Explore { key },
            Request::Topology { page: 0 },
            Request::Doctor,
            Request::Report,
            Request::Logs { after: None, level: None },
            Request::IdentityShow,
            Request::Path { target },
            Request::Ping { target, count: Some(3), timeout_ms: None },
            Request::PeerAdd { uri: "tcp://192.0.2.1:1".into(), interface: None },
            Request::PeerPause { uri: "tcp://192.0.2.1:1".into(), interface: None },
            Request::PeerPublic { filter: PublicFilter::default() },
            Request::PeerPublicRefresh,
            Request::PeerTest { uris: Vec::new() },
            Request::PeerChoose { filter: PublicFilter::default(), best: Some(2), add: true },
            Request::PeerJob { job: 2, seen: 0 },
            Request::PeerJobCancel { job: 2, seen: 0 },
        ] {
            check("Request", &request);
            match mock.handle(request, caller).await {
                Ok(reply) => check("Reply", &reply),
                Err(error) => check("ApiError", &error),
            }
        }
        for request in requests_about_circles(&mock, key).await {
            check("Request", &request);
            match mock.handle(request, caller).await {
                Ok(reply) => check("Reply", &reply),
                Err(error) => check("ApiError", &error),
            }
        }
        let settings = ForeignSettings {
            private_key: Some(ForeignKey::Pem(String::new().into())),
            peers: vec!["tls://host.example:443".into(), "quic://host.example:443".into()],
            ..ForeignSettings::default()
        };
        let passphrase = || String::from("correct horse battery").into();
        let backup = "{\"format\": \"planetary-backup\"}".to_owned().into();
        let import = ImportSecret { passphrase: Some(passphrase()), text: backup };
        let export = sealed(&mock, caller, &ExportSecret { passphrase: passphrase() }).await;
        let import = sealed(&mock, caller, &import).await;
        let settings = sealed(&mock, caller, &settings).await;
        for request in [
            Request::SealedPart { secret: sealed(&mock, caller, &"x").await },
            Request::IdentityExport { secret: export },
            Request::IdentityImport { secret: import, dry_run: true, replace: false },
            Request::Import {
                secret: settings,
                dry_run: false,
                replace: true,
                keep_identity: false,
            },
        ] {
            check("Request", &request);
            check("Reply", &mock.handle(request, caller).await.unwrap());
        }
        check("Reply", &Reply::State { seq: 7, status: status.clone() });
        check("Event", &Event::Status(status.clone()));
        check("Event", &traffic);
        check("Event", &Event::Friends { revision: 1 });
        check("Event", &Event::Resync);
        let build = "test".to_owned();
        check("Hello", &Hello { version: 1, lowest: 1, build, seq: 0, status });
    }
}

#[test]
fn schema_refuses_what_has_a_member_less_or_more() {
    let all = definitions();
    let mut status = serde_json::to_value(Mock::settled().status()).unwrap();
    assert_eq!(misfit(&status, &all["Status"], &all), Ok(()));
    status["peers"][0]["surprise"] = json!(1);
    assert_eq!(unnamed(&status, &all["Status"], &all, ""), [".peers.surprise"]);
    status["peers"][0].as_object_mut().unwrap().remove("latency_ms");
    assert!(misfit(&status, &all["Status"], &all).is_err());
}

#[test]
fn document_lists_every_code_and_every_request() {
    let document = fs::read_to_string(Path::new(DOCUMENT)).unwrap();
    for &code in ErrorCode::ALL {
        let row = format!("| `{code}` | ");
        let line = document.lines().find(|line| line.starts_with(&row));
        let line = line.unwrap_or_else(|| panic!("the code {code} is not in docs/ipc.md"));
        assert!(line.contains(code.hint().unwrap_or("-")), "{code}: the hint differs");
    }
    for name in Request::NAMES {
        assert!(document.contains(&format!("| `{name}` |")), "the request {name} is missing");
    }
}

#[test]
fn document_tells_the_bounds_of_a_request() {
    let document = fs::read_to_string(Path::new(DOCUMENT)).unwrap();
    let (counts, most) = (limits::PING_COUNT_MAX, limits::PING_TIMEOUT_MS_MAX);
    let usual = limits::PING_TIMEOUT_MS_DEFAULT;
    let (least_s, most_s) = (limits::INVITE_VALID_S_MIN, limits::INVITE_VALID_S_MAX);
    let usual_s = limits::INVITE_VALID_S_DEFAULT;
    for words in [
        format!("`count` is 1 to {counts} (1 when absent)"),
        format!("`timeout_ms` 1 to {most} ({usual} when absent)"),
        format!("in milliseconds, 1 to {most}; {usual} when absent."),
        format!("At most {} peers", limits::LINK_PEERS_MAX),
        format!("`for_s` is 1 to {}", limits::PAUSE_S_MAX),
        format!("in seconds, 1 to {};", limits::PAUSE_S_MAX),
        format!("Notes have at most {} bytes", limits::FRIEND_NOTES_LEN_MAX),
        format!("A `uri` has 1 to {} bytes", limits::URI_LEN_MAX),
        format!("`uses` guests in (1 to {}; 1 when absent)", limits::INVITE_USES_MAX),
        format!("seconds ({least_s} to {most_s}; {usual_s} when absent)"),
        format!("in seconds, {least_s} to {most_s}; {usual_s} when absent."),
        format!("at most {} services instead", limits::CIRCLE_SUGGESTED_MAX),
        format!("at most {}, kept in memory only", limits::VISITS_MAX),
    ] {
        assert!(document.contains(&words), "{words}");
    }
}

/// A link that nobody made.
const JOIN: &str = "planetary:join?c=rcpivwm2jypimduwspwuebdyjvmwyl6ydd2xqyd2iuq2m6xy4oiq&\
    k=aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4a&t=aaaqeayeaudaocajbifqydiob4&\
    e=1800000000&n=Cinema";

fn named(text: &str) -> FriendName {
    text.parse().unwrap()
}

/// What can be asked about each circle, and about what waits for an answer.
async fn requests_about_circles(mock: &Mock, key: NodeKey) -> Vec<Request> {
    let caller = PeerCredentials { uid: None, pid: None, right: Some(Right::Admin) };
    let Ok(Reply::Circles(list)) = mock.handle(Request::CircleList, caller).await else {
        panic!("no list of circles")
    };
    let service = || vec!["tcp/22".parse().unwrap()];
    let recovery = RecoveryKey::from_words(crate::mock::PAPER).unwrap().key();
    let mut all = Vec::new();
    for circle in list.circles.into_iter().map(|circle| circle.id) {
        let change =
            CircleChange { name: Some(named(&circle.to_string()[..8])), suggest: Some(service()) };
        let access = CircleAccessChange {
            enabled: Some(false),
            echo: Some(false),
            subnet: Some(true),
            allow: service(),
            deny: service(),
        };
        all.extend([
            Request::CircleShow { circle },
            Request::CircleChange { circle, change },
            Request::CircleAdd { circle, key, role: MemberRole::Admin, label: Some(named("Zoe")) },
            Request::MemberAccess { circle, key, allow: service(), deny: service() },
            Request::CircleAccess { circle, change: access },
            Request::CircleRemove { circle, key },
            Request::CircleDraft { draft: CircleDraft::Add { circle, recovery, key } },
            Request::CircleDraft { draft: CircleDraft::Remove { circle, recovery, key } },
            Request::InviteCreate {
                circle,
                role: Some(MemberRole::Member),
                uses: Some(2),
                valid_s: Some(3600),
                asks: true,
                peers: Some(vec!["tls://a.example:1".into()]),
            },
            Request::CircleAccept { circle },
            Request::CircleForget { circle },
            Request::CircleLeave { circle },
            Request::CircleForget { circle },
        ]);
    }
    let name = named("Paper");
    all.push(Request::CircleDraft { draft: CircleDraft::Create { name, recovery } });
    all.push(Request::CircleSubmit { operation: "AAAA".into() });
    for question in mock.status().questions {
        let answer = match question.subject {
            Subject::Knock { .. } => Answer::Once,
            Subject::Guest { .. } => Answer::Yes,
        };
        all.push(Request::QuestionAnswer { question: question.id, answer, circle: None });
    }
    all.extend(about_roads());
    all
}

/// What is about local networks and forwarded ports.
fn about_roads() -> Vec<Request> {
    let rule = ForwardRule {
        way: ForwardWay::Out,
        protocol: ForwardProtocol::Udp,
        listen: "127.0.0.1:5353".into(),
        target: "ada.pln.internal:53".into(),
    };
    vec![
        Request::LanTrust { network: "5c1f0a77d2be9043".into(), trusted: true },
        Request::ForwardAdd { rule },
        Request::ForwardList,
        Request::ForwardRemove { forward: 1 },
    ]
}

/// A change of everything.
fn settings_change() -> SettingsChange {
    SettingsChange {
        names: Some(false),
        lan: Some(false),
        transit: Some(TransitMode::Leaf),
        save_on_battery: Some(false),
        save_on_metered: Some(false),
        gateway_socks: Some("127.0.0.1:1080".into()),
        gateway_http: Some("[::1]:8080".into()),
        metrics: Some("127.0.0.1:9090".into()),
        listen_add: vec!["tls://[::]:9001?password=secret".into()],
        listen_remove: vec!["tls://[::]:12345".into()],
        inbound: Some(Audience::Nobody),
        echo: Some(Audience::Everyone),
        sessions: Some(SessionsSetting::Everyone),
        node_info_privacy: Some(false),
        log_level: Some(LogThreshold::Debug),
        release_check: Some(false),
        public_list_url: Some("https://list.example/peers.json".into()),
        public_list_key: Some(NodeKey([7; 32]).to_string()),
    }
}

/// A book with an entry that is refused, because nobody is a friend of itself.
fn book(key: NodeKey) -> FriendBook {
    let own = Mock::settled().status().key;
    let friend = |key, name: &str| BookFriend {
        key,
        name: name.parse().unwrap(),
        echo: true,
        services: Vec::new(),
        verified: false,
        notes: String::new(),
    };
    let blocked = vec![BookBlocked { key: NodeKey([8; 32]), name: None, notes: String::new() }];
    FriendBook { version: 1, friends: vec![friend(key, "Zoe"), friend(own, "me")], blocked }
}

/// Seals a secret to a key of the mock.
async fn sealed<T: Serialize>(mock: &Mock, caller: PeerCredentials, secret: &T) -> Sealed {
    let reply = mock.handle(Request::SealingKey, caller).await.unwrap();
    check("Reply", &reply);
    let Reply::SealingKey(SealingKey { key, .. }) = reply else { panic!("{reply:?}") };
    let text = crate::secret::seal(key, secret).unwrap().remove(0);
    Sealed { key, text }
}

impl Mock {
    fn world_target(&self) -> Target {
        Target::Key(self.status().root.unwrap_or_else(|| self.status().key))
    }
}
