//! Which list of public peers is in use: the one that ships with the program, or the last good copy
//! of the one that the configuration names.
//!
//! A fetched list is kept in `public-peers.json` with its signature and the URL it came from, and
//! is judged anew whenever the program starts or the configuration changes: a copy from elsewhere,
//! or one whose signature is not of the configured key, is not used. A list that is older than the
//! copy is refused, so that nobody can bring back peers that are gone.

use std::sync::Arc;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use planetary_ipc::{ApiError, ErrorCode, ListTrust, PeerError, UnixTime};
use planetary_proto::Signature;
use planetary_proto::identity::NodeKey;
use planetary_runtime::links::probe::Reach;
use serde::{Deserialize, Serialize};

use super::fetch;
use super::list::{LIST_LEN_MAX, ListError, PublicList};
use crate::config::PublicPeersConfig;
use crate::health::Moment;
use crate::state::record::Record;

/// Longest file with a signature: 128 hexadecimal digits, and room for a line end.
pub(crate) const SIGNATURE_LEN_MAX: usize = 1024;

/// Age of the copy at which it is fetched anew by itself.
const REFRESH_AGE_S: u64 = 86_400;

/// Spread of those moments over nodes.
const REFRESH_SPREAD_S: u64 = 3_600;

/// Time between two attempts to fetch.
const RETRY: Duration = Duration::from_secs(3_600);

/// `public-peers.json`: the last good copy.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListRecord {
    url: String,
    fetched_at: u64,
    /// In hexadecimal digits.
    signature: Option<String>,
    /// As it was fetched, to the byte, because that is what is signed. Empty if there is none.
    list: String,
}

impl Record for ListRecord {
    const FILE_NAME: &'static str = "public-peers.json";
    /// A list of which every byte is written as six.
    const LEN_MAX: u64 = 8 << 20;
}

/// The list in use.
#[derive(Clone, Debug)]
pub struct InUse {
    /// The list.
    pub list: Arc<PublicList>,
    /// Why it can be trusted.
    pub trust: ListTrust,
    /// When it was fetched.
    pub fetched_at: Option<UnixTime>,
}

/// The list in use, and what there is to know for the next.
pub struct Lists {
    copy: ListRecord,
    /// What the configuration said when `in_use` was chosen.
    basis: Option<PublicPeersConfig>,
    in_use: InUse,
    /// Why the last attempt failed.
    pub error: Option<PeerError>,
    tried: Option<std::time::Instant>,
}

