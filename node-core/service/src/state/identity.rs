//! `identity.pem`: the key that *is* the node.
//!
//! Losing it means losing the address and every friend who knows it, so this module never removes
//! one, and replaces one ([`replace`]) only when a person said so, after the former was kept beside
//! it. At a start:
//!
//! ```text
//! identity.pem      identity.pem.damaged-*    start
//! ----------------  ------------------------  -------------------------------------------------
//! a good key        any                       use it (and close its permissions if they are open)
//! something else    any                       refuse; the file stays where it is
//! damaged           any                       set it aside, then refuse
//! nothing           one or more               refuse: the person decides, not the next start
//! nothing           none                      make a new key
//! ```
//!
//! "Nothing" means that the name is free: a link into a folder that is not mounted is something.
//! See `docs/decisions/0004-damaged-state.md`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use planetary_proto::identity::Identity;
use zeroize::Zeroizing;

use super::atomic::{self, Disk, OsDisk};
use super::pkcs8::{self, KeyError};
use super::{ReadError, StateDir, found_aside, read_bounded, set_aside};

/// Name of the file in the state folder.
pub const FILE_NAME: &str = "identity.pem";

/// A key file has about 120 bytes; a generous text around it is fine, a disk image is not.
const FILE_LEN_MAX: u64 = 16 * 1024;

/// An identity and what was noticed on the way to it.
#[derive(Debug)]
pub struct Loaded {
    /// Who the node is.
    pub identity: Identity,
    /// Where the key is kept.
    pub path: PathBuf,
    /// Whether this start made it.
    pub created: bool,
    /// Whether other accounts could read the file.
    pub exposure: Exposure,
}

/// Whether other accounts could read the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// No.
    Private,
    /// They could until this start, which closed the permissions.
    Closed,
    /// They can; the system did not let us close the permissions.
    Open,
}

/// Why there is no identity to start with. Nothing is lost in any of these cases.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The file is there but cannot be read.
    #[error("{}: the node's key cannot be read: {source}; {}", path.display(), source.remedy())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What reading it met.
        source: ReadError,
    },
    /// The name is a link to a file that is not there, perhaps on a disk that is not mounted.
    #[error(
        "{}: the node's key is a link to a file that is not there; mount or restore what it \
         points to",
        path.display()
    )]
    DanglingLink {
        /// The link.
        path: PathBuf,
    },
    /// The file is whole, but not an Ed25519 private key.
    #[error(
        "{}: {reason}; put the node's key there (Ed25519, PKCS#8, PEM), or move the file away \
         for a new key and address",
        path.display()
    )]
    OtherFile {
        /// The file, untouched.
        path: PathBuf,
        /// What it is.
        reason: String,
    },
    /// The file was damaged and is set aside as of this start.
    #[error(
        "{}: the node's key is damaged ({reason}), and the file was kept as {}; {}",
        path.display(), kept.display(), ways_out(path)
    )]
    SetAside {
        /// Where the file was.
        path: PathBuf,
        /// Where it is.
        kept: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is damaged, and could not be renamed either.
    #[error(
        "{}: the node's key is damaged ({reason}), and the file could not be set aside \
         ({source}); {}",
        path.display(), ways_out(path)
    )]
    Stuck {
        /// The file, untouched.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// Why it could not be renamed.
        source: io::Error,
    },
    /// A damaged file was set aside by an earlier start, and nothing has taken its place.
    #[error(
        "{}: the node's key is missing: an earlier start found it damaged and kept it as {}; {}",
        path.display(), kept.display(), ways_out(path)
    )]
    StillAside {
        /// Where the key is expected.
        path: PathBuf,
        /// The newest file that was set aside.
        kept: PathBuf,
    },
    /// The system gives no random numbers.
    #[error("no random numbers for a new key: {0}; start the service again later")]
    NoRandomness(getrandom::Error),
    /// The new key could not be written.
    #[error(
        "{}: the new key cannot be written: {source}; free space on the disk, \
         or choose another folder with --state-dir",
        path.display()
    )]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
}

fn ways_out(path: &Path) -> String {
    format!(
        "to keep the address, put a copy of the key at {}, or, for a new key and address, move \
         the damaged file to another folder",
        path.display()
    )
}

