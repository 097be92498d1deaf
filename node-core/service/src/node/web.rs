//! The certificate of listeners for `wss`: read from the files of whoever runs the node, when the
//! node starts and whenever they have changed, as they do every few weeks.
//!
//! New files that cannot be used change nothing, so that a renewal that is half done or went wrong
//! harms no link. The files themselves are in no log and no report, only what is wrong with them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::SystemTime;

use planetary_ipc::Severity;
use planetary_runtime::links::tls::{Tls, TlsSetupError, WebCertificate, WebCertificateError};
use zeroize::Zeroizing;

use super::{Node, chain};
use crate::config::WebCertificateFiles;
use crate::health::Condition;

/// Longest file, in bytes: far more than a chain of certificates has.
const FILE_LEN_MAX: u64 = 256 * 1024;

/// The code of the health item.
const WEB_CERTIFICATE: &str = "web_certificate";

/// What is known of the certificate.
#[derive(Default)]
pub(super) struct Web {
    /// Where it goes.
    tls: Option<Tls>,
    /// What was read last, whether or not it could be used.
    seen: Option<Seen>,
}

/// Files as they were when they were read.
#[derive(PartialEq, Eq)]
struct Seen {
    files: WebCertificateFiles,
    stamps: [Option<(SystemTime, u64)>; 2],
}

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
enum WebError {
    #[error("{path} cannot be read")]
    Read { path: String, source: io::Error },
    #[error(transparent)]
    Unusable(#[from] WebCertificateError),
    #[error(transparent)]
    Setup(#[from] TlsSetupError),
}

impl Web {
    /// Gives the certificate to another engine from now on.
    pub(super) fn begin(&mut self, tls: Tls) {
        *self = Self { tls: Some(tls), seen: None };
    }

    /// Reads the files if they are not those that were read last; `None` if they are.
    fn follow(&mut self, files: &WebCertificateFiles) -> Option<Result<(), WebError>> {
        let tls = self.tls.as_ref()?;
        let stamps = [&files.certificate, &files.key].map(|file| stamp(file.as_deref()?));
        let seen = Seen { files: files.clone(), stamps };
        if self.seen.as_ref() == Some(&seen) {
            return None;
        }
        self.seen = Some(seen);
        Some(load(tls, files))
    }
}

impl Node {
    /// Reads the certificate of listeners for `wss` if its files have changed.
    pub fn look_at_certificate(&self) {
        let files = self.settings.read().config.web_certificate.clone();
        let Some(followed) = self.web.lock().follow(&files) else { return };
        match followed {
            Ok(()) => {
                self.health.lock().clear(WEB_CERTIFICATE);
                if files.certificate.is_some() {
                    tracing::info!("the certificate of wss listeners was read");
                }
            }
            Err(error) => {
                let error = chain(&error);
                tracing::warn!(error, "the certificate of wss listeners was not read");
                self.raise(Condition {
                    code: WEB_CERTIFICATE,
                    severity: Severity::Warning,
                    title: "The certificate of listeners for wss cannot be used".to_owned(),
                    text: format!("{error}. If there was one before, they go on with that."),
                    action: Some(
                        "Put in order what `certificate` and `key` in the section [tls] of the \
                         configuration name."
                            .to_owned(),
                    ),
                    affects_connectivity: false,
                    may_pass: false,
                });
            }
        }
        self.news.notify_one();
    }
}

fn load(tls: &Tls, files: &WebCertificateFiles) -> Result<(), WebError> {
    let certificate = match (&files.certificate, &files.key) {
        (Some(certificate), Some(key)) => {
            Some(WebCertificate::from_pem(&read(certificate)?, &read(key)?)?)
        }
        _ => None,
    };
    Ok(tls.set_web_certificate(certificate)?)
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, WebError> {
    let mut bytes = Zeroizing::new(Vec::new());
    // Opening something else, such as a pipe, may take for ever.
    let is_file = std::fs::metadata(path).map(|file| file.is_file());
    let opened = is_file.and_then(|is_file| match is_file {
        true => File::open(path),
        false => Err(io::ErrorKind::InvalidInput.into()),
    });
    let read = opened.and_then(|file| {
        // Room for all of it, so that no copy of a key stays behind.
        bytes.reserve_exact(file.metadata()?.len().min(FILE_LEN_MAX) as usize + 1);
        file.take(FILE_LEN_MAX).read_to_end(&mut bytes)
    });
    read.map_err(|source| WebError::Read { path: path.display().to_string(), source })?;
    Ok(bytes)
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.modified().ok()?, file.len()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use planetary_proto::identity::Identity;

    use super::*;

    const CERTIFICATE: &str = include_str!("../../../runtime/src/links/tests/web_certificate.pem");
    const KEY: &str = include_str!("../../../runtime/src/links/tests/web_key.pem");

    #[test]
    fn files_are_read_when_they_change_and_told_of_without_what_is_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let [certificate, key] = ["certificate", "key"].map(|name| folder.path().join(name));
        let files =
            WebCertificateFiles { certificate: Some(certificate.clone()), key: Some(key.clone()) };
        let mut web = Web::default();
        assert!(web.follow(&files).is_none(), "there is no engine");
        web.begin(Tls::new(&Arc::new(Identity::from_seed(&[7; 32]))).unwrap());

        let missing = web.follow(&files).unwrap().unwrap_err();
        assert!(chain(&missing).contains("certificate cannot be read"), "{missing}");
        assert!(web.follow(&files).is_none(), "nothing has changed");

        fs::write(&certificate, CERTIFICATE).unwrap();
        fs::write(&key, KEY.replace("MIGH", "!!!!")).unwrap();
        let unusable = chain(&web.follow(&files).unwrap().unwrap_err());
        assert!(!unusable.contains("!!!!"), "{unusable}");

        fs::write(&key, KEY.to_owned() + "\n").unwrap();
        web.follow(&files).unwrap().unwrap();
        assert!(web.follow(&files).is_none());
        web.follow(&WebCertificateFiles::default()).unwrap().unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_not_opened() {
        let folder = WebCertificateFiles { certificate: Some("/".into()), key: Some("/".into()) };
        let mut web = Web::default();
        web.begin(Tls::new(&Arc::new(Identity::from_seed(&[7; 32]))).unwrap());
        assert!(web.follow(&folder).unwrap().is_err());
    }
}