/// Why a list was not refreshed. The one in use stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefreshError {
    /// The configuration names no URL.
    #[error("the configuration names no place to fetch the list of public peers from")]
    Off,
    /// The list could not be fetched.
    #[error("the list of public peers could not be fetched from {url}: {reason}")]
    Fetch {
        /// From where.
        url: String,
        /// In words.
        reason: String,
    },
    /// The signature could not be fetched.
    #[error("the signature could not be fetched from {url}: {reason}")]
    FetchSignature {
        /// From where.
        url: String,
        /// In words.
        reason: String,
    },
    /// The signature is none, or of another key, or of another list.
    #[error("the list of public peers is not signed with the key in the configuration")]
    Signature,
    /// It is no list.
    #[error(transparent)]
    List(#[from] ListError),
    /// It is older than the copy.
    #[error("the list of public peers is of {new}, and the copy here of {copy}")]
    Older {
        /// Its day.
        new: super::list::Date,
        /// The day of the copy.
        copy: super::list::Date,
    },
    /// The copy could not be written.
    #[error("the copy could not be written to the state folder: {0}")]
    Storage(#[from] std::io::Error),
}

impl Lists {
    /// From the copy in the state folder.
    #[must_use]
    pub fn new(copy: ListRecord) -> Self {
        Self { copy, basis: None, in_use: shipped(), error: None, tried: None }
    }

    /// The list in use with this configuration.
    pub fn in_use(&mut self, config: &PublicPeersConfig) -> InUse {
        if self.basis.as_ref() != Some(config) {
            self.basis = Some(config.clone());
            self.error = None;
            self.tried = None;
            self.in_use = self.copy.judge(config).unwrap_or_else(shipped);
        }
        self.in_use.clone()
    }

    /// Whether it is time to fetch; if so, that is noted as an attempt.
    pub fn is_due(&mut self, config: &PublicPeersConfig, own: &NodeKey, now: Moment) -> bool {
        let [first, second, ..] = own.as_bytes();
        let spread = u64::from(u16::from_be_bytes([*first, *second])) % REFRESH_SPREAD_S;
        let InUse { fetched_at, .. } = self.in_use(config);
        // A time in the future is one of a clock that was wrong.
        let fresh = fetched_at.is_some_and(|at| {
            let age = now.unix_s.checked_sub(at.0);
            age.is_some_and(|age| age < REFRESH_AGE_S + spread)
        });
        let lately =
            self.tried.is_some_and(|then| now.mono.saturating_duration_since(then) < RETRY);
        let due = !config.url.is_empty() && !fresh && !lately;
        if due {
            self.tried = Some(now.mono);
        }
        due
    }

    /// The copy, to hold a fetched list against.
    #[must_use]
    pub fn copy(&self) -> ListRecord {
        self.copy.clone()
    }

    /// Takes a copy into use that is on the disk.
    pub fn adopt(&mut self, copy: ListRecord) {
        self.copy = copy;
        self.basis = None;
    }
}

fn shipped() -> InUse {
    let list = Arc::new(PublicList::shipped());
    InUse { list, trust: ListTrust::Shipped, fetched_at: None }
}

impl ListRecord {
    /// The list, if it may be used with this configuration.
    fn judge(&self, config: &PublicPeersConfig) -> Option<InUse> {
        if self.list.is_empty() || config.url.is_empty() {
            return None;
        }
        let trust = match (config.key, &self.signature) {
            (Some(key), Some(signature)) => {
                let signature = read_signature(signature.as_bytes())?;
                if !key.verify(self.list.as_bytes(), &signature) {
                    return None;
                }
                ListTrust::Signed
            }
            (Some(_), None) => return None,
            (None, _) if self.url == config.url => ListTrust::Unsigned,
            (None, _) => return None,
        };
        let list = Arc::new(PublicList::parse(self.list.as_bytes()).ok()?);
        Some(InUse { list, trust, fetched_at: Some(UnixTime(self.fetched_at)) })
    }
}

/// Fetches the list that the configuration names, checks it, and returns it as a copy to be kept.
/// Blocks for up to a minute.
///
/// # Errors
/// [`RefreshError`].
pub fn refresh(
    config: &PublicPeersConfig,
    copy: &ListRecord,
    offline: bool,
    now: u64,
) -> Result<ListRecord, RefreshError> {
    if config.url.is_empty() {
        return Err(RefreshError::Off);
    }
    let url = config.url.clone();
    let reach = match (offline, config.key) {
        (true, _) => Reach::Loopback,
        (false, Some(_)) => Reach::Any,
        (false, None) => Reach::Public,
    };
    let secure_only = config.key.is_none();
    let bytes = fetch::download(&url, LIST_LEN_MAX, secure_only, reach)
        .map_err(|reason| RefreshError::Fetch { url: url.clone(), reason })?;
    let signature = match config.key {
        None => None,
        Some(key) => {
            let url = format!("{url}.sig");
            let text = fetch::download(&url, SIGNATURE_LEN_MAX, secure_only, reach)
                .map_err(|reason| RefreshError::FetchSignature { url, reason })?;
            let signature = read_signature(&text).ok_or(RefreshError::Signature)?;
            if !key.verify(&bytes, &signature) {
                return Err(RefreshError::Signature);
            }
            Some(hex(signature.as_bytes()))
        }
    };
    let list = PublicList::parse(&bytes)?;
    if let Some(InUse { list: before, .. }) = copy.judge(config)
        && list.date < before.date
    {
        return Err(RefreshError::Older { new: list.date, copy: before.date });
    }
    // A list is JSON, so it is UTF-8.
    let list = String::from_utf8_lossy(&bytes).into_owned();
    Ok(ListRecord { url, fetched_at: now, signature, list })
}

/// Reads a signature: 128 hexadecimal digits, or base64.
pub(crate) fn read_signature(text: &[u8]) -> Option<Signature> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let mut bytes = [0; 64];
    if text.len() == 128 {
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(digits).ok()?;
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
    } else if Base64::decode(text, &mut bytes).ok()?.len() != bytes.len() {
        return None;
    }
    Some(Signature::from_bytes(bytes))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl RefreshError {
    /// What a client is told.
    #[must_use]
    pub fn told(&self) -> ApiError {
        let (code, hint) = match self {
            Self::Off => (
                ErrorCode::Config,
                "set `url` in the section [public_peers] of the configuration, then reload the \
                 service",
            ),
            Self::Fetch { .. } | Self::FetchSignature { .. } => (
                ErrorCode::Unreachable,
                "check `public_peers.url` and this computer's internet connection; without \
                 `public_peers.key` it must be https, and in the public internet; the list in use \
                 stays",
            ),
            Self::Signature => (
                ErrorCode::Unreachable,
                "compare `public_peers.key` with the key of who publishes the list; the list in \
                 use stays",
            ),
            Self::Older { .. } => (
                ErrorCode::Unreachable,
                "somebody may be giving out an old list; the newer copy stays in use",
            ),
            Self::List(_) => {
                (ErrorCode::Unreachable, "check `public_peers.url`; the list in use stays")
            }
            Self::Storage(_) => {
                (ErrorCode::SystemRefused, "free space on the disk, or check who owns the folder")
            }
        };
        ApiError::new(code, self.to_string()).with_hint(hint)
    }

    /// A stable name.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Off => "refresh_off",
            Self::Fetch { .. } | Self::FetchSignature { .. } => "list_not_fetched",
            Self::Signature => "list_not_signed",
            Self::List(_) => "list_unusable",
            Self::Older { .. } => "list_older",
            Self::Storage(_) => "list_not_stored",
        }
    }
}