/// Reads the identity in `dir`, or makes one where there was none.
///
/// # Errors
/// [`IdentityError`]; the service must not start then.
pub fn load_or_create(dir: &StateDir, unix_s: u64) -> Result<Loaded, IdentityError> {
    let path = dir.path().join(FILE_NAME);
    match read_bounded(&path, FILE_LEN_MAX) {
        Ok(bytes) => load(path, &Zeroizing::new(bytes), unix_s),
        Err(ReadError::Missing) if fs::symlink_metadata(&path).is_ok() => {
            Err(IdentityError::DanglingLink { path })
        }
        Err(ReadError::Missing) => match found_aside(&path) {
            Some(kept) => Err(IdentityError::StillAside { path, kept }),
            None => make(path),
        },
        Err(source) => Err(IdentityError::Unreadable { path, source }),
    }
}

/// Why a text is not an Ed25519 private key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyTextError(String);

/// The identity as a file that any tool reads: PKCS#8 in PEM.
#[must_use]
pub fn to_text(identity: &Identity) -> Zeroizing<String> {
    pkcs8::encode(&identity.seed())
}

/// Reads an identity from PKCS#8 in PEM.
///
/// # Errors
/// [`KeyTextError`]: what else it is, or what is wrong with it.
pub fn from_text(bytes: &[u8]) -> Result<Identity, KeyTextError> {
    parse(bytes).map_err(|error| KeyTextError(error.to_string()))
}

/// Puts the identity `new` in the place of `former`, whose key is kept in the same folder as
/// `NAME.replaced-UNIXTIME`; returns where.
///
/// The former key is safe under its new name before the file is touched, and the file is replaced
/// whole: whoever is killed in between finds the former identity or the new one, and never loses
/// the former.
///
/// # Errors
/// Those of the system; the former identity is then in place, unless the file holds the new one
/// after all ([`holds`]): only its survival of a power cut is in doubt then.
pub fn replace(path: &Path, former: &Identity, new: &Identity, unix_s: u64) -> io::Result<PathBuf> {
    replace_on(&OsDisk, path, former, new, unix_s)
}

pub(super) fn replace_on(
    disk: &impl Disk,
    path: &Path,
    former: &Identity,
    new: &Identity,
    unix_s: u64,
) -> io::Result<PathBuf> {
    let kept = keep(disk, path, &to_text(former), unix_s)?;
    // A link stays a link: what it points to is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    atomic::replace(disk, &target, to_text(new).as_bytes(), atomic::PRIVATE)?;
    // What fails leaves the copy of the former key behind. It is never removed: when the last step
    // failed, it is the only one.
    Ok(kept)
}

/// Whether the file at `path` holds this identity.
#[must_use]
pub fn holds(path: &Path, identity: &Identity) -> bool {
    read_bounded(path, FILE_LEN_MAX)
        .is_ok_and(|bytes| parse(&Zeroizing::new(bytes)).is_ok_and(|it| it.key() == identity.key()))
}

/// Where a former identity is kept beside `path`, if it is.
#[must_use]
pub fn kept(path: &Path, former: &Identity) -> Option<PathBuf> {
    let text = to_text(former);
    replaced_files(path).find(|kept| is_text(kept, &text))
}

/// Writes a key beside `path`, under a name that is free, or finds it there.
fn keep(disk: &impl Disk, path: &Path, text: &str, unix_s: u64) -> io::Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if let Some(kept) = replaced_files(path).find(|kept| is_text(kept, text)) {
        return Ok(kept);
    }
    for attempt in 0..100 {
        let kept = path.with_file_name(match attempt {
            0 => format!("{name}{REPLACED}{unix_s}"),
            n => format!("{name}{REPLACED}{unix_s}-{n}"),
        });
        match atomic::create(disk, &kept, text.as_bytes(), atomic::PRIVATE) {
            Ok(()) => return Ok(kept),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn replaced_files(path: &Path) -> impl Iterator<Item = PathBuf> {
    let prefix = path.file_name().map(|name| format!("{}{REPLACED}", name.to_string_lossy()));
    let entries = path.parent().and_then(|folder| fs::read_dir(folder).ok());
    entries.into_iter().flatten().flatten().map(|entry| entry.path()).filter(move |path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.zip(prefix.as_deref()).is_some_and(|(name, prefix)| name.starts_with(prefix))
    })
}

fn is_text(path: &Path, text: &str) -> bool {
    read_bounded(path, FILE_LEN_MAX)
        .is_ok_and(|bytes| Zeroizing::new(bytes).as_slice() == text.as_bytes())
}

/// What stands between the name of the key file and the time at which its key was replaced.
const REPLACED: &str = ".replaced-";

fn load(path: PathBuf, bytes: &[u8], unix_s: u64) -> Result<Loaded, IdentityError> {
    let error = match parse(bytes) {
        Ok(identity) => {
            let exposure = close_permissions(&path);
            return Ok(Loaded { identity, path, created: false, exposure });
        }
        Err(error) => error,
    };
    let reason = error.to_string();
    if error.is_other_file() {
        return Err(IdentityError::OtherFile { path, reason });
    }
    match set_aside(&path, unix_s) {
        Ok(kept) => Err(IdentityError::SetAside { path, kept, reason }),
        Err(source) => Err(IdentityError::Stuck { path, reason, source }),
    }
}

fn parse(bytes: &[u8]) -> Result<Identity, KeyError> {
    let text = std::str::from_utf8(bytes).map_err(|_| KeyError::Damaged("it is not text"))?;
    let key = pkcs8::decode(text)?;
    let identity = Identity::from_seed(&key.seed);
    match key.public {
        Some(public) if public != *identity.key().as_bytes() => {
            Err(KeyError::Damaged("its private and public halves do not belong together"))
        }
        _ => Ok(identity),
    }
}

fn make(path: PathBuf) -> Result<Loaded, IdentityError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(IdentityError::NoRandomness)?;
    let text = pkcs8::encode(&seed);
    if let Err(source) = atomic::create(&OsDisk, &path, text.as_bytes(), atomic::PRIVATE) {
        return Err(IdentityError::Unwritable { path, source });
    }
    let identity = Identity::from_seed(&seed);
    Ok(Loaded { identity, path, created: true, exposure: Exposure::Private })
}

