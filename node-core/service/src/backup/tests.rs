//! Round trips, damage, hostile costs, and a file made by this format's first version.

use proptest::prelude::*;

use super::*;

/// Quick, for tests alone.
const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };

const NOW: u64 = 1_700_000_000;

fn alice() -> Identity {
    Identity::from_seed(&std::array::from_fn(|i| u8::try_from(i).unwrap()))
}

fn backup(passphrase: &str) -> String {
    make(&alice(), Parts::default(), passphrase, NOW, CHEAP).unwrap()
}

#[test]
fn what_is_made_is_opened() {
    let mut parts = Parts::default();
    parts.insert("friends", b"[]").unwrap();
    let text = make(&alice(), parts, "correct horse", NOW, CHEAP).unwrap();
    assert_eq!(peek(&text).unwrap(), (alice().key(), NOW));
    let mut opened = open(&text, "correct horse").unwrap();
    assert_eq!((opened.identity.key(), opened.created), (alice().key(), NOW));
    assert_eq!(*opened.identity.seed(), *alice().seed());
    assert_eq!(opened.parts.names().collect::<Vec<_>>(), ["friends"]);
    assert_eq!(&**opened.parts.take("friends").unwrap(), b"[]");
}

/// A backup that another program made by `docs/backup.md`, with libsodium and the reference code of
/// Argon2. Whatever becomes of the format, this opens.
#[test]
fn first_backup_ever_opens() {
    let mut opened = open(include_str!("first.json"), "correct horse battery").unwrap();
    assert_eq!((opened.identity.key(), opened.created), (alice().key(), NOW));
    assert_eq!(&**opened.parts.take("friends").unwrap(), b"[]");
}

#[test]
fn outside_shows_nothing_of_the_inside() {
    let text = backup("correct horse");
    assert!(text.contains("\"address\": \"206:2f7c:2006:18f7:a0f1:4791:738c:5a1f\""), "{text}");
    assert!(!text.contains("BEGIN") && !text.contains("correct") && text.len() < 1024, "{text}");
    // Neither salt nor nonce is used twice.
    assert_ne!(text, backup("correct horse"));
}

#[test]
fn new_backups_cost_what_they_should() {
    const { assert!(Cost::NEW.memory_kib == 65_536 && Cost::NEW.passes == 3) };
    assert!(Cost::NEW.is_bearable());
    let text = make(&alice(), Parts::default(), "correct horse", NOW, Cost::NEW).unwrap();
    assert!(text.contains("\"memory_kib\": 65536"), "{text}");
    assert!(open(&text, "correct horse").is_ok());
}

#[test]
fn wrong_passphrase_and_changed_text_are_one_error() {
    let text = backup("correct horse");
    for wrong in ["", "correct hors", "Correct horse", "correct horse\n"] {
        assert!(matches!(open(&text, wrong), Err(BackupError::WrongPassphrase)), "{wrong}");
    }
    let later = text.replace("1700000000", "1700000001");
    assert!(matches!(open(&later, "correct horse"), Err(BackupError::WrongPassphrase)));
}

#[test]
fn other_files_and_other_versions_are_named() {
    let text = backup("correct horse");
    let error = |text: &str| open(text, "correct horse").unwrap_err();
    for other in ["", "{}", "[]", "{\"format\": \"zip\", \"version\": 1}", "-----BEGIN"] {
        assert!(matches!(error(other), BackupError::NotABackup), "{other}");
    }
    let newer = text.replace("\"version\": 1,", "\"version\": 2,");
    assert!(matches!(error(&newer), BackupError::Newer(2)));
    for (from, to) in [
        ("argon2id", "argon2i"),
        ("xchacha20-poly1305", "none"),
        ("\"version\": 19", "\"version\": 16"),
        ("206:2f7c", "206:2f7d"),
        ("\"lanes\": 1,", "\"lanes\": 1, \"more\": 1,"),
        ("\"lanes\": 1,", ""),
        ("\"salt\": \"", "\"salt\": \"AAAA"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        assert!(matches!(error(&changed), BackupError::Damaged(_)), "{from}: {changed}");
    }
    let cut = error(&text[..text.len() / 2]);
    assert!(matches!(cut, BackupError::Damaged(_)), "{cut}");
    let long = format!("{text}{}", " ".repeat(600_000));
    assert!(matches!(error(&long), BackupError::Damaged(_)));
}

#[test]
fn hostile_costs_are_refused_before_they_are_paid() {
    let text = backup("correct horse");
    for (memory_kib, passes, lanes) in [
        (u32::MAX, 1, 1),
        (Cost::MEMORY_KIB_MAX + 1, 1, 1),
        (Cost::MEMORY_KIB_MAX, 5, 1),
        (8, u32::MAX, 1),
        (8, 1, u32::MAX),
        (8, 1, 0),
    ] {
        let changed = text
            .replace("\"memory_kib\": 8", &format!("\"memory_kib\": {memory_kib}"))
            .replace("\"passes\": 1", &format!("\"passes\": {passes}"))
            .replace("\"lanes\": 1", &format!("\"lanes\": {lanes}"));
        let error = open(&changed, "correct horse").unwrap_err();
        assert!(matches!(error, BackupError::Unbearable), "{memory_kib} {passes} {lanes}: {error}");
    }
    // Costs that Argon2 does not have are damage, not a panic.
    let none = text.replace("\"memory_kib\": 8", "\"memory_kib\": 0");
    assert!(matches!(open(&none, "x"), Err(BackupError::Damaged(_))));
    let none = text.replace("\"passes\": 1", "\"passes\": 0");
    assert!(matches!(open(&none, "x"), Err(BackupError::Damaged(_))));
}

#[test]
fn spaces_and_order_do_not_count() {
    let text = backup("correct horse");
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let other = serde_json::to_string(&value).unwrap();
    assert_ne!(other, text);
    assert!(open(&other, "correct horse").is_ok());
    assert!(open(&text.replace('\n', "\r\n"), "correct horse").is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_passphrase_opens_its_own_backup(
        seed in any::<[u8; 32]>(), passphrase in "\\PC{1,40}", other in "\\PC{0,40}",
    ) {
        let identity = Identity::from_seed(&seed);
        let text = make(&identity, Parts::default(), &passphrase, NOW, CHEAP).unwrap();
        prop_assert_eq!(open(&text, &passphrase).unwrap().identity.key(), identity.key());
        if other != passphrase {
            let refused = matches!(open(&text, &other), Err(BackupError::WrongPassphrase));
            prop_assert!(refused);
        }
    }

    #[test]
    fn any_text_is_answered(text in "(?s).{0,300}") {
        prop_assert!(open(&text, "x").is_err());
    }
}

/// Every single bit of the file: the change is refused, or is none.
#[test]
fn every_flipped_bit_is_refused() {
    let text = backup("correct horse");
    for at in 0..text.len() {
        for bit in 0..8 {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            if let Ok(opened) = open(&changed, "correct horse") {
                // A letter of the key that became a capital means the same.
                assert_eq!(format::parse(&changed).unwrap(), format::parse(&text).unwrap());
                assert_eq!(opened.identity.key(), alice().key());
            }
        }
    }
}