#[cfg(test)]
mod tests {
    use planetary_proto::identity::Identity;

    use super::super::fetch::tests::serve;
    use super::*;

    fn list_of(date: &str) -> String {
        format!(
            r#"{{"version":1,"source":"a test","date":"{date}","peers":
               [{{"uri":"tcp://127.0.0.1:1","region":"here","country":"here"}}]}}"#
        )
    }

    fn signer() -> Identity {
        Identity::from_seed(&[7; 32])
    }

    /// A server with a list of that day, and its signature by the signer.
    fn server(date: &'static str, base64: bool) -> String {
        serve(move |path| {
            let list = list_of(date).into_bytes();
            let signature = signer().sign(&list);
            let body = match (path, base64) {
                ("/list.json", _) => list,
                ("/list.json.sig", true) => {
                    format!("{}\n", Base64::encode_string(signature.as_bytes())).into_bytes()
                }
                ("/list.json.sig", false) => hex(signature.as_bytes()).into_bytes(),
                _ => return Some(("404 Not Found\r\ncontent-length: 0".into(), Vec::new())),
            };
            Some((format!("200 OK\r\ncontent-length: {}", body.len()), body))
        })
    }

    fn config(server: &str, key: Option<NodeKey>) -> PublicPeersConfig {
        PublicPeersConfig { url: format!("{server}/list.json"), key }
    }

    fn fetched(config: &PublicPeersConfig, copy: &ListRecord) -> Result<ListRecord, RefreshError> {
        refresh(config, copy, true, 1_800_000_000)
    }

    #[test]
    fn signed_list_is_taken_and_judged_again_at_the_next_start() {
        for base64 in [true, false] {
            let config = config(&server("2026-05-01", base64), Some(signer().key()));
            let copy = fetched(&config, &ListRecord::default()).unwrap();
            let stored = serde_json::to_string(&copy).unwrap();
            let mut lists = Lists::new(serde_json::from_str(&stored).unwrap());
            let in_use = lists.in_use(&config);
            assert_eq!(in_use.trust, ListTrust::Signed);
            assert_eq!((in_use.list.peers.len(), &*in_use.list.source), (1, "a test"));
            // Another key, none, or no URL at all.
            let other = Identity::from_seed(&[8; 32]).key();
            let changed = PublicPeersConfig { key: Some(other), ..config.clone() };
            assert_eq!(lists.in_use(&changed).trust, ListTrust::Shipped);
            let elsewhere = PublicPeersConfig { url: "https://a.example/b".into(), key: None };
            assert_eq!(lists.in_use(&elsewhere).trust, ListTrust::Shipped);
            assert_eq!(lists.in_use(&PublicPeersConfig::default()).trust, ListTrust::Shipped);
        }
    }

    #[test]
    fn list_with_another_signature_is_refused() {
        let other = Identity::from_seed(&[8; 32]).key();
        let config = config(&server("2026-05-01", true), Some(other));
        let error = fetched(&config, &ListRecord::default()).err().unwrap();
        assert!(matches!(error, RefreshError::Signature), "{error}");
    }

    #[test]
    fn list_without_a_signature_is_refused_when_a_key_is_set() {
        let body = list_of("2026-05-01");
        let server = serve(move |path| match path {
            "/list.json" => {
                Some((format!("200 OK\r\ncontent-length: {}", body.len()), body.clone().into()))
            }
            _ => Some(("404 Not Found\r\ncontent-length: 0".into(), Vec::new())),
        });
        let error = fetched(&config(&server, Some(signer().key())), &ListRecord::default());
        let error = error.err().unwrap();
        assert!(matches!(error, RefreshError::FetchSignature { .. }), "{error}");
    }

    #[test]
    fn unsigned_list_must_come_by_https() {
        let config = config(&server("2026-05-01", true), None);
        let error = fetched(&config, &ListRecord::default()).err().unwrap().to_string();
        assert!(error.contains("must be https"), "{error}");
    }

    #[test]
    fn older_list_than_the_copy_is_refused() {
        let newer = config(&server("2026-05-02", true), Some(signer().key()));
        let copy = fetched(&newer, &ListRecord::default()).unwrap();
        let older = config(&server("2026-05-01", true), Some(signer().key()));
        let error = fetched(&older, &copy).err().unwrap();
        assert!(matches!(error, RefreshError::Older { .. }), "{error}");
        assert!(fetched(&newer, &copy).is_ok());
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let server = serve(|_| Some(("200 OK\r\ncontent-length: 6".into(), b"<html>".to_vec())));
        let error = fetched(&config(&server, Some(signer().key())), &ListRecord::default());
        // The signature is looked at first.
        assert!(matches!(error.err().unwrap(), RefreshError::Signature));
        let off = fetched(&PublicPeersConfig::default(), &ListRecord::default());
        assert!(matches!(off.err().unwrap(), RefreshError::Off));
    }

    #[test]
    fn damaged_copies_are_not_used() {
        let config = config(&server("2026-05-01", true), Some(signer().key()));
        let good = fetched(&config, &ListRecord::default()).unwrap();
        for copy in [
            ListRecord { list: good.list.replace("here", "gone"), ..good.clone() },
            ListRecord { signature: None, ..good.clone() },
            ListRecord { signature: Some("x".repeat(128)), ..good.clone() },
            ListRecord { list: String::new(), ..good.clone() },
        ] {
            assert_eq!(Lists::new(copy).in_use(&config).trust, ListTrust::Shipped);
        }
        assert_eq!(Lists::new(good).in_use(&config).trust, ListTrust::Signed);
    }

    #[test]
    fn fetching_is_due_once_a_day_and_tried_once_an_hour() {
        let begin = Moment { unix_s: 1_800_000_000, ..Moment::now() };
        let after = |seconds| Moment {
            mono: begin.mono + Duration::from_secs(seconds),
            unix_s: begin.unix_s + seconds,
        };
        let own = NodeKey::from_bytes([0; 32]);
        let mut lists = Lists::new(ListRecord::default());
        assert!(!lists.is_due(&PublicPeersConfig::default(), &own, begin));
        let config = config(&server("2026-05-01", true), Some(signer().key()));
        assert!(lists.is_due(&config, &own, begin));
        assert!(!lists.is_due(&config, &own, after(3_599)));
        assert!(lists.is_due(&config, &own, after(3_600)));
        let copy = fetched(&config, &ListRecord::default()).unwrap();
        lists.adopt(copy);
        assert!(!lists.is_due(&config, &own, after(86_399)));
        assert!(lists.is_due(&config, &own, after(86_400)));
    }
}