#[cfg(unix)]
fn close_permissions(path: &Path) -> Exposure {
    use std::os::unix::fs::PermissionsExt;
    let is_open =
        |path: &Path| fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0);
    if !is_open(path) {
        return Exposure::Private;
    }
    match fs::set_permissions(path, fs::Permissions::from_mode(atomic::PRIVATE)) {
        Ok(()) if !is_open(path) => Exposure::Closed,
        _ => Exposure::Open,
    }
}

/// The folder's access list protects the file on Windows.
#[cfg(not(unix))]
fn close_permissions(_: &Path) -> Exposure {
    Exposure::Private
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn open(dir: &tempfile::TempDir) -> StateDir {
        StateDir::open(dir.path()).unwrap()
    }

    fn listing(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn first_start_makes_a_key_and_later_starts_keep_it() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(&dir);
        let first = load_or_create(&state, NOW).unwrap();
        assert!(first.created);
        let text = fs::read(&first.path).unwrap();
        let second = load_or_create(&state, NOW).unwrap();
        assert!(!second.created);
        assert_eq!(first.identity.key(), second.identity.key());
        assert_eq!(fs::read(&first.path).unwrap(), text);
        assert_eq!(listing(dir.path()), ["identity.pem", "service.lock"]);
    }

    #[cfg(unix)]
    #[test]
    fn key_file_is_private_and_is_made_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let state = open(&dir);
        let path = load_or_create(&state, NOW).unwrap().path;
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(load_or_create(&state, NOW).unwrap().exposure, Exposure::Closed);
        assert_eq!(mode(), 0o600);
        assert_eq!(load_or_create(&state, NOW).unwrap().exposure, Exposure::Private);
    }

    #[test]
    fn damaged_key_is_set_aside_and_no_start_makes_another() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(&dir);
        let path = load_or_create(&state, NOW).unwrap().path;
        let good = fs::read_to_string(&path).unwrap();
        let damaged = &good[..good.len() / 2];
        fs::write(&path, damaged).unwrap();

        let error = load_or_create(&state, NOW).unwrap_err();
        let IdentityError::SetAside { kept, .. } = &error else { panic!("{error}") };
        assert_eq!(fs::read_to_string(kept).unwrap(), damaged);
        assert!(!path.exists());
        for _ in 0..3 {
            let error = load_or_create(&state, NOW + 1).unwrap_err();
            assert!(matches!(error, IdentityError::StillAside { .. }), "{error}");
            assert!(error.to_string().contains("put a copy of the key at"), "{error}");
        }

        // Either way out that the message names works.
        fs::write(&path, &good).unwrap();
        load_or_create(&state, NOW).unwrap();
        fs::remove_file(&path).unwrap();
        fs::rename(kept, dir.path().join("elsewhere.pem")).unwrap();
        assert!(load_or_create(&state, NOW).unwrap().created);
    }

    #[test]
    fn every_kind_of_damage_is_kept_byte_for_byte() {
        let cases: [&[u8]; 5] =
            [b"", b"\xff\xfe\0\0", b"-----BEGIN PRIVATE KEY-----", b"{}", &[b'\n'; 9000]];
        for damaged in cases {
            let dir = tempfile::tempdir().unwrap();
            let state = open(&dir);
            fs::write(dir.path().join(FILE_NAME), damaged).unwrap();
            match load_or_create(&state, NOW).unwrap_err() {
                IdentityError::SetAside { kept, .. } => {
                    assert_eq!(fs::read(kept).unwrap(), damaged)
                }
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn public_half_of_another_key_is_damage() {
        use base64ct::{Base64, Encoding};
        let mut der = vec![0x30, 0x51, 2, 1, 1, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        der.extend([7; 32]);
        der.extend([0x81, 0x21, 0]);
        der.extend(Identity::from_seed(&[7; 32]).key().as_bytes());
        let pem = |der: &[u8]| {
            format!(
                "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
                Base64::encode_string(der)
            )
        };
        assert_eq!(parse(pem(&der).as_bytes()).unwrap().key(), Identity::from_seed(&[7; 32]).key());
        der[20] = 8;
        let error = parse(pem(&der).as_bytes()).unwrap_err();
        assert!(!error.is_other_file(), "{error}");
    }

    #[test]
    fn another_kind_of_file_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(&dir);
        let path = dir.path().join(FILE_NAME);
        let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        fs::write(&path, text).unwrap();
        let error = load_or_create(&state, NOW).unwrap_err();
        assert!(matches!(error, IdentityError::OtherFile { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn folder_or_giant_in_place_of_the_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(&dir);
        let path = dir.path().join(FILE_NAME);
        fs::create_dir(&path).unwrap();
        assert!(matches!(load_or_create(&state, NOW), Err(IdentityError::Unreadable { .. })));
        fs::remove_dir(&path).unwrap();
        fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(matches!(load_or_create(&state, NOW), Err(IdentityError::Unreadable { .. })));
    }

    #[test]
    fn replaced_key_is_kept_and_can_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(&dir);
        let Loaded { identity: first, path, .. } = load_or_create(&state, NOW).unwrap();
        let text = fs::read(&path).unwrap();
        let second = Identity::from_seed(&[7; 32]);

        let kept = replace(&path, &first, &second, NOW).unwrap();
        assert_eq!(kept, dir.path().join("identity.pem.replaced-1700000000"));
        assert_eq!(fs::read(&kept).unwrap(), text);
        assert!(holds(&path, &second) && holds(&kept, &first));
        assert_eq!(load_or_create(&state, NOW).unwrap().identity.key(), second.key());
        #[cfg(unix)]
        for file in [&path, &kept] {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }

        // Back again, and forth: no key is kept twice, and none is lost.
        let other = replace(&path, &second, &first, NOW).unwrap();
        assert_eq!(other, dir.path().join("identity.pem.replaced-1700000000-1"));
        assert_eq!(replace(&path, &first, &second, NOW + 9).unwrap(), kept);
        assert!(holds(&path, &second) && holds(&kept, &first) && holds(&other, &second));
        assert_eq!(listing(dir.path()).len(), 4);
    }

    #[cfg(unix)]
    #[test]
    fn key_behind_a_link_is_replaced_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let target = elsewhere.path().join("key.pem");
        let (first, second) = (Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32]));
        fs::write(&target, to_text(&first).as_bytes()).unwrap();
        let path = dir.path().join(FILE_NAME);
        std::os::unix::fs::symlink(&target, &path).unwrap();
        let kept = replace(&path, &first, &second, NOW).unwrap();
        assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
        assert!(holds(&target, &second) && holds(&kept, &first));
        assert_eq!(kept.parent(), Some(dir.path()));
    }

    #[test]
    fn keys_in_text_are_read_and_other_things_are_named() {
        let identity = Identity::from_seed(&[3; 32]);
        let text = to_text(&identity);
        assert_eq!(from_text(text.as_bytes()).unwrap().key(), identity.key());
        for other in ["", "-----BEGIN PRIVATE KEY-----", "\u{7}"] {
            assert!(!from_text(other.as_bytes()).unwrap_err().to_string().is_empty());
        }
    }

    #[cfg(unix)]
    #[test]
    fn link_to_a_missing_disk_makes_no_new_key() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(&dir);
        std::os::unix::fs::symlink("/nonexistent/key.pem", dir.path().join(FILE_NAME)).unwrap();
        assert!(matches!(load_or_create(&state, NOW), Err(IdentityError::DanglingLink { .. })));
        assert_eq!(listing(dir.path()), ["identity.pem", "service.lock"]);
    }
}
