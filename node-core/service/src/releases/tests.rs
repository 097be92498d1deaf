use planetary_proto::identity::Identity;

use super::*;
use crate::public::fetch::tests::serve;

/// 2026-11-28.
const NOW: u64 = 1_795_824_000;

/// On this computer, and without TLS: what a test can serve.
const HERE: Way = Way { reach: Reach::Loopback, secure_only: false };

fn signer() -> Identity {
    Identity::from_seed(&[7; 32])
}

fn feed(version: &str, date: &str) -> Vec<u8> {
    let url = "https://host.example/notes";
    format!(r#"{{"format":1,"version":"{version}","date":"{date}","notes_url":"{url}"}}"#).into()
}

/// A source whose server answers with these two files.
fn source(feed: Vec<u8>, signature: Option<Vec<u8>>) -> Source {
    let server = serve(move |path| {
        let body = match path {
            "/feed.json" => feed.clone(),
            _ => match &signature {
                Some(signature) => signature.clone(),
                None => return Some(("404 Not Found\r\ncontent-length: 0".into(), Vec::new())),
            },
        };
        Some((format!("200 OK\r\ncontent-length: {}", body.len()), body))
    });
    let url = Box::leak(format!("{server}/feed.json").into_boxed_str());
    Source { url, key: signer().key() }
}

fn signed(version: &str, date: &str) -> Source {
    let feed = feed(version, date);
    let signature = hex(signer().sign(&feed).as_bytes()).into_bytes();
    source(feed, Some(signature))
}

fn asked(source: &Source, record: &ReleasesRecord) -> Result<(Feed, ReleasesRecord), CheckError> {
    ask(source, record, HERE, NOW)
}

#[test]
fn newer_version_is_told_of_and_remembered_over_a_restart() {
    let source = signed("99.0.0", "2026-11-27");
    let releases = Releases::of(Some(source), ReleasesRecord::default());
    assert_eq!(releases.told(true, false).check, ReleaseCheck::On);
    assert_eq!(releases.told(true, false).newer, None);
    let (_, record) = releases.take_due(&signer().key(), NOW).unwrap();
    let record = releases.take(asked(&source, &record), NOW).unwrap();
    let told = releases.told(true, false);
    assert_eq!((told.checked_at, &told.error), (Some(UnixTime(NOW)), &None));
    let newer = told.newer.clone().unwrap();
    assert_eq!((&*newer.version, &*newer.date), ("99.0.0", "2026-11-27"));
    let stored = serde_json::to_string(&record).unwrap();
    let again = Releases::of(Some(source), serde_json::from_str(&stored).unwrap());
    assert_eq!(again.told(true, false), told);
    // Not to those who switched it off, and not from a program that believes somebody else.
    assert_eq!(again.told(false, false).newer, None);
    let other = Source { key: Identity::from_seed(&[8; 32]).key(), ..source };
    assert_eq!(Releases::of(Some(other), record).told(true, false).newer, None);
}

#[test]
fn own_version_and_older_ones_are_no_news() {
    for version in ["0.0.1", env!("CARGO_PKG_VERSION")] {
        let source = signed(version, "2026-11-27");
        let releases = Releases::of(Some(source), ReleasesRecord::default());
        assert!(releases.take(asked(&source, &ReleasesRecord::default()), NOW).is_some());
        let told = releases.told(true, false);
        assert_eq!((told.checked_at, told.newer), (Some(UnixTime(NOW)), None));
    }
}

#[test]
fn nobody_is_asked_without_a_source() {
    let releases = Releases::of(None, ReleasesRecord::default());
    assert!(releases.take_due(&signer().key(), NOW).is_none());
    assert_eq!(releases.told(true, false).check, ReleaseCheck::Unavailable);
    let source = signed("99.0.0", "2026-11-27");
    let releases = Releases::of(Some(source), ReleasesRecord::default());
    assert_eq!(releases.told(false, true).check, ReleaseCheck::Off);
    assert_eq!(releases.told(true, true).check, ReleaseCheck::Offline);
}

#[test]
fn it_is_asked_once_a_day_whatever_came_of_it() {
    let key = NodeKey::from_bytes([0; 32]);
    let releases = Releases::of(Some(signed("99.0.0", "2026-11-27")), ReleasesRecord::default());
    let (_, record) = releases.take_due(&key, NOW).unwrap();
    assert!(releases.take_due(&key, NOW + INTERVAL_S - 1).is_none());
    // The attempt is remembered over a restart.
    let again = Releases::of(Some(signed("99.0.0", "2026-11-27")), record);
    assert!(again.take_due(&key, NOW + INTERVAL_S - 1).is_none());
    assert!(again.take_due(&key, NOW + INTERVAL_S).is_some());
    // A clock that was ahead does not end the asking.
    assert!(again.take_due(&key, NOW).is_some());
}

#[test]
fn hostile_answers_change_nothing_and_are_told_of() {
    let good = signed("99.0.0", "2026-11-20");
    let (_, last) = asked(&good, &ReleasesRecord::default()).unwrap();
    let releases = Releases::of(Some(good), last.clone());
    let before = releases.told(true, false).newer;
    let rubbish = |bytes: &[u8]| {
        let signature = hex(signer().sign(bytes).as_bytes()).into_bytes();
        source(bytes.to_vec(), Some(signature))
    };
    let unsigned = feed("99.1.0", "2026-11-21");
    let other = hex(Identity::from_seed(&[8; 32]).sign(&unsigned).as_bytes()).into_bytes();
    for (source, code) in [
        (source(unsigned.clone(), None), "versions_not_fetched"),
        (source(unsigned.clone(), Some(other)), "versions_not_signed"),
        (source(unsigned, Some(b"rubbish".to_vec())), "versions_not_signed"),
        (signed("98.0.0", "2026-11-27"), "versions_older"),
        (signed("99.0.0", "2026-11-19"), "versions_older"),
        (signed("99.0.0", "2099-01-01"), "versions_older"),
        (rubbish(b"\xff\xfe"), "versions_unusable"),
        (rubbish(b"{}"), "versions_unusable"),
        (rubbish(&vec![b' '; FEED_LEN_MAX + 1]), "versions_not_fetched"),
    ] {
        assert!(releases.take(asked(&source, &last), NOW).is_none());
        let told = releases.told(true, false);
        let error = told.error.unwrap();
        assert_eq!((&*error.code, &told.newer), (code, &before), "{}", error.message);
    }
}

#[test]
fn only_https_and_public_addresses_will_do() {
    let source = signed("99.0.0", "2026-11-27");
    let way = Way { reach: Reach::Public, secure_only: true };
    let error = ask(&source, &ReleasesRecord::default(), way, NOW).err().unwrap().to_string();
    assert!(error.contains("https"), "{error}");
    let way = Way { reach: Reach::Public, secure_only: false };
    let error = ask(&source, &ReleasesRecord::default(), way, NOW).err().unwrap().to_string();
    assert!(error.contains("127.0.0.1"), "{error}");
}

#[test]
fn built_in_key_is_read_as_it_is_written() {
    let key = signer().key();
    assert_eq!(key_of(key.to_string().as_bytes()), *key.as_bytes());
    assert!(is_https(b"https://host.example/") && !is_https(b"http://host.example/"));
    assert!(!is_https(b"https://"));
    assert_eq!((given(Some("")), given(Some("x")), given(None)), (None, Some("x"), None));
}
